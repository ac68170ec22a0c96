"""Attempts to make `qed.convexity` say something false: traps, random compositions, one function in other words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.errors import QedError
from tests.calculus.corpus_shapes import INFINITY, LINE, over
from tests.calculus.corpus_shapes_all import CASES
from tests.calculus.corpus_shapes_judge import judged
from tests.calculus.corpus_shapes_sampler import contradiction
from tests.laws.random_shapes import bend, drawn
from tests.laws.shape_attacks import ATTACKS, SOMEWHERE_UNDEFINED
from tests.laws.shape_attacks_on_pieces import ATTACKS_ON_PIECES

ALL = ATTACKS | ATTACKS_ON_PIECES
FEW = [name for i, name in enumerate(ALL) if i % 6 == 0]


def judge(case, **options):
    answer = qed.convexity(case.fun, case.box, *case.args, **options)
    assert answer.unknown or answer.check()
    return judged(case, str(answer.standing), str(answer.value.shape))


def test_the_attacks_mean_what_they_say():
    wrong = {case.name: contradiction(case, count=500) for case in ALL.values() if case.sampled}
    assert {name: why for name, why in wrong.items() if why} == {}


@pytest.mark.parametrize("name", FEW)
def test_no_attack_of_a_few_succeeds(name):
    assert judge(ALL[name], budget=0.5) != "wrong"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ALL if name not in FEW])
def test_no_attack_succeeds(name):
    assert judge(ALL[name], budget=2.0) != "wrong"


@pytest.mark.parametrize("name", SOMEWHERE_UNDEFINED)
def test_what_is_undefined_somewhere_is_not_proved(name):
    """Three points with values may refute it; where there are none the answer names what is undefined."""
    fun, box, bent_down = SOMEWHERE_UNDEFINED[name]
    answer = qed.convexity(fun, box, budget=0.3)
    assert not answer.proved
    assert answer.unknown or (bent_down and answer.check())
    assert answer.refuted or "undefined" in answer.missing[0].what or "infin" in answer.missing[0].what


# --- random compositions ---


def verdict(rng, variables, depth):
    """A drawn function of some variables, its box, and the answer about it."""
    fun = drawn(rng, depth, variables)
    lower = rng.integers(-512, 513, variables) / 256
    upper = lower + rng.integers(1, 513, variables) / 256
    box = np.float32(lower), np.float32(upper)
    return fun, lower, upper, qed.convexity(lambda x: fun([x[i] for i in range(variables)]), box, budget=0.2)


def contradicted(fun, lower, upper, answer, rng, segments=40):
    """Whether segments in balls say the opposite of what was proved or refuted."""
    shape = (segments, len(lower))
    a, b = (lower + (upper - lower) * rng.integers(0, 257, shape) / 256 for _ in range(2))
    bends = bend(fun, list(a.T), list(b.T))  # all of them together; where one has no rule, each by itself
    alone = [bend(fun, list(p), list(q)) for p, q in zip(a, b, strict=True)] if bends is None else []
    seen = {int(each) for each in (alone if bends is None else np.ravel(bends)) if each is not None}
    if answer.proved:
        return -1 in seen or (answer.value.shape == "affine" and 1 in seen)
    if answer.refuted:
        witness = answer.value.witness
        if int(bend(fun, list(np.float64(witness.x)), list(np.float64(witness.y)))) != -1:
            return True
        return answer.value.shape == "concave" and 1 in seen
    return False


def examine(count, first=0):
    standings = {"PROVED": 0, "REFUTED": 0, "UNKNOWN": 0}
    for k in range(first, first + count):
        rng = np.random.default_rng([11, k])
        variables, depth = 1 + k % 2, int(rng.integers(1, 5))
        fun, lower, upper, answer = verdict(rng, variables, depth)
        standings[str(answer.standing)] += 1
        assert not contradicted(fun, lower, upper, answer, rng, 12), k
    return standings


def test_random_compositions(law_examples):
    count = law_examples(20)
    found = examine(count)
    assert found["PROVED"] > 0.1 * count and found["REFUTED"] > 0.1 * count


@pytest.mark.slow
def test_many_random_compositions(law_examples):
    found = examine(law_examples(360), first=1000)
    assert found["UNKNOWN"] < 0.4 * sum(found.values())


# --- the same function in other words ---

PLANE = over(-2.0, 2.0, 2)
SAME = {
    "cross_terms": (lambda x: x[0] ** 2 + x[0] * x[1] + x[1] ** 2, PLANE),
    "saddle": (lambda x: x[0] * x[1], PLANE),
    "logsumexp": (lambda x: jax.scipy.special.logsumexp(x), PLANE),
    "bell": (lambda x: jnp.exp(-x @ x), PLANE),
    "minus_norm": (lambda x: -jnp.linalg.norm(x), PLANE),
    "affine": (lambda x: 3 * x[0] - x[1] + 1, PLANE),
    "kink": (lambda x: jnp.abs(x[0]) - 0.5 * jnp.abs(x[1] - 1), PLANE),
    "stopped": (lambda x: -x[0] * jax.lax.stop_gradient(x[0]) - x[1], PLANE),
}


def renamed(fun):
    def softplus(x):
        return fun(x)

    softplus.__name__ = softplus.__qualname__ = "logsumexp"
    return jax.jit(softplus)


WORDS = {
    "jit": jax.jit,
    "jit_twice": lambda fun: jax.jit(lambda x: jax.jit(fun)(x)),
    "renamed": renamed,
    "rematerialised": jax.checkpoint,
    "vmapped": lambda fun: lambda x: jax.vmap(fun)(x[None])[0],
    "summed_over_a_batch_of_one": lambda fun: lambda x: jnp.sum(jax.vmap(fun)(jnp.stack([x]))),
    "in_a_dictionary": lambda fun: lambda x: fun({"x": x}["x"]),
    "reshaped": lambda fun: lambda x: fun(x.reshape(1, 2).T.reshape(2)),
    "through_scan": lambda fun: lambda x: jax.lax.scan(lambda c, v: (c + fun(v), None), 0.0, x[None])[0],
    "closed_over": lambda fun: (lambda one: lambda x: fun(x * one))(jnp.float32(1)),
    "custom_jvp": lambda fun: with_rule(fun),
}


def with_rule(fun):
    wrapped = jax.custom_jvp(fun)
    wrapped.defjvp(lambda primals, tangents: (wrapped(*primals), jnp.sum(tangents[0])))
    return wrapped


@pytest.mark.parametrize("name", SAME)
def test_a_verdict_does_not_depend_on_the_words(name):
    fun, box = SAME[name]
    plain = qed.convexity(fun, box, budget=1.0)
    assert not plain.unknown
    for word, put in WORDS.items():
        answer = qed.convexity(put(fun), box, budget=1.0)
        assert (answer.standing, answer.value.shape) == (plain.standing, plain.value.shape), word


def test_data_may_be_closed_over_or_given():
    data = np.float32([[1, 2], [3, 4], [5, 7]])
    given = qed.convexity(lambda x, A: jnp.sum((A @ x) ** 2), PLANE, data)
    closed = qed.convexity(lambda x: jnp.sum((data @ x) ** 2), PLANE)
    assert given.proved and closed.proved and given.value.strong == pytest.approx(closed.value.strong)


# --- exact constants ---


@pytest.mark.parametrize("c", np.float32([0.1, 0.2, 0.3, 0.7, 1.1, 1 / 3, 3e-5, 7e8]))
def test_constants_are_the_float32_numbers_that_they_are(c):
    """x² - 2cxy + [c²]y², where [c²] is rounded: convex exactly if the rounding went up, or was none."""
    from fractions import Fraction

    square = np.float32(c * c)
    up = Fraction(float(square)) - Fraction(float(c)) ** 2 >= 0
    fun = lambda x: x[0] ** 2 - 2 * c * x[0] * x[1] + square * x[1] ** 2  # noqa: E731
    answer = qed.convexity(fun, over(-INFINITY, INFINITY, 2))
    assert answer.standing in (("PROVED", "UNKNOWN") if up else ("REFUTED", "UNKNOWN"))
    assert not answer.unknown or not up


# --- what is no question ---


@pytest.mark.parametrize(
    "fun, box",
    [
        (jnp.sin, (float("nan"), 1.0)),
        (jnp.sin, (2.0, 1.0)),
        (jnp.sum, (np.zeros(0, np.float32), np.zeros(0, np.float32))),
        (lambda x: x, over(0.0, 1.0, 2)),
        (lambda x: (x, x), (0.0, 1.0)),
        (lambda x: x.nothing, (0.0, 1.0)),
        (lambda x: jnp.sin(x) * 1j, (0.0, 1.0)),
        (jnp.sin, (np.complex64(0), np.complex64(1))),
        (jnp.sin, 3.0),
        (jnp.sin, (None, None)),
        ("sin", (0.0, 1.0)),
        (lambda x: float(x), (0.0, 1.0)),
    ],
)
def test_what_is_no_question_is_an_error_with_a_code(fun, box):
    with pytest.raises(QedError) as caught:
        qed.convexity(fun, box)
    assert caught.value.code.startswith("QED")


def test_the_seed_decides():
    case = CASES["hessian/rosenbrock"]
    first, second = (qed.convexity(case.fun, case.box, seed=3) for _ in range(2))
    assert np.array_equal(first.value.witness.x, second.value.witness.x)
    assert qed.convexity(jnp.exp, LINE, seed=1).meta["seed"] == 1
