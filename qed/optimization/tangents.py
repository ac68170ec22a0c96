"""The least value of a convex function at a corner, proved by tangents next to it.

Where f is convex and least at x, no direction d has g'd < 0 for the slopes g at all points next to x: their mean with
some weights is 0 (Rockafellar, *Convex Analysis*, 1970, theorem 23.4). Points are looked for one by one: next to x down
the shortest mean of the slopes that are known, which adds a slope across it, until the mean is 0 and stays 0 where the
slopes are changed a little: then the equations have a solution near by, which balls enclose
(`qed.certificates.cutting_planes`). At a distance t from x the tangents lose about t^2 times the curvature.
"""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import scipy
import scipy.linalg

from qed.answer import Answer, Reason
from qed.calculus.expanding.limits import at_a_tie
from qed.calculus.gradient.check import check_gradient
from qed.calculus.gradient.verdict import GradientVerdict
from qed.calculus.hessian import shaped
from qed.calculus.shapes.arrays import of_arrays
from qed.certificates.convex_optimum import ConvexOptimum
from qed.certificates.cutting_planes import CuttingPlanes
from qed.certificates.overall_point import OverallPoint
from qed.domains.cost import count
from qed.errors import CertificateError, QedError
from qed.findings import Finding, Level
from qed.graph.walk import TooLong
from qed.optimization.objective import Objective, Seen, Wide
from qed.optimization.point import Judged, as_tree
from qed.optimization.simplex import on_simplex
from qed.optimization.solution import FOUND, Ending, Verdict
from qed.standing import Standing

Array = np.ndarray
DISTANCES = (1e-6, 1e-4)
"""How far from the point tangents touch, relative to it."""
JITTER = 0.05
"""How far from a point where one is looked for it is put, at random, so that no corner passes through it."""
CLOSE = 1e-6
"""A gap up to which it is told, relative."""
PARAMETERS, WORK = 30, 8_000_000
"""In how many parameters at most, and how many operations between balls the tangents may take, about."""
SECONDS = 3.0
"""Seconds of processor time for which points are looked for, at each distance."""
VERTICES, SMALL = 4, 1e-5
"""How many times fewer tangents are looked for, and how small their weights may be."""
KINDS = (
    Ending.KINK, Ending.MINIMUM, Ending.FLAT_MINIMUM, Ending.NOISE_FLOOR, Ending.NOT_STATIONARY, Ending.ILL_CONDITIONED,
    Ending.BUDGET_SPENT, Ending.UNDECIDED,
)  # fmt: skip
"""What a minimum at a corner, or beside one, may look like."""
MINIMA = (Ending.MINIMUM, Ending.FLAT_MINIMUM)
FAR = 2.0**20
"""Within which distance, relative to the point, a bound is proved where it is not everywhere."""


def least_at_corner(case: Judged, answer: Answer[Verdict]) -> Answer[Verdict]:
    """The answer, PROVED to be about the least value but for a gap, where f has corners and is convex; else the same.

    Args:
        case: the point.
        answer: what the point is.
    """
    n, function = len(case.here.x), case.objective.function
    if answer.value is None or answer.value.kind not in KINDS or not case.bounds.open or not case.here.finite:
        return answer
    if isinstance(answer.certificate, ConvexOptimum | OverallPoint):
        return answer
    if answer.value.kind is not Ending.KINK and not case.objective.cornered:
        return answer
    work = count(function.graph, function.traced.free).sweep * n * (n + 1)
    if n > PARAMETERS or work > WORK or function.dtype not in ("float32", "float64"):
        return answer
    wide = Wide.of(case.objective)
    if wide is None and case.objective.eps > np.finfo(np.float64).eps:
        return answer
    objective = case.objective if wide is None else wide
    fun, x, args = case.asked
    leaves = function.traced.parameters
    box = shaped(case.bounds.lower, leaves), shaped(case.bounds.upper, leaves)
    found, shape = None, None
    try:
        for distance in DISTANCES:
            points = tangents(objective, case, distance)
            if points is None:
                continue
            shape = of_arrays(fun, x, tuple(args), box) if shape is None else shape
            if shape is None or shape.claim == "concave":
                return answer
            made = _made(shape, case.here.x, *points)
            if made is not None and (found is None or made.reach > found.reach):
                found = made
            if made is not None and not np.isfinite(made.reach):
                break
    except (TypeError, ValueError, TooLong, QedError, MemoryError, np.linalg.LinAlgError):
        return answer
    return answer if found is None else _told(case, answer, found)


def _made(shape: Any, x: Array, points: Array, weights: Array, solved: int) -> CuttingPlanes | None:
    """The certificate that points and weights give, with the least gap that is close; None where there is none."""
    given = [Fraction(float(w)) for w in weights]
    given = [w / sum(given) for w in given]
    short = [w.limit_denominator(1000) for w in given]
    whole = [short] if sum(short) == 1 else []
    far = FAR * max(1.0, float(np.abs(x).max(initial=0.0)))
    ways = [(given, solved, np.inf)] if solved else []
    ways += [(w, 0, np.inf) for w in (*whole, given)] + [(w, 0, far) for w in (*whole, given)]
    traced = shape.subject.traced()
    for chosen, some, reach in ways:
        made = CuttingPlanes.of(
            shape, x.tolist(), points.tolist(), chosen, solved=some, bound=0.0, most=0.0, reach=reach
        )
        try:
            bound, most = made.proved(traced)
        except CertificateError:
            continue
        if np.isfinite(bound) and most - bound <= CLOSE * max(1.0, abs(most)):
            return replace(made, bound=bound, most=most).sealed()
    return None


def tangents(objective: Objective, case: Judged, distance: float) -> tuple[Array, Array, int] | None:
    """Points next to the point, weights of their tangents, and how many of the weights are to be solved for.

    None where f falls, or the mean of the slopes is not seen to be 0.
    """
    here, n = objective.at(case.here.x), len(case.here.x)
    random = np.random.default_rng(case.seed)
    t = distance * max(1.0, float(np.abs(here.x).max(initial=0.0)))

    rounding = 8 * objective.eps * max(1.0, abs(here.f)) / max(1.0, float(np.abs(here.x).max(initial=0.0)))

    def beside(way: Array) -> Seen:
        size = float(np.linalg.norm(way))
        jitter = random.standard_normal(n) * (JITTER / np.sqrt(n))
        return objective.at(here.x + t * (way / size + jitter if size > 0 else jitter))

    plain = None
    seen = [beside(np.zeros(n)), *(beside(sign * e) for e in np.eye(n) for sign in (1.0, -1.0))]
    deadline = time.thread_time() + SECONDS
    for _ in range(10 * n + 20):
        if time.thread_time() > deadline:
            break
        if not all(p.finite for p in seen):
            return None
        slopes = np.array([p.g for p in seen])
        w = on_simplex(slopes @ slopes.T, np.zeros(len(seen)))
        mean = slopes.T @ w
        if float(np.linalg.norm(mean)) <= max(1e-9 * float(np.abs(slopes).max()), rounding):
            plain = np.array([p.x for p in seen])[w > 0], w[w > 0], 0
            found = _inside(slopes, seen, rounding)
            if found is not None:
                return found if found[2] else plain
            mean = random.standard_normal(n)
        seen.append(beside(-mean))
    return plain


def _inside(slopes: Array, seen: list[Seen], rounding: float) -> tuple[Array, Array, int] | None:
    """Positive weights of all points, those first that are solved for, of which there are 0 where f is flat.

    None where some weight has to be 0.
    """
    points = np.array([p.x for p in seen])
    many, n = slopes.shape
    left, sizes, _ = np.linalg.svd(slopes, full_matrices=False)
    rank = int(np.sum(sizes > max(1e-12 * sizes[0], rounding * np.sqrt(many))))
    if rank < n:
        return points, np.zeros(many), 0
    if many < n + 1:
        return None
    rows = left.T[:rank]
    found = scipy.optimize.linprog(
        np.append(np.zeros(many), -1.0),
        A_ub=np.hstack([-np.eye(many), np.ones((many, 1))]), b_ub=np.zeros(many),
        A_eq=np.vstack([np.append(row, 0.0) for row in rows] + [np.append(np.ones(many), 0.0)]),
        b_eq=np.append(np.zeros(rank), 1.0), bounds=[(0, 1)] * many + [(0, 1)],
    )  # fmt: skip
    if found.status != 0 or not found.x[-1] > 1e-6:
        return None
    fewer = _vertex(rows, n)
    if fewer is not None:
        return points[fewer[0]], fewer[1], n + 1
    weights = found.x[:-1]
    factors: Any = scipy.linalg.qr(np.vstack([rows, np.ones(many)]) * weights, pivoting=True)
    order = factors[-1]
    chosen = np.concatenate([order[: n + 1], np.sort(order[n + 1 :])])
    return points[chosen], weights[chosen], n + 1


def _vertex(rows: Array, n: int) -> tuple[Array, Array] | None:
    """n + 1 columns of which some mean with positive weights is 0, and the weights: a vertex of a linear problem.

    >>> chosen, weights = _vertex(np.array([[1.0, -1.0, 3.0, -5.0]]), 1)
    >>> len(chosen), bool(abs(np.array([1.0, -1.0, 3.0, -5.0])[chosen] @ weights) < 1e-9)
    (2, True)
    """
    many, random, best = rows.shape[1], np.random.default_rng(0), None
    for _ in range(VERTICES):
        found = scipy.optimize.linprog(
            random.random(many), A_eq=np.vstack([rows, np.ones(many)]), b_eq=np.append(np.zeros(len(rows)), 1.0),
            bounds=[(0, 1)] * many, method="highs-ds",
        )  # fmt: skip
        if found.status != 0:
            return None
        chosen = np.flatnonzero(found.x > SMALL)
        if len(chosen) == n + 1 and (best is None or found.x[chosen].min() > best[1].min()):
            best = chosen, found.x[chosen]
    return best


def _kind(case: Judged) -> Ending:
    """A kink, but where f has one slope at a tie: |x|^1.5 has one at 0, and no second derivative."""
    fun, _, args = case.asked
    if not at_a_tie(case.read()):
        return Ending.KINK
    slopes = check_gradient(fun, as_tree(case, case.here.x), *args).value
    return Ending.MINIMUM if slopes is not None and slopes.verdict is GradientVerdict.AGREES else Ending.KINK


def _told(case: Judged, answer: Answer[Verdict], found: CuttingPlanes) -> Answer[Verdict]:
    """The answer with its proof."""
    gap = max(found.most - found.bound, 0.0)
    everywhere = "where f is defined"
    near = bool(np.isfinite(found.reach))
    where = f"within {found.reach:.3g} of the point" if near else everywhere
    claim = f"f is at most {found.most:.17g} at the point and at least {found.bound:.17g} {where}"
    name = "The global minimum" if not near else f"The least value within {found.reach:.2g} of the point"
    assert answer.value is not None
    kind = answer.value.kind if answer.value.kind in MINIMA else _kind(case)
    corner = "" if kind in MINIMA else ", at a kink"
    headline = f"{name}{corner}, since f is convex: nowhere {'there ' * near}is f lower by more than {gap:.2g}."
    why = Reason(
        "tangents of a convex function", "f(y) >= sum w_k (f(p_k) + g_k'(y - p_k)), sum w_k g_k = 0",
        standing=Standing.PROVED, unpredicted="it is a theorem",
        text=f"the mean of {len(found.points)} tangents beside the point has no slope and lies {gap:.2g} below f there",
    )  # fmt: skip
    findings = () if kind in MINIMA else (Finding(FOUND[kind], headline, level=Level.NOTE),)
    return replace(
        answer, claim=claim, standing=Standing.PROVED, value=replace(answer.value, kind=kind, decrease=gap),
        certificate=found, seal=None, headline=headline, missing=(), arithmetic="reals",
        reasons=(why, *answer.reasons), recheck=None, findings=findings, answers=(),
    )  # fmt: skip
