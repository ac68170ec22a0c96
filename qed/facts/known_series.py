"""The power series that have names: general term, centre, and where they converge (NIST DLMF, 4.6, 4.19, 4.24, 4.33).

A row says f(centre + v) = sum of c_k v^k for |v| < radius, with c_k as an exact fraction for every k. Binomial and
geometric series are families in their exponent. That each row is the series of its function is proved in
tests/laws/test_known_series.py, by the recurrence of the function's own derivative in exact arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from types import MappingProxyType


@dataclass(frozen=True)
class PowerSeries:
    """A series sum c_k v^k about a centre.

    >>> from qed.facts.known_series import SERIES
    >>> [str(SERIES["log"].coefficient(k)) for k in range(4)], SERIES["log"].term, SERIES["log"].radius
    (['0', '1', '-1/2', '1/3'], '(-1)^(k+1) {v}^k / k', 1.0)
    """

    name: str
    centre: Fraction
    term: str
    radius: float
    coefficient: Callable[[int], Fraction]


@cache
def bernoulli(n: int) -> Fraction:
    """Return the Bernoulli number B_n (B_1 = -1/2), by its recurrence (DLMF 24.5.3).

    >>> from qed.facts.known_series import bernoulli
    >>> [str(bernoulli(n)) for n in (0, 1, 2, 4)]
    ['1', '-1/2', '1/6', '-1/30']
    """
    if n == 0:
        return Fraction(1)
    return -sum((math.comb(n + 1, k) * bernoulli(k) for k in range(n)), Fraction(0)) / (n + 1)


def binomial(a: Fraction, k: int) -> Fraction:
    """Return a (a - 1) ... (a - k + 1) / k! for a rational a.

    >>> from fractions import Fraction
    >>> from qed.facts.known_series import binomial
    >>> [str(binomial(Fraction(1, 2), k)) for k in range(4)]
    ['1', '1/2', '-1/8', '1/16']
    """
    found = Fraction(1)
    for j in range(k):
        found = found * (a - j) / (j + 1)
    return found


def _odd(term: Callable[[int], Fraction]) -> Callable[[int], Fraction]:
    return lambda k: term((k - 1) // 2) if k % 2 else Fraction(0)


def _even(term: Callable[[int], Fraction]) -> Callable[[int], Fraction]:
    return lambda k: Fraction(0) if k % 2 else term(k // 2)


def _factorial(k: int) -> Fraction:
    return Fraction(1, math.factorial(k))


def _signed(j: int, k: int) -> Fraction:
    return (-1) ** j * _factorial(k)


def _tangent(sign: int) -> Callable[[int], Fraction]:
    def term(j: int) -> Fraction:
        n = 2 * (j + 1)
        return sign**j * abs(bernoulli(n)) * 2**n * (2**n - 1) / math.factorial(n)

    return _odd(term)


def _arcsine(sign: int) -> Callable[[int], Fraction]:
    return _odd(lambda j: Fraction(sign**j * math.comb(2 * j, j), 4**j * (2 * j + 1)))


def _row(name: str, term: str, radius: float, coefficient: Callable[[int], Fraction], centre: int = 0) -> PowerSeries:
    return PowerSeries(name, Fraction(centre), term, radius, coefficient)


def _logarithm(k: int) -> Fraction:
    return Fraction((-1) ** (k + 1), k) if k else Fraction(0)


_LOG = "(-1)^(k+1) {v}^k / k"
_ODD = "{v}^(2j+1) / (2j+1)"
_ARC = "C(2j, j) {v}^(2j+1) / (4^j (2j+1))"
_TAN = "|B_2j| 4^j (4^j - 1) {v}^(2j-1) / (2j)!"

SERIES: Mapping[str, PowerSeries] = MappingProxyType(
    {
        "exp": _row("exponential series", "{v}^k / k!", math.inf, _factorial),
        "expm1": _row("exponential series", "{v}^k / k!, k >= 1", math.inf, lambda k: _factorial(k) * min(k, 1)),
        "sin": _row("sine series", "(-1)^j {v}^(2j+1) / (2j+1)!", math.inf, _odd(lambda j: _signed(j, 2 * j + 1))),
        "cos": _row("cosine series", "(-1)^j {v}^(2j) / (2j)!", math.inf, _even(lambda j: _signed(j, 2 * j))),
        "sinh": _row("hyperbolic sine series", "{v}^(2j+1) / (2j+1)!", math.inf, _odd(lambda j: _factorial(2 * j + 1))),
        "cosh": _row("hyperbolic cosine series", "{v}^(2j) / (2j)!", math.inf, _even(lambda j: _factorial(2 * j))),
        "log": _row("logarithmic series", _LOG, 1.0, _logarithm, centre=1),
        "log1p": _row("logarithmic series", _LOG, 1.0, _logarithm),
        "atan": _row("arctangent series", f"(-1)^j {_ODD}", 1.0, _odd(lambda j: Fraction((-1) ** j, 2 * j + 1))),
        "atanh": _row("inverse hyperbolic tangent series", _ODD, 1.0, _odd(lambda j: Fraction(1, 2 * j + 1))),
        "tan": _row("tangent series", _TAN, math.pi / 2, _tangent(1)),
        "tanh": _row("hyperbolic tangent series", f"(-1)^(j-1) {_TAN}", math.pi / 2, _tangent(-1)),
        "asin": _row("arcsine series", _ARC, 1.0, _arcsine(1)),
        "asinh": _row("inverse hyperbolic sine series", f"(-1)^j {_ARC}", 1.0, _arcsine(-1)),
    }
)
"""By the name of the card."""


def power_series(exponent: Fraction) -> PowerSeries:
    """Return the series of x^a about 1: geometric for a = -1, finite for a natural number, else binomial.

    >>> from fractions import Fraction
    >>> from qed.facts.known_series import power_series
    >>> power_series(Fraction(-1)).name, power_series(Fraction(1, 2)).term, power_series(Fraction(3)).radius
    ('geometric series', 'C(1/2, k) {v}^k', inf)
    """
    finite = exponent.denominator == 1 and exponent >= 0
    radius = math.inf if finite else 1.0
    if exponent == -1:
        return PowerSeries("geometric series", Fraction(1), "(-{v})^k", radius, lambda k: Fraction((-1) ** k))
    return PowerSeries(
        "binomial series", Fraction(1), f"C({exponent}, k) {{v}}^k", radius, lambda k: binomial(exponent, k)
    )
