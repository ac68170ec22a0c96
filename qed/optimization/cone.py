"""The least curvature along a cone: what the second-order test asks where constraints hold a point with no force.

On K = {d : E d = 0, A d >= 0} the quotient d'H d / d'd is least in the relative interior of some face of K, where some
rows A_S are 0 and the others positive; there d is an eigenvector of H on the null space of E and A_S. So H is positive
on K if and only if no face holds an eigenvector of an eigenvalue <= 0 (Kaplan, *A test for copositive matrices*, Linear
Algebra and its Applications 313, 2000). The faces are gone through one by one: 2^k of k rows.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import scipy
import scipy.linalg

Array = np.ndarray
ROWS, SIZE = 8, 100
"""How many rows and numbers there may be."""
INSIDE = 1e-9
"""How far a vector of length 1 may be outside a row of length 1."""


@dataclass(frozen=True, eq=False)
class Least:
    """The least curvature along a cone, inf where it is the origin alone, and a vector of it."""

    curvature: float
    vector: Array


def least_on_cone(H: Array, equal: Array, above: Array, zero: float) -> Least | None:
    """The least curvature along {d : equal d = 0, above d >= 0}, of those up to `zero`; else the least positive one.

    None where there are too many rows or numbers.

    Example:
        >>> none = np.zeros((0, 2))
        >>> least_on_cone(np.array([[2.0, 3.0], [3.0, 2.0]]), none, np.eye(2), 1e-9).curvature.__round__(9)
        2.0
        >>> found = least_on_cone(np.array([[2.0, -3.0], [-3.0, 2.0]]), none, np.eye(2), 1e-9)
        >>> round(found.curvature, 9), found.vector.round(3).tolist()
        (-1.0, [0.707, 0.707])
    """
    n = len(H)
    lengths = np.linalg.norm(above, axis=1)
    above = above[lengths > 0] / lengths[lengths > 0, None]
    if len(above) > ROWS or n > SIZE:
        return None
    best = Least(np.inf, np.zeros(n))
    for count in range(len(above) + 1):
        for face in itertools.combinations(range(len(above)), count):
            found = _on_face(H, np.vstack([equal, above[list(face)]]), np.delete(above, face, axis=0), zero)
            best = found if found is not None and found.curvature < best.curvature else best
    return best


def _on_face(H: Array, equal: Array, above: Array, zero: float) -> Least | None:
    """The least eigenvalue on a face one of whose eigenvectors lies in the cone."""
    basis = scipy.linalg.null_space(equal, rcond=1e-10) if len(equal) else np.eye(len(H))
    if not basis.shape[1]:
        return None
    values, vectors = np.linalg.eigh(basis.T @ H @ basis)
    i = 0
    while i < len(values):
        near = np.flatnonzero(np.abs(values - values[i]) <= max(zero, 1e-9 * abs(values[i])))
        inside = _inside(basis @ vectors[:, near], above)
        if inside is not None:
            return Least(float(values[i]), inside)
        i = int(near[-1]) + 1
    return None


def _inside(space: Array, above: Array) -> Array | None:
    """A vector of length 1 of a space in the cone; None where there is none but 0."""
    if not len(above):
        return space[:, 0]
    if space.shape[1] == 1:
        for way in (space[:, 0], -space[:, 0]):
            if np.all(above @ way >= -INSIDE):
                return way
        return None
    k, rows = space.shape[1], above @ space
    for j, sign in itertools.product(range(k), (1.0, -1.0)):  # the largest of its numbers is 1
        ends = [(sign, sign) if i == j else (-1.0, 1.0) for i in range(k)]
        found = scipy.optimize.linprog(np.zeros(k), -rows, np.full(len(rows), INSIDE), bounds=ends)
        if found.status == 0:
            way = space @ found.x
            return way / np.linalg.norm(way)
    return None
