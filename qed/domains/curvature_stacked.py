"""Jets of sums with many terms of few variables: terms of one form are enclosed together, entries are few.

f(x) = sum over k of c_k phi(x restricted to a few variables): an energy on a grid, a chain, a network of springs. Terms
with the same operations differ in their variables and numbers only; they are evaluated as one, an array entry a term,
and their slopes and second derivatives are added up where they belong. The matrix has as many entries as there are
pairs of variables in one term.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.domains.curvature_jets import Jet, Jets, Rough
from qed.domains.curvature_terms import Atom, Form, ends

Array = np.ndarray
TOGETHER = 24
"""Of how many variables one term may be."""


@dataclass(frozen=True, eq=False)
class SparseJet:
    """Enclosures of slopes, and of the entries (rows[k], columns[k]), rows <= columns, of the second derivatives."""

    slope: tuple[Array, Array]
    rows: Array
    columns: Array
    second: tuple[Array, Array]


class StackedJets(Jets):
    """Jets of a form on one box, its terms grouped by what they do; a domain of float64 ends.

    Raises Rough as `Jets` does, and for terms of more than TOGETHER variables.

    >>> from qed.domains.curvature_algebra import Algebra
    >>> from qed.domains.interval import Interval
    >>> a = Algebra()
    >>> x, y = a.variable(0, "x", (0.0, 2.0)), a.variable(1, "y", (0.0, 2.0))
    >>> form = a.combine([(a.unary("square", a.add(x, y)), a.one), (a.unary("square", y), a.q(3))])
    >>> jet = StackedJets(Interval(), a.variables).sparse(form, np.ones(2), np.ones(2))
    >>> jet.slope[0].round(9).tolist(), jet.rows.tolist(), jet.columns.tolist(), jet.second[1].round(9).tolist()
    ([4.0, 10.0], [0, 0, 1], [0, 1, 1], [2.0, 2.0, 8.0])
    """

    def __init__(self, domain: Any, variables: Sequence[Atom]) -> None:
        super().__init__(domain, {})
        self.place = {atom: k for k, atom in enumerate(variables)}
        self._numbers: Iterator[Any] = iter(())

    def sparse(self, form: Form, lower: Array, upper: Array) -> SparseJet:
        """Slopes and second derivatives on a box given by ends for all variables."""
        n = len(self.place)
        slopes: list[tuple[Array, Array, Array]] = []
        seconds: list[tuple[Array, Array, Array]] = []
        groups: dict[Any, list[tuple[Atom, list[int], list[Any]]]] = {}
        for atom, c in form.terms:
            slots: dict[Atom, int] = {}
            numbers = [c]
            key = _described(atom, slots, numbers)
            if len(slots) > TOGETHER:
                raise Rough(atom.kind)
            groups.setdefault(key, []).append((atom, [self.place[v] for v in slots], numbers))
        for members in groups.values():
            where = np.array([places for _, places, _ in members], np.int64).reshape(len(members), -1)
            jet = self._together(members, where, lower, upper)
            for i, d in jet.slope.items():
                slopes.append((where[:, i], *_wide(d, len(members))))
            for (i, j), h in jet.second.items():
                first, second = np.minimum(where[:, i], where[:, j]), np.maximum(where[:, i], where[:, j])
                seconds.append((first * n + second, *_wide(h, len(members))))
        index, low, high = _added(slopes)
        slope = np.zeros(n), np.zeros(n)
        slope[0][index], slope[1][index] = low, high
        index, low, high = _added(seconds)
        return SparseJet(slope, index // n, index % n, (low, high))

    def _together(self, members: Sequence[Any], where: Array, lower: Array, upper: Array) -> Jet:
        """The jet of terms that do the same; variables are numbered by where they come up first."""
        atom, places, _ = members[0]
        names = {k: v for v, k in self.place.items() if k in set(places)}
        self._memo, self._forms = {}, {}
        for i, k in enumerate(places):
            box = self.numbers.between(lower[where[:, i]], upper[where[:, i]])
            self._memo[names[k]] = Jet(box, {i: self._number(1.0)}, {})
        columns = zip(*(numbers for _, _, numbers in members), strict=True)
        pairs = [np.array([ends(c) for c in column]) for column in columns]
        self._numbers = iter([self.numbers.between(pair[:, 0], pair[:, 1]) for pair in pairs])
        whole = next(self._numbers)
        jet = self.atom(atom)
        return Jet(None, self._times(whole, jet.slope), self._times(whole, jet.second))

    def of(self, form: Form) -> Jet:
        """The jet of an operand, with the numbers of all terms that are evaluated together."""
        value = self._number(0.0)
        slope: dict[int, Any] = {}
        second: dict[tuple[int, int], Any] = {}
        for atom, _ in form.terms:
            k = next(self._numbers)
            jet = self.atom(atom)
            value = self._add(value, self._mul(k, jet.value))
            slope, second = (self._sum(s, self._times(k, t)) for s, t in ((slope, jet.slope), (second, jet.second)))
        return Jet(self._add(value, next(self._numbers)), slope, second)

    def atom(self, atom: Atom) -> Jet:
        """The jet of an atom, made anew wherever it stands."""
        found = self._memo.get(atom)
        return found if found is not None else self._computed(atom)


def _described(atom: Atom, slots: dict[Atom, int], numbers: list[Any]) -> Any:
    """What an atom does, without its variables and numbers, which are collected in the order of a walk."""
    if atom.kind == "variable":
        return slots.setdefault(atom, len(slots))
    if atom.kind == "number":
        return "number", atom.index
    if atom.lost is not None:
        raise Rough(atom.kind)
    data = (atom.data.name, atom.data.parameters) if atom.kind == "unary" else str(atom.data)
    parts = []
    for form in atom.args:
        for inner, c in form.terms:
            numbers.append(c)
            parts.append(_described(inner, slots, numbers))
        numbers.append(form.constant)
        parts.append("end")
    return atom.kind, data, tuple(parts)


def _wide(value: Any, count: int) -> tuple[Array, Array]:
    low, high = (np.broadcast_to(end, (count,)) for end in value.bounds)
    return low, high


def _added(parts: Sequence[tuple[Array, Array, Array]]) -> tuple[Array, Array, Array]:
    """Sums by index, rounded outward: m numbers in any order are off by at most 1.01 m u times their sizes."""
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
    index, low, high = (np.concatenate([part[k] for part in parts]) for k in range(3))
    places, back, counts = np.unique(index, return_inverse=True, return_counts=True)
    sums = []
    for values, sign in ((low, -1.0), (high, 1.0)):
        total, size = (np.bincount(back, weights=w, minlength=len(places)) for w in (values, np.abs(values)))
        error = np.where((counts > 1) & (size > 0), 1.01 * (counts + 2) * 2.0**-53 * size + 1e-300, 0.0)
        sums.append(np.where(error > 0, np.nextafter(total + sign * error, sign * np.inf), total))
    return places, sums[0], sums[1]
