"""Expressions for the machine (`qed.numerics.longer.machine`), each made once.

A term is an input, a rational constant or an instruction applied to terms. What is known when it is written is not
left to the machine: sums and products of constants, products by 1, choices by constants. Quotients and square roots
are instructions too, a float64 corrected by a polynomial in its residual, whose product is not rounded::

    1/y       r <- r (1 + e + e^2 + e^3 + e^4),              e = 1 - y r,      |e| < 2^-51
    1/sqrt y  r <- r (1 + e/2 + 3e^2/8 + 5e^3/16 + 35e^4/128), e = 1 - y r^2

Reference: Brent and Zimmermann, *Modern Computer Arithmetic*, 2010, section 3.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from qed.numerics.longer.machine import Operation, Start

LONGEST = 40_000
"""The largest number of instructions."""
NEGATIVE, ZERO, POSITIVE = 1, 2, 4
"""Signs by which `Writer.choose` chooses, to be added."""
CASES = 32
"""How many nested choices are looked through."""
_MIRRORED = [4 * (k & 1) + (k & 2) + k // 4 for k in range(8)]
"""Signs of -x by those of x."""


class Unsupported(Exception):
    """What the machine cannot compute."""


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """A number of a program; equal ones are one object.

    Args:
        operation: of an instruction; None for inputs and constants.
        operands: of an instruction.
        extra: the function of `Operation.START`, the signs of `Operation.CHOOSE`; the sign of an infinite constant.
        value: of a constant; None for an infinite one, and for one of which nothing is known.
        bits: the relative error 2^-bits of a constant; 0 where it is exact.
        position: of an input; -1 else.
    """

    operation: Operation | None = None
    operands: tuple[Term, ...] = ()
    extra: int = 0
    value: Fraction | None = None
    bits: int = 0
    position: int = -1

    @property
    def infinite(self) -> bool:
        """Whether it is an infinite constant."""
        return self.constant and self.extra != 0

    @property
    def constant(self) -> bool:
        """Whether it is a constant."""
        return self.operation is None and self.position < 0


class Writer:
    """Makes terms."""

    def __init__(self) -> None:
        self.made: dict[tuple[int, ...], Term] = {}
        self.constants: dict[tuple[int, int], Term] = {}
        self.uncertain: dict[int, Term] = {}
        self.zero, self.one, self.minus_one = (self.constant(k) for k in (0, 1, -1))
        self.unknown = Term()
        self.infinities = {sign: Term(extra=sign) for sign in (1, -1)}

    def constant(self, value: Fraction | int | float) -> Term:
        """A rational number."""
        exact = Fraction(value)
        return self.constants.setdefault((exact.numerator, exact.denominator), Term(value=exact))

    def infinite(self, sign: int) -> Term:
        """An infinite constant, of which comparisons know the sign and nothing else anything."""
        return self.infinities[sign]

    def emit(self, operation: Operation, *operands: Term, extra: int = 0) -> Term:
        """An instruction."""
        key = (operation, extra, *map(id, operands))
        if key not in self.made:
            if len(self.made) >= LONGEST:
                msg = "too many instructions"
                raise Unsupported(msg)
            self.made[key] = Term(operation, operands, extra)
        return self.made[key]

    # --- sums and products ---

    def fused(self, a: Term, b: Term, c: Term) -> Term:
        """a b + c, rounded once."""
        if b.value is not None and a.value is None:
            a, b = b, a
        if a.value is not None and b.value is not None:
            return self.add(self.constant(a.value * b.value), c)
        if c is self.zero and a is self.one:
            return b
        return self.emit(Operation.FUSED, a, b, c)

    def add(self, x: Term, y: Term) -> Term:
        """x + y."""
        if x.value is not None and y.value is not None:
            return self.constant(x.value + y.value)
        if self._is_product(x):
            x, y = y, x
        if x is self.zero:
            return y
        if self._is_product(y):
            return self.fused(y.operands[0], y.operands[1], x)
        return self.fused(self.one, y, x)

    def _is_product(self, x: Term) -> bool:
        return x.operation is Operation.FUSED and x.operands[2] is self.zero and not x.operands[0].bits

    def subtract(self, x: Term, y: Term) -> Term:
        """x - y."""
        if x is y:
            return self.known(x, self.zero)
        return self.add(x, self.multiply(self.minus_one, y))

    def multiply(self, x: Term, y: Term) -> Term:
        """x y."""
        if y.value is not None:
            x, y = y, x
        if x.value is not None and self._is_product(y) and y.operands[0].value is not None:
            return self.multiply(self.constant(x.value * y.operands[0].value), y.operands[1])
        return self.fused(x, y, self.zero)

    def negative(self, x: Term) -> Term:
        """-x."""
        return self.multiply(self.minus_one, x)

    def power(self, x: Term, n: int) -> Term:
        """x^n by squaring."""
        if n < 0:
            return self.reciprocal(self.power(x, -n))
        result, square = self.one, x
        while n:
            result = self.multiply(result, square) if n & 1 else result
            n >>= 1
            square = self.multiply(square, square) if n else square
        return result

    def polynomial(self, coefficients: Sequence[Fraction | int], x: Term, chains: int = 4) -> Term:
        """sum_k c_k x^k, as polynomials in x^chains beside each other."""
        terms = [self.constant(c) for c in coefficients]
        width = 1
        while width < chains and width < len(terms):
            width *= 2
        powers = {1: x}
        while 2 * max(powers) <= width:
            top = max(powers)
            powers[2 * top] = self.multiply(powers[top], powers[top])
        parts = [self._horner(terms[k::width], powers.get(width, x)) for k in range(min(width, len(terms)))]
        step = 1
        while len(parts) > 1:
            pairs = [parts[k : k + 2] for k in range(0, len(parts), 2)]
            parts = [p[0] if len(p) == 1 else self.fused(powers[step], p[1], p[0]) for p in pairs]
            step *= 2
        return parts[0]

    def _horner(self, terms: Sequence[Term], x: Term) -> Term:
        total = terms[-1]
        for term in reversed(terms[:-1]):
            total = self.fused(x, total, term)
        return total

    # --- choices ---

    def choose(self, x: Term, signs: int, yes: Term, no: Term) -> Term:
        """yes where the sign of x is one of `signs`, else no."""
        if yes is no:
            return yes
        if x.value is not None:
            sign = ZERO if x.value == 0 else POSITIVE if x.value > 0 else NEGATIVE
            return yes if sign & signs else no
        if x.operation is Operation.CHOOSE and x.operands[1] is self.one and x.operands[2] is self.zero:
            if signs in (POSITIVE, POSITIVE + NEGATIVE):
                return self.choose(x.operands[0], x.extra, yes, no)
            if signs in (ZERO, ZERO + NEGATIVE):
                return self.choose(x.operands[0], x.extra, no, yes)
        return self.emit(Operation.CHOOSE, x, yes, no, extra=signs)

    def where(self, x: Term, signs: int) -> Term:
        """1 where the sign of x is one of `signs`, else 0."""
        return self.choose(x, signs, self.one, self.zero)

    def compare(self, x: Term, y: Term, signs: int) -> Term:
        """1 where the sign of x - y is one of `signs`, else 0; of a number and the largest of it and others, too."""
        infinite = x.infinite or y.infinite
        if x is not y and not infinite:
            for one, other, mirrored in ((x, y, signs), (y, x, _MIRRORED[signs])):
                if self.is_among(other, one):
                    cases = (self.compare(each, other, mirrored) for each in one.operands[1:])
                    return self.choose(one.operands[0], one.extra, *cases)
            return self.where(self.subtract(x, y), signs)
        sign = ZERO if x is y else POSITIVE if (x.extra if x.infinite else -y.extra) > 0 else NEGATIVE
        known = self.one if sign & signs else self.zero
        return known if x.infinite and y.infinite else self.known(y if x.infinite else x, known)

    def is_among(self, x: Term, choice: Term) -> bool:
        """Whether a term is one of those, few, among which another one chooses."""
        stack, seen = [choice], 0
        while stack and seen < CASES:
            top, seen = stack.pop(), seen + 1
            if top is x:
                return top is not choice
            if top.operation is Operation.CHOOSE:
                stack.extend(top.operands[1:])
        return False

    def known(self, x: Term, value: Term) -> Term:
        """A constant where x is known, else nothing is."""
        if x.value is not None:
            return value
        return self.emit(Operation.CHOOSE, x, value, value, extra=NEGATIVE + ZERO + POSITIVE)

    def absolute(self, x: Term) -> Term:
        """|x|."""
        return self.choose(x, NEGATIVE, self.negative(x), x)

    # --- functions ---

    def plain(self, x: Term) -> Term:
        """x without its error."""
        return self.emit(Operation.PLAIN, x)

    def start(self, kind: Start, x: Term) -> Term:
        """A function of float64."""
        return self.emit(Operation.START, x, extra=kind)

    def bound(self, value: Term, x: Term, condition: Term) -> Term:
        """f(x), computed without the error of x, with it: `condition` is |x f'(x) / f(x)|."""
        return self.emit(Operation.BOUND, value, x, condition)

    def within(self, x: Term, bits: int) -> Term:
        """x with a relative error of 2^-bits more."""
        about_one = self.uncertain.setdefault(bits, Term(value=Fraction(1), bits=bits))
        return self.emit(Operation.FUSED, about_one, x, self.zero)

    def reciprocal(self, y: Term) -> Term:
        """1 / y."""
        if y.value:
            return self.constant(1 / y.value)
        given = self.plain(y)
        r = self.start(Start.RECIPROCAL, given)
        e = self.fused(self.negative(given), r, self.one)
        s = self.multiply(self.fused(e, e, e), self.fused(e, e, self.one))
        return self.bound(self.fused(r, s, r), y, self.one)

    def divide(self, x: Term, y: Term) -> Term:
        """x / y."""
        if x.value is not None and y.value:
            return self.constant(x.value / y.value)
        return self.multiply(x, self.reciprocal(y))

    def root(self, x: Term) -> Term:
        """The square root."""
        given = self.plain(x)
        r = self.start(Start.RECIPROCAL_ROOT, given)
        e = self.fused(self.negative(given), self.multiply(r, r), self.one)
        series = [Fraction(n, d) for n, d in ((1, 2), (3, 8), (5, 16), (35, 128))]
        r = self.fused(r, self.multiply(e, self.polynomial(series, e, 1)), r)
        value = self.choose(given, ZERO, self.zero, self.multiply(given, r))
        return self.bound(value, x, self.constant(Fraction(1, 2)))


__all__ = ["LONGEST", "NEGATIVE", "POSITIVE", "ZERO", "Term", "Unsupported", "Writer"]
