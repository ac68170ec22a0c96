"""The signs of the eigenvalues of every symmetric matrix in an interval matrix, by L D L' with intervals.

With V near the eigenvectors of the middle, scaled so that V'HV is nearly diagonal with entries of size one, elimination
without pivoting gives V'HV = L D L' in intervals. If no pivot in D may be zero, H is not singular and has as many
positive and negative eigenvalues as D (Sylvester's law of inertia: Golub and Van Loan, *Matrix Computations*, 4th ed.,
2013, section 8.1.5).
"""

from __future__ import annotations

import numpy as np

from qed.calculus.bounding.forms import product
from qed.domains.intervals import Intervals

Array = np.ndarray


def inertia(matrix: Intervals) -> tuple[int, int] | None:
    """How many eigenvalues are negative, and how many positive, in all the matrices; None where that is not decided.

    Args:
        matrix: enclosures of the entries, (n, n).

    >>> import numpy as np
    >>> from qed.calculus.points.inertia import inertia
    >>> from qed.domains.intervals import Intervals
    >>> saddle, wide = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[-0.1, 1.0], [1.0, -1e-9]])
    >>> inertia(Intervals(saddle, saddle)), inertia(Intervals(np.minimum(wide, 0), np.eye(2)))
    ((1, 1), None)
    """
    if not (np.all(np.isfinite(matrix.lower)) and np.all(np.isfinite(matrix.upper))):
        return None
    middle = (matrix.lower + matrix.upper) / 2
    values, vectors = np.linalg.eigh((middle + middle.T) / 2)
    scale = np.sqrt(np.maximum(np.abs(values), np.finfo(float).tiny))
    basis = Intervals.point((vectors / scale)[None])
    across = basis.map(lambda a: np.swapaxes(a, 1, 2))
    turned = product(product(across, matrix.map(lambda a: a[None])), basis)
    rest = turned.map(lambda a: a[0])
    negative = positive = 0
    for _ in range(len(values)):
        pivot = rest.map(lambda a: a[:1, :1])
        if pivot.lower.item() > 0:
            positive += 1
        elif pivot.upper.item() < 0:
            negative += 1
        else:
            return None
        column = rest.map(lambda a: a[1:, :1])
        taken = (column / pivot) * column.map(np.transpose)
        rest = rest.map(lambda a: a[1:, 1:]) - taken
    return negative, positive
