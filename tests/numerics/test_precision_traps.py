"""Attacks on what `qed.precision` says: float64 that is no truth, control flow, ties, rules, sizes."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.numerics.measuring import judge as judging
from qed.standing import Standing


def told(part):
    """The reasons of an answer as one text."""
    return " ".join(str(reason.text) for reason in part.reasons)


UNSTABLE = {
    "log of nearly one": (lambda x: jnp.log(1 + x), 1e-18),
    "versine": (lambda x: (1 - jnp.cos(x)) / x**2, 1e-9),
    "roots": (lambda x: jnp.sqrt(x + 1) - jnp.sqrt(x), 1e17),
    "log of a difference": (lambda x: jnp.log(1 - jnp.exp(-x)), 1e-19),
    "expm1": (lambda x: (jnp.exp(x) - 1) / x, 1e-17),
    "softmax tail": (lambda x: -jnp.log(1 - jax.nn.sigmoid(x)), -40.0),
    "log of a product": (lambda x: jnp.log(jnp.prod(jnp.full(20, x))), 1e-30),
    "quadratic formula": (lambda b: -b + jnp.sqrt(b * b - 4.0), 1e12),
    "tan difference": (lambda x: jnp.tan(x + 1e-3) - jnp.tan(x), 1e-12),
    "heron": (lambda c: jnp.sqrt((2 + c) * (2 - c)), 1.9999999),
    "mild": (lambda x: (1 - jnp.cos(x)) / x**2, 1e-2),
    "none": (lambda x: jnp.sin(x) * jnp.exp(x), 0.5),
}


@pytest.mark.parametrize("name", UNSTABLE)
def test_float64_is_believed_only_where_balls_agree(name, monkeypatch):
    """Most of what breaks float32 breaks float64 too: there nothing may be said, and elsewhere the same bits."""
    fun, x = UNSTABLE[name]
    in_balls = qed.precision(fun, jnp.float32(x))
    monkeypatch.setattr(judging, "OPERATIONS", 0)
    beside = qed.precision(fun, jnp.float32(x))
    for mine, truth, part in (
        (beside.bits_lost, in_balls.bits_lost, beside.answers[0]),
        (beside.gradient_bits_lost, in_balls.gradient_bits_lost, beside.answers[1]),
    ):
        assert part.standing in (Standing.MEASURED, Standing.UNKNOWN)
        assert mine is None or truth is None or mine == pytest.approx(truth, abs=0.2)
    if name in ("mild", "none"):
        assert beside.answers[0].measured and beside.reference[0] == "float64"
    if name == "none":
        assert beside.measured and beside.reference[1] == "float64"


def test_float64_alone_bounds_itself_and_measures_nothing(monkeypatch):
    monkeypatch.setattr(judging, "OPERATIONS", 0)
    with jax.enable_x64(True):
        answer = qed.precision(lambda x: jnp.exp(jnp.sin(x)), jnp.float64(0.5))
        assert answer.unknown and answer.bits_lost is None and 0 < answer.at_most < 8
        trap = qed.precision(lambda x: (1 - jnp.cos(x)) / x**2, jnp.float64(1e-8))
        assert trap.unknown and trap.at_most == 53


def test_a_branch_that_rounding_takes_is_told():
    def fun(x):
        return jax.lax.cond((x + 1) - 1 > 0, lambda x: x * 2, lambda x: x * 3 + 1, x)

    answer = qed.precision(fun, jnp.float32(1e-9))
    assert answer.refuted and answer.bits_lost == 24
    assert "another branch" in told(answer.answers[0])


def one_pass_variance(x):
    return jnp.mean(x**2) - jnp.mean(x) ** 2


def the_same_in_a_branch(x):
    return jax.lax.cond(jnp.sum(x) > 0, one_pass_variance, jnp.sum, x)


@pytest.mark.parametrize("fun", [one_pass_variance, the_same_in_a_branch])
def test_rounded_numbers_on_the_way_of_the_real_ones_take_no_other_branch(fun):
    """The gradient is zero in its middle: there no two enclosures have the same midpoint."""
    answer = qed.precision(fun, jnp.float32([10000.0, 10001.0, 10002.0]))
    assert answer.bits_lost == 24 and answer.gradient_bits_lost > 3
    assert all(part.refuted and "branch" not in told(part) for part in answer.answers)


def test_a_tie_of_a_maximum_has_a_value_and_no_proved_gradient():
    answer = qed.precision(lambda x: jnp.max(x), jnp.float32([1.0, 1.0, 0.5]))
    value, gradient = answer.answers
    assert value.proved and not gradient.proved and not gradient.refuted


def test_a_branch_that_is_not_taken_poisons_the_gradient():
    fun = lambda x: jnp.where(x > 0, jnp.sqrt(x), 2 * x)  # noqa: E731
    answer = qed.precision(fun, jnp.float32(-1.0))
    value, gradient = answer.answers
    assert value.proved and gradient.refuted and answer.gradient_bits_lost == 24 and gradient.check()
    assert answer.gradient[0].truth == 2.0 and math.isnan(answer.gradient[0].result)
    assert "no value in real numbers" in told(gradient)


def test_shared_jitted_calls_are_two_values():
    @jax.jit
    def shift(x):
        return x + 1

    answer = qed.precision(lambda x: shift(x) - shift(2 * x) + x, jnp.float32(1e-9))
    assert answer.worst.truth == 0.0 and answer.worst.result != 0.5


def test_a_result_at_the_end_of_the_range():
    big = np.float32(3e38)
    answer = qed.precision(lambda x: x * 1.5 / 1.5, jnp.float32(big))
    assert answer.refuted and answer.bits_lost == 24 and answer.equations[0].overflow
    assert "beyond the range" not in answer.headline


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_inf_for_a_finite_number_is_an_overflow_and_no_digit_is_kept(dtype):
    with jax.enable_x64(dtype == "float64"):
        largest = float(jnp.finfo(dtype).max)
        sums = qed.precision(lambda x: jnp.sum(x), jnp.full(3, largest / 2, dtype))
        powers = qed.precision(lambda x: jnp.exp(x), jnp.asarray(2 * math.log(largest), dtype))
    for answer, gradient_too in ((sums, False), (powers, True)):
        value, gradient = answer.answers
        assert value.refuted and value.check() and answer.bits_lost == answer.bits
        assert gradient.refuted if gradient_too else gradient.proved
        assert {f.code for f in answer.findings} == {"QED201"} and answer.equations[0].overflow
        assert "overflows" in answer.headline and f"beyond the range of {dtype}" in answer.headline


def test_a_quotient_by_what_underflowed_is_not_said_to_be_beyond_the_range():
    answer = qed.precision(lambda x: x / (x * x), jnp.float32(1e-30))
    assert answer.answers[0].refuted and "beyond the range" not in answer.headline
    assert [f.code for f in answer.answers[0].findings] == ["QED202"]


def in_a_scan(x):
    return jax.lax.scan(lambda c, t: (c + t * x, None), x, jnp.full(60, 0.1, x.dtype))[0]


def in_python(x):
    total = 0.0
    for _ in range(60):
        total = total + 0.1 * x
    return total


def through_roots(x):
    small = jax.lax.fori_loop(0, 9, lambda i, c: jnp.sqrt(c), x + 2)
    return jax.lax.fori_loop(0, 9, lambda i, c: c * c, small)


@pytest.mark.parametrize(("fun", "code"), [(in_a_scan, "QED207"), (in_python, "QED207"), (through_roots, "QED208")])
def test_roundings_that_add_up_are_not_said_to_be_magnified(fun, code):
    answer = qed.precision(fun, jnp.float16(1.0))
    value = answer.answers[0]
    assert value.refuted and [f.code for f in value.findings] == [code]
    assert any("magnified" in f.message for f in value.findings) == (code == "QED208")


def test_subnormal_results_are_judged_against_the_smallest_normal_number():
    answer = qed.precision(lambda x: x * 1e-30, jnp.float32(1e-10))
    assert answer.answers[0].proved and answer.bits_lost <= 1


@pytest.mark.parametrize("fun", [lambda x: jnp.sqrt(x + 1) - jnp.sqrt(x), lambda x: (x + 3) ** 0.5 - x**0.5])
def test_a_subnormal_gradient_of_float16_is_judged_by_its_own_digits(fun):
    answer = qed.precision(fun, jnp.float16(1000.0))
    (leaf,) = answer.gradient
    assert 0 < abs(leaf.truth) < jnp.finfo(jnp.float16).tiny and abs(leaf.result - leaf.truth) > abs(leaf.truth) / 4
    assert answer.answers[1].refuted and answer.gradient_bits_lost > 3 and "zero" not in leaf.against


def test_a_gradient_below_the_range_of_float32_may_be_zero():
    answer = qed.precision(lambda x: 1 - jnp.exp(-x), jnp.float32(95.0))
    assert answer.gradient[0].result in (0.0, pytest.approx(math.exp(-95), rel=1e-2)) and answer.answers[1].proved


def test_data_may_hold_anything_that_is_masked():
    data = jnp.array([1.0, jnp.nan, jnp.inf])
    answer = qed.precision(lambda w, d: jnp.sum(jnp.where(jnp.isfinite(d), d, 0.0) * w), jnp.ones(3), data)
    assert not answer.answers[0].refuted and answer.bits_lost in (0.0, None)


def test_random_numbers_are_data():
    key = jax.random.key(3)
    answer = qed.precision(lambda w, k: jnp.sum(jax.random.bernoulli(k, 0.5, (4,)) * w), jnp.ones(4), key)
    assert answer.bits_lost is not None and answer.bits_lost <= 1


def test_what_is_printed_while_it_runs_costs_nothing():
    def loss(x):
        jax.debug.print("x is {}", x)
        return jnp.exp(x) - 1

    assert qed.precision(loss, jnp.float32(1e-5)).refuted


def test_python_numbers_and_numpy_arrays_are_points():
    assert qed.precision(lambda x: x * 3, 0.1).proved
    assert qed.precision(lambda x: jnp.sum(x), np.ones(3, np.float32)).proved


def test_a_while_loop_that_rounding_ends_is_not_called_proved():
    def newton(a):
        def going(c):
            return jnp.abs(c[0] - c[1]) > 0

        return jax.lax.while_loop(going, lambda c: (0.5 * (c[0] + a / c[0]), c[0]), (a, jnp.float32(0)))[0]

    answer = qed.precision(newton, jnp.float32(2.0))
    assert answer.unknown or answer.measured
    assert any("loop" in m.what for m in answer.missing) or answer.reference[0] == "float64"


def test_bits_survive_json():
    answer = qed.precision(lambda x: jnp.exp(x) - 1, jnp.float32(1e-5))
    data = answer.to_json()
    assert data["value"]["equations"][0]["primitive"] == "exp" and math.isfinite(data["value"]["bits_lost"])


INFINITE = {
    "saturated sigmoid": (lambda x: jnp.exp(-x[1]) - jnp.log(1 - jax.nn.sigmoid(x[0])), [60.0, 1.0], "logistic", "sub"),
    "saturated tanh": (lambda x: x[1] / 3 + 1 / (1 - jnp.tanh(x[0])), [25.0, 1.0], "tanh", "sub"),
    "absorbed": (lambda x: jnp.sin(x[1]) + jnp.log((1 + x[0]) - 1), [1e-12, 1.0], "add", "sub"),
    "underflow": (lambda x: jnp.sin(x[1]) - jnp.log(jnp.exp(-(x[0] ** 2))), [20.0, 1.0], "exp", None),
    "overflow": (lambda x: jnp.sin(x[1]) + jnp.log(jnp.cosh(x[0])), [100.0, 1.0], "cosh", None),
}


@pytest.mark.parametrize("name", INFINITE)
def test_what_makes_a_result_infinite_is_blamed_and_not_what_rounds_beside_it(name):
    fun, x, primitive, uncovered = INFINITE[name]
    answer = qed.precision(fun, jnp.asarray(x, jnp.float32))
    first = answer.equations[0]
    assert answer.bits_lost == 24 and first.primitive == primitive and first.share > 0.99
    assert (first.uncovered and first.uncovered.primitive) == uncovered
