"""Functions of one number that rise or fall on an interval, strictly or not, or stand still, read off the graph.

Sums of rising functions rise, products of rising functions that are not negative, the larger and the smaller of two,
compositions with functions that rise; minus turns the direction over. With each value goes an enclosure of its range,
which decides what turns inside it, and the comparisons of a choice. All is meant off single points, which measure
nothing: what moves strictly never takes the ends of its range. A function that rises or falls strictly is one to one;
where it stands still it makes an atom of all the mass that it finds there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from qed import facts
from qed.domains.ball_ends import BallEnds, Ends
from qed.domains.hull import STEPS
from qed.domains.known import Known
from qed.domains.one_number import SAME, OneNumber, Undecided
from qed.domains.precision import flint, precision
from qed.facts.structure import COMPARED
from qed.graph.dtypes import is_real
from qed.graph.graph import Equation
from qed.graph.walk import Context

BITS = 128
LOGIC = {"and": all, "or": any}
CHOICES = frozenset({*COMPARED, *LOGIC, "not", "select_n"})
"""What has truth values, which are decided or unknown."""


@dataclass(frozen=True, eq=False)
class Direction:
    """Rising (1), falling (-1) or still (0); an enclosure of its values; and whether it moves strictly."""

    sign: int
    ends: Ends
    strict: bool

    @classmethod
    def along(cls, lower: float, upper: float) -> Direction:
        """The argument itself on an interval."""
        return cls(1, Ends.between(lower, upper), True)

    @classmethod
    def still(cls, value: float) -> Direction:
        """A number."""
        return cls(0, Ends.between(value, value), False)

    @property
    def low(self) -> Any:
        """The lower end of the range, exactly."""
        return self.ends.lower.item()

    @property
    def high(self) -> Any:
        """The upper end of the range, exactly."""
        return self.ends.upper.item()

    @property
    def nonnegative(self) -> bool:
        """Whether it is never negative."""
        return bool(self.low >= 0)


@final
class Directions(OneNumber):
    """Which values rise or fall with the argument.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.certificates.certificate import placed
    >>> from qed.domains.direction import Direction, Directions
    >>> from qed.graph.trace import trace
    >>> from qed.graph.walk import Walker
    >>> traced = trace(lambda x: jnp.maximum(-jnp.tanh(2 * x), 0.0), np.float32(0.5))
    >>> for ends in ((0.0, np.inf), (-np.inf, 0.0), (-1.0, 1.0)):
    ...     found = Walker([Directions()]).run(traced.graph, placed(traced, [Direction.along(*ends)]))[0].values[0]
    ...     print(found.sign, found.strict)
    0 False
    -1 True
    -1 False
    """

    name = "direction"
    forms = (Direction,)

    def __init__(self) -> None:
        self._balls = BallEnds(BITS)

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The directions of an equation's outputs; comparisons and choices are decided by the ranges."""
        found = [*equation.inputs, *equation.outputs]
        truths = equation.primitive in CHOICES or (equation.primitive in SAME and not is_real(found[0].dtype))
        if not truths or any(v.shape != () for v in found):
            return super().apply(equation, inputs, context)
        try:
            with precision(BITS):
                return (self._chosen(equation, inputs),)
        except Undecided:
            return (self.unknown(equation, context),) * len(equation.outputs)

    def choose(self, value: Any, count: int) -> int | None:
        """Which branch an index takes."""
        return int(np.clip(int(value.array), 0, count - 1)) if isinstance(value, Known) else None

    def truth(self, value: Any) -> bool | None:
        """Whether a condition holds."""
        return bool(np.any(value.array)) if isinstance(value, Known) else None

    def one(self, equation: Equation, inputs: Sequence[Any]) -> Direction:
        """The direction of an equation's output."""
        with precision(BITS):
            xs = [_direction(x) for x in inputs]
            if len(xs) == 1:
                return self._unary(equation.primitive, xs[0], equation.params)
            if equation.primitive == "clamp":
                least, x, greatest = xs
                return self._larger("min", self._larger("max", x, least), greatest)
            if len(xs) != 2:
                raise Undecided
            return self._binary(equation.primitive, xs[0], xs[1])

    # --- truth values ---

    def _chosen(self, equation: Equation, inputs: Sequence[Any]) -> Any:
        name = equation.primitive
        if name == "select_n":
            which, *cases = inputs
            if not isinstance(which, Known):
                raise Undecided
            return cases[int(which.array)]
        if name in COMPARED:
            return Known(np.asarray(self._compared(name, *map(_direction, inputs))))
        if not all(isinstance(x, Known) for x in inputs):
            raise Undecided
        truths = [x.array for x in inputs]
        if name in SAME:
            return Known(np.asarray(truths[0]).astype(equation.outputs[0].dtype))
        if any(x.dtype != np.bool_ for x in truths):
            raise Undecided
        return Known(np.asarray(not truths[0] if name == "not" else LOGIC[name](map(bool, truths))))

    def _compared(self, name: str, x: Direction, y: Direction) -> bool:
        """A comparison, which off single points holds everywhere or nowhere."""
        if x.strict or y.strict:
            below, above = x.high <= y.low, x.low >= y.high
        else:
            below, above = x.high < y.low, x.low > y.high
        same = not x.sign and not y.sign and x.low == x.high and y.low == y.high and x.low == y.low
        if not (below or above or same):
            raise Undecided
        return {"lt": below and not same, "le": below or same, "gt": above and not same, "ge": above or same,
                "eq": same, "ne": not same}[name.removesuffix("_to")]  # fmt: skip

    # --- numbers ---

    def _binary(self, name: str, x: Direction, y: Direction) -> Direction:
        if name in ("max", "min"):
            return self._larger(name, x, y)
        _finite(x)
        _finite(y)
        if name == "sub":
            return self._sum(x, _negated(y))
        if name in ("add", "add_any"):
            return self._sum(x, y)
        if name == "mul":
            return self._product(x, y)
        if name == "div":
            return self._product(x, self._power(y, -1.0))
        if name == "pow" and not y.sign and y.low == y.high:
            return self._power(x, float(y.low))
        raise Undecided

    def _unary(self, name: str, x: Direction, params: Any) -> Direction:
        if name in SAME:
            return x
        _finite(x)
        if name == "abs" and x.nonnegative:
            return x
        if name == "neg" or (name == "abs" and x.high <= 0):
            return _negated(x)
        if name in ("sqrt", "rsqrt", "square"):
            return self._power(x, {"sqrt": 0.5, "rsqrt": -0.5, "square": 2.0}[name])
        if name == "integer_pow":
            return self._power(x, float(int(params["y"])))
        card = facts.card(name, **params) if name in facts.CARDS or name in facts.FAMILIES else None
        if card is None:
            raise Undecided
        return self._of_card(card, x)

    def _of_card(self, card: facts.Card, x: Direction) -> Direction:
        """A function without a turn, pole, kink or jump in the range: it moves there as it does between two points."""
        ends = self._image(card, x)
        if not x.sign:
            return Direction(0, ends, False)
        lower, upper = (float(end) for end in x.ends.bounds)
        if x.strict:  # the ends are not taken
            lower, upper = np.nextafter(lower, np.inf), np.nextafter(upper, -np.inf)
        special = (card.turns, card.poles, card.kinks, card.jumps)
        shaped = card.shape_on.lower.value <= lower and upper <= card.shape_on.upper.value
        if not shaped or not lower < upper or any(points.meets(lower, upper) for points in special):
            raise Undecided
        if card.name in STEPS:
            return Direction.still(float(STEPS[card.name](_two_between(lower, upper)[0])))
        first, last = (card.ball(flint().arb(float(at))) for at in _two_between(lower, upper))
        if not (first < last or first > last):
            raise Undecided
        return Direction(x.sign if first < last else -x.sign, ends, x.strict)

    def _image(self, card: facts.Card, x: Direction) -> Ends:
        """The range of a card's function, which is defined on the range of x, but perhaps for ends not taken."""
        ends = self._balls.image(card, x.ends)
        open_ends = card.domain.lower.value <= float(x.ends.bounds[0]) and (
            float(x.ends.bounds[1]) <= card.domain.upper.value
        )
        if ends.doubt and not (x.strict and open_ends):
            raise Undecided
        return Ends(ends.lower, ends.upper)

    def _sum(self, x: Direction, y: Direction) -> Direction:
        if x.sign * y.sign < 0:
            raise Undecided
        return Direction(x.sign or y.sign, self._combined("add", x, y), x.strict or y.strict)

    def _product(self, x: Direction, y: Direction) -> Direction:
        ends = self._combined("mul", x, y)
        if x.sign and y.sign:
            if x.high <= 0 and y.high <= 0:
                x, y = _negated(x), _negated(y)
            if x.sign != y.sign or not (x.nonnegative and y.nonnegative):
                raise Undecided
            return Direction(x.sign, ends, x.strict and y.strict)
        one, other = (x, y) if x.sign else (y, x)
        if not one.sign:
            return Direction(0, ends, False)
        if not (other.low > 0 or other.high < 0):
            raise Undecided
        return Direction(one.sign if other.low > 0 else -one.sign, ends, one.strict)

    def _larger(self, name: str, x: Direction, y: Direction) -> Direction:
        """The larger or the smaller of two."""
        if x.high <= y.low or y.high <= x.low:
            upper, lower = (y, x) if x.high <= y.low else (x, y)
            return upper if name == "max" else lower
        if x.sign * y.sign < 0:
            raise Undecided
        both = bool(x.sign and y.sign)
        return Direction(x.sign or y.sign, self._combined(name, x, y), both and x.strict and y.strict)

    def _power(self, x: Direction, exponent: float) -> Direction:
        """A power; an odd one of what changes its sign is 0, and so is its slope, at one point at most."""
        if exponent > 0 and exponent % 2 == 1 and x.sign:
            card = facts.card("power", exponent=exponent)
            if card is None:
                raise Undecided
            return Direction(x.sign, self._image(card, x), x.strict)
        card = facts.card("power", exponent=exponent) if exponent and np.isfinite(exponent) else None
        if card is None or not (x.nonnegative or x.high <= 0):
            raise Undecided
        found = self._of_card(card, x)
        if x.nonnegative and not found.low >= 0:  # beside a pole at 0 the card's range is that of both sides
            return replace(found, ends=Ends(Ends.between(0.0, 0.0).lower, found.ends.upper))
        return found

    def _combined(self, name: str, x: Direction, y: Direction) -> Ends:
        found = self._balls.combine(name, [x.ends, y.ends])
        if found is None:
            raise Undecided
        return Ends(found.lower, found.upper)


def _direction(x: Any) -> Direction:
    """A known number as what stands still; an infinity is the end of a range."""
    if isinstance(x, Direction):
        return x
    value = np.asarray(x.array).astype(np.float64)
    if np.isnan(value):
        raise Undecided
    return Direction.still(float(value))


def _finite(x: Direction) -> None:
    """Raise Undecided for what stands still at an infinity."""
    if not x.sign and not (x.low.is_finite() and x.high.is_finite()):
        raise Undecided


def _negated(x: Direction) -> Direction:
    return replace(x, sign=-x.sign, ends=Ends(-x.ends.upper, -x.ends.lower))


def _two_between(lower: float, upper: float) -> tuple[float, float]:
    """Two numbers between two, of ordinary size if there are such."""
    low, high = max(lower, min(upper, 2.0) - 1.0), min(upper, max(lower, 1.0) + 1.0)
    return low + (high - low) / 4, low + (high - low) / 2
