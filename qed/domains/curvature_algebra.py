"""The algebra of terms: operations on forms, brought to one shape by identities of real functions.

Two programs of one function become one term: log1p(u) is log(1 + u); abs, squares and integer powers have positive
leading coefficient; max(a, b) = (a + b)/2 + |a - b|/2 where a - b is affine; exp(u) exp(v) = exp(u + v); the logarithm
of a sum of exponentials is one atom,

    log(w1 e^a1 + ... + wn e^an) = a1 + log(w1 + w2 e^(a2-a1) + ... + wn e^(an-a1)),

so that log-sum-exp with *any* shift c, log(sum e^(a_i - c)) + c, is the same term as without, and
log(1 + e^-|u|) = log(1 + e^u) - u/2 - |u|/2, so that every stable spelling of softplus and of log-cosh is one, too.
Each identity holds for all real numbers for which its left side is defined (NIST DLMF, 4.4 and 4.8); whether it is, is
noted in `Atom.lost` before it is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from qed import facts
from qed.domains.curvature_terms import Atom, Form, Place, Terms
from qed.domains.precision import precision

HOMOGENEOUS = ("abs", "square", "integer_pow")
BITS = 300
LONG = 4096
"""Rational numbers with more bits than this are no longer kept exact."""


class Algebra(Terms):
    """Forms and the operations between them.

    >>> from qed.domains.curvature_algebra import Algebra
    >>> algebra = Algebra()
    >>> x = algebra.variable(0, "x", (-3.0, 3.0))
    >>> shifted = algebra.subtract(x, algebra.unary("square", x))
    >>> algebra.add(algebra.unary("log1p", algebra.unary("exp", shifted)), algebra.number(0))
    log_sum_exp(0, x + -1*square(x))
    """

    # --- definedness ---

    def lose(self, form: Form, place: Place | None = None) -> Form:
        """The form, which may be undefined at this place."""
        for atom, _ in form.terms:
            if atom.lost is None:
                atom.lost = place or self.place
            return form
        self.drop(place or self.place)
        return form

    def _guarded(self, result: Form, safe: bool) -> Form:
        return result if safe else self.lose(result)

    # --- functions of one number ---

    def unary(self, name: str, x: Form, **parameters: Any) -> Form:
        """A function that has a card."""
        card = facts.card(name, **parameters)
        if card is None:
            raise KeyError(name)
        return self.image(card, x)

    def image(self, card: facts.Card, x: Form) -> Form:
        """The value of a card's function."""
        if not x.terms:
            found = self._exact(card, x)
            if found is not None:
                return found
        rule = _RULES.get(card.name)
        found = rule(self, card, x) if rule is not None else None
        if found is not None:
            return self._kept(found, x)
        return self._guarded(self._plain(card, x), self.inside(card, x))

    def _kept(self, found: Form, *operands: Form) -> Form:
        """The form, a doubt about its operands noted where the form has none."""
        if found.lost is None:
            for operand in operands:
                self.drop(operand.lost)
        return found

    def _plain(self, card: facts.Card, x: Form) -> Form:
        if card.name in HOMOGENEOUS and x.terms:
            power = {"abs": 1, "square": 2}.get(card.name) or int(dict(card.parameters)["y"])
            u, c = self.normalised(x)
            c = abs(c) if card.name == "abs" else c**power if power > 0 else 1 / c**-power
            return self.scale(self.of(self.atom("unary", card, (u,))), c)
        return self.of(self.atom("unary", card, (x,)))

    def inside(self, card: facts.Card, x: Form) -> bool:
        """Whether the function is surely defined wherever x is."""
        low, high = self.range(x)
        domain = card.domain
        below = domain.lower.infinite or low > domain.lower.upper
        if not below and domain.lower_closed:
            below = low >= domain.lower.value
        if not below and domain.lower.value == 0:
            below = self.nonnegative(x) if domain.lower_closed else self.positive(x)
        above = domain.upper.infinite or high < domain.upper.lower
        if not above and domain.upper_closed:
            above = high <= domain.upper.value
        if not (above and below):
            return False
        if card.poles and card.poles.meets(low, high):
            at_zero = str(card.poles) == "0"
            return at_zero and (self.positive(x) or self.positive(self.scale(x, -1)))
        return True

    def _exact(self, card: facts.Card, x: Form) -> Form | None:
        """The value at a rational number where it is one, found by balls without a radius."""
        value = x.constant
        if not _inside_exactly(card, value):
            return None
        if card.name == "reciprocal":
            return self.number(1 / value)
        if card.name in ("square", "integer_pow"):
            n = 2 if card.name == "square" else int(dict(card.parameters)["y"])
            if (value.p.bit_length() + value.q.bit_length()) * abs(n) > LONG:
                return None
            return self.number(value**n if n >= 0 else 1 / value**-n)
        if card.name in ("abs", "neg"):
            return self.number(abs(value) if card.name == "abs" else -value)
        if value.q & (value.q - 1):
            return None
        with precision(BITS) as flint:
            ball = card.ball(flint.arb(value))
            if not (ball.is_finite() and ball.is_exact()):
                return None
            mantissa, exponent = (int(n) for n in ball.man_exp())
        two = self.q(2) ** exponent if exponent >= 0 else 1 / self.q(2) ** -exponent
        return self.number(self.q(mantissa) * two)

    def log_sum_exp(self, parts: Sequence[tuple[Any, Form]]) -> Form:
        """The logarithm of the sum of w exp(u) over (w, u), all w > 0."""
        return _log_sum_exp(self, parts)

    # --- products and quotients ---

    def multiply(self, x: Form, y: Form) -> Form:
        """x y."""
        for a, b in ((x, y), (y, x)):
            if not a.terms:
                return self.scale(b, a.constant)
        for a, b in ((x, y), (y, x)):
            if self.boolean(a):
                return self.choose(a, self.number(0), b)
        u, c = self.normalised(x)
        v, d = self.normalised(y)
        if u is v:
            return self.scale(self.unary("square", u), c * d)
        found = self._product_of_atoms(u, v) or self._distributed(u, v) or self._distributed(v, u)
        if found is None:
            first, second = sorted((u, v), key=_order)
            found = self.of(self.atom("product", None, (first, second)))
        return self.scale(self._kept(found, u, v), c * d)

    def _product_of_atoms(self, u: Form, v: Form) -> Form | None:
        """The product of two powers of e, of a number and its root, of a number and a quotient by it."""
        one, other = u.single, v.single
        if one is not None and other is not None and one[1] == other[1] == 1:
            a, b = one[0], other[0]
            if a.name == b.name == "exp":
                return self.unary("exp", self.add(a.args[0], b.args[0]))
            if a.name == b.name == "sqrt" and self.nonnegative(a.args[0]) and self.nonnegative(b.args[0]):
                return self.unary("sqrt", self.multiply(a.args[0], b.args[0]))
        for s, t in ((u, v), (v, u)):
            if s.single is None or s.single[1] != 1:
                continue
            atom = s.single[0]
            if atom.name == "reciprocal":
                return self.divide(t, atom.args[0])
            if atom.kind == "quotient" and atom.args[1] is t:
                return atom.args[0]
        return None

    def _distributed(self, u: Form, v: Form) -> Form | None:
        """u times every term of v, where v holds logarithms and u is no sum."""
        if len(v.terms) + (v.constant != 0) < 2 or u.single is None:
            return None
        if not any(atom.name in ("log", "log_sum_exp") for atom, _ in v.terms):
            return None
        parts = [(self.multiply(u, self.of(atom)), c) for atom, c in v.terms]
        return self.combine([*parts, (u, v.constant)])

    def divide(self, x: Form, y: Form) -> Form:
        """x / y."""
        if not y.terms:
            if y.constant == 0:
                return self.lose(self.of(self.opaque((x,), "division by zero")))
            return self.scale(x, 1 / y.constant)
        v, d = self.normalised(y)
        safe = self.positive(v) or self.positive(self.scale(v, -1))
        return self.scale(self._guarded(self._kept(self._quotient(x, v, safe), x, v), safe), 1 / d)

    def _quotient(self, x: Form, v: Form, safe: bool) -> Form:
        if not x.terms:
            return self.scale(self.image(_card("reciprocal"), v), x.constant)
        atom = v.single
        if atom is not None and atom[0].name == "exp":
            return self.multiply(x, self.unary("exp", self.scale(atom[0].args[0], -1)))
        ratio = self._share(x, v) if safe else None
        if ratio is not None:
            rest = self.combine(((x, self.one), (v, -ratio)))
            return self.combine(((self._quotient(rest, v, safe), self.one),), ratio)
        u, c = self.normalised(x)
        return self.scale(self.of(self.atom("quotient", None, (u, v))), c)

    def _share(self, x: Form, v: Form) -> Any:
        """The c for which x - c v is a constant, or None."""
        found = {atom.index: c for atom, c in x.terms}
        c = found.get(v.terms[0][0].index)
        if c is None or len(x.terms) != len(v.terms):
            return None
        return c if all(found.get(atom.index) == c * a for atom, a in v.terms) else None

    # --- choices ---

    def boolean(self, x: Form) -> bool:
        """Whether it is a truth value, or the negation of one."""
        if len(x.terms) != 1:
            return False
        atom, c = x.terms[0]
        return atom.kind == "compare" and ((c == 1 and x.constant == 0) or (c == -1 and x.constant == 1))

    def compare(self, name: str, x: Form, y: Form) -> Form:
        """1 where x < y (lt), x <= y (le), x = y (eq) and so on, else 0."""
        if name in ("gt", "ge"):
            return self.compare({"gt": "lt", "ge": "le"}[name], y, x)
        if name == "ne":
            return self.combine(((self.compare("eq", x, y), -self.one),), 1)
        difference = self.subtract(x, y)
        if not difference.terms:
            zero = difference.constant
            return self.number({"lt": zero < 0, "le": zero <= 0, "eq": zero == 0}[name])
        low, high = self.range(difference)
        above, below = self.positive(difference), self.positive(self.scale(difference, -1))
        yes = below or (high <= 0 and name == "le") if name != "eq" else False
        no = above or (name == "lt" and low >= 0) or (name == "eq" and below)
        if yes or no:
            self.drop(difference.lost)
            return self.number(int(yes))
        u, c = self.normalised(difference)
        if name != "eq" and c < 0:  # -u < 0 is u > 0, that is not u <= 0
            flipped = self.atom("compare", {"lt": "le", "le": "lt"}[name], (u,))
            return self.combine(((self.of(flipped), -self.one),), 1)
        return self.of(self.atom("compare", name, (u,)))

    def choose(self, which: Form, zero: Form, one: Form) -> Form:
        """`zero` where the truth value is 0, `one` where it is 1."""
        if not which.terms:
            return zero if which.constant == 0 else one
        if zero is one:
            self.drop(which.lost)
            return zero
        atom, c = which.terms[0]
        if c < 0:
            zero, one = one, zero
        zero, one = self._given(zero, atom, 1), self._given(one, atom, 2)
        if zero is one:
            self.drop(which.lost)
            return zero
        if atom.data == "eq" and self._at_zero(zero, atom.args[0]) is one:  # where u is 0 both are the same
            self.drop(which.lost)
            return zero
        found = self.atom("select", None, (self.of(atom), zero, one))
        return self.of(found)

    def _given(self, form: Form, condition: Atom, case: int) -> Form:
        """A case of a choice, in which choices by the same condition are made."""
        parts = []
        changed = False
        for atom, c in form.terms:
            if atom.kind == "select" and atom.args[0].terms[0][0] is condition:
                parts.append((self._given(atom.args[case], condition, case), c))
                changed = True
            elif atom.kind in ("unary", "product", "quotient") and _chooses(atom, condition, 6):
                inner = [self._given(arg, condition, case) for arg in atom.args]
                operations = {"product": self.multiply, "quotient": self.divide}
                new = self.image(atom.data, inner[0]) if atom.kind == "unary" else operations[atom.kind](*inner)
                parts.append((new, c))
                changed = True
            else:
                parts.append((self.of(atom), c))
        if not changed:
            return form
        found = self.total([*parts, (self.number(form.constant), self.one)])
        return found if found.lost is None or form.lost is not None else form

    def _at_zero(self, form: Form, u: Form) -> Form | None:
        """What a form is where u is 0, if it is a continuous function of u that is defined there."""
        if not form.terms or form.lost is not None:
            return form if form.lost is None else None
        if len(form.terms) == len(u.terms):
            c = form.terms[0][1] / u.terms[0][1]
            if self.subtract(form, self.scale(u, c)).terms == ():
                return self.number(form.constant - c * u.constant)
        total = self.number(form.constant)
        for atom, c in form.terms:
            if atom.kind != "unary" or atom.data.jumps:
                return None
            inner = self._at_zero(atom.args[0], u)
            value = None if inner is None or inner.terms else self._exact(atom.data, inner)
            if value is None:
                return None
            total = self.combine(((total, self.one), (value, c)))
        return total

    def maximum(self, forms: Sequence[Form]) -> Form:
        """The largest of several numbers."""
        args: dict[int, Form] = {}
        for form in forms:
            atom = form.single
            inner = atom[0].args if atom is not None and atom[0].kind == "max" and atom[1] == 1 else (form,)
            args.update((id(each), each) for each in inner)
        floor = max(self.range(form)[0] for form in args.values())
        kept = [form for form in args.values() if self.range(form)[1] > floor or self.range(form)[0] >= floor]
        for form in args.values():
            if form not in kept:
                self.drop(form.lost)
        if self.ends is not None or len(kept) == 2:
            kept = self._undominated(kept)
        if len(kept) == 1:
            return kept[0]
        if len(kept) == 2:
            difference = self.subtract(*kept)
            if difference.affine:
                half = self.q(1, 2)
                modulus = self.unary("abs", difference)
                return self.combine(((kept[0], half), (kept[1], half), (modulus, half)))
        return self.of(self.atom("max", None, tuple(sorted(kept, key=_order))))

    def _undominated(self, forms: list[Form]) -> list[Form]:
        """Those that are not surely below another one."""
        kept: list[Form] = []
        for form in forms:
            if any(self.nonnegative(self.subtract(other, form)) for other in kept):
                self.drop(form.lost)
                continue
            for other in [other for other in kept if self.nonnegative(self.subtract(form, other))]:
                self.drop(other.lost)
                kept.remove(other)
            kept.append(form)
        return kept

    def ordered(self, forms: Sequence[Form]) -> list[Form]:
        """The order statistics, smallest first."""
        if all(not form.terms for form in forms):
            return sorted(forms, key=lambda form: form.constant)
        if len(forms) < 2:
            return list(forms)
        if self.ends is not None:
            chain = self._chain(list(forms))
            if chain is not None:
                return chain
        args = tuple(sorted(forms, key=_order))
        return [self.of(self.atom("order", (k, len(args)), args)) for k in range(len(args))]

    def _chain(self, forms: list[Form]) -> list[Form] | None:
        """The numbers in order, where every two can be compared."""
        done: list[Form] = []
        for form in forms:
            k = 0
            while k < len(done) and self.nonnegative(self.subtract(form, done[k])):
                k += 1
            if not all(self.nonnegative(self.subtract(other, form)) for other in done[k:]):
                return None
            done.insert(k, form)
        return done

    def minimum(self, forms: Sequence[Form]) -> Form:
        """The smallest of several numbers."""
        return self.scale(self.maximum([self.scale(form, -1) for form in forms]), -1)

    # --- sums that simplify ---

    def total(self, pairs: Any) -> Form:
        """A sum in which max(a, b) and |a - b| that belong together are brought to one modulus."""
        found = self.combine(pairs)
        kinds = {atom.name for atom, _ in found.terms}
        if "max" not in kinds or "abs" not in kinds:
            return found
        coefficients = {atom.index: c for atom, c in found.terms}
        for atom, c in found.terms:
            if atom.kind == "max" and len(atom.args) == 2:
                modulus = self.unary("abs", self.subtract(*atom.args))
                if modulus.single is None:
                    continue
                other, scale = modulus.single
                if coefficients.get(other.index) == -c * scale / 2:
                    half = c / 2
                    parts = [(self.of(atom), -c), (modulus, half), (atom.args[0], half), (atom.args[1], half)]
                    return self.total([(found, self.one), *parts])
        return found


def _chooses(atom: Atom, condition: Atom, depth: int) -> bool:
    """Whether a choice by the condition stands inside, not too deep."""
    if atom.kind == "select" and atom.args[0].terms[0][0] is condition:
        return True
    return depth > 0 and any(_chooses(each, condition, depth - 1) for arg in atom.args for each, _ in arg.terms)


def _order(form: Form) -> Any:
    return [atom.index for atom, _ in form.terms], [str(c) for _, c in form.terms], str(form.constant)


def _card(name: str, **parameters: Any) -> facts.Card:
    found = facts.card(name, **parameters)
    assert found is not None
    return found


def _inside_exactly(card: facts.Card, value: Any) -> bool:
    domain = card.domain
    if card.poles or not all(end.infinite or end.value == int(end.value) for end in (domain.lower, domain.upper)):
        return str(card.poles) == "0" and value != 0
    above = domain.lower.infinite or value > int(domain.lower.value)
    above = above or (domain.lower_closed and value == int(domain.lower.value))
    below = domain.upper.infinite or value < int(domain.upper.value)
    return above and (below or (domain.upper_closed and value == int(domain.upper.value)))


# --- one function each: what its argument makes simpler ---------------------------------------------------------


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
        return None
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
    return None


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
    if not x.terms or not a.positive(x):
        return None
    one = x.terms[0][0]
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


def _log_of(a: Algebra, atom: Atom) -> Form | None:
    u = atom.args[0] if atom.args else None
    if u is None:
        return None
    if atom.name == "logistic":
        return a.scale(a.log_sum_exp([(a.one, a.number(0)), (a.one, a.scale(u, -1))]), -1)
    if atom.kind in ("product", "quotient") and all(a.positive(form) for form in atom.args):
        sign = 1 if atom.kind == "product" else -1
        return a.combine(((a.unary("log", u), a.one), (a.unary("log", atom.args[1]), a.q(sign))))
    powers = {"sqrt": a.q(1, 2), "rsqrt": a.q(-1, 2), "reciprocal": a.q(-1), "square": a.q(2)}
    power = powers.get(atom.name)
    if atom.name in ("integer_pow", "power"):
        exponent = next(iter(dict(atom.data.parameters).values()))
        power = a.q(exponent.numerator, exponent.denominator)
    return a.scale(a.unary("log", u), power) if power is not None and a.positive(u) else None


def _log_sum_exp(a: Algebra, parts: Sequence[tuple[Any, Form]]) -> Form:
    """The logarithm of the sum of w exp(u) over (w, u), all w > 0: relative to the first exponent."""
    merged: dict[int, tuple[Any, Form]] = {}
    base = parts[0][1]
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
            inner = _log_sum_exp(a, [(w0, a.number(0)), (w1, v)])
            half = a.q(1, 2)
            return a.total(((base, a.one), (inner, a.one), (v, -half), (a.scale(u, -1), -half)))
        if u.terms and u.terms[0][1] < 0:  # e^0 and e^u relative to the other
            rows = [(w1, a.number(0)), (w0, a.scale(u, -1))]
            base = a.add(base, u)
    atom = a.atom("log_sum_exp", tuple(w for w, _ in rows), tuple(form for _, form in rows))
    return a.add(base, a.of(atom))


_RULES: dict[str, Callable[[Algebra, facts.Card, Form], Form | None]] = {
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
