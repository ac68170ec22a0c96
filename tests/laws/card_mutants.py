"""Every single mistake that somebody could make in writing a card, made systematically.

`mutants(card)` yields (field, what was done, the wrong card): the derivative scaled by 1 + 1e-6, shifted by 1e-6,
negated, and with each constant, sign, symbol, call and parameter in its text altered; each turn, bend, kink, jump and
pole dropped, moved by 1e-6, or added; each end of domain and range moved by 1e-6, opened or closed, or sent to
infinity; each limit, the parity, the period and the log-curvature replaced by each other value; NumPy's function, the
ball's and the definition replaced.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from qed.facts import Card, Expression, Interval, Point, Points
from qed.facts.expression import ZERO, Call, Choice, Constant, Operation, Symbol, choice, operation
from qed.facts.points import linear
from tests.laws.card_pieces import special_points, window

SLIGHTLY = Fraction(1, 10**6)
Mutants = Iterator[tuple[str, str, Card]]


def mutants(card: Card) -> Mutants:
    """Yield every card that differs from this one by one mistake."""
    for field, generator in (
        ("derivative", _derivatives), ("turns", _points), ("bends", _points), ("kinks", _points), ("jumps", _points),
        ("poles", _poles), ("domain", _domains), ("shape_on", _shapes), ("range", _ranges), ("limits", _limits),
        ("at_poles", _limits_at_poles), ("parity", _words), ("log", _words), ("period", _periods), ("value", _values),
    ):  # fmt: skip
        for what, wrong in generator(card, field):
            yield field, what, wrong


def _derivatives(card: Card, _: str) -> Iterator[tuple[str, Card]]:
    text = card.derivative
    whole = {
        "scaled": text * constant(1 + SLIGHTLY),
        "shifted": text + constant(SLIGHTLY),
        "negated": -text,
        "dropped": ZERO,
        "squared": text * text,
    }
    for what, wrong in [*whole.items(), *((f"text {wrong}", wrong) for wrong in edits(text))]:
        if wrong != text and not (text == ZERO and what != "shifted"):
            yield f"{what}: {wrong}", replace(card, derivative=wrong)


def edits(node: Expression) -> Iterator[Expression]:
    """Yield the formula with one node of it altered."""
    match node:
        case Constant(value):
            yield constant(value * (1 + SLIGHTLY)) if value else constant(SLIGHTLY)
        case Symbol("x"):
            yield Symbol("y")
        case Symbol("y"):
            yield Symbol("x")
        case Operation(sign, left, right):
            yield operation({"+": "-", "-": "+", "*": "/", "/": "*"}[sign], left, right)
            yield from (operation(sign, wrong, right) for wrong in edits(left))
            yield from (operation(sign, left, wrong) for wrong in edits(right))
        case Call(name, operands, parameters):
            yield from operands[:1]
            for index, operand in enumerate(operands):
                for wrong in edits(operand):
                    yield Call(name, (*operands[:index], wrong, *operands[index + 1 :]), parameters)
            for index, (key, value) in enumerate(parameters):
                yield Call(name, operands, (*parameters[:index], (key, value + 1), *parameters[index + 1 :]))
        case Choice(comparison, left, right, then, otherwise):
            yield choice(comparison, left, right, otherwise, then)
            yield from (choice(comparison, left, right, wrong, otherwise) for wrong in edits(then))
            yield from (choice(comparison, left, right, then, wrong) for wrong in edits(otherwise))


def _points(card: Card, field: str) -> Iterator[tuple[str, Card]]:
    for what, points in _altered(getattr(card, field), _ordinary(card)):
        yield f"{what}: {points}", replace(card, **{field: points})


def _poles(card: Card, field: str) -> Iterator[tuple[str, Card]]:
    limits = card.at_poles or (Point.parse("inf"), Point.parse("inf"))
    for what, points in _altered(card.poles, _ordinary(card)):
        yield f"{what}: {points}", replace(card, poles=points, at_poles=limits if points else None)


def _altered(points: Points, ordinary: Point) -> Iterator[tuple[str, Points]]:
    listed, lattice = points.listed, points.lattice
    yield "added", Points((*listed, ordinary), lattice)
    for index, point in enumerate(listed):
        others = (*listed[:index], *listed[index + 1 :])
        yield "dropped", Points(others)
        for side in (-1, 1):
            yield "moved", Points(_sorted(*others, _moved(point, side)))
    if lattice is not None:
        yield "dropped", Points(listed)
        for name, wrong in (
            ("moved", replace(lattice, start=linear(lattice.start + constant(SLIGHTLY)))),
            ("doubled", replace(lattice, period=linear(lattice.period * 2))),
            ("halved", replace(lattice, period=linear(lattice.period / 2))),
            ("cut", replace(lattice, last=(lattice.last or 0) - 1)),
            ("extended", replace(lattice, last=lattice.last + 1) if lattice.last is not None else None),
            ("begun", replace(lattice, first=0)),
        ):  # fmt: skip
            if wrong is not None:
                yield name, Points(listed, wrong)


def _domains(card: Card, _: str) -> Iterator[tuple[str, Card]]:
    for what, domain in _intervals(card.domain, far=7):
        shape = domain if card.shape_on == card.domain else card.shape_on
        yield f"{what}: {domain}", replace(card, domain=domain, shape_on=shape)


def _shapes(card: Card, field: str) -> Iterator[tuple[str, Card]]:
    yield "narrowed", replace(card, shape_on=Interval.parse("(-3/4, 7/8)"))
    if card.shape_on != card.domain:
        yield "widened", replace(card, shape_on=card.domain)


def _ranges(card: Card, field: str) -> Iterator[tuple[str, Card]]:
    for what, interval in _intervals(card.range, far=10**6):
        yield f"{what}: {interval}", replace(card, range=interval)


def _intervals(interval: Interval, far: int) -> Iterator[tuple[str, Interval]]:
    for end, side in (("lower", -1), ("upper", 1)):
        point: Point = getattr(interval, end)
        closed = f"{end}_closed"
        if point.infinite:
            yield f"{end} end finite", replace(interval, **{end: Point(constant(side * far))})
            continue
        yield (
            f"{end} end infinite",
            replace(interval, **{end: Point.parse("inf" if side > 0 else "-inf"), closed: False}),
        )
        yield f"{end} end flipped", replace(interval, **{closed: not getattr(interval, closed)})
        for move in (-1, 1):
            yield f"{end} end moved", replace(interval, **{end: _moved(point, move)})


def _limits(card: Card, _: str) -> Iterator[tuple[str, Card]]:
    for index, limit in enumerate(card.limits):
        for wrong in _other_limits(limit):
            limits = [*card.limits]
            limits[index] = wrong
            yield f"{index}: {wrong}", replace(card, limits=(limits[0], limits[1]))


def _limits_at_poles(card: Card, _: str) -> Iterator[tuple[str, Card]]:
    if card.at_poles is None:
        return
    for index, limit in enumerate(card.at_poles):
        for wrong in _other_limits(limit):
            if wrong is not None:
                limits = [*card.at_poles]
                limits[index] = wrong
                yield f"{index}: {wrong}", replace(card, at_poles=(limits[0], limits[1]))


def _other_limits(limit: Point | None) -> Iterator[Point | None]:
    if limit is not None:
        yield None
    for text in ("-inf", "0", "1", "inf"):
        if limit is None or str(limit) != text:
            yield Point.parse(text)
    if limit is not None and not limit.infinite:
        yield _moved(limit, 1)
        yield _moved(limit, -1)


def _words(card: Card, field: str) -> Iterator[tuple[str, Card]]:
    words = {"parity": ("even", "odd", "none"), "log": ("convex", "concave", "affine", "none")}[field]
    for word in words:
        if word != getattr(card, field):
            yield word, replace(card, **{field: word})


def _periods(card: Card, _: str) -> Iterator[tuple[str, Card]]:
    for text in ("", "1", "pi", "2*pi", "4*pi", "pi/2"):
        period = Point.parse(text) if text else None
        if period != card.period:
            yield text or "none", replace(card, period=period)


def _values(card: Card, _: str) -> Iterator[tuple[str, Card]]:
    wrong = ("numpy.sin", "numpy.tanh") if not card.parameters else ("numpy.hypot", "numpy.arctan2")
    for name in wrong:
        if name != card.value.numpy:
            yield name, replace(card, value=replace(card.value, numpy=name))
    for name in ("sin", "tanh") if not card.parameters else ():
        if name != card.value.flint:
            yield f"ball {name}", replace(card, value=replace(card.value, flint=name))
    if card.value.definition is not None:
        for wrong in edits(card.value.definition):
            if "y" not in wrong.symbols:
                yield f"definition {wrong}", replace(card, value=replace(card.value, definition=wrong))


def _ordinary(card: Card) -> Point:
    """A point where nothing special happens."""
    low, high = (end.value for end in window(card, card.shape_on))
    special = [point.value for point in special_points(card, -10, 10)]
    for text in ("23/32", "55/32", "-23/32"):
        point = Point.parse(text)
        if low < point.value < high and all(abs(point.value - other) > 1e-3 for other in special):
            return point
    raise AssertionError(card.name)


def _moved(point: Point, side: int) -> Point:
    size = max(1.0, abs(point.value))
    return Point(linear(point.expression + constant(side * SLIGHTLY * Fraction(size))))


def _sorted(*points: Point) -> tuple[Point, ...]:
    return tuple(sorted(points, key=lambda point: point.value))


def constant(value: Fraction | int) -> Constant:
    return Constant(Fraction(value))
