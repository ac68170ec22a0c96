"""Low points of f around some places: drawn over boxes that grow, and where the slope leads from the lowest in each.

A well of width w takes the share (w / s)^n of a box of width s, so that points alone find it in few dimensions only; a
short run of L-BFGS finds it from as far as its slope is felt. What was looked at is counted, since that f is not lower
elsewhere is true of these points only. Reference: Rinnooy Kan and Timmer, *Stochastic global optimization methods*,
Math. Program. 39, 1987; points by Sobol' (Owen's scrambling).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy

from qed.calculus.shapes.found import by_graph
from qed.optimization.bounds import Bounds
from qed.optimization.objective import Objective, Seen
from qed.optimization.running import by_search

Array = np.ndarray
WIDEST = 14
"""How many boxes there are about a place, of half-widths 1, 2, 4, ... times its size."""
MOST, LEAST, NUMBERS = 9, 4, 4_000_000
"""Powers of two of points in a box: at most, at least; and how many numbers all points together may compute."""
RUNS, STEPS = 2, 12
"""From how many of the lowest points of a box L-BFGS is run, and for how many steps."""


@dataclass(frozen=True, eq=False)
class Scattered:
    """Where short runs began and ended, lowest first; how many points were drawn, and how far away the farthest."""

    ends: tuple[Seen, ...]
    drawn: int
    farthest: float


def scattered(objective: Objective, bounds: Bounds, places: dict[tuple[float, ...], float], seed: int) -> Scattered:
    """Low points around some places.

    Args:
        objective: the loss.
        bounds: the box; what is drawn outside is projected.
        places: the size of each place.
        seed: for the points.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> well = Objective(read(lambda x: -jnp.exp(-((x[0] - 9) ** 2) - x[1] ** 2), jnp.zeros(2)))
        >>> everywhere = Bounds(np.full(2, -np.inf), np.full(2, np.inf))
        >>> bool(scattered(well, everywhere, {(0.0, 0.0): 1.0}, 0).ends[0].f < -0.9)
        True
    """
    traced = objective.function.traced
    values = by_graph(traced, [np.shape(p) for p in objective.function.parameters])
    share = NUMBERS / max(1, objective.function.graph.numbers() * WIDEST * len(places))
    power = int(np.clip(np.log2(max(share, 1.0)), LEAST, MOST))
    ends, drawn, farthest = [], 0, 0.0
    for points in _boxes(bounds, places, power, seed):
        try:
            found = values(points)
        except (TypeError, ValueError, NotImplementedError):  # what JAX raises where a rule is missing
            found = np.array([objective.at(point).f for point in points[: 2**LEAST]])
        drawn += len(found)
        farthest = max(farthest, float(np.abs(points[: len(found)]).max()))
        order = np.argsort(np.where(np.isfinite(found), found, np.inf), kind="stable")[:RUNS]
        for begin in (objective.at(points[k]) for k in order if np.isfinite(found[k])):
            if begin.finite:
                there, _, _ = by_search(objective, begin, bounds, "l-bfgs", 0.0, STEPS)
                ends += [begin, *([there] if there.finite else [])]
    return Scattered(tuple(sorted(ends, key=lambda seen: seen.f)), drawn, farthest)


def _boxes(bounds: Bounds, places: dict[tuple[float, ...], float], power: int, seed: int) -> Iterator[Array]:
    for place, size in places.items():
        center = np.asarray(place)
        for k in range(WIDEST):
            unit = 2 * scipy.stats.qmc.Sobol(len(center), rng=np.random.default_rng([seed, k])).random_base2(power) - 1
            yield bounds.project(center + size * 2.0**k * unit)
