"""One part of a measure on the line: balls of int f exp(u) dx and int exp(u) dx over an interval.

Infinite ends, and the end 0 where the integrand is not bounded there (x = 1/y), are enclosed at once by the tail
domain; between them are cells, each by a power series with the remainder of Lagrange or by the range of the integrand,
halved where most is lost. References: see `qed.certificates.expectation`.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from qed.certificates.certificate import placed
from qed.domains.ball_ends import BallEnds, Ends
from qed.domains.ball_series import BallSeries
from qed.domains.densities import NAMED
from qed.domains.precision import flint, precision
from qed.domains.tail import NoOrder, Tail, Term
from qed.errors import CertificateError
from qed.graph.trace import Traced
from qed.graph.walk import Unknown, Walker

BITS = 128
ORDER = 15
"""The order of the series on a cell; odd."""
CELLS = 600
"""How many cells a part is cut into at most."""
TINY = 2.0**-24
"""Cells smaller than this in parts of the place, on which the density is not bounded, are cut no further."""
STARTS = 12
"""How many starts of a tail are tried at most, each twice as far out."""


class Undefined(CertificateError):
    """Both ends of a part diverge, with opposite signs."""


class Unbounded(CertificateError):
    """The integrand is not bounded, or not defined, on a cell that is too small to be halved: near `place`."""

    def __init__(self, node: str, place: float) -> None:
        super().__init__(node, f"the integrand is not bounded near {place!r}")
        self.place = place


def weight_of(text: str, node: str) -> Any:
    """A ball of a weight, from its fraction as a text."""
    try:
        weight = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise CertificateError(node, f"{text!r} is no weight") from None
    if weight < 0:
        raise CertificateError(node, f"the weight {text} is negative")
    return flint().arb(flint().fmpq(weight.numerator, weight.denominator))


def walked(traced: Traced, domain: Any, given: Any, output: int, node: str) -> Any:
    """An output in a domain, or CertificateError where it is unknown."""
    cells = Walker([domain]).run(traced.graph, placed(traced, [given]))
    value = cells[output].values[0]
    if isinstance(value, Unknown):
        raise CertificateError(node, str(value))
    return value


def value_on(traced: Traced, output: int, lower: float, upper: float, node: str) -> Any:
    """A ball of the values of an output on an interval."""
    domain = BallEnds(BITS)
    value = domain.number(walked(traced, domain, Ends.between(lower, upper), output, node))
    if value.doubt:
        place = value.doubt.place
        raise CertificateError(node, str(place) if place else "the function may be undefined there")
    (pair,) = value.pairs.ravel()
    return pair[0].union(pair[1]) if pair[0].is_finite() and pair[1].is_finite() else flint().arb.nan()


@dataclass(frozen=True)
class Found:
    """Balls of the integrals of f exp(u) and exp(u)."""

    of_f: Any
    mass: Any

    def __add__(self, other: Found) -> Found:
        return Found(self.of_f + other.of_f, self.mass + other.mass)


class Part:
    """One part of the measure, with its density."""

    tail_room: ClassVar[float] = 1e-25

    def __init__(self, traced: Traced, part: Any, output: int, node: str, relative: bool = False) -> None:
        self.name, self.parameters, self.cuts, weight, self.probability = part
        self.node, self.f = node, traced
        self.weight = weight_of(weight, node)
        family = NAMED.get(self.name)
        if family is None:
            self.u, self.output = traced, output
        else:
            self._checked(family)
            self.u, self.output = family.traced(self.parameters), 0
        if len(self.cuts) < 2 or not all(a < b for a, b in zip(self.cuts, self.cuts[1:], strict=False)):
            raise CertificateError(node, "the cuts are not in order")
        self.shift = flint().arb(0)
        self.relative = relative
        self.diverging: set[int] = set()
        self.cells: list[float] = []
        self._inside = Found(flint().arb(0), flint().arb(0))

    def _checked(self, family: Any) -> None:
        values = dict(zip(family.parameters, self.parameters, strict=False))
        if len(self.parameters) != len(family.parameters) or not all(map(np.isfinite, self.parameters)):
            raise CertificateError(self.node, f"{self.name} has the parameters {', '.join(family.parameters)}")
        if any(not values[name] > 0 for name in family.positive):
            raise CertificateError(self.node, f"of {self.name}, {', '.join(family.positive)} must be positive")
        ends = family.support(*self.parameters)
        if self.probability and (self.cuts[0], self.cuts[-1]) != ends:
            raise CertificateError(self.node, f"the support of {self.name} is {ends}")

    def mean(self, room: float) -> Any:
        """A ball of the part's share, as narrow as `room` where the cells suffice; infinite where that is proved."""
        inner = [c for c in self.cuts if np.isfinite(c)]
        if not inner:
            raise CertificateError(self.node, "no cut is finite")
        self._shifted(inner)
        found, ends = self._tails(inner)
        if self.probability and not found.mass.is_finite():
            raise CertificateError(self.node, "the density has infinite mass: it is improper")
        if self.diverging == {1, -1} and self.weight > 0:
            raise Undefined(self.node, "both ends diverge, with opposite signs: the integral is undefined")
        if found.of_f.is_nan():
            raise CertificateError(self.node, "the tails are not enclosed")
        middle = self._middle(ends, found, room if found.of_f.is_finite() else 1e-3)
        if not found.of_f.is_finite():
            if self.probability and not (middle.mass.is_finite() and middle.mass > 0):
                raise CertificateError(self.node, "the mass is not proved to be finite")
            if not self.weight > 0 or not self._inside.of_f.is_finite():
                raise CertificateError(self.node, "the integral is not proved to be finite between the tails")
            return found.of_f
        if not self.probability:
            return self.weight * middle.of_f * self.shift.exp()
        if not (middle.mass > 0 and middle.mass.is_finite()):
            raise CertificateError(self.node, "the mass is not proved to be positive and finite")
        return self.weight * middle.of_f / middle.mass

    def _shifted(self, inner: Sequence[float]) -> None:
        """Take an exact number near the largest log-density off, so that nothing over- or underflows."""
        best = None
        for x in inner:
            try:
                value = value_on(self.u, self.output, x, x, self.node)
            except CertificateError:
                continue
            if value.is_finite() and (best is None or value.mid() > best):
                best = value.mid()
        if best is not None:
            self.shift = flint().arb(float(best))

    # --- tails ---

    def _tails(self, inner: list[float]) -> tuple[Found, list[float]]:
        """The integrals over the infinite ends, and the cuts between them."""
        arb = flint().arb
        found, cuts = Found(arb(0), arb(0)), list(inner)
        for side in (-1, 1):
            end = self.cuts[0] if side < 0 else self.cuts[-1]
            if np.isfinite(end):
                continue
            start, tail = self._tail(side, max(8.0, side * (inner[0] if side < 0 else inner[-1])))
            found = found + tail
            cuts = [-start, *cuts] if side < 0 else [*cuts, start]
        if self.cuts[0] == 0.0 and not self._bounded_at_zero():
            start, tail = self._tail(0, max(8.0, 1.0 / cuts[1]))
            found = found + tail
            cuts = [1.0 / start, *cuts[1:]]  # start is a power of 2
        return found, sorted(set(cuts))

    def _bounded_at_zero(self) -> bool:
        try:
            return all(
                value_on(traced, output, 0.0, 0.0, self.node).is_finite()
                for traced, output in ((self.f, 0), (self.u, self.output))
            )
        except CertificateError:
            return False

    def _tail(self, side: int, start: float) -> tuple[float, Found]:
        """The first start from which a tail is enclosed, and so narrow that twice as far it is not narrower by much."""
        start = 2.0 ** np.ceil(np.log2(start)) if side == 0 else start
        best: tuple[float, Found] | None = None
        problem = "no start was tried"
        for _ in range(STARTS):
            try:
                tail = self._beyond(side, start)
            except NoOrder:
                where = f"beyond {side * start:g}" if side else f"below {1 / start:g}"
                problem = f"neither convergence nor divergence is proved {where}"
            except CertificateError as error:
                problem = error.why
            else:
                if not (tail.of_f.is_finite() and tail.mass.is_finite()):
                    arb = flint().arb
                    self.diverging |= {s for s, end in ((1, arb.pos_inf()), (-1, arb.neg_inf())) if tail.of_f == end}
                    return start, tail
                radius = tail.of_f.rad() + tail.mass.rad()
                if best is None or radius < best[1].of_f.rad() + best[1].mass.rad():
                    best = start, tail
                if radius < self.tail_room:
                    break
            start *= 2.0 if side else 16.0
        if best is None:
            raise CertificateError(self.node, problem)
        return best

    def _beyond(self, side: int, start: float) -> Found:
        """The integrals over x >= start, x <= -start, or, for side 0, over 0 < x <= 1 / start."""
        domain = Tail(start, BITS)
        zero = flint().arb(0)
        x = Term(flint().arb(side), Fraction(1), zero) if side else Term(flint().arb(1), Fraction(-1), zero)
        u = walked(self.u, domain, x, self.output, self.node)
        f = walked(self.f, domain, x, 0, self.node)
        weight = domain.exp(domain.add(u, domain.fixed(-self.shift)))
        if not side:  # x = 1/y, dx = dy / y^2
            weight = domain.mul(weight, Term(flint().arb(1), Fraction(-2), zero))
        mass = domain.integral(weight)
        if self.probability and not mass.is_finite():
            return Found(zero, mass)
        return Found(domain.integral(domain.mul(domain.as_term(f), weight)), mass)

    # --- between the tails ---

    def _middle(self, cuts: list[float], tails: Found, room: float) -> Found:
        """Everything together; the cells with the widest enclosures are halved."""
        arb = flint().arb
        waiting: list[Any] = []
        for a, b in itertools.pairwise(cuts):
            self._push(waiting, a, b)
        for count in range(CELLS):
            inside = Found(arb(0), arb(0))
            if count % 8 == 0 or len(waiting) < 8:
                for item in waiting:
                    inside = inside + item[-1]
                self._inside = inside
                if self._narrow(inside + tails, room):
                    break
            widest = heapq.heappop(waiting)
            _, _, a, b, cell = widest
            middle = a + (b - a) / 2
            if not a < middle < b and cell.of_f.is_finite() and cell.mass.is_finite():
                heapq.heappush(waiting, widest)  # neighbouring numbers, a jump between them: no cell can be narrower
                break
            if not a < middle < b or (
                b - a < TINY * max(abs(a), abs(b), 1.0) and not self._cell(a, b).mass.is_finite()
            ):
                raise Unbounded(self.node, a)
            self._push(waiting, a, middle)
            self._push(waiting, middle, b)
        total = Found(arb(0), arb(0))
        for item in waiting:
            total = total + item[-1]
        self._inside = total
        self.cells = sorted({end for item in waiting for end in item[2:4]})
        return total + tails

    def _narrow(self, found: Found, room: float) -> bool:
        if not found.of_f.is_finite():
            return bool(self._inside.of_f.is_finite() and (not self.probability or found.mass > 0))
        value = self.weight * found.of_f
        value = value / found.mass if self.probability else value * self.shift.exp()
        if not value.is_finite():
            return False
        return bool(value.rad() < room * abs(value)) if self.relative else float(value.rad()) < room

    def _push(self, waiting: list[Any], a: float, b: float) -> None:
        found = self._cell(a, b)
        size = sum(float(x.rad()) if x.is_finite() else np.inf for x in (found.of_f, found.mass))
        heapq.heappush(waiting, (-size if np.isfinite(size) else -np.inf, a, a, b, found))

    def _cell(self, a: float, b: float) -> Found:
        """The integrals over [a, b]: by series, or by the range where they are not smooth or not bounded."""
        try:
            return self._series(a, b)
        except CertificateError:
            pass
        nan = flint().arb.nan()
        try:
            width = flint().arb(b) - flint().arb(a)
            weight = (value_on(self.u, self.output, a, b, self.node) - self.shift).exp()
            return Found(value_on(self.f, 0, a, b, self.node) * weight * width, weight * width)
        except CertificateError:
            return Found(nan, nan)

    def _series(self, a: float, b: float) -> Found:
        arb = flint().arb
        middle = a + (b - a) / 2
        right, left = arb(b) - arb(middle), arb(a) - arb(middle)
        at, over = (self._both(middle, low, high) for low, high in ((0.0, 0.0), (a - middle, b - middle)))
        sums = []
        for point, about in zip(at, over, strict=True):
            powers = [(right ** (k + 1) - left ** (k + 1)) / (k + 1) for k in range(ORDER + 2)]
            total = sum((point[k] * powers[k] for k in range(ORDER + 1)), arb(0))
            sums.append(total + about[ORDER + 1] * powers[ORDER + 1])
        if not all(x.is_finite() for x in sums):
            raise CertificateError(self.node, "the series is not bounded")
        return Found(*sums)

    def _both(self, middle: float, low: float, high: float) -> tuple[Any, Any]:
        """The series of f exp(u - shift) and exp(u - shift) about all middle + t, t in [low, high]."""
        domain = BallSeries(ORDER + 1, BITS)
        line = (
            domain.segment(middle, 1.0, np.nextafter(low, -np.inf), np.nextafter(high, np.inf))
            if low < high
            else (domain.segment(middle, 1.0, 0.0, 0.0))
        )
        found = []
        for traced, output in ((self.f, 0), (self.u, self.output)):
            value = walked(traced, domain, line, output, self.node)
            with precision(BITS, ORDER + 2):
                value = domain.number(value)
            if value.doubt:
                raise CertificateError(self.node, "the integrand may not be smooth there")
            found.append(value.array.item())
        with precision(BITS, ORDER + 2) as library:
            weight = (found[1] - library.arb_series([self.shift])).exp()
            return found[0] * weight, weight
