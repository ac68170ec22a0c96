"""Logarithms over the difference of their arguments, and n log(1 + v/n) by its derivative in n: the digits kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.trace import trace
from qed.numerics.rewriting import session
from tests.numerics import scoring
from tests.numerics.test_rewritings_are_identities import agree, balls

CASES = {
    "logarithmic mean": (
        lambda a, b: (a - b) / jnp.log(a / b),
        [(300.0, 300.01), (300.0, 310.0), (1.0, 1.0001), (1e3, 2e3), (1e-10, 7.0), (40.0, 1e-12)],
    ),
    "slope of a logarithm": (
        lambda x, h: (jnp.log(x + h) - jnp.log(x)) / h,
        [(2.0, 1e-5), (5.0, 1e-3), (1e3, 1e-2), (1.0, -0.9), (1e-3, 50.0)],
    ),
    "growth by its periods": (
        lambda v, n: n * jnp.log(1 + v / n),
        [(1.0, 2.0), (1.0, 1e6), (1e-3, 40.0), (300.0, 2.0), (-0.5, 1.0), (5.0, 1e4)],
    ),
    "entropy of a part": (
        lambda r, m: r * jnp.log(r / (r + m)),
        [(2.0, 4.0), (1e5, 3.0), (1e4, 3.0), (0.5, 70.0)],
    ),
    "degrees of freedom": (  # only the derivative in the second argument is rewritten
        lambda t, n: -0.5 * (n + 1) * jnp.log1p(t * t / n),
        [(2.0, 1e6), (1e-3, 40.0), (5.0, 1e4), (300.0, 2.0)],
    ),
}


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CASES)
def test_logarithms_and_their_slopes_keep_their_digits(name, dtype):
    fun, points = CASES[name]
    case = scoring.Stability(name, "logarithms", fun, tuple(points))
    verdict = scoring.verdict(case, dtype, qed.stabilize(fun), scoring.truths(case, dtype))
    assert verdict.broken("gradient") and not verdict.worse("value") and not verdict.worse("gradient")
    assert max(verdict.after.value) <= scoring.FIXED, verdict.after
    assert max(verdict.after.gradient) <= 3.6, verdict.after


def test_the_new_functions_are_the_old_ones_in_balls():
    def all_of(x):
        return jnp.stack([fun(x[0], x[1]) for fun, _ in CASES.values()])

    with jax.enable_x64(True):
        x = np.array([[0.7, 2.9, 12.5, 0.3], [0.3, 1.1, 0.01, 14.0]])
        new = session.rewrite(trace(all_of, x).graph)
        before, after = balls(all_of, x), balls(lambda x: new.function(x)[0], x)
    assert new.changes and before is not None and after is not None
    assert all(one.is_finite() for one in before) and all(map(agree, before, after))
