"""What constant numbers decide is read through: the check of a count in jnp.var, and masks 1 - m of truth values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.build import Builder
from qed.graph.trace import trace
from qed.numerics.rewriting.scales import chosen, constant_of
from qed.numerics.rewriting.signs import Sign, Signs

SAME = jnp.array([[2.0, 2.0, 2.0], [1.0, 2.0, 4.0]], jnp.float32)


def output_of(fun, *args):
    graph, builder = trace(fun, *args).graph, Builder()
    return builder.inline(graph, builder.inputs(graph))[0]


@pytest.mark.parametrize(
    "spread",
    [
        lambda x: jnp.std(x, axis=1),
        lambda x: jnp.std(x, axis=1, ddof=1),
        lambda x: jnp.sqrt(jnp.var(x, axis=1)),
    ],
)
def test_equal_numbers_have_a_standard_deviation_with_a_derivative(spread):
    """That of a length at 0."""
    slope = jax.grad(lambda x: jnp.sum(qed.stabilize(spread)(x)))(SAME)
    assert slope[0].tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(slope[1], jax.grad(lambda x: jnp.sum(spread(x)))(SAME)[1], rtol=1e-6)


def test_without_degrees_of_freedom_there_is_none():
    assert np.isnan(qed.stabilize(lambda x: jnp.std(x, ddof=3))(SAME[1]))


def test_counts():
    def count(c):
        return lambda x: jnp.where(jnp.float32(3) - jnp.asarray(c, jnp.float32) > 0, x, 2 * x)

    def other_count(c):
        return output_of(count(c), 1.0)

    assert chosen(other_count(0)).operation == "input"
    assert chosen(other_count(3)).operation == "mul"
    half = other_count(0.5)  # not whole: what it rounds to is not followed
    assert chosen(half) is half
    assert constant_of(output_of(lambda x: x * 0 + (jnp.int32(5) - 2), 1.0)) is None
    for dtype, known in ((jnp.int8, None), (jnp.int32, 150.0)):  # 100 + 50 is -106 in eight bits
        added = output_of(lambda x, dtype=dtype: jax.lax.add(jnp.asarray(100, dtype), jnp.asarray(50, dtype)), 1.0)
        assert constant_of(added) == known


def test_masks_are_not_negative():
    assert Signs()(output_of(lambda x: 1 - jnp.eye(3, dtype=x.dtype), jnp.ones(3))) == Sign.NONNEGATIVE
    assert Signs()(output_of(lambda x: 2 - jnp.eye(3), 1.0)) == Sign.BOUNDED
    assert Signs()(output_of(lambda x: 0.5 - jnp.eye(3), 1.0)) == Sign.UNKNOWN
    assert Signs()(output_of(lambda x: 1 - 2 * jnp.eye(3), 1.0)) == Sign.UNKNOWN
    assert Signs()(output_of(lambda x: 1 - jnp.where(x > 0, 2.0, 0.0), 1.0)) == Sign.UNKNOWN


def test_a_mask_that_leaves_out_the_diagonal():
    def loss(s):
        e = jnp.exp(s / 0.01) * (1 - jnp.eye(3))
        return -jnp.log(e[0, 1] / e[0].sum())

    s = np.array([[1.0, 0.25, 0.5], [0.25, 1.0, -0.5], [0.5, -0.5, 1.0]], np.float32)
    value, slope = jax.value_and_grad(qed.stabilize(loss))(s)
    np.testing.assert_allclose(value, 25.0, rtol=1e-6)
    np.testing.assert_allclose(slope, [[0, -100, 100], [0, 0, 0], [0, 0, 0]], rtol=1e-5, atol=1e-6)
