"""Soundness: what is rewritten equals what was written as a real function, in balls of 200 bits.

Random compositions are drawn from the tables of the rules. The constants that a rewriting adds (log 2, coefficients of
a series) are rounded to the dtype, which is float64 here: the balls agree to its digits, not to theirs.
"""

from __future__ import annotations

import math
import os
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.domains.ball import Ball
from qed.graph.trace import trace
from qed.graph.walk import Unknown, Walker
from qed.numerics.rewriting import difference, session
from qed.numerics.rewriting.guards import Guards
from qed.numerics.rewriting.substitutions import Substitutions

flint = pytest.importorskip("flint")

EXAMPLES = int(60 * float(os.environ.get("QED_LAW_EXAMPLES", "1")))
UNARY = [jnp.exp, jnp.log, jnp.sqrt, jnp.sin, jnp.cos, jnp.arctan, jnp.tanh, jax.nn.sigmoid, jnp.square, jnp.sinh,
         jnp.cosh, jnp.cbrt, jnp.arcsinh, jnp.expm1, jnp.log1p, jax.scipy.special.erf, lambda x: 1 / x,
         lambda x: x**0.3, lambda x: x**3]  # fmt: skip
SHIFTS = [1.0, 0.5, 2.0, 1e-3, 0.25]
POINTS = np.array([0.31, 0.77, 1.0, 2.6])


def drawn(draw):
    """A random function of the array x > 0."""

    def argument():
        shift, scale = draw.choice(SHIFTS), draw.choice([1.0, 1.0, 2.0, 0.5])
        return draw.choice([lambda x: x, lambda x: x + shift, lambda x: scale * x, lambda x: x * x + shift])

    def cancelling():
        f, u, v = draw.choice(UNARY), argument(), argument()
        constant, weight = draw.choice([1.0, 2.0, 0.5, 1.0]), draw.choice([1.0, 3.0, -0.5])
        return draw.choice(
            [
                lambda x: weight * f(u(x)) - weight * f(v(x)),
                lambda x: f(u(x)) - constant,
                lambda x: constant - f(u(x)),
                lambda x: f(u(x)) ** 2 - constant,
                lambda x: f(x) - 1 - x,
                lambda x: f(x) - x,
                lambda x: jnp.sqrt(u(x) ** 2 + constant) - u(x),
                lambda x: u(x) / (u(x) + constant) - 1,
            ]
        )

    first, second = cancelling(), cancelling()
    return draw.choice(
        [
            first,
            lambda x: first(x) * second(x),
            lambda x: first(x) / (x * x),
            lambda x: first(x) + second(x),
            lambda x: first(x) - jnp.sin(x),
            lambda x: jnp.log(1 + first(x) ** 2),
            lambda x: jnp.sqrt(first(x) ** 2 + second(x) ** 2),
            lambda x: jnp.where(x > 0.9, first(x), second(x)),
        ]
    )


def balls(function, x):
    traced = trace(function, x)
    value = Walker([Ball(bits=200)]).run(traced.graph, traced.leaves)[0].values[0]
    return None if isinstance(value, Unknown) else list(value.array.ravel())


def agree(one, other):
    """Whether two balls are the same number to the digits of float64."""
    if not one.is_finite():
        return True  # not defined, or not known
    gap = abs(one - other)
    return gap <= flint.arb(1e-11) * (1 + abs(one))


@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_a_rewritten_function_is_the_function(seed):
    function = drawn(random.Random(seed))
    with jax.enable_x64(True):
        x = jnp.asarray(POINTS)
        found = session.rewrite(trace(function, x).graph)
        if not found.changes:
            return
        before, after = balls(function, x), balls(lambda v: found.function(v)[0], x)
        if before is None or after is None:
            return
        assert all(map(agree, before, after)), [change.before + " -> " + change.after for change in found.changes]


ARRAYS = {
    "variance": lambda x, y: jnp.mean(x**2) - jnp.mean(x) ** 2,
    "covariance": lambda x, y: jnp.mean(x * y) - jnp.mean(x) * jnp.mean(y),
    "squared distance": lambda x, y: jnp.sum(x * x) - 2 * jnp.sum(x * y) + jnp.sum(y * y),
    "cosine": lambda x, y: jnp.dot(x, y) / (jnp.sqrt(jnp.sum(x * x)) * jnp.sqrt(jnp.sum(y * y))),
    "cosine distance": lambda x, y: 1 - jnp.dot(x, y) / (jnp.sqrt(jnp.sum(x * x)) * jnp.sqrt(jnp.sum(y * y))),
    "norm": lambda x, y: jnp.sqrt(jnp.sum((x - y) ** 2)),
    "arccosine": lambda x, y: jnp.arccos(1 - x[0] / 8),
    "growth": lambda x, y: (1 + x[0] / 9) ** (5 * y[0]),
    "excess": lambda x, y: (1 + x[0] / 9) ** y[0] - 1,
    "power quotient": lambda x, y: x[0] ** (y[0] + 1) / x[0] ** y[0],
    "triangle": lambda x, y: (lambda a, b, c: jnp.sqrt((s := (a + b + c) / 2) * (s - a) * (s - b) * (s - c)))(
        x[0] + 2, x[1] + 2, y[0] + 2
    ),
    "law of cosines": lambda x, y: jnp.arccos((x[0] ** 2 + x[1] ** 2 - y[0] ** 2) / (2 * x[0] * x[1])),
    "great circle": lambda x, y: jnp.arccos(
        jnp.sin(x[0]) * jnp.sin(y[0]) + jnp.cos(x[0]) * jnp.cos(y[0]) * jnp.cos(y[1])
    ),
    "xlogy": lambda x, y: jnp.sum(x * jnp.log(x)),
    "angle": lambda x, y: jnp.arctan2(x[0], y[0]) + jnp.arctan(x[1] / y[1]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_a_substitution_is_the_function_and_has_its_derivative(name):
    function = ARRAYS[name]
    with jax.enable_x64(True):
        x, y = jnp.array([0.9, 1.1, 0.3]), jnp.array([1.2, 0.7, 0.6])
        found = session.rewrite(trace(function, x, y).graph, rewritings=(Substitutions, difference.Differences, Guards))
        assert found.changes
        new = lambda x, y: found.function(x, y)[0]  # noqa: E731
        assert math.isclose(function(x, y), new(x, y), rel_tol=1e-13)
        for argument in (0, 1):
            expected, got = (jax.grad(f, argument)(x, y) for f in (function, new))
            np.testing.assert_allclose(expected, got, rtol=1e-9, atol=1e-12)


def test_a_norm_has_a_gradient_at_the_origin():
    found = session.rewrite(trace(lambda x: jnp.sqrt(jnp.sum(x * x)), jnp.zeros(3)).graph)
    assert [change.convention for change in found.changes] == ["the derivative of a norm at 0 is 0"]
    slope = jax.grad(lambda x: found.function(x)[0])
    assert not slope(jnp.zeros(3)).any()
    np.testing.assert_allclose(slope(jnp.array([3e30, 0.0, 4e30])), [0.6, 0.0, 0.8], rtol=1e-6)


def test_a_branch_that_is_not_chosen_does_not_poison():
    function = lambda x: jnp.sum(jnp.where(x > 0, jnp.log(x) * 2, 0.0))  # noqa: E731
    found = session.rewrite(trace(function, jnp.zeros(2)).graph)
    slope = jax.grad(lambda x: found.function(x)[0])(jnp.array([0.0, 2.0]))
    np.testing.assert_array_equal(slope, [0.0, 1.0])
