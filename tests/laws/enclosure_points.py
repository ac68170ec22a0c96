"""What the laws of enclosures are judged by: boxes meant to break a rule, points in them, exact values."""

import math
from fractions import Fraction

import flint
import numpy as np

from qed.facts.points import Points

arb = flint.arb
INF = math.inf
ENDS = [
    0.0,
    5e-324,
    2.0**-1022,
    1e-300,
    1e-160,
    1e-20,
    1e-3,
    0.1,
    0.25,
    0.5,
    1 - 2**-53,
    1.0,
    1 + 2**-52,
    1.5,
    2.0,
    3.0,
]
ENDS += [math.pi / 2, math.pi, 5.0, 7.5, 10.0, 30.0, 100.0, 709.0, 745.0, 1e4, 12345.678, 1e10, 2.0**53, 1e100, 1e200]
ENDS += [1e300, 1.7976931348623157e308]
ENDS += [-x for x in ENDS[1:]]


def special_places(card):
    """Float64 numbers about every listed place of a card, and the ends of its domain."""
    found = []
    for points in (card.turns, card.poles, card.kinks, card.jumps, card.bends):
        found += _near(points)
    for end in (card.domain.lower, card.domain.upper, card.shape_on.lower, card.shape_on.upper):
        if not end.infinite:
            found += _around(end.lower, end.upper)
    return sorted(set(found))


def _around(lower, upper):
    return [math.nextafter(lower, -INF), lower, upper, math.nextafter(upper, INF), lower - 1e-6, upper + 1e-6]


def _near(points: Points):
    listed = list(points.listed)
    if points.lattice is not None:
        for low, high in ((-8.0, 8.0), (1e5, 1e5 + 4), (-3e8, -3e8 + 4)):
            listed += list(points.between(low, high))
    return [x for point in listed for x in _around(point.lower, point.upper)]


def boxes(rng, count, places=()):
    """Intervals: between two of the ends, about places, tiny, huge, of one point, unbounded."""
    pool = np.array([*ENDS, *places])
    for i in range(count):
        kind = i % 6
        centre = float(rng.choice(places)) if len(places) and rng.random() < 0.5 else float(rng.choice(pool))
        if kind == 0:
            a, b = rng.choice(pool, 2)
        elif kind == 1:
            a = b = centre
        elif kind == 2:
            a, b = centre, math.nextafter(centre, INF)
        elif kind == 3:
            width = abs(centre) * 10.0 ** rng.uniform(-16, 0) + 10.0 ** rng.uniform(-300, 0)
            a, b = centre - width * rng.random(), centre + width
        elif kind == 4:
            a, b = (-INF, centre) if rng.random() < 0.5 else (centre, INF)
            if rng.random() < 0.2:
                a, b = -INF, INF
        else:
            a, b = np.sort(rng.normal(size=2) * 10.0 ** rng.uniform(-3, 3))
        low, high = min(a, b), max(a, b)
        if (math.isinf(low) and low > 0) or (math.isinf(high) and high < 0):
            continue
        yield float(low), float(high)


def inside(rng, low, high, places=(), count=6):
    """Finite float64 points of [low, high]: its ends, its middle, places in it, random ones."""
    a, b = max(low, -1.7976931348623157e308), min(high, 1.7976931348623157e308)
    found = {a, b, a / 2 + b / 2, math.nextafter(a, INF), math.nextafter(b, -INF), 0.0}
    found |= {a + (b / 2 - a / 2) * 2 * t for t in rng.random(count)}
    found |= {float(x) for x in rng.choice(ENDS, count)}
    here = [x for x in places if a <= x <= b]
    found |= set(here if len(here) < 12 else rng.choice(here, 12).tolist())
    return [x for x in found if a <= x <= b and math.isfinite(x)]


def exact(x):
    """The float64 number as a fraction, or itself where it is infinite."""
    return Fraction(x) if math.isfinite(x) else x


def holds(lower, upper, ball):
    """Whether a ball of 200 bits, as good as a number, may lie in [lower, upper]: False is a broken enclosure."""
    if ball.is_nan() or not ball.is_finite():
        return True
    return not (ball < arb(lower) if math.isfinite(lower) else False) and not (
        ball > arb(upper) if math.isfinite(upper) else False
    )
