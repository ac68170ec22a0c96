"""What leaves the range of floating point in the middle, in value or in gradient, where the result does not."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.graph.trace import trace
from qed.numerics.rewriting.discriminants import root_of_discriminant
from qed.numerics.rewriting.session import rewrite


def root(a, b, c):
    return (-b + jnp.sqrt(b * b - 4 * a * c)) / (2 * a)


def divergence(s, t):
    return jnp.log(t / s) + s**2 / (2 * t**2) - 0.5


CASES = {
    "roots of quadratics": (
        root,
        [(1e-30, -1e-25, 1e-22), (2e25, 0.0, -8e25), (-1e25, 3e20, 1e20), (1.0, -3.0, 2.0), (1.0, 3.0, 1.0)],
    ),
    "powers of probabilities": (
        lambda a, b, c: jnp.log(jnp.prod(jnp.stack([a, 0.5, b]) ** jnp.stack([3.0, c, 90.0]))),
        [(1e-20, 0.5, 100.0), (0.2, 0.3, 4.0)],
    ),
    "log of a complex number": (lambda x, y: jnp.log(jnp.sqrt(x * x + y * y)), [(3e-25, 4e-25), (1e25, 1e24)]),
    "log of a norm": (
        lambda x, y: jnp.log(jnp.sqrt(jnp.sum(jnp.stack([x, y]) ** 2))),
        [(3e-25, 4e-25), (1e25, 1e24), (2.0, 3.0)],
    ),
    "log of Cauchy's density": (lambda x, c: jnp.log(1 + (x / c) ** 2), [(1e22, 3.0), (1e-5, 2.0), (2.0, 3.0)]),
    "pseudo-Huber": (lambda x, y: y * (jnp.sqrt(1 + x**2) - 1), [(1e25, 0.5), (0.01, 2.0), (1.0, 3.0)]),
    "divergence of two scales": (divergence, [(83.0, 2e19), (1.0, 1.0009765625), (3.0, 2.0), (1e-15, 1e15)]),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_keep_their_digits(name: str) -> None:
    fun, points = CASES[name]
    rows = np.array(points, np.float32)
    graph = rewrite(trace(fun, *rows[0]).graph)
    moving = tuple(range(rows.shape[1]))
    found = jax.jit(jax.vmap(jax.value_and_grad(lambda *x: graph.function(*x)[0], moving)))(*rows.T)
    with jax.enable_x64(True):
        true = jax.jit(jax.vmap(jax.value_and_grad(fun, moving)))(*rows.T.astype(np.float64))
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(true), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=3e-6)


def test_a_root_of_a_discriminant_is_a_number_where_its_products_are_none() -> None:
    b = np.float32([0, 3e25, 1e-25, -2, 0, 0, 1e38, 5])
    q = np.float32([4e20, -4e30, 2e-30, 3, 0, -1, 1e38, 0])
    a = np.float32([1e20, 1e20, 4e-20, 1, 5, 1, 1e38, 1e38])
    with np.errstate(over="ignore", invalid="ignore"):
        total = b * b + q * a
    found = root_of_discriminant(*map(jnp.asarray, (total, b, q, a)))
    wide = [x.astype(np.float64) for x in (b, q, a)]
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(found, np.sqrt(wide[0] ** 2 + wide[1] * wide[2]), rtol=3e-7)


def test_a_negative_product_of_powers_has_no_logarithm() -> None:
    x, c = np.float32([[-0.5, 0.3], [-0.5, -0.3]]), np.float32([3.0, 1.0])
    stable = rewrite(trace(lambda x, c: jnp.log(jnp.prod(x**c)), x[0], c).graph).function
    assert np.isnan(stable(x[0], c)[0])
    np.testing.assert_allclose(stable(x[1], c)[0], np.log(0.125 * 0.3), rtol=1e-6)
    np.testing.assert_allclose(stable(x[0], np.float32([2.0, 0.0]))[0], np.log(0.25), rtol=1e-6)
    assert np.isnan(stable(x[0], np.float32([0.5, 1.0]))[0])


def test_a_product_of_powers_with_a_zero_beside_a_negative_number_has_the_logarithm_of_zero() -> None:
    x, c = np.float32([-0.5, 0.0]), np.float32([3.0, 2.0])
    stable = rewrite(trace(lambda x, c: jnp.log(jnp.prod(x**c)), x, c).graph).function
    assert stable(x, c)[0] == -np.inf == jnp.log(jnp.prod(x**c))
    assert np.isnan(stable(x, np.float32([0.5, 2.0]))[0])
    slope = jax.grad(lambda x, c: stable(x, c)[0])
    assert np.isnan(slope(np.float32([-0.5, 2.0]), np.float32([0.5, 2.0]))[0])
