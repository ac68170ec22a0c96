"""The certificate of a critical point: where it lies, that it is the only one there, and the signs of its curvatures.

Claimed of a function f and a point x: in the box of half-widths `radius` about `center` there is exactly one point x*
with grad f(x*) = 0; the Hessian has `negative` negative and `positive` positive eigenvalues everywhere in the box, and
no others; |x* - x| <= `distance`. By the second-derivative test x* is a strict local minimum where none is negative, a
strict local maximum where none is positive, and a saddle otherwise (Apostol, *Mathematical Analysis*, 2nd ed., 1974,
theorem 13.10).

Verification encloses the gradient by series of balls, and the Hessian in padded intervals (`qed.domains.padded_jets`)
or, where those do not suffice, by series of balls; where the program chooses and the function is smooth, both by its
term (`qed.certificates.smooth_terms`). One critical point: Krawczyk's test. Signs: with V near
the eigenvectors, V'HV = L D L' in balls. If every pivot in D has a sign, V'HV is not singular, so V is not either, and
H has as many eigenvalues of each sign as D (Sylvester's law of inertia: Golub and Van Loan, *Matrix Computations*,
4th ed., 2013, section 8.1.5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.boxes import krawczyk
from qed.certificates.certificate import Pointed, Subject, vector
from qed.certificates.smooth_boxes import SmoothBoxes
from qed.certificates.smooth_terms import SmoothTerm
from qed.domains.ball_boxes import BITS, NotSmooth
from qed.domains.balls import between
from qed.domains.padded_jets import PaddedBoxes
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced

Array = np.ndarray


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class CriticalPoint(Pointed):
    """One critical point near x, with the signs of its curvatures; all vectors are the arrays of x laid end to end.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.critical_point import CriticalPoint
    >>> certificate = CriticalPoint.about(
    ...     lambda x: x[0] ** 2 - jnp.cos(x[1]), jnp.zeros(2), (), center=[0.0, 0.0], radius=[1e-9, 1e-9], signs=(0, 2),
    ...     distance=2e-9,
    ... )
    >>> certificate.verify()
    True
    """

    kind: ClassVar[str] = "critical point"
    center: tuple[float, ...]
    radius: tuple[float, ...]
    negative: int
    positive: int
    distance: float

    @classmethod
    def about(
        cls, fun: Callable[..., Any], at: Any, args: tuple[Any, ...], *, center: Sequence[float],
        radius: Sequence[float], signs: tuple[int, int], distance: float,
    ) -> Self:  # fmt: skip
        """The certificate of a point that was found; signs are how many eigenvalues are negative, and positive."""
        return cls.at_point(
            Subject(fun, at, tuple(args)),
            center=tuple(map(float, center)),
            radius=tuple(map(float, radius)),
            negative=int(signs[0]),
            positive=int(signs[1]),
            distance=float(distance),
        )

    def prove(self, traced: Traced) -> None:
        """Prove that there is one critical point, how far it is, and the signs."""
        f = SmoothBoxes(traced)
        point, center, radius = (vector(getattr(self, name), f.size, name) for name in ("point", "center", "radius"))
        if np.any(radius <= 0) or not np.all(np.isfinite(radius)):
            raise CertificateError("radius", "a half-width is not positive")
        low, high = np.nextafter(center - radius, -np.inf), np.nextafter(center + radius, np.inf)
        try:
            slopes = self._located(f, center, low, high, radius)
        except NotSmooth as error:
            slopes = self._located_by_terms(traced, center, low, high, radius, str(error))
        with precision(BITS):
            itself = self.distance == 0 and np.array_equal(point, center) and all(slope == 0 for slope in slopes)
        if not itself and not within(point, center, radius, self.distance):
            raise CertificateError("distance", "the critical point may be farther from the point")

    def _located(self, f: SmoothBoxes, center: Array, low: Array, high: Array, radius: Array) -> list[Any]:
        """The slopes at the center, where the derivatives of the program prove what is claimed."""
        slopes = f.slopes(center, center)
        padded = in_padded_intervals(f.traced, low, high)
        if padded is None or self._fails(slopes, padded, radius) is not None:
            failure = self._fails(slopes, f.forms(low, high, np.eye(f.size)), radius)
            if failure is not None:
                raise failure
        return slopes

    def _located_by_terms(
        self, traced: Traced, center: Array, low: Array, high: Array, radius: Array, why: str
    ) -> list[Any]:
        """The same by the term of the program, where that chooses and the function is smooth."""
        try:
            term = SmoothTerm(traced, low, high)
            slopes, _ = term.derivatives(center, center)
            _, forms = term.derivatives(low, high)
        except NotSmooth as error:
            raise CertificateError("radius", f"{why}; {error}") from None
        failure = self._fails(slopes, forms, radius)
        if failure is not None:
            raise failure
        return slopes

    def _fails(self, slopes: Sequence[Any], forms: Sequence[Sequence[Any]], radius: Array) -> CertificateError | None:
        """What an enclosure of the Hessian on the box does not prove."""
        if not krawczyk(slopes, forms, radius.tolist()):
            return CertificateError("center", "no critical point is found within the radius")
        if self.negative + self.positive != len(forms) or inertia(forms) != (self.negative, self.positive):
            return CertificateError("negative", "the eigenvalues are not proved to have these signs")
        return None


def in_padded_intervals(traced: Traced, lower: Array, upper: Array) -> list[list[Any]] | None:
    """Balls of the entries of the Hessian on a box, from padded intervals; None where a rule is missing."""
    n = len(lower)
    found = PaddedBoxes(traced).arrays(lower, upper, 2, np.arange(n))
    if found is None:
        return None
    low, high = (end[1 + n :] for end in found)
    if not (np.all(np.isfinite(low)) and np.all(np.isfinite(high))):
        return None
    forms: list[list[Any]] = [[None] * n for _ in range(n)]
    with precision(BITS):
        for i, j, a, b in zip(*np.triu_indices(n), low.tolist(), high.tolist(), strict=True):
            forms[i][j] = forms[j][i] = between(a, b)
    return forms


def inertia(forms: Sequence[Sequence[Any]]) -> tuple[int, int] | None:
    """How many eigenvalues of every symmetric matrix in a matrix of balls are negative, and positive; None if unknown.

    >>> from qed.certificates.critical_point import inertia
    >>> from qed.domains.precision import precision
    >>> with precision(60) as flint:
    ...     inertia([[flint.arb(0), flint.arb(1)], [flint.arb(1), flint.arb(0)]])
    (1, 1)
    """
    n = len(forms)
    middle = np.array([[float(x.mid()) for x in row] for row in forms])
    if not np.all(np.isfinite(middle)):
        return None
    values, vectors = np.linalg.eigh((middle + middle.T) / 2)
    basis = vectors / np.sqrt(np.maximum(np.abs(values), np.finfo(float).tiny))
    signs = [0, 0]
    with precision(BITS) as flint:
        v = flint.arb_mat(n, n, [flint.arb(float(x)) for x in basis.ravel()])
        turned = v.transpose() * flint.arb_mat(n, n, [x for row in forms for x in row]) * v
        rest = [[turned[i, j] for j in range(n)] for i in range(n)]
        for k in range(n):
            pivot = rest[k][k]
            if not (pivot > 0 or pivot < 0):
                return None
            signs[1 if pivot > 0 else 0] += 1
            for i in range(k + 1, n):
                factor = rest[i][k] / pivot
                for j in range(k + 1, i + 1):
                    rest[i][j] = rest[i][j] - factor * rest[j][k]
    return signs[0], signs[1]


def within(point: Array, center: Array, radius: Array, distance: float) -> bool:
    """Whether every point of the box about the center is within a distance of a point.

    >>> import numpy as np
    >>> from qed.certificates.critical_point import within
    >>> within(np.zeros(1), np.ones(1), np.ones(1), 2.0), within(np.zeros(1), np.ones(1), np.ones(1), 1.9)
    (True, False)
    """
    with precision(BITS) as flint:
        total = flint.arb(0)
        for p, c, r in zip(point, center, radius, strict=True):
            total = total + (abs(flint.arb(float(c)) - flint.arb(float(p))) + flint.arb(float(r))) ** 2
        return bool(total <= flint.arb(float(distance)) ** 2) and distance >= 0
