"""Second-order jets of terms: value, slopes and second derivatives of a form, enclosed on many boxes at once.

By the chain rule, for f(u): d_i = f'(u) u_i and h_ij = f'(u) u_ij + f''(u) u_i u_j; for log-sum-exp with shares p_k,
h_ij = sum p_k a_k,ij + 1/2 sum p_k p_l (a_k,i - a_l,i)(a_k,j - a_l,j), which is never below the first sum on the
diagonal. A form is twice continuously differentiable where its jet is finite; a modulus or another kink that lies in a
(closed) box, or a choice that is not decided, gives an unbounded h, so that nothing is ever concluded across it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed import facts
from qed.domains.curvature_terms import Atom, Form, ends
from qed.domains.intervals import combined
from qed.domains.operators import Formulary, Operators

Pair = tuple[int, int]


@dataclass(eq=False)
class Jet:
    """A value, its slopes by variable, and its second derivatives by pairs i <= j, in dictionaries; missing is 0."""

    value: Any
    slope: Any
    second: Any


TOGETHER = 1 << 18
"""How many numbers are enclosed in one step, where there may be more."""
PAIRS = 1 << 14
"""How many pairs of terms the logarithms of sums in a form may have in all: each costs the products of two slopes."""


class Rough(Exception):
    """A form that has no jet: with a choice in it, or with logarithms of longer sums than are taken apart."""


class Jets:
    """Jets of forms in a domain of enclosures, over boxes given for the variables.

    Slopes and second derivatives are dictionaries by variable here; `qed.domains.curvature_dense` has them as arrays,
    by other ways to add and multiply them, and shares the rest. In a sum what belongs together is enclosed together:
    c u v + d u w is u (c v + d w), and log(e^0 + e^z) - z is log(e^-z + e^0), which has no two numbers to cancel.

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
        self._forms: dict[Form, Jet] = {}
        self._pairs = 0
        for atom, box in boxes.items():
            self._memo[atom] = Jet(box, {atom.index: self._number(1.0)}, {})

    def of(self, form: Form) -> Jet:
        """The jet of a form.

        Raises Rough where it holds a choice.
        """
        if form not in self._forms:
            self._forms[form] = self.combination(dict(form.terms), form.constant)
        return self._forms[form]

    def combination(self, terms: dict[Atom, Any], constant: Any) -> Jet:
        """The jet of a sum of multiples of atoms, and a constant."""
        parts: list[tuple[Any, Jet]] = []
        for atom in [atom for atom in terms if atom.kind == "log_sum_exp"]:
            base = _subtracted(atom, terms)
            if base is not None:
                c = terms[atom]
                constant = constant + c * atom.args[base].constant
                gone = {atom, *(inner for inner, _ in atom.args[base].terms)}
                terms = {other: d for other, d in terms.items() if other not in gone}
                parts.append((c, self._log_sum_exp(atom, [self.of(arg) for arg in atom.args], base)))
        found = _common_factor(terms)
        while found is not None:
            factor, terms, inner, rest = found
            parts.append((1, self._product(self.of(factor), self.combination(inner, rest))))
            found = _common_factor(terms)
        total, terms = self._straight(terms)
        total.value = self._add(self._rational(constant), total.value)
        for c, jet in [*parts, *((c, self.atom(atom)) for atom, c in terms.items())]:
            total = self._plus(total, jet if c == 1 else self._scaled(self._rational(c), jet))
        return total

    def atom(self, atom: Atom) -> Jet:
        """The jet of an atom."""
        if atom not in self._memo:
            self._memo[atom] = self._computed(atom)
        return self._memo[atom]

    def _computed(self, atom: Atom) -> Jet:
        if atom.kind == "number":
            return self._fixed(self.numbers.between(np.array([atom.lower]), np.array([atom.upper])))
        if atom.kind not in ("unary", "product", "quotient", "log_sum_exp"):
            raise Rough(atom.kind)
        jets = [self.of(form) for form in atom.args]
        match atom.kind:
            case "unary":
                return self._composed(atom.data, jets[0])
            case "product":
                return self._product(*jets)
            case "quotient":
                return self._product(jets[0], self._composed(_card("reciprocal"), jets[1]))
        return self._log_sum_exp(atom, jets)

    def _composed(self, card: facts.Card, u: Jet) -> Jet:
        value = self.domain.image(card, u.value)
        if not u.slope and not u.second:
            return self._fixed(value)
        d, h = (self._derivative(card, order, u.value, value) for order in (1, 2))
        second = self._sum(self._times(d, u.second), self._times(h, self._square(u.slope)))
        return Jet(value, self._times(d, u.slope), second)

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
        slope = self._sum(self._times(v.value, u.slope), self._times(u.value, v.slope))
        second = self._sum(self._times(v.value, u.second), self._times(u.value, v.second))
        return Jet(self._mul(u.value, v.value), slope, self._sum(second, self._cross(u.slope, v.slope)))

    def _log_sum_exp(self, atom: Atom, jets: Sequence[Jet], base: int | None = None) -> Jet:
        """The logarithm of the sum of w_k exp(a_k), relative to a_base if there is one."""
        self._pairs += len(jets) ** 2
        if self._pairs > PAIRS:
            raise Rough(atom.kind)
        shares, value = self._shares(atom, [jet.value for jet in jets], base or 0)
        found = self._fixed(value if base is not None else self._add(jets[0].value, value))
        for k, jet in enumerate(jets):
            if base is None:
                slope, second = jet.slope, jet.second
            else:
                slope, second = self._apart(jet.slope, jets[base].slope), self._apart(jet.second, jets[base].second)
            if k != base:
                found.slope = self._sum(found.slope, self._times(shares[k], slope))
                found.second = self._sum(found.second, self._times(shares[k], second))
        found.second = self._spread(found.second, shares, [jet.slope for jet in jets])
        return found

    def _shares(self, atom: Atom, values: Sequence[Any], first: int) -> tuple[list[Any], Any]:
        """The shares p_k, 1 / sum of (w_l / w_k) exp(a_l - a_k), and the logarithm of the sum relative to a_first."""
        count = len(values)
        one = self._number(1.0)
        if count == 1:
            return [one], self.domain.image(_card("log"), self._rational(atom.data[0]))
        every = combined(lambda *parts: np.stack(np.broadcast_arrays(*parts)), *values)
        others = np.array([[m for m in range(count) if m != k] for k in range(count)])
        weights = [[ends(atom.data[m] / atom.data[k]) for m in row] for k, row in enumerate(others)]
        low, high = (side[..., None] for side in np.moveaxis(np.array(weights), -1, 0))
        sums: list[Any] = []
        together = max(1, TOGETHER // max(1, math.prod(every.shape)))
        for begin in range(0, count, together):
            rows = slice(begin, begin + together)
            apart = self._sub(every.map(lambda a, r=rows: a[others[r]]), every.map(lambda a, r=rows: a[r, None]))
            parts = self._mul(self.numbers.between(low[rows], high[rows]), self.domain.image(_card("exp"), apart))
            sums.append(self._add(one, parts.sum(1)))
        every = combined(lambda *parts: np.concatenate(parts), *sums)
        shares = self.domain.image(_card("reciprocal"), every)
        total = self._mul(self._rational(atom.data[first]), every.map(lambda a: a[first]))
        return [shares.map(lambda a, k=k: a[k]) for k in range(count)], self.domain.image(_card("log"), total)

    def _spread(self, second: Any, shares: Sequence[Any], slopes: Sequence[Any]) -> Any:
        """Second derivatives and the sum of p_k p_l (a_k,i - a_l,i)(a_k,j - a_l,j) over pairs."""
        for k, one in enumerate(slopes):
            for m in range(k):
                both = self._mul(shares[k], shares[m])
                second = self._sum(second, self._times(both, self._square(self._apart(one, slopes[m]))))
        return second

    # --- arithmetic of enclosures ---

    def _number(self, value: Any) -> Any:
        return self.numbers.point(np.array([value], np.float64))

    def _rational(self, c: Any) -> Any:
        low, high = ends(c)
        return self.numbers.between(np.array([low]), np.array([high]))

    def _mul(self, x: Any, y: Any) -> Any:
        return self.domain.combine("mul", [x, y])

    def _add(self, x: Any, y: Any) -> Any:
        return self.domain.combine("add", [x, y])

    def _sub(self, x: Any, y: Any) -> Any:
        return self.domain.combine("sub", [x, y])

    # --- jets ---

    def _plus(self, u: Jet, v: Jet) -> Jet:
        """u + v; u is used up."""
        return Jet(self._add(u.value, v.value), self._sum(u.slope, v.slope), self._sum(u.second, v.second))

    def _scaled(self, k: Any, u: Jet) -> Jet:
        return Jet(self._mul(k, u.value), self._times(k, u.slope), self._times(k, u.second))

    # --- slopes and second derivatives by variable ---

    def _fixed(self, value: Any) -> Jet:
        """A number that depends on no variable."""
        return Jet(value, {}, {})

    def _straight(self, terms: dict[Atom, Any]) -> tuple[Jet, dict[Atom, Any]]:
        """The jet of what is enclosed at once, here nothing, and the other terms."""
        return self._fixed(self._number(0.0)), terms

    def _sum(self, x: Any, y: Any) -> Any:
        """x + y; x is used up."""
        return self._gather(x, y)

    def _apart(self, x: Any, y: Any) -> Any:
        """x - y."""
        total = dict(x)
        for key, value in y.items():
            total[key] = self._sub(total.get(key, self._number(0.0)), value)
        return total

    def _times(self, k: Any, x: Any) -> Any:
        """k x, for a number k."""
        return {key: self._mul(k, value) for key, value in x.items()}

    def _square(self, g: Any) -> Any:
        """g g^T."""
        return {(i, j): self._mul(p, q) for i, p in g.items() for j, q in g.items() if i <= j}

    def _cross(self, g: Any, f: Any) -> Any:
        """g f^T + f g^T."""
        total: dict[Pair, Any] = {}
        for i, p in g.items():
            for j, q in f.items():
                both = self._mul(p, q)
                self._gather(total, {(min(i, j), max(i, j)): self._add(both, both) if i == j else both})
        return total

    def _gather(self, total: dict[Any, Any], more: dict[Any, Any]) -> dict[Any, Any]:
        for key, value in more.items():
            total[key] = self._add(total[key], value) if key in total else value
        return total


def _card(name: str) -> facts.Card:
    found = facts.card(name)
    assert found is not None
    return found


# --- what belongs together in a sum ---------------------------------------------------------------------------------


def _subtracted(atom: Atom, terms: dict[Atom, Any]) -> int | None:
    """The exponent of a log-sum-exp that is subtracted beside it, or None."""
    c = terms[atom]
    for k, form in enumerate(atom.args):
        if form.terms and all(terms.get(inner) == -c * d for inner, d in form.terms):
            return k
    return None


def _common_factor(terms: dict[Atom, Any]) -> tuple[Form, dict[Atom, Any], dict[Atom, Any], Any] | None:
    """(u, other terms, inner terms, constant) of u (inner + constant) + other, for the u in most products; or None."""
    products = [atom for atom in terms if atom.kind == "product"]
    if not products:
        return None
    counts = Counter(form for atom in products for form in atom.args)
    for form in counts:
        counts[form] += _only(form) in terms
    factor = max(counts, key=lambda form: counts[form])
    if counts[factor] < 2:
        return None
    own = _only(factor)
    inner: dict[Atom, Any] = {}
    other: dict[Atom, Any] = {}
    constant: Any = 0
    for atom, c in terms.items():
        if atom.kind == "product" and factor in atom.args:
            rest = atom.args[1] if atom.args[0] is factor else atom.args[0]
            constant = constant + c * rest.constant
            for part, d in rest.terms:
                inner[part] = inner[part] + c * d if part in inner else c * d
        elif atom is own:
            constant = constant + c
        else:
            other[atom] = c
    return factor, other, {atom: c for atom, c in inner.items() if c != 0}, constant


def _only(form: Form) -> Atom | None:
    """The atom that a form is."""
    return form.single[0] if form.single is not None and form.single[1] == 1 else None


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
