"""Sums over whole numbers with a proved tail: balls of sum f(k) m(k) and sum m(k) over k = a, ..., b, b maybe infinite.

From some K on f lies in b x^p exp(c x^q) (`qed.domains.tail`), and the masses fall at least by a factor: of a named law
it is known, of another one it is exp of an enclosure of u(k + 1) - u(k) for all k >= K (`qed.domains.increments`). With
r >= every ratio of successive terms K^p exp(c K^q) m(K), the rest is at most the geometric sum

    sum_{k >= K} |f(k)| m(k)  <=  |b| K^p exp(c K^q) m(K) / (1 - r);

terms that never fall, of one sign, have an infinite sum. Where u itself has a form of the tail domain, the sum is
compared with the integral: for g convex and falling (Graham, Knuth and Patashnik, *Concrete Mathematics*, section 9.5)

    int_K^inf g dx + g(K) / 2  <=  sum_{k >= K} g(k)  <=  int_{K - 1/2}^inf g dx.

The terms before K are added up one by one, or in cells, by the range of f times their mass, where little is lost.
"""

from __future__ import annotations

import heapq
from fractions import Fraction
from typing import Any

import numpy as np

from qed.certificates.cells import walked
from qed.certificates.found import BOTH, Found, Undefined, infinity
from qed.certificates.gamma_sign import signs_read
from qed.certificates.integral_parts import BITS, value_on, weight_of
from qed.certificates.patience import on_time
from qed.certificates.raabe import from_first
from qed.certificates.residue_classes import by_classes
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

CELLS = 6000
"""How many ranges of f are evaluated at most."""
FIRST, LAST = 8, 2**18
"""The places from which a tail is tried: the first, and the last."""
DIRECT = 64
"""Masses of so few places are added up one by one; of more, by the difference of two sums."""
CLOSE, ENOUGH, EASY, SLOW = 1e-14, 1e-10, 1000, 2e-6
"""The radius that is aimed at where no room is given, in parts of the sum of the sizes: the first, or, behind so many
ranges of f, the second; the last, where the tail is known by ratios that tend to 1."""
SumData = tuple[str, tuple[float, ...], float, float, str, bool]
"""Family or '', parameters, first and last place, weight as a fraction's text, whether it is a probability."""


class Sum:
    """One part of a measure on whole numbers; without a family its log-density is an output of the function."""

    def __init__(self, traced: Traced, data: SumData, output: int, node: str, of_one: bool = False) -> None:
        self.family, self.parameters, first, last, weight, self.probability = data
        self.node, self.f, self.output = node, signs_read(traced), output
        self.weight, self.of_one = weight_of(weight, node), of_one  # whether f is known to be 1
        if not (float(first).is_integer() and (last == np.inf or float(last).is_integer()) and first <= last):
            raise CertificateError(node, f"{first!r} to {last!r} are no whole numbers in order")
        self.first, self.last = int(first), last
        if self.family and self.family != "Counting":
            self._checked()
        self.shift, self.slow = flint().arb(0), False
        self._masses: list[Any] = []
        self._sums: list[Any] = [flint().arb(0)]

    def _checked(self) -> None:
        if self.family not in COUNTS:
            raise CertificateError(self.node, f"{self.family} is no family of laws on whole numbers")
        named = COUNTS[self.family]
        if fault := named.fault(self.parameters):
            raise CertificateError(self.node, f"of {self.family}, {fault}")
        ends = (0.0, float(named.last(*self.parameters)))
        if self.first < 0 or self.last > ends[1] or (self.probability and (float(self.first), self.last) != ends):
            raise CertificateError(self.node, f"the places of {self.family} are {ends}")

    # --- the sum ---

    def mean(self, room: float | None) -> Any:
        """A ball of the part's share, of a radius below `room` if that is given and reached; infinite where proved."""
        self._shifted()
        waiting: list[Any] = []
        done, count, problem = self.first, 0, "no place was tried from which the terms fall"
        best = None
        for start in self._starts():
            tail = Found(flint().arb(0), flint().arb(0))
            if start <= self.last:
                try:
                    tail = self._tail(start)
                except NoOrder:
                    problem = f"neither convergence nor divergence of the sum is proved from {start} on"
                    continue
                except Undefined:
                    raise
                except CertificateError as error:
                    problem = error.why
                    continue
            if not tail.mass.is_finite() and self.probability:
                raise CertificateError(self.node, "the masses have an infinite sum: they are no probability")
            end = min(start - 1, self.last)
            if end >= done:
                self._push(waiting, done, int(end))
                done = int(end) + 1
            total, count = self._halved(waiting, tail, room, count)
            if not tail.of_f.is_finite() and total.of_f == tail.of_f:
                return self._infinite(total)
            if total.of_f.is_finite() and (self.family or (total.mass.is_finite() and total.mass > 0)):
                share = self._share(total)
                best = share if best is None or share.rad() < best.rad() else best
            if (
                start > self.last
                or self._narrow(total, waiting, tail, room, count)
                or not _wide(total, tail)
                or count >= CELLS
            ):
                last = self._share(total) if best is None or total.of_f.is_finite() else best
                return last if best is None or not best.rad() < last.rad() else best
        raise CertificateError(self.node, problem)

    def _starts(self) -> list[int]:
        """Where the tail may begin; behind the last place, if there is one."""
        if self.last != np.inf:
            if self.last - self.first > LAST:
                raise CertificateError(self.node, f"there are more than {LAST} places")
            return [int(self.last) + 1]
        found, start = [], max(self.first, FIRST)
        while start <= max(LAST, 2 * self.first):
            found.append(start)
            start = start + max(FIRST, (start - self.first) // 2)
        return found

    def _infinite(self, total: Found) -> Any:
        if not self.weight > 0:
            raise CertificateError(self.node, "its weight is 0")
        if self.probability and not (total.mass > 0 and total.mass.is_finite()):
            raise CertificateError(self.node, "the mass is not proved to be finite")
        return total.of_f

    def _share(self, total: Found) -> Any:
        if self.family:
            return self.weight * total.of_f
        if not self.probability:
            return self.weight * total.of_f * self.shift.exp()
        if not (total.mass > 0 and total.mass.is_finite()):
            raise CertificateError(self.node, "the mass is not proved to be positive and finite")
        return self.weight * total.of_f / total.mass

    def _narrow(self, total: Found, waiting: list[Any], tail: Found, room: float | None, count: int) -> bool:
        share = self._share(total) if total.of_f.is_finite() and (self.family or total.mass > 0) else None
        if share is None or not share.is_finite():
            return False
        if room is not None:
            return float(share.rad()) < room
        size = abs(tail.of_f).upper()
        for item in waiting:
            size += abs(item[-1].of_f).upper()
        close = CLOSE if count < EASY else SLOW if self.slow else ENOUGH
        return bool(total.of_f.rad() <= close * size and total.mass.rad() <= close * abs(total.mass))

    def _shifted(self) -> None:
        """Take an exact number near the largest log-density off, so that nothing over- or underflows."""
        if self.family:
            return
        best = None
        ends = 2**14 if self.last == np.inf else self.last - self.first
        for step in (0, *(2**j for j in range(15))):
            if step > ends:
                break
            try:
                value = self._value(self.output, self.first + step, self.first + step)
            except CertificateError:
                continue
            if value.is_finite() and (best is None or value.mid() > best):
                best = value.mid()
        if best is not None:
            self.shift = flint().arb(float(best))

    # --- terms ---

    def _halved(self, waiting: list[Any], tail: Found, room: float | None, count: int) -> tuple[Found, int]:
        """Everything together; the cells where most is lost are halved."""
        while True:
            on_time()
            total = tail
            for item in waiting:
                total = total + item[-1]
            if not waiting or self._narrow(total, waiting, tail, room, count) or count >= CELLS:
                return total, count
            if not tail.of_f.is_finite() and total.of_f == tail.of_f:
                if total.mass.is_finite() or not self.probability:
                    return total, count
            elif _wide(total, tail):
                return total, count
            for step in range(max(1, len(waiting) // 4)):
                first, last = waiting[0][1:3]
                if first == last:  # every cell is one place
                    if not step:
                        return total, count
                    break
                heapq.heappop(waiting)
                middle = (first + last) // 2
                self._push(waiting, first, middle)
                self._push(waiting, middle + 1, last)
                count += 2

    def _push(self, waiting: list[Any], first: int, last: int) -> None:
        found = self._cell(first, last)
        size = -np.inf if first == last else max(loss(found.of_f), loss(found.mass))  # one place cannot be halved
        heapq.heappush(waiting, (-size, first, last, found))

    def _cell(self, first: int, last: int) -> Found:
        mass = self._mass(first, last)
        if self.of_one:
            return Found(mass, mass)
        try:
            value = self._value(0, first, last)
        except CertificateError as error:
            if first == last:
                raise CertificateError(self.node, f"at {first}: {error.why}") from None
            value = flint().arb.nan()
        if first == last and not value.is_finite():
            raise CertificateError(self.node, f"the function is not finite at {first}")
        return Found(value * mass, mass)

    def _value(self, output: int, first: int, last: int) -> Any:
        return value_on(self.f, output, float(first), float(last), self.node)

    def _mass(self, first: int, last: int) -> Any:
        """A ball of the mass of first, ..., last, divided by exp(shift) where the masses are no named ones."""
        arb = flint().arb
        if self.family == "Counting":
            return arb(last - first + 1)
        if not self.family:
            try:
                value = self._value(self.output, first, last)
            except CertificateError as error:
                if first == last:
                    raise CertificateError(self.node, f"at {first}: {error.why}") from None
                return arb.nan()
            if first == last and value.is_nan():
                raise CertificateError(self.node, f"the log-density is not a number at {first}")
            return (last - first + 1) * (value - self.shift).exp()
        self._named(last)
        low, high = first - self.first, last - self.first
        if last - first < DIRECT:
            return sum(self._masses[low : high + 1], arb(0))
        return self._sums[high + 1] - self._sums[low]

    def _named(self, last: int) -> None:
        """Know the masses up to a place."""
        named, balls = COUNTS[self.family], tuple(map(flint().arb, self.parameters))
        while len(self._masses) <= last - self.first:
            k = self.first + len(self._masses)
            if (k - self.first) % 256 == 0:
                mass = named.mass(k, *balls)
            else:
                mass = self._masses[-1] * named.ratio(k - 1, *balls)
            self._masses.append(mass)
            self._sums.append(self._sums[-1] + mass)

    # --- tails ---

    def _tail(self, start: int) -> Found:
        """The sums over k = start, start + 1, ...; NoOrder where nothing is proved."""
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


def loss(x: Any) -> float:
    """The logarithm of a radius, which may be far outside float64."""
    if not x.is_finite():
        return np.inf
    return float(x.rad().log()) if x.rad() > 0 else -np.inf


def _wide(total: Found, tail: Found) -> bool:
    """Whether most of what is not known of a sum is in its tail."""
    pairs = ((tail.of_f, total.of_f), (tail.mass, total.mass))
    return any(
        one.is_finite() and one.rad() > 0 and one.rad() > both.rad() / 2 for one, both in pairs if both.is_finite()
    )
