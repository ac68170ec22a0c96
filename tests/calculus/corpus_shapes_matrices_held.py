"""Functions of matrices, second part."""

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from tests.calculus.corpus_shapes import AFFINE, CONVEX, INFINITY, NEITHER, Case, draw, over

A = draw(4, 3, seed=30)
M = draw(3, 3, seed=31)
TARGET = M @ M.T
R33 = over(-INFINITY, INFINITY, 3, 3)
DOMINANT = (2 * np.eye(3, dtype=np.float32) - 0.375, 2 * np.eye(3, dtype=np.float32) + 0.375)


def symmetric(x):
    return (x + x.T) / 2


MATRICES = [
    Case(
        "trace_of_the_inverse",
        CONVEX,
        lambda x: jnp.trace(jnp.linalg.inv(symmetric(x))),
        DOMINANT,
        "sum of 1/eigenvalue",
    ),
    Case(
        "minus_logdet_by_cholesky",
        CONVEX,
        lambda x: -2 * jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(symmetric(x))))),
        DOMINANT,
        "-log det",
    ),
    Case(
        "matrix_fractional",
        CONVEX,
        lambda x: x[0] @ jnp.linalg.solve(symmetric(x[1:]), x[0]),
        (
            np.concatenate([np.full((1, 3), -1, np.float32), DOMINANT[0]]),
            np.concatenate([np.full((1, 3), 1, np.float32), DOMINANT[1]]),
        ),
        "sup of 2v'x - v'Xv",
    ),
    Case("spectral_norm", CONVEX, lambda x: jnp.linalg.norm(x, 2), R33, "a norm"),
    Case(
        "spectral_norm_of_a_residual",
        CONVEX,
        lambda x, A: jnp.linalg.norm(A @ x - 1.0, 2),
        R33,
        "a norm of affine",
        (A,),
    ),
    Case(
        "sum_of_the_two_largest_eigenvalues",
        CONVEX,
        lambda x: jnp.sum(jnp.linalg.eigvalsh(x)[-2:]),
        R33,
        "sup of tr V'XV",
    ),
    Case(
        "middle_eigenvalue",
        NEITHER,
        lambda x: jnp.linalg.eigvalsh(x)[1],
        over(-2.0, 2.0, 3, 3),
        "the median on diagonals",
    ),
    Case(
        "logsumexp_of_eigenvalues",
        CONVEX,
        lambda x: logsumexp(jnp.linalg.eigvalsh(x)),
        over(-3.0, 3.0, 3, 3),
        "a symmetric convex function of eigenvalues",
    ),
    Case(
        "low_rank_factor",
        NEITHER,
        lambda u, t: jnp.sum((u @ u.T - t) ** 2),
        over(-2.0, 2.0, 3, 1),
        "minima at u and -u",
        (TARGET,),
    ),
    Case(
        "centred_square",
        CONVEX,
        lambda x: jnp.sum((x - jnp.mean(x, axis=0)) ** 2),
        over(-INFINITY, INFINITY, 4, 2),
        "squares of affine",
    ),
    Case(
        "row_softmax_loss",
        CONVEX,
        lambda x: jnp.sum(logsumexp(x, axis=1) - jnp.diagonal(x)),
        R33,
        "log-sum-exp minus affine",
    ),
    Case("linear_in_a_matrix", AFFINE, lambda x, A: jnp.sum(A @ x.T) - 2 * jnp.trace(x), R33, "linear", (A,)),
    Case("determinant_of_three", NEITHER, lambda x: jnp.linalg.det(x), over(-1.0, 1.0, 3, 3), "odd and not affine"),
    Case("largest_row_sum", CONVEX, lambda x: jnp.linalg.norm(x, jnp.inf), R33, "a norm"),
]
