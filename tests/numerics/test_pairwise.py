"""Tables of squared distances from a matrix of products keep their digits, and only those are taken for such."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.trace import trace
from qed.numerics.rewriting import pairwise
from qed.numerics.rewriting.session import rewrite

X = np.float32([[1000, 1], [1001, 2], [1000.5, 3.25]])
Y = X[:2] + np.float32(0.125)
W = np.float32([2.0, 0.3])


def _of(gram, diagonal):
    return diagonal[:, None] + diagonal[None, :] - 2 * gram


TABLES = {
    "diag": lambda x, y: _of(x @ x.T, jnp.diag(x @ x.T)),
    "diagonal": lambda x, y: (lambda g: jnp.diagonal(g)[:, None] - 2 * g + jnp.diagonal(g))(x @ x.T),
    "index": lambda x, y: (lambda g: _of(g, g[jnp.arange(3), jnp.arange(3)]))(x @ x.T),
    "einsum_ii": lambda x, y: (lambda g: _of(g, jnp.einsum("ii->i", g)))(jnp.einsum("id,jd->ij", x, x)),
    "einsum": lambda x, y: (
        jnp.einsum("id,id->i", x, x)[:, None] + jnp.einsum("jd,jd->j", y, y) - 2 * jnp.einsum("id,jd->ij", x, y)
    ),
    "vmap": lambda x, y: jax.vmap(lambda r: r @ r)(x)[:, None] + jnp.sum(y * y, 1) - 2 * x @ y.T,
    "keepdims": lambda x, y: jnp.sum(x**2, 1, keepdims=True) + jnp.sum(y**2, 1) - 2.0 * jnp.matmul(x, y.T),
    "one_more": lambda x, y: 1 + jnp.sum(x**2, 1)[:, None] + jnp.sum(y**2, 1)[None] - 2 * x @ y.T,
    "weighted": lambda x, y: (
        jnp.sum((x * W) ** 2, 1)[:, None] + jnp.sum((y * W) ** 2, 1) - 2 * (x * W) @ (y * W).T
    ),
    "length_scale": lambda x, y: (
        jnp.sum((x / 3) ** 2, 1)[:, None] + jnp.sum((y / 3) ** 2, 1) - 2 * (x / 3) @ (y / 3).T
    ),
    "centres": lambda x, y: jnp.sum(x**2, 1) - 2 * x @ y[0] + y[0] @ y[0],
    "kernel": lambda x, y: jnp.exp(-0.5 * _of(x @ x.T, jnp.diag(x @ x.T))),
    "student": lambda x, y: 1 / (1 + _of(x @ x.T, jnp.diag(x @ x.T))),
}  # fmt: skip


def _wide(f, *args):
    with jax.enable_x64(True):
        return np.asarray(f(*(jnp.asarray(a, jnp.float64) for a in args)))


def _relative(got, true):
    return float(np.max(np.abs(np.asarray(got, np.float64) - true) / np.maximum(np.abs(true), 1e-30)))


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_distances_keeps_its_digits(name):
    f = TABLES[name]
    found = rewrite(trace(f, jnp.asarray(X), jnp.asarray(Y)).graph)
    assert any("squared_distances" in change.after for change in found.changes)
    assert _relative(found.function(X, Y)[0], _wide(f, X, Y)) < 8 * 2.0**-24


def test_the_gradient_through_a_table_keeps_its_digits():
    c = np.float32([[0.3, -1.2, 0.5], [2.0, 0.1, -0.4], [0.9, 1.1, 0.2]])

    def loss(x):
        g = x @ x.T
        return jnp.sum(c * jnp.exp(-0.1 * _of(g, jnp.diag(g))))

    with jax.enable_x64(True):
        true = np.asarray(jax.grad(loss)(jnp.asarray(X, jnp.float64)))
    assert _relative(jax.grad(loss)(jnp.asarray(X)), true) > 1e-4
    assert _relative(jax.grad(qed.stabilize(loss))(jnp.asarray(X)), true) < 8 * 2.0**-24


NONE = {
    "rows_for_columns": lambda x, y: jnp.sum(x**2, 1)[None] + jnp.sum(x**2, 1)[:, None] - 2 * x @ (x[::-1]).T,
    "another_diagonal": lambda x, y: (lambda g: _of(g, g[jnp.arange(3), jnp.arange(3)[::-1]]))(x @ x.T),
    "columns": lambda x, y: jnp.sum(x**2, 1)[:, None] + jnp.sum(x**2, 1) - 2 * (x * W) @ x.T,
    "plus": lambda x, y: jnp.sum(x**2, 1)[:, None] + jnp.sum(x**2, 1) + 2 * x @ x.T,
    "other_axis": lambda x, y: (
        jnp.sum(x[:2].T ** 2, 1)[:, None] + jnp.sum(x[:2] ** 2, 1) - 2 * x[:2] @ x[:2].T
    ),
    "transposed": lambda x, y: (lambda s: jnp.sum(s**2, 0)[:, None] + jnp.sum(s**2, 0) - 2 * s @ s.T)(x[:2]),
    "off_diagonal": lambda x, y: (
        lambda g: (lambda d: d[:, None] + d - 2 * g)(jnp.sum(jnp.where(jnp.eye(3, k=1) > 0, g, 0), 0))
    )(x @ x.T),
}  # fmt: skip


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_table_of_distances_is_not_taken_for_one(name):
    found = rewrite(trace(NONE[name], jnp.asarray(X), jnp.asarray(Y)).graph)
    assert not any("squared_distances" in change.after for change in found.changes)


def test_a_large_table_is_summed_one_index_at_a_time(monkeypatch):
    by = jnp.ones((1, 1, 2), jnp.float32) * W
    args = X[:, None], Y[None]
    whole = pairwise.squared_distances_of(*args, by, (2,))
    slopes = jax.grad(lambda x: jnp.sum(jnp.sin(pairwise.squared_distances_of(x, args[1], by, (2,)))))(args[0])
    monkeypatch.setattr(pairwise, "AT_ONCE", 1)
    assert np.allclose(pairwise.squared_distances_of(*args, by, (2,)), whole, rtol=1e-6)
    again = jax.grad(lambda x: jnp.sum(jnp.sin(pairwise.squared_distances_of(x, args[1], by, (2,)))))(args[0])
    assert np.allclose(slopes, again, rtol=1e-5)
    one = jnp.float32(1.0)
    assert np.allclose(pairwise.squared_distances_of(*args, one, (2,)), jnp.sum((args[0] - args[1]) ** 2, 2))
