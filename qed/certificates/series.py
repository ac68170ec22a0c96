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
from typing import Any

import numpy as np

from qed.certificates.found import Found, Undefined
from qed.certificates.gamma_sign import signs_read
from qed.certificates.integral_parts import value_on, weight_of
from qed.certificates.patience import on_time
from qed.certificates.sum_tails import SumTails
from qed.domains.counts import COUNTS
from qed.domains.precision import flint
from qed.domains.tail_forms import NoOrder
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


class Sum(SumTails):
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
        self.shift, self.slow, self.expanded = flint().arb(0), False, []
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
