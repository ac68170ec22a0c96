"""Points where corners meet: f has no slope of 0 there, and a mean of the slopes around is.

At a minimum of a function with corners 0 is a mean, with weights w >= 0, sum w = 1, of slopes at points as near as one
likes (Clarke, *Optimization and Nonsmooth Analysis*, 1983). So slopes are asked at random points in a small ball, and
the shortest of their means is looked for. Down that mean f falls, where it is no minimum, although it may rise down
each single slope (Burke, Lewis and Overton, "A robust gradient sampling algorithm for nonsmooth, nonconvex
optimization", SIAM J. Optim. 15, 2005).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qed.optimization.bounds import Bounds
from qed.optimization.objective import Objective, Seen
from qed.optimization.roundings import rounding
from qed.optimization.simplex import on_simplex

Array = np.ndarray
PARAMETERS = 200
"""In how many parameters at most."""
RADII = (1e-3, 1e-4, 1e-5, 1e-6)
"""Of the balls, relative to the size of the point."""
PAIRS, EVEN = 6, 0.1
"""At how many pairs of points slopes are compared with the one between, and up to which part of their difference."""
FARTHER = 100
"""How many distances farther down are asked."""
STEPS = tuple(4.0 * 0.5**k for k in range(12))
"""How far down the mean f is asked, in radii."""


@dataclass(frozen=True, eq=False)
class Around:
    """What was seen in a ball: how many slopes, the shortest, the longest, their shortest mean; and the lowest point.

    `lowest` is the lowest of the points in the ball and of some down the mean.
    """

    radius: float
    count: int
    shortest: float
    longest: float
    mean: float
    lowest: Seen


def around_corners(objective: Objective, here: Seen, bounds: Bounds, seed: int = 0) -> Iterator[Around]:
    """What is seen in balls around a point, the largest first, where f is finite in all of one.

    Nothing is where f has no corners, or is too large.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> objective = Objective(read(lambda x: jnp.abs(x[0]) + 2 * jnp.abs(x[1]), jnp.zeros(2)))
    >>> box = Bounds(np.full(2, -np.inf), np.full(2, np.inf))
    >>> seen = [next(around_corners(objective, objective.at(np.array(x)), box)) for x in ([1e-5, 0.0], [1.0, 1e-5])]
    >>> [(round(one.shortest, 3), round(one.mean, 3)) for one in seen]
    [(2.236, 0.0), (2.236, 1.0)]
    """
    n = len(here.x)
    if not objective.cornered or n > PARAMETERS or objective.dear or not bounds.open:
        return
    size = max(1.0, float(np.linalg.norm(here.x)))
    random = np.random.default_rng(seed)
    for radius in (r * size for r in RADII if r >= 8 * objective.eps):
        ways = random.standard_normal((2 * n + 10, n))
        ways *= (radius * random.random(len(ways)) ** (1 / n) / np.linalg.norm(ways, axis=1))[:, None]
        seen = [objective.at(here.x + way) for way in ways]
        if not all(one.finite for one in seen):
            continue
        slopes = np.array([here.g, *(one.g for one in seen)])
        mean = on_simplex(slopes @ slopes.T, np.zeros(len(slopes))) @ slopes
        length = float(np.linalg.norm(mean))
        down = [objective.at(here.x - t * radius / length * mean) for t in STEPS] if length else []
        lowest = min((one for one in (*seen, *down) if one.finite), key=lambda one: one.f)
        sizes = np.linalg.norm(slopes, axis=1)
        yield Around(radius, len(slopes), float(sizes.min()), float(sizes.max()), length, lowest)


def bends_evenly(objective: Objective, x: Array, radius: float, seed: int = 0) -> bool:
    """Whether slopes at opposite points of a sphere have the slope at its center as their mean, as without corners.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> functions = (lambda x: jnp.floor(x[0]) + x[0] ** 2, lambda x: jnp.abs(x[0] - 0.5))
    >>> [bends_evenly(Objective(read(f, jnp.full(1, 0.5))), np.full(1, 0.5), 1e-3) for f in functions]
    [True, False]
    """
    here, random = objective.at(x), np.random.default_rng(seed)
    ways = random.standard_normal((PAIRS, len(x)))
    ways *= (radius / np.linalg.norm(ways, axis=1))[:, None]
    pairs = [(objective.at(x + way).g, objective.at(x - way).g) for way in ways]
    uneven = max(float(np.linalg.norm(a + b - 2 * here.g)) for a, b in pairs)
    return uneven <= EVEN * max(float(np.linalg.norm(a - b)) for a, b in pairs)


def below_corners(objective: Objective, here: Seen, bounds: Bounds, farther: int = FARTHER) -> Seen | None:
    """A point lower by more than rounding explains, where a run has halted between corners; None where none is met.

    It is as far that way as f falls from one distance to the next, four times as large, so many times at most.
    """
    enough = rounding(objective, here)
    met = (one.lowest for one in around_corners(objective, here, bounds))
    lowest = next((one for one in met if one.f < here.f - enough), None)
    if lowest is None:
        return None
    way = lowest.x - here.x
    for k in range(1, farther + 1):
        there = objective.at(here.x + 4.0**k * way)
        if not (there.finite and there.f < lowest.f):
            break
        lowest = there
    return lowest
