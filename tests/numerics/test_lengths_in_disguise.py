"""Clips by a length, norms written as products, logarithms of squares, and choices between whole expressions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.trace import trace
from qed.numerics.rewriting.session import rewrite

SHORT, LONG = np.float32([3e-25, 4e-25]), np.float32([3e25, 4e25])


def pulled(f, x, by):
    return np.asarray(jax.vjp(f, jnp.asarray(x))[1](jnp.asarray(by, jnp.float32))[0])


CLIPS = {
    "min": lambda g: g * jnp.minimum(1.0, 1.0 / jnp.sqrt(jnp.sum(jnp.square(g)))),
    "norm": lambda g: jnp.minimum(1.0, 1.0 / jnp.linalg.norm(g)) * g,
    "max": lambda g: g / jnp.maximum(1.0, jnp.sqrt(jnp.sum(g * g))),
    "half": lambda g: 2 * g * jnp.minimum(0.5, 0.5 / jnp.sqrt(jnp.vdot(g, g))),
}


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_by_length_has_the_derivative_of_one(name):
    stable = qed.stabilize(CLIPS[name])
    assert np.allclose(stable(LONG), [0.6, 0.8], rtol=1e-6)
    if name == "min":  # JAX's derivative loses as much elsewhere, where the result cancels
        assert np.allclose(pulled(stable, SHORT, [1.0, -0.5]), [1.0, -0.5])
    flat = rewrite(trace(CLIPS[name], jnp.asarray(LONG)).graph).function

    def f(g):
        return flat(g)[0]

    assert np.allclose(pulled(f, SHORT, [1.0, -0.5]), [1.0, -0.5])
    # (c - u <u, c>) / |g| with u = (.6, .8), c = (1, -.5)
    assert np.allclose(pulled(f, LONG, [1.0, -0.5]) / 1e-26, [1.76, -1.32], rtol=1e-5)
    forward = jax.jvp(f, (jnp.asarray(LONG),), (jnp.float32([1.0, -0.5]),))[1]
    assert np.allclose(forward / 1e-26, [1.76, -1.32], rtol=1e-5)


def test_a_bound_times_a_long_vector_is_not_formed():
    def f(w, x):
        return w * jnp.minimum(1e3, 1e6 / jnp.linalg.norm(x))

    w, x = jnp.full(2, 1e34, jnp.float32), jnp.full(2, 1e10, jnp.float32)
    assert np.allclose(qed.stabilize(f)(w, x), 7.0710678e29)


def test_clips_of_mixed_signs_stay_what_they_are():
    def f(g):
        return g * jnp.minimum(-1.0, 1.0 / jnp.sqrt(jnp.sum(g * g)))

    def g(g):
        return g * jnp.minimum(1.0, -1.0 / jnp.sqrt(jnp.sum(g * g)))

    x = jnp.float32([3.0, 4.0])
    assert np.allclose(qed.stabilize(f)(x), f(x)) and np.allclose(qed.stabilize(g)(x), g(x), rtol=1e-6)


NORMS = {
    "vmap_dot": lambda x: jax.vmap(lambda r: jnp.sqrt(jnp.dot(r, r)))(x),
    "einsum": lambda x: jnp.sqrt(jnp.einsum("ij,ij->i", x, x)),
    "diagonal": lambda x: jnp.sqrt(jnp.diag(x @ x.T)),
    "product": lambda x: jnp.sqrt((x[:, None, :] @ x[:, :, None])[:, 0, 0]),
}


@pytest.mark.parametrize("name", ["vmap_dot", "einsum", "diagonal"])
def test_a_norm_is_one_however_its_squares_are_summed(name):
    f = qed.stabilize(NORMS[name])
    x = jnp.float32([[3, 4], [0, 0]])
    assert np.allclose(f(x), [5, 0])
    assert np.allclose(jax.grad(lambda x: jnp.sum(f(x)))(x), [[0.6, 0.8], [0, 0]])
    big = jnp.float32([[3e30, 4e30], [3e-30, 4e-30]])
    assert np.allclose(f(big) / jnp.float32([5e30, 5e-30]), 1)
    assert np.allclose(jax.grad(lambda x: jnp.sum(f(x)))(big), [[0.6, 0.8], [0.6, 0.8]])


def test_the_root_of_a_square_has_the_slope_of_a_length_at_the_origin():
    f = qed.stabilize(lambda x: jnp.sqrt(x**2))
    assert [float(jax.grad(f)(v)) for v in (-2.0, 0.0, 3.0)] == [-1.0, 0.0, 1.0]


LOGS = {
    "modulus": (lambda v: 0.5 * jnp.log(v[0] * v[0] + v[1] * v[1]), 1.0, 0.0),
    "sum": (lambda v: jnp.log(jnp.sum(v**2)), 2.0, 0.0),
    "dot": (lambda v: jnp.log(v @ v), 2.0, 0.0),
    "mean": (lambda v: jnp.log(jnp.mean(v**2)), 2.0, -np.log(2.0)),
    "half": (lambda v: 0.5 * jnp.log(0.5 * jnp.sum(v**2)), 1.0, -0.5 * np.log(2.0)),
}


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("size", [1e-25, 1.0, 1e25])
def test_the_logarithm_of_a_sum_of_squares_needs_no_squares(name, size):
    f, weight, offset = LOGS[name]
    x = jnp.float32([3 * size, 4 * size])
    true = weight * np.log(np.hypot(*np.asarray(x, np.float64))) + offset
    assert np.isclose(qed.stabilize(f)(x), true, rtol=1e-6)
    assert np.allclose(jax.grad(qed.stabilize(f))(x) * size, weight * np.float32([3, 4]) / 25, rtol=1e-6)


def test_near_one_the_logarithm_of_a_modulus_is_small():
    f = qed.stabilize(lambda x, y: jnp.log(x * x + y * y))
    x, y = np.float32(0.6), np.float32(0.8)
    exact = float(x) ** 2 + float(y) ** 2 - 1
    assert np.isclose(float(f(x, y)), np.log1p(exact), rtol=1e-6)
    two = qed.stabilize(lambda x, y: jnp.log(1 + x * x + y * y))
    assert np.isclose(float(two(np.float32(1e-10), np.float32(2e-10))), 5e-20, rtol=1e-6)
    assert np.isclose(float(two(np.float32(3e25), np.float32(4e25))), 2 * np.log(5e25), rtol=1e-6)


def test_a_relative_entropy_of_nothing_has_a_derivative():
    f = qed.stabilize(lambda p, q: jnp.sum(jnp.where(p > 0, p * jnp.log(p / q), 0.0)))
    p, q = jnp.float32([0, 0.5, 0.5]), jnp.float32([0.2, 0.4, 0.4])
    slopes = jax.grad(f, (0, 1))(p, q)
    assert np.allclose(slopes[0], [0, np.log(1.25) + 1, np.log(1.25) + 1]) and np.allclose(slopes[1], [0, -1.25, -1.25])


def test_one_truth_value_chooses_between_expressions_of_arrays():
    def f(x):
        return jnp.where(jnp.all(x > 0), jnp.exp(jnp.sum(jnp.log(x))), jnp.prod(x))

    assert np.allclose(jax.grad(qed.stabilize(f))(jnp.float32([2, 0, 3])), [0, 6, 0])
    assert np.allclose(jax.grad(qed.stabilize(f))(jnp.float32([2, 5, 3])), [15, 6, 10])

    def mean(x, n):
        return jnp.where(n > 0, jnp.sum(jnp.sqrt(x)) / n, jnp.float32(0))

    assert np.allclose(jax.grad(qed.stabilize(mean))(jnp.zeros(2), jnp.float32(0)), 0)


def test_the_value_of_a_function_with_its_own_rule_is_rewritten_and_the_rule_kept():
    @jax.custom_jvp
    def soft(x):
        return jnp.log(1 + jnp.exp(x))

    soft.defjvp(lambda p, t: (soft(*p), 7 * t[0]))  # not the derivative: it has to be seen
    f = qed.stabilize(lambda x: 2 * soft(x))
    assert float(f(300.0)) == 600.0 and float(jax.grad(f)(300.0)) == 14.0
    assert float(jax.jvp(f, (300.0,), (1.0,))[1]) == 14.0
    assert np.allclose(jax.vmap(jax.grad(f))(jnp.float32([1, 300])), 14)


# --- lengths kept in pieces, and directions where the length is 0

PIECES = {
    "sum": lambda x, y: jnp.sqrt(jnp.sum(x**2) + jnp.sum(y * y)),
    "tree": lambda x, y: jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in ({"x": x, "y": y}).values())),
    "power": lambda x, y: (jnp.sum(jnp.square(x)) + y[0] ** 2 + y[1] ** 2) ** 0.5,
}


@pytest.mark.parametrize("name", PIECES)
def test_the_length_of_an_array_in_pieces(name):
    stable = qed.stabilize(PIECES[name])
    value, slopes = jax.value_and_grad(stable, argnums=(0, 1))(LONG, 2 * LONG)
    assert np.allclose(value / 1e25, 5 * np.sqrt(5), rtol=1e-6)
    assert np.allclose(slopes, np.array([[0.6, 0.8], [1.2, 1.6]]) / np.sqrt(5), rtol=1e-5)
    assert np.allclose(stable(SHORT, SHORT) / 1e-25, 5 * np.sqrt(2), rtol=1e-6)
    zero = np.zeros(2, np.float32)
    assert not np.any(jax.grad(stable, argnums=(0, 1))(zero, zero))


def test_a_root_of_sums_of_squares_and_a_number_stays_what_it_is():
    def f(x, y):
        return jnp.sqrt(jnp.sum(x**2) + jnp.sum(y**2) + 1e-6)

    assert not rewrite(trace(f, jnp.ones(2), jnp.ones(3)).graph).changes


W = np.float32([1.0, -2.0])


def clipped_together(x):
    leaves = x[:1], x[1:]
    total = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in leaves))
    short = total < 1.0
    new = [jax.lax.select(jnp.broadcast_to(short, leaf.shape), leaf, leaf / total) for leaf in leaves]
    return jnp.vdot(jnp.concatenate(new), W)


DIRECTIONS = {
    "all": (lambda x: jnp.vdot(jnp.where(jnp.linalg.norm(x) == 0, 0.0, x / jnp.linalg.norm(x)), W), [0.0, 0.0]),
    "clip": (lambda x: jnp.vdot(jnp.where(jnp.sum(x**2) < 1, x, x / jnp.sqrt(jnp.sum(x**2))), W), W),
    "power": (lambda x: jnp.vdot(jnp.where(x @ x > 0, x / (x @ x) ** 0.5, x), W), W),
    "pieces": (clipped_together, W),
}


@pytest.mark.parametrize("name", DIRECTIONS)
def test_a_direction_that_is_not_chosen_has_no_slope(name):
    f, slope = DIRECTIONS[name]
    zero, far = np.zeros(2, np.float32), np.float32([3.0, 4.0])
    for g in (jax.grad(qed.stabilize(f)), qed.stabilize(jax.grad(f))):
        assert np.allclose(g(zero), slope)
        assert np.allclose(g(far), (W - np.float32([0.6, 0.8]) * -1.0) / 5, rtol=1e-5)


@pytest.mark.parametrize("chosen", ["rows", "elements"])
def test_a_direction_is_chosen_as_a_whole_or_left(chosen):
    def f(x):
        length = jnp.linalg.norm(x, axis=1, keepdims=True)
        return jnp.sum(jnp.where(length > 0 if chosen == "rows" else x > 0, x / length, 0.0) * W)

    stable, x = qed.stabilize(f), np.float32([[3.0, -4.0], [-6.0, 8.0]])
    assert np.allclose(stable(x), f(x), rtol=1e-6)
    assert np.allclose(jax.grad(stable)(x), jax.grad(f)(x), rtol=1e-5, atol=1e-7)
    if chosen == "rows":
        x[0] = 0
        assert np.allclose(jax.grad(stable)(x)[0], 0)
        assert np.allclose(jax.grad(stable)(x)[1], jax.grad(f)(x)[1], rtol=1e-5)


BESIDE = {
    "product": lambda g, w: g / (jnp.sqrt(g * g * w) + 1e-8),
    "moment": lambda g, t: g / (jnp.sqrt(0.25 * g**2 / (1 - 0.75**t)) + 1e-8),
}


@pytest.mark.parametrize("name", BESIDE)
def test_the_root_of_a_square_and_another_factor_needs_no_square(name):
    stable = qed.stabilize(BESIDE[name])
    slope = jax.grad(stable)
    for g in np.float32([3e25, -2e-30, 5.0]):
        root = 2.0 if name == "product" else np.sqrt(0.25 / (1 - 0.75**4))
        assert np.allclose(stable(g, jnp.float32(4.0)), float(g) / (root * abs(float(g)) + 1e-8), rtol=1e-6)
    assert np.allclose(slope(jnp.float32(0.0), jnp.float32(4.0)), 1e8, rtol=1e-6)
