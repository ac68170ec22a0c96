"""Sets of integers, one for each element of an array, as compressed rows.

Row r holds the numbers ``members[starts[r]:starts[r + 1]]``, ascending and without repetition: a boolean matrix by its
non-zero columns (the CSR format; Gustavson, *Two fast algorithms for sparse matrices*, ACM TOMS 4, 1978). What moves
elements takes rows; what sums, multiplies or orders them unites rows. There are never more than `LIMIT` members in one
family of sets, and no more sets: beyond that a sparse matrix is no use, and `TooDense` is raised.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

Array = np.ndarray
LIMIT = 1 << 23
"""How many members one family of sets holds at most."""


class TooDense(Exception):
    """Index sets became too large to be of use."""


@final
@dataclass(frozen=True, eq=False)
class Sets:
    """One set of non-negative integers for each row.

    >>> import numpy as np
    >>> from qed.domains.index_sets import Sets
    >>> x = Sets.singletons(4)
    >>> pairs = x.united(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 0]), 2)
    >>> [row.tolist() for row in pairs.rows()]
    [[0, 1], [0, 2]]
    >>> [row.tolist() for row in pairs.take(np.array([1, -1])).rows()]
    [[0, 2], []]
    """

    starts: Array
    members: Array
    notes: dict[str, Array] = field(default_factory=dict, repr=False)

    @staticmethod
    def empty(count: int) -> Sets:
        """Empty sets."""
        _bounded(count)
        return Sets(np.zeros(count + 1, np.int64), np.zeros(0, np.int64))

    @staticmethod
    def singletons(count: int, first: int = 0) -> Sets:
        """The sets {first}, {first + 1}, ..."""
        return Sets(np.arange(count + 1, dtype=np.int64), np.arange(first, first + count, dtype=np.int64))

    @staticmethod
    def of(rows: Array, members: Array, count: int) -> Sets:
        """The sets of the pairs (row, member), in any order, repeated or not."""
        span = int(members.max(initial=0)) + 1
        keys = np.sort(rows * span + members)
        if len(keys):
            keys = keys[np.concatenate(([True], keys[1:] != keys[:-1]))]
        _bounded(len(keys))
        where = keys // span
        starts = np.searchsorted(where, np.arange(count + 1))
        return Sets(starts.astype(np.int64), keys - where * span)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Array:
        """How many members each set has."""
        return np.diff(self.starts)

    @property
    def owners(self) -> Array:
        """For each member, whose it is."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def rows(self) -> list[Array]:
        """The sets one by one."""
        return [self.members[a:b] for a, b in zip(self.starts[:-1], self.starts[1:], strict=True)]

    def take(self, index: Array) -> Sets:
        """The sets of the given rows; -1 stands for the empty one."""
        _bounded(np.size(index))
        index = np.asarray(index, np.int64).ravel()
        there = index >= 0
        safe = np.where(there, index, 0)
        if not len(self):
            return Sets.empty(len(index))
        lengths = np.where(there, self.lengths[safe], 0)
        starts = np.concatenate(([0], np.cumsum(lengths)))
        _bounded(int(starts[-1]))
        places = np.arange(starts[-1]) + np.repeat(self.starts[safe] - starts[:-1], lengths)
        notes = {}
        if "ids" in self.notes:
            notes["ids"] = np.where(there, self.notes["ids"][safe], 0)
        return Sets(starts, self.members[places], notes)

    def united(self, targets: Array, sources: Array, count: int) -> Sets:
        """For each target the union of the sets of its sources.

        Args:
            targets: for each pair, a row of the result.
            sources: for each pair, a row of this.
            count: how many rows the result has.
        """
        if not len(self.members) or not len(targets):
            return Sets.empty(count)
        _bounded(int(self.lengths[sources].sum()) // 4)
        taken = self.take(sources)
        return Sets.of(np.repeat(targets, taken.lengths), taken.members, count)

    def merged(self, other: Sets) -> Sets:
        """The union row by row."""
        if other is self or not len(other.members):
            return self
        if not len(self.members):
            return other
        if np.array_equal(self.starts, other.starts) and np.array_equal(self.members, other.members):
            return self
        rows = np.concatenate((self.owners, other.owners))
        return Sets.of(rows, np.concatenate((self.members, other.members)), len(self))

    def whole(self) -> Sets:
        """One set, the union of all."""
        found = np.unique(self.members)
        return Sets(np.array([0, len(found)], np.int64), found)

    def where(self, kept: Array) -> Sets:
        """The sets of the marked rows, the others empty."""
        if not len(self.members) or kept.all():
            return self
        return self.take(np.where(kept, np.arange(len(self)), -1))

    def holds(self, other: Sets) -> bool:
        """Whether every set contains the other's."""
        return len(self.merged(other).members) == len(self.members)


def stacked(families: list[Sets]) -> Sets:
    """The rows of several families on top of each other."""
    lengths = np.concatenate([np.zeros(1, np.int64), *(family.lengths for family in families)])
    starts = np.cumsum(lengths)
    _bounded(int(starts[-1]))
    return Sets(starts, np.concatenate([np.zeros(0, np.int64), *(family.members for family in families)]))


def _bounded(count: int) -> None:
    if count > LIMIT:
        message = f"more than {LIMIT} index pairs"
        raise TooDense(message)


class Interned:
    """Numbers for different sets: equal sets have equal numbers, and 0 is the empty set.

    Rows are told apart by sums of random numbers first, and then compared member by member: the numbering is exact.

    >>> import numpy as np
    >>> from qed.domains.index_sets import Interned, Sets
    >>> known = Interned(9)
    >>> a, b, c, d = known.ids(Sets.of(np.array([0, 1, 2, 2]), np.array([5, 5, 5, 6]), 4)).tolist()
    >>> a == b, b == c, d
    (True, False, 0)
    """

    def __init__(self, span: int) -> None:
        rng = np.random.default_rng(0)
        self._weights = rng.integers(0, 1 << 63, span, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        self._known: dict[bytes, int] = {b"": 0}
        self._sets: list[Array] = [np.zeros(0, np.int64)]

    def ids(self, sets: Sets) -> Array:
        """The number of each set."""
        if "ids" not in sets.notes:
            sets.notes["ids"] = self._numbered(sets)
        return sets.notes["ids"]

    def table(self) -> Sets:
        """The sets by their numbers."""
        lengths = np.array([0, *(len(one) for one in self._sets)])
        return Sets(np.cumsum(lengths), np.concatenate(self._sets))

    def _numbered(self, sets: Sets) -> Array:
        sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(self._weights[sets.members])))
        hashes = sums[sets.starts[1:]] - sums[sets.starts[:-1]]
        _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        chosen = sets.take(first)
        copies = chosen.take(inverse)
        if not (np.array_equal(copies.starts, sets.starts) and np.array_equal(copies.members, sets.members)):
            chosen, inverse = sets, np.arange(len(sets))
        numbers = np.empty(len(chosen), np.int64)
        for place, row in enumerate(chosen.rows()):
            key = row.tobytes()
            number = self._known.get(key)
            if number is None:
                number = self._known[key] = len(self._sets)
                self._sets.append(row)
            numbers[place] = number
        return numbers[inverse.ravel()]
