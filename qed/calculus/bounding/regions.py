"""Regions of one minimiser: boxes on which a function is proved to have exactly one local minimum, and where it lies.

On N, a box about a candidate p, let the Hessian be positive definite in the coordinates that vary, and in each of the
others (those where p lies on a face of the domain) let the slope point strictly out of it. Then all minimisers of f on
N lie on that face, where f is strictly convex: there is at most one, and if Krawczyk's test finds a stationary point of
the face near p, it is that. On N, f(x) >= f(p) + grad f(p) (x - p) for x on the face. This ends what is called the
cluster effect: boxes around a minimum, which bounds of first order cannot tell from it (Kearfott and Du, "The cluster
problem in multivariate global optimization", J. Global Optim. 5, 1994).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qed.calculus.bounding.boxes import OnBoxes, undefined
from qed.calculus.bounding.forms import definite, krawczyk, mean_value
from qed.certificates.boxes import around
from qed.certificates.boxes import reach as reached
from qed.domains.jet import Jet, full

Array = np.ndarray
SHARES = tuple(0.25 * 0.4**k for k in range(18))
"""How large a region is tried, in parts of the domain."""


@dataclass(frozen=True, eq=False)
class Region:
    """A box N with at most one local minimiser of the domain.

    Args:
        lower, upper: the ends of N.
        point: where its tangent is taken.
        face: per coordinate 0 where it varies, -1 or 1 where the minimiser is on that face of the domain.
        inner_lower, inner_upper: the box that holds the minimiser, if `one`.
        one: whether there is exactly one, by Krawczyk's test with `radius`.
        radius: of the test, see `qed.certificates.boxes.reach`.
        bound: a lower bound of f on N.
        value: an upper bound of f(point).
    """

    lower: Array
    upper: Array
    point: Array
    face: Array
    inner_lower: Array
    inner_upper: Array
    one: bool
    radius: float
    bound: float
    value: float

    def holds(self, lower: Array, upper: Array) -> Array:
        """Which boxes lie in it."""
        return np.all((lower >= self.lower) & (upper <= self.upper), -1)


def region(function: OnBoxes, start: Array, lower: Array, upper: Array, reach: float = 1.0) -> Region | None:
    """The largest region about a candidate that is proved, of a few sizes, times `reach`; or None.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.calculus.bounding.boxes import OnBoxes
    >>> from qed.calculus.bounding.regions import region
    >>> from qed.graph.trace import trace
    >>> f = OnBoxes.of(trace(lambda x: jnp.sum(jnp.cosh(x)), np.zeros(2)))
    >>> found = region(f, np.array([1e-3, 0.0]), np.array([-1.0, -1.0]), np.array([1.0, 1.0]))
    >>> found.one, round(found.bound, 12)
    (True, 2.0)
    """
    jet = function.at(start[None], 1)
    face = _face(jet, start, lower, upper)
    point = _polished(function, np.where(face < 0, lower, np.where(face > 0, upper, start)), face, lower, upper)
    if point is None:
        return None
    scale = np.where(np.isfinite(upper - lower), upper - lower, 2.0 * (1.0 + np.abs(point)))
    sizes = reach * np.array(SHARES)[:, None] * scale
    low, high = np.maximum(point - sizes, lower), np.minimum(point + sizes, upper)
    # second derivatives matter on the face alone: there the others are fixed
    on_low, on_high = np.where(face != 0, point, low), np.where(face != 0, point, high)
    free = np.broadcast_to((face == 0) & (lower < upper), low.shape)
    there = function(on_low, on_high, 2)
    assert there.hessian is not None
    good = definite(there.hessian, function.size, free) & ~undefined(there.value)
    if np.any(face):
        around = function(low, high, 1)
        assert around.slope is not None
        out = np.where(face < 0, around.slope.lower > 0, np.where(face > 0, around.slope.upper < 0, True))
        good &= np.all(out, -1) & ~undefined(around.value)
    if not np.any(good):
        return None
    k = int(np.argmax(good))
    return _finished(function, point, face, free[k], (low[k], high[k]), (on_low[k], on_high[k]))


def _face(jet: Jet, point: Array, lower: Array, upper: Array) -> Array:
    """Where the slope presses the point on a face of the domain."""
    assert jet.slope is not None
    up, down = jet.slope.lower[0] > 0, jet.slope.upper[0] < 0
    near = np.abs(point - np.array([lower, upper])) <= 1e-9 * (1.0 + np.abs(point))
    return np.where(near[0] & up & (lower < upper), -1, np.where(near[1] & down & (lower < upper), 1, 0))


def _polished(function: OnBoxes, point: Array, face: Array, lower: Array, upper: Array) -> Array | None:
    """A few steps of Newton's method in the coordinates that vary."""
    free = np.flatnonzero((face == 0) & (lower < upper))
    for _ in range(4):
        jet = function.at(point[None], 2)
        assert jet.slope is not None and jet.hessian is not None
        if not all(np.all(np.isfinite(end)) for part in (jet.slope, jet.hessian) for end in part.bounds):
            return None
        g = ((jet.slope.lower + jet.slope.upper) / 2)[0]
        h = full((jet.hessian.lower + jet.hessian.upper) / 2, function.size)[0]
        if not len(free):
            return point
        try:
            step = np.linalg.solve(h[np.ix_(free, free)], g[free])
        except np.linalg.LinAlgError:
            return None
        moved = point.copy()
        moved[free] = np.clip(moved[free] - step, lower[free], upper[free])
        if np.max(np.abs(moved - point)) <= 4e-16 * (1.0 + np.max(np.abs(point))):
            return moved
        point = moved
    return point


def _finished(
    function: OnBoxes,
    point: Array,
    face: Array,
    free: Array,
    box: tuple[Array, Array],
    on_face: tuple[Array, Array],
) -> Region:
    """The region with its bound, and the test of existence with a few radii."""
    jet = function.at(point[None], 1)
    assert jet.slope is not None
    tangent = mean_value(jet.value, jet.slope, point[None], on_face[0][None], on_face[1][None])
    one, inner, found = not np.any(free), (point, point), 0.0
    for radius in (1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5):
        if one:
            break
        s_low, s_high = around(point, radius, free)
        if np.any(free & ((s_low < box[0]) | (s_high > box[1]))):
            break
        there = function(s_low[None], s_high[None], 2)
        assert there.hessian is not None
        if krawczyk(point[None], reached(point, radius, free)[None], jet.slope, there.hessian, free[None])[0]:
            one, inner, found = True, (s_low, s_high), radius
    return Region(
        *box,
        point,
        face,
        *inner,
        bool(one),
        found,
        float(tangent.lower[0]),
        float(jet.value.upper[0]),
    )
