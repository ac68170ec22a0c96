"""When a form is surely above 0: not by its range alone, but by what strict inequalities hold of its parts.

e^u > 0; 1 - logistic(u) > 0, though its range ends at 0; log(sum of e^(a_i)) > a_k; f(v) > f(u) for v > u and an f that
rises. Each function is one of the algebra of terms (`qed.domains.curvature_terms.Terms`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qed.domains.curvature_atoms import Atom, Form

if TYPE_CHECKING:
    from qed.domains.curvature_terms import Terms

FEW = 64
"""Up to how many exponents a logarithm of a sum is compared with each."""


def positive(a: Terms, form: Form) -> bool:
    """Whether a form is surely above 0 at every point of the box where it is defined."""
    if a.ends is not None and len(form.terms) == 1 and form.terms[0][0].kind == "variable":
        c = form.terms[0][1]
        end = a.ends[0 if c > 0 else 1]
        return end is not None and c * end + form.constant >= 0
    if a.range(form)[0] > 0 or _short_of_its_end(a, form):
        return True
    if _above_an_exponent(a, form) or _grows(a, form) or _off_one(a, form):
        return True
    if form.constant < 0:
        return False
    sure = form.constant > 0
    for atom, c in form.terms:
        low, high = a.range_of(atom)
        if c > 0 and low >= 0:
            sure = sure or _always_positive(a, atom)
        elif c < 0 and high <= 0:
            sure = sure or _always_negative(a, atom)
        else:
            return False
    return sure


def _short_of_its_end(a: Terms, form: Form) -> bool:
    """Whether a form is above 0 because a function in it stays short of an end of its range: 1 - logistic(u)."""
    total, strict = form.constant, False
    for atom, c in form.terms:
        end = a.range_of(atom)[0 if c > 0 else 1]
        if not math.isfinite(end):
            return False
        total = total + c * a.rational(end)
        if atom.kind == "unary":
            side, closed = atom.data.range.lower, atom.data.range.lower_closed
            if c < 0:
                side, closed = atom.data.range.upper, atom.data.range.upper_closed
            strict = strict or (not closed and side.lower == side.upper == end)
    return strict and total >= 0


def _above_an_exponent(a: Terms, form: Form) -> bool:
    """Whether c log(sum of w_i e^(a_i)) + rest > c a_k + rest >= 0 for a k with w_k >= 1."""
    found = next(((atom, c) for atom, c in form.terms if atom.kind == "log_sum_exp" and c > 0), None)
    if found is None or len(form.terms) < 2 or not 2 <= len(found[0].args) <= FEW:
        return False
    atom, c = found
    parts = [(form, a.one), (a.of(atom), -c)]
    rests = [a.combine([*parts, (arg, c)]) for w, arg in zip(atom.data, atom.args, strict=True) if w >= 1]
    return any(a.range(rest)[0] >= 0 for rest in rests)


def _off_one(a: Terms, form: Form) -> bool:
    """Whether it is c (e^u - 1) or more for a u above 0, or c (1 - e^u) for one below."""
    if form.single is not None or len(form.terms) != 1 or form.terms[0][0].name != "exp":
        return False
    (atom, c) = form.terms[0]
    return form.constant >= -c and a.positive(a.scale(atom.args[0], 1 if c > 0 else -1))


def _grows(a: Terms, form: Form) -> bool:
    """Whether it is c f(v) - c f(u) with u on the side of v where c f is smaller, for a monotone function f."""
    if len(form.terms) != 2 or form.constant < 0:
        return False
    (first, c), (second, d) = form.terms
    if c + d != 0 or first.kind != "unary" or second.kind != "unary" or first.data != second.data:
        return False
    card = first.data
    ends = [math.nan if end is None else float(end.value) for end in card.limits]
    if card.turns or card.poles or card.jumps or str(card.shape_on) != str(card.domain) or ends[0] == ends[1]:
        return False
    gap = a.subtract(second.args[0], first.args[0])
    falls = ends[0] > ends[1]
    return not math.isnan(ends[0] + ends[1]) and a.positive(a.scale(gap, -d if falls else d))


def dominates(a: Terms, v: Form, u: Form) -> bool:
    """Whether v >= c u for a number c > 0, read off the first term of u: v = c u + w with w >= 0."""
    share = next((k for atom, k in v.terms if u.terms and atom is u.terms[0][0]), a.zero)
    if share == 0 or len(v.terms) > FEW:
        return False
    ratio = share / u.terms[0][1]
    return ratio > 0 and a.range(a.combine(((v, a.one), (u, -ratio))))[0] >= 0


def is_definite(a: Terms, atom: Atom) -> bool:
    """Whether a spectrum is that of a matrix known to be positive definite on the box."""
    known = a.matrices.get(tuple(id(form) for form in atom.args))
    return atom.data[0] == "symmetric" and known is not None and known[1]


def nonzero(a: Terms, form: Form) -> bool:
    """Whether it is a number of a factor that cannot be 0: a pivot of elimination with exchanges."""
    return form.single is not None and form.single[0].kind == "lu" and form.single[0].data[0] == form.single[0].data[1]


def _always_negative(a: Terms, atom: Atom) -> bool:
    """Whether it is a product, or a quotient, of a number above 0 and one below 0."""
    if atom.kind not in ("product", "quotient"):
        return False
    u, v = atom.args
    return any(a.positive(s) and a.positive(a.scale(t, -1)) for s, t in ((u, v), (v, u)))


def _always_positive(a: Terms, atom: Atom) -> bool:
    if atom.kind in ("pivot", "inverse"):
        return atom.kind == "pivot" or atom.data[0] == atom.data[1]
    if atom.kind == "spectrum":
        return is_definite(a, atom)
    if atom.name == "abs" and a.nonzero(atom.args[0]):
        return True
    if atom.kind == "unary":
        low = atom.data.range.lower
        if low.value == 0 and not atom.data.range.lower_closed:
            return True
        powers = ("sqrt", "rsqrt", "power", "square", "integer_pow", "reciprocal")
        return atom.name in powers and a.positive(atom.args[0])
    if atom.kind in ("product", "quotient"):
        return all(a.positive(form) for form in atom.args)
    if atom.kind == "log_sum_exp":  # log sum w_i exp(a_i) > a_k if w_k >= 1, since the other terms are above 0
        shares = list(zip(atom.data, atom.args, strict=True))
        some = any(w >= 1 and a.nonnegative(form) for w, form in shares)
        return len(shares) > 1 and some and all(w > 0 for w, _ in shares)
    return atom.kind == "max" and any(a.positive(form) for form in atom.args)
