"""The exponent of an enclosed number is known where all its numbers have it, and nothing is said of its fraction."""

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.domains.ball import Ball
from qed.domains.balls import Balls
from qed.domains.exponent_field import stored
from qed.graph.trace import trace
from qed.graph.walk import Unknown, Walker
from qed.numerics.rewriting.binary_exponents import mantissa_and_exponent


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_bits_of_all_floats_around_lie_between_the_ends(dtype):
    kind = np.dtype(dtype)
    middles = 2.0 ** np.random.default_rng(0).uniform(-10, 10, 40)
    lower, upper = middles * (1 - 1e-3), middles * (1 + 1e-3)
    found = stored(lower, upper, kind)
    assert found is not None and stored(-lower, upper, kind) is None
    for part in (0.0, 0.3, 1.0):
        numbers = (lower + part * (upper - lower)).astype(kind)
        bits = numbers.view(np.dtype(f"u{kind.itemsize}")).astype(np.float64)
        assert np.all(found[0] <= bits) and np.all(bits <= found[1])


def test_an_exponent_is_known_and_a_fraction_is_not():
    fun = lambda x: mantissa_and_exponent(x)[::-1]  # noqa: E731
    traced = trace(fun, jnp.float32(3.0))
    for ends, exponent in (((2.1, 3.9), 2), ((3.9, 4.1), None)):
        whole, fraction = (cell.values[0] for cell in Walker([Ball(60)]).run(traced.graph, [Balls.between(*ends)]))
        assert isinstance(fraction, Unknown)
        assert int(whole.array) == exponent if exponent else isinstance(whole, Unknown)
    root = trace(lambda x: fun(jnp.sqrt(x))[0], jnp.float32(17.0))
    assert int(Walker([Ball(100)]).run(root.graph, root.leaves)[0].values[0].array) == 3


def test_a_rewritten_length_is_compared_in_balls():
    x = jnp.array([1.0, 2.0, 3.5])
    answer = qed.stabilize(lambda x: x / jnp.maximum(jnp.sqrt(jnp.sum(x * x)), 1e-6)).rewrites(x)
    assert answer.value.rewrites and answer.measured and answer.value.points > 0 and answer.check()


def test_integers_of_63_bits_are_not_rounded_inward():
    """Just below 2 the stored integer is 2^62 - 1, which float64 rounds to 2^62, the integer of 2 itself."""
    low, high = stored(np.array(2 - 2.0**-52), np.array(2 - 2.0**-52), "float64")
    assert low < 2**62 < high
