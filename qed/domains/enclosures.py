"""Coefficients that are enclosures: intervals or balls, so that a series encloses those of all points of a segment.

With the segment itself for the leading coefficient of the input, the last coefficient encloses c_{n+1} at every point
of the segment: the factor of Lagrange's remainder. That needs a function that is smooth on the segment. So nothing is
joined here: a comparison that is not decided for the whole segment, a kink, jump or pole that may be met, a value that
may be undefined is `Lost`, and so is an element whose choice (of a maximum) is not decided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, final

import numpy as np

from qed import facts
from qed.domains.coefficients import Coefficients, Lost
from qed.domains.enclosing import Enclosing, Known
from qed.domains.intervals import combined
from qed.facts.condition import Condition
from qed.graph.graph import Atom, Equation
from qed.graph.tape import Context

_NAMES = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}
UNDECIDED = "not decided on the whole segment:"


@final
class Enclosures(Coefficients):
    """Arrays of enclosures of the domain of intervals or of balls.

    Example: exp on [0, 1], its third coefficient e^x / 6

        >>> from qed.domains.interval import Interval
        >>> from qed.domains.intervals import Intervals
        >>> from qed.domains.series import SeriesArithmetic
        >>> series = SeriesArithmetic(Enclosures(Interval()))
        >>> y = series.call("exp", series.given([Intervals(0.0, 1.0), Intervals.point(1.0)]))
        >>> bool(y[3].lower <= 1 / 6) and bool(y[3].upper >= 2.718 / 6) and bool(y[3].upper < 0.46)
        True
    """

    def __init__(self, base: Enclosing) -> None:
        self.base = base
        self.enclosing = base

    def rational(self, value: Fraction) -> Any:
        """The number itself where it is a float, else the two floats around it."""
        near = float(value)
        if Fraction(near) == value:
            return self.enclosing.lift(np.asarray(near))
        ends = math.nextafter(near, -math.inf), math.nextafter(near, math.inf)
        return self.enclosing.numbers.between(*map(np.asarray, ends))

    def call(self, name: str, *operands: Any, **parameters: Any) -> Any:
        """An enclosure of the values; Lost where some are undefined."""
        if name == "pi":
            ends = math.nextafter(math.pi, 0.0), math.nextafter(math.pi, 4.0)
            return self.enclosing.numbers.between(*map(np.asarray, ends))
        if name in facts.ARITHMETIC:
            found = self.enclosing.combine(name, operands)
        else:
            card = facts.card(name, **parameters)
            found = None if card is None else self.enclosing.image(card, operands[0])
        if found is None:
            raise Lost
        return self._defined(found)

    def _defined(self, value: Any) -> Any:
        doubt = getattr(value, "doubt", None)
        if doubt is not None and doubt.undefined is not None:
            raise Lost(why="somewhere on the segment undefined:", unknown=doubt.place)
        return value

    def decide(self, comparison: str, left: Any, right: Any) -> Any:
        """True, False, or an array of them; Lost where both are possible."""
        yes, no = self.enclosing.certain(_NAMES[comparison], left, right)
        if np.all(yes):
            return True
        if np.all(no):
            return False
        if np.all(yes | no):
            return yes
        raise Lost(UNDECIDED)

    def choose(self, mask: Any, then: Any, otherwise: Any) -> Any:
        """Elementwise; None is zero."""
        if isinstance(mask, bool):
            return then if mask else otherwise
        if then is None and otherwise is None:
            return None
        zero = self.enclosing.lift(np.zeros(()))
        parts = (zero if then is None else then, zero if otherwise is None else otherwise)
        return combined(lambda a, b: np.where(mask, a, b), *parts)

    def shaped(self, value: Any, variable: Atom) -> Any:
        """The enclosure broadcast."""
        value = self.enclosing.number(value)
        return value if value.shape == variable.shape else value.map(lambda a: np.broadcast_to(a, variable.shape))

    def zeros(self, variable: Atom) -> Any:
        """Zeros."""
        return self.enclosing.lift(np.zeros(variable.shape))

    def add(self, left: Any, right: Any) -> Any:
        """The sum."""
        return self.enclosing.number(left) + self.enclosing.number(right)

    def sub(self, left: Any, right: Any) -> Any:
        """The difference."""
        return self.enclosing.number(left) - self.enclosing.number(right)

    def mul(self, left: Any, right: Any) -> Any:
        """The product."""
        return self.enclosing.number(left) * self.enclosing.number(right)

    def div(self, left: Any, right: Any) -> Any:
        """The quotient; Lost where the divisor may be zero."""
        return self._defined(self.enclosing.number(left) / self.enclosing.number(right))

    def neg(self, value: Any) -> Any:
        """The negative."""
        return -self.enclosing.number(value)

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> tuple[Any, ...]:
        """The base's rule; Lost where a value may be undefined."""
        return tuple(self._defined(out) for out in super().apply(equation, inputs, context))

    def certain(self, value: Any, variable: Atom) -> Any:
        """Integers and truth values that are known."""
        if isinstance(value, Known):
            return value
        lower, upper = value.bounds
        if value.doubt or np.any(lower != upper):
            raise Lost(UNDECIDED)
        return Known(lower.astype(variable.dtype))

    def smooth(self, name: str, operands: Sequence[Any], parameters: dict[str, Any]) -> None:
        """Lost at a kink, jump or pole, or where a domain may be left."""
        if name in facts.ARITHMETIC:
            card = facts.ARITHMETIC[name]
            values = dict(zip(card.arguments, operands, strict=True))
            if card.jump is not None and self._possible(card.jump, values):
                raise Lost(why="a jump may lie on the segment:")
            return
        card = facts.card(name, **parameters)
        if card is None:
            raise Lost
        bounds = [np.ravel(end) for end in operands[0].bounds]
        marks = [points for points in (card.kinks, card.jumps, card.poles) if points]
        if marks and bounds[0].size:
            whole = float(bounds[0].min()), float(bounds[1].max())
            pairs = [whole] if not any(p.meets(*whole) for p in marks) else list(zip(*bounds, strict=True))
            if any(p.meets(float(low), float(high)) for low, high in pairs for p in marks):
                raise Lost(why="a kink, jump or pole may lie on the segment:")

    def _possible(self, condition: Condition, values: dict[str, Any]) -> bool:
        """Whether the condition may hold somewhere."""
        for conjunction in condition.alternatives:
            open_: Any = True
            for part in conjunction:
                sides = [side.evaluate(arithmetic=_Values(self), **values) for side in (part.left, part.right)]
                _, no = self.enclosing.certain(_NAMES[part.sign], *sides)
                open_ = open_ & ~np.asarray(no)
            if np.any(open_):
                return True
        return False

    # --- choices along axes ---

    def winner(self, value: Any, axis: int, largest: bool) -> np.ndarray:
        """The index along an axis of the element that is surely the extreme one."""
        lower, upper = value.bounds if largest else tuple(-end for end in reversed(value.bounds))
        best = np.argmax(lower, axis=axis, keepdims=True)
        floor = np.take_along_axis(lower, best, axis)
        others = upper.copy()
        np.put_along_axis(others, best, -np.inf, axis)
        if np.any(others >= floor):
            raise Lost(UNDECIDED)
        return best

    def order(self, value: Any, axis: int, descending: bool) -> np.ndarray:
        """The order along an axis in which the elements surely are."""
        lower, upper = value.bounds if not descending else tuple(-end for end in reversed(value.bounds))
        order = np.argsort(lower, axis, kind="stable")
        low, high = (np.moveaxis(np.take_along_axis(end, order, axis), axis, -1) for end in (lower, upper))
        if not np.all(high[..., :-1] < low[..., 1:]):
            raise Lost(UNDECIDED)
        return order


class _Values:
    """Enclosures as an arithmetic for the conditions on the cards."""

    def __init__(self, numbers: Enclosures) -> None:
        self.numbers = numbers

    def constant(self, value: float) -> Any:
        return self.numbers.rational(Fraction(value))

    def call(self, name: str, *operands: Any, **parameters: Any) -> Any:
        return self.numbers.call(name, *operands, **parameters)

    def select(self, comparison: str, left: Any, right: Any, then: Any, otherwise: Any) -> Any:
        return self.numbers.choose(self.numbers.decide(comparison, left, right), then, otherwise)


def moved(value: Any, move: Callable[[np.ndarray], np.ndarray]) -> Any:
    """The elements of an enclosure moved; None stays zero."""
    return None if value is None else value.map(move)
