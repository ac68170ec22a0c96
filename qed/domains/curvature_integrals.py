"""Integrals along a line: a form that its slope makes, from where it vanishes, or between two shifted places.

Where phi' > 0 is log-concave, so is phi(t) = the integral of phi' from where phi vanishes to t, and so is, for affine
u < v, phi(v) - phi(u) = the integral of phi'(s) over u(x) < s < v(x): integrals over s of functions that are
log-concave in (x, s), on a convex set (Prekopa 1973; Boyd and Vandenberghe, *Convex Optimization*, 2004, section 3.5.2;
An, "Logconcavity versus logconvexity", 1998, for distribution functions; Burridge, 1981, for ordered categories, whose
thresholds are found with the weights). Here the two readings of a form, with the lines they go along.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_far import NoLimit, limit
from qed.domains.curvature_line import Direction, Directions, Line, Rebuilt, derivative, span_of
from qed.domains.curvature_terms import Form
from qed.domains.curvature_values import NoValue


@dataclass(frozen=True, eq=False)
class Integral:
    """phi on a line of its own, and minus the logarithm of its slope, to be proved convex."""

    line: Line
    phi: Form
    claim: Form


READINGS = ((0.0,), (1.0, 1.0), (-1.0, 1.0), (1.0, 0.0), (-1.0, 0.0))
"""An increment; or the direction in which it grows, and whether from minus infinity on or from the end of the box."""


def read(a: Algebra, form: Form, reading: tuple[float, ...]) -> Integral | None:
    """The form read as an integral in one of these ways, if it can be.

    >>> from qed.domains.curvature_algebra import Algebra
    >>> from qed.domains.curvature_integrals import read
    >>> a = Algebra()
    >>> x = a.variable(0, "x", (-3.0, 3.0))
    >>> lost = a.unary("exp", a.scale(a.unary("exp", x), -1))
    >>> read(a, a.subtract(a.number(1), lost), (1.0, 1.0)).claim
    -1*x0 + exp(x0)
    """
    if reading not in READINGS:
        return None
    return increment(a, form) if len(reading) == 1 else from_zero(a, form, int(reading[0]), reading[1] == 1.0)


def from_zero(a: Algebra, form: Form, sign: int, half: bool) -> Integral | None:
    """The form along sign times its direction, from where it vanishes; `half`: from minus infinity on, not the end."""
    direction = _turned(a, form, sign)
    if direction is None:
        return None
    low, high = span_of(a, direction)
    low = None if half else low
    if not half and low is None:
        return None
    try:
        line = Line(a, low, high)
        phi = Rebuilt(line, direction).of(form)
        if limit(line.algebra, phi, -math.inf if low is None else low) != 0:
            return None
        return _read(line, phi)
    except (NoLimit, NoValue):
        return None


def increment(a: Algebra, form: Form) -> Integral | None:
    """The line of f where the form is c f(v) - c f(u) for affine u, v of which one is surely above the other."""
    if len(form.terms) != 2 or form.constant != 0:
        return None
    (first, c), (second, d) = form.terms
    if c + d != 0 or first.kind != "unary" or second.kind != "unary" or first.data != second.data:
        return None
    u, v = first.args[0], second.args[0]
    gap = a.subtract(v, u)
    above, below = a.positive(gap), a.positive(a.scale(gap, -1))
    if not (u.affine and v.affine and (above or below) and u.lost is None and v.lost is None):
        return None
    ends = [a.range(x) for x in (u, v)]
    if not all(math.isfinite(end) for pair in ends for end in pair):
        line = Line(a, None, None)
    else:
        line = Line(a, *(a.rational(pick(pair[k] for pair in ends)) for k, pick in enumerate((min, max))))
    rising = above == (d > 0)
    phi = line.algebra.image(first.data, line.t)
    try:
        return _read(line, line.algebra.scale(phi, 1 if rising else -1))
    except NoValue:
        return None


def _turned(a: Algebra, form: Form, sign: int) -> Direction | None:
    direction = Directions().of(form)
    return None if not direction else tuple((atom, sign * c) for atom, c in direction)


def _read(line: Line, phi: Form) -> Integral | None:
    """None where the slope may be 0 or less, or something may be undefined."""
    inner = line.algebra
    slope: Any = derivative(inner, phi)
    if phi.lost is not None or not inner.positive(slope) or slope.lost is not None:
        return None
    claim = inner.scale(inner.unary("log", slope), -1)
    return None if inner.lost is not None or claim.lost is not None else Integral(line, phi, claim)
