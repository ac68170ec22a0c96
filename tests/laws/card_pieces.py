"""The real line as the checks of the cards see it: windows, pieces between special points, sample places, signs.

A window is a large bounded part of where a card states its shape. Its special points cut it into pieces. Within a piece
every place is `anchor +- t`, the anchor one of the piece's ends and t from tiny to half its length, so that subdivision
is geometric towards both ends: boxes shrink with the distance to a pole or a turn, and grow over decades to infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any

import flint

from qed.facts import BALLS, Card, Expression, Interval, Point
from qed.facts.expression import Constant

arb = flint.arb
NEAR = arb(2) ** -100
"""As near as the sampled checks go, and as exactly as they compare."""

HOLE_AT_ZERO = arb(2) ** -1080
HOLE = arb(2) ** -64
"""Around a special point the proofs leave out this much, which is less than the distance to the nearest other float64:
what is proved between special points is proved for every float64 there. Inside, signs are decided at points."""

HOLES = {"bessel_i1e": arb(2) ** -12}
HOLES_AT_ZERO = {"bessel_i1e": arb(2) ** -5}
"""Larger holes: its derived f'' is a difference of close terms. That at 0 is closed by hand in test_cards.py."""

WIDE = 1e300
WINDOWS = {
    **dict.fromkeys("abs acosh asinh atan cbrt log log1p log2 neg one_minus_square reciprocal rsqrt".split(), WIDE),
    **dict.fromkeys("integer_pow power sqrt square".split(), WIDE),
    "lgamma": 1e8,
    "tanh": 300.0,
    **dict.fromkeys("sin cos tan ceil floor round".split(), 7.0),
    **dict.fromkeys("bessel_i0e bessel_i1e".split(), 8.0),
    **dict.fromkeys("digamma psi".split(), 1e3),
    **dict.fromkeys("erf erfc".split(), 30.0),
}
"""How far out the proofs go: to 1e300 where no exponential makes a box of balls too wide, else to 745."""

PRECISION = {**dict.fromkeys("tanh logistic erf erfc cosh sinh expm1".split(), 1100)}


@dataclass(frozen=True)
class Place:
    """The real number anchor + direction*t, at whatever precision it is asked for; t is exact."""

    anchor: Point
    direction: int
    t: Any

    @property
    def x(self) -> Any:
        return ball(self.anchor) + self.direction * self.t

    @property
    def key(self) -> tuple[Any, ...]:
        return (str(self.anchor), self.direction, *(int(part) for part in self.t.man_exp()))

    def __str__(self) -> str:
        return f"x = {float(self.x.mid()):.17g}"


@dataclass(frozen=True)
class Piece:
    """What lies between two neighbouring special points, or ends of the window (`cut` says which end is special)."""

    left: Point
    right: Point
    left_cut: bool
    right_cut: bool

    @property
    def half(self) -> Any:
        """A little more than half the length, exact."""
        return (((ball(self.right) - ball(self.left)) / 2).mid() * (1 + arb(2) ** -20)).mid()

    @property
    def ends(self) -> tuple[tuple[Point, int, bool], tuple[Point, int, bool]]:
        return (self.left, 1, self.left_cut), (self.right, -1, self.right_cut)

    def places(self, exponents: tuple[int, ...] = (1, 2, 3, 5, 8, 13, 21, 34), *near: Any) -> Iterator[Place]:
        """Places half the piece's length times 2^-e from both ends, and `near`; if it is long, also 2^-24 ... 8."""
        steps = [(self.half * arb(2) ** -exponent).mid() for exponent in exponents] + [*near]
        steps += [arb(2) ** power for power in (-24, -3, 0, 3) if self.half > 2**40]
        for anchor, direction, _ in self.ends:
            yield from (Place(anchor, direction, step) for step in steps)

    def __str__(self) -> str:
        return f"({self.left}, {self.right})"


@lru_cache(maxsize=4096)
def _ball(point: Point, precision: int) -> Any:
    if point.infinite:
        return arb.pos_inf() if point.value > 0 else arb.neg_inf()
    return point.expression.evaluate(arithmetic=BALLS)


def ball(point: Point) -> Any:
    """A ball about the point at the current precision."""
    return _ball(point, flint.ctx.prec)


def exactly(value: float | Fraction) -> Point:
    return Point(Constant(Fraction(value)))


def window(card: Card, part: Interval, reach: float | None = None) -> tuple[Point, Point]:
    """The bounded part of an interval to look at: its finite ends, and the window's where it has none."""
    reach = reach or WINDOWS.get(card.name, 745.0)
    bottom = 3.5 if card.poles.lattice and card.poles.lattice.last is not None else reach
    low = exactly(-bottom) if part.lower.infinite else part.lower
    high = exactly(reach) if part.upper.infinite else part.upper
    return low, high


def special_points(card: Card, low: float, high: float, fields: str = "poles kinks jumps turns bends") -> list[Point]:
    """The card's special points strictly between two numbers, sorted, each once."""
    found: dict[str, Point] = {}
    for field in fields.split():
        for point in getattr(card, field).between(low, high):
            if low < point.value < high:
                found[str(point)] = point
    return sorted(found.values(), key=lambda point: point.value)


def pieces(card: Card, part: Interval | None = None, reach: float | None = None) -> list[Piece]:
    """The pieces of the window between all special points and 0, within `part` (where the shape is stated)."""
    part = part or card.shape_on
    low, high = window(card, part, reach)
    cuts = special_points(card, low.value, high.value)
    zero = [exactly(0)] if low.value < 0 < high.value and exactly(0) not in cuts else []
    marks = sorted([low, *cuts, *zero, high], key=lambda point: point.value)
    special = [not part.lower.infinite, *(mark in cuts for mark in marks[1:-1]), not part.upper.infinite]
    return [Piece(*ends, *cut) for ends, cut in zip(pairwise(marks), pairwise(special), strict=True)]


def places(card: Card, part: Interval | None = None) -> Iterator[Place]:
    """Sample places in every piece, log-spaced towards its ends."""
    for piece in pieces(card, part):
        yield from piece.places()


def landmarks(low: float, high: float) -> list[Point]:
    """Small integers, halves and multiples of pi/4: where a function is most likely to be special."""
    texts = [f"{k}/2" for k in range(-9, 10)] + [f"{k}*pi/4" for k in range(-6, 7) if k]
    return [point for point in map(Point.parse, texts) if low < point.value < high]


def at(expression: Expression, card: Card, x: Any) -> Any:
    """The enclosure of a formula in x and y = f(x) on the ball x."""
    y = card.ball(x) if "y" in expression.symbols else None
    return arb(0) + expression.evaluate(arithmetic=BALLS, x=x, y=y)


def finite(value: Any) -> bool:
    return value.is_finite()


def sign(value: Any) -> int | None:
    """The sign that a ball certainly has; None where it is not decided."""
    return 1 if value > 0 else -1 if value < 0 else 0 if value.is_zero() else None


def sign_at(expression: Expression, card: Card, place: Place) -> int | None:
    """The sign of a formula at a place, with as much precision as that takes (8192 bits at most)."""
    found = None
    for precision in (192, 1024, 8192):
        with flint.ctx.workprec(precision):
            found = sign(at(expression, card, place.x))
        if found is not None:
            return found
    return found


def signs_on(
    formula: Callable[[Any], Any], piece: Piece, holes: tuple[Any, Any] = (HOLE, HOLE_AT_ZERO), budget: int = 20000
) -> tuple[set[int], str]:
    """The signs of a formula on a whole piece, less a hole at each special end, proved box by box.

    Returns the signs met and "", or those met so far and where the proof failed. A formula without a finite value on a
    ball is not decided there; one that is None there is not asked for.
    """
    met: set[int] = set()
    for anchor, direction, cut in piece.ends:
        stack = _first_boxes(piece.half, holes[anchor.value == 0] if cut else None)
        while stack:
            t1, t2 = stack.pop()
            tiny = max(0, -int(t2.man_exp()[1]) - int(t2.man_exp()[0]).bit_length())
            with flint.ctx.workprec(flint.ctx.prec + 2 * tiny):
                value = formula(ball(anchor) + direction * t1.union(t2))
            if value is None:
                continue
            found = sign(value)
            if found is None:
                budget -= 1
                if budget < 0:
                    return met, f"undecided near {Place(anchor, direction, t1.mid())}"
                middle = ((t1 * t2).sqrt() if t1 > 0 and t2 > 2 * t1 else (t1 + t2) / 2).mid()
                stack += [(t1, middle), (middle, t2)]
                continue
            met.add(found)
            if len(met) > 1:
                return met, f"another sign near {Place(anchor, direction, t1.mid())}"
    return met, ""


def _first_boxes(half: Any, hole: Any | None) -> list[tuple[Any, Any]]:
    """[hole, 256 hole], [256 hole, 65536 hole], ... up to half; without a hole, [0, 2^-64] first."""
    low = arb(min(HOLE if hole is None else hole, half / 4).mid())
    boxes = [] if hole is not None else [(arb(0), low)]
    while low < half:
        high = min(low * 256, half)
        boxes.append((low, high))
        low = high
    return boxes


def holes_of(card: Card) -> tuple[Any, Any]:
    """What the proofs leave out about special points, and about 0."""
    return HOLES.get(card.name, HOLE), HOLES_AT_ZERO.get(card.name, HOLE_AT_ZERO)


def precision_of(card: Card) -> int:
    return PRECISION.get(card.name, 192)


def infinite_or(point: Point) -> Any:
    return math.inf if point.value == math.inf else -math.inf if point.value == -math.inf else ball(point)
