"""Several solvers, one budget, one judge: the first point whose residuals hold is taken.

Sequential quadratic programming and interior points fail on different problems; so they are tried one after the other,
Uno first where it is installed, until one ends at a point that is a KKT point by residuals recomputed and polished by
Newton's method, whatever the solver says. At a KKT point that bends down along its constraints the run goes on from
either side of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse

from qed.optimization.constrained import scipy_engines, uno
from qed.optimization.constrained.curvature import Curvature, curvature
from qed.optimization.constrained.derivatives import Derivatives
from qed.optimization.constrained.duality import nowhere_lower
from qed.optimization.constrained.engine import Outcome, Said
from qed.optimization.constrained.nearby import lower_nearby
from qed.optimization.constrained.polish import KKT, judged, polished
from qed.optimization.constrained.problem import Constrained
from qed.optimization.constrained.rays import Ray, ray_down, ray_of
from qed.optimization.constrained.residuals import SOLVED, row_scales

Array = np.ndarray
ENGINES = ("uno-sqp", "uno-ipm", "slsqp", "trust-constr")
FEW = 100
"""Up to so many iterations one solver may take all; of more it may take half, so that others come to try, too."""
MANY = 500
"""With more parameters SLSQP, whose matrices are dense, is not tried, and interior points go first."""
OUT = 1e15
"""A point farther out than this, relative to the start, is no minimum: the solver ran off."""
LARGE = 1e4
"""Multipliers larger than this, relative to the slope of f, are believed only if Newton's method settles on them."""


@dataclass(frozen=True, eq=False)
class Solved:
    """What the portfolio ended with.

    Args:
        kkt: the best point.
        held: whether it is a KKT point: its residuals hold and its multipliers are settled.
        settled: whether Newton's method found the multipliers again.
        curvature: there, where it is a KKT point.
        outcomes: of all solvers that were asked, in order.
        engine: which found the point.
        escapes: how many saddles were left.
        ray: a ray of feasible points along which f falls for ever, if one was found.
    """

    kkt: KKT
    held: bool
    settled: bool
    curvature: Curvature | None
    outcomes: tuple[Outcome, ...]
    engine: str
    escapes: int = 0
    ray: Ray | None = None

    @property
    def steps(self) -> int:
        """The iterations of all solvers."""
        return sum(outcome.steps for outcome in self.outcomes)


def engines(problem: Constrained) -> tuple[str, ...]:
    """Which solvers are tried, in this order."""
    large = problem.n > MANY
    base = ("trust-constr",) if large else ("slsqp", "trust-constr")
    if not uno.available():
        return base
    return ("uno-ipm", "uno-sqp", *base) if large else ("uno-sqp", "uno-ipm", *base)


def run(problem: Constrained, start: Array, most: int, chosen: Sequence[str], tol: float = SOLVED) -> Solved:
    """Ask solvers one after the other until one ends at a KKT point that does not bend down.

    Args:
        problem: what to solve.
        start: a vector within the bounds.
        most: iterations of all of them together.
        chosen: which solvers.
        tol: for the residuals.
    """
    best: Solved | None = None
    outcomes: list[Outcome] = []
    ray: Ray | None = None
    for engine in chosen:
        left = most - sum(outcome.steps for outcome in outcomes)
        lost = any(outcome.said is Said.INFEASIBLE for outcome in outcomes)
        if outcomes and (left <= 0 or (lost and engine == "trust-constr")):
            break
        share = left if left <= FEW or engine == chosen[-1] else left // 2
        found = _asked(problem, start, share, engine, tol, outcomes)
        if found.held and bends_down(found):
            found = _escaped(problem, found, left - outcomes[-1].steps, outcomes, tol)
        if best is None or (_rank(found) < _rank(best) and not _tied(found, best)):
            best = found
        if best.held and not bends_down(best) and not _open(best):
            assert best.curvature is not None
            flat = best.curvature.strict <= best.curvature.zero
            sure = flat and nowhere_lower(problem, best.kkt) is not None
            lower = lower_nearby(problem, best.kkt, best.curvature.vector) if flat and not sure else None
            if lower is None and (not flat or sure or problem.sparse or engine != chosen[0]):
                break
            if lower is None:
                continue  # a flat place may be far from the lowest: the next solver is asked, too
            start = lower[0]  # the next solver begins there
        away = [outcome for outcome in outcomes if outcome.said is Said.UNBOUNDED or ran_off(problem, outcome.x)]
        ray = ray_of(problem, away[-1], start) if away else None
        if ray is None and best.held and best.curvature is not None:
            ray = ray_down(problem, best.kkt.seen.x, best.curvature.vector)
        if ray is not None:
            break
    assert best is not None
    return replace(best, outcomes=tuple(outcomes), ray=ray)


def _asked(problem: Constrained, start: Array, most: int, engine: str, tol: float, outcomes: list[Outcome]) -> Solved:
    """What one solver ends with, its outcome appended to the others.

    Sequential quadratic programming stops at a coarse tolerance: its last steps would be those of Newton's method,
    which polishes every point. Where that does not settle with fine residuals, it goes on to the fine tolerance.
    """
    coarse = engine == "uno-sqp" and tol >= SOLVED
    outcomes.append(ask(problem, start, most, engine, uno.COARSE if coarse else uno.FINE))
    found, first = weighed(problem, outcomes[-1], tol), outcomes[-1]
    if not coarse or first.said is not Said.CONVERGED or (found.settled and found.kkt.residuals.hold(uno.FINE)):
        return found
    outcomes.append(ask(problem, first.x, max(1, most - first.steps), engine))
    return min(found, weighed(problem, outcomes[-1], tol), key=lambda one: (not one.held, one.kkt.residuals.largest))


def ask(problem: Constrained, start: Array, most: int, engine: str, tolerance: float = uno.FINE) -> Outcome:
    """The outcome of one solver, which gets rows that are tiny everywhere in their own units."""
    asked, units = _in_units(problem), problem.units
    if engine.startswith("uno"):
        found = uno.solve(asked, start, most, engine, tolerance=tolerance)
    else:
        found = (scipy_engines.slsqp if engine == "slsqp" else scipy_engines.trust_constr)(asked, start, most)
    if asked is problem or found.multipliers is None:
        return found
    return replace(found, multipliers=replace(found.multipliers, y=found.multipliers.y / units))


def _in_units(problem: Constrained) -> Constrained:
    """The problem with each row divided by its unit; the problem itself where all are 1."""
    units, own = problem.units, problem.derivatives
    if np.all(units == 1.0):
        return problem

    def values(x: Array) -> tuple[float, Array]:
        f, c = own.values(x)
        return f, c / units

    def first(x: Array) -> tuple[Array, Any]:
        g, J = own.first(x)
        return g, scipy.sparse.csr_array(scipy.sparse.diags_array(1 / units) @ J) if own.sparse else J / units[:, None]

    def second(x: Array, y: Array, weight: float = 1.0) -> Any:
        return own.second(x, y / units, weight)

    return replace(problem, derivatives=Derivatives(values, first, second, own.sparse, own.why), moved=True)


def weighed(problem: Constrained, outcome: Outcome, tol: float) -> Solved:
    """An outcome with residuals, polished, and the curvature where they hold."""
    kkt = judged(problem, problem.at(outcome.x), outcome.multipliers)
    settled = False
    if outcome.said not in (Said.UNBOUNDED, Said.INFEASIBLE):
        kkt, settled = polished(problem, kkt)
    tol = max(tol, 1e3 * problem.eps)
    held = (
        kkt.residuals.hold(tol) and (settled or size_of_multipliers(kkt) <= LARGE) and not ran_off(problem, kkt.seen.x)
    )
    bend = curvature(problem, kkt) if held else None
    return Solved(kkt, held, settled, bend, (outcome,), outcome.engine)


def ran_off(problem: Constrained, x: Array) -> bool:
    """Whether a point lies so far out that residuals, which are relative, say nothing of it."""
    return float(np.abs(x).max(initial=0.0)) > OUT * (1.0 + float(np.abs(problem.start).max(initial=0.0)))


def size_of_multipliers(kkt: KKT) -> float:
    """The largest multiplier, in units of its row, relative to the slope of f."""
    scaled = np.abs(kkt.multipliers.y) * row_scales(kkt.seen)
    return float(scaled.max(initial=0.0)) / max(1.0, float(np.abs(kkt.seen.g).max(initial=0.0)))


def bends_down(found: Solved) -> bool:
    """Whether f falls on both sides of the point along some direction that the constraints leave, to second order."""
    return found.curvature is not None and found.curvature.lowest < -max(1e-6 * found.curvature.size, 1e-12)


def _open(found: Solved) -> bool:
    """Whether f may fall along directions that leave weakly active constraints, to second order."""
    return found.curvature is not None and found.curvature.strict < -max(1e-6 * found.curvature.size, 1e-12)


def _rank(found: Solved) -> tuple[bool, bool, float, float]:
    r = found.kkt.residuals
    largest = r.largest if np.isfinite(r.largest) else np.inf
    infeasible = r.feasibility if np.isfinite(r.feasibility) else np.inf
    if found.held:
        return (False, bends_down(found), found.kkt.seen.f, largest)
    return (True, False, max(infeasible, 1e-9), largest)


def _tied(found: Solved, best: Solved) -> bool:
    """Whether two KKT points have the same value but for rounding: then the first stays."""
    both = found.held and best.held and bends_down(found) == bends_down(best)
    return both and best.kkt.seen.f - found.kkt.seen.f <= 1e-9 * max(1.0, abs(best.kkt.seen.f))


def _escaped(problem: Constrained, found: Solved, most: int, outcomes: list[Outcome], tol: float) -> Solved:
    """From either side of a saddle: the lower of the KKT points found there; the saddle itself where there is none."""
    assert found.curvature is not None
    x, direction = found.kkt.seen.x, found.curvature.vector
    best = found
    for sign in (1.0, -1.0):
        if most <= 0:
            break
        move = 0.1 * max(1.0, float(np.linalg.norm(x)))
        outcome = ask(problem, problem.bounds.project(x + sign * move * direction), most, found.engine)
        outcomes.append(outcome)
        most -= outcome.steps
        other = weighed(problem, outcome, tol)
        if outcome.said is Said.UNBOUNDED and not best.escapes:
            best = Solved(other.kkt, False, False, None, (outcome,), other.engine, 1)
        if other.held and not bends_down(other) and (not best.escapes or other.kkt.seen.f < best.kkt.seen.f):
            best = Solved(other.kkt, True, other.settled, other.curvature, (outcome,), other.engine, 1)
    return best
