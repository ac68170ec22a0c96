"""Products of arrays brought to one form: a stack of matrix products, sum over k of A[.., m, k] B[.., k, n].

`dot_general` names the axes that are paired (batch) and the axes that are summed over; a convolution is such a product
of the table of its windows with its kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from qed.domains.windows import read, windows
from qed.graph.graph import Equation

Array = np.ndarray
Move = Callable[[Array], Array]


def of_dot_general(
    shapes: Sequence[tuple[int, ...]], batch: int, params: Mapping[str, Any]
) -> tuple[Move, Move, Callable[[Array], Array]]:
    """Return how both operands become stacks of matrices, and how the stack of products becomes the result."""
    (lc, rc), (lb, rb) = params["dimension_numbers"]
    left, right = shapes
    lf = [axis for axis in range(len(left)) if axis not in (*lc, *lb)]
    rf = [axis for axis in range(len(right)) if axis not in (*rc, *rb)]

    def arranged(x: Array, batch: int, order: Sequence[int], sizes: Sequence[int]) -> Array:
        moved = np.transpose(x, (*range(batch), *(batch + axis for axis in order)))
        return moved.reshape((*x.shape[:batch], *sizes))

    def size(shape: tuple[int, ...], axes: Sequence[int]) -> int:
        return int(np.prod([shape[axis] for axis in axes]))

    stack, k = size(left, lb), size(left, lc)
    first = (stack, size(left, lf), k)
    second = (stack, k, size(right, rf))
    result = [*(left[a] for a in lb), *(left[a] for a in lf), *(right[a] for a in rf)]
    return (
        lambda x: arranged(x, batch, (*lb, *lf, *lc), first),
        lambda y: arranged(y, batch, (*rb, *rc, *rf), second),
        lambda z: z.reshape((*z.shape[:-3], *result)),
    )


def of_convolution(
    shapes: Sequence[tuple[int, ...]], batch: int, params: Mapping[str, Any]
) -> tuple[Move, Move, Callable[[Array], Array]] | None:
    """Return the same for `conv_general_dilated`; None where the batch is grouped (a derivative's convolution)."""
    if params["batch_group_count"] != 1:
        return None
    numbers, groups = params["dimension_numbers"], params["feature_group_count"]
    left = tuple(shapes[0][axis] for axis in numbers.lhs_spec)  # batch, channels, space
    right = tuple(shapes[1][axis] for axis in numbers.rhs_spec)  # outputs, channels of a group, space
    index = windows(
        left[2:], right[2:], params["window_strides"], params["padding"], params["lhs_dilation"], params["rhs_dilation"]
    )
    space, places = index.shape[:-1], index.shape[-1]
    positions = int(np.prod(space))

    def first(x: Array) -> Array:
        b = batch
        x = np.transpose(x, (*range(b), *(b + axis for axis in numbers.lhs_spec)))
        lead = x.shape[:b]
        x = read(x.reshape((*lead, left[0], left[1], -1)), b + 2, index, 0).reshape(
            (*lead, left[0], groups, left[1] // groups, positions, places)
        )
        x = np.moveaxis(
            x, (b + 1, b, b + 3, b + 2, b + 4), range(b, b + 5)
        )  # groups, batch, positions, channels, places
        return x.reshape((*lead, groups, left[0] * positions, (left[1] // groups) * places))

    def second(y: Array) -> Array:
        b = batch
        y = np.transpose(y, (*range(b), *(b + axis for axis in numbers.rhs_spec)))
        lead = y.shape[:b]
        y = y.reshape((*lead, groups, right[0] // groups, right[1] * places))
        return np.swapaxes(y, -1, -2)

    def result(z: Array) -> Array:
        lead = z.shape[:-3]
        b = len(lead)
        z = z.reshape((*lead, groups, left[0], positions, right[0] // groups))
        z = np.moveaxis(z, (b + 1, b, b + 3, b + 2), range(b, b + 4))  # batch, groups, outputs of a group, positions
        z = z.reshape((*lead, left[0], right[0], *space))
        back = np.argsort(numbers.out_spec)
        return np.transpose(z, (*range(b), *(b + axis for axis in back)))

    return first, second, result


def of_product(equation: Equation, batch: int = 0) -> tuple[Move, Move, Callable[[Array], Array]] | None:
    """Return the same for the equation of either; None where it is no product of this form."""
    shapes = [atom.shape for atom in equation.inputs]
    if equation.primitive == "dot_general":
        return of_dot_general(shapes, batch, equation.params)
    if equation.primitive == "conv_general_dilated":
        return of_convolution(shapes, batch, equation.params)
    return None
