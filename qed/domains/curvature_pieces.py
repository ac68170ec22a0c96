"""A form along a line in pieces: what it is on each, and whether the pieces join to a convex function.

On an open piece the choices of the form are decided. At a cut b the value phi(b) has to be the limit from both sides,
and phi'(b-) <= phi'(b+); at an end of the line the value may be above the limit. All this is decided in exact rational
numbers where the values are rational, in forms that cancel where they are not, and by a range that is not negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_line import Direction, Line, Rebuilt, cuts, derivative, span_of
from qed.domains.curvature_terms import Form
from qed.domains.curvature_values import NoValue

PIECES = 64


@dataclass(eq=False)
class Piece:
    """An open piece of a line, and the form on it."""

    line: Line
    form: Form

    @property
    def defined(self) -> bool:
        """Whether the form surely has a value on the whole piece."""
        return self.line.algebra.lost is None and self.form.lost is None


def piece(a: Algebra, form: Form, direction: Direction, low: Any, high: Any) -> Piece:
    """The form on one piece."""
    line = Line(a, low, high)
    return Piece(line, Rebuilt(line, direction).of(form))


def marks(a: Algebra, form: Form, direction: Direction) -> list[Any] | None:
    """The ends of the line and all cuts between them, in order; None where there are too many."""
    low, high = span_of(a, direction)
    found: set[Any] = set()
    waiting = [(low, high)]
    while waiting:
        start, stop = waiting.pop()
        here = piece(a, form, direction, start, stop)
        inside = cuts(here.line.algebra, here.form)
        found.update(inside)
        if len(found) > PIECES:
            return None
        waiting += list(pairwise([start, *inside, stop])) if inside else []
    return [low, *sorted(found), high]


def joined(
    a: Algebra, form: Form, direction: Direction, pieces: Sequence[Piece], ends: Sequence[Any], *, closed: bool = False
) -> str | None:
    """None where convex pieces join to a convex function, else what is wrong.

    `closed`: the function is to be continuous at the ends of the line too, where a convex one may jump up.
    """
    for k, b in enumerate(ends):
        if b is None:
            continue
        sides = [pieces[i] for i in (k - 1, k) if 0 <= i < len(pieces)]
        try:
            wrong = _at(a, form, direction, sides, b, closed)
        except NoValue as error:
            wrong = f"no value of {error}"
        if wrong is not None:
            return f"at {b}: {wrong}"
    return None


def _at(a: Algebra, form: Form, direction: Direction, sides: Sequence[Piece], b: Any, closed: bool) -> str | None:
    point = Line(a, b, b)
    value = Rebuilt(point, direction, limits=True).of(form)
    moves = [Rebuilt(point, ((side.line.variable, a.one),), limits=True) for side in sides]
    limits = [move.of(side.form) for move, side in zip(moves, sides, strict=True)]
    inner = point.algebra
    for limit in limits:
        gap = inner.subtract(value, limit)
        if len(sides) == 2 and (gap.terms or gap.constant != 0):
            return "the value is not the limit"
        if not inner.nonnegative(gap):
            return "the value is below the limit"
        if closed and not inner.nonnegative(inner.subtract(limit, value)):
            return "the value is above the limit"
    if len(sides) == 2:
        left, right = (m.of(derivative(s.line.algebra, s.form)) for m, s in zip(moves, sides, strict=True))
        if not inner.nonnegative(inner.subtract(right, left)):
            return "the slope falls"
    return None if inner.lost is None and value.lost is None else "it may be undefined"
