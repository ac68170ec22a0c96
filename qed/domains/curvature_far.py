"""Where a form of one variable goes at an end of its line: the limit as an exact number, or an infinity.

Sums, products and logarithms of sums of what converges converge to the sum, the product, the logarithm; functions have
the limits that their cards state (Rudin, *Principles of Mathematical Analysis*, 1976, theorem 4.4). What is not plain
from that (inf - inf, 0 inf, an oscillation) has no answer here.
"""

from __future__ import annotations

import math
from typing import Any

from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_terms import Atom, Form


class NoLimit(Exception):
    """A limit that these rules do not give."""


def limit(a: Algebra, form: Form, end: Any) -> Any:
    """The limit of a form of one variable where it goes to `end`: a rational number, or an infinite float.

    Raises NoLimit.

    >>> from qed.domains.curvature_algebra import Algebra
    >>> from qed.domains.curvature_far import limit
    >>> a = Algebra()
    >>> t = a.line(None, None)
    >>> limit(a, a.combine([(a.unary("exp", a.scale(a.unary("exp", t), -1)), -a.one)], 1), float("-inf"))
    0
    >>> larger = a.maximum([a.unary("exp", t), a.unary("tanh", t), a.number(-2)])
    >>> [limit(a, larger, float(end)) for end in ("-inf", "inf")]
    [0, inf]
    """
    total: Any = form.constant
    for atom, c in form.terms:
        found = _of_atom(a, atom, end)
        part = c * found if not isinstance(found, float) else math.copysign(math.inf, found * (1 if c > 0 else -1))
        if isinstance(part, float) and isinstance(total, float) and part != total:
            raise NoLimit
        total = part if isinstance(part, float) else total if isinstance(total, float) else total + part
    return total


def _of_atom(a: Algebra, atom: Atom, end: Any) -> Any:
    if atom.kind == "variable":
        return end
    if atom.kind not in ("unary", "product", "log_sum_exp", "max"):
        raise NoLimit
    xs = [limit(a, form, end) for form in atom.args]
    match atom.kind:
        case "unary":
            return _of_card(a, atom, xs[0])
        case "product":
            return _product(*xs)
        case "max":
            return _largest(xs)
    if any(x == math.inf for x in xs):
        return math.inf
    weights = [w for w, x in zip(atom.data, xs, strict=True) if not isinstance(x, float)]
    if any(x != 0 for x in xs if not isinstance(x, float)) or (weights and sum(weights) != 1):
        raise NoLimit
    return a.zero if weights else -math.inf


def _of_card(a: Algebra, atom: Atom, x: Any) -> Any:
    if isinstance(x, float):
        found = atom.data.limits[1 if x > 0 else 0] if str(atom.data.shape_on) == "(-inf, inf)" else None
        if found is None or found.lower != found.upper:
            raise NoLimit
        return float(found.value) if math.isinf(found.lower) else a.rational(found.lower)
    value = a.image(atom.data, a.number(x)) if atom.data.defined_at(float(x)) else None
    if value is None or value.terms or atom.data.jumps:
        raise NoLimit
    return value.constant


def _largest(xs: list[Any]) -> Any:
    if math.inf in xs:
        return math.inf
    return max((x for x in xs if not isinstance(x, float)), default=-math.inf)


def _product(x: Any, y: Any) -> Any:
    if not isinstance(x, float) and not isinstance(y, float):
        return x * y
    if 0 in (x, y):
        raise NoLimit
    return math.inf if (x > 0) == (y > 0) else -math.inf
