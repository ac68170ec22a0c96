"""Lower bounds of a function on boxes from its jets.

With m in the box X, and g and H enclosures of gradient and Hessian on X,

    f(x) >= min f(X)                                       natural extension
    f(x) in f(m) + g (X - m)                               mean value form
    f(x) in f(m) + grad f(m) (X - m) + (X - m) H (X - m)/2   second order form
    f(x) >= f(p) + grad f(p) (x - p)                       where f is convex on X

(Hansen and Walster, *Global Optimization Using Interval Analysis*, 2nd ed., 2004, chapters 6 and 7). In the second
order form each term g_i d + h_ii d^2/2 with h_ii > 0 is bounded by its vertex, -g_i^2 / (2 h_ii).
"""

from __future__ import annotations

import numpy as np

from qed.domains import rounding_outward as ro
from qed.domains.intervals import Intervals
from qed.domains.jet import full, outer, pairs

Array = np.ndarray


def mean_value(value: Intervals, slope: Intervals, middle: Array, lower: Array, upper: Array) -> Intervals:
    """Return the mean value form about `middle`, whose value is given; with the slope at p, the tangent's range.

    >>> import numpy as np
    >>> from qed.calculus.bounding.forms import mean_value
    >>> from qed.domains.intervals import Intervals
    >>> one, box = np.array([[1.0]]), (np.array([[0.5]]), np.array([[1.5]]))
    >>> print(mean_value(Intervals([0.0], [0.0]), Intervals([[0.0]], [[1.0]]), one, *box))
    [[-0.5, 0.5]]
    """
    away = Intervals(lower, upper) - Intervals.point(middle)
    return value + (slope * away).sum(-1)


def second_order(
    value: Intervals, slope: Intervals, hessian: Intervals, middle: Array, lower: Array, upper: Array
) -> Array:
    """Return lower bounds by the second order form: value and slope at `middle`, the Hessian on the box."""
    size = slope.shape[1]
    _, _, diagonal = pairs(size)
    away = Intervals(lower, upper) - Intervals.point(middle)
    products = hessian * outer(away, size)
    linear = slope * away
    bent = products.map(lambda a: a[:, diagonal])
    straight = ro.add_down(linear.lower, ro.mul_down(bent.lower, 0.5))
    curvature = hessian.lower[:, diagonal]
    positive = (curvature > 0) & np.isfinite(curvature)
    greatest = np.maximum(np.abs(slope.lower), np.abs(slope.upper))
    vertex = -ro.div_up(ro.mul_up(greatest, greatest), ro.mul_down(np.where(positive, curvature, 1.0), 2.0))
    each = np.where(positive, np.maximum(straight, vertex), straight)
    total = ro.add_down(value.lower, ro.sum_down(each, -1))
    mixed = products.lower[:, ~diagonal]
    return ro.add_down(total, ro.sum_down(mixed, -1)) if mixed.shape[-1] else total


def definite(entries: Intervals, size: int, free: Array) -> Array:
    """Return where every symmetric matrix in an interval matrix is positive definite on the free coordinates.

    With V close to the eigenvectors of the midpoint, V^T H V is enclosed and its rows are compared (Gershgorin): if it
    is positive definite, then V is not singular, and H is positive definite (Sylvester).

    Args:
        entries: the entries i <= j, (boxes, n (n + 1) / 2).
        size: n.
        free: (boxes, n): which coordinates vary.

    >>> import numpy as np
    >>> from qed.calculus.bounding.forms import definite
    >>> from qed.domains.intervals import Intervals
    >>> both = np.ones((1, 2), bool)
    >>> [definite(Intervals(np.array([[2.0, a, 2.0]]), np.array([[3.0, a, 2.0]])), 2, both)[0] for a in (1.0, 2.1)]
    [np.True_, np.False_]
    """
    matrix, good = restricted(entries, size, free)
    good &= np.all(np.diagonal(matrix.lower, axis1=1, axis2=2) > 0, -1)
    found = np.zeros(len(good), bool)
    if not np.any(good):
        return found
    matrix = matrix.map(lambda a: a[good])
    _, vectors = np.linalg.eigh(matrix.lower / 2 + matrix.upper / 2)
    turned = product(product(Intervals.point(np.swapaxes(vectors, 1, 2)), matrix), Intervals.point(vectors))
    sizes = np.maximum(np.abs(turned.lower), np.abs(turned.upper))
    index = np.arange(size)
    sizes[:, index, index] = 0.0
    found[good] = np.all(turned.lower[:, index, index] > ro.sum_up(sizes, -1), -1)
    return found


def restricted(entries: Intervals, size: int, free: Array) -> tuple[Intervals, Array]:
    """Return interval matrices with the identity in the rows that are not free, and which are finite."""
    fixed = ~free
    away = fixed[:, :, None] | fixed[:, None, :]
    lower, upper = (np.where(away, np.eye(size), full(end, size)) for end in (entries.lower, entries.upper))
    finite = np.all(np.isfinite(lower) & np.isfinite(upper), (1, 2))
    lower, upper = (np.where(finite[:, None, None], end, np.eye(size)) for end in (lower, upper))
    return Intervals(lower, upper), finite


def product(a: Intervals, b: Intervals) -> Intervals:
    """Return stacks of matrix products."""
    return (a.map(lambda x: x[:, :, :, None]) * b.map(lambda x: x[:, None])).sum(2)


def krawczyk(point: Array, radius: Array, slope: Intervals, entries: Intervals, free: Array) -> Array:
    """Return where exactly one stationary point is proved to lie within `radius` of `point`.

    K = p - Y grad f(p) + (I - Y H)(S - p) with S = p -+ radius, H the Hessian on S and Y about the inverse of its
    midpoint; K in the interior of S proves it (Krawczyk 1969; Neumaier, *Interval Methods for Systems of Equations*,
    1990, theorem 5.1.8).
    """
    size = point.shape[1]
    matrix, good = restricted(entries, size, free)
    middle = matrix.lower / 2 + matrix.upper / 2
    with np.errstate(all="ignore"):  # a midpoint of huge entries overflows; what has no inverse proves nothing
        good &= np.abs(np.linalg.slogdet(middle)[0]) > 0
        inverse = np.linalg.inv(np.where(good[:, None, None], middle, np.eye(size)))
    y = Intervals.point(np.where(np.isfinite(inverse), inverse, 0.0))
    g = Intervals(np.where(free, slope.lower, 0.0), np.where(free, slope.upper, 0.0))
    newton = (y * g.map(lambda a: a[:, None, :])).sum(-1)
    rest = Intervals.point(np.eye(size)[None]) - product(y, matrix)
    moved = (rest * Intervals(-radius, radius).map(lambda a: a[:, None, :])).sum(-1) - newton
    return good & np.all(~free | ((moved.lower > -radius) & (moved.upper < radius)), -1)
