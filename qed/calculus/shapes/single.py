"""One operation is convex because of the shapes of its operands: compositions, norms, quotients, means, maxima.

For f(u) with u in U: f'' >= 0 on U, and u affine, or u convex and f' >= 0 on U, or u concave and f' <= 0 on U (Boyd
and Vandenberghe, *Convex Optimization*, 2004, section 3.2.4); norms and maxima (3.1.5), u^2/v (3.2.6), geometric and
power means (3.1.5). Each rule takes the form, its only atom, and the sign of the atom's coefficient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qed.calculus.shapes.groups import ordered, spectral
from qed.calculus.shapes.matrices import pivot
from qed.calculus.shapes.perspective import one_perspective
from qed.calculus.shapes.powers import exponent, factors_of, is_even, ratio_of, times_its_logarithm
from qed.calculus.shapes.signs import signs
from qed.domains.curvature_proof import Step
from qed.domains.curvature_quadratics import gram_is_definite, is_hyperbolic, quadratic
from qed.domains.curvature_terms import Atom, Form

if TYPE_CHECKING:
    from qed.calculus.shapes.rules import Rules


def composition(rules: Rules, form: Form, atom: Atom, sign: int) -> Step | None:
    """sign * f(u) convex by the signs of f' and f'' on the range of u."""
    card, u = atom.data, atom.args[0]
    if card.name == "abs":
        return _modulus(rules, form, atom, sign)
    bounds = signs(rules, card, u)
    if bounds is None:
        return None
    (d, e), (b, c) = bounds
    if not (b >= 0 if sign > 0 else c <= 0):
        return None
    numbers = (*rules.a.range(u), d, e, b, c)
    options: list[tuple[str, Step | None]] = []
    if u.affine:
        options.append(("affine", Step("convex", u, "affine")))
    if (d >= 0) if sign > 0 else (e <= 0):
        options.append(("convex", rules.convex(u)))
    if (e <= 0) if sign > 0 else (d >= 0):
        options.append(("concave", rules.concave(u)))
    for _, premise in options:
        if premise is not None:
            return Step("convex", form, "composition", (premise,), numbers, atom.place)
    return None


def _modulus(rules: Rules, form: Form, atom: Atom, sign: int) -> Step | None:
    u = atom.args[0]
    if sign > 0 and u.affine:
        return Step("convex", form, "modulus", (Step("convex", u, "affine"),), (), atom.place)
    return None


def logarithm(rules: Rules, form: Form, atom: Atom, sign: int) -> Step | None:
    """log of what is log-convex, minus log of what is log-concave."""
    if atom.name not in ("log", "log2"):
        return None
    u = atom.args[0]
    premise = rules.log_convex(u) if sign > 0 else rules.log_concave(u)
    return premise and Step("convex", form, "logarithm", (premise,), (), atom.place)


def root(rules: Rules, form: Form, atom: Atom, sign: int) -> Step | None:
    """A norm: the root of a form in squares, or (sum of |u|^p)^q with p q >= 1."""
    if sign < 0:
        good = atom.name == "sqrt" and is_hyperbolic(rules.a, atom.args[0])
        return Step("convex", form, "hyperbolic root", (), (), atom.place) if good else None
    u = atom.args[0]
    if atom.name == "sqrt":
        q = quadratic(rules.a, u)
        if q is not None and gram_is_definite(rules.a, q):
            return Step("convex", form, "norm", (), (), atom.place)
    if atom.name in ("sqrt", "power"):
        return _norm(rules, form, atom)
    return None


def _norm(rules: Rules, form: Form, atom: Atom) -> Step | None:
    u, power = atom.args[0], exponent(rules.a, atom)
    if power is None or not 0 < power < 1 or u.constant < 0:
        return None
    orders, premises = set(), []
    for part, c in u.terms:
        order = exponent(rules.a, part)
        if c <= 0 or order is None or order < 1:
            return None
        orders.add(str(order))
        v = part.args[0]
        inner = _magnitude(rules, v, part)
        if inner is None or order * power < 1:
            return None
        premises.append(inner)
    if len(orders) != 1:
        return None
    return Step("convex", form, "p-norm", tuple(premises), (), atom.place)


def _magnitude(rules: Rules, v: Form, part: Atom) -> Step | None:
    """A proof that |v|, which stands under a power, is convex; an odd power of v is |v|^p for v >= 0 only."""
    if part.name == "integer_pow" and not is_even(part) and not rules.a.nonnegative(v):
        return None
    if v.affine:
        return Step("convex", v, "affine")
    if rules.a.nonnegative(v):
        return rules.convex(v)
    if not is_even(part):
        return None
    return rules.concave(v) if rules.a.nonnegative(rules.a.scale(v, -1)) else rules.convex(rules.a.unary("abs", v))


def largest(rules: Rules, form: Form, atom: Atom, sign: int) -> Step | None:
    """A maximum, or log-sum-exp, of convex functions."""
    if sign < 0:
        return None
    steps = [rules.convex(arg) for arg in atom.args]
    if any(step is None for step in steps):
        return None
    rule = "maximum" if atom.kind == "max" else "log-sum-exp"
    return Step("convex", form, rule, tuple(step for step in steps if step is not None), (), atom.place)


def from_logarithm(rules: Rules, form: Form, atom: Atom, sign: int) -> Step | None:
    """What is log-convex is convex."""
    if sign < 0:
        return None
    premise = rules.log_convex(rules.a.of(atom))
    return premise and Step("convex", form, "from logarithm", (premise,), (), atom.place)


def quotient(rules: Rules, form: Form, atom: Atom, sign: int) -> Step | None:
    """(a sum of squares of affine, or of convex nonnegative, functions) / (a concave positive one)."""
    u, v = atom.args
    if sign < 0 or not rules.a.positive(v):
        return None
    below = rules.concave(v)
    if below is None:
        return None
    premises = [below]
    if u.constant < 0:
        return None
    for part, c in u.terms:
        order = exponent(rules.a, part)
        if c <= 0 or order != 2:
            return _quotient_of_form(rules, form, atom, below)
        inner = _magnitude(rules, part.args[0], part)
        if inner is None:
            return None
        premises.append(inner)
    return Step("convex", form, "quadratic over linear", tuple(premises), (), atom.place)


def _quotient_of_form(rules: Rules, form: Form, atom: Atom, below: Step) -> Step | None:
    u = atom.args[0]
    q = quadratic(rules.a, u)
    if q is None or not gram_is_definite(rules.a, q):
        return None
    return Step("convex", form, "form over linear", (below,), (), atom.place)


def mean(rules: Rules, form: Form, atom: Atom, sign: int) -> Step | None:
    """A geometric mean: products of powers of concave nonnegative numbers, exponents summing to at most 1."""
    if sign > 0 or atom.kind not in ("unary", "product"):
        return None
    if atom.name == "exp":
        factors = [(part.args[0], c) for part, c in atom.args[0].terms if part.name == "log"]
        if not factors or any(part.name != "log" and part.free for part, _ in atom.args[0].terms):
            return None
    else:
        power = exponent(rules.a, atom)
        if atom.kind == "unary" and (power is None or not 0 < power < 1):
            return None
        factors = factors_of(rules.a, rules.a.of(atom))
    if factors is None or sum((p for _, p in factors), rules.a.zero) > 1:
        return None
    if any(p <= 0 or not rules.a.nonnegative(u) for u, p in factors):
        return None
    steps = [rules.concave(u) for u, _ in factors]
    if any(step is None for step in steps):
        return None
    return Step("convex", form, "geometric mean", tuple(s for s in steps if s is not None), (), atom.place)


def power_mean(rules: Rules, form: Form, atom: Atom, sign: int) -> Step | None:
    """(c_0 + c_1 u_1^p + ... + c_n u_n^p)^q of concave positive numbers is concave for p < 1 and 0 < p q <= 1."""
    outer = exponent(rules.a, atom)
    if sign > 0 or outer is None:
        return None
    u = atom.args[0]
    powers = [exponent(rules.a, part) for part, _ in u.terms]
    p = powers[0]
    if p is None or p >= 1 or not 0 < p * outer <= 1 or any(other != p for other in powers):
        return None
    if u.constant < 0 or any(c <= 0 for _, c in u.terms):
        return None
    good = rules.a.positive if p < 0 else rules.a.nonnegative
    if not all(good(part.args[0]) for part, _ in u.terms):
        return None
    steps = [rules.concave(part.args[0]) for part, _ in u.terms]
    if any(step is None for step in steps):
        return None
    return Step("convex", form, "power mean", tuple(s for s in steps if s is not None), (), atom.place)


def power_over_powers(rules: Rules, form: Form, atom: Atom, sign: int) -> Step | None:
    """u^p / (v_1^a_1 ... v_n^a_n) with p >= 1 + a_1 + ... + a_n, u >= 0 convex and v_i > 0 concave."""
    if sign < 0 or atom.kind not in ("product", "quotient"):
        return None
    factors = ratio_of(rules.a, rules.a.of(atom))
    tops = [(u, p) for u, p in factors if p > 0]
    if len(tops) != 1 or len(factors) < 2 or tops[0][1] < 1 - sum((p for _, p in factors if p < 0), rules.a.zero):
        return None
    u = tops[0][0]
    if not rules.a.nonnegative(u) or not all(rules.a.positive(v) for v, p in factors if p < 0):
        return None
    steps = [rules.convex(u), *(rules.concave(v) for v, p in factors if p < 0)]
    if any(step is None for step in steps):
        return None
    return Step("convex", form, "power over powers", tuple(s for s in steps if s is not None), (), atom.place)


def scaled(rules: Rules, form: Form, atom: Atom, sign: int) -> Step | None:
    """A form times, or over, a number that has no exact value but a sign."""
    u, v = atom.args if atom.args[0].free else atom.args[::-1]
    if v.free or (atom.kind == "quotient" and v is not atom.args[1]):
        return None
    if rules.a.nonnegative(v):
        premise = rules.convex(rules.a.scale(u, sign))
    elif rules.a.nonnegative(rules.a.scale(v, -1)):
        premise = rules.convex(rules.a.scale(u, -sign))
    else:
        return None
    return premise and Step("convex", form, "scaled", (premise,), (), atom.place)


def entropy(rules: Rules, form: Form, atom: Atom, sign: int) -> Step | None:
    """u log u, convex for affine u >= 0."""
    u = times_its_logarithm(atom)
    if sign < 0 or u is None or not u.affine:
        return None
    return Step("convex", form, "entropy", (), (), atom.place)


def one_form(rules: Rules, form: Form, atom: Atom, sign: int) -> Step | None:
    """A product or quotient that is a polynomial of degree 2."""
    q = quadratic(rules.a, form)
    return Step("convex", form, "quadratic form", (), (), atom.place) if q is not None and q.convex else None


def one_of_order(rules: Rules, form: Form, atom: Atom, sign: int) -> Step | None:
    """The largest, or minus the smallest."""
    found = ordered(rules, [(atom, form.terms[0][1])], {})
    return found[0][1] if found else None


def one_of_spectrum(rules: Rules, form: Form, atom: Atom, sign: int) -> Step | None:
    """The largest eigenvalue or singular value, or minus the smallest eigenvalue."""
    found = spectral(rules, [(atom, form.terms[0][1])], {})
    return found[0][1] if found else None


BY_KIND: dict[str, Sequence[Callable[[Rules, Form, Atom, int], Step | None]]] = {
    "unary": (composition, logarithm, root, from_logarithm, mean, power_mean, one_perspective),
    "product": (scaled, entropy, one_form, mean, from_logarithm, power_over_powers, one_perspective),
    "quotient": (scaled, quotient, from_logarithm, power_over_powers, one_perspective),
    "max": (largest, one_perspective),
    "log_sum_exp": (largest,),
    "select": (one_perspective,),
    "order": (one_of_order,),
    "pivot": (pivot,),
    "spectrum": (one_of_spectrum,),
}
"""By the kind of an atom: the rules for it, tried in this order."""
