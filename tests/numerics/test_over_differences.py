"""Gradients by `jax.grad` with factors over a difference of exponentials, and averages of sigmoids beside 1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.trace import trace
from tests.numerics.judging import exact


def censored(x):  # the probability that a lifetime ends in an interval
    return jnp.log(jnp.exp(-x[0] * x[1]) - jnp.exp(-x[0] * x[2]))


def between(x):
    low, high = jnp.exp(-0.125 * x[1] ** 2), jnp.exp(-0.125 * x[2] ** 2)
    return x[0] * jnp.log(2 * (low - high))


def weight_left(x):
    a, b = jnp.exp(-x[0] * x[1]), jnp.exp(-x[0] * x[2])
    return (3 * a - x[1] * b) / (a - b)


def both_by_hand(x):
    y = 1 / (1 + jnp.exp(-2 * x))
    return jnp.sum(jnp.log(y) + 3 * jnp.log(1 - y))


def pooled(x):
    p = jnp.mean(jax.nn.sigmoid(3 * x))
    return jnp.log(p) - 2 * jnp.log(1 - p)


LABELS = np.array([[0.0, 0.0, 1.0], [0.0, 2.0, 0.0]], np.float32)


def shares(x):
    z = jnp.stack([x, -3 * x])
    return jnp.exp(z) / jnp.sum(jnp.exp(z), axis=1, keepdims=True)


def weighted_labels(x):
    return -jnp.mean(jnp.sum(LABELS * jnp.log(shares(x)), axis=1))


def masked_labels(x):
    mask = jnp.array([1.0, 0.5])
    picked = jnp.stack([jnp.log(shares(x))[0, 2], jnp.log(shares(x))[1, 0]])
    return -jnp.sum(picked * mask) / jnp.sum(mask)


FUNCTIONS = [censored, between, weight_left, both_by_hand, pooled, weighted_labels, masked_labels]
POINTS = [(0.5, 1.25, 2.0), (3.0, 40.0, 41.5), (7.0, 30.25, 30.5), (11.0, 55.0, 90.0)]


@pytest.mark.parametrize("fun", FUNCTIONS)
def test_gradients_taken_before(fun):
    slope = jax.jit(qed.stabilize(jax.grad(fun)))
    broken = 0
    for point in POINTS:
        x = jnp.asarray(point, jnp.float32)
        t = trace(jax.grad(fun), x)
        true = np.array([np.nan if b is None else float(b) for b in exact(t.graph, t.leaves)])
        known = ~np.isnan(true)
        assert known.any()
        size = np.max(np.abs(true[known]))
        plain = np.abs(np.asarray(jax.jit(jax.grad(fun))(x), np.float64) - true)[known]
        broken += not np.max(plain) <= 1e-5 * size
        error = np.abs(np.asarray(slope(x), np.float64) - true)[known]
        assert np.max(error) <= 5e-7 * size + 1e-37, (point, slope(x), true)
    assert broken


def each_label(x):
    p = jnp.exp(x) / jnp.sum(jnp.exp(x))
    return -jnp.sum(jnp.array([0.0, 0.0, 3.0]) * jnp.log(p))


def each_row(x):
    z = jnp.stack([x, -2 * x])
    p = jnp.exp(z) / jnp.sum(jnp.exp(z), axis=1, keepdims=True)
    return -jnp.mean(jnp.sum(jnp.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]) * jnp.log(p), axis=1))


@pytest.mark.parametrize("fun", [each_label, each_row])
def test_each_component_of_a_gradient_with_labels(fun):
    x = np.array([3.0, 40.0, 88.5], np.float32)
    found = np.asarray(jax.jit(qed.stabilize(jax.grad(fun)))(x), np.float64)
    others = np.exp(x[:2].astype(np.float64) - x[2])
    p = others / (1 + others.sum())
    true = np.array([*p, -p.sum()])
    np.testing.assert_allclose(
        found / np.linalg.norm(found), np.sign(found[0]) * true / np.linalg.norm(true), rtol=3e-6
    )


def test_equal_ends_and_other_exponentials():
    share = qed.stabilize(lambda x: jnp.exp(-x[1]) / (jnp.exp(-x[0]) - jnp.exp(-x[1])))
    np.testing.assert_allclose(share(jnp.array([200.0, 202.0])), 1 / np.expm1(2.0), rtol=1e-6)
    assert np.isinf(share(jnp.array([3.0, 3.0])))
    other = qed.stabilize(lambda x: jnp.exp(-x[2]) / (jnp.exp(-x[0]) - jnp.exp(-x[1])))
    np.testing.assert_allclose(
        other(jnp.array([1.0, 2.0, 3.0])), np.exp(-3.0) / (np.exp(-1.0) - np.exp(-2.0)), rtol=1e-6
    )


def repeated(x):
    a, b = jnp.exp(x[0]), jnp.exp(x[2])
    return x[1] / (a - b) / (a - b) * a + (x[1] / (a - b)) * (a * (a * x[2])) - x[2] / (a - b) * (x[1] / (a - b)) * b


def over_expm1(x):
    a, b = jnp.exp(x[0]), jnp.exp(x[2])
    twice = x[1] / jnp.expm1(x[0]) / jnp.expm1(x[0]) * a + x[1] / (a - 1) * (x[2] / (a - 1)) * a
    return twice + x[2] / (x[1] / jnp.expm1(x[0])) * a - x[1] / (1 / (b - 1)) * b - -x[1] / (b - 1) * -b * (b - 1)


@pytest.mark.parametrize("fun", [repeated, over_expm1], ids=["repeated", "over_expm1"])
def test_a_factor_that_stands_there_twice(fun):
    for point in [(1.25, 0.5, -0.75), (-0.375, -2.0, 1.5)]:
        x = jnp.asarray(point, jnp.float32)
        t = trace(fun, x)
        np.testing.assert_allclose(qed.stabilize(fun)(x), float(exact(t.graph, t.leaves)[0]), rtol=1e-5)


def inverse_softplus(x):
    return jnp.log(jnp.exp(x) - 1)


def scaled(x):
    return x * jnp.log(3 * (jnp.exp(2 * x) - 1))


@pytest.mark.parametrize(
    "fun, slope", [(inverse_softplus, 1.0), (scaled, np.log(3.0) + 480.0)], ids=["inverse_softplus", "scaled"]
)
def test_the_logarithm_of_an_exponential_less_one(fun, slope):
    np.testing.assert_allclose(qed.stabilize(jax.grad(fun))(120.0), slope, rtol=1e-6)


def branched(x):
    return jax.lax.cond(x > 0, inverse_softplus, lambda t: -t * t, x)


def switched(x):
    parts = [jnp.sin, lambda t: 2 * scaled(t), lambda t: t**3]
    return jax.lax.switch(jnp.asarray(x / 50, jnp.int32), parts, x)


def branched_twice(x):
    y = jax.lax.cond(x > 0, lambda t: t * t, lambda t: 2 * t, x / 12)
    return jax.lax.cond(x > 0, inverse_softplus, jnp.sin, y)


def branched_in_a_branch(x):
    return jax.lax.cond(x < 1e3, branched, lambda t: t, x)


@pytest.mark.parametrize(
    "fun, x, slope",
    [
        (branched, 120.0, 1.0),
        (branched, -3.0, 6.0),
        (switched, 75.0, 2 * (np.log(3.0) + 300.0)),
        (switched, 2.0, np.cos(2.0)),
        (switched, 130.0, 3 * 130.0**2),
        (branched_twice, 132.0, 22.0 / 12),
        (branched_twice, -6.0, np.cos(-1.0) / 6),
        (branched_in_a_branch, 110.0, 1.0),
        (branched_in_a_branch, 1100.0, 1.0),
    ],
)
def test_what_a_branch_leaves_for_its_derivative(fun, x, slope):
    np.testing.assert_allclose(qed.stabilize(jax.grad(fun))(x), slope, rtol=1e-6)


def test_a_print_in_a_branch_runs_once(capfd):
    def told(t):
        jax.debug.print("here")
        return inverse_softplus(t)

    value = qed.stabilize(jax.grad(lambda x: jax.lax.cond(x > 0, told, lambda t: t, x)))(3.0)
    jax.effects_barrier()
    assert capfd.readouterr().out.count("here") == 1
    np.testing.assert_allclose(value, 1 / (1 - np.exp(-3.0)), rtol=1e-6)
