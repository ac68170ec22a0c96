"""The answer to "is the step too large?": a local limit, a trial beside it, and what they say together.

The limit 2/lambda_max is a theorem about quadratics and a *local* statement about anything else: exact to 1 % at a
minimiser, and off by factors from 0.43 to 48 as a prediction of divergence from a start. Exceeding it is therefore a
note. It becomes the finding 401 only where the run with the user's step ends higher than a run with a smaller step, or
is not finite, and that run was made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qed.answer import Answer, Finding, Missing, Reason, Standing
from qed.answer import Measured as MeasuredError
from qed.calculus.hessian import flatten
from qed.calculus.lanczos import steepest
from qed.why.case import STEPS, Case
from qed.why.curvature import Steepness
from qed.why.seen import exploding
from qed.why.trial import Run
from qed.why.words import number, plural

SAFETY = 0.9
WORSE = 0.05


@dataclass(frozen=True, eq=False)
class Judgement:
    """The step question, answered.

    Args:
        answer: claim, standing, reasons, finding.
        code: the code of its finding, or None where nothing speaks against the step.
        smaller: (rate, run) of the smaller step that was tried, or None.
        steep: the curvature at the start, or None where it could not be measured.
    """

    answer: Answer[Any]
    code: str | None
    smaller: tuple[float, Run] | None
    steep: Steepness | None


def worse(run: Run, smaller: Run) -> bool:
    """Whether a run ends clearly higher than another, or is not finite while the other is."""
    if smaller.failure is not None:
        return False
    if run.failure is not None:
        return True
    drop = max(0.0, smaller.start - smaller.settled)
    return run.settled > smaller.settled + WORSE * drop + run.noise + 1e-12 * abs(smaller.settled)


def rises(run: Run) -> bool:
    """Whether a run ends higher than it began, by more than rounding and random keys explain."""
    return run.failure is None and run.steps > 0 and run.settled > run.start + run.noise + 1e-6 * abs(run.start)


def judge(case: Case, form: str, run: Run, steep: Steepness | None) -> Judgement:
    """Judge the user's step by the limit at the start and by a smaller step that is tried.

    A run that fails whatever the step is explained by what made it fail, not by its step.

    Args:
        case: the case.
        form: the form of the loss in which the step is judged: the stable one where there is one, so that numerical
            trouble is not mistaken for divergence.
        run: the run of that form with the user's step.
        steep: the curvature at the start.
    """
    rate, limit = case.rule.rate, None if steep is None else steep.limit
    beyond = rate is not None and limit is not None and rate > limit
    suspicious = run.failure is not None or rises(run)
    falls = run.failure is not None and run.failure.value == "-inf"  # unbounded below: no smaller step cures that
    if not beyond and (falls or not suspicious):
        return Judgement(within(case, steep, run), None, None, steep)
    where: tuple[int, Steepness] | None = (0, steep) if beyond and steep is not None else None
    if where is None and case.rule.is_gradient_descent and run.best[0] > 0 and steep is not None:
        later = case.steepness(form, run.best[1])
        if later.limit is not None and rate is not None and rate > later.limit:
            where = (run.best[0], later)
    target = 0.1 * rate if rate is not None else None
    if where is not None and where[1].limit is not None and rate is not None:
        target = SAFETY * where[1].limit
    scale = 0.1 if target is None or rate is None else target / rate
    steps = run.steps if run.failure is None else STEPS
    smaller = case.run(form, "a smaller step", scale=scale, steps=steps, share=0.3)
    if where is None:
        scale, smaller = still_smaller(case, form, scale, steps, smaller)
    elif smaller.failure is not None and exploding(list(run.losses[:-1])):  # it grew, and did not meet a gap
        tens = [scale * 10.0**-k for k in (1, 2, 3, 4, 5)]
        scale, smaller = still_smaller(case, form, scale, steps, smaller, tens)
    shown = scale if rate is None else scale * rate
    if not worse(run, smaller):
        if run.failure is not None:
            return Judgement(within(case, steep, run), None, (shown, smaller), steep)
        if suspicious:
            return Judgement(unexplained(case, run, smaller, shown, steep), "QED403", (shown, smaller), steep)
        return Judgement(_harmless(case, run, smaller, shown, steep), "QED402", (shown, smaller), steep)
    if where is None and rises(run) and rises(smaller):
        return Judgement(unexplained(case, run, smaller, shown, steep), "QED403", (shown, smaller), steep)
    if where is not None:
        return Judgement(_too_large(case, form, run, smaller, shown, where), "QED401", (shown, smaller), steep)
    return Judgement(smaller_is_better(case, run, smaller, shown, steep), "QED403", (shown, smaller), steep)


def still_smaller(
    case: Case, form: str, scale: float, steps: int, smaller: Run, factors: Sequence[float] = ()
) -> tuple[float, Run]:
    """Without a limit to go by: down by powers of ten until the run is finite and ends lower than it began."""
    for factor in factors or (1e-2, 1e-4, 1e-3 / (case.rule.rate or 1.0)):
        if (smaller.failure is None and not rises(smaller)) or case.clock.left <= 0:
            break
        if factor < scale:
            run = case.run(form, "a smaller step", scale=factor, steps=steps, share=0.3)
            scale, smaller = (factor, run) if run.failure is None or smaller.failure is not None else (scale, smaller)
    return scale, smaller


# --- the answers ----------------------------------------------------------------------------------------------


def _curvature_reason(steep: Steepness) -> Reason:
    pair = steep.pair
    percent = 100 * steep.relative_residual
    return Reason(
        "Lanczos on Hessian-vector products",
        formula="|H v - lambda v| <= r, so that an eigenvalue lies within r of lambda",
        with_numbers=f"lambda_max = {pair.value:.5g} +/- {pair.residual:.2g}",
        observed=pair.value,
        standing=Standing.MEASURED,
        unpredicted="the Hessian has no closed form here",
        text=f"lambda_max = {pair.value:.5g} ± {percent:.2g} %  ({plural(pair.products, 'Hessian product')})",
    )


def _where_reason(steep: Steepness) -> Reason | None:
    if not steep.shares:
        return None
    first, *rest = steep.shares
    text = f"{100 * first[1]:.1f} % of the stiffest direction is {first[0]}"
    if rest and rest[0][1] > 0.001:
        text += f" (next: {rest[0][0]} {100 * rest[0][1]:.1f} %)"
    return Reason("the eigenvector, by parameter", role="where", text=text, observed=first[1])


def _step_reason(case: Case, steep: Steepness) -> Reason:
    rate, limit = case.rule.rate or 0.0, steep.limit or math.inf
    ratio = rate / limit
    often = f"{ratio:.0f} x" if ratio >= 10 else f"{ratio:.3g} x"
    return Reason(
        "stability of the step rule on the quadratic model",
        formula=f"step < {case.rule.limit_formula()}",
        with_numbers=f"{rate:g} against {limit:.4g}",
        role="step",
        predicted=limit,
        observed=rate,
        text=f"{rate:g}  =  {often} the limit {case.rule.limit_formula()} = {limit:.3g} at this point",
    )


def _growth_reason(case: Case, form: str, steep: Steepness, run: Run) -> Reason:
    """What the step does along the stiffest direction, and what the quadratic model says of the first step."""
    growth = f"one step multiplies the stiffest error by {steep.growth or 0.0:.5g}"
    predicted = _predicted_loss(case, form, steep, run)
    if predicted is None or len(run.losses) < 2:
        return Reason("growth along the stiffest direction", text=growth, observed=steep.growth)
    model = f"the quadratic model predicts a loss of {number(predicted)}"
    text = f"{growth}; first step: {model}, it is {number(run.losses[1])}"
    return Reason(
        "the quadratic model, one step",
        formula="f + g'd + d'Hd/2 with the update d",
        with_numbers=f"{number(run.losses[0])} -> {number(predicted)}",
        predicted=predicted,
        observed=run.losses[1],
        standing=Standing.MEASURED,
        text=text,
    )


def _predicted_loss(case: Case, form: str, steep: Steepness, run: Run) -> float | None:
    """The loss after one step by the quadratic model; None where the loss depends on a random key."""
    rate = case.rule.rate
    if rate is None or case.key_position is not None:
        return None
    update = flatten(case.runner(form).update(case.prepared.parameters, case.prepared.data))
    gradient = -update / (rate * (1 + case.rule.momentum if case.rule.nesterov else 1))
    predicted = run.losses[0] + float(gradient @ update) + float(update @ steep.product(update)) / 2
    return predicted if math.isfinite(predicted) else None


def comparison(case: Case, run: Run, smaller: Run, rate: float, role: str = "witness") -> Reason:
    """The two runs side by side."""
    step = f"step {rate:.3g}" if case.rule.rate is not None else f"{rate:g} times the update"
    ends = "is not finite" if run.failure is not None else f"ends at {number(run.settled)}"
    return Reason(
        "both runs were made",
        role=role,
        predicted=smaller.settled,
        observed=run.settled,
        standing=Standing.MEASURED,
        text=(
            f"in {plural(max(run.steps, smaller.steps), 'step')}: {case.rule} {ends}; "
            f"{step} ends at {number(smaller.settled)}, from {number(smaller.start)}"
        ),
    )


def _numbers(steep: Steepness | None, rate: float | None = None) -> dict[str, Any]:
    if steep is None:
        return {}
    return {
        "rate": rate,
        "lambda_max": steep.pair.value,
        "residual": steep.pair.residual,
        "limit": steep.limit,
        "growth": steep.growth,
        "shares": [list(item) for item in steep.shares],
    }


def _error(steep: Steepness | None) -> MeasuredError | None:
    if steep is None or steep.limit is None or not math.isfinite(steep.limit) or not steep.pair.value:
        return None
    return MeasuredError(steep.limit * steep.relative_residual, "Lanczos", 0)


def within(case: Case, steep: Steepness | None, run: Run, why_not: str | None = None) -> Answer[Any]:
    """The step is below its limit at the start, or UNKNOWN, because of `why_not`, where no limit is known."""
    rate = case.rule.rate
    if steep is None or steep.limit is None or rate is None:
        missing = Missing(
            f"the stability limit of {case.rule}: {why_not or 'the curvature is not known'}; the run itself was made",
        )
        return Answer("the step is within its stability limit", Standing.UNKNOWN, missing=(missing,))
    if math.isinf(steep.limit):
        text = f"the curvature is not positive in any direction found (largest {steep.pair.value:.3g}): no limit here"
    else:
        text = (
            f"step {rate:g} is {rate / steep.limit:.3g} x the limit {case.rule.limit_formula()} = {steep.limit:.3g} "
            f"at the start (lambda_max = {steep.pair.value:.4g})"
        )
    reasons = [
        _curvature_reason(steep),
        Reason("the limit at the start", text=text, predicted=steep.limit, observed=rate),
    ]
    where = _where_reason(steep)
    return Answer(
        text,
        Standing.MEASURED,
        value=steep.limit,
        error=_error(steep),
        reasons=(*reasons, *([where] if where else [])),
        meta=_numbers(steep, case.rule.rate),
        recheck=lambda: _again(steep),
    )


def curvature_alone(case: Case, steep: Steepness) -> Answer[Any]:
    """How steep the loss is at the start, where no step rule is given."""
    pair = steep.pair
    text = f"the steepest curvature at the start is {pair.value:.5g}"
    if pair.value > 0:
        text += f"; gradient descent is stable there below the step 2/{pair.value:.4g} = {2 / pair.value:.3g}"
    where = _where_reason(steep)
    return Answer(
        text,
        Standing.MEASURED,
        value=pair.value,
        error=MeasuredError(pair.residual, "Lanczos", 0),
        arithmetic=case.prepared.dtype,
        reasons=(_curvature_reason(steep), *([where] if where else [])),
        headline=text,
        recheck=lambda: _again(steep),
    )


def _again(steep: Steepness) -> bool:
    """The same curvature from another random start."""
    pair, other = steep.pair, steepest(steep.product, steep.pair.vector.size, seed=1)
    return abs(other.value - pair.value) <= other.residual + pair.residual + 1e-2 * abs(pair.value)


def _harmless(case: Case, run: Run, smaller: Run, rate: float, steep: Steepness | None) -> Answer[Any]:
    times = (case.rule.rate or 0.0) / steep.limit if steep is not None and steep.limit else math.nan
    text = f"the step is {times:.3g} x the local limit, and the run ended no higher than with {rate:.3g}"
    reasons = [comparison(case, run, smaller, rate, role="tried")]
    if steep is not None:
        reasons = [_step_reason(case, steep), _curvature_reason(steep), *reasons]
    return Answer(
        f"the run ends at {number(run.settled)}, and with the smaller step {rate:.3g} at {number(smaller.settled)}",
        Standing.MEASURED,
        value=None if steep is None else steep.limit,
        error=_error(steep),
        reasons=tuple(reasons),
        findings=(Finding("QED402", text, None, _numbers(steep, case.rule.rate)),),
        meta=_numbers(steep, case.rule.rate),
    )


def _too_large(case: Case, form: str, run: Run, smaller: Run, rate: float, where: tuple[int, Steepness]) -> Answer[Any]:
    step, steep = where
    witness = _numbers(steep, case.rule.rate) | {
        "at_step": step,
        "end": run.settled,
        "smaller_rate": rate,
        "smaller_end": smaller.settled,
    }
    first = len(run.losses) > 1 and not run.losses[1] < run.losses[0]
    claim = (
        f"step {case.rule.rate:g} lowers the loss"
        if first
        else f"step {case.rule.rate:g} does as well as a smaller one"
    )
    reasons = [comparison(case, run, smaller, rate), _step_reason(case, steep), _curvature_reason(steep)]
    if step:
        reasons.append(
            Reason(
                "along the path",
                role="where",
                text=f"measured after {plural(step, 'step')}, where the loss was lowest",
            )
        )
    else:
        reasons.append(_growth_reason(case, form, steep, run))
    found = _where_reason(steep)
    times = (case.rule.rate or 0) / (steep.limit or 1)
    message = f"step {case.rule.rate:g} is {times:.4g} x the local limit and ends worse than {rate:.3g}"
    return Answer(
        claim,
        Standing.REFUTED,
        value=steep.limit,
        error=_error(steep),
        arithmetic=case.prepared.dtype,
        reasons=(*reasons, *([found] if found else [])),
        findings=(Finding("QED401", message, None, witness),),
        meta=_numbers(steep, case.rule.rate),
        recheck=lambda: worse(case.again(form, run), case.again(form, smaller, scale=rate / (case.rule.rate or rate))),
    )


def smaller_is_better(case: Case, run: Run, smaller: Run, rate: float, steep: Steepness | None) -> Answer[Any]:
    """QED403: a smaller step ends lower, and no limit says so."""
    text = "a smaller step ends lower, though the local limit at the start does not say so"
    reasons = [comparison(case, run, smaller, rate)]
    if steep is not None and steep.limit is not None and math.isfinite(steep.limit):
        reasons.append(_step_reason(case, steep))
    return Answer(
        f"{case.rule} does as well as a smaller step",
        Standing.REFUTED,
        reasons=tuple(reasons),
        findings=(Finding("QED403", text, None, _numbers(steep, case.rule.rate)),),
        meta=_numbers(steep, case.rule.rate),
    )


def unexplained(case: Case, run: Run, smaller: Run, rate: float, steep: Steepness | None) -> Answer[Any]:
    """QED403: the run rises, and a smaller step does not settle why."""
    text = "the run ends higher than it began, and so does a smaller step: look at the gradient itself"
    if not rises(smaller):
        text = "the run does not end lower than it began, and a smaller step does not help"
    return Answer(
        "the run ends lower than it began",
        Standing.REFUTED,
        reasons=(comparison(case, run, smaller, rate),),
        findings=(Finding("QED403", text, None, _numbers(steep, case.rule.rate)),),
        meta=_numbers(steep, case.rule.rate),
    )
