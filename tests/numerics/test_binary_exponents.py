"""A number is its mantissa times a power of two, as NumPy says it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qed.numerics.rewriting import lengths
from qed.numerics.rewriting.binary_exponents import mantissa_and_exponent, power_of_two_of

split = jax.jit(mantissa_and_exponent)


@given(st.floats(width=32, allow_subnormal=False))
def test_mantissa_and_exponent_are_those_of_numpy(x):
    m, e = split(jnp.float32(x))
    expected = np.frexp(np.float32(x))
    np.testing.assert_array_equal(m, expected[0])
    assert not np.isfinite(x) or e == expected[1]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_powers_of_two_are_exact_over_the_normal_numbers(dtype):
    info = jnp.finfo(dtype)
    e = np.arange(info.minexp, info.maxexp)
    np.testing.assert_array_equal(np.asarray(power_of_two_of(e, jnp.dtype(dtype)), np.float64), 2.0**e)


def test_a_norm_traced_in_float64_runs_where_float64_is_not_enabled():
    """As in longer numbers: the graph is in float64, the user's program is compiled without it."""
    with jax.enable_x64(True):
        traced = jax.make_jaxpr(lambda x: lengths.norm(x, (0,)))(np.array([3e200, 4e200]))

    def in_float32(x):
        wide = jax.lax.convert_element_type_p.bind(x, new_dtype=np.dtype("float64"), weak_type=False, sharding=None)
        (found,) = jax.core.eval_jaxpr(traced.jaxpr, traced.consts, wide)
        return jax.lax.convert_element_type(found, np.float32)

    assert jax.jit(in_float32)(jnp.array([3e20, 4e20], jnp.float32)) == np.float32(5e20)
