"""Functions of matrices: what is proved, in JAX's many spellings, and what is near it and must not be."""

import jax
import jax.numpy as jnp
import jax.scipy as jsp
import numpy as np
import pytest
from jax.scipy.special import logsumexp

import qed

NEAR = (2 * np.eye(3, dtype=np.float32) - 0.375, 2 * np.eye(3, dtype=np.float32) + 0.375)
ALL = (np.full((3, 3), -3, np.float32), np.full((3, 3), 3, np.float32))


def even(x):
    return (x + x.T) / 2


def two(x):
    return jnp.array([[x[0], x[2]], [x[2], x[1]]])


PAIR = (np.float32([0.5, 0.5, -0.25]), np.float32([2, 2, 0.25]))


def whitened(x):
    return jsp.linalg.solve_triangular(jnp.linalg.cholesky(even(x)), x[0], lower=True)


CONVEX = {
    "slogdet": (lambda x: -jnp.linalg.slogdet(even(x))[1], NEAR),
    "slogdet of a stack": (lambda x: -jnp.sum(jnp.linalg.slogdet(jnp.stack([even(x), jnp.eye(3)]))[1]), NEAR),
    "slogdet mapped": (
        lambda x: -jnp.sum(jax.vmap(lambda t: jnp.linalg.slogdet(even(x) + t * jnp.eye(3))[1])(jnp.arange(2.0))),
        NEAR,
    ),
    "two by two": (lambda x: -jnp.linalg.slogdet(two(x))[1], PAIR),
    "log of det": (lambda x: -jnp.log(jnp.linalg.det(two(x))), PAIR),
    "root of det": (lambda x: -jnp.sqrt(jnp.linalg.det(two(x))), PAIR),
    "light cone": (lambda x: -jnp.log(4 * x[0] ** 2 - 0.125 * x[1] ** 2 - x[2] ** 2), PAIR),
    "half-infinite": (
        lambda d: -jnp.linalg.slogdet(jnp.diag(d) + 0.25 * jnp.ones((3, 3)))[1],
        (np.full(3, 0.125, np.float32), np.full(3, np.inf, np.float32)),
    ),
    "cholesky": (lambda x: -2 * jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(x)))), NEAR),
    "trace of the inverse": (jax.jit(lambda x: jnp.trace(jnp.linalg.inv(even(x)))), NEAR),
    "inverse between": (lambda x: x[0] @ jnp.linalg.inv(even(x)) @ x[0], NEAR),
    "solve": (lambda x: (x[0] - 1) @ jnp.linalg.solve(even(x), x[0] - 1), NEAR),
    "solve mapped": (lambda x: jnp.sum(jax.vmap(lambda v: v @ jnp.linalg.solve(even(x), v))(x)), NEAR),
    "cho_solve": (lambda x: x[0] @ jsp.linalg.cho_solve(jsp.linalg.cho_factor(even(x)), x[0]), NEAR),
    "positive solve": (lambda x: x[0] @ jsp.linalg.solve(even(x), x[0], assume_a="pos"), NEAR),
    "whitened": (lambda x: jnp.sum(whitened(x) ** 2), NEAR),
    "entries of the inverse": (lambda x: jnp.sum(jnp.linalg.inv(even(x))), NEAR),
    "log of eigenvalues": (lambda x: -jnp.sum(jnp.log(jnp.linalg.eigvalsh(x))), NEAR),
    "exp of eigenvalues": (lambda x: jnp.sum(jnp.exp(jnp.linalg.eigvalsh(x))), ALL),
    "logsumexp of eigenvalues": (lambda x: logsumexp(jnp.linalg.eigvalsh(x)), ALL),
    "fourth powers of singular values": (lambda x: jnp.sum(jnp.linalg.svd(x, compute_uv=False) ** 4), ALL),
    "spectral norm": (lambda x: jnp.linalg.norm(x, 2) ** 2, ALL),
}
NOT_CONVEX = {
    "logdet": (lambda x: jnp.linalg.slogdet(even(x))[1], NEAR, "concave"),
    "last of the factor": (lambda x: jnp.linalg.cholesky(x)[2, 2], NEAR, "concave"),
    "not symmetric": (lambda x: jnp.trace(jnp.linalg.inv(x)), NEAR, "nonconvex"),
    "off the diagonal": (lambda x: jnp.linalg.inv(even(x))[0, 1], NEAR, "nonconvex"),
    "log of what is no determinant": (lambda x: -jnp.log(x[0] * x[1] + x[2] ** 2), PAIR, "nonconvex"),
    "two vectors": (lambda x: x[0] @ jnp.linalg.solve(even(x), x[1]), NEAR, "nonconvex"),
    "vector in another order": (lambda x: x[0] @ jnp.linalg.solve(even(x), x[0][::-1]), NEAR, "nonconvex"),
    "cubes of eigenvalues": (lambda x: jnp.sum(jnp.linalg.eigvalsh(x) ** 3), ALL, "nonconvex"),
    "falls in singular values": (
        lambda x: jnp.sum(jnp.exp(-jnp.linalg.svd(x, compute_uv=False))),
        ALL,
        "nonconvex",
    ),
    "a solver that lies": (
        lambda x: x[0] @ jax.lax.custom_linear_solve(lambda v: even(x) @ v, x[0], lambda mv, b: -b, symmetric=True),
        NEAR,
        "concave",
    ),
}
NEVER = {
    "two by two, singular at a corner": (
        lambda x: -jnp.log(jnp.linalg.det(two(x))),
        (np.float32([0.5, 0.5, -0.5]), np.float32([2, 2, 0.25])),
    ),
    "slogdet, not symmetric": (lambda x: -jnp.linalg.slogdet(x)[1], NEAR),
    "one triangle of what is not symmetric": (
        lambda x: -jnp.sum(jnp.log(jnp.diagonal(jax.lax.linalg.cholesky(x, symmetrize_input=False)))),
        NEAR,
    ),
    "eigenvalues of one triangle": (lambda x: jax.lax.linalg.eigh(x, symmetrize_input=False)[1][-1], NEAR),
    "some pivots of elimination with exchanges": (
        lambda x: -jnp.sum(jnp.log(jnp.abs(jnp.diagonal(jsp.linalg.lu_factor(even(x))[0])[:2]))),
        NEAR,
    ),
    "touches the singular ones": (
        lambda d: -jnp.linalg.slogdet(jnp.diag(d))[1],
        (np.zeros(3, np.float32), np.ones(3, np.float32)),
    ),
    "singular inside": (lambda x: -jnp.linalg.slogdet(even(x))[1], (NEAR[0] - 1.75, NEAR[1] - 1.75)),
    "the other triangle of the factor": (
        lambda x: jnp.sum(jsp.linalg.solve_triangular(jnp.linalg.cholesky(even(x)), x[0], lower=False) ** 2),
        NEAR,
    ),
    "NaN in the matrix": (lambda x: -jnp.linalg.slogdet(even(x) + jnp.nan)[1], NEAR),
    "complex": (lambda x: -jnp.linalg.slogdet(even(x) + 0j)[1], NEAR),
}


@pytest.mark.parametrize("name", CONVEX)
def test_convex(name):
    answer = qed.convexity(*CONVEX[name])
    assert answer.proved and answer.shape == "convex" and answer.check()


@pytest.mark.parametrize("name", NOT_CONVEX)
def test_not_convex(name):
    fun, box, shape = NOT_CONVEX[name]
    answer = qed.convexity(fun, box, budget=4.0)
    assert answer.refuted and answer.shape == shape and answer.check()


@pytest.mark.parametrize("name", NEVER)
def test_never_proved(name):
    assert not qed.convexity(*NEVER[name], budget=0.5).proved
