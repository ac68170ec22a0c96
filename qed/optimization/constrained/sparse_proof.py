"""The proof of a KKT point of a problem of a thousand numbers whose derivatives have few entries.

The eigenvalue of least size of K = [[H, -J'], [-J, 0]], m, comes from inverse iteration with a sparse LU
factorisation; the slope of the Lagrangian that rounding leaves, with room, says how large the box has to be: its
half-width is above 2 |grad L| / m. All else is the certificate's (`qed.certificates.sparse_kkt`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from qed.calculus.points.sparse import SINGULAR, least_in_size
from qed.certificates.banded import WIDEST, bandwidth
from qed.certificates.certificate import Subject
from qed.certificates.sparse_critical import length
from qed.certificates.sparse_kkt import SparseKKT
from qed.errors import CertificateError, QedError
from qed.graph.walk import TooLong
from qed.optimization.constrained.polish import KKT, Active
from qed.optimization.constrained.problem import Constrained
from qed.optimization.kkt_box import values

Array = np.ndarray
MOST = 2500
"""Of how many numbers and active rows together a proof is tried: it takes about 8 ms of processor time for each."""
SHARES = (1e-10, 1e-8)
"""How large a box is tried, relative to 1 + the largest number in it."""


def sparse_proof(
    problem: Constrained, kkt: KKT, active: Active, subject: Subject, point: Array, center: Array, held: Array
) -> SparseKKT | str:
    """A certificate that verifies, or what is missing for it, in words.

    Args:
        problem: what was minimised.
        kkt: a polished KKT point.
        active: what holds it.
        subject: the function (f, h..., g...) at the point.
        point: where the claim is about.
        center: the numbers of x and the multipliers of the rows that hold.
        held: which of them do not vary.
    """
    n, varies = problem.n, np.flatnonzero(~held)
    matrix, slope = _system(problem, kkt, active, center)
    matrix, slope = scipy.sparse.csc_array(matrix[varies][:, varies]), slope[varies]
    if not len(varies):
        return "bounds hold every number"
    rows, columns = matrix.nonzero()
    if bandwidth(rows, columns, len(varies))[1] > WIDEST:
        return "the entries of the KKT system do not come near its diagonal in any order that was tried"
    size = float(np.abs(matrix.data).max(initial=0.0))
    try:
        least = least_in_size(scipy.sparse.linalg.splu(scipy.sparse.csc_matrix(matrix)).solve, len(varies))
    except RuntimeError:  # exactly singular
        least = 0.0
    if not SINGULAR * size < least < np.inf:
        return f"the KKT system is nearly singular (eigenvalues from {least:.2g} to about {size:.2g})"
    rest = float(np.linalg.norm(slope)) + 1e-15 * size * float(np.linalg.norm(center))
    shift, why = 0.9 * least, ""
    for share in SHARES:
        r = max(8 * rest / least, share * (1 + float(np.abs(center).max(initial=0.0))))
        radius = np.where(held, 0.0, r)
        distance = (length(center[:n] - point) + r) * (1 + 2.0**-40)
        try:
            made = SparseKKT.about(
                subject.fun, subject.at, subject.args, equalities=problem.equalities, rows=active.rows.tolist(),
                center=center.tolist(), radius=radius.tolist(), distance=distance,
                value=values(subject.traced(), center[:n], radius[:n]), shift=shift, curvature=0.9 * shift,
                at_lower=active.lower.tolist(), at_upper=active.upper.tolist(),
                bounds=(problem.bounds.lower, problem.bounds.upper),
            )  # fmt: skip
            made.verify()
        except CertificateError as error:
            why = f"{error.node}: {error.why}"
            if error.node != "radius":
                break
            continue
        except (TooLong, QedError, MemoryError) as error:
            return str(error)
        return made
    return f"the enclosures do not decide it ({why})"


def _system(problem: Constrained, kkt: KKT, active: Active, center: Array) -> tuple[Any, Array]:
    """K, and the slope of the Lagrangian, in all numbers of x and the multipliers of the rows that hold."""
    y = np.zeros(problem.rows)
    y[active.rows] = center[problem.n :]
    here = kkt.seen
    J = scipy.sparse.csr_array(here.J)[active.rows]
    H = scipy.sparse.csr_array(problem.hessian(here.x, y))
    k = len(active.rows)
    matrix = scipy.sparse.block_array([[H, -J.T], [-J, scipy.sparse.csr_array((k, k))]]).tocsr() if k else H
    return matrix, np.concatenate([here.g - here.J.T @ y, -here.c[active.rows]])
