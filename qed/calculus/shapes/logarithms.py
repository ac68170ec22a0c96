"""Positive forms with a convex, or a concave, logarithm (Boyd and Vandenberghe, *Convex Optimization*, 2004, 3.5).

Products and powers of log-convex functions, and their sums, are log-convex; a positive concave function is log-concave;
a quotient or a negative power exchanges the two. A distribution function with a log-concave density is log-concave, and
so is what it gives to an interval that moves (`qed.domains.curvature_integrals`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qed.calculus.shapes.powers import exponent
from qed.calculus.shapes.rational import rational
from qed.calculus.shapes.signs import signs
from qed.domains.curvature_integrals import READINGS, read
from qed.domains.curvature_proof import Step
from qed.domains.curvature_quadratics import is_hyperbolic
from qed.domains.curvature_terms import Atom, Form

if TYPE_CHECKING:
    from qed.calculus.shapes.rules import Rules


def logarithmic(rules: Rules, form: Form, sign: int) -> Step | None:
    """sign * log(form) convex."""
    claim = "log-convex" if sign > 0 else "log-concave"
    if form.lost is not None or not rules.a.positive(form):
        return None
    if not form.free:
        return Step(claim, form, "affine")
    if form.single is not None and form.single[1] > 0:
        found = _logarithm_of(rules, form, form.single[0], sign, claim)
        if found is not None:
            return found
    if sign < 0 and is_hyperbolic(rules.a, form):
        return Step(claim, form, "hyperbolic form")
    if sign < 0:
        premise = rules.concave(form)
        return Step(claim, form, "of concave", (premise,)) if premise is not None else _integral(rules, form, claim)
    if form.constant < 0 or any(c < 0 for _, c in form.terms) or len(form.terms) + (form.constant > 0) < 2:
        return None
    steps = [rules.log_convex(rules.a.of(atom)) for atom, _ in form.terms]
    if any(step is None for step in steps):
        return None
    return Step(claim, form, "sum", tuple(step for step in steps if step is not None))


def _integral(rules: Rules, form: Form, claim: str) -> Step | None:
    """The integral of a log-concave function; the numbers say how it is read."""
    for reading in READINGS:
        found = read(rules.a, form, reading)
        if found is None:
            continue
        inner = found.line.algebra
        premise = type(rules)(inner).convex(found.claim) or rational(inner, found.claim)
        if premise is not None:
            return Step(claim, form, "integral", (premise,), reading)
    return None


def _logarithm_of(rules: Rules, form: Form, atom: Atom, sign: int, claim: str) -> Step | None:
    convex = rules.log_convex if sign > 0 else rules.log_concave
    concave = rules.log_concave if sign > 0 else rules.log_convex
    if atom.kind in ("product", "quotient"):
        if not all(rules.a.positive(arg) for arg in atom.args):
            return None
        first = convex(atom.args[0])
        second = first and (convex if atom.kind == "product" else concave)(atom.args[1])
        return second and first and Step(claim, form, atom.kind, (first, second), (), atom.place)
    if atom.kind != "unary":
        return None
    u = atom.args[0]
    power = exponent(rules.a, atom)
    if power is not None:
        if not rules.a.positive(u):
            return None
        premise = convex(u) if power > 0 else concave(u)
        return premise and Step(claim, form, "power", (premise,), (), atom.place)
    return _by_card(rules, form, atom, sign, claim)


def _by_card(rules: Rules, form: Form, atom: Atom, sign: int, claim: str) -> Step | None:
    """log f(u), where the card says that log f is convex, or concave, and f is monotone."""
    u, wanted = atom.args[0], "convex" if sign > 0 else "concave"
    if atom.data.log not in (wanted, "affine") or str(atom.data.shape_on) != str(atom.data.domain):
        return None
    if u.affine:
        return Step(claim, form, "card", (Step("convex", u, "affine"),), (), atom.place)
    bounds = signs(rules, atom.data, u)
    if bounds is None:
        return None
    rising, falling = bounds[0][0] >= 0, bounds[0][1] <= 0
    premise = rules.convex(u) if rising == (sign > 0) and (rising or falling) else None
    if premise is None and (falling if sign > 0 else rising):
        premise = rules.concave(u)
    return premise and Step(claim, form, "card", (premise,), bounds[0], atom.place)
