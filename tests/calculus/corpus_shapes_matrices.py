"""Functions of matrices: spectral functions, determinants, inverses, and quadratic functions of all entries."""

import jax.numpy as jnp
import numpy as np

from tests.calculus.corpus_shapes import CONCAVE, CONVEX, INFINITY, NEITHER, Case, draw, over

A, B = draw(3, 2, seed=20), draw(3, 3, seed=21)
FACTOR = draw(2, 3, seed=22)
ROWS = draw(3, 5, seed=23) + np.eye(3, 5, dtype=np.float32) * 4
R33 = over(-INFINITY, INFINITY, 3, 3)
NEAR_IDENTITY = (np.eye(3, dtype=np.float32) - 0.25, np.eye(3, dtype=np.float32) + 0.25)
SMALL = over(-0.5, 0.5, 2, 2)


def symmetric(x):
    return (x + x.T) / 2


def covariance_selection(p, s):
    p = symmetric(p)
    return jnp.sum(p * s) - jnp.linalg.slogdet(p)[1]


MATRICES = [
    Case(
        "minus_logdet_symmetrised",
        CONVEX,
        lambda x: -jnp.linalg.slogdet(symmetric(x))[1],
        NEAR_IDENTITY,
        "-log det on symmetric definite matrices (diagonally dominant here)",
    ),
    Case(
        "minus_logdet_of_any_matrix",
        NEITHER,
        lambda x: -jnp.linalg.slogdet(x)[1],
        NEAR_IDENTITY,
        "along a skew H it is -tr(HX⁻¹HX⁻¹) turned around: det(I + tH) = 1 + t² for H = [[0, 1], [-1, 0]]",
        segments=(
            (
                np.float32([[1, 0.25, 0], [-0.25, 1, 0], [0, 0, 1]]),
                np.float32([[1, -0.25, 0], [0.25, 1, 0], [0, 0, 1]]),
            ),
            (np.float32([[0.75, 0, 0], [0, 1, 0], [0, 0, 1]]), np.float32([[1.25, 0, 0], [0, 1, 0], [0, 0, 1]])),
        ),
    ),
    Case("largest_eigenvalue", CONVEX, lambda x: jnp.linalg.eigvalsh(x)[-1], R33, "sup of v'Xv (eigvalsh symmetrises)"),
    Case("smallest_eigenvalue", CONCAVE, lambda x: jnp.linalg.eigvalsh(x)[0], R33, "inf of v'Xv"),
    Case("nuclear_norm", CONVEX, lambda x: jnp.linalg.norm(x, "nuc"), R33, "a norm"),
    Case(
        "frobenius_norm_of_a_residual",
        CONVEX,
        lambda x, A, B: jnp.linalg.norm(A @ x - B),
        over(-INFINITY, INFINITY, 2, 3),
        "a norm of affine",
        (A, B),
    ),
    Case("covariance_selection", CONVEX, covariance_selection, NEAR_IDENTITY, "linear minus log det", (B.T @ B,)),
    Case("determinant", NEITHER, lambda x: x[0, 0] * x[1, 1] - x[0, 1] * x[1, 0], over(-1.0, 1.0, 2, 2), "ad - bc"),
    Case("trace_of_a_product", NEITHER, lambda x: jnp.trace(x[0] @ x[1]), over(-1.0, 1.0, 2, 2, 2), "bilinear"),
    Case(
        "spread_of_a_matrix",
        CONVEX,
        lambda x: jnp.sum(x * x) - jnp.trace(x) ** 2 / 4,
        R33,
        "(tr X)² <= 3 |diag|² < 4 |X|²",
    ),
    Case(
        "too_much_trace", NEITHER, lambda x: jnp.sum(x * x) - jnp.trace(x) ** 2 / 2, R33, "at the identity 3 - 9/2 < 0"
    ),
    Case("form_in_a_matrix", CONVEX, lambda x, L: jnp.trace(x.T @ L @ x), R33, "L = M'M", (FACTOR.T @ FACTOR,)),
    Case(
        "optimal_design",
        CONVEX,
        lambda w, V: -jnp.linalg.slogdet((V * w) @ V.T)[1],
        over(0.5, 2.0, 5),
        "-log det of an affine definite matrix",
        (ROWS,),
    ),
    Case(
        "orthogonality_penalty",
        NEITHER,
        lambda w: jnp.sum((w.T @ w - jnp.eye(2)) ** 2),
        over(-1.5, 1.5, 3, 2),
        "minima on both sides of 0",
    ),
]
