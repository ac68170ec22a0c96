"""Integrals over products of measures that are infinite or undefined, by their sections (Tonelli's theorem).

Let all coordinates but one stay in intervals B of positive measure, and let f p be of one sign, for all of them and all
x_i of a tail of coordinate i, with a lower bound that does not depend on the others and has an infinite integral. Then

    int f+ dmu >= int_B int f p_i dx_i dmu = infinity,       or the same of f-.

With sections of both signs the integral is undefined; with one it is infinite if the part of the other sign is finite:
where f is bounded from that side on the whole support of a finite measure, or f = exp(u). Sections may be curved: rays
from a point, and lines across the level set of a value (`qed.certificates.curved_sections`). Reference: Halmos,
*Measure Theory*, Springer 1974, section 36.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, final

import numpy as np

from qed.certificates.cells import walked
from qed.certificates.certificate import Certificate
from qed.certificates.curved_sections import Crossing, Ray, sign_of_crossing, sign_of_ray
from qed.certificates.named_laws import Law, a_law
from qed.domains.ball_ends import BallEnds, Ends
from qed.domains.balls import objects
from qed.domains.densities import NAMED
from qed.domains.one_sided import ANY, OneSided, Side
from qed.domains.precision import flint, precision
from qed.domains.tail import Tail
from qed.domains.tail_arrays import Forms
from qed.domains.tail_forms import Near, NoOrder, Term
from qed.domains.tail_growth import Above, infinite_integral
from qed.errors import CertificateError
from qed.graph.trace import Traced

BITS = 128
Section = tuple[int, float, int, float, tuple[tuple[float, float], ...]]
"""The coordinate i; the number s beside which the tail is, or infinity; its side; its start, so that the tail is
side x >= start or 0 < side (x - s) <= 1 / start; and intervals of all coordinates, of which the i-th says nothing."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Sections(Certificate):
    """The integral is `value`: an infinity, or no number where it is undefined.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.certificates.certificate import Subject
    >>> from qed.certificates.sections import Sections
    >>> box = ((0.0, 1.0), (0.5, 0.5625))
    >>> made = Sections.made(Subject(lambda x: x[0] ** 2 + x[1], jnp.zeros(2)), logarithm=False, value=np.inf,
    ...                      factors=(("Cauchy", (0.0, 1.0), -np.inf, np.inf), ("Uniform", (0.0, 1.0), 0.0, 1.0)),
    ...                      sections=((0, np.inf, 1, 8.0, box),))
    >>> made.verify()
    True
    """

    kind: ClassVar[str] = "sections"
    factors: tuple[Law, ...]
    sections: tuple[Section, ...]
    logarithm: bool
    value: float
    rays: tuple[Ray, ...] = ()
    crossings: tuple[Crossing, ...] = ()

    def prove(self, traced: Traced) -> None:
        """Prove the claim, or raise CertificateError."""
        if [np.shape(leaf) for leaf in traced.parameters] != [(len(self.factors),)]:
            raise CertificateError("function", f"its argument is no vector of {len(self.factors)} numbers")
        for factor in self.factors:
            a_law(factor, "factors")
        with precision(BITS):
            signs = {self.sign_of(traced, section) for section in self.sections}
            signs |= {sign_of_ray(traced, self.factors, one, self.logarithm) for one in self.rays}
            signs |= {sign_of_crossing(traced, self.factors, one, self.logarithm) for one in self.crossings}
        if np.isnan(self.value):
            if signs != {1, -1}:
                raise CertificateError("sections", "they are not of both signs")
            return
        if not np.isinf(self.value) or signs != {int(np.sign(self.value))}:
            raise CertificateError("value", "it is not the infinity that the sections prove")
        if not self.bounded(traced, int(np.sign(self.value))):
            raise CertificateError("value", "the part of the other sign is not proved to be finite")

    def sign_of(self, traced: Traced, section: Section) -> int:
        """The sign of the part of f that a section proves to have an infinite integral; else CertificateError."""
        i, s, side, start, boxes = section
        self._within(section)
        arb = flint().arb
        domain = Tail(start, BITS)
        if np.isinf(s):
            x: Any = Term(arb(side), Fraction(1), arb(0))
        else:
            rest = Term(arb(side), Fraction(-1), arb(0))
            x = Near(arb(s), rest) if s else rest
        forms = np.empty(len(self.factors), object)
        for k, (low, high) in enumerate(boxes):
            forms[k] = x if k == i else domain.fixed(arb(low).union(arb(high)))
        try:
            f = walked(traced, domain, Forms(forms), 0, "sections")
            f = domain.exp(f) if self.logarithm else f
            weight: Any = Term(arb(1), Fraction(0 if np.isinf(s) else -2), arb(0))
            name, parameters, _, _ = self.factors[i]
            if name:
                law = NAMED[name].traced(parameters)
                weight = domain.mul(domain.as_term(domain.exp(walked(law, domain, x, 0, "factors"))), weight)
            if isinstance(f, Above):
                found = infinite_integral(domain, f, weight)
            else:
                found = domain.integral(domain.mul(domain.as_term(f), weight))
        except NoOrder:
            raise CertificateError("sections", "a section is not proved to diverge") from None
        if found.is_finite() or found.is_nan():
            raise CertificateError("sections", "a section does not diverge")
        return 1 if found > 0 else -1

    def _within(self, section: Section) -> None:
        """Raise CertificateError where a section leaves the support, or its intervals have no measure."""
        i, s, side, start, boxes = section
        if not (0 <= i < len(self.factors) and side in (1, -1) and start >= 8 and len(boxes) == len(self.factors)):
            raise CertificateError("sections", "one is malformed")
        low, high = self.factors[i][2:]
        if np.isinf(s):
            inside = s > 0 and (low if side < 0 else high) == side * np.inf and (high if side < 0 else -low) >= -start
        else:
            inside = low <= min(s, s + side * 2 / start) and max(s, s + side * 2 / start) <= high
        for k, (a, b) in enumerate(boxes):
            inside = inside and (k == i or self.factors[k][2] <= a < b <= self.factors[k][3])
        if not inside:
            raise CertificateError("sections", "one leaves the support")

    def bounded(self, traced: Traced, sign: int) -> bool:
        """Whether sign times the integrand has a finite integral where it is negative."""
        if self.logarithm:
            return True
        least = max(self._least(traced, sign), self._least_almost_everywhere(traced, sign))
        finite = all(name or np.isfinite(high - low) for name, _, low, high in self.factors)
        return bool(least >= 0 or (np.isfinite(least) and finite))

    def _least(self, traced: Traced, sign: int) -> float:
        """A lower bound of sign times f on the whole support; -inf where there is none."""
        domain = BallEnds(BITS)
        with precision(BITS) as library:
            low, high = (objects([library.arb(f[k]) for f in self.factors], (len(self.factors),)) for k in (2, 3))
            try:
                value = domain.number(walked(traced, domain, Ends(low, high), 0, "value"))
            except CertificateError:
                return -np.inf
            if value.doubt.undefined is not None or value.doubt:
                return -np.inf
            (pair,) = value.pairs.ravel()
            least = pair[0] if sign > 0 else -pair[1]
            return np.nextafter(float(least), -np.inf) if least < 0 else 0.0

    def _least_almost_everywhere(self, traced: Traced, sign: int) -> float:
        """The same but for a set of measure 0, where f may have poles."""
        forms = np.empty(len(self.factors), object)
        for k, (_, _, low, high) in enumerate(self.factors):
            forms[k] = Side(low, high, thin=ANY, on=frozenset({k}))
        try:
            found = walked(traced, OneSided(), Forms(forms), 0, "value")
        except CertificateError:
            return -np.inf
        if not isinstance(found, Side):
            return -np.inf
        return found.lower if sign > 0 else -found.upper


Tried = tuple[str, Any]
"""One of the fields sections, rays, crossings, and what stands in it."""


def signs_proved(certificate: Sections, traced: Traced, tried: Iterable[Tried]) -> Iterator[tuple[int, Tried]]:
    """The signs that sections prove, each once, with what proves it."""
    found: set[int] = set()
    for kind, one in tried:
        with precision(BITS):
            try:
                if kind == "sections":
                    sign = certificate.sign_of(traced, one)
                else:
                    of = sign_of_ray if kind == "rays" else sign_of_crossing
                    sign = of(traced, certificate.factors, one, certificate.logarithm)
            except CertificateError:
                continue
        if sign not in found:
            found.add(sign)
            yield sign, (kind, one)
