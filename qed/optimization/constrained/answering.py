"""Minimising under constraints, from the question to the answer: what the best point is, in words.

What is said of a point is what was recomputed there: its residuals, what its constraints cost, how the Lagrangian bends
along them. A solver's own word is told beside it, and decides nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from qed.answer import Answer, Missing, Reason
from qed.calculus.hessian import flatten
from qed.domains.words import plural
from qed.errors import QedError
from qed.optimization.bounds import drawn
from qed.optimization.constrained.born import outside_reason, start_error
from qed.optimization.constrained.conflict import unsatisfiable
from qed.optimization.constrained.endings import told
from qed.optimization.constrained.gap_told import by_gap
from qed.optimization.constrained.nearby import NEAR, lower_nearby
from qed.optimization.constrained.polish import active_set
from qed.optimization.constrained.portfolio import ENGINES, LARGE, Solved, engines, run, size_of_multipliers
from qed.optimization.constrained.problem import Constrained, constrained
from qed.optimization.constrained.proof import onward, proved, unbounded
from qed.optimization.constrained.residuals import SOLVED, residuals
from qed.optimization.constrained.told import Told
from qed.optimization.constrained.uniqueness import dependent
from qed.optimization.sensitivity import parallel, sensitivity
from qed.optimization.solution import Ending, Multipliers, Solution, Verdict, placed
from qed.standing import Standing

Array = np.ndarray
VIOLATED = 1e-11
"""Where a point violates the constraints by more, they may be in conflict; at all, where multipliers run off."""
STEPS = 1000
"""Iterations of all solvers together, unless said otherwise."""


@np.errstate(over="ignore", invalid="ignore")  # numbers of a run that goes out for ever are judged as they come
def minimize_constrained(
    fun: Callable[..., Any], x0: Any, args: tuple[Any, ...], *, equality: Any, inequality: Any, bounds: Any,
    method: str | None, tol: float, max_steps: int | None, starts: int,
) -> Answer[Solution]:  # fmt: skip
    """The answer of `qed.minimize` where h(x) = 0 or g(x) >= 0 is given; see there."""
    began = time.perf_counter()
    chosen = _chosen(method)
    problem = constrained(fun, x0, args, equality, inequality, bounds)
    solvers = engines(problem) if chosen is None else (chosen,)
    start = problem.start
    if not problem.at(start).finite:
        raise start_error(problem, start)
    most = max(1, STEPS if max_steps is None else max_steps)
    more = [seen.x for seen in drawn(problem.bounds, start, starts - 1, problem.at)]
    runs = [run(problem, each, most, solvers, max(tol, SOLVED)) for each in (start, *more)]
    best = min(runs, key=lambda one: (not one.held, one.kkt.seen.f if one.held else one.kkt.residuals.feasibility))
    if not best.held and best.ray is None and best.kkt.residuals.feasibility <= SOLVED:
        best = _onward(problem, best, most - sum(one.steps for one in runs), solvers, max(tol, SOLVED))
    counts = {**problem.counts, "steps": sum(one.steps for one in runs)}
    words = told(problem, best)
    return _answer(problem, best, words, counts, runs, time.perf_counter() - began)


def _onward(problem: Constrained, best: Solved, most: int, solvers: tuple[str, ...], tol: float) -> Solved:
    """The run from a lower feasible point beside one that no multipliers hold, if that ends at a KKT point."""
    size = float(np.linalg.norm(best.kkt.seen.g))
    lower = lower_nearby(problem, best.kkt, -best.kkt.seen.g / size, NEAR) if 0 < size < np.inf and most > 0 else None
    if lower is None:
        return best
    other = run(problem, lower[0], most, solvers, tol)
    held = other.held and other.kkt.seen.f < best.kkt.seen.f
    return replace(other, outcomes=(*best.outcomes, *other.outcomes)) if held else best


def _chosen(method: str | None) -> str | None:
    if method is None or method in ENGINES:
        return method
    because = f"under constraints there are {', '.join(ENGINES)}"
    raise QedError("QED007", f"method={method!r} takes no constraints", because, "method=None")


def _answer(
    problem: Constrained, best: Solved, words: Told, counts: dict[str, int], runs: list[Solved], seconds: float
) -> Answer[Solution]:
    seen, found = best.kkt.seen, best.kkt.multipliers
    equality, inequality = problem.row_trees(found.y)
    multipliers = Multipliers(problem.tree(found.lower), problem.tree(found.upper), equality, inequality)
    off = best.kkt.residuals.feasibility > (VIOLATED if best.held or size_of_multipliers(best.kkt) <= LARGE else 0.0)
    refused = unsatisfiable(problem, words, best.kkt) if off else None
    refused = refused or unbounded(problem, best.kkt, words)
    if refused is not None:
        words, said = refused
    else:
        said = proved(problem, best.kkt, best.curvature, seen.x, words)
        words, said = onward(problem, best.kkt, words, said)
        said = by_gap(problem, best.kkt, seen.x, words, said)
    verdict = verdict_of(problem, best, words)
    value = Solution(
        problem.tree(seen.x), seen.f, problem.tree(seen.g), multipliers, counts, words.kind, best.engine, verdict,
        lambda: sensitivity(problem, best),
    )  # fmt: skip
    at = placed(problem.objective.paths, value.x, seen.f)
    reasons = (
        at, *said.reasons, *because(problem, best, words), *words.reasons, *_around(problem, best, counts, runs)
    )  # fmt: skip
    dtype = problem.objective.dtype
    if dtype != "float64":
        text = f"everything was computed in float64 from the graph; x is returned rounded to {dtype}"
        reasons = (*reasons, Reason("rounding", text=text, role="where"))
    missing = () if words.settle is None else (Missing(words.text, words.settle),)
    again = recheck(problem, best, words) if said.standing is Standing.MEASURED else None
    return Answer(
        said.claim, said.standing, value, arithmetic="float64" if said.certificate is None else "reals",
        reasons=reasons, missing=missing, findings=said.findings, headline=said.headline or words.text,
        certificate=said.certificate, answers=said.answers, subject=problem.objective.title(),
        meta={"seconds": seconds, "dtype": dtype},
        recheck=again,
    )  # fmt: skip


def verdict_of(problem: Constrained, best: Solved, words: Told) -> Verdict:
    """The value of the answer about a point."""
    seen, found, bend = best.kkt.seen, best.kkt.multipliers, best.curvature
    with np.errstate(invalid="ignore"):  # a slope may be infinite
        rest = seen.g - seen.J.T @ found.y - found.lower + found.upper
    ends = {} if bend is None or not np.isfinite(bend.lowest) else {"lowest": bend.lowest}
    return Verdict(
        words.kind, seen.f, float(np.abs(rest).max(initial=0.0)), 4 * problem.eps * abs(seen.f),
        direction=None if words.direction is None else problem.tree(words.direction),
        residuals=best.kkt.residuals, **ends,
    )  # fmt: skip


def because(problem: Constrained, best: Solved, words: Told) -> tuple[Reason, ...]:
    """The residuals of a point, and what holds it, unless multipliers say nothing there."""
    r = best.kkt.residuals
    numbers = (
        f"stationarity {r.stationarity:.1e}, feasibility {r.feasibility:.1e}, "
        f"complementarity {r.complementarity:.1e}, sign {r.sign:.1e}"
    )
    kkt = Reason(
        "Karush-Kuhn-Tucker", "grad f = J'y + z_l - z_u, y * slack = 0", numbers, standing=Standing.MEASURED,
        unpredicted="the residuals were recomputed at the point",
        text=f"residuals of the KKT conditions: {numbers}",
    )  # fmt: skip
    told = best.held and words.kind not in (Ending.KINK, Ending.STOP_GRADIENT)
    holding = _holding(problem, best) if told else ()
    return (kkt, *holding)


def _holding(problem: Constrained, best: Solved) -> tuple[Reason, ...]:
    """Which constraints hold the point, and what each costs: the largest prices first."""
    found, active = best.kkt.multipliers, active_set(problem, best.kkt)
    names = problem.parameters
    pushing = [i for i in active.rows if found.y[i] != 0 or best.kkt.seen.c[i] <= SOLVED]  # beside a pole c is large
    priced = [(abs(found.y[i]), f"{problem.names[i]} {found.y[i] + 0.0:.6g}") for i in pushing]
    priced += [(found.lower[i], f"lower bound of {names[i]} {found.lower[i]:.6g}") for i in active.lower]
    priced += [(found.upper[i], f"upper bound of {names[i]} {0.0 - found.upper[i]:.6g}") for i in active.upper]
    priced.sort(key=lambda pair: -pair[0])
    if not priced:
        return (Reason("active set", text="no constraint holds the point", role="because"),)
    rest = f", and {len(priced) - 8} more" if len(priced) > 8 else ""
    listed = ", ".join(text for _, text in priced[:8])
    loose = dependent(problem, best.kkt)
    what = "d f*/d b of each" if loose is None else "a multiplier of each"
    text = f"held by ({what}): {listed}{rest}"
    prices = Reason("multipliers", "y = d f*/d b for c(x) = b or c(x) >= b", listed, text=text, role="because")
    if loose is None:
        return (prices, parallel(problem, best))
    ranges = "J'y + z_l - z_u = grad f, y_g >= 0, z >= 0"
    return (prices, Reason("linear independence", ranges, text=loose.text, role="where"))


def _around(problem: Constrained, best: Solved, counts: dict[str, int], runs: list[Solved]) -> tuple[Reason, ...]:
    """How it was found: the solvers, what was left aside, what they cost."""
    found = []
    said = "; ".join(f"{one.engine}: {one.words} ({plural(one.steps, 'step')})" for one in best.outcomes)
    found.append(Reason("solvers", text=f"iterations by {said}", role="method"))
    moved = int(np.sum(problem.start != _given(problem)))
    if moved:
        text = f"{moved} of {problem.n} numbers of the start lay outside the bounds; it was projected"
        found.append(Reason("projection", "P(x)", text=text, role="start"))
    still = [] if problem.cornered or problem.stopped else np.flatnonzero(~problem.free)  # a row may have no slope
    for name in (problem.names[i] for i in still):
        text = f"{name} does not depend on {problem.objective.paths[0].split('[')[0]}: it holds or fails whatever x is"
        found.append(Reason("constant constraint", text=text, role="where"))
    found += outside_reason(problem, best.outcomes)
    if len(runs) > 1:
        values = sorted(one.kkt.seen.f for one in runs if one.held)
        text = f"{len(runs)} starts (seed 0), {len(values)} ended at KKT points"
        text += f", at values from {values[0]:.6g} to {values[-1]:.6g}" if values else ""
        found.append(Reason("starts", text=text, role="starts"))
    made = ((counts["steps"], "step"), (counts["values"], "evaluation"), (counts["hessians"], "Hessian"))
    text = ", ".join(plural(count, noun) for count, noun in made)
    if (more := problem.counts["values"] - counts["values"]) > 0:
        text += f"; {plural(more, 'evaluation')} more to judge the point"
    if best.escapes:
        text += "; a saddle was left along the direction in which the Lagrangian bends down"
    found.append(Reason("counts", text=f"{text}; {problem.derivatives.why}", role="cost"))
    return tuple(found)


def _given(problem: Constrained) -> Array:
    return flatten(problem.objective.parameters)


def recheck(problem: Constrained, best: Solved, words: Told) -> Callable[[], bool]:
    """Read the problem anew, and ask the point found for its residuals (or its words) once more."""

    def again() -> bool:
        fun, x0, args, equality, inequality, bounds = problem.asked
        fresh = constrained(fun, x0, args, equality, inequality, bounds)
        if not best.held:
            return told(fresh, best).kind is words.kind
        found = residuals(fresh, fresh.at(best.kkt.seen.x), best.kkt.multipliers)
        return found.largest <= max(10 * best.kkt.residuals.largest, 1e-9)

    return again
