"""Ranges of polynomials of degree 2, multiplied out: x - x^2, x (1 - x), the determinant of two rows and columns.

On an interval a t^2 + b t takes its least and its largest value at the ends or at the vertex -b/(2a). Intervals that
are added term by term count x twice, and let 2x - x^2 be negative where it is not (Moore, *Interval Analysis*, 1966,
section 4.1 on dependency). What bends down in every variable alone takes its least value at a corner of the box.
"""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Any

from qed.domains.curvature_ranges import Range, ends

if TYPE_CHECKING:
    from qed.domains.curvature_atoms import Form
    from qed.domains.curvature_terms import Terms

MOST, CORNERS = 32, 64
"""How many terms, or corners, are looked at."""


def parabolas(a: Terms, form: Form) -> Range | None:
    """A range of a form whose terms are at most quadratic; None for others.

    >>> from qed.domains.curvature_algebra import Algebra
    >>> a = Algebra()
    >>> x, y = (a.variable(k, "xy"[k], (0.0, 1.5)) for k in (0, 1))
    >>> parabolas(a, a.subtract(a.scale(x, 2), a.unary("square", x)))
    (0.0, 1.0)
    >>> area = a.multiply(a.add(x, y), a.add(x, a.number(1)))
    >>> parabolas(a, a.subtract(area, a.unary("square", x)))
    (0.0, 5.25)
    """
    if not 1 <= len(form.terms) <= MOST or all(atom.kind == "variable" for atom, _ in form.terms):
        return None
    if any(atom.kind not in ("variable", "product") and atom.name != "square" for atom, _ in form.terms):
        return None
    from qed.domains.curvature_quadratics import quadratic

    q = quadratic(a, form)
    if q is None:
        return None
    bounds = {v.index: (v.lower, v.upper) for v in a.variables}
    alone = {i: (q.q.get((i, i), a.zero), q.linear.get(i, a.zero)) for i in bounds}
    parts = [_extremes(a, *pair, bounds[i]) for i, pair in alone.items() if any(pair)]
    crossed = [(i, j, c) for (i, j), c in q.q.items() if i != j and c != 0]
    for i, j, c in crossed:
        values = [_times(a, c, x, y) for x in bounds[i] for y in bounds[j]]
        low = None if -math.inf in values else min(v for v in values if v != math.inf)
        parts.append((low, None if math.inf in values else max(v for v in values if v != -math.inf)))
    if not parts:
        return ends(a.zero + q.constant)
    found = [None if None in side else sum(side, a.zero + q.constant) for side in zip(*parts, strict=True)]
    names = sorted({k for i, j, _ in crossed for k in (i, j)} | {i for i, pair in alone.items() if any(pair)})
    if crossed and 2 ** len(names) <= CORNERS and all(math.isfinite(end) for i in names for end in bounds[i]):
        points = [dict(zip(names, p, strict=True)) for p in product(*([*map(a.rational, bounds[i])] for i in names))]
        values = [_at(q, alone, crossed, point) for point in points]
        bends = [alone[i][0] for i in names]
        found[0] = max(min(values), found[0]) if all(b <= 0 for b in bends) else found[0]
        found[1] = min(max(values), found[1]) if all(b >= 0 for b in bends) else found[1]
    return (
        -math.inf if found[0] is None else ends(found[0])[0],
        math.inf if found[1] is None else ends(found[1])[1],
    )


def _times(a: Terms, c: Any, x: float, y: float) -> Any:
    """c x y for ends of a box; 0 times an infinite one is 0."""
    if x == 0 or y == 0:
        return a.zero
    if math.isinf(x) or math.isinf(y):
        return math.inf if (c > 0) == ((x > 0) == (y > 0)) else -math.inf
    return c * a.rational(x) * a.rational(y)


def _at(q: Any, alone: Any, crossed: Any, point: Any) -> Any:
    total = q.constant + sum(c * point[i] * point[j] for i, j, c in crossed)
    return total + sum(alone[i][0] * t * t + alone[i][1] * t for i, t in point.items())


def _extremes(a: Terms, square: Any, slope: Any, bounds: Range) -> tuple[Any, Any]:
    """The least and the largest value of s t^2 + b t between two ends, None where it is infinite."""
    square, slope = a.zero + square, a.zero + slope
    values, low, high = [], False, False
    for end in bounds:
        if math.isinf(end):
            rising = square > 0 if square != 0 else (slope > 0) == (end > 0)
            low, high = low or not rising, high or rising
            continue
        t = a.rational(end)
        values.append(square * t * t + slope * t)
    if square != 0:
        vertex = -slope / (2 * square)
        above = math.isinf(bounds[0]) or vertex >= a.rational(bounds[0])
        below = math.isinf(bounds[1]) or vertex <= a.rational(bounds[1])
        values += [square * vertex * vertex + slope * vertex] if above and below else []
    return (None if low or not values else min(values)), (None if high or not values else max(values))
