"""The one loop of a minimisation: a direction, a step that is accepted, until the projected gradient is small.

Two choices are made independently: how a direction or a model is had (second derivatives, or guessed from gradients),
and how a step is accepted (a ball around the point whose radius follows the ratio of true to predicted decrease, or a
search along the direction). Where a decrease is below the noise of the values, gradients decide. At the end the lowest
curvature is asked; at a saddle the run steps down along its direction and goes on. Where the model is stuck at corners,
BFGS is run from the start too, whose weak Wolfe search still falls there (Lewis and Overton, *Nonsmooth optimization
via quasi-Newton methods*, Math. Program. 141, 2013).

Reference: Conn, Gould and Toint, *Trust-Region Methods*, 2000, algorithm 6.1.1 and section 17.4.2 (noise).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

from qed.optimization import momentum, newton, search
from qed.optimization.bounds import Bounds
from qed.optimization.factorisation import factorised
from qed.optimization.hidden import hidden_gradient
from qed.optimization.least_squares import Creeping, Slow
from qed.optimization.lineality import idle_directions
from qed.optimization.objective import Objective, Seen
from qed.optimization.pieces import largest
from qed.optimization.quasi_newton import FullMemory, Gradient, LimitedMemory
from qed.optimization.roundings import rounding
from qed.optimization.stalling import Stall
from qed.optimization.straight import straight_way
from qed.optimization.subgradients import below_corners
from qed.optimization.two_models import TwoModels

Array = np.ndarray
MEMORIES = {"gradient": Gradient, "l-bfgs": LimitedMemory, "bfgs": FullMemory}
AWAY = 1e150
"""A run whose point or value is larger ends: nothing is computed there that could be believed."""
LONG = 30
"""After a search of more trials the noise of the values is measured."""
DENSE = 1000
"""Up to so many free parameters the lowest curvature is asked."""
ASKED, AFAR = (0, 2, 4, 8, 16, 32, 64, 128), 10.0
"""After how many steps it is asked whether f falls for ever along what does not bend, and how far that is gone then."""
BRIEF = 200
"""Of more parameters that is asked a quarter as often: eigenvalues take long."""
FAR = 1e10
"""The ball of the first trial where H is definite, which is Newton's step: how far the model holds is not known yet."""


@dataclass(frozen=True, eq=False)
class Ended:
    """Where a run ended, and how: 'stationary', 'stuck', 'bottom', 'slow', 'budget', 'away' or 'diverged'.

    `beyond` is the last point that was tried at which f or its gradient is not finite, if there was one.
    """

    here: Seen
    how: str
    steps: int
    escapes: int
    beyond: Array | None = None


def small(objective: Objective, bounds: Bounds, here: Seen, tol: float) -> bool:
    """Whether no part of the projected gradient is larger than tol; its size is noted in `objective.sizes`."""
    size = largest(bounds.slope(here.x, here.g))
    objective.sizes.append(size)
    return size <= tol


@np.errstate(over="ignore", invalid="ignore")  # a run that goes away ends where its numbers do
def run(objective: Objective, start: Seen, bounds: Bounds, method: str, tol: float, most: int) -> Ended:
    """Minimise from a start until nothing more is to be done.

    Args:
        objective: the loss.
        start: in the box, with a finite value and gradient.
        bounds: the box.
        method: one of `qed.optimization.minimize.METHODS`.
        tol: for the largest part of the projected gradient.
        most: steps.
    """
    here, steps, escapes, objective.beyond = start, 0, 0, None
    descend = {"newton": _by_newton, "heavy-ball": _by_momentum, "nesterov": _by_momentum}.get(method, by_search)
    while True:
        here, how, taken = descend(objective, here, bounds, method, tol, most - steps)
        steps += taken
        cornered = how == "stuck" and objective.cornered and len(here.x) <= DENSE
        if cornered and method == "newton":
            there, other, taken = by_search(objective, start, bounds, "bfgs", tol, min(200, most - steps))
            steps += taken
            if there.finite and there.f < here.f:
                here, how = there, "stuck" if other == "budget" and steps < most else other
        if how not in ("stationary", "stuck") or escapes >= 20:
            return Ended(here, how, steps, escapes, objective.beyond)
        lower = escape(objective, here, bounds)
        if lower is None and cornered:
            lower = _down(objective, here, bounds)
            lower = below_corners(objective, here, bounds) if lower is None else lower
            if lower is not None and method == "newton":
                descend, method = by_search, "bfgs"
        if lower is None:
            return Ended(here, how, steps, escapes, objective.beyond)
        here, escapes, steps = lower, escapes + 1, steps + 1


def _far(here: Seen) -> bool:
    return not np.isfinite(here.f) or here.f < -AWAY or largest(here.x) > AWAY


def _is_point(here: Seen) -> bool:
    """Whether point and value are numbers: a run that leaves ends at the last that is one."""
    return bool(np.isfinite(here.f) and np.all(np.isfinite(here.x)))


def _by_newton(
    objective: Objective, here: Seen, bounds: Bounds, _: str, tol: float, most: int
) -> tuple[Seen, str, int]:
    return by_model(objective, here, bounds, tol, most)


@np.errstate(over="ignore", invalid="ignore")
def by_model(objective: Objective, here: Seen, bounds: Bounds, tol: float, most: int) -> tuple[Seen, str, int]:
    """Steps of Newton's method in a ball: where they end, how, and how many they are."""
    scale, idle = None, None
    radius = max(1.0, 0.1 * float(np.linalg.norm(here.x)))
    held = objective.curvature.kind != "products"
    matrix, stall, slow, squares = None, Stall(), Slow(), held and objective.squares is not None
    creeping = Creeping() if squares else None
    two = TwoModels(objective) if held and objective.adaptive and objective.small_squares is not None else None
    for taken in range(most):
        if small(objective, bounds, here, tol):
            return here, "stationary", taken
        if stall.halted(here.f, objective.sizes[-1], objective.noise(here.f)):
            return here, "stuck", taken
        if creeping is not None and creeping.halted(here.f, objective.sizes[-1], tol):
            return here, "slow", taken
        if held and matrix is None:
            squares = squares and not slow.halted(here.f)
            if objective.squares is not None and slow.at_zero(here.f, tol):
                return here, "bottom", taken
            if two is not None:
                matrix = two.at(here.x)
            else:
                matrix = objective.first_order(here.x) if squares else objective.matrix(here.x)
            if not np.all(np.isfinite(matrix.data if hasattr(matrix, "nnz") else matrix)):
                return by_search(objective, here, bounds, "l-bfgs", tol, most - taken)
        if (squares or two is not None) and bounds.open:
            columns = matrix if two is None else two.matrices["first derivatives"]
            before, scale = scale, newton.scales(columns, scale)
            radius = max(1.0, float(np.linalg.norm(scale * here.x))) if before is None else radius
        far = not taken and (scale is None or two is not None) and matrix is not None and factorised(matrix) is not None
        if not taken and held and bounds.open:
            second = matrix if two is None else two.matrices["second derivatives"]  # J'J is singular more often
            idle = idle_directions(objective, here, second)
        asked = taken in (ASKED if len(here.x) <= BRIEF else ASKED[::4]) and len(here.x) <= DENSE
        if asked and matrix is not None and not (squares or far) and two is None:
            objective.straight = straight_way(objective, here, matrix, bounds)
            if objective.straight is not None:
                at, way = objective.straight
                return objective.at(at.x + AFAR * (1 + float(np.linalg.norm(at.x))) * way), "away", taken
        move, predicted, inside = newton.step(objective, here, FAR if far else radius, matrix, bounds, scale, idle)
        trial = objective.at(bounds.project(here.x + move))
        if np.isneginf(trial.f):
            return here, "away", taken
        if np.array_equal(trial.x, here.x):
            return here, "stuck", taken
        ratio = _ratio(objective, here, trial, predicted, bounds)
        length = float(np.linalg.norm(move if scale is None else scale * move))
        far = far and length > radius
        if far:
            radius = min(radius, 0.25 * length) if not ratio >= 0.25 else length if ratio <= 0.75 else 2.0 * length
        elif ratio < 0.25:
            radius = 0.25 * min(radius, length) if np.isfinite(ratio) else 0.1 * min(radius, length)
        elif ratio > 0.75 and not inside:
            radius *= 2.0
        changed = two is not None and two.changed(here, trial, move, scale)
        if ratio > (0.25 if far else 1e-4):
            here, matrix = trial, None
        elif two is not None and changed:
            matrix = two.matrix
        del trial, move
        if _far(here):
            return here, "away", taken
        far = float(np.linalg.norm(here.x if scale is None else scale * here.x))
        if radius <= 1e-3 * objective.eps * max(far, 1e-300):
            return here, "stuck", taken
    return here, "stationary" if small(objective, bounds, here, tol) else "budget", most


def _ratio(objective: Objective, here: Seen, trial: Seen, predicted: float, bounds: Bounds) -> float:
    """True over predicted decrease; by the gradients where both are noise; -inf for a trial that is not finite."""
    if not trial.finite:
        return -np.inf
    noise = objective.noise(max(abs(here.f), abs(trial.f)))
    actual = here.f - trial.f
    if predicted > 10 * noise or abs(actual) > 10 * noise:
        return actual / max(predicted, 1e-300)
    before, after = (np.linalg.norm(bounds.slope(at.x, at.g)) for at in (here, trial))
    return 1.0 if after < before else -1.0


def by_search(
    objective: Objective, here: Seen, bounds: Bounds, method: str, tol: float, most: int
) -> tuple[Seen, str, int]:
    """Steps along directions guessed from gradients: where they end, how, and how many they are."""
    memory, stall = MEMORIES[method](), Stall()
    fresh = True
    for taken in range(most):
        if small(objective, bounds, here, tol):
            return here, "stationary", taken
        if stall.halted(here.f, objective.sizes[-1], objective.noise(here.f)):
            return here, "stuck", taken
        gradient = here.g if bounds.open else np.where(bounds.held(here.x, here.g), 0.0, here.g)
        direction = memory.apply(gradient)
        direction = np.negative(direction, out=None if direction is gradient else direction)
        direction = np.where(gradient == 0, 0.0, direction) if not bounds.open else direction
        if not float(here.g @ direction) < 0 or not np.isfinite(largest(direction)):
            direction, fresh = -gradient, True
            memory.forget()
        if not np.any(direction):
            return here, "stuck", taken
        length = max(float(np.linalg.norm(direction)), 1e-300)  # squares of tiny numbers are 0
        first = min(1.0, max(1.0, float(np.linalg.norm(here.x))) / length) if fresh else 1.0
        before = objective.counts["values"]
        if bounds.open:
            new = search.along(objective, here, direction, first)
        else:
            new = search.projected(objective, here, direction, first, bounds)
        if objective.counts["values"] - before > LONG:
            objective.look_for_noise(here)
        if new is None and fresh:
            return here, "stuck", taken
        if new is None:
            memory.forget()
            fresh = True
            continue
        if not new.finite or _far(new):
            return new if _is_point(new) else here, "away", taken
        del direction, gradient
        memory.between((here.x, here.g), (new.x, new.g))
        here, fresh = new, False
    return here, "stationary" if small(objective, bounds, here, tol) else "budget", most


def _by_momentum(
    objective: Objective, here: Seen, bounds: Bounds, method: str, tol: float, most: int
) -> tuple[Seen, str, int]:
    state = momentum.first(here)
    for taken in range(most):
        if small(objective, bounds, state.here, tol):
            return state.here, "stationary", taken
        new = momentum.step(objective, state, bounds, method == "nesterov")
        if new is None:
            return state.here, "stuck", taken
        if not new.here.finite or _far(new.here):
            return new.here if _is_point(new.here) else state.here, "away", taken
        state = new
    return state.here, "stationary" if small(objective, bounds, state.here, tol) else "budget", most


def escape(objective: Objective, here: Seen, bounds: Bounds) -> Seen | None:
    """A lower point along the most negative curvature, or down a slope that rounding hides; None if none is known."""
    lowest = curvatures(objective, here, bounds)
    if lowest is None:
        return None
    values, vectors = lowest
    if bounds.open and len(values) and abs(values[0]) <= objective.eps * max(1.0, abs(values[-1])):
        fine = hidden_gradient(objective, here)
        lower = None if fine is None else first_lower(objective, here, -fine.unit, objective.noise(here.f))
        return beside_flats(objective, here, values, vectors) if lower is None else lower
    if (
        not len(values)
        or values[0] >= -1e-8 * max(abs(values[-1]), 1e-300)
        or values[0] >= -(objective.eps**0.5) * 1e-4
    ):
        return beside_flats(objective, here, values, vectors) if bounds.open else None
    return lower_along(objective, here, vectors[:, 0], bounds)


MIXED, ASIDE = 8, (0.03, 0.3)
"""How many mixtures of flat directions are tried, and how far, relative to the size of the point."""


def beside_flats(objective: Objective, here: Seen, values: Array, vectors: Array, seed: int = 0) -> Seen | None:
    """A point lower than the quadratic model explains, beside a point where f does not bend in some directions.

    Along each of them f may be level, and fall along their mixtures: with weights of 0 before and after a rectifier no
    Hessian sees that both together lower the loss. Of functions without corners higher derivatives are looked at.
    """
    zero = max(1e-10, len(values) * objective.eps) * float(np.abs(values).max(initial=0.0))
    flat, along = np.abs(values) <= zero, vectors.T @ here.g
    if not objective.cornered or np.count_nonzero(flat) < 2:
        return None
    gain = 0.5 * float(np.sum(along[~flat] ** 2 / np.abs(values[~flat])))
    enough = 10 * gain + 4 * rounding(objective, here)
    size, random = max(1.0, float(np.linalg.norm(here.x))), np.random.default_rng(seed)
    for _ in range(MIXED):
        way = vectors[:, flat] @ random.standard_normal(np.count_nonzero(flat))
        for side in (way / np.linalg.norm(way), -way / np.linalg.norm(way)):
            near, far = (objective.at(here.x + t * size * side) for t in ASIDE)
            if near.finite and near.f < here.f - enough:
                return far if far.finite and far.f < near.f else near
    return None


def _down(objective: Objective, here: Seen, bounds: Bounds) -> Seen | None:
    """A point down the slope, lower by more than roundings explain, where a run halted between corners."""
    slope = bounds.slope(here.x, here.g)
    size = float(np.linalg.norm(slope))
    if not 0 < size < np.inf:
        return None
    return lower_along(objective, here, -slope / size, bounds, rounding(objective, here) / 2)


def curvatures(objective: Objective, here: Seen, bounds: Bounds) -> tuple[Array, Array] | None:
    """Eigenvalues, ascending, and eigenvectors of the Hessian in the free parameters; None if they are too many."""
    free = np.flatnonzero(~bounds.held(here.x, here.g))
    if len(free) > DENSE or objective.curvature.kind == "products":
        return None
    try:
        matrix: Any = objective.matrix(here.x)
    except NotImplementedError:
        return None
    matrix = matrix.toarray() if hasattr(matrix, "toarray") else matrix
    if not np.all(np.isfinite(matrix)) or not objective.bends(here.x):
        return None
    values, part = scipy.linalg.eigh(matrix[np.ix_(free, free)]) if len(free) else (np.zeros(0), np.zeros((0, 0)))
    vectors = np.zeros((len(here.x), len(free)))
    vectors[free] = part
    return values, vectors


LOOKS = 24
"""At how many distances, up to a little beyond the origin, it is looked where the floats of f begin to fall."""


def first_lower(objective: Objective, here: Seen, way: Array, noise: float) -> Seen | None:
    """The nearest of some points along a direction at which f is lower by more than its noise."""
    farthest = 1.25 * max(1.0, float(np.linalg.norm(here.x)))
    tried = (objective.at(here.x + k / LOOKS * farthest * way) for k in range(1, LOOKS + 1))
    return next((p for p in tried if p.finite and p.f < here.f - 2 * noise), None)


def lower_along(
    objective: Objective, here: Seen, direction: Array, bounds: Bounds, noise: float | None = None
) -> Seen | None:
    """The lower of the points x +- t d, for the first t = t0, t0/4, ... at which one is lower by more than noise."""
    noise = objective.noise(here.f) if noise is None else noise
    t = max(1.0, float(np.linalg.norm(here.x)))
    for _ in range(20):
        pair = [objective.at(bounds.project(here.x + sign * t * direction)) for sign in (1.0, -1.0)]
        lower = [p for p in pair if p.finite and p.f < here.f - 2 * noise]
        if lower:
            return min(lower, key=lambda p: p.f)
        t *= 0.25
    return None
