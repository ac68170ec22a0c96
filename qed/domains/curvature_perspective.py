"""Positively homogeneous functions cut at s = 1: what their perspectives are made of.

If F(z) with z = (x, s, 1) satisfies F(k z) = k F(z) for all k > 0, then F = s g(x/s, 1/s) with g(y, e) = F(y, 1, e),
and F is convex in (x, s) for s > 0 where g is convex (Boyd and Vandenberghe, *Convex Optimization*, 2004, section
3.2.6; Rockafellar, *Convex Analysis*, 1970, theorem 5.7). Degrees are counted along the term: a variable and, beside
it, a constant have degree 1, a product adds degrees, a comparison of what is homogeneous has degree 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_line import operation
from qed.domains.curvature_terms import Atom, Form
from qed.domains.curvature_values import NoValue

Degree = Fraction | None
"""None for a constant, which may be read as of degree 0 or, as a multiple of the 1 in z, of degree 1."""
POWERS = {"abs": 1, "square": 2, "sqrt": Fraction(1, 2), "rsqrt": Fraction(-1, 2), "reciprocal": -1}
POWERS |= {"cbrt": Fraction(1, 3), "sign": 0}


class Slice:
    """Forms that are homogeneous of degree 1 made again where s = 1, in an algebra of x/s and 1/s.

    >>> from qed.domains.curvature_algebra import Algebra
    >>> from qed.domains.curvature_perspective import Slice
    >>> a = Algebra()
    >>> x, s = a.variable(0, "x", (-1.0, 1.0)), a.variable(1, "s", (0.5, 2.0))
    >>> slice = Slice(a, s.terms[0][0])
    >>> slice.of(a.divide(a.unary("square", x), s)), slice.algebra.range(slice.of(x))
    (square(x0), (-2.0, 2.0))
    """

    def __init__(self, like: Algebra, s: Atom) -> None:
        self.algebra, self.s = Algebra(like.enclosing), s
        below = like.of(s)
        self._rows: dict[Atom, Form] = {}
        for k, v in enumerate(v for v in like.variables if v is not s):
            self._rows[v] = self.algebra.variable(k, f"x{k}", like.range(like.divide(like.of(v), below)))
        bounds = like.range(like.divide(like.number(1), below))
        self.one = self.algebra.variable(len(self._rows), f"x{len(self._rows)}", bounds)
        self._degrees: dict[int, Degree] = {}
        self._memo: dict[tuple[int, Fraction], Form] = {}

    def of(self, form: Form) -> Form:
        """A form of degree 1 at s = 1.

        Raises NoValue where it is not homogeneous of that degree.
        """
        if self.degree(form) not in (1, None):
            raise NoValue("degree")
        return self._made(form, Fraction(1))

    def degree(self, form: Form) -> Degree:
        """The degree of a form."""
        if id(form) not in self._degrees:
            self._degrees[id(form)] = self._degree(form)
        return self._degrees[id(form)]

    def _degree(self, form: Form) -> Degree:
        found = self._common([self._of_atom(atom) for atom, _ in form.terms])
        if form.constant != 0 and found not in (0, 1, None):
            raise NoValue("degree")
        return found

    def _common(self, degrees: Sequence[Degree]) -> Degree:
        free = {d for d in degrees if d is not None}
        if len(free) > 1 or (None in degrees and not free <= {0, 1}):
            raise NoValue("degree")
        return free.pop() if free else None

    def _of_atom(self, atom: Atom) -> Degree:
        if atom.kind == "variable":
            return Fraction(1)
        if not atom.free:
            return Fraction(0)
        degrees = [self.degree(form) for form in atom.args]
        match atom.kind:
            case "unary":
                return self._of_function(atom, degrees[0])
            case "product":
                return (degrees[0] or Fraction(0)) + (degrees[1] or Fraction(0))
            case "quotient":
                return (degrees[0] or Fraction(0)) - (degrees[1] or Fraction(0))
            case "max" | "order":
                return self._common(degrees)
            case "compare":
                return Fraction(0)
            case "select":
                return self._common(degrees[1:])
            case "log_sum_exp":
                if all(d in (0, None) for d in degrees):
                    return Fraction(0)
        raise NoValue(atom.kind)

    def _of_function(self, atom: Atom, degree: Degree) -> Degree:
        power: Any = POWERS.get(atom.name)
        if atom.name in ("integer_pow", "power"):
            power = Fraction(next(iter(dict(atom.data.parameters).values())))
        if power is not None:
            return power * (degree or Fraction(0))
        if degree in (0, None):
            return Fraction(0)
        raise NoValue(atom.name)

    # --- making ---

    def _made(self, form: Form, degree: Fraction) -> Form:
        key = (id(form), degree)
        if key not in self._memo:
            pairs = [(self._made_atom(atom, degree), c) for atom, c in form.terms]
            constant = self.one if degree == 1 else self.algebra.number(1)
            self._memo[key] = self.algebra.total([*pairs, (constant, form.constant)])
        return self._memo[key]

    def _made_atom(self, atom: Atom, degree: Fraction) -> Form:
        a = self.algebra
        a.place = atom.place
        if atom is self.s:
            return a.number(1)
        if atom.kind == "variable":
            return self._rows[atom]
        if atom.kind == "number":
            made = a.atom("number", atom.data, (), key=(atom.data, "as", atom.index))
            made.lower, made.upper, made.direct, made.lost = atom.lower, atom.upper, True, atom.lost
            return a.of(made)
        wanted = [self.degree(form) for form in atom.args]
        if atom.kind in ("max", "order"):
            wanted = [degree] * len(wanted)
        if atom.kind == "select":
            wanted = [wanted[0], degree, degree]
        xs = [self._made(form, Fraction(0) if d is None else d) for form, d in zip(atom.args, wanted, strict=True)]
        if atom.kind == "select":
            found = a.either(*xs)
            if found is None:
                raise NoValue(atom.kind)
            return found
        return operation(a, atom, xs)


def denominators(form: Form, seen: set[int]) -> set[Atom]:
    """The variables by which the form divides."""
    found: set[Atom] = set()
    for atom, _ in form.terms:
        if atom.index in seen:
            continue
        seen.add(atom.index)
        divisor = atom.args[-1] if atom.kind == "quotient" or atom.name == "reciprocal" else None
        if divisor is not None and divisor.single is not None and divisor.single[0].kind == "variable":
            found.add(divisor.single[0])
        for arg in atom.args:
            found |= denominators(arg, seen)
    return found
