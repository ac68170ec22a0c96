"""What `qed.LinearSVC` and `qed.SVC` share: scikit-learn's interface, the gap, and why the plane lies where it lies.

A machine for two classes is one problem. More classes are separated as scikit-learn does it: one class against the
rest (LinearSVC), every class against every other (SVC), each a problem with its own gap.
"""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from qed.answer import Reason
from qed.certificates.duality_gap import DualityGap
from qed.errors import QedError
from qed.optimization.svm.explanation import Held, Tried, explained, offset_is_shrunk, tells_nothing
from qed.optimization.svm.problem import LONGEST, Bracket

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils import compute_class_weight
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ModuleNotFoundError as error:
    raise QedError(
        "QED013",
        "support vector machines are scikit-learn estimators, and scikit-learn is not installed",
        str(error),
        "install it: pip install 'qed[sklearn]'",
    ) from error

if TYPE_CHECKING:
    from qed.answer import Answer

Array = np.ndarray


@dataclass(frozen=True)
class Fit:
    """One problem for two classes, solved: `index` are its rows among the training rows."""

    index: Array
    signs: Array
    prices: Array
    weights: Array
    multipliers: Array
    offset: float
    values: Array
    bracket: Bracket
    steps: int
    shrunk: bool = False
    """Whether the last weight is b / s, that of a constant feature s: the objective holds its square, too."""

    @property
    def length(self) -> float:
        """|w|, in the space where the plane is a plane."""
        if len(self.weights):
            return float(np.linalg.norm(self.weights[:-1] if self.shrunk else self.weights))
        return math.sqrt(max(self.square, 0.0))

    @property
    def margin(self) -> float:
        """1 / |w|, how far from the plane the rows are that lie on the margin; infinite where w is 0."""
        return 1.0 / self.length if self.length > 0 else math.inf

    @property
    def square(self) -> float:
        """Twice what the objective holds besides the hinges: |w|^2, with (b / s)^2 where the offset is shrunk."""
        if len(self.weights):
            return float(self.weights @ self.weights)
        return float((self.signs * self.multipliers) @ self.values)


class Machine(ClassifierMixin, BaseEstimator):
    """What both estimators share: the classes, the prices of the rows, and the attributes after a fit."""

    C: float
    tol: float
    class_weight: Any
    max_iter: int
    _scheme: ClassVar[str]

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the machine.

        Args:
            X: rows, of shape (n, d), dense or sparse, without NaN.
            y: labels of two or more classes, of shape (n,).
            sample_weight: by which each row's price C is multiplied, of shape (n,).

        Returns:
            The estimator.

        Raises:
            ValueError: for data that is no sample, as scikit-learn's estimators do.

        Warns:
            ConvergenceWarning: where the gap could not be closed to `tol`; it names the gap that is proved.
            UserWarning: where every row is answered alike, as for features without variance.
        """
        self._check_numbers()
        X, y = validate_data(self, X, y, dtype=np.float64, accept_sparse="csr", order="C")
        if y.dtype.kind not in "iub":  # integers are classes, whatever they are
            check_classification_targets(y)
        self.classes_, code = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            msg = f"a classifier needs two classes, and y has 1 class: {self.classes_.tolist()}"
            raise ValueError(msg)
        given = sample_weight is not None
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64) if given else np.ones(len(y))
        prices = self._prices(y, code, weight)
        self._begin(X, weight)
        self._fits = [self._solved(X, index, signs, prices[index]) for index, signs in self._problems(code)]
        self._sample = X
        self._publish(len(y))
        self._warn()
        return self

    @abstractmethod
    def _problems(self, code: Array) -> list[tuple[Array, Array]]:
        """The rows and the signs of each problem for two classes."""

    @abstractmethod
    def _solved(self, X: Any, index: Array, signs: Array, prices: Array) -> Fit:
        """One problem, solved."""

    @abstractmethod
    def _certificate(self, fit: Fit) -> DualityGap:
        """The certificate of one problem."""

    @abstractmethod
    def _begin(self, X: Any, weight: Array) -> None:
        """What the fit needs of all rows."""

    def _check_numbers(self) -> None:
        for name in ("C", "tol"):
            number = getattr(self, name)
            if not (isinstance(number, int | float | np.number) and 0 < number < math.inf):
                msg = f"{name} must be a positive number, and it is {number!r}"
                raise ValueError(msg)
        if not 1.0 / LONGEST <= self.C <= LONGEST:
            msg = f"C must lie between {1.0 / LONGEST:g} and {LONGEST:g}, where float64 proves, and it is {self.C!r}"
            raise ValueError(msg)
        if self.max_iter < 1:
            msg = f"max_iter must be 1 or more, and it is {self.max_iter!r}"
            raise ValueError(msg)

    def _prices(self, y: Array, code: Array, weight: Array) -> Array:
        if np.any(weight < 0):
            msg = "sample_weight holds a negative number"
            raise ValueError(msg)
        if self.class_weight is not None:
            weight = weight * compute_class_weight(self.class_weight, classes=self.classes_, y=y)[code]
        prices = float(self.C) * weight
        for each, name in enumerate(self.classes_):
            if not np.any(prices[code == each] > 0):
                msg = f"all weights of the class {name} are zero: a classifier needs two classes"
                raise ValueError(msg)
        return prices

    def _publish(self, n: int) -> None:
        fits = self._fits
        one = len(fits) == 1
        multipliers = np.zeros((len(fits), n))
        for row, fit in zip(multipliers, fits, strict=True):
            row[fit.index] = fit.multipliers
        self.multipliers_ = multipliers[0] if one else multipliers
        self.support_ = np.flatnonzero(multipliers.any(axis=0))
        self.n_iter_ = max(fit.steps for fit in fits)
        gaps, margins = [fit.bracket.gap for fit in fits], [fit.margin for fit in fits]
        self.dual_gap_ = gaps[0] if one else np.array(gaps)
        self.margin_ = margins[0] if one else np.array(margins)
        self.relative_gap_ = max(fit.bracket.relative for fit in fits)

    def _warn(self) -> None:
        if self.relative_gap_ > self.tol:
            text = (
                f"the duality gap is proved to {self.relative_gap_:.2g} of the objective, tol is {self.tol:.2g}; "
                "raise max_iter or tol, or scale the features to a like size"
            )
            warnings.warn(text, ConvergenceWarning, stacklevel=3)
        if all(map(tells_nothing, self._fits)):
            text = (
                "no direction of the features tells the classes apart: w is 0 up to rounding, every row is answered "
                "alike; features (or kernel) that vary with the class are missing"
            )
            warnings.warn(text, UserWarning, stacklevel=3)

    def explain(self, problem: int = 0, names: Sequence[str] | None = None) -> Answer[Held]:
        """Why the plane lies where it lies: its margin, the rows that hold it and with which force, what C trades.

        Args:
            problem: which of the problems for two classes; 0 where there are two classes.
            names: names of the training rows.

        Returns:
            An `Answer` whose claim, "no plane has a value smaller by more than the gap", is PROVED; its `check()`
            computes both ends of the gap again in sums that are exact but for one rounding.
        """
        check_is_fitted(self)
        fit = self._fits[problem]
        total = len(self.multipliers_) if len(self._fits) == 1 else self.multipliers_.shape[1]
        if names is not None and len(names) != total:
            wanted = f"names has {len(names)} entries, and {total} rows were fitted"
            raise QedError("QED007", "the names do not fit the rows", wanted, "give a name for each training row")
        called = [str(names[k]) if names is not None else f"row {k}" for k in fit.index]
        tried = [self._tried(fit, factor) for factor in (0.1, 10.0)]
        classes = self._classes_of(problem)
        remarks = (*((offset_is_shrunk(fit),) if fit.shrunk else ()), *self._one_of_many(problem))
        return explained(fit, called, classes, self._certificate(fit), tried, self._assumed(), remarks)

    def _one_of_many(self, problem: int) -> tuple[Reason, ...]:
        """That there are more planes than the one that is explained."""
        count = len(self._fits)
        if count == 1:
            return ()
        text = f"this is plane {problem} of {count}, {self._scheme}; explain(problem=k), k < {count}, tells of each"
        return (Reason("more classes", text=text, role="where"),)

    def _tried(self, fit: Fit, factor: float) -> Tried:
        again = self._solved(self._sample, fit.index, fit.signs, factor * fit.prices)
        return Tried(factor * float(self.C), again)

    def _classes_of(self, problem: int) -> tuple[str, str]:
        """The names of the classes with sign -1 and 1."""
        if len(self.classes_) == 2:
            return str(self.classes_[0]), str(self.classes_[1])
        return "the rest", str(self.classes_[problem])

    def _assumed(self) -> str | None:
        """What the proof assumes besides the data."""
        return None

    @abstractmethod
    def decision_function(self, X: Any) -> Array:
        """How far rows are on the side of a class, of shape (m,), or (m, k) for k > 2 classes."""

    def predict(self, X: Any) -> Array:
        """The class of each row."""
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else np.argmax(scores, axis=1)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
