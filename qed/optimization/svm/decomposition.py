"""libsvm's iterations: sequential minimal optimisation of the dual problem, two multipliers at a time.

Where the kernel matrix is at hand libsvm is asked for it directly, through the function that scikit-learn's estimator
calls: the estimator would look through the n^2 numbers and the labels again, which takes longer than libsvm itself on
some hundreds of rows. Reference: Chang and Lin, "LIBSVM", 2011; Fan, Chen and Lin, JMLR 6, 2005.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn import svm as scikit
from sklearn.exceptions import ConvergenceWarning

from qed.optimization.svm.grams import dense

Array = np.ndarray


def by_matrix(
    matrix: Array, signs: Array, prices: Array, tolerance: float, megabytes: float, limit: int = -1
) -> tuple[Array, bool]:
    """Multipliers near the optimum, of shape (n,), from the kernel matrix, and whether the tolerance was met.

    Args:
        matrix: K, of shape (n, n), C-contiguous.
        signs: the labels, -1 or 1.
        prices: C_i > 0.
        tolerance: libsvm's, of its own measure, which is no gap.
        megabytes: that it may keep.
        limit: its iterations at most; -1 where there is no limit.

    >>> found, met = by_matrix(np.eye(2), np.array([1.0, -1.0]), np.array([5.0, 5.0]), 1e-3, 10.0)
    >>> found.tolist(), met
    ([1.0, 1.0], True)
    """
    inner: Any = getattr(scikit, "_libsvm", None)
    if inner is None:
        return by_estimator(matrix, signs, prices, tolerance, megabytes, limit, kernel="precomputed")
    inner.set_verbosity_wrap(0)
    labels = (signs > 0).astype(np.float64)
    support, _, _, forces, *_, iterations = inner.fit(
        matrix, labels, kernel="precomputed", sample_weight=prices, tol=tolerance, cache_size=megabytes, max_iter=limit
    )
    return _spread_out(len(signs), support, forces), limit < 0 or int(iterations[0]) < limit


def by_estimator(
    rows: Any, signs: Array, prices: Array, tolerance: float, megabytes: float, limit: int = -1, **numbers: Any
) -> tuple[Array, bool]:
    """The same by scikit-learn's estimator, from rows and the numbers of the kernel."""
    machine: Any = scikit.SVC(tol=tolerance, cache_size=int(megabytes), max_iter=limit, **numbers)
    with warnings.catch_warnings(), config_context(assume_finite=True):
        warnings.simplefilter("ignore", ConvergenceWarning)
        machine.fit(rows, signs, sample_weight=prices)
    met = limit < 0 or int(np.max(machine.n_iter_)) < limit
    return _spread_out(len(signs), machine.support_, dense(machine.dual_coef_)), met


def _spread_out(size: int, support: Array, forces: Array) -> Array:
    found = np.zeros(size)
    found[support] = np.abs(forces[0])
    return found
