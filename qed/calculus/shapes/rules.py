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
from typing import Any

from qed.calculus.shapes.groups import dealt, entropies, grouped, lines, ordered, quadratics, shifted, smooth, spectral
from qed.calculus.shapes.logarithms import logarithmic
from qed.calculus.shapes.matrices import fractions, of_spectrum
from qed.calculus.shapes.partitions import log_partitions
from qed.calculus.shapes.perspective import perspectives
from qed.calculus.shapes.polynomials import polynomials
from qed.calculus.shapes.ridges import shared
from qed.calculus.shapes.single import BY_KIND
from qed.domains.card_signs import Bounds
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_line import Directions
from qed.domains.curvature_proof import Step
from qed.domains.curvature_terms import Atom, Form
from qed.domains.formulas import Formulas
from qed.domains.interval import Interval

Found = Step | None
Terms = Sequence[tuple[Atom, Any]]


class Rules:
    """Looks for proofs in one algebra; what was tried is remembered.

    Deep rules, which cut the box, begin before a deadline (time.thread_time(): other programs take nothing away).

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
        self._took = False
        self.directions = Directions()
        self._memo: dict[tuple[str, int], Found] = {}
        self.formulas = Formulas(Interval())
        self.enclosed: dict[Any, Bounds | None] = {}

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
        return self._remembered("log-convex", form, lambda f: logarithmic(self, f, 1))

    def log_concave(self, form: Form) -> Found:
        """A proof that the form is positive and its logarithm concave."""
        return self._remembered("log-concave", form, lambda f: logarithmic(self, f, -1))

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

    def together(self, form: Form, parts: Terms, steps: Sequence[Found]) -> Found:
        """A sum whose terms are not all convex by themselves: what some of them are together."""
        looks = [of_spectrum, dealt, shifted, entropies, log_partitions, ordered, spectral, fractions, quadratics]
        looks += [polynomials, perspectives]
        deep = self.deep and time.thread_time() < self.deadline
        last = [shared, smooth] * (deep and form is self.top)
        found = self._by_looks(form, parts, steps, looks + [lines] * deep + last)
        if found is None and deep and form is self.top and self._took:  # a line may have taken what the others need
            found = self._by_looks(form, parts, steps, last)
        return found

    def _by_looks(self, form: Form, parts: Terms, steps: Sequence[Found], looks: Sequence[Any]) -> Found:
        rest = dict(zip([atom.index for atom, _ in parts], steps, strict=True))
        groups: list[tuple[Form, Step]] = []
        for look in looks:
            whole = look is lines  # which finds out by itself where it is defined
            here = [(atom, c) for atom, c in parts if atom.index in rest and (whole or atom.lost is None)]
            for group, step in look(self, here, rest):
                self._took = self._took or (look is lines and form is self.top)
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
        for rule in BY_KIND.get(atom.kind, ()):
            found = rule(self, form, atom, sign)
            if found is not None:
                return found
        return None
