"""Intervals whose ends are numbers of python-flint: what float64 intervals found, computed again by other code.

A ball's radius has 30 bits, so that a ball cannot say "between 0 and 1" sharply; here each value has two exact ends,
and every operation is done in balls at the ends and rounded outward at the precision in force. The range of a
function is found by halving: a piece on which nothing turns is bounded by its ends, the last pieces about a turn are
taken as balls and cut to the card's range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from qed import facts
from qed.domains.balls import each, marked, objects
from qed.domains.doubt import NONE, Doubt, both, either, moved
from qed.domains.enclosing import Enclosing
from qed.domains.ends import floats
from qed.domains.hull import STEPS, poles_meet
from qed.domains.intervals import combined
from qed.domains.precision import flint, precision
from qed.graph.graph import Atom, Equation
from qed.graph.walk import Context

Array = np.ndarray
Pair = tuple[Any, Any]
DEPTH = 12
"""How often an interval about a turn is halved."""
NARROW = 2.0**-40
"""Pieces so narrow are not halved, and numbers so narrow multiplied as balls: of them a ball is as good."""
MANY = 2000
"""From so many products of numbers on matrices are multiplied as matrices."""


def _pair(lower: Any, upper: Any) -> Pair:
    """Exact ends of an enclosure, from enclosures of its ends; NaN is no bound."""
    arb = flint().arb
    low = arb.neg_inf() if lower.is_nan() else lower if lower.is_exact() else lower.lower()
    high = arb.pos_inf() if upper.is_nan() else upper if upper.is_exact() else upper.upper()
    low = low if low.is_finite() or low.is_exact() else arb.neg_inf()
    high = high if high.is_finite() or high.is_exact() else arb.pos_inf()
    return low, high


def _least(items: Sequence[Any]) -> Any:
    best = items[0]
    for item in items[1:]:
        best = item if item < best else best
    return best


def _hull(pairs: Sequence[Pair]) -> Pair:
    return _least([low for low, _ in pairs]), -_least([-high for _, high in pairs])


def _times(a: Any, b: Any) -> Any:
    return flint().arb(0) if a.is_zero() or b.is_zero() else a * b


def _product(a: Pair, b: Pair) -> Pair:
    return _hull([_pair(p, p) for x in a for y in b for p in (_times(x, y),)])


def _quotient(a: Pair, b: Pair) -> Pair:
    arb = flint().arb
    if b[0] <= 0 and b[1] >= 0:
        return arb.neg_inf(), arb.pos_inf()
    corners = [x / y for x in a for y in b if x.is_finite() or y.is_finite()]
    return _hull([_pair(q, q) for q in corners]) if corners else (arb.neg_inf(), arb.pos_inf())


def _remainder(a: Pair, b: Pair) -> Pair:
    """The remainder with the sign of a; where the whole part of a/b is decided, a - b times it."""
    arb = flint().arb
    low, high = _quotient(a, b)
    if low.is_finite() and high.is_finite():
        first, last = (q.floor() if q >= 0 else q.ceil() for q in (low, high))
        if first.is_exact() and last.is_exact() and first == last:
            product = _product(b, (first, first))
            return _pair(a[0] - product[1], a[1] - product[0])
    size = _least([max(-a[0], a[1]), max(-b[0], b[1])])
    return (-size if a[0] < 0 else arb(0)), (size if a[1] > 0 else arb(0))


@dataclass(frozen=True, eq=False)
class Ends:
    """An array of intervals with exact ends in python-flint."""

    lower: Array
    upper: Array
    doubt: Doubt = NONE

    __array_ufunc__: ClassVar[None] = None

    def __post_init__(self) -> None:
        arb = flint().arb
        for name in ("lower", "upper"):
            array = each(lambda x: x if isinstance(x, arb) else arb(x), np.asarray(getattr(self, name), object))
            object.__setattr__(self, name, array)
        if self.doubt:
            open_ends = marked(lambda a, b: not (a.is_finite() and b.is_finite()), self.lower, self.upper)
            object.__setattr__(self, "doubt", self.doubt.shaped(self.shape, open_ends))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.lower.shape

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return self.lower.ndim

    @property
    def parts(self) -> tuple[Array, ...]:
        """The arrays that it is made of."""
        return (self.lower, self.upper)

    @classmethod
    def of(cls, parts: tuple[Array, ...], doubt: Doubt = NONE) -> Ends:
        """Return the enclosure made of `parts`."""
        return cls(parts[0], parts[1], doubt)

    @classmethod
    def paired(cls, pairs: Array, doubt: Doubt = NONE) -> Ends:
        """Return the enclosure made of an array of pairs."""
        items = list(pairs.ravel())
        lower, upper = (objects([pair[i] for pair in items], pairs.shape) for i in (0, 1))
        return cls(lower, upper, doubt)

    @classmethod
    def point(cls, array: Any) -> Ends:
        """Return exact numbers; NaN has no value, an infinity is itself."""
        array = np.asarray(array)
        x = array.astype(float) if array.dtype.kind == "b" else array
        nan = np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool)
        lower = np.where(nan, -np.inf, x) if x.dtype.kind == "f" else x
        upper = np.where(nan, np.inf, x) if x.dtype.kind == "f" else x
        arb = flint().arb
        ends = [objects([arb(v) for v in end.ravel().tolist()], x.shape) for end in (lower, upper)]
        return cls(ends[0], ends[1], Doubt(nan, np.isinf(x)) if x.dtype.kind == "f" else NONE)

    @classmethod
    def between(cls, lower: Any, upper: Any, doubt: Doubt = NONE) -> Ends:
        """Return all numbers between float64 ends."""
        arb = flint().arb
        ends = [each(lambda v: arb(float(v)), np.asarray(end, float)) for end in (lower, upper)]
        return cls(ends[0], ends[1], doubt)

    @property
    def pairs(self) -> Array:
        """The intervals as an array of pairs."""
        return each(lambda a, b: (a, b), self.lower, self.upper)

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Float64 ends, rounded outward."""
        return floats(self.lower.ravel())[0].reshape(self.shape), floats(self.upper.ravel())[1].reshape(self.shape)

    def map(self, move: Callable[[Array], Any]) -> Ends:
        """Return the elements moved by a function of arrays."""
        return combined(move, self)

    def hull(self, other: Ends) -> Ends:
        """Return the smallest enclosure of both."""
        return Ends.paired(each(lambda a, b: _hull([a, b]), self.pairs, other.pairs), self.doubt | other.doubt)

    def sum(self, axis: int) -> Ends:
        """Return the sum along an axis."""
        zero = flint().arb(0)
        ends = []
        for array, side in ((self.lower, 0), (self.upper, 1)):
            rows = np.moveaxis(array, axis, -1)
            lead = rows.shape[:-1]
            sums = [sum(row, zero) for row in rows.reshape((int(np.prod(lead)), rows.shape[-1]))]
            ends.append(objects([_pair(total, total)[side] for total in sums], lead))
        doubt = moved([self.doubt], [self.shape], lambda mask: np.any(mask, axis))
        return Ends(ends[0], ends[1], doubt | Doubt(doubt.infinite))


class BallEnds(Enclosing):
    """Enclosures with ends of a number of bits."""

    name = "ball ends"
    numbers: ClassVar[type] = Ends
    gaps: ClassVar[frozenset[str]] = Enclosing.gaps | {
        *"atan2 igamma igammac polygamma regularized_incomplete_beta zeta".split()
    }

    def __init__(self, bits: int = 120) -> None:
        super().__init__()
        self.bits = bits

    def constant(self, atom: Atom, array: Any) -> Any:
        """Exact numbers; an enclosure is taken as a new value."""
        with precision(self.bits):
            return super().constant(atom, array)

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The enclosures of an equation's outputs."""
        with precision(self.bits):
            return super().apply(equation, inputs, context)

    def join(self, first: Any, second: Any) -> Any:
        """What holds in either branch."""
        with precision(self.bits):
            return super().join(first, second)

    def pi(self) -> Ends:
        """Pi."""
        pi = flint().arb.pi()
        return Ends(objects([pi.lower()], ()), objects([pi.upper()], ()))

    def image(self, card: facts.Card, x: Ends) -> Ends:
        """The range of a card's function."""
        whole = _range(card)
        results = each(lambda pair: _image(card, pair, whole), x.pairs)
        found = each(lambda result: (result[0], result[1]), results) if results.size else results
        lost = each(lambda result: result[2], results).astype(bool)
        infinite = x.doubt.infinite
        if infinite is not None:
            left, right = (end is None for end in card.limits)
            low = marked(lambda a: not a.is_finite() and (left or not card.domain.lower.infinite), x.lower)
            high = marked(lambda b: not b.is_finite() and (right or not card.domain.upper.infinite), x.upper)
            lost = lost | (infinite & (low | high))
        return Ends.paired(found, x.doubt | Doubt(lost))

    def combine(self, name: str, xs: Sequence[Ends]) -> Ends | None:
        """Operations of several numbers."""
        if name == "clamp":
            least, x, greatest = xs
            return _elementwise("min", _elementwise("max", x, least), greatest)
        if name == "pow":
            return self.power(*xs)
        return _elementwise(name, *xs) if name in _PAIRS else None

    def power(self, x: Ends, y: Ends) -> Ends | None:
        """A constant power; of a positive number also a power that varies."""
        exponents = {float(e) for e in y.lower.ravel()}
        if not y.doubt and len(exponents) == 1 and all(a == b for a, b in zip(y.lower.flat, y.upper.flat, strict=True)):
            exponent = exponents.pop()
            card = facts.card("power", exponent=exponent) if np.isfinite(exponent) else None
            return None if card is None else self.image(card, x)
        log, exp = facts.card("log"), facts.card("exp")
        assert log is not None
        assert exp is not None
        if not all(a > 0 for a in x.lower.ravel()):
            return None
        return self.image(exp, _elementwise("mul", y, self.image(log, x)))

    def certain(self, name: str, x: Ends, y: Ends) -> tuple[Any, Any]:
        """Comparisons of intervals."""
        below = marked(lambda a, b: a < b, x.upper, y.lower)
        above = marked(lambda a, b: a > b, x.lower, y.upper)
        not_above = marked(lambda a, b: a <= b, x.upper, y.lower)
        not_below = marked(lambda a, b: a >= b, x.lower, y.upper)
        same = marked(lambda a, b, c, d: a == b and c == d and a == c, x.lower, x.upper, y.lower, y.upper)
        answers = {
            "lt": (below, not_below),
            "le": (not_above, above),
            "gt": (above, not_above),
            "ge": (not_below, below),
        }
        return (answers | {"eq": (same, below | above), "ne": (below | above, same)})[name]

    def contract(self, x: Ends, y: Ends) -> Ends:
        """Products of stacks of matrices; large ones of narrow numbers in matrices of balls."""
        found = _of_narrow(x, y)
        if found is not None:
            return found
        wide_x = x.map(lambda a: a[..., :, None, :])
        wide_y = y.map(lambda a: np.swapaxes(a, -1, -2)[..., None, :, :])
        return _elementwise("mul", wide_x, wide_y).sum(-1)


_PAIRS: Mapping[str, Callable[[Pair, Pair], Pair]] = {
    "add": lambda a, b: _pair(a[0] + b[0], a[1] + b[1]),
    "div": _quotient,
    "max": lambda a, b: (-_least([-a[0], -b[0]]), -_least([-a[1], -b[1]])),
    "min": lambda a, b: (_least([a[0], b[0]]), _least([a[1], b[1]])),
    "mul": _product,
    "rem": _remainder,
    "sub": lambda a, b: _pair(a[0] - b[1], a[1] - b[0]),
}


def _elementwise(name: str, x: Ends, y: Ends) -> Ends:
    """An operation of two enclosures; of one object with itself as of one number."""
    zero_y = marked(lambda a, b: a <= 0 and b >= 0, y.lower, y.upper)
    infinite = both(x.doubt.infinite, y.doubt.infinite)
    lost = infinite if name in ("add", "sub", "div", "rem") else None
    if name == "mul":
        zero_x = marked(lambda a, b: a <= 0 and b >= 0, x.lower, x.upper)
        lost = either(both(x.doubt.infinite, zero_y), both(y.doubt.infinite, zero_x))
    if name in ("div", "rem"):
        lost = either(lost, zero_y, x.doubt.infinite if name == "rem" else None)
    doubt = x.doubt | y.doubt | Doubt(lost)
    arb = flint().arb
    if x is y and name in ("sub", "div"):
        value = arb(0) if name == "sub" else arb(1)
        return Ends.paired(each(lambda pair: (value, value), x.pairs), Doubt(either(doubt.undefined, x.doubt.infinite)))
    if x is y and name == "mul":
        card = facts.card("integer_pow", y=2)
        assert card is not None
        whole = _range(card)
        return Ends.paired(each(lambda pair: _image(card, pair, whole)[:2], x.pairs), doubt)
    return Ends.paired(each(_PAIRS[name], x.pairs, y.pairs), doubt)


def _of_narrow(x: Ends, y: Ends) -> Ends | None:
    """x y in matrices of balls, if it is not small and all numbers are narrow.

    (m +- r)(n +- s) has the radius |m| s + |n| r + r s, of which the last is at most NARROW of the others.

    >>> with precision(100):
    ...     x = Ends.between(np.full((40, 30), 0.25), np.full((40, 30), 0.25 + 2.0**-52))
    ...     found = _of_narrow(x, Ends.point(np.full((30, 2), 3.0)))
    ...     found.shape, bool(found.lower[0, 0] <= 22.5), bool(22.5 + 80 * 2.0**-52 < found.upper[39, 1] < 22.5 + 1e-13)
    ((40, 2), True, True)
    >>> _of_narrow(Ends.between(np.zeros((40, 30)), np.ones((40, 30))), x) is None
    True
    """
    rows, inner, columns = *x.shape[-2:], y.shape[-1]
    lead = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    if int(np.prod(lead)) * rows * inner * columns < MANY or x.doubt or y.doubt:
        return None
    stacks = []
    for value in (x, y):
        balls = each(_narrow, value.lower, value.upper)
        if any(ball is None for ball in balls.ravel()):
            return None
        stacks.append(
            np.broadcast_to(balls, (*lead, *balls.shape[-2:])).reshape((-1, balls.shape[-2] * balls.shape[-1]))
        )
    mat = flint().arb_mat
    products = [mat(rows, inner, list(a)) * mat(inner, columns, list(b)) for a, b in zip(*stacks, strict=True)]
    pairs = objects([_pair(ball, ball) for product in products for ball in product.entries()], (*lead, rows, columns))
    return Ends.paired(pairs)


def _narrow(low: Any, high: Any) -> Any:
    """A ball about an interval, or None where it is wide."""
    if low is high or low == high:
        return low if low.is_finite() else None
    narrow = low.is_finite() and high.is_finite() and high - low <= NARROW * max(abs(low), abs(high))
    return low.union(high) if narrow else None


# --- ranges ----------------------------------------------------------------------------------------------------


def _image(card: facts.Card, pair: Pair, whole: Pair) -> tuple[Any, Any, bool]:
    """The range of a card's function on one interval, within that on its domain, and whether it may be undefined."""
    arb = flint().arb
    low, high = pair
    if card.name == "neg":
        return -high, -low, False
    first, last = card.domain.lower, card.domain.upper
    lost = not (first.infinite or low > first.value or (card.domain.lower_closed and low >= first.value))
    lost |= not (last.infinite or high < last.value or (card.domain.upper_closed and high <= last.value))
    if card.poles and poles_meet(card, floats([low])[0], floats([high])[1])[0]:
        return arb.neg_inf(), arb.pos_inf(), True
    if (not last.infinite and low > last.value) or (not first.infinite and high < first.value):
        return arb.neg_inf(), arb.pos_inf(), True
    low = arb(first.value) if not first.infinite and low < first.value else low
    high = arb(last.value) if not last.infinite and high > last.value else high
    least, greatest = whole
    found = _bounded(card, low, high) if low.is_finite() and high.is_finite() else _unbounded(card, low, high)
    return -_least([-found[0], -least]), _least([found[1], greatest]), lost


def _range(card: facts.Card) -> Pair:
    """The card's range, where it is stated for the whole domain."""
    arb = flint().arb
    if (str(card.shape_on.lower), str(card.shape_on.upper)) != (str(card.domain.lower), str(card.domain.upper)):
        return arb.neg_inf(), arb.pos_inf()
    return arb(card.range.lower.lower), arb(card.range.upper.upper)


def _at(card: facts.Card, x: Any) -> Pair:
    """Bounds of the value at an exact number, or of the limit at an open end."""
    arb = flint().arb
    for end, closed, limit in (
        (card.domain.lower, card.domain.lower_closed, card.limits[0]),
        (card.domain.upper, card.domain.upper_closed, card.limits[1]),
    ):
        if limit is not None and not closed and not end.infinite and x == end.value:
            return arb(limit.lower), arb(limit.upper)
    value = card.ball(x)
    return _pair(value, value)


def _bounded(card: facts.Card, low: Any, high: Any) -> Pair:
    if low == high or card.name in STEPS:
        return _hull([_at(card, low), _at(card, high)])
    first, last = card.shape_on.lower, card.shape_on.upper
    if not ((first.infinite or low >= first.value) and (last.infinite or high <= last.value)):
        value = card.ball(low.union(high))
        return _pair(value, value)
    if card.period is not None and not high - low < 2 * flint().arb(card.period.upper):
        return _range(card)
    return _hull(_pieces(card, replace(card, poles=card.turns), low, high, DEPTH))


def _pieces(card: facts.Card, turning: facts.Card, low: Any, high: Any, depth: int) -> list[Pair]:
    """The ends of pieces without a turn, and the balls of the last pieces with one."""
    if not poles_meet(turning, floats([low])[0], floats([high])[1])[0]:
        return [_at(card, low), _at(card, high)]
    if not depth or high - low < NARROW:
        value = card.ball(low.union(high))
        return [_pair(value, value)]
    middle = ((low + high) / 2).mid()
    return [
        *_pieces(card, turning, low, middle, depth - 1),
        *_pieces(card, turning, middle, high, depth - 1),
    ]


def _unbounded(card: facts.Card, low: Any, high: Any) -> Pair:
    """On an unbounded interval: by the limits where nothing turns, else the card's range."""
    plain = not (card.poles or card.jumps) and None not in card.limits
    if plain and card.turns:
        plain = not poles_meet(replace(card, poles=card.turns), floats([low])[0], floats([high])[1])[0]
    if not (plain or card.name in STEPS):
        return _range(card)
    arb = flint().arb
    ends = []
    for x in (low, high):
        if x.is_finite():
            ends.append(_at(card, x))
        else:
            side = card.limits[0] if x < 0 else card.limits[1]
            assert side is not None
            ends.append((arb(side.lower), arb(side.upper)))
    return _hull(ends)
