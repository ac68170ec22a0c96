"""The range of a function of one variable on intervals, from its fact card.

Between neighbouring turns and poles the function is continuous and monotone (qed.facts.card), so that on [a, b]
inside the domain its range is the hull of its values at a and b and at the turns between them; with a pole inside,
nothing is known but the card's range. At an open or infinite end the limit takes the place of the value. Steps
(floor, ceil, round, sign) do not fall. Values at the ends are bounds proved by balls (`qed.domains.ends`); turns such
as pi/2 + pi k are counted with a margin, which can only put more of them inside.

Outside the part of the domain on which a card states the shape (digamma, log-gamma, polygamma left of 0) the ball of
the whole interval is taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from qed import facts
from qed.domains.doubt import Doubt, either
from qed.domains.ends import BITS, bounds_at, floats
from qed.domains.intervals import Intervals
from qed.domains.precision import precision
from qed.domains.rounding_outward import LARGEST, TINY
from qed.facts.points import DECIMAL_SLACK, Lattice, Point, Points, rational

Array = np.ndarray
STEPS = {"ceil": np.ceil, "floor": np.floor, "round": np.round, "sign": np.sign}
"""Functions that jump upwards and are constant between: exact in float64."""
FAR = 1e4
"""No listed turn or pole lies beyond it."""


def image(card: facts.Card, x: Intervals) -> Intervals:
    """Return an enclosure of the values of a card's function on intervals.

    >>> from qed import facts
    >>> from qed.domains.hull import image
    >>> from qed.domains.intervals import Intervals
    >>> print(image(facts.card("exp"), Intervals(0.0, 1.0)), image(facts.card("sin"), Intervals(0.0, 7.0)))
    [1.0, 2.7182818284590455] [-1.0, 1.0]
    >>> log = image(facts.card("log"), Intervals(-1.0, 1.0))
    >>> float(log.lower), float(log.upper) == 0.0, bool(log.doubt.undefined)
    (-inf, True, True)
    """
    if card.name in STEPS:
        step = STEPS[card.name]
        return Intervals(step(x.lower), step(x.upper), x.doubt)
    lower, upper = x.lower.ravel(), x.upper.ravel()
    inside = (lower >= card.shape_on.lower.value) & (upper <= card.shape_on.upper.value) | _same(card)
    found, lost = _shaped(card, np.where(inside, lower, 1.0), np.where(inside, upper, 1.0))
    if not np.all(inside):
        _by_balls(card, lower, upper, ~inside, found, lost)
    lost = either(lost.reshape(x.shape), _at_infinity(card, x))
    return Intervals(found[0].reshape(x.shape), found[1].reshape(x.shape), x.doubt | Doubt(lost))


def _same(card: facts.Card) -> bool:
    """Whether the shape is stated on the whole domain; the argument is then cut to it."""
    return (str(card.shape_on.lower), str(card.shape_on.upper)) == (str(card.domain.lower), str(card.domain.upper))


def _at_infinity(card: facts.Card, x: Intervals) -> Array | None:
    """Where the argument may be an infinity at which the function has no limit."""
    infinite = x.doubt.infinite
    if infinite is None:
        return None
    left = card.limits[0] is None or not card.domain.lower.infinite or not _same(card)
    right = card.limits[1] is None or not card.domain.upper.infinite
    return infinite & (((x.lower == -np.inf) & left) | ((x.upper == np.inf) & right))


# --- where the shape is stated --------------------------------------------------------------------------------


def _shaped(card: facts.Card, a: Array, b: Array) -> tuple[list[Array], Array]:
    """Return lower and upper bounds of the range on [a, b], and where the function is not defined throughout."""
    first, last = card.shape_on.lower.value, card.shape_on.upper.value
    lost = (a < first) | (b > last)
    if not card.domain.lower_closed and math.isfinite(first):
        lost |= a == first
    if not card.domain.upper_closed and math.isfinite(last):
        lost |= b == last
    nothing = (a > last) | (b < first)
    a, b = np.clip(a, first, last), np.clip(b, first, last)
    lower, upper = _hull(_values(card, a), _values(card, b))
    for hit, (low, high) in _turns(card, a, b):
        lower, upper = np.where(hit, np.minimum(lower, low), lower), np.where(hit, np.maximum(upper, high), upper)
    pole = poles_meet(card, a, b)
    least, greatest = card.range.lower.lower, card.range.upper.upper
    lower = np.where(pole, least, np.maximum(lower, least))
    upper = np.where(pole, greatest, np.minimum(upper, greatest))
    return [np.where(nothing, -np.inf, lower), np.where(nothing, np.inf, upper)], lost | pole


def _hull(one: tuple[Array, Array], other: tuple[Array, Array]) -> tuple[Array, Array]:
    return np.minimum(one[0], other[0]), np.maximum(one[1], other[1])


def _values(card: facts.Card, x: Array) -> tuple[Array, Array]:
    """Bounds of the values at points of the domain, limits at its open and infinite ends."""
    ends = ((card.shape_on.lower.value, card.limits[0]), (card.shape_on.upper.value, card.limits[1]))
    lower, upper = np.empty(x.shape), np.empty(x.shape)
    plain = np.ones(x.shape, bool)
    for side, (place, limit) in enumerate(ends):
        here = (x == place) & (not _closed(card, side))
        if np.any(here):
            lower[here], upper[here] = _limit(card, limit)
        plain &= ~here
        far = plain & ((x > FAR) if side else (x < -FAR))
        beyond = _beyond(card, side) if np.any(far) else None
        if beyond is not None:
            lower[far], upper[far] = beyond
            plain &= ~far
    lower[plain], upper[plain] = bounds_at(card.ball, x[plain])
    return lower, upper


@cache
def _beyond(card: facts.Card, side: int) -> tuple[float, float] | None:
    """Bounds of all values further out than FAR, where float64 cannot tell them apart; balls would take ages there."""
    limit = card.limits[side]
    if limit is None:
        return None
    low, high = (float(end[0]) for end in bounds_at(card.ball, np.array([FAR if side else -FAR])))
    overflown = low >= LARGEST or high <= -LARGEST
    slack = max(abs(limit.value) * 2.0**-52, TINY)
    reached = not limit.infinite and limit.lower - slack <= low and high <= limit.upper + slack
    return (min(low, limit.lower), max(high, limit.upper)) if overflown or reached else None


def _closed(card: facts.Card, side: int) -> bool:
    return card.shape_on.upper_closed if side else card.shape_on.lower_closed


def _limit(card: facts.Card, limit: Point | None) -> Any:
    """Bounds of a limit at an end; without one, of the range."""
    return (card.range.lower.lower, card.range.upper.upper) if limit is None else (limit.lower, limit.upper)


# --- turns and poles ------------------------------------------------------------------------------------------


def _turns(card: facts.Card, a: Array, b: Array) -> Iterator[tuple[Array, tuple[float, float]]]:
    """Yield where a turn may lie between a and b, and bounds of the value there."""
    for point in card.turns.listed:
        yield (a <= point.upper) & (b >= point.lower), _value_at(card, point)
    lattice = card.turns.lattice
    if lattice is None:
        return
    assert card.period is not None
    classes = rational(card.period.expression) / rational(lattice.period)
    assert classes.denominator == 1, "a period is a whole number of steps of the lattice of turns"
    first, last = _places(lattice, a, b)
    wide = a < b
    for k in range(int(classes)):
        next_one = first + np.mod(k - first, float(classes))
        yield wide & (next_one <= last), _value_at(card, _of_lattice(lattice, k))


def _places(lattice: Lattice, a: Array, b: Array) -> tuple[Array, Array]:
    """Return the first and the last k for which the point of the lattice may lie in [a, b]."""
    start, period = float(rational(lattice.start)), float(rational(lattice.period))
    with np.errstate(all="ignore"):
        low, high = (a - start) / period, (b - start) / period
        slack_low = (np.abs(a) + abs(start) + period) / period * 2.0**-49
        slack_high = (np.abs(b) + abs(start) + period) / period * 2.0**-49
        first, last = np.ceil(low - slack_low), np.floor(high + slack_high)
    first = np.where(np.isfinite(first), first, -1e300)
    last = np.where(np.isfinite(last), last, 1e300)
    if lattice.first is not None:
        first = np.maximum(first, lattice.first)
    if lattice.last is not None:
        last = np.minimum(last, lattice.last)
    return first, last


def _of_lattice(lattice: Lattice, k: int) -> Point:
    points = Points(lattice=Lattice(lattice.start, lattice.period, k, k))
    return next(points.between(-math.inf, math.inf))


@cache
def _value_at(card: facts.Card, point: Point) -> tuple[float, float]:
    with precision(BITS + 60) as flint:
        place = point.expression.evaluate(arithmetic=facts.BALLS) + flint.arb(0)
        if point.lower < point.upper and "pi" not in point.expression.symbols:
            slack = flint.arb(flint.fmpq(DECIMAL_SLACK.numerator, DECIMAL_SLACK.denominator))
            place = place + abs(place) * flint.arb(0, 1) * slack
        value = card.ball(place)
    lower, upper = floats([value])
    return float(lower[0]), float(upper[0])


def poles_meet(card: facts.Card, a: Array, b: Array) -> Array:
    """Return where a pole lies, or may lie, between a and b.

    No float64 number is an irrational pole: at a single number a lattice of multiples of pi is not met. An infinity may
    meet a lattice without an end there.
    """
    found = np.zeros(a.shape, bool)
    for point in card.poles.listed:
        found |= (a <= point.upper) & (b >= point.lower)
    lattice = card.poles.lattice
    if lattice is None:
        return found
    first, last = _places(lattice, a, b)
    found |= first <= last
    if "pi" in lattice.start.symbols and "pi" in lattice.period.symbols:
        return found & (a < b)
    for i in np.flatnonzero(found & (a == b) & np.isfinite(a)):
        found.flat[i] = card.poles.meets(float(a.flat[i]), float(a.flat[i]))
    return found


def _by_balls(card: facts.Card, a: Array, b: Array, where: Array, found: list[Array], lost: Array) -> None:
    """Write the bounds at intervals outside the shape into `found` and `lost`: the ball of the interval as a whole."""
    places = np.flatnonzero(where)
    balls = []
    with precision(BITS) as flint:
        for i in places:
            low, high = float(a[i]), float(b[i])
            lost[i] = poles_meet(card, a[i : i + 1], b[i : i + 1])[0]
            whole = lost[i] or not (math.isfinite(low) and math.isfinite(high))
            x = flint.arb(low) if low == high else flint.arb(low).union(flint.arb(high))
            balls.append(flint.arb.nan() if whole else card.ball(x))
    found[0][places], found[1][places] = floats(balls)
