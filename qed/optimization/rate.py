"""How fast a method converges: what the curvatures at the minimum predict, and what its iterates did.

Near a minimum with curvatures from m to L the error of a fixed-step method shrinks by a factor a step, k = L / m:

    gradient descent, step 2 / (L + m)                                   (k - 1) / (k + 1)
    heavy ball, step 4 / (sqrt L + sqrt m)^2, momentum that factor^2      (sqrt k - 1) / (sqrt k + 1)
    Nesterov, step 1 / L, momentum (sqrt k - 1) / (sqrt k + 1)            1 - 1 / sqrt k

(Polyak, *Introduction to Optimization*, 1987, section 3.2; Nesterov, *Lectures on Convex Optimization*, 2018, section
2.2). Where m = 0 there is no such factor. For a convex f whose gradient has the Lipschitz constant L, gradient descent
with the step 1 / L keeps to

    f(x_k) - f* <= L |x_0 - x*|^2 / (2 k)        (Beck, *First-Order Methods in Optimization*, 2017, theorem 10.21).

Newton's method has errors e_{k+1} about C e_k^2 where the Hessian is invertible (Nocedal and Wright, *Numerical
Optimization*, 2006, theorem 3.5), and only a factor a step where it is not. The iterates are computed in float64,
whatever the dtype of the parameters, since a rate is seen over many powers of ten.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qed.answer import Answer, Missing, Reason
from qed.calculus.convexity import convexity
from qed.calculus.lipschitz import lipschitz
from qed.errors import QedError
from qed.graph.function import read
from qed.optimization.bounds import bounds_of, spread
from qed.optimization.contraction import contraction, seen_factor
from qed.optimization.convergence import CUBIC, factor, left_flat, order, rounding
from qed.optimization.cycles import refuted
from qed.optimization.iterates import (
    at,
    constants,
    cycling,
    descended,
    fixed,
    limit_of,
    minimum_within,
    newton,
    polished,
    ran_away,
)
from qed.optimization.objective import Wide
from qed.optimization.step import StepRule
from qed.optimization.worst_case import LONGEST, worst_case
from qed.standing import Standing

Array = np.ndarray
METHODS = ("gradient", "heavy ball", "nesterov", "newton")
LARGEST = 200
"""With how many parameters the Hessian is formed."""
ZERO = 1e-9
"""Which part of the largest curvature seen is taken for zero."""
FLOOR = 1e-13
"""Below which part of its first value an error of a method with a factor is taken for rounding."""
SMALL = 0.01
"""Which part of f - f* may be left along directions without curvature where the others are to predict a factor."""


@dataclass(frozen=True, eq=False)
class Rate:
    """How fast a method converged.

    Args:
        method: its name.
        kind: 'linear', 'sublinear', 'superlinear', 'quadratic', 'cubic', 'finite' where Newton's method is at the
            limit, up to rounding, before three errors show an order, or 'none' where the last steps came no nearer.
        predicted: the factor a step by the curvatures at the limit; for Newton's method the order 2; None where the
            curvatures do not predict one.
        observed: the factor a step of the iterates; for 'superlinear', 'quadratic', 'cubic' the order; for 'sublinear'
            the power p of f - f* ~ k^-p; for 'finite' the number of steps.
        step, momentum: that were used; None for Newton's method.
        condition: the largest over the smallest curvature (above zero) at the limit; inf where there is none.
        errors: (steps + 1,) distances from the limit.
        gaps: (steps + 1,) of f - f*.
        bound: a factor of one step with the proved constants from every point of the region, where that holds the
            minimum, or None.
    """

    method: str
    kind: str
    predicted: float | None
    observed: float
    step: float | None
    momentum: float | None
    condition: float
    errors: Array
    gaps: Array
    bound: float | None = None

    @property
    def halving(self) -> float:
        """How many steps halve the error, as seen; inf where no factor was seen."""
        return math.log(0.5) / math.log(self.observed) if self.kind == "linear" and 0 < self.observed < 1 else math.inf


def rate(
    fun: Callable[..., Any],
    x: Any,
    *args: Any,
    method: str = "gradient",
    steps: int = 100,
    region: Any = None,
) -> Answer[Rate]:
    """How fast a method converges on fun(x, *args) from x: predicted by the curvatures at its limit, and seen.

    Args:
        fun: a function of a tree of arrays that returns a number.
        x: the start, a tree with floating-point arrays.
        args: the other arguments, held constant.
        method: 'gradient', 'heavy ball', 'nesterov' or 'newton', each with the best constants for the curvatures at the
            limit; gradient descent takes the step 1 / L of the start where no curvature at the limit is positive.
        steps: how many steps are made.
        region: a `qed.Box` on which constants are to be proved: with them a factor holds for a step from all points
            there, if the minimum is one of them; without bounds `answers` holds more: for a convex function the worst
            case of gradient descent, PROVED, for a strongly convex one the factor of each step of it and of Nesterov's
            method; that the heavy ball's constants do for all such functions may be REFUTED.

    Returns:
        An answer whose value is a `Rate`, MEASURED. UNKNOWN where the run does not end near a point without slope, and
        where it starts there.

    Raises:
        QedError: as `qed.graph.function.read` does; QED007 for a method or a number of steps that is none, and for
            more than 200 parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> answer = rate(lambda w: 4.5 * w[0] ** 2 + 0.5 * w[1] ** 2, jnp.ones(2), method="gradient", steps=60)
        >>> answer.kind, round(answer.predicted, 6), round(answer.observed, 6)
        ('linear', 0.8, 0.8)
        >>> newton = rate(lambda w: jnp.exp(w) - w, jnp.asarray(1.0), method="newton", steps=8)
        >>> newton.kind, round(newton.observed)
        ('quadratic', 2)
    """
    name = _checked(method, steps)
    function = read(fun, x, *args)
    if function.size > LARGEST:
        what = f"{function.size} parameters: the curvatures at the limit are taken from the whole Hessian"
        raise QedError("QED007", what, f"it is formed up to {LARGEST}", "ask qed.spectrum and qed.step_size")
    wide = Wide(function)
    with np.errstate(all="ignore"):
        answer = _measured(wide, name, int(steps))
    if region is not None and answer.value is not None:
        answer = _with_bound(answer, wide, (fun, x, args), region, int(steps))
    return replace(answer, subject=function.title("parameter"))


def _checked(method: Any, steps: Any) -> str:
    name = str(method).replace("-", " ").replace("_", " ").lower()
    name = {"gradient descent": "gradient", "momentum": "heavy ball"}.get(name, name)
    if name not in METHODS:
        instead = "give " + " or ".join(repr(each) for each in METHODS)
        raise QedError("QED007", f"method={method!r} is none whose rate is predicted", "there are four", instead)
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 4:
        raise QedError("QED007", f"steps={steps!r} is no number of steps", "a rate needs four at least", "steps=100")
    return name


# --- the run --------------------------------------------------------------------------------------------------


def _measured(wide: Wide, name: str, steps: int) -> Answer[Rate]:
    start = wide.start
    f, g = at(wide, start)
    if not (math.isfinite(f) and np.all(np.isfinite(g))):
        return _unknown(Missing("value or gradient is not finite at the start", "qed why, which says where it is born"))
    limit = polished(wide, descended(wide, start, steps))
    if limit is None or _slopes(wide, limit, f, g):
        return _unknown(Missing("the run ends at no point without slope", "a start nearer to a minimum, or more steps"))
    curvatures = np.linalg.eigvalsh(wide.matrix(limit))
    scale = max(float(np.max(np.abs(curvatures))), float(np.max(np.linalg.eigvalsh(wide.matrix(start)))))
    if not scale > 0:
        return _unknown(Missing("f bends neither at the start nor at the limit: no step follows", "another start"))
    if curvatures[0] < -ZERO * scale:
        return _unknown(Missing(f"the limit is no minimum: a curvature there is {curvatures[0]:.4g}", "another start"))
    positive = curvatures[curvatures > ZERO * scale]
    if name == "newton":
        path, rule, step = newton(wide, start, steps), None, None
        if (told := ran_away(wide, path)) is not None:
            return _unknown(Missing(f"newton does not converge from this start: {told}", "a start nearer to a minimum"))
    else:
        if not positive.size and name != "gradient":
            what = f"no curvature at the limit is positive: the constants of {name} are not defined"
            return _unknown(Missing(what, "method='gradient'"))
        rule, step = constants(name, positive, scale)
        path = fixed(wide, start, rule, step, steps)
        away = not np.all(np.isfinite(path[-1])) or np.linalg.norm(path[-1] - limit) > np.linalg.norm(start - limit)
        if (away or cycling(wide, path)) and name == "gradient":
            rule, step = StepRule("sgd"), 1.0 / scale
            path = fixed(wide, start, rule, step, steps)
    own = limit_of(wide, path[-1], steps) if np.all(np.isfinite(path[-1])) else None
    if own is None:
        return _unknown(Missing(f"{name} does not converge from this start", "a start nearer to the minimum"))
    return _told(wide, name, rule, step, scale, path, own)


def _slopes(wide: Wide, limit: Array, f: float, g: Array) -> bool:
    """Whether f still slopes at a limit, as where it is linear and no curvature says how far to go."""
    left = float(np.linalg.norm(at(wide, limit)[1]))
    return left > max(1e-3 * float(np.linalg.norm(g)), 1e-9 * (1 + abs(f)))


def _unknown(missing: Missing) -> Answer[Rate]:
    claim = "the method converges at the rate that the curvatures predict"
    headline = f"No rate is told: {missing.what}."
    return Answer(claim, Standing.UNKNOWN, missing=(missing,), headline=headline)


# --- what it says ---------------------------------------------------------------------------------------------


def _told(
    wide: Wide, name: str, rule: StepRule | None, step: float | None, scale: float, path: list[Array], limit: Array
) -> Answer[Rate]:
    least, matrix = at(wide, limit)[0], wide.matrix(limit)
    errors = np.array([np.linalg.norm(x - limit) for x in path])
    gaps = np.array([at(wide, x)[0] - least for x in path])
    if errors[0] <= rounding(errors, limit):
        return _unknown(Missing("the start is the limit, up to rounding: no step shows a rate", "a start farther away"))
    curvatures = np.linalg.eigvalsh(matrix)
    if curvatures[0] < -ZERO * scale:
        return _unknown(Missing(f"the limit is no minimum: a curvature there is {curvatures[0]:.4g}", "another start"))
    positive = curvatures[curvatures > ZERO * scale]
    condition = float(positive[-1] / positive[0]) if positive.size else math.inf
    if rule is None:
        regular = positive.size == len(curvatures)  # else a limit is not known along what is singular, and steps tell
        moves = errors if regular else np.linalg.norm(np.diff(np.array(path), axis=0), axis=1)
        kind, observed = order(moves, rounding(errors, limit))
        predicted = 2.0 if regular and kind != "finite" else None
    else:
        floor = rounding(errors, limit, FLOOR)
        kind, observed, power = factor(errors, gaps, floor)
        last = int(np.flatnonzero(errors > floor)[-1])
        left = left_flat(wide, limit, matrix, ZERO * scale, path[last])
        if power is not None and left.unexplained > 0.5:
            kind, observed = "sublinear", power
        known = positive.size and kind != "sublinear" and left.whole < SMALL
        predicted = max(rule.growth(float(c), step) for c in positive) if known else None
    value = Rate(
        name, kind, predicted, observed, step, None if rule is None else rule.momentum, condition, errors, gaps
    )
    text = _sentence(value)
    reasons = [_main_reason(value)]
    if kind == "sublinear" and step is not None:
        reasons.append(_bound_of_convex(value, errors[0]))
    return Answer(
        text,
        Standing.MEASURED,
        value,
        arithmetic="float64",
        reasons=tuple(reasons),
        headline=text[0].upper() + text[1:] + ".",
        recheck=lambda: _again(wide, rule, step, path),
    )


def _again(wide: Wide, rule: StepRule | None, step: float | None, path: list[Array]) -> bool:
    """Whether the run, made once more, ends where it ended."""
    steps = len(path) - 1
    other = newton(wide, path[0], steps) if rule is None or step is None else fixed(wide, path[0], rule, step, steps)
    return bool(np.allclose(other[-1], path[-1], rtol=1e-6, atol=1e-12))


def _sentence(value: Rate) -> str:
    steps = len(value.errors) - 1
    if value.kind == "finite":
        after = "1 step" if value.observed == 1 else f"{value.observed:.0f} steps"
        return f"{value.method} is at the limit, up to rounding, after {after}: too few to show an order"
    if value.kind == "sublinear":
        return (
            f"{value.method} converges without a factor a step: f - f* falls like k^-{value.observed:.3g}, "
            "since a curvature at the limit is zero"
        )
    if value.kind in ("superlinear", "quadratic", "cubic"):
        more = value.predicted is not None and value.observed > CUBIC
        why = ", more than the order 2 of every regular minimum" if more else ""
        return f"{value.method} converges with the order {value.observed:.3g}{why}: the digits that are right multiply"
    seen = _near_one(value.observed)
    told = f"{value.method} multiplies the error by {seen} a step"
    if value.kind == "none":
        told = f"the last of {steps} steps of {value.method} come no nearer to the limit"
    if value.method == "newton":
        if value.kind == "none":
            told += f", {value.errors[-1]:.3g} away against {value.errors[0]:.3g} at the start"
        lost = "the Hessian at the limit is singular, so that the order 2 is lost"
        return f"{told}: " + (lost if value.predicted is None else "the order 2 shows nearer to it")
    if value.predicted is None:
        return f"{told} so far; f still rises along directions whose curvature at the limit is zero or nearly so"
    told += f"; the curvatures at the limit (condition {value.condition:.4g}) predict {_near_one(value.predicted)}"
    return f"{told}, which {steps} steps are too few to show" if _early(value, steps) else told


def _near_one(factor: float) -> str:
    """A factor, by what is missing to 1 where six digits do not show that."""
    return f"1 - {1 - factor:.2g}" if 0 < 1 - factor < 1e-5 else f"{factor:.6g}"


def _early(value: Rate, steps: int) -> bool:
    """Whether the slowest error has not yet shrunk by e, and what was seen is another factor than its own."""
    assert value.predicted is not None
    slow, seen = -math.log(max(value.predicted, 1e-300)), -math.log(max(value.observed, 1e-300))
    return 0 < slow * steps < 1 and abs(seen - slow) > 0.1 * slow


def _main_reason(value: Rate) -> Reason:
    shown = ", ".join(f"{e:.3g}" for e in value.errors[: min(6, len(value.errors))])
    return Reason(
        "the distances from the limit",
        {"heavy ball": "(sqrt k - 1)/(sqrt k + 1)", "nesterov": "1 - 1/sqrt k", "newton": "e <- C e^2"}.get(
            value.method, "(k - 1)/(k + 1)"
        ),
        f"condition {value.condition:.6g}",
        predicted=value.predicted,
        observed=value.observed,
        unpredicted="an order takes three errors"
        if value.kind == "finite"
        else "a curvature at the limit is zero or nearly so",
        standing=Standing.MEASURED,
        text=f"distances from the limit: {shown}, ... {value.errors[-1]:.3g} after {len(value.errors) - 1} steps",
    )


def _bound_of_convex(value: Rate, distance: float) -> Reason:
    """The bound of a convex function, beside what was seen."""
    assert value.step is not None
    k = np.arange(1, len(value.gaps))
    share = float(np.max(value.gaps[1:] * 2 * k * value.step / distance**2))
    return Reason(
        "gradient descent on a convex function with a step of at most 1/L",
        "f(x_k) - f* <= |x_0 - x*|^2 / (2 s k)",
        f"s = {value.step:.4g}, |x_0 - x*| = {distance:.4g}",
        predicted=1.0,
        observed=share,
        standing=Standing.MEASURED,
        text=f"f - f* is at most {share:.3g} of |x_0 - x*|^2 / (2 s k), the bound of convex functions",
    )


# --- what is proved -------------------------------------------------------------------------------------------


def _with_bound(answer: Answer[Rate], wide: Wide, asked: tuple[Any, ...], region: Any, steps: int) -> Answer[Rate]:
    """What holds for every start in the region, where m and L are proved there: a factor, and the worst case."""
    assert answer.value is not None
    fun, x, args = asked
    box = spread(region, x)
    shape, constant = convexity(fun, box, *args), lipschitz(fun, box, *args, order=1)
    if not (shape.proved and constant.proved) or shape.value is None:
        missing = Missing("constants of convexity and smoothness are not proved on the region", "a smaller region")
        return replace(answer, missing=(*answer.missing, missing))
    m, high = float(shape.value.strong or 0.0), float(constant.upper)
    value, more, told = answer.value, [shape, constant], list[Reason]()
    if value.method == "heavy ball" and 0 < m < high:
        rule, step = constants("heavy ball", np.array([m, high]), high)
        more += [never] if (never := refuted(m, high, step, rule.momentum)) is not None else []
    always = contraction(shape, constant, value.method) if value.method in ("gradient", "nesterov") else None
    if always is not None:
        told += [*always.reasons, *seen_factor(wide, always, m, high, min(steps, LONGEST))]
        more.append(always)
    worst = worst_case(shape, constant, steps) if value.method == "gradient" else None
    if worst is not None:
        told += [*worst.reasons, _beside_worst_case(value, wide, high, steps, worst)]
        more.append(worst)
    answer = replace(answer, reasons=(*answer.reasons, *told), answers=(*answer.answers, *more))
    if value.method != "gradient" or not m > 0:
        return answer
    if not minimum_within(wide, bounds_of(region, x), m, steps):
        missing = Missing(
            "the minimum is not in the region: constants there say nothing of the way to it", "a region about it"
        )
        return replace(answer, missing=(*answer.missing, missing))
    bound = float(np.nextafter((high - m) / (high + m), 1.0))
    reason = Reason(
        "gradient descent on a strongly convex function",
        "|x_{k+1} - x*| <= (L - m)/(L + m) |x_k - x*| with the step 2/(L + m)",
        f"m = {m:.6g}, L = {high:.6g}",
        premises=(*shape.reasons[:1], *constant.reasons[:1]),
        role="then",
        predicted=bound,
        observed=value.observed,
        text=f"with the step {2 / (high + m):.4g} the error shrinks by {bound:.6g} or better at every step made in the "
        "region, which holds the minimum (Nesterov 2018, theorem 2.1.15)",
    )
    return replace(answer, value=replace(value, bound=bound), reasons=(*answer.reasons, reason))


def _beside_worst_case(value: Rate, wide: Wide, high: float, steps: int, worst: Answer[float]) -> Reason:
    """A run of gradient descent with the step 1/L beside the bound of all such runs."""
    n = min(steps, LONGEST)
    path = fixed(wide, wide.start, StepRule("sgd"), 1 / high, n)
    least = at(wide, wide.start)[0] - value.gaps[0]
    most = float(worst.value or 0.0) * float(value.errors[0]) ** 2
    gap = float(at(wide, path[-1])[0] - least)
    return Reason(
        "a run beside its worst case",
        "f(x_N) - f* <= L |x_0 - x*|^2 / (4 N + 2)",
        f"N = {n}: {gap:.6g} <= {most:.6g}",
        predicted=most,
        observed=gap,
        standing=Standing.MEASURED,
        role="seen",
        text=f"from this start {n} steps of 1/L leave f - f* = {gap:.4g}, at most {most:.4g} by the bound",
    )
