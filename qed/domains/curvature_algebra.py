"""The algebra of terms: operations on forms, brought to one shape by identities of real functions.

Two programs of one function become one term: log1p(u) is log(1 + u); abs, squares and integer powers have positive
leading coefficient; exp(u) exp(v) = exp(u + v); what else the argument of one function makes simpler is in
`qed.domains.curvature_identities`, choices between numbers are in `qed.domains.curvature_choices`. Each identity holds
for all real numbers for which its left side is defined (NIST DLMF, 4.4 and 4.8); whether it is, is noted in
`Atom.lost` before it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qed import facts
from qed.domains import curvature_choices, curvature_factors
from qed.domains.curvature_identities import RULES, entropy, log_sum_exp, one_and_exponential
from qed.domains.curvature_terms import Atom, Form, Place, Terms
from qed.domains.precision import precision

HOMOGENEOUS = ("abs", "square", "integer_pow")
SMOOTH = frozenset(("exp", "lgamma", "log", "square"))
"""Functions of which a program takes the value at the smaller and at the larger of two numbers."""
PAIRS = 64
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

    # --- matrices ---

    definite, regular = curvature_factors.definite, curvature_factors.regular
    inverted, pivot, factor = curvature_factors.inverted, curvature_factors.pivot, curvature_factors.factor

    # --- definedness ---

    def lose(self, form: Form, place: Place | None = None) -> Form:
        """The form, which may be undefined at this place.

        The doubt is noted at an atom of which nothing was made yet: what will be made of it has the doubt too. Where
        there is no such atom, it is a doubt about the whole.
        """
        atom = form.terms[0][0] if form.terms else None
        if atom is None or (atom.lost is None and atom.held):
            self.drop(place or self.place)
        elif atom.lost is None:
            atom.lost = place or self.place
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
        rule = RULES.get(card.name)
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
        return log_sum_exp(self, parts)

    # --- products and quotients ---

    def multiply(self, x: Form, y: Form) -> Form:
        """x y."""
        for a, b in ((x, y), (y, x)):
            if not a.terms:
                return self.scale(b, a.constant)
        for a, b in ((x, y), (y, x)):
            if self.boolean(a):
                self.drop(b.lost)  # 0 times what is undefined is undefined, where a choice would not look at it
                return self.choose(a, self.number(0), b)
        u, c = self.normalised(x)
        v, d = self.normalised(y)
        if u is v:
            return self.scale(self.unary("square", u), c * d)
        found = self._product_of_atoms(u, v)
        by_terms = None if found else entropy(self, u, v) or self._distributed(u, v) or self._distributed(v, u)
        if by_terms is not None:  # each of whose terms has its own doubt
            return self.scale(by_terms, c * d)
        if found is None:
            first, second = sorted((u, v), key=curvature_choices.order)
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
            if atom.kind == "quotient" and atom.args[0] is t:
                return self.divide(self.unary("square", t), atom.args[1])
            if atom.kind == "quotient" and atom.args[1] in (t, self.scale(t, -1)):
                return self.scale(atom.args[0], 1 if atom.args[1] is t else -1)
        return None

    def _distributed(self, u: Form, v: Form) -> Form | None:
        """u times every term of v, where v holds logarithms and u is no sum, or both are made of powers of e."""
        if len(v.terms) + (v.constant != 0) < 2 or u.single is None:
            return None
        powers = u.single[0].name == "exp" and all(atom.name == "exp" for atom, _ in v.terms)
        if not powers and not any(atom.name in ("log", "log_sum_exp") for atom, _ in v.terms):
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
        safe = self.positive(v)
        if not safe and self.positive(self.scale(v, -1)):
            v, d, safe = self.scale(v, -1), -d, True
        return self.scale(self._guarded(self._kept(self._quotient(x, v, safe), x, v), safe), 1 / d)

    def _quotient(self, x: Form, v: Form, safe: bool) -> Form:
        if not x.terms:
            return self.scale(self.image(_card("reciprocal"), v), x.constant)
        atom = v.single
        if atom is not None and atom[0].name == "exp":
            return self.multiply(x, self.unary("exp", self.scale(atom[0].args[0], -1)))
        own = x.single
        if own is not None and own[0].name == "exp" and one_and_exponential(v) is own[0].args[0]:
            return self.scale(self.unary("logistic", own[0].args[0]), own[1])
        if own is not None and own[0].name == "exp" and _is_sum_of_powers(v):  # a share of softmax, whatever its shift
            logarithm = self.log_sum_exp([(c, part.args[0]) for part, c in v.terms])
            return self.scale(self.unary("exp", self.subtract(own[0].args[0], logarithm)), own[1])
        ratio = self._share(x, v) if safe else None
        if ratio is not None:
            rest = self.combine(((x, self.one), (v, -ratio)))
            return self.combine(((self._quotient(rest, v, safe), self.one),), ratio)
        shorter = self._cancelled(x, v)
        if shorter is not None:
            return shorter
        u, c = self.normalised(x)
        return self.scale(self.of(self.atom("quotient", None, (u, v))), c)

    def _cancelled(self, x: Form, v: Form) -> Form | None:
        """x / v by v w / v = w, (k v + b)^2 / v = k^2 v + 2 k b + b^2 / v; of a sum, affine w and v only. Or None."""
        taken: list[tuple[Atom, Any, Form, Any]] = []
        for atom, c in x.terms:
            k = None
            if atom.name == "square":
                k = self.one if atom.args[0] is v else self._share(atom.args[0], v)
            if k is not None:
                b = self.subtract(atom.args[0], self.scale(v, k)).constant
                taken.append((atom, c, self.combine(((v, k * k),), 2 * k * b), b * b))
            elif atom.kind == "product" and v in atom.args:
                taken.append((atom, c, atom.args[0] if atom.args[1] is v else atom.args[1], self.zero))
        taken = [part for part in taken if part[2].affine or len(x.terms) == 1]
        if not taken or (x.constant != 0 and not v.affine):
            return None
        left = sum((c * b for _, c, _, b in taken), self.zero)
        rest = self.combine([(x, self.one), *((self.of(atom), -c) for atom, c, _, _ in taken)], left)
        whole = [(w, c) for _, c, w, _ in taken]
        if rest.terms or rest.constant != 0:
            whole.append((self.divide(rest, v), self.one))
        return self.combine(whole)

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

    compare, choose, either = curvature_choices.compare, curvature_choices.choose, curvature_choices.either
    maximum, ordered = curvature_choices.maximum, curvature_choices.ordered

    def minimum(self, forms: Sequence[Form]) -> Form:
        """The smallest of several numbers."""
        return self.scale(self.maximum([self.scale(form, -1) for form in forms]), -1)

    # --- sums that simplify ---

    def _error_function(self, x: Form) -> Form:
        """1 + erf(u), 1 - erf(u) and 2 - erfc(u) as one value of erfc."""
        (atom, c), u = x.terms[0], x.terms[0][0].args[0]
        if atom.name == "erf" and abs(x.constant) == abs(c):
            negative = x.constant == c
            return self.scale(self.unary("erfc", self.scale(u, -1) if negative else u), c if negative else -c)
        if atom.name == "erfc" and x.constant == -2 * c:
            return self.scale(self.unary("erfc", self.scale(u, -1)), -c)
        return x

    def _without_order(self, x: Form) -> Form:
        """c f(w + k |d|) + c f(w - k |d|) as c f(w + k d) + c f(w - k d): f of the smaller and of the larger number."""
        bent = [(atom, c) for atom, c in x.terms if atom.name in SMOOTH and _modulus(atom.args[0])[0] is not None]
        for i, (first, c) in enumerate(bent):
            for second, d in bent[:i]:
                u, v = first.args[0], second.args[0]
                (modulus, k), (other, m) = _modulus(u), _modulus(v)
                if c != d or first.data != second.data or other is not modulus or k + m != 0:
                    continue
                half, middle = self.scale(modulus.args[0], k), self.combine(((u, self.q(1, 2)), (v, self.q(1, 2))))
                left = self.subtract(u, self.combine(((middle, self.one), (self.of(modulus), k))))
                if left.terms or left.constant != 0:
                    continue
                made = [self.image(first.data, each(middle, half)) for each in (self.add, self.subtract)]
                rest = [(self.of(atom), -c) for atom in (first, second)]
                return self.total([(x, self.one), *rest, *((form, c) for form in made)])
        return x

    def total(self, pairs: Any) -> Form:
        """A sum in which max(a, b) and |a - b| that belong together are brought to one modulus."""
        found = self.combine(pairs)
        kinds = {atom.name for atom, _ in found.terms}
        if "log" in kinds or "square" in kinds:
            found = curvature_factors.gathered(self, found) or found
        if len(found.terms) == 1 and kinds <= {"erf", "erfc"}:
            return self._error_function(found)
        if len(found.terms) <= PAIRS and kinds & SMOOTH:
            found = self._without_order(found)
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


def _card(name: str, **parameters: Any) -> facts.Card:
    found = facts.card(name, **parameters)
    assert found is not None
    return found


def _modulus(u: Form) -> tuple[Any, Any]:
    """The only modulus in a sum, with its coefficient; None twice where there is none, or several."""
    found = [(atom, c) for atom, c in u.terms if atom.name == "abs"]
    return found[0] if len(found) == 1 else (None, None)


def _is_sum_of_powers(v: Form) -> bool:
    """Whether it is a sum of two or more positive multiples of powers of e."""
    return v.constant == 0 and len(v.terms) > 1 and all(part.name == "exp" and c > 0 for part, c in v.terms)


def _inside_exactly(card: facts.Card, value: Any) -> bool:
    domain = card.domain
    if card.poles or not all(end.infinite or end.value == int(end.value) for end in (domain.lower, domain.upper)):
        return str(card.poles) == "0" and value != 0
    above = domain.lower.infinite or value > int(domain.lower.value)
    above = above or (domain.lower_closed and value == int(domain.lower.value))
    below = domain.upper.infinite or value < int(domain.upper.value)
    return above and (below or (domain.upper_closed and value == int(domain.upper.value)))
