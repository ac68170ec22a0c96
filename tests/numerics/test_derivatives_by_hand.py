"""A derivative that the user takes before anything is rewritten: its products have factors below zero."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.trace import trace
from qed.numerics.longer.lengthened import lengthened
from qed.numerics.longer.on_machine import on_machine
from qed.numerics.rewriting.session import rewrite

LOGITS = np.array([[200, -100, 3], [1, 2, 30], [-300, -299, -301], [0.5, -0.5, 0.25], [-1e4, 90, 1e4]], np.float32)
LABELS = np.array([0, 2, 1, 1, 0], np.int32)


def cross_entropy(z, y):
    return -jnp.log(jnp.exp(z)[y] / jnp.sum(jnp.exp(z)))


def true_gradient(z, y):
    with jax.enable_x64(True):
        z = jnp.asarray(z, jnp.float64)
        return np.asarray(jax.nn.softmax(z) - jax.nn.one_hot(y, 3))


@pytest.mark.parametrize("mapped", [False, True], ids=["one", "vmap"])
def test_the_gradient_of_cross_entropy_by_hand_is_a_number(mapped: bool) -> None:
    one = jax.grad(cross_entropy)
    by_hand, at = (jax.vmap(one), (LOGITS, LABELS)) if mapped else (one, (LOGITS[0], LABELS[0]))
    stable = rewrite(trace(by_hand, *at).graph).function
    (found,) = stable(*at) if mapped else jax.vmap(stable)(LOGITS, LABELS)
    assert np.isnan(np.asarray(jax.vmap(one)(LOGITS, LABELS))).any()
    np.testing.assert_allclose(found, true_gradient(LOGITS, LABELS), rtol=2e-6, atol=3e-7)


def test_signs_are_followed_through_products_and_what_is_put_among_zeros() -> None:
    def fun(x, i):
        s = jnp.zeros(3, jnp.float32).at[i].set(-jnp.negative(-1 / -jnp.sum(jnp.exp(x))))
        return (s * jnp.exp(x)) * -2.0

    x, i = jnp.float32([100.0, 90.0, -5.0]), jnp.int32(0)
    (found,) = rewrite(trace(fun, x, i).graph).function(x, i)
    np.testing.assert_allclose(found, [-2 / (1 + np.exp(-10)), 0, 0], rtol=1e-6)


def test_a_factor_of_unknown_sign_leaves_a_product_alone() -> None:
    def fun(x, y):
        return (-jnp.exp(x) * y) * jnp.exp(-x)

    assert not rewrite(trace(fun, jnp.float32(1.0), jnp.float32(1.0)).graph).changes


def test_a_function_applied_at_an_index_puts_nothing_among_zeros() -> None:
    """It is a scatter as well; its elements were zero, and become -1."""

    def fun(x, i):
        p = jnp.zeros(3, jnp.float32).at[i].apply(lambda v: v - 1) * jnp.exp(x)
        return p / jnp.sum(jnp.exp(x))

    x, i = jnp.float32([1.0, 0.5, 2.0]), jnp.int32(1)
    (found,) = rewrite(trace(fun, x, i).graph).function(x, i)
    np.testing.assert_allclose(found, fun(x, i), rtol=1e-6)


def test_the_derivative_in_longer_numbers_of_what_a_library_jits() -> None:
    """Its equations of JAX are still of the shorter dtype: they are not evaluated."""

    def fun(x):
        return jnp.linalg.norm(x) ** 2 - x[0]

    graph = lengthened(trace(fun, jnp.zeros(2, jnp.float32)).graph)
    assert graph is not None
    with jax.enable_x64(True):
        machine = on_machine(graph, "float32")
        assert machine is not None and machine._made((0,), False) is not None


def test_a_rest_of_the_logarithm_is_infinite_where_its_argument_is() -> None:
    def divergence(s, t):
        return jnp.log(t / s) + s**2 / (2 * t**2) - 0.5

    at = jnp.float32(1e10), jnp.float32(1e-10)
    assert divergence(*at) == np.inf == qed.stabilize(divergence)(*at)
