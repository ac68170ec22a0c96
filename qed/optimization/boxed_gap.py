"""The global minimum in a box of a convex function, where a bound holds it without force.

At (1, 0) the function (x - 3)^2 + y^2 on [0, 1] x [0, 1] has its minimum; the bound y >= 0 holds and does not press, so
that the point is no regular one and Krawczyk's test says nothing. Weak duality does: f is at least 4, and 4 there.
"""

from __future__ import annotations

from dataclasses import replace

from qed.answer import Answer
from qed.certificates.feasible_gap import FeasibleGap
from qed.optimization.constrained.verdict_at import verdict_at
from qed.optimization.point import Judged
from qed.optimization.solution import Ending, Verdict

PARAMETERS = 40
"""Up to how many parameters it is tried."""


def by_duality(case: Judged, answer: Answer[Verdict]) -> Answer[Verdict]:
    """The answer, PROVED where a bound from below meets the value at the point.

    Args:
        case: the point, in a box on which the function is convex.
        answer: that it is a minimum, measured.
    """
    if answer.proved or len(case.here.x) > PARAMETERS:
        return answer
    fun, x, args = case.asked
    sides = tuple(case.objective.tree(x, side) for side in (case.bounds.lower, case.bounds.upper))
    found = verdict_at(fun, x, args, equality=None, inequality=None, bounds=sides, multipliers=None)
    certificate = found.certificate
    if not isinstance(certificate, FeasibleGap) or found.value is None or found.value.kind is not Ending.MINIMUM:
        return answer
    gap = max(certificate.most - certificate.inner().bound, 0.0)
    headline = f"The global minimum in the box, since f is convex: nowhere in it is f lower by more than {gap:.2g}."
    return replace(
        answer, claim=found.claim, standing=found.standing, certificate=certificate, seal=None, missing=(),
        headline=headline, arithmetic="reals", reasons=(*found.reasons[:1], *answer.reasons), recheck=None,
    )  # fmt: skip
