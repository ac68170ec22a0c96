"""What verification reads off one atom: the sign of a derivative on a range, a power, an argument of a logarithm.

The sign of f' or f'' on a range is found from the card's turns and bends and the sign at one point between them, in
balls, where the search encloses the derivative on the whole range.
"""

from __future__ import annotations

from typing import Any

from qed import facts
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_terms import Atom, Form
from qed.domains.precision import precision

BITS = 200


def sign_on(card: facts.Card, low: float, high: float, order: int) -> int | None:
    """The sign of the derivative of an order on (low, high), 0 where it vanishes; None where it is not one.

    >>> from qed import facts
    >>> sign_on(facts.card("tanh"), 0.0, 3.0, 2), sign_on(facts.card("sin"), 0.0, 4.0, 2)
    (-1, None)
    """
    shape = card.shape_on
    if low < shape.lower.value or high > shape.upper.value:
        return None
    if card.jumps and card.jumps.meets(low, high):
        return None
    marks = (card.bends if order == 2 else card.turns, card.poles, card.kinks)
    if any(low < p.upper and p.lower < high for points in marks for p in points.between(low, high)):
        return None
    formula = facts.derivative_of(card, order)
    if str(formula) == "0":
        return 0
    with precision(BITS) as flint:
        for inside in _inner(low, high):
            x = flint.arb(inside)
            value = formula.evaluate(x=x, y=card.ball(x), arithmetic=facts.BALLS)
            if value > 0 or value < 0:
                return 1 if value > 0 else -1
    return None


def _inner(low: float, high: float) -> list[float]:
    """Numbers strictly inside."""
    if low == high:
        return []
    near, far = max(low, -64.0), min(high, 64.0)
    if near >= far:
        near, far = (low, min(high, low + 1.0)) if low > 0 else (max(low, high - 1.0), high)
    found = [near + (far - near) * share for share in (0.5, 0.3125, 0.75, 0.015625)]
    return [x for x in found if low < x < high]


def power_of(atom: Atom, a: Algebra) -> Any:
    """p where an atom is u^p (|u| counts as p = 1), or None."""
    if atom.kind != "unary":
        return None
    named = {"sqrt": (1, 2), "rsqrt": (-1, 2), "reciprocal": (-1, 1), "square": (2, 1), "abs": (1, 1)}
    if atom.name in named:
        return a.q(*named[atom.name])
    if atom.name not in ("integer_pow", "power"):
        return None
    value = dict(atom.data.parameters)["y" if atom.name == "integer_pow" else "exponent"]
    return a.q(value.numerator, value.denominator)


def own_logarithm(atom: Atom) -> Form | None:
    """The u of u log(c u), with a number c > 0."""
    if atom.kind != "product":
        return None
    for u, v in (atom.args, atom.args[::-1]):
        inner = logarithm_of(v)
        if inner is not None and is_positive_multiple(inner, u):
            return u
    return None


def is_positive_multiple(v: Form, u: Form) -> bool:
    """Whether v = c u with a number c > 0: all numbers of both stand in one ratio."""
    ours, theirs = ({atom: c for atom, c in form.terms} | {None: form.constant} for form in (v, u))
    lead = next((atom for atom in theirs if atom is not None), None)
    if lead is None or set(ours) != set(theirs):
        return False
    c = ours[lead] / theirs[lead]
    return c > 0 and all(ours[atom] == c * theirs[atom] for atom in theirs)


def logarithm_of(form: Form) -> Form | None:
    """The u of log u."""
    single = form.single
    return single[0].args[0] if single is not None and single[1] == 1 and single[0].name == "log" else None
