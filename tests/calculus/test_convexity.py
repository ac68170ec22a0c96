"""`qed.convexity`: what it proves, what it refutes, and what it leaves open."""

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
import numpy as np
import optax
import pytest

import qed
from qed.errors import QedError

CUBE = (np.full(3, -3.0), np.full(3, 3.0))
PLANE = (np.full(2, -3.0), np.full(2, 3.0))
QUADRANT = (np.full(2, 0.125), np.full(2, 3.0))

CONVEX = {
    "softplus": (jax.nn.softplus, (-3.0, 3.0)),
    "logsumexp on the whole space": (jax.nn.logsumexp, (np.full(3, -np.inf), np.full(3, np.inf))),
    "log_softmax": (lambda x: -jax.nn.log_softmax(x)[1], CUBE),
    "cross entropy by hand": (lambda x: -jnp.log(jax.nn.softmax(x)[1]), CUBE),
    "log-sum-exp of convex functions": (lambda x: jnp.logaddexp(x[0] ** 2, x[1] ** 2), PLANE),
    "form with a cross term": (lambda x: x[0] ** 2 + x[0] * x[1] + x[1] ** 2, PLANE),
    "norm": (lambda x: jnp.linalg.norm(x - 1.0), PLANE),
    "square over linear": (lambda x: x[0] ** 2 / x[1], QUADRANT),
    "relative entropy": (lambda x: x[0] * jnp.log(x[0] / x[1]) - x[0] + x[1], QUADRANT),
    "two largest": (lambda x: jnp.sum(jnp.sort(x)[-2:]), CUBE),
    "huber": (lambda x: jnp.sum(optax.huber_loss(x)), PLANE),
    "elu": (jax.nn.elu, (-3.0, 3.0)),
    "branch": (lambda x: jax.lax.cond(x > 0, lambda a: a * a, lambda a: -a, x), (-3.0, 3.0)),
    "x log x from 0 on": (lambda x: jnp.where(x > 0, x * jnp.log(jnp.where(x > 0, x, 1.0)), 0.0), (0.0, 2.0)),
    "root with two wheres": (
        lambda x: jnp.where((s := jnp.sum(x * x)) == 0, 0.0, jnp.sqrt(jnp.where(s == 0, 1.0, s))),
        PLANE,
    ),
    "second derivatives": (lambda x: jnp.sum(x * x) + jnp.sin(x[0] * x[1]) / 4, (-np.ones(2), np.ones(2))),
    "bell outside": (lambda x: jnp.exp(-(x**2)), (0.75, 3.0)),
    "largest eigenvalue": (lambda x: jnp.linalg.eigvalsh(x)[-1], (np.full((3, 3), -2.0), np.full((3, 3), 2.0))),
    "nuclear norm": (lambda x: jnp.linalg.norm(x, "nuc"), (np.full((2, 3), -2.0), np.full((2, 3), 2.0))),
    "sum in a loop": (lambda x: jax.lax.fori_loop(0, 3, lambda i, c: c + x[i] ** 2, 0.0), CUBE),
}
NOT_CONVEX = {
    "saddle": (lambda x: x[0] * x[1], PLANE),
    "median": (jnp.median, CUBE),
    "gelu": (jax.nn.gelu, (-3.0, 3.0)),
    "slope falls at a seam": (lambda x: jnp.where(x > 0, x**2, x**2 + x), (-1.0, 1.0)),
    "one point above": (lambda x: jnp.where(x == 0.5, 3.0, x * x), (-1.0, 1.0)),
    "one point below": (lambda x: jnp.where(x == 0.5, -3.0, x * x), (-1.0, 1.0)),
    "far below a large number": (lambda x: 1e6 + x**4 - 2.0**-20 * x**2, (-1.0, 1.0)),
    "middle eigenvalue": (lambda x: jnp.linalg.eigvalsh(x)[1], (np.full((3, 3), -2.0), np.full((3, 3), 2.0))),
    "indefinite form": (lambda x: x[0] ** 2 + 3 * x[0] * x[1] + x[1] ** 2, PLANE),
}


@pytest.mark.parametrize("name", CONVEX)
def test_proved(name):
    fun, box = CONVEX[name]
    answer = qed.convexity(fun, box)
    assert answer.proved and answer.shape == "convex" and answer.check()


@pytest.mark.parametrize("name", NOT_CONVEX)
def test_refuted_with_two_points(name):
    fun, box = NOT_CONVEX[name]
    answer = qed.convexity(fun, box)
    assert answer.refuted and answer.shape == "nonconvex" and answer.check()
    chord = answer.witness
    x, y = (np.asarray(end, np.float64) for end in (chord.x, chord.y))
    assert chord.middle >= chord.mean and chord.gap > 0
    assert float(fun(jnp.asarray(x / 2 + y / 2))) == pytest.approx(chord.middle, abs=1e-4, rel=1e-5)


def test_concave_is_proved_beside_the_refutation():
    answer = qed.convexity(lambda x: jnp.sum(jsp.entr(x)), QUADRANT)
    assert answer.refuted and answer.shape == "concave" and answer.answers[0].proved and answer.answers[0].check()


def test_affine_in_disguise():
    answer = qed.convexity(lambda x: 3 * x - jnp.abs(x) + jnp.abs(-x), (-1.0, 2.0))
    assert answer.proved and answer.shape == "affine" and answer.check()


def test_linear_regression_is_strongly_convex_for_its_data():
    rng = np.random.default_rng(0)
    features, y = rng.normal(size=(12, 3)), rng.normal(size=12)

    def loss(w, features, y):
        return jnp.mean((features @ w - y) ** 2)

    answer = qed.convexity(loss, (np.full(3, -np.inf), np.full(3, np.inf)), features, y)
    least = np.linalg.eigvalsh(2 * features.T @ features / 12)[0]
    assert answer.proved and answer.check()
    assert answer.strong == pytest.approx(least, rel=1e-5) and answer.strong <= least * (1 + 1e-12)


def test_one_hidden_layer_is_not_convex():
    rng = np.random.default_rng(0)
    features, y = rng.normal(size=(12, 3)), rng.normal(size=12)
    box = ({"W": np.full((3, 2), -1.0), "v": np.full(2, -1.0)}, {"W": np.full((3, 2), 1.0), "v": np.full(2, 1.0)})
    answer = qed.convexity(lambda p: jnp.mean((jnp.tanh(features @ p["W"]) @ p["v"] - y) ** 2), box)
    assert answer.refuted and answer.check() and set(answer.witness.x) == {"W", "v"}


def test_integers_that_wrap_are_no_numbers():
    def wrapped(x):
        return x * ((x > 0).astype(jnp.uint8) - jnp.uint8(1)).astype(jnp.float32)

    assert not qed.convexity(wrapped, (-1.0, 2.0)).proved


def test_one_term_is_not_taken_twice():
    def twice(x):
        return jnp.log(1 + jnp.exp(-x * x)) + jnp.log(1 + 2 * jnp.exp(-x * x)) + x * x

    assert qed.convexity(twice, (-3.0, 3.0)).refuted


def test_two_calls_of_one_cached_function_are_two_values():
    inner = jax.jit(lambda a: a * a)
    answer = qed.convexity(lambda x: inner(x[0]) - inner(x[1]), PLANE)
    assert answer.refuted and answer.shape == "nonconvex"


def test_a_function_that_is_not_defined_everywhere_is_left_open_with_its_line():
    answer = qed.convexity(lambda x: -jnp.log(x), (-1.0, 1.0))
    assert answer.unknown and answer.shape == "undecided"
    assert answer.missing[0].primitive == "log" and "test_convexity.py" in str(answer.missing[0].span)


def test_what_vanishes_is_not_forgotten():
    answer = qed.convexity(lambda x: x * x + 0.0 * jnp.log(x), (-1.0, 1.0))
    assert answer.unknown and answer.missing[0].primitive == "log"


def test_bad_boxes_are_told():
    with pytest.raises(QedError, match="no box"):
        qed.convexity(jnp.sin, (1.0, -1.0))
    with pytest.raises(QedError, match="tuple"):
        qed.convexity(lambda x: (x, x), (np.zeros(2), np.ones(2)))


def test_it_says_the_same_with_the_same_seed():
    first, second = (qed.convexity(lambda x: x[0] * x[1], PLANE, seed=3) for _ in range(2))
    assert np.array_equal(first.witness.x, second.witness.x) and first.meta["seed"] == 3


def test_a_function_that_has_a_limit_at_an_end_is_judged_by_its_values_inside():
    """x log x has no value at 0 as written and the limit 0; -log x has no limit there."""
    answer = qed.convexity(lambda x: x * jnp.log(x), (0.0, 2.0))
    assert answer.proved and answer.shape == "convex" and answer.check()
    answer = qed.convexity(lambda x: -jnp.log(x), (0.0, 2.0))
    assert answer.unknown and answer.missing[0].primitive == "log"


def test_what_is_not_convex_is_found_at_its_line():
    def network(w):
        hidden = w[0] * w[1]
        return jnp.abs(hidden) + w[0] ** 2

    answer = qed.convexity(network, (-jnp.ones(2), jnp.ones(2)))
    (finding,) = answer.findings
    assert finding.code == "QED302" and answer.refuted
    assert finding.span is not None and finding.span.line == network.__code__.co_firstlineno + 1
    assert finding.witness is not None and finding.witness["gap"] == answer.witness.gap > 0
    assert not qed.convexity(lambda w: jnp.sum(w**2), (-jnp.ones(2), jnp.ones(2))).findings


SQUARE = (np.full(2, -1.0), np.full(2, 1.0))
STRONG = {
    "exponentials": (lambda x: jnp.sum(jnp.exp(x)), SQUARE, np.exp(-1)),
    "exponentials and a kink": (lambda x: jnp.sum(jnp.exp(x)) + jnp.abs(x[0] - x[1]), SQUARE, np.exp(-1)),
    "squares and kinks": (lambda x: jnp.sum(x**2 + jnp.abs(x)), (np.full(2, -np.inf), np.full(2, np.inf)), 2.0),
    "barrier": (lambda x: -jnp.sum(jnp.log(x)), (np.full(2, 0.5), np.full(2, 2.0)), 0.25),
    "coupled": (lambda x: x[0] ** 2 + x[1] ** 4 + x[0] * x[1] / 2, (np.full(2, 1.0), np.full(2, 2.0)), 1.975),
    "a flat point": (lambda x: x**4, (-1.0, 1.0), 0.0),
}


@pytest.mark.parametrize("name", STRONG)
def test_the_constant_of_strong_convexity(name):
    fun, box, constant = STRONG[name]
    answer = qed.convexity(fun, box)
    assert answer.proved and answer.check()
    assert answer.strong <= constant * (1 + 1e-4) and answer.strong >= constant * (1 - 1e-3)


X = np.float32([[1, 2], [3, 1], [-2, 0.5]])
Y = np.float32([1, 0, 1])
WHOLE = (np.full(2, -np.inf), np.full(2, np.inf))
UNIT = (np.zeros(3), np.ones(3))
AWAY = (np.full(3, 0.25), np.full(3, 4.0))
Q = np.float32([0.25, 0.5, 0.25])
BY_HAND = {
    "cross entropy of sigmoids": (
        lambda w: -jnp.mean(Y * jnp.log(jax.nn.sigmoid(X @ w)) + (1 - Y) * jnp.log(1 - jax.nn.sigmoid(X @ w))),
        WHOLE,
        "convex",
    ),
    "p log(p/q) from p = 0 on": (lambda p: jnp.sum(p * jnp.log(p / Q)), UNIT, "convex"),
    "rel_entr in the second": (lambda q: jnp.sum(jsp.rel_entr(Q, q)), AWAY, "convex"),
    "exp of the mean of logarithms": (lambda x: jnp.exp(jnp.mean(jnp.log(x))), AWAY, "concave"),
    "weights that sum to more": (lambda x: jnp.exp(jnp.sum(jnp.log(x))), AWAY, "nonconvex"),
    "a negative weight": (lambda x: jnp.exp(jnp.log(x[0]) / 2 - jnp.log(x[1]) / 4), AWAY, "nonconvex"),
    "two conditions": (
        lambda x: jnp.where((x > 0.5) & (x < 1.5), 2 * x - x + 1, jnp.where(x > 0.5, x + 1, 1 + x)),
        (0.0, 2.0),
        "affine",
    ),
    "one of two conditions": (lambda x: jnp.where((x > 1) | (x < -1), jnp.abs(x), 1.0), (-2.0, 2.0), "convex"),
    "both of two conditions, falling": (
        lambda x: jnp.where((x > -1) & (x < 1), -(x**2), -jnp.abs(x)),
        (-2.0, 2.0),
        "nonconvex",
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name):
    fun, box, shape = BY_HAND[name]
    answer = qed.convexity(fun, box)
    assert answer.shape == shape and answer.check()


def test_what_reaches_the_end_of_its_range_only_where_it_is_undefined():
    assert not qed.convexity(lambda x: -jnp.log(2 * x), (0.0, 4.0), budget=0.3).proved
    assert not qed.convexity(lambda x: -jnp.log(0.5 - jax.nn.sigmoid(x)), (-4.0, 0.0), budget=0.3).proved


def test_a_callback_of_one_point_is_undecided_and_does_not_raise():
    kind = jax.ShapeDtypeStruct((), jnp.float32)
    fun = lambda x: jax.pure_callback(lambda v: np.asarray(-v * v, np.float32), kind, x)  # noqa: E731
    answer = qed.convexity(fun, (-1.0, 1.0), budget=1.0)
    assert answer.unknown and answer.missing[0].primitive == "pure_callback"


@pytest.mark.parametrize(
    ("fun", "shape"),
    [
        (lambda z: -jnp.sum(jnp.log(jax.nn.sigmoid(z + 1.5) - jax.nn.sigmoid(z))), "convex"),
        (lambda z: jnp.sum(jnp.log(1 - jnp.tanh(z))), "concave"),
        (lambda z: -jnp.sum(jnp.log(3 + 3 * jnp.tanh(2 * z))), "convex"),
    ],
    ids=["ordered logit", "1 - tanh", "3 + 3 tanh"],
)
def test_logarithms_of_sigmoids_have_their_shape_everywhere(fun, shape):
    answer = qed.convexity(fun, (np.full(2, -np.inf), np.full(2, np.inf)))
    assert str(answer.shape) == shape
    assert answer.check()


def test_a_difference_of_sigmoids_that_is_negative_has_no_logarithm():
    answer = qed.convexity(lambda z: -jnp.log(jax.nn.sigmoid(z - 1.0) - jax.nn.sigmoid(z)), (-4.0, 4.0), budget=1.0)
    assert answer.unknown


def test_logarithms_of_sums_inside_one_another_are_one_sum():
    rows = jnp.asarray(np.random.default_rng(0).standard_normal((6, 3)), jnp.float32)

    def cox(w):
        e = rows @ w
        return -jnp.mean(e - jax.lax.cumlogsumexp(e, reverse=True))

    def folded(w):
        return jax.lax.scan(lambda c, x: (jnp.logaddexp(c, x @ w), None), -jnp.inf, rows)[0]

    def chain(w):
        moves = w.reshape(2, 2)
        last, _ = jax.lax.scan(
            lambda c, x: (jax.nn.logsumexp(c[:, None] + moves, 0) + x, None), rows[0, :2], rows[:, :2]
        )
        return jax.nn.logsumexp(last)

    for loss, size in ((cox, 3), (folded, 3), (chain, 4)):
        answer = qed.convexity(loss, qed.Box(jnp.full(size, -jnp.inf), jnp.full(size, jnp.inf)))
        assert answer.proved, loss.__name__
        assert answer.check()
    difference = qed.convexity(lambda w: folded(w) - cox(2 * w), qed.Box(jnp.full(3, -3.0), jnp.full(3, 3.0)))
    assert not difference.proved


def test_an_exponent_that_is_no_third_is_told():
    box = (np.full(3, 0.5), np.full(3, 2.0))
    answer = qed.convexity(lambda x: -(jnp.prod(x) ** (1 / 3)), box)
    assert answer.refuted and any("a float next to 1/3 and above it" in reason.text for reason in answer.reasons)
    other = qed.convexity(lambda x: -(jnp.prod(x) ** 0.375), box)
    assert other.refuted and not any("a float next to" in reason.text for reason in other.reasons)


def test_a_large_indefinite_form_is_refuted():
    rows = np.random.default_rng(0).integers(-8, 9, (12, 12)) / 4
    answer = qed.convexity(lambda x: x @ (rows + rows.T).astype(np.float32) @ x, (np.full(12, -1.0), np.full(12, 1.0)))
    assert answer.refuted and answer.check()


@pytest.mark.parametrize("box", [(-1.0, 1.0), (1.0, np.inf), (0.0, 1e-3)], ids=["about 0", "without an end", "small"])
def test_a_quadratic_that_bends_down_ever_so_little_is_refuted(box):
    def chain(x, c):
        return jnp.sum((x[:-1] - x[1:]) ** 2) - c * x[0] ** 2

    sides = tuple(np.full(8, end, np.float32) for end in box)
    for c in (1e-2, 1e-14):
        answer = qed.convexity(chain, sides, c)
        assert answer.shape == "nonconvex"
        assert answer.check()
    assert qed.convexity(chain, sides, 0.0).shape == "convex"
