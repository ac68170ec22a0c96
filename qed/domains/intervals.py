"""Arrays of closed intervals with float64 ends, and their arithmetic, rounded outward.

X op Y is an enclosure of { x op y : x in X, y in Y }; it is the smallest one up to one float64 number at each end,
and no wider than that set where its ends are float64 numbers (Moore, Kearfott and Cloud, *Introduction to Interval
Analysis*, SIAM 2009, chapter 2). Ends may be infinite; which points of the box have no value is in `doubt`
(qed.domains.doubt). Two operands that are *one object* are one real number at each point, so that x*x is a square, x
- x is 0 and x/x is 1; an enclosure must therefore never be reused for another value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from qed.domains import rounding_outward as ro
from qed.domains.doubt import NONE, Doubt, both, either, moved

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Intervals:
    """An array of intervals [lower, upper].

    >>> import numpy as np
    >>> from qed.domains.intervals import Intervals
    >>> x = Intervals(np.array([-1.0, 2.0]), np.array([3.0, 4.0]))
    >>> print(x * x, x - x, 1.0 / x)
    [[0.0, 9.0], [4.0, 16.0]] [[0.0, 0.0], [0.0, 0.0]] [[-inf, inf], [0.25, 0.5]]
    """

    lower: Any
    upper: Any
    doubt: Doubt = NONE

    __array_ufunc__: ClassVar[None] = None  # so that NumPy's arrays leave the operators to this class

    def __post_init__(self) -> None:
        lower, upper = np.broadcast_arrays(np.asarray(self.lower, np.float64), np.asarray(self.upper, np.float64))
        doubt = self.doubt
        if lower.size and (np.isnan(lower.min()) or np.isnan(upper.max())):  # no bound is known: all numbers
            lower, upper = np.where(np.isnan(lower), -np.inf, lower), np.where(np.isnan(upper), np.inf, upper)
        if doubt:
            doubt = doubt.shaped(lower.shape, np.isinf(lower) | np.isinf(upper))
        for name, value in (("lower", lower), ("upper", upper), ("doubt", doubt)):
            object.__setattr__(self, name, value)

    # --- as a container of numbers: what every kind of enclosure offers ---

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.lower.shape

    @property
    def ndim(self) -> int:
        """How many axes it has, those of a batch of boxes included."""
        return self.lower.ndim

    @property
    def parts(self) -> tuple[Array, ...]:
        """The arrays of numbers that it is made of."""
        return (self.lower, self.upper)

    @classmethod
    def of(cls, parts: tuple[Array, ...], doubt: Doubt = NONE) -> Intervals:
        """Return the enclosure made of `parts`."""
        return cls(parts[0], parts[1], doubt)

    @classmethod
    def point(cls, array: Any) -> Intervals:
        """Return an array of numbers: NaN has no value, an infinity is itself.

        Integers beyond 2^53 are enclosed.

        >>> print(Intervals.point([1.0, float("inf")]), Intervals.point(2**60 + 1))
        [[1.0, 1.0], [inf, inf]] [1.1529215046068468e+18, 1.1529215046068472e+18]
        """
        array = np.asarray(array)
        if array.dtype.kind in "iu":
            return cls._of_integers(array)
        x = array.astype(np.float64)
        return cls(x, x, Doubt(np.isnan(x), np.isinf(x)))

    @classmethod
    def _of_integers(cls, array: Array) -> Intervals:
        x = array.astype(np.float64)
        size = np.abs(x)
        if not np.any(size > 2.0**53):
            return cls(x, x)
        return cls(np.where(size > 2.0**53, ro.below(x), x), np.where(size > 2.0**53, ro.above(x), x))

    @classmethod
    def whole(cls, shape: tuple[int, ...], doubt: Doubt = NONE) -> Intervals:
        """Return all real numbers, a new object each time."""
        return cls(np.full(shape, -np.inf), np.full(shape, np.inf), doubt)

    @classmethod
    def between(cls, lower: Any, upper: Any, doubt: Doubt = NONE) -> Intervals:
        """Return an enclosure of all numbers between float64 ends."""
        return cls(lower, upper, doubt)

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Float64 ends."""
        return self.lower, self.upper

    def map(self, move: Callable[[Array], Any]) -> Intervals:
        """Return the elements moved by a function of arrays."""
        return combined(move, self)

    def __str__(self) -> str:
        if not self.ndim:
            return f"[{float(self.lower)!r}, {float(self.upper)!r}]"
        return "[" + ", ".join(str(Intervals(a, b)) for a, b in zip(self.lower, self.upper, strict=True)) + "]"

    __repr__ = __str__

    # --- arithmetic ---

    def __add__(self, other: Any) -> Intervals:
        other = lifted(other)
        infinite = _opposite(self, other, 1)
        lower, upper = ro.add_down(self.lower, other.lower), ro.add_up(self.upper, other.upper)
        return Intervals(lower, upper, self.doubt | other.doubt | Doubt(infinite))

    def __sub__(self, other: Any) -> Intervals:
        other = lifted(other)
        if other is self:
            zero = np.zeros(self.shape)
            return Intervals(
                zero, zero, Doubt(either(self.doubt.undefined, self.doubt.infinite), None, self.doubt.place)
            )
        return self + (-other)

    def __neg__(self) -> Intervals:
        return Intervals(-self.upper, -self.lower, self.doubt)

    def __mul__(self, other: Any) -> Intervals:
        other = lifted(other)
        if other is self:
            return square(self)
        with np.errstate(all="ignore"):
            ends = np.broadcast_arrays(self.lower, self.upper, other.lower, other.upper)
            lower, upper = ro.in_blocks(products, 2, *ends)
        lost = either(_infinite_times_zero(self, other), _infinite_times_zero(other, self))
        return Intervals(lower, upper, self.doubt | other.doubt | Doubt(lost))

    def __truediv__(self, other: Any) -> Intervals:
        other = lifted(other)
        return _divided_by_itself(self) if other is self else quotient(self, other)

    def __radd__(self, other: Any) -> Intervals:
        return lifted(other) + self

    def __rsub__(self, other: Any) -> Intervals:
        return lifted(other) - self

    def __rmul__(self, other: Any) -> Intervals:
        return lifted(other) * self

    def __rtruediv__(self, other: Any) -> Intervals:
        return lifted(other) / self

    def __abs__(self) -> Intervals:
        low, high = modulus(self)
        return Intervals(low, high, self.doubt)

    def maximum(self, other: Intervals) -> Intervals:
        """Return the larger number."""
        both_ends = np.maximum(self.lower, other.lower), np.maximum(self.upper, other.upper)
        return Intervals(*both_ends, self.doubt | other.doubt)

    def minimum(self, other: Intervals) -> Intervals:
        """Return the smaller number."""
        both_ends = np.minimum(self.lower, other.lower), np.minimum(self.upper, other.upper)
        return Intervals(*both_ends, self.doubt | other.doubt)

    def hull(self, other: Intervals) -> Intervals:
        """Return the smallest enclosure of both."""
        both_ends = np.minimum(self.lower, other.lower), np.maximum(self.upper, other.upper)
        return Intervals(*both_ends, self.doubt | other.doubt)

    def sum(self, axis: int) -> Intervals:
        """Return the sum along an axis."""
        infinite = self.doubt.infinite
        plus = None if infinite is None else np.any(infinite & (self.upper == np.inf), axis)
        minus = None if infinite is None else np.any(infinite & (self.lower == -np.inf), axis)
        doubt = moved([self.doubt], [self.shape], lambda mask: np.any(mask, axis)) | Doubt(both(plus, minus))
        return Intervals(ro.sum_down(self.lower, axis), ro.sum_up(self.upper, axis), doubt)


def lifted(x: Any) -> Intervals:
    """Return an enclosure as it is, numbers as points."""
    return x if isinstance(x, Intervals) else Intervals.point(x)


def combined(move: Callable[..., Any], *values: Any) -> Any:
    """Return elements of several enclosures of one kind, moved together by a function of arrays."""
    columns = zip(*(value.parts for value in values), strict=True)
    doubt = moved([value.doubt for value in values], [value.shape for value in values], move)
    return type(values[0]).of(tuple(move(*column) for column in columns), doubt)


def modulus(x: Intervals) -> tuple[Array, Array]:
    """Return the least and the greatest |t| on each interval."""
    inside = (x.lower <= 0) & (x.upper >= 0)
    low, high = np.abs(x.lower), np.abs(x.upper)
    return np.where(inside, 0.0, np.minimum(low, high)), np.maximum(low, high)


def products(al: Array, au: Array, bl: Array, bu: Array) -> tuple[Array, Array]:
    """Return the ends of [al, au] [bl, bu], vectors of one size: of which ends they are products the signs tell."""
    up, down = al >= 0, au <= 0
    positive, negative = bl >= 0, bu <= 0
    mixed = np.flatnonzero(~(up | down | positive | negative))  # either of two products
    n, m = len(al), len(mixed)
    first, second = np.empty(2 * n + 4 * m), np.empty(2 * n + 4 * m)
    first[:n] = np.where(negative | (up & ~positive), au, al)
    second[:n] = np.where(up | (negative & ~down), bl, bu)
    np.negative(np.where(negative | (down & ~positive), al, au), out=first[n : 2 * n])
    second[n : 2 * n] = np.where(down | (negative & ~up), bl, bu)
    if m:
        a, b, c, d = (end[mixed] for end in (al, au, bl, bu))
        first[2 * n :] = np.concatenate([a, b, -a, -b])
        second[2 * n :] = np.concatenate([d, c, c, d])
    found = ro.product_down(first, second)
    lower, upper = found[:n], -found[n : 2 * n]
    if m:
        four = found[2 * n :].reshape((4, m))
        lower[mixed] = np.minimum(four[0], four[1])
        upper[mixed] = -np.minimum(four[2], four[3])
    return lower, upper


def square(x: Intervals) -> Intervals:
    """Return x^2."""
    low, high = modulus(x)
    return Intervals(ro.mul_down(low, low), ro.mul_up(high, high), x.doubt)


def integer_power(x: Intervals, n: int) -> Intervals:
    """Return x^n for an integer n, by repeated products; a negative power has a pole at 0.

    >>> from qed.domains.intervals import Intervals, integer_power
    >>> x = Intervals(-2.0, 3.0)
    >>> print(integer_power(x, 2), integer_power(x, 3), integer_power(Intervals(2.0, 4.0), -1))
    [0.0, 9.0] [-8.0, 27.0] [0.25, 0.5]
    """
    if n < 0:
        return quotient(Intervals.point(1.0), integer_power(x, -n))
    if n == 0:
        return Intervals(np.ones(x.shape), np.ones(x.shape), Doubt(x.doubt.undefined, None, x.doubt.place))
    if n == 1:
        return Intervals(x.lower, x.upper, x.doubt)
    if n % 2 == 0:
        low, high = modulus(x)
        return Intervals(_power(low, n, ro.mul_down), _power(high, n, ro.mul_up), x.doubt)
    return Intervals(_odd(x.lower, n, ro.mul_down, ro.mul_up), _odd(x.upper, n, ro.mul_up, ro.mul_down), x.doubt)


def _power(a: Array, n: int, mul: Callable[[Array, Array], Array]) -> Array:
    """a^n for a >= 0, every product rounded to one side."""
    result: Array | None = None
    while n:
        if n % 2:
            result = a if result is None else mul(result, a)
        n //= 2
        a = mul(a, a) if n else a
    assert result is not None
    return result


def _odd(a: Array, n: int, same: Any, other: Any) -> Array:
    return np.where(a >= 0, _power(np.abs(a), n, same), -_power(np.abs(a), n, other))


def quotient(x: Intervals, y: Intervals) -> Intervals:
    """Return x / y; where y may be 0 it is marked undefined, and unbounded on the sides that it can reach."""
    flip = y.upper <= 0
    xl, xu = np.where(flip, -x.upper, x.lower), np.where(flip, -x.lower, x.upper)
    yl, yu = np.where(flip, -y.upper, y.lower), np.where(flip, -y.lower, y.upper)
    zero = (yl <= 0) & (yu >= 0)
    safe_l, safe_u = np.where(yl > 0, yl, 1.0), np.where(yu > 0, yu, 1.0)
    lower = np.where(xl >= 0, ro.div_down(xl, safe_u), ro.div_down(xl, safe_l))
    upper = np.where(xu <= 0, ro.div_up(xu, safe_u), ro.div_up(xu, safe_l))
    if np.any(zero):
        one_sided = (yl == 0) & (yu > 0)
        lower = np.where(zero & ~(one_sided & (xl >= 0)), -np.inf, lower)
        upper = np.where(zero & ~(one_sided & (xu <= 0)), np.inf, upper)
    lost = either(zero, both(x.doubt.infinite, y.doubt.infinite))
    infinite = x.doubt.infinite
    place = x.doubt.place if x.doubt.place is not None else y.doubt.place
    return Intervals(lower, upper, Doubt(either(x.doubt.undefined, y.doubt.undefined, lost), infinite, place))


def _divided_by_itself(x: Intervals) -> Intervals:
    one = np.ones(x.shape)
    lost = either(x.doubt.undefined, x.doubt.infinite, _zero(x))
    return Intervals(one, one, Doubt(lost, None, x.doubt.place))


def square_root(x: Intervals) -> Intervals:
    """Return the square root; a negative part of x has none."""
    lost = x.lower < 0
    nothing = x.upper < 0
    lower, upper = ro.sqrt_down(np.maximum(x.lower, 0.0)), ro.sqrt_up(np.maximum(x.upper, 0.0))
    upper = np.where(nothing, np.inf, upper)
    return Intervals(lower, upper, x.doubt | Doubt(lost))


def _zero(x: Intervals) -> Array:
    return (x.lower <= 0) & (x.upper >= 0)


def _infinite_times_zero(x: Intervals, y: Intervals) -> Array | None:
    """Where infinity times 0 may be written."""
    return None if x.doubt.infinite is None else both(x.doubt.infinite, _zero(y))


def _opposite(x: Intervals, y: Intervals, sign: int) -> Array | None:
    """Where infinity minus infinity may be written."""
    found = both(x.doubt.infinite, y.doubt.infinite)
    if found is None:
        return None
    rising, falling = (x.upper == np.inf) & (y.lower == -np.inf), (x.lower == -np.inf) & (y.upper == np.inf)
    return found & (rising | falling)
