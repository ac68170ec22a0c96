"""Elementary functions as instructions of the machine, right to about 230 bits.

::

    exp x      x = n log 2 + r;  e^r - 1 by its series;  times 2^n
    log x      x = m B^e, y = log m in float64, z = m e^-y - 1 < 2^-48;  y + z - z^2/2 + ... + e log B
    sin, cos   x = n pi/2 + r;  both series
    atan x     y = atan x in float64, z = (x cos y - sin y) / (cos y + x sin y);  y + z - z^3/3 + z^5/5

But for the logarithm, each is computed as if x were exact, and then bounded with its condition number. The others are
spelled by these: tanh x = t / (t + 2) with t = e^2x - 1. No spelling has to mind its roundings, since the machine tells
what they are.

Reference: Brent and Zimmermann, *Modern Computer Arithmetic*, 2010, chapter 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from qed.numerics.longer.instructions import NEGATIVE, POSITIVE, ZERO, Term, Unsupported, Writer
from qed.numerics.longer.limbs import BITS
from qed.numerics.longer.machine import Operation, Start

_WIDE = 2**400
TINY = Fraction(1, 2**100)
LOWEST = 2**48


def _arctangent(n: int) -> Fraction:
    return sum((Fraction((-1) ** k, (2 * k + 1) * n ** (2 * k + 1)) for k in range(150)), Fraction(0))


def _cut(value: Fraction) -> Fraction:
    return Fraction(round(value * _WIDE), _WIDE)


LOG_TWO = _cut(sum((Fraction(1, k << k) for k in range(1, 420)), Fraction(0)))
PI = _cut(16 * _arctangent(5) - 4 * _arctangent(239))
_EXPONENTIAL = [Fraction(1, math.factorial(k + 1)) for k in range(46)]
_SINE = [Fraction((-1) ** k, math.factorial(2 * k + 1)) for k in range(34)]
_COSINE = [Fraction((-1) ** k, math.factorial(2 * k)) for k in range(34)]
_REDUCED = 27
"""Terms of sine and cosine for |x| < pi/4."""


# --- exponential and logarithm ---------------------------------------------------------------------------------


def _exponential(w: Writer, x: Term) -> tuple[Term, Term]:
    """e^x - 1 and e^x of a plain number."""
    n = w.start(Start.ROUND, w.multiply(w.constant(_cut(1 / LOG_TWO)), x))
    r = w.fused(w.constant(-LOG_TWO), n, x)
    t = w.multiply(r, w.polynomial(_EXPONENTIAL, r))
    scale = w.start(Start.POWER_OF_TWO, n)
    return w.fused(scale, t, w.subtract(scale, w.one)), w.fused(scale, t, scale)


def _vanishing(w: Writer, x: Term, value: Term, limit: Term) -> Term:
    """A function of e^x, which is `limit` where x is below all that has a logarithm."""
    return w.choose(w.add(x, w.constant(LOWEST)), NEGATIVE, limit, value)


def _nothing(w: Writer) -> Term:
    """A number below all others, of no certain digit."""
    return w.within(w.start(Start.POWER_OF_TWO, w.constant(-2 * LOWEST)), -1)


def exp(w: Writer, x: Term) -> Term:
    """e^x."""
    return _vanishing(w, x, w.bound(_exponential(w, w.plain(x))[1], x, x), _nothing(w))


def expm1(w: Writer, x: Term) -> Term:
    """e^x - 1, of condition at most 1 + |x|."""
    value = w.bound(_exponential(w, w.plain(x))[0], x, w.add(w.absolute(w.plain(x)), w.one))
    return _vanishing(w, x, value, w.subtract(_nothing(w), w.one))


def log(w: Writer, x: Term) -> Term:
    """The natural logarithm, through which the error of x goes: it is 0 beside 1."""
    given = w.plain(x)  # whose exponent may be another than that of x, a digit having been carried
    y = w.start(Start.LOG, given)
    whole = w.bound(w.emit(Operation.WHOLE, given), x, w.one)
    z = w.fused(whole, _exponential(w, w.negative(y))[1], w.minus_one)
    series = [Fraction((-1) ** k, k + 1) for k in range(6)]
    places = w.start(Start.EXPONENT, given)
    return w.fused(z, w.polynomial(series, z, 1), w.fused(w.constant(BITS * LOG_TWO), places, y))


def log1p(w: Writer, x: Term) -> Term:
    """log(1 + x), its series where x would be lost in 1 + x."""
    series = w.multiply(x, w.polynomial([Fraction((-1) ** k, k + 1) for k in range(4)], x, 1))
    small = w.subtract(w.absolute(w.plain(x)), w.constant(TINY))
    return w.choose(small, NEGATIVE, series, log(w, w.add(w.one, x)))


# --- sine, cosine, arctangent ----------------------------------------------------------------------------------


def _series(w: Writer, x: Term, terms: int) -> tuple[Term, Term]:
    square = w.multiply(x, x)
    return w.multiply(x, w.polynomial(_SINE[:terms], square)), w.polynomial(_COSINE[:terms], square)


def _sine_and_cosine(w: Writer, x: Term) -> tuple[Term, Term]:
    """Of a plain number."""
    n = w.start(Start.ROUND, w.multiply(w.constant(_cut(2 / PI)), x))
    s, c = _series(w, w.fused(w.constant(-PI / 2), n, x), _REDUCED)
    quadrant = w.start(Start.QUADRANT, n)
    first, second, third = (w.subtract(quadrant, w.constant(k)) for k in (1, 2, 3))
    odd_s = w.choose(first, ZERO, c, w.choose(third, ZERO, c, s))
    odd_c = w.choose(first, ZERO, s, w.choose(third, ZERO, s, c))
    upper = w.choose(second, NEGATIVE, w.one, w.minus_one)
    right = w.choose(first, NEGATIVE, w.one, w.choose(third, ZERO, w.one, w.minus_one))
    return w.multiply(upper, odd_s), w.multiply(right, odd_c)


def sin(w: Writer, x: Term) -> Term:
    """The sine."""
    s, c = _sine_and_cosine(w, w.plain(x))
    return w.bound(s, x, w.multiply(x, w.multiply(c, w.start(Start.RECIPROCAL, w.plain(s)))))


def cos(w: Writer, x: Term) -> Term:
    """The cosine."""
    s, c = _sine_and_cosine(w, w.plain(x))
    return w.bound(c, x, w.multiply(x, w.multiply(s, w.start(Start.RECIPROCAL, w.plain(c)))))


def tan(w: Writer, x: Term) -> Term:
    """The tangent."""
    s, c = _sine_and_cosine(w, w.plain(x))
    slope = w.start(Start.RECIPROCAL, w.plain(w.multiply(s, c)))
    return w.bound(w.divide(s, c), x, w.multiply(x, slope))


def atan(w: Writer, x: Term) -> Term:
    """The arctangent, of condition at most 1."""
    given = w.plain(x)
    y = w.start(Start.ATAN, given)
    s, c = _series(w, y, len(_SINE))
    z = w.divide(w.subtract(w.multiply(given, c), s), w.fused(given, s, c))
    series = [1, Fraction(-1, 3), Fraction(1, 5)]
    value = w.fused(z, w.polynomial(series, w.multiply(z, z), 1), y)
    return w.bound(value, x, w.one)


# --- spelled by these ------------------------------------------------------------------------------------------


def _half(w: Writer, x: Term) -> Term:
    return w.multiply(w.constant(Fraction(1, 2)), x)


def _tanh(w: Writer, x: Term) -> Term:
    t = expm1(w, w.multiply(w.constant(2), x))
    return w.divide(t, w.add(t, w.constant(2)))


def _sinh(w: Writer, x: Term) -> Term:
    t = expm1(w, x)
    return _half(w, w.add(t, w.divide(t, w.add(t, w.one))))


def _cosh(w: Writer, x: Term) -> Term:
    e = exp(w, x)
    return _half(w, w.add(e, w.reciprocal(e)))


def _logistic(w: Writer, x: Term) -> Term:
    return w.reciprocal(w.add(w.one, exp(w, w.negative(x))))


def _root_of_rest(w: Writer, x: Term) -> Term:
    """sqrt(1 - x^2)."""
    return w.root(w.multiply(w.subtract(w.one, x), w.add(w.one, x)))


def _asin(w: Writer, x: Term) -> Term:
    return w.multiply(w.constant(2), atan(w, w.divide(x, w.add(w.one, _root_of_rest(w, x)))))


def _acos(w: Writer, x: Term) -> Term:
    ratio = w.divide(w.subtract(w.one, x), w.add(w.one, x))
    return w.multiply(w.constant(2), atan(w, w.root(ratio)))


def _asinh(w: Writer, x: Term) -> Term:
    size, square = w.absolute(x), w.multiply(x, x)
    more = w.add(size, w.divide(square, w.add(w.one, w.root(w.add(square, w.one)))))
    found = log1p(w, more)
    return w.choose(x, NEGATIVE, w.negative(found), found)


def _acosh(w: Writer, x: Term) -> Term:
    rest = w.subtract(x, w.one)
    return log1p(w, w.add(rest, w.root(w.multiply(rest, w.add(x, w.one)))))


def _atanh(w: Writer, x: Term) -> Term:
    return _half(w, log1p(w, w.divide(w.multiply(w.constant(2), x), w.subtract(w.one, x))))


def _atan2(w: Writer, y: Term, x: Term) -> Term:
    size = w.root(w.add(w.multiply(x, x), w.multiply(y, y)))
    right = w.divide(y, w.add(size, x))
    left = w.divide(w.subtract(size, x), y)
    return w.multiply(w.constant(2), atan(w, w.choose(x, NEGATIVE, left, right)))


def _cbrt(w: Writer, x: Term) -> Term:
    size = exp(w, w.multiply(w.constant(Fraction(1, 3)), log(w, w.absolute(x))))
    return w.choose(x, ZERO, w.zero, w.choose(x, NEGATIVE, w.negative(size), size))


def _pow(w: Writer, x: Term, y: Term) -> Term:
    if y.value is not None and y.value.denominator == 1 and abs(y.value) <= 64:
        return w.power(x, int(y.value))
    if y.value is not None and y.value.denominator == 2 and abs(y.value) <= 32:
        return w.power(w.root(x), int(2 * y.value))
    return exp(w, w.multiply(y, log(w, x)))


def _sign(w: Writer, x: Term) -> Term:
    return w.choose(x, ZERO, w.zero, w.choose(x, NEGATIVE, w.minus_one, w.one))


def _floor(w: Writer, x: Term) -> Term:
    n = w.start(Start.ROUND, x)
    return w.choose(w.subtract(x, n), NEGATIVE, w.subtract(n, w.one), n)


def _round(w: Writer, x: Term) -> Term:
    """To the nearest integer, where none is as near."""
    n = w.start(Start.ROUND, x)
    rest = w.subtract(w.absolute(w.subtract(x, n)), w.constant(Fraction(1, 2)))
    return w.choose(rest, NEGATIVE, n, w.unknown)


def _compared(signs: int) -> Callable[..., Term]:
    return lambda w, x, y: w.compare(x, y, signs)


def _larger(w: Writer, x: Term, y: Term) -> Term:
    if x.infinite or y.infinite:
        constant, other = (x, y) if x.infinite else (y, x)
        return other if constant.extra < 0 and not other.infinite else w.unknown
    return w.choose(w.subtract(x, y), NEGATIVE, y, x)


def _smaller(w: Writer, x: Term, y: Term) -> Term:
    if x.infinite or y.infinite:
        constant, other = (x, y) if x.infinite else (y, x)
        return other if constant.extra > 0 and not other.infinite else w.unknown
    return w.choose(w.subtract(x, y), NEGATIVE, x, y)


def _select(w: Writer, which: Term, no: Term, yes: Term | None = None, *more: Term) -> Term:
    if more:
        msg = "a choice among more than two"
        raise Unsupported(msg)
    return no if yes is None else w.choose(which, POSITIVE, yes, no)


FUNCTIONS: Mapping[str, Callable[..., Term]] = {
    "abs": Writer.absolute,
    "acos": _acos,
    "acosh": _acosh,
    "add": Writer.add,
    "add_any": Writer.add,
    "and": lambda w, x, y: w.choose(x, ZERO, w.zero, y),
    "asin": _asin,
    "asinh": _asinh,
    "atan": atan,
    "atan2": _atan2,
    "atanh": _atanh,
    "cbrt": _cbrt,
    "ceil": lambda w, x: w.negative(_floor(w, w.negative(x))),
    "clamp": lambda w, low, x, high: _smaller(w, _larger(w, low, x), high),
    "cos": cos,
    "cosh": _cosh,
    "div": Writer.divide,
    "eq": _compared(ZERO),
    "exp": exp,
    "exp2": lambda w, x: exp(w, w.multiply(x, w.constant(LOG_TWO))),
    "expm1": expm1,
    "floor": _floor,
    "ge": _compared(POSITIVE + ZERO),
    "gt": _compared(POSITIVE),
    "is_finite": lambda w, x: w.emit(Operation.CHOOSE, x, w.one, w.zero, extra=NEGATIVE + ZERO + POSITIVE),
    "le": _compared(NEGATIVE + ZERO),
    "log": log,
    "log1p": log1p,
    "logistic": _logistic,
    "lt": _compared(NEGATIVE),
    "max": _larger,
    "min": _smaller,
    "mul": Writer.multiply,
    "ne": _compared(NEGATIVE + POSITIVE),
    "neg": Writer.negative,
    "not": lambda w, x: w.where(x, ZERO),
    "or": lambda w, x, y: w.choose(x, ZERO, y, w.one),
    "pow": _pow,
    "round": _round,
    "rsqrt": lambda w, x: w.reciprocal(w.root(x)),
    "select_n": _select,
    "sign": _sign,
    "sin": sin,
    "sinh": _sinh,
    "sqrt": Writer.root,
    "square": lambda w, x: w.multiply(x, x),
    "sub": Writer.subtract,
    "tan": tan,
    "tanh": _tanh,
    "xor": lambda w, x, y: w.choose(x, ZERO, y, w.where(y, ZERO)),
}
"""Functions of numbers; truth values are 1 and 0."""


__all__ = ["FUNCTIONS", "LOG_TWO", "PI", "exp", "log"]
