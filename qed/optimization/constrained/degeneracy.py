"""Why multipliers are not unique: what is redundant, what has no interior, what is complementarity.

Where the gradients of what holds a point are dependent, the cause is looked for in the functions themselves, as exact
sums of terms with rational coefficients, c_i(x) >= 0 for rows of g and slacks of bounds, c_i(x) = 0 for rows of h:

    c_i = sum w_k c_k + d,   w_k >= 0 (any sign for h), d >= 0      row i follows from the others: redundant
    sum w_k c_k = d,         w_k >= 0 not all 0, d <= 0             these hold as equalities only: no interior
    c = -sum u_k v_k,        u_k, v_k >= 0 by other constraints     complementarity: u_k v_k = 0 for every k

The weights are those with which the gradients at the point add up, rounded to short fractions; the identity, not the
point, decides. Where no identity is found and no direction leads strictly into all inequalities, that is told as
observed at the point. Under complementarity the condition of Mangasarian and Fromovitz holds at no feasible point
(Scheel and Scholtes, *Mathematical programs with complementarity constraints*, Math. Oper. Res. 25, 2000).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import scipy

from qed.answer import Reason
from qed.certificates.problem_terms import affine, coefficients
from qed.certificates.weak_duality import numbers_of
from qed.domains.curvature_terms import Form
from qed.errors import QedError
from qed.findings import Finding
from qed.graph.walk import TooLong
from qed.optimization.constrained.duality import Parts, parts
from qed.optimization.constrained.polish import KKT, active_set
from qed.optimization.constrained.problem import Constrained
from qed.optimization.constrained.uniqueness import Dependent, dependent
from qed.standing import Standing

Array = np.ndarray
DIGITS = (12, 1000)
"""Denominators that weights are rounded to."""
FEW = 40
"""Of how many constraints that hold a point the identities are looked for."""
PAIRS = 1500
"""How many products of pairs are tried for complementarity."""


@dataclass(frozen=True, eq=False)
class Member:
    """A constraint that holds the point: its name, gradient, exact form (None where unknown), whether it has a sign."""

    name: str
    gradient: Array
    form: Form | None
    signed: bool
    multiplier: float


@dataclass(frozen=True)
class Named:
    """A cause: the finding, and the reason that says how it is known."""

    finding: Finding
    reason: Reason


def degeneracies(problem: Constrained, kkt: KKT) -> tuple[Named, ...]:
    """The causes, by name, of gradients that are dependent; none where they are not, or none was found.

    Args:
        problem: the problem.
        kkt: a KKT point.
    """
    loose = dependent(problem, kkt)
    if loose is None:
        return ()
    return _Case(problem, kkt, loose, _apart(problem)).named()


def complementarities(problem: Constrained, kkt: KKT) -> tuple[Named, ...]:
    """The constraints at work that ask of numbers >= 0 that their products be 0, at any point."""
    if problem.sparse or not kkt.seen.finite:
        return ()
    return _Case(problem, kkt, None, _apart(problem)).complementary()


def _apart(problem: Constrained) -> Parts | None:
    try:
        return parts(problem)
    except (TypeError, ValueError, TooLong, QedError):
        return None


class _Case:
    """A point whose constraints are dependent, and the constraints that hold it."""

    def __init__(self, problem: Constrained, kkt: KKT, loose: Dependent | None, apart: Parts | None) -> None:
        self.problem, self.loose, self.apart = problem, loose, apart
        active, unit, found = active_set(problem, kkt), np.eye(problem.n), kkt.multipliers
        self.members: list[Member] = []
        for i in active.rows.tolist():
            form, signed = None if apart is None else apart.forms[1 + i], i >= problem.equalities
            self.members.append(Member(problem.names[i], kkt.seen.J[i], form, signed, float(abs(found.y[i]))))
        for numbers, sign, side in ((active.lower, 1, "lower"), (active.upper, -1, "upper")):
            for j in numbers.tolist():
                end = float((problem.bounds.lower if sign > 0 else problem.bounds.upper)[j])
                fixed = problem.bounds.lower[j] == problem.bounds.upper[j]
                z = float((found.lower if sign > 0 else found.upper)[j])
                name = f"the {side} bound of {problem.parameters[j]}"
                self.members.append(Member(name, sign * unit[j], self._slack(j, sign, end), not fixed, z))

    def _slack(self, j: int, sign: int, end: float) -> Form | None:
        """x_j - lower, or upper - x_j."""
        if self.apart is None:
            return None
        a = self.apart.algebra
        variable = next((v for v in a.variables if v.data == f"x{j}"), None)
        if variable is None:
            return None
        return a.combine([(a.of(variable), a.q(sign))], -sign * a.rational(end))

    def named(self) -> tuple[Named, ...]:
        """All causes that were found."""
        pairs = self.complementary()
        if len(self.members) > FEW:
            return pairs
        redundant, dropped = [], set()
        order = sorted(range(len(self.members)), key=lambda i: (self.members[i].multiplier, -i))
        for i in order if self.apart is not None and not pairs else ():
            others = [k for k in range(len(self.members)) if k != i and k not in dropped]
            said = self._follows(i, others)
            if said is not None:
                redundant.append(said)
                dropped.add(i)
        kept = [k for k in range(len(self.members)) if k not in dropped]
        thin = None if pairs or self.loose is None or self.loose.inward else self._no_interior(kept)
        return (*pairs, *redundant, *(() if thin is None else (thin,)))

    # --- redundant ---

    def _follows(self, i: int, others: Sequence[int]) -> Named | None:
        """That a constraint follows from others."""
        one = self.members[i]
        chosen = [k for k in others if one.signed or not self.members[k].signed]
        weights = self._fitted(one.gradient, chosen)
        if weights is None or one.form is None:
            return None
        for exact in _rounded(weights):
            rest = self._sum([(one, Fraction(1)), *((self.members[k], -w) for k, w in zip(chosen, exact, strict=True))])
            if rest is None or not (rest >= 0 if one.signed else rest == 0):
                continue
            used = [(self.members[k].name, w) for k, w in zip(chosen, exact, strict=True) if w]
            of = ", ".join(name for name, _ in used)
            cause = f"follows from {of}" if used else "holds whatever x is"
            text = f"{one.name} {cause}: it can be left out"
            total = _told(used) + (f" + {float(rest):.6g}" if rest else "")
            why = f"{one.name} = {total if used else f'{float(rest):.6g}'}"
            return _named("QED505", text, "redundant", "c_i = sum w_k c_k + d, d >= 0", f"{why} for every x")
        return None

    def _fitted(self, target: Array, chosen: Sequence[int]) -> Array | None:
        """Weights with which gradients add up to another, >= 0 where they have a sign; few of them other than 0."""
        if not chosen:
            return np.zeros(0) if not target.any() else None
        columns = np.array([self.members[k].gradient for k in chosen]).T
        size = max(1.0, float(np.abs(target).max(initial=0.0)))
        free = np.array([not self.members[k].signed for k in chosen], bool)
        wide = np.hstack([columns, -columns[:, free]])  # a free weight is split into two that are not
        band = 1e-8 * size
        found = scipy.optimize.linprog(
            np.ones(wide.shape[1]), np.vstack([wide, -wide]), np.concatenate([target + band, band - target])
        )
        if found.status != 0:
            return None
        weights = found.x[: len(chosen)].copy()
        weights[free] -= found.x[len(chosen) :]
        return weights

    def _sum(self, pairs: Sequence[tuple[Member, Fraction]]) -> Any:
        """The exact value of a weighted sum that is constant; None where it is none, or a form is unknown."""
        if self.apart is None:
            return None
        a, terms = self.apart.algebra, []
        for one, w in ((one, w) for one, w in pairs if w):
            if one.form is None or one.form.lost is not None:
                return None
            terms.append((one.form, a.q(w.numerator, w.denominator)))
        total = a.combine(terms)
        return total.constant if not total.terms else None

    # --- no interior ---

    def _no_interior(self, kept: Sequence[int]) -> Named | None:
        """That what holds the point leaves no point strictly inside all inequalities."""
        signed = [k for k in kept if self.members[k].signed]
        columns = np.array([self.members[k].gradient for k in kept]).T
        if not signed:
            return None
        lengths = np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
        sums = np.array([[float(self.members[k].signed) for k in kept]])
        ends = [(0.0 if self.members[k].signed else None, None) for k in kept]
        wide, band = columns / lengths, np.full(len(columns), 1e-8)
        found = scipy.optimize.linprog(
            np.zeros(len(kept)), np.vstack([wide, -wide]), np.concatenate([band, band]), sums, [1.0], bounds=ends
        )
        if found.status != 0:
            return None
        weights = found.x / lengths
        weights /= np.abs(weights).max()
        used = [self.members[k].name for k, w in zip(kept, weights, strict=True) if abs(w) > 1e-6]
        rule = "sum w_k c_k = d <= 0, w_k >= 0"
        for exact in _rounded(weights):
            rest = self._sum([(self.members[k], w) for k, w in zip(kept, exact, strict=True)])
            pushed = any(w for k, w in zip(kept, exact, strict=True) if self.members[k].signed)
            if rest is not None and rest <= 0 and pushed:
                told = _told([(self.members[k].name, w) for k, w in zip(kept, exact, strict=True) if w])
                text = f"{', '.join(used)} can hold as equalities only: no point is strictly inside them"
                return _named("QED506", text, "no interior", rule, f"{told} = {float(rest):.6g} for every x")
        text = f"no direction from the point leads strictly inside {', '.join(used)}"
        told = f"their gradients add up to 0 with the weights {', '.join(f'{w:.3g}' for w in weights if abs(w) > 1e-6)}"
        return _named("QED506", text, "no interior", "sum w_k grad c_k = 0, w_k >= 0", told)

    # --- complementarity ---

    def complementary(self) -> tuple[Named, ...]:
        """All rows that are sums of products of numbers >= 0."""
        found = (self._complementary(member) for member in self.members)
        return tuple(one for one in found if one is not None)

    def _complementary(self, member: Member) -> Named | None:
        """That a row asks products of numbers >= 0 to be 0."""
        form = member.form
        if form is None or self.apart is None or form.lost is not None:
            return None
        if not any(atom.kind == "product" or atom.name == "square" for atom, _ in form.terms):
            return None
        signs = (-1,) if member.signed else (1, -1)
        pairs = next((found for sign in signs if (found := self._products(form, sign)) is not None), None)
        if pairs is None:
            return None
        shown = ", ".join(f"({self._text(u)}) ({self._text(v)})" for u, v in pairs[:3])
        shown += ", ..." if len(pairs) > 3 else ""
        text = (
            f"{member.name} asks of numbers that may not be negative that their products be 0: complementarity, under "
            "which multipliers are nowhere unique"
        )
        return _named(
            "QED507", text, "complementarity", "u v = 0, u >= 0, v >= 0", f"products that have to be 0: {shown}"
        )

    def _products(self, form: Form, sign: int) -> list[tuple[Form, Form]] | None:
        """Pairs (u, v) of affine functions >= 0 with sign * form = sum w u v, w > 0; None where none were found."""
        assert self.apart is not None
        a, sides = self.apart.algebra, self._slacks(form)
        pairs = list(itertools.combinations(sides, 2))
        if not pairs or len(pairs) > PAIRS:
            return None
        products = [a.multiply(u, v) for u, v in pairs]
        goal = a.scale(form, sign)
        kinds = sorted({atom for one in (goal, *products) for atom, _ in one.terms}, key=lambda atom: atom.index)
        rows = {atom: k for k, atom in enumerate(kinds)}
        table = np.zeros((len(kinds) + 1, len(pairs) + 1))
        for k, one in enumerate((*products, goal)):
            table[-1, k] = float(_fraction(one.constant))
            for atom, c in one.terms:
                table[rows[atom], k] = float(_fraction(c))
        band = np.full(len(table), 1e-9)
        wide, right = table[:, :-1], table[:, -1]
        found = scipy.optimize.linprog(
            np.ones(len(pairs)), np.vstack([wide, -wide]), np.concatenate([right + band, band - right])
        )
        if found.status != 0:
            return None
        for exact in _rounded(found.x):
            used = [(k, w) for k, w in enumerate(exact) if w]
            rest = a.combine([(goal, a.one), *((products[k], a.q(-w.numerator, w.denominator)) for k, w in used)])
            if used and not rest.terms and rest.constant == 0:
                return [pairs[k] for k, _ in used]
        return None

    def _slacks(self, form: Form) -> list[Form]:
        """Affine functions that are >= 0: the slacks of bounds of the numbers in a form, and of rows of g on them."""
        assert self.apart is not None
        numbers = {k for atom, _ in form.terms for k in numbers_of(atom)}
        box, found = self.problem.bounds, []
        for j in sorted(numbers):
            ends = ((1, float(box.lower[j])), (-1, float(box.upper[j])))
            found += [
                slack for sign, end in ends if np.isfinite(end) and (slack := self._slack(j, sign, end)) is not None
            ]
        for row in self.apart.forms[1 + self.problem.equalities :]:
            if affine(row) and row.terms and {int(str(atom.data)[1:]) for atom, _ in row.terms} <= numbers:
                found.append(row)
        return list(dict.fromkeys(found))

    def _text(self, factor: Form) -> str:
        """A factor in the names of the parameters, where it is affine."""
        if not affine(factor):
            return factor.text(2)
        slopes, constant = coefficients(factor, self.problem.n)
        parts = [(self.problem.parameters[j], _fraction(c)) for j, c in enumerate(slopes) if c != 0]
        return _told(parts) + (f" + {float(_fraction(constant)):.6g}".replace("+ -", "- ") if constant != 0 else "")


def _fraction(value: Any) -> Fraction:
    return Fraction(int(value.p), int(value.q))


def _rounded(weights: Array) -> list[list[Fraction]]:
    """The weights as fractions of few digits, and of more."""
    return [[Fraction(float(w)).limit_denominator(digits) for w in weights] for digits in DIGITS]


def _told(used: Sequence[tuple[str, Fraction]]) -> str:
    """A weighted sum in words, cut after six."""
    parts = [name if w == 1 else f"{float(w):.6g} {name}" for name, w in used[:6]]
    more = " + ..." if len(used) > 6 else ""
    return (" + ".join(parts) or "0").replace("+ -", "- ") + more


def _named(code: str, text: str, rule: str, formula: str, why: str) -> Named:
    reason = Reason(
        rule, formula, why, standing=Standing.MEASURED, unpredicted="the terms of the program were added up",
        text=f"{text}: {why}", role="where",
    )  # fmt: skip
    return Named(Finding(code, text), reason)
