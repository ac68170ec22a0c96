"""Counted operations: exact for small functions, and XLA's own counts for larger ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.domains.cost import count
from qed.graph.trace import trace


def counted(fun, *args, **options):
    traced = trace(fun, *args)
    return count(traced.graph, traced.free, **options)


def test_a_product_of_matrices():
    found = counted(lambda w, x: jnp.sum(x @ w), jnp.ones((5, 7)), jnp.ones((3, 5)))
    assert found.value == 2 * 3 * 5 * 7 + 20
    assert found.linear == 2 * 3 * 5 * 7


def test_both_operands_active():
    found = counted(lambda p: jnp.sum(p["x"] @ p["w"]), {"w": jnp.ones((5, 7)), "x": jnp.ones((3, 5))})
    assert found.linear == 2 * (2 * 3 * 5 * 7)


def test_scalars():
    assert counted(lambda x: x * x, 2.0).value == 1
    assert counted(lambda x: x * x, 2.0).linear == 3  # two products and the sum of the two uses
    assert counted(lambda x: x + 1.0, 2.0).linear == 0


def test_what_does_not_depend_on_the_parameters_is_not_pulled_back():
    assert counted(lambda x, y: x + jnp.sum(jnp.exp(y)), jnp.ones(()), jnp.ones(10)).linear == 0


def test_loops_count_each_step():
    def loop(x):
        return jax.lax.scan(lambda h, _: (jnp.sin(h), None), x, None, length=10)[0]

    assert counted(loop, 1.0).value == 10
    assert counted(loop, 1.0, loops_once=True).value == 1


def test_a_while_loop_is_open():
    found = counted(lambda x: jax.lax.while_loop(lambda c: c < 10, lambda c: c * 2, x), 1.0)
    assert found.open_loops == 1


def test_the_dearest_branch_counts():
    found = counted(
        lambda x: jax.lax.cond(x[0] > 0, lambda v: jnp.sum(v), lambda v: jnp.sum(jnp.exp(v)), x), jnp.ones(8)
    )
    assert found.value >= 8 + 7


def network(w, x, y):
    h = jnp.tanh(x @ w["a"] + w["b"])
    return jnp.mean((h @ w["c"] - y) ** 2)


def convolution(w, x):
    h = jax.lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return jnp.sum(jax.nn.relu(h))


def recurrent(w, xs):
    return jnp.sum(jax.lax.scan(lambda h, x: (jnp.tanh(h @ w + x), None), jnp.zeros((16, 32)), xs)[0])


WEIGHTS = {"a": np.ones((64, 48)), "b": np.ones(48), "c": np.ones((48, 8))}
CASES = {
    "network": (network, WEIGHTS, np.ones((32, 64)), np.ones((32, 8))),
    "convolution": (convolution, np.ones((3, 3, 4, 8)), np.ones((2, 12, 12, 4))),
    "recurrent": (recurrent, np.ones((32, 32)), np.ones((10, 16, 32))),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_count_is_near_that_of_xla(name):
    fun, *args = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32) if isinstance(a, np.ndarray) else a, CASES[name])
    found = counted(fun, *args, loops_once=True)

    def xla(function):
        analysis = jax.jit(function).lower(*args).cost_analysis()
        if analysis is None:
            pytest.skip("XLA counts no operations on this platform")
        return analysis["flops"] + analysis.get("transcendentals", 0)

    assert found.value == pytest.approx(xla(fun), rel=0.05)
    assert found.sweep == pytest.approx(xla(jax.value_and_grad(fun)), rel=0.15)
    assert 1 < found.sweep / found.value < 5  # the cheap gradient principle
