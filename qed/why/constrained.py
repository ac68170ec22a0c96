"""`qed.why` of a problem with constraints or bounds: what the point is, where a solver ends from there, and the prices.

No step rule is run: under constraints a step of gradient descent has no meaning of its own. The point is judged by
`qed.verdict`; where it is no minimum, `qed.minimize` starts from it, and what that ends at is told; where one was
found, each constraint that holds it is moved (`qed.optimization.sensitivity`).
"""

from __future__ import annotations

import time
from typing import Any

from qed.answer import Answer, Reason
from qed.errors import QedError
from qed.optimization.minimize import minimize
from qed.optimization.sensitivity import sensitivity_at
from qed.optimization.solution import Ending
from qed.optimization.verdict import verdict
from qed.why.diagnosis import Diagnosis, Verdict
from qed.why.problem import Problem

MINIMA = (Ending.MINIMUM, Ending.FLAT_MINIMUM)


def why_constrained(problem: Problem) -> Answer[Diagnosis]:
    """What the point of a constrained problem is, and what its constraints cost.

    The claim and standing are those of the verdict on the point, or, where that is no minimum, of where `qed.minimize`
    ends from there.

    Raises:
        QedError: as `qed.verdict` and `qed.minimize` do; QED009 where a step rule is given too.
    """
    began = time.monotonic()
    problem.check()
    assert problem.loss is not None
    loss, options = problem.loss, {"equality": problem.equality, "inequality": problem.inequality}
    options["bounds"] = problem.bounds

    def first(x: Any, *args: Any) -> Any:
        return loss(x, *args)[0] if problem.has_aux else loss(x, *args)

    args = (*problem.args, *(() if problem.key is None else (problem.key,)))
    fun = first if problem.has_aux else loss
    answers: list[Answer[Any]] = []
    try:
        answers.append(verdict(fun, problem.at, *args, **options))
    except QedError as error:
        if error.code != "QED007" or problem.bounds is None:
            raise
    here = answers[0] if answers else None
    found, x = here, problem.at
    if here is None or here.kind not in MINIMA:
        found = minimize(fun, problem.at, *args, **options)
        answers.append(found)
        x = found.x
    assert found is not None and found.value is not None
    kind = found.reason if found is not here else found.kind
    if kind in MINIMA and not found.unknown:
        answers.append(sensitivity_at(fun, x, args, **options))
    findings = tuple(finding for answer in answers[-2:] for finding in answer.findings)
    healthy, nonfinite = kind in MINIMA, kind is Ending.NONFINITE
    outcome = Verdict.HEALTHY if healthy else Verdict.NONFINITE if nonfinite else Verdict.UNDECIDED
    value = Diagnosis(outcome, tuple(answers), findings, (), ())
    moved = None if found is here else "The point itself is no minimum. "
    if found is not here and here is not None:
        moved = f"The point itself: {here.headline} "
    headline = (moved or "") + ("From there: " if moved else "") + str(found.headline)
    # where something is found, the text shows its answer with all reasons: no need to repeat them
    reasons: tuple[Reason, ...] = () if findings else found.reasons
    if found is not here and not findings:
        reasons = (Reason("from the point", text="qed.minimize was started at the point", role="then"), *reasons)
    return Answer(
        found.claim, found.standing, value, arithmetic=found.arithmetic, findings=findings, missing=found.missing,
        certificate=found.certificate, reasons=reasons, headline=headline, subject=found.subject,
        answers=tuple(answers), meta={"seconds": round(time.monotonic() - began, 2), "dtype": found.meta.get("dtype")},
        recheck=None if found.proved else lambda: all(a.check() for a in answers if a.recheck is not None or a.proved),
    )  # fmt: skip
