"""Under grad, jit and vmap the verbs of integration return the integral and its derivative, and claim nothing."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import qed
from qed import measures as m
from qed.domains.densities import NAMED
from qed.domains.masses import LOG_MASS, log_mass
from qed.domains.precision import precision
from qed.domains.two_arithmetics import JAX

PDF = stats.norm.pdf
SLOPES = {
    "a moment in the mean": (lambda t: qed.expect(lambda x: x * x, m.Normal(t, 2.0)), 0.5, 1.0),
    "a moment in a shape": (lambda t: qed.expect(lambda x: x, m.Gamma(t, 2.0)), 3.0, 0.5),
    "a threshold": (lambda t: qed.probability(lambda x, c: x > c, m.Normal(), t), 0.7, -PDF(0.7)),
    "a threshold at a corner": (lambda t: qed.probability(lambda x, c: x > c, m.Laplace(), t), 0.0, -0.5),
    "a threshold that is closed over": (lambda t: qed.probability(lambda x: x > t, m.Normal()), 0.0, -PDF(0.0)),
    "a law that moves under a jump": (lambda t: qed.probability(lambda x: x > 0.5, m.Normal(t, 1.0)), 0.0, PDF(0.5)),
    "a moving end": (lambda t: qed.expect(lambda x: x * x, m.Lebesgue(0.0, t)), 2.0, 4.0),
    "an end and a jump": (lambda t: qed.expect(lambda x: jnp.where(x < 1, 0.0, x), m.Uniform(0.0, t)), 2.0, 0.625),
    "a mass": (lambda t: qed.expect(lambda x, s: jnp.exp(-s * x), m.Lebesgue(0.0, math.inf), t), 2.0, -0.25),
    "a sum": (lambda t: qed.expect(lambda k: k * k, m.Poisson(t)), 3.0, 7.0),
    "an atom beside a density": (
        lambda t: qed.expect(lambda x: (x - 1) ** 2, m.mixture([0.5, 0.5], [m.Dirac(0.0), m.Normal(t, 1.0)])), 3.0, 2.0
    ),
    "a censored mean": (
        lambda t: qed.expect(lambda y: y, m.pushforward(m.Normal(t, 1.0), lambda x: jnp.maximum(x, 0.0))),
        0.3, stats.norm.cdf(0.3),
    ),
    "a law with a heavy tail": (lambda t: qed.expect(lambda x: x, m.Pareto(t, 1.0)), 3.0, -0.25),
    "a divergence of mixtures": (
        lambda t: qed.kl(m.mixture([0.5, 0.5], [m.Dirac(0.0), m.Normal(t, 1.0)]),
                         m.mixture([0.25, 0.75], [m.Dirac(0.0), m.Normal()])), 1.0, 0.5,
    ),
    "a divergence of counts": (lambda t: qed.kl(m.Poisson(t), m.Poisson(2.0)), 3.0, math.log(1.5)),
    "the constant of what overflows": (lambda t: qed.normalizer(lambda x, a: -a * x**4, None, t), 1.5, -1 / 6),
    "a normalising constant": (lambda t: qed.normalizer(lambda x, s: -x * x / 2 / s**2, None, t), 3.0, 1 / 3),
    "a needle's": (lambda t: qed.normalizer(lambda x, s: -s * 1e6 * (x - 3) ** 2 - 5000, None, t), 1.0, -0.5),
    "that of a half line whose end is the mode": (
        lambda t: qed.normalizer(lambda x: -x * x / 2, m.Lebesgue(t, math.inf)), 1.0, -PDF(1.0) / stats.norm.sf(1.0)
    ),
    "an evidence": (lambda t: qed.normalizer(lambda z, y: -((y - z) ** 2) / 2, m.Normal(), t), 1.0, -0.5),
    "an evidence far from the prior": (
        lambda t: qed.normalizer(lambda z, y: -((y - z) ** 2) * 5000, m.Laplace(), t), 8.0, -1.0
    ),
    "an evidence in the prior's shape": (lambda t: qed.normalizer(lambda z: -z, m.Gamma(t, 1.0)), 2.0, -math.log(2)),
    "that of counts": (lambda t: qed.normalizer(lambda k, s: -s * k, m.Counting(), t), 1.0, -1 / (math.e - 1)),
    "that of a few counts": (lambda t: qed.normalizer(lambda k: -t * k, m.Counting(0, 1)), 1.0, -1 / (math.e + 1)),
    "an evidence of counts": (lambda t: qed.normalizer(lambda k: -k, m.Poisson(t)), 3.0, math.exp(-1) - 1),
    "one over a box": (
        lambda t: qed.normalizer(lambda x, c: -c * jnp.sum(x**2), m.Lebesgue([-4.0, -4.0], [4.0, 4.0]), t), 2.0, -0.5
    ),
    "a half-plane": (
        lambda t: qed.probability(lambda x: jnp.sum(x) > 1, m.power(m.Normal(t, 1.0), 2)),
        0.0,
        math.sqrt(2) * PDF(math.sqrt(0.5)),
    ),
    "one coordinate": (lambda t: qed.probability(lambda x, c: x[0] < c, m.power(m.Normal(), 2), t), 0.0, PDF(0.0)),
    "a divergence": (lambda t: qed.kl(m.Normal(t, 1.0), m.Normal(0.0, 2.0)), 1.0, 0.25),
    "a divergence of atoms": (lambda t: qed.kl(m.Bernoulli(t), m.Bernoulli(0.25)), 0.5, math.log(3)),
    "an entropy": (lambda t: qed.entropy(m.Normal(0.0, t)), 2.0, 0.5),
}  # fmt: skip


FAST = (
    "that of counts",
    "that of a few counts",
    "an evidence",
    "a moment in a shape",
    "a threshold that is closed over",
    "an end and a jump",
    "a sum",
    "a divergence",
)


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in SLOPES])
def test_the_derivative_of_the_integral_is_the_true_one(name):
    ask, at, true = SLOPES[name]
    answers = []
    found = jax.grad(lambda t: answers.append(ask(t)) or answers[-1].value)(at)
    assert answers[0].unknown
    assert "traced" in answers[0].missing[0].what
    assert float(found) == pytest.approx(true, rel=2e-4, abs=2e-5)


def test_counts_beyond_those_that_are_added_up_are_no_number():
    """Of a law of whole numbers the first 4096 are added up: what has its mass beyond is NaN, and not 0."""
    mean = jax.jit(lambda t: qed.expect(lambda k: k, m.Poisson(t)).value)
    assert np.isnan(mean(5100.0)) and mean(3.0) == pytest.approx(3, rel=1e-5)


def test_compiled_and_in_batches_the_value_is_that_of_the_proof():
    def mean(scale):
        return qed.expect(jnp.cos, m.Normal(0.0, scale)).value

    scales = jnp.array([0.5, 2.0])
    np.testing.assert_allclose(jax.vmap(mean)(scales), np.exp(-np.square(scales) / 2), rtol=1e-5)
    proved = qed.expect(jnp.cos, m.Normal(0.0, 0.5))
    assert float(jax.jit(mean)(0.5)) == pytest.approx(proved.value, rel=1e-5)


def test_of_a_tail_too_heavy_for_the_precision_no_number_is_told():
    """E log X = 1/t of a Pareto law, most of which may lie where float32 ends, and P(X > 1e36) = 10^(-36 t)."""

    def told(t):
        far = qed.probability(lambda x: x > 1e36, m.Pareto(t, 1.0)).value
        return qed.expect(jnp.log, m.Pareto(t, 1.0)).value, far

    found = np.array(jax.jit(jax.vmap(told))(jnp.array([0.1, 1.5, 3.0])))
    assert np.all(np.isnan(found[:, 0]))
    np.testing.assert_allclose(found[:, 1:], [[2 / 3, 1 / 3], [0, 0]], rtol=1e-4, atol=1e-30)


def test_a_vector_of_probabilities_has_the_gradient_of_its_divergence():
    found = jax.grad(lambda p: qed.kl(p, jnp.array([0.5, 0.5])).value)(jnp.array([0.25, 0.75]))
    np.testing.assert_allclose(found, np.log([0.5, 1.5]) + 1, rtol=1e-5)


def test_more_dimensions_than_are_nested_are_refused():
    with pytest.raises(qed.QedError, match="nested") as caught:
        jax.grad(lambda t: qed.expect(lambda x: jnp.sum(x), m.power(m.Normal(t, 1.0), 4)).value)(0.0)
    assert caught.value.code == "QED007"


@pytest.mark.parametrize("family", sorted(LOG_MASS))
def test_the_constants_in_jax_are_those_in_balls(family):
    parameters = {"Beta": (0.5, 2.0), "StudentT": (2.5, 1.0, 3.0), "Uniform": (1.0, 4.0)}
    given = parameters.get(family, (1.5, 2.5)[: len(NAMED[family].parameters)])
    with precision(64):
        assert float(LOG_MASS[family](JAX, *map(jnp.asarray, given))) == pytest.approx(
            float(log_mass(family, given)), rel=1e-5
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["floor", "remainder"])
def test_floors_and_remainders_jump_where_the_parameter_moves_them(name):
    fun = (lambda x, c: jnp.floor(c * x)) if name == "floor" else (lambda x, c: jnp.mod(c * x, 1.0))
    slope = jax.grad(lambda c: qed.expect(fun, m.Uniform(0.0, 1.0), c).value)(2.5)
    assert slope == pytest.approx(3 / 2.5**2 if name == "floor" else 0.5 - 3 / 2.5**2, rel=1e-3)
