"""Complements, choices, guards, powers and tails: classes of formulas that lose digits, one example each; what stays.

Every example is judged in balls, as the corpus is.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import erfc, ndtr

import qed
from tests.numerics import scoring
from tests.numerics.scoring import Stability

LOGITS = ([40.0, 1.0, -3.0], [0.5, 100.0, 99.0])


def _focal(z):
    p = jax.nn.softmax(z)
    return -((1 - p[0]) ** 2) * jnp.log(p[0])


def _others_of_a_row(z):
    p = jnp.exp(z) / jnp.sum(jnp.exp(z))
    return jnp.sum(jnp.log(1 - p[jnp.asarray([0, 1])]))


def _silent(z):
    e = jnp.exp(z)
    return jnp.dot(e / (1 + jnp.sum(e)), jnp.asarray([1.0, -2.0, 0.5], z.dtype))


MENDED = {
    "1 - softmax": (lambda z: jnp.sum(jnp.log(1 - jax.nn.softmax(z))), LOGITS),
    "1 - softmax, moved": (_others_of_a_row, LOGITS[:1]),
    "focal loss": (_focal, LOGITS),
    "power of an entry": (lambda z: 1 - jax.nn.softmax(z)[0] ** 0.7, LOGITS[:1]),
    "softmax beside 1": (_silent, LOGITS),
    "softplus above relu": (lambda x: jnp.log(1 + jnp.exp(x)) - jnp.maximum(x, 0), (30.0, -20.0, 100.0)),
    "log of 1 and a product": (
        lambda x: jnp.log(1 + jnp.sum(jnp.exp(x)) * jnp.sum(jnp.exp(-3 * x))),
        ([30.0, 31.0], [-1.0, 0.5]),
    ),
    "features of elu": (lambda x: jnp.log(jax.nn.elu(x) + 1), (-30.0, 0.5, -2.0)),
    "half a cosine": (lambda t: 0.5 * (1 + jnp.cos(jnp.pi * t)), (0.9999, 0.5, 0.01)),
    "beside a quarter": (lambda x: jnp.log(0.5 - jnp.arctan(x) / jnp.pi), (1e6, 0.5, -3.0)),
    "response": (lambda x, n: x**n / (x**n + 2**n), ((100.0, 30.0), (2.5, 3.0))),
    "log of 1 and a power": (lambda x, n: jnp.log(1 + x**n), ((1e3, 20.0), (1e-2, 3.0), (1.5, 2.0))),
    "growth times a tail": (lambda x: jnp.exp(x * x) * erfc(x), (12.0, 1.0, -2.0)),
    "hazard in a logarithm": (lambda t: jnp.exp(-0.5 * jnp.log(t) ** 2) / (t * (1 - ndtr(jnp.log(t)))), (1e3, 0.5)),
    "powers of a quotient": (lambda a, b: (a / b) ** 12 - (a / b) ** 6, ((1.0001, 1.0), (1.5, 1.0))),
    "square of a quotient": (lambda a, b: jnp.sqrt(1 - b * b / (a * a)), ((1.0, 0.9999), (3.0, 1.0))),
}


@pytest.mark.parametrize("name", MENDED)
def test_it_keeps_its_digits(name):
    fun, points = MENDED[name]
    case = Stability(name, "classes", fun, tuple(p if isinstance(p, tuple) else (p,) for p in points))
    loss = scoring.losses(qed.stabilize(fun), case, "float32", scoring.truths(case, "float32"))
    assert loss.worst("value") <= 3 and loss.worst("gradient") <= 3, loss


GUARDED = {
    "log1mexp": (lambda x: jnp.where(x > 0, jnp.log(1 - jnp.exp(-x)), 0.0), -1.0),
    "log ratio": (lambda x: jnp.where(x < 2, jnp.log(1 - x / 2), 0.0), 2.0),
    "x log x": (lambda x: jnp.where(x > 0, x * jnp.log(x), 0.0), -1.0),
    "angle": (lambda x: jnp.where(x > 0, jnp.arctan2(x, x) ** 2, 0.0), 0.0),
    "roots": (lambda x: jnp.where(x > 0, jnp.sqrt(2 * x) - jnp.sqrt(x), 0.0), 0.0),
}


@pytest.mark.parametrize("name", GUARDED)
def test_what_is_not_chosen_does_not_poison_what_a_rewriting_put_there(name):
    fun, x = GUARDED[name]
    assert jax.grad(qed.stabilize(fun))(jnp.float32(x)) == 0


def test_deviations_and_distances_of_equals_have_the_derivative_of_a_norm():
    deviation = qed.stabilize(lambda x: jnp.sqrt(jnp.maximum(jnp.mean(x * x) - jnp.mean(x) ** 2, 0)))
    np.testing.assert_array_equal(jax.grad(deviation)(jnp.full(3, 2.0)), jnp.zeros(3))

    def triplet(a, p, n):
        return jnp.sqrt(jnp.sum((a - p) ** 2)) - jnp.sqrt(jnp.sum((a - n) ** 2))

    a, n = jnp.array([1.0, 2.0]), jnp.array([1.0, 2.5])
    found = jax.grad(qed.stabilize(triplet), argnums=(0, 1, 2))(a, a, n)
    np.testing.assert_allclose(found, [[0, 1], [0, 0], [0, -1]])
    answer = qed.stabilize(triplet).rewrites(a, a + 1, n)
    assert answer.value is not None and "the derivative of a norm at 0 is 0" in answer.value.conventions


def test_a_negative_base_keeps_its_integer_power():
    fun = qed.stabilize(lambda x: jnp.log(1 + x**20.0) + x**4.0 / (x**4.0 + 16.0**1.0))
    x = jnp.array(-2.0)
    assert float(fun(x)) == pytest.approx(np.log(1 + 2.0**20) + 0.5, rel=1e-6)
    assert np.isfinite(jax.grad(fun)(x))


STAY = {
    "interpolation": (lambda a, b, t: a + t * (b - a), 3),
    "moving average": (lambda m, x: m + (x - m) / 10, 2),
    "leak": (lambda x: jnp.where(x > 0, x, 0.1 * x) + 1, 1),
    "power": (lambda x: 2 * x**2.5 + 1, 1),
}


@pytest.mark.parametrize("name", STAY)
def test_what_keeps_its_digits_stays(name):
    fun, count = STAY[name]
    points = tuple(map(jnp.float32, (0.3, 2.0, 5.0)))[:count]
    assert qed.stabilize(fun)(*points) == fun(*points)
    answer = qed.stabilize(fun).rewrites(*points)
    assert answer.value is not None and not answer.value.rewrites


def test_a_softmax_by_the_library_stays_and_its_derivative_does_not():
    fun = lambda x: jax.nn.softmax(jnp.stack([x, 2 * x]))[0]  # noqa: E731
    stable = qed.stabilize(fun)
    assert stable(2.0) == fun(2.0)
    far = jnp.float32(-30.0)  # -p q = p (1 - (p + 2 q)), q = exp(-30)
    assert float(jax.grad(fun)(far)) < -1.5 * np.exp(-30.0)
    assert float(jax.grad(stable)(far)) == pytest.approx(-np.exp(-30.0), rel=1e-6)
