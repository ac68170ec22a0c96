"""Tails that oscillate: sin^2 x / x^2, cos x / (1 + x^2). Each phase of the oscillation is enclosed by itself.

Let every sine and cosine be of m w x + c with whole numbers m, and T = 2 pi / w. Where the phase w x mod 2 pi is in one
of N equal cells the integrand is b_j s(x) for all x >= R, with a ball b_j that is as narrow as the sine is there, and s
a power that falls. The x of one cell are intervals of the length T / N, one in each period, so that

    (1/N) int_{R+T}^inf s dx  <=  int_{x >= R, phase in cell j} s dx  <=  (1/N) (int_R^inf s dx + T s(R)),

since the mean of s over an interval lies between its means over the period that ends, and the one that begins, with it.
The sum over j takes the mean of the oscillation, where |sin| <= 1 alone takes its largest value. For more on such sums
see Davis and Rabinowitz, *Methods of Numerical Integration*, Academic Press 1984, section 2.9.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from qed.domains.precision import flint
from qed.domains.tail import Tail
from qed.domains.tail_arithmetic import Arithmetic
from qed.domains.tail_forms import NoOrder, Term, ball_of, fraction_of, line_of, power_of
from qed.errors import CertificateError
from qed.graph.walk import Context

PHASES, FINE = 64, 512
"""N, while a start is looked for, and at the start that was found."""
FARTHEST = 600.0
"""An oscillating tail begins before w x is this large, since each period before it is cut into cells."""
MULTIPLES = 8
"""The largest m."""


class Phase:
    """Puts the sine and cosine of one cell of phases in the place of those of all; without a cell it notes frequencies.

    Args:
        frequency: w, exactly; None to note frequencies.
        cell: which of the cells.
        count: how many there are.
    """

    def __init__(self, frequency: Fraction | None = None, cell: int = 0, count: int = PHASES) -> None:
        self.frequency, self.cell, self.count = frequency, cell, count
        self.found: list[Fraction] = []

    def __call__(self, context: Context, inputs: Sequence[Any]) -> Term | None:
        """The ball of a sine or cosine on the cell; None where it is none of the oscillation."""
        name = context.equation.primitive
        if name not in ("sin", "cos") or (line := _line(inputs[0])) is None:
            return None
        slope, rest = line
        if self.frequency is None:
            self.found.append(abs(slope))
            return None
        m, arb = slope / self.frequency, flint().arb
        if m.denominator != 1 or abs(m) > MULTIPLES:
            return None
        turn = 2 * arb.pi() / self.count
        angle = ball_of(m) * (turn * self.cell).union(turn * (self.cell + 1)) + rest
        return Term(angle.sin() if name == "sin" else angle.cos(), Fraction(0), arb(0))


def _line(x: Any) -> tuple[Fraction, Any] | None:
    """The slope of a value that is a line in x, exactly, and the ball of the rest; None where it is none."""
    line = line_of(x)
    if line is None:
        return None
    slope, rest = line
    return (fraction_of(slope), rest) if slope.is_exact() and not slope.is_zero() and rest.is_finite() else None


Forms = Callable[[Tail], tuple[Any, Any]]
"""The function and the density in a tail domain."""


def frequency_of(forms: Forms, start: float, bits: int) -> Fraction | None:
    """w, of which the frequencies of all sines and cosines are multiples if possible; None where there are none."""
    notes = Phase()
    try:
        forms(Tail(start, bits, notes))
    except (NoOrder, CertificateError):
        return None
    if not notes.found:
        return None
    least = min(notes.found)
    for part in range(1, MULTIPLES + 1):
        w = least / part
        if all((other / w).denominator == 1 and other / w <= MULTIPLES for other in notes.found):
            return w
    return least


def over_phases(forms: Forms, start: float, bits: int, w: Fraction, count: int = PHASES) -> Any:
    """A ball of the integral from `start` on, phase by phase; NoOrder where it is not known.

    Args:
        forms: the function and the density in a tail domain.
        start: where the tail begins.
        bits: the precision.
        w: the frequency.
        count: how many cells of phases.
    """
    arb = flint().arb
    period = 2 * arb.pi() / ball_of(w)
    later = Arithmetic(math.nextafter(float((arb(start) + period).upper()), math.inf), bits)
    total = arb(0)
    for cell in range(count):
        domain = Tail(start, bits, Phase(w, cell, count))
        f, weight = forms(domain)
        term = domain.mul(domain.as_term(f), domain.as_term(weight))
        if term.b.is_zero():
            continue
        log = domain.log_start()
        if (
            (term.q and not term.c.is_zero())
            or not term.b.is_finite()
            or not ball_of(term.p) + ball_of(max(term.k, Fraction(0))) / log < 0
        ):
            raise NoOrder
        shape = Term(arb(1), term.p, arb(0), k=term.k)
        whole = domain.integral(shape)
        if not whole.is_finite():
            raise NoOrder
        most = whole + period * power_of(arb(start), term.p) * power_of(log, term.k)
        total += term.b * later.integral(shape).union(most)
    return total / count
