"""Second-order jets of terms: value, slopes and second derivatives of a form, enclosed on many boxes at once.

By the chain rule, for f(u): d_i = f'(u) u_i and h_ij = f'(u) u_ij + f''(u) u_i u_j; for log-sum-exp with shares p_k,
h_ij = sum p_k a_k,ij + 1/2 sum p_k p_l (a_k,i - a_l,i)(a_k,j - a_l,j), which is never below the first sum on the
diagonal. A form is twice continuously differentiable where its jet is finite; a modulus or another kink that lies in a
(closed) box, or a choice that is not decided, gives an unbounded h, so that nothing is ever concluded across it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed import facts
from qed.domains.curvature_terms import Atom, Form, ends
from qed.domains.formulas import Formulas

Pair = tuple[int, int]


@dataclass(eq=False)
class Jet:
    """A value, its slopes by variable, and its second derivatives by pairs i <= j; what is missing is 0."""

    value: Any
    slope: dict[int, Any]
    second: dict[Pair, Any]


class Operators:
    """Enclosures of any domain with Python's operators; the formulas of cards are evaluated in them."""

    def __init__(self, domain: Any, value: Any) -> None:
        self.domain, self.value = domain, value

    def _with(self, name: str, other: Operators) -> Operators:
        return Operators(self.domain, self.domain.combine(name, [self.value, other.value]))

    def __add__(self, other: Operators) -> Operators:
        return self._with("add", other)

    def __sub__(self, other: Operators) -> Operators:
        return self._with("sub", other)

    def __mul__(self, other: Operators) -> Operators:
        return self._with("mul", other)

    def __truediv__(self, other: Operators) -> Operators:
        return self._with("div", other)

    def __neg__(self) -> Operators:
        zero = self.domain.numbers.point(np.zeros(1))
        return Operators(self.domain, self.domain.combine("sub", [zero, self.value]))


class Formulary:
    """The arithmetic of formulas over a domain, on enclosures with operators."""

    def __init__(self, domain: Any) -> None:
        self.domain, self.formulas = domain, Formulas(domain)

    def constant(self, value: float) -> Operators:
        """The number itself."""
        return Operators(self.domain, self.domain.numbers.point(np.array([value], np.float64)))

    def call(self, name: str, *operands: Operators, **parameters: Any) -> Operators:
        """An enclosure of a function of the tables."""
        return Operators(self.domain, self.formulas.call(name, *(x.value for x in operands), **parameters))

    def select(self, comparison: str, left: Any, right: Any, then: Any, otherwise: Any) -> Operators:
        """The branch that is certain, or the hull of both."""
        parts = (x.value for x in (left, right, then, otherwise))
        return Operators(self.domain, self.formulas.select(comparison, *parts))


PAIRS = 1 << 14
"""How many pairs of terms the logarithms of sums in a form may have in all: each costs the products of two slopes."""


class Rough(Exception):
    """A form that has no jet: with a choice in it, or with logarithms of longer sums than are taken apart."""


class Jets:
    """Jets of forms in a domain of enclosures, over boxes given for the variables.

    >>> from qed.domains.curvature_algebra import Algebra
    >>> from qed.domains.curvature_jets import Jets
    >>> from qed.domains.interval import Interval
    >>> from qed.domains.intervals import Intervals
    >>> a = Algebra()
    >>> x = a.variable(0, "x", (0.0, 2.0))
    >>> jets = Jets(Interval(), {x.terms[0][0]: Intervals([0.0, 1.0], [1.0, 2.0])})
    >>> print(jets.of(a.unary("square", x)).second[0, 0])
    [[2.0, 2.0]]
    """

    def __init__(self, domain: Any, boxes: dict[Atom, Any]) -> None:
        self.domain, self.numbers = domain, domain.numbers
        self.formulary = Formulary(domain)
        self._memo: dict[Atom, Jet] = {}
        self._pairs = 0
        for atom, box in boxes.items():
            self._memo[atom] = Jet(box, {atom.index: self._number(1.0)}, {})

    def _number(self, value: Any) -> Any:
        return self.numbers.point(np.array([value], np.float64))

    def _rational(self, c: Any) -> Any:
        low, high = ends(c)
        return self.numbers.between(np.array([low]), np.array([high]))

    def of(self, form: Form) -> Jet:
        """The jet of a form.

        Raises Rough where it holds a choice.
        """
        value = self._rational(form.constant)
        slope: dict[int, Any] = {}
        second: dict[Pair, Any] = {}
        for atom, c in form.terms:
            jet, k = self.atom(atom), self._rational(c)
            value = self._add(value, self._times(k, jet.value, c))
            self._accumulate(slope, {i: self._times(k, d, c) for i, d in jet.slope.items()})
            self._accumulate(second, {ij: self._times(k, h, c) for ij, h in jet.second.items()})
        return Jet(value, slope, second)

    def _times(self, k: Any, x: Any, c: Any) -> Any:
        return x if c == 1 else self._mul(k, x)

    def _mul(self, x: Any, y: Any) -> Any:
        return self.domain.combine("mul", [x, y])

    def _add(self, x: Any, y: Any) -> Any:
        return self.domain.combine("add", [x, y])

    def _sub(self, x: Any, y: Any) -> Any:
        return self.domain.combine("sub", [x, y])

    def atom(self, atom: Atom) -> Jet:
        """The jet of an atom."""
        if atom not in self._memo:
            self._memo[atom] = self._computed(atom)
        return self._memo[atom]

    def _computed(self, atom: Atom) -> Jet:
        if atom.kind == "number":
            return Jet(self.numbers.between(np.array([atom.lower]), np.array([atom.upper])), {}, {})
        if atom.kind not in ("unary", "product", "quotient", "log_sum_exp"):
            raise Rough(atom.kind)
        jets = [self.of(form) for form in atom.args]
        if atom.kind == "unary":
            return self._composed(atom.data, jets[0])
        if atom.kind == "product":
            return self._product(*jets)
        if atom.kind == "quotient":
            reciprocal = facts.card("reciprocal")
            assert reciprocal is not None
            return self._product(jets[0], self._composed(reciprocal, jets[1]))
        return self._log_sum_exp(atom, jets)

    def _composed(self, card: facts.Card, u: Jet) -> Jet:
        value = self.domain.image(card, u.value)
        if not u.slope and not u.second:
            return Jet(value, {}, {})
        d, h = (self._derivative(card, order, u.value, value) for order in (1, 2))
        slope = {i: self._mul(d, g) for i, g in u.slope.items()}
        second = {ij: self._mul(d, s) for ij, s in u.second.items()}
        for i, g in u.slope.items():
            for j, f in u.slope.items():
                if i <= j:
                    self._accumulate(second, {(i, j): self._mul(h, self._mul(g, f))})
        return Jet(value, slope, second)

    def _derivative(self, card: facts.Card, order: int, x: Any, y: Any) -> Any:
        """The derivative of an order; all numbers where a kink, a jump or a pole may lie in the box."""
        try:
            x_, y_ = Operators(self.domain, x), Operators(self.domain, y)
            found = facts.derivative_of(card, order).evaluate(x=x_, y=y_, arithmetic=self.formulary).value
        except KeyError:
            raise Rough(card.name) from None
        low, high = (np.broadcast_to(end, x.shape) for end in x.bounds)
        marks = [points for points in (card.kinks, card.jumps, card.poles) if points]
        rough = np.array([any(p.meets(float(a), float(b)) for p in marks) for a, b in zip(low, high, strict=True)])
        below, above = (np.broadcast_to(end, x.shape) for end in found.bounds)
        lost = found.doubt.undefined
        rough = rough if lost is None else rough | lost
        if not np.any(rough):
            return found
        return self.numbers.between(np.where(rough, -np.inf, below), np.where(rough, np.inf, above))

    def _product(self, u: Jet, v: Jet) -> Jet:
        slope: dict[int, Any] = {}
        second: dict[Pair, Any] = {}
        for a, b in ((u, v), (v, u)):
            self._accumulate(slope, {i: self._mul(b.value, g) for i, g in a.slope.items()})
            self._accumulate(second, {ij: self._mul(b.value, h) for ij, h in a.second.items()})
        for i, g in u.slope.items():
            for j, f in v.slope.items():
                cross = self._mul(g, f)
                self._accumulate(second, {(min(i, j), max(i, j)): self._add(cross, cross) if i == j else cross})
        return Jet(self._mul(u.value, v.value), slope, second)

    def _log_sum_exp(self, atom: Atom, jets: Sequence[Jet]) -> Jet:
        self._pairs += len(jets) ** 2
        if self._pairs > PAIRS:
            raise Rough(atom.kind)
        shares = []
        exp, reciprocal = facts.card("exp"), facts.card("reciprocal")
        assert exp is not None and reciprocal is not None
        for k, one in enumerate(jets):  # 1 / sum of (w_l / w_k) exp(a_l - a_k)
            total = self._number(1.0)
            for m, other in enumerate(jets):
                if m != k:
                    weight = self._rational(atom.data[m] / atom.data[k])
                    part = self.domain.image(exp, self._sub(other.value, one.value))
                    total = self._add(total, self._mul(weight, part))
            shares.append(self.domain.image(reciprocal, total))
        slope: dict[int, Any] = {}
        second: dict[Pair, Any] = {}
        for share, jet in zip(shares, jets, strict=True):
            self._accumulate(slope, {i: self._mul(share, g) for i, g in jet.slope.items()})
            self._accumulate(second, {ij: self._mul(share, h) for ij, h in jet.second.items()})
        for k, one in enumerate(jets):
            for m in range(k):
                self._spread(second, self._mul(shares[k], shares[m]), one, jets[m])
        zero = self._number(0.0)
        return Jet(self.numbers.between(zero.bounds[0] - np.inf, zero.bounds[1] + np.inf), slope, second)

    def _accumulate(self, total: dict[Any, Any], more: dict[Any, Any]) -> None:
        for key, value in more.items():
            total[key] = self._add(total[key], value) if key in total else value

    def _spread(self, second: dict[Pair, Any], share: Any, one: Jet, other: Jet) -> None:
        """Add p_k p_l (a_k,i - a_l,i)(a_k,j - a_l,j)."""
        apart = dict(one.slope)
        for i, g in other.slope.items():
            apart[i] = self._sub(apart.get(i, self._number(0.0)), g)
        for i, g in apart.items():
            for j, f in apart.items():
                if i <= j:
                    self._accumulate(second, {(i, j): self._mul(share, self._mul(g, f))})


# --- positive semidefinite on every box ---------------------------------------------------------------------------


def definite(jet: Jet, variables: Sequence[int], count: int, number: Any) -> np.ndarray:
    """On which of `count` boxes the matrix of second derivatives is surely positive semidefinite.

    Every symmetric matrix within the enclosure is its midpoint plus one whose rows sum up to at most the radii r_i, so
    that it is semidefinite where midpoint - diag(r) is (Gershgorin); that is decided in exact rational numbers.
    """
    n = len(variables)
    low, high = np.zeros((count, n, n)), np.zeros((count, n, n))
    for (i, j), value in jet.second.items():
        a, b = variables.index(i), variables.index(j)
        below, above = (np.broadcast_to(end, (count,)) for end in value.bounds)
        low[:, a, b] = low[:, b, a] = below
        high[:, a, b] = high[:, b, a] = above
    places = np.arange(n)
    high[:, places, places] = low[:, places, places]  # a larger diagonal is no harm
    finite = np.all(np.isfinite(low), (1, 2)) & np.all(np.isfinite(high), (1, 2))
    if n == 1:
        return np.isfinite(low[:, 0, 0]) & (low[:, 0, 0] >= 0)
    found = np.zeros(count, bool)
    for box in np.flatnonzero(finite):
        found[box] = _semidefinite(low[box], high[box], number)
    return found


def _semidefinite(low: np.ndarray, high: np.ndarray, number: Any) -> bool:
    n = len(low)
    if np.any(np.diagonal(low) < 0):
        return False
    exact = [[(number(low[i, j]), number(high[i, j])) for j in range(n)] for i in range(n)]
    middle = [[(a + b) / 2 for a, b in row] for row in exact]
    for i in range(n):
        middle[i][i] = exact[i][i][0] - sum((exact[i][j][1] - exact[i][j][0]) / 2 for j in range(n) if j != i)
    for k in range(n):
        pivot = middle[k][k]
        if pivot < 0 or (pivot == 0 and any(middle[k][j] != 0 for j in range(k, n))):
            return False
        if pivot == 0:
            continue
        for i in range(k + 1, n):
            share = middle[i][k] / pivot
            for j in range(k + 1, n):
                middle[i][j] = middle[i][j] - share * middle[k][j]
    return True


def halved(low: float, high: float) -> float:
    """Where an interval, possibly infinite, is cut."""
    if np.isfinite(low) and np.isfinite(high):
        return low / 2 + high / 2
    if low < 0 < high:
        return 0.0
    return 2 * low + 1.0 if np.isfinite(low) else 2 * high - 1.0
