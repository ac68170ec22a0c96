"""Where f' and f'' have which sign, and log f which curvature: decided at places first, then proved box by box.

Each check yields its complaints. Between special points the proofs subdivide until the ball value of f' or f'' has a
sign; card_pieces.py says how, and how little is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flint

from qed.facts import Card, Expression, Point, Points, derivative_of
from tests.laws.card_pieces import (
    HOLE,
    NEAR,
    Piece,
    Place,
    at,
    ball,
    holes_of,
    pieces,
    places,
    sign,
    sign_at,
    signs_on,
    special_points,
    window,
)

Complaints = Iterator[str]


def check_log_sampled(card: Card) -> Complaints:
    """The sign of f f'' - f'^2 at places with f > 0, and how f' jumps at kinks with f > 0, settle the log-curvature."""
    signs: set[int] = set()
    second = derivative_of(card, 2)
    for place in places(card):
        found = _log_sign(card, second, place)
        if found is not None:
            signs.add(found)
    true = {frozenset({1}): "convex", frozenset({-1}): "concave", frozenset({0}): "affine"}
    verdict = "none" if card.jumps else true.get(frozenset(signs | _kink_signs(card)), "none")
    if verdict != card.log:
        yield f"log f is {verdict}, not {card.log}"


def _log_sign(card: Card, second: Expression, place: Place) -> int | None:
    """The sign of (log f)'' at a place, 0 if it vanishes to 100 bits of its terms; None where f is not positive."""
    for precision in (192, 1024, 8192):
        with flint.ctx.workprec(precision):
            x = place.x
            value = card.ball(x)
            if not value > 0:
                return None
            slope, bend = at(card.derivative, card, x), at(second, card, x)
            found = sign(value * bend - slope * slope)
            if found is not None:
                return found
            if precision > 8000 and abs(value * bend - slope * slope) <= NEAR * (slope * slope + abs(value * bend)):
                return 0
    return None


def _kink_signs(card: Card) -> set[int]:
    low, high = window(card, card.shape_on)
    signs: set[int] = set()
    for kink in special_points(card, low.value, high.value, "kinks"):
        if card.ball(ball(kink)) > 0:
            left, right = (at(card.derivative, card, Place(kink, side, NEAR).x) for side in (-1, 1))
            signs.add(1 if right > left else -1)
    return signs


def check_turns_sampled(card: Card) -> Complaints:
    """At sample places f' has one sign in each piece, and changes exactly at the turns."""
    yield from _changes(card, card.derivative, card.turns, "f'")


def check_bends_sampled(card: Card) -> Complaints:
    """At sample places f'' has one sign in each piece, and changes exactly at the bends."""
    yield from _changes(card, derivative_of(card, 2), card.bends, "f''")


def _changes(card: Card, formula: Expression, changes: Points, name: str) -> Complaints:
    before: tuple[Piece, set[int | None]] | None = None
    for piece in pieces(card):
        signs = {sign_at(formula, card, place) for place in piece.places((1, 2, 5, 13), NEAR)}
        if len(signs) > 1 or None in signs:
            yield f"{name} has signs {sorted(map(str, signs))} in {piece}"
            return
        if before is not None and _is_pole(card, piece.left):
            if piece.left in changes.between(piece.left.lower, piece.left.upper):
                yield f"{piece.left} is a pole, not a point of the domain"
        elif before is not None:
            changed = before[1] != signs
            if changed != (piece.left in changes.between(piece.left.lower, piece.left.upper)):
                yield f"{name} {'changes' if changed else 'does not change'} sign at {piece.left}"
        before = piece, signs


def _is_pole(card: Card, point: Point) -> bool:
    return point in card.poles.between(point.lower, point.upper)


def check_turns(card: Card) -> Complaints:
    """PROVED box by box: f' has one sign in each piece."""
    yield from _proved(card, card.derivative, "f'")


def check_bends(card: Card) -> Complaints:
    """PROVED box by box: f'' has one sign in each piece."""
    yield from _proved(card, derivative_of(card, 2), "f''")


def _proved(card: Card, formula: Expression, name: str) -> Complaints:
    for piece in pieces(card):
        _, failure = signs_on(lambda x: at(formula, card, x), piece, holes_of(card))
        if failure:
            yield f"{name} in {piece}: {failure}"
            return


def check_log(card: Card) -> Complaints:
    """PROVED box by box where f is claimed log-convex or log-concave: f f'' - f'^2 has that sign wherever f > 0.

    The window is [-3, 3]: further out the two terms of an exponential function agree to many digits.
    """
    wanted = {"convex": 1, "concave": -1}.get(card.log)
    if wanted is None:
        return
    second = derivative_of(card, 2)

    def log_bend(x: Any) -> Any:
        value = card.ball(x)
        if value <= 0:
            return None
        return value * at(second, card, x) - at(card.derivative, card, x) ** 2

    for piece in pieces(card, reach=3.0):
        signs, failure = signs_on(log_bend, piece, (HOLE, HOLE))
        if failure or signs - {wanted}:
            yield f"log f is not proved {card.log} in {piece}: {failure or 'another sign'}"
            return
