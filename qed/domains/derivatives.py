"""Enclosures of f' and f'' on intervals, from a fact card.

The card's formula for f' is evaluated in intervals. Where x or y = f(x) occurs in it more than once that is wide; but
between neighbouring bends (changes of sign of f'') and away from poles, f' is monotone, so that its range is the hull
of its values at the ends of the interval and at the bends inside: f' is treated as a function with a card of its own,
whose turns are f's bends. The first and second partial derivatives of operations of two numbers come from their cards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from qed import facts
from qed.domains.formulas import Formulas
from qed.domains.hull import image, poles_meet
from qed.domains.intervals import Intervals
from qed.facts.card import REALS, Value
from qed.facts.differentiation import differentiate
from qed.facts.expression import ONE, Call, Constant, Expression, Operation, Symbol
from qed.facts.points import Points
from qed.facts.table import rule

Array = np.ndarray
FAR = 1e3
"""From here on the formula for f' is evaluated as it stands: there is nothing to gain on a tail."""


def first(card: facts.Card, x: Intervals, y: Intervals, formulas: Formulas) -> Intervals:
    """Return an enclosure of f' on x, marked undefined where it may not exist.

    >>> from qed import facts
    >>> from qed.domains.derivatives import first
    >>> from qed.domains.formulas import Formulas
    >>> from qed.domains.interval import Interval
    >>> from qed.domains.intervals import Intervals
    >>> x, tanh = Intervals([-1.0], [2.0]), facts.card("tanh")
    >>> slope = first(tanh, x, Interval().image(tanh, x), Formulas(Interval()))
    >>> round(float(slope.lower[0]), 4), float(slope.upper[0])
    (0.0707, 1.0)
    """
    natural = _spread(facts.derivative_of(card).evaluate(x=x, y=y, arithmetic=formulas), x)
    if not _repeated(card):
        return natural
    inner = image(_of_slope(card), Intervals(np.clip(x.lower, -FAR, FAR), np.clip(x.upper, -FAR, FAR)))
    lower, upper = inner.lower, inner.upper
    for outside, low, high in (
        (x.lower < -FAR, x.lower, np.minimum(x.upper, -FAR)),
        (x.upper > FAR, np.maximum(x.lower, FAR), x.upper),
    ):
        if np.any(outside):
            tail = Intervals(np.where(outside, low, 0.0), np.where(outside, high, 0.0))
            value = formulas.domain.image(card, tail)
            far = _spread(facts.derivative_of(card).evaluate(x=tail, y=value, arithmetic=formulas), tail)
            lower = np.where(outside, np.minimum(lower, far.lower), lower)
            upper = np.where(outside, np.maximum(upper, far.upper), upper)
    return Intervals(np.maximum(natural.lower, lower), np.minimum(natural.upper, upper), natural.doubt)


def second(card: facts.Card, x: Intervals, y: Intervals, formulas: Formulas) -> Intervals:
    """Return an enclosure of f'' on x, marked undefined where it may not exist."""
    return _spread(facts.derivative_of(card, 2).evaluate(x=x, y=y, arithmetic=formulas), x)


def rough(card: facts.Card, x: Intervals) -> tuple[Array, Array]:
    """Return where a closed interval may hold a corner, and where it may hold a jump or a pole."""
    found = []
    for points in ((card.kinks,), (card.jumps, card.poles)):
        mask = np.zeros(x.shape, bool)
        for some in points:
            if some:
                lower, upper = x.lower.ravel(), x.upper.ravel()
                mask |= poles_meet(replace(card, poles=some), lower, upper).reshape(x.shape)
        found.append(mask)
    return found[0], found[1]


@cache
def partials(name: str, operands: int) -> tuple[tuple[Expression | None, ...], dict[tuple[int, int], Any]]:
    """Return the first and the second partial derivatives of an operation, formulas in its arguments and z.

    >>> from qed.domains.derivatives import partials
    >>> partials("div", 2)[1][1, 1]
    Expression('-((-z/y/y) - z/(y*y))')
    """
    card = facts.arithmetic(name, operands)
    assert card is not None
    firsts = card.partials
    seconds: dict[tuple[int, int], Any] = {}
    for i, slope in enumerate(firsts):
        for j in range(i, len(firsts)):
            other = firsts[j]
            try:
                symbols = {card.arguments[j]: ONE, "z": other}
                known = slope is not None and other is not None
                seconds[i, j] = differentiate(slope, symbols, rule) if known else None  # type: ignore[arg-type]
            except (ValueError, KeyError):
                seconds[i, j] = None
    return firsts, seconds


def evaluated(formula: Expression, card: Any, xs: Sequence[Intervals], z: Intervals, formulas: Formulas) -> Intervals:
    """Return a partial derivative on boxes."""
    values = dict(zip(card.arguments, xs, strict=True))
    return _spread(formula.evaluate(arithmetic=formulas, z=z, **values), z)


def _spread(value: Any, like: Intervals) -> Intervals:
    """The value in the shape of another, a new object."""
    return value.map(lambda a: np.broadcast_to(a, like.shape))


@cache
def _repeated(card: facts.Card) -> bool:
    """Whether x or y occurs more than once in f', other than in a square x*x."""
    return (
        card.shape_on == REALS and not card.kinks and not card.jumps and not card.poles and _count(card.derivative) > 1
    )


def _count(node: Expression) -> int:
    match node:
        case Symbol(name):
            return name != "pi"
        case Operation("*", left, right) if left == right:
            return _count(left)
        case Operation(_, left, right):
            return _count(left) + _count(right)
        case Call(_, operands):
            return sum(map(_count, operands))
        case Constant():
            return 0
    return 2


@cache
def _of_slope(card: facts.Card) -> facts.Card:
    """The card of f', as far as its range on an interval needs it."""
    definition = card.derivative.substitute({"y": Call(card.name, (Symbol("x"),), card.parameters)})
    return replace(
        card,
        name=f"slope of {card.name}",
        value=Value("", "", "", definition),
        range=REALS,
        limits=(None, None),
        turns=card.bends,
        bends=Points(),
    )
