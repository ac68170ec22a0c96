"""A function that is another one at every call is refused; a rule that is wrong is named beside the minimum."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.errors import QedError
from qed.graph.function import read
from qed.optimization.repeatable import check_repeatable

COUNT = itertools.count()
KEY = jax.random.key(0)
ROWS = np.arange(6.0, dtype=np.float32).reshape(3, 2)


def counted(x):
    return jnp.sum((x - next(COUNT)) ** 2)


def drawn(x):
    return jnp.sum((x - np.random.default_rng().random(2)) ** 2)


def called(noise):
    def value(x):
        return np.asarray(np.sum(np.asarray(x) ** 2) + noise * next(COUNT), np.float32)

    @jax.custom_jvp
    def fun(x):
        return jax.pure_callback(value, jax.ShapeDtypeStruct((), jnp.float32), x)

    fun.defjvp(lambda p, t: (fun(p[0]), jnp.vdot(2 * p[0], t[0])))
    return fun


@pytest.mark.parametrize("fun", [counted, drawn, called(0.01), lambda x: jnp.sum(x**2) * next(COUNT)])
@pytest.mark.parametrize("ask", [qed.minimize, qed.verdict])
def test_a_function_that_changes_between_calls_is_named(fun, ask):
    with pytest.raises(QedError) as error:
        ask(fun, jnp.zeros(2, jnp.float32))
    assert error.value.code == "QED015"
    assert "changes between calls" in error.value.what


@pytest.mark.parametrize(
    "fun",
    [
        called(0.0),
        lambda x: jnp.sum(x * jax.random.normal(KEY, (2,))),
        lambda x: jnp.sum((ROWS @ x) ** 2),
        lambda x: jax.lax.scan(lambda c, r: (c + jax.nn.softplus(r @ x), None), 0.0, jnp.asarray(ROWS))[0],
    ],
)
def test_one_function_is_left_alone(fun):
    x = jnp.ones(2, jnp.float32)
    check_repeatable(read(fun, x), (fun, x, ()))


def test_a_wrong_rule_is_named_beside_the_minimum_that_it_leads_to():
    @jax.custom_vjp
    def length(x):
        return jnp.sum(x**2)

    length.defvjp(lambda x: (length(x), x), lambda x, g: (3 * g * x,))
    for answer in (qed.minimize(length, jnp.ones(3)), qed.verdict(length, jnp.zeros(3))):
        assert "global minimum" in answer.headline
        assert answer.proved
        assert "the gradient is wrong" in answer.headline
        assert "QED101" in [finding.code for finding in answer.findings]
