"""Differences of log-gamma and digamma functions, and binomial coefficients: the digits kept, judged in balls."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import gammaln

import qed
from qed.graph.trace import trace
from qed.numerics.rewriting import session
from tests.numerics import scoring
from tests.numerics.test_rewritings_are_identities import agree, balls

G, PSI = jax.lax.lgamma, jax.lax.digamma
CASES = {
    "rising factorial": (
        lambda x, a: G(x + a) - G(x),
        [(3.0, 0.5), (1e4, 2.0), (1e6, 0.1), (0.1, 1e-5), (1e-8, 0.3), (30.0, 1e-4), (2.0, 500.0)],
    ),
    "beta": (
        lambda a, b: G(a) + G(b) - G(a + b),
        [(3.0, 2.5), (1e4, 2.0), (1e6, 1e6), (1e-8, 0.3), (1e5, 1e-3), (15.0, 300.0)],
    ),
    "binomial": (
        lambda n, k: G(n + 1) - G(k + 1) - G(n - k + 1),
        [(10.0, 3.0), (1000.0, 2.0), (1e6, 3.0), (1e5, 0.0), (1e5, 99998.0), (170.0, 60.0)],
    ),
    "digamma": (lambda x, a: PSI(x + a) - PSI(x), [(3.0, 0.5), (1e4, 2.0), (0.1, 1e-5), (1e-8, 0.3), (1.2, 3.0)]),
}


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CASES)
def test_differences_of_gamma_functions_keep_their_digits(name, dtype):
    fun, points = CASES[name]
    case = scoring.Stability(name, "gammas", fun, tuple(points))
    verdict = scoring.verdict(case, dtype, qed.stabilize(fun), scoring.truths(case, dtype))
    assert verdict.broken("value")
    assert max(verdict.after.value) <= scoring.FIXED, verdict.after
    assert max(verdict.after.gradient) <= 3.6, verdict.after  # digamma and trigamma of JAX lose as much by themselves
    assert not verdict.worse("value") and not verdict.worse("gradient")


@pytest.mark.parametrize("name", CASES)
def test_the_new_function_is_the_old_one_in_balls(name):
    def fun(x):
        return CASES[name][0](x[0], x[1])

    with jax.enable_x64(True):
        x = np.array([[0.7, 2.9, 12.5, 33.0], [0.3, 1.1, 0.01, 14.0]])
        new = session.rewrite(trace(fun, x).graph).function
        before, after = balls(fun, x), balls(lambda x: new(x)[0], x)
    assert before is not None and after is not None and all(one.is_finite() for one in before)
    assert all(map(agree, before, after))


def test_below_zero_the_functions_are_no_worse():
    fun = CASES["rising factorial"][0]
    for x, a in np.float32([(-2.5, 0.25), (-0.5, 3.0), (-30.3, 1.1)]):
        truth = math.lgamma(float(x) + float(a)) - math.lgamma(float(x))
        assert abs(jax.jit(qed.stabilize(fun))(x, a) - truth) <= abs(jax.jit(fun)(x, a) - truth)


def test_a_gamma_function_alone_is_left_alone():
    def fun(x):
        return G(x) + G(2 * x)

    assert not qed.stabilize(fun).rewrites(3.0).value.rewrites


# --- ratios of gammas beside logarithms -------------------------------------------------------------------------------


def negative_binomial(mu, r):
    return gammaln(4 + r) - gammaln(r) - gammaln(5.0) + r * jnp.log(r / (r + mu)) + 4 * jnp.log(mu / (r + mu))


def student(x, nu):
    constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * jnp.log(nu * jnp.pi)
    return constant - (nu + 1) / 2 * jnp.log(1 + x * x / nu)


def beta_binomial(a, b):
    above = gammaln(a + 3) + gammaln(b + 7) - gammaln(a + b + 10)
    return above - (gammaln(a) + gammaln(b) - gammaln(a + b))


RATIOS = {"negative binomial": (negative_binomial, (3.0, 1e6)), "student": (student, (1.5, 1e5)),
          "beta binomial": (beta_binomial, (2e4, 3e4))}  # fmt: skip


@pytest.mark.parametrize("name", RATIOS)
def test_likelihoods_of_many_degrees_keep_their_digits(name):
    function, point = RATIOS[name]
    case = scoring.Stability(name, "gammas", function, (point,))
    verdict = scoring.verdict(case, "float32", qed.stabilize(function), scoring.truths(case, "float32"))
    assert verdict.broken("value") and verdict.broken("gradient")
    assert verdict.after.worst("value") < 4 and verdict.after.worst("gradient") < 4, verdict


@pytest.mark.slow
@pytest.mark.parametrize("name", RATIOS)
def test_ratios_of_gammas_are_the_same_function(name):
    function = RATIOS[name][0]
    with jax.enable_x64(True):
        for point in ((0.7, 2.3), (3.5, 0.4), (20.5, 40.25), (1e-3, 30.0), (0.25, -0.125)):
            x, y = map(jnp.asarray, point)
            stable = qed.stabilize(function)
            for take in (lambda f: f, lambda f: jax.grad(f, 0), lambda f: jax.grad(f, 1)):
                expected, found = take(function)(x, y), take(stable)(x, y)
                if jnp.isfinite(expected):
                    assert found == pytest.approx(float(expected), rel=1e-9, abs=1e-12), point
