"""The certificate of a critical point of a function of many variables with a sparse Hessian: extremum or saddle.

Let a convex box hold the ball of radius r about c, and let every symmetric matrix within the enclosure of H on it have
k eigenvalues below -m and n - k above m > 0. For x, y of the box, grad f(x) - grad f(y) = M (x - y) with such a matrix
M, the mean of H on the segment, so that |grad f(x) - grad f(y)| >= m |x - y|: there is at most one critical point. Let
g = |grad f(c)| < m r. Then M(x) (x - c) + t grad f(c) has no zero with |x - c| = r for 0 <= t <= 1; at t = 0 it has one
zero, c, which is regular, so its degree is not 0, and at t = 1 grad f has a zero x* in the ball (Deimling, *Nonlinear
Functional Analysis*, 1985, theorem 3.1), with |x* - c| <= g/m. Its curvatures have the signs of k and n - k.

The derivatives are enclosed by the term of the function (`qed.domains.curvature_stacked`), which is compared with the
program in balls, as second differences are with the enclosed entries; the eigenvalues are bounded by banded
factorisations with their residuals (`qed.certificates.banded`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.banded import count_below, least_eigenvalue
from qed.certificates.certificate import Pointed, Subject, vector
from qed.certificates.critical_point import within
from qed.certificates.sparse_jets import sparse_jets
from qed.domains.curvature_stacked import SparseJet
from qed.errors import CertificateError
from qed.graph.trace import Traced

Array = np.ndarray


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class SparseCritical(Pointed):
    """One critical point near x, no curvature of it zero; vectors are the arrays of x laid end to end.

    `negative` curvatures are below 0; `shift` is near the one of least size, and `curvature` a bound of all sizes.

    >>> import jax, jax.numpy as jnp
    >>> from qed.certificates.sparse_critical import SparseCritical
    >>> certificate = SparseCritical.about(
    ...     lambda x: jnp.sum(x**2) + jnp.sum(x[1:] * x[:-1]), jnp.zeros(3), (), center=[0.0] * 3, radius=1e-6,
    ...     negative=0, shift=0.58, curvature=0.57, distance=0.0,
    ... )
    >>> certificate.verify()
    True
    """

    kind: ClassVar[str] = "sparse critical point"
    center: tuple[float, ...]
    radius: float
    negative: int
    shift: float
    curvature: float
    distance: float

    @classmethod
    def about(
        cls, fun: Callable[..., Any], at: Any, args: tuple[Any, ...], *, center: Sequence[float], radius: float,
        negative: int, shift: float, curvature: float, distance: float,
    ) -> Self:  # fmt: skip
        """The certificate of a point that was found."""
        return cls.at_point(
            Subject(fun, at, tuple(args)),
            center=tuple(map(float, center)),
            radius=float(radius),
            negative=int(negative),
            shift=float(shift),
            curvature=float(curvature),
            distance=float(distance),
        )

    def prove(self, traced: Traced) -> None:
        """Enclose the gradient at the center and the Hessian on the box, and bound its eigenvalues."""
        n = sum(int(np.size(leaf)) for leaf in traced.parameters)
        point, center = vector(self.point, n, "point"), vector(self.center, n, "center")
        if not (0 < self.radius < np.inf and self.negative in range(n + 1)):
            raise CertificateError("radius", "it is no positive number, or that of the negative curvatures none")
        low, high = np.nextafter(center - self.radius, -np.inf), np.nextafter(center + self.radius, np.inf)
        here, near = sparse_jets(traced, center, low, high, "radius")
        least = least_size(near, n, self.negative, self.shift)
        if not least >= self.curvature > 0:
            raise CertificateError("curvature", f"the curvatures are proved to be above {least:.6g} only")
        slope = size_of(here)
        if not 2 * slope / self.curvature * (1 + 1e-12) < self.radius:
            raise CertificateError("radius", "the critical point may lie outside")
        if self.distance == 0 and np.array_equal(point, center) and slope == 0:
            return
        left = float(np.nextafter(self.distance - slope / self.curvature * (1 + 1e-12), -np.inf))
        if not within(point, center, np.zeros(n), left):
            raise CertificateError("distance", "the critical point may be farther from the point")


def least_size(jet: SparseJet, n: int, negative: int, shift: float) -> float:
    """A bound, near `shift`, below the sizes of all eigenvalues, `negative` of which are below 0; else -inf."""
    low, high = jet.second
    if negative in (0, n):
        ends = (low, high) if negative == 0 else (-high, -low)
        return least_eigenvalue(jet.rows, jet.columns, *ends, n, shift)
    found = [count_below(jet.rows, jet.columns, low, high, n, s) for s in (shift, -shift)]
    if not all(pair is not None and pair[0] == negative for pair in found):
        return -np.inf
    return float(np.nextafter(shift - max(pair[1] for pair in found if pair is not None), -np.inf))


def size_of(jet: SparseJet) -> float:
    """A bound of the length of the gradient; 0 where every slope is 0."""
    return length(np.maximum(np.abs(jet.slope[0]), np.abs(jet.slope[1])))


def length(v: Array) -> float:
    """A bound of |v| a little above it, 0 for 0 alone: the squares of numbers below 1e-162 are 0 in floats.

    >>> length(np.array([3e-200, 4e-200])) >= 5e-200, length(np.zeros(2))
    (True, 0.0)
    """
    most = float(np.max(np.abs(v), initial=0.0))
    if not 0 < most < np.inf:
        return most
    return float(np.nextafter(most * float(np.linalg.norm(v / most)) * (1 + 1e-9), np.inf))
