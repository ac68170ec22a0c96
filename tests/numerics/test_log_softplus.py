"""The logarithm of a rate that is kept positive by a softplus, and differences of lengths with exact terms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.domains.ball import precision
from qed.numerics.rewriting.log_softplus import log_softplus

X = np.array([-700.0, -120.0, -30.0, -3.0, -0.2, 0.5413, 0.5414, 0.6, 1.2, 30.0, 650.0])
SPELLINGS = {
    "library": lambda x: jnp.log(jax.nn.softplus(x)),
    "by hand": lambda x: jnp.log(jnp.log(1 + jnp.exp(x))),
    "log1p": lambda x: jnp.log(jnp.log1p(jnp.exp(x))),
    "of a probability": lambda x: jnp.log(-jnp.log(jax.nn.sigmoid(-x))),
    "of the other one": lambda x: jnp.log(-jnp.log(1 - jax.nn.sigmoid(x))),
    "by the library's logarithm": lambda x: jnp.log(-jax.nn.log_sigmoid(-x)),
}


def true_of(x):
    """log log(1 + exp x) and its derivative, in balls."""
    flint = pytest.importorskip("flint")
    values, slopes = [], []
    with precision(2500):
        for each in map(float, x):
            y = flint.arb(each).exp()
            rate = y.log1p()
            values.append(float(rate.log()))
            slopes.append(float(y / (1 + y) / rate))
    return values, slopes


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_rate_below_the_smallest_number_has_its_logarithm(name):
    x = X.astype(np.float32)
    value, slope = true_of(x.astype(np.float64))
    fun = qed.stabilize(SPELLINGS[name])
    np.testing.assert_allclose(fun(x), value, rtol=4e-7)
    np.testing.assert_allclose(jax.grad(lambda x: jnp.sum(fun(x)))(x), slope, rtol=6e-7)
    if "library" not in name:  # that of a maximum is not proved
        assert fun.rewrites(jnp.float32(-120.0)).standing == "PROVED"


def test_in_float64():
    with jax.enable_x64(True):
        value, slope = true_of(X)
        np.testing.assert_allclose(log_softplus(X), value, rtol=1e-15)
        np.testing.assert_allclose(jax.vmap(jax.grad(log_softplus))(X), slope, rtol=1e-15)


def test_a_count_of_zero_takes_nothing_of_it():
    def loss(x):
        rate = jnp.log(1 + jnp.exp(x))
        return jnp.sum(rate - jnp.array([0.0, 2.0]) * jnp.log(rate))

    x = jnp.array([-150.0, -150.0])
    found, slope = jax.value_and_grad(qed.stabilize(loss))(x)
    np.testing.assert_allclose([found, *slope], [300.0, 0.0, -2.0], rtol=1e-6)


@pytest.mark.parametrize("spelled", [jnp.linalg.norm, lambda v: jnp.sqrt(jnp.sum(v**2)), lambda v: jnp.sqrt(v @ v)])
def test_what_cancels_among_the_components(spelled):
    def gap(a, p, n):
        return spelled(a - p) - spelled(a - n)

    a, p, n = (jnp.array(v, jnp.float32) for v in ([1, 2, 3], [1.1, 2, 3], [1, 2.1001, 3]))
    exact = float(np.float64(np.float32(1.1)) - 1) - float(np.float64(np.float32(2.1001)) - 2)
    fun = qed.stabilize(gap)
    assert float(fun(a, p, n)) == pytest.approx(exact, rel=3e-7)
    many = jnp.concatenate([a, jnp.linspace(0.0, 1.0, 20)])
    others = (jnp.concatenate([v, jnp.linspace(0.0, 1.0, 20)]) for v in (p, n))
    assert float(jax.jit(fun)(many, *others)) == pytest.approx(exact, rel=3e-7)
