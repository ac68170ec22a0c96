"""What is said of the derivative rules that a user wrote, wherever a run ended.

A wrong rule may lead to the right point: a component that is 10 % too long vanishes with the others. Rates, curvatures
and error bars are wrong all the same, and at a minimum, where all is multiplied by 0, the rule looks right. So the
rules are compared with the derivatives of their functions where the run began, too, or a little aside.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from qed.answer import Answer
from qed.calculus.gradient.check import check_gradient
from qed.calculus.gradient.sites import find_sites
from qed.errors import QedError
from qed.optimization.in_float64 import explained
from qed.optimization.point import Judged, as_tree
from qed.optimization.probing import slope
from qed.optimization.solution import Ending, Verdict

Array = np.ndarray
BY_VALUES = frozenset({Ending.UNBOUNDED_BELOW, Ending.INFIMUM_NOT_ATTAINED, Ending.KINK})
"""What is seen in values along lines, whatever the gradient says."""


def has_rules(case: Judged) -> bool:
    """Whether the function has derivative rules of the user's own, not declared surrogates."""
    function = case.objective.function
    sites = find_sites(function.graph, function.traced.free)
    return any(site.kind in ("jvp", "vjp") and not site.marked for site in sites)


def wrong_rule(case: Judged, verdicts: tuple[str, ...] = ("disagrees",)) -> Answer[Any] | None:
    """The check that finds a rule wrong: at the point, at the start, or else a little aside; None where none does."""
    if not has_rules(case):
        return None
    fun, x, args = case.asked
    aside = case.here.x + 0.1 * (1 + np.abs(case.here.x)) * np.random.default_rng(0).standard_normal(len(case.here.x))
    places = [x]
    if case.start is not None and not np.array_equal(case.start.x, case.here.x):
        places.append(as_tree(case, case.start.x))
    else:
        places.append(as_tree(case, case.bounds.project(aside)))
    for place in places:
        try:
            part = check_gradient(fun, place, *args)
        except QedError:
            continue
        if str(getattr(part.value, "verdict", "")) in verdicts:
            return part
    return None


def told(part: Answer[Any]) -> str:
    """What a check says, in a clause that begins with a small letter."""
    for finding in part.findings:
        return finding.message.rstrip(".")
    text = str(part.headline or part.claim).rstrip(".")
    return text[:1].lower() + text[1:]


def culprit(part: Answer[Any]) -> str:
    """What a check says, behind a colon; nothing where it found nothing."""
    return f": {told(part)}" if part.findings else ""


def noted(case: Judged, answer: Answer[Verdict]) -> Answer[Verdict]:
    """The answer about a point, with the rule that is wrong beside it if there is one.

    What is proved, or was seen in the values, stays; what is measured by slopes and curvatures that the rule falsifies
    gives way.
    """
    if answer.value is None or answer.value.kind in (Ending.GRADIENT_WRONG, Ending.NONFINITE, Ending.STOP_GRADIENT):
        return answer
    kind = answer.value.kind
    settled = kind in (Ending.MINIMUM, Ending.SADDLE, Ending.MAXIMUM)
    part = wrong_rule(case, ("disagrees",) if settled else ("disagrees", "surrogate"))
    if part is None:
        return _cut(case, answer)
    if not answer.proved and kind not in BY_VALUES:
        text = f"The gradient is wrong: {told(part)}. By slopes and curvatures: {answer.headline}"
        return case.says(Ending.GRADIENT_WRONG, text, parts=(part,))
    headline = f"{str(answer.headline).rstrip('.')}. But the gradient is wrong: {told(part)}."
    findings = (*answer.findings, *part.findings)
    return replace(answer, headline=headline, findings=findings, answers=(*answer.answers, part))


def _cut(case: Judged, answer: Answer[Verdict]) -> Answer[Verdict]:
    """The answer, unless a stop_gradient cuts off slopes a little aside, and with them curvatures here."""
    stops = any(equation.primitive == "stop_gradient" for equation in case.objective.function.graph.walk())
    settled = answer.value is not None and answer.value.kind in (Ending.MINIMUM, Ending.FLAT_MINIMUM, Ending.SADDLE)
    if not stops or not settled:
        return answer
    random, n = np.random.default_rng(0), len(case.here.x)
    there = case.objective.at(
        case.bounds.project(case.here.x + 0.1 * (1 + np.abs(case.here.x)) * random.standard_normal(n))
    )
    unit = random.standard_normal(n)
    unit /= np.linalg.norm(unit)
    found = slope(case.objective, there, unit, case.objective.noise(there.f)) if there.finite else None
    if found is None or found.kinked or not found.disagrees or explained(replace(case, here=there), found, unit):
        return answer
    aside = (
        f"a little aside the values have slope {found.observed:.6g} along a direction, the gradient says "
        f"{found.promised:.6g}"
    )
    if answer.proved:
        headline = f"{str(answer.headline).rstrip('.')}. But a stop_gradient is in the way: {aside}."
        part = check_gradient(case.asked[0], as_tree(case, there.x), *case.asked[2])
        findings = (*answer.findings, *part.findings)
        return replace(answer, headline=headline, findings=findings, answers=(*answer.answers, part))
    text = f"A stop_gradient is in the way: {aside}. By slopes and curvatures: {answer.headline}"
    return case.says(Ending.STOP_GRADIENT, text)
