"""Proofs of convexity by rules: a form is convex because of the shapes of what it is made of.

For f(u) with u in U (the range of u on the box), f'' >= 0 on U, and u affine, or u convex and f' >= 0 on U, or u
concave and f' <= 0 on U: then f(u) is convex (Boyd and Vandenberghe, *Convex Optimization*, 2004, section 3.2.4). The
signs of f' and f'' come from the fact cards, enclosed on U; no function is listed by name for them. To these are added
what two neighbours prove together: sums, log-sum-exp, products and quotients of log-convex functions (section 3.5),
quadratic forms by exact rational elimination, norms, u^2/v, relative entropy, geometric means, sums of the largest.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from qed import facts
from qed.calculus.shapes.lines import along, second_derivatives
from qed.calculus.shapes.quadratic import gram_is_definite, quadratic
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_line import Directions, atoms
from qed.domains.curvature_proof import Step
from qed.domains.curvature_terms import Atom, Form
from qed.domains.formulas import Formulas
from qed.domains.interval import Interval
from qed.domains.intervals import Intervals

Found = Step | None


class Rules:
    """Looks for proofs in one algebra; what was tried is remembered.

    >>> from qed.calculus.shapes.rules import Rules
    >>> from qed.domains.curvature_algebra import Algebra
    >>> a = Algebra()
    >>> x = a.variable(0, "x", (-3.0, 3.0))
    >>> Rules(a).convex(a.unary("exp", a.unary("square", x))).rule, Rules(a).convex(a.unary("sin", x))
    ('composition', None)
    """

    def __init__(self, algebra: Algebra, deep: bool = False, deadline: float = math.inf) -> None:
        self.a, self.deep, self.deadline = algebra, deep, deadline
        self.top: Form | None = None
        self._directions = Directions()
        self._memo: dict[tuple[str, int], Found] = {}
        self._formulas = Formulas(Interval())
        self._signs: dict[Any, tuple[float, float]] = {}

    def _remembered(self, claim: str, form: Form, rule: Callable[[Form], Found]) -> Found:
        key = (claim, id(form))
        if key not in self._memo:
            self._memo[key] = None
            self._memo[key] = rule(form)
        return self._memo[key]

    def convex(self, form: Form) -> Found:
        """A proof that the form is convex on the box, or None."""
        return self._remembered("convex", form, self._convex)

    def concave(self, form: Form) -> Found:
        """A proof that minus the form is convex."""
        return self.convex(self.a.scale(form, -1))

    def log_convex(self, form: Form) -> Found:
        """A proof that the form is positive and its logarithm convex."""
        return self._remembered("log-convex", form, lambda f: self._logarithm(f, 1))

    def log_concave(self, form: Form) -> Found:
        """A proof that the form is positive and its logarithm concave."""
        return self._remembered("log-concave", form, lambda f: self._logarithm(f, -1))

    # --- sums ---

    def _convex(self, form: Form) -> Found:
        if form.affine:
            return Step("convex", form, "affine") if form.lost is None else None
        if any(atom.affine and atom.lost is not None for atom, _ in form.terms):
            return None
        parts = [(atom, c) for atom, c in form.terms if not atom.affine]
        steps = [self._part(form, atom, c) for atom, c in parts]
        if len(parts) == 1 and steps[0] is not None:
            return steps[0] if form.single == parts[0] else Step("convex", form, "sum", (steps[0],))
        if len(parts) == 1 and form.single is None and form is not self.top:  # the term has been tried by itself
            return None
        if all(step is not None for step in steps):
            return Step("convex", form, "sum", tuple(step for step in steps if step is not None))
        return self.together(form, parts, steps)

    def together(self, form: Form, parts: Sequence[tuple[Atom, Any]], steps: Sequence[Found]) -> Found:
        """A sum whose terms are not all convex by themselves: what some of them are together."""
        rest = dict(zip([atom.index for atom, _ in parts], steps, strict=True))
        groups: list[tuple[Form, Step]] = []
        looks = [self._shifted, self._entropies, self._ordered, self._spectral, self._quadratic]
        if self.deep and time.monotonic() < self.deadline:
            looks += [self._lines, self._smooth] if form is self.top else [self._lines]
        for look in looks:
            whole = look == self._lines  # which finds out by itself where it is defined
            here = [(atom, c) for atom, c in parts if atom.index in rest and (whole or atom.lost is None)]
            for group, step in look(here, rest):
                groups.append((group, step))
                for atom, _ in group.terms:
                    rest.pop(atom.index, None)
            if all(step is not None for step in rest.values()):
                single = [
                    (self.a.form(((atom, c),), self.a.zero), rest[atom.index])
                    for atom, c in parts
                    if atom.index in rest
                ]
                return grouped(form, [*groups, *((part, step) for part, step in single if step is not None)])
        return None

    def _part(self, form: Form, atom: Atom, c: Any) -> Found:
        """A proof that one term of a sum is convex."""
        part = self.a.form(((atom, c),), self.a.zero)
        sign = 1 if c > 0 else -1
        if part is form:
            return self._atom(part, atom, sign)
        return self._remembered("convex", part, lambda f: self._atom(f, atom, sign))

    def _atom(self, form: Form, atom: Atom, sign: int) -> Found:
        if atom.lost is not None:
            return None
        for rule in _BY_KIND.get(atom.kind, ()):
            found = rule(self, form, atom, sign)
            if found is not None:
                return found
        return None

    # --- one function ---

    def signs(self, card: facts.Card, form: Form) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """Bounds of f' and of f'' on the range of the argument; None across a kink or a jump."""
        low, high = self.a.range(form)
        if low == high:
            return (0.0, 0.0), (0.0, 0.0)
        if card.jumps and card.jumps.meets(low, high):
            return None
        if card.kinks and any(low < p.upper and p.lower < high for p in card.kinks.between(low, high)):
            return None
        key = (card.name, card.parameters, low, high)
        if key not in self._signs:
            self._signs[key] = self._enclosed(card, low, high)  # type: ignore[assignment]
        return self._signs[key]  # type: ignore[return-value]

    def _enclosed(self, card: facts.Card, low: float, high: float) -> Any:
        x = Intervals(low, high)
        found = []
        try:
            y = self._formulas.domain.image(card, x)
            for order in (1, 2):
                bound = facts.derivative_of(card, order).evaluate(x=x, y=y, arithmetic=self._formulas)
                found.append((float(bound.lower), float(bound.upper)))
        except KeyError:
            return None
        if not found[1][0] >= 0 and not found[1][1] <= 0:
            found[1] = _by_bends(card, low, high, found[1], self._formulas)
        if not found[0][0] >= 0 and not found[0][1] <= 0:
            found[0] = _by_turns(card, low, high, found[0], self._formulas)
        return tuple(found)

    def composition(self, form: Form, atom: Atom, sign: int) -> Found:
        """sign * f(u) convex by the signs of f' and f'' on the range of u."""
        card, u = atom.data, atom.args[0]
        if card.name == "abs":
            return self._modulus(form, atom, sign)
        bounds = self.signs(card, u)
        if bounds is None:
            return None
        (d, e), (b, c) = bounds
        if not (b >= 0 if sign > 0 else c <= 0):
            return None
        numbers = (*self.a.range(u), d, e, b, c)
        options: list[tuple[str, Found]] = []
        if u.affine:
            options.append(("affine", Step("convex", u, "affine")))
        if (d >= 0) if sign > 0 else (e <= 0):
            options.append(("convex", self.convex(u)))
        if (e <= 0) if sign > 0 else (d >= 0):
            options.append(("concave", self.concave(u)))
        for _, premise in options:
            if premise is not None:
                return Step("convex", form, "composition", (premise,), numbers, atom.place)
        return None

    def _modulus(self, form: Form, atom: Atom, sign: int) -> Found:
        u = atom.args[0]
        if sign > 0 and u.affine:
            return Step("convex", form, "modulus", (Step("convex", u, "affine"),), (), atom.place)
        return None

    def logarithm(self, form: Form, atom: Atom, sign: int) -> Found:
        """log of what is log-convex, minus log of what is log-concave."""
        if atom.name not in ("log", "log2"):
            return None
        u = atom.args[0]
        premise = self.log_convex(u) if sign > 0 else self.log_concave(u)
        return premise and Step("convex", form, "logarithm", (premise,), (), atom.place)

    def root(self, form: Form, atom: Atom, sign: int) -> Found:
        """A norm: the root of a form in squares, or (sum of |u|^p)^q with p q >= 1."""
        if sign < 0:
            return None
        u = atom.args[0]
        if atom.name == "sqrt":
            q = quadratic(self.a, u)
            if q is not None and gram_is_definite(self.a, q):
                return Step("convex", form, "norm", (), (), atom.place)
        if atom.name in ("sqrt", "power"):
            return self._norm(form, atom)
        return None

    def _norm(self, form: Form, atom: Atom) -> Found:
        u, power = atom.args[0], exponent(self.a, atom)
        if power is None or not 0 < power < 1 or u.constant < 0:
            return None
        orders, premises = set(), []
        for part, c in u.terms:
            order = exponent(self.a, part)
            if c <= 0 or order is None or order < 1:
                return None
            orders.add(str(order))
            v = part.args[0]
            inner = self._magnitude(v, part)
            if inner is None or order * power < 1:
                return None
            premises.append(inner)
        if len(orders) != 1:
            return None
        return Step("convex", form, "p-norm", tuple(premises), (), atom.place)

    def _magnitude(self, v: Form, part: Atom) -> Found:
        """A proof that |v|, which stands under a power, is convex; an odd power of v is |v|^p for v >= 0 only."""
        order = exponent(self.a, part)
        if part.name == "integer_pow" and order is not None and order.p % 2 and not self.a.nonnegative(v):
            return None
        if v.affine:
            return Step("convex", v, "affine")
        return self.convex(v) if self.a.nonnegative(v) else None

    # --- several numbers ---

    def largest(self, form: Form, atom: Atom, sign: int) -> Found:
        """A maximum, or log-sum-exp, of convex functions."""
        if sign < 0:
            return None
        steps = [self.convex(arg) for arg in atom.args]
        if any(step is None for step in steps):
            return None
        rule = "maximum" if atom.kind == "max" else "log-sum-exp"
        return Step("convex", form, rule, tuple(step for step in steps if step is not None), (), atom.place)

    def from_logarithm(self, form: Form, atom: Atom, sign: int) -> Found:
        """What is log-convex is convex."""
        if sign < 0:
            return None
        premise = self.log_convex(self.a.of(atom))
        return premise and Step("convex", form, "from logarithm", (premise,), (), atom.place)

    def quotient(self, form: Form, atom: Atom, sign: int) -> Found:
        """(a sum of squares of affine, or of convex nonnegative, functions) / (a concave positive one)."""
        u, v = atom.args
        if sign < 0 or not self.a.positive(v):
            return None
        below = self.concave(v)
        if below is None:
            return None
        premises = [below]
        if u.constant < 0:
            return None
        for part, c in u.terms:
            order = exponent(self.a, part)
            if c <= 0 or order != 2:
                return self._quotient_of_form(form, atom, below)
            inner = self._magnitude(part.args[0], part)
            if inner is None:
                return None
            premises.append(inner)
        return Step("convex", form, "quadratic over linear", tuple(premises), (), atom.place)

    def _quotient_of_form(self, form: Form, atom: Atom, below: Step) -> Found:
        u = atom.args[0]
        q = quadratic(self.a, u)
        if q is None or not gram_is_definite(self.a, q):
            return None
        return Step("convex", form, "form over linear", (below,), (), atom.place)

    def mean(self, form: Form, atom: Atom, sign: int) -> Found:
        """A geometric mean: products of powers of concave nonnegative numbers, exponents summing to at most 1."""
        if sign > 0 or atom.kind != "unary":
            return None
        power = exponent(self.a, atom)
        if power is None or not 0 < power < 1:
            return None
        factors = factors_of(self.a, self.a.of(atom))
        if factors is None or sum((p for _, p in factors), self.a.zero) > 1:
            return None
        if any(p <= 0 or not self.a.nonnegative(u) for u, p in factors):
            return None
        steps = [self.concave(u) for u, _ in factors]
        if any(step is None for step in steps):
            return None
        return Step("convex", form, "geometric mean", tuple(s for s in steps if s is not None), (), atom.place)

    def harmonic(self, form: Form, atom: Atom, sign: int) -> Found:
        """1 / (1/u1 + ... + 1/un + c) of concave positive numbers is concave."""
        if sign > 0 or atom.name != "reciprocal":
            return None
        u = atom.args[0]
        if u.constant < 0 or not all(c > 0 and part.name == "reciprocal" for part, c in u.terms):
            return None
        if not all(self.a.positive(part.args[0]) for part, _ in u.terms):
            return None
        steps = [self.concave(part.args[0]) for part, _ in u.terms]
        if any(step is None for step in steps):
            return None
        return Step("convex", form, "harmonic mean", tuple(s for s in steps if s is not None), (), atom.place)

    # --- logarithms ---

    def _logarithm(self, form: Form, sign: int) -> Found:
        """sign * log(form) convex."""
        claim = "log-convex" if sign > 0 else "log-concave"
        if form.lost is not None or not self.a.positive(form):
            return None
        if not form.free:
            return Step(claim, form, "affine")
        if form.single is not None and form.single[1] > 0:
            found = self._logarithm_of(form, form.single[0], sign, claim)
            if found is not None:
                return found
        if sign < 0:
            premise = self.concave(form)
            return premise and Step(claim, form, "of concave", (premise,))
        if form.constant < 0 or any(c < 0 for _, c in form.terms) or len(form.terms) + (form.constant > 0) < 2:
            return None
        steps = [self.log_convex(self.a.of(atom)) for atom, _ in form.terms]
        if any(step is None for step in steps):
            return None
        return Step(claim, form, "sum", tuple(step for step in steps if step is not None))

    def _logarithm_of(self, form: Form, atom: Atom, sign: int, claim: str) -> Found:
        convex = self.log_convex if sign > 0 else self.log_concave
        concave = self.log_concave if sign > 0 else self.log_convex
        if atom.kind in ("product", "quotient"):
            if not all(self.a.positive(arg) for arg in atom.args):
                return None
            first = convex(atom.args[0])
            second = first and (convex if atom.kind == "product" else concave)(atom.args[1])
            return second and first and Step(claim, form, atom.kind, (first, second), (), atom.place)
        if atom.kind != "unary":
            return None
        u = atom.args[0]
        power = exponent(self.a, atom)
        if power is not None:
            if not self.a.positive(u):
                return None
            premise = convex(u) if power > 0 else concave(u)
            return premise and Step(claim, form, "power", (premise,), (), atom.place)
        return self._by_card(form, atom, sign, claim)

    def _by_card(self, form: Form, atom: Atom, sign: int, claim: str) -> Found:
        """log f(u), where the card says that log f is convex, or concave, and f is monotone."""
        u, wanted = atom.args[0], "convex" if sign > 0 else "concave"
        if atom.data.log not in (wanted, "affine") or str(atom.data.shape_on) != str(atom.data.domain):
            return None
        if u.affine:
            return Step(claim, form, "card", (Step("convex", u, "affine"),), (), atom.place)
        bounds = self.signs(atom.data, u)
        if bounds is None:
            return None
        rising, falling = bounds[0][0] >= 0, bounds[0][1] <= 0
        premise = self.convex(u) if rising == (sign > 0) and (rising or falling) else None
        if premise is None and (falling if sign > 0 else rising):
            premise = self.concave(u)
        return premise and Step(claim, form, "card", (premise,), bounds[0], atom.place)

    # --- together ---

    def _shifted(self, parts: Sequence[tuple[Atom, Any]], steps: dict[int, Found]) -> list[tuple[Form, Step]]:
        """k log-sum-exp(u_i) + rest = k log-sum-exp(u_i + s), where s takes from the rest what the u_i lack."""
        found = []
        coefficients = {atom.index: c for atom, c in parts}
        for atom, k in parts:
            if atom.kind != "log_sum_exp" or k <= 0 or steps.get(atom.index) is not None:
                continue
            inner = {a.index: a for arg in atom.args for a, _ in arg.terms if not a.affine}
            shift = [(a, coefficients[i] / k) for i, a in sorted(inner.items()) if i in coefficients]
            moved = self.a.form(shift, self.a.zero)
            premises = [self.convex(self.a.add(arg, moved)) for arg in atom.args]
            if any(step is None for step in premises):
                continue
            group = self.a.combine(((self.a.of(atom), k), (moved, k)))
            step = Step("convex", group, "log-sum-exp", tuple(p for p in premises if p is not None), (), atom.place)
            found.append((group, step))
            for each, _ in shift:
                del coefficients[each.index]
        return found

    def _entropies(self, parts: Sequence[tuple[Atom, Any]], steps: dict[int, Found]) -> list[tuple[Form, Step]]:
        """k (u log u - u log v) with u, v affine and positive: relative entropy."""
        found = []
        coefficients = {atom.index: (atom, c) for atom, c in parts}
        for atom, k in parts:
            u = _times_its_logarithm(atom)
            if u is None or k <= 0 or not u.affine or not self.a.nonnegative(u):
                continue
            for other, c in parts:
                v = _times_a_logarithm(other, u)
                if v is None or v is u or c != -k or not v.affine or other.index not in coefficients:
                    continue
                group = self.a.form(sorted([(atom, k), (other, c)], key=lambda p: p[0].index), self.a.zero)
                found.append((group, Step("convex", group, "relative entropy", (), (), atom.place)))
                break
        return found

    def _ordered(self, parts: Sequence[tuple[Atom, Any]], steps: dict[int, Found]) -> list[tuple[Form, Step]]:
        """Sums of order statistics with coefficients that do not fall: a maximum over permutations."""
        found = []
        families: dict[Any, list[tuple[Atom, Any]]] = {}
        for atom, c in parts:
            if atom.kind == "order":
                families.setdefault((atom.data[1], tuple(map(id, atom.args))), []).append((atom, c))
        for members in families.values():
            atom = members[0][0]
            weights = [self.a.zero] * atom.data[1]
            for each, c in members:
                weights[each.data[0]] = c
            if any(x > y for x, y in pairwise(weights)):
                continue
            inner = [self.convex(arg) for arg in atom.args]
            if any(step is None for step in inner) or (weights[0] < 0 and not all(a.affine for a in atom.args)):
                continue
            group = self.a.form(members, self.a.zero)
            premises = tuple(step for step in inner if step is not None)
            found.append((group, Step("convex", group, "sum of largest", premises, (), atom.place)))
        return found

    def _spectral(self, parts: Sequence[tuple[Atom, Any]], steps: dict[int, Found]) -> list[tuple[Form, Step]]:
        """Sums of eigenvalues with weights that do not fall, of singular values with weights >= 0 that do not rise."""
        families: dict[Any, list[tuple[Atom, Any]]] = {}
        for atom, c in parts:
            if atom.kind == "spectrum" and all(arg.affine for arg in atom.args):
                families.setdefault((atom.data[0], atom.data[2:], tuple(map(id, atom.args))), []).append((atom, c))
        found = []
        for (kind, shape, _), members in families.items():
            weights = [self.a.zero] * min(shape)
            for each, c in members:
                weights[each.data[1]] = c
            pairs = list(pairwise(weights))
            falls, rises = any(x > y for x, y in pairs), any(x < y for x, y in pairs)
            if falls if kind == "symmetric" else rises or weights[-1] < 0:
                continue
            group = self.a.form(members, self.a.zero)
            found.append((group, Step("convex", group, "spectrum", (), (), members[0][0].place)))
        return found

    def _lines(self, parts: Sequence[tuple[Atom, Any]], steps: dict[int, Found]) -> list[tuple[Form, Step]]:
        """Terms along one line, together: in pieces."""
        families: dict[Any, tuple[Any, list[tuple[Atom, Any]]]] = {}
        for atom, c in parts:
            direction = self._directions.of(self.a.of(atom))
            if direction:
                key = tuple((v.index, str(k)) for v, k in direction)
                families.setdefault(key, (direction, []))[1].append((atom, c))
        found = []
        for direction, members in families.values():
            if all(steps.get(atom.index) is not None for atom, _ in members):
                continue
            group = self.a.form(members, self.a.zero)
            step = along(self.a, group, direction, lambda a, form: Rules(a).convex(form))
            if step is not None:
                found.append((group, step))
        return found

    def _smooth(self, parts: Sequence[tuple[Atom, Any]], steps: dict[int, Found]) -> list[tuple[Form, Step]]:
        """All smooth terms together, by their second derivatives."""
        kept = [(atom, c) for atom, c in parts if steps.get(atom.index) is None or not _has_kink(self.a.of(atom))]
        if all(steps.get(atom.index) is not None for atom, _ in kept):
            return []
        group = self.a.form(kept, self.a.zero)
        step = second_derivatives(self.a, group, min(self.deadline, time.monotonic() + 4.0))
        return [] if step is None else [(group, step)]

    def _quadratic(self, parts: Sequence[tuple[Atom, Any]], steps: dict[int, Found]) -> list[tuple[Form, Step]]:
        """All terms that are polynomials of degree 2, together."""
        chosen = [(atom, c) for atom, c in parts if quadratic(self.a, self.a.of(atom)) is not None]
        if not chosen or all(steps.get(atom.index) is not None for atom, _ in chosen):
            return []
        group = self.a.form(chosen, self.a.zero)
        q = quadratic(self.a, group)
        if q is None or not q.convex:
            return []
        return [(group, Step("convex", group, "quadratic form", (), (), chosen[0][0].place))]


def _has_kink(form: Form) -> bool:
    """Whether there may be a point without a derivative."""
    return any(atom.name in ("abs", "max", "order", "select", "compare", "cbrt") for atom in atoms(form, set()))


def grouped(form: Form, groups: Sequence[tuple[Form, Step]]) -> Step:
    """The sum of groups of terms; the numbers say to which premise each term of the form belongs."""
    owner = {atom.index: k for k, (group, _) in enumerate(groups) for atom, _ in group.terms}
    numbers = tuple(owner.get(atom.index, -1) for atom, _ in form.terms)
    return Step("convex", form, "groups", tuple(step for _, step in groups), numbers)


def exponent(a: Algebra, atom: Atom) -> Any:
    """The p for which an atom is u^p or |u|^p, or None."""
    if atom.kind != "unary":
        return None
    fixed = {"sqrt": a.q(1, 2), "rsqrt": a.q(-1, 2), "reciprocal": a.q(-1), "square": a.q(2), "abs": a.one}
    if atom.name in ("integer_pow", "power"):
        value = next(iter(dict(atom.data.parameters).values()))
        return a.q(value.numerator, value.denominator)
    return fixed.get(atom.name)


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


def _times_its_logarithm(atom: Atom) -> Form | None:
    if atom.kind != "product":
        return None
    for u, v in (atom.args, atom.args[::-1]):
        if v.single is not None and v.single[1] == 1 and v.single[0].name == "log" and v.single[0].args[0] is u:
            return u
    return None


def _times_a_logarithm(atom: Atom, u: Form) -> Form | None:
    if atom.kind != "product":
        return None
    for one, other in (atom.args, atom.args[::-1]):
        if one is u and other.single is not None and other.single[1] == 1 and other.single[0].name == "log":
            return other.single[0].args[0]
    return None


def entropy(rules: Rules, form: Form, atom: Atom, sign: int) -> Found:
    """u log u, convex for affine u >= 0."""
    u = _times_its_logarithm(atom)
    if sign < 0 or u is None or not u.affine:
        return None
    return Step("convex", form, "entropy", (), (), atom.place)


def one_form(rules: Rules, form: Form, atom: Atom, sign: int) -> Found:
    """A product or quotient that is a polynomial of degree 2."""
    q = quadratic(rules.a, form)
    return Step("convex", form, "quadratic form", (), (), atom.place) if q is not None and q.convex else None


def one_of_order(rules: Rules, form: Form, atom: Atom, sign: int) -> Found:
    """The largest, or minus the smallest."""
    found = rules._ordered([(atom, form.terms[0][1])], {})
    return found[0][1] if found else None


def one_of_spectrum(rules: Rules, form: Form, atom: Atom, sign: int) -> Found:
    """The largest eigenvalue or singular value, or minus the smallest eigenvalue."""
    found = rules._spectral([(atom, form.terms[0][1])], {})
    return found[0][1] if found else None


def _by_bends(card: facts.Card, low: float, high: float, bounds: Any, formulas: Formulas) -> Any:
    """The sign of f'' between neighbouring bends, from its sign at a point."""
    return _one_signed(card, low, high, bounds, formulas, 2)


def _by_turns(card: facts.Card, low: float, high: float, bounds: Any, formulas: Formulas) -> Any:
    return _one_signed(card, low, high, bounds, formulas, 1)


def _one_signed(card: facts.Card, low: float, high: float, bounds: Any, formulas: Formulas, order: int) -> Any:
    shape = card.shape_on
    endless = any(p.lattice is not None for p in (card.bends, card.turns, card.poles, card.jumps))
    if low < shape.lower.value or high > shape.upper.value or (endless and not np.isfinite(high - low)):
        return bounds
    marks = (card.bends if order == 2 else card.turns, card.poles, card.kinks, card.jumps)
    if any(low < p.upper and p.lower < high for points in marks for p in points.between(low, high)):
        return bounds
    inside = _between(low, high)
    x = Intervals(inside, inside)
    y = formulas.domain.image(card, x)
    try:
        there = facts.derivative_of(card, order).evaluate(x=x, y=y, arithmetic=formulas)
    except KeyError:
        return bounds
    if float(there.lower) > 0:
        return 0.0, bounds[1]
    return (bounds[0], 0.0) if float(there.upper) < 0 else bounds


def _between(low: float, high: float) -> float:
    """A number well inside."""
    low, high = max(low, -1e3 if high > -1e3 else high - 1.0), min(high, 1e3 if low < 1e3 else low + 1.0)
    return float(np.clip(low / 2 + high / 2, low, high))


_BY_KIND: dict[str, Sequence[Callable[[Rules, Form, Atom, int], Found]]] = {
    "unary": (Rules.composition, Rules.logarithm, Rules.root, Rules.from_logarithm, Rules.mean, Rules.harmonic),
    "product": (entropy, one_form, Rules.from_logarithm),
    "quotient": (Rules.quotient, Rules.from_logarithm),
    "max": (Rules.largest,),
    "log_sum_exp": (Rules.largest,),
    "order": (one_of_order,),
    "spectrum": (one_of_spectrum,),
}
