"""Atoms and forms: what terms are made of.

An *atom* is a variable or one operation on forms; a *form* is an affine combination of atoms with exact rational
coefficients (`qed.domains.curvature_terms`, which makes them all).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qed.domains.curvature_ranges import WHOLE
from qed.span import Span


@dataclass(frozen=True)
class Place:
    """The equation that an atom comes from: primitive and the user's line."""

    primitive: str
    span: Span | None = None

    def __str__(self) -> str:
        return f"{self.primitive} at {self.span}" if self.span else self.primitive


class Atom:
    """A variable, or an operation on forms; made by `Terms.atom` only, where equal ones are one object."""

    __slots__ = ("args", "data", "direct", "free", "held", "index", "kind", "lost", "lower", "place", "upper")

    def __init__(self, kind: str, data: Any, args: tuple[Form, ...], index: int, place: Place) -> None:
        self.kind, self.data, self.args, self.index, self.place = kind, data, args, index, place
        self.lower, self.upper = WHOLE
        self.lost: Place | None = next((form.lost for form in args if form.lost is not None), None)
        self.free = kind in ("variable", "opaque") or any(form.free for form in args)
        self.direct = False
        self.held = False
        """Whether an operation on it was made already, which would not know of a doubt that is noted later."""
        for form in args:
            for atom, _ in form.terms:
                atom.held = True

    @property
    def affine(self) -> bool:
        """Whether it is an affine function of the variables."""
        if self.kind == "product":
            return all(form.affine for form in self.args) and not all(form.free for form in self.args)
        return self.kind == "variable" or not self.free

    @property
    def name(self) -> str:
        """What the atom does: the card's name, or its kind."""
        return self.data.name if self.kind == "unary" else self.kind

    def text(self, depth: int = 6) -> str:
        """The atom as a formula, cut at a depth."""
        if self.kind == "variable":
            return str(self.data)
        inner = "..." if depth == 0 else ", ".join(form.text(depth - 1) for form in self.args[:16])
        return f"{self.name}({inner})"

    def __repr__(self) -> str:
        return self.text()


class Form:
    """An affine combination of atoms; made by `Terms.form` only, where equal ones are one object."""

    __slots__ = ("constant", "lower", "terms", "upper")

    def __init__(self, terms: tuple[tuple[Atom, Any], ...], constant: Any) -> None:
        self.terms, self.constant = terms, constant
        self.lower, self.upper = WHOLE

    @property
    def free(self) -> bool:
        """Whether it depends on a variable."""
        return any(atom.free for atom, _ in self.terms)

    @property
    def affine(self) -> bool:
        """Whether it is an affine function of the variables."""
        return all(atom.affine for atom, _ in self.terms)

    @property
    def lost(self) -> Place | None:
        """The first equation that may be undefined, if any."""
        return next((atom.lost for atom, _ in self.terms if atom.lost is not None), None)

    @property
    def single(self) -> tuple[Atom, Any] | None:
        """(atom, coefficient) where the form is a multiple of one atom."""
        return self.terms[0] if len(self.terms) == 1 and self.constant == 0 else None

    def __repr__(self) -> str:
        return self.text()

    def text(self, depth: int = 6) -> str:
        """The form as a formula, cut at a depth."""
        parts = [f"{'' if c == 1 else str(c) + '*'}{atom.text(depth)}" for atom, c in self.terms[:16]]
        if self.constant != 0 or not parts:
            parts.append(str(self.constant))
        return " + ".join(parts)


def variables_of(atom: Atom, known: dict[int, frozenset[int]]) -> frozenset[int]:
    """The variables of an atom, by their numbers; what is known already is not looked at again.

    >>> from qed.domains.curvature_algebra import Algebra
    >>> a = Algebra()
    >>> x, y = a.variable(0, "x", (0.0, 1.0)), a.variable(1, "y", (0.0, 1.0))
    >>> sorted(variables_of(a.multiply(x, a.unary("exp", y)).terms[0][0], {}))
    [0, 1]
    """
    found: dict[int, Atom] = {}
    waiting = [atom]
    while waiting:
        one = waiting.pop()
        if one.index not in known and one.index not in found:
            found[one.index] = one
            waiting += [inner for form in one.args for inner, _ in form.terms]
    for index in sorted(found):  # operands are made before what is made of them
        one = found[index]
        own = [index] if one.kind == "variable" else []
        known[index] = frozenset(own).union(*(known[inner.index] for form in one.args for inner, _ in form.terms))
    return known[atom.index]
