"""Functions of one number that rise or fall strictly, read off the graph.

Sums of rising functions rise, products of rising functions that are not negative, compositions with functions that
rise; minus turns the direction over, and so does 1/v of what is positive. All is meant off single points, which
measure nothing. A function that rises or falls strictly is one to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from qed import facts
from qed.domains.known import Known
from qed.domains.one_number import SAME, OneNumber, Undecided
from qed.domains.precision import flint
from qed.graph.graph import Equation

SMALLEST = 5e-324
"""The least positive number."""
SURE = 1e-9
"""A derivative of this size has its sign, whatever its rounding."""


@dataclass(frozen=True, eq=False)
class Direction:
    """Rising (1) or falling (-1), and whether it is known never to be negative."""

    sign: int
    nonnegative: bool = False


@final
class Directions(OneNumber):
    """Which values rise or fall with the argument.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.certificates.certificate import placed
    >>> from qed.domains.direction import Direction, Directions
    >>> from qed.graph.trace import trace
    >>> from qed.graph.walk import Walker
    >>> traced = trace(lambda x: 1 / (1 + jnp.exp(2 * x)), np.float32(0.5))
    >>> Walker([Directions()]).run(traced.graph, placed(traced, [Direction(1)]))[0].values[0].sign
    -1
    """

    name = "direction"
    forms = (Direction,)

    def one(self, equation: Equation, inputs: Sequence[Any]) -> Any:
        """The direction of an equation's output."""
        return _of(equation, inputs)


def _of(equation: Equation, xs: Sequence[Any]) -> Direction:
    name = equation.primitive
    if len(xs) == 1 and isinstance(xs[0], Direction):
        return _unary(name, xs[0], equation.params)
    if len(xs) != 2:
        raise Undecided
    x, y = xs
    if name == "sub":
        y = _negated(y)
    if name in ("add", "sub", "add_any"):
        return _sum(x, y)
    if name == "mul":
        return _product(x, y)
    if name == "div":
        return _product(x, _power(y, -1.0) if isinstance(y, Direction) else Known(1 / _number(y)))
    if name == "pow" and isinstance(x, Direction):
        return _power(x, _number(y))
    raise Undecided


def _number(x: Any) -> float:
    """A finite number that is not 0."""
    if not isinstance(x, Known):
        raise Undecided
    value = float(np.asarray(x.array).astype(np.float64))
    if not np.isfinite(value) or value == 0:
        raise Undecided
    return value


def _unary(name: str, x: Direction, params: Any) -> Direction:
    if name in SAME or (name == "abs" and x.nonnegative):
        return x
    if name == "neg":
        return _negated(x)
    if name in ("sqrt", "rsqrt", "square"):
        return _power(x, {"sqrt": 0.5, "rsqrt": -0.5, "square": 2.0}[name])
    if name == "integer_pow":
        y = int(params["y"])
        return Direction(x.sign, x.nonnegative) if y > 0 and y % 2 else _power(x, float(y))
    card = facts.card(name, **params) if name in facts.CARDS or name in facts.FAMILIES else None
    if card is None:
        raise Undecided
    return _of_card(card, x)


def _of_card(card: facts.Card, x: Direction) -> Direction:
    """A function without a turn on the line, or above 0 where the argument is not negative.

    Between turns, poles, kinks and jumps its derivative has one sign: that at one point tells it.
    """
    start, least = (0.0, SMALLEST) if x.nonnegative else (-np.inf, -np.inf)
    reaches = all(i.lower.value <= start and i.upper.value == np.inf for i in (card.domain, card.shape_on))
    special = (card.turns, card.poles, card.kinks, card.jumps)
    if not reaches or any(points.meets(least, np.inf) for points in special):
        raise Undecided
    at = np.float64(1.5)
    slope = float(card.derivative.evaluate(arithmetic=facts.NUMPY, x=at, y=card.numpy(at)))
    if not abs(slope) > SURE:
        raise Undecided
    rises = slope > 0
    from_zero = x.nonnegative and rises and 0.0 in card.domain and bool(card.ball(flint().arb(0)) >= 0)
    return Direction(x.sign if rises else -x.sign, card.range.lower.value >= 0 or from_zero)


def _negated(x: Any) -> Any:
    return Direction(-x.sign) if isinstance(x, Direction) else Known(-np.asarray(x.array).astype(np.float64))


def _sum(x: Any, y: Any) -> Direction:
    if isinstance(x, Direction) and isinstance(y, Direction):
        if x.sign != y.sign:
            raise Undecided
        return Direction(x.sign, x.nonnegative and y.nonnegative)
    one, other = (x, y) if isinstance(x, Direction) else (y, x)
    value = float(np.asarray(other.array).astype(np.float64))
    if not np.isfinite(value):
        raise Undecided
    return Direction(one.sign, one.nonnegative and value >= 0)


def _product(x: Any, y: Any) -> Direction:
    if isinstance(x, Direction) and isinstance(y, Direction):
        if x.sign != y.sign or not (x.nonnegative and y.nonnegative):
            raise Undecided
        return x
    one, other = (x, y) if isinstance(x, Direction) else (y, x)
    positive = _number(other) > 0
    return Direction(one.sign if positive else -one.sign, one.nonnegative and positive)


def _power(x: Direction, exponent: float) -> Direction:
    """A power of what is not negative, and so is 0 at one point at most."""
    if not x.nonnegative or exponent == 0:
        raise Undecided
    return Direction(x.sign if exponent > 0 else -x.sign, True)
