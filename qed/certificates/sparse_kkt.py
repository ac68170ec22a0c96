"""The certificate of a strict local minimum under constraints, of a problem whose derivatives have few entries.

With A the rows that hold, L(x, y) = f - y'c_A is a function of the numbers of x that no bound holds and of the
multipliers of A. Its critical points are the KKT points, and its second derivatives are K = [[H, -J'], [-J, 0]]. Let
every symmetric matrix within the enclosure of K on the box of half-width r about the center have k eigenvalues below
-m and d above m > 0, k the number of rows and d that of the numbers of x: then |grad L(p) - grad L(q)| >= m |p - q| in
the box, so that there is at most one critical point, and there is one if |grad L| < m r at the center
(`qed.certificates.sparse_critical`, with the reference). The signs of K's eigenvalues prove that the gradients of A are
independent and that L bends up along all that they leave (`qed.certificates.kkt_point`).

The functions are taken apart into terms, which are held against the program in balls
(`qed.certificates.problem_terms`); L is the sum of its terms times numbers y, its jet is enclosed as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Subject
from qed.certificates.convexity_forms import squares_are_sums
from qed.certificates.critical_point import within
from qed.certificates.held_point import Active, HeldPoint
from qed.certificates.problem_terms import defined, problem_terms
from qed.certificates.sparse_critical import least_size, size_of
from qed.certificates.sparse_jets import compared
from qed.domains.ball_boxes import NotSmooth
from qed.domains.ball_ends import BallEnds
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_jets import Rough
from qed.domains.curvature_stacked import SparseJet, StackedJets
from qed.domains.curvature_terms import Form
from qed.domains.curvature_values import NoValue
from qed.domains.padded_jets import PaddedBoxes
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced

Array = np.ndarray
BITS = 120


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class SparseKKT(HeldPoint):
    """A strict local minimum near x; the fields are those of `HeldPoint`, with one half-width for all that varies.

    `shift` is near the eigenvalue of K of least size, and `curvature` a bound below the sizes of all.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.sparse_kkt import SparseKKT
    >>> from qed.certificates.stacked import stacked
    >>> circle = stacked(lambda x: x[0] + x[1], lambda x: x @ x - 2)
    >>> certificate = SparseKKT.about(
    ...     circle, -jnp.ones(2), (), equalities=1, rows=[0], center=[-1.0, -1.0, -0.5], radius=[1e-9] * 3,
    ...     distance=2e-9, value=(-2.00001, -1.99999), shift=0.9, curvature=0.8,
    ... )
    >>> certificate.verify()
    True
    """

    kind: ClassVar[str] = "sparse KKT point"
    shift: float
    curvature: float

    @classmethod
    def about(
        cls, fun: Callable[..., Any], at: Any, args: tuple[Any, ...], *, equalities: int, rows: Sequence[int],
        center: Sequence[float], radius: Sequence[float], distance: float, value: tuple[float, float], shift: float,
        curvature: float, at_lower: Sequence[int] = (), at_upper: Sequence[int] = (),
        bounds: tuple[Any, Any] | None = None,
    ) -> Self:  # fmt: skip
        """The certificate of a point that was found; without bounds all are infinite."""
        held = cls.fields_of(equalities, rows, center, radius, distance, value, at_lower, at_upper, bounds)
        return cls.at_point(Subject(fun, at, tuple(args)), shift=float(shift), curvature=float(curvature), **held)

    def prove(self, traced: Traced) -> None:
        """Prove that there is one such pair, the signs, how far it is, and the value."""
        active, point, center, radius = self.placed(traced)
        n = len(point)
        if len(set(radius[radius > 0].tolist())) != 1:
            raise CertificateError("radius", "the half-widths of what varies are not one number")
        low, high = self.box(center, radius)
        ends = self.inward(active, low[:n], high[:n])
        self._values(traced, active, *ends)
        varies = np.concatenate([active.free, np.arange(n, len(center))]).astype(int)
        here, near = self._jets(traced, active, center, (ends[0], low[n:]), (ends[1], high[n:]))
        self._signs(near, active)
        part, slope = restricted(near, varies), size_of(restricted(here, varies))
        least = least_size(part, len(varies), len(active.rows), self.shift)
        if not least >= self.curvature > 0:
            raise CertificateError("curvature", f"the sizes of the eigenvalues are proved to be above {least:.6g} only")
        moved = 2 * slope / self.curvature * (1 + 1e-12)
        if not moved < float(radius.max()):
            raise CertificateError("radius", "the KKT point may lie outside")
        left = float(np.nextafter(self.distance - moved / 2, -np.inf))
        if not within(point, center[:n], np.zeros(n), left):
            raise CertificateError("distance", "the KKT point may be farther from the point")

    def _values(self, traced: Traced, active: Active, low: Array, high: Array) -> None:
        """Bounds of f on the box, and slack of the rows that do not hold."""
        found = PaddedBoxes(traced).arrays(low, high, 1, np.zeros(0, int))
        if found is None:
            raise CertificateError(
                "function", "it holds an operation whose second derivatives are not enclosed for sparse problems"
            )
        least, most = (np.asarray(end)[0] for end in found)
        if not (self.least <= least[0] and most[0] <= self.most):
            raise CertificateError("least", f"f is from {least[0]:.17g} to {most[0]:.17g}")
        loose = np.setdiff1d(np.arange(len(least) - 1), active.rows)
        if not np.all(least[1 + loose] > 0):
            raise CertificateError("rows", "a row that is said to have slack is not surely positive")

    def _jets(
        self, traced: Traced, active: Active, center: Array, low: tuple[Array, Array], high: tuple[Array, Array]
    ) -> tuple[SparseJet, SparseJet]:
        """The jets of L at the center and on the box, in all numbers of x and the multipliers."""
        shapes = [np.shape(leaf) for leaf in traced.parameters]
        cuts = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
        sides = [
            [part.reshape(shape) for part, shape in zip(np.split(end[0], cuts), shapes, strict=True)]
            for end in (low, high)
        ]
        try:
            algebra, forms = problem_terms(traced, *sides)
            defined(algebra, [forms[0], *(forms[1 + i] for i in active.rows)])
            whole = lagrangian(algebra, forms, active.rows, low[1], high[1])
            defined(algebra, [whole])
            squares_are_sums(algebra)
            if len(algebra.variables) != len(center):
                raise CertificateError("function", "not every number of the argument is a variable of its terms")
            jets = StackedJets(BallEnds(BITS), algebra.variables)
            with precision(BITS):
                lower, upper = np.concatenate(low), np.concatenate(high)
                here, near = jets.sparse(whole, center, center), jets.sparse(whole, lower, upper)
            compared(algebra, whole, near, lower, upper)
        except (NotSmooth, Rough, NoValue) as error:
            raise CertificateError("radius", f"no derivatives are enclosed: {error}") from None
        return here, near

    def _signs(self, near: SparseJet, active: Active) -> None:
        """Bounds hold with positive multipliers: L rises away from them."""
        for numbers, sign, name in ((active.lower, 1, "at_lower"), (active.upper, -1, "at_upper")):
            for j in numbers.tolist():
                rest = near.slope[0][j] if sign > 0 else -near.slope[1][j]
                if self.lower[j] != self.upper[j] and not rest > 0:
                    raise CertificateError(name, f"the multiplier of the bound of number {j} is above {rest:.6g} only")


def lagrangian(algebra: Algebra, forms: Sequence[Form], rows: Array, low: Array, high: Array) -> Form:
    """f - sum y_i c_i as one form; the multipliers of the rows are new variables between low and high.

    The product of a number y_i and a sum is the sum of its products, so that its terms stay short.
    """
    pairs: list[tuple[Form, Any]] = [(forms[0], algebra.one)]
    for k, i in enumerate(rows.tolist()):
        y = algebra.variable(len(algebra.variables), f"y{k}", (float(low[k]), float(high[k])))
        form = forms[1 + i]
        pairs.append((y, -form.constant))
        pairs += [(algebra.multiply(algebra.of(atom), y), -c) for atom, c in form.terms]
    return algebra.combine(pairs)


def restricted(jet: SparseJet, numbers: Array) -> SparseJet:
    """The jet in some of its numbers, counted anew."""
    place = np.full(len(jet.slope[0]), -1)
    place[numbers] = np.arange(len(numbers))
    first, second = place[jet.rows], place[jet.columns]
    kept = (first >= 0) & (second >= 0)
    a, b = first[kept], second[kept]
    ends = jet.second[0][kept], jet.second[1][kept]
    return SparseJet(
        (jet.slope[0][numbers], jet.slope[1][numbers]), np.minimum(a, b), np.maximum(a, b), ends
    )  # fmt: skip
