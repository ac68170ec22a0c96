"""Which step is stable at a point, which is best there, and what happened with both.

Near x a function is its quadratic model: gradient descent multiplies the error along an eigenvector of curvature l by
1 - s l (with momentum, by the roots that `qed.optimization.step` names). So a step is stable there below

    2 / lambda_max      (momentum b: 2 (1 + b) / lambda_max; Nesterov: 2 (1 + b) / ((1 + 2 b) lambda_max)),

and where all curvatures are positive the best fixed step makes both ends shrink alike: 2 / (lambda_min + lambda_max), a
factor of (k - 1) / (k + 1) a step with k = lambda_max / lambda_min. Adaptive rules are the linear rule that they are
with their second moment frozen (`qed.optimization.local`). All of this is local: it is exact for a quadratic, and of
anything else a statement about small distances. So it is tried: two runs a little apart, and runs with steps on both
sides of the limit. A step that is safe everywhere, 2 / L, is given where L is proved.

Reference: Polyak, *Introduction to Optimization*, 1987, sections 1.4 and 3.2; Cohen et al., *Gradient descent on neural
networks typically occurs at the edge of stability*, 2021.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy

from qed.answer import Answer, Missing, Reason
from qed.calculus.expanding.words import outward
from qed.calculus.lanczos import EigenPair, steepest
from qed.calculus.points.case import Case
from qed.calculus.points.corners import without_hessian
from qed.calculus.shares import shares
from qed.calculus.spectra.products import SMALL
from qed.errors import QedError
from qed.graph.function import Function, read
from qed.optimization.adaptive import identify_update
from qed.optimization.local import LocalRule
from qed.optimization.methods import ALIASES
from qed.optimization.objective import Objective, Seen
from qed.optimization.step import StepRule, parse
from qed.optimization.stepping import curved, slow, trials
from qed.optimization.stepping.batches import Batch, Floor
from qed.optimization.stepping.beside import Beside, beside
from qed.optimization.stepping.fields import Field, again, field_at, missing, told
from qed.optimization.stepping.noise import Noise
from qed.optimization.stepping.safe import safe_step, with_safe
from qed.optimization.stepping.valleys import Valley
from qed.optimization.updates import without_batch
from qed.standing import Standing

Array = np.ndarray
PRODUCTS = 60
"""How many Hessian products each end of the spectrum may take."""
WARM = 100
"""How many updates an adaptive rule sees at the point before its second moment is taken for frozen."""
FLAT = 1e-10
"""Below which part of the largest the smallest curvature is taken for zero."""
PROVED_UP_TO = 32
"""With how many parameters a step that is safe everywhere is looked for."""


@dataclass(frozen=True, eq=False)
class StepSize:
    """The stable steps at a point.

    Args:
        lower, upper: steps between them are stable there; upper is inf where no curvature is positive.
        best: the step with the smallest contraction there; None where it has no meaning.
        contraction: by what factor the slowest error shrinks in a step of that size; 1 where a direction is flat.
        highest, lowest: of the curvatures found, in units of f per unit of x squared.
        error: an eigenvalue lies within this of `highest`.
        stiffest: (name, share) of the parameters that the direction of the largest curvature consists of.
        rate: the step that was given, or None.
        tried: (step, value at the start, value after the run) of each run that was made.
        safe: a step below which gradient descent lowers f from everywhere (proved), or None.
        scaled: the steps are multiples of the given optimizer's updates, whose rate is not one number.
        noise: how the gradients of single examples scatter, where the loss is their mean.
        batches: with batch=ROWS, the runs with 1, 8, 64 and all examples a step.
        floors: likewise, how high above the minimum a fixed step stays; of plain gradient steps.
        valleys: with momentum, narrow valleys and the steps through them.
        zigzag: the mean cosine between successive steps of a run with the rate given; nan where it was not made.
        curved: for 'newton' and 'l-bfgs', their steps and what they cost.
        slower: of a rate below a fifth of the limit, how it compares with the fastest that was tried.
    """

    lower: float
    upper: float
    best: float | None
    contraction: float
    highest: float
    lowest: float
    error: float
    stiffest: tuple[tuple[str, float], ...]
    rate: float | None
    tried: tuple[tuple[float, float, float], ...]
    safe: float | None = None
    scaled: bool = False
    noise: Noise | None = None
    batches: tuple[Batch, ...] = ()
    floors: tuple[Floor, ...] = ()
    valleys: tuple[Valley, ...] = ()
    zigzag: float = math.nan
    curved: curved.Curved | None = None
    slower: slow.Slower | None = None

    @property
    def halving(self) -> float:
        """How many steps of the best size halve the slowest error; inf where it does not shrink."""
        return math.log(0.5) / math.log(self.contraction) if 0 < self.contraction < 1 else math.inf


def step_size(fun: Callable[..., Any], x: Any, *args: Any, optimizer: Any = None, seed: int = 0) -> Answer[StepSize]:
    """Which steps are stable for fun(x, *args) at x, and which is the best one, with runs on both sides of the limit.

    Args:
        fun: a function of a tree of arrays that returns a number.
        x: the point, a tree with floating-point arrays.
        args: the other arguments, held constant; the rows of arrays with a common first axis are examples.
        optimizer: gradient descent where left out; a number, a text such as 'sgd:0.1,momentum=0.9' or 'adam:1e-3', with
            ',batch=8' for steps that see 8 rows, or an optax transformation; 'newton' or 'l-bfgs' for the step of a
            model of second order.
        seed: of the random start of the eigenvalue search, and of what is drawn.

    Returns:
        An answer whose value is a `StepSize`, MEASURED: `upper` follows from an eigenvalue with its error bar, in units
        of x squared per unit of f. UNKNOWN where no second derivative is to be had or f has none at the point, as at
        a corner, or the optimizer is no linear rule near its state.

    Raises:
        QedError: as `qed.graph.function.read` does; QED005 for an optimizer that is none.

    Example:
        >>> import jax.numpy as jnp
        >>> answer = step_size(lambda w: 2 * w[0] ** 2 + 0.5 * w[1] ** 2, jnp.ones(2))
        >>> round(answer.upper, 6), round(answer.best, 6), round(answer.contraction, 6)
        (0.5, 0.4, 0.6)
        >>> round(step_size(lambda w: 2 * w[0] ** 2, jnp.ones(1), optimizer="sgd:0.1,momentum=0.5").upper, 6)
        0.75
    """
    method = _method(optimizer)
    text, batch = without_batch(optimizer) if isinstance(optimizer, str) and ":" in optimizer else (optimizer, None)
    rule = StepRule("sgd") if optimizer is None or method else parse(text)
    function = read(fun, x, *args)
    if method and function.size > curved.LARGEST:
        what = f"{function.size} parameters: the step of {method} is compared by the whole Hessian"
        raise QedError("QED007", what, f"it is formed up to {curved.LARGEST}", "ask for gradient descent")
    objective = Objective(function)
    start = objective.at(objective.start)
    if not start.finite:
        missing = Missing("value or gradient is not finite at the point", "qed why, which says where it is born")
        return _unknown(function, missing)
    try:
        local = _local(rule, objective, start.g)
        if isinstance(local, Missing):
            return _unknown(function, local)
        field = field_at(objective, start)
        if field is not None:
            return replace(
                _of_field(objective, start, None if method else local, field), subject=function.title("parameter")
            )
        if function.size <= SMALL and (why := without_hessian(Case(fun, x, args, function))):
            return _at_a_corner(function, why, (fun, x, args))
        product = _load(local, lambda v: objective.product(start.x, v))
        high = steepest(product, function.size, most=PRODUCTS, tolerance=1e-4, seed=seed)
        low = steepest(lambda v: -product(v), function.size, most=PRODUCTS, tolerance=1e-3, seed=seed)
    except NotImplementedError:
        return _unknown(function, Missing("the gradient has no derivative in JAX", "a function without such a rule"))
    if not (high.finite and low.finite):
        return _unknown(
            function,
            Missing(
                "a Hessian-vector product is not finite", "a point where the second derivatives are finite", "QED210"
            ),
        )
    if method:
        answer = _of_model(objective, start, method, high, low, seed)
        return replace(answer, subject=function.title("parameter"))
    answer = _answer(objective, start.x, local, high, low, seed)
    if isinstance(local, StepRule) and not local.momentum and function.size <= PROVED_UP_TO:
        answer = with_safe(answer, fun, x, args)
    plain = local if isinstance(local, StepRule) else None
    assert answer.value is not None
    more = beside(objective, (fun, x, args), plain, batch, high, low, answer.value.best, seed)
    return replace(_with(answer, more), subject=function.title("parameter"))


def _method(optimizer: Any) -> str | None:
    """'newton' or 'l-bfgs', however it is spelled; None for a rule."""
    if not isinstance(optimizer, str):
        return None
    name = optimizer.strip().lower().replace("_", "-")
    name = ALIASES.get(name, name)
    return name if name in curved.NAMES else None


def _unknown(function: Function, missing: Missing) -> Answer[StepSize]:
    claim, headline = "the stable steps at the point are known", f"No stable step is told: {missing.what}."
    subject = function.title("parameter")
    return Answer(claim, Standing.UNKNOWN, None, missing=(missing,), headline=headline, subject=subject)


def _at_a_corner(
    function: Function, why: str, asked: tuple[Callable[..., Any], Any, tuple[Any, ...]]
) -> Answer[StepSize]:
    """The answer where f has no second derivative: the step that is safe from everywhere, where that is proved."""
    answer = _unknown(function, Missing(why, "a point off the corner", "QED104"))
    known = safe_step(*asked) if function.size <= PROVED_UP_TO else None
    if known is None:
        return answer
    safe, reason, found = known
    headline = f"{answer.headline} No gradient step below {outward(safe, -1)} raises f, from anywhere."
    return replace(answer, headline=headline, reasons=(reason,), answers=(found,))


# --- the rule -------------------------------------------------------------------------------------------------


def _local(rule: StepRule, objective: Objective, gradient: Array) -> StepRule | LocalRule | Missing:
    """The rule, as gradient descent where it is that, or as the linear rule that it is near its state."""
    if rule.is_gradient_descent:
        return rule
    transformation, parameters = rule.optax(), objective.function.parameters
    slope = objective.arrays(gradient)
    try:
        state = transformation.init(parameters)
        for _ in range(WARM):
            state = transformation.update(slope, state, parameters)[1]
    except Exception as error:
        because = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise QedError("QED005", "the optimizer cannot be stepped", because, "give an optax transformation") from error
    found = identify_update(transformation, state, parameters, slope)
    if not isinstance(found, LocalRule):
        return Missing(f"the optimizer is no linear rule that is known: its update {found.words}", "sgd or adam")
    if found.plain is not None:
        return found.plain
    if found.preconditioned and not np.all(found.response > 0):
        what = "the second moment is 0 for some parameters: their gradient is 0 at the point"
        return Missing(what, "a point where every gradient is seen")
    return found


def _load(rule: StepRule | LocalRule, product: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return product if isinstance(rule, StepRule) else rule.load(product)


def _limit(rule: StepRule | LocalRule, curvature: float) -> float:
    """The largest stable step; of a linear rule its rate, or the multiple of its update, from a load."""
    if isinstance(rule, StepRule):
        return rule.limit(curvature)
    return (2.0 if rule.rate is None else 2.0 * rule.rate) / curvature if curvature > 0 else math.inf


def _best(rule: StepRule | LocalRule, low: float, high: float) -> tuple[float | None, float]:
    """The best step between two curvatures and its contraction."""
    if high <= 0 or low < -FLAT * high or isinstance(rule, LocalRule):
        return None, 1.0
    if low <= FLAT * high:
        return (1.0 / high if not rule.momentum else 0.5 * rule.limit(high)), 1.0
    if not rule.momentum:
        return 2 / (low + high), (high - low) / (high + low)

    def slowest(step: float) -> float:
        return max(rule.growth(c, step) for c in np.geomspace(low, high, 9))

    found = scipy.optimize.minimize_scalar(
        slowest, bounds=(0.0, rule.limit(high)), method="bounded", options={"xatol": 1e-10 / high}
    )
    return float(found.x), float(found.fun)


# --- the answer -----------------------------------------------------------------------------------------------


def _answer(
    objective: Objective, x: Array, rule: StepRule | LocalRule, high: EigenPair, low: EigenPair, seed: int
) -> Answer[StepSize]:
    function = objective.function
    names = shares(high.vector, function.paths, [np.shape(p) for p in function.parameters])
    upper, lowest = _limit(rule, high.value), -low.value
    best, contraction = _best(rule, lowest, high.value)
    rate, word = rule.rate, "the curvature" if isinstance(rule, StepRule) else "the load of the rule"
    scaled = isinstance(rule, LocalRule) and rate is None
    reasons = [_where(high, lowest, names, word)]
    tried: list[tuple[float, float, float]] = []
    compared = None
    if isinstance(rule, StepRule) and math.isfinite(upper):
        reasons += trials.apart(objective, x, high, rule, upper)
        steps = [s for s in (best, 0.95 * upper, 1.05 * upper, rate) if s is not None]
        for step, trial in zip(steps, trials.trials(objective, x, rule, steps), strict=True):
            tried.append((step, trial.start, trial.end))
            reasons.append(trials.told(step, trial, upper))
        compared = _slower(objective, x, rule, upper, best, lowest)
    value = StepSize(
        0.0,
        upper,
        best,
        contraction,
        high.value,
        lowest,
        high.residual,
        names,
        rate,
        tuple(tried),
        scaled=scaled,
        slower=compared,
    )
    findings, advice = (), ()
    if compared is not None and isinstance(rule, StepRule):
        said, findings, advice = slow.told(compared, rule, lowest, high.value)
        reasons.append(said)
    text = _sentence(rule, value)
    product = _load(rule, lambda v: objective.product(x, v))

    def again() -> bool:
        other = steepest(product, function.size, most=PRODUCTS, tolerance=1e-4, seed=seed + 1)
        return abs(other.value - high.value) <= other.residual + high.residual + 1e-2 * abs(high.value)

    return Answer(
        text,
        Standing.MEASURED,
        value,
        arithmetic=function.dtype,
        reasons=tuple(reasons),
        findings=findings,
        advice=advice,
        headline=text[0].upper() + text[1:] + ".",
        meta={"seed": seed},
        recheck=again,
    )


def _slower(
    objective: Objective, x: Array, rule: StepRule, upper: float, best: float | None, lowest: float
) -> slow.Slower | None:
    """The step that was given beside larger ones that are stable, where it is small beside the limit."""
    if rule.rate is None or not rule.rate * slow.FASTER < upper:
        return None
    larger = [step for step in (best, 0.95 * upper) if step is not None and rule.rate < step < upper]
    return slow.slower(objective, x, rule, larger, lowest)


def _sentence(rule: StepRule | LocalRule, value: StepSize) -> str:
    if not math.isfinite(value.upper):
        largest = f"the largest is {value.highest:.4g}"
        return f"at the point no curvature is positive ({largest}): curvature sets no step a limit there"
    what = "steps" if not value.scaled else "multiples of its updates"
    if isinstance(rule, LocalRule):
        given = "" if rule.rate is None else f"; the rate given is {rule.rate:.4g}"
        return f"near the point {rule} is stable for {what} below {value.upper:.4g}{given}"
    name = "gradient descent" if not rule.momentum else f"momentum {rule.momentum:g}"
    name += " (Nesterov)" if rule.nesterov and rule.momentum else ""
    best = "" if value.best is None else f"; the best is {value.best:.4g}"
    if value.contraction < 1:
        best += f", which multiplies the slowest error by {value.contraction:.4g} a step"
    elif value.lowest < -FLAT * value.highest:
        best += "; along a direction of negative curvature every step leads away"
    given = "" if value.rate is None else f"; the rate given is {value.rate / value.upper:.3g} times the limit"
    return f"near the point {name} is stable for steps below {value.upper:.4g}{best}{given}"


def _where(high: EigenPair, lowest: float, names: tuple[tuple[str, float], ...], word: str) -> Reason:
    """The largest curvature, and the parameters along which it lies."""
    where = ", ".join(f"{share:.0%} {name}" for name, share in names if share >= 0.05)
    return Reason(
        "Lanczos on Hessian-vector products",
        "|H v - l v| <= r, so that an eigenvalue lies within r of l",
        f"lambda_max = {high.value:.6g} ± {high.residual:.2g}, the smallest {lowest:.6g}",
        observed=high.value,
        unpredicted="the Hessian has no closed form here",
        standing=Standing.MEASURED,
        role="where",
        text=f"{word} is {high.value:.6g} ± {high.residual:.2g} along {where or 'a direction spread over all'}",
    )


def _with(answer: Answer[StepSize], more: Beside) -> Answer[StepSize]:
    """The same with what is said beside it."""
    assert answer.value is not None
    return replace(
        answer,
        value=replace(answer.value, **more.values),
        reasons=(*answer.reasons, *more.reasons),
        findings=(*answer.findings, *more.findings),
        advice=(*answer.advice, *more.advice),
        missing=(*answer.missing, *more.missing),
    )


def _of_field(objective: Objective, start: Seen, rule: StepRule | LocalRule | None, field: Field) -> Answer[StepSize]:
    """The answer where the program's gradient is not that of its values: by the eigenvalues of its derivative."""
    if not isinstance(rule, StepRule) or rule.momentum or field.unanswered:
        return _unknown(objective.function, missing(field))
    text, values, reasons = told(field, objective, start, rule.rate)
    return Answer(
        text, Standing.MEASURED, StepSize(0.0, rate=rule.rate, tried=(), **values), reasons=reasons,
        arithmetic=objective.function.dtype, headline=text[0].upper() + text[1:] + ".",
        recheck=lambda: again(field, objective, start),
    )  # fmt: skip


def _of_model(
    objective: Objective, start: Seen, method: str, high: EigenPair, low: EigenPair, seed: int
) -> Answer[StepSize]:
    """The answer for a method whose step minimises a model of second order."""
    function = objective.function
    found = curved.curved_at(objective, start)
    names = shares(high.vector, function.paths, [np.shape(p) for p in function.parameters])
    last = found.memories[-1]
    upper = 2.0 if method == "newton" else last.limit
    value = StepSize(
        0.0, upper, 1.0 if method == "newton" and found.definite else None, 0.0 if method == "newton" else 1.0,
        high.value, -low.value, high.residual, names, None, (), scaled=True, curved=found,
    )  # fmt: skip
    if method == "newton":
        what = "is stable for multiples of its step below 2"
        what = what if found.definite else "leads to a point without slope that is no minimum of its model"
        text = f"near the point Newton's method {what}"
    else:
        text = f"with its last {last.m} pairs l-bfgs is stable for multiples of its step below {upper:.4g}"
    text += f"; by the operations counted {found.winner} is the cheaper of newton and l-bfgs here"

    def again() -> bool:
        other = curved.curved_at(objective, start)
        near = math.isclose(other.observed, found.observed, rel_tol=1e-6, abs_tol=objective.noise(start.f))
        return near and other.newton.steps == found.newton.steps

    return Answer(
        text, Standing.MEASURED, value, arithmetic=function.dtype,
        reasons=(_where(high, -low.value, names, "the curvature"), *curved.told(found)),
        headline=text[0].upper() + text[1:] + ".", meta={"seed": seed}, recheck=again,
    )  # fmt: skip
