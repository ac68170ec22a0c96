"""Where inf and NaN are born: each test writes a line that makes one, and the birth must be that line."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from qed.domains.adjoint import adjoints
from qed.domains.backward import record
from qed.domains.born import backward_births, forward_births
from qed.domains.origin import origin
from qed.graph.trace import trace
from qed.graph.walk import TooLong


def lineage(fun, *args):
    traced = trace(fun, *args)
    return forward_births(record(traced.graph, traced.leaves, traced.free, whole_custom_calls=False))


def first(fun, *args):
    found = lineage(fun, *args)
    assert found.births, "nothing was born"
    return found.births[0]


def backward(fun, *args):
    traced = trace(fun, *args)
    found = adjoints(traced.graph, traced.leaves, traced.free, keep_parts=True)
    return backward_births(found, traced.free)


def line(fun, text):
    """The line of the function's source that holds a text."""
    source, start = inspect.getsourcelines(fun)
    return start + next(i for i, row in enumerate(source) if text in row)


# --- forward --------------------------------------------------------------------------------------------------

V = jnp.array([1.0, -2.0, 0.0, 100.0])


@pytest.mark.parametrize(
    ("fun", "primitive", "result", "index", "operands"),
    [
        (lambda x: jnp.sum(jnp.exp(x)), "exp", "inf", (3,), (100.0,)),
        (lambda x: jnp.sum(jnp.log(jnp.abs(x))), "log", "-inf", (2,), (0.0,)),
        (lambda x: jnp.sum(x / x), "div", "nan", (2,), (0.0, 0.0)),
        (lambda x: jnp.sum(jnp.sqrt(x)), "sqrt", "nan", (1,), (-2.0,)),
        (lambda x: jnp.prod(x + 1e20), "reduce_prod", "inf", (), (None,)),
        (lambda x: jnp.sum(x * 1e37 * 100), "mul", "inf", (3,), (1e39, 100.0)),
        (lambda x: jnp.sum(lax.log1p(x + 1)), "log1p", "-inf", (1,), (-1.0,)),
        (lambda x: jnp.mean(jnp.arccos(x / 50)), "acos", "nan", (3,), (2.0,)),
    ],
    ids=["exp", "log0", "0/0", "sqrt", "prod", "mul", "log1p", "arccos"],
)
def test_elementary(fun, primitive, result, index, operands):
    birth = first(fun, V)
    assert (birth.primitive, birth.result, birth.index) == (primitive, result, index)
    assert [x is None for x in birth.operands] == [x is None for x in operands]
    shown = [x for x in birth.operands if x is not None]
    assert birth.primitive == "mul" or shown == pytest.approx([x for x in operands if x is not None])


def test_infinity_that_turns_to_nan_is_followed_to_its_birth():
    def loss(x):
        p = jnp.exp(x)
        q = p / jnp.sum(p)
        return -jnp.sum(jnp.log(q))

    found = lineage(loss, V)
    birth = found.births[0]
    assert (birth.primitive, birth.result, birth.span.line) == ("exp", "inf", line(loss, "jnp.exp"))
    assert found.turns[0].primitive == "div"


def test_inf_minus_inf_of_two_births_reports_both_the_first_first():
    def loss(x):
        a = jnp.exp(x)
        b = jnp.cosh(x)
        return jnp.sum(a - b)

    found = lineage(loss, V)
    assert [b.span.line for b in found.births] == [line(loss, "jnp.exp"), line(loss, "jnp.cosh")]
    assert [t.primitive for t in found.turns] == ["sub"]


def test_only_what_reaches_the_result_counts():
    def loss(x):
        jnp.sqrt(x)
        unused = jnp.exp(x * 10)
        guarded = jnp.where(x > 50, 0.0, jnp.exp(x))
        return jnp.sum(guarded) + jnp.sum(jnp.log(x[1:2])) + 0 * jnp.sum(unused[:1])

    (birth,) = lineage(loss, V).births
    assert (birth.primitive, birth.span.line) == ("log", line(loss, "jnp.log"))


def test_in_a_scan_the_step_is_reported():
    def loss(x):
        def step(c, v):
            return c * jnp.exp(v), None

        return lax.scan(step, x[0], x)[0]

    birth = first(loss, V)
    assert (birth.primitive, birth.entry.frame.steps(), birth.span.line) == ("exp", (3,), line(loss, "jnp.exp"))


def test_in_a_while_the_step_is_reported():
    def loss(x):
        return jnp.sum(lax.while_loop(lambda c: c[0] < 9, lambda c: (c[0] + 1, c[1] * c[1]), (0, x))[1])

    birth = first(loss, V)
    assert (birth.primitive, birth.entry.frame.steps()) == ("mul", (4,))  # 100 ** 32 exceeds 3.4e38


def test_in_a_branch():
    def loss(x):
        return jnp.sum(lax.cond(x[0] > 0, lambda v: jnp.log(v * 0), lambda v: v, x))

    birth = first(loss, V)
    assert (birth.primitive, birth.entry.frame.branch) == ("log", 1)


@jax.custom_jvp
def softplus(x):
    return jnp.log(1 + jnp.exp(x))


@softplus.defjvp
def _softplus_jvp(primals, tangents):
    return softplus(*primals), tangents[0] * jax.nn.sigmoid(primals[0])


def test_inside_the_body_of_a_custom_rule():
    birth = first(lambda x: jnp.sum(softplus(x)), V)
    assert (birth.primitive, birth.span.function) == ("exp", "softplus")


def test_inside_a_library_function_the_line_is_the_users():
    def loss(x):
        y = jnp.linalg.norm(x)
        return jax.scipy.special.entr(-y * jnp.inf) + jnp.sum(jax.scipy.special.logit(x))

    births = lineage(loss, V).births
    assert births[0].span.line == line(loss, "entr")


def test_second_call_of_a_cached_library_function_is_not_blamed_on_the_first_line():
    def loss(x):
        fine = jnp.sum(jax.scipy.special.logit(jnp.clip(x, 0.1, 0.9)))
        wrong = jnp.sum(jax.scipy.special.logit(x))
        return fine + wrong

    assert first(loss, V).span.line == line(loss, "wrong =")


# --- elements -------------------------------------------------------------------------------------------------


def test_a_designed_infinity_beside_a_real_nan():
    def loss(x):
        masked = jnp.where(x > 50, -jnp.inf, x)
        rooted = jnp.concatenate([masked, jnp.sqrt(x[1:2])])
        return jnp.sum(jnp.exp(rooted))

    found = lineage(loss, V)
    assert [(b.primitive, b.index, b.count) for b in found.births] == [("sqrt", (0,), 1)]
    assert not found.given


def test_elements_born_later_are_not_those_handed_on():
    def loss(x):
        y = jnp.where(x < 0, jnp.sqrt(x), x)
        return jnp.exp(y)

    found = lineage(loss, V)
    assert [(b.primitive, b.index, b.count) for b in found.births] == [("sqrt", (1,), 1), ("exp", (3,), 1)]
    total = lineage(lambda x: jnp.sum(loss(x)), V)  # the sum is NaN: only the NaN made it so
    assert [b.primitive for b in total.births] == ["sqrt"]


@pytest.mark.parametrize(
    "move",
    [
        lambda y: y[1:3],
        lambda y: y[::-1],
        lambda y: jnp.pad(y, 1),
        lambda y: y.reshape(2, 2).T,
        lambda y: y[jnp.array([1, 1, 2])],
        lambda y: lax.dynamic_slice(y, (1,), (2,)),
        lambda y: jnp.zeros(6).at[:4].add(y),
        lambda y: jnp.stack([y, y]),
        lambda y: jnp.split(y, 2)[0],
        lambda y: jnp.cumsum(y),
        lambda y: jnp.eye(4)[:2] @ y.reshape(4, 1),
        lambda y: jnp.sort(y),
        lambda y: jnp.max(y.reshape(2, 2), axis=1),
        lambda y: jnp.convolve(y, jnp.ones(2), "valid"),
    ],
    ids="slice reverse pad transpose gather dynamic scatter stack split cumsum matmul sort max convolve".split(),
)
def test_moving_elements_keeps_their_origin(move):
    def loss(x):
        return jnp.sum(move(jnp.where(x < 0, jnp.sqrt(x), jnp.log(1.0 + x * 0))))

    (birth,) = lineage(loss, V).births
    assert (birth.primitive, birth.index) == ("sqrt", (1,))


def test_rows_of_a_product_are_kept_apart():
    def loss(x):
        rows = jnp.stack([x * 0, jnp.log(x * 0 - 1)])
        return jnp.sum((rows @ jnp.ones((4, 2)))[0]) + jnp.sum(jnp.exp(x))

    assert [b.primitive for b in lineage(loss, V).births] == ["exp"]


def test_what_is_handed_in_is_not_born():
    found = lineage(lambda x: jnp.sum(x * 2), jnp.array([1.0, jnp.nan]))
    assert (found.births, found.given) == ((), True)


def test_complex_numbers():
    birth = first(lambda x: jnp.abs(jnp.sum(jnp.exp((1 + 1j) * x))), V)
    assert (birth.primitive, birth.index) == ("exp", (3,))


def test_two_outputs_of_one_factorisation():
    birth = first(lambda x: jnp.sum(jnp.linalg.cholesky(-jnp.eye(3) + x[0] * 0)), V)
    assert (birth.primitive, birth.result) == ("cholesky", "nan")


# --- silent ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: jnp.sum(jax.nn.softmax(jnp.where(x > 0, x, -jnp.inf)) * x),
        lambda x: jax.nn.logsumexp(jnp.where(x > 0, x, -jnp.inf)),
        lambda x: jnp.sum(jnp.where(x > 0, jnp.log(x), 0.0)),
        lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2,), (1,), "SAME").sum(),
        lambda x: jnp.max(x, initial=-jnp.inf),
        lambda x: (jnp.exp(x * 100), jnp.sum(x))[1],
        lambda x: jnp.sum(1 / (1 + jnp.exp(-x * 100))),
        lambda x: jnp.sum(jnp.minimum(jnp.exp(x), 5.0)),
    ],
    ids="softmax logsumexp where window maximum unused sigmoid minimum".split(),
)
def test_silent(fun):
    found = lineage(fun, V)
    assert (found.births, found.turns, found.given) == ((), (), False)


def test_a_row_that_is_masked_away_is_reported_where_the_infinities_meet():
    def loss(x):
        masked = jnp.where(x > 1e6, x, -jnp.inf)
        return jnp.sum(masked - jnp.max(masked))

    birth = first(loss, V)
    assert (birth.primitive, birth.operands) == ("sub", (-np.inf, -np.inf))


# --- backward -------------------------------------------------------------------------------------------------


@jax.custom_vjp
def broken(x):
    return x * 2


broken.defvjp(lambda x: (x * 2, x), lambda x, ct: (ct * 0 / (x * 0),))


def hidden(x):
    return jnp.where(x > 0, jnp.log(x), 0.0)


@pytest.mark.parametrize(
    ("fun", "primitive", "index", "masked"),
    [
        (lambda x: jnp.sum(hidden(x)), "log", (2,), True),
        (lambda x: jnp.sum(jnp.where(x > 0, jnp.sqrt(jnp.abs(x)), 0.0)), "sqrt", (2,), True),
        (lambda x: jnp.sum(jnp.sqrt(jnp.abs(x))), "sqrt", (2,), False),
        (lambda x: jnp.linalg.norm(x * 0), "sqrt", (), False),
        (lambda x: jnp.sum(jnp.abs(x) ** 0.5), "pow", (2,), False),
        (lambda x: jnp.sum(jnp.arccos(x / 100)), "acos", (3,), False),
        (lambda x: jnp.sum(jnp.where(x == 0, 1.0, jnp.sin(x) / x)), "div", (2,), True),
        (lambda x: jnp.sum(broken(x)), "custom_vjp_call", (0,), False),
    ],
    ids="where sqrt-where sqrt norm power arccos division custom".split(),
)
def test_backward(fun, primitive, index, masked):
    birth = backward(fun, V)[0]
    assert birth.phase == "backward"
    assert (birth.primitive, birth.index) == (primitive, index)
    assert (birth.cotangent == 0) is masked


def test_backward_through_a_scan_reports_the_step():
    def loss(x):
        return lax.scan(lambda c, v: (c + jnp.sqrt(jnp.abs(v)), None), 0.0, x)[0]

    (birth,) = backward(loss, V)
    assert (birth.primitive, birth.entry.frame.steps()) == ("sqrt", (2,))


def test_backward_at_the_users_line():
    def loss(x):
        y = x * 0
        z = jnp.linalg.norm(y)
        return z + jnp.sum(x)

    assert backward(loss, V)[0].span.line == line(loss, "norm")


def test_backward_is_silent_where_the_gradient_is_finite():
    assert backward(lambda x: jnp.sum(jax.nn.softmax(jnp.where(x > 0, x, -jnp.inf)) * x), V) == ()
    assert backward(lambda x: jnp.sum(jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1.0)), 0.0)), V) == ()


# --- a pole behind which stands an infinity --------------------------------------------------------------------


def _softmax_whose_sum_overflows(z):
    p = jnp.exp(z)
    return -jnp.log(p[0] / p.sum())


def _double_exponential(z):
    v = -jnp.exp(z)
    return -jnp.log(jnp.sum(jnp.exp(v)))


def _reciprocal_of_an_underflow(z):
    q = z / jnp.exp(10 * z)
    return jnp.sum(1 / q)


def _probability_in_a_loop(z):
    def step(c, x):
        return c * (1 / jnp.exp(x)), None

    return jnp.log(lax.scan(step, 1.0, z)[0])


@pytest.mark.parametrize(
    ("fun", "at", "primitive"),
    [
        (_softmax_whose_sum_overflows, [88.0, 89.0], "exp"),
        (_softmax_whose_sum_overflows, [88.6, 88.6], "reduce_sum"),
        (_double_exponential, [100.0, 100.0], "exp"),
        (_reciprocal_of_an_underflow, [100.0, 90.0], "exp"),
        (_probability_in_a_loop, [1.0, 100.0], "exp"),
    ],
)
def test_a_zero_made_of_an_infinity_leads_back_to_it(fun, at, primitive):
    found = lineage(fun, jnp.array(at))
    assert [b.primitive for b in found.births] == [primitive]
    assert found.births[0].result == "inf"
    assert found.turns[-1].operands[-1] == 0 and found.turns[-1].primitive in ("log", "div")
    assert "0" in [turn.result for turn in found.turns]


@pytest.mark.parametrize(
    "fun",
    [
        lambda z: jnp.sum(1 / jnp.exp(100 * z)) + jnp.log(z[0] - z[0]),
        lambda z: jnp.sum(jnp.tanh(jnp.exp(100 * z))) + jnp.log(z[0] - z[0]),
        lambda z: jnp.log(jnp.exp(-200.0 * z[0])),
        lambda z: jnp.log(jnp.sum(jnp.exp(jnp.where(jnp.zeros(2, bool), z, -jnp.inf)))),
        lambda z: jnp.log(jax.nn.relu(-jnp.exp(100 * z[0]))),
        lambda z: jnp.log(jnp.sum(jnp.array([1.0, 0.0]) * jnp.exp(-jnp.exp(z * jnp.array([5.0, 100.0]))))),
    ],
    ids=["swallowed beside", "saturated", "underflow", "mask", "relu", "weight 0"],
)
def test_other_infinities_are_not_blamed_for_a_zero(fun):
    assert [birth.primitive for birth in lineage(fun, jnp.array([1.0, 1.0])).births] == ["log"]


def test_an_operand_at_the_same_place_is_not_shown_where_elements_are_mixed():
    matrix = jnp.array([[1.0, 2.0], [2.0, 1.0]])
    assert first(lambda w: jnp.sum(jnp.linalg.cholesky(w * matrix)), jnp.float32(1.0)).operands == (None,)


# --- without a tape --------------------------------------------------------------------------------------------


def _late(w):
    def step(x, t):
        x = x * w + 0.1
        return jnp.where(t == 7, jnp.log(x - x), x), jnp.sum(x)

    x, _ = lax.scan(step, w, jnp.arange(20))
    return jnp.sum(x)


@pytest.mark.parametrize(
    ("fun", "at"),
    [
        (_late, [0.5, 0.25]),
        (lambda x: jnp.sum(jnp.exp(x) / jnp.sum(jnp.exp(x))), [1.0, 100.0]),
        (lambda x: jnp.sum(jax.nn.softmax(jnp.where(jnp.zeros(2, bool), x, -jnp.inf))), [1.0, 2.0]),
        (lambda x: jnp.stack([jnp.exp(100 * x), jnp.log(x - 1)])[1].sum(), [1.0, 1.0]),
        (lambda x: jnp.max(jnp.concatenate([x, jnp.log(x - x)])) + jnp.sqrt(-x[0]), [1.0, 1.0]),
        (lambda x: jnp.sum(jnp.linalg.inv(jnp.outer(x, x))), [1.0, 1.0]),
        (lambda x: jnp.sum(x * 2), [1.0, 1.0]),
    ],
)
def test_the_origin_without_a_tape_is_the_earliest_birth(fun, at):
    traced = trace(fun, jnp.array(at))
    found, known = origin(traced.graph, traced.leaves), lineage(fun, jnp.array(at))
    shown = [[(b.primitive, b.result, b.index, b.entry.frame.steps()) for b in x.births[:1]] for x in (found, known)]
    assert shown[0] == shown[1]
    assert found.given == known.given


def test_a_number_that_was_given_has_no_origin():
    traced = trace(lambda x: jnp.sum(x * jnp.array([1.0, jnp.inf])), jnp.ones(2))
    assert origin(traced.graph, traced.leaves).given


def test_a_tape_that_is_too_large_is_not_kept():
    traced = trace(_late, jnp.ones(100))
    with pytest.raises(TooLong, match="GiB"):
        record(traced.graph, traced.leaves, traced.free, most=10_000)
