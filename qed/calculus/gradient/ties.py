"""Where a program stands exactly at a kink: the operation that has a tie.

Every kink of a program is made by one of few primitives: an absolute value at 0, a maximum of equal numbers, a clip
at its ends, a comparison of equal numbers, a sort of equal keys, a rounding at an integer. The program is walked in
its own arithmetic, and the first of them with a tie in a number that depends on the parameters is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.domains.backward import record
from qed.graph.dtypes import as_wide, is_real
from qed.graph.graph import Graph
from qed.graph.walk import Entry, TooLong


@dataclass(frozen=True, eq=False)
class Tie:
    """An executed equation at a kink, and the element."""

    entry: Entry
    index: tuple[int, ...]


def _equal(a: Any, b: Any) -> np.ndarray:
    a, b = np.broadcast_arrays(a, b)
    return a == b


def _top(x: Any, axes: Sequence[int], best: Any) -> np.ndarray:
    mask = x == best(x, axis=tuple(axes), keepdims=True)
    return mask & (mask.sum(axis=tuple(axes), keepdims=True) > 1)


def _neighbours(x: Any, axis: int) -> np.ndarray:
    ordered = np.sort(x, axis=axis)
    return np.diff(ordered, axis=axis) == 0


_TIES: dict[str, Callable[..., np.ndarray]] = {
    "abs": lambda params, x: x == 0,
    "sign": lambda params, x: x == 0,
    "max": lambda params, a, b: _equal(a, b),
    "min": lambda params, a, b: _equal(a, b),
    "clamp": lambda params, low, x, high: (x == low) | (x == high),
    "reduce_max": lambda params, x: _top(x, params["axes"], np.max),
    "reduce_min": lambda params, x: _top(x, params["axes"], np.min),
    "sort": lambda params, x, *rest: _neighbours(x, params["dimension"]),
    "top_k": lambda params, x: _neighbours(x, params.get("axis", -1)),
    "floor": lambda params, x: x == np.round(x),
    "ceil": lambda params, x: x == np.round(x),
    "round": lambda params, x: np.abs(x - np.trunc(x)) == 0.5,
    **dict.fromkeys(("gt", "ge", "lt", "le", "eq", "ne"), lambda params, a, b: _equal(a, b)),
}


def first_tie(graph: Graph, arrays: Sequence[Any], active: Sequence[int]) -> Tie | None:
    """The first equation with a tie, in the order of the run; None where none is found.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> traced = trace(lambda x: jnp.sum(jnp.abs(x)), jnp.array([1.0, 0.0]))
        >>> tie = first_tie(traced.graph, traced.leaves, traced.free)
        >>> tie.entry.primitive, tie.index
        ('abs', (1,))
    """
    try:
        tape = record(graph, arrays, active, whole_custom_calls=False)
    except TooLong:
        return None
    for entry in tape.entries:
        rule = _TIES.get(entry.primitive)
        if entry.kind != "equation" or rule is None or not any(cell.active for cell in entry.inputs):
            continue
        if not all(is_real(cell.dtype) for cell in entry.inputs):
            continue
        mask = rule(entry.equation.params, *(as_wide(cell.values[0]) for cell in entry.inputs))
        if mask.any():
            return Tie(entry, tuple(int(i) for i in np.argwhere(mask)[0]))
    return None
