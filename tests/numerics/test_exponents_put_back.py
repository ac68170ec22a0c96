"""exp(u): what u rounds off counts |u| times, and is put back, compiled or not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.numerics import logspace
from qed.numerics.rewriting.kernels import softmax

U = np.array([30.1, -22.37, 0.731, -41.9], np.float32)


def true_shares(u):
    e = np.exp(u.astype(np.float64) - np.max(u.astype(np.float64)))
    return e / e.sum()


@pytest.mark.parametrize("compiled", [False, True])
def test_small_shares_keep_their_digits(compiled):
    run = jax.jit if compiled else lambda f: f
    exact = true_shares(U)
    unit = float(np.finfo(np.float32).eps)
    plain = np.abs(np.asarray(jax.nn.softmax(U), np.float64) / exact - 1)
    assert np.max(plain) > 8 * unit  # without it, this many digits are lost
    np.testing.assert_allclose(run(lambda u: softmax(u, (0,)))(U), exact, rtol=2 * unit)
    np.testing.assert_allclose(run(jax.grad(logspace.logsumexp))(U), exact, rtol=2 * unit)
    loss = qed.stabilize(lambda z: -jnp.log(jnp.exp(z[2]) / jnp.sum(jnp.exp(z))))
    np.testing.assert_allclose(run(jax.grad(loss))(U), exact - np.eye(4)[2], rtol=4 * unit)


def test_infinite_logarithms():
    u = jnp.array([[-jnp.inf, 0.0, 3.0], [-jnp.inf, -jnp.inf, -jnp.inf], [jnp.inf, 1.0, 2.0]], jnp.float32)
    total = logspace.logsumexp(u, 1)
    np.testing.assert_allclose(total, [np.log(1 + np.exp(3.0)), -np.inf, np.inf], rtol=1e-6)
    slope = jax.grad(lambda u: jnp.sum(jnp.where(jnp.isfinite(u), logspace.logsumexp(u, 1)[:, None], 0.0)))(u)
    assert not np.any(np.isnan(slope))


X = np.array([12.3, -8.1, 0.7], np.float32)
Y = np.array([0.1, 3.3, -1.7], np.float32)
COMPUTED = {
    "square": lambda x, y: jnp.exp(-(x**2) / 2) / jnp.sqrt(2 * jnp.pi),
    "distance": lambda x, y: jnp.exp(-jnp.sum((x - y) ** 2) / (2 * 1.5**2)),
    "quadratic form": lambda x, y: jnp.exp(-0.125 * (x - y) @ (x - y)),
    "logarithm": lambda x, y: jnp.exp(3.75 * jnp.log(x[0]) - 0.375 * (0.125 - x[0]) ** 2) / x[0],
    "fermi": lambda x, y: 1 / (jnp.exp((x[0] - 0.375) / 0.625) + 1),
    "bose": lambda x, y: 1 / (jnp.exp((x[0] - 0.375) / 0.625) - 1),
    "complement": lambda x, y: 1 - jnp.exp(-x[0] / 0.375),
    "difference": lambda x, y: jnp.exp(-x[0] * y[1]) - jnp.exp(x[0] * x[1] / 2),
    "twice": lambda x, y: jnp.exp(-(2.75 * y + jnp.exp(-1.25 * y))),
}


@pytest.mark.parametrize("name", COMPUTED)
def test_a_computed_exponent_keeps_its_digits(name):
    function = COMPUTED[name]
    stable = qed.stabilize(lambda x, y: jnp.sum(function(x, y)))
    with jax.enable_x64(True):
        wide = [jnp.asarray(a, jnp.float64) for a in (X, Y)]
        exact = jax.value_and_grad(lambda x, y: jnp.sum(function(x, y)), (0, 1))(*wide)
    unit = float(np.finfo(np.float32).eps)
    for run in (lambda f: f, jax.jit):
        value, slopes = run(jax.value_and_grad(stable, (0, 1)))(X, Y)
        assert abs(float(value) / float(exact[0]) - 1) < 3 * unit
        for slope, true in zip(slopes, exact[1], strict=True):
            np.testing.assert_allclose(slope, true, rtol=0, atol=4 * unit * np.max(np.abs(true)))


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: jnp.exp(jnp.sin(x + 1)),  # bounded
        lambda x: jnp.exp(-x / 2),  # not rounded
        lambda x: jnp.exp(0.3 * x + 0.7),  # a model's
        lambda x: jnp.exp(x - jnp.max(x)),  # small beside 1
        lambda x: jnp.exp(-(jnp.arctan(x) * x)),  # of what is rounded otherwise
    ],
)
def test_other_exponents_stay(fun):
    assert str(jax.make_jaxpr(qed.stabilize(fun))(X)) == str(jax.make_jaxpr(fun)(X))


def test_small_exponents_give_the_same_bits():
    x = np.linspace(-2.8, 2.8, 101, dtype=np.float32)

    def density(x):
        return jnp.exp(-0.5 * x * x)

    stable = qed.stabilize(density)
    np.testing.assert_array_equal(jax.jit(stable)(x), jax.jit(density)(x))
    slopes = [jax.jit(jax.grad(lambda x, f=f: jnp.sum(f(x))))(x) for f in (stable, density)]
    np.testing.assert_array_equal(*slopes)


def test_with_a_point_only_what_loses_digits_there():
    def density(x):
        return jnp.exp(-0.5 * x * x)

    for x, same in ((1.3, True), (12.3, False)):
        stable = qed.stabilize(density, at=jnp.float32(x))
        assert (str(jax.make_jaxpr(stable)(x)) == str(jax.make_jaxpr(density)(x))) is same
    assert "twice the digits" in str(qed.stabilize(density).rewrites(jnp.float32(12.3)))


def test_what_was_rewritten_before_is_told_beside_it():
    found = qed.stabilize(COMPUTED["fermi"]).rewrites(X, Y)
    assert [each.after.split("(")[0] for each in found.value.rewrites][:1] == ["sigmoid"]
    assert len(found.value.rewrites) >= 2 and str(found.standing) != "REFUTED"
