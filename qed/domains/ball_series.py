"""Power series whose coefficients are balls: python-flint's own Taylor arithmetic, walked over a graph.

Along the segment x(t) = x_0 + t d each value of the program is a function of t. With the ball of a piece [a, b] of
the segment for the leading coefficient, coefficient k of the series encloses f^(k)(t) / k! for all t in the piece; at
a point it is the Taylor coefficient itself. This is how a certificate of a Taylor remainder is verified: by
`flint.arb_series`, that no other part of qed's series uses.

A value that may not be smooth on the piece (a kink, a jump, an undecided branch or order) is marked undefined, and so
is everything computed from it. Two pieces that meet decide a comparison alike where they meet, so that a function
that is smooth on each piece is smooth on the segment; for that, maxima and absolute values are decided strictly.

Reference: Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic", IEEE Transactions on
Computers 66 (2017), section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, ClassVar, final

import numpy as np

from qed import facts
from qed.domains.ball import inside
from qed.domains.ball_ends import Ends
from qed.domains.ball_functions import rule_of
from qed.domains.balls import Elements, between, each, marked, objects
from qed.domains.doubt import NONE, Doubt, either, moved
from qed.domains.enclosing import Enclosing
from qed.domains.ends import floats
from qed.domains.hull import poles_meet
from qed.domains.intervals import combined
from qed.domains.precision import flint, precision
from qed.graph.graph import Atom, Equation
from qed.graph.walk import Context

Array = np.ndarray
Closer = Callable[[Context, Sequence[Any]], Sequence[Any]]
MANY = 2000
"""From so many products of numbers on matrices of balls are multiplied as matrices."""


@dataclass(frozen=True, eq=False)
class SeriesOfBalls(Elements):
    """An array of `flint.arb_series`; undefined elements are those that may not be smooth."""

    def __post_init__(self) -> None:
        series = flint().arb_series
        if isinstance(self.array, series):  # an element; NumPy would take it for the list of its coefficients
            object.__setattr__(self, "array", objects([self.array], ()))
        array = np.asarray(self.array, object)
        if not all([isinstance(x, series) for x in array.ravel()]):
            array = each(lambda x: x if isinstance(x, series) else series([x]), array)
        places = [i for i, x in enumerate(array.ravel()) for c in x.coeffs() if c.is_nan()]
        lost = np.zeros(array.shape, bool)
        lost.reshape(-1)[places] = True
        doubt = self.doubt | Doubt(lost if places else None)
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "doubt", doubt.shaped(array.shape, np.ones(array.shape, bool)))

    @property
    def leading(self) -> Array:
        """The balls of the values."""
        return each(lambda x: x[0], self.array)

    def coefficient(self, k: int) -> Array:
        """The balls of the coefficients of t^k."""
        return each(lambda x: x[k], self.array)

    @classmethod
    def point(cls, array: Any) -> SeriesOfBalls:
        """Return constants; NaN and infinities are not smooth, but infinities can be compared with."""
        array = np.asarray(array)
        arb = flint().arb
        found = objects([arb(value) for value in array.ravel().tolist()], array.shape)
        return cls(found, Doubt(np.isnan(array), np.isinf(array)) if array.dtype.kind == "f" else NONE)

    @classmethod
    def between(cls, lower: Any, upper: Any, doubt: Doubt = NONE) -> SeriesOfBalls:
        """Return constants where both ends are one number; elsewhere what is not smooth."""
        lower, upper = np.asarray(lower, float), np.asarray(upper, float)
        found = each(lambda a, b: between(float(a), float(b)), lower, upper)
        return cls(found, doubt | Doubt(np.asarray(lower != upper)))

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Float64 ends of the values."""
        lower, upper = floats(self.leading.ravel())
        return lower.reshape(self.shape), upper.reshape(self.shape)

    def map(self, move: Callable[[Array], Any]) -> SeriesOfBalls:
        """Return the elements moved by a function of arrays."""
        return combined(move, self)

    def lost(self, where: Any = True) -> SeriesOfBalls:
        """Return the same marked as not smooth."""
        return replace(self, doubt=self.doubt | Doubt(np.broadcast_to(where, self.shape)))

    def hull(self, other: SeriesOfBalls) -> SeriesOfBalls:
        """Return what either may be: not smooth, unless both are one."""
        if other is self:
            return self
        values = each(lambda x, y: x[0].union(y[0]), self.array, other.array)
        return SeriesOfBalls(values, self.doubt | other.doubt).lost()

    def sum(self, axis: int) -> SeriesOfBalls:
        """Return the sum along an axis."""
        zero = flint().arb_series([0])
        rows = np.moveaxis(self.array, axis, -1)
        lead = rows.shape[:-1]
        found = objects([sum(row, zero) for row in rows.reshape((int(np.prod(lead)), rows.shape[-1]))], lead)
        return SeriesOfBalls(found, moved([self.doubt], [self.shape], lambda mask: np.any(mask, axis)))


@final
class BallSeries(Enclosing):
    """Series of balls in t, up to the power `order`.

    Args:
        order: the highest power of t.
        bits: the precision.
        batch: how many axes stand in front of those of each array.
        closer: what makes the outputs of an equation narrower, by its context and the outputs.
    """

    name = "ball series"
    numbers: ClassVar[type] = SeriesOfBalls
    gaps: ClassVar[frozenset[str]] = Enclosing.gaps | {
        *"igamma igammac polygamma regularized_incomplete_beta zeta atan2 erf_inv".split()
    }

    def __init__(self, order: int, bits: int = 200, batch: int = 0, closer: Closer | None = None) -> None:
        super().__init__(batch)
        self.order = order
        self.bits = bits
        self.closer = closer

    def constant(self, atom: Atom, array: Any) -> Any:
        """Constants; a series is taken as a new value."""
        with precision(self.bits, self.order + 1):
            return super().constant(atom, array)

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The series of an equation's outputs."""
        with precision(self.bits, self.order + 1):
            found = super().apply(equation, inputs, context)
            bounds = context.others.get("ball ends:out", ())
            found = [self.within(value, known) for value, known in zip_longest(found, bounds[: len(found)])]
            return found if self.closer is None else self.closer(context, found)

    def within(self, value: Any, known: Any) -> Any:
        """The series with its leading coefficient kept within bounds that another domain carries, if there are any."""
        if not isinstance(value, SeriesOfBalls) or not isinstance(known, Ends) or value.doubt or known.doubt:
            return value
        shape = value.shape[value.ndim - known.ndim :]
        return replace(value, array=each(_cut, value.array, np.broadcast_to(known.pairs, shape)))

    def join(self, first: Any, second: Any) -> Any:
        """What either branch may give."""
        with precision(self.bits, self.order + 1):
            return super().join(first, second)

    def segment(self, start: Any, direction: Any, lower: float, upper: float) -> SeriesOfBalls:
        """Return start + t direction about all t in [lower, upper]: exact float64 arrays of one shape."""
        with precision(self.bits, self.order + 1) as library:
            t = between(lower, upper)

            def line(x: Any, d: Any) -> Any:
                x, d = library.arb(float(x)), library.arb(float(d))
                return library.arb_series([x + t * d, d])

            return SeriesOfBalls(each(line, np.asarray(start, float), np.asarray(direction, float)))

    # --- numbers ---

    def pi(self) -> SeriesOfBalls:
        """Pi."""
        return SeriesOfBalls(objects([flint().arb.pi()], ()))

    def image(self, card: facts.Card, x: SeriesOfBalls) -> SeriesOfBalls:
        """The card's function of a series, where it is smooth."""
        rule = rule_of(card)
        leading = x.leading
        bad = ~marked(lambda ball: ball.is_finite() and inside(card, ball), leading) | self.rough(card, leading)
        if rule is None:
            return SeriesOfBalls(leading).lost()
        series = flint().arb_series
        found = each(lambda s, out: series([flint().arb.nan()]) if out else rule(s), x.array, bad)
        return SeriesOfBalls(found, replace(x.doubt, infinite=None)).lost(bad)

    def rough(self, card: facts.Card, leading: Array) -> Array:
        """Where a ball may hold a kink or a jump, or reach the end of the domain."""
        if not (card.kinks or card.jumps) and card.domain.lower.infinite and card.domain.upper.infinite:
            return np.zeros(leading.shape, bool)
        lower, upper = (end.reshape(leading.shape) for end in floats(leading.ravel()))
        found = np.zeros(leading.shape, bool)
        for points in (card.kinks, card.jumps):
            found |= poles_meet(replace(card, poles=points), lower, upper)
        for end in (card.domain.lower, card.domain.upper):
            found |= (lower <= end.value) & (upper >= end.value) & (not end.infinite)
        return found

    def combine(self, name: str, xs: Sequence[SeriesOfBalls]) -> SeriesOfBalls | None:
        """Operations of several series."""
        if name == "clamp":
            least, x, greatest = xs
            inner = self.combine("max", [x, least])
            return None if inner is None else self.combine("min", [inner, greatest])
        if name == "pow":
            return self.power(*xs)
        if name in ("max", "min"):
            return self.larger(name == "max", *xs)
        if name == "rem":
            return self.remainder(*xs)
        rule = _OPERATORS.get(name)
        if rule is None:
            return None
        x, y = xs
        bad: Any = marked(lambda s: s[0].contains(0), y.array) if name == "div" else False
        for value in (x, y):
            bad = bad | (False if value.doubt.infinite is None else value.doubt.infinite)
        nan = flint().arb_series([flint().arb.nan()])
        bad = np.broadcast_to(bad, np.broadcast_shapes(x.shape, y.shape))
        found = each(lambda a, b, out: nan if out else rule(a, b), x.array, y.array, bad)
        lost = either(x.doubt.undefined, y.doubt.undefined)
        place = x.doubt.place if x.doubt.place is not None else y.doubt.place
        return SeriesOfBalls(found, Doubt(lost, None, place)).lost(bad)

    def larger(self, largest: bool, x: SeriesOfBalls, y: SeriesOfBalls) -> SeriesOfBalls:
        """The larger or smaller of two, where it is strictly decided which."""
        if x is y:
            return x
        less, more = (
            marked(lambda a, b: a[0] < b[0], x.array, y.array),
            marked(lambda a, b: a[0] > b[0], x.array, y.array),
        )
        return self.chosen(less, more, x, y) if largest else self.chosen(more, less, x, y)

    def remainder(self, x: SeriesOfBalls, y: SeriesOfBalls) -> SeriesOfBalls:
        """x - n y, where it is strictly decided which whole number n the quotient x / y has before its point."""
        wholes = each(_before_the_point, x.array, y.array)
        bad: Any = marked(lambda n: n.is_nan(), wholes)
        for value in (x, y):
            bad = bad | (False if value.doubt.infinite is None else value.doubt.infinite)
        found = each(lambda a, b, n: a - b * n, x.array, y.array, wholes)
        lost = either(x.doubt.undefined, y.doubt.undefined)
        place = x.doubt.place if x.doubt.place is not None else y.doubt.place
        return SeriesOfBalls(found, Doubt(lost, None, place)).lost(bad)

    def power(self, x: SeriesOfBalls, y: SeriesOfBalls) -> SeriesOfBalls | None:
        """A constant power; of a positive number also a power that moves, exp(y log x)."""
        exponents = {s[0] for s in y.array.ravel() if len(s.coeffs()) <= 1 and s[0].is_exact()}
        values = {float(e) for e in exponents}
        moves = any(len(s.coeffs()) > 1 or not s[0].is_exact() for s in y.array.ravel())
        if moves:
            return self.exponential(x, y)
        if y.doubt or len(values) != 1:
            return None
        card = facts.card("power", exponent=values.pop())
        assert card is not None
        return self.image(card, x)

    def exponential(self, x: SeriesOfBalls, y: SeriesOfBalls) -> SeriesOfBalls:
        """exp(y log x), where x is surely positive."""
        shape = np.broadcast_shapes(x.shape, y.shape)
        bad = np.broadcast_to(~marked(lambda s: s[0] > 0 and s[0].is_finite(), x.array), shape)
        for value in (x, y):
            bad = bad | (False if value.doubt.infinite is None else value.doubt.infinite)
        nan = flint().arb_series([flint().arb.nan()])
        found = each(lambda a, b, out: nan if out else (b * a.log()).exp(), x.array, y.array, bad)
        lost = either(x.doubt.undefined, y.doubt.undefined)
        place = x.doubt.place if x.doubt.place is not None else y.doubt.place
        return SeriesOfBalls(found, Doubt(lost, None, place)).lost(bad)

    def certain(self, name: str, x: SeriesOfBalls, y: SeriesOfBalls) -> tuple[Any, Any]:
        """Comparisons that hold for all t of the piece, or for none."""
        test, opposite = _COMPARISONS[name], _COMPARISONS[_OPPOSITE[name]]
        return marked(test, x.leading, y.leading), marked(opposite, x.leading, y.leading)

    def contract(self, x: SeriesOfBalls, y: SeriesOfBalls) -> SeriesOfBalls:
        """Products of stacks of matrices; large ones coefficient by coefficient, in matrices of balls."""
        found = _by_known(x, y, self.order)
        if found is None:
            across, along = (z.map(lambda a: np.swapaxes(a, -1, -2)) for z in (y, x))
            turned = _by_known(across, along, self.order)
            found = None if turned is None else turned.map(lambda a: np.swapaxes(a, -1, -2))
        found = _by_coefficients(x, y, self.order) if found is None else found
        if found is not None:
            return found
        wide_x = x.map(lambda a: a[..., :, None, :])
        wide_y = y.map(lambda a: np.swapaxes(a, -1, -2)[..., None, :, :])
        found = self.combine("mul", [wide_x, wide_y])
        assert found is not None
        return found.sum(-1)

    # --- what would forget that values move with t ---

    def statistics(self, row: Any) -> Any:
        """Order statistics of an undecided order are not smooth."""
        return row.lost()

    def anywhere(self, row: Any) -> Any:
        """Undecided elements are not smooth."""
        return row.lost()

    def anyone(self, x: Any, shape: tuple[int, ...]) -> Any:
        """An undecided element is not smooth."""
        return self.lift(np.zeros(shape)).lost()


def _by_known(x: SeriesOfBalls, y: SeriesOfBalls, order: int) -> SeriesOfBalls | None:
    """x y, if x is one matrix of exact numbers and the product is not small: its coefficients are x times those of y.

    >>> with precision(53, 2) as library:
    ...     x = SeriesOfBalls.point(np.arange(1200.0).reshape(1, 40, 30))
    ...     y = SeriesOfBalls(objects([library.arb_series([k, 1]) for k in range(60)], (2, 30, 1)))
    ...     found = _by_known(x, y, 1)
    ...     found.shape, found.array[1, 39, 0][0] == sum((1170 + k) * (30 + k) for k in range(30))
    ((2, 40, 1), True)
    """
    rows, inner = x.shape[-2:]
    if y.array.size * rows < MANY or x.array.size != rows * inner or x.doubt or y.doubt:
        return None
    if not all(len(s.coeffs()) <= 1 and s[0].is_exact() and s[0].is_finite() for s in x.array.ravel()):
        return None
    columns = np.moveaxis(y.array, -2, 0)
    flat, shape = columns.reshape(inner, -1), columns.shape[1:]
    library = flint()
    matrix = library.arb_mat(rows, inner, [s[0] for s in x.array.ravel()])
    parts = [
        (matrix * library.arb_mat(inner, flat.shape[1], [s[k] for s in flat.ravel()])).entries()
        for k in range(order + 1)
    ]
    found = objects([library.arb_series(list(c)) for c in zip(*parts, strict=True)], (rows, *shape))
    found = np.moveaxis(found, 0, -2)
    return SeriesOfBalls(found.reshape((*(1,) * (x.ndim - found.ndim), *found.shape)))


def _by_coefficients(x: SeriesOfBalls, y: SeriesOfBalls, order: int) -> SeriesOfBalls | None:
    """x y, if it is not small: its coefficient of t^k is the sum of x_i y_(k - i) in matrices of balls.

    >>> with precision(53, 3) as library:
    ...     x = SeriesOfBalls(objects([library.arb_series([k, 1]) for k in range(1200)], (40, 30)))
    ...     y = SeriesOfBalls(objects([library.arb_series([1, 0, k]) for k in range(60)], (30, 2)))
    ...     [float(_by_coefficients(x, y, 2).array[39, 1][k]) for k in range(3)]
    ...     [sum((1170 + k) * c for k, c in enumerate(range(1, 60, 2)))]
    [35535.0, 30.0, 1070545.0]
    [1070545]
    """
    rows, inner, columns = *x.shape[-2:], y.shape[-1]
    lead = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    if int(np.prod(lead)) * rows * inner * columns < MANY or x.doubt or y.doubt:
        return None
    library, stacks = flint(), []
    for value in (x, y):
        numbers = np.fromiter((s.coeffs() for s in value.array.ravel()), object)
        if not all(c.is_finite() for number in numbers for c in number):
            return None
        size = value.shape[-2:]
        flat = np.broadcast_to(numbers.reshape(value.shape), (*lead, *size)).reshape((-1, size[0] * size[1]))
        stacks.append([_matrices(library, row, size, order) for row in flat])
    found: list[Any] = []
    for left, right in zip(*stacks, strict=True):
        parts = [library.arb_mat(rows, columns)] * (order + 1)
        for i, j in np.ndindex(order + 1, order + 1):
            if i + j <= order and left[i] is not None and right[j] is not None:
                parts[i + j] = parts[i + j] + left[i] * right[j]
        found += [library.arb_series(list(c)) for c in zip(*(part.entries() for part in parts), strict=True)]
    return SeriesOfBalls(objects(found, (*lead, rows, columns)))


def _matrices(library: Any, numbers: Any, size: tuple[int, ...], order: int) -> list[Any]:
    """The matrices of the coefficients of 1, t, ..., t^order; None for a matrix of zeros."""
    zero = library.arb(0)
    return [
        library.arb_mat(*size, [c[k] if len(c) > k else zero for c in numbers])
        if any(len(c) > k for c in numbers)
        else None
        for k in range(order + 1)
    ]


def _before_the_point(x: Any, y: Any) -> Any:
    """x / y rounded towards 0, if that is one number on the whole piece; else NaN."""
    arb = flint().arb
    if y[0].contains(0) or not (x[0].is_finite() and y[0].is_finite()):
        return arb.nan()
    size = abs(x[0] / y[0])
    if size < 1:
        return arb(0)
    nearest = (size.mid() + 0.5).floor()
    still = all(len(s.coeffs()) <= 1 and s[0].is_exact() for s in (x, y))  # as floor(x) between two of its jumps
    if still and abs(x[0]) == nearest * abs(y[0]):
        low = nearest
    else:
        low, high = size.abs_lower().floor(), size.upper().floor()
        if not (low == high and low < size):
            return arb.nan()
    return low if x[0] / y[0] > 0 else -low


def _cut(series: Any, pair: tuple[Any, Any]) -> Any:
    """A series whose leading ball lies in an interval, if that is smaller."""
    low, high = pair
    if not (low.is_finite() and high.is_finite()):
        return series
    ball = low.union(high)
    if ball.rad() >= series[0].rad():
        return series
    return flint().arb_series([ball, *series.coeffs()[1:]])


_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "div": lambda x, y: x / y,
    "mul": lambda x, y: x * y,
    "sub": lambda x, y: x - y,
}
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
}
_OPPOSITE = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt", "eq": "ne", "ne": "eq"}
