"""Corners: where pieces meet at the point itself, and the derivatives from the right and from the left.

A function made of pieces (|u|, max, `where`) is differentiated on the active piece. At a point where two pieces tie,
the one-sided derivatives decide. With s = +1 to the right and -1 to the left, u = 0 moves as u' h for h of sign s, so

    |u|' = s |u'| = sign(s u') u',    max(u, v)' = u' if s (u' - v') >= 0 else v',    u > v becomes s (u' - v') > 0,

and f has a derivative exactly if both sides agree. Where a tie is one to first order too, or a branch not taken would
have to be followed, nothing is decided. Reference: Clarke, *Optimization and Nonsmooth Analysis* (1983), section 2.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed import facts
from qed.calculus.deriving.program import COMPARISONS, Program
from qed.domains.elements import Element

Overrides = Mapping[Element, tuple[float, ...]]
"""For an element at a corner, its partial derivatives on one side, one an operand."""


@dataclass(frozen=True, eq=False)
class Corner:
    """An element whose pieces meet at the point; `pair` are the two numbers that are equal there."""

    element: Element
    pair: tuple[Element, Element | None]


class Undecided(Exception):
    """What the one-sided derivatives would need."""


def corners(program: Program, active: frozenset[Element]) -> tuple[Corner, ...]:
    """Where pieces meet, among the elements that depend on the variable."""
    found: list[Corner] = []
    for element in program.order:
        if element in active and any(operand in active for operand in element.operands):
            found += _corners_of(element, active)
    for test in program.decisions:
        found += [Corner(test, pair) for pair in _ties(test, active)]
    return tuple(found)


def _corners_of(element: Element, active: frozenset[Element]) -> list[Corner]:
    if element.operation in COMPARISONS:
        return []
    if element.operation == "select":
        return [Corner(element, pair) for pair in _ties(element.condition, active)]
    values = [float(operand.value) for operand in element.operands]
    operands = element.operands
    if element.operation in ("max", "min"):
        apart = values[0] != values[1] or operands[0] is operands[1]
        return [] if apart else [Corner(element, (operands[0], operands[1]))]
    if element.operation == "clamp":
        return [Corner(element, (operands[1], operands[i])) for i in (0, 2) if values[1] == values[i]]
    card = facts.card(element.operation, **element.parameters) if element.operation not in facts.ARITHMETIC else None
    if card is not None and (card.kinks.meets(values[0], values[0]) or card.jumps.meets(values[0], values[0])):
        return [Corner(element, (operands[0], None))]
    if card is not None and _at_an_end(card, values[0]):
        return [Corner(element, (operands[0], None))]
    if element.operation == "pow" and values[0] == 0 and values[1] != int(values[1]):
        return [Corner(element, (operands[0], None))]
    if card is None and element.operation in ("rem", "atan2"):
        jump = facts.ARITHMETIC[element.operation].jump
        if jump is not None and bool(jump.holds(x=values[0], y=values[1])):
            return [Corner(element, (operands[0], operands[1]))]
    return []


def _at_an_end(card: facts.Card, value: float) -> bool:
    """Whether a function is defined at a number, but not on both sides of it."""
    beside = [np.nextafter(value, side) for side in (-np.inf, np.inf)]
    return card.defined_at(value) and not all(card.defined_at(float(place)) for place in beside)


def _ties(test: Element | None, active: frozenset[Element]) -> list[tuple[Element, Element]]:
    """The pairs of equal numbers that a condition compares, where one of them moves with the variable."""
    if test is None or test not in active:
        return []
    if test.operation in ("and", "or", "not", "xor"):
        return [pair for operand in test.operands for pair in _ties(operand, active)]
    if test.operation == "is_finite":
        return []
    left, right = test.operands
    if left.operation in COMPARISONS or right.operation in COMPARISONS:
        return [pair for operand in test.operands for pair in _ties(operand, active)]
    return [(left, right)] if left is not right and left.value == right.value else []


def is_exact(program: Program, corner: Corner) -> bool | None:
    """Whether the two numbers are equal as real numbers: True, False, or None where balls cannot tell.

    In floating point two different numbers may round to the same.
    """
    try:
        import flint
    except ImportError:
        return None
    from qed.calculus.deriving.program import numbers_of

    card = facts.card(corner.element.operation) if corner.pair[1] is None else None
    with flint.ctx.workprec(200):
        balls = numbers_of(program.order, facts.BALLS, flint.arb)
        left = balls[corner.pair[0]]
        if card is not None and card.jumps.lattice is not None:
            return bool(left.is_exact())
        difference = left - balls[corner.pair[1]] if corner.pair[1] is not None else left
        if not hasattr(difference, "contains"):
            return None
        return True if difference == 0 else None if difference.contains(0) else False


def side(program: Program, variable: Element, active: frozenset[Element], sign: int) -> Overrides:
    """The partial derivatives of the elements at corners, to the right (sign 1) or to the left (-1) of the point.

    Raises:
        Undecided: with the reason.
    """
    if any(_ties(test, active) for test in program.decisions):
        message = "a branch or a loop is decided by two equal numbers, and the other way was not taken"
        raise Undecided(message)
    slopes: dict[Element, float] = {}
    chosen: dict[Element, tuple[float, ...]] = {}
    for element in program.order:
        if element not in active or element.operation in COMPARISONS:
            slopes[element] = 0.0
            continue
        if element is variable:
            slopes[element] = 1.0
            continue
        partials = _partials(program, element, active, slopes, sign)
        if _corners_of(element, active):
            chosen[element] = partials
        pairs = zip(element.operands, partials, strict=True)
        with np.errstate(all="ignore"):
            slopes[element] = float(sum(p * slopes[o] for o, p in pairs if o in active))
    return chosen


def _partials(
    program: Program, element: Element, active: frozenset[Element], slopes: Mapping[Element, float], sign: int
) -> tuple[float, ...]:
    """The partial derivatives of an element in its operands, on one side."""
    operands = element.operands
    moves = [sign * slopes[operand] for operand in operands]
    values = [float(operand.value) for operand in operands]
    match element.operation:
        case "add":
            return (1.0,) * len(operands)
        case "select":
            return _chosen(program, element, active, slopes, sign)
        case "abs" if values[0] == 0:
            return (float(np.sign(moves[0])),)
        case "max" | "min" if values[0] == values[1]:
            first = moves[0] >= moves[1] if element.operation == "max" else moves[0] <= moves[1]
            return (1.0, 0.0) if first else (0.0, 1.0)
        case "clamp" if values[1] in (values[0], values[2]):
            low, value, high = moves
            inside = (values[1] > values[0] or value >= low) and (values[1] < values[2] or value <= high)
            below = values[1] == values[0] and value < low
            return (0.0, 1.0, 0.0) if inside else (1.0, 0.0, 0.0) if below else (0.0, 0.0, 1.0)
    if _corners_of(element, active):
        message = f"{element.operation} has a jump, a vertical tangent or the end of its domain there"
        raise Undecided(message)
    return _smooth(program, element)


def _smooth(program: Program, element: Element) -> tuple[float, ...]:
    numbers = [np.float64(program.numbers[operand]) for operand in element.operands]
    value = np.float64(program.numbers[element])
    with np.errstate(all="ignore"):
        if element.operation not in facts.ARITHMETIC:
            card = facts.card(element.operation, **element.parameters)
            assert card is not None
            return (float(card.derivative.evaluate(arithmetic=facts.NUMPY, x=numbers[0], y=value)),)
        found = facts.ARITHMETIC[element.operation]
        names = {**dict(zip(found.arguments, numbers, strict=True)), "z": value}
        return tuple(
            float("nan") if p is None else float(p.evaluate(arithmetic=facts.NUMPY, **names)) for p in found.partials
        )


def _chosen(
    program: Program, element: Element, active: frozenset[Element], slopes: Mapping[Element, float], sign: int
) -> tuple[float, ...]:
    """Which case of a choice holds on one side."""
    first = (1.0,) + (0.0,) * (len(element.operands) - 1)
    if not _corners_of(element, active):
        return first
    assert element.condition is not None
    truth = _truth(element.condition, active, slopes, sign)
    if int(truth) == element.choice:
        return first
    taken, other = element.operands[:2]
    if program.numbers[taken] != program.numbers[other] and element.condition.operation in ("eq", "ne"):
        message = "a case for this single point was taken, and where the other one leads is not known"
        raise Undecided(message)
    if program.numbers[taken] != program.numbers[other]:
        message = f"the value jumps from {float(program.numbers[taken]):.6g} to {float(program.numbers[other]):.6g}"
        raise Undecided(message)
    return (0.0, 1.0, *first[2:])


def _truth(test: Element, active: frozenset[Element], slopes: Mapping[Element, float], sign: int) -> bool:
    """Whether a condition holds just beside the point."""
    inner: Any = [_truth(o, active, slopes, sign) for o in test.operands if o.operation in COMPARISONS]
    match test.operation:
        case "not":
            return not inner[0]
        case "and" | "or" | "xor" if len(inner) == 2:
            return {"and": inner[0] and inner[1], "or": inner[0] or inner[1], "xor": inner[0] != inner[1]}[
                test.operation
            ]
    if not _ties(test, active):
        return bool(test.value)
    if len(inner) == 2 and test.operation in ("eq", "ne"):
        return (inner[0] == inner[1]) == (test.operation == "eq")
    if inner:
        message = "a condition is made of comparisons that are decided by equal numbers"
        raise Undecided(message)
    left, right = test.operands
    move = sign * (slopes.get(left, 0.0) - slopes.get(right, 0.0))
    if move == 0:
        message = "two compared numbers are equal, and so are their derivatives"
        raise Undecided(message)
    return {"gt": move > 0, "ge": move > 0, "lt": move < 0, "le": move < 0, "eq": False, "ne": True}[test.operation]
