"""Eigenvalues of a sparse Hessian at a point, each by its number, with a proof.

The entries are enclosed by the term of the function (`qed.domains.curvature_stacked`); Lanczos on the sparse matrix of
their middles proposes eigenvalues and vectors; counting eigenvalues on both sides of each one by L D L' says which they
are (`qed.certificates.sparse_spectrum`). Eigenvalues that are closer to each other than the error are told apart by
number only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse.linalg

from qed.calculus.points.case import Case
from qed.calculus.points.sparse import enclosed, middle
from qed.certificates.banded import WIDEST, bandwidth
from qed.certificates.sparse_spectrum import SparseSpectrum, holds
from qed.errors import CertificateError

Array = np.ndarray
LEAST, MOST = 200, 1000
"""Of how many variables: fewer are done by products in no time, and of more the proof takes too long."""
ENDS = {"magnitude": "LM", "largest": "LA", "smallest": "SA"}
ERRORS = (1e-10, 1e-8, 1e-6)
"""How far an eigenvalue may be off, in shares of the largest entry; the first that is proved is taken."""


@dataclass(frozen=True, eq=False)
class Proved:
    """Eigenvalues in the order that was asked for, their errors, numbers from below, unit vectors, and the proof."""

    values: Array
    errors: Array
    ranks: tuple[int, ...]
    vectors: Array
    certificate: SparseSpectrum


def sparse_eigenvalues(case: Case, k: int, which: str, seed: int) -> Proved | None:
    """The eigenvalues at one end of the spectrum; None where the Hessian is not sparse, or no proof was found."""
    n = case.function.size
    if not (LEAST <= n <= MOST and k < n // 4):
        return None
    found = enclosed(case)
    if found is None:
        return None
    jets, form, _, _ = found
    at = jets.sparse(form, case.point, case.point)
    if bandwidth(at.rows, at.columns, n)[1] > WIDEST or not all(np.all(np.isfinite(end)) for end in at.second):
        return None
    size = float(np.max(np.abs(at.second[1]), initial=0.0))
    try:
        start = np.random.default_rng(seed).standard_normal(n)
        matrix: Any = middle(at, n)
        values, vectors = scipy.sparse.linalg.eigsh(matrix, k=k, which=ENDS[which], v0=start)
    except (scipy.sparse.linalg.ArpackError, scipy.sparse.linalg.ArpackNoConvergence):
        return None
    order = np.argsort(values)
    below = int(np.sum(values < 0)) if which == "magnitude" else k if which == "smallest" else 0
    ranks = {int(i): p if p < below else n - k + p for p, i in enumerate(order)}
    wanted = {"magnitude": -np.abs(values), "largest": -values, "smallest": values}[which]
    from_its_end = [ranks[i] if values[i] < 0 or which == "smallest" else -ranks[i] for i in range(k)]
    chosen = [int(i) for i in np.lexsort((from_its_end, np.round(wanted / (size or 1.0), 12)))]
    errors = []
    for i in chosen:
        tried = (share * size for share in ERRORS)
        error = next((e for e in tried if holds(at, n, float(values[i]), e, ranks[i])), None)
        if error is None:
            return None
        errors.append(error)
    made = SparseSpectrum.about(
        case.fun, case.x, case.args, values=values[chosen].tolist(), errors=errors, ranks=[ranks[i] for i in chosen]
    )
    try:
        made.verify()
    except CertificateError:
        return None
    return Proved(values[chosen], np.array(errors), made.ranks, vectors[:, chosen].T, made)
