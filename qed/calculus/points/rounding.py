"""How much of a gradient is rounding: what the program's arithmetic explains, beside what it is.

At a float x near a critical point the gradient is not zero, for two reasons. The program computes it with rounding
errors, bounded along its own direction u by running error analysis (`qed.domains.rounding`); and x itself is a rounded
number, each coordinate up to u |x_j| away from the point that was meant, which changes the gradient by H times that:

    |u . grad f(x)| <= bound of the errors of (u . grad f) + eps sum_j |(H u)_j| |x_j|.

A gradient within this bound is no evidence against a critical point; one beyond it is.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.hessian import unflatten
from qed.domains.rounding import rounding_bound
from qed.graph.dtypes import unit_roundoff
from qed.graph.function import Function
from qed.graph.trace import trace

Array = np.ndarray


def explained(function: Function, direction: Array, bent: Array, point: Array) -> float:
    """The largest component of a gradient along a unit vector that rounding explains.

    Args:
        function: the program.
        direction: the unit vector u, the arrays of the first argument laid end to end.
        bent: H u.
        point: x.

    >>> from qed.calculus.points.rounding import explained
    >>> from qed.graph.function import read
    >>> import jax.numpy as jnp, numpy as np
    >>> f = read(lambda x: (x - 1 / 3) ** 2, jnp.float32(1 / 3))
    >>> bool(1e-8 < explained(f, np.ones(1), np.array([2.0]), np.array([1 / 3])) < 1e-6)
    True
    """
    units = np.concatenate([np.full(p.size, unit_roundoff(p.dtype)) for p in function.parameters])
    moved = float(np.sum(units * np.abs(bent) * np.abs(point)))
    along = unflatten(direction, function.parameters)

    def slope(parameters: tuple[jax.Array, ...]) -> jax.Array:
        found = jax.grad(function.value)(parameters)
        return sum((jnp.vdot(g, d) for g, d in zip(found, along, strict=True)), jnp.zeros(()))

    try:
        traced = trace(slope, function.parameters)
        bound = rounding_bound(traced.graph, traced.leaves)
    except (TypeError, ValueError, NotImplementedError):  # no gradient, or none that can be followed
        bound = None
    return 8 * moved if bound is None else moved + bound
