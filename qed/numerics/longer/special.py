"""Error functions, gamma functions and modified Bessel functions as instructions of the machine.

::

    erf x      2/sqrt(pi) e^-x^2 sum_n 2^n x^(2n+1) / (2n+1)!!                                             |x| < 3
    erfc x     h x e^-x^2 / pi sum_k e^-k^2 h^2 / (x^2 + k^2 h^2) - (2 / (e^(2 pi x / h) - 1) if x < pi / h)      x >= 3
    log G(x)   (z - 1/2) log z - z + log(2 pi)/2 + sum_k B_2k / (2k (2k-1) z^(2k-1)) - log (x ... (x+39)),  z = x + 40
    I_n(x)     (x/2)^n sum_k (x/2)^2k / (k! (k+n)!)                                                        |x| < 90
               e^x / sqrt(2 pi x) sum_k (-1)^k (4n^2 - 1) ... (4n^2 - (2k-1)^2) / (k! (8x)^k)              x >= 90

With h = 0.3, the error of the second is about e^-(pi/h)^2 = 2^-158. The derivatives of log G are by the same sums.
Errors of the argument go through the operations; what a series leaves out is part of the bound.

References: Matta and Reichel, *Uniform computation of the error function and other related functions*, 1971; Abramowitz
and Stegun, *Handbook of Mathematical Functions*, 6.1.40, 6.3.18, 6.4.11, 7.1.6, 9.6.10, 9.7.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache

from qed.numerics.longer.elementary import LOG_TWO, PI, exp, expm1, log
from qed.numerics.longer.instructions import NEGATIVE, POSITIVE, Term, Unsupported, Writer

_BITS = 400
SMALL = 3
STEP = Fraction(3, 10)
SHIFT = 40
FEW = 36
"""Terms of the series at infinity."""


def _fixed(value: Fraction) -> Fraction:
    return Fraction(round(value * 2**_BITS), 2**_BITS)


@cache
def _root_of_pi() -> Fraction:
    return Fraction(math.isqrt(PI.numerator * 4**_BITS // PI.denominator), 2**_BITS)


@cache
def _gaussian() -> list[Fraction]:
    """e^-(k h)^2 for k = 1, 2, ... as far as it is above 2^-170."""
    square = -(STEP**2)
    base = _fixed(sum((square**k / math.factorial(k) for k in range(80)), Fraction(0)))
    found, power, step = list[Fraction](), base, base
    while power > Fraction(1, 2**170):
        found.append(power)
        step = _fixed(step * base * base)  # e^-(2k+1) h^2
        power = _fixed(power * step)
    return found


@cache
def _bernoulli(count: int) -> list[Fraction]:
    """B_2, B_4, ..."""
    found = [Fraction(1)]
    for m in range(1, 2 * count + 1):
        found.append(-sum((math.comb(m + 1, k) * b for k, b in enumerate(found)), Fraction(0)) / (m + 1))
    return found[2::2]


# --- error functions -------------------------------------------------------------------------------------------


def _by_series(w: Writer, x: Term, decay: Term) -> Term:
    series, value = list[Fraction](), Fraction(2)
    for n in range(125):
        series.append(value)
        value = value * 2 / (2 * n + 3)
    root = w.constant(_fixed(1 / _root_of_pi()))
    total = w.polynomial(series, w.multiply(x, x))
    return w.multiply(w.multiply(x, root), w.multiply(decay, total))


def _far(w: Writer, x: Term, square: Term, decay: Term) -> Term:
    """erfc x for x >= 3."""
    parts = [w.reciprocal(square)]
    for k, weight in enumerate(_gaussian(), 1):
        shifted = w.add(square, w.constant((k * STEP) ** 2))
        parts.append(w.multiply(w.constant(2 * weight), w.reciprocal(shifted)))
    factor = w.multiply(w.constant(_fixed(STEP / PI)), w.multiply(x, decay))
    pole = w.divide(w.constant(2), expm1(w, w.multiply(w.constant(_fixed(2 * PI / STEP)), x)))
    beyond = w.choose(w.subtract(x, w.constant(_fixed(PI / STEP))), NEGATIVE, pole, w.zero)
    return w.within(w.subtract(w.multiply(factor, _sum(w, parts)), beyond), 140)


def _sum(w: Writer, terms: Sequence[Term]) -> Term:
    while len(terms) > 1:
        pairs = [terms[k : k + 2] for k in range(0, len(terms), 2)]
        terms = [w.add(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return terms[0]


def _both(w: Writer, x: Term) -> tuple[Term, Term]:
    """erf and erfc."""
    size, square = w.absolute(x), w.multiply(x, x)
    decay = exp(w, w.negative(square))
    near = w.subtract(size, w.constant(SMALL))
    series = _by_series(w, x, decay)
    rest = _far(w, w.choose(near, NEGATIVE, w.constant(SMALL), size), square, decay)
    upper = w.subtract(w.one, rest)
    far = w.choose(x, NEGATIVE, w.negative(upper), upper)
    other = w.choose(x, NEGATIVE, w.subtract(w.constant(2), rest), rest)
    return w.choose(near, NEGATIVE, series, far), w.choose(near, NEGATIVE, w.subtract(w.one, series), other)


# --- gamma functions -------------------------------------------------------------------------------------------


def _shifted(w: Writer, x: Term) -> tuple[Term, Term]:
    """Whether x is below 40, and x, then 40 more."""
    small = w.subtract(x, w.constant(SHIFT))
    return small, w.choose(small, NEGATIVE, w.add(x, w.constant(SHIFT)), x)


def _factors(w: Writer, x: Term) -> list[Term]:
    return [w.add(x, w.constant(k)) for k in range(SHIFT)]


def _positive(w: Writer, x: Term, value: Term) -> Term:
    return w.choose(x, POSITIVE, value, w.unknown)


def _lgamma(w: Writer, x: Term) -> Term:
    small, z = _shifted(w, x)
    product = _factors(w, x)
    while len(product) > 1:
        pairs = [product[k : k + 2] for k in range(0, len(product), 2)]
        product = [w.multiply(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    over = w.reciprocal(z)
    series = [b / (2 * k * (2 * k - 1)) for k, b in enumerate(_bernoulli(FEW), 1)]
    tail = w.within(w.multiply(over, w.polynomial(series, w.multiply(over, over))), 190)
    constant = w.constant(_fixed(Fraction(1, 2) * _logarithm_of_two_pi()))
    leading = w.multiply(w.subtract(z, w.constant(Fraction(1, 2))), log(w, z))
    value = w.add(w.add(w.subtract(leading, z), constant), tail)
    return _positive(w, x, w.choose(small, NEGATIVE, w.subtract(value, log(w, product[0])), value))


@cache
def _logarithm_of_two_pi() -> Fraction:
    """By log y = 2 artanh((y - 1) / (y + 1)) for y = 2 pi / 6, and log 6 so."""

    def small(y: Fraction) -> Fraction:
        t = _fixed((y - 1) / (y + 1))
        total, power, square = Fraction(0), t, _fixed(t * t)
        for k in range(400):
            total += power / (2 * k + 1)
            power = _fixed(power * square)
        return 2 * _fixed(total)

    return small(2 * PI / 6) + small(Fraction(3, 2)) + 2 * small(Fraction(2))


def _polygamma(w: Writer, order: int, x: Term) -> Term:
    """The derivative of log G of order `order` + 1."""
    small, z = _shifted(w, x)
    over = w.reciprocal(z)
    series = [b * math.factorial(2 * k + order - 1) / math.factorial(2 * k) for k, b in enumerate(_bernoulli(FEW), 1)]
    tail = w.multiply(w.power(over, order + 2), w.polynomial(series, w.multiply(over, over)))
    first = w.multiply(w.constant(Fraction(math.factorial(order), 2)), w.power(over, order + 1))
    parts = [w.power(w.reciprocal(factor), order + 1) for factor in _factors(w, x)]
    shift = w.multiply(w.constant(math.factorial(order)), _sum(w, parts))
    if order:
        lead = w.multiply(w.constant(math.factorial(order - 1)), w.power(over, order))
        value = w.add(w.add(lead, first), w.within(tail, 180))
        value = w.choose(small, NEGATIVE, w.add(value, shift), value)
        value = value if order % 2 else w.negative(value)
    else:
        value = w.subtract(w.subtract(log(w, z), first), w.within(tail, 180))
        value = w.choose(small, NEGATIVE, w.subtract(value, shift), value)
    return _positive(w, x, value)


def _any_polygamma(w: Writer, order: Term, x: Term) -> Term:
    if order.value is None or order.value.denominator != 1 or not 0 <= order.value <= 8:
        msg = "polygamma"
        raise Unsupported(msg)
    return _polygamma(w, int(order.value), x)


# --- modified Bessel functions ---------------------------------------------------------------------------------


_NEAR = 90
"""From where on Bessel functions are computed by their asymptotic series, whose error is e^-2x there: 2^-259."""


def _bessel(order: int) -> Callable[[Writer, Term], Term]:
    """e^-|x| I_n(x), n = 0 or 1 (Abramowitz and Stegun, 9.6.10 and 9.7.1)."""

    def function(w: Writer, x: Term) -> Term:
        size = w.absolute(x)
        near = w.subtract(size, w.constant(_NEAR))
        close = w.choose(near, NEGATIVE, x, w.one)
        half = w.multiply(w.constant(Fraction(1, 2)), close)
        series = [Fraction(1, math.factorial(k) * math.factorial(k + order)) for k in range(210)]
        total = w.polynomial(series, w.multiply(half, half))
        value = w.multiply(exp(w, w.negative(w.absolute(close))), w.multiply(total, w.power(half, order)))
        far = w.choose(near, NEGATIVE, w.constant(_NEAR), size)
        terms = [Fraction(1)]
        for k in range(1, 110):
            terms.append(terms[-1] * -(4 * order * order - (2 * k - 1) ** 2) / (8 * k))
        beyond = w.within(w.polynomial(terms, w.reciprocal(far)), 240)
        beyond = w.divide(beyond, w.root(w.multiply(w.constant(2 * PI), far)))
        beyond = beyond if order == 0 else w.choose(x, NEGATIVE, w.negative(beyond), beyond)
        return w.choose(near, NEGATIVE, value, beyond)

    return function


SPECIAL: Mapping[str, Callable[..., Term]] = {
    "bessel_i0e": _bessel(0),
    "bessel_i1e": _bessel(1),
    "digamma": lambda w, x: _polygamma(w, 0, x),
    "erf": lambda w, x: _both(w, x)[0],
    "erfc": lambda w, x: _both(w, x)[1],
    "lgamma": _lgamma,
    "polygamma": _any_polygamma,
}
"""Functions of numbers in instructions, as `qed.numerics.longer.elementary.FUNCTIONS`."""


SLOPES: Mapping[str, Callable[[], Fraction]] = {
    "erf": lambda: 2 / _root_of_pi(),
    "erfc": lambda: 2 / _root_of_pi(),
    "exp2": lambda: LOG_TWO,
}
"""By which constant JAX's rule for the derivative of a function multiplies: it has it rounded."""


__all__ = ["SLOPES", "SPECIAL"]
