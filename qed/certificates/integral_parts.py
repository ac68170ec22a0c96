"""One part of a measure on the line: balls of int f exp(u) dx and int exp(u) dx over an interval.

Infinite ends, and both sides of a cut s beside which the integrand is not bounded (x = s + 1/y and x = s - 1/y), are
enclosed at once by the tail domain; between them are cells, each by a power series with the remainder of Lagrange or
by the range of the integrand, halved where most is lost. References: see `qed.certificates.expectation`.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from qed.certificates.cells import BITS, Cell, by_slope, walked
from qed.certificates.crossings import across
from qed.certificates.flat import CANCELLING, series_of
from qed.certificates.found import BOTH, Found, Unbounded, Undefined, infinity
from qed.certificates.gamma_sign import signs_read
from qed.certificates.patience import on_time
from qed.certificates.tails import Tails
from qed.certificates.weights import fraction
from qed.domains.densities import NAMED
from qed.domains.masses import log_mass
from qed.domains.one_sided import ANY, OneSided, Side
from qed.domains.precision import flint, precision
from qed.domains.tail_forms import ball_of
from qed.errors import CertificateError
from qed.graph.graph import Equation
from qed.graph.trace import Traced

ORDER = 15
"""The order of the series on a cell; odd."""
CELLS, SEARCHED = 600, 64
"""How many cells a part is cut into at most; and where only a place is looked for at which the integral diverges."""
TINY = 2.0**-24
"""Cells smaller than this in parts of the place, on which the density is not bounded, are cut no further."""
SMALL = 2.0**-6
"""Cells smaller than this, on which the density is not bounded, are looked at for a value that is 0."""


def weight_of(text: str, node: str) -> Any:
    """A ball of a weight, from its fraction as a text."""
    return ball_of(fraction(text, node))


def value_on(traced: Traced, output: int, lower: float, upper: float, node: str) -> Any:
    """A ball of the values of an output on an interval."""
    return Cell(0.0, float(lower), float(upper)).range_of(traced, output, BITS, node)


def _has_poles(equation: Equation) -> bool:
    """Whether an equation may make an infinity of a number."""
    negative = equation.primitive == "integer_pow" and equation.params["y"] < 0
    return negative or equation.primitive in ("div", "pow", "tan")


class Part(Tails):
    """One part of the measure, with its density."""

    order: ClassVar[int] = ORDER

    def __init__(self, traced: Traced, part: Any, output: int, node: str, relative: bool = False) -> None:
        self.name, self.parameters, self.cuts, weight, self.probability = part
        self.node, self.f = node, signs_read(traced)
        self.weight = weight_of(weight, node)
        if len(self.cuts) < 2 or not all(a < b for a, b in zip(self.cuts, self.cuts[1:], strict=False)):
            raise CertificateError(node, "the cuts are not in order")
        family = NAMED.get(self.name)
        if self.name and family is None:
            raise CertificateError(node, f"{self.name} is no density")
        if family is None:
            self.u, self.output = self.f, output
        else:
            self._checked(family)
            self.u, self.output = family.traced(self.parameters), 0
        self.shift = flint().arb(0)
        self.relative = relative
        self.outside = Found(flint().arb(0), flint().arb(0))
        self.diverging: set[int] = set()
        self.problems: dict[float, str] = {}
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
        try:
            found, cells = self._tails(inner, room)
        except CertificateError:
            if (infinite := self._poles(inner)) is None:
                raise
            return infinite
        if self.probability and not found.mass.is_finite():
            raise CertificateError(self.node, "the density has infinite mass: it is improper")
        if self.diverging == {1, -1} and self.weight > 0:
            raise Undefined(self.node, BOTH)
        if found.of_f.is_nan():
            raise CertificateError(self.node, "the tails are not enclosed")
        if found.of_f.is_finite() and not self.probability:
            least = float((self.weight * found.of_f * self.shift.exp()).rad())
            room = max(room, 1.5 * least) if room < least and not self.relative else room  # it is not reached
        middle = self._middle(cells, found, room if found.of_f.is_finite() else 1e-3)
        if self.diverging == {1, -1} and self.weight > 0:
            raise Undefined(self.node, BOTH)
        if not self.outside.of_f.is_finite():
            if self.probability and not (middle.mass.is_finite() and middle.mass > 0):
                raise CertificateError(self.node, "the mass is not proved to be finite")
            if not self.weight > 0 or not self._inside.of_f.is_finite():
                raise CertificateError(self.node, "the integral is not proved to be finite between the tails")
            return self.outside.of_f
        if not self.probability:
            return self.weight * middle.of_f * self.shift.exp()
        mass = middle.mass
        if self.name and not (mass > 0 and mass.is_finite()):  # where all cells went to a function that is huge
            mass = (log_mass(self.name, self.parameters) - self.shift).exp()
        if not (mass > 0 and mass.is_finite()):
            raise CertificateError(self.node, "the mass is not proved to be positive and finite")
        return self.weight * middle.of_f / mass

    def _poles(self, inner: list[float]) -> Any:
        """The infinity of a mean that diverges beside a number and is bounded from that side; None where not proved.

        Where it diverges with both signs it is undefined, whatever the function is elsewhere.
        """
        if not (self.probability and self.weight > 0 and any(map(_has_poles, self.f.graph.walk()))):
            return None
        self.mass_alone = True
        try:
            found, cells = self._tails(inner, 1e-3)
            if not found.mass.is_finite():
                return None
            self.outside = found
            mass = self._searched(cells)
        except Undefined:
            raise
        except CertificateError:
            return None
        finally:
            self.mass_alone = False
        if self.diverging == {1, -1}:
            raise Undefined(self.node, BOTH)
        signs = [sign for sign in self.diverging if mass and self._bounded_from(sign)]
        return infinity(signs[0]) if signs else None

    def _bounded_from(self, sign: int) -> bool:
        """Whether sign times the function is bounded from below on the whole support."""
        try:
            found = walked(self.f, OneSided(), Side(self.cuts[0], self.cuts[-1], thin=ANY), 0, self.node)
        except CertificateError:
            return False
        return isinstance(found, Side) and (found.lower if sign > 0 else -found.upper) > -np.inf

    def _searched(self, cells: list[Cell]) -> bool:
        """Halve the cells until the integral diverges on some; whether the mass of all is finite and positive then."""
        waiting: list[Any] = []
        for cell in cells:
            self._push(waiting, cell)
        for _ in range(SEARCHED):
            on_time()
            if self.diverging and self._finite_mass(waiting):
                return True
            if not waiting:
                break
            *_, cell, _ = heapq.heappop(waiting)
            if cell.halves is None or cell.tiny(TINY):
                break
            for half in cell.halves:
                self._push(waiting, half)
        return False

    def _finite_mass(self, waiting: list[Any]) -> bool:
        """Whether the mass outside and on the cells is finite and positive, as that of a law with a name is."""
        mass = self.outside.mass
        for *_, cell, found in waiting:
            if found.mass.is_finite():
                mass = mass + found.mass
                continue
            try:
                mass = mass + cell.density_of(self.u, self.output, self.shift, BITS, self.node) * cell.width()
            except CertificateError:
                return False
        return bool(mass.is_finite() and mass > 0)

    def between(self, room: float, mean: bool) -> Any:
        """A ball of int f exp(u), or of the mean of f, over finite cuts alone, whose ends are no tails."""
        self._shifted(list(self.cuts))
        nothing, cells = self._tails(list(self.cuts), room)
        found = self._middle(cells, nothing, room)
        if not (found.finite and (found.mass > 0 or not mean)):
            raise CertificateError(self.node, "the integral is not enclosed between the ends")
        return self.weight * (found.of_f / found.mass if mean else found.of_f * self.shift.exp())

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

    # --- between the tails ---

    def _middle(self, cells: list[Cell], tails: Found, room: float) -> Found:
        """Everything together; the cells with the widest enclosures are halved."""
        arb = flint().arb
        waiting: list[Any] = []
        self.outside = tails
        for cell in cells:
            self._push(waiting, cell)
        for count in range(CELLS):
            on_time()
            inside = Found(arb(0), arb(0))
            if count % 8 == 0 or len(waiting) < 8:
                for item in waiting:
                    inside = inside + item[-1]
                self._inside = inside
                if self._narrow(inside + self.outside, room) or not waiting:
                    break
            widest = heapq.heappop(waiting)
            *_, cell, found = widest
            halves = cell.halves
            if halves is None and found.of_f.is_finite() and found.mass.is_finite():
                heapq.heappush(waiting, widest)  # neighbouring numbers, a jump between them: no cell can be narrower
                break
            if halves is None or (cell.tiny(TINY) and not (found.of_f.is_finite() and found.mass.is_finite())):
                raise self._unbounded(cell)
            for half in halves:
                self._push(waiting, half)
        total = Found(arb(0), arb(0))
        for item in waiting:
            total = total + item[-1]
        self._inside = total
        self.cells = sorted({end for item in waiting for end in item[-2].ends})
        return total + self.outside

    def _unbounded(self, cell: Cell) -> CertificateError:
        """What is said of a cell on which the integrand has no bound."""
        near = [s for s in self.problems if min(abs(s - end) for end in cell.ends) <= TINY * max(1.0, abs(s))]
        return CertificateError(self.node, self.problems[near[0]]) if near else Unbounded(self.node, cell.ends[0])

    def _narrow(self, found: Found, room: float) -> bool:
        if not found.of_f.is_finite():
            return bool(self._inside.of_f.is_finite() and (not self.probability or found.mass > 0))
        value = self.weight * found.of_f
        value = value / found.mass if self.probability else value * self.shift.exp()
        if not value.is_finite():
            return False
        return bool(value.rad() < room * abs(value)) if self.relative else float(value.rad()) < room

    def _push(self, waiting: list[Any], cell: Cell) -> None:
        found = self._of(cell)
        if signs := {sign for sign in (1, -1) if found.of_f == infinity(sign)}:
            self.outside = self.outside + found
            self.diverging |= signs
            return
        heapq.heappush(waiting, (-self._lost(found), cell.anchor, cell.low, cell, found))

    def _lost(self, found: Found) -> float:
        """How much is lost on a cell, as an order of the cells; of the mass alone where the integral is infinite."""
        if not self.outside.of_f.is_finite() and found.of_f.is_finite() and found.mass.is_finite():
            return float(found.mass.rad())
        return self.off(found)

    def _of(self, cell: Cell) -> Found:
        """The integrals over a cell: by series, or by the range where that is narrower, or they are not smooth."""
        try:
            found = self._series(cell)
        except CertificateError:
            found = self._range(cell)
            if found.finite:
                return found
            if (closer := self._cancelling(cell)) is not None:
                return closer
            return self._across(cell) if cell.tiny(SMALL) else found
        if all(ball.rad() < abs(ball.mid()) or ball.is_zero() for ball in (found.mass, found.of_f)):
            return found
        return min(found, self._range(cell), key=self._lost)

    def _cancelling(self, cell: Cell) -> Found | None:
        """The integrals over a cell by series whose sums are narrower, if that bounds them."""
        if self.cancelling or not any(equation.primitive in CANCELLING for equation in self.f.graph.walk()):
            return None
        self.cancelling = True
        try:
            return self._series(cell)
        except CertificateError:
            return None
        finally:
            self.cancelling = False

    def _across(self, cell: Cell) -> Found:
        """The integrals over a small cell on which they have no bound."""
        try:
            return Found(*across(self.f, (self.u, self.output), self.shift, cell, self.node))
        except Undefined:
            if self.weight > 0:
                raise
            return Found(flint().arb.nan(), flint().arb.nan())
        except CertificateError:
            return Found(flint().arb.nan(), flint().arb.nan())

    def _range(self, cell: Cell) -> Found:
        """The integrals over a cell by the ranges of f and of the density."""
        nan = flint().arb.nan()
        try:
            weight = cell.density_of(self.u, self.output, self.shift, BITS, self.node) * cell.width()
            if weight.is_zero():
                return Found(weight, weight)
            return Found(cell.range_of(self.f, 0, BITS, self.node) * weight, weight)
        except CertificateError:
            return Found(nan, nan)

    def _series(self, cell: Cell) -> Found:
        arb = flint().arb
        middle = cell.low + (cell.high - cell.low) / 2
        right, left = arb(cell.high) - arb(middle), arb(cell.low) - arb(middle)
        about = self._logarithms(cell, False), self._logarithms(cell, True)
        step = left.union(right)
        closer = [by_slope(one, other, step, self.order + 2) for one, other in zip(*about, strict=True)]
        at, over = (self._weighted(pair) for pair in (about[0], closer))
        sums = []
        for point, every in zip(at, over, strict=True):
            powers = [(right ** (k + 1) - left ** (k + 1)) / (k + 1) for k in range(self.order + 2)]
            total = sum((point[k] * powers[k] for k in range(self.order + 1)), arb(0))
            sums.append(total + every[self.order + 1] * powers[self.order + 1])
        if not all(x.is_finite() for x in sums):
            raise CertificateError(self.node, "the series is not bounded")
        return Found(*sums)

    def _logarithms(self, cell: Cell, whole: bool) -> list[Any]:
        """The series of f and u, at the middle or over the whole cell."""
        pairs = ((self.f, 0), (self.u, self.output))
        if whole and self.cancelling:
            return [series_of(traced, output, cell, self.order + 1, self.node) for traced, output in pairs]
        return [cell.series(traced, output, BITS, self.order + 1, whole, self.node) for traced, output in pairs]

    def _weighted(self, found: Sequence[Any]) -> tuple[Any, Any]:
        """The series of f exp(u - shift) and exp(u - shift)."""
        with precision(BITS, self.order + 2) as library:
            weight = (found[1] - library.arb_series([self.shift])).exp()
            return found[0] * weight, weight
