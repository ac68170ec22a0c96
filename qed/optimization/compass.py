"""Compass search: the last digits of a minimum at which f has corners.

Where f has a corner along a curve, slopes on its two sides point across it, and steps by slopes zigzag and halt early.
Here f is asked at x +- t e_i; where none is lower, t is halved (Kolda, Lewis and Torczon, "Optimization by direct
search", SIAM Review 45, 2003). Values alone are compared, so that it is of use near a point and in few parameters.
"""

from __future__ import annotations

import numpy as np

from qed.optimization.bounds import Bounds
from qed.optimization.objective import Objective, Seen

PARAMETERS, VALUES = 20, 600
"""In how many parameters at most, and how many values are spent at most."""
FIRST = 1e-3
"""The first step, in relation to the point."""


def compass(objective: Objective, here: Seen, bounds: Bounds) -> Seen | None:
    """The lowest point that is met; None where none is lower.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> objective = Objective(read(lambda x: jnp.abs(x[0] - 1) + 3 * jnp.abs(x[1] + 2), jnp.array([1.0001, -2.001])))
    >>> start = objective.at(objective.start)
    >>> found = compass(objective, start, Bounds(np.full(2, -np.inf), np.full(2, np.inf)))
    >>> found.f, found.x.tolist()
    (0.0, [1.0, -2.0])
    """
    n, best = len(here.x), here
    if n > PARAMETERS:
        return None
    t, left = FIRST * max(1.0, float(np.abs(here.x).max(initial=0.0))), VALUES
    least = 0.5 * objective.eps * max(1.0, float(np.abs(here.x).max(initial=0.0)))
    while t > least and left > 0:
        left -= 2 * n
        around = [objective.at(bounds.project(best.x + sign * t * e)) for e in np.eye(n) for sign in (1.0, -1.0)]
        lowest = min((p for p in around if p.finite), key=lambda p: p.f, default=best)
        if lowest.f < best.f:
            best = lowest
        else:
            t /= 2
    return None if best is here else best
