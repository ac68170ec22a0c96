"""Where a program stands exactly at a kink: the operation that has a tie.

Every kink of a program is made by one of few primitives: an absolute value at 0, a maximum of equal numbers, a clip
at its ends, a comparison of equal numbers, a sort of equal keys, a rounding at an integer. The program is walked in
its own arithmetic, and the first of them with a tie in a number that depends on the parameters is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed import facts
from qed.domains.backward import record
from qed.facts.points import Point
from qed.facts.structure import COMPARED
from qed.graph.dtypes import as_wide, is_real
from qed.graph.graph import Equation, Graph
from qed.graph.walk import Entry, TooLong


@dataclass(frozen=True, eq=False)
class Tie:
    """An executed equation at a kink, and the element."""

    entry: Entry
    index: tuple[int, ...]


def _top(array: Any, x: Any, axes: Sequence[int], best: str) -> Any:
    """Where several numbers are the best of theirs; infinite ones stay equal and are none."""
    mask = x == getattr(array, best)(x, axis=tuple(axes), keepdims=True)
    return mask & (mask.sum(axis=tuple(axes), keepdims=True) > 1) & array.isfinite(x)


def _neighbours(array: Any, x: Any, axis: int) -> Any:
    ordered = array.moveaxis(array.sort(x, axis=axis), axis, 0)
    return array.moveaxis((ordered[1:] == ordered[:-1]) & array.isfinite(ordered[1:]), 0, axis)


def _at(array: Any, points: facts.Points, x: Any) -> Any:
    """Where a number is one of the points of a card."""
    if points.lattice is not None:  # those in the tables are without ends
        start = Point(points.lattice.start).value
        k = (x - start) / Point(points.lattice.period).value
        return k == array.floor(k)
    found = array.zeros(array.shape(x), bool)
    for point in points.listed:
        found = found | (x == point.value)
    return found


_CHOICES: dict[str, Callable[..., Any]] = {
    "reduce_max": lambda array, params, x: _top(array, x, params["axes"], "max"),
    "reduce_min": lambda array, params, x: _top(array, x, params["axes"], "min"),
    "argmax": lambda array, params, x: _top(array, x, params["axes"], "max"),
    "argmin": lambda array, params, x: _top(array, x, params["axes"], "min"),
    "sort": lambda array, params, x, *rest: _neighbours(array, x, params["dimension"]),
    "top_k": lambda array, params, x: _neighbours(array, x, params.get("axis", -1)),
    "approx_top_k": lambda array, params, x: _neighbours(array, x, params["reduction_dimension"]),
    **dict.fromkeys(COMPARED, lambda array, params, a, b: a == b),
}


def ties(primitive: str, params: Mapping[str, Any], values: Sequence[Any], array: Any = np) -> Any:
    """Where an equation on real numbers stands at a corner or a jump: a mask, or None where the primitive has none.

    Args:
        primitive: its name.
        params: its parameters.
        values: its operands.
        array: `numpy`, or `jax.numpy` for what JAX traces.

    Example:
        >>> ties("abs", {}, [np.array([1.0, 0.0])]).tolist(), ties("round", {}, [np.array([2.5, 2.0])]).tolist()
        ([False, True], [True, False])
        >>> ties("reduce_max", {"axes": (0,)}, [np.array([1.0, 2.0, 2.0])]).tolist(), ties("exp", {}, [np.zeros(1)])
        ([False, True, True], None)
    """
    if primitive in _CHOICES:
        return _CHOICES[primitive](array, params, *values)
    card = facts.CARDS.get(primitive)
    if card is not None and (card.kinks or card.jumps):
        return _at(array, card.kinks, values[0]) | _at(array, card.jumps, values[0])
    several = facts.ARITHMETIC.get(primitive)
    if several is None:
        return None
    named = dict(zip(several.arguments, values, strict=True))
    met = [condition for condition in (several.tie, several.jump) if condition is not None]
    masks = [condition.holds(arithmetic=facts.NUMPY if array is np else facts.JAX, **named) for condition in met]
    return masks[0] if masks else None


def first_tie(
    graph: Graph,
    arrays: Sequence[Any],
    active: Sequence[int],
    among: Callable[[Equation], bool] = lambda equation: True,
) -> Tie | None:
    """The first equation with a tie, in the order of the run; None where none is found.

    Args:
        graph: the program.
        arrays: its inputs.
        active: the numbers of those that are parameters.
        among: which equations are looked at.

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
        if entry.kind != "equation" or not any(cell.active for cell in entry.inputs) or not among(entry.equation):
            continue
        if not all(is_real(cell.dtype) for cell in entry.inputs):
            continue
        with np.errstate(all="ignore"):
            mask = ties(entry.primitive, entry.equation.params, [as_wide(cell.values[0]) for cell in entry.inputs])
        if mask is not None and np.any(mask):
            return Tie(entry, tuple(int(i) for i in np.argwhere(mask)[0]))
    return None
