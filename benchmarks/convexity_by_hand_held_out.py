"""The forms that a user of CVXPY would choose, for the held-out functions of the corpus where an atom exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _symmetric(x: Any) -> Any:
    return (x + x.T) / 2


def _softmax_regression(cp: Any, v: list[Any], a: tuple[Any, ...]) -> Any:
    W, b = v
    z = a[0] @ W + np.ones((len(a[0]), 1)) @ cp.reshape(b, (1, 4), order="C")
    return cp.sum(cp.log_sum_exp(z, axis=1)) - cp.sum(cp.multiply(a[1], z))


def _support_vectors(cp: Any, v: list[Any], a: tuple[Any, ...]) -> Any:
    b, w = v
    return 0.5 * cp.sum_squares(w) + 10 * cp.sum_squares(cp.pos(1 - cp.multiply(a[1], a[0] @ w + b)))


def _logistic(cp: Any, v: list[Any], a: tuple[Any, ...]) -> Any:
    return cp.sum(cp.logistic(-cp.multiply(a[1], a[0] @ v[0]))) + 0.125 * cp.sum_squares(v[0])


def _rows(cp: Any, z: Any) -> Any:
    return cp.sum(cp.log_sum_exp(z, axis=1))


BY_HAND_HELD_OUT: dict[str, Callable[..., Any]] = {
    "rules/softmax_regression": _softmax_regression,
    "rules/cross_entropy_by_hand": lambda cp, v, a: _rows(cp, a[0] @ v[0]) - cp.sum(cp.multiply(a[1], a[0] @ v[0])),
    "rules/squared_hinge_machine": _support_vectors,
    "rules/logistic_regression_with_ridge": _logistic,
    "rules/log_sigmoid": lambda cp, v, a: -cp.logistic(-v[0]),
    "rules/reciprocal_where_negative": lambda cp, v, a: -cp.inv_pos(-v[0]),
    "rules/reciprocal_square_root": lambda cp, v, a: cp.power(v[0], -0.5),
    "rules/minus_norm": lambda cp, v, a: 1 - cp.norm(v[0]),
    "rules/maximum_norm": lambda cp, v, a: cp.norm_inf(a[0] @ v[0] - a[1]),
    "rules/group_lasso": lambda cp, v, a: cp.mixed_norm(v[0], 2, 1),
    "rules/pseudo_huber": lambda cp, v, a: cp.sum(cp.norm(cp.vstack([v[0], np.ones(3)]), axis=0)) - 3,
    "rules/exp_of_norm": lambda cp, v, a: cp.exp(cp.norm(v[0])),
    "rules/negative_entropy_by_xlogy": lambda cp, v, a: -cp.sum(cp.entr(v[0])),
    "rules/geometric_program": lambda cp, v, a: cp.log_sum_exp(
        cp.hstack([v[0][0] + 2 * v[0][1], -v[0][1] + np.log(3), np.log(0.5)])
    ),
    "rules/norm_of_one_and_a_square": lambda cp, v, a: cp.norm(cp.hstack([1, cp.square(v[0])])),
    "hessian/definite_form_by_einsum": lambda cp, v, a: cp.quad_form(v[0], a[0]),
    "hessian/form_with_opposite_corners": lambda cp, v, a: cp.quad_form(v[0], np.array([[1, 1.5], [1.5, 1]])),
    "hessian/singular_cross_terms": lambda cp, v, a: cp.square(v[0][0] + 3 * v[0][1]),
    "hessian/three_variables_expanded": lambda cp, v, a: cp.quad_form(v[0], (np.ones((3, 3)) + np.eye(3)) / 2),
    "hessian/minus_a_form": lambda cp, v, a: -cp.quad_form(v[0], np.array([[1, -0.5], [-0.5, 1]])),
    "hessian/log_cosh_by_hand": lambda cp, v, a: cp.logistic(2 * v[0]) - v[0] - np.log(2),
    "hessian/reciprocal_of_a_product": lambda cp, v, a: cp.inv_prod(v[0]),
    "hessian/square_over_positive": lambda cp, v, a: cp.quad_over_lin(v[0], v[1]),
    "hessian/fourth_over_square": lambda cp, v, a: cp.square(cp.quad_over_lin(v[0], v[1])),
    "trick/huber_by_hand": lambda cp, v, a: cp.sum(cp.huber(v[0])) / 2,
    "trick/square_of_relu": lambda cp, v, a: cp.square(cp.pos(v[0])),
    "trick/leaky_relu_with_slope_two": lambda cp, v, a: cp.minimum(v[0], 2 * v[0]),
    "trick/absolute_by_square_root": lambda cp, v, a: cp.abs(v[0]),
    "trick/norm_minus_coordinate": lambda cp, v, a: cp.norm(v[0]) - cp.sum(v[0]),
    "trick/distance_to_the_unit_ball": lambda cp, v, a: cp.pos(cp.norm(v[0]) - 1),
    "trick/stopped_shift": lambda cp, v, a: cp.log_sum_exp(v[0]),
    "trick/cached_shift_of_two_halves": lambda cp, v, a: cp.log_sum_exp(v[0][:2]) + cp.log_sum_exp(v[0][2:]),
    "trick/entropy_of_both_exchanged": lambda cp, v, a: cp.sum(cp.rel_entr(v[0][0], v[0][1])),
    "trick/minus_divergence_in_the_second": lambda cp, v, a: -cp.sum(cp.kl_div(a[0], v[0])),
    "trick/harmonic_mean": lambda cp, v, a: cp.harmonic_mean(v[0]) / 2,
    "trick/norm_over_positive": lambda cp, v, a: cp.quad_over_lin(v[0][:2], v[0][2]),
    "trick/weighted_power_mean": lambda cp, v, a: cp.geo_mean(v[0], [1, 3]),
    "trick/three_norm": lambda cp, v, a: cp.pnorm(v[0], 3),
    "trick/half_norm": lambda cp, v, a: cp.pnorm(v[0], 0.5),
    "trick/largest_by_scan": lambda cp, v, a: cp.max(v[0]),
    "trick/sum_of_norms_by_map": lambda cp, v, a: sum(cp.norm(v[0] - c) for c in a[0]),
    "trick/cumulative_sums": lambda cp, v, a: cp.sum_squares(cp.cumsum(v[0])),
    "trick/cumulative_maxima": lambda cp, v, a: cp.sum(cp.cummax(v[0])),
    "trick/sum_of_the_two_smallest": lambda cp, v, a: cp.sum_smallest(v[0], 2),
    "trick/range_by_sort": lambda cp, v, a: cp.max(v[0]) - cp.min(v[0]),
    "trick/gathered_by_data": lambda cp, v, a: cp.sum(cp.exp(v[0][a[0]])),
    "trick/element_of_the_largest": lambda cp, v, a: cp.max(v[0]),
    "trick/variance": lambda cp, v, a: cp.var(v[0]),
    "trick/standard_deviation": lambda cp, v, a: cp.std(v[0]),
    "trick/optax_safe_norm": lambda cp, v, a: cp.norm(v[0]),
    "trick/two_norms_nested": lambda cp, v, a: cp.norm(cp.hstack([v[0], 1])),
    "matrix/trace_of_the_inverse": lambda cp, v, a: cp.tr_inv(_symmetric(v[0])),
    "matrix/minus_logdet_by_cholesky": lambda cp, v, a: -cp.log_det(_symmetric(v[0])),
    "matrix/matrix_fractional": lambda cp, v, a: cp.matrix_frac(v[0][0], _symmetric(v[0][1:])),
    "matrix/spectral_norm": lambda cp, v, a: cp.sigma_max(v[0]),
    "matrix/spectral_norm_of_a_residual": lambda cp, v, a: cp.sigma_max(a[0] @ v[0] - 1),
    "matrix/sum_of_the_two_largest_eigenvalues": lambda cp, v, a: cp.lambda_sum_largest(_symmetric(v[0]), 2),
    "matrix/row_softmax_loss": lambda cp, v, a: _rows(cp, v[0]) - cp.trace(v[0]),
    "matrix/largest_row_sum": lambda cp, v, a: cp.max(cp.sum(cp.abs(v[0]), axis=1)),
    "matrix/centred_square": lambda cp, v, a: cp.sum_squares(v[0] - np.ones((4, 4)) @ v[0] / 4),
}
