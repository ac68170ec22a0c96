"""Curvature that is shared: ridge functions g_i(u_i) of affine u_i, beside a quadratic form Q of the variables.

Where every g_i(t) - c_i t^2 / 2 is convex on the range of u_i and Q + sum of c_i u_i^2 / 2 is a convex quadratic, their
sum is convex: the c_i > 0 of strongly convex terms make up for a Q that bends down, and the Q for terms that bend down
by at most -c_i (weakly convex: Nurminskii, 1973; Vial, "Strong and weak convexity of sets and functions", 1983). The
c_i are guessed from second derivatives at points, a little below their least, and proved like everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qed.calculus.shapes.lines import along
from qed.domains.curvature_line import Direction, Line, Rebuilt, derivative, span_of
from qed.domains.curvature_proof import Step
from qed.domains.curvature_quadratics import quadratic
from qed.domains.curvature_terms import Atom, Form
from qed.domains.curvature_values import NoValue, Values

if TYPE_CHECKING:
    from qed.calculus.shapes.rules import Rules

Terms = Sequence[tuple[Atom, Any]]
Known = dict[int, Step | None]
MOST, POINTS = 64, 4001
SLACKS = (6, 12, 20)
"""By which powers of 1/2 a constant stays below what was seen, the first that the quadratic form allows."""


def shared(rules: Rules, parts: Terms, steps: Known) -> list[tuple[Form, Step]]:
    """All terms along lines and all quadratic ones, together."""
    families, rest = dealt(rules, parts)
    if not families or len(families) > MOST or not rest:
        return []
    seen = [_least(rules, *family) for family in families]
    for slack in SLACKS:
        lows = [rules.a.q(*_below(x, slack).as_integer_ratio()) for x in seen if x is not None]
        if len(lows) < len(seen):
            return []
        whole, ridges = split(rules, families, rest, lows)
        q = quadratic(rules.a, whole)
        if q is None or not q.convex:
            continue
        steps_found = [
            along(rules.a, ridge, way, lambda a, form: type(rules)(a).convex(form))
            for ridge, (_, way) in zip(ridges, families, strict=True)
        ]
        if any(step is None for step in steps_found):
            continue
        group = rules.a.form(list(parts), rules.a.zero)
        first = Step("convex", whole, "quadratic form" if q.variables else "affine")
        premises = (first, *(step for step in steps_found if step is not None))
        numbers = tuple(float(int(n)) for c in lows for n in (c.p, c.q))
        return [(group, Step("convex", group, "shared curvature", premises, numbers, parts[0][0].place))]
    return []


def dealt(rules: Rules, parts: Terms) -> tuple[list[tuple[Form, Direction]], Terms]:
    """The terms along each line that are not quadratic, and those that are; none where a term is neither."""
    families: dict[Any, tuple[Direction, list[tuple[Atom, Any]]]] = {}
    rest = []
    for atom, c in parts:
        way = rules.directions.of(rules.a.of(atom))
        if quadratic(rules.a, rules.a.of(atom)) is not None:
            rest.append((atom, c))
        elif way:
            key = tuple((v.index, str(k)) for v, k in way)
            families.setdefault(key, (way, []))[1].append((atom, c))
        else:
            return [], []
    return [(rules.a.form(members, rules.a.zero), way) for way, members in families.values()], rest


def split(rules: Rules, families: Any, rest: Terms, lows: Sequence[Any]) -> tuple[Form, list[Form]]:
    """(Q + sum of c u^2 / 2, the g(u) - c u^2 / 2)."""
    a = rules.a
    squares = [a.unary("square", a.combine([(a.of(v), k) for v, k in way])) for _, way in families]
    shares = [(square, c / 2) for square, c in zip(squares, lows, strict=True)]
    whole = a.combine([(a.of(atom), c) for atom, c in rest] + shares)
    ridges = [a.combine([(g, a.one), (s, -c)]) for (g, _), (s, c) in zip(families, shares, strict=True)]
    return whole, ridges


def _below(x: float, slack: int) -> float:
    """A number with few digits, below x by about 2^-slack."""
    unit = 2.0 ** (np.ceil(np.log2(max(abs(x), 2.0**-10))) - slack)
    return float(np.floor(x / unit - 0.5) * unit)


def _least(rules: Rules, form: Form, way: Direction) -> float | None:
    """The least second derivative along the line that was seen."""
    low, high = span_of(rules.a, way)
    line = Line(rules.a, low, high)
    ends = [s * 64.0 if end is None else int(end.p) / int(end.q) for end, s in ((low, -1), (high, 1))]
    if not ends[0] < ends[1]:
        return None
    points = np.linspace(ends[0], ends[1], POINTS)[1:-1]
    try:
        phi = Rebuilt(line, way).of(form)
        with np.errstate(all="ignore"):
            found = _curvature(line, phi, points)
    except NoValue:
        return None
    return float(found.min()) if found.size and np.all(np.isfinite(found)) and abs(found.min()) < 1e12 else None


def _curvature(line: Line, phi: Form, points: np.ndarray) -> np.ndarray:
    """Second derivatives at points; second differences where a choice is not decided."""
    try:
        second = derivative(line.algebra, derivative(line.algebra, phi))
        return np.broadcast_to(Values({line.variable: points}).of(second), points.shape)
    except NoValue:
        values = np.broadcast_to(Values({line.variable: points}).of(phi), points.shape)
        return np.diff(values, 2) / (points[1] - points[0]) ** 2
