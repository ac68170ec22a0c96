"""Primitives that only move elements, in NumPy: each output element is one input element, or a padding.

Each function takes the arrays of an operand's numbers (there may be axes of a batch of boxes in front) and the
equation's parameters; it is applied to every array that an enclosure is made of. Where a primitive is not in the
table, *one array of indices* is routed through JAX's own implementation of it, and then every array of numbers is
read at these indices: so a gather's or a scatter's rules for indices out of range are JAX's, not a second version of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph import jaxpr
from qed.graph.graph import Equation

Array = np.ndarray


def _broadcast_in_dim(x: Array, batch: int, p: Mapping[str, Any]) -> Array:
    lead, places = x.shape[:batch], [1] * len(p["shape"])
    for axis, size in zip(p["broadcast_dimensions"], x.shape[batch:], strict=True):
        places[axis] = size
    return np.broadcast_to(x.reshape((*lead, *places)), (*lead, *p["shape"]))


def _reshape(x: Array, batch: int, p: Mapping[str, Any]) -> Array:
    """The elements in the order of the axes `dimensions` (`jnp.ravel(x, order="F")`), or as they stand."""
    if p.get("dimensions") is not None:
        x = np.transpose(x, (*range(batch), *(batch + axis for axis in p["dimensions"])))
    return x.reshape((*x.shape[:batch], *p["new_sizes"]))


def _squeeze(x: Array, batch: int, p: Mapping[str, Any]) -> Array:
    return np.squeeze(x, tuple(batch + axis for axis in p["dimensions"]))


def _transpose(x: Array, batch: int, p: Mapping[str, Any]) -> Array:
    return np.transpose(x, (*range(batch), *(batch + axis for axis in p["permutation"])))


def _rev(x: Array, batch: int, p: Mapping[str, Any]) -> Array:
    return np.flip(x, tuple(batch + axis for axis in p["dimensions"]))


def _slice(x: Array, batch: int, p: Mapping[str, Any]) -> Array:
    strides = p["strides"] or (1,) * len(p["start_indices"])
    pieces = zip(p["start_indices"], p["limit_indices"], strides, strict=True)
    return x[(slice(None),) * batch + tuple(slice(*piece) for piece in pieces)]


def _pad(x: Array, value: Array, batch: int, p: Mapping[str, Any]) -> Array:
    """Padding: first between the elements, then at both ends, where a negative number takes elements away."""
    lead = np.broadcast_shapes(x.shape[:batch], value.shape)
    config = p["padding_config"]
    sizes = [n + max(n - 1, 0) * inner for n, (_, _, inner) in zip(x.shape[batch:], config, strict=True)]
    wide = [max(low, 0) + size + max(high, 0) for size, (low, high, _) in zip(sizes, config, strict=True)]
    filled = np.array(np.broadcast_to(value.reshape((*value.shape, *([1] * len(wide)))), (*lead, *wide)))
    inside = [
        slice(max(low, 0), max(low, 0) + size, inner + 1) if size else slice(0, 0)
        for size, (low, _, inner) in zip(sizes, config, strict=True)
    ]
    filled[(slice(None),) * len(lead) + tuple(inside)] = x
    kept = [slice(max(-low, 0), n - max(-high, 0)) for n, (low, high, _) in zip(wide, config, strict=True)]
    return filled[(slice(None),) * len(lead) + tuple(kept)]


MOVES: Mapping[str, Callable[..., Array]] = {
    "broadcast_in_dim": _broadcast_in_dim,
    "reshape": _reshape,
    "rev": _rev,
    "slice": _slice,
    "squeeze": _squeeze,
    "transpose": _transpose,
}
"""Primitives of one operand."""


def pad(batch: int, params: Mapping[str, Any]) -> Callable[[Array, Array], Array]:
    """Return what `pad` does to an array and the padding, which stands without a batch or with the same one."""
    return lambda x, value: _pad(x, value, batch, params)


def concatenated(batch: int, params: Mapping[str, Any]) -> Callable[..., Array]:
    """Return what `concatenate` does to arrays."""

    def move(*xs: Array) -> Array:
        lead = np.broadcast_shapes(*(x.shape[:batch] for x in xs))
        wide = [np.broadcast_to(x, (*lead, *x.shape[batch:])) for x in xs]
        return np.concatenate(wide, batch + params["dimension"])

    return move


def splits(sizes: Sequence[int], axis: int) -> list[Callable[[Array], Array]]:
    """Return one function a piece of `split`."""
    ends = np.cumsum(sizes).tolist()
    pieces = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    return [lambda x, piece=piece: x[(slice(None),) * axis + (piece,)] for piece in pieces]


def rearranged(name: str, params: Mapping[str, Any], operands: Sequence[Array]) -> list[Array] | None:
    """Return the outputs of a primitive of this file at whole arrays; None where it is another one."""
    if name in MOVES and len(operands) == 1:
        return [MOVES[name](operands[0], 0, params)]
    if name == "pad":
        return [pad(0, params)(*operands)]
    if name == "concatenate":
        return [concatenated(0, params)(*operands)]
    if name == "split":
        return [cut(operands[0]) for cut in splits(params["sizes"], params["axis"])]
    return None


# --- by one array of indices ----------------------------------------------------------------------------------


def taken(operands: Sequence[Array], batch: int, index: Array) -> Array:
    """Return the elements at `index` of all operands laid end to end; -1 is filled with 0."""
    lead = np.broadcast_shapes(*(x.shape[:batch] for x in operands))
    flat = [np.broadcast_to(x, (*lead, *x.shape[batch:])).reshape((*lead, -1)) for x in operands]
    ends = np.concatenate(flat, -1) if len(flat) > 1 else flat[0]
    if not ends.shape[-1]:
        return np.zeros((*lead, *index.shape), ends.dtype)
    return ends[..., np.maximum(index, 0)]


def routed(equation: Equation, moved: Sequence[int], arrays: Sequence[Any]) -> list[Array] | None:
    """Return for each output the index of the element that stands there, -1 for a padding; None without JAX behind it.

    Args:
        equation: a primitive that moves elements.
        moved: the positions of the operands whose elements are moved; they are numbered one after the other.
        arrays: the other operands (indices), concrete; None at the positions that are moved.
    """
    native = equation.native
    if native is None:
        return None
    operands, start = list(arrays), 0
    for position in moved:
        shape = equation.inputs[position].shape
        size = int(np.prod(shape))
        operands[position] = np.arange(start, start + size, dtype=np.int32).reshape(shape)
        start += size
    known = rearranged(equation.primitive, native.params, operands) if len(moved) == len(operands) else None
    if known is not None and equation.primitive != "pad":
        return known
    changed = {"fill_value": -1} if "fill_value" in native.params else {}
    return [np.asarray(found) for found in jaxpr.bind(native, operands, **changed)]


def scatter_targets(equation: Equation, indices: Any) -> Array:
    """Return for each element of a scatter's updates which element of the operand it meets; -1: it is dropped.

    The derivative of a scatter-add in its updates is the gather of the cotangent, so that the cotangent 1, 2, 3, ...
    comes back as the places (float32 counts to 2^24).
    """
    native = equation.native
    shape, updates = equation.inputs[0].shape, equation.inputs[2].shape
    size = int(np.prod(shape))
    keywords = {key: native.params[key] for key in ("indices_are_sorted", "unique_indices", "mode")}

    def scatter(u: Any) -> Any:
        return jax.lax.scatter_add(
            jnp.zeros(shape, jnp.float32), indices, u, native.params["dimension_numbers"], **keywords
        )

    _, pull = jax.vjp(scatter, jnp.zeros(updates, jnp.float32))
    (places,) = pull(jnp.arange(1, size + 1, dtype=jnp.float32).reshape(shape))
    return np.asarray(places).astype(np.int64) - 1


COUNTABLE = 2**24
"""How many elements `scatter_targets` can tell apart."""
