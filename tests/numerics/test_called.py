"""What a call returns is judged too where it loses more than the equations one by one."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import qed
from qed import Standing


def compiled_otherwise(right, wrong):
    """A function whose graph is one formula, and whose call is another: a compiler that is known."""
    return lambda x: (right if isinstance(x, jax.core.Tracer) else wrong)(x)


POOR = compiled_otherwise(jnp.expm1, lambda x: jnp.exp(x) - 1)


def test_a_call_that_loses_more_is_refuted():
    answer = qed.precision(POOR, jnp.float32(1e-4))
    value, call, gradient = answer.answers
    assert (value.standing, call.standing, gradient.standing) == (Standing.PROVED, Standing.REFUTED, Standing.PROVED)
    assert answer.standing is Standing.REFUTED
    assert "equation by equation" in value.claim
    assert "by a call of the function" in call.claim
    assert call.value > 8 > 1 > value.value
    assert "A call of it, compiled where it is jitted, loses" in answer.headline
    assert answer.check()


@pytest.mark.parametrize(
    "fun",
    [jnp.expm1, jax.jit(jnp.expm1), lambda x: jnp.exp(x) - 1, compiled_otherwise(lambda x: jnp.exp(x) - 1, jnp.expm1)],
)
def test_a_call_that_loses_no_more_is_not_told(fun):
    answer = qed.precision(fun, jnp.float32(1e-4))
    assert len(answer.answers) == 2
    assert "call" not in answer.headline


def test_arrays_and_trees_are_judged_by_the_worst():
    fun = compiled_otherwise
    tree = {"a": jnp.float32([2.0, 3.0]), "b": jnp.float32(1e-4)}
    answer = qed.precision(
        lambda t: {"one": jnp.sum(t["a"]), "two": fun(jnp.expm1, lambda x: jnp.exp(x) - 1)(t["b"])}, tree
    )
    call = answer.answers[1]
    assert call.standing is Standing.REFUTED
    assert "two" in call.meta["element"]
    assert call.check()


def test_a_call_may_take_the_memory_of_what_it_is_given():
    x = jnp.full(1, 1e7, jnp.float32)
    answer = qed.precision(jax.jit(lambda p: p - p / (p + 1) * p, donate_argnums=0), x)
    assert not x.is_deleted() and answer.check()
