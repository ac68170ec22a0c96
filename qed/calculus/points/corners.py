"""Whether f, gradient or Hessian jump at a point: a corner, where the second-derivative test says nothing.

Enclosures tell that a function is smooth (`smooth_along`): a second derivative that is finite in interval jets exists.
Where they do not, because elements of a maximum are equal, say, there may still be no corner, as in log-sum-exp with
equal arguments. Then f, gradient and one Hessian product are evaluated around the point, at two distances: at a jump
their spread is the same at both (`qed.calculus.gradient.kinks`). They are compared with those *at* the point, too: at
x = 0 the arguments of min(3x^2, -x^2) = -x^2 are equal, automatic differentiation returns the mean 2 of 6 and -2, and
around it, where it is -2 everywhere, nothing jumps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from qed.calculus.gradient.kept import differentiable
from qed.calculus.gradient.kinks import AROUND, DISTANCES, WIDE, hull, perturbed
from qed.calculus.hessian import flatten
from qed.calculus.points.case import Case
from qed.calculus.points.located import around
from qed.domains.intervals import Intervals
from qed.domains.jet import Jet
from qed.domains.jets import Jets
from qed.domains.widened import is_narrow
from qed.graph.function import Function
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


def jumps(case: Case, vector: Array, function: Function | None = None) -> str:
    """What jumps at the point, in words, as far as points around show: f, its gradient, or its Hessian times a vector.

    Where f can be differentiated forward only (through a while loop), the derivatives along the vector are asked. Of
    `function` instead of the case's values, where it is given.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> for f in (jnp.sign, jnp.abs, lambda x: x * jnp.abs(x), jnp.cosh):
    ...     print(jumps(Case(f, 0.0, (), read(f, 0.0)), np.ones(1)) or "nothing")
    f itself jumps there
    its first or second derivative jumps there
    its first or second derivative jumps there
    nothing
    """
    n = case.function.size
    point = [np.asarray(p, np.float64) for p in case.pieces(case.point)]
    with jax.enable_x64(True):
        derivatives, value = _derivatives(case, vector, case.values if function is None else function)
        found = hull(derivatives, point)
        off, apart = _apart(derivatives, point)
    size = np.maximum(np.abs(found.lower), np.abs(found.upper))
    m = len(size) // 2
    slope, bend = (float(np.sqrt(n)) * float(np.max(part, initial=0.0)) for part in (size[1 : m + 1], size[m + 1 :]))
    length = float(np.max(np.abs(case.point), initial=0.0)) or 1.0
    rounding = (WIDE if is_narrow(case.function.graph) else LEAST) * abs(value)
    least = np.full(len(size), LEAST * bend)
    least[1 : m + 1] *= length
    least[0] = rounding + LEAST * length * (slope + length * bend)
    with np.errstate(invalid="ignore"):  # inf - inf is no jump
        wide = found.upper - found.lower > least
    jumping = (found.jumps & wide) | (apart & (off > least))
    if jumping[0]:
        return "f itself jumps there"
    return "its first or second derivative jumps there" if np.any(jumping) else ""


def _derivatives(case: Case, vector: Array, function: Function) -> tuple[Callable[[list[Array]], Array], float]:
    """point -> f less its value at the case's point, gradient, Hessian times the vector, end to end; and that value.

    Gradient and product are the two derivatives along the vector, where there is no gradient. Under `jax.enable_x64`.
    """
    along = tuple(jax.numpy.asarray(a) for a in case.pieces(vector))
    run = differentiable(function.graph)

    def value(point: Any) -> Any:
        return run(function.graph, function.join(point))[0]

    def reverse(point: Any) -> Any:
        (here, slopes), (_, bent) = jax.jvp(jax.value_and_grad(value), (point,), (along,))
        return (here,), slopes, bent

    def forward(point: Any) -> Any:
        (here, slope), (_, bent) = jax.jvp(lambda p: jax.jvp(value, (p,), (along,)), (point,), (along,))
        return (here,), (slope,), (bent,)

    def called(way: Any) -> Callable[[list[Array]], Array]:
        compiled = jax.jit(way)
        return lambda point: np.concatenate([flatten(a) for a in compiled(tuple(map(jax.numpy.asarray, point)))])

    at = [np.asarray(p, np.float64) for p in case.pieces(case.point)]
    try:
        asked = called(reverse)
        here = float(asked(at)[0])
    except (NotImplementedError, ValueError, TypeError):  # what JAX raises where a rule is missing
        asked = called(forward)
        here = float(asked(at)[0])

    def less(point: list[Array]) -> Array:
        found = asked(point)
        found[0] -= here
        return found

    return less, here


def _apart(derivative: Callable[[list[Array]], Array], point: list[Array]) -> tuple[Array, Array]:
    """How far derivatives around a point are from those at it, and where that does not shrink with the distance."""
    here = derivative(point)
    away, size = [], np.abs(here)
    for distance in DISTANCES:
        moves = [perturbed(point, sign * distance, AROUND + k) for k in range(AROUND) for sign in (1.0, -1.0)]
        rows = np.stack([derivative(moved) for moved in moves])
        with np.errstate(invalid="ignore"):  # derivatives that overflow are compared with nothing
            away.append(np.max(np.abs(rows - here), axis=0))
        size = np.maximum(size, np.max(np.abs(rows), axis=0))
    near, far = away
    with np.errstate(all="ignore"):
        return near, (near > WIDE * size) & (far < 2 * near) & (far > 0.5 * near) & np.isfinite(near)


def direction(case: Case) -> Array:
    """A direction of length one that is none of the axes."""
    found = np.random.default_rng(0).standard_normal(case.function.size)
    return found / np.linalg.norm(found)
