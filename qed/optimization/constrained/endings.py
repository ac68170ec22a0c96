"""What the best point of a constrained run is: a minimum, a saddle, in conflict, without an end, or undecided."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qed.answer import Reason
from qed.optimization.bounds import drawn
from qed.optimization.constrained.corners import corner_at, cut_off, jump
from qed.optimization.constrained.curvature import falls, rises
from qed.optimization.constrained.duality import nowhere_lower
from qed.optimization.constrained.engine import Said
from qed.optimization.constrained.flat_rows import surely_lower_nearby
from qed.optimization.constrained.fritz_john import FritzJohn, balance, fritz_john
from qed.optimization.constrained.limits import limit
from qed.optimization.constrained.nearby import climbs, lower_nearby
from qed.optimization.constrained.one_sided import one_sided
from qed.optimization.constrained.outward import outward
from qed.optimization.constrained.own_units import bends_in_own_units
from qed.optimization.constrained.polish import KKT
from qed.optimization.constrained.portfolio import LARGE, Solved, bends_down, size_of_multipliers
from qed.optimization.constrained.problem import Constrained
from qed.optimization.constrained.residuals import SOLVED, Lagrange, row_scales, violations
from qed.optimization.constrained.restoration import Restored, restored
from qed.optimization.constrained.swallowed import swallowed
from qed.optimization.constrained.told import Told
from qed.optimization.solution import Ending
from qed.standing import Standing

Array = np.ndarray
STARTS, FEW = 6, 50
"""From how many more points a feasible one is looked for, and with how many parameters at most."""


def told(problem: Constrained, best: Solved) -> Told:
    """What the best point of a run is."""
    failing = _constant(problem, best)
    if failing is not None:
        return failing
    corner = jump(problem, best) or cut_off(problem, best) or corner_at(problem, best)
    if corner is not None:
        return corner
    if best.ray is not None:
        return Told(Ending.UNBOUNDED_BELOW, best.ray.text, direction=best.ray.direction)
    if best.held:
        return limit(problem, best) or lost_in_rounding(problem, best) or _kkt_point(problem, best)
    words = _open(problem, best) if best.kkt.residuals.feasibility <= SOLVED else _in_conflict(problem, best)
    if words.kind not in (Ending.UNDECIDED, Ending.BUDGET_SPENT):
        return words
    if best.outcomes and best.kkt.residuals.feasibility <= SOLVED:
        out = outward(problem, best.kkt)
        if out is not None:
            return out
    return _edge(problem, best) or corner_at(problem, best, 1e-5, 0.1, known=False) or words


def _edge(problem: Constrained, best: Solved) -> Told | None:
    """Whether the solvers stopped where something ceases to be defined: an end that no constraint tells them of."""
    here, rng = best.kkt.seen, np.random.default_rng(0)
    if not any(outcome.outside is not None for outcome in best.outcomes):
        return None
    unit = np.eye(problem.n)
    ways = [*unit, *-unit] if problem.n <= 20 else list(rng.choice([-1.0, 1.0], (8, problem.n)))
    for way in ways:
        x = problem.bounds.project(here.x + 1e-4 * (1 + np.abs(here.x)) * way)
        f, c = problem.values(x)
        missing = np.flatnonzero(~np.isfinite([f, *c]))
        if len(missing):
            name = "f" if missing[0] == 0 else problem.names[int(missing[0]) - 1]
            text = (
                f"Undecided: the solvers stopped at the edge of where {name} is defined, and no constraint says where "
                "that is; a minimum at such an edge has no multipliers."
            )
            return Told(Ending.UNDECIDED, text, "the edge of the domain as a constraint or a bound")
    return None


def _constant(problem: Constrained, best: Solved) -> Told | None:
    """Rows that do not depend on x and do not hold: nothing can be done about them."""
    rows, _ = violations(problem, best.kkt.seen)
    wrong = np.flatnonzero(~problem.free & (rows > SOLVED))
    if not len(wrong):
        return None
    i = int(wrong[0])
    has_to = "be 0" if i < problem.equalities else "be at least 0"
    if problem.cornered or problem.stopped:
        here = f"it is {best.kkt.seen.c[i]:.6g} and has to {has_to}"
        text = f"Undecided: {problem.names[i]} has no slope at all, and may depend on the parameters; {here}."
        return Told(Ending.UNDECIDED, text, "constraints with slopes that lead to where they hold")
    text = (
        f"Infeasible: {problem.names[i]} does not depend on the parameters; it is {best.kkt.seen.c[i]:.6g} and has to "
        f"{has_to}."
    )
    return Told(Ending.INFEASIBLE, text)


def lost_in_rounding(problem: Constrained, best: Solved) -> Told | None:
    """Whether a row holds in floats alone."""
    found = swallowed(problem, best.kkt.seen, 2 * SOLVED)
    if found is None:
        return None
    text = (
        f"Undecided: {found[0]} holds in floats ({found[1]:.3g}) and not in real numbers, where it is violated by "
        f"{found[2]:.6g}: rounding swallows what it says."
    )
    return Told(Ending.UNDECIDED, text, "the constraint written without adding to or taking from a large number")


def _independent(problem: Constrained, best: Solved) -> bool:
    """Whether the gradients of what holds the point are independent, so that curvatures speak of feasible points."""
    here = best.kkt.seen
    scales = row_scales(here)
    active = np.flatnonzero((np.arange(problem.rows) < problem.equalities) | (here.c <= 1e-8 * scales))
    if problem.sparse or not len(active):
        return True
    free = (here.x > problem.bounds.lower) & (here.x < problem.bounds.upper)
    rows = np.asarray(here.J)[active][:, free]
    lengths = np.linalg.norm(rows, axis=1)
    if rows.shape[0] > rows.shape[1] or not np.all(lengths > 1e-8 * scales[active]):
        return False
    sizes = np.linalg.svd(rows / lengths[:, None], compute_uv=False)
    return bool(sizes.min() > 1e-8 * sizes.max())


def _kkt_point(problem: Constrained, best: Solved) -> Told:
    bend, r = best.curvature, best.kkt.residuals
    assert bend is not None
    size = f"KKT residuals at most {max(r.largest, 1e-16):.1e}"
    held = f"to first order no step that the constraints allow lowers f ({size})"
    if np.isnan(bend.lowest):
        text = f"A KKT point: {held}; how the Lagrangian bends along the constraints was not found."
        return Told(Ending.UNDECIDED, text, "the least curvature on the null space of the active constraints")
    if bends_down(best) and not _independent(problem, best) and not surely_lower_nearby(problem, best.kkt, bend.vector):
        text = (
            f"A KKT point: {held}; the Lagrangian bends down ({bend.lowest:.3g}) along a direction that the gradients "
            "of the constraints leave, but they are dependent, and no feasible point that was looked at is lower."
        )
        return Told(Ending.UNDECIDED, text, "constraints whose gradients at the point are independent")
    if bends_down(best):
        highest = falls(problem, best.kkt)
        if highest is not None:
            text = (
                f"A maximum under the constraints: to first order no step that they allow changes f ({size}), and the "
                f"Lagrangian bends down, by {-highest:.3g} at least, along all that they leave free."
            )
            return Told(Ending.MAXIMUM, text, direction=bend.vector)
        text = f"Not a minimum: {held}, but the Lagrangian bends down ({bend.lowest:.3g}) along one left free."
        return Told(Ending.SADDLE, text, direction=bend.vector)
    if bend.dimension == 0 and bend.strict == np.inf:
        return Told(Ending.MINIMUM, f"A minimum under the constraints: {held}, and those that hold it leave none free.")
    if bend.strict > bend.zero:
        text = (
            f"A minimum under the constraints: {held}, and the Lagrangian bends up, by {bend.strict:.3g} at least, "
            "along all that they leave free."
        )
        return Told(Ending.MINIMUM, text)
    if bend.dimension == 0 and rises(problem, best.kkt):
        text = f"A minimum under the constraints: {held}, and along all that they allow to first order f rises."
        return Told(Ending.MINIMUM, text)
    if bend.strict < -bend.zero:
        sided = one_sided(problem, best, held)
        if sided is not None:
            return sided
        text = (
            f"A KKT point: {held}; some constraints hold it with no force, and along directions that leave them the "
            f"Lagrangian bends by {bend.strict:.3g}."
        )
        return Told(Ending.UNDECIDED, text, "whether f falls along directions that leave the weakly active constraints")
    bent = bends_in_own_units(problem, best.kkt)
    if bent is not None:
        text = (
            f"A minimum under the constraints: {held}, and f bends up in all directions, in each number's own unit, by "
            f"{bent:.3g} at least."
        )
        return Told(Ending.MINIMUM, text)
    gap = nowhere_lower(problem, best.kkt)
    lower = lower_nearby(problem, best.kkt, bend.vector) if gap is None else None
    if lower is not None:
        text = f"Not a minimum: {held}, but nearby a feasible point is {best.kkt.seen.f - lower[1]:.3g} lower."
        return Told(Ending.SADDLE, text, direction=bend.vector)
    rise = climbs(problem, best.kkt, bend.vector, bend.size) if bend.dimension == 1 and not problem.sparse else None
    if rise is not None:
        text = (
            f"A minimum as far as was looked: {held}; along the one direction that they allow to first order the "
            f"Lagrangian does not bend, and at the feasible points nearest to it f is higher, by {rise:.3g} at least."
        )
        return Told(Ending.MINIMUM, text)
    far = "A flat minimum as far as was looked" if gap is None else "A flat minimum"
    text = f"{far}: {held}; along some direction the Lagrangian does not bend"
    text += "." if gap is None else f", and nowhere under the constraints is f lower by more than {gap:.1e}."
    return Told(Ending.FLAT_MINIMUM, text, direction=bend.vector)


def _in_conflict(problem: Constrained, best: Solved) -> Told:
    """Of a run that found no feasible point: which rows are in conflict where the violation is least."""
    begun = restored(problem, problem.start, most=1)
    if begun is not None and begun.violation <= SOLVED:
        text = "Undecided: the start satisfies the constraints, and every solver left them and did not come back."
        return Told(Ending.UNDECIDED, text, "bounds that keep the solvers near the start", near=begun)
    found = None
    for x in [best.kkt.seen.x, problem.start, *(outcome.x for outcome in best.outcomes)][:4]:
        other = restored(problem, x)
        if other is not None and (found is None or other.violation < found.violation):
            found = other
    if found is None or not np.isfinite(found.violation):
        text = "Undecided: no solver found a point that satisfies the constraints, and the nearest was not found."
        return Told(Ending.UNDECIDED, text, "another start")
    spent = any(outcome.said is Said.LIMIT for outcome in best.outcomes)
    if spent and (found.violation <= SOLVED or found.stationary > 1e-5):
        off = best.kkt.residuals.feasibility
        text = f"The budget is spent: after {best.steps} steps the constraints are violated by {off:.1e}, relative."
        return Told(Ending.BUDGET_SPENT, text, "more steps (max_steps=), or another start", near=found)
    if found.violation <= SOLVED:
        reached = "satisfies the constraints" if found.violation <= 1e-12 else f"is {found.violation:.1g} off them"
        text = f"Undecided: a point that {reached} was found, and no solver reached a minimum from there."
        again = "another start, or the point that satisfies the constraints as start"
        return Told(Ending.UNDECIDED, text, again, near=found)
    parts = (found.weights / found.scales, found.lower, found.upper)  # in units of the rows as they are written
    named = _weights(problem, *(part / max(float(np.abs(np.concatenate(parts)).max()), 1e-300) for part in parts))
    if found.stationary > 1e-5:
        text = f"Undecided: no solver found a point that satisfies the constraints; least violated so far: {named}."
        return Told(Ending.UNDECIDED, text, "more steps, or another start", near=found)
    for other in _others(problem):
        if other.violation <= SOLVED:
            text = "Undecided: a point that satisfies the constraints was found, but not from where the run began."
            return Told(Ending.UNDECIDED, text, "the point that satisfies the constraints as start", near=other)
    if _plateau(problem, found):
        text = (
            f"Undecided: no solver found a point that satisfies the constraints; where they are violated least so far "
            f"({named}) they neither slope nor bend, and nothing tells where they hold."
        )
        return Told(Ending.UNDECIDED, text, "a start from where the constraints slope", near=found)
    rows, _ = violations(problem, problem.at(found.x))
    by = ", ".join(f"{problem.names[i]} by {rows[i]:.3g}" for i in np.argsort(-rows, kind="stable")[:3] if rows[i] > 0)
    where = ", ".join(f"{v:.6g}" for v in found.x[:4]) + (", ..." if problem.n > 4 else "")
    text = (
        f"Infeasible as far as was looked: where the constraints are violated least, at ({where}), {by}, no direction "
        f"lowers the violation; in conflict there, as gradients times weights add up to 0: {named}."
    )
    reason = Reason(
        "least violation", "min sum (violation of row i / s_i)^2, s_i = max(1, |grad c_i|)", standing=Standing.MEASURED,
        unpredicted="it was observed", text=f"the violation is stationary to {found.stationary:.1e}, relative",
    )  # fmt: skip
    return Told(Ending.INFEASIBLE, text, reasons=(reason,), near=found)


def _plateau(problem: Constrained, found: Restored) -> bool:
    """Whether all that is violated most neither slopes there nor changes a tenth of |x| away, as far out on exp(-x^2).

    Where rows push against each other, or one has its least violation, some value changes.
    """
    rows, x = np.abs(found.weights) > 0.1, found.x
    here, size, rng = problem.at(x), 1 + np.abs(x), np.random.default_rng(0)
    slope, most = abs(here.J) @ size, 1e-8 * np.abs(here.c)
    if np.any(slope[rows] > most[rows]):
        return False
    moves = [0.1 * sign * size * rng.standard_normal(problem.n) for sign in (1.0, -1.0, 1.0, -1.0)]
    near = [problem.values(problem.bounds.project(x + move))[1] for move in moves]
    return all(bool(np.all(np.abs(c - here.c)[rows] <= most[rows])) for c in near)


def _others(problem: Constrained) -> Iterator[Restored]:
    """The nearest points from other starts."""
    more = [] if problem.sparse or problem.n > FEW else drawn(problem.bounds, problem.start, STARTS, problem.at)
    found = (restored(problem, seen.x) for seen in more)
    return (other for other in found if other is not None)


def _weights(problem: Constrained, y: Array, lower: Array, upper: Array) -> str:
    """Rows and bounds with their weights, the largest first."""
    names = (
        *problem.names,
        *(f"lower bound of {name}" for name in problem.parameters),
        *(f"upper bound of {name}" for name in problem.parameters),
    )
    weights = np.concatenate([y, lower, upper])
    order = [int(i) for i in np.argsort(-np.abs(weights), kind="stable") if abs(weights[i]) > 1e-5]
    rest = f" and {len(order) - 6} more" if len(order) > 6 else ""
    return ", ".join(f"{names[i]} (weight {weights[i]:.3g})" for i in order[:6]) + rest


def _open(problem: Constrained, best: Solved) -> Told:
    """A feasible point whose KKT conditions do not hold."""
    r, size = best.kkt.residuals, size_of_multipliers(best.kkt)
    john = fritz_john(problem, best.kkt) if size > LARGE else None
    if john is not None:
        return _no_multipliers(problem, john)
    weights = balance(problem, best.kkt)
    if weights is not None:
        return degenerate(problem, best.kkt, weights)
    if size > LARGE:
        text = (
            f"Undecided: the point is feasible to {r.feasibility:.1e}, and no multipliers settled there: they grow, to "
            f"{size:.2g} times the slope of f. So it looks near a minimum that is no KKT point."
        )
        return Told(Ending.UNDECIDED, text, "Fritz John multipliers at the limit point")
    if any(outcome.said is Said.LIMIT for outcome in best.outcomes):
        text = f"The budget is spent: after {best.steps} steps the KKT conditions hold to {r.largest:.1e} only."
        return Told(Ending.BUDGET_SPENT, text, "more steps, or another start")
    text = f"Undecided: no solver ended at a KKT point; at the best one the conditions hold to {r.largest:.1e} only."
    return Told(Ending.UNDECIDED, text, "another start, or a smoother problem")


def _no_multipliers(problem: Constrained, found: FritzJohn) -> Told:
    """The words about a minimum, as it seems, that is no KKT point."""
    named = _weights(problem, found.weights.y, found.weights.lower, found.weights.upper)
    where = ", ".join(f"{v:.6g}" for v in found.seen.x[:4]) + (", ..." if problem.n > 4 else "")
    text = (
        f"No KKT point as far as was looked: towards ({where}), f = {found.seen.f:.6g}, multipliers grow without end: "
        "the constraints are degenerate there and have no price."
    )
    rule = Reason(
        "Fritz John", "l grad f = J'y + z_l - z_u, (l, y, z) >= 0", standing=Standing.MEASURED,
        unpredicted="growth was observed", role="because",
        text=f"multipliers grew {found.grown:.2g}-fold on the way; Fritz John: {found.weight:.1e} on grad f, {named}",
    )  # fmt: skip
    return Told(Ending.NO_KKT_POINT, text, reasons=(rule,))


def degenerate(problem: Constrained, kkt: KKT, weights: Lagrange) -> Told:
    """The words about a feasible point where the constraints balance without f, and no multipliers exist."""
    named = _weights(problem, weights.y, weights.lower, weights.upper)
    text = (
        "No KKT point: no multipliers balance the gradient of f, and the constraints that hold the point balance among "
        "themselves; along the way that f falls to first order, and along single parameters, no feasible point was "
        "lower."
    )
    rule = Reason(
        "Fritz John", "0 grad f = J'y + z_l - z_u, (y, z) >= 0", standing=Standing.MEASURED,
        unpredicted="it was observed", text=f"Fritz John weights, 0 on grad f: {named}",
    )  # fmt: skip
    return Told(Ending.NO_KKT_POINT, text, reasons=(rule,))
