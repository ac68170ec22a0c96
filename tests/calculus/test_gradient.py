"""qed.check_gradient: every verdict, at the right line, in float32 and float64."""

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import qed
from qed.calculus.gradient.verdict import GradientVerdict as V

W = np.array([0.3, -0.7, 1.2, 0.9])


def rule_jvp(value, slope):
    """A custom_jvp function with a given slope."""

    @jax.custom_jvp
    def f(x):
        return value(x)

    @f.defjvp
    def f_rule(primals, tangents):
        (x,), (t,) = primals, tangents
        return f(x), slope(x) * t

    return f


def rule_vjp(value, slope):
    """A custom_vjp function with a given slope."""

    @jax.custom_vjp
    def f(x):
        return value(x)

    def f_fwd(x):
        return f(x), x

    def f_bwd(x, c):
        return (slope(x) * c,)

    f.defvjp(f_fwd, f_bwd)
    return f


MAKERS = {"jvp": rule_jvp, "vjp": rule_vjp}


@pytest.fixture(params=["float32", pytest.param("float64", marks=pytest.mark.slow)])
def at(request):
    """The point in one of two precisions, with JAX configured for it."""
    with jax.enable_x64(request.param == "float64"):
        yield jnp.asarray(W, request.param)


def line_of(function, text):
    """The number of the line of a function's source that holds a text."""
    lines, start = inspect.getsourcelines(function)
    return next(start + i for i, line in enumerate(lines) if text in line)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize(
    "slope",
    [lambda x: -jnp.cos(x), lambda x: 1.001 * jnp.cos(x), lambda x: jnp.cos(x) + 1e-6, lambda x: jnp.ones_like(x)],
    ids=["sign", "scale", "constant", "missing factor"],
)
def test_a_wrong_rule_is_refuted_at_its_line(at, make, slope):
    f = make(jnp.sin, slope)

    def loss(w):
        scaled = 1e-9 * f(w)
        return jnp.sum(scaled) + jnp.sum(w**2)

    answer = qed.check_gradient(loss, at)
    (culprit,) = answer.culprits
    assert answer.verdict == "disagrees"
    assert answer.refuted
    assert culprit.span.line == line_of(loss, "f(w)")
    assert culprit.rule_span.function in ("f_rule", "f_bwd")
    assert culprit.expected == pytest.approx(np.cos(float(at[culprit.coordinate])), rel=1e-12)
    assert answer.check()


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_right_rule_agrees(at, make):
    f = make(lambda x: jnp.log1p(jnp.exp(x)), jax.nn.sigmoid)
    answer = qed.check_gradient(lambda w: jnp.sum(f(w)), at)
    assert (answer.verdict, answer.culprits, str(answer.standing)) == ("agrees", (), "MEASURED")
    assert answer.check()


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_one_coordinate_in_a_hundred_thousand(make):
    def slope(x):
        return jnp.cos(x) * jnp.where(jnp.arange(x.size) == 51234, 1.001, 1.0)

    f = make(jnp.sin, slope)
    answer = qed.check_gradient(lambda w: jnp.sum(f(w)), jnp.linspace(0.1, 1.0, 100_000))
    assert [c.coordinate for c in answer.culprits] == [(51234,)]


def test_the_coordinates_of_a_dense_rule_are_found_by_bisection():
    matrix = np.random.default_rng(0).normal(size=(40, 60))

    @jax.custom_jvp
    def product(x):
        return jnp.asarray(matrix) @ x

    wrong = matrix.copy()
    wrong[17, 33] += 1e-3
    product.defjvp(lambda primals, tangents: (product(primals[0]), jnp.asarray(wrong) @ tangents[0]))
    (culprit,) = qed.check_gradient(lambda w: jnp.sum(jnp.sin(product(w))), jnp.ones(60)).culprits
    assert (culprit.output, culprit.coordinate) == ((17,), (33,))
    assert culprit.found - culprit.expected == pytest.approx(1e-3, rel=1e-3)


def test_the_first_faulty_step_of_a_scan_of_remat_of_vmap(at):
    f = rule_vjp(jnp.tanh, lambda x: (1 - jnp.tanh(x) ** 2) * jnp.where(x > 1.5, 1.01, 1.0))

    @jax.checkpoint
    def step(carry, x):
        carry = carry + jax.vmap(f)(carry + x)
        return carry, jnp.sum(carry)

    def loss(w):
        return jnp.sum(lax.scan(step, w, jnp.zeros(6, w.dtype))[1])

    carry, first = at, None
    for t in range(6):
        first = t if first is None and bool((carry > 1.5).any()) else first
        carry = carry + jnp.tanh(carry)
    (culprit,) = qed.check_gradient(loss, at).culprits
    assert (culprit.verdict, culprit.step) == (V.DISAGREES, first)
    assert "scan" in culprit.path
    assert "remat" in culprit.path
    assert culprit.span.line == line_of(step.__wrapped__, "jax.vmap(f)")


def test_a_fault_in_a_branch_that_is_not_taken_is_latent(at):
    f = rule_jvp(jnp.sin, lambda x: -jnp.cos(x))

    def loss(w):
        return lax.cond(jnp.sum(w) > 0, lambda z: jnp.sum(z**2), lambda z: jnp.sum(f(z)), w)

    answer = qed.check_gradient(loss, at)
    assert answer.verdict == "latent"
    assert answer.measured
    assert answer.culprits[0].branch == 0
    assert qed.check_gradient(loss, -at).verdict == "disagrees"


def test_a_fault_on_the_dropped_side_of_where_is_latent(at):
    f = rule_vjp(jnp.sin, lambda x: -jnp.cos(x))
    assert qed.check_gradient(lambda w: jnp.sum(jnp.where(w > 9, f(w), w)), at).verdict == "latent"


def test_a_rule_that_no_derivative_passes_is_not_blamed(at):
    f = rule_vjp(jnp.sin, lambda x: -jnp.cos(x))
    data = jnp.ones(4)
    assert qed.check_gradient(lambda w: jnp.sum(w * f(data)), at).verdict == "agrees"
    assert qed.check_gradient(lambda w: jnp.sum(w) + jnp.sum(lax.stop_gradient(f(0 * w))), at).verdict == "agrees"


def test_a_missing_cotangent_for_data_is_no_fault(at):
    @jax.custom_vjp
    def loss(w, y):
        return jnp.sum((w - y) ** 2)

    loss.defvjp(lambda w, y: (loss(w, y), (w, y)), lambda r, c: (2 * c * (r[0] - r[1]), None))
    assert qed.check_gradient(loss, at, jnp.ones(4, at.dtype)).verdict == "agrees"


@pytest.mark.parametrize(
    "function",
    [
        lambda w: jnp.sum(jnp.abs(w)),
        lambda w: jnp.max(w),
        lambda w: jnp.sum(jax.nn.relu(w)),
        lambda w: jnp.sum(jnp.clip(w, 0.0, 1.0)),
        lambda w: jnp.sum(jnp.sort(w) * jnp.arange(4.0)),
        lambda w: jnp.sum(rule_jvp(lambda x: jnp.maximum(x, 0), lambda x: jnp.where(x > 0, 1.0, 0.0))(w)),
        lambda w: jnp.sum(rule_vjp(lambda x: jnp.maximum(x, 0), lambda x: jnp.where(x > 0, 1.0, 0.0))(w)),
    ],
    ids=["abs", "max tie", "relu", "clip", "sort tie", "own relu jvp", "own relu vjp"],
)
def test_a_kink_is_a_kink_and_near_it_is_none(at, function):
    tied = 0 * at
    assert qed.check_gradient(function, tied).verdict == "kink"
    near = jnp.asarray([1e-7, -2e-7, 3e-7, 4e-7], at.dtype)
    assert qed.check_gradient(function, near).verdict == "agrees"


def test_a_wrong_slope_at_a_kink_is_still_wrong(at):
    f = rule_jvp(lambda x: jnp.maximum(x, 0), lambda x: jnp.where(x > 0, 1.0, -3.0))
    assert qed.check_gradient(lambda w: jnp.sum(f(w)), 0 * at).verdict == "disagrees"


def test_kinks_that_cancel_are_smooth(at):
    assert (
        qed.check_gradient(lambda w: jax.nn.logsumexp(w) + jnp.sum(jnp.logaddexp(w, 0.0)), 0 * at).verdict == "agrees"
    )


@pytest.mark.parametrize(
    ("function", "primitive"),
    [
        (lambda w: jnp.linalg.norm(w), "sqrt"),
        (lambda w: jnp.sum(jnp.where(w > 0, jnp.log(w), 0.0)), "log"),
        (lambda w: jnp.sum(jnp.sqrt(w)), "sqrt"),
    ],
    ids=["norm", "where", "sqrt"],
)
def test_a_derivative_that_is_not_finite(at, function, primitive):
    answer = qed.check_gradient(function, 0 * at)
    assert answer.verdict == "nonfinite"
    assert answer.refuted
    assert answer.culprits[0].primitive == primitive


def test_a_rule_that_returns_nan():
    f = rule_vjp(lambda x: x * x, lambda x: 2 * x * x / x)
    (culprit,) = qed.check_gradient(lambda w: jnp.sum(f(w)), jnp.zeros(3)).culprits
    assert (culprit.verdict, culprit.name) == (V.NONFINITE, "f")


def test_clipping_is_recognised(at):
    @jax.custom_vjp
    def clipped(x):
        return x

    clipped.defvjp(lambda x: (x, None), lambda _, c: (jnp.clip(c, -0.1, 0.1),))
    answer = qed.check_gradient(lambda w: jnp.sum(clipped(w) ** 2), at)
    assert answer.verdict == "surrogate"
    assert answer.measured
    assert "not linear" in answer.culprits[0].why


def test_a_declared_surrogate_survives_jit_vmap_and_scan(at):
    @qed.surrogate
    @jax.custom_vjp
    def sign(x):
        return jnp.sign(x)

    sign.defvjp(lambda x: (sign(x), None), lambda _, c: (c,))

    @jax.jit
    def loss(w):
        return lax.scan(lambda s, _: (jax.vmap(sign)(s) * w, jnp.sum(s)), w, None, length=3)[1].sum()

    assert qed.check_gradient(loss, at).verdict == "surrogate"


def test_a_stop_gradient_is_judged_by_what_it_takes_away(at):
    def loss(w):
        target = lax.stop_gradient(jnp.sum(w))
        return (target - jnp.sum(w**2)) ** 2

    answer = qed.check_gradient(loss, at)
    assert answer.verdict == "disagrees"
    assert answer.culprits[0].span.line == line_of(loss, "stop_gradient")
    assert qed.check_gradient(lambda w: jax.nn.logsumexp(w) + jax.nn.softmax(w)[0], at).verdict == "agrees"


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "agrees"), (1.5, "disagrees")])
def test_a_body_that_holds_constant_what_its_rule_says_is_judged_by_its_values(factor, verdict):
    def root(x):
        return lax.stop_gradient(lax.fori_loop(0, 8, lambda _, y: 0.5 * (y + x / y), x))

    f = rule_vjp(root, lambda x: 0.5 * factor / jnp.sqrt(x))
    answer = qed.check_gradient(lambda x: f(x) ** 3, 2.0)
    assert answer.verdict == verdict
    assert answer.check()
    assert "delete" not in str(answer)


def test_a_rule_that_is_the_derivative_of_half_its_body_is_wrong():
    f = rule_jvp(lambda x: x * lax.stop_gradient(jnp.tanh(x)), jnp.tanh)
    assert qed.check_gradient(f, 0.4).culprits[0].expected == pytest.approx(0.7222045, rel=1e-6)


@pytest.mark.parametrize(("power", "verdict"), [(1, "latent"), (2, "disagrees")])
def test_a_rule_that_returns_another_value(power, verdict):
    f = jax.custom_vjp(lambda x: x**3)
    f.defvjp(lambda x: (1.01 * x**3, x), lambda x, c: (3 * x**2 * c,))
    answer = qed.check_gradient(lambda x: f(x) ** power, 0.7)
    assert answer.verdict == verdict
    assert "cotangent of zero" not in str(answer)


def test_a_marked_stop_gradient_is_a_surrogate(at):
    @qed.surrogate
    def quantize(x):
        return x + lax.stop_gradient(jnp.round(x) - x)

    assert qed.check_gradient(lambda w: jnp.sum(quantize(w) ** 2), at).verdict == "surrogate"


def test_a_surrogate_beside_a_tie_is_no_wrong_derivative():
    @qed.surrogate
    def quantize(x):
        return x + lax.stop_gradient(jnp.floor(x) - x)

    with jax.enable_x64(True):
        found = qed.check_gradient(lambda w: quantize(w) - w + jnp.abs(w - 0.6) ** 2, 0.6)
    assert found.verdict == "surrogate"


@pytest.mark.parametrize("x", [1e-9, 1e-4, 0.3, 30.0, 700.0, -1000.0])
def test_a_rule_that_keeps_more_digits_than_its_body_is_not_blamed(x):
    softplus = rule_jvp(lambda x: jnp.log(1 + jnp.exp(x)), jax.nn.sigmoid)
    with jax.enable_x64(True):
        verdict = qed.check_gradient(lambda w: jnp.sum(softplus(w)), jnp.array([x])).verdict
    assert verdict == "agrees"


def test_cancellation_in_the_body_is_not_a_fault():
    def slope(x):
        series = x / 12 * -1
        exact = (x * jnp.sin(x) - 2 * (1 - jnp.cos(x))) / x**3
        return jnp.where(jnp.abs(x) < 1e-2, series + x**3 / 180, exact)

    f = rule_jvp(lambda x: (1 - jnp.cos(x)) / x**2, slope)
    with jax.enable_x64(True):
        for x in (1e-9, 1e-6, 1e-3, 0.5):
            assert qed.check_gradient(lambda w: jnp.sum(f(w)), jnp.array([x])).verdict in ("agrees", "undecided")
        assert qed.check_gradient(lambda w: jnp.sum(f(w)), jnp.array([0.5])).verdict == "agrees"


def test_a_callback_is_differenced(at):
    def made(factor):
        @jax.custom_vjp
        def f(x):
            return jax.pure_callback(lambda x: np.sin(x), jax.ShapeDtypeStruct(x.shape, x.dtype), x)

        f.defvjp(lambda x: (f(x), x), lambda x, c: (factor * jnp.cos(x) * c,))
        return f

    right, wrong = made(1.0), made(1.01)
    assert qed.check_gradient(lambda w: jnp.sum(right(w) ** 2), at).verdict == "agrees"
    answer = qed.check_gradient(lambda w: jnp.sum(wrong(w) ** 2), at)
    assert answer.verdict == "disagrees"


def test_a_body_with_a_while_loop_is_differentiated_forward(at):
    def root(factor):
        @jax.custom_vjp
        def f(a):
            return lax.while_loop(
                lambda s: jnp.abs(s * s - jnp.sum(a**2)) > 1e-5, lambda s: (s + jnp.sum(a**2) / s) / 2, jnp.sum(a**2)
            )

        f.defvjp(lambda a: (f(a), (a, f(a))), lambda r, c: (factor * c * r[0] / r[1],))
        return f

    right, wrong = root(1.0), root(1.01)
    assert qed.check_gradient(lambda w: jnp.sin(right(w)), at).verdict == "agrees"
    assert qed.check_gradient(lambda w: jnp.sin(wrong(w)), at).verdict == "disagrees"


def test_a_program_without_reverse_mode_is_compared_forward():
    def loss(f, w):
        return jnp.sum(lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, f(c[1])), (0, w))[1])

    right, wrong = rule_jvp(jnp.sin, jnp.cos), rule_jvp(jnp.sin, lambda x: 1.01 * jnp.cos(x))
    assert qed.check_gradient(lambda w: loss(right, w), W).verdict == "agrees"
    answer = qed.check_gradient(lambda w: loss(wrong, w), W)
    assert (answer.verdict, answer.culprits[0].step) == ("disagrees", 0)


def test_a_solve_that_is_given_a_wrong_transpose():
    matrix = jnp.array([[3.0, 1.0], [0.0, 2.0]])

    def solve(b, transposed):
        return lax.custom_linear_solve(
            lambda v: matrix @ v,
            b,
            lambda _, c: jnp.linalg.solve(matrix, c),
            lambda _, c: jnp.linalg.solve(transposed, c),
        )

    assert qed.check_gradient(lambda w: jnp.sum(solve(w, matrix.T) ** 2), jnp.ones(2)).verdict == "agrees"
    answer = qed.check_gradient(lambda w: jnp.sum(solve(w, matrix) ** 2), jnp.ones(2))
    assert answer.verdict == "disagrees"
    assert answer.check()


def test_rules_of_jax_and_its_special_functions_are_not_blamed():
    def loss(w):
        smooth = jnp.sinc(w) + jax.nn.softplus(w) + jax.nn.gelu(w) + jnp.logaddexp(w, 2 * w)
        return jnp.sum(smooth + jax.scipy.special.ndtri((w + 1) / 3) + jax.scipy.special.gammaln(w + 2))

    assert qed.check_gradient(loss, W).verdict == "agrees"
    assert qed.check_gradient(lambda w: jnp.sum(jnp.sinc(w)), jnp.array([0.0, 1e-7, 0.5])).verdict == "agrees"


def test_rules_made_with_defjvps_and_custom_gradient_are_found_at_their_lines():
    made = jax.custom_jvp(jnp.sin)
    made.defjvps(lambda t, y, x: 1.01 * jnp.cos(x) * t)
    answer = qed.check_gradient(lambda w: jnp.sum(made(w)), W)
    assert answer.culprits[0].rule_span.text.strip().startswith("made.defjvps")

    @jax.custom_gradient
    def cube(x):
        return x**3, lambda c: 2 * x**2 * c

    answer = qed.check_gradient(lambda w: jnp.sum(cube(w)), W)
    assert answer.culprits[0].rule_span.function == "cube"


def test_constants_that_a_float32_trace_rounds_are_no_fault():
    two_thirds = float(np.sqrt(2 / np.pi))

    def gelu(slope):
        def derivative(x):
            t = jnp.tanh(0.7978846 * (x + 0.044715 * x**3))
            return 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * slope * (1 + 3 * 0.044715 * x**2)

        return rule_jvp(lambda x: 0.5 * x * (1 + jnp.tanh(two_thirds * (x + 0.044715 * x**3))), derivative)

    at = jnp.linspace(-2, 2, 9)
    right, wrong = gelu(0.7978846), gelu(0.7979)
    assert qed.check_gradient(lambda w: jnp.sum(right(w)), at).verdict == "agrees"
    assert qed.check_gradient(lambda w: jnp.sum(wrong(w)), at).verdict == "disagrees"


def test_an_integer_operand_in_a_loop_over_a_thousand_rows():
    @jax.custom_jvp
    def f(x, i):
        return jnp.sin(x)

    @f.defjvp
    def f_rule(primals, tangents):
        x, i = primals
        return f(x, i), jnp.where(i == 777, 0.0, jnp.cos(x)) * tangents[0]

    answer = qed.check_gradient(
        lambda w: jnp.sum(lax.map(lambda a: f(*a), (w, jnp.arange(1000)))), jnp.linspace(0, 1, 1000)
    )
    assert (answer.verdict, answer.culprits[0].step) == ("disagrees", 777)


def test_a_forward_rule_that_is_rematerialised():
    @jax.custom_vjp
    def f(x):
        return jnp.sin(x)

    f.defvjp(lambda x: (f(x), x), lambda x, c: (1.001 * c * jnp.cos(x),), optimize_remat=True)
    assert qed.check_gradient(lambda w: jnp.sum(f(w)), jnp.asarray(W)).verdict == "disagrees"


@pytest.mark.slow
def test_the_second_derivative(at):
    def cosine(slope):
        return rule_jvp(jnp.cos, slope)

    wrong_cosine = cosine(lambda x: jnp.sin(x))
    f = rule_jvp(jnp.sin, lambda x: wrong_cosine(x))

    def loss(w):
        return jnp.sum(f(w) ** 2)

    assert qed.check_gradient(loss, at).verdict == "agrees"
    answer = qed.check_gradient(loss, at, order=2)
    assert answer.verdict == "disagrees"
    assert answer.culprits[0].order == 2
    good = rule_jvp(jnp.sin, lambda x: cosine(lambda y: -jnp.sin(y))(x))
    assert qed.check_gradient(lambda w: jnp.sum(good(w) ** 2), at, order=2).verdict == "agrees"


def test_the_second_derivative_of_reverse_rules_is_taken_in_reverse():
    right, wrong_cosine = rule_vjp(jnp.sin, jnp.cos), rule_vjp(jnp.cos, jnp.sin)
    wrong = rule_vjp(jnp.sin, lambda x: wrong_cosine(x))
    assert qed.check_gradient(lambda w: jnp.sum(right(w) ** 2), W, order=2).verdict == "agrees"
    answer = qed.check_gradient(lambda w: jnp.sum(wrong(w) ** 2), W, order=2)
    assert (answer.verdict, answer.culprits[0].order) == ("disagrees", 2)


def test_errors_are_coded():
    @jax.custom_vjp
    def f(x):
        return jnp.sin(x)

    f.defvjp(lambda x: (f(x), x), lambda x, c: (c, c))
    for function, x, code in (
        (lambda w: jnp.sum(f(w)), jnp.ones(3), "QED010"),
        (lambda w: jax.pure_callback(np.sin, jax.ShapeDtypeStruct((), np.float32), w), np.float32(1), "QED010"),
        (lambda w: w, jnp.ones(3), "QED002"),
        (lambda w: jnp.sum(w), jnp.arange(3), "QED003"),
    ):
        with pytest.raises(qed.QedError) as caught:
            qed.check_gradient(function, x)
        assert caught.value.code == code


@pytest.mark.parametrize(("at", "cure"), [(3, "float(x)"), (True, "float(x)"), (np.arange(2), "x.astype(float)")])
def test_whole_numbers_are_told_what_can_be_written_for_them(at, cure):
    with pytest.raises(qed.QedError, match=re.escape(f"use {cure}, or pass it as data")):
        qed.check_gradient(lambda x: jnp.sum(x), at)


def test_a_wrong_rule_made_with_equinox():
    equinox = pytest.importorskip("equinox")

    @equinox.filter_custom_vjp
    def f(x, y):
        return x * jnp.sin(y)

    f.def_fwd(lambda perturbed, x, y: (x * jnp.sin(y), None))
    f.def_bwd(lambda residuals, c, perturbed, x, y: c * jnp.cos(y))
    answer = qed.check_gradient(lambda w: jnp.sum(f(w, jnp.ones(4)) ** 2), jnp.asarray(W))
    assert answer.verdict == "disagrees"


def test_advice_on_a_pair_names_only_what_the_question_can_be_told():
    """`has_aux` belongs to `qed.why` alone."""

    def pair(w):
        return jnp.sum(w), w

    with pytest.raises(qed.QedError, match=r"pair\(\*given\)\[0\]") as caught:
        qed.check_gradient(pair, jnp.ones(2))
    assert caught.value.code == "QED002"
    assert "has_aux" not in str(caught.value)
    with pytest.raises(qed.QedError, match="has_aux=True"):
        qed.why(qed.Problem(pair, at=jnp.ones(2)))


@pytest.mark.parametrize(
    ("function", "x", "slope"),
    [
        (lambda x: jnp.where(x == 0, 1.0, jnp.log1p(x) / jnp.where(x == 0, 1.0, x)), 0.0, -0.5),
        (lambda x: jnp.where(x == 1.5, 2.25, x * x), 1.5, 3.0),
        (lambda x: jax.nn.relu(3 * x) - jax.nn.relu(-3 * x) + x, 0.0, 4.0),
    ],
    ids=["removable", "one point", "cancelling kinks"],
)
def test_the_slope_of_a_branch_that_is_one_point_is_refuted(function, x, slope):
    answer = qed.check_gradient(function, x)
    assert answer.refuted
    assert answer.check()
    assert answer.culprits[0].expected == pytest.approx(slope, rel=1e-6)
    assert "has a tie here" in answer.headline


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.sum(jnp.floor(x)),
        lambda x: jnp.mod(x[0], 2.0) + x[1],
        lambda x: x[1] * x.astype(jnp.int32)[0].astype(x.dtype),
        lambda x: jnp.array([3.0, 5.0])[(x[0] >= 4.0).astype(jnp.int32)] * x[1],
    ],
    ids=["floor", "mod", "cast", "index"],
)
def test_at_a_jump_there_is_no_derivative(function):
    answer = qed.check_gradient(function, jnp.array([4.0, 0.5]))
    assert answer.verdict == "kink"
    assert "jump" in answer.claim
    assert answer.culprits[0].jump[0] < answer.culprits[0].jump[1]
    assert qed.check_gradient(function, jnp.array([4.3, 0.5])).verdict == "agrees"


def test_errors_of_a_rule_that_cancel_in_the_gradient_are_latent(at):
    rolled = rule_jvp(lambda x: x**3, lambda x: 3 * x**2)
    rolled.defjvp(lambda p, t: (rolled(p[0]), jnp.roll(3 * p[0] ** 2 * t[0], 1)))
    answer = qed.check_gradient(lambda w: jnp.sum(rolled(w)), at)
    assert answer.verdict == "latent"
    assert "cancel" in answer.headline
    assert qed.check_gradient(lambda w: rolled(w) @ jnp.arange(w.size), at).refuted


def apart(x):
    """x, and 1 where x is 0: what a branch that is not taken is given."""
    return jnp.where(x == 0, 1.0, x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.where(x == 2, 0.0, 3 / jnp.log(jnp.abs(apart(x - 2)))),
        lambda x: jnp.where(x > 2, jnp.tanh(3e13 * (x - 2)), 0.0),
        lambda x: jnp.where(x > 2, jnp.arctan(1e14 * (x - 2)), 0.0),
    ],
    ids=["1 / log", "tanh", "arctan"],
)
def test_what_is_steep_is_no_jump(function):
    answer = qed.check_gradient(function, 2.0)
    assert "jump" not in answer.claim
    assert all(culprit.jump is None for culprit in answer.culprits)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.where(x == 0, 0.0, 2 * x + 0.003 * jnp.abs(x)),
        lambda x: jnp.where(x > 0, 7.01 * x, jnp.where(x < 0, 6.99 * x, 0.0)),
    ],
    ids=["abs", "two sides"],
)
def test_sides_that_hardly_differ_leave_no_slope_to_compare_with(function):
    answer = qed.check_gradient(function, 0.0)
    assert answer.verdict == "kink"
    assert not answer.culprits[0].tied


@pytest.mark.parametrize("slope", [0.0, 5.0])
def test_a_derivative_around_which_the_others_swing_is_one(slope):
    def swinging(x, at_it):
        return jnp.where(x == 1, at_it * x, (x - 1) ** 2 * jnp.cos(2 / apart(x - 1)) + slope * x)

    assert qed.check_gradient(swinging, 1.0, slope).verdict == "agrees"
    wrong = qed.check_gradient(lambda x: swinging(x, 0.0) + jnp.where(x == 1, slope, 0.0), 1.0)
    assert wrong.verdict == ("disagrees" if slope else "agrees")


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.where(x[0] == 3, 0.0, jnp.sign(x[0] - 3) * jnp.sqrt(jnp.abs(apart(x[0] - 3)))) + x[1],
        lambda x: x[0] + jnp.where(x[1] > 0, x[1] * jnp.log(jnp.where(x[1] > 0, x[1], 1.0)), 0.0),
        lambda x: jnp.sum(jnp.where(x > 0, jnp.where(x > 0, x, 1.0) ** 0.7, 0.0)),
    ],
    ids=["root of both sides", "x log x", "one side"],
)
def test_where_the_slope_grows_without_an_end_there_is_no_finite_derivative(function):
    answer = qed.check_gradient(function, jnp.array([3.0, 0.0]))
    assert answer.verdict == "kink"
    assert answer.culprits[0].infinite
    assert "no finite derivative" in answer.claim
    assert "grows without an end" in answer.headline
    assert qed.check_gradient(function, jnp.array([3.5, 0.25])).verdict == "agrees"
