"""Log-space sums, differences and products: values and derivatives against decimal arithmetic, and the laws."""

import decimal
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qed
from qed.errors import QedError
from qed.graph.dtypes import unit_roundoff
from qed.numerics import logspace

INF = jnp.inf
finite = st.floats(-3e4, 3e4, width=32)


def exact(terms, weights=None):
    """(log |sum|, sign) of sum w exp(u) in decimal numbers of 80 digits, and the weights of its gradient."""
    with decimal.localcontext() as context:
        context.prec, context.Emax, context.Emin = 80, decimal.MAX_EMAX, decimal.MIN_EMIN
        numbers = [decimal.Decimal(float(u)).exp() for u in terms]
        signed = [w * n for w, n in zip(weights or [1] * len(numbers), numbers, strict=True)]
        total = sum(signed, decimal.Decimal(0))
        return float(abs(total).ln()), float(total.compare(0)), [float(n / total) for n in signed]


@settings(max_examples=60, deadline=None)
@given(st.lists(finite, min_size=3, max_size=3))
def test_value_and_gradient_of_logsumexp_keep_their_digits(terms):
    u = jnp.array(terms, jnp.float32)
    value, _, softmax = exact(u)
    near = 4 * unit_roundoff(u.dtype)
    assert float(logspace.logsumexp(u)) == pytest.approx(value, rel=near, abs=near)
    np.testing.assert_allclose(jax.grad(logspace.logsumexp)(u), softmax, rtol=8 * near, atol=1e-37)


@settings(max_examples=60, deadline=None)
@given(finite, finite, st.floats(0.0009765625, 50.0, width=32))
def test_sums_in_log_space_are_sums(a, b, below):
    a, b, below = (jnp.float32(v) for v in (a, b, below))
    together = logspace.logaddexp(a, b)
    assert float(together) == float(logspace.logaddexp(b, a))
    assert float(together) >= max(float(a), float(b))
    low = jnp.float32(a - below)
    if low < a:
        value, sign, slopes = exact([a, low], [1, -1])
        assert sign == 1
        size, found_sign = logspace.signed_logsumexp(jnp.stack([a, low]), jnp.array([1.0, -1.0]))
        assert float(found_sign) == 1
        rounding = unit_roundoff(jnp.float32) * max(1.0, abs(float(a))) * 8
        assert float(logspace.logdiffexp(a, low)) == pytest.approx(value, abs=rounding)
        cancelled = math.exp(float(a) - value)  # how much of the larger term is left over
        assert float(size) == pytest.approx(value, abs=rounding * max(1.0, cancelled))
        np.testing.assert_allclose(jax.grad(logspace.logdiffexp, (0, 1))(a, low), slopes, rtol=1e-5, atol=1e-30)


def test_where_library_functions_give_nan_or_lose_digits():
    nothing = jnp.array([-INF, -INF])
    assert np.isnan(jax.grad(jax.nn.logsumexp)(nothing)).all()  # if this fails, JAX has mended it
    assert jax.grad(logspace.logsumexp)(nothing).tolist() == [0.0, 0.0]
    z = jnp.array([1000.0, 1001.0])
    truth = 1 / (1 + math.e)
    ours = float(jax.grad(logspace.logaddexp)(z[0], z[1]))
    assert abs(ours - truth) < 1e-7 * truth


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("logsumexp", ([INF, 1.0],), INF),
        ("logsumexp", ([-INF, 2.0],), 2.0),
        ("logsumexp", ([math.nan, 2.0],), math.nan),
        ("logsumexp", ([],), -INF),
        ("logmeanexp", ([],), math.nan),
        ("logmeanexp", ([-INF, -INF],), -INF),
        ("logdiffexp", (1.0, 1.0), -INF),
        ("logdiffexp", (1.0, 2.0), math.nan),
        ("logdiffexp", (-INF, -INF), -INF),
        ("logdiffexp", (INF, 1.0), INF),
        ("logdiffexp", (INF, INF), math.nan),
        ("logdiffexp", (3.0, -INF), 3.0),
        ("log1mexp", (0.0,), -INF),
        ("log1mexp", (1.0,), math.nan),
        ("log1mexp", (-INF,), 0.0),
        ("log1mexp", (-1e-30,), math.log(1e-30)),
    ],
)
def test_at_the_edges(function, arguments, expected):
    found = float(getattr(qed.logspace, function)(*(jnp.array(a, jnp.float32) for a in arguments)))
    assert found == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_what_is_no_number_is_hidden_nowhere():
    nan = jnp.float32(jnp.nan)
    signs = jnp.array([1.0, -1.0])
    sums = {
        "logsumexp": logspace.logsumexp,
        "logmeanexp": logspace.logmeanexp,
        "signed": lambda u: logspace.signed_logsumexp(u, signs)[0],
        "logprod": lambda u: logspace.logprod(u)[0],
        "logaddexp": lambda u: logspace.logaddexp(u[0], u[1]),
        "logdiffexp": lambda u: logspace.logdiffexp(u[0], u[1]),
        "log1mexp": lambda u: logspace.log1mexp(u[0]) + logspace.log1mexp(u[1]),
        "a maximum": qed.stabilize(lambda u: jnp.log(jnp.exp(u[0]) + jnp.exp(u[1])) - jnp.maximum(u[0], u[1])),
    }
    for name, function in sums.items():
        u = jnp.array([[nan, -1.0], [-1.0, nan], [-INF, nan], [nan, nan]])
        values, slopes = jax.jit(jax.vmap(jax.value_and_grad(function)))(u)
        assert np.isnan(values).all(), name
        assert np.isnan(slopes[jnp.isnan(u)]).all(), name
    assert np.isnan(logspace.signed_logsumexp(jnp.array([nan, 1.0]), signs)[1])


def test_a_term_of_weight_zero_does_not_count():
    u = jnp.array([INF, 1.0])
    size, sign = logspace.signed_logsumexp(u, jnp.array([0.0, -2.0]))
    assert (float(size), float(sign)) == (pytest.approx(1 + math.log(2)), -1.0)
    assert np.isfinite(jax.grad(lambda z: logspace.signed_logsumexp(z, jnp.array([0.0, 1.0]))[0])(u)).all()
    assert [float(v) for v in logspace.signed_logsumexp(jnp.array([2.0, 2.0]), jnp.array([1.0, -1.0]))] == [-INF, 0.0]


def test_a_product_that_underflows_and_one_with_signs():
    half = jnp.full(1100, 0.5)
    size, sign = logspace.logprod(half)
    assert float(jnp.prod(half)) == 0.0
    assert float(size) == pytest.approx(1100 * math.log(0.5), rel=1e-6)
    assert float(sign) == 1.0
    size, sign = logspace.logprod(jnp.array([-2.0, 3.0, -1.0, -1.0]))
    assert (float(size), float(sign)) == (pytest.approx(math.log(6.0)), -1.0)
    assert [float(v) for v in logspace.logprod(jnp.array([0.0, 3.0]))] == [-INF, 0.0]
    assert [float(v) for v in logspace.logprod(jnp.zeros(0))] == [0.0, 1.0]


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_the_dtype_is_kept(dtype):
    u = jnp.ones((2, 3), dtype)
    for name in ("logsumexp", "logmeanexp"):
        found = getattr(logspace, name)(u, axis=-1, keepdims=True)
        assert (found.dtype, found.shape) == (dtype, (2, 1))
    assert logspace.logaddexp(u, u).dtype == logspace.logdiffexp(u, u / 2).dtype == dtype
    assert jax.jit(jax.vmap(logspace.logsumexp))(u).shape == (2,)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: logspace.logsumexp(jnp.arange(3)), "int32"),
        (lambda: logspace.logsumexp(jnp.ones(3), axis=1), "[3]"),
        (lambda: logspace.logsumexp(jnp.ones((2, 2)), axis=(0, -2)), "(0, -2)"),
        (lambda: logspace.logprod(jnp.ones(2, complex)), "complex"),
        (lambda: logspace.shifts(jnp.array([jnp.nan])), "finite"),
        (lambda: logspace.shifts(jnp.zeros(0)), "empty"),
    ],
)
def test_what_cannot_be_summed_is_said(call, word):
    with pytest.raises(QedError) as caught:
        call()
    assert caught.value.code == "QED007"
    assert word in str(caught.value)


def test_only_the_maximum_is_safe_among_the_shifts():
    for u in ([1000.0, 1001.0], [-200.0, -300.0, 1.0], [-1000.0, -1001.0], [0.0, 0.0, 0.0]):
        answer = logspace.shifts(jnp.array(u))
        best, others = answer.tried[0], answer.tried[1:]
        assert answer.measured
        assert answer.check()
        assert best.bits_lost < 2
        assert 1 <= best.sum <= len(u)
        assert all(best.bits_lost <= other.bits_lost for other in others)
    wide = logspace.shifts(jnp.array([-200.0, -300.0, 1.0])).tried
    assert {each.name for each in wide if each.bits_lost == 24} == {"mean", "minimum", "maximum + 200"}


@pytest.mark.parametrize("jit", [False, True])
def test_slopes_of_a_complement_have_the_sign_of_their_limit(jit):
    turn = jax.jit if jit else lambda f: f
    slope = turn(jax.grad(logspace.log1mexp))
    assert float(slope(0.0)) == -math.inf and float(slope(-math.inf)) == 0
    up, down = turn(jax.grad(logspace.logdiffexp, (0, 1)))(1.0, 1.0)
    assert float(up) == math.inf and float(down) == -math.inf
    masked = jax.grad(lambda x: jnp.where(x < 0, logspace.log1mexp(x), 0.0))
    assert math.isnan(float(logspace.log1mexp(1.0))) and float(turn(masked)(1.0)) == 0  # where no value is taken
