"""Directions along which a function is the same everywhere: its lineality space.

    L = {u : f(x + t u) = f(x) for all x and t} = {u : u'grad f(x) = 0 for all x}

Softmax does not see what is added to all scores of a row, differences not what is added to both terms, a linear model
not what its columns do not span. The second form tells how L is found: gradients at points drawn at random span its
complement, and as soon as draws take nothing more away, what is left is L. It begins among the directions that H takes
to zero at one point, up to its rounding, and is looked at in float64 whatever the dtype. Both are measured in units in
which the diagonal of H is one, so that small parameters are not taken for idle ones. A step along L changes nothing,
and the rounding of H alone would make it a long one. Reference: Rockafellar, *Convex Analysis*, 1970, section 8.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qed.optimization.factorisation import factorised
from qed.optimization.objective import Objective, Seen, Wide

Array = np.ndarray
MOST = 200
"""How many parameters there may be."""
ROUNDINGS = 64.0
"""How many roundings, times n, a curvature may be, and a slope, to be looked at as none."""
PLACES, STILL = 40, 2
"""At how many points more than there are directions gradients are asked, and how many of them in turn take nothing."""
FAR = (1.0, 10.0, 100.0)
"""How far along f is to be the same."""
SCALES = (1.0, 0.1, 0.01)
"""How far from the point, relative to 1 + |x_i|, points are drawn, as far as f is finite there."""


def idle_directions(objective: Objective, here: Seen, matrix: Any) -> Array | None:
    """The lineality space of a run's function, found once; None where no matrix of few parameters is singular.

    In float64 it is not looked for: the short steps of a singular model do not lead far along it.
    """
    narrow = objective.eps > np.finfo(np.float64).eps
    if narrow and objective.idle is None and isinstance(matrix, np.ndarray) and len(matrix) <= MOST:
        factor = factorised(matrix)
        norm = float(np.abs(matrix).sum(axis=1).max(initial=0.0))
        if factor is not None and factor.least > ROUNDINGS * len(matrix) * objective.eps * norm:
            return None
        objective.idle = lineality(objective, here, matrix)
    return objective.idle


def lineality(objective: Objective, here: Seen, matrix: Array) -> Array:
    """An orthonormal basis, in columns, of the directions along which f is the same; none where that is not told.

    Args:
        objective: the loss.
        here: a point.
        matrix: the Hessian there, dense.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> def loss(x):
        ...     return jnp.logaddexp(x[0], x[1]) - x[0] + x[2] ** 2
        >>> objective = Objective(read(loss, jnp.zeros(3)))
        >>> found = lineality(objective, objective.at(np.zeros(3)), objective.matrix(np.zeros(3)))
        >>> abs(found).round(3).tolist()
        [[0.707], [0.707], [0.0]]
    """
    n = len(here.x)
    none = np.zeros((n, 0))
    diagonal = np.abs(np.diagonal(matrix))
    if not np.all(np.isfinite(matrix)) or not np.any(diagonal):
        return none
    unit = 1 / np.sqrt(np.where(diagonal > 0, diagonal, diagonal.max()))
    values, vectors = np.linalg.eigh(matrix * np.outer(unit, unit))
    room = ROUNDINGS * n * objective.eps
    left = vectors[:, np.abs(values) <= room * np.abs(values).max()]
    if not left.shape[1]:
        return none
    seeing = _seeing(objective)
    if seeing is None:
        return none
    left = left if seeing is objective else np.eye(n)  # of a rounded matrix the directions are rounded
    left = _unseen(seeing, here.x, unit, left)
    if not left.shape[1] or left.shape[1] == n:
        return none
    basis = np.linalg.qr(unit[:, None] * left)[0]
    return basis if _is_same(seeing, here.x, basis) else none


def _seeing(objective: Objective) -> Objective | None:
    """The objective in float64; None where its program is not."""
    if objective.eps <= np.finfo(np.float64).eps:
        return objective
    return Wide.of(objective)


def _unseen(objective: Objective, x: Array, unit: Array, left: Array) -> Array:
    """Of some directions, in columns, those along which no gradient at the point and at drawn ones has a part."""
    rng, still = np.random.default_rng(0), 0
    room = ROUNDINGS * len(x) * objective.eps
    for _ in range(left.shape[1] + PLACES):
        g = unit * _drawn(objective, x, rng)
        size = float(np.linalg.norm(g))
        if not 0 < size < np.inf:
            continue
        along = left.T @ (g / size)
        part = float(np.linalg.norm(along))
        still = still + 1 if part <= room else 0
        if still > STILL or not left.shape[1]:
            return left
        if part > room:
            left = _without(left, along / part)
    return left[:, :0]


def _without(left: Array, along: Array) -> Array:
    """Orthonormal columns that span what `left` does but for left @ along, by a reflection that takes it to the first.

    >>> _without(np.eye(2), np.array([0.6, 0.8])).round(3).tolist()
    [[-0.8], [0.6]]
    """
    mirror = np.array(along)
    mirror[0] += 1.0 if along[0] >= 0 else -1.0
    return (left - np.outer(left @ mirror, mirror) * (2 / float(mirror @ mirror)))[:, 1:]


def _drawn(objective: Objective, x: Array, rng: np.random.Generator) -> Array:
    """The gradient at a point drawn about x or the origin, not finite where it is so at none of some distances."""
    center = x if rng.integers(2) else np.zeros(len(x))
    way = (1 + np.abs(center)) * rng.standard_normal(len(x))
    g = np.full(len(x), np.nan)
    for scale in SCALES:
        seen = objective.at(center + scale * way)
        g = seen.g
        if seen.finite and np.any(g):
            break
    return g


def _is_same(objective: Objective, x: Array, basis: Array) -> bool:
    """Whether f is the same far along random directions of a space, up to rounding."""
    rng = np.random.default_rng(1)
    size, value = max(1.0, float(np.linalg.norm(x))), objective.at(x).f
    for t in FAR:
        way = basis @ rng.standard_normal(basis.shape[1])
        for sign in (1.0, -1.0):
            there = objective.at(x + sign * t * size * way / float(np.linalg.norm(way)))
            blur = t * size * float(np.abs(there.g).sum()) + abs(value) + 1.0
            if not there.finite or abs(there.f - value) > ROUNDINGS * len(x) * objective.eps * blur:
                return False
    return True
