"""Arithmetic in pairs (h, l), |l| <= u |h|, that stand for h + l: numbers of twice the digits.

A factor is cut into halves whose products are exact, and a product is rounded to one bit less than it has: what is left
out is then a sum of exact numbers, and stays it where a compiler makes one operation of a product and a sum. With p the
rounded product of x and y and q the rounded quotient, s the rounded sum,

    x y = p + ((x1 y1 - p) + x1 y2 + x2 y1 + x2 y2),     x / y = q + (x - q y)/y,     x + y = s + (rest by Knuth).

The logarithm of x = m 2^e, m in [3/4, 3/2], is e log 2, the constant with twice the digits, and

    log m = 2 s + 2 s^3/3 + 2 s^5 (1/5 + s^2/7 + ...),     s = (m - 1)/(m + 1),     |s| <= 1/5,

of which the last term is below 2^-11 of the first and is computed in single numbers. Exponentials and powers are those
of the library, corrected by the logarithm of what it gives: exp v = w (1 + (v - log w)).

References: Dekker, *A floating-point technique for extending the available precision*, Numerische Mathematik 18, 1971;
Knuth, *The Art of Computer Programming*, vol. 2, 3rd ed., section 4.2.2; Ogita, Rump and Oishi, *Accurate sum and dot
product*, SIAM J. Scientific Computing 26, 2005.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
from jax import lax

from qed.numerics.rewriting.rows import rows

Pair = tuple[Any, Any]
"""A number and what it leaves out."""

_LOG2 = Fraction(0xB17217F7D1CF79ABC9E3B39803F2F6AF, 1 << 128)
"""log 2, right to 128 bits."""
_TERMS = 13
"""Up to which power of s^2 the series of the logarithm is summed."""


def exactly(x: Any) -> Pair:
    """A number of which nothing is left out."""
    return x, jnp.zeros_like(x)


def _to_bits(x: Any, bits: int) -> Any:
    info = jnp.finfo(x.dtype)
    return lax.reduce_precision(x, info.nexp, bits)


def rounded(x: Any) -> Any:
    """x with one bit less than it has; a compiler takes it for no product."""
    return _to_bits(x, jnp.finfo(x.dtype).nmant - 1)


def _halves(x: Any) -> Pair:
    high = _to_bits(x, (jnp.finfo(x.dtype).nmant + 1) // 2 - 1)
    return high, x - high


def two_sum(x: Any, y: Any) -> Pair:
    """x + y of two numbers; a constant has to be y, as compilers make x of (c + x) - c.

    Example:
        >>> import jax.numpy as jnp
        >>> total, rest = two_sum(jnp.float32(1.0), jnp.float32(2.0**-30))
        >>> float(total), float(rest) == 2.0**-30
        (1.0, True)
    """
    total = x + y
    of_y = total - x
    return total, (x - (total - of_y)) + (y - of_y)


def two_product(x: Any, y: Any) -> Pair:
    """x y of two numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.float32(1 + 2.0**-20)
        >>> product, rest = two_product(x, x)
        >>> float(product) + float(rest) == (1 + 2.0**-20) ** 2
        True
    """
    product, (a, b), (c, d) = rounded(x * y), _halves(x), _halves(y)
    return product, ((a * c - product) + a * d + b * c) + b * d


def plus(x: Pair, y: Pair) -> Pair:
    """x + y."""
    total, rest = two_sum(x[0], y[0])
    return two_sum(total, rest + (x[1] + y[1]))


def minus(x: Pair) -> Pair:
    """-x."""
    return -x[0], -x[1]


def times(x: Pair, y: Pair) -> Pair:
    """x y."""
    product, rest = two_product(x[0], y[0])
    return two_sum(product, rest + (x[0] * y[1] + x[1] * y[0]))


def over(x: Pair, y: Pair) -> Pair:
    """x / y."""
    quotient = rounded(x[0] / y[0])
    product, rest = two_product(quotient, y[0])
    left = ((x[0] - product) - rest) + (x[1] - quotient * y[1])
    return two_sum(quotient, left / y[0])


def root(x: Pair) -> Pair:
    """The square root of x."""
    found = rounded(jnp.sqrt(x[0]))
    product, rest = two_product(found, found)
    return two_sum(found, (((x[0] - product) - rest) + x[1]) / (2 * found))


def total(x: Pair, axes: tuple[int, ...]) -> Pair:
    """The sum of x along axes, in halves: the first with the second one."""
    high, low = (rows(each, axes) for each in x)
    if not high.shape[0]:
        return exactly(jnp.zeros(high.shape[1:], high.dtype))
    while high.shape[0] > 1:
        if high.shape[0] % 2:
            high, low = (jnp.concatenate([each, jnp.zeros_like(each[:1])]) for each in (high, low))
        half = high.shape[0] // 2
        high, rest = two_sum(high[:half], high[half:])
        low = (low[:half] + low[half:]) + rest
    return two_sum(high[0], low[0])


def product_of(x: Pair, y: Pair, contracted: Any, batch: Any) -> Pair:
    """A product of arrays as `lax.dot_general` makes it, by all products of numbers."""
    (left, right), (left_batch, right_batch) = contracted, batch
    used = (left, left_batch), (right, right_batch)
    free = [[k for k in range(e[0].ndim) if k not in (*c, *b)] for e, (c, b) in zip((x, y), used, strict=True)]

    def moved(each: Any, order: tuple[int, ...], before: int, after: int, count: int) -> Any:
        each = jnp.transpose(each, order)
        shape = each.shape
        own = shape[count : len(shape) - len(left)]
        return each.reshape((*shape[:count], *(1,) * before, *own, *(1,) * after, *shape[len(shape) - len(left) :]))

    count = len(left_batch)
    of_x = [moved(each, (*left_batch, *free[0], *left), 0, len(free[1]), count) for each in x]
    of_y = [moved(each, (*right_batch, *free[1], *right), len(free[0]), 0, count) for each in y]
    products = times((of_x[0], of_x[1]), (of_y[0], of_y[1]))
    rank = products[0].ndim
    return total(products, tuple(range(rank - len(left), rank)))


def power(x: Pair, n: int) -> Pair:
    """x^n for a whole number n."""
    if n < 0:
        return over(exactly(jnp.ones_like(x[0])), power(x, -n))
    found = exactly(jnp.ones_like(x[0])) if n == 0 else x
    for bit in bin(n)[3:]:
        found = times(found, found)
        found = times(found, x) if bit == "1" else found
    return found


def log(x: Pair) -> Pair:
    """The logarithm of x.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.float32(1234.5)
        >>> high, low = log(exactly(x))
        >>> abs(float(high) + float(low) - math.log(1234.5)) < 1e-11
        True
    """
    size = _to_bits(x[0], 0)
    exponent = jnp.round(jnp.log(size) / math.log(2)).astype(size.dtype)
    m = x[0] / size, x[1] / size
    one = exactly(jnp.ones_like(size))
    s = over(plus(m, minus(one)), plus(m, one))
    square = times(s, s)
    third = times(times(square, s), _constant(Fraction(2, 3), size))
    v = square[0]
    series = sum(2 * v**k / (2 * k + 5) for k in range(1, _TERMS))
    tail = v * v * s[0] * (2 / 5 + series)
    near = plus(plus((2 * s[0], 2 * s[1]), third), (tail, jnp.zeros_like(tail)))
    return plus(times(exactly(exponent), _constant(_LOG2, size)), near)


def _constant(value: Fraction, like: Any) -> Pair:
    high = jnp.full_like(like, float(value))
    rest = value - Fraction(float(high.dtype.type(float(value))))
    return high, jnp.full_like(like, float(rest))


def exp(x: Pair) -> Pair:
    """exp(x)."""
    return exp_of(jnp.exp(x[0]), x)


def exp_of(found: Any, x: Pair) -> Pair:
    """exp(x), of which a number is known that is near it."""
    gap = plus(x, minus(log(exactly(found))))
    return two_sum(found, found * (gap[0] + gap[1]))


def power_of(x: Pair, y: Pair) -> Pair:
    """x^y for x > 0."""
    return exp_of(x[0] ** y[0], times(y, log(x)))


def log_one_plus_exp(x: Pair) -> Pair:
    """log(1 + exp(x)), its error one of a number near 1."""
    positive = x[0] > 0
    size = minus((jnp.where(positive, x[0], -x[0]), jnp.where(positive, x[1], -x[1])))
    near = log(plus(exp(_in_range(size)), exactly(jnp.ones_like(x[0]))))
    return plus((jnp.where(positive, x[0], 0), jnp.where(positive, x[1], 0)), near)


def log_of_two(x: Pair, y: Pair) -> Pair:
    """log(exp(x) + exp(y)), its error one of the larger of x, y and 1."""
    return plus(x, log_one_plus_exp(plus(y, minus(x))))


def sigmoid(x: Pair) -> Pair:
    """1/(1 + exp(-x)), its error one of a number near 1."""
    one = exactly(jnp.ones_like(x[0]))
    return over(one, plus(exp(minus(_in_range(x))), one))


def tanh(x: Pair) -> Pair:
    """tanh(x) = 2 sigmoid(2 x) - 1, its error one of a number near 1."""
    s = sigmoid((2 * x[0], 2 * x[1]))
    return plus((2 * s[0], 2 * s[1]), exactly(-jnp.ones_like(x[0])))


def _in_range(x: Pair) -> Pair:
    """x, of which the exponential lies in range and is 0 or infinite to twice the digits where x does not."""
    limit = math.log(float(jnp.finfo(x[0].dtype).max)) / 2
    inside = jnp.abs(x[0]) < limit
    return jnp.clip(x[0], -limit, limit), jnp.where(inside, x[1], 0)


def corrected(power: Any, x: Pair) -> Any:
    """exp(h) (1 + l) for the exponential of h; near the smallest numbers exp(h) l has no digits."""
    small = power < float(jnp.finfo(power.dtype).tiny) / float(jnp.finfo(power.dtype).eps) ** 2
    return jnp.where(small, power * (1 + x[1]), power + power * x[1])


__all__ = ["Pair", "corrected", "exactly", "exp", "exp_of", "log", "log_of_two", "log_one_plus_exp", "minus", "over",
           "plus", "power", "power_of", "product_of", "root", "sigmoid", "tanh", "times", "total", "two_product",
           "two_sum"]  # fmt: skip
