"""Rewritings of tails, masks, powers and squares, where they leave the region for which they are made."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import ndtr

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
        assert stable(jnp.float32(x)) == ndtr(jnp.float32(3 * x))


def test_steps_far_out_and_powers_and_pairs_whose_parts_are_no_numbers():
    with jax.enable_x64(True):
        x, e = jnp.float64(1e200), jnp.float64(1e-3)
        for f, slope in ((jnp.sin, jnp.cos(x)), (jnp.cos, -jnp.sin(x)), (jnp.tan, 1 / jnp.cos(x) ** 2)):
            stepped = qed.stabilize(lambda x, e, f=f: f(x + e) - f(x))(x, e)
            assert float(stepped) == pytest.approx(float(slope) * 1e-3, rel=5e-3)
        apart = qed.stabilize(lambda x, n: (x + 1) ** (1 / n) - x ** (1 / n))
        found, slopes = jax.value_and_grad(apart, argnums=(0, 1))(jnp.float64(1e-80), jnp.float64(1e20))
        assert float(found) == pytest.approx(80 * np.log(10) * 1e-20, rel=1e-14)
        assert [float(each) for each in slopes] == pytest.approx([-1e60, -80 * np.log(10) * 1e-40], rel=1e-12)
        pair = qed.stabilize(
            lambda a, b, e: e * (jnp.exp((a + b) * e) - 1) / ((jnp.exp(a * e) - 1) * (jnp.exp(b * e) - 1))
        )
        for a, b, e, value in ((900, 800, 2, 2.0), (900, -1, 2, -2 / np.expm1(2.0)), (-900, -700, 2, -2.0)):
            assert float(pair(*map(jnp.float64, (a, b, e)))) == pytest.approx(value, rel=1e-12)


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
