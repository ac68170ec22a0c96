"""Whether f, gradient or Hessian jump at a point: a corner, where the second-derivative test says nothing.

Enclosures tell that a function is smooth (`smooth_along`): a second derivative that is finite in interval jets exists.
Where they do not, because elements of a maximum are equal, say, there may still be no corner, as in log-sum-exp with
equal arguments. Then f, gradient and one Hessian product are evaluated around the point, at two distances: at a jump
their spread is the same at both (`qed.calculus.gradient.kinks`). They are compared with those *at* the point, too: at
x = 0 the arguments of min(3x^2, -x^2) = -x^2 are equal, automatic differentiation returns the mean 2 of 6 and -2, and
around it, where it is -2 everywhere, nothing jumps.

Nothing is said for a point where the Hessian products do not come nearer to those at it as points come nearer. Those
of x^3 sin(1/x) grow towards 0, and f'' does not exist there. Those of sin(x)/x, with its value 1 at 0 chosen by a
condition, are -1/3 v near 0 and 0 at it, where JAX differentiates the 1. Very near to it they are rounding alone; so
larger distances are asked where the least ones do not tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from qed.calculus.gradient.kept import differentiable
from qed.calculus.gradient.kinks import DISTANCES, WIDE, hull_of, rows_around
from qed.calculus.hessian import flatten
from qed.calculus.points.case import Case
from qed.calculus.points.located import around
from qed.calculus.points.touched import touched
from qed.domains.intervals import Intervals
from qed.domains.jet import Jet
from qed.domains.jets import Jets
from qed.domains.widened import is_narrow
from qed.graph.function import Function
from qed.graph.walk import TooLong, Unknown, Walker

Array = np.ndarray
LEAST = 1e-10
"""Which part of curvature times length a jump must have at least, to be told from rounding."""
FURTHER = (1e-7, 1e-5, 1e-4, 1e-3, 1e-2)
"""The distances at which the Hessian is asked where the least ones show rounding alone."""
SHRINKS = 0.3
"""To which part of itself a difference shrinks at least, from one distance to the next, where there is a limit."""
STEADY = 0.1
"""Which part of a difference to the point may be between two distances, where it is one and the same."""
NONE = "f has no second derivative at the point"


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
    """Why the Hessian at the point is none, as far as points around show it on f, its gradient, and H times a vector.

    Where f can be differentiated forward only (through a while loop), the derivatives along the vector are asked. Of
    `function` instead of the case's values, where it is given.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> for f in (jnp.sign, jnp.abs, lambda x: x * jnp.abs(x), lambda x: jnp.minimum(3 * x**2, -(x**2)), jnp.cosh):
    ...     print(jumps(Case(f, 0.0, (), read(f, 0.0)), np.ones(1)) or "nothing")
    f has no second derivative at the point: f itself jumps there
    f has no second derivative at the point: its first or second derivative jumps there
    f has no second derivative at the point: its first or second derivative jumps there
    the derivatives that JAX takes at the point are not those of the points around it
    nothing
    """
    n = case.function.size
    point = [np.asarray(p, np.float64) for p in case.pieces(case.point)]
    with jax.enable_x64(True):
        derivatives, value = _derivatives(case, vector, case.values if function is None else function)
        here = derivatives(point)
        near, far = (rows_around(derivatives, point, distance) for distance in DISTANCES)
        found = hull_of(near, far)
        off, apart = _apart(here, near, far)
        m = len(here) // 2
        settling = _settling(derivatives, point, here, near, far, m + 1)
    size = np.maximum(np.abs(found.lower), np.abs(found.upper))
    slope, bend = (float(np.sqrt(n)) * float(np.max(part, initial=0.0)) for part in (size[1 : m + 1], size[m + 1 :]))
    length = float(np.max(np.abs(case.point), initial=0.0)) or 1.0
    rounding = (WIDE if is_narrow(case.function.graph) else LEAST) * abs(value)
    least = np.full(len(size), LEAST * bend)
    least[1 : m + 1] *= length
    least[0] = rounding + LEAST * length * (slope + length * bend)
    with np.errstate(invalid="ignore"):  # inf - inf is no jump
        wide = found.upper - found.lower > least
    around, away = found.jumps & wide, apart & (off > least)
    if around[0] or away[0]:
        return f"{NONE}: f itself jumps there"
    steady = np.abs(far - near) <= STEADY * np.max(np.abs(near - here), axis=0)
    if np.any(around & np.all(steady, axis=0)):
        return f"{NONE}: its first or second derivative jumps there"
    if np.any(away & ~around) or settling == "apart":
        return "the derivatives that JAX takes at the point are not those of the points around it"
    if np.any(around | away) or settling == "unsettled":
        return "the second derivatives around the point do not come nearer to those at it as the points come nearer"
    return ""


def without_hessian(case: Case, met: bool | None = None) -> str:
    """Why the program, derivatives by its own rules, has no Hessian at the point; "" where nothing shows it.

    Args:
        case: the function and the point.
        met: whether a corner or a jump of a part lies at the point, where that is known.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> f = lambda x: jnp.sum(jnp.maximum(x, 0.0) ** 2)
    >>> [without_hessian(Case(f, x, (), read(f, x)))[:17] for x in (jnp.array([1.0, 0.0]), jnp.ones(2))]
    ['f has no second d', '']
    """
    if not (touched(case.function)[1] if met is None else met):
        return ""
    try:
        return jumps(case, direction(case), case.function)
    except (NotImplementedError, ValueError, TypeError):  # what JAX raises where a rule is missing
        return ""  # products will say so


def _settling(
    derivative: Callable[[list[Array]], Array], point: list[Array], here: Array, near: Array, far: Array, first: int
) -> str:
    """Whether the elements from `first` on come nearer to those at the point: "apart" and "unsettled" are No.

    Of two distances the lesser shows it, unless rounding is larger than what is sought; then larger ones are asked. An
    element is apart where it is the same at both, and another one at the point.
    """
    finite = np.isfinite(here[first:])
    size = float(np.max(np.abs(here[first:]), where=finite, initial=0.0))
    left = finite
    for distance in (None, *FURTHER):
        if distance is not None:
            near, far = far, rows_around(derivative, point, distance)
        with np.errstate(all="ignore"):
            offs = np.abs(near - here)[:, first:]
            less, more = np.max(offs, axis=0), np.max(np.abs(far - here)[:, first:], axis=0)
            same = np.all(np.abs(far - near)[:, first:] <= STEADY * less, axis=0) & (less > LEAST * size)
            settled = less <= np.maximum(SHRINKS * more, LEAST * size)
        if np.any(left & same & ~settled):
            return "apart"
        left = left & ~settled
        if not np.any(left):
            return ""
    return "unsettled"


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


def _apart(here: Array, near: Array, far: Array) -> tuple[Array, Array]:
    """How far derivatives around a point are from those at it, and where that does not shrink with the distance."""
    with np.errstate(invalid="ignore"):  # derivatives that overflow are compared with nothing
        less, more = np.max(np.abs(near - here), axis=0), np.max(np.abs(far - here), axis=0)
        size = np.max([np.abs(here), *np.abs(near), *np.abs(far)], axis=0)
    with np.errstate(all="ignore"):
        return less, (less > WIDE * size) & (more < 2 * less) & (more > 0.5 * less) & np.isfinite(less)


def direction(case: Case) -> Array:
    """A direction of length one that is none of the axes."""
    found = np.random.default_rng(0).standard_normal(case.function.size)
    return found / np.linalg.norm(found)
