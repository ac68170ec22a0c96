"""`qed.LinearSVC`: the linear machine as a scikit-learn estimator that stops on a proved duality gap."""

from __future__ import annotations

import math
from typing import Any, ClassVar, final

import numpy as np
from scipy import sparse

from qed.certificates.duality_gap import DualityGap, Sample
from qed.optimization.svm import linear
from qed.optimization.svm.machine import Fit, Machine, check_is_fitted, validate_data

Array = np.ndarray


@final
class LinearSVC(Machine):
    """A linear support vector machine, to a proved duality gap.

    Minimises over w (and b, a weight of a constant feature, shrunk like the others)

        P(w, b) = (|w|^2 + b^2 / s^2) / 2 + sum_i C_i max(0, 1 - y_i (w . x_i + b))

    by an augmented Lagrangian and Newton's method; s is `intercept_scaling`.

    Args:
        C: the price of a unit of hinge loss.
        tol: the duality gap at which it stops, in parts of P.
        fit_intercept: whether there is an offset b.
        intercept_scaling: the value of the constant feature.
        class_weight: by which C is multiplied for each class; a mapping, 'balanced', or None.
        max_iter: how often the multipliers are moved at most.

    Attributes:
        coef_, intercept_: w and b, of shapes (1, d) and (1,), or (k, d) and (k,) for k > 2 classes.
        dual_gap_: P(w, b) is at most so much above the least value: proved, in units of P; k numbers for k > 2.
        relative_gap_: the greatest of the gaps in parts of P.
        multipliers_: the force a_i in [0, C_i] with which each row holds the plane, of shape (n,) or (k, n).
        margin_: 1 / |w|, the distance between the plane and the rows on the margin.
        support_: the rows with a_i > 0.
        n_iter_: Newton steps.

    Reference: Yan and Li, Optimization Methods and Software 35, 2020.

    >>> import numpy as np, qed
    >>> machine = qed.LinearSVC(C=10.0).fit([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [4.0, 0.0]], [0, 0, 1, 1])
    >>> machine.predict([[1.5, 0.0], [2.5, 0.0]]), bool(machine.relative_gap_ <= 1e-6)
    (array([0, 1]), True)
    """

    _scheme: ClassVar[str] = "one for each class against the rest"

    def __init__(
        self, C: float = 1.0, *, tol: float = 1e-6, fit_intercept: bool = True,
        intercept_scaling: float = 1.0, class_weight: Any = None, max_iter: int = 100,
    ) -> None:  # fmt: skip
        self.C = C
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.max_iter = max_iter

    def _begin(self, X: Any, weight: Array) -> None:
        if self.fit_intercept and not 0 < self.intercept_scaling < math.inf:
            msg = f"intercept_scaling must be positive, and it is {self.intercept_scaling!r}"
            raise ValueError(msg)

    def _problems(self, code: Array) -> list[tuple[Array, Array]]:
        everything = np.arange(len(code))
        sides = [1] if len(self.classes_) == 2 else range(len(self.classes_))
        return [(everything, np.where(code == side, 1.0, -1.0)) for side in sides]

    def _solved(self, X: Any, index: Array, signs: Array, prices: Array) -> Fit:
        used = np.flatnonzero(prices > 0)
        whole = len(used) == len(index)
        signed = self._signed(X if whole else X[used], signs[used])
        found = linear.solve(signed, prices[used], float(self.tol), int(self.max_iter))
        multipliers = np.zeros(len(index))
        multipliers[used] = found.multipliers
        values = signs * (signed @ found.weights) if whole else self._rows(X) @ found.weights
        return Fit(
            index, signs, prices, found.weights, multipliers, 0.0, values, found.bracket, found.newton_steps,
            shrunk=bool(self.fit_intercept),
        )  # fmt: skip

    def _signed(self, X: Any, signs: Array) -> Any:
        """The rows with the column of the offset, each times its sign."""
        if sparse.issparse(X):
            return self._rows(X).multiply(signs[:, None]).tocsr()
        found = np.empty((X.shape[0], X.shape[1] + bool(self.fit_intercept)))
        np.multiply(X, signs[:, None], out=found[:, : X.shape[1]])
        if self.fit_intercept:
            found[:, -1] = signs * float(self.intercept_scaling)
        return found

    def _rows(self, X: Any) -> Any:
        """X with the column of the offset."""
        if not self.fit_intercept:
            return X
        column = np.full((X.shape[0], 1), float(self.intercept_scaling))
        if sparse.issparse(X):
            return sparse.hstack([X, sparse.csr_matrix(column)], format="csr")
        return np.hstack([X, column])

    def _publish(self, n: int) -> None:
        super()._publish(n)
        weights = np.stack([fit.weights for fit in self._fits])
        self.coef_ = weights[:, :-1].copy() if self.fit_intercept else weights
        scale = float(self.intercept_scaling)
        self.intercept_ = weights[:, -1] * scale if self.fit_intercept else np.zeros(len(weights))

    def _certificate(self, fit: Fit) -> DualityGap:
        rows = self._rows(self._sample)
        dense = (lambda at: rows[at].toarray()) if sparse.issparse(rows) else (lambda at: rows[at])
        sample = Sample(dense, rows.shape, fit.signs, fit.prices, kernel=False)
        return DualityGap.of(
            sample, weights=fit.weights, multipliers=fit.multipliers, offset=0.0,
            primal=fit.bracket.primal, dual=fit.bracket.dual,
        )  # fmt: skip

    def decision_function(self, X: Any) -> Array:
        """w . x + b, of shape (m,), or (m, k) for k > 2 classes."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, accept_sparse="csr", reset=False)
        scores = X @ self.coef_.T + self.intercept_
        return scores[:, 0] if scores.shape[1] == 1 else scores
