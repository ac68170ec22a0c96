"""What it means for a card to be true, as functions from a card to its complaints.

`complaints(card)` yields a sentence for each fact that is not so; a true card yields none. Everything is decided in
ball arithmetic (python-flint), where a comparison that holds is a proof for the points it is about. Signs between
special points are proved for all points (of a window); the rest is decided at many places, to a hundred bits or so. The
same functions judge the cards of the tables (test_cards.py) and every mutant of them (test_card_mutations.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import flint
import numpy as np

from qed.facts import Card, Expression, Point
from qed.facts import card as look_up
from qed.facts.card import Value
from qed.facts.expression import ZERO
from qed.facts.libraries import value_in
from tests.laws.card_pieces import (
    NEAR,
    Place,
    at,
    ball,
    finite,
    landmarks,
    places,
    precision_of,
    special_points,
    window,
)
from tests.laws.card_signs import (
    check_bends,
    check_bends_sampled,
    check_log,
    check_log_sampled,
    check_turns,
    check_turns_sampled,
)

arb = flint.arb
Complaints = Iterator[str]


def complaints(card: Card, first: str = "") -> Complaints:
    """Yield what is wrong with the card. `first` names the field that is judged first, for speed: all are judged."""
    for check in sorted(CHECKS, key=lambda check: check.__name__ not in FIRST.get(first, ())):
        with flint.ctx.workprec(precision_of(card)):
            found = list(check(card))
        for complaint in found:
            yield f"{check.__name__[6:]}: {complaint}"


FIRST = {
    "derivative": ("check_derivative",),
    "turns": ("check_turns_sampled", "check_turns"),
    "bends": ("check_bends_sampled", "check_bends"),
    "kinks": ("check_smoothness",),
    "jumps": ("check_smoothness",),
    "poles": ("check_poles", "check_domain"),
    "at_poles": ("check_poles",),
    "domain": ("check_domain",),
    "range": ("check_range",),
    "limits": ("check_limits",),
    "parity": ("check_parity",),
    "log": ("check_log_sampled",),
    "period": ("check_period",),
    "value": ("check_values",),
}


def check_form(card: Card) -> Complaints:
    """The facts fit together: points lie where they can, limits are given where there are poles."""
    low, high = card.shape_on.lower.value, card.shape_on.upper.value
    for field in ("turns", "bends", "kinks", "jumps"):
        for point in getattr(card, field).listed:
            if not low < point.value < high:
                yield f"{field}: {point} is not inside {card.shape_on}"
    if bool(card.poles) != (card.at_poles is not None):
        yield "limits at poles without poles, or the reverse"
    for point in card.poles.listed:
        if not card.domain.lower.value < point.value < card.domain.upper.value:
            yield f"the pole {point} is not inside the domain"
    for end, side in ((card.shape_on.lower, card.domain.lower), (card.shape_on.upper, card.domain.upper)):
        if end != side and end not in card.poles.between(end.value, end.value):
            yield f"the shape is stated up to {end}, neither an end of the domain nor a pole"
    closed = (card.shape_on.lower_closed, card.shape_on.upper_closed)
    if card.shape_on.lower == card.domain.lower and closed[0] != card.domain.lower_closed:
        yield "the shape and the domain differ at the lower end"
    if card.shape_on.upper == card.domain.upper and closed[1] != card.domain.upper_closed:
        yield "the shape and the domain differ at the upper end"


def check_derivative(card: Card) -> Complaints:
    """The text agrees with difference quotients of the ball value to 60 bits, in the whole domain."""
    for place in _reference_places(card.name, card.parameters):
        reference = difference_quotient(card.value, card.parameters, place)
        stated = _accurately(card.derivative, card, place)
        slack = arb(0) if place.t > 0 else arb(2) ** -150
        if not abs(stated - reference) <= abs(reference) * arb(2) ** -60 + slack:
            yield f"at {place} it is {_short(reference)}, not {_short(stated)}"
            return


def check_domain(card: Card) -> Complaints:
    """f is finite in the domain less its poles, at its closed ends, and nowhere just outside."""
    ends = ((card.domain.lower, card.domain.lower_closed, 1), (card.domain.upper, card.domain.upper_closed, -1))
    for end, closed, inward in ends:
        if end.infinite:
            continue
        if finite(card.ball(ball(end))) != closed:
            yield f"at the end {end} the function is {'not ' * closed}defined"
        for exponent in (2, 10, 30, 60):
            step = arb(2) ** -exponent
            if finite(card.ball(ball(end) - inward * step)):
                yield f"defined {_short(step)} outside the end {end}"
                return
            if not finite(card.ball(ball(end) + inward * step)):
                yield f"not defined {_short(step)} inside the end {end}"
                return
    for place in places(card, card.domain):
        if not finite(card.ball(place.x)):
            yield f"not defined at {place}"
            return
    low, high = window(card, card.domain)
    poles = {pole.value for pole in special_points(card, low.value, high.value, "poles")}
    for mark in landmarks(low.value, high.value):
        if mark.value not in poles and not finite(card.ball(ball(mark))):
            yield f"not defined at {mark}"


def check_poles(card: Card) -> Complaints:
    """At a stated pole f is not finite, and it has the stated infinite limits on both sides."""
    low, high = window(card, card.domain)
    for pole in special_points(card, max(low.value, -7.0), min(high.value, 7.0), "poles"):
        if finite(card.ball(ball(pole))):
            yield f"finite at {pole}"
        for side, limit in zip((-1, 1), card.at_poles or (), strict=False):
            if not limit.infinite:
                yield f"the limit {limit} at {pole} is finite: no pole"
            yield from _limit(card, pole, side, limit)


def check_limits(card: Card) -> Complaints:
    """The limits at both ends of where the shape is stated are the stated ones; "none" means it oscillates."""
    ends = (card.shape_on.lower, card.shape_on.upper)
    for end, inward, limit in zip(ends, (1, -1), card.limits, strict=True):
        if limit is not None:
            yield from _limit(card, end, inward, limit)
        elif card.period is None or not end.infinite:
            yield f"no limit at {end}, yet not periodic"


def _limit(card: Card, end: Point, inward: int, limit: Point) -> Complaints:
    """Judge a limit by the values at doubly exponential steps: 2^-8, 2^-16, ... 2^-512 from it, or 2^2 ... 2^128."""
    with flint.ctx.workprec(1400):
        if end.infinite:
            xs = [-inward * arb(2) ** (2**k) for k in range(1, 8)]
        else:
            xs = [ball(end) + inward * arb(2) ** -(2**k) for k in range(3, 10)]
        values = [value for value in map(card.ball, xs) if finite(value)]
        where = f"at {end} from {'the right' if inward > 0 else 'the left'}"
        if len(values) < 4:
            yield f"no values towards {where}"
        elif not limit.infinite:
            if not abs(values[-1] - ball(limit)) < 1e-15:
                yield f"{where} the limit is not {limit}: {_short(values[-1])}"
        else:
            toward = 1 if limit.value > 0 else -1
            if not all(toward * b > toward * a * 1.2 > 0 for a, b in pairwise(values[-3:])):
                yield f"{where} the limit is not {limit}: {_short(values[-1])}"


def check_parity(card: Card) -> Complaints:
    """f(-x) is f(x), -f(x), or provably neither."""
    same = opposite = True
    for place in places(card, card.domain):
        value, mirrored = card.ball(place.x), card.ball(-place.x)
        same = same and finite(mirrored) and bool(abs(mirrored - value) <= NEAR * abs(value))
        opposite = opposite and finite(mirrored) and bool(abs(mirrored + value) <= NEAR * abs(value))
    true = "even" if same else "odd" if opposite else "none"
    if card.parity != true:
        yield f"it is {true}, not {card.parity}"


def check_period(card: Card) -> Complaints:
    """f(x + T) = f(x) at places for the stated T, not for T/2, T/3, T/5; without T no lattice of turns or bends."""
    if card.period is None:
        if card.turns.lattice or card.bends.lattice:
            yield "turns or bends recur, yet no period"
        return
    period = ball(card.period)

    def recurs(shift: Any) -> bool:
        xs = [place.x for place in places(card)][:40]
        return all(bool(abs(card.ball(x + shift) - card.ball(x)) <= NEAR * (1 + abs(card.ball(x)))) for x in xs)

    if not period > 0 or not recurs(period):
        yield f"{card.period} is no period"
    for part in (2, 3, 5):
        if recurs(period / part):
            yield f"{card.period}/{part} is a period, too"


def check_smoothness(card: Card) -> Complaints:
    """At stated kinks f is continuous and not differentiable, at jumps not continuous; elsewhere differentiable."""
    low, high = (end.value for end in window(card, card.shape_on))
    low, high = max(low, -7.0), min(high, 7.0)
    marks = {str(point): point for point in landmarks(low, high) + special_points(card, low, high)}
    poles = {str(point) for point in special_points(card, low, high, "poles")}
    kinks = {str(point) for point in special_points(card, low, high, "kinks")}
    jumps = {str(point) for point in special_points(card, low, high, "jumps")}
    for name, mark in marks.items():
        if name in poles or any(
            abs(mark.value - point.value) < 1e-9 for point in special_points(card, low, high, "poles")
        ):
            continue
        true = _smoothness(card, mark)
        stated = "jump" if name in jumps else "kink" if name in kinks else "smooth"
        if stated != true:
            yield f"{stated} at {mark}, where it is {true}"


def _smoothness(card: Card, mark: Point) -> str:
    with flint.ctx.workprec(900):
        step, x = arb(2) ** -200, ball(mark)
        left, middle, right = card.ball(x - step), card.ball(x), card.ball(x + step)
        if not abs(right - left) < arb(2) ** -50:
            return "jump"
        slopes = [(right - middle) / step, (middle - left) / step]
        tame = all(bool(abs(slope) < 1e9) for slope in slopes)
        return "smooth" if tame and abs(slopes[0] - slopes[1]) < 1e-12 * (1 + abs(slopes[0])) else "kink"


def check_range(card: Card) -> Complaints:
    """The range is the hull of limits, values at turns, kinks, jumps and closed ends; an end is closed if attained."""
    values = list(_extreme_values(card))
    for side, end, closed in (
        (-1, card.range.lower, card.range.lower_closed),
        (1, card.range.upper, card.range.upper_closed),
    ):
        extreme, _ = values[0]
        for value, _ in values:
            if side * value > side * extreme:
                extreme = value
        attained = any(reached and _same(value, extreme) for value, reached in values)
        if not _same(ball(end), extreme):
            yield f"the {'upper' if side > 0 else 'lower'} end is {_short(extreme)}, not {end}"
        elif closed != attained:
            yield f"the end {end} is {'' if attained else 'not '}attained"


def _same(a: Any, b: Any) -> bool:
    if not (a.mid().is_finite() and b.mid().is_finite()):
        return str(a) == str(b)
    return bool(abs(a - b) <= (1 + abs(a)) * arb(2) ** -100)


def _extreme_values(card: Card) -> Iterator[tuple[Any, bool]]:
    """Values that an end of the range can be, each with whether it is attained."""
    shape = card.shape_on
    for closed, limit in zip((shape.lower_closed, shape.upper_closed), card.limits, strict=True):
        if limit is not None:
            yield ball(limit), closed
    low, high = window(card, shape)
    if special_points(card, low.value, high.value, "poles"):
        yield from ((ball(limit), False) for limit in card.at_poles or ())
    for point in special_points(card, low.value, high.value, "turns kinks"):
        yield card.ball(ball(point)), True
    for point in special_points(card, low.value, high.value, "jumps"):
        yield from ((card.ball(ball(point) + step), True) for step in (-0.25, 0, 0.25))
    if card.derivative == ZERO and not card.jumps:
        yield card.ball(next(places(card)).x), True


def check_values(card: Card) -> Complaints:
    """NumPy's value and the definition agree with the ball's, as far as floats go (1e-8, and conditioning)."""
    definition = card.value.definition
    for place in [*places(card), *_marks(card)]:
        with flint.ctx.workprec(1100):
            x = place.x.mid()
            exact, slope = card.ball(x), at(card.derivative, card, x)
            if definition is not None and not at(definition, card, x).overlaps(exact):
                yield f"at {place} the definition is another number"
                return
            point, value = float(x), float(exact.mid())
        if not (1e-300 < abs(value) < 1e300) or not abs(point) < 1e5 or card.jumps.meets(point, point):
            continue
        with np.errstate(all="ignore"):
            computed = float(card.numpy(np.float64(point)))
        if not abs(computed - value) <= 1e-8 * abs(value) + 4e-16 * abs(point * float(slope.mid())) + 1e-14:
            yield f"at x = {point!r} NumPy has {computed!r}, the ball {value!r}"
            return


CHECKS: tuple[Callable[[Card], Complaints], ...] = (
    check_form, check_derivative, check_domain, check_poles, check_limits, check_parity, check_period,
    check_smoothness, check_range, check_values, check_turns_sampled, check_bends_sampled, check_log_sampled,
    check_turns, check_bends, check_log,
)  # fmt: skip


def _accurately(formula: Expression, card: Card, place: Place) -> Any:
    """The formula's value at a place to 80 bits, or as well as 8192 bits can."""
    value = arb("nan")
    for precision in (192, 1024, 8192):
        with flint.ctx.workprec(precision):
            value = at(formula, card, place.x)
        if value.rel_accuracy_bits() > 80 or value.is_zero():
            break
    return value


@cache
def _reference_places(name: str, parameters: tuple[Any, ...]) -> tuple[Place, ...]:
    card = look_up(name, **dict(parameters))
    assert card is not None
    return (*places(card, card.domain), *_marks(card))


def _marks(card: Card) -> list[Place]:
    """Landmarks of the domain where f is smooth, as places."""
    low, high = (end.value for end in window(card, card.domain))
    low, high = max(low, -7.0), min(high, 7.0)
    rough = special_points(card, low, high, "poles kinks jumps")
    return [Place(mark, 1, arb(0)) for mark in landmarks(low, high) if mark not in rough]


@cache
def difference_quotient(value: Value, parameters: tuple[Any, ...], place: Place) -> Any:
    """The central difference quotient of the value, its step 2^-100 of the distance to a special point (or of 1).

    The relative error is of the order of 2^-200 (evidence, not proof); the precision is raised until 80 bits are right.
    """
    return quotient_of(value_in("flint", value, ("x",), parameters), place)


def quotient_of(function: Callable[[Any], Any], place: Place) -> Any:
    """The central difference quotient of any function of a ball at a place."""
    step, quotient = (place.t if place.t > 0 else 1) * arb(2) ** -100, arb("nan")
    for precision in (700, 1600, 4800, 16000):
        with flint.ctx.workprec(precision):
            x = place.x
            quotient = (function(x + step) - function(x - step)) / (2 * step)
        if quotient.rel_accuracy_bits() > 80 or quotient.is_zero():
            break
    return quotient


def _short(value: Any) -> str:
    return value.str(8, radius=False)
