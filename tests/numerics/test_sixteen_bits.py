"""What `qed.stabilize` does for float16 and bfloat16, whose sums JAX takes in float32."""

import flint
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.facts.balls import integer_pow
from qed.graph.trace import trace
from qed.numerics.longer.lengthened import lengthened

DIGITS = {"float16": 2.0**-10, "bfloat16": 2.0**-7}


def variance(x):
    return jnp.mean(x * x) - jnp.mean(x) ** 2


def growth(x):
    return jnp.sum(jnp.exp(x) - 1)


def half_curvatures(x):
    return jnp.sum((1 - jnp.cos(x)) / x**2)


def participation(x):
    return jnp.sum(x) / jnp.sqrt(jnp.sum(x * x))


def alignment(x):
    return jnp.sum(x * x[::-1]) / jnp.sum(x**2)


CASES = [
    (variance, "float16", [300, 301, 302]),
    (variance, "bfloat16", [300, 302, 304]),
    (growth, "bfloat16", [1e-3, 2e-3, 3e-3]),
    (half_curvatures, "bfloat16", [1e-3, 2e-3, 3e-3]),
    (half_curvatures, "float16", [1e-3, 2e-3, 3e-3]),
    (participation, "float16", [300, 301, 302]),
    (alignment, "float16", [20, 30, 40]),
]


@pytest.mark.parametrize(("fun", "dtype", "x"), CASES, ids=[f"{f.__name__}-{d}" for f, d, _ in CASES])
def test_value_and_gradient_have_the_digits_of_the_dtype(fun, dtype, x):
    x = jnp.array(x, dtype)
    stable, unit = qed.stabilize(fun), DIGITS[dtype]
    with jax.enable_x64(True):
        exact = jnp.asarray(np.asarray(x, np.float64))
        value, slope = np.asarray(fun(exact)), np.asarray(jax.grad(fun)(exact))
    lost = [abs(float(fun(x)) - value) > 4 * unit * abs(value)]
    lost.append(not np.allclose(np.asarray(jax.grad(fun)(x), float), slope, rtol=0, atol=4 * unit * abs(slope).max()))
    assert any(lost), "nothing is lost as it is written"
    assert stable(x).dtype == x.dtype and float(stable(x)) == pytest.approx(value, rel=2 * unit)
    found = np.asarray(jax.jit(jax.grad(stable))(x), float)
    least = float(jnp.finfo(dtype).smallest_subnormal)
    assert found == pytest.approx(slope, rel=0, abs=2 * unit * abs(slope).max() + least)


def test_sums_in_float32_are_no_rounding_of_the_users():
    x = jnp.ones(3, "float16")
    assert lengthened(trace(lambda x: jnp.mean(x) ** 2, x).graph) is not None

    def left_by_rounding(x):
        y = x.astype("float32") / 3
        return jnp.sum((y - y.astype("float16")).astype("float16"))

    assert lengthened(trace(left_by_rounding, x).graph) is None
    assert lengthened(trace(lambda x: x.astype("float32") / 3, x).graph) is None


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_what_keeps_its_digits_is_left_alone(dtype):
    x = jnp.array([0.5, -1.0, 2.0], dtype)
    for fun in (jax.nn.logsumexp, lambda x: jnp.sum(jnp.sin(x)), lambda x: jnp.mean(jnp.abs(x)), jnp.sum):
        assert not qed.stabilize(fun).rewrites(x).rewrites
        assert qed.stabilize(fun)(x) == fun(x)


def test_a_power_of_a_ball_about_infinity_is_a_number_that_is_not_known():
    everywhere = flint.arb("inf", "inf")
    assert not integer_pow(everywhere, 2).is_finite() and integer_pow(everywhere, 0) == 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_expectations_under_weights_whose_exponentials_overflow(dtype):
    """Sums are taken in float32; what is summed there are softmax's weights."""

    def mean(s, v):
        w = jnp.exp(s)
        return jnp.sum(w * v) / jnp.sum(w)

    s, v = jnp.array([120, 121, -3], dtype), jnp.array([1, -2, 5], dtype)
    p = np.array([1, np.e, 0]) / (1 + np.e)
    value, slope = jax.value_and_grad(qed.stabilize(mean))(s, v)
    unit = DIGITS[dtype]
    assert not np.isfinite(float(mean(s, v))) and value.dtype == s.dtype
    assert float(value) == pytest.approx(p[0] - 2 * p[1], rel=2 * unit)
    assert np.asarray(slope, float) == pytest.approx(p * (np.array([1, -2, 5]) - (p[0] - 2 * p[1])), abs=2 * unit)


def test_a_length_whose_squares_leave_the_range_of_bfloat16():
    x = jnp.array([3e25, 4e25], "bfloat16")
    stable = qed.stabilize(lambda x: jnp.sqrt(jnp.sum(x * x)))
    true = np.asarray(x, float)
    assert float(stable(x)) == pytest.approx(np.hypot(*true), rel=2.0**-7)
    assert np.asarray(jax.grad(stable)(x), float) == pytest.approx(true / np.hypot(*true), rel=2.0**-6)


def test_float16_has_the_values_whose_exponentials_leave_its_range():
    """exp(12) and exp(11.5) are above 65504, (exp(12) - 1)/12 and sigmoid(-11.5) are not out of range."""
    stable = qed.stabilize(lambda x: (jnp.exp(x) - 1) / x)
    assert float(stable(jnp.float16(12))) == pytest.approx(np.expm1(12) / 12, rel=2.0**-10)
    stable = qed.stabilize(lambda x: jnp.log(1 + jnp.exp(x)))
    assert float(jax.grad(stable)(jnp.float16(-11.5))) == pytest.approx(np.exp(-11.5), abs=2.0**-24)
