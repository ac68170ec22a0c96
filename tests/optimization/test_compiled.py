"""The loop compiled as one program: the same minima, compiled once, under jit and vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

TRACED = []


def bowl(p, data):
    TRACED.append(1)
    return jnp.sum((p["w"] - data) ** 2) + 0.5 * (p["b"] - 1) ** 2 + 0.1 * jnp.sum(jnp.cosh(p["w"]))


def test_the_compiled_loop_finds_the_same_minimum_and_is_compiled_once():
    start = {"w": jnp.zeros(3), "b": jnp.float32(0.0)}
    data = jnp.array([1.0, -1.0, 0.5])
    first = qed.minimize(bowl, start, data, compiled=True, tol=1e-5)
    assert first.reason == "minimum"
    np.testing.assert_allclose(first.x["w"], qed.minimize(bowl, start, data, tol=1e-5).x["w"], atol=1e-4)

    from qed.optimization.compiled import descend

    before = descend._cache_size()
    for k in range(3):
        found = descend(bowl, start, (data + k,), 1e-5, 1000)[0]
        np.testing.assert_allclose(jax.grad(bowl)(found, data + k)["w"], 0.0, atol=1e-4)
    assert descend._cache_size() <= before + 1


@pytest.mark.slow
def test_it_works_under_jit_and_vmap_where_no_verdict_is_given():
    starts = jnp.array([[-1.2, 1.0], [0.5, 0.5], [2.0, 2.0]])

    def valley(x):
        return 10 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2

    def solved(x):
        answer = qed.minimize(valley, x, compiled=True, tol=1e-4)
        assert answer.standing == "UNKNOWN"
        return answer.x, answer.fun

    points, values = jax.jit(jax.vmap(solved))(starts)
    np.testing.assert_allclose(points, 1.0, atol=1e-3)
    assert jnp.all(values < 1e-6)


def test_the_step_on_the_host_is_compiled_once_for_a_run():
    TRACED.clear()
    start = {"w": jnp.zeros(3), "b": jnp.float32(0.0)}
    short = qed.minimize(bowl, start, jnp.ones(3), method="gradient", max_steps=2)
    few = len(TRACED)
    TRACED.clear()
    long = qed.minimize(bowl, start, jnp.ones(3), method="gradient", max_steps=40)
    assert long.counts["steps"] > short.counts["steps"]
    assert len(TRACED) <= few + 8  # the verdict on a minimum asks more; a step that is traced anew would add 38
