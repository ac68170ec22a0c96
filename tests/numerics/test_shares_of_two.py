"""Logarithms of a share of two weighted exponentials, and exponents of float64 that other functions make."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.build import Builder
from qed.graph.trace import trace
from qed.numerics.longer.candidates import roundings
from qed.numerics.rewriting import exponents_in_pairs, stable, two_words
from tests.numerics.judging import exact, lost


def rates_at_zero(x):  # zero-inflated counts: an excess zero or a Poisson one
    p, rate = jax.nn.sigmoid(x[0]), jnp.exp(x[1])
    return jnp.log((1 - p) * jnp.exp(-rate) / (p + (1 - p) * jnp.exp(-rate)))


def wide_or_narrow(x):  # a narrow normal beside a wide one, by its log odds
    narrow = 0.375 * jnp.exp(-8 * (x[0] - x[1]) ** 2)
    wide = 0.625 * jnp.exp(-0.125 * x[0] ** 2)
    return jnp.log(narrow) - jnp.log(narrow + wide)


def edge(x):  # two ways through a network, each with its own cost
    left = jnp.exp(-x[0] * x[0]) / (1 + x[1] * x[1])
    right = jnp.exp(-x[1] * x[1]) / (1 + x[0] * x[0])
    return -2 * jnp.log(right / (left + right))


FUNCTIONS = [rates_at_zero, wide_or_narrow, edge]
POINTS = [(0.3, 0.7), (-3.0, 5.5), (17.0, -13.0), (25.5, 9.25), (-40.0, 6.125)]


def bits(fun, x, found):
    """The bits that a result and its gradient lose."""
    t = trace(fun, x)
    return max(lost(found, exact(t.graph, t.leaves), x.dtype))


@pytest.mark.parametrize(("fun", "dtype"), [*((f, "float32") for f in FUNCTIONS), (wide_or_narrow, "float64")])
def test_value_and_both_gradients(fun, dtype):
    with jax.enable_x64(dtype == "float64"):
        stable, slope = jax.jit(qed.stabilize(fun)), jax.jit(qed.stabilize(jax.grad(fun)))
        other = jax.jit(jax.grad(qed.stabilize(fun)))
        broken = 0
        for point in POINTS:
            x = jnp.asarray(point, dtype)
            broken += bits(fun, x, jax.jit(fun)(x)) > 6
            assert bits(fun, x, stable(x)) < 3, (point, stable(x))
            largest = np.max(np.abs(slope(x)))
            np.testing.assert_allclose(other(x), slope(x), rtol=0, atol=8 * float(jnp.finfo(dtype).eps) * largest)
            t = trace(jax.grad(fun), x)
            true = [np.nan if b is None else float(b) for b in exact(t.graph, t.leaves)]
            error = np.nan_to_num(np.abs(np.asarray(slope(x), np.float64) - true))
            assert np.max(error) <= 4 * float(jnp.finfo(dtype).eps) * np.nanmax(np.abs(true)) + 1e-37
        assert broken


def test_what_is_told():
    found = qed.stabilize(wide_or_narrow).rewrites(jnp.array([25.5, 9.25]))
    assert "-softplus(b - a)" in str(found) or "log_share_split" in str(found)
    assert str(found.standing) != "REFUTED"


def test_infinite_exponents():
    def share(x):
        return jnp.log(0.25 * jnp.exp(x[0] * x[1]) / (0.25 * jnp.exp(x[0] * x[1]) + 0.75 * jnp.exp(x[1] * x[2])))

    stable = qed.stabilize(share)
    for x, value in (([-1e30, 1e30, 0.0], -np.inf), ([1.0, 3.0, -np.inf], 0.0), ([2e30, 1.0, 1e30], 0.0)):
        np.testing.assert_allclose(jax.jit(stable)(jnp.array(x)), value)


DESIGN = np.array([[1.25, -0.5], [0.3, 2.75], [-1.1, 0.7]])


def hinges(x):
    return jnp.sum(jnp.log(1 / (1 + jnp.exp(-(jnp.asarray(DESIGN, x.dtype) @ x)))))


def survival(x):  # of a hazard that a small network gives
    h = jnp.tanh(jnp.asarray(DESIGN, x.dtype) @ x + 0.3)
    return jnp.log(1 - jax.nn.sigmoid(-90.7 * h[0] + 33.3 * h[1] - 61.1))


@pytest.mark.parametrize("fun", [hinges, survival])
def test_exponents_of_products_in_float64(fun):
    with jax.enable_x64(True):
        stable, slope = jax.jit(qed.stabilize(fun)), jax.jit(qed.stabilize(jax.grad(fun)))
        other = jax.jit(jax.grad(qed.stabilize(fun)))
        for point in ([0.2, -0.4], [31.7, 43.3], [173.3, 111.1], [401.7, 233.3]):
            x = jnp.asarray(point)
            assert bits(fun, x, stable(x)) < 3, (point, stable(x))
            t = trace(jax.grad(fun), x)
            true = np.array([np.nan if b is None else float(b) for b in exact(t.graph, t.leaves)])
            for found in (slope(x), other(x)):
                error = np.nan_to_num(np.abs(np.asarray(found) - true))
                assert np.max(error) <= 4 * float(jnp.finfo(x.dtype).eps) * np.nanmax(np.abs(true))


def test_pairs_of_functions_beside_one():
    x = np.array([-700.0, -80.3, -1.7, 0.3, 2.2, 95.1])
    with jax.enable_x64(True):
        for name in ("sigmoid", "tanh", "log_one_plus_exp"):
            high, low = jax.jit(getattr(two_words, name))(two_words.exactly(jnp.asarray(x, jnp.float32)))
            wide = np.asarray(high, np.float64) + np.asarray(low, np.float64)
            known = np.asarray(x, np.float32).astype(np.float64)
            true = {
                "sigmoid": np.where(known < 0, np.exp(np.minimum(known, 0)), 1) / (1 + np.exp(-np.abs(known))),
                "tanh": np.tanh(known),
                "log_one_plus_exp": np.maximum(known, 0) + np.log1p(np.exp(-np.abs(known))),
            }[name]
            np.testing.assert_allclose(wide, true, rtol=1e-12, atol=1e-12)


def test_a_logarithm_that_is_known_otherwise_is_not_read():
    with jax.enable_x64(True):
        builder = Builder()
        total, others = builder.free((), np.float64), builder.free((), np.float64)
        read = exponents_in_pairs.Read(roundings(), np.dtype("float64"), products=True)
        assert read(builder.emit(stable.SUB, builder.emit(stable.LOG, total), others))
        assert not read(builder.emit(stable.SUB, builder.emit(stable.LOG_SUM, total, others), others))


def test_a_share_beside_an_exponential_that_is_far_larger():
    stable = qed.stabilize(lambda x, y: 1 / jnp.exp(x) - 1 / (jnp.exp(x) + jnp.exp(y)))
    for y in (1e9, 1e17, 3e38):
        x = jnp.float32([33.25, -20.0])
        np.testing.assert_allclose(stable(x, jnp.full_like(x, y)), jnp.exp(-x), rtol=1e-6)
