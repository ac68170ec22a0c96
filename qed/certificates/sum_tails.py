"""The tails of a sum over whole numbers: by forms of the function, by ratios of terms, by expansions, by classes.

See `qed.certificates.series`, of whose sums these are the rests from a place on.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from qed.certificates.cells import walked
from qed.certificates.euler_maclaurin import by_expansion
from qed.certificates.found import BOTH, Found, Undefined, infinity
from qed.certificates.integral_parts import BITS
from qed.certificates.raabe import from_first
from qed.certificates.residue_classes import by_classes, expanded_by_classes
from qed.certificates.series_tails import compared, down, exponential, outgrows, unit, up
from qed.certificates.waves import never, signs_of
from qed.domains.counts import COUNTS, later
from qed.domains.exact_growth import AtLeast, ExactGrowth
from qed.domains.increments import Increments
from qed.domains.one_number import Undecided
from qed.domains.precision import flint
from qed.domains.successive_ratio import LAWS, Factors, Ratio, SuccessiveRatio
from qed.domains.tail import Tail
from qed.domains.tail_forms import NoOrder, Term, power_of
from qed.domains.tail_growth import Above
from qed.errors import CertificateError
from qed.graph.trace import Traced

EXPANDED, AGAIN, TIMES = 24, 4, 3
"""From which place on an expansion is tried first; how much farther out again; and how often."""


class SumTails:
    """The tails of one part of a measure on whole numbers."""

    family: str
    parameters: tuple[float, ...]
    probability: bool
    node: str
    f: Traced
    output: int
    weight: Any
    shift: Any
    of_one: bool
    slow: bool
    expanded: list[int]

    def _value(self, output: int, first: int, last: int) -> Any:
        raise NotImplementedError

    def _tail(self, start: int) -> Found:
        """The sums over k = start, start + 1, ...; NoOrder where nothing is proved."""
        if (found := self._by_expansion(start)) is not None:
            return found
        try:
            return self._closer(self._by_forms(start), start)
        except (NoOrder, CertificateError):
            if (found := self._by_ratios(start)) is not None:
                return found
            if self.family in LAWS or not self.weight > 0:
                raise
            found = by_classes(self._forms, self.f.graph, start, self.node) or self._by_waves(start)
            if found is None or (self.probability and not found.mass.is_finite()):
                raise
            if found.of_f.is_nan():
                raise Undefined(self.node, BOTH) from None
            return found

    def _by_expansion(self, start: int) -> Found | None:
        """The same by Euler and Maclaurin's formula, tried at a few places."""
        if self.family in LAWS or self.weight <= 0 or start < EXPANDED or len(self.expanded) == TIMES:
            return None
        if self.expanded and start < AGAIN * self.expanded[-1]:
            return None
        self.expanded.append(start)
        given = (self.f, None if self.family else self.output, self.shift, start, self.node)
        return by_expansion(*given) or expanded_by_classes(*given)

    def _closer(self, found: Found, start: int) -> Found:
        """The tail by residue classes, where the terms change their sign and that says more."""
        if self.family in LAWS or not (found.of_f.is_finite() and found.of_f.contains(0) and not found.of_f.is_zero()):
            return found
        other = by_classes(self._forms, self.f.graph, start, self.node)
        if other is None or not ((other.of_f.is_finite() and other.mass.is_finite()) or self.family):
            return found
        return other if other.of_f.is_finite() and other.of_f.rad() < found.of_f.rad() else found

    def _forms(self, domain: Tail, x: Any) -> tuple[Any, Any]:
        """The function and the mass of a place x, in a tail domain."""
        f = walked(self.f, domain, x, 0, self.node)
        if self.family:
            return f, domain.fixed(flint().arb(1))
        u = walked(self.f, domain, x, self.output, self.node)
        return f, domain.exp(domain.add(domain.as_logarithm(u), domain.as_logarithm(domain.fixed(-self.shift))))

    def _by_waves(self, start: int) -> Found | None:
        """The sums of what oscillates, where the positive or the negative terms alone have an infinite sum."""
        x = Term(flint().arb(1), Fraction(1), flint().arb(0))
        signs, mass, _ = signs_of(lambda domain: self._forms(domain, x), float(start), BITS, whole=True)
        if not signs:
            return None
        mass = flint().arb.pos_inf() if mass is None else mass
        if len(signs) > 1:
            return Found(flint().arb.nan(), mass)
        (sign,) = signs
        return Found(infinity(sign), mass) if never(-sign, self.f, (start, np.inf), self.node) else None

    def _by_ratios(self, start: int) -> Found | None:
        """The same by the ratios of successive terms; None where they decide nothing."""
        law = LAWS.get(self.family)
        if law is None:
            return self._by_exact_ratios(start) if self.family in ("", "Counting") else None
        domain = SuccessiveRatio(start, BITS)
        try:
            f = domain.ratio(walked(self.f, domain, domain.argument(), 0, self.node))
        except (CertificateError, Undecided):
            return None
        least, most = (f.step * law(*map(Fraction, self.parameters))).between(start)
        mass = COUNTS[self.family].mass(start, *map(flint().arb, self.parameters))
        masses = self._geometric(unit(), mass, *later(self.family, start, self.parameters), start)
        if least >= 1:
            return Found(infinity(f.sign), masses)
        if not (f.exact and most < 1):
            return None
        rest = self._value(0, start, start) * mass / (1 - most)
        return Found(flint().arb(0).union(rest), masses) if rest.is_finite() else None

    def _by_exact_ratios(self, start: int) -> Found | None:
        """The same where no law falls: terms and masses that are products of factorials, powers and lines."""
        domain = SuccessiveRatio(start, BITS)
        try:
            f = weight = Ratio(Factors(flint().arb(0), (), Fraction(0)))
            if not self.of_one:
                f = domain.ratio(walked(self.f, domain, domain.argument(), 0, self.node))
            if not self.family:
                weight = domain.exponential(walked(self.f, domain, domain.argument(), self.output, self.node))
        except (CertificateError, Undecided):
            return None
        if not (weight.exact and start > 0):
            return None
        mass = flint().arb(1) if self.family else (self._value(self.output, start, start) - self.shift).exp()
        masses = from_first(weight, start, mass)
        both = Ratio(f.step * weight.step, f.sign, f.exact)
        found = from_first(both, start, mass if self.of_one else self._value(0, start, start) * mass)
        if found is None or (masses is None and self.probability):
            return None
        self.slow = True
        return Found(found, flint().arb.pos_inf() if masses is None else masses)

    def _by_forms(self, start: int) -> Found:
        """The same by the forms of the function."""
        if self._at_the_edge(start):
            mass = COUNTS[self.family].mass(start, *map(flint().arb, self.parameters))
            least, most = later(self.family, start, self.parameters)
            return Found(flint().arb.pos_inf(), self._geometric(unit(), mass, least, most, start))
        domain, zero = Tail(float(start), BITS, counting=True), flint().arb(0)
        x = Term(flint().arb(1), Fraction(1), zero)
        form = walked(self.f, domain, x, 0, self.node)
        if isinstance(form, Above):
            return self._infinite_tail(domain, form, start)
        f = domain.as_term(form)
        if self.family != "Counting" and self.family:
            f = domain.without_logarithm(f)
            least, most = later(self.family, start, self.parameters)
            mass = COUNTS[self.family].mass(start, *map(flint().arb, self.parameters))
            return Found(
                self._geometric(f, mass, least, most, start), self._geometric(unit(), mass, least, most, start)
            )
        if self.family:
            return Found(compared(domain, f), flint().arb.pos_inf())
        try:
            u = walked(self.f, domain, x, self.output, self.node)
            weight = domain.exp(domain.add(domain.as_logarithm(u), domain.as_logarithm(domain.fixed(-self.shift))))
            return Found(compared(domain, domain.mul(f, weight)), compared(domain, weight))
        except (NoOrder, CertificateError):
            pass
        steps = Increments(start, BITS)
        change = walked(self.f, steps, steps.argument(), self.output, self.node).change
        mass = (self._value(self.output, start, start) - self.shift).exp()
        least, most = (exponential(end) for end in (change.lower, change.upper))
        f = domain.without_logarithm(f)
        return Found(self._geometric(f, mass, least, most, start), self._geometric(unit(), mass, least, most, start))

    def _infinite_tail(self, domain: Tail, f: Above, start: int) -> Found:
        """The sums where f is only bounded from below, if that makes them infinite; else NoOrder."""
        pos_inf, mass = flint().arb.pos_inf(), flint().arb.pos_inf()
        if self.family == "Counting":
            found = compared(domain, f.least)
        elif self.family:
            first = COUNTS[self.family].mass(start, *map(flint().arb, self.parameters))
            ratios = later(self.family, start, self.parameters)
            found = self._geometric(f.least, first, *ratios, start)
            mass = self._geometric(unit(), first, *ratios, start)
        else:
            raise NoOrder
        if found != pos_inf:
            raise NoOrder
        return Found(pos_inf if f.sign > 0 else -pos_inf, mass)

    def _at_the_edge(self, start: int) -> bool:
        """Whether f(k) m(k) >= a k^-1 for all k >= start and some a > 0, by exact bases: an infinite sum."""
        if self.family == "Geometric":
            p = self.parameters[0]
        elif self.family == "NegativeBinomial" and self.parameters[0] >= 1:
            p = self.parameters[1]
        else:
            return False
        domain = ExactGrowth(start)
        try:
            found = walked(self.f, domain, domain.argument(), 0, self.node)
        except CertificateError:
            return False
        ratio = found.r * (1 - Fraction(p)) if isinstance(found, AtLeast) else Fraction(0)
        return ratio > 1 or (ratio == 1 and found.s <= 1)

    def _geometric(self, f: Term, mass: Any, least: Any, most: Any, start: int) -> Any:
        """A ball of sum f(k) m(k) from `start` on: bounded by a geometric sum, or infinite, or NoOrder."""
        if not (f.b.is_finite() and mass.is_finite()):
            raise NoOrder
        if f.b.is_zero():
            return flint().arb(0)
        rate = most * up(f, start)
        if rate < 1:
            at = f.b * mass * power_of(flint().arb(start), f.p)
            if f.q:
                at *= (f.c.upper() * power_of(flint().arb(start), f.q)).exp()
            return flint().arb(0).union(at / (1 - rate))
        grows = least * down(f, start) >= 1
        if self.family == "Poisson" and f.q > 1 and f.c > 0:
            grows = outgrows(f, start, flint().arb(self.parameters[0]))
        if grows and mass > 0 and (f.b > 0 or f.b < 0):
            return flint().arb.pos_inf() if f.b > 0 else flint().arb.neg_inf()
        raise NoOrder
