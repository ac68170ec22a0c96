"""Second-order jets: with each value its gradient and its Hessian in the argument, all of them enclosed on boxes.

For u with gradient g and Hessian H, and f a function of one number,

    grad f(u) = f'(u) g,      Hess f(u) = f'(u) H + f''(u) g g^T,

and for a product grad(uv) = u g_v + v g_u, Hess(uv) = u H_v + v H_u + g_u g_v^T + g_v g_u^T (Griewank and Walther,
*Evaluating Derivatives*, SIAM 2008, chapter 13). Here u, f'(u), f''(u), g and H are intervals, so that the results
enclose the derivatives at all points of a box. A Hessian is kept as its entries i <= j; the diagonal of g g^T holds
squares, which are not negative.

What an enclosure means where the function has a corner, or a jump, in the closed box:

- `slope` then encloses Clarke's generalised gradients: f(y) - f(x) is in slope . (y - x) for x, y of the box; where f
  may jump it is everything;
- `hessian` is everything. Where it is finite, f has continuous second derivatives on the box, and they lie in it;
- `least` and `most`, if asked for, hold a matrix A(x) at each point with A <= H(x), and one with H(x) <= A, in the
  order of Loewner; a corner of convex kind leaves `least` as it is: f - x^T A x / 2 is convex for constant A.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from qed.domains import rounding_outward as ro
from qed.domains.doubt import NONE, either
from qed.domains.intervals import Intervals, square

Array = np.ndarray
Part = Intervals | None


@dataclass(frozen=True, eq=False)
class Jet:
    """A value and its derivatives on a batch of boxes; None is zero.

    Args:
        value: enclosures (boxes, *shape), or concrete integers and truth values.
        slope: (boxes, n, *shape).
        hessian: (boxes, n (n + 1) / 2, *shape): the entries of `numpy.triu_indices(n)`.
        least, most: as the Hessian; what lies below and above it.
    """

    value: Any
    slope: Part = None
    hessian: Part = None
    least: Part = None
    most: Part = None

    @property
    def moves(self) -> bool:
        """Whether it depends on the argument."""
        return self.slope is not None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The derivatives."""
        return (self.slope, self.hessian, self.least, self.most)

    def map(self, move: Callable[[Intervals], Intervals]) -> tuple[Part, ...]:
        """Each derivative changed by a function."""
        return tuple(None if part is None else move(part) for part in self.parts)


@cache
def pairs(size: int) -> tuple[Array, Array, Array]:
    """Return i and j of the entries i <= j of a symmetric matrix, and where i = j.

    >>> from qed.domains.jet import pairs
    >>> [a.tolist() for a in pairs(2)]
    [[0, 0, 1], [0, 1, 1], [True, False, True]]
    """
    i, j = np.triu_indices(size)
    return i, j, i == j


def full(packed: Array, size: int) -> Array:
    """Return symmetric matrices (boxes, n, n) from their entries i <= j, (boxes, n (n + 1) / 2).

    >>> import numpy as np
    >>> from qed.domains.jet import full
    >>> full(np.array([[1.0, 2.0, 3.0]]), 2).tolist()
    [[[1.0, 2.0], [2.0, 3.0]]]
    """
    i, j, _ = pairs(size)
    found = np.empty((*packed.shape[:-1], size, size), packed.dtype)
    found[..., i, j] = packed
    found[..., j, i] = packed
    return found


def added(*parts: Part) -> Part:
    """Return the sum, None being zero."""
    total: Part = None
    for part in parts:
        if part is not None:
            total = part if total is None else total + part
    return total


def scaled(factor: Intervals, part: Part) -> Part:
    """Return each derivative times a number of its element, (boxes, *shape)."""
    return None if part is None else wide(factor) * part


def wide(x: Intervals) -> Intervals:
    """Return numbers of elements with an axis for the directions behind that of the boxes."""
    return x.map(lambda a: a[:, None] if a.ndim else a)


def outer(g: Intervals, size: int) -> Intervals:
    """Return g g^T, its diagonal a square."""
    i, j, diagonal = pairs(size)
    found = g.map(lambda a: a[:, i]) * g.map(lambda a: a[:, j])
    squares = square(g)
    lower, upper = np.array(found.lower), np.array(found.upper)
    lower[:, diagonal], upper[:, diagonal] = squares.lower, squares.upper
    return Intervals(lower, upper, found.doubt)


def cross(g: Intervals, h: Intervals, size: int, product: Callable[[Intervals, Intervals], Intervals]) -> Intervals:
    """Return g h^T + h g^T for a product of elements."""
    i, j, _ = pairs(size)
    first = product(g.map(lambda a: a[:, i]), h.map(lambda a: a[:, j]))
    return first + product(g.map(lambda a: a[:, j]), h.map(lambda a: a[:, i]))


def sided(factor: Intervals, jet: Jet, side: str, product: Callable[[Intervals, Intervals], Intervals]) -> Part:
    """Return what lies below (`least`) or above (`most`) factor H: H's own bound where the factor has one sign."""
    if jet.hessian is None and jet.least is None and jet.most is None:
        return None
    other = "most" if side == "least" else "least"
    up, down = factor.lower >= 0, factor.upper <= 0
    masks = ((up, getattr(jet, side)), (down & ~up, getattr(jet, other)), (~(up | down), jet.hessian))
    total: Part = None
    for mask, part in masks:
        if part is not None and np.any(mask):
            chosen = Intervals(np.where(mask, factor.lower, 0.0), np.where(mask, factor.upper, 0.0), factor.doubt)
            total = added(total, product(wide(chosen), part))
    return total


def clean(part: Part) -> Part:
    """Return a derivative with everything in place of what may be undefined."""
    if part is None or not part.doubt:
        return part
    lost: Any = either(part.doubt.undefined, part.doubt.infinite)
    return Intervals(np.where(lost, -np.inf, part.lower), np.where(lost, np.inf, part.upper), NONE)


def whole(part: Intervals, mask: Array) -> Intervals:
    """Return a derivative with everything where the mask holds."""
    if not np.any(mask):
        return part
    return Intervals(np.where(mask, -np.inf, part.lower), np.where(mask, np.inf, part.upper), part.doubt)


def spectral_bound(entries: Intervals, size: int) -> Array:
    """Return bounds of the spectral norms of symmetric interval matrices (boxes, n (n + 1) / 2).

    The smaller of the greatest row sum of |h_ij| (Gershgorin), and of the Frobenius norm.

    >>> import numpy as np
    >>> from qed.domains.intervals import Intervals
    >>> from qed.domains.jet import spectral_bound
    >>> spectral_bound(Intervals(np.array([[1.0, 0.0, -3.0]]), np.array([[2.0, 0.5, 1.0]])), 2).tolist()
    [3.5]
    """
    size_of = full(np.maximum(np.abs(entries.lower), np.abs(entries.upper)), size)
    rows = np.max(ro.sum_up(size_of, -1), -1)
    flat = size_of.reshape((size_of.shape[0], -1))
    return np.minimum(rows, ro.sqrt_up(ro.sum_up(ro.mul_up(flat, flat), -1)))


def each(parts: Sequence[Part], move: Callable[[Array], Array]) -> list[Part]:
    """Return derivatives moved by a function of arrays."""
    return [None if part is None else part.map(move) for part in parts]
