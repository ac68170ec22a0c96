"""Mistakes that are told only where a trial, or the numbers themselves, show them; and their healthy twins."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import qed
from qed.graph.trace import trace
from qed.why.case import Case, Clock
from qed.why.mistakes.batch import statistics_of_the_batch
from qed.why.mistakes.flat import flatten
from qed.why.mistakes.over_rows import softmax_over_rows
from qed.why.prepare import prepare

RNG = np.random.default_rng(0)


def normal(*shape, scale=1.0):
    return jnp.asarray(scale * RNG.standard_normal(shape), jnp.float32)


X = normal(40, 4)
Y = X @ jnp.arange(1.0, 5.0)
LABELS = jnp.arange(40) % 3
ONE_HOT = jax.nn.one_hot(LABELS, 3)
W = normal(4, 3)
BYTES = jnp.asarray(RNG.integers(0, 200, (40, 4)), jnp.uint8)
APART = X * jnp.array([1.0, 100.0, 1.0, 1.0])
NEAR = X * jnp.array([1.0, 10.0, 1.0, 1.0])


def codes(answer):
    return tuple(finding.code for finding in answer.findings)


# --- class numbers and one-hot rows ---------------------------------------------------------------------------


def numbers_as_weights(w, y):
    return -jnp.mean(jnp.sum(y[:, None] * jax.nn.log_softmax(X @ w), 1))


def numbers_as_weights_under_vmap(w, y):
    def one(x, label):
        return -jnp.sum(label * jax.nn.log_softmax(x @ w))

    return jnp.mean(jax.vmap(one)(X, y))


def rows_as_weights(w, y):
    return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(X @ w), 1))


def labels_as_an_index(w, y):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(X @ w), y, 1))


def smoothed_with_weights(w, y):
    logp = jax.nn.log_softmax(X @ w)
    weights = jnp.arange(40) % 3 + 1.0
    return -jnp.mean(weights * (0.9 * jnp.sum(y * logp, 1) + 0.1 * jnp.mean(logp, 1)))


# --- integers ---------------------------------------------------------------------------------------------------


def whole_quotient(w, x):
    return jnp.mean(((x // 255) @ w["w"] + w["b"] - Y) ** 2)


def true_quotient(w, x):
    return jnp.mean(((x / 255) @ w["w"] + w["b"] - Y) ** 2)


def centred_in_bytes(w, x):
    return jnp.mean(((x - jnp.uint8(128)).astype(jnp.float32) / 128 @ w["w"] + w["b"] - Y) ** 2)


def centred_in_floats(w, x):
    return jnp.mean(((x.astype(jnp.float32) - 128) / 128 @ w["w"] + w["b"] - Y) ** 2)


def embedding_of_buckets(w, x):
    table = jnp.concatenate([w["w"], w["w"]])
    return jnp.mean((table[x[:, 0] // 255] + w["b"] - Y) ** 2)


LINE = {"w": jnp.zeros(4), "b": jnp.zeros(())}


# --- the sign ---------------------------------------------------------------------------------------------------


def squares_rewarded(w):
    return -jnp.mean((X @ w - Y) ** 2)


def huber_rewarded(w):
    return -optax.huber_loss(jnp.tanh(X @ w["w"]) @ w["v"], Y).mean()


def likelihood_without_its_minus(w):
    return jnp.mean(jax.nn.log_softmax(X @ w)[jnp.arange(40), LABELS])


def cross_entropy_with_a_minus(w):
    return -optax.softmax_cross_entropy_with_integer_labels(X @ w, LABELS).mean()


def columns_in_a_dict(w, x, y):
    return jnp.mean((w["area"] * x["area"] + w["rooms"] * x["rooms"] - y) ** 2)


AREA_AND_ROOMS = {"area": 100 * X[:, 0], "rooms": X[:, 1]}
ON_ONE_SCALE = {"area": X[:, 0], "rooms": X[:, 1]}
BINARY = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(jnp.float32)


def binary_with_a_minus(w):
    return -optax.sigmoid_binary_cross_entropy(X @ w, BINARY).mean()


def binary_without_its_minus(w, x, y):
    p = jax.nn.sigmoid(x @ w["w"] + w["b"])
    return jnp.mean(y * jnp.log(p + 1e-12) + (1 - y) * jnp.log(1 - p + 1e-12))


def binary_as_it_is(w):
    return optax.sigmoid_binary_cross_entropy(X @ w, BINARY).mean()


def softmax_along_the_rows(w, labels):
    return -jnp.mean(jax.nn.log_softmax(X @ w, axis=0)[jnp.arange(len(X)), labels])


def softmax_along_the_rows_one_hot(w, rows):
    return -jnp.mean(jnp.sum(rows * jnp.log(jax.nn.softmax(X @ w, axis=0)), 1))


def classes_first(w, labels):
    return -jnp.mean(jax.nn.log_softmax(w.T @ X.T, axis=0)[labels, jnp.arange(len(X))])


def images_with_captions(w):
    z = X @ w
    return -jnp.mean((jax.nn.log_softmax(z, axis=0) + jax.nn.log_softmax(z, axis=1))[jnp.arange(len(X)), LABELS])


def documents_of_queries(w):
    return -jnp.mean(jax.nn.log_softmax(X @ w @ X[:3, :3].T, axis=0)[jnp.arange(len(X)), LABELS])


def shares_of_classes(w):
    return -jnp.mean(jnp.log(jnp.sum(jax.nn.softmax(X @ w, axis=0) * ONE_HOT, 0)))


def several_classes_first(w):
    k = jnp.arange(6)
    return -jnp.mean(jax.nn.log_softmax(w.T @ X[:2].T, axis=0)[k[:3], k[:3] % 2])


def one_of_two_adversaries(w):
    return jnp.mean(jax.nn.log_sigmoid(-(X @ w)))  # all of one label: what a generator minimises


def largest_variance(w):
    return -jnp.mean((X @ (w / jnp.linalg.norm(w))) ** 2)


def most_entropy(w):
    p = jax.nn.softmax(X @ w)
    return jnp.mean(jnp.sum(p * jnp.log(p), 1))


def reward(w):
    p = jax.nn.softmax(X @ w)
    return -jnp.mean(jnp.sum(p * ONE_HOT, 1))


def evidence_with_the_wrong_sign(w):
    mean, log = w["mean"], w["log"]
    divergence = 0.5 * jnp.sum(jnp.exp(log) + mean**2 - 1 - log)
    return -divergence - jnp.mean((X @ mean - Y) ** 2) ** 2


def sum_of_parameters(w):
    return jnp.sum(w)


def density_that_narrows(w):
    return jnp.mean(0.5 * (X[:, 0] * 0) ** 2 * jnp.exp(-2 * w) + w)


# --- rounding ---------------------------------------------------------------------------------------------------


def line_in_sixteen_bits(w, x, y):
    return jnp.mean((x @ w.astype(jnp.float32) - y) ** 2)


NARROW = jnp.full(4, 20.0, jnp.bfloat16)

NO_WEIGHTS = {"area": jnp.zeros(()), "rooms": jnp.zeros(())}
LINE_AND_OFFSET = {"w": jnp.zeros(4), "b": jnp.zeros(())}

# name: (loss, at, args, step, code, text of the blamed line or None)
SICK = {
    "class numbers as weights": (numbers_as_weights, W, (LABELS,), 0.1, "QED610", "jax.nn.log_softmax"),
    "class numbers under vmap": (numbers_as_weights_under_vmap, W, (LABELS,), 0.1, "QED610", "jnp.sum(label"),
    "one-hot rows as an index": (
        labels_as_an_index,
        W,
        (ONE_HOT.astype(jnp.int32),),
        0.1,
        "QED610",
        "jnp.take_along_axis",
    ),
    "softmax along the rows": (softmax_along_the_rows, W, (LABELS,), 0.1, "QED612", "jax.nn.log_softmax"),
    "softmax along the rows, one-hot": (softmax_along_the_rows_one_hot, W, (ONE_HOT,), 0.1, "QED612", "jax.nn.softmax"),
    "whole quotient": (whole_quotient, LINE, (BYTES,), 0.1, "QED212", "x // 255"),
    "bytes that wrap": (centred_in_bytes, LINE, (BYTES,), 0.05, "QED212", "x - jnp.uint8(128)"),
    "squares rewarded": (squares_rewarded, jnp.zeros(4), (), 0.01, "QED411", "jnp.mean"),
    "huber rewarded": (huber_rewarded, {"w": W, "v": jnp.ones(3)}, (), 0.1, "QED411", "optax.huber_loss"),
    "likelihood": (likelihood_without_its_minus, W, (), 1.0, "QED411", "jnp.mean"),
    "cross-entropy": (cross_entropy_with_a_minus, W, (), 1.0, "QED411", "optax.softmax"),
    "binary, library": (binary_with_a_minus, jnp.zeros(4), (), 1.0, "QED411", "optax.sigmoid"),
    "binary, by hand": (binary_without_its_minus, LINE_AND_OFFSET, (X, BINARY), 0.5, "QED411", "jnp.mean"),
    "evidence": (
        evidence_with_the_wrong_sign,
        {"mean": jnp.ones(4), "log": jnp.zeros(4)},
        (),
        "adam:0.05",
        "QED306",
        None,
    ),
    "updates lost": (line_in_sixteen_bits, NARROW, (X, X @ jnp.full(4, 19.0)), 1e-3, "QED404", None),
    "columns in a dict": (columns_in_a_dict, NO_WEIGHTS, (AREA_AND_ROOMS, X[:, 0] + X[:, 1]), 1e-5, "QED415", None),
    "columns apart": (lambda w: jnp.mean((APART @ w - Y) ** 2), jnp.zeros(4), (), 1e-5, "QED415", None),
}

HEALTHY = {
    "classes first": (classes_first, W, (LABELS,), 0.1),
    "one-hot rows": (rows_as_weights, W, (ONE_HOT,), 0.1),
    "class numbers as an index": (labels_as_an_index, W, (LABELS[:, None],), 0.1),
    "smoothed and weighted": (smoothed_with_weights, W, (ONE_HOT,), 0.1),
    "true quotient": (true_quotient, LINE, (BYTES,), 0.1),
    "centred in floats": (centred_in_floats, LINE, (BYTES,), 0.1),
    "buckets": (embedding_of_buckets, LINE, (BYTES,), 0.1),
    "largest variance": (largest_variance, jnp.ones(4), (), 0.1),
    "most entropy": (most_entropy, W, (), 0.1),
    "reward": (reward, W, (), 0.1),
    "binary": (binary_as_it_is, jnp.zeros(4), (), 1.0),
    "one of two adversaries": (one_of_two_adversaries, jnp.zeros(4), (), 0.1),
    "a plain sum": (sum_of_parameters, jnp.ones(3), (), 1.0),
    "a density that narrows": (density_that_narrows, jnp.float32(1.0), (), 0.1),
    "16 bits, large updates": (line_in_sixteen_bits, NARROW, (X, X @ jnp.full(4, 19.0)), 0.1),
    "columns in a dict, on one scale": (columns_in_a_dict, NO_WEIGHTS, (ON_ONE_SCALE, X[:, 0] + X[:, 1]), 0.05),
    "columns within a factor of ten": (
        lambda w: jnp.mean((NEAR @ w - Y) ** 2),
        jnp.zeros(4),
        (),
        1e-3,
    ),
    "columns apart, one of them idle": (
        lambda w: jnp.mean((APART @ w - 10 * X[:, 1]) ** 2),
        jnp.zeros(4),
        (),
        5e-5,
    ),
}


@pytest.mark.parametrize("name", SICK)
def test_a_mistake_is_named(name):
    loss, at, args, step, code, line = SICK[name]
    answer = qed.why(qed.Problem(loss, at, args, step=step))
    assert code in codes(answer), str(answer)
    assert answer.refuted
    (finding,) = [f for f in answer.findings if f.code == code]
    assert finding.level == "warning"
    if line is not None:
        assert Path(finding.span.file) == Path(__file__)
        assert line in finding.span.text
    assert answer.check()


@pytest.mark.parametrize("name", HEALTHY)
def test_its_twin_is_left_in_peace(name):
    loss, at, args, step = HEALTHY[name]
    answer = qed.why(qed.Problem(loss, at, args, step=step))
    assert [f for f in answer.findings if f.level != "note"] == [], str(answer)


def test_a_softmax_along_the_first_axis_that_is_meant_is_left_in_peace():
    def found(loss):
        prepared = prepare(qed.Problem(loss, W))
        return softmax_over_rows(Case(prepared, Clock()), flatten(prepared.graph, prepared.traced.free))

    assert found(lambda w: softmax_along_the_rows(w, LABELS))
    for loss in (images_with_captions, documents_of_queries, shares_of_classes, several_classes_first):
        assert not found(loss), loss.__name__


# --- the rule ---------------------------------------------------------------------------------------------------


def steep(count):
    """exp of a sum: the first step of Adam moves each term by the rate, and its second moment keeps what follows."""
    return lambda w: jnp.exp(w.sum()) - 3 * w.sum(), jnp.zeros(count)


def test_a_warm_up_that_is_missing_is_told_and_tried():
    loss, at = steep(80)
    answer = qed.why(qed.Problem(loss, at, step="adam:0.3"))
    assert "QED412" in codes(answer), str(answer)
    assert answer.refuted
    (advice,) = [item for item in answer.advice if item.what.startswith("warm-up")]
    assert advice.trial.end < answer.losses[0]
    assert answer.check()


@pytest.mark.parametrize("step", ["adam:0.3", "adam:0.03", optax.adam(optax.linear_schedule(0.0, 0.3, 40))])
def test_a_run_that_recovers_from_its_first_steps_needs_no_warm_up(step):
    loss, at = steep(20)
    assert "QED412" not in codes(qed.why(qed.Problem(loss, at, step=step)))


def normalised(w, x, y):
    z = x @ w["W"]
    h = w["scale"] * (z - z.mean(1, keepdims=True)) / (z.std(1, keepdims=True) + 1e-3) + w["offset"]
    return jnp.mean((jnp.tanh(h) @ w["V"] + w["end"] - y[:, None]) ** 2)


NORMALISED = {
    "W": normal(4, 8),
    "scale": jnp.ones(8),
    "offset": jnp.zeros(8),
    "V": 0.1 * normal(8, 1),
    "end": jnp.zeros(1),
}
TARGET = 3 + jnp.tanh(X[:, 0])


def matrices(tree):
    return jax.tree.map(lambda array: array.ndim > 1, tree)


def test_decay_on_scales_and_offsets_is_told_and_tried():
    answer = qed.why(qed.Problem(normalised, NORMALISED, (X, TARGET), step="adamw:0.02,wd=3"))
    assert "QED413" in codes(answer), str(answer)
    assert {"w['scale']", "w['offset']", "w['end']"} == set(answer.findings[-1].witness["parameters"])
    assert answer.check()


@pytest.mark.parametrize(
    "rule",
    [
        optax.adamw(0.02, weight_decay=0.3, mask=matrices),
        optax.adamw(0.02, weight_decay=1e-4),
        optax.adam(0.02),
    ],
    ids=["masked", "small", "none"],
)
def test_decay_that_does_no_harm_is_left_in_peace(rule):
    answer = qed.why(qed.Problem(normalised, NORMALISED, (X, TARGET), step=rule))
    assert "QED413" not in codes(answer)


def test_a_gradient_that_is_always_clipped_is_a_note_with_its_effective_rate():
    def loss(w):
        return jnp.mean((X @ w - Y) ** 2)

    rule = optax.chain(optax.clip_by_global_norm(0.01), optax.sgd(0.1))
    answer = qed.why(qed.Problem(loss, jnp.zeros(4), step=rule))
    assert codes(answer) == ("QED414",), str(answer)
    (finding,) = answer.findings
    assert finding.level == "note"
    assert finding.witness["threshold"] == pytest.approx(0.01, rel=1e-2)
    assert finding.witness["largest"] == pytest.approx(float(jnp.linalg.norm(jax.grad(loss)(jnp.zeros(4)))), rel=1e-4)


@pytest.mark.parametrize("rule", [optax.sgd(0.1, momentum=0.9), optax.adam(1e-3)])
def test_entries_that_are_always_clipped(rule):
    def clipped_to(bound):
        step = optax.chain(optax.clip(bound), rule)
        return qed.why(qed.Problem(lambda w: jnp.mean((X @ w - 50 * Y) ** 2), jnp.zeros(4), step=step))

    answer = clipped_to(0.01)
    assert codes(answer) == ("QED414",), str(answer)
    assert answer.findings[0].witness["threshold"] == pytest.approx(0.01, rel=1e-2)
    assert "not positive" not in str(answer)
    assert "QED414" not in codes(clipped_to(1e4))


@pytest.mark.parametrize("bound", [1.0, 1e3])
def test_a_gradient_that_is_clipped_at_first_or_never_is_not(bound):
    rule = optax.chain(optax.clip_by_global_norm(bound), optax.sgd(0.1))
    answer = qed.why(qed.Problem(lambda w: jnp.mean((X @ w - Y) ** 2), jnp.zeros(4), step=rule))
    assert codes(answer) == ()


def double():
    """JAX with float64 switched on, for a while."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64

    return enable_x64()


def test_promotion_to_double_is_a_note_at_its_line():
    with double():
        wide, target = np.asarray(X, np.float64), jnp.asarray(Y)
        answer = qed.why(qed.Problem(lambda w: jnp.mean((wide @ w - target) ** 2), jnp.zeros(4, jnp.float32), step=0.1))
        assert codes(answer) == ("QED213",), str(answer)
        assert "wide @ w" in answer.findings[0].span.text
        assert answer.findings[0].level == "note"


def test_a_cast_that_is_written_is_meant():
    with double():
        answer = qed.why(
            qed.Problem(lambda w: jnp.sum((w.astype(jnp.float64) - 1.0) ** 2), jnp.zeros(4, jnp.float32), step=0.1)
        )
        assert codes(answer) == ()


# --- batch statistics in what is evaluated ----------------------------------------------------------------------


def normalised_over_rows(x, w):
    z = x @ w
    return jnp.tanh((z - z.mean(0)) / (z.std(0) + 1e-3)) @ w.T


def normalised_over_features(x, w):
    z = x @ w
    return jnp.tanh((z - z.mean(1, keepdims=True)) / (z.std(1, keepdims=True) + 1e-3))


def centred_by_training_data(x, w):
    return jnp.tanh((x - X.mean(0)) / X.std(0) @ w)


def distances_between_rows(x, w):
    z = x @ w
    return ((z[:, None] - z[None]) ** 2).sum(-1)


def error_of_all(x, w):
    return jnp.mean((normalised_over_rows(x, w) - 1) ** 2)


@pytest.mark.parametrize("function", [normalised_over_rows, error_of_all])
def test_batch_statistics_in_evaluation_are_told(function):
    (answer,) = statistics_of_the_batch(trace(function, X, W), "predict")
    (finding,) = answer.findings
    assert finding.code == "QED416"
    assert "z.mean(0)" in finding.span.text
    assert finding.level == ("warning" if function is normalised_over_rows else "note")


@pytest.mark.parametrize("function", [normalised_over_features, centred_by_training_data, distances_between_rows])
def test_other_means_are_left_in_peace(function):
    assert statistics_of_the_batch(trace(function, X, W), "predict") == []
