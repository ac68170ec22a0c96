"""Classes of functions that lose their digits in value or gradient: each member keeps all but 3 bits once rewritten."""

import jax
import jax.numpy as jnp
import pytest

import qed
from tests.numerics import scoring
from tests.numerics.scoring import Stability

# --- removable singularities ---


def cotangent_gap(x):
    return 1 / jnp.tanh(x) - 1 / x


def squared_sine_gap(x):
    return 1 / jnp.sin(x) ** 2 - 1 / x**2


def second_bessel(x):
    return (3 / x**3 - 1 / x) * jnp.sin(x) - 3 * jnp.cos(x) / x**2


def log_mean(x):
    return jnp.log(1 + x) / x - 1 / (1 + x)


def heat_capacity(x):
    return x**2 * jnp.exp(x) / (jnp.exp(x) - 1) ** 2


def bernoulli_kernel(x):
    return x / (jnp.exp(x) - 1)


def compound(r, n):
    return ((1 + r) ** n - 1) / r


# --- logarithms minus their linear part ---


def scale_divergence(s):
    return s**2 / 2 - 0.5 - jnp.log(s)


def normal_divergence(m, s):
    return jnp.log(1 / s) + (s**2 + (m - 1) ** 2) / 2 - 0.5


def variational_divergence(m, v):
    return -0.5 * (1 + v - m**2 - jnp.exp(v))


# --- softmax and sigmoids ---


def entropy(z):
    p = jnp.exp(z) / jnp.sum(jnp.exp(z))
    return -jnp.sum(p * jnp.log(p))


def posterior(x):
    a, b = jnp.exp(-2 * (x - 1) ** 2), jnp.exp(-2 * (x + 1) ** 2)
    return a / (a + b)


def squashed(u):
    return jnp.log(1 - jnp.tanh(u) ** 2)


# --- products, lengths ---


def any_of(p):
    return 1 - jnp.prod(1 - p)


def direction(x):
    return (x / jnp.sqrt(jnp.sum(x * x)))[1]


CASES = [
    (cotangent_gap, [(1e-6,), (1e-2,), (0.7,), (30.0,)]),
    (squared_sine_gap, [(1e-6,), (1e-2,), (0.7,)]),
    (second_bessel, [(1e-2,), (0.7,)]),
    (log_mean, [(1e-6,), (1e-2,), (0.3,)]),
    (heat_capacity, [(1e-5,), (0.5,), (20.0,), (200.0,)]),
    (bernoulli_kernel, [(1e-5,), (0.5,), (20.0,), (-200.0,)]),
    (compound, [(1e-8, 12.0), (1e-3, 30.0)]),
    (scale_divergence, [(1.0001,), (0.999,), (3.0,), (1e-3,)]),
    (normal_divergence, [(1.001, 1.0001), (3.0, 2.0)]),
    (variational_divergence, [(1e-4, 1e-4), (1e-6, -1e-5), (2.0, 3.0)]),
    (entropy, [([0.3, -1.0, 2.0],), ([30.0, -90.0, 5.0],), ([200.0, 199.0, -7.0],)]),
    (posterior, [(0.3,), (3.0,), (-3.0,), (30.0,)]),
    (squashed, [(0.3,), (9.5,), (-15.0,), (40.0,)]),
    (any_of, [([1e-6, 3e-7, 2e-8],), ([0.5, 0.9, 1e-7],)]),
    (direction, [([1.0, 2.0],), ([1e-25, 2e-25],), ([1e25, 3e25],)]),
]


@pytest.mark.parametrize(("function", "points"), CASES, ids=[function.__name__ for function, _ in CASES])
def test_value_and_gradient_keep_their_digits(function, points):
    case = Stability(function.__name__, "classes", function, tuple(points))
    verdict = scoring.verdict(case, "float32", qed.stabilize(function), scoring.truths(case, "float32"))
    assert verdict.broken("value") or verdict.broken("gradient"), verdict
    assert verdict.fixed("value") and verdict.fixed("gradient"), verdict


def test_a_limit_takes_the_place_of_a_removable_singularity():
    stable = qed.stabilize(cotangent_gap)
    assert float(stable(0.0)) == 0 and float(jax.grad(stable)(0.0)) == pytest.approx(1 / 3, rel=1e-6)


def test_an_expression_without_a_singularity_stays_as_it_is():
    stable = qed.stabilize(lambda x: jnp.sin(x) * jnp.cos(x) / (2 + x))
    assert not stable.rewrites(0.5).value.rewrites
