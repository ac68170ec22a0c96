"""What a rewriting brings at a point: bits lost before and after, and whether both are one real function, in balls.

The truth is the real-number meaning of the graph as written, enclosed in balls whose precision is raised until they are
narrow. Where the formula itself has no value there (0/0, infinity minus infinity), the rewritten graph is asked
instead. In the value each number is judged by itself, in a gradient each array by its largest element.

    bits lost = log2(1 + |error| / (u |truth|)),    u the unit roundoff; all digits where the result is not finite
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from qed.domains.ball import Ball
from qed.domains.cost import count
from qed.domains.ends import floats
from qed.domains.precision import precision
from qed.errors import QedError
from qed.graph.dtypes import as_wide, is_real, unit_roundoff
from qed.graph.graph import Graph
from qed.graph.walk import TooLong, Unknown, Walker

OPERATIONS = 60_000
"""How many operations on single numbers balls are asked for."""

PRECISIONS = (200, 1200, 4800)
GUARD = 16
"""A ball is narrow where it fixes that many bits more than the dtype has."""


ROUNDED = 64
"""How many units roundoff of 1 or of their size results may differ by: constants such as sqrt(2) are put in rounded."""


@dataclass(frozen=True)
class Bits:
    """Bits lost before and after; None where the truth is not known, and then `missing` says why."""

    before: float | None
    after: float | None
    digits: float
    missing: str = ""


def truth(graph: Graph, arrays: Sequence[Any]) -> list[Any] | str:
    """Each floating-point output as an array of balls (None for the others), or why there is none."""
    work = count(graph, list(range(len(graph.inputs)))).value
    if work > OPERATIONS:
        return f"{work:.2g} operations are more than balls are asked for"
    problem = ""
    for bits in PRECISIONS:
        try:
            with jax.enable_x64(True):  # integers of longer numbers have 64 bits
                cells = Walker([Ball(bits)], limit=200_000).run(graph, arrays)
        except (QedError, TooLong) as error:
            return str(error)
        found: list[Any] = []
        problem = ""
        for cell in cells:
            if not is_real(cell.dtype):
                found.append(None)
                continue
            value = cell.values[0]
            if isinstance(value, Unknown):
                return str(value)
            with precision(bits):
                balls = Ball(bits).number(value)
                if balls.doubt:
                    problem = str(balls.doubt.place or "it may be infinite")
                elif not all(_narrow(ball, unit_roundoff(cell.dtype)) for ball in balls.array.ravel()):
                    problem = "the enclosure stays wide"
            found.append(balls.array)
        if not problem:
            return found
    return problem


def _narrow(ball: Any, unit: float) -> bool:
    if not ball.is_finite():
        return False
    small = float(ball.rad()) < 1e-320 and float(abs(ball).upper()) < 1e-300
    return bool(small or ball.rel_accuracy_bits() >= GUARD - np.log2(unit))


def bits(results: Sequence[Any], balls: Sequence[Any], normwise: bool) -> float:
    """Bits lost by the worst number of some arrays, given the balls of the truth."""
    worst = 0.0
    for result, truths in zip(results, balls, strict=True):
        if truths is None or not truths.size:
            continue
        unit = unit_roundoff(result.dtype)
        low, high = floats(truths.ravel())
        exact = low / 2 + high / 2
        numbers = as_wide(result).ravel()
        tiny = float(np.finfo(np.float32).tiny) if unit > 1e-10 else float(np.finfo(np.float64).tiny)
        size = np.maximum(np.abs(exact), tiny)
        if normwise or not np.all(exact):
            top = float(np.max(np.abs(exact)))
            size = (
                np.full_like(size, max(top, tiny) if top else 1.0)
                if normwise
                else np.where(exact == 0, top or 1.0, size)
            )
        with np.errstate(all="ignore"):
            each = np.log2(1 + np.abs(numbers - exact) / (unit * size))
        digits = -np.log2(unit)
        each = np.where(np.isfinite(numbers), np.minimum(each, digits), digits)
        each = np.where((numbers == exact) | (np.isinf(exact) & (numbers == exact)), 0.0, each)
        worst = max(worst, float(np.max(each)))
    return worst


def compared(
    graphs: Sequence[Graph], arrays: Sequence[Any], before: Sequence[Any], after: Sequence[Any], normwise: bool
) -> Bits:
    """Bits lost by results computed in two ways.

    Args:
        graphs: the graph as written, then others that mean the same, for where it has no value.
        arrays: the inputs.
        before: the results of the one way.
        after: those of the other.
        normwise: whether an array is judged by its largest element.
    """
    digits = max((-np.log2(unit_roundoff(r.dtype)) for r in before if is_real(r.dtype)), default=0.0)
    problem = "nothing is computed in floating point"
    for graph in graphs:
        found = truth(graph, arrays)
        if not isinstance(found, str):
            return Bits(bits(before, found, normwise), bits(after, found, normwise), float(digits))
        problem = found
    return Bits(None, None, float(digits), problem)


def equal(first: Graph, second: Graph, arrays: Sequence[Any], seed: int, points: int = 3) -> tuple[int, str]:
    """At how many points two graphs were compared in balls of 200 bits, and where they differ ('' if nowhere).

    Args:
        first: the graph as written.
        second: the rewritten one.
        arrays: the inputs at a point; the others are near it.
        seed: of the other points.
        points: how many.
    """
    generator = np.random.default_rng(seed)
    compared_at = 0
    for number in range(points):
        moved = arrays if number == 0 else [_moved(a, generator) for a in arrays]
        one, other = truth(first, moved), truth(second, moved)
        if isinstance(one, str) or isinstance(other, str):
            continue
        compared_at += 1
        for variable, a, b in zip(first.outputs, one, other, strict=True):
            if a is None:
                continue
            room = ROUNDED * unit_roundoff(variable.dtype)
            if not all(_agree(*pair, room) for pair in zip(a.ravel(), b.ravel(), strict=True)):
                return compared_at, f"they differ at point {number} of seed {seed}"
    return compared_at, ""


def _agree(first: Any, second: Any, room: float) -> bool:
    """Whether two balls are one number, but for the constants that a rewriting had to round to the dtype."""
    return first.overlaps(second) or bool(abs(first - second) <= room * (1 + abs(first)))


def _moved(array: Any, generator: np.random.Generator) -> Any:
    if not is_real(array.dtype if hasattr(array, "dtype") else np.result_type(array)):  # random keys among them
        return array
    found = np.asarray(array)
    noise = 1 + 0.05 * generator.standard_normal(found.shape)
    return np.asarray(as_wide(found) * noise).astype(found.dtype)


__all__ = ["ROUNDED", "Bits", "bits", "compared", "equal", "truth"]
