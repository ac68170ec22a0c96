"""Colouring: the groups of columns of a sparse matrix that one product can carry together.

The Jacobian times the sum of some of its columns' unit vectors shows every entry of these columns by itself if no row
has entries in two of them: columns of one colour do not meet in a row (Curtis, Powell and Reid, *On the estimation of
sparse Jacobian matrices*, 1974; a distance-2 colouring of the columns). For a symmetric matrix an entry (i, j) may be
read in row i or in row j, and less is needed: neighbours differ, and no path of four vertices has two colours only (a
*star* colouring: Coleman and Moré, *Estimation of sparse Hessian matrices and graph coloring problems*, 1984). An
arrow then takes 2 colours whatever its size, where columns that do not meet take n.

To find the fewest colours is NP-hard. The greedy rule gives each vertex the least colour that its neighbourhood allows;
how many come out depends on the order, so that several orders are tried: as it stands, largest first, and smallest last
(Gebremedhin, Manne and Pothen, *What color is your Jacobian?*, SIAM Review 47, 2005). Every colouring is checked
before use: the entry that is read has to be alone in its row and colour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np
import scipy.sparse

from qed.domains.index_sets import Sets

Array = np.ndarray
ENOUGH = 2_000_000
"""How many steps (in units of a member of a small set) a colouring may take before no second order is tried."""


@dataclass(frozen=True, eq=False)
class Colouring:
    """Colours of the columns of a pattern, and where each entry is read in the product with the colours' sums.

    Args:
        colours: the colour of each column, from 0 on; -1 for a column without entries.
        count: how many colours there are: the number of products.
        rows: for each entry of the pattern, in its order, the row of the product that shows it.
        groups: for each entry, the colour that shows it.
    """

    colours: Array
    count: int
    rows: Array
    groups: Array

    def read(self, compressed: Array) -> Array:
        """The entries of the matrix, from its products (count, rows) with the sums of the columns of each colour."""
        return compressed[self.groups, self.rows]


def column_colouring(pattern: Sets, width: int) -> Colouring:
    """Colours of the columns such that no row has two entries of one colour.

    Args:
        pattern: the columns of each row.
        width: how many columns there are.

    Example:
        >>> band = Sets.of(np.repeat(np.arange(6), 3), (np.arange(6)[:, None] + np.arange(3)).ravel(), 6)
        >>> found = column_colouring(band, 8)
        >>> found.count, found.colours.tolist()
        (3, [0, 1, 2, 0, 1, 2, 0, 1])
    """
    columns = [row.tolist() for row in Sets.of(pattern.members, pattern.owners, width).rows()]
    least = int(pattern.lengths.max(initial=0))
    best = np.full(width, -1)
    fewest = width + 1
    for order in _orders(pattern, columns, width):
        used: list[set[int]] = [set() for _ in range(len(pattern))]
        colours = np.full(width, -1)
        work = 0
        for column in order:
            rows = columns[column]
            if not rows:
                continue
            taken = set().union(*(used[row] for row in rows))
            colour = _least(taken)
            for row in rows:
                used[row].add(colour)
                work += len(used[row])
            colours[column] = colour
        count = int(colours.max(initial=-1)) + 1
        if count < fewest:
            best, fewest = colours, count
        if fewest <= least or work > ENOUGH:
            break
    return _checked(pattern, best, pattern.owners, best[pattern.members])


def _orders(pattern: Sets, columns: list[list[int]], width: int) -> Iterator[list[int]]:
    """The columns as they stand, and those that meet most others first (by the lengths of their rows)."""
    yield list(range(width))
    lengths = pattern.lengths
    meets = np.array([int(lengths[rows].sum()) for rows in columns])
    yield np.argsort(-meets, kind="stable").tolist()


def star_colouring(pattern: Sets) -> Colouring:
    """Colours of the columns of a symmetric pattern such that each entry can be read in its row or in its column's.

    Args:
        pattern: the columns of each row; symmetric.

    Example:
        >>> rows, columns = np.nonzero(np.eye(6) + np.eye(6)[[0] * 6].T + np.eye(6)[[0] * 6])
        >>> arrow = Sets.of(rows, columns, 6)
        >>> star_colouring(arrow).count, column_colouring(arrow, 6).count
        (2, 6)
    """
    owners, members = pattern.owners, pattern.members
    if 2 * len(members) > len(pattern) ** 2:  # columns that mostly meet: each its own
        there = np.cumsum(pattern.lengths > 0) - 1
        low, high = np.minimum(owners, members), np.maximum(owners, members)
        return _checked(pattern, np.where(pattern.lengths > 0, there, -1), low, there[high])
    beside = Sets.of(owners[owners != members], members[owners != members], len(pattern))
    near = [row.tolist() for row in beside.rows()]
    lone = (pattern.lengths == 0).tolist()
    best: list[int] = []
    fewest = len(near) + 1
    for order in _star_orders(near):
        colours, work = _star(near, lone, order)
        count = max(colours, default=-1) + 1
        if count < fewest:
            best, fewest = colours, count
        if fewest <= 2 or work > ENOUGH:
            break
    colours = np.array(best, np.int64)
    low, high, base = np.minimum(owners, members), np.maximum(owners, members), max(fewest, 1)
    held = np.bincount(owners * base + colours[members], minlength=len(pattern) * base)
    alone = held[low * base + colours[high]] == 1  # (i, j) and (j, i) are read at one place: the result is symmetric
    return _checked(pattern, colours, np.where(alone, low, high), np.where(alone, colours[high], colours[low]))


def _star(near: list[list[int]], lone: list[bool], order: list[int]) -> tuple[list[int], int]:
    """One greedy star colouring, and how much work it was.

    For each vertex w, `seen[w]` counts its coloured neighbours by colour. A vertex v next to w may not have the colour
    C of another neighbour x of w where x has two neighbours of w's colour (v - w - x - y would have two colours), nor,
    where v has two neighbours w, u of one colour, any colour next to either (u - v - w - x).
    """
    colours = [-1] * len(near)
    seen: list[dict[int, int]] = [{} for _ in near]
    barred: list[set[int]] = [set() for _ in near]  # colours C of x next to w with two neighbours of w's colour
    work = 0
    for v in order:
        if lone[v]:
            continue
        taken: set[int] = set()
        for w in near[v]:
            c = colours[w]
            if c < 0:
                continue
            taken.add(c)
            around = seen[w] if seen[v][c] > 1 else barred[w]
            taken.update(around)
            work += len(around) + 1
        mine = colours[v] = _least(taken)
        for w in near[v]:
            count = seen[w].get(mine, 0) + 1
            seen[w][mine] = count
            if count == 2:  # now w is the middle of a star of this colour: its coloured neighbours of it are ends
                for x in near[w]:
                    if colours[x] == mine and colours[w] >= 0:
                        barred[x].add(colours[w])
            elif count > 2 and colours[w] >= 0:
                barred[v].add(colours[w])
        for c, count in seen[v].items():
            if count > 1:
                for w in near[v]:
                    if colours[w] == c:
                        barred[w].add(mine)
    return colours, work


def _least(taken: set[int]) -> int:
    colour = 0
    while colour in taken:
        colour += 1
    return colour


def _star_orders(near: list[list[int]]) -> Iterator[list[int]]:
    """As it stands; largest first; smallest last."""
    degrees = [len(row) for row in near]
    yield sorted(range(len(near)), key=lambda v: -degrees[v])
    yield list(range(len(near)))
    yield _smallest_last(near)


def _smallest_last(near: list[list[int]]) -> list[int]:
    """The vertices such that each has the fewest neighbours among those before it (Matula and Beck, 1983)."""
    left = [len(row) for row in near]
    heap = [(degree, v) for v, degree in enumerate(left)]
    heapify(heap)
    gone = [False] * len(near)
    order = []
    while heap:
        degree, v = heappop(heap)
        if gone[v] or degree != left[v]:
            continue
        gone[v] = True
        order.append(v)
        for w in near[v]:
            if not gone[w]:
                left[w] -= 1
                heappush(heap, (left[w], w))
    return order[::-1]


def _checked(pattern: Sets, colours: Array, rows: Array, groups: Array) -> Colouring:
    """The colouring, if every entry is alone in the row and colour where it is read."""
    count = int(colours.max(initial=-1)) + 1
    base = max(count, 1)
    held = np.bincount(pattern.owners * base + colours[pattern.members], minlength=len(pattern) * base)
    if not (held[rows * base + groups] == 1).all():
        message = "two entries of a row share a colour"
        raise AssertionError(message)
    return Colouring(colours, count, rows, groups)


def compressed(matrix: scipy.sparse.csr_array, colours: Array, count: int) -> Array:
    """The products (count, rows) of a matrix with the sums of the columns of each colour: what a program would return.

    >>> arrow = scipy.sparse.csr_array(np.array([[2.0, 3.0], [3.0, 5.0]]))
    >>> compressed(arrow, np.array([0, 1]), 2).tolist()
    [[2.0, 3.0], [3.0, 5.0]]
    """
    there = np.flatnonzero(colours >= 0)
    seeds = scipy.sparse.csr_array((np.ones(len(there)), (there, colours[there])), shape=(len(colours), count))
    return scipy.sparse.csr_array(matrix @ seeds).toarray().T
