"""qed.taylor: coefficients, tensors, named series, what it refuses and what it does not know."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import qed
from qed.calculus.expanding.model import TaylorModel, polynomial_text


def test_the_exponential_series():
    answer = qed.taylor(jnp.exp, 0.0, order=5)
    assert answer.exact == tuple(Fraction(1, n) for n in (1, 1, 2, 6, 24, 120))
    assert (answer.general_term, answer.convergence_radius) == ("x^k / k!", np.inf)
    assert answer.standing == "MEASURED"
    assert answer.check()
    np.testing.assert_allclose(answer.coefficients, [float(c) for c in answer.exact], rtol=1e-6)


def test_the_logarithm_gets_worse_with_the_order_outside_of_its_radius():
    answer = qed.taylor(lambda x: jnp.log(1 + x), 0.0, order=20)
    assert answer.exact == tuple(Fraction((-1) ** (k + 1), k) if k else Fraction(0) for k in range(21))
    assert "|x| < 1" in str(answer)
    errors = {t: [abs(p - f) for _, at, p, f in answer.known.partial_sums if at == t] for t in (0.5, 1.5)}
    assert errors[0.5] == sorted(errors[0.5], reverse=True) and errors[0.5][-1] < 1e-6
    assert errors[1.5] == sorted(errors[1.5]) and errors[1.5][-1] > 90


@pytest.mark.parametrize(
    ("fun", "term", "radius"),
    [
        (jnp.sin, "(-1)^j x^(2j+1) / (2j+1)!", np.inf),
        (jnp.cos, "(-1)^j x^(2j) / (2j)!", np.inf),
        (jnp.sinh, "x^(2j+1) / (2j+1)!", np.inf),
        (jnp.cosh, "x^(2j) / (2j)!", np.inf),
        (jnp.arctan, "(-1)^j x^(2j+1) / (2j+1)", 1.0),
        (jnp.tan, "|B_2j| 4^j (4^j - 1) x^(2j-1) / (2j)!", np.pi / 2),
        (lambda x: 1 / (1 - x), "x^k", 1.0),
        (lambda x: 3 / (2 + x), "3/2 (-(1/2 x))^k", 2.0),
        (lambda x: jnp.sqrt(1 + x), "C(1/2, k) x^k", 1.0),
        (lambda x: (1 + x) ** 2.5, "C(5/2, k) x^k", 1.0),
        (lambda x: jnp.exp(-2 * x), "(-2 x)^k / k!", np.inf),
        (lambda x: jnp.exp(jnp.sin(x)), None, None),
        (lambda x: jnp.log(1 + x * x), None, None),
    ],
)
def test_series_with_a_name(fun, term, radius):
    answer = qed.taylor(fun, 0.0, order=6)
    assert (answer.general_term, answer.convergence_radius) == (term, radius)
    assert answer.exact is not None
    np.testing.assert_allclose(answer.coefficients, [float(c) for c in answer.exact], rtol=1e-5, atol=1e-6)


def test_irrational_values_are_not_called_exact():
    for fun, at in ((jnp.exp, 1.0), (lambda x: 0.1 * x, 0.0), (lambda x: x * jnp.exp(jnp.ones(())), 0.0)):
        assert qed.taylor(fun, at, order=3).exact is None


def test_tensors_are_value_gradient_and_half_the_hessian():
    def f(v):
        return jnp.sin(v[0] * v[1]) + v[2] ** 2 * v[0] * jnp.exp(v[1] * v[2])

    with jax.enable_x64(True):
        x = jnp.array([0.3, 0.4, 0.7])
        answer = qed.taylor(f, x, order=3)
        value, gradient, half, sixth = answer.coefficients
        np.testing.assert_allclose(value, f(x), rtol=1e-14)
        np.testing.assert_allclose(gradient, jax.grad(f)(x), rtol=1e-12)
        np.testing.assert_allclose(2 * half, jax.hessian(f)(x), rtol=1e-12)
        np.testing.assert_allclose(6 * sixth, jax.jacfwd(jax.hessian(f))(x), rtol=1e-11, atol=1e-13)
        h = 1e-3 * jnp.array([1.0, -1.0, 0.5])
        assert abs(answer.value(h) - float(f(x + h))) < 1e-11
    assert answer.standing == "MEASURED"


def test_along_a_direction_through_trees_loops_and_data():
    def f(p, scale):
        step = lambda c, _: (jnp.tanh(c @ p["w"] + p["b"]), None)  # noqa: E731
        return scale * jnp.sum(lax.scan(step, jnp.ones(2), None, length=3)[0])

    with jax.enable_x64(True):
        at = {"w": jnp.array([[0.3, -0.2], [0.5, 0.1]]), "b": jnp.array([0.1, -0.4])}
        along = {"w": jnp.array([[1.0, 0.0], [0.0, 2.0]]), "b": jnp.array([0.5, 0.5])}
        answer = qed.taylor(f, at, 2.0, order=4, direction=along)
        line = lambda t: f(jax.tree.map(lambda a, d: a + t * d, at, along), 2.0)  # noqa: E731
        np.testing.assert_allclose(answer.coefficients[2], jax.hessian(line)(0.0) / 2, rtol=1e-12)
        assert abs(answer.value(0.01) - float(line(0.01))) < 1e-8


def test_the_series_is_of_the_values_whatever_rule_is_attached():
    @jax.custom_jvp
    def f(x):
        return x * x

    f.defjvp(lambda primals, tangents: (f(*primals), 7.0 * tangents[0]))
    assert qed.taylor(f, 3.0, order=2).coefficients == (9.0, 6.0, 1.0)
    assert qed.taylor(lambda x: x * lax.stop_gradient(x), 3.0, order=2).coefficients == (9.0, 6.0, 1.0)


@pytest.mark.parametrize(
    "fun", [jnp.abs, jax.nn.relu, lambda x: jnp.maximum(x, -x), lambda x: jnp.where(x > 0, 1.0, 0.0)]
)
def test_at_a_kink_or_jump_nothing_is_claimed(fun):
    answer = qed.taylor(fun, 0.0, order=2)
    assert answer.standing == "UNKNOWN"


def test_where_there_is_no_derivative_a_coefficient_is_not_finite():
    answer = qed.taylor(jnp.sqrt, 0.0, order=2)
    assert answer.standing == "UNKNOWN"
    assert "order 1 is not finite" in answer.missing[0].what


def test_zero_is_no_exception():
    for fun, expected in (
        (lambda x: x**2, (0, 0, 1, 0)),
        (lambda x: x**3, (0, 0, 0, 1)),
        (lambda x: x / (1 + x), (0, 1, -1, 1)),
        (lambda x: jnp.power(x, 2.0), (0, 0, 1, 0)),
    ):
        assert qed.taylor(fun, 0.0, order=3).coefficients == expected
    assert qed.taylor(lambda x: x / x, 0.0, order=2).standing == "UNKNOWN"


def test_a_missing_rule_is_named_with_its_line():
    def f(x):
        return jax.pure_callback(np.sin, jax.ShapeDtypeStruct((), x.dtype), x)

    answer = qed.taylor(f, 1.0, order=2)
    assert answer.standing == "UNKNOWN"
    missing = answer.missing[0]
    assert (missing.code, missing.primitive, missing.span.function) == ("QED020", "pure_callback", "f")


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_dtypes(dtype):
    answer = qed.taylor(lambda x: jnp.exp(x) * x, jnp.asarray(0.5, dtype), order=2)
    np.testing.assert_allclose(answer.coefficients[2], 0.5 * np.exp(0.5) * 2.5, rtol=float(8 * jnp.finfo(dtype).eps))


@pytest.mark.parametrize(
    ("fun", "at", "options", "code"),
    [
        (jnp.exp, 0.0, {"order": -1}, "QED007"),
        (jnp.exp, 0.0, {"order": 61}, "QED007"),
        (jnp.exp, 0.0, {"order": 2.0}, "QED007"),
        (jnp.exp, 0.0, {"order": True}, "QED007"),
        (jnp.exp, 0.0, {"order": 2, "radius": 0.0}, "QED007"),
        (jnp.exp, 0.0, {"order": 2, "radius": -1.0}, "QED007"),
        (jnp.exp, 0.0, {"order": 2, "radius": np.inf}, "QED007"),
        (jnp.exp, 0.0, {"order": 2, "radius": "far"}, "QED007"),
        (jnp.sum, np.ones(3, np.float32), {"order": 4}, "QED007"),
        (jnp.sum, np.ones(400, np.float32), {"order": 2}, "QED007"),
        (jnp.sum, np.ones(3, np.float32), {"order": 2, "direction": np.ones(2, np.float32)}, "QED007"),
        (jnp.sum, np.ones(3, np.float32), {"order": 2, "direction": [np.ones(3, np.float32)]}, "QED007"),
        (jnp.sum, np.ones(3, np.float32), {"order": 2, "direction": np.full(3, np.nan, np.float32)}, "QED007"),
        (jnp.sin, np.ones(3, np.float32), {"order": 2}, "QED002"),
        (jnp.sum, np.ones(3, np.int32), {"order": 2}, "QED003"),
        (jnp.sum, np.ones(3, np.complex64), {"order": 2}, "QED003"),
        (jnp.sum, np.ones(0, np.float32), {"order": 2}, "QED004"),
        (jnp.exp, np.nan, {"order": 2}, "QED006"),
    ],
)
def test_bad_input_has_a_code(fun, at, options, code):
    with pytest.raises(qed.QedError) as error:
        qed.taylor(fun, at, **options)
    assert error.value.code == code


def test_polynomials_as_text():
    assert polynomial_text((0.0, 0.0)) == "0"
    assert polynomial_text((1.0, -1.0, 0.5)) == "1 - t + 0.5 t^2"
    assert TaylorModel((np.float64(1.0), np.array([1.0, 2.0])), 1, None)(np.array([3.0, 4.0])) == 12.0


def test_the_answer_becomes_json():
    data = qed.taylor(jnp.exp, 0.0, order=3).to_json()
    assert data["schema"] == "qed/answer/1"


@pytest.mark.parametrize("direction", [None, jnp.array([2.0, -1.0])], ids=["cube", "direction"])
def test_a_coordinate_has_a_remainder_of_order_zero(direction):
    answer = qed.taylor(lambda x: x[1], jnp.array([1.0, 2.0]), order=0, direction=direction, radius=0.25)
    assert answer.proved
    assert answer.check()
    assert answer.value.remainder.lower <= -0.25
    assert answer.value.remainder.upper >= 0.25
    assert qed.taylor(lambda x: x, 1.5, order=0, radius=0.25).proved


def test_what_the_equations_of_a_program_round_is_no_kink():
    """A sum of cancelling terms: its rounding is far more than that of its value, and the point is at no corner."""

    def centred(x):
        rows = jnp.outer(jnp.linspace(1.0, 3.0, 7), x) * 1e3
        return jnp.sum((rows - jnp.mean(rows, axis=0)) * jnp.array([1.0, -2.0, 1.0])) + jnp.sum(x**2)

    at = jnp.array([0.3, 0.7, 0.4])
    assert qed.taylor(centred, at, order=2, direction=jnp.ones(3)).standing == "MEASURED"
    beside = qed.taylor(lambda x: centred(x) + 0.5 * jnp.abs(x[0] - 0.3), at, order=2, direction=jnp.ones(3))
    assert beside.unknown
    assert "kink" in beside.missing[0].settle
