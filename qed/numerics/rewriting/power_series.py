"""Laurent series with exact rational coefficients: what an expression in one variable is near 0.

A series is u^n (c_0 + c_1 u + ... ), c_0 != 0, known up to some power. Sums, products and quotients are those of formal
series; of f(c u^m) the coefficients are those of f, spread; logarithms, powers and exponentials of a series follow from
their differential equations, e.g. for p = h^a from h p' = a h' p (Knuth, *The Art of Computer Programming* 2, 4.7).

All coefficients are fractions, so that cancellation is seen for what it is: c_0 = 0 is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

from qed.numerics.rewriting.difference_series import SERIES


@dataclass(frozen=True)
class Laurent:
    """u^order * sum of coefficients[k] u^k, known up to and without the power order + len(coefficients).

    Args:
        order: the lowest power.
        coefficients: from the lowest power on; the first is not 0.
    """

    order: int
    coefficients: tuple[Fraction, ...]

    @property
    def end(self) -> int:
        """The first power that is not known."""
        return self.order + len(self.coefficients)

    def at(self, power: int) -> Fraction:
        """The coefficient of a known power."""
        k = power - self.order
        return self.coefficients[k] if 0 <= k < len(self.coefficients) else Fraction(0)


def made(order: int, coefficients: list[Fraction]) -> Laurent | None:
    """The series without its leading zeros; None where nothing is left that is known.

    Example:
        >>> made(0, [Fraction(0), Fraction(2)])
        Laurent(order=1, coefficients=(Fraction(2, 1),))
    """
    first = next((k for k, c in enumerate(coefficients) if c), None)
    return None if first is None else Laurent(order + first, tuple(coefficients[first:]))


def constant(value: Fraction, terms: int) -> Laurent | None:
    """A number."""
    return made(0, [value] + [Fraction(0)] * (terms - 1))


def variable(terms: int) -> Laurent:
    """u itself."""
    return Laurent(1, (Fraction(1), *([Fraction(0)] * (terms - 1))))


def total(a: Laurent, b: Laurent, factor: int = 1) -> Laurent | None:
    """a + factor b."""
    order, end = min(a.order, b.order), min(a.end, b.end)
    return made(order, [a.at(k) + factor * b.at(k) for k in range(order, end)])


def product(a: Laurent, b: Laurent) -> Laurent:
    """a b."""
    count = min(len(a.coefficients), len(b.coefficients))
    found = [Fraction(0)] * count
    right = [(j, d) for j, d in enumerate(b.coefficients[:count]) if d]
    for i, c in enumerate(a.coefficients[:count]):
        if c:
            for j, d in right:
                if i + j >= count:
                    break
                found[i + j] += c * d
    return Laurent(a.order + b.order, tuple(found))


def quotient(a: Laurent, b: Laurent) -> Laurent:
    """a / b."""
    count = min(len(a.coefficients), len(b.coefficients))
    below = [(j, d) for j, d in enumerate(b.coefficients[:count]) if d and j]
    found: list[Fraction] = []
    for k in range(count):
        rest = a.coefficients[k]
        for j, d in below:
            if j > k:
                break
            if found[k - j]:
                rest -= d * found[k - j]
        found.append(rest / b.coefficients[0])
    return Laurent(a.order - b.order, tuple(found))


def power(a: Laurent, exponent: Fraction) -> Laurent | None:
    """a^exponent, where that has rational coefficients."""
    order, lead = a.order * exponent, _power_of(a.coefficients[0], exponent)
    if order.denominator != 1 or lead is None:
        return None
    h, p = a.coefficients, [lead]
    steps = [(j, h[j]) for j in range(1, len(h)) if h[j]]
    for k in range(1, len(h)):
        rest = Fraction(0)
        for j, c in steps:
            if j > k:
                break
            if p[k - j]:
                rest += (exponent * j - (k - j)) * c * p[k - j]
        p.append(rest / (k * h[0]))
    return Laurent(int(order), tuple(p))


def _power_of(number: Fraction, exponent: Fraction) -> Fraction | None:
    if exponent.denominator == 1:
        return number**exponent.numerator
    if number == 1:
        return number
    if exponent.denominator != 2 or number <= 0:
        return None
    above, below = isqrt(number.numerator), isqrt(number.denominator)
    if (above**2, below**2) != (number.numerator, number.denominator):
        return None
    return Fraction(above, below) ** exponent.numerator


def logarithm(a: Laurent) -> Laurent | None:
    """log a, for a = 1 + ..."""
    if a.order != 0 or a.coefficients[0] != 1:
        return None
    h, found = a.coefficients, [Fraction(0)]
    for k in range(1, len(h)):
        rest = k * h[k] - sum((j * found[j] * h[k - j] for j in range(1, k) if found[j] and h[k - j]), Fraction(0))
        found.append(rest / k)
    return made(0, found)


def exponential(a: Laurent) -> Laurent | None:
    """exp a, for a that vanishes at 0."""
    if a.order < 1:
        return None
    count = a.end
    slopes = [(k, k * a.at(k)) for k in range(1, count) if a.at(k)]
    found = [Fraction(1)]
    for k in range(1, count):
        found.append(sum((s * found[k - j] for j, s in slopes if j <= k and found[k - j]), Fraction(0)) / k)
    return made(0, found)


def composed(name: str, a: Laurent) -> Laurent | None:
    """f(a), for a function of `difference_series` and a = c u^m."""
    if a.order < 1 or any(a.coefficients[1:]):
        return None
    step, factor, end = a.order, a.coefficients[0], a.end
    values = SERIES[name].coefficients((end + step - 1) // step)
    found = [Fraction(0)] * end
    scale = Fraction(1)
    for k, value in enumerate(values):
        found[k * step] = value * scale
        scale *= factor
    return made(0, found)
