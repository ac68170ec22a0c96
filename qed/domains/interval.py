"""The interval domain: for every value of a program, float64 bounds that hold at all points of a box.

A box gives each input an interval; every equation encloses its outputs from the enclosures of its inputs (the
*natural extension*: Moore, Kearfott and Cloud, *Introduction to Interval Analysis*, SIAM 2009, theorem 5.1). Sums,
products, quotients and roots are rounded outward in NumPy by error-free transforms (`qed.domains.rounding_outward`),
values of other functions are bounded by balls at the ends of monotone pieces (`qed.domains.hull`). The result
encloses the *range* of the real function that the graph means; it is wide where one variable occurs often, and never
too narrow.

Inclusion isotonic: a smaller box gives enclosures within those of the larger one, as long as the function is defined,
but for the last place of values that balls bound, and for the roundings of long sums of products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, final

import numpy as np

from qed import facts
from qed.domains.doubt import Doubt, either
from qed.domains.enclosing import Enclosing
from qed.domains.ends import bounds_at
from qed.domains.hull import image
from qed.domains.interval_dot import dot_of_wide
from qed.domains.intervals import Intervals, integer_power, square, square_root
from qed.domains.rounding_outward import subnormals_kept
from qed.errors import QedError

CHUNK = 2**18
"""How many products are held at once."""
SMALL_POWER = 16
_PI = facts.Point.parse("pi")


@final
class Interval(Enclosing):
    """Float64 intervals, rounded outward.

    >>> import jax.numpy as jnp
    >>> from qed.domains.interval import Interval
    >>> from qed.domains.intervals import Intervals
    >>> from qed.graph.trace import trace
    >>> from qed.graph.walk import Walker
    >>> traced = trace(lambda x: x * x - x, 1.0)
    >>> (cell,) = Walker([Interval()]).run(traced.graph, [Intervals(-1.0, 2.0)])
    >>> print(cell.values[0])
    [-2.0, 5.0]
    """

    name = "interval"
    numbers: ClassVar[type] = Intervals
    gaps: ClassVar[frozenset[str]] = Enclosing.gaps | {
        *"igamma igammac polygamma regularized_incomplete_beta zeta".split()
    }

    def __init__(self, batch: int = 0) -> None:
        super().__init__(batch)
        if not subnormals_kept():
            what = "this process rounds subnormal numbers to zero"
            because = "a library switched the processor to flush them, so that outward rounding proves nothing"
            raise QedError("QED014", what, because, "ask in a process that does not load that library")

    def image(self, card: facts.Card, x: Intervals) -> Intervals:
        """The range of a function: exact rounding where NumPy's operations have it, else by the card."""
        exact = EXACT.get(card.name)
        if exact is not None:
            return exact(x)
        power = dict(card.parameters).get("y") if card.name == "integer_pow" else None
        if power is not None and abs(power) <= SMALL_POWER:
            return integer_power(x, int(power))
        return image(card, x)

    def combine(self, name: str, xs: Sequence[Intervals]) -> Intervals | None:
        """Operations of several numbers."""
        rule = COMBINATIONS.get(name)
        return None if rule is None else rule(*xs)

    def pi(self) -> Intervals:
        """The two float64 numbers about pi."""
        return Intervals(_PI.lower, _PI.upper)

    def certain(self, name: str, x: Intervals, y: Intervals) -> tuple[Any, Any]:
        """Comparisons of intervals."""
        below, not_above = x.upper < y.lower, x.upper <= y.lower
        above, not_below = x.lower > y.upper, x.lower >= y.upper
        equal = (x.lower == x.upper) & (y.lower == y.upper) & (x.lower == y.lower)
        apart = below | above
        answers = {
            "lt": (below, not_below),
            "le": (not_above, above),
            "gt": (above, not_above),
            "ge": (not_below, below),
            "eq": (equal, apart),
            "ne": (apart, equal),
        }
        return answers[name]

    def contract(self, x: Intervals, y: Intervals) -> Intervals:
        """Products of stacks of matrices: every product rounded outward, and their sums by one rounding.

        Where the sums are so wide that it does not show, one bound is made of all these roundings.
        """
        rows, columns, depth = x.shape[-2], y.shape[-1], x.shape[-1]
        y = y.map(lambda a: np.swapaxes(a, -1, -2)[..., None, :, :])
        step = max(1, CHUNK // max(1, columns * depth))
        pieces = []
        for start in range(0, max(rows, 1), step):
            part = x.map(lambda a, start=start: a[..., start : start + step, None, :])
            found = dot_of_wide(part, y)
            pieces.append((part * y).sum(-1) if found is None else found)
        lower, upper = (np.concatenate([getattr(p, end) for p in pieces], -2) for end in ("lower", "upper"))
        masks = [_joined([getattr(p.doubt, kind) for p in pieces], pieces) for kind in ("undefined", "infinite")]
        place = next((p.doubt.place for p in pieces if p.doubt.place is not None), None)
        return Intervals(lower, upper, Doubt(masks[0], masks[1], place))


def _joined(masks: Sequence[Any], pieces: Sequence[Intervals]) -> Any:
    if all(mask is None for mask in masks):
        return None
    return np.concatenate([np.zeros(p.shape, bool) if m is None else m for m, p in zip(masks, pieces, strict=True)], -2)


# --- functions of one number that NumPy rounds correctly -------------------------------------------------------


def _one_minus_square(x: Intervals) -> Intervals:
    return 1.0 - square(x)


EXACT: Mapping[str, Callable[[Intervals], Intervals]] = {
    "abs": abs,
    "neg": lambda x: -x,
    "one_minus_square": _one_minus_square,
    "reciprocal": lambda x: 1.0 / x,
    "rsqrt": lambda x: 1.0 / square_root(x),
    "sqrt": square_root,
    "square": square,
}


# --- operations of several numbers -----------------------------------------------------------------------------


def power(x: Intervals, y: Intervals) -> Intervals:
    """Return x^y. A constant exponent has a card; else, for x > 0, the extremes of exp(y log x) are at corners."""
    if y.lower.size and not y.doubt and np.all(y.lower == y.upper):
        exponents = np.unique(y.lower)
        if len(exponents) == 1:
            return _constant_power(x, float(exponents[0]))
        if len(exponents) <= 64:
            return _several_powers(x, y, exponents)
    shape = np.broadcast_shapes(x.shape, y.shape)
    xl, xu, yl, yu = (np.broadcast_to(end, shape) for end in (x.lower, x.upper, y.lower, y.upper))
    unbounded = ~(np.isfinite(xu) & np.isfinite(yl) & np.isfinite(yu)) | (xl < 0)
    zero = xl <= 0
    low, high = np.full(shape, np.inf), np.full(shape, 0.0)
    safe = [np.where(unbounded | (end <= 0), 1.0, end) for end in (xl, xu)]
    exponents = [np.where(unbounded, 1.0, end) for end in (yl, yu)]
    for base in safe:
        for exponent in exponents:
            a, b = _corner(base, exponent)
            low, high = np.minimum(low, a), np.maximum(high, b)
    low = np.where(zero, 0.0, low)
    high = np.where(zero & (yl <= 0), np.inf, high)
    lost = (xl < 0) | (zero & (yl < 0)) | _or_none(x, y)
    result = Intervals(
        np.where(xl < 0, -np.inf, np.where(unbounded, 0.0, np.maximum(low, 0.0))), np.where(unbounded, np.inf, high)
    )
    return Intervals(result.lower, result.upper, x.doubt | y.doubt | Doubt(lost))


def _or_none(x: Intervals, y: Intervals) -> Any:
    found = either(x.doubt.infinite, y.doubt.infinite)
    return False if found is None else found


def _corner(base: np.ndarray, exponent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.stack([base.ravel(), exponent.ravel()], -1)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
    places = np.arange(len(unique), dtype=float)

    def value(place: Any) -> Any:
        b, e = unique[int(float(place))]
        return type(place)(b) ** type(place)(e)

    lower, upper = bounds_at(value, places)
    inverse = inverse.ravel()
    return lower[inverse].reshape(base.shape), upper[inverse].reshape(base.shape)


def _constant_power(x: Intervals, exponent: float) -> Intervals:
    if not np.isfinite(exponent):
        return Intervals.whole(x.shape, x.doubt | Doubt(np.ones(x.shape, bool)))
    if exponent == int(exponent) and abs(exponent) <= SMALL_POWER:
        return integer_power(x, int(exponent))
    card = facts.card("power", exponent=exponent)
    assert card is not None
    return image(card, x)


def _several_powers(x: Intervals, y: Intervals, exponents: np.ndarray) -> Intervals:
    shape = np.broadcast_shapes(x.shape, y.shape)
    wide = Intervals(np.broadcast_to(x.lower, shape), np.broadcast_to(x.upper, shape), x.doubt)
    chosen = np.broadcast_to(y.lower, shape)
    lower, upper, lost = np.empty(shape), np.empty(shape), np.zeros(shape, bool)
    infinite = np.zeros(shape, bool)
    for exponent in exponents:
        here = chosen == exponent
        one = _constant_power(wide.map(lambda a, here=here: a[here]), float(exponent))
        lower[here], upper[here] = one.lower, one.upper
        lost[here] = False if one.doubt.undefined is None else one.doubt.undefined
        infinite[here] = False if one.doubt.infinite is None else one.doubt.infinite
    return Intervals(lower, upper, Doubt(lost, infinite, x.doubt.place))


def clamp(least: Intervals, x: Intervals, greatest: Intervals) -> Intervals:
    """Return min(max(x, least), greatest)."""
    return x.maximum(least).minimum(greatest)


def remainder(x: Intervals, y: Intervals) -> Intervals:
    """Return the remainder with the sign of x: x itself while |x| < |y|, else smaller than |y|, and than |x|."""
    size_x, size_y = abs(x), abs(y)
    bound = np.minimum(size_x.upper, size_y.upper)
    lower, upper = np.where(x.lower < 0, -bound, 0.0), np.where(x.upper > 0, bound, 0.0)
    inside = size_x.upper < size_y.lower
    lower, upper = np.where(inside, x.lower, lower), np.where(inside, x.upper, upper)
    point = (x.lower == x.upper) & (y.lower == y.upper) & np.isfinite(x.lower) & np.isfinite(y.lower) & (y.lower != 0)
    if np.any(point):
        with np.errstate(all="ignore"):
            exact = np.fmod(np.where(point, x.lower, 0.0), np.where(point, y.lower, 1.0))
        lower, upper = np.where(point, exact, lower), np.where(point, exact, upper)
    lost = either((y.lower <= 0) & (y.upper >= 0), x.doubt.infinite)
    doubt = x.doubt | y.doubt | Doubt(lost)
    return Intervals(lower, upper, doubt)


def angle(y: Intervals, x: Intervals) -> Intervals:
    """Return atan2(y, x): off the half line x <= 0, y = 0 its extremes on a box are at corners."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    xl, xu, yl, yu = (np.broadcast_to(end, shape) for end in (x.lower, x.upper, y.lower, y.upper))
    finite = np.isfinite(xl) & np.isfinite(xu) & np.isfinite(yl) & np.isfinite(yu)
    cut = (xl <= 0) & (yl <= 0) & (yu >= 0)
    easy = finite & ~cut
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
    for v in (yl, yu):
        for u in (xl, xu):
            a, b = _angles(np.where(easy, v, 0.0), np.where(easy, u, 1.0))
            low, high = np.minimum(low, a), np.maximum(high, b)
    lost = either((xl <= 0) & (xu >= 0) & (yl <= 0) & (yu >= 0), x.doubt.infinite, y.doubt.infinite)
    low, high = (
        np.where(easy, low, np.where(yl >= 0, 0.0, -_PI.upper)),
        np.where(easy, high, np.where(yu < 0, 0.0, _PI.upper)),
    )
    return Intervals(low, high, x.doubt | y.doubt | Doubt(lost))


def _angles(y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.stack([y.ravel(), x.ravel()], -1)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)

    def value(place: Any) -> Any:
        v, u = unique[int(float(place))]
        ball = type(place)
        return ball.atan2(ball(v), ball(u))

    lower, upper = bounds_at(value, np.arange(len(unique), dtype=float))
    inverse = inverse.ravel()
    return lower[inverse].reshape(y.shape), upper[inverse].reshape(y.shape)


COMBINATIONS: Mapping[str, Callable[..., Intervals]] = {
    "add": lambda x, y: x + y,
    "atan2": angle,
    "clamp": clamp,
    "div": lambda x, y: x / y,
    "max": lambda x, y: x.maximum(y),
    "min": lambda x, y: x.minimum(y),
    "mul": lambda x, y: x * y,
    "pow": power,
    "rem": remainder,
    "sub": lambda x, y: x - y,
}
