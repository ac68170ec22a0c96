"""What the argument of one function makes simpler: identities of real functions between forms.

log1p(u) is log(1 + u); exp(log u + v) = u exp(v); the logarithm of a sum of exponentials is one atom,

    log(w1 e^a1 + ... + wn e^an) = a1 + log(w1 + w2 e^(a2-a1) + ... + wn e^(an-a1)),

so that log-sum-exp with *any* shift c, log(sum e^(a_i - c)) + c, is the same term as without, and
log(1 + e^-|u|) = log(1 + e^u) - u/2 - |u|/2, so that every stable spelling of softplus and of log-cosh is one, too. Of
sigmoids the logarithm is taken by

    1 + tanh u = 2 logistic(2 u),    logistic(u) - logistic(v) = logistic(u) logistic(-v) (1 - e^(v-u)).

Each identity holds for all real numbers for which its left side is defined (NIST DLMF, 4.4 and 4.8).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from qed import facts
from qed.domains import curvature_choices
from qed.domains.curvature_terms import Atom, Form

if TYPE_CHECKING:
    from qed.domains.curvature_algebra import Algebra


def _log1p(a: Algebra, card: facts.Card, x: Form) -> Form:
    return a.unary("log", a.combine(((x, a.one),), 1))


def _expm1(a: Algebra, card: facts.Card, x: Form) -> Form:
    return a.combine(((a.unary("exp", x), a.one),), -1)


def _neg(a: Algebra, card: facts.Card, x: Form) -> Form:
    return a.scale(x, -1)


def _exp(a: Algebra, card: facts.Card, x: Form) -> Form | None:
    """exp(log u + v) = u exp(v), and a sum of exponentials from its logarithm."""
    for atom, c in x.terms:
        if c == 1 and atom.name in ("log", "log_sum_exp") and atom.lost is None:
            rest = a.combine(((x, a.one), (a.of(atom), -a.one)))
            if atom.name == "log":
                return a.multiply(atom.args[0], a.unary("exp", rest)) if rest.terms or rest.constant else atom.args[0]
            parts = [(a.unary("exp", a.add(form, rest)), w) for form, w in zip(atom.args, atom.data, strict=True)]
            return a.combine(parts)
    return None


def _abs(a: Algebra, card: facts.Card, x: Form) -> Form | None:
    low, high = a.range(x)
    if low >= 0 or a.positive(x):
        return x
    if high <= 0 or a.positive(a.scale(x, -1)):
        return a.scale(x, -1)
    return None


def _sign(a: Algebra, card: facts.Card, x: Form) -> Form | None:
    for s in (1, -1):
        if a.positive(a.scale(x, s)):
            a.drop(x.lost)
            return a.number(s)
    return None


def _square(a: Algebra, card: facts.Card, x: Form) -> Form | None:
    """|u|^2 = u^2, and the square of a root."""
    if a.boolean(x):
        return x
    if x.single is None:
        return _expanded(a, x)
    atom, c = x.single
    if atom.name == "abs":
        return a.scale(a.unary("square", atom.args[0]), c * c)
    return a.scale(atom.args[0], c * c) if atom.name == "sqrt" else None


def _integer_pow(a: Algebra, card: facts.Card, x: Form) -> Form | None:
    n = int(dict(card.parameters)["y"])
    if n == 0:
        a.drop(x.lost)
        return a.number(1)
    if n == 1:
        return x
    if n in (2, -1):
        return a.unary({2: "square", -1: "reciprocal"}[n], x)
    if a.boolean(x) and n > 0:
        return x
    if x.single is not None and n % 2 == 0 and x.single[0].name == "abs":
        return a.scale(a.unary("integer_pow", x.single[0].args[0], y=n), x.single[1] ** n)
    return None


def _reciprocal(a: Algebra, card: facts.Card, x: Form) -> Form | None:
    if x.single is not None and x.single[0].name == "exp":
        atom, c = x.single
        return a.scale(a.unary("exp", a.scale(atom.args[0], -1)), 1 / c)
    if x.single is not None and x.single[0].name == "reciprocal":
        atom, c = x.single
        return a.scale(atom.args[0], 1 / c)
    if x.terms:
        u, c = a.normalised(x)
        if c != 1:
            return a.scale(a.image(card, u), 1 / c)
    exponent = one_and_exponential(x)
    return None if exponent is None else a.unary("logistic", a.scale(exponent, -1))


def one_and_exponential(x: Form) -> Form | None:
    """The u of 1 + exp(u), or None."""
    alone = len(x.terms) == 1 and x.terms[0][1] == 1 and x.constant == 1
    return x.terms[0][0].args[0] if alone and x.terms[0][0].name == "exp" else None


def _expanded(a: Algebra, x: Form) -> Form | None:
    """(r + s + c)^2 multiplied out for roots r, s of which some are subtracted."""
    if not 2 <= len(x.terms) + (x.constant != 0) <= 4 or len({c > 0 for _, c in x.terms} | {x.constant > 0}) < 2:
        return None
    if not all(atom.name == "sqrt" and atom.lost is None for atom, _ in x.terms):
        return None
    parts = [(a.of(atom), c) for atom, c in x.terms]
    pairs = [(u, v, c * d) for i, (u, c) in enumerate(parts) for v, d in parts[i + 1 :]]
    squares = [(u.terms[0][0].args[0], c * c) for u, c in parts]
    crossed = [(a.multiply(u, v), 2 * c) for u, v, c in pairs]
    return a.combine([*squares, *crossed, *((u, 2 * c * x.constant) for u, c in parts)], x.constant**2)


def _sqrt(a: Algebra, card: facts.Card, x: Form) -> Form | None:
    if x.single is None:
        return None
    atom, c = x.single
    root = _root(a, c)
    if root is None or atom.name != "square":
        return None
    return a.scale(a.unary("abs", atom.args[0]), root)


def _root(a: Algebra, c: Any) -> Any:
    if c <= 0:
        return None
    p, q = math.isqrt(int(c.p)), math.isqrt(int(c.q))
    return a.q(p, q) if p * p == c.p and q * q == c.q else None


def _log(a: Algebra, card: facts.Card, x: Form) -> Form | None:
    """The logarithm of exponentials, of their sums, of products, quotients and powers of positive numbers."""
    if x.single is not None and x.single[1] > 0 and x.single[1] != 1:  # defined where log u is
        return a.add(a.unary("log", a.of(x.single[0])), a.unary("log", a.number(x.single[1])))
    found = _log_of_sigmoids(a, x)
    if found is not None:
        return found
    if not x.terms or not a.positive(x):
        return None
    one = x.terms[0][0]
    if x.single is not None and x.single[1] < 0 and one.kind in ("product", "quotient"):
        return _log_of_negative(a, one, -x.single[1])
    if len(x.terms) == 1 and one.name == "logistic" and x.terms[0][1] == -1 and x.constant == 1:
        return a.scale(a.log_sum_exp([(a.one, a.number(0)), (a.one, one.args[0])]), -1)
    if all(atom.name == "exp" and c > 0 for atom, c in x.terms) and x.constant >= 0:
        parts = [(c, atom.args[0]) for atom, c in x.terms]
        return a.log_sum_exp([*([(x.constant, a.number(0))] if x.constant > 0 else []), *parts])
    if x.single is None or x.single[1] < 0:
        return None
    atom, c = x.single
    found = _log_of(a, atom)
    if found is None:
        return None
    return found if c == 1 else a.add(found, a.unary("log", a.number(c)))


def _log_of_negative(a: Algebra, atom: Atom, c: Any) -> Form | None:
    """The logarithm of -c u v, or -c u / v, where one of both is above 0 and the other below."""
    for signs in ((1, -1), (-1, 1)):
        parts = [a.scale(form, s) for form, s in zip(atom.args, signs, strict=True)]
        if all(a.positive(part) for part in parts):
            logs = [a.unary("log", part) for part in (*parts, a.number(c))]
            return a.combine(zip(logs, (a.one, a.one if atom.kind == "product" else -a.one, a.one), strict=True))
    return None


def entropy(a: Algebra, x: Form, y: Form) -> Form | None:
    """u log v where u >= 0 may be 0 and v > 0 or v >= c u for a c > 0: defined where u > 0, and 0 in the limit u = 0.

    (c u log(c u) <= c u log v <= c u log of the largest v.) Of a quotient, u log(v/w) = u log v - u log w, too.
    """
    for u, v in ((x, y), (y, x)):
        atom = v.single[0] if v.single is not None and v.single[1] == 1 else None
        if atom is None or atom.name != "log" or atom.lost is None or u.lost is not None:
            continue
        flipped = not a.nonnegative(u)
        u = a.scale(u, -1) if flipped else u
        if not a.nonnegative(u):
            continue
        inside, factor = atom.args[0], a.one
        parts = [(inside, 1)]
        if inside.single is not None and inside.single[0].kind == "quotient" and inside.single[1] > 0:
            (one, factor) = inside.single
            parts = [(one.args[0], 1), (one.args[1], -1)]
        if any(form.lost is not None or not (a.dominates(form, u) or a.positive(form)) for form, _ in parts):
            continue
        total = [(u, a.unary("log", a.number(factor)))] if factor != 1 else []
        made = [(a.multiply(u, log), a.one) for u, log in total]
        for form, sign in parts:
            w, k = a.normalised(u)
            product = a.atom("product", None, tuple(sorted((w, a.unary("log", form)), key=curvature_choices.order)))
            product.lost = None
            made.append((a.of(product), k * sign))
        return a.scale(a.combine(made), -1 if flipped else 1)
    return None


def _log_of_sigmoids(a: Algebra, x: Form) -> Form | None:
    """log(c + c tanh u), log(c - c tanh u); log(c logistic(u) - c logistic(v)) where u - v is a constant above 0."""
    zero = a.number(0)
    if len(x.terms) == 1 and x.terms[0][0].name == "tanh" and 0 < x.constant == abs(x.terms[0][1]):
        (atom, c), factor = x.terms[0], 2 * x.constant
        bent = a.log_sum_exp([(a.one, zero), (a.one, a.scale(atom.args[0], -2 if c > 0 else 2))])
        return a.combine(((a.unary("log", a.number(factor)), a.one), (bent, -a.one)))
    if len(x.terms) != 2 or x.constant != 0 or any(atom.name != "logistic" for atom, _ in x.terms):
        return None
    (first, c), (second, d) = sorted(x.terms, key=lambda term: -term[1])
    u, v = first.args[0], second.args[0]
    gap = a.subtract(u, v)
    if c + d != 0 or gap.terms or not gap.constant > 0:
        return None
    rest = a.combine(((a.unary("exp", a.scale(gap, -1)), -a.one),), 1)
    bent = [a.log_sum_exp([(a.one, zero), (a.one, w)]) for w in (a.scale(u, -1), v)]
    logs = a.unary("log", a.number(c)), a.unary("log", rest)
    return a.combine([*((log, a.one) for log in logs), *((log, -a.one) for log in bent)])


def _log_of(a: Algebra, atom: Atom) -> Form | None:
    u = atom.args[0] if atom.args else None
    if u is None:
        return None
    if atom.name == "logistic":
        return a.scale(a.log_sum_exp([(a.one, a.number(0)), (a.one, a.scale(u, -1))]), -1)
    if atom.name == "cosh":
        return a.log_sum_exp([(a.q(1, 2), u), (a.q(1, 2), a.scale(u, -1))])
    if atom.kind in ("product", "quotient") and all(a.positive(form) for form in atom.args):
        sign = 1 if atom.kind == "product" else -1
        return a.combine(((a.unary("log", u), a.one), (a.unary("log", atom.args[1]), a.q(sign))))
    powers = {"sqrt": a.q(1, 2), "rsqrt": a.q(-1, 2), "reciprocal": a.q(-1), "square": a.q(2)}
    power = powers.get(atom.name)
    if atom.name in ("integer_pow", "power"):
        exponent = next(iter(dict(atom.data.parameters).values()))
        power = a.q(exponent.numerator, exponent.denominator)
    return a.scale(a.unary("log", u), power) if power is not None and a.positive(u) else None


def log_sum_exp(a: Algebra, parts: Sequence[tuple[Any, Form]]) -> Form:
    """The logarithm of the sum of w exp(u) over (w, u), all w > 0: relative to the first exponent.

    An exponent that is itself such a logarithm is its terms: exp(v + log sum w_i exp(u_i)) = sum w_i exp(v + u_i).
    """
    found = (atom for _, form in parts for atom, c in form.terms if atom.kind == "log_sum_exp" and c == -1)
    below = next((atom for atom in found if len(atom.args) < SPREAD), None)
    if below is not None:  # e^(u - l) + e^v = e^-l (e^u + e^(v + l))
        inner = a.of(below)
        return a.subtract(log_sum_exp(a, [(w, a.add(form, inner)) for w, form in parts]), inner)
    parts = _spread(a, parts)
    merged: dict[int, tuple[Any, Form]] = {}
    base = _base(a, [form for _, form in parts])
    for w, form in parts:
        relative = a.subtract(form, base)
        key = id(relative)
        merged[key] = (merged[key][0] + w if key in merged else w, relative)
    rows = list(merged.values())
    if len(rows) == 1:
        return a.add(base, a.unary("log", a.number(rows[0][0])))
    if len(rows) == 2:
        (w0, _), (w1, u) = rows
        modulus = u.single
        if modulus is not None and modulus[0].name == "abs" and modulus[1] < 0 and w0 == w1:
            v = a.scale(modulus[0].args[0], -modulus[1])
            inner = log_sum_exp(a, [(w0, a.number(0)), (w1, v)])
            half = a.q(1, 2)
            return a.total(((base, a.one), (inner, a.one), (v, -half), (a.scale(u, -1), -half)))
        if u.terms and u.terms[0][1] < 0:  # e^0 and e^u relative to the other
            rows = [(w1, a.number(0)), (w0, a.scale(u, -1))]
            base = a.add(base, u)
    atom = a.atom("log_sum_exp", tuple(w for w, _ in rows), tuple(form for _, form in rows))
    return a.add(base, a.of(atom))


def _base(a: Algebra, forms: Sequence[Form]) -> Form:
    """The first of the exponents relative to which the fewest logarithms of sums are subtracted."""
    if len(forms) > FEW or not any(atom.kind == "log_sum_exp" for form in forms for atom, _ in form.terms):
        return forms[0]

    def subtracted(base: Form) -> int:
        relative = [a.subtract(form, base) for form in forms]
        return sum(c < 0 and atom.kind == "log_sum_exp" for form in relative for atom, c in form.terms)

    return min(forms, key=subtracted)


FEW = 16
SPREAD = 512
"""How many terms a logarithm of a sum is written out to."""


def _spread(a: Algebra, parts: Sequence[tuple[Any, Form]]) -> list[tuple[Any, Form]]:
    """The terms of the logarithms among the exponents, beside the others."""
    found: list[tuple[Any, Form]] = []
    for w, form in parts:
        inner = next((atom for atom, c in form.terms if atom.kind == "log_sum_exp" and c == 1), None)
        if inner is None or len(found) + len(inner.args) > SPREAD:
            found.append((w, form))
            continue
        rest = a.subtract(form, a.of(inner))
        found += [(w * v, a.add(rest, row)) for v, row in zip(inner.data, inner.args, strict=True)]
    return found


RULES: dict[str, Callable[[Algebra, facts.Card, Form], Form | None]] = {
    "abs": _abs,
    "exp": _exp,
    "expm1": _expm1,
    "integer_pow": _integer_pow,
    "log": _log,
    "log1p": _log1p,
    "neg": _neg,
    "reciprocal": _reciprocal,
    "sign": _sign,
    "sqrt": _sqrt,
    "square": _square,
}
"""By card: the form that f(x) is, or None where it is an atom of its own."""
