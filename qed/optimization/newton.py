"""Newton's step in a ball and in a box.

Without bounds it is the minimum of m(p) = g'p + p'Hp/2 in the ball (qed.optimization.trust_region). With bounds the
step is built in the box: first along the projected gradient until the model falls enough (the Cauchy point), then, the
parameters that bounds hold being fixed, by Newton steps in the others, each projected, as long as the model falls (Lin
and More, *Newton's method for large bound-constrained problems*, SIAM J. Optim. 9, 1999).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from qed.optimization.bounds import Bounds
from qed.optimization.objective import Objective, Seen
from qed.optimization.trust_region import exact_step

Array = np.ndarray
ROUNDS = 8


def scales(matrix: Any, before: Array | None) -> Array:
    """The lengths of the columns of J where the matrix is J'J, never less than before: the units of a ball.

    Reference: Moré, *The Levenberg-Marquardt algorithm: implementation and theory*, 1978, section 6.
    """
    sizes = np.sqrt(np.maximum(matrix.diagonal(), 0.0))
    sizes = np.where(sizes > 0, sizes, 1.0) if before is None else sizes
    return sizes if before is None else np.maximum(sizes, before)


def step(
    objective: Objective,
    here: Seen,
    radius: float,
    matrix: Any,
    bounds: Bounds,
    scale: Array | None = None,
    idle: Array | None = None,
) -> tuple[Array, float, bool]:
    """The step, the decrease that the model promises, and whether it ends inside the ball.

    Args:
        objective: the loss.
        here: the point with its gradient.
        radius: of the ball.
        matrix: the Hessian there; None where it is known by products only.
        bounds: the box.
        scale: the ball is |scale * p| <= radius; by default it is round.
        idle: orthonormal columns along which f is the same everywhere; the step has no part along them.
    """
    if idle is not None and idle.shape[1]:
        here, matrix = _without(idle, here, matrix)
        move, predicted, inside = step(objective, here, radius, matrix, bounds, scale)
        return move - idle @ (idle.T @ move), predicted, inside
    if scale is not None and bounds.open:
        found = exact_step(matrix / np.outer(scale, scale), here.g / scale, radius, objective.eps)
        return found.step / scale, found.predicted, found.inside
    if bounds.open and matrix is not None:
        found = exact_step(matrix, here.g, radius, objective.eps)
        return found.step, found.predicted, found.inside
    if matrix is None:
        found = objective.curvature.step(objective.arrays(here.x), here.g, radius, matrix=matrix)
        objective.counts["products"] += found.work if objective.curvature.kind == "products" else 0
        return found.step, found.predicted, found.inside
    return boxed(matrix, here, radius, bounds, objective.eps)


def _without(idle: Array, here: Seen, matrix: Array) -> tuple[Seen, Array]:
    """Slope and matrix, with directions along which f is the same taken for ones that bend and have no slope."""
    turned = matrix @ idle
    bend = float(np.abs(np.diagonal(matrix)).max(initial=0.0)) or 1.0
    whole = (
        matrix - turned @ idle.T - idle @ turned.T + idle @ (idle.T @ turned + bend * np.eye(idle.shape[1])) @ idle.T
    )
    return replace(here, g=here.g - idle @ (idle.T @ here.g)), (whole + whole.T) / 2


def boxed(matrix: Any, here: Seen, radius: float, bounds: Bounds, eps: float = 2.0**-52) -> tuple[Array, float, bool]:
    """The step in the box from the matrix."""
    x, g = here.x, here.g

    def model(s: Array) -> float:
        return float(g @ s) + 0.5 * float(s @ (matrix @ s))

    s = _cauchy(model, here, radius, bounds)
    for _ in range(ROUNDS):
        slope = g + matrix @ s
        at = x + s
        free = np.flatnonzero((at > bounds.lower) & (at < bounds.upper))
        room = radius - float(np.linalg.norm(s))
        if not len(free) or room <= 1e-3 * radius or not np.any(slope[free]):
            break
        part = exact_step(matrix[free][:, free], slope[free], room, eps)
        full = np.zeros_like(s)
        full[free] = part.step
        better = _longest(model, s, full, x, bounds)
        if better is None:
            break
        hit = not np.allclose(better, s + full, rtol=0, atol=1e-300)
        s = better
        if not hit:
            break
    return s, -model(s), float(np.linalg.norm(s)) < 0.9 * radius


def _cauchy(model: Any, here: Seen, radius: float, bounds: Bounds) -> Array:
    """The last point of the projected gradient's path in the ball at which the model has fallen enough."""
    t = radius / max(float(np.linalg.norm(here.g)), 1e-300)
    for _ in range(60):
        s = bounds.project(here.x - t * here.g) - here.x
        if np.linalg.norm(s) <= radius * (1 + 1e-9) and model(s) <= 0.01 * float(here.g @ s):
            return s
        t *= 0.25
    return np.zeros_like(here.x)


def _longest(model: Any, s: Array, p: Array, x: Array, bounds: Bounds) -> Array | None:
    """The projected step s + t p, t = 1, 1/2, ..., at which the model is lower than at s."""
    t = 1.0
    for _ in range(12):
        new = bounds.project(x + s + t * p) - x
        if model(new) < model(s):
            return new
        t *= 0.5
    return None
