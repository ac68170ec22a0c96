"""What a multiplier means: the price of a constraint, how far it holds, and what relaxing the constraint brings.

Let f*(b) be the least value where one constraint is c(x) = b, or c(x) >= b, instead of 0 (or a bound is moved by b).
With L = f - y'c the multiplier is its slope, y = d f*/d b at b = 0; for bounds d f*/d lower = z_l, d f*/d upper = -z_u
(Bertsekas, *Nonlinear Programming*, 1999, section 3.2). Its unit is that of f over that of c: prices of constraints in
different units cannot be compared, what moving them brings can. A slope is exact at one point only:

    f*(b) = f* + y b + y' b^2 / 2 + ...,     y' from the KKT system:  [H -J'; J 0] (dx, dy) = (0, e) db

so that the tangent is 5 % off near |b| = 0.1 |y / y'|, or where another constraint begins or ceases to hold. Neither is
believed: the problem is solved again at b after b, each from the solution before, until the tangent is 5 % off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qed.answer import Answer, Missing, Reason
from qed.optimization.bounds import Bounds
from qed.optimization.constrained.derivatives import Derivatives
from qed.optimization.constrained.polish import Active, active_set, judged, polished
from qed.optimization.constrained.portfolio import Solved, engines, run
from qed.optimization.constrained.problem import Constrained, constrained
from qed.optimization.constrained.uniqueness import dependent
from qed.standing import Standing

Array = np.ndarray
OFF = 0.05
"""How far the tangent may be off, in relation to what it says."""
FEW = 4
"""Of how many constraints the interval is looked for, the largest prices first."""
DOUBLINGS, LEAPS = 8, 8
"""How often an interval is doubled, and then made 16 times as long, before it is said to have no end."""
STEPS = 200
"""Iterations of each solution."""


@dataclass(frozen=True, eq=False)
class Price:
    """What one constraint costs.

    Args:
        name: the constraint's.
        price: d f*/d b at b = 0.
        lower: the least b up to which the tangent is at most 5 % off; -inf where no end was found however far it was
            moved, to `at_lower`, more than 1e10 times as far as at first.
        upper: the largest such b.
        at_lower: what happens at the lower end, in words.
        at_upper: what happens at the upper end.
        moved: the b that was tried as an example, towards the side that lets f fall.
        predicted: price times `moved`.
        observed: by how much f* changed there.
        path: (b, f*(b)) of all solutions, in order of b.
    """

    name: str
    price: float
    lower: float
    upper: float
    at_lower: str
    at_upper: str
    moved: float
    predicted: float
    observed: float
    path: tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """The prices at a solution, and the cosine of grad f and the sum of y_i grad c_i (NaN where grad f is 0)."""

    prices: tuple[Price, ...]
    cosine: float


@dataclass(frozen=True, eq=False)
class _Moved:
    """A constraint that can be moved: a row, or a bound of one number."""

    problem: Constrained
    kind: str
    index: int
    name: str
    price: float

    def by(self, b: float) -> Constrained:
        """The problem with c(x) = b or >= b, or with the bound moved by b."""
        if self.kind == "row":
            own, unit = self.problem.derivatives, np.zeros(self.problem.rows)
            unit[self.index] = b

            def values(x: Array) -> tuple[float, Array]:
                f, c = own.values(x)
                return f, c - unit

            shifted = Derivatives(values, own.first, own.second, own.sparse, own.why)
            return replace(self.problem, derivatives=shifted, moved=True)
        bounds = self.problem.bounds
        ends = {"lower": bounds.lower.copy(), "upper": bounds.upper.copy()}
        ends[self.kind][self.index] += b
        if ends["lower"][self.index] > ends["upper"][self.index]:
            message = "the bounds cross"
            raise ValueError(message)
        return replace(self.problem, bounds=Bounds(ends["lower"], ends["upper"]), moved=True)


def sensitivity(problem: Constrained, best: Solved) -> Answer[Sensitivity]:
    """What each constraint that holds a KKT point costs, how far that holds, and what moving it brings.

    Args:
        problem: what was minimised.
        best: where it ended: a KKT point.

    Returns:
        An answer, MEASURED by solving again; UNKNOWN where the point is no KKT point or its multipliers are not unique.
    """
    title = problem.objective.title()
    loose = dependent(problem, best.kkt) if best.held else None
    if not best.held or loose is not None:
        what = "the point is no KKT point" if loose is None else loose.text
        settle = "a KKT point" if loose is None else "constraints that do not follow from each other"
        text = "Not priced: " + what + "."
        missing = (Missing(what, settle),)
        return Answer(text, Standing.UNKNOWN, None, arithmetic="float64", missing=missing, headline=text, subject=title)
    chosen = _constraints(problem, best)
    found = tuple(_priced(problem, best, one) for one in chosen[:FEW])
    value = Sensitivity(found, cosine(problem, best))
    reasons = [parallel(problem, best), *(_told(one) for one in found)]
    if len(chosen) > FEW:
        rest = f"{len(chosen) - FEW} more constraints with smaller prices were not moved"
        reasons.append(Reason("the rest", text=rest, role="open"))
    if len(found) > 1:
        units = "a price has the unit of f over that of its constraint: compare what moving brings, not prices"
        reasons.append(Reason("units", text=units, role="where"))
    text = _headline(found)

    def again() -> bool:
        return all(
            abs(_priced(problem, best, one).observed - price.observed) <= 1e-6 * max(1.0, abs(price.observed))
            for one, price in zip(chosen, found, strict=False)
        )

    return Answer(
        text, Standing.MEASURED, value, arithmetic="float64", reasons=tuple(reasons), headline=text, subject=title,
        recheck=again,
    )  # fmt: skip


def cosine(problem: Constrained, best: Solved) -> float:
    """The cosine of the angle between grad f and what the multipliers balance it with; NaN where one is zero."""
    seen, y = best.kkt.seen, best.kkt.multipliers
    held = seen.J.T @ y.y + y.lower - y.upper
    size = float(np.linalg.norm(seen.g) * np.linalg.norm(held))
    return float(seen.g @ held) / size if size > 0 else float("nan")


def parallel(problem: Constrained, best: Solved) -> Reason:
    """The line that shows that grad f is the sum of the constraints' gradients."""
    value = cosine(problem, best)
    if np.isnan(value):
        return Reason("parallel gradients", text="grad f is 0: no constraint pushes", role="because")
    text = f"grad f and the sum of y_i grad c_i are parallel: the cosine of their angle is {value:.9f}"
    return Reason("parallel gradients", "grad f = sum y_i grad c_i", f"cosine {value:.9f}", text=text, role="because")


def _constraints(problem: Constrained, best: Solved) -> list[_Moved]:
    """Those with a price, the largest first."""
    y, active = best.kkt.multipliers, active_set(problem, best.kkt)
    small, names = 1e-8 * max(1.0, float(np.abs(best.kkt.seen.g).max(initial=0.0))), problem.parameters
    found = [_Moved(problem, "row", int(i), problem.names[i], float(y.y[i])) for i in active.rows]
    fixed = problem.bounds.lower == problem.bounds.upper
    found += [
        _Moved(problem, "lower", int(j), f"lower bound of {names[j]}", float(y.lower[j]))
        for j in active.lower[~fixed[active.lower]]
    ]
    found += [
        _Moved(problem, "upper", int(j), f"upper bound of {names[j]}", -float(y.upper[j]))
        for j in active.upper[~fixed[active.upper]]
    ]
    return sorted((one for one in found if abs(one.price) > small), key=lambda one: -abs(one.price))


def _priced(problem: Constrained, best: Solved, one: _Moved) -> Price:
    """The price of a constraint with its interval."""
    base, seen = active_set(problem, best.kkt), {0.0: best.kkt.seen.f}
    unit = _unit(problem, best, one)
    ends, words = {}, {}
    for side in (-1.0, 1.0):
        ends[side], words[side] = _end(problem, best, one, base, side * unit, seen)
    loosens = -1.0 if one.price > 0 else 1.0
    moved = 0.5 * ends[loosens] if np.isfinite(ends[loosens]) and ends[loosens] else loosens * unit
    if moved not in seen:
        found = _solved(one, moved, best.kkt.seen.x)
        if found is not None:
            seen[moved] = found.kkt.seen.f
    observed = seen[moved] - best.kkt.seen.f if moved in seen else float("nan")
    path = tuple(sorted(seen.items()))
    return Price(
        one.name, one.price, ends[-1.0], ends[1.0], words[-1.0], words[1.0], moved, one.price * moved, observed, path
    )


def _unit(problem: Constrained, best: Solved, one: _Moved) -> float:
    """About how far the tangent holds by the second order; the size of the constraint where that is unbounded."""
    n, active = problem.n, active_set(problem, best.kkt)
    x = best.kkt.seen.x
    free = np.setdiff1d(np.arange(n), np.concatenate([active.lower, active.upper]))
    J = best.kkt.seen.J
    J = J.toarray() if hasattr(J, "toarray") else J
    if one.kind == "row":
        size = 0.1 * max(float(np.abs(J[one.index]) @ np.abs(x)), 1e-3 * float(np.abs(J[one.index]).max()), 1e-8)
    else:
        size = 0.1 * max(abs(float(x[one.index])), 1e-3)
    if problem.sparse:
        return size
    k = len(active.rows)
    H = problem.hessian(x, best.kkt.multipliers.y)
    part = J[np.ix_(active.rows, free)]
    matrix = np.block([[H[np.ix_(free, free)], -part.T], [part, np.zeros((k, k))]])
    if one.kind == "row":
        right = np.zeros(len(matrix))
        place = len(free) + int(np.flatnonzero(active.rows == one.index)[0])
        right[place] = 1.0
        slope = np.linalg.lstsq(matrix, right, rcond=None)[0][place]
    else:
        j = one.index
        coupled = np.concatenate([H[free, j], J[active.rows, j]])
        moved = -np.linalg.lstsq(matrix, coupled, rcond=None)[0] if len(matrix) else coupled
        slope = H[j, j] + H[j, free] @ moved[: len(free)] - J[active.rows, j] @ moved[len(free) :]
    holds = 2 * OFF * abs(one.price / slope) if slope else np.inf
    if one.kind != "row":
        return float(min(holds, max(100 * size, 1.0))) if holds > 1e-9 * size else size
    return float(min(holds, 100 * size)) if holds > 1e-9 * size else size


def _solved(one: _Moved, b: float, start: Array) -> Solved | None:
    """The solution with the constraint moved, from a start; None where no KKT point was found."""
    try:
        problem = one.by(b)
        found = run(problem, problem.bounds.project(start), STEPS, engines(problem))
    except (ValueError, np.linalg.LinAlgError):
        return None
    return found if found.held else None


def _end(
    problem: Constrained, best: Solved, one: _Moved, base: Active, unit: float, seen: dict[float, float]
) -> tuple[float, str]:
    """The end of the interval on one side, and what happens there."""
    start, f0 = best.kkt.seen.x, best.kkt.seen.f
    good, bad, last, b = 0.0, None, best, unit
    noise = 1e-9 * max(1.0, abs(f0))

    def holds(found: Solved | None, b: float) -> bool:
        if found is None:
            return False
        seen[b] = found.kkt.seen.f
        return abs(found.kkt.seen.f - f0 - one.price * b) <= OFF * abs(one.price * b) + noise

    for k in range(DOUBLINGS + LEAPS):
        found = _solved(one, b, start)
        if not holds(found, b):
            bad = b
            break
        assert found is not None
        good, last, start, b = b, found, found.kkt.seen.x, (2 if k < DOUBLINGS else 16) * b
    if bad is None:
        return float(np.sign(unit) * np.inf), f"no end was found up to {good:.4g}"
    lost = found
    for _ in range(24):
        if abs(bad - good) <= 5e-3 * abs(bad):
            break
        b = (good + bad) / 2 if good else bad / 4
        found = _solved(one, b, start)
        if holds(found, b):
            assert found is not None
            good, last, start = b, found, found.kkt.seen.x
        else:
            bad, lost = b, found
    return good, _event(one.by(good) if good else problem, last, base, lost)


def _event(problem: Constrained, at: Solved, base: Active, beyond: Solved | None) -> str:
    """What changed on the way to an end, in words."""
    now = active_set(problem, (beyond or at).kkt)
    changes = []
    for old, new, name in (
        (base.rows, now.rows, problem.names), (base.lower, now.lower, _bounds(problem, "lower")),
        (base.upper, now.upper, _bounds(problem, "upper")),
    ):  # fmt: skip
        changes += [f"{name[i]} begins to hold" for i in np.setdiff1d(new, old)[:2]]
        changes += [f"{name[i]} lets go" for i in np.setdiff1d(old, new)[:2]]
    if beyond is None:
        return "beyond, no solution was found" + (f" ({', '.join(changes)} before)" if changes else "")
    return ", ".join(changes) if changes else "the tangent is 5 % off"


def _bounds(problem: Constrained, side: str) -> list[str]:
    return [f"the {side} bound of {name}" for name in problem.parameters]


def _told(one: Price) -> Reason:
    """The line about a price."""
    interval = f"[{one.lower:.3g}, {one.upper:.3g}]"
    text = (
        f"{one.name}: moving it by b changes the least f by {one.price:.6g} b; within 5 % for b in {interval} "
        f"(below: {one.at_lower}; above: {one.at_upper})"
    )
    tried = f"tried: b = {one.moved:.3g} changes f by {one.observed:.4g}; the price says {one.predicted:.4g}"
    return Reason(
        "shadow price", "y = d f*/d b for c(x) = b or c(x) >= b", f"{one.price:.6g}", predicted=one.predicted,
        observed=one.observed, standing=Standing.MEASURED, text=f"{text}. {tried[0].upper()}{tried[1:]}",
    )  # fmt: skip


def _headline(found: tuple[Price, ...]) -> str:
    if not found:
        return "No constraint has a price: moving any of them a little changes nothing."
    one = found[0]
    return (
        f"{one.name} costs {one.price:.6g} for each unit: tried, moving it by {one.moved:.3g} changes the least f by "
        f"{one.observed:.4g}."
    )


def sensitivity_at(
    fun: Callable[..., Any], x: Any, args: tuple[Any, ...], *, equality: Any, inequality: Any, bounds: Any
) -> Answer[Sensitivity]:
    """The same of a point that somebody found; polished by Newton's method first.

    Example:
        >>> import jax.numpy as jnp
        >>> answer = sensitivity_at(
        ...     lambda x: x[0] ** 2 + x[1] ** 2, jnp.array([1.0, 1.0]), (), equality=lambda x: x[0] + x[1] - 2,
        ...     inequality=None, bounds=None,
        ... )
        >>> price = answer.prices[0]
        >>> round(price.price, 6), round(price.lower, 1), round(price.upper, 1), price.at_upper
        (2.0, -0.2, 0.2, 'the tangent is 5 % off')
    """
    problem = constrained(fun, x, args, equality, inequality, bounds)
    kkt, settled = polished(problem, judged(problem, problem.at(problem.start), None))
    return sensitivity(problem, Solved(kkt, kkt.residuals.hold(), settled, None, (), ""))
