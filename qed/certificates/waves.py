"""Integrals that oscillate and do not converge: x sin x / (1 + x^2), exp(x) sin(exp(x)) / exp(x), |sin x| / x.

Let every sine and cosine be of m h(x) + c with a function h = x^p (log x)^k exp(a x^q) of exact exponents that grows
without end, or h = log x. Where h mod 2 pi lies in one of N equal cells [u, v] the integrand is, for all x >= R, of one
sign and at least s(x) = b x^p (log x)^k exp(c x^q) with numbers b > 0, p, k, c, q. Both are functions of a Hardy field
(Hardy, *Orders of Infinity*, Cambridge 1910), and so is g = s / h': from some h_0 on it does not rise, or does not
fall. If it does not rise, g over a cell is at least the part (v - u) / (2 pi) of its integral over the period that
follows it; if it does not fall it is at least a positive number on infinitely many cells of one length. Either way

    int s dx over the x with h in the cell, mod 2 pi,  is infinite if  int_R^inf s dx  is.

One cell with a positive sign proves that the positive part of the integrand has an infinite integral, and one with a
negative sign the same of the negative part: with both the integral is undefined, in the sense of Lebesgue.

Of a sum over whole numbers the same is true where h = w k with a rational w: w / (2 pi) is irrational, so that between
two k of one cell there are at most as many others as some number says (Slater, Proc. Camb. Phil. Soc. 63 (1967)).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from qed.certificates.cells import walked
from qed.domains.one_sided import ANY, OneSided, Side
from qed.domains.precision import flint
from qed.domains.tail import Tail
from qed.domains.tail_forms import Logarithm, NoOrder, Term, ball_of, fraction_of
from qed.errors import CertificateError
from qed.graph.trace import Traced
from qed.graph.walk import Context

CELLS = 16
"""N."""
MULTIPLES = 8
"""The largest m."""
FARTHER = 2.0**6
"""How much farther out the next start is."""
STARTS = 3
"""How many starts are tried."""
Shape = tuple[Fraction, Fraction, Fraction, Fraction]
"""The exponents p, k, a, q of h; of the logarithm p = q = 0 and k = 1."""
LINE: Shape = (Fraction(1), Fraction(0), Fraction(0), Fraction(0))
"""That of x itself."""
Forms = Callable[[Tail], tuple[Any, Any]]
"""The function and the density in a tail domain."""


class Wave:
    """Puts the sine and cosine of one cell in the place of those of all; without a cell it notes what they are of.

    Args:
        base: the shape of h, and the number of which all factors are multiples.
        cell: which of the cells.
    """

    def __init__(self, base: tuple[Shape, Fraction] | None = None, cell: int = 0) -> None:
        self.base, self.cell = base, cell
        self.found: list[tuple[Shape, Fraction]] = []

    def __call__(self, context: Context, inputs: Sequence[Any]) -> Term | None:
        """The ball of a sine or cosine on the cell; None where it is none of the oscillation."""
        name = context.equation.primitive
        if name not in ("sin", "cos") or (phase := _phase(inputs[0])) is None:
            return None
        shape, slope, rest = phase
        if self.base is None:
            self.found.append((shape, abs(slope)))
            return None
        m, arb = slope / self.base[1], flint().arb
        if shape != self.base[0] or m.denominator != 1 or abs(m) > MULTIPLES:
            return None
        turn = 2 * arb.pi() / CELLS
        angle = ball_of(m) * (turn * self.cell).union(turn * (self.cell + 1)) + rest
        return Term(angle.sin() if name == "sin" else angle.cos(), Fraction(0), arb(0))


def _phase(x: Any) -> tuple[Shape, Fraction, Any] | None:
    """The shape of h, its factor and the ball of the rest, of a value that grows like h; None where it does not."""
    zero = Fraction(0)
    try:
        if isinstance(x, Logarithm) and not x.k and bool(x.m) != bool(x.q) and x.b.is_finite():
            if x.m:
                return (zero, Fraction(1), zero, zero), x.m, x.b
            return (x.q, zero, zero, zero), _not_zero(fraction_of(x.c)), x.b
        if isinstance(x, Term):
            c = fraction_of(x.c) if x.q else zero
            if c > 0 or (not x.q and (x.p, x.k) > (zero, zero)):
                return (x.p, x.k, c, x.q), _not_zero(fraction_of(x.b)), flint().arb(0)
    except NoOrder:
        pass
    return None


def _not_zero(x: Fraction) -> Fraction:
    if not x:
        raise NoOrder
    return x


def signs_of(forms: Forms, start: float, bits: int, whole: bool = False) -> tuple[set[int], Any, float]:
    """The signs of the parts of the integrand that have infinite integrals from a start on, the mass, and the start.

    Args:
        forms: the function and the density in a tail domain.
        start: where the tail begins, or farther out.
        bits: the precision.
        whole: whether x is a whole number, and the integral a sum.
    """
    for _ in range(STARTS):
        notes = Wave()
        try:
            _, weight = forms(Tail(start, bits, notes, whole))
            mass = Tail(start, bits).integral(weight) if isinstance(weight, Term) else None
        except (NoOrder, CertificateError):
            mass = None
        bases = [base for base in dict.fromkeys(notes.found) if not whole or base[0] == LINE]
        if bases:
            found = _signs(forms, start, bits, bases, whole)
            if found:
                return found, mass, start
        start *= FARTHER
    return set(), None, start


def _signs(forms: Forms, start: float, bits: int, bases: Sequence[tuple[Shape, Fraction]], whole: bool) -> set[int]:
    arb = flint().arb
    found: set[int] = set()
    for base in bases:
        for cell in range(CELLS):
            domain = Tail(start, bits, Wave(base, cell), whole)
            try:
                f, weight = forms(domain)
                term = domain.mul(domain.as_term(f), domain.as_term(weight))
                sign = domain.sign(term)
                least = Term(arb(1), term.p, term.c.lower() if term.q else arb(0), term.q, term.k)
                if sign not in found and domain.integral(least) == arb.pos_inf():
                    found.add(sign)
            except (NoOrder, CertificateError):
                continue
            if found == {1, -1}:
                return found
    return found


def never(sign: int, traced: Traced, ends: Sequence[float], node: str) -> bool:
    """Whether the first output has this sign nowhere between two numbers, which may be infinite."""
    try:
        found = walked(traced, OneSided(), Side(float(ends[0]), float(ends[1]), thin=ANY), 0, node)
    except CertificateError:
        return False
    return isinstance(found, Side) and (found.upper if sign > 0 else -found.lower) <= 0
