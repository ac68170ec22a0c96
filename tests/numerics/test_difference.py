"""Differences rewritten: the classics keep their digits, controls stay, and the function stays the same function."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.trace import trace
from qed.numerics.rewriting.difference import rewrite
from qed.numerics.rewriting.difference_kernels import OPERATIONS, RECIPROCAL
from tests.numerics.cancellations import CLASSICS, CONTROLS
from tests.numerics.judging import uniform_floats, worst

pytest.importorskip("flint")

UNDERFLOW = {"quadp", "quad2p", "quad2m", "root above"}
"""In whose derivative JAX forms 1/s^2, below the smallest float32, and that is what the last bits are."""

UNOPTIMIZED = {"2cbrt": (4.0, 5.5)}
"""What XLA's own cube root, and its derivative, lose where XLA optimizes nothing."""


def rewritten(function, x):
    found = rewrite(trace(function, x).graph)
    return function if found is None else lambda v: found.function(v)[0]


@pytest.mark.parametrize("name", CLASSICS)
def test_a_classic_keeps_its_digits(name):
    classic = CLASSICS[name]
    points = uniform_floats(classic.low, classic.high, 16, np.float32, seed=3)
    value, slope = worst(classic.function, rewritten(classic.function, jnp.asarray(points)), points)
    of_value, of_slope = UNOPTIMIZED.get(name, (3.5, 3.5))  # the elementary functions of XLA lose 3 themselves
    assert value <= of_value
    if name not in UNDERFLOW:
        assert slope <= of_slope


@pytest.mark.parametrize("name", CONTROLS)
def test_what_cannot_lose_digits_stays(name):
    assert rewrite(trace(CONTROLS[name], jnp.linspace(0.1, 3.0, 5)).graph) is None


def test_work_is_linear_in_the_length():
    def chain(length):
        def f(x):
            for k in range(length):
                x = x + 0.1 * jnp.tanh(x - 0.01 * k)
            return x

        from qed.graph.build import Builder
        from qed.numerics.rewriting.difference import Differences

        builder = Builder()
        session = Differences(builder)
        builder.rule = session.rule
        graph = trace(f, jnp.float32(0.3)).graph
        builder.inline(graph, builder.inputs(graph))
        return session.difference.steps + session.difference.terms.steps

    short, long = chain(50), chain(200)
    assert long <= 4.5 * short


def test_a_second_derivative_is_that_of_the_function():
    def f(x):
        return jnp.sqrt(x + 1) - jnp.sqrt(x)

    g = rewritten(f, jnp.float32(2.0))
    second = jax.grad(jax.grad(g))(jnp.float32(2.0))
    assert abs(second - jax.grad(jax.grad(f))(jnp.float32(2.0))) < 1e-6


def test_zero_is_on_both_sides():
    """f(x) - f(y) and its slopes where x or y is 0, of either sign, and where one is on the other side of it."""
    functions = (
        *(jnp.exp, jnp.expm1, jnp.sin, jnp.cos, jnp.tan, jnp.sinh, jnp.cosh, jnp.tanh),
        *(jnp.arctan, jnp.arctanh, jnp.arcsin, jnp.arcsinh, jax.scipy.special.erf, jax.nn.silu),
        *(jax.nn.sigmoid, jax.nn.softplus, lambda x: jnp.log(jnp.cosh(x)), lambda x: x**3, lambda x: jnp.tanh(x) ** 2),
    )

    def differences(v):
        return jnp.stack([f(v[0]) - f(v[1]) for f in functions])

    sides = np.array([-0.5, -0.25, -3e-4, -1e-30, -0.0, 0.0, 1e-30, 3e-4, 0.25, 0.5])
    with jax.enable_x64(True):
        pairs = jnp.array([(x, y) for x in sides for y in sides])
        there = rewritten(differences, pairs[0])
        for value in (differences, jax.jacfwd(differences)):
            found = jax.jit(jax.vmap(there if value is differences else jax.jacfwd(there)))(pairs)
            np.testing.assert_allclose(found, jax.vmap(value)(pairs), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    ("function", "x", "value"),
    [
        (lambda v: jnp.arccos(v[:2] @ v[2:] / jnp.sqrt((v[:2] @ v[:2]) * (v[2:] @ v[2:]))), [1, 2, -1, -2], np.pi),
        (lambda v: jnp.sum(jnp.sqrt(1 + v**2) - 1), [np.inf, 1], np.inf),
        (lambda v: (jnp.exp(v) - 1) / v, -np.inf, 0.0),
        (
            lambda v: (2 * v[0] * v[1] - jnp.sqrt(v[0] * v[1])) - (2 * (v[0] - v[1]) - jnp.sqrt(v[0] - v[1])),
            [1e-7, 1e-7],
            -1e-7,
        ),
    ],
    ids=["opposite vectors", "an infinite root", "an infinite rate", "where nothing cancels"],
)
def test_no_rewriting_is_worse_at_the_ends(function, x, value):
    np.testing.assert_allclose(qed.stabilize(function)(jnp.array(x, np.float32)), value, rtol=1e-6, atol=1e-13)


PLAIN = {
    "atan": jnp.arctan, "asinh": jnp.arcsinh, "atanh": jnp.arctanh, "cbrt": jnp.cbrt, "log": jnp.log, "exp": jnp.exp,
    "log1p": jnp.log1p, "logistic": jax.nn.sigmoid, "reciprocal": lambda x: 1 / x, "sqrt": jnp.sqrt, "tanh": jnp.tanh,
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_a_difference_has_the_values_of_the_plain_one_at_infinity_and_outside_its_domain(name):
    kernel = {**OPERATIONS, "reciprocal": RECIPROCAL}[name].evaluate
    ends = np.float32([0, 1, -1, 0.5, 2, np.inf, -np.inf, -20, 20, 3e38])
    x, y = (jnp.asarray(each.ravel()) for each in np.meshgrid(ends, ends))

    @jax.jit
    def all_of(x, y):
        ways = (lambda x, y: PLAIN[name](x) - PLAIN[name](y), lambda x, y: kernel(x, y, x - y))
        return [(jax.vmap(way)(x, y), *jax.vmap(jax.grad(way, (0, 1)))(x, y)) for way in ways]

    plain, found = all_of(x, y)
    known, overflows = ~np.isnan(plain[0]), (x == y) & (jnp.abs(x) > 1e38)  # inf - inf, where the rewriting has 0
    np.testing.assert_array_equal(np.isnan(found[0])[~overflows], np.isnan(plain[0])[~overflows])
    np.testing.assert_allclose(found[0][known], plain[0][known], rtol=1e-5, atol=1e-6)
    for slope, other in zip(found[1:], plain[1:], strict=True):
        usual = np.isfinite(plain[0]) & np.isfinite(other)
        np.testing.assert_allclose(slope[usual], other[usual], rtol=1e-5, atol=1e-6)
