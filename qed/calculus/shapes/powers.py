"""How an atom reads as a power, a product of powers, or a number times a logarithm."""

from __future__ import annotations

from typing import Any

from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_terms import Atom, Form


def exponent(a: Algebra, atom: Atom) -> Any:
    """The p for which an atom is u^p or |u|^p, or None."""
    if atom.kind != "unary":
        return None
    fixed = {"sqrt": a.q(1, 2), "rsqrt": a.q(-1, 2), "reciprocal": a.q(-1), "square": a.q(2), "abs": a.one}
    if atom.name in ("integer_pow", "power"):
        value = next(iter(dict(atom.data.parameters).values()))
        return a.q(value.numerator, value.denominator)
    return fixed.get(atom.name)


def is_even(atom: Atom) -> bool:
    """Whether an atom is |u|^p or an even power of u."""
    if atom.name == "integer_pow":
        return int(dict(atom.data.parameters)["y"]) % 2 == 0
    return atom.name in ("abs", "square")


def factors_of(a: Algebra, form: Form) -> list[tuple[Form, Any]] | None:
    """The factors of a product of powers of nonnegative numbers, with their exponents."""
    if form.single is None or form.single[1] <= 0:
        return [(form, a.one)]
    atom = form.single[0]
    if atom.kind == "product":
        parts = [factors_of(a, arg) for arg in atom.args]
        return None if None in parts else [pair for part in parts if part is not None for pair in part]
    power = exponent(a, atom)
    if power is None or power <= 0 or atom.name == "abs" or not a.nonnegative(atom.args[0]):
        return [(form, a.one)]
    inner = factors_of(a, atom.args[0])
    return None if inner is None else [(u, p * power) for u, p in inner]


def ratio_of(a: Algebra, form: Form) -> list[tuple[Form, Any]]:
    """The factors of products and quotients of powers of one term, with exponents of both signs.

    >>> from qed.domains.curvature_algebra import Algebra
    >>> a = Algebra()
    >>> x, y = a.variable(0, "x", (0.0, 1.0)), a.variable(1, "y", (0.5, 1.0))
    >>> ratio_of(a, a.divide(a.unary("integer_pow", x, y=3), a.unary("square", y)))
    [(x, 3), (y, -2)]
    """
    if form.single is None or form.single[1] != 1:
        return [(form, a.one)]
    atom = form.single[0]
    if atom.kind in ("product", "quotient"):
        first, second = (ratio_of(a, arg) for arg in atom.args)
        return first + [(u, p if atom.kind == "product" else -p) for u, p in second]
    power = exponent(a, atom)
    if power is None or atom.name == "abs":
        return [(form, a.one)]
    if not a.nonnegative(atom.args[0]):
        return [(a.unary("abs", atom.args[0]), power)] if is_even(atom) and power > 0 else [(form, a.one)]
    return [(u, p * power) for u, p in ratio_of(a, atom.args[0])]


def times_its_logarithm(atom: Atom) -> Form | None:
    """The u of an atom u log(c u), with a number c > 0."""
    if atom.kind != "product":
        return None
    for u, v in (atom.args, atom.args[::-1]):
        if v.single is not None and v.single[1] == 1 and v.single[0].name == "log":
            ratio = proportion(v.single[0].args[0], u)
            if ratio is not None and ratio > 0:
                return u
    return None


def proportion(v: Form, u: Form) -> Any:
    """The number c with v = c u, or None."""
    if len(u.terms) != len(v.terms) or not u.terms:
        return None
    c = v.terms[0][1] / u.terms[0][1]
    same = all(s is t and e == c * d for (s, e), (t, d) in zip(v.terms, u.terms, strict=True))
    return c if same and v.constant == c * u.constant else None


def times_a_logarithm(atom: Atom, u: Form) -> Form | None:
    """The v of an atom u log v."""
    if atom.kind != "product":
        return None
    for one, other in (atom.args, atom.args[::-1]):
        if one is u and other.single is not None and other.single[1] == 1 and other.single[0].name == "log":
            return other.single[0].args[0]
    return None
