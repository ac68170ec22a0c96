"""Where digits are lost at given points: the places whose rewriting makes a difference there.

Each change is judged by itself: the expression as it stands, and what would take its place, at the same numbers, in the
program's own arithmetic, and the derivatives of both. Where all of these agree within `SAME` bits, the original keeps
its digits as well as its replacement would, and stays. Changes inside loops are judged by the whole function. An
expression may lose nothing but what an operand lost that was rewritten, too, and is gone with it; and a change may rest
on what its operands became, which is no change by itself. And what an expression loses need not be seen in the result:
1 - t^2 has lost three bits at t = 0.9, where the derivative of a sum of ten others has lost none. So the function with
everything rewritten is compared with the one where nothing is, which stays where they agree within `LEFT` bits, there
and a few units of the last place beside; then with the one where what is blamed is; where they differ what stands
beneath the blamed is rewritten too, and where they differ still everything is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.build import Node
from qed.graph.dtypes import as_wide, is_real, unit_roundoff
from qed.numerics.longer.fallback import LEFT, SAME
from qed.numerics.longer.probes import beside
from qed.numerics.rewriting.change import Change, Only
from qed.numerics.rewriting.derivative import Stable
from qed.numerics.rewriting.session import Rewritten
from qed.span import Span


@dataclass(frozen=True)
class Blamed:
    """The places where something is lost.

    Args:
        rewritten: where a rewriting makes a difference.
        longer: where digits are lost in the rewritten function still, and longer numbers keep them.
        longest: where float64 in place of a shorter dtype does not do.
    """

    rewritten: frozenset[Span | None]
    longer: frozenset[Span | None]
    longest: frozenset[Span | None] = frozenset()


def blamed(stable: Stable, moving: Sequence[int], points: Sequence[Sequence[Any]]) -> Blamed:
    """The places where something is lost at one of the points.

    Args:
        stable: the function with everything rewritten, and without longer numbers.
        moving: positions of the inputs in which it is differentiated.
        points: the inputs at each point.
    """
    found: set[Span | None] = set()
    for graph in _graphs(stable, moving):
        judged = [c for c in graph.changes if c.old is not None and c.new is not None]
        inner = [c for c in graph.changes if c.old is None or c.new is None]
        count = len(graph.inputs)
        if judged:
            pairs = jax.jit(_pairs(graph, judged, moving))
            for point in points:
                differ = pairs(*list(point)[:count])
                found |= {span for c, d in zip(judged, differ, strict=True) if _lost(d) for span in _spans(c)}
        if inner and any(_whole(stable, point) for point in points):
            found |= {span for c in inner for span in _spans(c)}
    changes = [c for graph in _graphs(stable, moving) for c in graph.changes]
    if changes:
        found = _enough(stable, found, changes, moving, points)
    longer = frozenset(stable.fallback.places(_graphs(stable, moving), moving, points))
    longest = frozenset(stable.fallback.places_in_float64(moving, points)) if longer else longer
    return Blamed(frozenset(found) | longer | longest, longer | longest, longest)


def _enough(
    stable: Stable,
    found: set[Span | None],
    changes: Sequence[Change],
    moving: Sequence[int],
    points: Sequence[Sequence[Any]],
) -> set[Span | None]:
    """The blamed places, with what they rest on, as far as the function needs them to keep its digits at the points."""
    every = {span for c in changes for span in _spans(c)} | {equation.span for equation in stable.graph.walk()}
    if stable.value.builder.effects:
        return found
    near = beside(points, moving)
    wanted = _results(stable, stable, moving, near)
    tried = [frozenset(found), frozenset(found | _beneath(changes, found))]
    if all(is_real(v.dtype) for v in stable.graph.outputs):  # others are not compared
        tried = [frozenset(), *tried]
    for places in dict.fromkeys(tried):
        part = Stable(stable.graph, at_places(places), stable.everywhere, longer=False)
        results = _results(part, stable, moving, near if found and not places else points)
        if not any(_lost(pair, LEFT) for pair in zip(results, wanted, strict=False)):
            return set(places)
    return every


def _beneath(changes: Sequence[Change], places: set[Span | None]) -> set[Span | None]:
    """Where the operands of what was changed at these places stand, as written and as they became."""
    pending = [c.old for c in changes if c.old is not None and places.intersection(_spans(c))]
    seen: dict[int, Node] = {}
    while pending:
        node = pending.pop()
        if node.number not in seen:
            seen[node.number] = node
            pending += [*node.children, *([node.ghost] if node.ghost is not None else [])]
    return {span for node in seen.values() for span in _of(node)}


def at_places(places: frozenset[Span | None]) -> Only:
    """A predicate: what was written at one of these places."""
    return lambda node: any(span in places for span in _of(node))


def _of(node: Node) -> Sequence[Span | None]:
    return node.spans or [node.span]


def _spans(change: Change) -> Sequence[Span | None]:
    return _of(change.old) if change.old is not None else [change.span]


def _graphs(stable: Stable, moving: Sequence[int]) -> list[Rewritten]:
    graphs = [stable.value]
    if moving and not stable.value.builder.effects:
        derivative = stable.derivative(moving)
        if derivative.reverse is not None:
            graphs.append(derivative.reverse)
    return graphs


def _pairs(graph: Rewritten, changes: Sequence[Change], moving: Sequence[int]) -> Callable[..., list[Any]]:
    """For each change what the two expressions and their derivatives are: [(old, new), ...]."""
    nodes = [node for c in changes for node in (c.old, c.new) if node is not None]
    functions = [graph.evaluated([node]) for node in nodes]  # each alone: 0 * inf is no number

    def results(*inputs: Any) -> list[Any]:
        alone = [_with_derivatives(function, inputs, moving) for function in functions]
        return [alone[2 * k : 2 * k + 2] for k in range(len(changes))]

    return results


def _with_derivatives(function: Callable[..., list[Any]], inputs: Sequence[Any], moving: Sequence[int]) -> list[Any]:
    """An expression and its derivatives, summed over its elements."""

    def value(*chosen: Any) -> Any:
        full = list(inputs)
        for position, each in zip(moving, chosen, strict=True):
            full[position] = each
        return function(*full)[0]

    chosen = [inputs[i] for i in moving]
    try:
        out, pull = jax.vjp(value, *chosen)
    except (ValueError, NotImplementedError, TypeError):
        return [value(*chosen)]
    return [out, *pull(_seed(out, on=True))]


def _seed(out: Any, on: bool) -> Any:
    if not is_real(out.dtype):
        return np.zeros(out.shape, jax.dtypes.float0)
    return jnp.full(out.shape, 1.0 if on else 0.0, out.dtype)


def _lost(both: Any, same: float = SAME) -> bool:
    old, new = both
    return any(_differ(a, b, normwise=i > 0, same=same) for i, (a, b) in enumerate(zip(old, new, strict=True)))


def _differ(a: Any, b: Any, normwise: bool, same: float = SAME) -> bool:
    if not is_real(b.dtype) or not b.size:
        return False
    unit, one, other = unit_roundoff(b.dtype), as_wide(a), as_wide(b)
    size = np.maximum(np.abs(other), float(jnp.finfo(b.dtype).tiny))
    if normwise:
        size = np.full_like(size, float(np.max(np.nan_to_num(size, nan=0.0))))
    with np.errstate(all="ignore"):
        agree = (one == other) | (np.abs(one - other) <= (2**same - 1) * unit * size) | np.isnan(other)
    return not bool(np.all(agree))


def _results(
    function: Callable[..., list[Any]], stable: Stable, moving: Sequence[int], points: Sequence[Sequence[Any]]
) -> list[list[Any]]:
    """A function's outputs with their derivatives, at every point."""
    real = [i for i, v in enumerate(stable.graph.outputs) if is_real(v.dtype)]

    def results(*inputs: Any) -> list[Any]:
        return [_with_derivatives(lambda *xs, i=i: function(*xs)[i : i + 1], inputs, moving) for i in real]

    compiled = jax.jit(results)
    return [found for point in points for found in compiled(*point)]


def _whole(stable: Stable, point: Sequence[Any]) -> bool:
    """Whether the function as written and as rewritten differ at a point."""
    from qed.graph.jaxpr import evaluate

    pairs = zip(evaluate(stable.graph, list(point)), stable.value.function(*point), strict=True)
    return any(_differ(jnp.asarray(a), jnp.asarray(b), normwise=False) for a, b in pairs)


__all__ = ["Blamed", "at_places", "blamed"]
