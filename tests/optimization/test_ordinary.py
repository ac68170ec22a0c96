"""Ordinary losses from ordinary starts: a minimum is called a minimum, without a finding, in float32 and float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed


def losses(dtype):
    """Names, losses, starts, and bounds."""
    rng = np.random.default_rng(1)

    def drawn(*shape):
        return jnp.asarray(rng.standard_normal(shape), dtype)

    def at(*numbers):
        return jnp.array(numbers, dtype)

    X, y, t, far = drawn(12, 3), drawn(12), jnp.asarray(np.linspace(0, 2, 12), dtype), drawn(3)
    labels, kinds = (jnp.sign(X @ at(1, -1, 0.5) + 0.7 * drawn(12)) + 1) / 2, jnp.asarray(rng.integers(0, 2, 12))

    def network(turn, p):
        return jnp.mean((turn(X @ p[0]) @ p[1] - y) ** 2) + 0.05 * sum(jnp.sum(leaf**2) for leaf in p)

    def rosenbrock(x):
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    def scanned(w):
        return jax.lax.scan(lambda c, r: (c + (r[0] @ w - r[1]) ** 2, None), jnp.zeros((), dtype), (X, y))[0]

    def entropy(x):
        p = jax.nn.softmax(x)
        return jnp.sum(p * jnp.log(p)) + 0.5 * jnp.sum((x - far) ** 2)

    def squares(w):
        return jnp.mean((X @ w - y) ** 2)

    def likelihood(p):
        return jnp.mean(0.5 * ((y - p[0]) / jnp.exp(p[1])) ** 2 + p[1])

    def ridge(p):
        return jnp.mean((X @ p["w"] + p["b"] - y) ** 2) + 0.1 * jnp.sum(p["w"] ** 2)

    def bernoulli(w):
        return jnp.mean(jax.nn.softplus(X @ w) - labels * (X @ w)) + 0.05 * w @ w

    def exponential(p):
        return jnp.sum((p[0] * jnp.exp(-p[1] * t) + p[2] - (2 * jnp.exp(-1.5 * t) + 0.5)) ** 2)

    def huber(w):
        return jnp.mean(jnp.where(jnp.abs(X @ w - y) < 1, 0.5 * (X @ w - y) ** 2, jnp.abs(X @ w - y) - 0.5))

    w, layers = jnp.zeros(3, dtype), (0.5 * drawn(3, 2), 0.5 * drawn(2))
    tree = {"w": w, "b": at(0)[0]}
    return [
        ("least squares", squares, w, None),
        ("in a box", squares, w, (-0.2, 0.2)),
        ("in half a space", squares, 0.5 + w, (0.0, None)),
        ("ridge", ridge, tree, None),
        ("ridge in a box", ridge, tree, (-0.1, 0.3)),
        ("logistic", bernoulli, w, None),
        ("logistic in a box", bernoulli, w, (-0.3, 0.3)),
        ("huber", huber, w, None),
        ("pseudo-huber", lambda w: jnp.mean(jnp.sqrt(1 + (X @ w - y) ** 2)), w, None),
        ("log cosh", lambda w: jnp.mean(jnp.logaddexp(X @ w - y, y - X @ w)), w, None),
        ("cauchy", lambda w: jnp.mean(jnp.log1p((X @ w - y) ** 2)), w, None),
        ("welsch", lambda w: jnp.mean(1 - jnp.exp(-0.5 * (X @ w - y) ** 2)), w, None),
        ("smooth l1", lambda w: squares(w) + 0.1 * jnp.sum(jnp.sqrt(w**2 + 1e-2)), 0.1 + w, None),
        ("clipped", lambda w: jnp.mean(jnp.clip(X @ w - y, -3, 3) ** 2) + 0.1 * w @ w, w, None),
        ("poisson", lambda w: jnp.mean(jnp.exp(X @ w) - jnp.abs(y) * (X @ w)), w, None),
        ("poisson in a half space", lambda w: jnp.mean(jnp.exp(X @ w) - jnp.abs(y) * (X @ w)), w, (None, 0.1)),
        ("gamma", lambda w: jnp.mean((0.5 + jnp.abs(y)) * jnp.exp(-X @ w) + X @ w), w, None),
        ("normal", likelihood, at(1, 1), None),
        ("normal in a box", likelihood, at(0, 0), (-3.0, 3.0)),
        ("softmax", lambda W: -jnp.mean(jax.nn.log_softmax(X @ W)[jnp.arange(12), kinds]) + 0.05 * jnp.sum(W**2),
         jnp.zeros((3, 2), dtype), None),
        ("rosenbrock", rosenbrock, at(-1.2, 1), None),
        ("rosenbrock in six", rosenbrock, jnp.full(6, 0.5, dtype), None),
        ("rosenbrock in a box", rosenbrock, at(0.2, 0.3), (-0.5, 0.5)),
        ("a number that is fixed", rosenbrock, at(0.5, 0.5, 0.5), (at(-9, 0.5, -9), at(9, 0.5, 9))),
        ("himmelblau", lambda x: (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2, at(1, 1), None),
        ("booth", lambda x: (x[0] + 2 * x[1] - 7) ** 2 + (2 * x[0] + x[1] - 5) ** 2, at(0, 0), None),
        ("all fixed", lambda x: x @ x, at(1, 3), (at(1, 3), at(1, 3))),
        ("exponential", exponential, at(1, 1, 0), None),
        ("exponential in a box", exponential, at(1, 1, 0), (0.0, 5.0)),
        ("sine", lambda p: jnp.sum((p[0] * jnp.sin(p[1] * t + p[2]) - 1.5 * jnp.sin(2 * t + 0.3)) ** 2),
         at(1, 1.8, 0), None),
        ("saturation", lambda p: jnp.sum((p[0] * t / (p[1] + t) - 2 * t / (0.7 + t) - 0.05 * jnp.sin(9 * t)) ** 2),
         at(1, 1), None),
        ("a bowl", lambda x: 0.5 * jnp.sum(at(1, 10, 100) * (x - 1) ** 2), w, None),
        ("a narrow bowl", lambda x: 0.5 * jnp.sum(at(1, 100, 10000) * (x - 1) ** 2), w, None),
        ("log-sum-exp", lambda x: jnp.log(jnp.sum(jnp.exp(X[:6] @ x + y[:6]))) + 0.05 * x @ x, w, None),
        ("tanh network", partial(network, jnp.tanh), layers, None),
        ("gelu network", partial(network, jax.nn.gelu), layers, None),
        ("silu network in a box", partial(network, jax.nn.silu), layers, (-0.4, 0.4)),
        ("scan", scanned, w, None),
        ("fori", lambda x: jax.lax.fori_loop(0, 5, lambda i, a: a + (x[0] - i) ** 2 + (x[1] + i) ** 2, 0 * x[0]),
         at(0, 0), None),
        ("vmap", lambda x: jnp.sum(jax.vmap(lambda r: (r @ x) ** 2 + jnp.cosh(r[0] * x[0]))(X)), 1 + w, None),
        ("jit", jax.jit(lambda x: jnp.sum(jnp.cosh(x - 0.3)) + 0.2 * x[0] * x[1]), at(1, -1), None),
        ("remat", jax.checkpoint(lambda x: jnp.sum(jnp.exp(x) - x) + 0.1 * jnp.sum(x) ** 2), at(1, -1), None),
        ("cond", lambda x: jax.lax.cond(x[0] > 10, lambda v: v @ v + 5, lambda v: (v - 2) @ (v - 2), x), at(1, -1),
         None),
        ("a tree", lambda p: (p["a"] - 1) ** 2 + jnp.sum((p["b"][0] - 2) ** 2) + 0.5 * (p["b"][1] + p["a"]) ** 2,
         {"a": at(0)[0], "b": (at(1, 2), at(3)[0])}, None),
        ("a matrix", lambda M: jnp.sum((M @ M.T - 2 * jnp.eye(2)) ** 2) + 0.1 * jnp.sum((M - 1) ** 2),
         jnp.eye(2, dtype=dtype) + 0.1, None),
        ("entropy", entropy, w, None),
        ("barrier", lambda x: x @ x - 0.1 * jnp.sum(jnp.log(1 - x**2)) + x[0], at(0, 0), None),
        ("two wells", lambda x: jnp.sum((x**2 - 1) ** 2) + 0.1 * jnp.sum((x[1:] - x[:-1]) ** 2), at(0.5, 0.7, 0.9),
         None),
        ("convolution", lambda k: jnp.mean((jnp.convolve(y, k, mode="same") - jnp.roll(y, 1)) ** 2) + 0.01 * k @ k,
         w, None),
        ("a quotient", lambda x: x[0] ** 2 / (1 + x[1] ** 2) + x[1] ** 2 + 0.1 * x[0], at(1, 0.5), None),
    ]  # fmt: skip


@pytest.mark.slow
def test_no_false_alarm_on_a_hundred_ordinary_solves():
    wrong, count = [], 0
    for wide in (False, True):
        with jax.enable_x64(wide):
            for name, fun, start, bounds in losses(jnp.dtype("float64" if wide else "float32")):
                answer = qed.minimize(fun, start, bounds=bounds)
                count += 1
                if answer.reason != "minimum" or answer.findings:
                    wrong.append((wide, name, str(answer.reason), answer.headline))
    assert not wrong
    assert count >= 100
