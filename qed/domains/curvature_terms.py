"""Terms: every number of a program as an exact sum, a0 + a1 t1 + ... + an tn, of atoms with rational coefficients.

An *atom* is a variable or one operation on forms (exp of a form, a product of two forms, a maximum of several); a
*form* is an affine combination of atoms with exact rational coefficients. Equal atoms are one object (hash consing),
so that what is the same real number is found to be the same wherever the program computed it again, what cancels is
gone, and two calls of one cached function never get mixed: an atom is made of the values that went in, not of names.

A form knows a range (float64, outward) that holds at every point of the box where the program is defined, and an
atom knows whether it may be undefined somewhere on the box.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from qed import facts
from qed.domains import curvature_positive
from qed.domains.curvature_atoms import Atom, Form, Place
from qed.domains.curvature_parabolas import parabolas
from qed.domains.curvature_ranges import WHOLE, Range, down, ends, times
from qed.domains.hull import image
from qed.domains.intervals import Intervals
from qed.domains.precision import flint, precision
from qed.graph.walk import TooLong

__all__ = ["Atom", "Form", "Place", "Terms"]

SQUARES = 64
"""Of up to how many variables a quadratic form is asked whether it is a sum of squares."""
LONGEST = 100_000
"""How many bits an exact number may have: those of x_(k+1) = r x_k (1 - x_k) double at each step."""


class Terms:
    """Where atoms and forms of one program live; every atom and form of it is made here.

    >>> from qed.domains.curvature_terms import Place, Terms
    >>> terms = Terms()
    >>> x = terms.variable(0, "x", (-1.0, 2.0))
    >>> terms.add(x, terms.scale(x, 2)), terms.add(x, terms.scale(x, -1)), terms.range(x)
    (3*x, 0, (-1.0, 2.0))
    """

    def __init__(self, enclosing: Any = None) -> None:
        self.enclosing = enclosing
        """The domain in which ranges are computed that none was noted for; None for float64 intervals."""
        self.q = flint().fmpq
        self.zero, self.one = self.q(0), self.q(1)
        self._atoms: dict[Any, Atom] = {}
        self._forms: dict[Any, Form] = {}
        self.place = Place("input")
        self.lost: Place | None = None
        """The first equation whose value vanished from the forms although it may be undefined."""
        self.variables: list[Atom] = []
        self.matrices: dict[tuple[int, ...], tuple[tuple[Form, ...], bool]] = {}
        """Matrices that were asked about: their entries, and whether they are positive definite on the box."""
        self.squares: dict[Form, bool] = {}
        """Forms that were asked about: whether they are sums of squares of affine functions, and a constant >= 0."""
        self.parabolas: dict[Form, Range | None] = {}
        """Ranges of forms whose terms depend on each other: polynomials of degree 2 in each variable."""
        self.ends: tuple[Any, Any] | None = None
        """On a line: the exact ends of the open piece that the only variable runs through, None for infinite ones."""

    # --- making ---

    def rational(self, value: Any) -> Any:
        """An exact rational of a finite number."""
        if isinstance(value, self.q):
            return value
        if isinstance(value, int | np.integer | np.bool_):
            return self.q(int(value))
        return self.q(*float(value).as_integer_ratio())

    def number(self, value: Any) -> Form:
        """A constant form."""
        return self.form((), self.rational(value))

    def form(self, terms: Iterable[tuple[Atom, Any]], constant: Any) -> Form:
        """The form of sorted terms with coefficients that are not zero."""
        terms = tuple(terms)
        key = (*[(atom.index, c.p, c.q) for atom, c in terms], constant.p, constant.q)  # a rational is slow to hash
        found = self._forms.get(key)
        if found is None:
            found = self._forms[key] = Form(terms, constant)
        return found

    def atoms(self) -> list[Atom]:
        """All atoms of the program so far, also those that no form holds any more, as they were made."""
        return list(self._atoms.values())

    def of(self, atom: Atom) -> Form:
        """The form that is one atom."""
        return self.form(((atom, self.one),), self.zero)

    def variable(self, index: int, name: str, bounds: Range) -> Form:
        """A new variable."""
        atom = self.atom("variable", name, (), key=index)
        atom.lower, atom.upper = bounds
        self.variables.append(atom)
        return self.of(atom)

    def line(self, low: Any, high: Any) -> Form:
        """The one variable t of a line, in the open interval (low, high) of exact numbers; None is infinite."""
        self.ends = low, high
        bounds = (-math.inf if low is None else ends(low)[0], math.inf if high is None else ends(high)[1])
        return self.variable(0, "x0", bounds)

    def strictly_inside(self, number: Any) -> bool:
        """Whether an exact number lies in the open interval of the line."""
        assert self.ends is not None
        low, high = self.ends
        return (low is None or low < number) and (high is None or number < high)

    def atom(self, kind: str, data: Any, args: tuple[Form, ...], key: Any = None) -> Atom:
        """The atom of that kind, data and operands."""
        full = (kind, data if key is None else key, tuple(id(form) for form in args))
        found = self._atoms.get(full)
        if found is None:
            found = self._atoms[full] = Atom(kind, data, args, len(self._atoms), self.place)
        return found

    def opaque(self, args: Sequence[Form], data: str) -> Atom:
        """A new atom of which only a range is known."""
        return self.atom("opaque", data, tuple(args), key=(data, len(self._atoms)))

    def fixed(self, data: str) -> Atom:
        """A new constant of which only a range is known."""
        return self.atom("number", data, (), key=(data, len(self._atoms)))

    # --- sums ---

    def combine(self, pairs: Iterable[tuple[Form, Any]], constant: Any = 0) -> Form:
        """The sum of c * form over all pairs, plus a constant."""
        total: dict[int, Any] = {}
        atoms: dict[int, Atom] = {}
        rest = self.rational(constant)
        for form, c in pairs:
            if form.constant != 0:
                rest = rest + c * form.constant
            for atom, a in form.terms:
                i = atom.index
                if i in total:
                    total[i] = total[i] + c * a
                else:
                    total[i], atoms[i] = c * a, atom
        for i, c in total.items():
            if c == 0:
                self.drop(atoms[i].lost)
        return self.form(((atoms[i], total[i]) for i in sorted(total) if total[i] != 0), rest)

    def add(self, x: Form, y: Form) -> Form:
        """x + y."""
        return self.combine(((x, self.one), (y, self.one)))

    def subtract(self, x: Form, y: Form) -> Form:
        """x - y."""
        return self.combine(((x, self.one), (y, -self.one)))

    def scale(self, x: Form, c: Any) -> Form:
        """c x."""
        c = self.rational(c)
        if c == 1:
            return x
        if c == 0:
            return self.form((), self.zero) if x.lost is None else self._vanished(x.lost)
        if c.p.bit_length() + c.q.bit_length() > LONGEST:
            msg = f"a number of more than {LONGEST} bits is computed"
            raise TooLong(msg)
        found = self.form(((atom, c * a) for atom, a in x.terms), c * x.constant)
        if len(x.terms) > 1 and (x.lower > -math.inf or x.upper < math.inf):
            low, high = times(c, (x.lower, x.upper))
            found.lower, found.upper = max(found.lower, low), min(found.upper, high)
        return found

    def _vanished(self, place: Place) -> Form:
        """0 times what may be undefined: 0, or undefined."""
        atom = self.fixed("0 times")
        atom.lower, atom.upper, atom.direct, atom.lost = 0.0, 0.0, True, place
        return self.of(atom)

    def drop(self, place: Place | None) -> None:
        """Note that a value which may be undefined has vanished from the forms."""
        if place is not None and self.lost is None:
            self.lost = place

    def normalised(self, x: Form) -> tuple[Form, Any]:
        """(u, c) with x = c u and 1 as the first coefficient of u."""
        c = x.terms[0][1] if x.terms else self.one
        return self.scale(x, 1 / c), c

    # --- ranges ---

    def note(self, form: Form, lower: float, upper: float) -> None:
        """Cut a form's range to one that is known too."""
        form.lower, form.upper = max(form.lower, lower), min(form.upper, upper)
        if len(form.terms) == 1 and form.constant == 0 and form.terms[0][1] == 1:
            atom = form.terms[0][0]
            atom.lower, atom.upper = max(atom.lower, lower), min(atom.upper, upper)

    def range(self, form: Form) -> Range:
        """Bounds of a form on the box."""
        lower, upper = ends(form.constant)
        for atom, c in form.terms:
            low, high = times(c, self.range_of(atom))
            least, most = min(lower, low) >= 0, max(upper, high) <= 0
            lower, upper = down(lower, low), -down(-upper, -high)
            lower, upper = (max(lower, 0.0) if least else lower), (min(upper, 0.0) if most else upper)
            if lower == -math.inf and upper == math.inf:
                break
        if not form.terms:
            return lower, upper
        if len(form.terms) == 1 and form.constant == 0 and form.terms[0][1] == 1:
            lower, upper = self.range_of(form.terms[0][0])
        lower, upper = max(form.lower, lower), min(form.upper, upper)
        if lower < 0 < upper and self.sum_of_squares(form):
            lower = 0.0
        if form not in self.parabolas:
            self.parabolas[form] = parabolas(self, form)
        exact = self.parabolas[form]
        return (lower, upper) if exact is None else (max(lower, exact[0]), min(upper, exact[1]))

    def sum_of_squares(self, form: Form) -> bool:
        """Whether a form with products or differences of squares is a sum of squares of affine functions."""
        if form not in self.squares:
            self.squares[form] = self._mixed(form) and self._is_sum_of_squares(form)
        return self.squares[form]

    def _mixed(self, form: Form) -> bool:
        """Whether its sign may follow from its terms together only."""
        products = any(atom.kind == "product" or (atom.name == "square" and c < 0) for atom, c in form.terms)
        quadratic = all(atom.kind in ("variable", "product") or atom.name == "square" for atom, _ in form.terms)
        return products and quadratic and form.constant >= 0

    def _is_sum_of_squares(self, form: Form) -> bool:
        from qed.domains.curvature_quadratics import gram_is_definite, quadratic

        q = quadratic(self, form)
        return q is not None and len(q.variables) <= SQUARES and gram_is_definite(self, q)

    def range_of(self, atom: Atom) -> Range:
        """Bounds of an atom on the box."""
        if not atom.direct:
            atom.direct = True
            low, high = self._natural(atom)
            atom.lower, atom.upper = max(atom.lower, low), min(atom.upper, high)
        return atom.lower, atom.upper

    def _natural(self, atom: Atom) -> Range:
        xs = [self.range(form) for form in atom.args]
        match atom.kind:
            case "unary":
                return self._computed(atom, xs)
            case "product" | "quotient":
                low, high = self._computed(atom, xs)
                one, other = atom.args
                signed = self.nonnegative(one) and (
                    self.positive(other) if atom.kind == "quotient" else self.nonnegative(other)
                )
                return (max(low, 0.0) if signed else low), high
            case "max":
                return max(low for low, _ in xs), max(high for _, high in xs)
            case "log_sum_exp":
                below, above = (self._log_of_sum(atom.data, ends_of) for ends_of in zip(*xs, strict=True))
                return below[0], above[1]
            case "select":
                return min(low for low, _ in xs[1:]), max(high for _, high in xs[1:])
            case "compare":
                return 0.0, 1.0
            case "spectrum":
                return (0.0, math.inf) if atom.data[0] == "singular" or self._is_definite(atom) else WHOLE
            case "pivot":
                return 0.0, xs[-1][1]
            case "inverse":
                return (0.0, math.inf) if atom.data[0] == atom.data[1] else WHOLE
            case "order":
                k = atom.data[0]
                return sorted(low for low, _ in xs)[k], sorted(high for _, high in xs)[k]
        return WHOLE

    def _computed(self, atom: Atom, xs: list[Range]) -> Range:
        if atom.kind == "unary":
            return self._image(atom.data, xs[0])
        if self.enclosing is None:
            values = [Intervals(*x) for x in xs]
            return _ends(values[0] * values[1] if atom.kind == "product" else values[0] / values[1])
        with precision(self.enclosing.bits):
            values = [self.enclosing.numbers.between(np.array(low), np.array(high)) for low, high in xs]
            low, high = self.enclosing.combine("mul" if atom.kind == "product" else "div", values).bounds
        return float(low), float(high)

    def _image(self, card: facts.Card, x: Range) -> Range:
        """The range of a function on a range."""
        if self.enclosing is None:
            return _ends(image(card, Intervals(*x)))
        with precision(self.enclosing.bits):
            low, high = self.enclosing.image(card, self.enclosing.numbers.between(*map(np.array, x))).bounds
        return float(low), float(high)

    def _log_of_sum(self, weights: Sequence[Any], at: Sequence[float]) -> Range:
        """Bounds of the logarithm of the sum of w e^x at numbers x."""
        top = max(at)
        if math.isinf(top):
            return top, top
        total = 0.0, 0.0
        for w, x in zip(weights, at, strict=True):
            low, high = times(w, self._image(_card("exp"), (down(x, -top), -down(-x, top))))
            total = down(total[0], low), -down(-total[1], -high)
        low, high = self._image(_card("log"), (max(total[0], 0.0), total[1]))
        return down(top, low), -down(-top, -high)

    positive, nonzero = curvature_positive.positive, curvature_positive.nonzero
    dominates = curvature_positive.dominates
    _is_definite = curvature_positive.is_definite

    def nonnegative(self, form: Form) -> bool:
        """Whether a form is surely not below 0 on the box."""
        return self.range(form)[0] >= 0 or self.positive(form)


def _card(name: str) -> facts.Card:
    found = facts.card(name)
    assert found is not None
    return found


def _ends(x: Intervals) -> Range:
    return float(x.lower), float(x.upper)
