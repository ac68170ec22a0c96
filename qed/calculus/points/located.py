"""A critical point near a given point: found by Newton's method in float64, enclosed by intervals.

The numbers of a program are rounded, so that the gradient at a float x is hardly ever zero, where the true critical
point x* is no float. From x, Newton's steps c <- c - H(c)^-1 grad f(c) lead near it; curvatures that are zero up to
rounding take no part in the step. Krawczyk's test on a small box about c then proves that exactly one critical point
lies in it (Neumaier, *Interval Methods for Systems of Equations*, 1990, theorem 5.1.8), and L D L' of the Hessian
enclosed on that box has the signs of its curvatures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from qed.calculus.bounding.boxes import Gap, OnBoxes, undefined
from qed.calculus.bounding.by_terms import OnTerms
from qed.calculus.bounding.forms import krawczyk
from qed.calculus.points.inertia import inertia
from qed.domains.intervals import Intervals
from qed.domains.jet import Jet, full

Array = np.ndarray
STEPS = 80
QUICK = 1e-8
"""How much shorter a gradient is made by a Newton step near a point where it converges quadratically."""
NOTHING = 1e-11
"""Which part of the largest curvature is taken for none in a step."""
RADII = tuple(10.0**-k for k in range(14, 3, -1))
"""How large a box is tried, in relation to the point."""
AT_ONCE, NUMBERS = 4, 1 << 14
"""How many boxes are enclosed in one pass, which takes about as long as for one box, and how many numbers in all."""


@dataclass(frozen=True, eq=False)
class Local:
    """Value, gradient and Hessian at a point, or on a box, enclosed.

    Args:
        value: of one box.
        slope: (n,).
        hessian: (n, n).
        smooth: whether value and derivatives are all known and finite.
    """

    value: Intervals
    slope: Intervals
    hessian: Intervals
    smooth: bool

    @property
    def gradient(self) -> Array:
        """The middle of the gradient."""
        return (self.slope.lower + self.slope.upper) / 2

    @property
    def matrix(self) -> Array:
        """The middle of the Hessian."""
        return (self.hessian.lower + self.hessian.upper) / 2

    def spread(self) -> float:
        """How far an eigenvalue of the Hessian may be from that of the middle, about."""
        return float(np.max(np.sum(self.hessian.upper - self.hessian.lower, -1), initial=0.0)) / 2


def local(function: OnBoxes | OnTerms, lower: Array, upper: Array) -> Local:
    """The derivatives up to the second on a box."""
    return _locals(function, lower[None], upper[None])[0]


def _locals(function: OnBoxes | OnTerms, lower: Array, upper: Array) -> list[Local]:
    """The same on several boxes, (count, n), in one pass."""
    jet: Jet = function(lower, upper, 2)
    assert jet.slope is not None and jet.hessian is not None
    found = []
    for k in range(len(lower)):
        value, slope, bent = (part.map(lambda a, k=k: a[k : k + 1]) for part in (jet.value, jet.slope, jet.hessian))
        slope, hessian = slope.map(lambda a: a[0]), bent.map(lambda a: full(a, function.size)[0])
        ends = (value.lower, value.upper, slope.lower, slope.upper, hessian.lower, hessian.upper)
        smooth = all(bool(np.all(np.isfinite(end))) for end in ends) and not np.any(undefined(value))
        found.append(Local(value, slope, hessian, smooth))
    return found


NEAR = 2.0**-40
"""How large a box about a point is, in relation to it, on which a function is to be smooth."""


def around(point: Array) -> tuple[Array, Array]:
    """A small box about a point. At the point alone 0 times an unbounded second derivative would be 0."""
    radius = NEAR * np.maximum(np.abs(point), np.max(np.abs(point), initial=0.0) or 1.0)
    return point - radius, point + radius


def where_smooth(function: OnBoxes | OnTerms, point: Array) -> Local | None:
    """The derivatives at a point; None where the function is not seen to be smooth there and around."""
    return where_smooth_and(function, point, None)[0]


def where_smooth_and(
    function: OnBoxes | OnTerms, point: Array, other: Array | None
) -> tuple[Local | None, Local | None]:
    """The same, and the derivatives at another point, where there is one and one pass has them too."""
    low, high = around(point)
    if isinstance(function, OnTerms):  # one box at a time
        here, beside = local(function, point, point), local(function, low, high)
        return here if here.smooth and beside.smooth else None, None
    there = []
    if other is not None:
        try:
            here, beside, *there = _locals(function, np.array([point, low, other]), np.array([point, high, other]))
        except Gap:  # at one of the points alone, it may be
            other = None
    if other is None:
        here, beside = _locals(function, np.array([point, low]), np.array([point, high]))
    smooth = here.smooth and beside.smooth
    return here if smooth else None, next((one for one in there if one.smooth), None)


@dataclass(frozen=True, eq=False)
class Located:
    """One critical point, enclosed.

    Args:
        center: the middle of its box.
        radius: the half-widths of it.
        signs: how many curvatures are negative, and positive; None where that is not decided.
        box: the derivatives on the box.
    """

    center: Array
    radius: Array
    signs: tuple[int, int] | None
    box: Local


def refined(function: OnBoxes | OnTerms, start: Array, here: Local | None = None) -> tuple[Array, Local]:
    """Where Newton's steps from a point lead, and the derivatives there; `here`: those at the start, where known.

    Each step is to make the gradient at most half as long: what remains otherwise is its rounding. Where a step made it
    `QUICK` times shorter and all of them 2^53 times, the point is as good as found: a next step moves it by less than
    one unit in the last place of the first.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.calculus.points.located import refined
    >>> from qed.calculus.bounding.boxes import OnBoxes
    >>> from qed.graph.trace import trace
    >>> f = OnBoxes.of(trace(lambda x: jnp.sum(x**4 - x * x), np.zeros(1)))
    >>> refined(f, np.array([0.7]))[0].round(9).tolist()
    [0.707106781]
    """
    point, here = start, local(function, start, start) if here is None else here
    first = float(np.linalg.norm(here.gradient)) if here.smooth else 0.0
    for _ in range(STEPS):
        if not here.smooth:
            break
        moved = point - newton(here)
        if not np.all(np.isfinite(moved)) or np.array_equal(moved, point):
            break
        new = local(function, moved, moved)
        if not new.smooth:
            break
        before, after = (float(np.linalg.norm(one.gradient)) for one in (here, new))
        if not after < before:
            break
        point, here = moved, new
        if after > before / 2 or (after < QUICK * before and after < 2.0**-53 * first):
            break
    return point, here


def approached(derivatives: Callable[[Array], tuple[Array, Array]], start: Array) -> Array:
    """Where Newton's steps in floats lead from a point; `derivatives` are the gradient and the Hessian at a vector.

    Each step makes the gradient shorter, and all but the last by half.

    >>> import numpy as np
    >>> from qed.calculus.points.located import approached
    >>> root = approached(lambda x: (4 * x**3 - 2 * x, np.diag(12 * x**2 - 2)), np.array([0.7]))
    >>> root.round(12).tolist()
    [0.707106781187]
    """
    point, (slope, matrix) = start, derivatives(start)
    for _ in range(STEPS):
        if not (np.all(np.isfinite(slope)) and np.all(np.isfinite(matrix))):
            break
        values, inner = _more_than(matrix, 0.0)
        moved = point - inner @ ((inner.T @ slope) / values)
        if not np.all(np.isfinite(moved)) or np.array_equal(moved, point):
            break
        new = derivatives(moved)
        before, after = float(np.linalg.norm(slope)), float(np.linalg.norm(new[0]))
        if not after < before:
            break
        point, (slope, matrix) = moved, new
        if after > before / 2:
            break
    return point


def newton(here: Local) -> Array:
    """Newton's step, in the directions whose curvature is more than rounding."""
    values, inner = _bent(here)
    return inner @ ((inner.T @ here.gradient) / values)


def _bent(here: Local) -> tuple[Array, Array]:
    """The curvatures that are more than rounding, and their directions as columns."""
    return _more_than(here.matrix, 4 * here.spread())


def _more_than(matrix: Array, least: float) -> tuple[Array, Array]:
    """The eigenvalues above a size, and above `NOTHING` of the largest, and their directions as columns."""
    values, vectors = np.linalg.eigh(matrix)
    largest = float(np.max(np.abs(values), initial=0.0))
    kept = np.abs(values) > max(NOTHING * largest, least)
    return values[kept], vectors[:, kept]


def located(function: OnBoxes | OnTerms, center: Array, here: Local) -> Located | None:
    """The critical point that is proved to lie near a point where the gradient nearly vanishes, or None.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.calculus.points.located import local, located
    >>> from qed.calculus.bounding.boxes import OnBoxes
    >>> from qed.graph.trace import trace
    >>> f = OnBoxes.of(trace(lambda x: jnp.cosh(x[0]) - x[1] ** 2, np.zeros(2)))
    >>> x = np.array([1e-12, 0.0])
    >>> found = located(f, x, local(f, x, x))
    >>> found.signs, bool(np.all(found.radius < 1e-10))
    ((1, 1), True)
    """
    least = 4 * (np.abs(newton(here)) + _doubt(here))
    every = np.ones((1, function.size), bool)
    size = np.maximum(np.abs(center), 1e-3 * np.max(np.abs(center), initial=0.0) or 1.0)
    first: Located | None = None
    radii: list[Array] = []
    for share in RADII:
        radius = np.maximum(share * size, least)
        if not radii or not np.array_equal(radius, radii[-1]):
            radii.append(radius)
    for radius, box in zip(radii, _around(function, center, radii), strict=True):
        if not box.smooth:
            return first
        entries = box.hessian.map(lambda a: a[None][:, *np.triu_indices(function.size)])
        if not krawczyk(center[None], radius[None], here.slope.map(lambda a: a[None]), entries, every)[0]:
            if _singular(box):
                return first
            continue
        found = Located(center, radius, inertia(box.hessian), box)
        if found.signs is not None:
            return found
        first = first or found
    return first


def _around(function: OnBoxes | OnTerms, center: Array, radii: list[Array]) -> Iterator[Local]:
    """The derivatives on boxes of such half-widths about a point, some of them computed at once."""
    lower, upper = (np.nextafter(center + sign * np.array(radii), sign * np.inf) for sign in (-1, 1))
    n, done = function.size, 0
    if isinstance(function, OnBoxes) and function.weight * (1 + n + n * (n + 1) // 2) * AT_ONCE <= NUMBERS:
        try:
            for done in range(0, len(radii), AT_ONCE):
                yield from _locals(function, lower[done : done + AT_ONCE], upper[done : done + AT_ONCE])
            return
        except Gap:  # on one of the boxes alone, it may be
            pass
    for k in range(done, len(radii)):
        yield local(function, lower[k], upper[k])


def _doubt(here: Local) -> Array:
    """How far the errors of the gradient may move the critical point, in the directions in which `newton` steps."""
    values, inner = _bent(here)
    return np.abs((inner / values) @ inner.T) @ ((here.slope.upper - here.slope.lower) / 2)


def _singular(box: Local) -> bool:
    """Whether Krawczyk's test cannot succeed with this Hessian, nor on any larger box, whose Hessian is wider.

    It asks for a radius r with |I - Y H| r < r, which there is only if no eigenvalue of |Y| rad(H) reaches 1.
    """
    try:
        inverse = np.linalg.inv(box.matrix)
    except np.linalg.LinAlgError:
        return True
    wide = np.abs(inverse) @ ((box.hessian.upper - box.hessian.lower) / 2)
    return not np.all(np.isfinite(wide)) or float(np.max(np.abs(np.linalg.eigvals(wide)), initial=0.0)) >= 1
