"""Which polynomial a value is of the one argument, with rational coefficients: sums of such cancel exactly.

Balls of x^2 / 2 and of -x^2 / 2 on one cell know nothing of each other; as polynomials their sum is 0. The ring Q[x] is
closed under sums, products, quotients by numbers, and whole powers; any other operation on what moves is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, final

import numpy as np

from qed.domains.known import Known
from qed.domains.one_number import SAME, OneNumber, Undecided
from qed.graph.graph import Equation

DEGREE = 16
"""The highest degree that is followed."""


@dataclass(frozen=True)
class Polynomial:
    """The coefficients from that of x^0 on; the last one is not 0."""

    coefficients: tuple[Fraction, ...] = ()

    @classmethod
    def of(cls, coefficients: Sequence[Fraction]) -> Polynomial:
        """The polynomial with these coefficients."""
        kept = list(coefficients)
        while kept and not kept[-1]:
            kept.pop()
        if len(kept) > DEGREE + 1:
            raise Undecided
        return cls(tuple(kept))

    def __add__(self, other: Polynomial) -> Polynomial:
        size = max(len(self.coefficients), len(other.coefficients))
        padded = [[*one.coefficients, *[Fraction(0)] * (size - len(one.coefficients))] for one in (self, other)]
        return Polynomial.of([a + b for a, b in zip(*padded, strict=True)])

    def scaled(self, by: Fraction) -> Polynomial:
        """A multiple."""
        return Polynomial.of([by * a for a in self.coefficients])

    def __mul__(self, other: Polynomial) -> Polynomial:
        found = [Fraction(0)] * max(len(self.coefficients) + len(other.coefficients) - 1, 0)
        for i, a in enumerate(self.coefficients):
            for j, b in enumerate(other.coefficients):
                found[i + j] += a * b
        return Polynomial.of(found)


X = Polynomial((Fraction(0), Fraction(1)))
"""x itself."""


@final
class Polynomials(OneNumber):
    """Polynomials of one number.

    >>> from qed.certificates.cells import walked
    >>> from qed.domains.polynomials import Polynomials, X
    >>> from qed.graph.trace import trace
    >>> found = walked(trace(lambda x: (x - 1) ** 2 / 2 - x * x / 2, 0.5), Polynomials(), X, 0, "f")
    >>> [str(c) for c in found.coefficients]
    ['1/2', '-1']
    """

    name = "polynomial"
    forms = (Polynomial,)

    def one(self, equation: Equation, inputs: Sequence[Any]) -> Polynomial:
        """The polynomial of an equation's output."""
        name, xs = equation.primitive, [read(x) for x in inputs]
        if name in SAME:
            return xs[0]
        if name in ("add", "add_any"):
            return xs[0] + xs[1]
        if name == "sub":
            return xs[0] + xs[1].scaled(Fraction(-1))
        if name == "neg":
            return xs[0].scaled(Fraction(-1))
        if name == "mul":
            return xs[0] * xs[1]
        if name == "div" and len(xs[1].coefficients) == 1:
            return xs[0].scaled(1 / xs[1].coefficients[0])
        power = 2 if name == "square" else int(equation.params["y"]) if name == "integer_pow" else 0
        if not 1 <= power <= DEGREE:
            raise Undecided
        found = xs[0]
        for _ in range(power - 1):
            found = found * xs[0]
        return found


def read(x: Any) -> Polynomial:
    """A value, which may be a known number, as a polynomial."""
    if not isinstance(x, Known):
        return x
    value = float(np.asarray(x.array).astype(np.float64))
    if not np.isfinite(value):
        raise Undecided
    return Polynomial.of([Fraction(value)])
