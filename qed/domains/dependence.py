"""Which elements of an equation's inputs can have made a given element of its output, and the other way round.

For elementwise primitives: the same element, after broadcasting. For primitives that only move, sum or multiply
elements (reshape, gather, concatenate, dot_general, ...) the Jacobian J at inputs of ones is non-negative, and its
pattern is the answer: the set B of outputs depends on the elements of the input where J^T 1_B is not zero; the
outputs that depend on a set A of inputs are those where J 1_A is not zero. Both are computed by JAX's own derivative
of the equation. For the rest (factorisations, fft, kernels) every element may depend on every other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed import facts
from qed.graph import jaxpr
from qed.graph.dtypes import is_inexact, is_real
from qed.graph.walk import Cell, Entry

_PATTERN = (facts.Class.LINEAR, facts.Class.BILINEAR, facts.Class.INDEX)
_MIXED = frozenset("fft linear_call scatter_apply select_and_scatter select_and_scatter_add symmetric_product".split())
_SHAPED = frozenset({"reshape", "squeeze", "expand_dims", "convert_element_type", "copy", "stop_gradient", "real"})
_REDUCED = frozenset({"reduce_sum", "reduce_max", "reduce_min", "reduce_prod"})
_ALONG = {"cummax": "axis", "cummin": "axis", "cumprod": "axis", "cumlogsumexp": "axis", "sort": "dimension"}

Mask = Any  # an array of truth values; NumPy gives a scalar one for no axes


def sources(entry: Entry, mask: Mask, output: int = 0) -> list[Mask | None]:
    """For each input, its elements that can have made the marked elements of an output; None for integers.

    Args:
        entry: an executed equation.
        mask: marks elements of the output.
        output: which output.
    """
    shapes = [cell.shape for cell in entry.inputs]
    floats = [is_inexact(cell.dtype) for cell in entry.inputs]
    primitive, params = entry.primitive, entry.equation.params
    if primitive == "take":
        whole = np.zeros(shapes[0], bool)
        whole[entry.index] = mask
        return [whole]
    if primitive == "stack":
        return [np.asarray(mask[i]) for i in range(len(shapes))]
    everything: list[Mask | None] = [np.ones(s, bool) if f else None for s, f in zip(shapes, floats, strict=True)]
    if primitive == "select_n":
        which = np.asarray(entry.inputs[0].values[0]).astype(int)
        cases = [mask & (which == i) for i in range(len(shapes) - 1)]
        return [None, *(case if f else None for case, f in zip(cases, floats[1:], strict=True))]
    if elementwise(entry):
        return [folded(mask, s) if f else None for s, f in zip(shapes, floats, strict=True)]
    first: Mask | None = None
    if primitive in _SHAPED:
        first = mask.reshape(shapes[0])
    elif primitive in _REDUCED:
        first = np.broadcast_to(np.expand_dims(mask, tuple(params["axes"])), shapes[0])
    elif primitive in _ALONG or primitive == "top_k":
        axis = params.get(_ALONG.get(primitive, "axis"), -1)
        line = mask.any(axis=axis, keepdims=True)
        return [np.broadcast_to(line, s) if f else None for s, f in zip(shapes, floats, strict=True)]
    if first is not None:
        return [first if floats[0] else None, *everything[1:]]
    if facts.classify(primitive) in _PATTERN and primitive not in _MIXED and entry.equation.native is not None:
        return _transposed(entry, mask, output)
    return everything


def inherited(entry: Entry, marked: Sequence[Mask | None], output: int = 0) -> Mask:
    """The elements of an output that depend on the marked elements of the inputs."""
    shape = entry.outputs[output].shape
    marks = [m for m in marked if m is not None and m.any()]
    if not marks:
        return np.zeros(shape, bool)
    if elementwise(entry):
        return np.logical_or.reduce([np.broadcast_to(m, shape) for m in marks])
    primitive, params = entry.primitive, entry.equation.params
    if primitive in _SHAPED:
        return marks[0].reshape(shape)
    if primitive in _REDUCED:
        return marks[0].any(axis=tuple(params["axes"]))
    if facts.classify(primitive) is facts.Class.BILINEAR and entry.equation.native is not None:
        return _pushed(entry, marked, output)
    if primitive == "select_n":
        which = np.asarray(entry.inputs[0].values[0])
        return np.logical_or.reduce([m & (which == i) for i, m in enumerate(marked[1:]) if m is not None])
    moved = facts.classify(primitive) in (facts.Class.LINEAR, facts.Class.INDEX) and primitive not in _MIXED
    real = all(is_real(cell.dtype) or not is_inexact(cell.dtype) for cell in (*entry.inputs, *entry.outputs))
    if moved and real and entry.equation.native is not None:
        return _moved(entry, marked, output)
    return np.ones(shape, bool)


def elementwise(entry: Entry) -> bool:
    """True where element i of the output is a function of element i of each input."""
    if entry.kind != "equation" or len(entry.outputs) != 1:
        return False
    known = facts.classify(entry.primitive) in (facts.Class.UNARY, facts.Class.ARITHMETIC)
    return known or entry.primitive == "polynomial"


def broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """True where an operand of one shape is broadcast to another by NumPy's rules."""
    tail = to[len(to) - len(shape) :]
    return len(shape) <= len(to) and all(a in (1, b) for a, b in zip(shape, tail, strict=True))


def folded(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """The mask of an operand that was broadcast to the mask's shape."""
    lead = mask.ndim - len(shape)
    axes = (*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1 and mask.shape[lead + i] != 1))
    return mask.any(axis=axes, keepdims=True).reshape(shape) if axes else mask


def _ones(cell: Cell) -> Any:
    return jnp.ones(cell.shape, cell.dtype) if is_inexact(cell.dtype) else cell.values[0]


def _transposed(entry: Entry, mask: Mask, output: int) -> list[Mask | None]:
    active = [i for i, cell in enumerate(entry.inputs) if is_inexact(cell.dtype)]
    values = [_ones(cell) for cell in entry.inputs]

    def primal(*chosen: Any) -> Any:
        full = list(values)
        for position, value in zip(active, chosen, strict=True):
            full[position] = value
        return jaxpr.bind(entry.equation.native, full)[output]

    _, pull = jax.vjp(primal, *(values[i] for i in active))
    result: list[Mask | None] = [None] * len(values)
    cotangent = jnp.asarray(mask.astype(np.float32)).astype(entry.outputs[output].dtype)
    for position, found in zip(active, pull(cotangent), strict=True):
        result[position] = np.asarray(found != 0)
    return result


def _moved(entry: Entry, marked: Sequence[Mask | None], output: int) -> Mask:
    values = [
        cell.values[0] if mask is None or not is_inexact(cell.dtype) else jnp.asarray(mask).astype(cell.dtype)
        for cell, mask in zip(entry.inputs, marked, strict=True)
    ]
    return np.asarray(jaxpr.bind(entry.equation.native, values)[output] != 0)


def _pushed(entry: Entry, marked: Sequence[Mask | None], output: int) -> Mask:
    reached = np.zeros(entry.outputs[output].shape, bool)
    for position, mask in enumerate(marked):
        if mask is None or not mask.any():
            continue
        values = [_ones(cell) for cell in entry.inputs]
        values[position] = jnp.asarray(mask.astype(np.float32)).astype(entry.inputs[position].dtype)
        reached |= np.asarray(jaxpr.bind(entry.equation.native, values)[output] != 0)
    return reached
