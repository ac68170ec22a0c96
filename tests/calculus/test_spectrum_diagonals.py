"""Linearised products whose elementwise factors are multiplied out: the same map, of fewer arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.calculus.spectra import products as of_products
from qed.calculus.spectra.diagonals import multiplied_out
from qed.calculus.spectra.products import Products
from qed.graph.function import read

X, Y = (jnp.asarray(np.random.default_rng(i).uniform(0.5, 1.5, (6, 5)), jnp.float32) for i in (1, 2))


def _bytes(tree):
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


def by_rows(p):
    return jnp.exp(jnp.sin(p[0])) * jnp.sum(jnp.sin(jnp.exp(p[1])), 1, keepdims=True)


def used_twice(p):
    y = jax.nn.gelu(p[0] * p[1], approximate=False)
    return y, jnp.sum(y, 0) * jnp.sin(jnp.cos(y))


def four_bases(p):
    mean = jnp.sin(jnp.exp(p[1].sum(1, keepdims=True)))
    return jnp.sin(p[0]) * p[1] * jnp.sin(p[0].sum(0)) * mean


CHAINS = {
    "one base": (lambda p: jnp.sin(jnp.exp(jnp.tanh(p[0])) * p[0]) * jnp.log(p[0]), 1),
    "two bases": (lambda p: jnp.exp(jnp.sin(p[0] * p[1])) / jnp.cosh(p[0]), 2),
    "a difference": (lambda p: jnp.sinh(jnp.sin(p[0])) - jnp.cosh(jnp.cos(p[0])), 1),
    "matrices": (lambda p: jnp.exp(jnp.sin(jnp.tanh(p[0]))).T @ jnp.cos(jnp.exp(-p[0])), 4),
    "one factor for each row": (by_rows, None),
    "used twice": (used_twice, None),
    "four bases": (four_bases, None),
}


@pytest.mark.parametrize("name", CHAINS)
def test_the_map_is_the_same_and_takes_no_more(name):
    fun, left = CHAINS[name]
    _, tangent = jax.linearize(fun, (X, Y))
    less = multiplied_out(tangent, (X, Y))
    draw = np.random.default_rng(3)
    for _ in range(2):
        v = tuple(jnp.asarray(draw.standard_normal(X.shape), jnp.float32) for _ in range(2))
        for one, two in zip(jax.tree.leaves(less(v)), jax.tree.leaves(tangent(v)), strict=True):
            assert np.allclose(one, two, rtol=1e-5, atol=1e-5 * np.max(np.abs(two)))
    assert _bytes(less) <= _bytes(tangent)
    if left is not None:
        assert less is not tangent and sum(leaf.ndim > 0 for leaf in jax.tree.leaves(less)) == left


@pytest.mark.parametrize("fun", [lambda p: jnp.exp(p[0]) @ p[1].T, lambda p: 2.0 * p[0] - p[1], lambda p: p[0][::-1]])
def test_a_map_without_chains_stays_as_it_is(fun):
    _, tangent = jax.linearize(fun, (X, Y))
    assert multiplied_out(tangent, (X, Y)) is tangent


def deep(w, x):
    for layer in w:
        x = x + jax.nn.silu(x @ layer)
    return jnp.mean(jax.nn.logsumexp(x, -1) ** 2)


def test_products_of_a_network_are_those_in_float64():
    draw = np.random.default_rng(4)
    w = [jnp.asarray(draw.standard_normal((64, 64)) / 8, jnp.float32) for _ in range(3)]
    x = jnp.asarray(draw.standard_normal((900, 64)), jnp.float32)
    products = Products(read(deep, w, x))
    v = draw.standard_normal(products.size) / np.sqrt(products.size)
    own, exact = products.own(v), products.exact(v)
    assert products.linearized and np.linalg.norm(own - exact) <= 1e-5 * np.linalg.norm(exact)
    _, tangent = jax.linearize(lambda w: jax.grad(deep)(w, x), w)
    as_large = [leaf for leaf in jax.tree.leaves(tangent) if leaf.shape == x.shape]
    assert products.kept.kept < 0.7 * sum(leaf.nbytes for leaf in as_large)


def test_factors_that_overflow_together_are_asked_one_by_one(monkeypatch):
    monkeypatch.setattr(of_products, "WORTH", 0.0)
    a, c = jnp.full(30_000, 1e20, jnp.float32), jnp.full(30_000, 1e-36, jnp.float32)  # a a is beyond float32
    f = lambda x, a, b, c: jnp.sum(c * (b * (a * x)) ** 2)  # noqa: E731
    products = Products(read(f, jnp.zeros(30_000), a, a, c))
    v = np.zeros(products.size)
    v[0] = 1e-10
    own = products.own(v)
    assert products.linearized and own[0] == pytest.approx(2e34, rel=1e-5) and not own[1:].any()
