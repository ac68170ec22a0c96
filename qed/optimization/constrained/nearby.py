"""A look around a KKT point whose second order decides nothing: is a feasible point nearby lower?

Directions are drawn with a fixed seed, away from the bounds that hold the point; each end is put back onto the
constraints by least squares. What is found is a witness; what is not found is no proof.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qed.optimization.constrained.polish import KKT
from qed.optimization.constrained.problem import Constrained
from qed.optimization.constrained.restoration import restored

Array = np.ndarray
DRAWN, HALVINGS = 12, 30
FAR, NEAR = (0.3, 1e-2), (1e-2, 1e-3)
"""How far it is looked, relative to max(1, |x|): for another start, and for a word about the point itself."""
TRIES = 25
"""Evaluations after which a point that is not feasible yet is given up."""


def lower_nearby(
    problem: Constrained, kkt: KKT, vector: Array, far: tuple[float, ...] = FAR
) -> tuple[Array, float] | None:
    """A feasible point near a KKT point with a lower value, and that value; None where none was found.

    Args:
        problem: the problem.
        kkt: the point.
        vector: a direction that is looked along first, to either side.
        far: the distances.
    """
    key = (kkt.seen.x.tobytes(), vector.tobytes(), far)
    if key not in problem.looked:
        problem.looked[key] = _looked(problem, kkt, vector, far)
    return problem.looked[key]


def _looked(problem: Constrained, kkt: KKT, vector: Array, far: tuple[float, ...]) -> tuple[Array, float] | None:
    """The look itself."""
    here, box, rng = kkt.seen, problem.bounds, np.random.default_rng(0)
    size = max(1.0, float(np.linalg.norm(here.x)))
    ways = [vector, -vector]
    if not problem.sparse:
        along = tangent(here.J[: problem.equalities])
        for _ in range(DRAWN):
            way = along(rng.standard_normal(problem.n))
            way = np.where(here.x <= box.lower + 1e-9, np.abs(way), way)
            way = np.where(here.x >= box.upper - 1e-9, -np.abs(way), way)
            ways.append(way / np.linalg.norm(way))
    slope = float(np.abs(here.g).max(initial=0.0))
    margin = max(1e-8 * max(1.0, abs(here.f)), 4 * kkt.residuals.largest * max(1.0, abs(here.f), slope))
    edge: tuple[Array, float] | None = None  # on a boundary, where no point inside is lower
    for t in far:
        for way in ways:
            x = box.project(here.x + t * size * way)
            f, c = problem.values(x)
            if violated(problem, c) <= 1e-10:
                candidates = (x,)
            elif problem.sparse or not np.isfinite(f):
                continue
            else:
                candidates = allowed(problem, x, 1e-10)
            for k, other in enumerate(candidates):
                f, c = problem.values(other)
                if f < here.f - margin and not np.isnan(c).any():
                    if k == 0:
                        return other, f
                    edge = edge or (other, f)
    return edge


def bent_down(problem: Constrained, kkt: KKT, vector: Array, bend: float) -> tuple[Array, float] | None:
    """A feasible point straight along a vector at which f is lower by what a negative curvature says, and its value."""
    here, found = kkt.seen, None
    size = max(1.0, float(np.linalg.norm(here.x)))
    for t in NEAR:
        x = here.x + t * size * vector
        f, c = problem.values(x)
        inside = np.array_equal(problem.bounds.project(x), x) and violated(problem, c) <= 1e-12
        if not inside or not here.f - f > 0.25 * abs(bend) * (t * size) ** 2:
            return None
        found = found or (x, f)
    return found


def tangent(J: Array) -> Callable[[Array], Array]:
    """The projection onto the directions that keep rows with the Jacobian J to first order; all are, where none does.

    Example:
        >>> tangent(np.array([[1.0, 1.0]]))(np.array([2.0, 0.0])).round(12).tolist()
        [1.0, -1.0]
    """
    _, sizes, rows = np.linalg.svd(J, full_matrices=False)
    across = rows[sizes > 1e-10 * sizes.max(initial=0.0)]
    if len(across) >= J.shape[1]:
        return lambda way: way
    return lambda way: way - across.T @ (across @ way)


def allowed(problem: Constrained, x: Array, most: float) -> tuple[Array, ...]:
    """A feasible point found from x, and the same drawn back towards x: least squares go past the boundary."""
    found = restored(problem, x, most=TRIES)
    if found is None or found.violation > most:
        return ()
    inside, outside = found.x, x
    least = max(most, violated(problem, problem.values(inside)[1]))
    for _ in range(HALVINGS):
        middle = inside / 2 + outside / 2
        if violated(problem, problem.values(middle)[1]) <= least:
            inside = middle
        else:
            outside = middle
    return found.x, inside


def climbs(problem: Constrained, kkt: KKT, vector: Array, bend: float) -> float | None:
    """The least rise of f at feasible points to either side along a direction; None where it is not of second order.

    `bend` is the size of curvatures of the Lagrangian, a hundredth of which f has to rise by, less what multipliers say
    of the slack that constraints have there: nearer to them f is lower by that.

    Where a constraint bends towards the point a direction that it allows to first order may be no way at all: along
    x_1 from 0, x_0^2 >= x_1^2 leads x_0 away from 0, too.
    """
    here, box, multipliers = kkt.seen, problem.bounds, kkt.multipliers
    size, found = max(1.0, float(np.linalg.norm(here.x))), []
    for way in (vector, -vector):
        for t in NEAR:
            points = allowed(problem, box.project(here.x + t * size * way), 1e-12)
            if not points or np.linalg.norm(points[-1] - here.x) < 0.3 * t * size:
                return None
            f, c = problem.values(points[-1])
            move = points[-1] - here.x
            rise = (
                f - here.f - float(multipliers.y @ (c - here.c)) - float((multipliers.lower - multipliers.upper) @ move)
            )
            if not rise > 1e-2 * bend * (t * size) ** 2 > 0:
                return None
            found.append(rise)
    return min(found)


def violated(problem: Constrained, c: Array) -> float:
    """The largest violation of the rows whose values are c, in their units; NaN where one has no value."""
    first, c = problem.equalities, c / problem.units
    return float(np.max(np.concatenate([np.abs(c[:first]), -c[first:]]), initial=0.0))


def falls_on(problem: Constrained, kkt: KKT) -> tuple[float, float, Array] | None:
    """A distance, the value there and the direction, if f falls at each of some points of a feasible ray; else None.

    The ray goes on from the point along the way from the start, or down the slope.
    """
    here, box = kkt.seen, problem.bounds
    size = 1.0 + float(np.abs(here.x).max(initial=0.0))
    for way in (here.x - problem.start, -here.g):
        longest = float(np.abs(way).max(initial=0.0))
        if not 0 < longest < np.inf:
            continue
        unit, last = way / longest, here.f - 8 * problem.eps * abs(here.f)
        for t in size * 1e-3 * 4.0 ** np.arange(8):
            x = here.x + t * unit
            f, c = problem.values(x)
            if not f < last or not violated(problem, c) <= 1e-9 * (1 + t) or np.any(box.project(x) != x):
                break
            last = f
        else:
            return float(t), float(last), unit
    return None


def fades(problem: Constrained, kkt: KKT, unit: Array, least: float | None) -> bool:
    """Whether f comes down to a bound along a feasible ray that goes on far, and does not rise again."""
    here, last = kkt.seen, kkt.seen.f
    if least is None:
        return False
    for t in (1.0 + float(np.abs(here.x).max(initial=0.0))) * 4.0 ** np.arange(21):
        x = here.x + t * unit
        f, c = problem.values(x)
        outside = np.any(problem.bounds.project(x) != x) or not violated(problem, c) <= 1e-9 * (1 + t)
        if outside or not least <= f <= last:
            return False
        last = f
    return bool(last - least <= 1e-9 * max(here.f - least, 1e-300) or last - least <= 1e-12 * abs(least))
