"""The law of Taylor remainders: the bounds contain f minus polynomial, computed in balls of 200 bits at 10^4 points.

Prover and verifier are also tried to be broken: kinks between pieces, jumps, branches, poles, wrong numbers in the
certificate.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import qed
from qed.certificates.taylor_remainder import TaylorRemainder
from qed.domains.ball import Ball
from qed.domains.balls import Balls
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.function import read
from qed.graph.walk import Cell, Frame, Walker

W = np.array([[0.3, -1.2, 0.5], [0.8, 0.4, -0.7], [-0.2, 0.9, 0.6]], np.float32)


def network(x):
    return jnp.sum(jnp.tanh(jnp.asarray(W) @ jnp.tanh(jnp.asarray(W) @ x)))


X = np.array([0.1, -0.3, 0.2], np.float32)
CASES = {
    "exp": (jnp.exp, 0.0, 0.5, 3),
    "log1p": (jnp.log1p, 0.0, 0.5, 5),
    "sin of many": (lambda x: jnp.sin(20 * x), 0.3, 0.05, 4),
    "sqrt": (jnp.sqrt, 1.0, 0.5, 3),
    "tan": (jnp.tan, 0.2, 0.5, 4),
    "atan": (jnp.arctan, 0.3, 0.4, 4),
    "real power": (lambda x: x**2.5, 1.0, 0.3, 3),
    "quotient": (lambda x: x / (1 + x * x), 0.5, 0.3, 4),
    "erf": (lax.erf, 0.3, 0.4, 3),
    "sigmoid": (jax.nn.sigmoid, 0.3, 0.8, 3),
    "softplus": (jax.nn.softplus, 0.5, 0.4, 3),
    "silu": (jax.nn.silu, 0.5, 0.4, 3),
    "loop": (lambda x: lax.scan(lambda c, _: (jnp.sin(c) + x, None), x, None, length=3)[0], 0.1, 0.1, 3),
    "where": (lambda x: jnp.where(x > 0, jnp.exp(x), x), 0.5, 0.3, 3),
    "modulus": (lambda x: jnp.abs(x) ** 3, 0.5, 0.4, 2),
    "network": (network, X, 0.1, 2),
    "norm": (lambda x: jnp.sqrt(jnp.sum(x * x)), X, 0.1, 2),
    "product": (lambda x: jnp.prod(x) + jnp.max(x), X, 0.05, 2),
    "order zero": (jnp.cos, 0.3, 0.1, 0),
    "moving exponent": (lambda x: jnp.exp(x * jnp.log(x)), 1.0, 0.3, 3),
}


def true_values(fun, at, points):
    """f(at + t) for every t, in balls of 200 bits, all at once."""
    function = read(fun, at)
    domain = Ball(bits=200, batch=1)
    walker = Walker([domain])
    cells = list(walker.start(function.graph, function.traced.leaves))
    for i in function.traced.free:
        leaf = np.asarray(function.traced.leaves[i], np.float64)
        moved = Balls.point(np.broadcast_to(leaf, (len(points), *leaf.shape)).copy())
        moved = moved + Balls.point(points.reshape((-1, *(1,) * leaf.ndim)))
        cells[i] = Cell((moved,), cells[i].shape, cells[i].dtype)
    value = walker.walk(function.graph, cells, Frame(function.graph))[0].values[0]
    return value.array.ravel()


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_remainder_contains_the_truth(name, law_examples):
    fun, at, radius, order = CASES[name]
    direction = None if np.ndim(at) == 0 else np.ones_like(at)
    answer = qed.taylor(fun, at, order=order, radius=radius, direction=direction)
    assert answer.standing == "PROVED", answer.missing
    points = np.linspace(-radius, radius, law_examples(10_000 // len(CASES)))
    with precision(200) as flint:
        truth = true_values(fun, at, points)
        low, high = flint.arb(answer.remainder.lower), flint.arb(answer.remainder.upper)
        for t, value in zip(points, truth, strict=True):
            polynomial = sum(
                (flint.arb(c) * flint.arb(t) ** k for k, c in enumerate(answer.coefficients)), flint.arb(0)
            )
            rest = value - polynomial
            assert rest.is_finite() and rest >= low and rest <= high, (t, rest)


@pytest.mark.parametrize(
    ("fun", "at", "radius"),
    [
        (jnp.abs, 0.5, 1.0),
        (jnp.abs, 0.5, 0.5625),
        (jax.nn.relu, 0.25, 0.5),
        (lambda x: jnp.where(x > 0.75, x, 0.75), 0.5, 0.5),
        (lambda x: lax.cond(x > 0.75, lambda v: v, lambda v: 0.75 + 0 * v, x), 0.5, 0.5),
        (lambda x: jnp.floor(x), 0.5, 1.0),
        (lambda x: jnp.sign(x), 0.5, 1.0),
        (lambda x: jnp.round(x) * x, 0.25, 0.5),
        (lambda x: jnp.maximum(x, 1 - x), 0.25, 0.5),
        (lambda x: jnp.max(jnp.stack([x, 1 - x])), 0.25, 0.5),
        (lambda x: 1 / x, 0.5, 1.0),
        (jnp.sqrt, 0.5, 1.0),
        (jnp.tan, 1.0, 1.0),
        (lambda x: jnp.cbrt(x), 0.5, 1.0),
        (lambda x: x % 1.0, 0.5, 0.75),
        (lambda x: jnp.arctan2(x, -1.0), 0.5, 1.0),
        (lambda x: lax.while_loop(lambda c: c < 1, lambda c: c + x, 0.0), 0.375, 0.25),
        (lambda x: jnp.sort(jnp.stack([x, 0.5]))[0], 0.25, 0.5),
        (lambda x: jax.scipy.special.i0e(x), 0.5, 1.0),
    ],
)
@pytest.mark.parametrize("order", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_nothing_is_proved_across_a_corner(fun, at, radius, order):
    answer = qed.taylor(fun, at, order=order, radius=radius)
    assert answer.standing == "UNKNOWN"
    assert answer.remainder is None and len(answer.coefficients) == order + 1
    certificate = TaylorRemainder.about(
        fun,
        np.float32(at),
        (),
        direction=np.float32(1.0),
        radius=radius,
        polynomial=answer.coefficients,
        coefficients=[(c - 1e-3, c + 1e-3) for c in answer.coefficients],
        remainder=(-1e-3, 1e-3),
    )
    with pytest.raises(CertificateError):
        certificate.verify()


def test_the_answer_checks_itself_and_speaks_of_the_reals():
    answer = qed.taylor(jnp.exp, 0.0, order=2, radius=0.1)
    assert (answer.arithmetic, answer.check()) == ("reals", True)
    assert answer.remainder.lower < -1.66e-4 and answer.remainder.upper > 1.7e-4
    assert answer.remainder.upper < 2.5e-4


def test_computed_constants_are_real_numbers():
    """sqrt(2) inside of the graph is irrational: the remainder of a constant is its rounding error, not zero."""

    def f(x):
        return jnp.sqrt(x * 0 + 2.0) * x

    answer = qed.taylor(f, 1.0, order=1, radius=0.5)
    assert answer.standing == "PROVED"
    assert answer.remainder.lower < 0 or answer.remainder.upper > 0


def test_how_far_the_quadratic_model_can_be_trusted():
    def rosenbrock(w):
        return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2

    with jax.enable_x64(True):
        at = jnp.array([-1.2, 1.0])
        answer = qed.taylor(rosenbrock, at, order=2)
        found = answer.trust
        assert found.proved
        step = at + found.radius * jnp.asarray(found.direction)
        model = answer.value(step - at)
        assert abs(float(rosenbrock(step)) - model) <= 0.1 * found.predicted
        assert found.observed == pytest.approx(float(rosenbrock(at) - rosenbrock(step)), rel=1e-6)
        further = 1.5 * found.radius * jnp.asarray(found.direction)
        decrease = answer.coefficients[0] - answer.value(further)
        assert abs(float(rosenbrock(at + further)) - answer.value(further)) > 0.1 * decrease
    assert "10 % of the predicted decrease" in answer.reasons[0].text
