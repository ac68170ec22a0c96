"""Differences of functions of sorted numbers: sorting changes no number, and neighbours keep their gap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

NEAR = np.array([7.0 + 3e-9, 7.0, 7.0 + 8e-9, 7.0 + 1e-9])
GAPS = np.diff(np.sort(NEAR))


def _spacings(x):
    s = jnp.sort(x)
    return jnp.sum(jnp.log(s[1:]) - jnp.log(s[:-1]))


def _excess(x):
    top = jax.lax.top_k(x, 3)[0]
    return jnp.sum(jnp.sqrt(top[:2]) - jnp.sqrt(top[2]))


def _by_key(x):
    keys = jnp.asarray([3, 1, 2, 0])
    v = jax.lax.sort((keys, x), num_keys=1)[1]
    return v[1] ** 2 - v[0] ** 2


S = np.sort(NEAR)[::-1]
WRITTEN = {
    "spacings": (_spacings, np.sum(np.log1p(GAPS / np.sort(NEAR)[:-1]))),
    "excess": (_excess, np.sum((S[:2] - S[2]) / (np.sqrt(S[:2]) + np.sqrt(S[2])))),
    "by key": (_by_key, (NEAR[1] - NEAR[3]) * (NEAR[1] + NEAR[3])),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_neighbours_in_order_keep_their_digits(name):
    fun, truth = WRITTEN[name]
    with jax.enable_x64(True):
        x = jnp.asarray(NEAR)
        assert abs(fun(x) / truth - 1) > 1e-11
        stable = qed.stabilize(fun)
        assert abs(jax.jit(stable)(x) / truth - 1) < 1e-14
        np.testing.assert_allclose(jax.grad(stable)(x), jax.grad(fun)(x), rtol=1e-14, atol=1e-14)


def test_a_gradient_by_jax_of_what_was_sorted():
    def fun(x):
        s = jnp.sort(x)
        return 1 / (jnp.log(s[1]) - jnp.log(s[0]))

    with jax.enable_x64(True):
        a, b = NEAR[1], NEAR[3]
        expected = np.array([0, 1 / a, 0, -1 / b]) / np.log1p((b - a) / a) ** 2
        np.testing.assert_allclose(qed.stabilize(jax.grad(fun))(jnp.asarray(NEAR)), expected, rtol=1e-13)


def test_what_was_rounded_before_it_was_sorted_is_not_exact():
    def fun(x):
        s = jnp.sort(x * 0.3)
        return jnp.sum(jnp.log(s[1:]) - jnp.log(s[:-1]))

    x = jnp.asarray([1.0, 1.5, 4.0], jnp.float32)
    np.testing.assert_allclose(qed.stabilize(fun)(x), np.log(4.0), rtol=1e-6)
