"""Jets of terms on one box with slopes as a vector and second derivatives as a matrix: for many variables at once.

The chain rule of `qed.domains.curvature_jets`, entry by entry in arrays. A sum over rows of data costs as many matrices
as there are rows; second derivatives with few entries are dictionaries until they meet a matrix. What stands in a term
is smooth although the program chooses there: log(e^a + e^b), which every stable spelling computes with a maximum, is
one atom of `qed.domains.curvature_identities`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qed.domains.curvature_jets import TOGETHER, Jet, Jets, Rough
from qed.domains.curvature_terms import Atom, Form, ends
from qed.domains.intervals import combined

Array = np.ndarray
FEW = 4
"""Of how many slopes that are not zero a product is a dictionary."""
SQUARE = 64
"""Up to so many variables the squares of pairs of slopes are formed together."""


class DenseJets(Jets):
    """Jets of forms in a domain of enclosures on one box, given by ends for all variables.

    A jet is a value (1,), its slopes (n,) and second derivatives, of `whole` (n, n); None for zero.

    >>> import numpy as np
    >>> from qed.domains.curvature_algebra import Algebra
    >>> from qed.domains.curvature_dense import DenseJets
    >>> from qed.domains.interval import Interval
    >>> a = Algebra()
    >>> x, y = a.variable(0, "x", (0.0, 2.0)), a.variable(1, "y", (0.0, 2.0))
    >>> jet = DenseJets(Interval(), a.variables, np.zeros(2), np.ones(2)).whole(a.multiply(x, y))
    >>> print(jet.slope, jet.second)
    [[0.0, 1.0], [0.0, 1.0]] [[[0.0, 0.0], [1.0, 1.0]], [[1.0, 1.0], [0.0, 0.0]]]
    """

    def __init__(self, domain: Any, variables: Sequence[Atom], lower: Array, upper: Array) -> None:
        super().__init__(domain, {})
        self.n = len(variables)
        self.place = {atom: k for k, atom in enumerate(variables)}
        self.box = [self.numbers.between(lower[k : k + 1], upper[k : k + 1]) for k in range(self.n)]

    def whole(self, form: Form) -> Jet:
        """The jet of a form, with its second derivatives as a matrix.

        Raises Rough where it holds a choice.
        """
        found = self.of(form)
        return Jet(found.value, found.slope, self._whole(found.second))

    def _whole(self, second: Any) -> Any:
        """A dictionary as a matrix; an empty one is zero."""
        if not isinstance(second, dict):
            return second
        if not second:
            return None
        places, values = list(second), list(second.values())
        return self._placed(np.array(places), combined(lambda *parts: np.concatenate(parts), *values))

    def _placed(self, places: Array, values: Any) -> Any:
        """The symmetric matrix with the values (count,) at the places (count, 2), and zeros."""
        if values.doubt:
            where = "second derivatives"
            raise Rough(where)
        ends = []
        for zero, part in zip(self._number(0.0).parts, values.parts, strict=True):
            end = np.full((self.n, self.n), zero[0], zero.dtype)
            end[places[:, 0], places[:, 1]] = end[places[:, 1], places[:, 0]] = part
            ends.append(end)
        return self.numbers.of(tuple(ends))

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
        x, y = (None if isinstance(part, dict) and not part else part for part in (x, y))
        if x is None or y is None:
            return dict(y) if isinstance(y, dict) else x if y is None else y
        if isinstance(x, dict) and isinstance(y, dict):
            return self._gather(x, y)
        return self._add(self._whole(x), self._whole(y))

    def _apart(self, x: Any, y: Any) -> Any:
        x, y = self._whole(x), self._whole(y)
        if x is None or y is None:
            return x if y is None else self._times(self._number(-1.0), y)
        return self._sub(x, y)

    def _times(self, k: Any, x: Any) -> Any:
        return super()._times(k, x) if isinstance(x, dict) else None if x is None else self._mul(k, x)

    def _square(self, g: Any) -> Any:
        if g is None:
            return None
        places = self._places(g)
        return self._outer(g, g) if len(places) > FEW else super()._square(self._at(g, places))

    def _spread(self, second: Any, shares: Sequence[Any], slopes: Sequence[Any]) -> Any:
        """All pairs at once, where slopes have few entries: a pair has those of both."""
        known = [np.zeros(0, int) if g is None else self._places(g) for g in slopes]
        if len(slopes) < 2 or not any(map(len, known)):
            return super()._spread(second, shares, slopes)
        zeros = self.numbers.point(np.zeros(self.n + 1))
        padded = [zeros if g is None else combined(lambda a, z: np.append(a, z[:1]), g, zeros) for g in slopes]
        rows = combined(lambda *parts: np.stack(parts), *padded)
        first, last = np.tril_indices(len(slopes), -1)
        if 2 * max(map(len, known)) > FEW:
            used = np.unique(np.concatenate(known))
            if len(used) > SQUARE:
                return super()._spread(second, shares, slopes)
            return self._spread_over(second, shares, rows.map(lambda a: a[:, used]), used, (first, last))
        places = np.full((len(first), FEW), self.n)
        for p, (k, m) in enumerate(zip(first, last, strict=True)):
            both = np.union1d(known[k], known[m])
            places[p, : len(both)] = both
        one, two = (rows.map(lambda a, k=k: a[k[:, None], places]) for k in (first, last))
        apart = self._sub(one, two)
        square = self._mul(apart.map(lambda a: a[:, :, None]), apart.map(lambda a: a[:, None, :]))
        weights = combined(lambda *parts: np.concatenate(parts), *shares)
        pairs = self._mul(weights.map(lambda a: a[first]), weights.map(lambda a: a[last]))
        parts = self._mul(pairs.map(lambda a: a[:, None, None]), square).map(np.ravel)
        i, j = (np.broadcast_to(a, (len(first), FEW, FEW)).ravel() for a in (places[:, :, None], places[:, None, :]))
        return self._sum(second, self._placed(*self._added(i, j, parts)))

    def _spread_over(
        self, second: Any, shares: Sequence[Any], rows: Any, used: Array, pairs: tuple[Array, Array]
    ) -> Any:
        """All pairs, some at once, of slopes (count, used) that have entries everywhere."""
        weights = combined(lambda *parts: np.concatenate(parts), *shares)
        i, j = np.triu_indices(len(used))
        places = np.stack([used[i], used[j]], axis=1)
        together = max(1, TOGETHER // len(i))
        for begin in range(0, len(pairs[0]), together):
            first, last = (part[begin : begin + together] for part in pairs)
            apart = self._sub(rows.map(lambda a, first=first: a[first]), rows.map(lambda a, last=last: a[last]))
            one, two = apart.map(lambda a: a[:, i]), apart.map(lambda a: a[:, j])
            square = self._mul(one, two)
            both = self._mul(weights.map(lambda a, f=first: a[f]), weights.map(lambda a, m=last: a[m]))
            total = self._mul(both.map(lambda a: a[:, None]), square).sum(0)
            second = self._sum(second, self._placed(places, total))
        return second

    def _added(self, i: Array, j: Array, parts: Any) -> tuple[Array, Any]:
        """The places i <= j of entries (count,), each once, and the sums of the entries there."""
        chosen = np.flatnonzero((i <= j) & (j < self.n))
        keys, where, counts = np.unique(i[chosen] * self.n + j[chosen], return_inverse=True, return_counts=True)
        order = np.argsort(where, kind="stable")
        start = np.concatenate([[0], np.cumsum(counts)[:-1]])
        sums = []
        for alone in (True, False):  # few places have most of the entries
            rows = np.flatnonzero((counts == 1) == alone)
            if len(rows):
                table = np.full((len(rows), int(counts[rows].max())), len(i))  # the last number is a zero
                for r, k in enumerate(rows):
                    table[r, : counts[k]] = chosen[order[start[k] : start[k] + counts[k]]]
                padded = combined(lambda a, z: np.append(a, z), parts, self._number(0.0))
                sums.append((rows, padded.map(lambda a, table=table: a[table]).sum(1)))
        turned = np.argsort(np.concatenate([rows for rows, _ in sums]))
        total = combined(lambda *a: np.concatenate(a)[turned], *(values for _, values in sums))
        return np.stack([keys // self.n, keys % self.n], axis=1), total

    def _cross(self, g: Any, f: Any) -> Any:
        if g is None or f is None:
            return None
        one, two = self._places(g), self._places(f)
        if max(len(one), len(two)) <= FEW:
            return super()._cross(self._at(g, one), self._at(f, two))
        cross = self._outer(g, f)
        return self._add(cross, cross.map(np.transpose))

    def _places(self, g: Any) -> Array:
        """Where slopes are not surely zero."""
        low, high = g.bounds
        return np.flatnonzero((low != 0) | (high != 0))

    def _at(self, g: Any, places: Array) -> dict[int, Any]:
        return {int(k): g.map(lambda a, k=k: a[k : k + 1]) for k in places}

    def _outer(self, x: Any, y: Any) -> Any:
        return self._mul(x.map(lambda a: np.reshape(a, (-1, 1))), y.map(lambda a: np.reshape(a, (1, -1))))
