"""Whether the gradient is the slope of the values, at a point or, where f itself steps there, a little aside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from qed.answer import Answer
from qed.calculus.gradient.check import check_gradient
from qed.optimization.edges import at_a_kink, is_step
from qed.optimization.in_float64 import explained
from qed.optimization.objective import SCATTER
from qed.optimization.own_rules import culprit
from qed.optimization.point import Judged, as_tree, units
from qed.optimization.probing import slope
from qed.optimization.solution import Ending, Verdict

FLAT = 1e-6
"""Up to which part of a jump of the slope a slope on one side may be rounding."""
CLOSE = 1e-6
"""Within which distance, relative to 1 + |x|, f is the same between two steps."""
ASIDE = 0.01
"""How far aside, relative to 1 + |x|, the gradient is asked where the point lies at a step."""


def wrong_gradient(case: Judged) -> Answer[Verdict] | None:
    """The answer that the values have another slope, or two of them; None where they follow the gradient."""
    for unit in units(case):
        found = slope(case.objective, case.here, unit, case.noise)
        if found is None:
            continue
        if found.kinked:
            left, right = found.observed - found.jump / 2, found.observed + found.jump / 2
            sides = f"slope {left:.4g} on one side and {right:.4g} on the other, at steps of {found.step:.2g}"
            told, flat = f"A kink: along a direction f has {sides}.", FLAT * abs(found.jump)
            if left <= flat and right >= -flat:
                return at_a_kink(case, told)
            both = left > flat and right < -flat
            text = f"{told} It is no minimum: f falls to {'both sides' if both else 'one side'}."
            return case.says(Ending.KINK, text, direction=as_tree(case, unit if right < -flat else -unit))
        if found.disagrees and not explained(case, found, unit):
            fun, x, args = case.asked
            part = check_gradient(fun, x, *args)
            if str(getattr(part.value, "verdict", "")) == "agrees":  # rounding, or a step across which f turns
                continue
            kind = Ending.STOP_GRADIENT if _stopped(part) else Ending.GRADIENT_WRONG
            name = "A stop_gradient is in the way" if kind is Ending.STOP_GRADIENT else "The gradient is wrong"
            text = (
                f"{name}: along a direction the values have slope {found.observed:.6g} +- {found.error:.1g}, "
                f"the gradient says {found.promised:.6g}{culprit(part)}."
            )
            return case.says(kind, text, parts=(part,), direction=as_tree(case, unit))
    return None


def wrong_aside(case: Judged) -> Answer[Verdict] | None:
    """The same a little aside, for a point at a step of f itself, where values scatter by its height and say nothing.

    A gradient that some rule passes through `round` or `floor` points to where they step: there a run comes to rest.
    """
    here, objective = case.here, case.objective
    scattered = case.noise > SCATTER * objective.noise(max(abs(here.f), 1.0))
    if not case.bounds.open or not (scattered or case.left > 1e-6 * max(1.0, abs(here.f))):
        return None
    if not any(is_step(equation) for equation in objective.function.graph.walk()):
        return None
    random = np.random.default_rng(case.seed).standard_normal(len(here.x))
    there = objective.at(here.x + ASIDE * (1 + np.abs(here.x)) * random)
    if not there.finite:
        return None
    asked = (case.asked[0], as_tree(case, there.x), case.asked[2])
    moved = replace(case, here=there, asked=asked, noise=objective.measured_noise(there))
    answer = wrong_gradient(moved)
    answer = _between_steps(moved) if answer is None else answer
    if answer is None or answer.value is None or answer.value.kind is Ending.KINK:
        return None
    away = f" That is so {float(np.linalg.norm(there.x - here.x)):.2g} aside; at the point itself f steps."
    value = replace(answer.value, fun=here.f, gradient=case.left)
    return replace(answer, value=value, headline=f"{answer.headline}{away}")


def _between_steps(case: Judged) -> Answer[Verdict] | None:
    """The answer that f is the same close by to both sides, between two of its steps, where its gradient is none."""
    size, length = 1 + float(np.linalg.norm(case.here.x)), float(np.linalg.norm(case.here.g))
    t = CLOSE * size
    if not length * t > 1e3 * case.objective.noise(case.here.f):
        return None
    unit = case.here.g / length
    values = [case.objective.at(case.here.x + share * t * unit).f for share in (-1.0, -0.5, 0.5, 1.0)]
    if any(f != case.here.f for f in values):
        return None
    part = check_gradient(*case.asked[:2], *case.asked[2])
    if str(getattr(part.value, "verdict", "")) == "agrees":
        return None
    text = f"The gradient is wrong: f is the same within {t:.1g}, the gradient says {length:.6g}{culprit(part)}."
    return case.says(Ending.GRADIENT_WRONG, text, parts=(part,), direction=as_tree(case, unit))


def _stopped(part: Answer[Any]) -> bool:
    check: Any = part.value
    others = [c for c in check.culprits if c.primitive != "stop_gradient"]
    return bool(check.stops) and not others
