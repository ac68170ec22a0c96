"""Logarithms of what loops accumulate, and rewritings inside loops and branches."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.domains.ball import Ball
from qed.graph.trace import trace
from qed.graph.walk import Walker
from qed.numerics.rewriting.log_product import log_product

RNG = np.random.default_rng(0)
SMALL = jnp.asarray(RNG.uniform(0.01, 0.1, 60), jnp.float32)
SIGNED = SMALL * jnp.asarray(np.where(np.arange(60) % 3 == 0, -1, 1), jnp.float32)
LOGITS = jnp.asarray(RNG.normal(size=40) * 60, jnp.float32)
WIDE = jnp.asarray(RNG.uniform(0.01, 0.1, (60, 3)) * [1.0, 1e-3, 1e3], jnp.float32)


def scan(step, start, xs):
    return jax.lax.scan(lambda c, x: (step(c, x), None), start, xs)[0]


def hidden_markov(b):
    a = jnp.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    return jnp.log(jnp.sum(scan(lambda alpha, row: (alpha @ a) * row, jnp.array([0.2, 0.3, 0.5]), b)))


def batch_of_chains(b):
    a = jnp.array([[0.7, 0.3], [0.4, 0.6]])
    chain = lambda scale: scan(lambda alpha, row: (alpha @ a) * row[:2] * scale, jnp.ones(2), b)  # noqa: E731
    return jnp.sum(jnp.log(jnp.sum(jax.vmap(chain)(jnp.array([1.0, 1e-2, 1e2])), axis=1)))


def counted(p):
    return jnp.log(jax.lax.while_loop(lambda s: s[1] < 60, lambda s: (s[0] * p[s[1]] * 2.0, s[1] + 1), (1.0, 0))[0])


def fibonacci(x):
    pair = jax.lax.scan(lambda s, v: ((s[0] * v + s[1] * v, s[0] * v), None), (1.0, 1.0), x * 1e4)[0]
    return jnp.log(pair[0])


def shares(z):
    return jnp.exp(z) / jnp.exp(z).sum(-1, keepdims=True)


def hidden_markov_of_shares(z):
    t, p = shares(z[:2]), shares(z[2:])
    return jnp.log(jnp.sum(scan(lambda alpha, row: (alpha @ t) * row, jnp.ones(2) / 2, p)))


def alignments(z):
    p = shares(z)
    step = lambda a, row: jnp.stack([a[0] * row[1], (a[0] + a[1]) * row[0]])  # noqa: E731
    return jnp.log(jnp.sum(scan(step, jnp.stack([p[0, 1], p[0, 0]]), p[1:])))


PAIRS = jnp.asarray(RNG.normal(size=(6, 2)) * 200, jnp.float32)

LOST = {
    "product of shares": (lambda z: jnp.log(scan(lambda c, row: c * row[0], 1.0, shares(z))), PAIRS),
    "forward recursion of shares": (hidden_markov_of_shares, PAIRS),
    "alignments of shares": (alignments, PAIRS),
    "product": (lambda p: jnp.log(scan(lambda c, v: c * v, 1.0, p)), SMALL),
    "product of signs": (lambda p: jnp.log(scan(lambda c, v: c * v, 1.0, p)), SIGNED),
    "start that varies": (lambda p: jnp.log(scan(lambda c, v: c * v, p[0], p)), SMALL),
    "for": (lambda p: jnp.log(jax.lax.fori_loop(0, 60, lambda i, c: c * p[i], 1.0)), SMALL),
    "while": (counted, SMALL),
    "quotients": (lambda p: jnp.log(scan(lambda c, v: -c / v, 1.0, p)), SMALL),
    "running product": (lambda p: jnp.sum(jnp.log(jax.lax.scan(lambda c, v: (c * v, c * v), 1.0, p)[1])), SMALL),
    "backwards": (lambda p: jnp.log(jax.lax.scan(lambda c, v: (c * v, c), 1.0, p, reverse=True)[1][0]), SMALL),
    "rows of a batch": (lambda p: jnp.sum(jnp.log(scan(lambda c, v: c * v, jnp.ones(3), p))), WIDE),
    "forward recursion": (hidden_markov, SMALL[:, None] * WIDE[0] * 10),
    "vmap of recursions": (batch_of_chains, WIDE),
    "coupled recursion": (fibonacci, SMALL),
    "exponentials multiplied": (lambda z: jnp.log(scan(lambda c, v: c * jnp.exp(v), 1.0, z)), LOGITS),
    "exponentials added": (lambda z: jnp.log(scan(lambda c, v: c + jnp.exp(v), 0.0, z)), LOGITS),
    "prod": (lambda p: jnp.log(jnp.prod(p)), SIGNED),
    "prod along an axis": (lambda p: jnp.sum(jnp.log(jnp.prod(p, axis=0))), WIDE),
    "inside a scan": (lambda z: scan(lambda c, v: c + jnp.log(1 + jnp.exp(v)), 0.0, z), LOGITS),
    "inside a map": (lambda z: jnp.sum(jax.lax.map(lambda v: jnp.log(1 + jnp.exp(v)), z)), LOGITS),
    "inside a branch": (
        lambda z: jax.lax.cond(z[0] < 1e3, lambda z: jnp.log(jnp.sum(jnp.exp(z))), lambda z: z[0], z),
        LOGITS,
    ),
}


def truth(fun, x):
    traced = trace(fun, x)
    (cell,) = Walker([Ball(400)]).run(traced.graph, traced.leaves)
    return np.array([float(ball.mid()) for ball in cell.values[0].array.ravel()]).reshape(cell.shape)


QUICK = ["product of signs", "while", "running product", "forward recursion", "exponentials added", "inside a scan"]
QUICK += ["alignments of shares"]


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in LOST]
)
def test_value_and_gradient_keep_their_digits(name):
    fun, x = LOST[name]
    assert not np.isfinite(fun(x))
    value, gradient = jax.jit(jax.value_and_grad(qed.stabilize(fun)) if name != "while" else _forward(fun))(x)
    exact = truth(fun, x)
    assert abs(float(value) - exact) <= 8 * 2**-24 * abs(exact)
    direction = jnp.asarray(np.sign(gradient), x.dtype)
    slope = truth(lambda x: jax.jvp(fun, (x,), (direction,))[1], x)
    assert abs(float(jnp.sum(jnp.abs(gradient))) - slope) <= 1e-5 * abs(slope)


def _forward(fun):
    stable = qed.stabilize(fun)
    return lambda x: (stable(x), jax.jacfwd(stable)(x))


def test_sign_of_a_product():
    stable = qed.stabilize(LOST["product"][0])
    assert math.isnan(stable(SIGNED.at[1].multiply(-1)))
    assert float(stable(SIGNED.at[1].set(0.0))) == -math.inf
    recursion = qed.stabilize(LOST["coupled recursion"][0])
    assert math.isnan(recursion(SMALL.at[0].multiply(-1)))


def test_a_sum_in_a_loop_is_left_alone():
    for fun in (
        lambda p: scan(lambda c, v: c + v, 1.0, p),
        lambda p: scan(lambda c, v: c * v, 1.0, p),
        lambda p: scan(lambda c, v: c + v * v, 1.0, p),
    ):
        assert str(jax.make_jaxpr(qed.stabilize(fun))(SMALL)) == str(jax.make_jaxpr(fun)(SMALL))


@pytest.mark.parametrize(("dtype", "length"), [(jnp.float16, 1), (jnp.bfloat16, 100), (jnp.float32, 1000)])
def test_log_product(dtype, length):
    x = jnp.asarray(RNG.uniform(0.5, 1.5, length) * 10.0 ** RNG.uniform(-3, 3, length), dtype)
    exact = sum(math.log(float(v)) for v in x)
    found, gradient = jax.value_and_grad(lambda x: log_product(x, (0,)))(x)
    unit = float(jnp.finfo(dtype).eps)
    assert abs(float(found) - exact) <= unit * (length**0.5 + 2 * abs(exact))
    np.testing.assert_allclose(np.asarray(gradient, np.float64), 1 / np.asarray(x, np.float64), rtol=2 * unit)


BY_INDEX = {
    "a number": lambda z: jax.lax.fori_loop(0, 4, lambda i, p: p * jax.nn.sigmoid(z[i]), 1.0),
    "one of the input's": lambda z: jax.lax.fori_loop(0, 4, lambda i, p: p * jax.nn.sigmoid(z[i]), 1.0 + 0.0 * z[0]),
    "the other probability": lambda z: jax.lax.fori_loop(0, 4, lambda i, p: p * (1 - jax.nn.sigmoid(-z[i])), 1.0),
    "by hand": lambda z: jax.lax.fori_loop(0, 4, lambda i, p: p / (1 + jnp.exp(-z[i])), 1.0),
}


@pytest.mark.parametrize("name", BY_INDEX)
def test_a_product_by_index_has_its_logarithm(name):
    fun = jax.jit(jax.value_and_grad(qed.stabilize(lambda z: jnp.log(BY_INDEX[name](z)))))
    for z in ([-100.0, 50.0, 3.0, 1.0], [20.0, 25.0, 30.0, 40.0]):
        value, slope = fun(jnp.asarray(z, jnp.float32))
        z = np.asarray(z)
        np.testing.assert_allclose(value, -np.sum(np.logaddexp(0, -z)), rtol=4e-7)
        np.testing.assert_allclose(slope, 1 / (1 + np.exp(z)), rtol=1e-6)
