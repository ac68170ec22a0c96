"""`qed.SVC`: the machine with a kernel as a scikit-learn estimator that stops on a proved duality gap."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any, ClassVar, final

import numpy as np
from scipy import sparse

from qed.certificates.duality_gap import DualityGap, Sample
from qed.optimization.svm import careful, factored
from qed.optimization.svm import kernel as kernels
from qed.optimization.svm.decomposition import by_estimator, by_matrix
from qed.optimization.svm.grams import KERNELS, Gram, variance
from qed.optimization.svm.machine import Fit, Machine, check_is_fitted, validate_data
from qed.optimization.svm.problem import Bracket, confirm_range
from qed.optimization.svm.problem import Machine as Solution
from qed.optimization.svm.semidefinite import ROWS, confirm_kernel

Array = np.ndarray
ACCURACY, SMALLEST, LOOSE, LEFT, CHEAP = 1e-3, 1e-5, 1e-4, 0.3, 2000
"""libsvm's own tolerance before the first polish at most and at least; the gap from which on it is left to libsvm
alone, and what it leaves then, in parts of its tolerance and C K_kk; rows up to which Newton's steps are cheap. The
next tolerances are a hundredth each."""
FEW, MANY, LEAST = 20, 1000, 1000
"""libsvm's iterations for each row, at first and later, and those besides; one to four are what it mostly takes."""
TRIES = 3
CAREFUL = 10**7
"""Products that are summed again with their roundings at most."""


@final
class SVC(Machine):
    """A support vector machine with a kernel and a free offset, to a proved duality gap.

    Minimises |w|^2 / 2 + sum_i C_i max(0, 1 - y_i (w . phi(x_i) + b)) where k(x, z) = phi(x) . phi(z): libsvm comes
    near (scikit-learn), Newton's method on the rows of the margin closes the gap. The proof takes the entries of the
    kernel matrix as they are computed, exact, and the matrix as positive semidefinite; its claim says so.

    Args:
        C: the price of a unit of hinge loss.
        kernel: 'rbf', 'linear', 'poly', or a callable that takes two matrices of rows and gives the matrix of products,
            which must be symmetric and positive semidefinite; a matrix that is seen not to be is refused.
        degree, gamma, coef0: the numbers of the kernel; gamma 'scale' is 1 / (d var X), 'auto' 1 / d.
        tol: the duality gap at which it stops, in parts of the objective.
        class_weight: by which C is multiplied for each class; a mapping, 'balanced', or None.
        max_iter: the rounds of libsvm and Newton's method at most.
        cache_size: megabytes that libsvm may keep.

    Attributes:
        dual_gap_: the objective is at most so much above the least value: proved; a number for each pair of classes
            where there are more than two.
        relative_gap_: the greatest of the gaps in parts of the objective.
        multipliers_: the force a_i in [0, C_i] with which each row holds the plane, of shape (n,) or (pairs, n).
        margin_: 1 / |w|, the distance in the space of phi between the plane and the rows that hold it.
        support_, support_vectors_: the rows with a_i > 0.
        intercept_: b, one for each pair.
        coef_: w, of shape (pairs, d); of the linear kernel only.
        n_iter_: Newton steps.

    Reference: Chang and Lin, "LIBSVM", 2011; Hintermueller, Ito and Kunisch, SIAM J. Optimization 13, 2003.

    >>> import numpy as np, qed
    >>> ring = np.array([[np.cos(t), np.sin(t)] for t in np.linspace(0, 6, 12)])
    >>> machine = qed.SVC(C=10.0).fit(np.vstack([ring, 3 * ring]), [0] * 12 + [1] * 12)
    >>> machine.predict([[0.0, 0.5], [0.0, 4.0]]), bool(machine.relative_gap_ <= 1e-6)
    (array([0, 1]), True)
    """

    _scheme: ClassVar[str] = "one for each pair of classes"

    def __init__(
        self, C: float = 1.0, *, kernel: Any = "rbf", degree: int = 3, gamma: Any = "scale",
        coef0: float = 0.0, tol: float = 1e-6, class_weight: Any = None, max_iter: int = TRIES, cache_size: float = 200,
    ) -> None:  # fmt: skip
        self.C = C
        self.kernel = kernel
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0
        self.tol = tol
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.cache_size = cache_size

    def _begin(self, X: Any, weight: Array) -> None:
        if not (callable(self.kernel) or self.kernel in KERNELS):
            msg = f"kernel must be one of {', '.join(KERNELS)}, or a callable, and it is {self.kernel!r}"
            raise ValueError(msg)
        gamma = self.gamma
        if isinstance(gamma, str) and gamma in ("scale", "auto"):
            square = variance(X, weight) if gamma == "scale" else 1.0
            gamma = 1.0 if self.kernel == "linear" else 1.0 / (X.shape[1] * (square if square > 0 else 1.0))
            if gamma == math.inf:
                why = f"gamma={self.gamma!r} is 1 / (d var X), infinite for a variance of {square:.3g}"
                msg = f"{why}: scale the features"
                raise ValueError(msg)
        if isinstance(gamma, str) or not 0 < float(gamma) < math.inf:
            msg = f"gamma must be positive, 'scale' or 'auto', and it is {self.gamma!r}"
            raise ValueError(msg)
        if self.kernel == "poly" and not (self.degree == int(self.degree) > 0 and 0 <= self.coef0 < math.inf):
            why = "with another degree than a positive whole number, or coef0 < 0, it is not positive semidefinite"
            msg = f"kernel 'poly': {why}; degree is {self.degree!r}, coef0 {self.coef0!r}"
            raise ValueError(msg)
        self._numbers = {"gamma": float(gamma), "degree": int(self.degree), "coef0": float(self.coef0)}
        self._gram = Gram(self.kernel, **self._numbers)
        self._confirmed: set[bytes] = set()

    def _problems(self, code: Array) -> list[tuple[Array, Array]]:
        found = []
        for low, high in combinations(range(len(self.classes_)), 2):
            index = np.flatnonzero((code == low) | (code == high))
            found.append((index, np.where(code[index] == high, 1.0, -1.0)))
        return found

    def _solved(self, X: Any, index: Array, signs: Array, prices: Array) -> Fit:
        used = np.flatnonzero(prices > 0)
        rows = X[index[used]]
        diagonals = self._gram.diagonals(rows)
        mirrored = self.kernel == "rbf" and not sparse.issparse(rows)
        kernel = kernels.Kernel(self._block_of(rows), len(used), diagonals, mirrored)
        confirm_range(float(np.max(kernel.diagonals)))
        if callable(self.kernel):
            self._confirm(kernel, index[used])
        found, steps = self._near(kernel, rows, signs[used], prices[used])
        found, bracket = self._proved(kernel, rows, signs[used], prices[used], found)
        multipliers = np.zeros(len(index))
        multipliers[used] = found.multipliers
        values = found.values if len(used) == len(index) else self._gram(X[index], rows) @ (
            signs[used] * found.multipliers
        )  # fmt: skip
        return Fit(index, signs, prices, np.zeros(0), multipliers, found.offset, values, bracket, steps)

    def _block_of(self, rows: Any) -> Callable[[Array, Array], Array]:
        """The block of the kernel matrix of two vectors of indices; of one with itself half is computed."""

        def block(at: Array, others: Array) -> Array:
            first = rows[at]
            return self._gram(first, first if others is at else rows[others])

        return block

    def _confirm(self, kernel: kernels.Kernel, index: Array) -> None:
        """Refuse a callable whose matrix is not that of a kernel."""
        if index.tobytes() in self._confirmed:
            return
        self._confirmed.add(index.tobytes())
        assert kernel.diagonals is not None  # refuses a negative one
        whole = kernel.whole()
        if whole is not None:
            confirm_kernel(whole, index)
            return
        some = np.unique(np.linspace(0, len(index) - 1, ROWS).astype(int))
        confirm_kernel(kernel.block(some, some), index[some])

    def _near(self, kernel: kernels.Kernel, rows: Any, signs: Array, prices: Array) -> tuple[Any, int]:
        """The first machine that reaches the gap of those that are tried, or the best of them, and its steps.

        They are libsvm's with ever smaller tolerances, polished, and after the first the one by a factor of the matrix.
        """
        wanted, steps = 0.9 * float(self.tol), 0
        whole = kernel.whole()
        best: kernels.Polished | None = None
        for attempt in range(int(self.max_iter)):
            tolerance = self._tolerance(len(signs), float(np.mean(prices)) * kernel.mean_diagonal) * 100.0**-attempt
            if whole is None:
                numbers = {**self._numbers, "kernel": self.kernel}
                start, met = by_estimator(rows, signs, prices, tolerance, self.cache_size, **numbers)
            else:
                limit = (FEW if attempt == 0 else MANY) * len(signs) + LEAST
                start, met = by_matrix(whole, signs, prices, tolerance, self.cache_size, limit)
            most = kernels.STEPS if met else 0
            best, steps = _better(best, kernels.polish(kernel, signs, prices, start, wanted, most), steps)
            if best.relative > wanted and attempt == 0:
                features = self._features(rows, whole)
                if features is not None:
                    best, steps = _better(best, factored.solve(kernel, features, signs, prices, wanted), steps)
                    if not met:
                        break
            if best.relative <= wanted:
                break
        assert best is not None
        return best.machine, steps

    def _proved(
        self, kernel: kernels.Kernel, rows: Any, signs: Array, prices: Array, machine: Solution
    ) -> tuple[Solution, Bracket]:
        """The machine with what is proved of it, where plain sums leave more than `tol` by more careful ones."""
        best = machine, kernels.proved(kernel, signs, prices, machine, float(self.tol))
        if best[1].relative <= self.tol:
            return best
        other = careful.longer(kernel, signs, prices, machine, float(self.tol))
        if other is not None and other[1].relative < best[1].relative:
            best = other
        if best[1].relative > self.tol and len(signs) * np.count_nonzero(machine.multipliers) <= CAREFUL:
            blocks = self._sample_of(rows, signs, prices).blocks()
            other = careful.summed(blocks, kernel, signs, prices, machine)
            if other is not None and other[1].relative < best[1].relative:
                best = other
        return best

    def _sample_of(self, rows: Any, signs: Array, prices: Array) -> Sample:
        """The rows of the kernel matrix, as the certificate reads them."""
        return Sample(lambda at: self._gram(rows[at], rows), (len(signs), len(signs)), signs, prices, kernel=True)

    def _tolerance(self, size: int, height: float) -> float:
        """libsvm's tolerance of the first attempt, for so many rows, where C K_kk is so much.

        The gap that it leaves, in parts of the objective, is some tenths of C K_kk of it. A loose gap is left to it
        alone, the surer the dearer a step of Newton's method is; to a tight one Newton's method comes from nearly any
        start.
        """
        if self.tol < LOOSE:
            return ACCURACY
        left = LEFT if size > CHEAP else LEFT / 3
        return min(ACCURACY, max(SMALLEST, float(self.tol) / (left * height)))

    def _features(self, rows: Any, whole: Array | None) -> Any:
        """Rows whose products are the kernel's, few columns of them; None where they are not at hand."""
        if self.kernel == "linear" and rows.shape[1] <= factored.MOST:
            return rows
        return None if whole is None else factored.factor(whole)

    def _publish(self, n: int) -> None:
        super()._publish(n)
        self.intercept_ = np.array([fit.offset for fit in self._fits])
        self.support_vectors_ = self._sample[self.support_]

    @property
    def coef_(self) -> Array:
        """The weights w of the features, of shape (pairs, d): f(x) + b = w . x + b. There are none but linear ones."""
        if self.kernel != "linear":
            msg = f"coef_ belongs to kernel='linear', and the kernel is {self.kernel!r}"
            raise AttributeError(msg)
        check_is_fitted(self)
        return np.stack([self._sample[fit.index].T @ (fit.signs * fit.multipliers) for fit in self._fits])

    def _assumed(self) -> str | None:
        return "the kernel's matrix has the entries that were computed, and is positive semidefinite"

    def _classes_of(self, problem: int) -> tuple[str, str]:
        low, high = list(combinations(range(len(self.classes_)), 2))[problem]
        return str(self.classes_[low]), str(self.classes_[high])

    def _certificate(self, fit: Fit) -> DualityGap:
        sample = self._sample_of(self._sample[fit.index], fit.signs, fit.prices)
        return DualityGap.of(
            sample, weights=(), multipliers=fit.multipliers, offset=fit.offset,
            primal=fit.bracket.primal, dual=fit.bracket.dual,
        )  # fmt: skip

    def _scores(self, X: Any) -> Array:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, accept_sparse="csr", reset=False)
        forces = np.zeros((len(self._fits), self._sample.shape[0]))
        for row, fit in zip(forces, self._fits, strict=True):
            row[fit.index] = fit.signs * fit.multipliers
        held = self.support_
        step = max(1, kernels.BLOCK // max(len(held), 1))
        parts = [
            self._gram(X[at : at + step], self._sample[held]) @ forces[:, held].T for at in range(0, X.shape[0], step)
        ]
        return np.concatenate([np.zeros((0, len(self._fits))), *parts]) + self.intercept_

    def decision_function(self, X: Any) -> Array:
        """f(x) + b, of shape (m,); for k > 2 classes of shape (m, k), the votes of the pairs, ties by their scores."""
        scores = self._scores(X)
        if len(self._fits) == 1:
            return scores[:, 0]
        votes, sums = np.zeros((len(scores), len(self.classes_))), np.zeros((len(scores), len(self.classes_)))
        for score, (low, high) in zip(scores.T, combinations(range(len(self.classes_)), 2), strict=True):
            votes[:, high] += score > 0
            votes[:, low] += score <= 0
            sums[:, high] += score
            sums[:, low] -= score
        return votes + sums / (3.0 * (np.abs(sums) + 1.0))


def _better(best: kernels.Polished | None, found: kernels.Polished, steps: int) -> tuple[kernels.Polished, int]:
    """The one with the smaller gap, and the steps with those of what was found."""
    steps += found.newton_steps
    return (found if best is None or found.relative < best.relative else best), steps
