"""A cell on which the integrand has no bound, because a value of the program is 0 somewhere on it: log|x^2 - 2|.

Let v be the first value of the program whose ball on the cell holds 0 and whose derivative does not: v is monotone, and

    int f exp(u) dx = int f exp(u) / |v'| dv        over the values of v on the cell.

With t = |v| = 1 / y for the variable the tail domain encloses f exp(u) for all t near 0 at once, while every other
value is a ball of its values on the cell; v' is one too. Where v changes its sign need not be known: v at the ends of
the cell says how far t goes, and on which side. An integral that diverges there is proved to, if v surely changes sign.
In the place of tan w stands sin w / v with v = cos w. Where sin w or cos w turns, as in 1 / (1 + sin w), v is the other
of the two, and s (1 - v^2 / (1 + |sin w|)) with s = 1 or -1 stands in its place: 1 + sin w is 0 of the second order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from qed.certificates.cells import BITS, Cell
from qed.certificates.certificate import placed
from qed.certificates.found import BOTH, Undefined
from qed.domains.ball_series import BallSeries, SeriesOfBalls
from qed.domains.precision import flint, precision
from qed.domains.tail import Tail
from qed.domains.tail_arithmetic import Arithmetic
from qed.domains.tail_forms import Near, NoOrder, Term
from qed.errors import CertificateError
from qed.graph.tape import Frame
from qed.graph.trace import Traced
from qed.graph.walk import Context, Entry, TooLong, Unknown, Walker

FIRST = 8.0
"""1 / t is at least this on the cell."""
TRIED = 3
"""So many values that are 0 on the cell are tried for v."""


@dataclass
class _Crossing:
    """Puts a side of 1 / y in the place of v, the value number `skip` that crosses 0, when the walk comes to it."""

    skip: int
    side: int
    series: Any = None
    place: tuple[Any, ...] = ()
    turns: bool = False

    def __call__(self, context: Context, inputs: Sequence[Any]) -> Term | Near | None:
        """The term, at v; None elsewhere."""
        given, made = (context.others.get(f"ball series{end}", ()) for end in ("", ":out"))
        if self.series is not None:
            return None
        for turns in (False, True):
            series = _watched(context.equation, given, made, turns)
            if series is None or not series[0].contains(0) or not (series[1] > 0 or series[1] < 0):
                continue
            if self.skip:
                self.skip -= 1
                continue
            self.series, self.turns = series, turns
            self.place = activation(context.equation, context.frame)
            return self._form(context.equation.primitive, given, made)
        return None

    def _form(self, name: str, given: Any, made: Any) -> Term | Near | None:
        """What the equation makes, by y."""
        arb = flint().arb
        if name == "tan":
            return Term(self.side * number_of(given)[0].sin(), Fraction(1), arb(0))
        if not self.turns:
            return Term(arb(self.side), Fraction(-1), arb(0))
        value = number_of(made)[0]
        sign = arb(1 if value > 0 else -1)
        return Near(sign, Term(-sign / (1 + abs(value)), Fraction(-2), arb(0)))


def activation(equation: Any, frame: Frame | None) -> tuple[Any, ...]:
    """Which time it is that an equation is walked: by the calls, steps and branches around it."""
    found: list[Any] = [id(equation)]
    while frame is not None:
        found.append((id(frame.equation), frame.step, frame.branch))
        frame = frame.parent
    return tuple(found)


def _watched(equation: Any, given: Any, made: Any, turns: bool) -> Any:
    """The series of the value v of an equation: what it makes, of tan the cosine, or where a sine turns the other one.

    None where there is no such value; a sine that may be 0 does not turn.
    """
    name = equation.primitive
    if turns:
        value, series = number_of(made), number_of(given)
        if name not in ("sin", "cos") or series is None or value is None or not (value[0] > 0 or value[0] < 0):
            return None
        return series.cos() if name == "sin" else series.sin()
    if name != "tan":
        return number_of(made)
    series = number_of(given)
    return None if series is None else series.cos()


def number_of(values: Any) -> Any:
    """The series of one number that is smooth on the cell, if it is one."""
    if len(values) != 1 or not isinstance(values[0], SeriesOfBalls) or values[0].shape or values[0].doubt:
        return None
    return values[0].array.item()


def across(f: Traced, u: tuple[Traced, int], shift: Any, cell: Cell, node: str) -> tuple[Any, Any]:
    """Balls of the integrals of f exp(u - shift) and of exp(u - shift) over a cell; infinite where that is proved.

    Args:
        f: the function, its first output.
        u: a function and which output of it is the log-density.
        shift: what is taken off the log-density.
        cell: the cell.
        node: what a failure is blamed on.

    Raises:
        Undefined: where it diverges with opposite signs on the two sides of that number.
        CertificateError: where no value of the program is found that explains it.
    """
    for skip in range(TRIED):
        found = flint().arb(0), flint().arb(0)
        try:
            for side in (1, -1):
                share = _side(f, u, shift, cell, node, skip, side)
                if not (found[0].is_finite() or share[0].is_finite() or found[0] == share[0]):
                    raise Undefined(node, BOTH)
                found = found[0] + share[0], found[1] + share[1]
        except (NoOrder, TooLong):
            continue
        return found
    raise CertificateError(node, "no value of the program is 0 where the integrand has no bound")


def _side(f: Traced, u: tuple[Traced, int], shift: Any, cell: Cell, node: str, skip: int, side: int) -> tuple[Any, Any]:
    """The part of the cell on which v has this sign."""
    arb = flint().arb
    first, _ = _walked(f, cell, skip, side, FIRST)
    near, far = sorted((side * end for end in _at_ends(f, cell, first)), key=lambda ball: float(ball.mid()))
    if far.upper() <= 0:
        return arb(0), arb(0)
    start = math.nextafter(float((1 / far.upper()).lower()), 0.0)
    if not start >= FIRST:
        raise NoOrder
    crossing, (value, logarithm) = _walked(f, cell, skip, side, start, u)
    domain = Tail(start, BITS)
    if u[0] is f:
        weight = domain.scaled(domain.as_term(domain.exp(logarithm)), (-shift).exp())
    else:
        weight = domain.fixed(cell.density_of(u[0], u[1], shift, BITS, node))
    weight = domain.mul(weight, Term(1 / abs(crossing.series[1]), Fraction(-2), arb(0)))
    crosses = bool(near.upper() <= 0 and far > 0)
    inner = math.nextafter(float((1 / far.lower()).upper()), math.inf) if crosses else math.inf
    value = domain.mul(domain.as_term(value), weight)
    return _up_to(domain, value, inner), _up_to(domain, weight, inner)


def _up_to(domain: Tail, term: Term, inner: float) -> Any:
    """A ball of the integral from some y between the domain's start and `inner` on."""
    most = domain.integral(term)
    if not most.is_finite():
        if math.isinf(inner):
            raise NoOrder
        return most
    least = flint().arb(0) if math.isinf(inner) else Arithmetic(inner, domain.bits).integral(term)
    return most.union(least)


def _walked(
    f: Traced, cell: Cell, skip: int, side: int, start: float, u: tuple[Traced, int] | None = None
) -> tuple[_Crossing, tuple[Any, Any]]:
    """The crossing, and the forms of f and of the log-density if that is an output of the same function."""
    crossing = _Crossing(skip, side)
    walker = Walker([BallSeries(1, BITS), Tail(start, BITS, crossing)])
    cells = walker.run(f.graph, placed(f, [cell.line(BITS, 2, True)]))
    if crossing.series is None:
        raise NoOrder
    forms = cells[0].values[1], cells[u[1]].values[1] if u is not None and u[0] is f else None
    if u is not None and any(isinstance(form, Unknown) for form in forms):
        raise NoOrder
    return crossing, forms


def _at_ends(f: Traced, cell: Cell, crossing: _Crossing) -> list[Any]:
    """Balls of v at the two ends of the cell."""
    found = []
    for t in (cell.low, cell.high):
        tape: list[Entry] = []
        point = Cell(cell.anchor, t, t)
        Walker([BallSeries(1, BITS)], observe=tape.append).run(f.graph, placed(f, [point.line(BITS, 2, False)]))
        entry = next((e for e in tape if activation(e.equation, e.frame) == crossing.place), None)
        if entry is None:
            raise NoOrder
        with precision(BITS, 2):
            given, made = ([cell.values[0] for cell in cells] for cells in (entry.inputs, entry.outputs))
            series = _watched(entry.equation, given, made, crossing.turns)
        if series is None or not series[0].is_finite():
            raise NoOrder
        found.append(series[0])
    return found
