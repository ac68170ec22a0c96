"""Rewritings of tails, masks, powers and squares, where they leave the region for which they are made."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import erf, ndtr

import qed
from qed.graph.build import Builder
from qed.graph.trace import trace
from tests.numerics import scoring
from tests.numerics.scoring import Stability

MASKED = ([0.0, 1.0, -0.5, 2.0], [20.0, 1.0, 0.5, -300.0])
CASES = {
    "right_tail": (lambda a, b: jnp.log(ndtr(b) - ndtr(a)), (5.0, 5.5), (-5.5, -5.0), (-1.0, 2.0), (4.0, 4.001)),
    "distribution": (lambda x: jnp.log(ndtr(2 * x)), (2.0,), (-6.0,), (0.1,)),
    "survival": (lambda x: jnp.log(1 - ndtr(x)), (5.0,), (-3.0,), (0.1,)),
    "masked": (lambda w, u: jnp.sum((w * jnp.exp(u) / jnp.sum(w * jnp.exp(u))) ** 2), MASKED),
    "roots": (lambda a, b: a + b - 2 * jnp.sqrt(a * b), (2.0, 2.001), (-2.0, -2.001), (2.0, 50.0)),
    "exponents": (lambda x, y, k: x**k - y**k, (1.0, 1.0001, 0.3), (0.5, 30.0, 2.5), (2.0, 2.0001, -40.0)),
    "inverse_of_box_cox": (lambda x, p: (1 + p * x) ** (1 / p), (3.0, 1e-6), (3.0, 0.5), (-0.5, 1.9)),
    "zeros": (lambda u, v: 1 - u - v + u * v, (0.9999, 0.9998), (-3.0, 2.5), (1.0, 0.3)),
    "mean": (lambda u: jnp.log(jnp.mean(jnp.exp(u))), ([1e-4, -3e-5],), ([60.0, -400.0],), ([0.6, -400.0],)),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_keep_their_digits(name):
    fun, *points = CASES[name]
    case = Stability(name, "tails", fun, tuple(points))
    for dtype in ("float32", "float64"):
        verdict = scoring.verdict(case, dtype, qed.stabilize(fun), scoring.truths(case, dtype))
        assert verdict.fixed("value") and verdict.after.worst("gradient") < 5, verdict


def test_a_row_that_is_masked_throughout_stays_undefined():
    def weights(w, u):
        return jnp.sum(w * jnp.exp(u) / jnp.sum(w * jnp.exp(u)))

    assert np.isnan(qed.stabilize(weights)(jnp.zeros(2), jnp.ones(2)))


def test_running_sums_of_exponentials_have_the_gradient_of_a_softmax():
    u = jnp.array([120.0, -jnp.inf, 121.0, 119.0])
    for reverse in (False, True):

        def last(u, reverse=reverse):
            return jnp.log(jax.lax.cumsum(jnp.exp(u), 0, reverse))[0 if reverse else -1]

        np.testing.assert_allclose(jax.grad(qed.stabilize(last))(u), jax.nn.softmax(u), rtol=1e-6)


def test_the_normal_distribution_function_alone_is_left_as_it_is():
    stable = qed.stabilize(lambda x: ndtr(3 * x))
    for x in (-5.0, 0.3, 4.0):
        assert stable(jnp.float32(x)) == ndtr(3 * jnp.float32(x))


def test_steps_far_out_and_powers_of_numbers_far_apart():
    with jax.enable_x64(True):
        x, e = jnp.float64(1e200), jnp.float64(1e-3)
        for f, slope in ((jnp.sin, jnp.cos(x)), (jnp.cos, -jnp.sin(x)), (jnp.tan, 1 / jnp.cos(x) ** 2)):
            stepped = qed.stabilize(lambda x, e, f=f: f(x + e) - f(x))(x, e)
            assert float(stepped) == pytest.approx(float(slope) * 1e-3, rel=5e-3)
        apart = qed.stabilize(lambda x, n: (x + 1) ** (1 / n) - x ** (1 / n))
        found, slopes = jax.value_and_grad(apart, argnums=(0, 1))(jnp.float64(1e-80), jnp.float64(1e20))
        assert float(found) == pytest.approx(80 * np.log(10) * 1e-20, rel=1e-14)
        assert [float(each) for each in slopes] == pytest.approx([-1e60, -80 * np.log(10) * 1e-40], rel=1e-12)
        apart = jax.grad(qed.stabilize(lambda x, y, k: x**k - y**k), argnums=1)
        assert float(apart(*map(jnp.float64, (1 + 1e-7, 1e20, 1e-8)))) == pytest.approx(-1e-28, rel=1e-6)


@pytest.mark.parametrize("point", [(-np.inf, 3, 1), (-104, 1, 88), (88, 1e-8, -1e20), (2, 3, 1), (1e-12, 2e-12, 1e-3)])
def test_pairs_of_exponentials_stay_as_written_where_they_are_large(point):
    def pair(a, b, e):
        return e * jnp.expm1((a + b) * e) / (jnp.expm1(a * e) * jnp.expm1(b * e))

    x = [jnp.float32(each) for each in point]
    small = abs(point[0]) < 1
    found, slope = jax.value_and_grad(PAIR, argnums=1)(*x)
    assert float(found) == pytest.approx(1.5e12 if small else float(pair(*x)), rel=1e-6)
    expected = -0.25e24 if small else float(jax.grad(pair, argnums=1)(*x))
    assert float(slope) == pytest.approx(expected, rel=1e-5, abs=1e-30)


PAIR = qed.stabilize(lambda a, b, e: e * jnp.expm1((a + b) * e) / (jnp.expm1(a * e) * jnp.expm1(b * e)))


def test_what_stands_over_exponentials_less_one_is_not_multiplied_by_what_is_too_small():
    f = qed.stabilize(lambda a, b: (jnp.exp(a + b) - 1) / ((jnp.exp(a) - 1) * (jnp.exp(b) - 1)))
    for a, b, value in ((0.5, 88, 2.541494), (44, 44, 1.0)):
        assert float(f(jnp.float32(a), jnp.float32(b))) == pytest.approx(value, rel=1e-6)
    told = f.rewrites(jnp.float32(0.5), jnp.float32(2.0)).value.rewrites
    assert told and all(each.before != each.after for each in told)


def test_a_series_of_a_difference_of_inputs():
    def rest(a, b):
        jax.debug.print("{}", a)
        return jnp.exp(a - b) - 1 - (a - b)

    assert float(qed.stabilize(rest)(jnp.float32(1.001), jnp.float32(1.0))) == pytest.approx(5.0e-7, rel=2e-3)


def test_nodes_that_are_given_need_nothing():
    graph = trace(lambda x, y: jnp.exp(x * y) - 1, 1.0, 1.0).graph
    builder = Builder()
    (output,) = builder.inline(graph, builder.inputs(graph))
    product = output.children[0].children[0]
    assert float(builder.function([output], [product])(jnp.float32(0.0))[0]) == 0.0


@pytest.mark.parametrize(
    ("fun", "x", "value", "slope"),
    [
        (lambda x: jnp.log(1 - jnp.tanh(x) ** 2), 200.0, 2 * math.log(2) - 400, -2.0),
        (lambda x: jnp.log(1 - 0.5 * (1 + erf(x / jnp.sqrt(2.0)))), 40.0, -804.6084420137538, -40.024968847207264),
        (lambda x: jnp.log(0.5 * (1 + erf(x / jnp.sqrt(2.0)))), -40.0, -804.6084420137538, 40.024968847207264),
    ],
)
def test_the_logarithm_of_what_a_difference_became_does_not_underflow(fun, x, value, slope):
    stable = qed.stabilize(fun)
    for dtype in ("float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            at, rel = jnp.asarray(x, dtype), 1e-6 if dtype == "float32" else 1e-13
            assert float(stable(at)) == pytest.approx(value, rel=rel)
            assert float(jax.grad(stable)(at)) == pytest.approx(slope, rel=rel)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_tail_over_a_density_has_no_exponent(dtype):
    """erfc(z) / exp(-z^2) and Mills' ratio, where both have vanished; 1/(sqrt(pi) z) times an asymptotic series."""
    with jax.enable_x64(dtype == "float64"):
        x, unit = jnp.asarray(40.0, dtype), float(jnp.finfo(dtype).eps)
        series = sum((-1) ** k * math.prod(range(1, 2 * k, 2)) / (2 * 40.0**2) ** k for k in range(8))
        slope = -sum((-1) ** k * (2 * k + 1) * math.prod(range(1, 2 * k, 2)) / (2 * 40.0**2) ** k for k in range(8))

        def written(x):
            return jax.scipy.special.erfc(x) / jnp.exp(-x * x)

        stable = qed.stabilize(written)
        assert np.isnan(written(x))
        assert float(stable(x)) == pytest.approx(series / (40 * math.pi**0.5), rel=4 * unit)
        assert float(jax.grad(stable)(x)) == pytest.approx(slope / (1600 * math.pi**0.5), rel=8 * unit)
        assert float(stable(-x / 20)) == pytest.approx(float(written(-x / 20)), rel=8 * unit)
