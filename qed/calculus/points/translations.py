"""Straight lines along which a function is the same, whatever point they go through.

Where f(x + t v) = f(x) for all x and t the Hessian takes v to zero at every point. So the directions looked for are
those, among the flat ones of a critical point, that the Hessian takes to zero at another point as well: a linear model
of rank-deficient data has them, a sum, a difference. Of the span of these, vectors with few and short numbers are
chosen by elimination: (1, -1, 0), and not a mixture that the eigenvectors happen to be.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qed.calculus.points.case import Case
from qed.calculus.points.located import local
from qed.calculus.points.symmetries import Motion, starts

Array = np.ndarray
ZERO = 1e-9
"""Which part of the largest curvature at the other point is zero there."""
SHORT = 2.0**10
"""Numbers are rounded to multiples of 1 / SHORT where that changes them by less than `ROUNDED`."""
ROUNDED = 1e-11
NAMED = 3
"""Up to how many entries a direction is written out."""


def translations(case: Case, center: Array, flat: Array, known: Sequence[Motion]) -> list[Motion]:
    """The lines that may leave f as it is, beside the motions that are known; not checked by moving.

    Args:
        case: the function.
        center: the critical point.
        flat: the flat directions, orthonormal columns.
        known: motions whose generators are left out.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> p, flat = np.zeros(2), np.array([[1.0], [-1.0]]) / np.sqrt(2)
    >>> for f in (lambda x: (x[0] + x[1]) ** 2, lambda x: (x[0] + x[1]) ** 2 + x[0] ** 4):
    ...     [motion.name for motion in translations(Case(f, p, (), read(f, p)), p, flat, [])]
    ['moving x[0] by t and x[1] by -t changes nothing']
    []
    """
    rest = left(flat, known)
    if rest.shape[1] == 0:
        return []
    there = local(case.boxes, *(starts(case, center)[1][0],) * 2)
    largest = float(np.max(np.abs(there.matrix), initial=0.0))
    if not there.smooth or not np.isfinite(largest) or largest == 0:
        return []
    _, sizes, turned = np.linalg.svd(there.matrix @ rest)
    sizes = np.concatenate([sizes, np.zeros(rest.shape[1] - len(sizes))])
    return [_motion(case, v) for v in _eliminated((rest @ turned[sizes <= ZERO * largest].T).T)]


def left(flat: Array, known: Sequence[Motion]) -> Array:
    """Orthonormal columns of what the generators of the known motions do not span of the flat directions (columns)."""
    if not known:
        return flat
    spanned, _ = np.linalg.qr(np.column_stack([m.generator / np.linalg.norm(m.generator) for m in known]))
    left, sizes, _ = np.linalg.svd(flat - spanned @ (spanned.T @ flat), full_matrices=False)
    return left[:, sizes > 0.5]


def _eliminated(rows: Array) -> Array:
    """The same span by vectors with a 1 where the others have a 0, short numbers where they may be rounding."""
    rows = rows.copy()
    for k in range(len(rows)):
        size = np.abs(rows[k:])
        i, j = np.unravel_index(np.argmax(size >= size.max() * (1.0 - ROUNDED)), size.shape)  # the first of equals
        rows[[k, k + i]] = rows[[k + i, k]]
        rows[k] /= rows[k, j]
        for other in range(len(rows)):
            if other != k:
                rows[other] -= rows[other, j] * rows[k]
    short = np.round(rows * SHORT) / SHORT
    return np.where(np.abs(short - rows) <= ROUNDED, short, rows)


def _motion(case: Case, direction: Array) -> Motion:
    single = np.count_nonzero(direction) == 1
    name = f"{_told(case, direction)} changes nothing"
    return Motion(name, direction, lambda at, t: at + t * direction, single=single, straight=True)


def _told(case: Case, direction: Array) -> str:
    """'moving x[0] by t and x[1] by -t', or the shares of the direction where it has many entries."""
    way = case.direction(direction, 0.0)
    places = np.flatnonzero(direction)
    whole = np.all(np.round(direction * SHORT) == direction * SHORT)
    if len(places) > NAMED or not whole:
        return f"moving along {way.named()}"
    names = case.function.coordinates
    parts = [f"{names[i]} by {_times(direction[i])}" for i in places]
    return "moving " + ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]


def _times(size: float) -> str:
    return "t" if size == 1 else "-t" if size == -1 else f"{size:.6g} t"
