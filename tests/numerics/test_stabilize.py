"""`qed.stabilize`: a function like the original one, stable in value and gradient."""

from __future__ import annotations

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.numerics import stabilize as module


def lse(z):
    return jnp.log(jnp.sum(jnp.exp(z)))


Z = jnp.array([1000.0, 0.0])


def test_value_gradient_jit_and_vmap():
    stable = qed.stabilize(lse)
    assert np.isinf(lse(Z))
    assert float(stable(Z)) == float(jax.jit(stable)(Z)) == 1000.0
    for gradient in (jax.grad(stable), jax.jacfwd(stable), jax.jit(jax.grad(stable))):
        np.testing.assert_array_equal(gradient(Z), [1.0, 0.0])
    np.testing.assert_array_equal(jax.vmap(jax.grad(stable))(jnp.stack([Z, -Z])), [[1, 0], [0, 1]])
    np.testing.assert_allclose(jax.hessian(stable)(Z / 1000), jax.hessian(lse)(Z / 1000), rtol=1e-5)


def test_inside_a_scan():
    stable = qed.stabilize(lse)
    total, _ = jax.lax.scan(lambda c, z: (c + stable(z), None), 0.0, jnp.stack([Z, 2 * Z]))
    assert float(total) == 3000.0
    gradient = jax.grad(lambda w: jax.lax.scan(lambda c, z: (c + stable(w * z), None), 0.0, jnp.stack([Z, Z]))[0])(1.0)
    assert float(gradient) == 2000.0


def likelihood(x, w, *, count=2, name="a"):
    return {name: jnp.log(jnp.exp(w["b"]) * x.sum(-1)), "numbers": jnp.arange(count)}


def test_trees_and_static_keywords():
    stable = qed.stabilize(likelihood)
    x, w = jnp.ones((3, 2)), {"b": jnp.array([1.0, 200.0, 300.0])}
    found = stable(x, w, count=3, name="value")
    np.testing.assert_allclose(found["value"], w["b"] + np.log(2.0), rtol=1e-6)
    assert found["numbers"].tolist() == [0, 1, 2]
    gradient = jax.grad(lambda w: jnp.sum(stable(x, w)["a"]))(w)
    np.testing.assert_array_equal(gradient["b"], 1.0)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_any_dtype(dtype):
    stable = qed.stabilize(lse)
    value, gradient = jax.value_and_grad(stable)(Z.astype(dtype))
    assert value.dtype == gradient.dtype == dtype
    assert float(value) == 1000.0 and gradient.tolist() == [1.0, 0.0]


def test_whole_numbers_are_data():
    stable = qed.stabilize(lambda z, n: jnp.log(jnp.exp(z) / n))
    np.testing.assert_allclose(stable(200.0, jnp.int32(2)), 200 - np.log(2), rtol=1e-6)
    assert float(jax.grad(stable)(200.0, jnp.int32(2))) == 1.0
    assert float(qed.stabilize(lambda n: jnp.log(jnp.exp(n)))(jnp.int32(1000))) == 1000.0


def test_what_is_closed_over_may_be_traced():
    def outer(w):
        return qed.stabilize(lambda x: jnp.log(jnp.exp(w * x)))(3.0)

    assert float(jax.grad(outer)(500.0)) == 3.0
    assert float(jax.jit(outer)(500.0)) == 1500.0


@pytest.mark.parametrize(
    "fun",
    [
        lambda z: jnp.sum(z * z) + jnp.sum(jnp.tanh(z)),
        lambda z: jax.nn.logsumexp(z),
        lambda z: jax.nn.log_softmax(z) @ jnp.array([0.3, 0.7]),
        lambda z: jnp.sum(jax.nn.softmax(z) * z),
        lambda z: jnp.max(z) + z[0],
    ],
)
def test_what_keeps_its_digits_keeps_its_graph(fun):
    stable = qed.stabilize(fun)
    for transform in (lambda f: f, jax.grad, jax.value_and_grad):
        assert str(jax.make_jaxpr(transform(stable))(Z)) == str(jax.make_jaxpr(transform(fun))(Z))


def test_a_share_near_1_keeps_the_digits_of_what_is_left():
    stable = qed.stabilize(lambda z: jax.nn.log_softmax(z)[0])
    z = jnp.array([10.0, 0.0])
    left = float(jax.nn.sigmoid(-10.0))
    assert float(stable(z)) == pytest.approx(-np.log1p(np.exp(-10.0)), rel=1e-6)
    assert jax.grad(stable)(z).tolist() == pytest.approx([left, -left], rel=1e-6)


def test_traced_once_for_a_shape_and_the_cache_is_weak():
    traces = []

    def fun(z):
        traces.append(z.shape)
        return lse(z)

    for _ in range(3):
        stable = qed.stabilize(fun)
        stable(Z)
        jax.grad(stable)(Z)
    assert traces == [(2,)]
    stable(jnp.zeros(3))
    assert traces == [(2,), (3,)]
    dead = weakref.ref(fun)
    before = len(module._PLANS)
    del fun, stable
    gc.collect()
    assert dead() is None
    assert len(module._PLANS) < before


def test_rules_of_the_users_are_kept():
    @jax.custom_vjp
    def clipped(x):
        return jnp.exp(x)

    clipped.defvjp(lambda x: (jnp.exp(x), x), lambda x, ct: (jnp.clip(ct, -1.0, 1.0),))
    stable = qed.stabilize(lambda x: jnp.log(jnp.exp(200 * x)) + 5.0 * clipped(x))
    assert float(jax.grad(stable)(1.0)) == 201.0
    stopped = qed.stabilize(lambda x: jnp.log(jnp.exp(200 * x) * jnp.exp(jax.lax.stop_gradient(x))))
    assert float(stopped(1.0)) == 201.0
    assert float(jax.grad(stopped)(1.0)) == 200.0


def test_loops_without_a_reverse_mode():
    def fun(x):
        grown = jax.lax.while_loop(lambda c: c < 300.0, lambda c: 2 * c, x)
        return jnp.log(jnp.exp(grown) + 1.0)

    stable = qed.stabilize(fun)
    value, slope = jax.jvp(stable, (100.0,), (1.0,))
    assert (float(value), float(slope)) == (400.0, 4.0)


def test_effects_and_randomness(capfd):
    def fun(z, key):
        jax.debug.print("seen")
        return lse(z) + jax.random.normal(key)

    key = jax.random.key(0)
    stable = qed.stabilize(fun)
    expected = 1000.0 + jax.random.normal(key)
    assert float(stable(Z, key)) == float(expected)
    assert jax.grad(stable)(Z, key).tolist() == [1.0, 0.0]
    jax.effects_barrier()
    assert "seen" in capfd.readouterr().out


def test_methods():
    class Model:
        scale = 1000.0

        @qed.stabilize
        def loss(self, z):
            return jnp.log(jnp.sum(jnp.exp(self.scale * z)))

    assert float(Model().loss(jnp.array([1.0, 0.0]))) == 1000.0


def raises(z):
    msg = "no such thing"
    raise RuntimeError(msg)


@pytest.mark.parametrize(
    ("fun", "args", "code"),
    [
        (raises, (Z,), "QED007"),
        (lambda z: 1.0 if z[0] > 0 else 0.0, (Z,), "QED010"),
        (lambda z: np.asarray(z), (Z,), "QED010"),
        (lambda z: "text", (Z,), "QED002"),
        (lambda z: z, (), "QED007"),
    ],
)
def test_bad_calls(fun, args, code):
    with pytest.raises(qed.QedError) as caught:
        qed.stabilize(fun)(*args)
    assert caught.value.code == code


def test_no_function():
    with pytest.raises(qed.QedError, match="no function"):
        qed.stabilize(3.0)


def test_complex_numbers_that_are_constants():
    def fun(x):
        return jnp.sum(jnp.real((x + 1j * x**2) * jnp.conj(x - 2j)))

    x = jnp.array([0.9, -1.2], jnp.float32)
    assert qed.stabilize(fun)(x) == fun(x)
    np.testing.assert_array_equal(jax.grad(qed.stabilize(fun))(x), jax.grad(fun)(x))
