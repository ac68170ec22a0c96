"""What is known of the shape of each number of an array as a function of the variables, and how operations keep it.

Five marks, one bit each: the number is convex; concave; positive with a convex logarithm; with a concave one; at least
0 with a convex root. A number with a mark is defined at every point of the box; of one without nothing is known.
The rules are those of disciplined convex programming (Grant, Boyd and Ye, "Disciplined convex programming", 2006), of
log-convex functions, whose sums and products are log-convex (Boyd and Vandenberghe, *Convex Optimization*, 2004,
section 3.5), and of lengths: the root of a sum of squares of convex numbers at least 0 is convex, by Minkowski.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed import facts
from qed.domains.card_signs import Bounds
from qed.domains.intervals import Intervals
from qed.domains.known import Known
from qed.graph.dtypes import is_extended

Array = np.ndarray
CONVEX, CONCAVE, LOG_CONVEX, LOG_CONCAVE, ROOT = (np.uint8(1 << k) for k in range(5))
AFFINE = CONVEX | CONCAVE
LOGS = LOG_CONVEX | LOG_CONCAVE
NOTHING = np.uint8(0)
POWERS = {"square": 2.0, "sqrt": 0.5, "rsqrt": -0.5, "reciprocal": -1.0, "cbrt": 1 / 3}


@dataclass(frozen=True, eq=False)
class Shaped:
    """An array: its range on the box, the marks of its numbers, whether it is the same at all points.

    `form` is a term that every element is, in numbers that stand at the same place of other arrays; `peak` says that
    it holds the largest numbers of another array, or what was made with them (`qed.domains.array_peaks`); `times` that
    it is another array times constants, and between which bounds these are.
    """

    range: Any
    bits: Array
    fixed: bool = False
    form: Any = None
    peak: Any = None
    times: Any = None

    @property
    def ends(self) -> tuple[Any, Any]:
        """Bounds of the numbers, infinite where none are known."""
        if isinstance(self.range, Known):
            numbers = np.asarray(self.range.array).astype(np.float64)
            return numbers, numbers
        if isinstance(self.range, Intervals):
            return self.range.lower, self.range.upper
        return np.full(self.bits.shape, -np.inf), np.full(self.bits.shape, np.inf)

    @property
    def affine(self) -> bool:
        """Whether every number of it is affine."""
        return self.has(AFFINE)

    def has(self, marks: Any) -> bool:
        """Whether every number has these marks."""
        return bool(np.all(self.bits & marks == marks))

    @property
    def defined(self) -> bool:
        """Whether every number surely has a value at every point."""
        return bool(np.all(self.bits))


def constants(found: Any, shape: tuple[int, ...]) -> Array:
    """The marks of numbers that are the same at all points, from their enclosures."""
    if isinstance(found, Known):
        if is_extended(found.array.dtype) or np.asarray(found.array).dtype.kind not in "biu":
            return np.zeros(shape, np.uint8)
        return _of_sign(np.asarray(found.array))
    if not isinstance(found, Intervals):
        return np.zeros(shape, np.uint8)
    sure = np.isfinite(found.lower) & np.isfinite(found.upper)
    for mask in (found.doubt.undefined, found.doubt.infinite):
        sure = sure if mask is None else sure & ~mask
    return np.where(sure, _of_sign(found.lower), NOTHING).astype(np.uint8)


def _of_sign(lower: Array) -> Array:
    """The marks of constants that are at least `lower`."""
    return AFFINE | np.where(lower > 0, LOGS, NOTHING) | np.where(lower >= 0, ROOT, NOTHING)


def signed(bits: Array, lower: Any) -> Array:
    """The marks that follow from others, of numbers at least `lower`."""
    bits = bits | np.where((bits & CONCAVE != 0) & (lower > 0), LOG_CONCAVE, NOTHING)
    bits = bits | np.where(bits & LOG_CONVEX != 0, ROOT, NOTHING)
    return (bits | np.where(bits & ROOT != 0, CONVEX, NOTHING)).astype(np.uint8)


def turned(bits: Array) -> Array:
    """The marks of the negative numbers."""
    return ((bits & CONVEX) << 1) | ((bits & CONCAVE) >> 1)


def added(x: Shaped, y: Shaped) -> Array:
    """The marks of a sum."""
    bits = x.bits & y.bits & (AFFINE | ROOT | LOG_CONVEX)
    for one, other in ((x, y), (y, x)):  # a constant that is at least 0 leaves a log-convex number one
        if other.fixed:
            least = other.ends[0]
            keeps = (other.bits != 0) & (least >= 0) & (one.bits & LOG_CONVEX != 0)
            bits = bits | np.where(keeps, LOG_CONVEX, NOTHING)
    return bits


def multiplied(x: Shaped, y: Shaped) -> Array:
    """The marks of a product of different numbers."""
    logs = x.bits & y.bits & LOGS
    for c, u in ((x, y), (y, x)):
        if c.fixed:
            return logs | scaled(u.bits, *c.ends, c.bits != 0)
    return logs


def divided(x: Shaped, y: Shaped) -> Array:
    """The marks of a quotient."""
    logs = (x.bits & crossed(y.bits)) & LOGS
    if not y.fixed:
        return logs
    low, high = y.ends
    nonzero = (low > 0) | (high < 0)
    return np.where(nonzero, logs | scaled(x.bits, low, high, y.bits != 0), NOTHING)


def scaled(bits: Array, low: Any, high: Any, defined: Any) -> Array:
    """The marks of numbers times constants between two bounds."""
    found = np.where(low >= 0, bits & (AFFINE | ROOT), np.where(high <= 0, turned(bits), NOTHING))
    zero = (low == 0) & (high == 0) & (bits != 0)
    found = found | np.where(zero, AFFINE | ROOT, np.where(bits & AFFINE == AFFINE, AFFINE, NOTHING))
    return np.where(np.asarray(defined), found, NOTHING).astype(np.uint8)


def crossed(bits: Array) -> Array:
    """The marks of the reciprocals of numbers by those of their logarithms."""
    return ((bits & LOG_CONVEX) << 1) | ((bits & LOG_CONCAVE) >> 1)


def largest(x: Array, y: Array) -> Array:
    """The marks of the larger of two numbers."""
    return x & y & (CONVEX | LOG_CONVEX | ROOT)


def smallest(x: Array, y: Array) -> Array:
    """The marks of the smaller of two numbers."""
    return x & y & (CONCAVE | LOG_CONCAVE)


def image(card: facts.Card, x: Shaped, bounds: Bounds | None, out: Any) -> Array:
    """The marks of a function of numbers on whose range it is defined.

    Args:
        card: the function.
        x: the numbers.
        bounds: of f' and f'' on the range of all of them, if any are known.
        out: the range of the result.
    """
    bits = x.bits
    lower, upper = x.ends
    affine, up, down = bits & AFFINE == AFFINE, bits & CONVEX != 0, bits & CONCAVE != 0
    found = np.zeros(bits.shape, np.uint8)
    if bounds is not None:
        (least, most), (low, high) = bounds
        above = affine | (up & (least >= 0)) | (down & (most <= 0))  # f(x) is convex where f is
        below = affine | (down & (least >= 0)) | (up & (most <= 0))
        found |= np.where(above & (low >= 0), CONVEX, NOTHING)
        found |= np.where(below & (high <= 0), CONCAVE, NOTHING)
        if card.log != "none" and _positive(card, out) and _covers(card, lower, upper):
            if card.log in ("convex", "affine"):
                found |= np.where(above, LOG_CONVEX, NOTHING)
            if card.log in ("concave", "affine"):
                found |= np.where(below, LOG_CONCAVE, NOTHING)
    modulus = affine | (up & (lower >= 0)) | (down & (upper <= 0))  # where |x| is convex
    power = dict(card.parameters).get("y", 0) if card.name == "integer_pow" else 0
    if card.name == "abs":
        found |= np.where(modulus, CONVEX, NOTHING)
    if card.name == "square" or power == 2:
        found |= np.where(modulus, CONVEX | ROOT, NOTHING)
    if card.name in ("log", "log2"):
        found |= np.where(bits & LOG_CONVEX != 0, CONVEX, NOTHING)
        found |= np.where(bits & LOG_CONCAVE != 0, CONCAVE, NOTHING)
    if card.name == "sqrt":
        found |= np.where(bits & ROOT != 0, CONVEX, NOTHING)
    exponent = POWERS.get(card.name, float(power))
    if exponent and np.all(bits & LOGS):
        found |= (bits if exponent > 0 else crossed(bits)) & LOGS
    return found


def _positive(card: facts.Card, out: Any) -> bool:
    if isinstance(out, Intervals) and bool(np.all(out.lower > 0)):
        return True
    return card.range.lower.value > 0 or (card.range.lower.value == 0 and not card.range.lower_closed)


def _covers(card: facts.Card, lower: Any, upper: Any) -> bool:
    """Whether the shape of the card is stated on the whole range."""
    on = card.shape_on
    return bool(np.all(lower >= on.lower.value)) and bool(np.all(upper <= on.upper.value))


def defined_on(card: facts.Card, x: Shaped) -> bool:
    """Whether a function is defined at all numbers of an array."""
    lower, upper = x.ends
    if not lower.size:
        return True
    low, high = float(np.min(lower)), float(np.max(upper))
    domain, positive = card.domain, bool(np.all(x.bits & LOGS))
    below = domain.lower.infinite or low > domain.lower.upper
    below = below or (domain.lower_closed and low >= domain.lower.value)
    below = below or (positive and domain.lower.value == 0)
    below = below or (x.has(ROOT) and domain.lower.value == 0 and domain.lower_closed)
    above = domain.upper.infinite or high < domain.upper.lower
    above = above or (domain.upper_closed and high <= domain.upper.value)
    if not (below and above):
        return False
    if not card.poles or not card.poles.meets(low, high):
        return True
    return str(card.poles) == "0" and positive


def all_of(bits: Array, axes: Sequence[int], marks: Any) -> Array:
    """The marks, of some, that all numbers along axes have."""
    return np.bitwise_and.reduce(bits & marks, axis=tuple(axes)) if axes else bits & marks
