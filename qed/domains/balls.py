"""Arrays of balls: each number is a midpoint with a radius in python-flint, at the precision in force.

The operations are python-flint's own, one number at a time, and matrices are multiplied as matrices. A ball that is
not a number is one of which nothing is known. Reference: Johansson, "Arb: efficient arbitrary-precision
midpoint-radius interval arithmetic", IEEE Transactions on Computers 66 (2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from qed.domains.doubt import NONE, Doubt, both, either, moved
from qed.domains.ends import floats
from qed.domains.intervals import combined
from qed.domains.precision import flint

Array = np.ndarray


def objects(values: Any, shape: tuple[int, ...]) -> Array:
    """Return Python objects as a NumPy array of a shape."""
    found = np.empty(len(values), object)
    found[:] = values
    return found.reshape(shape)


def each(function: Callable[..., Any], *arrays: Array) -> Array:
    """Return the array of function(x, y, ...) over all elements; of the shape that the arrays broadcast to."""
    wide = np.broadcast_arrays(*arrays)
    columns = [a.ravel() for a in wide]
    if wide[0].size > FEW and all(column.dtype.kind in "Ob" for column in columns):
        return objects(_once(function, columns), wide[0].shape)
    return objects([function(*items) for items in zip(*columns, strict=True)], wide[0].shape)


FEW = 64
"""How many elements are computed one by one; among more, equal operands are looked for."""


def _once(function: Callable[..., Any], columns: list[Array]) -> list[Any]:
    """The values of a function, computed once for the same objects; the arrays keep them alive meanwhile."""
    found: list[Any] = []
    if len(columns) == 1:
        seen: dict[int, Any] = {}
        for item in columns[0]:
            key = id(item)
            if key not in seen:
                seen[key] = function(item)
            found.append(seen[key])
        return found
    known: dict[tuple[int, ...], Any] = {}
    places = zip(*(map(id, column) for column in columns), strict=True)
    for items, place in zip(zip(*columns, strict=True), places, strict=True):
        if place not in known:
            known[place] = function(*items)
        found.append(known[place])
    return found


def marked(test: Callable[..., bool], *arrays: Array) -> Array:
    """Return where a test holds, as an array of truth values."""
    return each(test, *arrays).astype(bool)


def real_line() -> Any:
    """Return the ball of all real numbers."""
    arb = flint().arb
    return arb(0, arb.pos_inf())


def between(lower: float, upper: float) -> Any:
    """Return a ball that contains all numbers from lower to upper.

    >>> from qed.domains.balls import between
    >>> ball = between(1.0, 2.0)
    >>> ball.contains(1), ball.contains(2), between(3.0, 3.0).is_exact()
    (True, True, True)
    """
    arb = flint().arb
    if lower == upper:
        return arb(lower)
    if not (abs(lower) < np.inf and abs(upper) < np.inf):
        return real_line()
    return arb(lower).union(arb(upper))


@dataclass(frozen=True, eq=False)
class Elements:
    """An array of Python objects, such as balls, with what is doubtful about them; it is moved as arrays are."""

    array: Array
    doubt: Doubt = NONE

    __array_ufunc__: ClassVar[None] = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.array.shape

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return self.array.ndim

    @property
    def parts(self) -> tuple[Array, ...]:
        """The arrays that it is made of."""
        return (self.array,)

    @classmethod
    def of(cls, parts: tuple[Array, ...], doubt: Doubt = NONE) -> Self:
        """Return the value made of `parts`."""
        return cls(parts[0], doubt)


@dataclass(frozen=True, eq=False)
class Balls(Elements):
    """An array of python-flint balls.

    >>> import numpy as np
    >>> from qed.domains.balls import Balls
    >>> third = 1.0 / Balls.point(3.0)
    >>> print(third, (third * 3.0).contains(1.0))
    [0.333333333333333 +/- 3.71e-16] True
    """

    def __post_init__(self) -> None:
        array = np.asarray(self.array, object)
        arb = flint().arb
        if not all(isinstance(ball, arb) for ball in array.ravel()):  # a padding
            array = each(arb, array)
        lost = [i for i, ball in enumerate(array.ravel()) if ball.is_nan()]
        if lost:
            array = array.copy()
            array.reshape(-1)[lost] = real_line()
        object.__setattr__(self, "array", array)
        if self.doubt:
            infinite = self.doubt.infinite
            possible = np.ones(array.shape, bool) if infinite is None else ~marked(lambda x: x.is_finite(), array)
            object.__setattr__(self, "doubt", self.doubt.shaped(array.shape, possible))

    @classmethod
    def point(cls, array: Any) -> Balls:
        """Return exact numbers; NaN has no value, an infinity is itself."""
        array = np.asarray(array)
        arb = flint().arb
        found = objects([arb(value) for value in array.ravel().tolist()], array.shape)
        if array.dtype.kind != "f":
            return cls(found)
        return cls(found, Doubt(np.isnan(array), np.isinf(array)))

    @classmethod
    def between(cls, lower: Any, upper: Any, doubt: Doubt = NONE) -> Balls:
        """Return balls that contain all numbers between float64 ends."""
        return cls(each(between, np.asarray(lower, float), np.asarray(upper, float)), doubt)

    @classmethod
    def whole(cls, shape: tuple[int, ...], doubt: Doubt = NONE) -> Balls:
        """Return all real numbers, a new object each time."""
        return cls(objects([real_line() for _ in range(int(np.prod(shape)))], shape), doubt)

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Float64 ends, rounded outward."""
        lower, upper = floats(self.array.ravel())
        return lower.reshape(self.shape), upper.reshape(self.shape)

    def map(self, move: Callable[[Array], Any]) -> Balls:
        """Return the elements moved by a function of arrays."""
        return combined(move, self)

    def contains(self, other: Any) -> bool:
        """Whether each ball contains the number at its place."""
        return all(x.contains(y) for x, y in np.broadcast(self.array, lifted(other).array))

    def __str__(self) -> str:
        return str(self.array.item()) if not self.ndim else str(self.array.tolist())

    __repr__ = __str__

    # --- arithmetic ---

    def __add__(self, other: Any) -> Balls:
        other = lifted(other)
        found = self.array + other.array
        return Balls(np.asarray(found, object), self.doubt | other.doubt | Doubt(_not_a_number(found, self, other)))

    def __sub__(self, other: Any) -> Balls:
        other = lifted(other)
        if other is self:
            lost = Doubt(either(self.doubt.undefined, self.doubt.infinite), None, self.doubt.place)
            return Balls(Balls.point(np.zeros(self.shape)).array, lost)
        return self + (-other)

    def __neg__(self) -> Balls:
        return Balls(np.asarray(-self.array, object), self.doubt)

    def __mul__(self, other: Any) -> Balls:
        other = lifted(other)
        if other is self:
            return integer_power(self, 2)
        found = self.array * other.array
        lost = either(both(self.doubt.infinite, _zero(other)), both(other.doubt.infinite, _zero(self)))
        return Balls(np.asarray(found, object), self.doubt | other.doubt | Doubt(lost))

    def __truediv__(self, other: Any) -> Balls:
        other = lifted(other)
        if other is self:
            lost = either(self.doubt.undefined, self.doubt.infinite, _zero(self))
            return Balls(Balls.point(np.ones(self.shape)).array, Doubt(lost, None, self.doubt.place))
        lost = either(_zero(other), both(self.doubt.infinite, other.doubt.infinite), other.doubt.undefined)
        nan = flint().arb.nan()
        found = each(lambda x, y: nan if y.contains(0) else x / y, self.array, other.array)
        place = self.doubt.place if self.doubt.place is not None else other.doubt.place
        return Balls(found, Doubt(either(self.doubt.undefined, lost), self.doubt.infinite, place))

    def __radd__(self, other: Any) -> Balls:
        return lifted(other) + self

    def __rsub__(self, other: Any) -> Balls:
        return lifted(other) - self

    def __rmul__(self, other: Any) -> Balls:
        return lifted(other) * self

    def __rtruediv__(self, other: Any) -> Balls:
        return lifted(other) / self

    def __abs__(self) -> Balls:
        return Balls(each(abs, self.array), self.doubt)

    def maximum(self, other: Balls) -> Balls:
        """Return the larger number."""
        return Balls(each(lambda x, y: x.max(y), self.array, other.array), self.doubt | other.doubt)

    def minimum(self, other: Balls) -> Balls:
        """Return the smaller number."""
        return Balls(each(lambda x, y: x.min(y), self.array, other.array), self.doubt | other.doubt)

    def hull(self, other: Balls) -> Balls:
        """Return a ball about both."""
        joined = each(lambda x, y: x if x is y else x.union(y), self.array, other.array)
        return Balls(joined, self.doubt | other.doubt)

    def sum(self, axis: int) -> Balls:
        """Return the sum along an axis."""
        zero = flint().arb(0)
        rows = np.moveaxis(self.array, axis, -1)
        lead = rows.shape[:-1]
        found = objects([sum(row, zero) for row in rows.reshape((int(np.prod(lead)), rows.shape[-1]))], lead)
        doubt = moved([self.doubt], [self.shape], lambda mask: np.any(mask, axis))
        lost = None if doubt.infinite is None else doubt.infinite & marked(lambda x: x.is_nan(), found)
        return Balls(found, doubt | Doubt(lost))


def lifted(x: Any) -> Balls:
    """Return an enclosure as it is, numbers as exact balls."""
    return x if isinstance(x, Balls) else Balls.point(x)


def integer_power(x: Balls, n: int) -> Balls:
    """Return x^n; an even power is not negative, and a negative power has a pole at 0."""
    from qed.facts.balls import integer_pow

    lost = _zero(x) if n < 0 else None
    doubt = Doubt(either(x.doubt.undefined, lost), x.doubt.infinite if n > 0 else None, x.doubt.place)
    return Balls(each(lambda ball: integer_pow(ball, n), x.array), doubt)


def _zero(x: Balls) -> Array:
    return marked(lambda ball: ball.contains(0), x.array)


def _not_a_number(found: Any, x: Balls, y: Balls) -> Array | None:
    """Where infinity minus infinity may be written."""
    infinite = both(x.doubt.infinite, y.doubt.infinite)
    return None if infinite is None else infinite & marked(lambda ball: not ball.is_finite(), np.asarray(found, object))


def outward(ball: Any, least: float) -> tuple[float, float]:
    """The ends of a ball, rounded outward to float64 with an ulp to spare."""
    lower, upper = (float(end) for end in (ball.lower(), ball.upper()))
    if ball.is_exact() and ball == 0:
        return 0.0, 0.0
    for _ in range(2):
        lower, upper = np.nextafter(lower, -np.inf), np.nextafter(upper, np.inf)
    return max(float(lower), least), float(upper)
