"""How much of a value the arithmetic of its program may lose at a point, equation by equation.

A value is rounded where its terms are large, however small it is itself: 1 - cos(x) at 1e-5 is 5e-11, and its digits
are those of 1. So that f is lower somewhere is believed where it is lower by more than the bound of running error
analysis (`qed.domains.rounding`) explains at both points.
"""

from __future__ import annotations

import numpy as np

from qed.domains.rounding import rounding_bound
from qed.graph.walk import TooLong
from qed.optimization.objective import Objective, Seen, Wide

Array = np.ndarray
MOST = 100_000
"""How many numbers a program may compute to be asked; one with loops is not."""


def lost(objective: Objective, x: Array) -> float:
    """By how much rounding may move a value at a vector; 0 where it is not known.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> cosine = Objective(read(lambda x: 1 - jnp.cos(x[0]), jnp.array([1e-5])))
        >>> bool(abs(cosine.at(np.array([1e-5])).f - 5e-11) < lost(cosine, np.array([1e-5])) < 1e-5)
        True
    """
    graph = objective.function.graph
    looped = any(equation.primitive in ("while", "scan") for equation in graph.walk())
    if looped or graph.numbers() > MOST:
        return 0.0
    try:
        found = rounding_bound(graph, objective.function.join(objective.arrays(x)))
    except (TypeError, ValueError, NotImplementedError, TooLong):  # no gradient, or none that can be followed
        return 0.0
    if isinstance(objective, Wide) and found is not None:  # the bound is linear in the unit roundoff
        found *= objective.eps / objective.written
    return 0.0 if found is None or not np.isfinite(found) else found


def rounding(objective: Objective, here: Seen) -> float:
    """By how much two values near a point may differ by rounding alone."""
    return 2 * max(objective.noise(here.f), lost(objective, here.x))


def surely_lower(objective: Objective, there: Seen, here: Seen, more: float) -> bool:
    """Whether f is lower at one point than at another by `more`, and by more than rounding explains."""
    fall = here.f - there.f
    if not fall > more:
        return False
    return fall > more + lost(objective, here.x) + lost(objective, there.x)
