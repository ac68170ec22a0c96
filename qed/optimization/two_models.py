"""Two quadratic models of a sum of squares, and which of them a run steps with.

Newton's model of f = sum c_i r_i^2 has the Hessian, that of Gauss and Newton 2 J'C J (qed.optimization.least_squares).
Far from a minimum the first may be indefinite and promise to fall below zero, which a sum of squares never does; near a
minimum whose residuals are large the second is wrong. Which of them is true is seen at every step p: the gradient at
x + p is told beforehand as g + M p, and the model in use is changed where the other told it better by far. Both balls
are measured in the columns of J. Reference: Dennis, Gay and Welsch, *An adaptive nonlinear least-squares algorithm*,
ACM TOMS 7, 1981, whose choice is by the values; gradients say more, and also where values are rounded.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qed.optimization.objective import Objective, Seen

Array = np.ndarray
BETTER = 0.5
"""Which part of the other's error is better by far."""
OTHER = {"first derivatives": "second derivatives", "second derivatives": "first derivatives"}


class TwoModels:
    """The matrices of both models at a point; `use` names the one that a run steps with, first Gauss and Newton's.

    Args:
        objective: a sum of squares with `small_squares`.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> objective = Objective(read(lambda x: jnp.sum((x**2 - 2.0) ** 2), jnp.array([1.0])))
        >>> two = TwoModels(objective)
        >>> here, there = objective.at(np.array([0.5])), objective.at(np.array([0.7]))
        >>> two.at(here.x).tolist(), two.matrices["second derivatives"].tolist()  # 8 x^2, and 12 x^2 - 8
        ([[2.0]], [[-5.0]])
        >>> two.changed(here, there, there.x - here.x, None), two.use
        (True, 'second derivatives')
    """

    def __init__(self, objective: Objective) -> None:
        self.objective, self.use = objective, "first derivatives"
        self.matrices: dict[str, Array] = {}

    def at(self, x: Array) -> Array:
        """The matrix in use, both having been made; where one is not finite it is the other."""
        first = self.objective.first_order(x)
        self.matrices = {"first derivatives": first, "second derivatives": self.objective.matrix(x)}
        if not np.all(np.isfinite(self.matrices[self.use])):
            self.use = OTHER[self.use]
        return self.matrix

    @property
    def matrix(self) -> Array:
        """The matrix in use."""
        return self.matrices[self.use]

    def changed(self, here: Seen, trial: Seen, move: Array, scale: Any) -> bool:
        """Look at a trial, accepted or not: whether the other model is used from now on."""
        if not trial.finite:
            return False
        unit = 1.0 if scale is None else 1 / scale

        def error(matrix: Array) -> float:
            return float(np.linalg.norm(unit * (trial.g - here.g - matrix @ move)))

        errors = {name: error(matrix) for name, matrix in self.matrices.items()}
        if not errors[OTHER[self.use]] < BETTER * errors[self.use]:
            return False
        self.use = OTHER[self.use]
        return True
