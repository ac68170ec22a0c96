"""Whether gradient or Hessian jump at a point: a corner, where the second-derivative test says nothing.

Enclosures tell that a function is smooth (`smooth_along`): a second derivative that is finite in interval jets exists.
Where they do not, because elements of a maximum are equal, say, there may still be no corner, as in log-sum-exp with
equal arguments. Then gradient and one Hessian product are evaluated around the point, at two distances: at a jump
their spread is the same at both (`qed.calculus.gradient.kinks`). They are compared with those *at* the point, too: at
x = 0 the arguments of min(3x^2, -x^2) = -x^2 are equal, automatic differentiation returns the mean 2 of 6 and -2, and
around it, where it is -2 everywhere, nothing jumps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from qed.calculus.gradient.kinks import AROUND, DISTANCES, WIDE, hull, perturbed
from qed.calculus.hessian import flatten
from qed.calculus.points.case import Case
from qed.calculus.points.located import around
from qed.domains.intervals import Intervals
from qed.domains.jet import Jet
from qed.domains.jets import Jets
from qed.domains.widened import Widened
from qed.graph.walk import TooLong, Unknown, Walker

Array = np.ndarray
LEAST = 1e-10
"""Which part of curvature times length a jump must have at least, to be told from rounding."""


def smooth_along(case: Case, vector: Array) -> bool:
    """Whether f is proved by interval jets to have a second derivative along a vector, near the point.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> f = lambda x: jnp.sum(jnp.abs(x) + x**2)
    >>> [smooth_along(Case(f, x, (), read(f, x)), np.ones(2)) for x in (jnp.ones(2), jnp.zeros(2))]
    [True, False]
    """
    inputs: list[Any] = list(case.function.traced.leaves)
    low, high = (case.pieces(end) for end in around(case.point))
    for position, a, b, along in zip(case.function.traced.free, low, high, case.pieces(vector), strict=True):
        inputs[position] = Jet(Intervals(a[None], b[None]), Intervals(along[None, None], along[None, None]))
    try:
        found = Walker([Jets(1, 2)]).run(case.function.graph, inputs)[0].values[0]
    except TooLong:
        return False
    if isinstance(found, Unknown) or found.value.doubt:
        return False
    part = found.hessian
    return part is None or bool(np.all(np.isfinite(part.lower) & np.isfinite(part.upper)))


def jumps(case: Case, vector: Array) -> bool:
    """Whether the gradient, or the Hessian times a unit vector, jumps at the point, as far as points around it show.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> for f in (jnp.abs, lambda x: x * jnp.abs(x), jnp.cosh):
    ...     print(jumps(Case(f, 0.0, (), read(f, 0.0)), np.ones(1)))
    True
    True
    False
    """
    function = case.function

    def slopes(point: Any, along: Any) -> Any:
        gradient = jax.grad(lambda p: Widened()(function.graph, function.join(p))[0])
        return jax.jvp(gradient, (point,), (along,))

    with jax.enable_x64(True):
        compiled = jax.jit(slopes)
        along = tuple(jax.numpy.asarray(a) for a in case.pieces(vector))

        def both(point: Any) -> Array:
            found, bent = compiled(tuple(jax.numpy.asarray(p) for p in point), along)
            return np.concatenate([flatten(found), flatten(bent)])

        point = [np.asarray(p, np.float64) for p in case.pieces(case.point)]
        found = hull(both, point)
        off, apart = _apart(both, point)
    n = function.size
    size = np.maximum(np.abs(found.lower), np.abs(found.upper))
    bend = float(np.sqrt(n)) * float(np.max(size[n:], initial=0.0))
    length = float(np.max(np.abs(case.point), initial=0.0)) or 1.0
    least = np.where(np.arange(2 * n) < n, LEAST * bend * length, LEAST * bend)
    with np.errstate(invalid="ignore"):  # inf - inf is no jump
        wide = found.upper - found.lower > least
    return bool(np.any(found.jumps & wide) or np.any(apart & (off > least)))


def _apart(derivative: Callable[[list[Array]], Array], point: list[Array]) -> tuple[Array, Array]:
    """How far derivatives around a point are from those at it, and where that does not shrink with the distance."""
    here = derivative(point)
    away, size = [], np.abs(here)
    for distance in DISTANCES:
        moves = [perturbed(point, sign * distance, AROUND + k) for k in range(AROUND) for sign in (1.0, -1.0)]
        rows = np.stack([derivative(moved) for moved in moves])
        away.append(np.max(np.abs(rows - here), axis=0))
        size = np.maximum(size, np.max(np.abs(rows), axis=0))
    near, far = away
    with np.errstate(all="ignore"):
        return near, (near > WIDE * size) & (far < 2 * near) & (far > 0.5 * near) & np.isfinite(near)


def direction(case: Case) -> Array:
    """A direction of length one that is none of the axes."""
    found = np.random.default_rng(0).standard_normal(case.function.size)
    return found / np.linalg.norm(found)
