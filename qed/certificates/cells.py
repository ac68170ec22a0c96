"""Pieces of the line, told from a number beside which a function may be singular: x = s + t, low <= t <= high.

Beside s != 0 the numbers of float64 are far apart, while t may be as small as 1e-300; the sum is taken in balls. The
pieces of [a, b] meet exactly: the differences of their ends are exact (Sterbenz, *Floating-Point Computation*,
Prentice-Hall 1974: y / 2 <= x <= 2 y).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.certificates.certificate import placed
from qed.domains.ball_ends import BallEnds, Ends
from qed.domains.ball_series import BallSeries, SeriesOfBalls
from qed.domains.balls import between, objects
from qed.domains.precision import flint, precision
from qed.errors import CertificateError
from qed.graph.trace import Traced
from qed.graph.walk import Unknown, Walker

BITS = 128
FAR = 4.0
"""A cell that begins this much nearer to the number is cut at the geometric mean."""


@dataclass(frozen=True)
class Cell:
    """All x = anchor + t with low <= t <= high.

    >>> from qed.certificates.cells import Cell
    >>> Cell(1.0, -0.5, -0.25).ends, Cell(0.0, 1.0, 64.0).middle
    ((0.5, 0.75), 8.0)
    """

    anchor: float
    low: float
    high: float

    @property
    def ends(self) -> tuple[float, float]:
        """The ends in float64, about."""
        return self.anchor + self.low, self.anchor + self.high

    @property
    def middle(self) -> float:
        """Where it is cut: half way, or half way by ratio."""
        near, far = sorted((abs(self.low), abs(self.high)))
        if self.low * self.high > 0 and far > FAR * near:
            return float(np.copysign(np.sqrt(near) * np.sqrt(far), self.low))
        return self.low + (self.high - self.low) / 2

    @property
    def halves(self) -> tuple[Cell, Cell] | None:
        """The two parts, or None between neighbouring numbers."""
        middle = self.middle
        if not self.low < middle < self.high:
            return None
        return Cell(self.anchor, self.low, middle), Cell(self.anchor, middle, self.high)

    def width(self) -> Any:
        """A ball of the length."""
        return flint().arb(self.high) - flint().arb(self.low)

    def tiny(self, share: float) -> bool:
        """Whether it is shorter than a share of the numbers in it; beside its number, no cell is."""
        if self.anchor or self.low * self.high > 0:
            return self.high - self.low < share * max(abs(self.low), abs(self.high))
        return self.high - self.low < share * max(abs(self.low), abs(self.high), 1.0)

    def range_of(self, traced: Traced, output: int, bits: int, node: str) -> Any:
        """A ball of the values of an output."""
        lower, upper = self.bounds_of(traced, output, bits, node, False)
        return lower.union(upper) if lower.is_finite() and upper.is_finite() else flint().arb.nan()

    def bounds_of(self, traced: Traced, output: int, bits: int, node: str, infinite: bool) -> Any:
        """The ends of the values of an output, which may be infinite only where that is allowed."""
        domain = BallEnds(bits)
        with precision(bits) as library:
            low, high = (library.arb(self.anchor) + library.arb(t) for t in (self.low, self.high))
            given = Ends(objects([low.lower()], ()), objects([high.upper()], ()))
        value = domain.number(walked(traced, domain, given, output, node))
        if value.doubt.undefined is not None or (value.doubt and not infinite):
            place = value.doubt.place
            raise CertificateError(node, str(place) if place else "the function may be undefined there")
        (pair,) = value.pairs.ravel()
        return pair

    def density_of(self, traced: Traced, output: int, shift: Any, bits: int, node: str) -> Any:
        """A ball of exp(u - shift) for an output u, which may be -inf: 0 exactly where it is -inf everywhere."""
        lower, upper = self.bounds_of(traced, output, bits, node, True)
        arb = flint().arb
        if upper == arb.neg_inf():
            return arb(0)
        if not upper.is_finite():
            return arb.nan()
        least = (lower - shift).exp() if lower.is_finite() else arb(0)
        return least.union((upper - shift).exp())

    def line(self, bits: int, terms: int, whole: bool) -> SeriesOfBalls:
        """x as a power series in t about the middle: at the middle, or over the whole cell."""
        middle = self.low + (self.high - self.low) / 2
        with precision(bits, terms) as library:
            x = library.arb(self.anchor) + library.arb(middle)
            if whole:
                offsets = np.nextafter(self.low - middle, -np.inf), np.nextafter(self.high - middle, np.inf)
                x = x + between(*map(float, offsets))
            return SeriesOfBalls(objects([library.arb_series([x, 1])], ()))

    def series(
        self, traced: Traced, output: int, bits: int, order: int, whole: bool, node: str, closer: Any = None
    ) -> Any:
        """The series of an output about the middle, or with balls over the whole cell; CertificateError at a kink.

        `closer` puts what is known more closely in the place of an equation's series (`BallSeries`).
        """
        domain = BallSeries(order, bits, closer=closer)
        value = walked(traced, domain, self.line(bits, order + 1, whole), output, node)
        with precision(bits, order + 1):
            value = domain.number(value)
        if value.doubt:
            raise CertificateError(node, "the integrand may not be smooth there")
        return value.array.item()


def walked(traced: Traced, domain: Any, given: Any, output: int, node: str) -> Any:
    """An output in a domain, or CertificateError where it is unknown."""
    cells = Walker([domain]).run(traced.graph, placed(traced, [given]))
    value = cells[output].values[0]
    if isinstance(value, Unknown):
        raise CertificateError(node, str(value))
    return value


def between_cuts(a: float, b: float, from_a: float | None, from_b: float | None) -> list[Cell]:
    """The cells of [a, b], less what is within `from_a` of a and `from_b` of b; None: nothing is taken off there.

    >>> from qed.certificates.cells import between_cuts
    >>> between_cuts(0.0, 1.0, None, 2.0**-20)
    [Cell(anchor=0.0, low=0.0, high=0.5), Cell(anchor=1.0, low=-0.5, high=-9.5367431640625e-07)]
    """
    found, start, end = [], a, b
    if from_a is not None:
        start = a + reach(a, b - a) / 2
        found.append(Cell(a, from_a, start - a))
    if from_b is not None:
        end = b - reach(b, b - a) / 2
        last = [Cell(b, end - b, -from_b)]
    else:
        last = []
    if start < end:
        found.append(Cell(0.0, start, end))
    return [*found, *last]


def reach(s: float, gap: float) -> float:
    """How far from s differences are exact in float64, within the gap to the next cut."""
    return min(gap, abs(s)) if s else gap


def by_slope(at: Any, over: Any, step: Any, terms: int) -> Any:
    """A series over a cell, its values as those of the middle and the slope say, if that is closer (mean value)."""
    value = at[0] + over[1] * step
    if not (value.is_finite() and value.rad() < over[0].rad()):
        return over
    with precision(BITS, terms) as library:
        return library.arb_series([value, *(over[k] for k in range(1, terms))])
