"""Arrays in the tail domain: a likelihood of data is a sum of forms, entry by entry.

An array is an object array of the forms of its entries. What moves numbers is done to their places; a sum, a product,
the largest and the least are folds; what has a rule for one number is done to each. Sums so far are folds that keep
what they have on the way, and the sorted array is what exchanges of two neighbours make of it, each the less and the
larger of both (Knuth, *The Art of Computer Programming* 3, section 5.3.4). All of it holds for all x >= R, since each
entry does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from typing import Any

import numpy as np

from qed.domains.known import Known
from qed.domains.moving import routed
from qed.domains.tail_forms import MOVES, NoOrder, Truth
from qed.graph.graph import Equation

LARGEST = 2**12
"""So many entries an array may have."""
FOLDS: Mapping[str, str] = {
    "reduce_sum": "add",
    "reduce_prod": "mul",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_and": "and",
    "reduce_or": "or",
}
"""What a reduction does to two entries."""
SO_FAR: Mapping[str, str] = {"cumsum": "add", "cumprod": "mul", "cummax": "max", "cummin": "min"}
"""What the entries up to each place are put together by."""
SORTED = 2**5
"""So many entries an array has at most that is sorted."""
JOINED = frozenset({"concatenate", "stack"})
"""What puts arrays beside each other."""


@dataclass(frozen=True, eq=False)
class Forms:
    """The forms of the entries of an array."""

    array: np.ndarray


def entries(value: Any, scalar: Callable[[Known], Any]) -> np.ndarray:
    """A value as an object array of forms; of a number, with no axis.

    >>> from qed.domains.known import Known
    >>> from qed.domains.tail_arrays import entries
    >>> entries(Known([[1.0, 2.0]]), lambda one: float(one.array)).shape
    (1, 2)
    """
    if isinstance(value, Forms):
        return value.array
    array = np.asarray(value.array) if isinstance(value, Known) else None
    shape = () if array is None else array.shape
    found = np.empty(shape, object)
    if array is None:
        found[()] = value
        return found
    for place in np.ndindex(shape):
        found[place] = scalar(Known(array[place]))
    return found


def packed(array: np.ndarray) -> Any:
    """The array as a value: its only entry where it has no axis; truth values that are all decided are known."""
    if array.ndim == 0:
        return array.item()
    if array.size and all(isinstance(x, Truth) and x.holds is not None for x in array.flat):
        return Known(np.array([x.holds for x in array.flat]).reshape(array.shape))
    return Forms(array)


def applied(
    equation: Equation,
    inputs: Sequence[Any],
    scalar: Callable[[Known], Any],
    one: Callable[[str, Sequence[Any]], Any],
) -> Any:
    """What an equation does to arrays of forms; NoOrder where that is not known.

    Args:
        equation: the equation, of one output.
        inputs: its inputs, of which some are known arrays.
        scalar: the form of a known number.
        one: what an elementwise operation makes of forms.
    """
    name = equation.primitive
    if len(equation.outputs) != 1 or any(_size(v.shape) > LARGEST for v in (*equation.inputs, *equation.outputs)):
        raise NoOrder
    if name in MOVES or name in JOINED:
        return packed(_moved(equation, inputs, scalar))
    given = [entries(x, scalar) for x in inputs]
    if name in FOLDS:
        return packed(_folded(given[0], equation.params["axes"], lambda x, y: one(FOLDS[name], (x, y))))
    if name in SO_FAR:
        along = int(equation.params["axis"])
        return packed(_along(given[0], along, lambda row: _so_far(row, equation.params["reverse"], name, one)))
    if name == "sort" and len(given) == 1:
        return packed(_along(given[0], int(equation.params["dimension"]), lambda row: _sorted(row, one)))
    if name == "dot_general":
        return packed(_dot(given[0], given[1], equation.params["dimension_numbers"], one))
    shape = equation.outputs[0].shape
    if any(np.broadcast_shapes(array.shape, shape) != shape for array in given):
        raise NoOrder
    given = [np.broadcast_to(array, shape) for array in given]
    found = np.empty(shape, object)
    for place in np.ndindex(shape):
        found[place] = one(name, [array[place] for array in given])
    return packed(found)


def _size(shape: Sequence[int]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _moved(equation: Equation, inputs: Sequence[Any], scalar: Callable[[Known], Any]) -> np.ndarray:
    """The entries where their places are moved to; what indices say must be known."""
    count = len(inputs) if equation.primitive in JOINED else 1
    if not all(isinstance(x, Known) for x in inputs[count:]):
        raise NoOrder
    given = [entries(x, scalar) for x in inputs[:count]]
    ends = np.cumsum([0, *(array.size for array in given)])
    found = routed(equation, range(count), [*(None for _ in given), *(x.array for x in inputs[count:])])
    if found is None or (found[0].size and not (found[0].min() >= 0 and found[0].max() < ends[-1])):
        raise NoOrder  # what is filled in is no entry
    where = np.asarray(found[0])
    every = np.empty(ends[-1], object)
    for start, end, array in zip(ends, ends[1:], given, strict=False):
        every[start:end] = array.ravel()
    return every[where] if where.ndim else every[where : where + 1].reshape(())


def _folded(array: np.ndarray, axes: Sequence[int], two: Callable[[Any, Any], Any]) -> np.ndarray:
    """The entries along some axes, put together two by two."""
    kept = [axis for axis in range(array.ndim) if axis not in axes]
    shape = [array.shape[axis] for axis in kept]
    rows = np.transpose(array, (*kept, *axes)).reshape((_size(shape), -1))
    if not rows.shape[1]:
        raise NoOrder
    found = np.empty(len(rows), object)
    for k, row in enumerate(rows):
        found[k] = reduce(two, row)
    return found.reshape(shape)


def _along(array: np.ndarray, axis: int, change: Callable[[list[Any]], list[Any]]) -> np.ndarray:
    """The array, each row along an axis changed."""
    rows = np.moveaxis(array, axis, -1)
    found = np.empty(rows.shape, object)
    for place in np.ndindex(rows.shape[:-1]):
        for k, value in enumerate(change(list(rows[place]))):
            found[(*place, k)] = value
    return np.moveaxis(found, -1, axis)


def _so_far(row: list[Any], backward: bool, name: str, one: Callable[[str, Sequence[Any]], Any]) -> list[Any]:
    """The entries up to each place put together, from the last on where it goes backward."""
    found = list(accumulate(row[::-1] if backward else row, lambda x, y: one(SO_FAR[name], (x, y))))
    return found[::-1] if backward else found


def _sorted(row: list[Any], one: Callable[[str, Sequence[Any]], Any]) -> list[Any]:
    """The entries in ascending order, by exchanges of neighbours."""
    if len(row) > SORTED:
        raise NoOrder
    for last in range(len(row) - 1, 0, -1):
        for k in range(last):
            row[k : k + 2] = [one(kind, row[k : k + 2]) for kind in ("min", "max")]
    return row


def _dot(left: np.ndarray, right: np.ndarray, numbers: Any, one: Callable[[str, Sequence[Any]], Any]) -> np.ndarray:
    """The products of rows, added up: batches first, then the free axes of both."""
    (contracted, summed), (batched, shared) = numbers
    sides = []
    for array, over, batch in ((left, contracted, batched), (right, summed, shared)):
        free = [axis for axis in range(array.ndim) if axis not in (*over, *batch)]
        shapes = [[array.shape[axis] for axis in axes] for axes in (batch, free, over)]
        rows = np.transpose(array, (*batch, *free, *over)).reshape([_size(shape) for shape in shapes])
        sides.append((rows, shapes))
    (rows, shapes), (columns, others) = sides
    if not rows.shape[2]:
        raise NoOrder
    found = np.empty((rows.shape[0], rows.shape[1], columns.shape[1]), object)
    for b, i, j in np.ndindex(found.shape):
        products = [one("mul", (x, y)) for x, y in zip(rows[b, i], columns[b, j], strict=True)]
        found[b, i, j] = reduce(lambda x, y: one("add", (x, y)), products)
    return found.reshape([*shapes[0], *shapes[1], *others[1]])
