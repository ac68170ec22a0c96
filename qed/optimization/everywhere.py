"""A minimum that was measured is told to be the global one where f is proved convex, by rules of whole arrays.

Proofs of the point itself, in balls, take too long for a function of many numbers (`qed.optimization.proving`); that
the function is convex does not: f(y) >= f(x*) + grad f(x*)'(y - x*) >= f(x*) for all y and a minimum x* (Boyd and
Vandenberghe, *Convex Optimization*, 2004, section 4.2.2). Where f is flat as far as was looked it may still fall too
slowly to be seen, as exp(x) does for x = -800: there the headline says what follows if the point is a minimum.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qed.answer import Answer, Reason
from qed.calculus.hessian import shaped
from qed.calculus.points.overall import affordable
from qed.calculus.shapes.arrays import of_arrays
from qed.optimization.bounds import Bounds
from qed.optimization.objective import Objective
from qed.optimization.solution import Ending, Verdict
from qed.standing import Standing

MINIMA = (Ending.MINIMUM, Ending.FLAT_MINIMUM)


def everywhere(
    objective: Objective, bounds: Bounds, asked: tuple[Any, Any, tuple[Any, ...]], answer: Answer[Verdict]
) -> Answer[Verdict]:
    """The answer, which says that the minimum is global where a function too large for other proofs is convex.

    Args:
        objective: the loss.
        bounds: the box.
        asked: (fun, x, args).
        answer: what the point is.
    """
    if not answer.measured or answer.value is None or answer.value.kind not in MINIMA:
        return answer
    if affordable(objective.function) or objective.function.dtype not in ("float32", "float64"):
        return answer
    fun, x, args = asked
    leaves = objective.function.traced.parameters
    box = shaped(bounds.lower, leaves), shaped(bounds.upper, leaves)
    proof = of_arrays(fun, x, tuple(args), box)
    if proof is None or proof.claim == "concave":
        return answer
    where = "where it is defined" if bounds.open else "in the box"
    why = Reason(
        "convexity", "f(y) >= f(x*) + grad f(x*)'(y - x*) >= f(x*)", standing=Standing.PROVED,
        unpredicted="it is a theorem",
        text=f"f is convex {where} (proved by rules of whole arrays), so that no point is lower than a minimum",
    )  # fmt: skip
    told = "The global minimum" if answer.value.kind is Ending.MINIMUM else "Global if it is a minimum"
    part = Answer(f"f is convex {where}", Standing.PROVED, None, arithmetic="reals", certificate=proof)
    here = str(answer.headline)
    return replace(
        answer,
        headline=f"{told}, since f is convex: {here[:1].lower()}{here[1:]}",
        reasons=(why, *answer.reasons),
        answers=(*answer.answers, part),
    )
