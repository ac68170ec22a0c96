"""A check costs a bounded number of compilations, however many rules there are: they are compiled together.

The promise is at most ten times the compilations of the gradient, which are one.
"""

import jax
import pytest

import qed
from benchmarks.gradient_checks import compilations, network
from tests.calculus.gradient_corpus.case import precision

LIMIT = 10


def test_the_count_counts():
    with precision("float64"):
        loss, w = network(3)
        with compilations() as compiled:
            jax.jit(jax.grad(loss))(w)
            assert compiled() == 1
            jax.jit(lambda w: 2 * loss(w))(w)
            assert compiled() == 2


@pytest.mark.parametrize("rules", [1, 5, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_at_most_ten_compilations(rules, dtype):
    with precision(dtype):
        loss, w = network(rules)
        with compilations() as compiled:
            answer = qed.check_gradient(loss, w.astype(dtype))
            assert compiled() <= LIMIT
    assert answer.value.verdict == "agrees"
    assert answer.value.rules == rules


def test_a_loop_of_a_thousand_steps_costs_no_more():
    import jax.numpy as jnp

    with precision("float32"):
        loss, w = network(1)

        def long(w):
            return jax.lax.scan(lambda c, _: (0.999 * c + 0.001 * jnp.tanh(w), None), w, None, length=1000)[0]

        with compilations() as compiled:
            assert qed.check_gradient(lambda w: loss(long(w)), w.astype("float32")).value.verdict == "agrees"
            assert compiled() <= LIMIT
