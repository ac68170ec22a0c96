"""Numbers of 288 bits as integers, which no compiler rounds otherwise than they are written.

::

    x = sum_k d_k B^(e - k),    k = 0 .. K - 1,    B = 2^24,    |d_k| <= B/2 + 1,    d_0 != 0

The digits are balanced, so that signs need no care. A number comes with a first-order bound rho of its relative error;
exact numbers have rho = 0, and where rho is infinite or NaN nothing is known. A number is one row of K + 2 integers:
its digits, its exponent e, and the bits of rho. All functions take arrays of NumPy, which are computed at once, or of
JAX, which may be traced.

References: Knuth, *The Art of Computer Programming*, vol. 2, 3rd ed., section 4.3.1; Avizienis, *Signed-digit number
representations for fast parallel arithmetic*, 1961.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

DIGITS = 12
BITS = 24
BASE = 1 << BITS
EPS = 2.0 ** (-BITS * (DIGITS - 2))
"""The relative error of a result that is cut off."""
NEVER = -(1 << 56)
"""The exponent of 0."""
WIDTH = DIGITS + 2
_WEIGHTS = float(BASE) ** -np.arange(DIGITS)


def module(x: Any) -> Any:
    """The library of an array."""
    return np if isinstance(x, (np.ndarray, np.generic)) else jnp


def bits_of(x: Any) -> Any:
    """The bits of float64."""
    return x.view(np.int64) if module(x) is np else lax.bitcast_convert_type(x, jnp.int64)


def of_bits(x: Any) -> Any:
    """The float64 of bits."""
    return x.view(np.float64) if module(x) is np else lax.bitcast_convert_type(x, jnp.float64)


def of_fraction(value: Fraction, bits: int = 0) -> np.ndarray:
    """The row of a rational number in NumPy, which may be known to some bits only.

    Example:
        >>> of_fraction(Fraction(3, 2))[:3], of_fraction(Fraction(3, 2))[DIGITS:]
        (array([       2, -8388608,        0]), array([0, 0]))
    """
    row = np.zeros(WIDTH, np.int64)
    if not value:
        row[DIGITS] = NEVER
        return row
    exponent = (abs(value.numerator).bit_length() - value.denominator.bit_length()) // BITS + 1
    rest, found = value / Fraction(BASE) ** exponent, list[int]()
    while len(found) < DIGITS:
        digit = round(rest)
        rest = (rest - digit) * BASE
        if found or digit:
            found.append(digit)
        else:
            exponent -= 1
    row[:DIGITS], row[DIGITS] = found, exponent
    row[-1] = np.float64((EPS if rest else 0.0) + (2.0**-bits if bits else 0.0)).view(np.int64)
    return row


def unknown() -> np.ndarray:
    """The row of a number of which nothing is known."""
    row = of_fraction(Fraction(0))
    row[-1] = np.float64(np.inf).view(np.int64)
    return row


def of_floats(x: Any) -> Any:
    """The rows of an array of float64, exactly, subnormal numbers included; of what is not finite nothing is known."""
    xp, bits = module(x), bits_of(x)
    biased = (bits >> 52) & 0x7FF
    whole = (bits & ((1 << 52) - 1)) + xp.where(biased > 0, 1 << 52, 0)
    whole = xp.where(bits < 0, -whole, whole)
    digits, exponent = of_integers(whole, xp.maximum(biased, 1) - 1075)
    digits, exponent = normalized(carried(digits), exponent)
    rho = xp.where(biased == 0x7FF, xp.inf, 0.0)
    return packed(digits, exponent, rho)


def of_integers(whole: Any, power: Any) -> tuple[Any, Any]:
    """Digits, with a place for a carry before them, and the exponent of whole * 2^power, |whole| < 2^62."""
    xp = module(whole)
    places = xp.floor_divide(power, BITS)
    left = (power - BITS * places)[..., None]
    parts = xp.stack([whole >> 48, (whole >> 24) & (BASE - 1), whole & (BASE - 1)], -1) << left
    pad = [(0, 0)] * (parts.ndim - 1)
    return xp.pad(parts, [*pad, (2, DIGITS - 3)]), places + 4


def carried(digits: Any, passes: int = 3) -> Any:
    """The same number with balanced digits; the first place must have room."""
    xp, pad = module(digits), [(0, 0)] * (digits.ndim - 1)
    for _ in range(passes):
        carry = (digits + BASE // 2) >> BITS
        digits = digits - (carry << BITS) + xp.pad(carry[..., 1:], [*pad, (0, 1)])
    return digits


def normalized(digits: Any, exponent: Any) -> tuple[Any, Any]:
    """K digits from the first that is not 0, and their exponent; what is behind them is cut off."""
    xp, length = module(digits), digits.shape[-1]
    lead = xp.min(xp.where(digits != 0, np.arange(length), length), -1)
    at = lead[..., None] + np.arange(DIGITS)
    found = xp.take_along_axis(digits, xp.minimum(at, length - 1), -1)
    found = xp.where(at < length, found, 0)
    return found, xp.where(lead == length, NEVER, exponent - lead)


def packed(digits: Any, exponent: Any, rho: Any) -> Any:
    """The rows of numbers."""
    xp = module(digits)
    return xp.concatenate([digits, xp.stack([exponent, bits_of(rho)], -1)], -1)


def unpacked(rows: Any) -> tuple[Any, Any, Any]:
    """Digits, exponents and bounds of the relative error."""
    return rows[..., :DIGITS], rows[..., DIGITS], of_bits(rows[..., -1])


def mantissa(digits: Any) -> Any:
    """sum_k d_k B^-k in float64."""
    return module(digits).sum(digits * _WEIGHTS, -1)


def to_floats(digits: Any, exponent: Any) -> Any:
    """The nearest float64, or a neighbour of it."""
    xp, found = module(digits), mantissa(digits)
    left = xp.clip(exponent, -90, 90) * BITS
    for _ in range(3):
        step = xp.clip(left, -720, 720)
        found, left = found * power_of_two(step), left - step
    return found


def power_of_two(n: Any) -> Any:
    """2^n for |n| < 1022, exactly."""
    return of_bits((n + 1023) << 52)
