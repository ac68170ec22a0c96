"""The certificate of weak duality: a lower bound of the least value under constraints, or that nothing satisfies them.

With weights w, w_i >= 0 for the rows of g, and o = 1 or 0, let phi = o f - sum w_i c_i. Where x satisfies the
constraints, sum w_i c_i(x) >= 0, so that phi(x) <= o f(x). If phi >= bound on the box of the bounds,

    o = 1:  f(x) >= bound wherever the constraints hold          (the dual value of w is at least bound),
    o = 0:  bound > 0 contradicts phi(x) <= 0: nothing satisfies the constraints    (the weights of Farkas' lemma).

With o = 0 and bound = 0, phi > 0 is proved instead, as of exp(x) > 0, whose infimum is 0: a conflict that may be
as small as one likes, and is there (Farkas' lemma for convex functions needs this case where no point has slack).

That phi >= bound on the box is proved in one of three ways. Where phi is affine its coefficients are exact rational
numbers, and its least value on the box is at a corner. Where phi is convex, with constant m, it is above its tangent at
a point p: phi(x) >= phi(p) + sum g_j d_j + m d_j^2 / 2, d = x - p, and the least value is taken number by number. Else
the range of its term is taken. Reference: Boyd and Vandenberghe, *Convex Optimization*, 2004, sections 5.2.2 and 5.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Boxed, Subject, vector
from qed.certificates.convexity import less_a_square
from qed.certificates.convexity_forms import squares_are_sums
from qed.certificates.convexity_rules import Row
from qed.certificates.problem_terms import affine, coefficients, convex, defined, problem_terms
from qed.domains.ball_boxes import BITS, BallBoxes, NotSmooth
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_terms import Form
from qed.domains.padded_jets import PaddedBoxes
from qed.domains.precision import flint, precision
from qed.errors import CertificateError
from qed.graph.trace import Traced

Array = np.ndarray
SERIES = 400_000
BESIDE = 2.0**-100
"""How far about a point a function has to be smooth for its tangent there, at least."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class WeakDuality(Boxed):
    """A bound of phi = objective f - sum weights_i c_i on a box: `weights` are fractions as texts, one for each row.

    `rows` prove that phi - strong |x|^2 / 2 is convex; without them phi is affine, or its range is taken. `point` is
    where the tangent touches, the arrays of x laid end to end.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.stacked import stacked
    >>> from qed.certificates.weak_duality import WeakDuality
    >>> apart = stacked(lambda x: x * x, None, lambda x: (x - 1, -x))
    >>> WeakDuality.about(
    ...     apart, jnp.float32(0.0), (), box=([-jnp.inf], [jnp.inf]), objective=0, equalities=0, weights=["1", "1"],
    ...     point=[0.0], bound=1.0,
    ... ).verify()
    True
    """

    kind: ClassVar[str] = "weak duality"
    objective: int
    equalities: int
    weights: tuple[str, ...]
    point: tuple[float, ...]
    rows: tuple[Row, ...]
    strong: float
    bound: float

    @classmethod
    def about(
        cls, fun: Any, at: Any, args: tuple[Any, ...], *, box: tuple[Any, Any], objective: int, equalities: int,
        weights: Sequence[str], point: Sequence[float], bound: float, rows: tuple[Row, ...] = (), strong: float = 0.0,
    ) -> Self:  # fmt: skip
        """The certificate of weights that were found."""
        return cls.on_box(
            Subject(fun, at, tuple(args)), box, objective=int(objective), equalities=int(equalities),
            weights=tuple(map(str, weights)), point=tuple(map(float, point)), rows=rows, strong=float(strong),
            bound=float(bound),
        )  # fmt: skip

    def prove(self, traced: Traced) -> None:
        """Prove the bound, and that it says something."""
        if not np.isfinite(self.bound) or (self.objective == 0 and not self.bound >= 0):
            raise CertificateError("bound", f"{self.bound!r} contradicts nothing")
        if self.objective == 0 and self.bound == 0:
            self._strictly(traced)
            return
        least = self._bounded(traced)
        with precision(BITS) as library:
            if not least >= library.arb(self.bound):
                raise CertificateError("bound", f"at least {least.str(12)} is proved")

    def proved(self, traced: Traced, known: tuple[Algebra, Sequence[Form]] | None = None) -> float:
        """The largest bound that these fields prove, rounded down; `known` are terms that were taken apart before.

        Raises CertificateError where they prove none.
        """
        least = self._bounded(traced, known)
        with precision(BITS):
            return float(np.nextafter(float(least.lower()), -np.inf))

    def _strictly(self, traced: Traced) -> None:
        """Prove phi > 0, though it may come as near to 0 as one likes: a sum of numbers >= 0, one of them > 0."""
        algebra, phi, _ = self._sum(traced)
        if self.rows or self.strong != 0:
            raise CertificateError("rows", "the sign of a sum needs none")
        vector(self.point, len(self.ends(traced)[0]), "point")
        if not algebra.positive(phi):
            raise CertificateError("bound", "the weighted sum is not proved to be above 0")
        squares_are_sums(algebra)

    def _sum(
        self, traced: Traced, known: tuple[Algebra, Sequence[Form]] | None = None
    ) -> tuple[Algebra, Form, list[Fraction]]:
        """phi as a term that is defined everywhere on the box, and the weights."""
        algebra, forms = problem_terms(traced, *self.sides(traced)) if known is None else known
        if self.objective not in (0, 1):
            raise CertificateError("objective", "it is neither 0 nor 1")
        weights = self._fractions(len(forms) - 1)
        phi = combined(algebra, forms, weights, self.objective)
        defined(algebra, (phi,))
        return algebra, phi, weights

    def _bounded(self, traced: Traced, known: tuple[Algebra, Sequence[Form]] | None = None) -> Any:
        """A ball of a number that phi is nowhere below."""
        algebra, phi, weights = self._sum(traced, known)
        with precision(BITS) as library:
            return library.arb(self._least(traced, algebra, phi, weights))

    def _fractions(self, count: int) -> list[Fraction]:
        """The weights, if they have the signs that they need."""
        try:
            found = [Fraction(text) for text in self.weights]
        except (ValueError, ZeroDivisionError):
            raise CertificateError("weights", "they are no fractions") from None
        if len(found) != count or not 0 <= self.equalities <= count:
            raise CertificateError("weights", f"there are {len(found)} for {count} rows")
        if any(w < 0 for w in found[self.equalities :]):
            raise CertificateError("weights", "the weight of an inequality is negative")
        return found

    def _least(self, traced: Traced, algebra: Algebra, phi: Form, weights: Sequence[Fraction]) -> Any:
        """A lower bound of phi on the box: a rational number, or a ball."""
        low, high = self.ends(traced)
        point = vector(self.point, len(low), "point")
        if not self.rows and self.strong != 0:
            raise CertificateError("strong", "nothing is proved of it")
        if affine(phi):
            if self.rows:
                raise CertificateError("rows", "an affine function needs none")
            return _least_affine(algebra, phi, low, high)
        if not self.rows:
            least = algebra.range(phi)[0]
            squares_are_sums(algebra)
            return least
        if not 0 <= self.strong < np.inf:
            raise CertificateError("strong", f"{self.strong!r} is no constant of strong convexity")
        convex(algebra, less_a_square(algebra, phi, self.strong) if self.strong else phi, self.rows, "rows")
        if not np.all((low <= point) & (point <= high)):
            raise CertificateError("point", "it is not in the box")
        value, slopes = tangent(traced, point, weights, self.objective, (low, high))
        exact, _ = coefficients(phi, len(low))
        bent = {k for atom, _ in phi.terms if atom.kind != "variable" for k in numbers_of(atom)}
        with precision(BITS) as library:
            total = value
            for j, ball in enumerate(slopes):
                slope = ball if j in bent else library.arb(exact[j])
                total = total + _least_of_number(slope, self.strong, point[j], low[j], high[j])
        return total


def combined(algebra: Algebra, forms: Sequence[Form], weights: Sequence[Fraction], objective: int) -> Form:
    """objective f - sum weights_i c_i as one term."""
    pairs = [(forms[0], algebra.one)] if objective else []
    for form, w in zip(forms[1:], weights, strict=True):
        if w:
            pairs.append((form, -algebra.q(w.numerator, w.denominator)))
    return algebra.combine(pairs)


def numbers_of(atom: Any) -> set[int]:
    """Which numbers of the argument an atom is made of."""
    if atom.kind == "variable":
        return {int(str(atom.data)[1:])}
    if atom.kind == "opaque":
        raise CertificateError("rows", "a term is made of what nothing is known of")
    return {k for form in atom.args for inner, _ in form.terms for k in numbers_of(inner)}


def _least_affine(algebra: Algebra, phi: Form, low: Array, high: Array) -> Any:
    """The least value of an affine term on a box, exact."""
    slopes, total = coefficients(phi, len(low))
    for j, slope in enumerate(slopes):
        if slope != 0:
            end = float(low[j] if slope > 0 else high[j])
            if not np.isfinite(end):
                raise CertificateError("weights", f"number {j} is not bounded on the side to which the sum falls")
            total = total + slope * algebra.rational(end)
    return total


def tangent(
    traced: Traced, point: Array, weights: Sequence[Fraction], objective: int, box: tuple[Array, Array]
) -> tuple[Any, list[Any]]:
    """Balls of phi and of its slopes at a point of a box.

    Raises CertificateError where it may not be smooth about the point, within the box, or is too large. A convex
    function may jump at an end of the box, where the slope of one branch is none of its slopes.
    """
    boxes = BallBoxes(traced)
    if PaddedBoxes(traced).weight * max(1, len(point)) > SERIES:
        raise CertificateError("function", "it is too large for balls")
    beside = np.maximum(BESIDE, np.spacing(np.abs(point)))
    try:
        boxes.arrays(np.maximum(point - beside, box[0]), np.minimum(point + beside, box[1]), np.eye(len(point)), 1)
        low, high, series = boxes.arrays(point, point, np.eye(len(point)), 1)
    except NotSmooth as error:
        raise CertificateError("point", str(error)) from None
    with precision(BITS) as library:
        arb, fraction = library.arb, library.fmpq
        factors = [arb(objective), *(-arb(fraction(w.numerator, w.denominator)) for w in weights)]
        used = [k for k, factor in enumerate(factors) if factor != 0]
        value = sum((factors[k] * low[k].union(high[k]) for k in used), arb(0))
        return value, [sum((factors[k] * row[k][1] for k in used), arb(0)) for row in series]


def _least_of_number(slope: Any, strong: float, p: float, low: float, high: float) -> Any:
    """A ball below which g d + m d^2 / 2 does not fall for low <= p + d <= high; inside `precision`."""
    arb = flint().arb
    found = []
    if slope == 0:
        return arb(0)
    if strong > 0:
        found.append(-(slope**2) / (2 * arb(strong)))
    ends = [slope * (arb(end) - arb(p)) for end in (float(low), float(high)) if np.isfinite(end)]
    if len(ends) == 2:
        found.append(arb.min(*ends))
    elif ends and (slope > 0 if np.isfinite(low) else slope < 0):
        found.append(ends[0])
    if not found:
        raise CertificateError("point", "the tangent falls for ever on the box")
    best = found[0]
    for one in found[1:]:
        best = arb.max(best, one)
    return best
