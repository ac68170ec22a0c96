"""Bits lost at a point: how many, in what, by which line; and what is proved of it."""

import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.errors import QedError
from qed.standing import Standing


def told(part):
    """The reasons of an answer as one text."""
    return " ".join(str(reason.text) for reason in part.reasons)


def line_of(text):
    """The line of this file that ends with a comment."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    (found,) = [i for i, line in enumerate(lines, 1) if line.endswith(f"# {text}")]
    return found


def versine(x):
    c = jnp.cos(x)  # the rounding
    d = 1 - c  # the subtraction
    return d / x**2


def test_a_cancellation_is_refuted_at_its_line():
    answer = qed.precision(versine, jnp.float32(1e-3))
    truth = 0.5 - 1e-6 / 24
    result = float(versine(jnp.float32(1e-3)))
    assert answer.refuted and answer.dtype == "float32" and answer.bits == 24
    assert answer.bits_lost == pytest.approx(math.log2(1 + abs(result - truth) / truth * 2**24), abs=1e-3)
    assert answer.gradient_bits_lost == 24.0
    blamed = answer.equations[0]
    assert (blamed.primitive, blamed.span.line) == ("cos", line_of("the rounding"))
    assert (blamed.uncovered.primitive, blamed.uncovered.span.line) == ("sub", line_of("the subtraction"))
    assert blamed.share > 0.99 and blamed.uncovered.bits == pytest.approx(21.93, abs=0.01)
    (finding,) = answer.answers[0].findings
    assert finding.span is not None
    assert (finding.code, finding.span.line) == ("QED203", line_of("the subtraction"))
    assert answer.gradient_equations[0].span.line == line_of("the rounding")
    assert answer.check()


HEALTHY = {
    "sin": (jnp.sin, 0.5),
    "gaussian": (lambda x: jnp.exp(-(x * x)), 1.3),
    "log1p": (jnp.log1p, 1e-9),
    "logsumexp": (lambda x: jax.scipy.special.logsumexp(x), [1000.0, 0.0, -1000.0]),
    "distance": (lambda x: jnp.sqrt(jnp.sum((x - 3.0) ** 2)), [1.0, 2.0, 7.0]),
    "loop": (lambda x: jax.lax.fori_loop(0, 5, lambda i, c: jnp.sin(c), x), 0.7),
    "jit": (jax.jit(lambda x: x / (1 + x * x)), 3.0),
    "underflow": (lambda x: jnp.exp(x), -300.0),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", HEALTHY)
def test_what_keeps_its_digits_is_proved(name, dtype):
    fun, x = HEALTHY[name]
    with jax.enable_x64(dtype == "float64"):
        answer = qed.precision(fun, jnp.asarray(x, dtype))
        assert answer.proved and answer.check() and not answer.findings
        assert answer.bits_lost <= 2.5 and answer.gradient_bits_lost <= 2.5


def roots_and_powers(x):
    for _ in range(10):
        x = jnp.sqrt(x)
    for _ in range(10):
        x = x * x
    return x


SICK = {
    "log of a sum of exponentials": (lambda x: jnp.log(jnp.sum(jnp.exp(x))), [200.0, 100.0], "QED201"),
    "log of a product": (lambda x: jnp.log(jnp.prod(x)), [1e-20, 1e-20, 1e-20], "QED202"),
    "roots": (lambda x: jnp.sqrt(x + 1) - jnp.sqrt(x), 1e6, "QED203"),
    "log of nearly one": (lambda x: jnp.log(1 + x), 1e-9, "QED206"),
    "roots and powers": (roots_and_powers, 3.0, "QED208"),
}


@pytest.mark.parametrize("name", SICK)
def test_what_loses_digits_is_refuted_by_name(name):
    fun, x, code = SICK[name]
    answer = qed.precision(fun, jnp.asarray(x, jnp.float32))
    assert answer.refuted and answer.answers[0].refuted and answer.check()
    assert code in {finding.code for finding in answer.answers[0].findings}


def test_a_sum_of_many_terms():
    x = 1000.0 + jax.random.uniform(jax.random.key(1), (300,))
    answer = qed.precision(lambda x: jnp.sum(x * x) - jnp.sum(x) ** 2 / 300, x)
    assert answer.refuted and "QED207" in {finding.code for finding in answer.answers[0].findings}
    assert any(blame.primitive == "reduce_sum" and blame.terms == 300 for blame in answer.equations)


def test_a_zero_is_wrong_where_the_format_keeps_small_numbers():
    """float16 keeps numbers below its smallest normal one, so a total cancellation there is one."""
    x = jnp.array([1, 1.01, 1, 1.01], jnp.float16)
    answer = qed.precision(lambda x: jnp.mean(x**2) - jnp.mean(x) ** 2, x)
    assert answer.refuted and answer.check()


@pytest.mark.parametrize(("dtype", "digits"), [("float16", 11), ("bfloat16", 8), ("float32", 24), ("float64", 53)])
def test_each_format_has_its_own_unit(dtype, digits):
    with jax.enable_x64(dtype == "float64"):
        x = jnp.asarray(1.0, dtype)
        third = qed.precision(lambda x: x / 3, x)
        assert third.bits == digits and third.bits_lost <= 1.0 and third.dtype == dtype
        small = jnp.asarray(2.0 ** (-digits - 3), dtype)
        lost = qed.precision(lambda x: (1 + x) - 1, small)
        assert lost.refuted and lost.bits_lost == digits and lost.equations[0].primitive == "add"
        assert lost.equations[0].absorbed


# --- the blame is weighted by adjoints ---


def test_a_product_with_an_entry_near_zero_is_not_to_blame():
    a = jnp.array([[1.0, 1.0], [1.0, -1.0]], jnp.float32)
    v = jnp.array([1.0, 1.0 + 2.0**-23], jnp.float32) * jnp.float32(0.1)

    def fun(x):
        w = a @ jnp.sin(x * v)  # near zero in one entry, which loses all digits and does not matter
        return jnp.sum(w**2) + 1e-3 * (jnp.cos(x * 1e-3) - 1) / 1e-9  # who is to blame

    answer = qed.precision(fun, jnp.float32(1.0))
    from qed.numerics.measuring.run import run

    beside = run(qed.graph.trace.trace(fun, jnp.float32(1.0)).graph, [jnp.float32(1.0)], "balls")
    loss = {}
    for entry in beside.tape.entries:
        computed = np.asarray(entry.outputs[0].values[0], np.float64)
        truth = beside.truth(entry.outputs[0])
        loss[entry.primitive] = max(loss.get(entry.primitive, 0.0), float(np.max(np.abs(computed / truth - 1))))
    assert loss["dot_general"] > 1e3 * loss["cos"]  # ranked by their own errors, the product is the worst but one
    assert answer.equations[0].primitive == "cos" and answer.equations[0].share > 0.9
    assert sum(b.share for b in answer.equations if b.primitive == "dot_general") < 1e-3


def test_the_step_of_a_loop_is_named():
    def fun(x):
        def body(carry, t):
            return jnp.where(t == 3, (1 + carry * 1e-8) - 1, carry * 1.5), t  # in the loop

        return jax.lax.scan(body, x, jnp.arange(6))[0]

    answer = qed.precision(fun, jnp.float32(2.0))
    blamed = answer.equations[0]
    assert answer.refuted and blamed.primitive == "add" and blamed.loop_steps == (3,)
    assert blamed.span.line == line_of("in the loop")


def test_while_and_cond_follow_the_program():
    def fun(x):
        y = jax.lax.while_loop(lambda c: c[0] < 4, lambda c: (c[0] + 1, c[1] * 0.5), (0, x))[1]
        return jax.lax.cond(y > 0, lambda y: jnp.exp(y) - 1, lambda y: y, y)  # chosen

    answer = qed.precision(fun, jnp.float32(1e-4))
    assert answer.gradient_bits_lost is None and any("gradient" in m.what for m in answer.missing)
    assert answer.refuted and answer.equations[0].primitive == "exp"
    assert answer.equations[0].span.line == line_of("chosen")


def test_vmap_and_arrays_name_the_worst_element():
    x = jnp.array([1.0, 1e-3, 2.0], jnp.float32)
    answer = qed.precision(jax.vmap(versine), x)
    assert answer.refuted and answer.worst.element == (1,)
    assert answer.equations[0].primitive == "cos"
    tree = qed.precision(lambda x: {"a": x + 1, "b": (jnp.exp(x) - 1, jnp.arange(2))}, jnp.float32(1e-6))
    assert tree.worst.path == "value['b'][0]" and tree.refuted


# --- the gradient ---


def test_a_right_value_with_a_wrong_gradient():
    fun = lambda x: jnp.sqrt(1 + x * x) - x * x / jnp.sqrt(1 + x * x)  # noqa: E731
    answer = qed.precision(lambda x: 2 * (jnp.sin(x / 2) / x) ** 2, jnp.float32(1e-3))
    value, gradient = answer.answers
    assert value.proved and gradient.refuted and answer.gradient_bits_lost > 15
    assert answer.gradient_equations and callable(fun)


def test_a_rule_that_is_another_function_is_no_rounding():
    @jax.custom_jvp
    def cube(x):
        return x**3

    cube.defjvp(lambda p, t: (cube(p[0]), 2 * p[0] ** 2 * t[0]))
    answer = qed.precision(cube, jnp.float32(2.0))
    value, gradient = answer.answers
    assert value.proved and gradient.refuted
    assert "no rounding" in told(gradient)
    stopped = qed.precision(lambda x: x * jax.lax.stop_gradient(jnp.exp(x)), jnp.float32(2.0))
    assert stopped.answers[1].measured and stopped.gradient_bits_lost < 3
    assert "on purpose" in told(stopped.answers[1])


def test_a_gradient_is_judged_by_arrays():
    def fun(w):
        return jnp.sum(w["a"] ** 2) + 1e-12 * jnp.sum(w["b"])

    answer = qed.precision(fun, {"a": jnp.ones(3), "b": jnp.ones(2)})
    assert [leaf.path for leaf in answer.gradient] == ["w['a']", "w['b']"]
    assert all(leaf.bits_lost <= 1 for leaf in answer.gradient) and answer.proved


# --- the worst point of a box ---


def test_the_worst_point_of_a_box_is_found_and_replayed():
    x = jnp.float32(1.0)
    here, worst = qed.precision(versine, x), qed.precision(versine, x, box=(1e-3, 3.0), seed=1)
    assert here.answers[0].proved and worst.refuted and worst.bits_lost > 15 and worst.tried == 100
    assert 1e-3 <= float(worst.point) <= 3.0 and worst.point.dtype == x.dtype
    again = qed.precision(versine, worst.point)
    assert again.bits_lost == worst.bits_lost and worst.check()
    same = qed.precision(versine, x, box=(1e-3, 3.0), seed=1)
    assert float(same.point) == float(worst.point)


@pytest.mark.parametrize(
    ("fun", "box", "zero"),
    [
        (lambda x: x * x - 2.0, (0.0, 10.0), math.sqrt(2)),
        (lambda x: jnp.exp(x) - 3.0, (0.0, 5.0), math.log(3)),
        (lambda x: jnp.abs(x * x - 50.0) + 1e-5, (0.0, 10.0), math.sqrt(50)),
    ],
    ids=["square", "exponential", "kink"],
)
def test_terms_that_cancel_somewhere_in_a_box_are_found(fun, box, zero):
    answer = qed.precision(fun, jnp.float32(1.0), box=box)
    assert answer.refuted and answer.check() and float(answer.point) == pytest.approx(zero, rel=1e-6)
    assert max(answer.bits_lost, answer.gradient_bits_lost) > 15


def test_a_point_outside_of_its_box_is_told():
    for x, told in ((0.5, True), (2.0, False)):
        answer = qed.precision(lambda x: x * x, jnp.float32(x), box=(1.0, 4.0))
        assert answer.proved and 1 <= float(answer.point) <= 4
        assert any("outside of the box" in reason.text for reason in answer.reasons) == told


def test_the_worst_point_of_several_coordinates():
    def area(s):  # Heron's formula, as it is taught
        p = (s[0] + s[1] + s[2]) / 2
        return jnp.sqrt(p * (p - s[0]) * (p - s[1]) * (p - s[2]))

    worst = qed.precision(area, jnp.array([3.0, 4.0, 5.0]), box=qed.Box(jnp.full(3, 1.0), 100.0))
    assert worst.refuted and worst.bits_lost > 6
    assert bool(jnp.all((worst.point >= 1) & (worst.point <= 100)))


def test_a_box_that_is_none():
    with pytest.raises(QedError) as caught:
        qed.precision(versine, jnp.float32(1.0), box=(2.0, 1.0))
    assert caught.value.code == "QED007"


# --- conditioning ---


def test_what_no_formula_can_keep_is_told_apart():
    near = qed.precision(lambda x: x * x - 2, jnp.float32(1.4142135))
    assert near.refuted and near.inherent[0] == pytest.approx(math.log2(1 + 4 / abs(near.worst.truth)), abs=0.1)
    assert "no other formula" in told(near.answers[0])
    assert qed.precision(versine, jnp.float32(1e-3)).inherent[0] < 1


# --- zero, infinity, NaN ---


def test_a_zero_is_judged_absolutely():
    right = qed.precision(lambda x: jnp.sin(x) - jnp.sin(x), jnp.float32(1.0))
    assert right.bits_lost == pytest.approx(0, abs=1e-9) and right.answers[0].proved
    wrong = qed.precision(lambda x: (1 + x) - 1 - x, jnp.float32(1e-3))
    assert wrong.worst.truth == 0.0 and wrong.worst.result != 0
    assert wrong.bits_lost == pytest.approx(math.log2(1 + abs(wrong.worst.result) * 2**24))
    assert "because the number is zero" in str(wrong.worst.against)


def test_what_is_not_finite():
    masked = qed.precision(lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0), jnp.float32(0.0))
    assert masked.answers[0].proved and masked.gradient_bits_lost in (None, 24.0)
    nowhere = qed.precision(lambda x: jnp.log(-x), jnp.float32(1.0))
    assert nowhere.unknown and nowhere.bits_lost is None and "undefined" in nowhere.missing[0].what


@pytest.mark.parametrize(
    ("fun", "x", "code"),
    [
        (lambda x: jnp.argmax(x), jnp.ones(3), "QED002"),
        (lambda x: x[:0], jnp.ones(3), "QED002"),
        (jnp.sum, jnp.arange(3), "QED003"),
        (jnp.sum, jnp.zeros((0,)), "QED004"),
        (jnp.sum, jnp.array([jnp.nan]), "QED006"),
        (jnp.sum, jnp.array([1j]), "QED003"),
        (3, jnp.ones(3), "QED007"),
        (lambda x: float(x), jnp.float32(1.0), "QED010"),
    ],
)
def test_bad_input_has_a_code(fun, x, code):
    with pytest.raises(QedError) as caught:
        qed.precision(fun, x)
    assert caught.value.code == code


# --- float64 beside the program is no truth ---


def test_float64_that_loses_its_digits_too_is_not_believed():
    """Beyond the size for balls: a sum of 2e5 terms that float64 gets wrong as float32 does."""
    x = jnp.full(200_000, 1e-12, jnp.float32)

    def trap(x):
        return jnp.sum((1 - jnp.cos(x)) / x**2)  # 1/2 each; float64 says 0

    def fine(x):
        return jnp.sum(jnp.exp(-x) * x)

    answer = qed.precision(trap, x)
    assert answer.unknown and answer.bits_lost is None
    assert any("float64 beside the program may lose its digits too" in m.what for m in answer.missing)
    healthy = qed.precision(fine, x)
    assert healthy.answers[0].standing in (Standing.MEASURED,) and healthy.reference[0] == "float64"


def test_a_large_program_is_measured_in_float64():
    x = jnp.linspace(0.1, 1.0, 200_000, dtype=jnp.float32)
    answer = qed.precision(lambda x: jnp.mean(jnp.sqrt(1e4 + x) - 1e2), x)
    assert answer.reference[0] == "float64" and answer.bits_lost > 8 and answer.answers[0].measured
    assert "more than 3 bits" in answer.answers[0].claim and answer.equations[0].primitive in ("add", "sqrt")


def test_a_claim_about_a_box_names_its_point():
    """What is proved is of one point; between the points that were tried more may be lost."""

    def once(x):
        return jnp.where(jnp.abs(x - 3.3) < 1e-3, (x + 1e6) - 1e6, x)

    found = qed.precision(once, jnp.float32(5), box=(0.0, 10.0))
    for claim in (found.claim, *(part.claim for part in found.answers)):
        assert claim.endswith(f" at {float(found.point):.9g}, found among {found.tried} points of the box")
    assert qed.precision(once, jnp.float32(5)).claim.endswith("are lost")


# --- what is rounded below float64, and what the bits of a gradient are bits of ---


@pytest.mark.parametrize(
    ("fun", "x", "guilty"),
    [
        (lambda x: (1 - jnp.cos(x)) / jnp.sin(x), 1e-8, "cos"),
        (lambda x: jnp.exp(x) - 1, 1e-20, "exp"),
        (lambda x: (x + 1e30) - 1e30, 1.0, "add"),
        (lambda x: jnp.sqrt(1 + x * x) - 1, 1e-12, "add"),
    ],
)
def test_a_rounding_that_float64_makes_too_is_blamed(fun, x, guilty):
    answer = qed.precision(fun, jnp.float32(x))
    assert answer.refuted and answer.bits_lost == 24
    assert answer.equations[0].primitive == guilty and answer.equations[0].share > 0.99
    assert answer.equations[0].uncovered.primitive == "sub" and answer.findings


def test_the_claim_says_what_the_bits_of_a_gradient_are_relative_to():
    def heron(s):
        p = jnp.sum(s) / 2
        return jnp.sqrt(p * (p - s[0]) * (p - s[1]) * (p - s[2]))

    answer = qed.precision(heron, jnp.array([1.0, 1.0, 1e-4], jnp.float32))
    assert answer.claim == "at most 3 of the 24 bits of the value and of the largest number of the gradient are lost"
    assert answer.answers[1].claim == "at most 3 bits of the largest number of the gradient are lost"
    assert answer.gradient_bits_lost < 1 and max(leaf.elementwise[0] for leaf in answer.gradient) > 8
    assert qed.precision(jnp.sin, jnp.float32(1)).answers[1].claim == "at most 3 bits of the gradient are lost"
    two = qed.precision(lambda w: w[0] * jnp.sum(w[1]), (jnp.float32(1), jnp.ones(2, jnp.float32)))
    assert "the largest number in each array of the gradient" in two.claim


@pytest.mark.parametrize(
    ("fun", "at", "value", "gradient"),
    [
        (lambda x: jnp.sin(x) * 0.0, 1.3, True, True),
        (lambda x: (x - 2) ** 3, 2.0, True, True),
        (lambda x: x**2 - 4, 2.0, True, False),
        (lambda x: (x - 2) ** 2 + 1, 2.0, False, True),
        (lambda x: jnp.exp(x), 2.0, False, False),
    ],
)
def test_of_a_number_that_is_zero_it_is_said_what_its_error_is_taken_against(fun, at, value, gradient):
    answer = qed.precision(fun, at)
    for text in (answer.headline, answer.claim):
        assert ("value (which is 0: against 1)" in text) == value
        assert ("gradient (which is 0: against 1)" in text) == gradient
    assert ["against 1" in part.claim for part in answer.answers] == [value, gradient]
