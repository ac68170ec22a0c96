"""Why a run halts at a point with a slope: a kink, the edge of where f or its gradient is a number, values in steps.

Down the slope from the point, x - t g/|g|, value and gradient are asked at distances from the smallest that changes x
up to a thousandth of its size, and on the way to the last step that failed so, up to there. If they end to be finite
while f has only fallen, as far as its rounding tells, that is why no step is taken: f is not defined beyond; or f falls
on, and its gradient is NaN there, as it is where the branch of a `where` that is not taken has no finite derivative
(0 times infinity). And where f is made of `round`, `floor` or `sign`, the gradient is 0 although f falls: a derivative
passes none of them. That is so where f, with their values held as they are at the point, falls no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from qed import facts
from qed.answer import Answer
from qed.calculus.gradient.check import check_gradient
from qed.errors import QedError
from qed.findings import Level
from qed.graph.graph import Equation
from qed.optimization.held import held
from qed.optimization.objective import Seen
from qed.optimization.point import Judged, around, as_tree, fall_for_ever, units
from qed.optimization.probing import slope
from qed.optimization.roundings import surely_lower
from qed.optimization.running import lower_along
from qed.optimization.solution import Ending, Verdict
from qed.optimization.subgradients import below_corners

Array = np.ndarray
FAR, FACTOR, HALVES = 1e-3, 64.0, 30
"""How far is looked, relative to the size of x; by what factor distances grow; how often an interval is halved."""
AXES = 200
"""Along how many axes at most it is looked whether f is lower beside a corner."""
ASKED = 4
"""How many steps of a program are asked alone."""


def at_an_edge(case: Judged) -> Answer[Verdict] | None:
    """The answer that f or its gradient stops being finite close by, down the slope or on the way that a run tried."""
    for unit, farthest, way in _outward(case):
        found = _first(case, unit, farthest) if float(case.here.g @ unit) < 0 else None
        if found is None:
            continue
        inside, beyond = found
        away = float(np.abs(beyond.x - case.here.x).max())
        if np.isfinite(beyond.f):
            what = "f falls on, and its gradient is not finite" if beyond.f < inside.f else "the gradient is not finite"
        else:
            what = f"f has fallen, and its value is {beyond.f}"
        part = _checked(case, beyond.x)
        known = [] if part is None else [found.message for found in part.findings if found.code != "QED210"]
        born = f": {known[0].rstrip('.')}" if known else ""
        text = f"An edge: {away:.2g} from the point, {way}, {what}{born}."
        parts = () if part is None else (part,)
        return case.says(Ending.NONFINITE, text, parts=parts, direction=as_tree(case, unit))
    return None


def _outward(case: Judged) -> Iterator[tuple[Array, float, str]]:
    """(direction, how far is looked, its name): down the slope; and towards the last point tried that failed."""
    size = max(1.0, float(np.linalg.norm(case.here.x)))
    yield from ((unit, FAR * size, f"down its slope of {case.left:.3g}") for unit in units(case)[:1])
    if case.ended is not None and case.ended.how == "stuck" and case.ended.beyond is not None:
        move = case.ended.beyond - case.here.x
        length = float(np.linalg.norm(move))
        if 0 < length < np.inf:
            yield move / length, length, "on the way of a step that was tried"


def _first(case: Judged, unit: Array, farthest: float) -> tuple[Seen, Seen] | None:
    """The last point along a direction that is finite, and the first that is not; None unless f only falls to there."""
    least, noise = float(np.linalg.norm(case.here.x)), case.blur
    t, known = max(case.objective.eps * least, np.finfo(np.float64).tiny), 0.0
    inside, beyond = case.here, None
    while t <= farthest:
        seen = case.objective.at(case.bounds.project(case.here.x + t * unit))
        if not seen.finite:
            beyond = seen
            break
        if seen.f > inside.f + noise:
            return None
        inside, known, t = seen, t, min(t * FACTOR, farthest) if t < farthest else np.inf
    if beyond is None:
        return None
    for _ in range(HALVES):
        middle = 0.5 * (known + t)
        seen = case.objective.at(case.bounds.project(case.here.x + middle * unit))
        if not seen.finite:
            beyond, t = seen, middle
        elif seen.f > inside.f + noise:
            return None
        else:
            inside, known = seen, middle
    return (inside, beyond) if inside.f <= case.here.f + 2 * case.noise else None


def _checked(case: Judged, x: Array) -> Answer[Any] | None:
    """What is not finite at a point, as a check of the gradient there says it."""
    fun, _, args = case.asked
    try:
        return check_gradient(fun, as_tree(case, x), *args)
    except QedError:
        return None


def in_steps(case: Judged, flats: list[Array]) -> Answer[Verdict] | None:
    """The answer that f is made of steps and falls where its gradient is 0; None where it falls without them, too."""
    steps = list({id(e): e for e in case.objective.function.graph.walk() if is_step(e)}.values())
    if not steps or case.left > 0:
        return None
    found: tuple[Seen, list[Equation]] | None = None
    for direction in flats:
        lower = lower_along(case.objective, case.here, direction, case.bounds, case.noise)
        if lower is None:
            continue
        if _falls_without(case, _along(case, direction), steps):
            return None
        if found is None:
            alone = ([step] for step in steps[: ASKED if len(steps) > 1 else 0])
            found = lower, next((one for one in alone if not _falls_without(case, [lower.x], one)), steps)
    if found is None:
        return None
    lower, blamed = found
    away = float(np.linalg.norm(lower.x - case.here.x))
    text = (
        f"No gradient passes {' and '.join(places_of(blamed))}: the derivative is 0 wherever there is one, so that the "
        f"gradient is 0 here and f still falls, to {lower.f:.6g} at a distance of {away:.2g}."
    )
    return case.says(Ending.STOP_GRADIENT, text, direction=as_tree(case, lower.x - case.here.x))


def _along(case: Judged, direction: Array) -> list[Array]:
    """Points to both sides, at distances from the size of x down, each a quarter of the one before."""
    size = max(1.0, float(np.linalg.norm(case.here.x)))
    moves = [sign * size * 0.25**k * direction for k in range(20) for sign in (1.0, -1.0)]
    return [case.bounds.project(case.here.x + move) for move in moves]


def _falls_without(case: Judged, points: list[Array], steps: list[Equation]) -> bool:
    """Whether at one of some points f is lower with some steps held as they are at the point, or that is not known."""
    values = held(case.objective, case.here.x, points, steps)
    return values is None or not np.all(values[1:] >= values[0] - 2 * case.noise)


def places_of(equations: Iterable[Equation]) -> list[str]:
    """What is computed where, each place once."""
    return list(dict.fromkeys(e.primitive if e.span is None else f"{e.primitive} ({e.span})" for e in equations))


def is_step(equation: Equation) -> bool:
    """Whether an equation's value is a step function of its operand: `round`, `floor`, `ceil`, `sign`."""
    card = facts.CARDS.get(equation.primitive)
    return card is not None and bool(card.jumps) and str(card.derivative) == "0"


def at_a_kink(case: Judged, told: str, direction: Any = None) -> Answer[Verdict]:
    """The answer at a corner from which f rises to both sides of a line: is it lower at one of some points around?"""
    lower = below_corners(case.objective, case.here, case.bounds, farther=0)
    if lower is not None:
        way = lower.x - case.here.x
        away = None if case.start is None else fall_for_ever(case, case.here, [way / np.linalg.norm(way)])
        if away is not None:
            return away
        text = f"{told} It is no minimum: {np.linalg.norm(way):.2g} away, between the corners, f is lower."
        return case.says(Ending.KINK, text, direction=as_tree(case, way))
    size, count = max(1.0, float(np.linalg.norm(case.here.x))), 0
    for way in around(len(case.here.x), 20, case.seed, AXES):
        for t in (1e-2, 1e-4, 1e-6):
            for sign in (1.0, -1.0):
                move = sign * t * size * way / np.linalg.norm(way)
                count += 1
                there = case.objective.at(case.bounds.project(case.here.x + move))
                if surely_lower(case.objective, there, case.here, 2 * case.noise):
                    text = f"{told} It is no minimum: {t * size:.2g} away f is lower."
                    return case.says(Ending.KINK, text, direction=direction)
    text = f"{told} A minimum as far as was looked: f is not lower at any of {count} points around."
    return case.says(Ending.KINK, text, level=Level.NOTE, direction=direction)


def kink_nearby(case: Judged) -> Answer[Verdict] | None:
    """Of a function with corners: whether down the slope f rises again, as steeply however short the step."""
    if not case.objective.cornered:
        return None
    for unit in units(case)[:1]:
        found = slope(case.objective, case.here, unit, case.noise)
        if found is None or not found.turn:
            continue
        left, right = found.sides
        if left < 0 < right:
            told = (
                f"A kink: within {found.turn:.2g} of the point, along the gradient, the slope of f jumps "
                f"from {left:.4g} to {right:.4g}."
            )
            return at_a_kink(case, told, as_tree(case, unit))
    return None
