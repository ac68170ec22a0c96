"""Jets of terms on one box with slopes as a vector and second derivatives as a matrix: for many variables at once.

The chain rule of `qed.domains.curvature_jets`, entry by entry in arrays. A sum over rows of data costs as many matrices
as there are rows. What stands in a term is smooth although the program chooses there: log(e^a + e^b), which every
stable spelling computes with a maximum, is one atom of `qed.domains.curvature_identities`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed import facts
from qed.domains.curvature_jets import PAIRS, Jets, Rough
from qed.domains.curvature_terms import Atom, Form, ends

Array = np.ndarray


@dataclass(eq=False)
class DenseJet:
    """A value (1,), its slopes (n,) and second derivatives (n, n); None for zero."""

    value: Any
    slope: Any = None
    second: Any = None


class DenseJets:
    """Jets of forms in a domain of enclosures on one box, given by ends for all variables.

    >>> import numpy as np
    >>> from qed.domains.curvature_algebra import Algebra
    >>> from qed.domains.curvature_dense import DenseJets
    >>> from qed.domains.interval import Interval
    >>> a = Algebra()
    >>> x, y = a.variable(0, "x", (0.0, 2.0)), a.variable(1, "y", (0.0, 2.0))
    >>> jet = DenseJets(Interval(), a.variables, np.zeros(2), np.ones(2)).of(a.multiply(x, y))
    >>> print(jet.slope, jet.second)
    [[0.0, 1.0], [0.0, 1.0]] [[[0.0, 0.0], [1.0, 1.0]], [[1.0, 1.0], [0.0, 0.0]]]
    """

    def __init__(self, domain: Any, variables: Sequence[Atom], lower: Array, upper: Array) -> None:
        self.domain, self.numbers, self.n = domain, domain.numbers, len(variables)
        self.place = {atom: k for k, atom in enumerate(variables)}
        self.box = [self.numbers.between(lower[k : k + 1], upper[k : k + 1]) for k in range(self.n)]
        self._single = Jets(domain, {})
        self._memo: dict[Atom, DenseJet] = {}
        self._pairs = 0

    def of(self, form: Form) -> DenseJet:
        """The jet of a form.

        Raises Rough where it holds a choice.
        """
        value = self._rational(form.constant)
        low, high = np.zeros(self.n), np.zeros(self.n)
        straight = False
        total = DenseJet(value)
        for atom, c in form.terms:
            if atom in self.place:
                k = self.place[atom]
                low[k], high[k] = ends(c)
                straight = True
                total.value = self._add(total.value, self._mul(self._rational(c), self.box[k]))
                continue
            total = self._plus(total, self._scaled(self._rational(c), self._atom(atom)))
        if straight:
            total.slope = self._sum(total.slope, self.numbers.between(low, high))
        return total

    def _atom(self, atom: Atom) -> DenseJet:
        if atom not in self._memo:
            self._memo[atom] = self._computed(atom)
        return self._memo[atom]

    def _computed(self, atom: Atom) -> DenseJet:
        if atom.kind == "number":
            return DenseJet(self.numbers.between(np.array([atom.lower]), np.array([atom.upper])))
        if atom.lost is not None or atom.kind not in ("unary", "product", "quotient", "log_sum_exp"):
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

    def _composed(self, card: facts.Card, u: DenseJet) -> DenseJet:
        value = self.domain.image(card, u.value)
        if u.slope is None:
            return DenseJet(value)
        d, h = (self._single._derivative(card, order, u.value, value) for order in (1, 2))
        bent = self._mul(self._wide(h, 2), self._outer(u.slope, u.slope))
        second = bent if u.second is None else self._add(self._mul(self._wide(d, 2), u.second), bent)
        return DenseJet(value, self._mul(d, u.slope), second)

    def _product(self, u: DenseJet, v: DenseJet) -> DenseJet:
        total = self._plus(self._moved(v.value, u), self._moved(u.value, v))
        if u.slope is not None and v.slope is not None:
            cross = self._outer(u.slope, v.slope)
            turned = cross.map(np.transpose)
            total.second = self._sum(total.second, self._add(cross, turned))
        total.value = self._mul(u.value, v.value)
        return total

    def _log_sum_exp(self, atom: Atom, jets: Sequence[DenseJet]) -> DenseJet:
        self._pairs += len(jets) ** 2
        if self._pairs > PAIRS:
            raise Rough(atom.kind)
        exp, reciprocal = _card("exp"), _card("reciprocal")
        sums = []
        for k, one in enumerate(jets):
            total = self._rational(atom.data[k] / atom.data[k])
            for m, other in enumerate(jets):
                if m != k:
                    weight = self._rational(atom.data[m] / atom.data[k])
                    part = self.domain.image(exp, self._sub(other.value, one.value))
                    total = self._add(total, self._mul(weight, part))
            sums.append(total)
        shares = [self.domain.image(reciprocal, total) for total in sums]
        found = DenseJet(self._rational(0 * atom.data[0]))
        for share, jet in zip(shares, jets, strict=True):
            found = self._plus(found, self._moved(share, jet))
        for k, one in enumerate(jets):
            for m in range(k):
                apart = self._apart(one.slope, jets[m].slope)
                if apart is not None:
                    both = self._wide(self._mul(shares[k], shares[m]), 2)
                    found.second = self._sum(found.second, self._mul(both, self._outer(apart, apart)))
        weight = self.domain.image(_card("log"), self._mul(self._rational(atom.data[0]), sums[0]))
        found.value = self._add(jets[0].value, weight)
        return found

    # --- arithmetic ---

    def _rational(self, c: Any) -> Any:
        low, high = ends(c)
        return self.numbers.between(np.array([low]), np.array([high]))

    def _mul(self, x: Any, y: Any) -> Any:
        return self.domain.combine("mul", [x, y])

    def _add(self, x: Any, y: Any) -> Any:
        return self.domain.combine("add", [x, y])

    def _sub(self, x: Any, y: Any) -> Any:
        return self.domain.combine("sub", [x, y])

    def _sum(self, x: Any, y: Any) -> Any:
        return y if x is None else x if y is None else self._add(x, y)

    def _apart(self, x: Any, y: Any) -> Any:
        if x is None and y is None:
            return None
        zero = self._rational_zeros()
        return self._sub(zero if x is None else x, zero if y is None else y)

    def _rational_zeros(self) -> Any:
        return self.numbers.between(np.zeros(self.n), np.zeros(self.n))

    def _plus(self, x: DenseJet, y: DenseJet) -> DenseJet:
        return DenseJet(self._add(x.value, y.value), self._sum(x.slope, y.slope), self._sum(x.second, y.second))

    def _scaled(self, c: Any, x: DenseJet) -> DenseJet:
        return DenseJet(self._mul(c, x.value), *self._parts(c, x))

    def _moved(self, c: Any, x: DenseJet) -> DenseJet:
        """c times the derivatives; the value is 0."""
        return DenseJet(self.numbers.between(np.zeros(1), np.zeros(1)), *self._parts(c, x))

    def _parts(self, c: Any, x: DenseJet) -> tuple[Any, Any]:
        slope = None if x.slope is None else self._mul(c, x.slope)
        return slope, None if x.second is None else self._mul(self._wide(c, 2), x.second)

    def _wide(self, x: Any, axes: int) -> Any:
        return x.map(lambda a: np.reshape(a, (1,) * axes))

    def _outer(self, x: Any, y: Any) -> Any:
        return self._mul(x.map(lambda a: np.reshape(a, (-1, 1))), y.map(lambda a: np.reshape(a, (1, -1))))


def _card(name: str) -> facts.Card:
    found = facts.card(name)
    assert found is not None
    return found
