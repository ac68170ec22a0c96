"""Checks of rows about one operation: does its shape follow from those of its operands?

What is positive and which range an argument has comes from intervals with ends of python-flint. References: see
`qed.calculus.shapes.single`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from qed.certificates.convexity_forms import border, definite, positive_eigenvalues
from qed.certificates.convexity_signs import own_logarithm, power_of, sign_on
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_terms import Atom, Form

if TYPE_CHECKING:
    from qed.certificates.convexity_rules import Check


def _composition(step: Check) -> None:
    atom, sign = step.atom
    step.require(atom.kind == "unary", "it is about a function of one number")
    u = atom.args[0]
    low, high = step.a.range(u)
    step.require(len(step.row[4]) == 6, "it has six numbers")
    claimed = step.row[4]
    step.require(claimed[0] <= low + _slack(low) and high - _slack(high) <= claimed[1], "the range is larger")
    step.require(claimed[0] <= claimed[1] and claimed[2] <= claimed[3] and claimed[4] <= claimed[5], "an end is wrong")
    low, high = min(low, claimed[0]), max(high, claimed[1])
    if not step.row[3]:
        step.fail("it has no premise")
    bend = 0 if low == high else sign_on(atom.data, low, high, 2)
    step.require(bend is not None and sign * bend >= 0, "f'' has not that sign on the range")
    if u.affine:
        step.premises([("convex", u)])
        return
    slope = sign_on(atom.data, low, high, 1)
    step.require(slope is not None, "f' has not one sign on the range")
    step.premises([("convex", u if sign * (slope or 0) >= 0 else step.negative(u))])


def _slack(x: float) -> float:
    return 1e-9 * (1.0 + abs(x)) if abs(x) < 1e300 else 0.0


def _modulus(step: Check) -> None:
    atom, sign = step.atom
    step.require(atom.name == "abs" and sign > 0 and atom.args[0].affine, "it is no modulus of an affine function")
    step.premises([("convex", atom.args[0])])


def _logarithm(step: Check) -> None:
    atom, sign = step.atom
    step.require(atom.name in ("log", "log2"), "it is no logarithm")
    step.premises([("log-convex" if sign > 0 else "log-concave", atom.args[0])])


def _maximum(step: Check) -> None:
    atom, sign = step.atom
    step.require(atom.kind == "max" and sign > 0, "it is no maximum")
    step.premises([("convex", arg) for arg in atom.args])


def _from_logarithm(step: Check) -> None:
    atom, sign = step.atom
    step.require(sign > 0, "it is a negative multiple")
    step.premises([("log-convex", step.a.of(atom))])


def _magnitudes(step: Check, u: Form) -> tuple[list[Any], list[tuple[str, Form]]]:
    """The powers in a sum of powers of magnitudes, and what has to be convex for them."""
    step.require(u.constant >= 0, "a negative constant stands in the sum")
    powers, claims = [], []
    for part, c in u.terms:
        power = power_of(part, step.a)
        if power is None or c <= 0:
            step.fail("a term is no power with a positive coefficient")
        v = part.args[0]
        even = part.name in ("abs", "square") or (part.name == "integer_pow" and int(power.p) % 2 == 0)
        signed = step.a.nonnegative(v)
        step.require(signed or even, "what stands under a power may be negative")
        if not signed and not v.affine:  # |v|, which is -v where v is never above 0
            v = step.negative(v) if step.a.nonnegative(step.negative(v)) else step.a.unary("abs", v)
        powers.append(power)
        claims.append(("convex", v))
    return powers, claims


def _p_norm(step: Check) -> None:
    atom, sign = step.atom
    outer = power_of(atom, step.a)
    step.require(sign > 0 and outer is not None and 0 < outer < 1, "it is no root")
    powers, claims = _magnitudes(step, atom.args[0])
    step.require(bool(powers) and all(p == powers[0] for p in powers), "the powers differ")
    step.require(powers[0] >= 1 and powers[0] * outer >= 1, "the powers are too small")
    step.premises(claims)


def _over_linear(step: Check) -> None:
    atom, sign = step.atom
    step.require(atom.kind == "quotient" and sign > 0 and step.a.positive(atom.args[1]), "the divisor may be 0")
    powers, claims = _magnitudes(step, atom.args[0])
    step.require(all(p == 2 for p in powers), "a power is not 2")
    step.premises([("convex", step.negative(atom.args[1])), *claims])


def _form_over_linear(step: Check) -> None:
    atom, sign = step.atom
    step.require(atom.kind == "quotient" and sign > 0 and step.a.positive(atom.args[1]), "the divisor may be 0")
    step.require(definite(step, atom.args[0], bordered=True), "the dividend is no sum of squares")
    step.premises([("convex", step.negative(atom.args[1]))])


def _norm(step: Check) -> None:
    atom, sign = step.atom
    step.require(atom.name == "sqrt" and sign > 0, "it is no root")
    step.require(definite(step, atom.args[0], bordered=True), "it is no sum of squares under the root")
    step.premises([])


def _hyperbolic_root(step: Check) -> None:
    atom, sign = step.atom
    step.require(atom.name == "sqrt" and sign < 0 and step.a.positive(atom.args[0]), "it is no root of a positive form")
    step.require(positive_eigenvalues(border(step, atom.args[0])) == 1, "it has not one positive direction")
    step.premises([])


def _geometric_mean(step: Check) -> None:
    atom, sign = step.atom
    step.require(sign < 0, "it is a positive multiple")
    if atom.name == "exp":
        terms = [(part, c) for part, c in atom.args[0].terms if part.free]
        step.require(bool(terms) and all(part.name == "log" for part, _ in terms), "it is no exp of logarithms")
        factors = [(part.args[0], c) for part, c in terms]
    else:
        factors = _factors(step.a, atom)
    total = sum((p for _, p in factors), step.a.zero)
    step.require(total <= 1 and all(p > 0 for _, p in factors), "the exponents sum to more than 1")
    step.require(all(step.a.nonnegative(u) for u, _ in factors), "a factor may be negative")
    step.premises([("convex", step.negative(u)) for u, _ in factors])


def _factors(a: Algebra, atom: Atom) -> list[tuple[Form, Any]]:
    """Factors of a product of powers; an inner part that is no such product is one factor."""
    if atom.kind == "product":
        return [pair for arg in atom.args for pair in _factors_of(a, arg)]
    power = power_of(atom, a)
    if power is None or power <= 0 or atom.name == "abs" or not a.nonnegative(atom.args[0]):
        return [(a.of(atom), a.one)]
    return [(u, p * power) for u, p in _factors_of(a, atom.args[0])]


def _factors_of(a: Algebra, form: Form) -> list[tuple[Form, Any]]:
    single = form.single
    if single is None or single[1] <= 0:
        return [(form, a.one)]
    inner = _factors(a, single[0])
    return [(form, a.one)] if len(inner) == 1 and inner[0][0] is a.of(single[0]) else inner


def _power_mean(step: Check) -> None:
    """(c_0 + sum of c_i u_i^p)^q with p < 1, p q in (0, 1], c_i >= 0 is concave, and rises with every u_i."""
    atom, sign = step.atom
    outer, u = power_of(atom, step.a), atom.args[0]
    step.require(sign < 0 and outer is not None, "it is no negative multiple of a power")
    powers = {power_of(part, step.a) for part, _ in u.terms}
    step.require(len(powers) == 1 and None not in powers, "the powers differ")
    (p,) = powers
    step.require(p < 1 and 0 < p * outer <= 1, "the powers do not make a mean")
    step.require(u.constant >= 0 and all(c > 0 for _, c in u.terms), "a coefficient is negative")
    inner = [part.args[0] for part, _ in u.terms]
    good = all(step.a.positive(v) if p < 0 else step.a.nonnegative(v) for v in inner)
    step.require(good, "a number may be negative, or 0")
    step.premises([("convex", step.negative(v)) for v in inner])


def _power_over_powers(step: Check) -> None:
    """u^p times negative powers of v_i, 1 <= p - (the sum of these powers), is convex and rises with u, falls with v_i.

    Of the positive variables alone its second derivatives make diag(-p_i/u_i^2) + (p_i/u_i)(p_j/u_j), f times, which is
    positive semidefinite where one p is positive and all add up to 1 or more.
    """
    atom, sign = step.atom
    step.require(sign > 0 and atom.kind in ("product", "quotient"), "it is no positive multiple of a quotient")
    powers: dict[int, tuple[Form, Any]] = {}
    waiting = [(step.a.of(atom), step.a.one)]
    order: list[int] = []
    while waiting:
        u, p = waiting.pop(0)
        single = u.single if u.single is not None and u.single[1] == 1 else None
        inner = single[0] if single is not None else None
        power = power_of(inner, step.a) if inner is not None and inner.name != "abs" else None
        if inner is not None and inner.kind in ("product", "quotient"):
            waiting = [(inner.args[0], p), (inner.args[1], p if inner.kind == "product" else -p), *waiting]
        elif inner is not None and power is not None and step.a.nonnegative(inner.args[0]):
            waiting = [(inner.args[0], p * power), *waiting]
        elif inner is not None and power is not None and power > 0 and power.q == 1 and power.p % 2 == 0:
            waiting = [(step.a.unary("abs", inner.args[0]), p * power), *waiting]  # u^2k = |u|^2k, of any u
        else:
            step.require(id(u) not in powers, "a factor occurs twice")
            powers[id(u)] = (u, p)
            order.append(id(u))
    tops = [(u, p) for u, p in powers.values() if p > 0]
    below = [powers[i] for i in order if powers[i][1] < 0]
    step.require(len(tops) == 1 and bool(below), "it has not one power above, or none below")
    (u, p), *_ = tops
    step.require(p + sum((q for _, q in below), step.a.zero) >= 1, "the power above is too small")
    step.require(step.a.nonnegative(u) and all(step.a.positive(v) for v, _ in below), "a factor may be negative, or 0")
    step.premises([("convex", u), *(("convex", step.negative(v)) for v, _ in below)])


def _scaled(step: Check) -> None:
    """v u or u / v with a number v of one sign."""
    atom, sign = step.atom
    step.require(atom.kind in ("product", "quotient"), "it is no product")
    pairs = [atom.args] if atom.kind == "quotient" else [atom.args, atom.args[::-1]]
    for u, v in pairs:
        if v.free:
            continue
        above, below = step.a.nonnegative(v), step.a.nonnegative(step.negative(v))
        step.require(above or below, "the number may have both signs")
        step.premises([("convex", step.a.scale(u, sign if above else -sign))])
        return
    step.fail("no factor is a number")


def _entropy(step: Check) -> None:
    atom, sign = step.atom
    u = own_logarithm(atom)
    step.require(sign > 0 and u is not None and u.affine, "it is not u log u of an affine u")
    step.premises([])


SINGLE: Mapping[str, Callable[[Check], None]] = {
    "composition": _composition,
    "entropy": _entropy,
    "form over linear": _form_over_linear,
    "from logarithm": _from_logarithm,
    "geometric mean": _geometric_mean,
    "hyperbolic root": _hyperbolic_root,
    "logarithm": _logarithm,
    "maximum": _maximum,
    "modulus": _modulus,
    "norm": _norm,
    "p-norm": _p_norm,
    "power over powers": _power_over_powers,
    "power mean": _power_mean,
    "quadratic over linear": _over_linear,
    "scaled": _scaled,
}
"""By rule: the check of a row about one operation."""
