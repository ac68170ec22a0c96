"""Where `qed.stabilize` rewrites: where the facts show a loss, at a point, in a box, everywhere."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed


def two(x, y):
    a = jnp.log(1 + jnp.exp(x))
    b = jnp.log(1 + jnp.exp(y))
    return a + b


def equations(fun, *args):
    return str(jax.make_jaxpr(fun)(*args))


def test_at_a_point_only_what_is_lost_there():
    mild, big = jnp.float32(1.0), jnp.float32(200.0)
    untouched = qed.stabilize(two, at=(mild, mild))
    assert equations(untouched, mild, mild) == equations(two, mild, mild)
    stable = qed.stabilize(two, at=(big, mild))
    assert float(stable(big, mild)) == float(jax.nn.softplus(big) + jnp.log(1 + jnp.exp(mild)))
    assert np.isinf(stable(mild, big))
    assert [r.before for r in stable.rewrites(big, mild).rewrites] == ["log(1 + jnp.exp(x))"]
    assert len(qed.stabilize(two).rewrites(big, mild).rewrites) == 2


def test_in_a_box():
    def fun(x):
        return jnp.sum(jnp.log(1 + jnp.exp(x)))

    x = jnp.ones(2)
    mild = qed.stabilize(fun, box=(jnp.zeros(2), 2.0))
    assert equations(mild, x) == equations(fun, x)
    wide = qed.stabilize(fun, box=qed.Box(jnp.zeros(2), None))
    assert float(wide(x * 200)) == 400.0
    below = qed.stabilize(fun, box=(jnp.full(2, -30.0), 0.0))
    np.testing.assert_allclose(below(-x * 20), 2 * np.exp(-20.0), rtol=1e-6)


def test_what_is_lost_in_the_gradient_alone():
    def fun(x):
        return jnp.log(jnp.sum(jnp.exp(x)))

    x = jnp.array([1.0, 2.0])
    assert equations(qed.stabilize(fun, at=x), x) == equations(fun, x)
    for z in (x - 200, x * 50):
        value, gradient = jax.value_and_grad(qed.stabilize(fun, at=z))(z)
        np.testing.assert_allclose(value, jax.nn.logsumexp(z), rtol=1e-6)
        np.testing.assert_allclose(gradient, jax.nn.softmax(z), rtol=1e-5)


def test_inside_a_loop():
    def fun(x):
        return jax.lax.scan(lambda c, v: (c + jnp.log(1 + jnp.exp(v)), None), 0.0, x)[0]

    x = jnp.array([1.0, 200.0])
    assert equations(qed.stabilize(fun, at=x / 200), x) == equations(fun, x)
    assert float(qed.stabilize(fun, at=x)(x)) == pytest.approx(201.31326)


def test_everywhere():
    def fun(x):
        top = jnp.max(x)
        return top + jnp.log(jnp.sum(jnp.exp(x - top)))

    x = jnp.array([1.0, 2.0])
    assert not qed.stabilize(fun).rewrites(x).rewrites
    assert qed.stabilize(fun, everywhere=True).rewrites(x).rewrites


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"at": (1.0,)}, "QED007"),
        ({"box": (1.0, 0.0)}, "QED007"),
        ({"box": 3.0}, "QED007"),
        ({"box": (0.0, 1.0)}, "QED007"),
        ({"box": (0.0, 1.0), "at": ({"a": 1.0}, 1.0)}, "QED007"),
    ],
)
def test_options_that_do_not_fit(options, code):
    with pytest.raises(qed.QedError) as caught:
        qed.stabilize(two, **options)(jnp.float32(1.0), jnp.float32(1.0))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: jnp.sqrt(jnp.maximum(x, 0.0)),
        lambda x: jnp.maximum(0.0, x) ** 0.3,
        lambda x: jnp.sqrt(jnp.maximum(x, 0)) ** 2,
    ],
)
def test_a_root_of_what_is_cut_off_has_slope_0_there(fun):
    assert np.isnan(jax.grad(fun)(-1.0))
    stable = qed.stabilize(fun)
    assert stable(-1.0) == 0 == jax.grad(stable)(-1.0)
    assert jax.grad(stable)(4.0) == pytest.approx(float(jax.grad(fun)(4.0)), rel=1e-6)


def log_share(z):
    return z[:, 0] - jnp.logaddexp(z[:, 0], z[:, 1])


def log_mean_share(z):
    return jnp.log((jnp.asarray([0.5, 0.2], z.dtype) * jax.nn.softmax(z, -1)).sum(-1))


@pytest.mark.parametrize("fun", [log_share, log_mean_share])
def test_a_row_that_is_nan_and_masked_leaves_the_gradients_of_the_others(fun):
    z = jnp.asarray([[1.0, 2.0], [0.3, -1.0], [np.nan, 0.0]], jnp.float32)

    def masked(f):
        return lambda z: jnp.where(jnp.arange(3) < 2, f(z), 0).sum()

    for reversed_ in (jax.grad, lambda f: jax.jit(jax.grad(f))):
        found = np.asarray(reversed_(masked(qed.stabilize(fun)))(z))
        np.testing.assert_allclose(found[:2], np.asarray(jax.grad(masked(fun))(z))[:2], rtol=1e-5)
        assert np.all(np.isnan(found[2]))
