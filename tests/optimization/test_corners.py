"""Convex functions with corners: the least value is found in few values and proved, and nothing else is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import qed
from qed.certificates.cutting_planes import CuttingPlanes

RNG = np.random.default_rng(3)
A, B = RNG.standard_normal((20, 2)), RNG.standard_normal(20)
SIGNS = np.sign(A @ [1.0, -2.0] + RNG.standard_normal(20))

LOSSES = {
    "hinge": lambda w: jnp.mean(jax.nn.relu(1 - SIGNS * (A @ w))),
    "hinge and square": lambda w: jnp.mean(jnp.maximum(0, 1 - SIGNS * (A @ w))) + 0.01 * jnp.sum(w**2),
    "lasso": lambda w: jnp.mean((A @ w - B) ** 2) + jnp.sum(jnp.abs(w)),
    "quantile": lambda w: jnp.mean(jnp.where(B - A @ w >= 0, 0.3 * (B - A @ w), -0.7 * (B - A @ w))),
    "deviations": lambda w: jnp.mean(jnp.abs(A @ w - B)),
    "largest": lambda w: jnp.max(A @ w + B),
    "pieces that bend": lambda w: jnp.maximum(w[0] ** 2 + w[1] ** 2, (w[0] - 1) ** 2 + 2 * (w[1] - 1) ** 2),
    "variation": lambda w: jnp.sum((w - B[:2]) ** 2) + 3 * jnp.abs(w[1] - w[0]),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_least_value_of_a_convex_loss_is_proved(name):
    with jax.enable_x64(True):
        fun = LOSSES[name]
        answer = qed.minimize(fun, jnp.ones(2))
        assert answer.proved and answer.check() and isinstance(answer.certificate, CuttingPlanes), answer.headline
        assert "global minimum" in answer.headline and answer.value.counts["values"] < 60
        gap = answer.certificate.most - answer.certificate.bound
        assert 0 <= gap < 1e-10
        value = jax.jit(fun)
        for start in ([1.0, 1.0], np.asarray(answer.x)):
            other = scipy.optimize.minimize(lambda w: float(value(w)), start, method="Nelder-Mead", tol=1e-12)
            assert other.fun >= answer.certificate.bound - 1e-15


@pytest.mark.parametrize(
    ("fun", "point"),
    [
        (lambda x: jnp.abs(x[0]) - jnp.abs(x[1]) + x[1] ** 2, [0.0, 0.5]),  # not convex
        (lambda x: jnp.abs(x[0]) + jnp.abs(x[1]), [0.0, 0.1]),  # not the minimum
        (lambda x: jnp.abs(x[0]) + x[1], [0.0, 0.0]),  # no minimum
        (lambda x: jnp.maximum(jnp.abs(x[0]), 1.0) * jnp.cos(0.01 * x[1]), [0.0, 0.0]),
    ],
)
def test_what_is_no_least_value_is_not_proved_to_be_one(fun, point):
    answer = qed.verdict(fun, jnp.array(point))
    assert not isinstance(answer.certificate, CuttingPlanes)
    assert "global" not in answer.headline


@pytest.mark.parametrize(
    ("fun", "point", "words"),
    [
        (lambda x: x[0] ** 2 - 2 * jnp.abs(x[0]), [0.0], "falls to both sides"),
        (lambda x: jnp.abs(x[0]) + 3 * x[0], [0.0], "falls to one side"),
        (lambda x: jnp.abs(x[0]) + x[1], [0.0, 0.0], "no minimum"),
    ],
)
def test_a_corner_from_which_f_falls_is_called_no_minimum(fun, point, words):
    with jax.enable_x64(True):
        answer = qed.verdict(fun, jnp.array(point))
    assert answer.kind == "kink" and words in answer.headline and not answer.proved
