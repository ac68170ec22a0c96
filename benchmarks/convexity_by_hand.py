"""The forms that a user of CVXPY would choose, for the functions of the corpus where an atom exists.

Each takes cvxpy, the list of variables (an array of the box each, in JAX's order of leaves) and the case's data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _rows(cp: Any, z: Any) -> Any:
    return cp.log_sum_exp(z, axis=1)


def _cross_entropy(cp: Any, z: Any, y: Any) -> Any:
    return cp.sum(_rows(cp, z)) - cp.sum(cp.multiply(y, z))


def _symmetric(x: Any) -> Any:
    return (x + x.T) / 2


def _optax_cross_entropy(cp: Any, v: list[Any], a: tuple[Any, ...]) -> Any:
    return _cross_entropy(cp, v[0], np.asarray(a[0]))


BY_HAND: dict[str, Callable[..., Any]] = {
    "rules/softplus_by_hand": lambda cp, v, a: cp.logistic(v[0]),
    "rules/minus_softplus": lambda cp, v, a: -cp.logistic(v[0]),
    "rules/logsumexp_of_affine": lambda cp, v, a: cp.log_sum_exp(a[0] @ v[0] + a[1]),
    "rules/logsumexp_by_hand": lambda cp, v, a: cp.log_sum_exp(v[0]),
    "rules/norm_of_affine": lambda cp, v, a: cp.norm(a[0] @ v[0] - a[1]),
    "rules/entropy": lambda cp, v, a: cp.sum(cp.entr(v[0])),
    "rules/minus_log_of_sigmoid": lambda cp, v, a: cp.logistic(-v[0]),
    "rules/product_of_exponentials": lambda cp, v, a: cp.exp(v[0][0] + 2 * v[0][1] - v[0][2]),
    "rules/total_variation": lambda cp, v, a: cp.tv(v[0]),
    "rules/distance_to_an_interval": lambda cp, v, a: cp.sum_squares(cp.pos(cp.abs(v[0]) - 1)),
    "hessian/semidefinite_form": lambda cp, v, a: cp.quad_form(v[0], a[0]),
    "hessian/indefinite_form": lambda cp, v, a: cp.quad_form(v[0], a[0]),
    "hessian/expanded_square": lambda cp, v, a: cp.square(v[0][0] - v[0][1]),
    "hessian/form_with_a_cross_term": lambda cp, v, a: cp.quad_form(v[0], np.array([[1, 0.5], [0.5, 1]])),
    "hessian/x_log_x": lambda cp, v, a: -cp.sum(cp.entr(v[0])),
    "hessian/precision_of_a_normal": lambda cp, v, a: cp.quad_over_lin(v[0], 2 * v[1]) - 0.5 * cp.log(v[1]),
    "trick/norm_with_two_wheres": lambda cp, v, a: cp.norm(v[0]),
    "trick/absolute_by_where": lambda cp, v, a: cp.abs(v[0]),
    "trick/sign_times_x": lambda cp, v, a: cp.abs(v[0]),
    "trick/smaller_by_where": lambda cp, v, a: cp.minimum(v[0], 2 * v[0]),
    "trick/leaky_relu": lambda cp, v, a: cp.maximum(v[0], 0.01 * v[0]),
    "trick/squareplus": lambda cp, v, a: (v[0] + cp.norm(cp.hstack([v[0], 2]))) / 2,
    "trick/shift_along_the_right_axis": lambda cp, v, a: cp.sum(_rows(cp, v[0])),
    "trick/almost_semidefinite_diagonal": lambda cp, v, a: cp.quad_form(v[0], np.diag([1.0, -1e-10])),
    "trick/barely_indefinite": lambda cp, v, a: cp.quad_form(v[0], np.array([[1, 1 + 2.0**-20], [1 + 2.0**-20, 1]])),
    "trick/kl_divergence_of_both": lambda cp, v, a: cp.sum(cp.kl_div(v[0][0], v[0][1])),
    "trick/relative_entropy_in_the_second": lambda cp, v, a: cp.sum(cp.rel_entr(a[0], v[0])),
    "trick/geometric_mean": lambda cp, v, a: cp.geo_mean(v[0]),
    "trick/rematerialised": lambda cp, v, a: cp.log_sum_exp(2 * v[0]),
    "trick/mapped": lambda cp, v, a: cp.sum(cp.logistic(a[0] @ v[0])),
    "trick/sum_of_the_two_largest": lambda cp, v, a: cp.sum_largest(v[0], 2),
    "trick/sum_of_the_two_largest_by_top_k": lambda cp, v, a: cp.sum_largest(v[0], 2),
    "trick/sum_by_fori": lambda cp, v, a: cp.sum(cp.exp(v[0])),
    "matrix/minus_logdet_symmetrised": lambda cp, v, a: -cp.log_det(_symmetric(v[0])),
    "matrix/minus_logdet_of_any_matrix": lambda cp, v, a: -cp.log_det(v[0]),
    "matrix/largest_eigenvalue": lambda cp, v, a: cp.lambda_max(_symmetric(v[0])),
    "matrix/smallest_eigenvalue": lambda cp, v, a: cp.lambda_min(_symmetric(v[0])),
    "matrix/nuclear_norm": lambda cp, v, a: cp.normNuc(v[0]),
    "matrix/frobenius_norm_of_a_residual": lambda cp, v, a: cp.norm(a[0] @ v[0] - a[1], "fro"),
    "matrix/covariance_selection": lambda cp, v, a: cp.trace(_symmetric(v[0]) @ a[0]) - cp.log_det(_symmetric(v[0])),
    "matrix/optimal_design": lambda cp, v, a: -cp.log_det(a[0] @ cp.diag(v[0]) @ a[0].T),
    "optax/fenchel_young_loss": lambda cp, v, a: cp.log_sum_exp(v[0]) - a[0] @ v[0],
    "optax/huber_loss": lambda cp, v, a: cp.sum(cp.huber(v[0] - a[0])),
    "optax/log_cosh": lambda cp, v, a: cp.sum(cp.logistic(2 * (v[0] - a[0])) - (v[0] - a[0])),
    "optax/ranking_softmax_loss": _optax_cross_entropy,
    "optax/safe_softmax_cross_entropy": _optax_cross_entropy,
    "optax/softmax_cross_entropy": _optax_cross_entropy,
    "optax/sigmoid_binary_cross_entropy": lambda cp, v, a: cp.sum(cp.logistic(v[0])) - a[0] @ v[0],
    "optax/hinge_loss": lambda cp, v, a: cp.sum(cp.pos(1 - cp.multiply(a[0], v[0]))),
    "optax/perceptron_loss": lambda cp, v, a: cp.sum(cp.pos(-cp.multiply(a[0], v[0]))),
    "optax/generalized_kl_divergence": lambda cp, v, a: cp.sum(cp.exp(v[0])) - cp.sum(cp.multiply(a[0], v[0])),
    "optax/kl_divergence": lambda cp, v, a: -cp.sum(cp.multiply(a[0], v[0])),
    "sklearn/LogisticRegression": lambda cp, v, a: (
        0.5 * cp.sum_squares(v[0]) + cp.sum(cp.logistic(-cp.multiply(a[1], a[0] @ v[0])))
    ),
    "sklearn/LogisticRegression l1": lambda cp, v, a: (
        cp.norm1(v[0]) + cp.sum(cp.logistic(-cp.multiply(a[1], a[0] @ v[0])))
    ),
    "sklearn/LogisticRegression multinomial": lambda cp, v, a: (
        0.5 * cp.sum_squares(v[0]) + _cross_entropy(cp, a[0] @ v[0], a[1])
    ),
    "sklearn/MultiTaskLasso": lambda cp, v, a: cp.sum_squares(a[0] @ v[0] - a[1]) / 12 + cp.mixed_norm(v[0], 2, 1),
    "sklearn/QuantileRegressor": lambda cp, v, a: (
        cp.sum(cp.maximum(0.75 * (a[1] - a[0] @ v[0]), -0.25 * (a[1] - a[0] @ v[0]))) / 6 + cp.norm1(v[0])
    ),
    "sklearn/TheilSenRegressor": lambda cp, v, a: cp.sum(
        cp.norm(a[0] - np.ones((6, 1)) @ cp.reshape(v[0], (1, 3), order="C"), axis=1)
    ),
    "sklearn/SGD modified_huber": lambda cp, v, a: cp.sum(cp.huber(cp.pos(1 - cp.multiply(a[1], a[0] @ v[0])), 2)) / 6,
}
