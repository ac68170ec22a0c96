"""Sums, products, quotients and square roots of float64 arrays, rounded down or up, and exact where they are exact.

The error of one rounded operation is a float64 number that float64 arithmetic can compute (an *error-free
transform*): with s = fl(a + b),

    v = fl(s - a),   e = fl(fl(a - fl(s - v)) + fl(b - v)),   a + b = s + e   exactly        (TwoSum, Knuth),

and with p = fl(a b) and both factors split into halves of 26 bits, a b = p + e exactly (TwoProduct, Dekker and
Veltkamp). For a quotient and a square root the remainders a - q b and a - q q are such numbers too. The sign of e
tells on which side of the rounded result the true one lies: the next float64 number on that side is a bound, and
where e = 0 the result itself is. Reference: Ogita, Rump and Oishi, "Accurate sum and dot product", SIAM J. Sci.
Comput. 26 (2005); Boldo, Graillat and Muller, "On the robustness of the 2Sum and Fast2Sum algorithms", ACM TOMS 44
(2017).

Products are exact to that only where nothing over- or underflows; elsewhere they are computed on significands, with
the exponents apart. A bound that would be subnormal is put outward to 0 or to the smallest normal number, since
arithmetic that flushes subnormal numbers, as compiled code may, would read it as 0. Should this process flush them too,
the transforms would be wrong, and `subnormals_kept` says so.

Infinite ends bound a set that is unbounded: 0 times an infinite end is 0, and infinity minus infinity is no bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray
TINY = float(np.finfo(np.float64).tiny)
"""The smallest normal number, 2^-1022."""
LARGEST = float(np.finfo(np.float64).max)
_SPLITTER = 134217729.0  # 2^27 + 1
_LARGE = 2.0**990  # factors up to here can be split
_SMALL = 2.0**-960  # products from here on have a representable error


def subnormals_kept() -> bool:
    """Whether arithmetic in this thread keeps subnormal numbers; some libraries switch that off for a whole process.

    >>> from qed.domains.rounding_outward import subnormals_kept
    >>> subnormals_kept()
    True
    """
    half = np.array([TINY]) / 2
    return bool((half > 0)[0] and (half * 2 == TINY)[0])


def below(x: Any) -> Array:
    """Return float64 numbers surely below every real number that rounds to x.

    >>> from qed.domains.rounding_outward import below
    >>> float(below(1.0)), float(below(0.0)) == -(2.0**-1022)
    (0.9999999999999999, True)
    """
    y = np.nextafter(x, -np.inf)
    tiny = (np.abs(y) < TINY) & (y != 0)
    return np.where(tiny, np.where(y > 0, 0.0, -TINY), y) if np.any(tiny) else np.asarray(y)


def above(x: Any) -> Array:
    """Return float64 numbers surely above every real number that rounds to x."""
    return -below(-np.asarray(x))


def _stepped(x: Array, wrong: Array) -> Array:
    """Return x, a step down where `wrong`."""
    if not np.any(wrong):
        return np.asarray(x)
    return np.where(wrong, below(x), x)


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return s and e with a + b = s + e exactly; e is NaN where something overflowed or was infinite.

    >>> from qed.domains.rounding_outward import two_sum
    >>> s, e = two_sum(1.0, 2.0**-60)
    >>> float(s), float(e) == 2.0**-60
    (1.0, True)
    """
    s = a + b
    v = s - a
    return s, (a - (s - v)) + (b - v)


def _halves(a: Array) -> tuple[Array, Array]:
    c = _SPLITTER * a
    high = c - (c - a)
    return high, a - high


def _product_error(a: Array, b: Array, p: Array) -> Array:
    """Return a b - p for p = fl(a b), exact where nothing over- or underflows."""
    a1, a2 = _halves(a)
    b1, b2 = _halves(b)
    return ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2


def add_down(a: Any, b: Any) -> Array:
    """Return the largest float64 numbers that are surely not above a + b.

    >>> from qed.domains.rounding_outward import add_down
    >>> float(add_down(0.5, 0.25)), float(add_down(1.0, 2.0**-60)), float(add_down(1.0, -(2.0**-60)))
    (0.75, 1.0, 0.9999999999999999)
    """
    with np.errstate(all="ignore"):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        s, e = two_sum(a, b)
        result = _stepped(s, ~(e >= 0))
        odd = ~np.isfinite(s)
        if np.any(odd):
            infinite = np.isposinf(a) | np.isposinf(b)
            fixed = np.where(np.isnan(s) | np.isneginf(s), -np.inf, np.where(infinite, np.inf, LARGEST))
            result = np.where(odd, fixed, result)
        return np.asarray(result)


def add_up(a: Any, b: Any) -> Array:
    """Return the smallest float64 numbers that are surely not below a + b."""
    return -add_down(-np.asarray(a), -np.asarray(b))


def mul_down(a: Any, b: Any) -> Array:
    """Return the largest float64 numbers that are surely not above a b (down to the subnormal numbers).

    >>> from qed.domains.rounding_outward import mul_down
    >>> float(mul_down(3.0, 0.5)), float(mul_down(1e-200, -1e-200)) == -(2.0**-1022)
    (1.5, True)
    """
    with np.errstate(all="ignore"):
        a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
        p = a * b
        size = np.abs(p)
        easy = (size >= _SMALL) & (size < np.inf) & (np.abs(a) < _LARGE) & (np.abs(b) < _LARGE)
        result = _stepped(p, easy & ~(_product_error(a, b, p) >= 0))
        if np.all(easy):
            return result
        hard = ~easy & (a != 0) & (b != 0)
        result = np.array(np.where(np.isnan(p) & ((a == 0) | (b == 0)), 0.0, result))
        finite = hard & np.isfinite(a) & np.isfinite(b)
        if np.any(finite):
            (m, i), (n, j) = np.frexp(a[finite]), np.frexp(b[finite])
            q = m * n
            result[finite] = _assembled(q, _product_error(m, n, q), i + j)
        return result


def _assembled(significand: Array, error: Array, exponent: Array) -> Array:
    """Return a lower bound of (significand + error) 2^exponent; only the sign of the error counts."""
    q = np.ldexp(significand, exponent)
    exact = np.ldexp(q, -exponent) == significand
    bound = np.where(exact & (error >= 0), q, below(q))
    return np.where(significand > 0, np.maximum(bound, 0.0), bound)


def mul_up(a: Any, b: Any) -> Array:
    """Return the smallest float64 numbers that are surely not below a b."""
    return -mul_down(-np.asarray(a), b)


def div_down(a: Any, b: Any) -> Array:
    """Return the largest float64 numbers that are surely not above a / b, for b != 0.

    >>> from qed.domains.rounding_outward import div_down
    >>> float(div_down(1.0, 4.0)), float(div_down(1.0, 3.0))
    (0.25, 0.3333333333333333)
    """
    with np.errstate(all="ignore"):
        a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
        result = np.array(a / b)
        result[np.isnan(result)] = -np.inf
        finite = (a != 0) & (b != 0) & np.isfinite(a) & np.isfinite(b)
        if np.any(finite):
            (m, i), (n, j) = np.frexp(a[finite]), np.frexp(b[finite])
            q = m / n
            p = q * n
            rest = (m - p) - _product_error(q, n, p)
            result[finite] = _assembled(q, rest * np.sign(n), i - j)
        return result


def div_up(a: Any, b: Any) -> Array:
    """Return the smallest float64 numbers that are surely not below a / b, for b != 0."""
    return -div_down(-np.asarray(a), b)


def sqrt_down(a: Any) -> Array:
    """Return the largest float64 numbers that are surely not above the square root of a, for a >= 0."""
    q, rest = _root(a)
    return np.maximum(_stepped(q, rest < 0), 0.0)


def sqrt_up(a: Any) -> Array:
    """Return the smallest float64 numbers that are surely not below the square root of a, for a >= 0."""
    q, rest = _root(a)
    return np.where(rest > 0, above(q), q)


def _root(a: Any) -> tuple[Array, Array]:
    """Return q = fl(sqrt(a)) and the sign of a - q q."""
    a = np.asarray(a, np.float64)
    q = np.sqrt(a)
    finite = np.isfinite(a)
    m, i = np.frexp(np.where(finite, a, 1.0))
    odd = (i % 2).astype(bool)
    m = np.where(odd, 2 * m, m)
    root = np.sqrt(m)
    p = root * root
    return q, np.where(finite, (m - p) - _product_error(root, root, p), 0.0)


def sum_down(x: Array, axis: int = -1) -> Array:
    """Return lower bounds of sums along an axis, usually the largest there are; exact sums stay exact.

    Rounded pairwise sums, and beside them the sum of all their errors, rounded down.

    >>> import numpy as np
    >>> from qed.domains.rounding_outward import sum_down
    >>> float(sum_down(np.array([1.0, 1e100, 1.0, -1e100])))
    2.0
    """
    x = np.moveaxis(np.asarray(x, np.float64), axis, -1)
    if x.shape[-1] == 0:
        return np.zeros(x.shape[:-1])
    with np.errstate(all="ignore"):
        total, error = _pairwise(x, np.zeros_like(x))
        result = add_down(total, error)
        odd = ~(np.isfinite(total) & np.isfinite(error))
        if np.any(odd):
            careful = x[..., 0]
            for k in range(1, x.shape[-1]):
                careful = add_down(careful, x[..., k])
            result = np.where(odd, careful, result)
        return result


def _pairwise(total: Array, error: Array) -> tuple[Array, Array]:
    while (n := total.shape[-1]) > 1:
        half = n // 2
        s, e = two_sum(total[..., :half], total[..., half : 2 * half])
        f = add_down(add_down(error[..., :half], error[..., half : 2 * half]), e)
        if n % 2:
            s, f = np.concatenate([s, total[..., -1:]], -1), np.concatenate([f, error[..., -1:]], -1)
        total, error = s, f
    return total[..., 0], error[..., 0]


def sum_up(x: Array, axis: int = -1) -> Array:
    """Return upper bounds of sums along an axis."""
    return -sum_down(-np.asarray(x), axis)


def cumsum_down(x: Array, axis: int = -1) -> Array:
    """Return lower bounds of all partial sums along an axis.

    >>> import numpy as np
    >>> from qed.domains.rounding_outward import cumsum_down
    >>> cumsum_down(np.array([1.0, 2.0, 4.0])).tolist()
    [1.0, 3.0, 7.0]
    """
    x = np.moveaxis(np.asarray(x, np.float64), axis, -1)
    found = np.empty_like(x)
    with np.errstate(all="ignore"):
        for k in range(x.shape[-1]):
            found[..., k] = x[..., 0] if k == 0 else add_down(found[..., k - 1], x[..., k])
    return np.moveaxis(found, -1, axis)


def cumsum_up(x: Array, axis: int = -1) -> Array:
    """Return upper bounds of all partial sums along an axis."""
    return -cumsum_down(-np.asarray(x), axis)
