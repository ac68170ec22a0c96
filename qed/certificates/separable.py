"""The certificate of an integral over a product measure that is made of integrals on the line (Fubini's theorem).

    int sum_k c_k prod_i g_ki(x_i) d(mu_1 x ... x mu_d) = sum_k c_k prod_i int g_ki dmu_i,
    log int exp(c + sum_i u_i(x_i)) dx = c + sum_i log int exp(u_i) dx_i

Every integral on the line is a certificate of its own, kept as text (`qed.certificates.expectation`). Verification
reads the form of the function from its graph again (`qed.domains.separated`), looks for a piece for each factor,
verifies the piece for the factor's expression, compares its measure with that of the coordinate, and multiplies in
balls. If every integral of |g_ki| is finite, Fubini's theorem applies; a piece proves that of its own integral by
enclosing it with its tails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, final

import jax
import jax.numpy as jnp
import numpy as np

from qed.certificates.bounded import stated
from qed.certificates.certificate import Certificate
from qed.certificates.expectation import Expectation, LogMass
from qed.domains.densities import NAMED
from qed.domains.ends import floats
from qed.domains.precision import flint, precision
from qed.domains.separated import One, Sum, TooWide, by_coordinate, separated
from qed.errors import CertificateError, QedError
from qed.graph.trace import Traced

BITS = 128
Key = tuple[int, str]


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Separable(Certificate):
    """lower <= the integral (or its logarithm, of exp(u)) <= upper.

    Args:
        measures: of each coordinate the atoms (place, weight), the parts (family, parameters, lower end, upper end,
            weight, whether it is a probability), and the data of its sums.
        pieces: (coordinate, expression, certificate as JSON); a coordinate of the same measure may use another's.
        logarithm: whether the function is a log-density.
        lower, upper: the bounds.
    """

    kind: ClassVar[str] = "separable"
    measures: tuple[Any, ...]
    pieces: tuple[tuple[int, str, str], ...]
    logarithm: bool
    lower: float
    upper: float

    def prove(self, traced: Traced) -> None:
        """Prove the claim, or raise CertificateError."""
        stated(self.lower, self.upper, lambda: self.enclosed(traced))

    def enclosed(self, traced: Traced, verified: bool = False) -> tuple[float, float]:
        """The bounds that verification finds; `verified` says that the pieces were verified just now."""
        shapes = [np.shape(leaf) for leaf in traced.parameters]
        if shapes != [(len(self.measures),)]:
            raise CertificateError("function", f"its argument is no vector of {len(self.measures)} numbers")
        form = separated(traced)
        if isinstance(form, str):
            raise CertificateError("function", form)
        held = self._held(form, verified)
        with precision(BITS):
            total = self._logarithm(form, held) if self.logarithm else self._integral(form, held)
            if not total.is_finite():
                raise CertificateError("pieces", "the integral is not proved to be finite")
            low, high = floats([total])
            return float(low[0]), float(high[0])

    def _integral(self, form: Sum, held: Mapping[Key, tuple[float, float]]) -> Any:
        total = flint().arb(0)
        for c, factors in form.terms:
            known = dict(factors)
            term = _ball(c)
            for i in range(len(self.measures)):
                term = term * self._of(i, known.get(i), held)
            total += term
        return total

    def _logarithm(self, form: Sum, held: Mapping[Key, tuple[float, float]]) -> Any:
        try:
            constant, parts = by_coordinate(form)
        except TooWide:
            raise CertificateError("function", "it is no sum of functions of single coordinates") from None
        total = _ball(constant)
        for i in range(len(self.measures)):
            total += self._of(i, parts.get(i, ZERO), held)
        return total

    def _of(self, i: int, one: One | None, held: Mapping[Key, tuple[float, float]]) -> Any:
        """A ball of the integral of an expression over coordinate i; of none, the mass."""
        if one is None and (mass := exact_mass(self.measures[i])) is not None:
            return _ball(mass)
        text = str(UNIT if one is None else one)
        for (j, other), (low, high) in held.items():
            if other == text and self.measures[j] == self.measures[i]:
                return flint().arb(low).union(flint().arb(high))
        raise CertificateError("pieces", f"there is none for coordinate {i} and {text}")

    def _held(self, form: Sum, verified: bool) -> dict[Key, tuple[float, float]]:
        """The bounds of the pieces, verified for the expressions that the graph holds."""
        expressions = {str(one): one for one in (ZERO, UNIT)}
        expressions |= {str(one): one for _, factors in form.terms for _, one in factors}
        if self.logarithm:
            try:
                expressions |= {str(one): one for one in by_coordinate(form)[1].values()}
            except TooWide:
                raise CertificateError("function", "it is no sum of functions of single coordinates") from None
        found = {}
        for k, (i, text, data) in enumerate(self.pieces):
            name = f"pieces[{k}]"
            if text not in expressions or not 0 <= i < len(self.measures):
                raise CertificateError(name, "the function has no such factor")
            try:
                piece = Certificate.from_json(data)
            except QedError as error:
                raise CertificateError(name, "it is no certificate") from error
            if not isinstance(piece, LogMass if self.logarithm else Expectation) or not piece.x64:
                raise CertificateError(name, "it is a certificate of another kind")
            if measure_of(piece) != self.measures[i]:
                raise CertificateError(name, f"it is about another measure than that of coordinate {i}")
            if not verified:
                piece.verify(joint(expressions[text], self.logarithm), a_number())
            if not (np.isfinite(piece.lower) and np.isfinite(piece.upper) and piece.lower <= piece.upper):
                raise CertificateError(name, "it proves no bounds")
            found[i, text] = piece.lower, piece.upper
        return found


ZERO, UNIT = One("constant", value=0.0), One("constant", value=1.0)


def joint(one: One, logarithm: bool) -> Any:
    """The function that a piece is about."""
    if logarithm:
        return lambda x: (jnp.ones_like(x), number(one, x))
    return lambda x: (number(one, x),)


def number(one: One, x: Any) -> Any:
    """The expression at x; a constant is a function of x, too."""
    return one(x) if one.moves else one(x) + 0.0 * x


def a_number() -> Any:
    """What the pieces are traced at, in float64, so that no constant is rounded."""
    with jax.enable_x64(True):
        return jnp.asarray(0.5)


def measure_of(piece: Certificate) -> tuple[Any, ...]:
    """The measure that a piece is about, its parts without the cuts between their ends."""
    if isinstance(piece, LogMass):
        ends = piece.cuts[0], piece.cuts[-1]
        whole = bool(piece.family) and NAMED[piece.family].support(*piece.parameters) == ends
        return (), ((piece.family, piece.parameters, *ends, "1", whole),), ()
    assert isinstance(piece, Expectation)
    parts = tuple((f, p, cuts[0], cuts[-1], w, d) for f, p, cuts, w, d in piece.parts)
    return piece.atoms, parts, piece.sums


def exact_mass(measure: Sequence[Any]) -> Fraction | None:
    """The mass where it is a rational number that is written down: of atoms and of probabilities."""
    atoms, parts, sums = measure
    if sums or not all(part[5] for part in parts):
        return None
    return sum((Fraction(w) for _, w in atoms), Fraction(0)) + sum((Fraction(part[4]) for part in parts), Fraction(0))


def _ball(c: Fraction) -> Any:
    return flint().arb(flint().fmpq(c.numerator, c.denominator))
