"""Terms along one line: a form that depends on the variables through one affine function u = c1 x1 + ... + cn xn only.

Such a form is a function phi(t) of t = u(x), and convex in x if phi is convex on the range of u. Where the program
chooses (a modulus, a maximum, a comparison) at roots of affine or quadratic functions of t with rational numbers, the
line is cut there; on each open piece every choice is decided, so that phi is there a form without choices. A piecewise
phi is convex if it is convex on each piece, continuous, and its slope does not fall at a cut: phi'(b-) <= phi'(b+)
(Rockafellar, *Convex Analysis*, 1970, theorem 24.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from qed import facts
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_terms import Atom, Form
from qed.domains.curvature_values import NoValue

Direction = tuple[tuple[Atom, Any], ...]
End = Any
"""An exact rational number, or None where the line goes on for ever."""


WIDE = ("cholesky", "forward", "inverse", "lu", "opaque", "permutation", "permuted", "pivot", "spectrum", "whitened")
"""Kinds of atoms that are not made again on a line."""


class Directions:
    """Along which line each form varies: () for a constant, None where along several."""

    def __init__(self) -> None:
        self._memo: dict[Atom, Direction | None] = {}

    def of(self, form: Form) -> Direction | None:
        """The direction of a form, its first coefficient 1."""
        straight = tuple((atom, c) for atom, c in form.terms if atom.kind == "variable")
        found: Direction | None = ()
        if straight:
            found = tuple((atom, c / straight[0][1]) for atom, c in straight)
        for atom, _ in form.terms:
            if atom.kind != "variable":
                found = _same(found, self._atom(atom))
            if found is None:
                return None
        return found

    def _atom(self, atom: Atom) -> Direction | None:
        if atom not in self._memo:
            found: Direction | None = () if atom.kind not in WIDE else None
            for form in atom.args:
                found = _same(found, self.of(form))
                if found is None:
                    break
            self._memo[atom] = found
        return self._memo[atom]


def _same(first: Direction | None, second: Direction | None) -> Direction | None:
    if first is None or second is None:
        return None
    return second if not first else first if not second or first == second else None


def span_of(algebra: Algebra, direction: Direction) -> tuple[End, End]:
    """The exact ends of the range of u on the box."""
    ends = []
    for side in (0, 1):
        total: Any = algebra.zero
        for atom, c in direction:
            end = (atom.lower, atom.upper)[side if c > 0 else 1 - side]
            if math.isinf(end):
                total = None
                break
            total = total + c * algebra.rational(end)
        ends.append(total)
    return ends[0], ends[1]


class Line:
    """An algebra of one variable t on an open piece (a, b) of the line, or at one point of it."""

    def __init__(self, like: Algebra, low: End, high: End) -> None:
        self.algebra = Algebra(like.enclosing)
        self.low, self.high = low, high
        if low is not None and low == high:
            self.t = self.algebra.number(low)
            return
        self.t = self.algebra.line(low, high)

    @property
    def variable(self) -> Atom:
        """The variable t."""
        return self.t.terms[0][0]


class Rebuilt:
    """Forms of one algebra made again in that of a line: u becomes t, and what is decided there is decided."""

    def __init__(self, line: Line, direction: Direction, limits: bool = False) -> None:
        self.a, self.line, self.limits = line.algebra, line, limits
        self.straight: Mapping[Atom, Any] = dict(direction)
        self.lead = direction[0][0] if direction else None
        self._memo: dict[int, Form] = {}
        self._kept: list[Form] = []

    def of(self, form: Form) -> Form:
        """The form on the line."""
        if id(form) not in self._memo:
            self._kept.append(form)
            self._memo[id(form)] = self._of(form)
        return self._memo[id(form)]

    def _of(self, form: Form) -> Form:
        pairs = []
        for atom, c in form.terms:
            if atom.kind == "variable":
                if atom is self.lead:  # its own coefficient is 1, or -1 where the line runs backwards
                    pairs.append((self.line.t, c / self.straight[atom]))
            else:
                pairs.append((self._atom(atom), c))
        return self.a.total([*pairs, (self.a.number(form.constant), self.a.one)])

    def _atom(self, atom: Atom) -> Form:
        self.a.place = atom.place
        if atom.kind == "select":
            which = self.of(atom.args[0])
            if not which.terms:
                return self.of(atom.args[2 if which.constant != 0 else 1])
            return self.a.choose(which, self.of(atom.args[1]), self.of(atom.args[2]))
        if atom.kind == "number":
            made = self.a.atom("number", atom.data, (), key=(atom.data, "as", atom.index))
            made.lower, made.upper, made.direct = atom.lower, atom.upper, True
            return self.a.of(made)
        if atom.kind == "opaque":
            raise NoValue(atom.name)
        xs = [self.of(form) for form in atom.args]
        if self.limits and _vanishes(self.a, atom, xs):
            return self.a.number(0)
        return operation(self.a, atom, xs)


def _vanishes(a: Algebra, atom: Atom, xs: list[Form]) -> bool:
    """u log u at u = 0, by its limit."""
    if atom.kind != "product":
        return False
    for i, j in ((0, 1), (1, 0)):
        inner = atom.args[j].single
        if inner is not None and inner[0].name == "log" and inner[0].args[0] is atom.args[i]:
            return not xs[i].terms and xs[i].constant == 0
    return False


def operation(a: Algebra, atom: Atom, xs: list[Form]) -> Form:
    """What an atom does, done to other forms."""
    match atom.kind:
        case "unary":
            return a.image(atom.data, xs[0])
        case "product":
            return a.multiply(*xs)
        case "quotient":
            return a.divide(*xs)
        case "max":
            return a.maximum(xs)
        case "log_sum_exp":
            return a.log_sum_exp(list(zip(atom.data, xs, strict=True)))
        case "compare":
            return a.compare(atom.data, xs[0], a.number(0))
        case "order":
            return a.ordered(xs)[atom.data[0]]
    raise NoValue(atom.kind)


def cuts(a: Algebra, form: Form) -> list[Any]:
    """The rational numbers inside the line's piece at which a choice of the form changes."""
    found: set[Any] = set()
    seen: set[int] = set()
    for atom in atoms(form, seen):
        for u in _deciding(a, atom):
            found.update(root for root in _roots(a, u) if a.strictly_inside(root))
    return sorted(found)


def atoms(form: Form, seen: set[int]) -> Iterator[Atom]:
    """All atoms in a form, each once."""
    for atom, _ in form.terms:
        if atom.index not in seen:
            seen.add(atom.index)
            yield atom
            for arg in atom.args:
                yield from atoms(arg, seen)


def _deciding(a: Algebra, atom: Atom) -> Iterator[Form]:
    if atom.name in ("abs", "sign", "cbrt", "reciprocal") or atom.kind == "compare":
        yield atom.args[0]
    if atom.kind in ("max", "order"):
        for i, u in enumerate(atom.args):
            for v in atom.args[:i]:
                yield a.subtract(u, v)


def _roots(a: Algebra, u: Form) -> list[Any]:
    """The rational roots of a polynomial of degree 1 or 2 in t."""
    c, b, s = a.rational(0) + u.constant, a.zero, a.zero
    for atom, k in u.terms:
        if atom.kind == "variable":
            b = b + k
        elif atom.name == "square" and len(atom.args[0].terms) == 1 and atom.args[0].terms[0][0].kind == "variable":
            m, d = atom.args[0].terms[0][1], atom.args[0].constant
            s, b, c = s + k * m * m, b + 2 * k * m * d, c + k * d * d
        else:
            return []
    if s == 0:
        return [-c / b] if b != 0 else []
    discriminant = b * b - 4 * s * c
    if discriminant < 0:
        return []
    p, q = math.isqrt(int(discriminant.p)), math.isqrt(int(discriminant.q))
    if p * p != discriminant.p or q * q != discriminant.q:
        return []
    root = a.q(p, q)
    return [(-b - root) / (2 * s), (-b + root) / (2 * s)]


# --- derivatives of forms -----------------------------------------------------------------------------------------


class Formula:
    """The arithmetic in which a card's derivative becomes a form."""

    def __init__(self, algebra: Algebra) -> None:
        self.a = algebra

    def constant(self, value: float) -> Number:
        """A number."""
        return Number(self.a, self.a.number(value))

    def call(self, name: str, *operands: Any, **parameters: Any) -> Number:
        """A function of the tables."""
        if name == "pi":
            atom = self.a.atom("number", "pi", (), key="pi")
            atom.lower, atom.upper, atom.direct = math.nextafter(math.pi, 0.0), math.nextafter(math.pi, 4.0), True
            return Number(self.a, self.a.of(atom))
        card = facts.card(name, **parameters)
        if card is None:
            raise NoValue(name)
        return Number(self.a, self.a.image(card, operands[0].form))

    def select(self, comparison: str, left: Any, right: Any, then: Any, otherwise: Any) -> Number:
        """A choice that has to be decided."""
        names = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
        which = self.a.compare(names[comparison], left.form, right.form)
        if which.terms:
            raise NoValue("choice")
        return then if which.constant != 0 else otherwise


class Number:
    """A form with operators."""

    def __init__(self, algebra: Algebra, form: Form) -> None:
        self.a, self.form = algebra, form

    def __add__(self, other: Number) -> Number:
        return Number(self.a, self.a.add(self.form, other.form))

    def __sub__(self, other: Number) -> Number:
        return Number(self.a, self.a.subtract(self.form, other.form))

    def __mul__(self, other: Number) -> Number:
        return Number(self.a, self.a.multiply(self.form, other.form))

    def __truediv__(self, other: Number) -> Number:
        return Number(self.a, self.a.divide(self.form, other.form))

    def __neg__(self) -> Number:
        return Number(self.a, self.a.scale(self.form, -1))


def derivative(a: Algebra, form: Form) -> Form:
    """The derivative of a form of one variable.

    Raises NoValue where it holds a choice that is not decided, or a function whose derivative has no form.
    """
    return a.combine([(_derivative(a, atom), c) for atom, c in form.terms])


def _derivative(a: Algebra, atom: Atom) -> Form:
    if atom.kind == "variable":
        return a.number(1)
    if not atom.free:
        return a.number(0)
    slopes = [derivative(a, arg) for arg in atom.args]
    match atom.kind:
        case "unary":
            x, y = Number(a, atom.args[0]), Number(a, a.of(atom))
            if atom.name in ("abs", "sign", "floor", "ceil", "round"):
                raise NoValue(atom.name)
            return a.multiply(atom.data.derivative.evaluate(x=x, y=y, arithmetic=Formula(a)).form, slopes[0])
        case "product":
            u, v = atom.args
            return a.add(a.multiply(slopes[0], v), a.multiply(u, slopes[1]))
        case "quotient":
            u, v = atom.args
            top = a.subtract(a.multiply(slopes[0], v), a.multiply(u, slopes[1]))
            return a.divide(top, a.unary("square", v))
        case "log_sum_exp":
            shares = [a.unary("exp", a.subtract(arg, a.of(atom))) for arg in atom.args]
            rows = zip(atom.data, shares, slopes, strict=True)
            return a.combine([(a.multiply(share, slope), w) for w, share, slope in rows])
    raise NoValue(atom.kind)
