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

The next number is found without looking at bits. With phi = 2^-53 (1 + 2^-52) and |x| >= 2^-960 finite, phi |x| lies
above half the distance from |x| to the next float64 number and below 3/2 of it, also where |x| is a power of 2 and the
number below is half as far; so x - fl(phi |x|) rounds to the float64 number below x (Rump, Zimmermann, Boldo and
Melquiond, "Computing predecessor and successor in rounding to nearest", BIT 49, 2009). Long arrays are worked through
in blocks that stay in the processor's cache.

Products are exact to that only where nothing over- or underflows; elsewhere they are computed on significands, with
the exponents apart. A bound that would be subnormal is put outward to 0 or to the smallest normal number, since
arithmetic that flushes subnormal numbers, as compiled code may, would read it as 0. Should this process flush them too,
the transforms would be wrong, and `subnormals_kept` says so.

Infinite ends bound a set that is unbounded: 0 times an infinite end is 0, and infinity minus infinity is no bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
TINY = float(np.finfo(np.float64).tiny)
"""The smallest normal number, 2^-1022."""
LARGEST = float(np.finfo(np.float64).max)
_SPLITTER = 134217729.0  # 2^27 + 1
_LARGE = 2.0**990  # factors up to here can be split
_SMALL = 2.0**-960  # products from here on have a representable error
_PHI = 2.0**-53 * (1 + 2.0**-52)
BLOCK = 2**13
"""How many numbers are worked on together."""
_MANY = 1 + 2.0**-20  # the rounded sum of up to 2^31 numbers that are not negative, times this, is a bound


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
    size = np.abs(x)
    if not size.max() <= LARGEST or np.any(wrong & (size < _SMALL)):
        return np.where(wrong, below(x), x)
    return x - size * _PHI * wrong


def in_blocks(function: Callable[..., Any], results: int, *arrays: Array) -> list[Array]:
    """Return the results of an elementwise function of vectors for arrays of one shape, in blocks."""
    flat, shape = [np.ravel(x) for x in arrays], arrays[0].shape
    size = flat[0].size
    if size <= BLOCK:
        return [x.reshape(shape) for x in function(*flat)]
    found = [np.empty(size) for _ in range(results)]
    for k in range(0, size, BLOCK):
        for whole, part in zip(found, function(*(x[k : k + BLOCK] for x in flat)), strict=True):
            whole[k : k + BLOCK] = part
    return [x.reshape(shape) for x in found]


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
    """Return -h and l with a = h + l, of 26 bits each (Veltkamp): h = c - (c - a) with c = (2^27 + 1) a."""
    c = _SPLITTER * a
    high = c - a
    high -= c
    return high, a + high


def _product_error(a: Array, b: Array, p: Array) -> Array:
    """Return a b - p for p = fl(a b), exact where nothing over- or underflows."""
    a1, a2 = _halves(a)
    b1, b2 = _halves(b)
    error = a1 * b1  # the products of halves in Dekker's order; a1 and b1 carry the sign -
    error -= p
    a1 *= b2
    error -= a1
    b1 *= a2
    error -= b1
    a2 *= b2
    error += a2
    return error


def add_down(a: Any, b: Any) -> Array:
    """Return the largest float64 numbers that are surely not above a + b.

    >>> from qed.domains.rounding_outward import add_down
    >>> float(add_down(0.5, 0.25)), float(add_down(1.0, 2.0**-60)), float(add_down(1.0, -(2.0**-60)))
    (0.75, 1.0, 0.9999999999999999)
    """
    with np.errstate(all="ignore"):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        if a.size <= BLOCK and b.size <= BLOCK:
            return _added_down(a, b)
        return in_blocks(lambda x, y: (_added_down(x, y),), 1, *np.broadcast_arrays(a, b))[0]


def _added_down(a: Array, b: Array) -> Array:
    """`add_down` of arrays as they are."""
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
        return in_blocks(lambda x, y: (product_down(x, y),), 1, a, b)[0]


def product_down(a: Array, b: Array) -> Array:
    """Return `mul_down` of two vectors of one size, as they are."""
    p = a * b
    size = np.abs(p)
    if not _plain(a, b, size):
        return _careful_product(a, b, p, size)
    wrong = _product_error(a, b, p) < 0
    size *= _PHI
    size *= wrong
    return p - size


def _plain(a: Array, b: Array, size: Array) -> bool:
    """Whether all products a b of rounded size `size` have an error that can be computed; those with 0 have none."""
    if not a.size:
        return False
    if not (max(a.max(), -a.min(), b.max(), -b.min()) < _LARGE and size.max() <= LARGEST):  # nor is any of them NaN
        return False
    return bool(size.min() >= _SMALL) or not np.any((size < _SMALL) & (a != 0) & (b != 0))


def _careful_product(a: Array, b: Array, p: Array, size: Array) -> Array:
    """`mul_down` where some products are infinite, or beyond the range in which their errors can be computed."""
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

    Pairwise sums with their exact errors (TwoSum); the errors are added in the same way, and the errors of that, which
    are nearly always 0, are bounded by the sum of their sizes.

    >>> import numpy as np
    >>> from qed.domains.rounding_outward import sum_down
    >>> float(sum_down(np.array([1.0, 1e100, 1.0, -1e100])))
    2.0
    """
    x = np.moveaxis(np.asarray(x, np.float64), axis, -1)
    if x.shape[-1] == 0:
        return np.zeros(x.shape[:-1])
    with np.errstate(all="ignore"):
        total, rest, slack = _expanded(x)
        result = total if rest is None else add_down(total, rest if slack is None else add_down(rest, -slack * _MANY))
        odd = ~np.isfinite(total) | np.isnan(result)
        if np.any(odd):
            careful = x[..., 0]
            for k in range(1, x.shape[-1]):
                careful = add_down(careful, x[..., k])
            result = np.where(odd, careful, result)
        return np.asarray(result)


def _expanded(x: Array) -> tuple[Array, Array | None, Array | None]:
    """Return t, r and d with |sum x - t - r| <= d, summed along the last axis; None is 0."""
    more: list[Array] = []
    slack: Any = None
    if x.shape[-1] >= 2 * BLOCK:
        x, rest, slack = _onto_lanes(x)
        more, slack = [rest], slack.sum(-1)
    total, errors = _pairwise(x)
    more += [] if errors is None else [errors]
    if not more:
        return total, None, None
    rest, errors = _pairwise(np.concatenate(more, -1))
    if errors is not None:
        slack = np.abs(errors).sum(-1) if slack is None else slack + np.abs(errors).sum(-1)
    return total, rest, slack


def _onto_lanes(x: Array) -> tuple[Array, Array, Array]:
    """Return sums of every BLOCK-th number and the rest, the sums' errors, and the sizes of those' own errors."""
    whole = x.shape[-1] // BLOCK * BLOCK
    total = x[..., :BLOCK]
    rest, slack = np.zeros(total.shape), np.zeros(total.shape)
    for k in range(BLOCK, whole, BLOCK):
        total, e = two_sum(total, x[..., k : k + BLOCK])
        rest, d = two_sum(rest, e)
        slack += np.abs(d)
    return np.concatenate([total, x[..., whole:]], -1), rest, slack


def _pairwise(total: Array) -> tuple[Array, Array | None]:
    """Return rounded sums along the last axis, and the errors of all additions there, or None where they are 0."""
    errors = []
    while (n := total.shape[-1]) > 1:
        half = n // 2
        s, e = two_sum(total[..., :half], total[..., half : 2 * half])
        errors.append(e)
        total = np.concatenate([s, total[..., -1:]], -1) if n % 2 else s
    found = [e for e in errors if np.any(e)]
    return total[..., 0], np.concatenate(found, -1) if found else None


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
