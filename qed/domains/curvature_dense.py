"""Jets of terms on one box with slopes as a vector and second derivatives as a matrix: for many variables at once.

The chain rule of `qed.domains.curvature_jets`, entry by entry in arrays. A sum over rows of data costs as many matrices
as there are rows. What stands in a term is smooth although the program chooses there: log(e^a + e^b), which every
stable spelling computes with a maximum, is one atom of `qed.domains.curvature_identities`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qed.domains.curvature_jets import Jet, Jets, Rough
from qed.domains.curvature_terms import Atom, ends

Array = np.ndarray


class DenseJets(Jets):
    """Jets of forms in a domain of enclosures on one box, given by ends for all variables.

    A jet is a value (1,), its slopes (n,) and second derivatives (n, n); None for zero.

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
        super().__init__(domain, {})
        self.n = len(variables)
        self.place = {atom: k for k, atom in enumerate(variables)}
        self.box = [self.numbers.between(lower[k : k + 1], upper[k : k + 1]) for k in range(self.n)]

    def _computed(self, atom: Atom) -> Jet:
        if atom.lost is not None:
            raise Rough(atom.kind)
        return super()._computed(atom)

    def _fixed(self, value: Any) -> Jet:
        return Jet(value, None, None)

    def _straight(self, terms: dict[Atom, Any]) -> tuple[Jet, dict[Atom, Any]]:
        """All variables of a sum at once."""
        total = self._fixed(self._number(0.0))
        low, high = np.zeros(self.n), np.zeros(self.n)
        straight = [atom for atom in terms if atom in self.place]
        for atom in straight:
            k, c = self.place[atom], terms[atom]
            low[k], high[k] = ends(c)
            total.value = self._add(total.value, self._mul(self._rational(c), self.box[k]))
        if straight:
            total.slope = self.numbers.between(low, high)
        return total, {atom: c for atom, c in terms.items() if atom not in self.place}

    def _sum(self, x: Any, y: Any) -> Any:
        return y if x is None else x if y is None else self._add(x, y)

    def _apart(self, x: Any, y: Any) -> Any:
        if x is None or y is None:
            return x if y is None else self._times(self._number(-1.0), y)
        return self._sub(x, y)

    def _times(self, k: Any, x: Any) -> Any:
        return None if x is None else self._mul(k, x)

    def _square(self, g: Any) -> Any:
        return None if g is None else self._outer(g, g)

    def _cross(self, g: Any, f: Any) -> Any:
        if g is None or f is None:
            return None
        cross = self._outer(g, f)
        return self._add(cross, cross.map(np.transpose))

    def _outer(self, x: Any, y: Any) -> Any:
        return self._mul(x.map(lambda a: np.reshape(a, (-1, 1))), y.map(lambda a: np.reshape(a, (1, -1))))
