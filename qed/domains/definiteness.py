"""Is a symmetric matrix, affine in numbers of a box, positive definite at every point of it? In exact rational numbers.

A(x) = A_0 + sum x_k A_k is bounded below in the Loewner order by one matrix: x_k A_k by its value at the lower end of
x_k where A_k is positive semidefinite, at the upper end where it is negative semidefinite, and else by that at the
middle minus radius times diag(row sums of |A_k|) (Gershgorin). Where that matrix is not definite, and few directions
are neither, the corners are tried: the smallest eigenvalue is concave in x, so that its minimum is at a corner (Boyd
and Vandenberghe, *Convex Optimization*, 2004, section 3.1.5). Definite is decided by the pivots of elimination, which
are all positive exactly then (Golub and Van Loan, *Matrix Computations*, 4th ed., section 4.2). No tolerance enters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

from qed.domains.curvature_terms import Atom, Form

CORNERS = 256
Rows = list[list[Any]]


def symmetric(entries: Sequence[Form], n: int) -> bool:
    """Whether the forms below the diagonal are those above it."""
    return all(entries[i * n + j] is entries[j * n + i] for i in range(n) for j in range(i))


def definite(a: Any, entries: Sequence[Form], n: int) -> bool:
    """Whether a matrix is symmetric, affine in the variables, and positive definite on the whole box.

    >>> from qed.domains.curvature_algebra import Algebra
    >>> from qed.domains.definiteness import definite
    >>> a = Algebra()
    >>> x, y = a.variable(0, "x", (1.0, 2.0)), a.variable(1, "y", (-0.75, 0.75))
    >>> definite(a, (x, y, y, x), 2), definite(a, (x, y, a.number(0), x), 2)
    (True, False)
    """
    if not symmetric(entries, n) or any(form.lost is not None for form in entries):
        return False
    base = [[entries[i * n + j].constant for j in range(n)] for i in range(n)]
    directions: dict[Any, tuple[Rows, Any, Any]] = {}
    for variable in {atom.index: atom for form in entries for atom, _ in form.terms}.values():
        if variable.kind != "variable":
            return False
        _add(a, directions, variable, _slope(a, entries, n, variable))
    return _bounded(a, base, list(directions.values()), n)


def _slope(a: Any, entries: Sequence[Form], n: int, variable: Atom) -> Rows:
    """The matrix that a variable is multiplied by."""
    found = [next((c for atom, c in form.terms if atom is variable), a.zero) for form in entries]
    return [found[i * n : (i + 1) * n] for i in range(n)]


def _add(a: Any, directions: dict[Any, Any], variable: Atom, slope: Rows) -> None:
    """Note x_k A_k as t D with D of first entry 1, together with others along D; None is an infinite end."""
    lead = next(c for row in slope for c in row if c != 0)
    rows = [[c / lead for c in row] for row in slope]
    ends = [None if math.isinf(end) else lead * a.rational(end) for end in (variable.lower, variable.upper)]
    low, high = ends if lead > 0 else ends[::-1]
    key = tuple(str(c) for row in rows for c in row)
    if key in directions:
        _, below, above = directions[key]
        low = None if low is None or below is None else low + below
        high = None if high is None or above is None else high + above
    directions[key] = (rows, low, high)


def _bounded(a: Any, base: Rows, directions: Sequence[tuple[Rows, Any, Any]], n: int) -> bool:
    mixed = []
    for rows, low, high in directions:
        if semidefinite(rows):
            end = low
        elif semidefinite([[-c for c in row] for row in rows]):
            end = high
        else:
            if low is None or high is None:
                return False
            mixed.append((rows, low, high))
            continue
        if end is None:
            return False
        base = _plus(base, rows, end)
    below = base
    for rows, low, high in mixed:
        below = _plus(below, rows, (low + high) / 2)
        sums = [sum((abs(c) for c in row), a.zero) for row in rows]
        spread = [[sums[i] if i == j else a.zero for j in range(n)] for i in range(n)]
        below = _plus(below, spread, (low - high) / 2)
    if positive(below):
        return True
    return 2 ** len(mixed) <= CORNERS and all(
        positive(_corner(base, mixed, which)) for which in product((1, 2), repeat=len(mixed))
    )


def _corner(base: Rows, mixed: Sequence[tuple[Any, ...]], which: Sequence[int]) -> Rows:
    for one, side in zip(mixed, which, strict=True):
        base = _plus(base, one[0], one[side])
    return base


def _plus(base: Rows, rows: Rows, c: Any) -> Rows:
    return [[x + c * y for x, y in zip(r, s, strict=True)] for r, s in zip(base, rows, strict=True)]


def _eliminated(rows: Rows) -> list[Any] | None:
    """The pivots of elimination; None where a zero pivot has something beside it."""
    m, pivots = [list(row) for row in rows], []
    for k in range(len(m)):
        pivot = m[k][k]
        pivots.append(pivot)
        if pivot == 0:
            if any(c != 0 for c in m[k][k + 1 :]):
                return None
            continue
        for i in range(k + 1, len(m)):
            share = m[i][k] / pivot
            for j in range(k + 1, len(m)):
                m[i][j] = m[i][j] - share * m[k][j]
    return pivots


def positive(rows: Rows) -> bool:
    """Whether a symmetric matrix of exact numbers is positive definite."""
    pivots = _eliminated(rows)
    return pivots is not None and all(p > 0 for p in pivots)


def semidefinite(rows: Rows) -> bool:
    """Whether a symmetric matrix of exact numbers is positive semidefinite."""
    pivots = _eliminated(rows)
    return pivots is not None and all(p >= 0 for p in pivots)


def inverse(rows: Rows, zero: Any) -> tuple[Rows | None, Any]:
    """The inverse of a matrix of exact numbers, None for a singular one, and its determinant."""
    n = len(rows)
    m = [[*row, *(zero + (i == j) for j in range(n))] for i, row in enumerate(rows)]
    determinant = zero + 1
    for k in range(n):
        place = next((i for i in range(k, n) if m[i][k] != 0), None)
        if place is None:
            return None, zero
        if place != k:
            m[k], m[place], determinant = m[place], m[k], -determinant
        pivot = m[k][k]
        determinant = determinant * pivot
        m[k] = [c / pivot for c in m[k]]
        for i in range(n):
            if i != k and m[i][k] != 0:
                share = m[i][k]
                m[i] = [x - share * y for x, y in zip(m[i], m[k], strict=True)]
    return [row[n:] for row in m], determinant
