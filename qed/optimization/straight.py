"""Straight falls: f has a slope along a line on which it does not bend, so that it may fall along it for ever.

Of x + y^4 the Hessian is singular at each point, and -1 in its null space is the slope along (-1, 0). A run learns so
only after hundreds of steps, each twice as long as the last, and halts on the way where the numbers in which f bends
have become rounding. So the null space is asked at a point near the start. In reduced echelon form, with the places at
which the Hessian bends most as pivots p,

    b_j = e_j - sum_p C_pj e_p,    C = V_p^-T V_j^T,    V the range of H,

its vectors are in the short numbers of which the program is made (Golub and Van Loan, *Matrix Computations*, 4th ed.,
2013, section 5.4.2), and along such a vector what does not bend stays exactly as it is, however far out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from qed.optimization.bounds import Bounds
from qed.optimization.factorisation import factorised
from qed.optimization.objective import Objective, Seen
from qed.optimization.probing import ray

Array = np.ndarray
NONE = 16.0
"""How many roundings, times n, a curvature may be to be none."""
LARGEST = 12
"""Up to which denominator the numbers of a vector are recognised as ratios."""
TRIED = 3
"""Along how many of the vectors with the largest slopes f is asked."""
NEAR, FAR, STRAIGHT = 1.0, 1e3, 1e-3
"""At which distances, relative to 1 + |x|, f is to be as its slope says, and up to which part of that."""


@np.errstate(over="ignore", invalid="ignore")
def straight_way(objective: Objective, here: Seen, matrix: Any, bounds: Bounds) -> tuple[Seen, Array] | None:
    """A point, and a unit vector along which f falls for ever from there as far as was looked; None if none is known.

    The point is the one asked about, or that with no part along what bends, where a slope that is left is not hidden
    by what bends.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> f = Objective(read(lambda x: x[0] + (x[0] + x[1]) ** 4, jnp.ones(2)))
    >>> box, here = Bounds(np.full(2, -np.inf), np.full(2, np.inf)), f.at(np.ones(2))
    >>> (straight_way(f, here, f.matrix(here.x), box)[1] * 2**0.5).round(9).tolist()
    [-1.0, 1.0]
    """
    if not bounds.open or factorised(matrix) is not None:
        return None
    dense = np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix)
    try:
        values, vectors = scipy.linalg.eigh(dense)
    except (np.linalg.LinAlgError, ValueError):
        return None
    zero = NONE * len(values) * objective.eps * float(np.abs(values).max(initial=0.0))
    bent = vectors[:, np.abs(values) > zero]
    way = _down(objective, here, bent, bounds)
    if way is not None or not bent.shape[1] or bent.shape[1] == len(values):
        return None if way is None else (here, way)
    there = objective.at(here.x - bent @ (bent.T @ here.x))
    way = _down(objective, there, bent, bounds) if there.finite else None
    return None if way is None else (there, way)


def _down(objective: Objective, here: Seen, bent: Array, bounds: Bounds) -> Array | None:
    """A unit vector across what bends along which f falls for ever, as its slope says; None where none is known."""
    rest, most = here.g - bent @ (bent.T @ here.g), NONE * len(here.g) * objective.eps
    if not float(np.linalg.norm(rest)) > most * float(np.linalg.norm(here.g)):
        return None
    near, noise = 1 + float(np.linalg.norm(here.x)), objective.noise(here.f)
    for way in _short(bent, here.g):
        slope = float(here.g @ way)
        there = ((t, objective.at(here.x + t * near * way)) for t in (NEAR, FAR))
        falls = ((-slope * t * near, here.f - seen.f) for t, seen in there)
        if not all(abs(fell - told) <= STRAIGHT * told + 10 * noise for told, fell in falls):
            continue
        found = ray(objective, here, way, bounds, noise)
        if found is not None and found.kind == "unbounded":
            return way
    return None


def _short(bent: Array, g: Array) -> list[Array]:
    """Unit vectors, down the slope, of the null space in short numbers; those of the steepest slopes.

    >>> third = np.array([[1.0], [1.0], [2.0]]) / 6**0.5
    >>> np.allclose(_short(third, np.array([1.0, 0.0, 0.0]))[0] * 1.25**0.5, [-1.0, 0.0, 0.5])
    True
    """
    n, rank = bent.shape
    ordered: Any = scipy.linalg.qr(bent.T, mode="economic", pivoting=True) if rank else (np.zeros(0, int),)
    pivots = ordered[-1][:rank]
    others = np.setdiff1d(np.arange(n), pivots)
    if not len(others):
        return []
    ratios = np.linalg.solve(bent[pivots].T, bent[others].T) if rank else np.zeros((0, n))
    slopes = g[others] - ratios.T @ g[pivots]
    lengths = np.sqrt(1 + np.sum(ratios**2, axis=0))
    found = []
    for j in np.argsort(-np.abs(slopes) / lengths, kind="stable")[:TRIED]:
        way = np.zeros(n)
        way[others[j]], way[pivots] = 1.0, -_as_ratios(ratios[:, j])
        slope = float(g @ way)
        if slope:
            found.append(-np.sign(slope) * way / float(np.linalg.norm(way)))
    return found


def _as_ratios(numbers: Array) -> Array:
    """Numbers as ratios of whole ones with a common denominator, where they nearly are; else as they are."""
    for k in range(1, LARGEST + 1):
        whole = np.round(k * numbers)
        if np.all(np.abs(k * numbers - whole) <= 1e-4 * k):
            return whole / k
    return numbers
