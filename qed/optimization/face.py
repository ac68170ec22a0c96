"""A function on a face of its box: the numbers that bounds hold stay where they are, and the others are free.

At a point where the slope presses some numbers against their bounds, what f does among the others is what a function of
these alone does (Nocedal and Wright, *Numerical Optimization*, 2006, section 16.7).
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.calculus.hessian import flatten
from qed.graph.function import read
from qed.optimization.bounds import Bounds
from qed.optimization.objective import Objective

Array = np.ndarray


def on_face(objective: Objective, held: Array, x: Array) -> Objective:
    """The function of the numbers that are not held, the others as they are at x.

    Args:
        objective: the loss.
        held: which numbers bounds hold.
        x: a point on the face.

    >>> import jax.numpy as jnp
    >>> f = Objective(read(lambda x: x[0] ** 2 + x[0] * x[1], jnp.ones(2)))
    >>> on_face(f, np.array([False, True]), np.array([1.0, 3.0])).at(np.array([2.0])).f
    10.0
    """
    function, free = objective.function, np.flatnonzero(~held)
    given = objective.arrays(x)
    ends = np.cumsum([0, *(p.size for p in given)])
    dtype = jnp.result_type(*given)

    def on_free(z: Any) -> Any:
        whole = jnp.asarray(flatten(given), dtype).at[free].set(z)
        parts = (whole[a:b].reshape(p.shape).astype(p.dtype) for a, b, p in zip(ends, ends[1:], given, strict=False))
        return function.value(tuple(parts))

    return Objective(read(on_free, jnp.asarray(x[free], dtype)))


def within(bounds: Bounds, held: Array) -> Bounds:
    """The bounds of the numbers that are not held."""
    return Bounds(bounds.lower[~held], bounds.upper[~held])
