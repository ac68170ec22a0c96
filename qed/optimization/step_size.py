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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from qed.answer import Answer, Missing, Reason, Trial
from qed.calculus.expanding.words import outward
from qed.calculus.lanczos import EigenPair, steepest
from qed.calculus.lipschitz import lipschitz
from qed.calculus.shares import shares
from qed.errors import QedError
from qed.graph.function import Function, read
from qed.optimization.adaptive import identify_update
from qed.optimization.local import LocalRule
from qed.optimization.objective import Objective
from qed.optimization.step import StepRule, parse
from qed.standing import Standing

Array = np.ndarray
PRODUCTS = 60
"""How many Hessian products each end of the spectrum may take."""
APART = 5
"""After how many steps the distance of two runs is compared with its prediction."""
STEPS = 100
"""How many steps a tried run has."""
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

    @property
    def halving(self) -> float:
        """How many steps of the best size halve the slowest error; inf where it does not shrink."""
        return math.log(0.5) / math.log(self.contraction) if 0 < self.contraction < 1 else math.inf


def step_size(fun: Callable[..., Any], x: Any, *args: Any, optimizer: Any = None, seed: int = 0) -> Answer[StepSize]:
    """Which steps are stable for fun(x, *args) at x, and which is the best one, with runs on both sides of the limit.

    Args:
        fun: a function of a tree of arrays that returns a number.
        x: the point, a tree with floating-point arrays.
        args: the other arguments, held constant.
        optimizer: gradient descent where left out; a number, a text such as 'sgd:0.1,momentum=0.9' or 'adam:1e-3', or
            an optax transformation.
        seed: of the random start of the eigenvalue search.

    Returns:
        An answer whose value is a `StepSize`, MEASURED: `upper` follows from an eigenvalue with its error bar, in units
        of x squared per unit of f. UNKNOWN where no second derivative is to be had, or the optimizer is no
        linear rule near its state.

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
    rule = StepRule("sgd") if optimizer is None else parse(optimizer)
    function = read(fun, x, *args)
    objective = Objective(function)
    start = objective.at(objective.start)
    if not start.finite:
        missing = Missing("value or gradient is not finite at the point", "qed why, which says where it is born")
        return _unknown(function, missing)
    try:
        local = _local(rule, objective, start.g)
        if isinstance(local, Missing):
            return _unknown(function, local)
        product = _load(local, lambda v: objective.product(start.x, v))
        high = steepest(product, function.size, most=PRODUCTS, tolerance=1e-4, seed=seed)
        low = steepest(lambda v: -product(v), function.size, most=PRODUCTS, tolerance=1e-3, seed=seed)
    except NotImplementedError:
        return _unknown(function, Missing("the gradient has no derivative in JAX", "a function without such a rule"))
    if not (high.finite and low.finite):
        return _unknown(function, Missing("a Hessian-vector product is not finite", "a point off the corner", "QED210"))
    answer = _answer(objective, start.x, local, high, low, seed)
    return replace(_with_safe(answer, fun, x, args, local), subject=function.title("parameter"))


def _unknown(function: Function, missing: Missing) -> Answer[StepSize]:
    claim = "the stable steps at the point are known"
    return Answer(claim, Standing.UNKNOWN, None, missing=(missing,), subject=function.title("parameter"))


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

    found = minimize_scalar(slowest, bounds=(0.0, rule.limit(high)), method="bounded", options={"xatol": 1e-10 / high})
    return float(found.x), float(found.fun)


# --- what was tried -------------------------------------------------------------------------------------------


def _run(objective: Objective, x: Array, rule: StepRule, step: float, steps: int) -> tuple[Array, float]:
    """The point and the value after some steps; nan where a number is not finite."""
    b, velocity, seen = rule.momentum, np.zeros_like(x), objective.at(x)
    for _ in range(steps):
        velocity = b * velocity + seen.g
        change = seen.g + b * velocity if rule.nesterov else velocity
        seen = objective.at(seen.x - step * change)
        if not seen.finite:
            return seen.x, math.nan
    return seen.x, seen.f


def _apart(rule: StepRule, curvature: float, step: float) -> float:
    """By what factor a distance along an eigenvector has grown after `APART` steps, by the quadratic model."""
    b, distance, velocity = rule.momentum, 1.0, 0.0
    for _ in range(APART):
        velocity = b * velocity + curvature * distance
        distance -= step * (curvature * distance + b * velocity if rule.nesterov else velocity)
    return distance


def _seen_apart(objective: Objective, x: Array, v: Array, rule: StepRule, step: float) -> float:
    """The same, of two runs that begin a little apart along v."""
    distance = objective.eps ** (1 / 3) * max(1.0, float(np.linalg.norm(x)))
    first, _ = _run(objective, x, rule, step, APART)
    other, _ = _run(objective, x + distance * v, rule, step, APART)
    began = float(v @ (objective.rounded(x + distance * v) - objective.rounded(x)))
    return float(v @ (other - first)) / began if began else math.nan


def _trials(objective: Objective, x: Array, rule: StepRule, steps: Sequence[float]) -> list[Trial]:
    start = objective.at(x).f
    found = []
    for step in steps:
        _, end = _run(objective, x, rule, step, STEPS)
        found.append(Trial(STEPS, start, end, 0, math.isfinite(end)))
    return found


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
    where = ", ".join(f"{share:.0%} {name}" for name, share in names if share >= 0.05)
    reasons = [
        Reason(
            "Lanczos on Hessian-vector products",
            "|H v - l v| <= r, so that an eigenvalue lies within r of l",
            f"lambda_max = {high.value:.6g} ± {high.residual:.2g}, the smallest {lowest:.6g}",
            observed=high.value,
            unpredicted="the Hessian has no closed form here",
            standing=Standing.MEASURED,
            role="where",
            text=f"{word} is {high.value:.6g} ± {high.residual:.2g} along {where or 'a direction spread over all'}",
        )
    ]
    tried: list[tuple[float, float, float]] = []
    if isinstance(rule, StepRule) and math.isfinite(upper):
        reasons += _apart_reasons(objective, x, high, rule, upper)
        steps = [s for s in (best, 0.95 * upper, 1.05 * upper, rate) if s is not None]
        for step, trial in zip(steps, _trials(objective, x, rule, steps), strict=True):
            tried.append((step, trial.start, trial.end))
            reasons.append(_tried_reason(step, trial, upper))
    value = StepSize(
        0.0, upper, best, contraction, high.value, lowest, high.residual, names, rate, tuple(tried), scaled=scaled
    )
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
        headline=text[0].upper() + text[1:] + ".",
        meta={"seed": seed},
        recheck=again,
    )


def _sentence(rule: StepRule | LocalRule, value: StepSize) -> str:
    if not math.isfinite(value.upper):
        return f"at the point no curvature is positive (the largest is {value.highest:.4g}): no step is too large there"
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


def _apart_reasons(objective: Objective, x: Array, high: EigenPair, rule: StepRule, upper: float) -> list[Reason]:
    found = []
    for share in (0.9, 1.1):
        step = share * upper
        predicted = _apart(rule, high.value, step)
        seen = _seen_apart(objective, x, high.vector, rule, step)
        found.append(
            Reason(
                "two runs that begin a little apart along the stiffest direction",
                "d <- (1 - s l) d",
                f"s = {step:.4g}: {predicted:.4g} predicted, {seen:.4g} seen",
                predicted=predicted,
                observed=seen,
                standing=Standing.MEASURED,
                role="tried",
                text=f"{APART} steps of {step:.4g} ({share:g} of the limit) multiply a distance by {seen:.4g}; "
                f"the quadratic model says {predicted:.4g}",
            )
        )
    return found


def _tried_reason(step: float, trial: Trial, upper: float) -> Reason:
    end = f"{trial.end:.6g}" if trial.finite else "no finite number"
    side = "below" if step < upper else "above"
    return Reason(
        "the run was made",
        predicted="no rise" if step < upper else "a rise, unless the curvature falls along the way",
        observed=trial.end,
        standing=Standing.MEASURED,
        role="tried",
        text=f"{trial.steps} steps of {step:.4g} ({side} the limit): from {trial.start:.6g} to {end}",
    )


def _with_safe(
    answer: Answer[StepSize], fun: Any, x: Any, args: Sequence[Any], rule: StepRule | LocalRule
) -> Answer[StepSize]:
    """The same with the step that is safe everywhere, where it is proved."""
    plain = isinstance(rule, StepRule) and not rule.momentum
    if not plain or answer.value is None or read(fun, x, *args).size > PROVED_UP_TO:
        return answer
    try:
        found = lipschitz(fun, _everywhere(x), *args, order=1, budget=2.0)
    except QedError:
        return answer
    if not found.proved or not found.upper > 0:
        return answer
    safe = float(np.nextafter(2 / found.upper, 0.0))
    reason = Reason(
        "the lemma of descent",
        "f(w - s g) <= f(w) - s (1 - s L / 2) |g|^2",
        f"L = {found.upper:.6g}, 2/L = {safe:.6g}",
        role="safe",
        standing=Standing.PROVED,
        text=f"everywhere: the gradient is Lipschitz with L = {outward(found.upper, 1, 6)}; no step below "
        f"{outward(safe, -1, 6)} raises f",
    )
    value = replace(answer.value, safe=safe)
    return replace(answer, value=value, reasons=(*answer.reasons, reason), answers=(found,))


def _everywhere(x: Any) -> Any:
    import jax

    lower = jax.tree.map(lambda leaf: np.full(np.shape(leaf), -np.inf, np.asarray(leaf).dtype), x)
    upper = jax.tree.map(lambda leaf: np.full(np.shape(leaf), np.inf, np.asarray(leaf).dtype), x)
    return lower, upper
