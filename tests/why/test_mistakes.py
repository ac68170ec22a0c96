"""The common mistakes: each is found at its line, its healthy twin is left in peace, and so is what looks alike."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import qed
from qed.why.case import Case, Clock
from qed.why.mistakes import divergence, gradient, keys, outer, softmax
from qed.why.mistakes.flat import flatten
from qed.why.prepare import prepare

_spec = importlib.util.spec_from_file_location("healthy_twins", Path(__file__).with_name("healthy.py"))
healthy = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(healthy)

RNG = np.random.default_rng(0)


def normal(*shape):
    return jnp.asarray(RNG.standard_normal(shape), jnp.float32)


X = normal(40, 4)
Y = X @ jnp.arange(1.0, 5.0)
LABELS = jnp.arange(40) % 3
ONE_HOT = jax.nn.one_hot(LABELS, 3)
W = normal(4, 3)
NOISE = normal(40, 4)


def codes(answer):
    return tuple(finding.code for finding in answer.findings)


# --- the mistakes, each with its twin -------------------------------------------------------------------------


def column_against_row(w):
    p = X @ w["W"] + w["b"]
    return jnp.mean((p - Y) ** 2)


def column_against_column(w):
    p = X @ w["W"] + w["b"]
    return jnp.mean((p - Y[:, None]) ** 2)


COLUMN = Y[:, None]


def row_against_column(w):
    return jnp.sum(jnp.abs(X @ w - COLUMN)) / 40


def row_against_row(w):
    return jnp.sum(jnp.abs(X @ w - COLUMN[:, 0])) / 40


def softmax_before_cross_entropy(w):
    p = jax.nn.softmax(X @ w)
    return optax.softmax_cross_entropy_with_integer_labels(p, LABELS).mean()


def logits_to_cross_entropy(w):
    return optax.softmax_cross_entropy_with_integer_labels(X @ w, LABELS).mean()


def softmax_twice_by_hand(w):
    p = jnp.exp(X @ w)
    q = jnp.exp(p / p.sum(1, keepdims=True))
    return -jnp.mean(jnp.sum(ONE_HOT * jnp.log(q / q.sum(1, keepdims=True)), 1))


def softmax_once_by_hand(w):
    p = jnp.exp(X @ w)
    return -jnp.mean(jnp.sum(ONE_HOT * jnp.log(p / p.sum(1, keepdims=True)), 1))


TARGETS = jax.nn.softmax(normal(40, 3))


def divergence_of_probabilities(w):
    return optax.losses.kl_divergence(jax.nn.softmax(X @ w), TARGETS).mean()


def divergence_of_logarithms(w):
    return optax.losses.kl_divergence(jax.nn.log_softmax(X @ w), TARGETS).mean()


def share_of_errors(w):
    return jnp.mean(jnp.argmax(X @ w, 1) != LABELS)


def rounded_weights(w):
    return jnp.mean((X @ w["a"] + X @ jnp.round(4 * w["b"]) / 4 - Y) ** 2)


def rounded_weights_passed_through(w):
    b = w["b"] + jax.lax.stop_gradient(jnp.round(4 * w["b"]) / 4 - w["b"])
    return jnp.mean((X @ w["a"] + X @ b - Y) ** 2)


def rectified(w):
    h = jax.nn.relu(X @ w["W"] + w["b"])
    return jnp.mean((h @ w["v"] - Y) ** 2)


def layer(offset):
    return {"W": jnp.tile(W, 2), "b": jnp.full(6, offset), "v": jnp.ones(6) / 6}


SICK = {
    "column against row": (column_against_row, {"W": jnp.zeros((4, 1)), "b": jnp.zeros(1)}, "QED211", "p - Y"),
    "row against column": (row_against_column, jnp.zeros(4), "QED211", "X @ w - COLUMN"),
    "softmax in the model": (softmax_before_cross_entropy, W, "QED607", "softmax_cross_entropy"),
    "softmax by hand": (softmax_twice_by_hand, W, "QED607", "q = jnp.exp"),
    "divergence of probabilities": (divergence_of_probabilities, W, "QED608", "kl_divergence"),
    "share of errors": (share_of_errors, W, "QED102", "argmax"),
    "rounded weights": (rounded_weights, {"a": jnp.ones(4), "b": jnp.full(4, 0.3)}, "QED102", "round"),
    "dead layer": (rectified, layer(-50.0), "QED106", "relu"),
}

HEALTHY = {
    "column against column": (column_against_column, {"W": jnp.zeros((4, 1)), "b": jnp.zeros(1)}),
    "row against row": (row_against_row, jnp.zeros(4)),
    "logits": (logits_to_cross_entropy, W),
    "softmax by hand": (softmax_once_by_hand, W),
    "divergence of logarithms": (divergence_of_logarithms, W),
    "straight through": (rounded_weights_passed_through, {"a": jnp.ones(4), "b": jnp.full(4, 0.3)}),
    "layer that fires": (rectified, layer(0.0)),
}


@pytest.mark.parametrize("name", SICK)
def test_a_mistake_is_named_at_its_line(name):
    loss, at, code, line = SICK[name]
    answer = qed.why(qed.Problem(loss, at, step=0.05))
    assert codes(answer) == (code,), str(answer)
    (finding,) = answer.findings
    assert finding.level == "warning"
    assert Path(finding.span.file) == Path(__file__)
    assert line in finding.span.text
    assert answer.refuted
    assert answer.check()
    assert "Nothing speaks against" not in str(answer)
    assert all(item.standing == "TRIED" and item.trial.finite for item in answer.advice)


@pytest.mark.parametrize("name", HEALTHY)
def test_its_twin_is_left_in_peace(name):
    loss, at = HEALTHY[name]
    answer = qed.why(qed.Problem(loss, at, step=0.05))
    assert codes(answer) == (), str(answer)


def test_the_two_predictions_hold():
    """The loss of all against all ends at the variance of the labels; the softmax of a softmax is below its bound."""
    table = qed.why(qed.Problem(*SICK["column against row"][:2], step=0.1))
    (floor,) = [r for part in table.walk() for r in part.reasons if r.rule == "variance of the labels"]
    assert floor.observed == pytest.approx(floor.predicted, rel=1e-3)
    (advice,) = table.advice
    assert advice.trial.end < 1e-3 * advice.trial.start
    twice = qed.why(qed.Problem(softmax_before_cross_entropy, 50 * W, step=None))
    (bound,) = [r for part in twice.walk() for r in part.reasons if r.rule == "softmax of numbers between 0 and 1"]
    assert bound.predicted == pytest.approx(np.e / (np.e + 2))
    assert 0.95 * bound.predicted < bound.observed <= bound.predicted * (1 + 1e-6)


# --- notes ----------------------------------------------------------------------------------------------------


def test_what_is_frozen_on_purpose_is_a_note():
    def loss(w):
        return jnp.mean((jnp.tanh(X @ jax.lax.stop_gradient(w["back"])) @ w["head"] - Y) ** 2) + 0 * jnp.sum(w["head"])

    answer = qed.why(qed.Problem(loss, {"back": W, "head": jnp.zeros(3), "spare": jnp.ones(2)}, step=0.05))
    assert codes(answer) == ("QED102", "QED102")
    assert {finding.level for finding in answer.findings} == {"note"}
    assert answer.measured
    said = [finding.message for finding in answer.findings]
    assert "w['spare'] is not trained: the loss does not use it" in said
    assert any("w['back']" in text and "stop_gradient" in text for text in said)


def test_a_sum_over_the_rows_is_named_beside_a_step_that_is_too_large():
    answer = qed.why(qed.Problem(lambda w: jnp.sum((X @ w - Y) ** 2), jnp.zeros(4), step=0.1))
    assert codes(answer) == ("QED401", "QED201", "QED409")
    assert answer.findings[-1].level == "note"
    (mean,) = [item for item in answer.advice if "average" in item.what]
    assert mean.trial.finite and mean.trial.end < 1e-6 * mean.trial.start
    for reduce, step in ((jnp.sum, 0.001), (jnp.mean, 1.0)):
        twin = qed.why(qed.Problem(lambda w, reduce=reduce: reduce((X @ w - Y) ** 2), jnp.zeros(4), step=step))
        assert "QED409" not in codes(twin)


def test_a_key_used_twice_is_a_note_and_split_or_folded_keys_are_not():
    def loss(w, key, derive):
        a, b = (jax.random.bernoulli(each, 0.8, X.shape) for each in derive(key))
        return jnp.mean(((X * a) @ w - Y + (X * b) @ w) ** 2)

    def found(derive):
        prepared = prepare(qed.Problem(lambda w, key: loss(w, key, derive), jnp.zeros(4), key=jax.random.key(0)))
        flat = flatten(prepared.graph, prepared.traced.free)
        return [f.code for answer in keys.same_key(Case(prepared, Clock()), flat) for f in answer.findings]

    assert found(lambda key: (key, key)) == ["QED609"]
    assert found(lambda key: (jax.random.split(key)[0], jax.random.split(key)[0])) == ["QED609"]
    assert found(jax.random.split) == []
    assert found(lambda key: (jax.random.fold_in(key, 0), jax.random.fold_in(key, 1))) == []
    assert found(lambda key: (key, jax.random.split(key)[0])) == []


# --- no false alarm: what looks alike raises not even a suspicion ---------------------------------------------


def suspicions(problem):
    """The codes that the graph alone gives reason to look for; nothing is compiled."""
    prepared = prepare(problem)
    flat = flatten(prepared.graph, prepared.traced.free)
    tables = [equation for equation in flat.graph.equations if outer._is_table(equation)]
    mutual = any(all(flat.on_parameters(atom) for atom in equation.inputs) for equation in tables)
    crosswise = not mutual and any(outer._read(flat, e) and outer._written_bare(e) for e in tables)
    found = {item.why for item in gradient._fixed(Prepares(prepared))}
    found |= {"QED608"} if list(divergence._candidates(flat)) else set()
    return found | ({"QED211"} if crosswise else set()) | ({"QED607"} if list(softmax._candidates(flat)) else set())


class Prepares:
    def __init__(self, prepared):
        self.prepared = prepared


EXPECTED = {
    "loss_that_ignores_a_parameter": {"unused"},
    "loss_that_is_a_python_number": {"unused"},
}


@pytest.mark.parametrize("name", [name for name in healthy.CASES if "edge_of_stability" not in name])
def test_no_healthy_run_is_suspected(name):
    assert suspicions(healthy.CASES[name]()) == EXPECTED.get(name, set())


def by_hand(name):
    column, row = X @ jnp.ones((4, 1)), X @ jnp.ones(4)
    probabilities = jax.nn.softmax
    return {
        "ranking": lambda w: jnp.mean(jax.nn.softplus((X @ w)[:, None] - (X @ w)[None, :])),
        "written pairs": lambda w: jnp.mean(((X @ w)[:, None] - Y[None, :]) ** 2),
        "written column": lambda w: jnp.mean(((X @ w)[:, None] - Y) ** 2),
        "energy distance": lambda w: (
            jnp.mean(jnp.abs(NOISE @ w[:, None] - Y))
            - 0.5 * jnp.mean(jnp.abs(NOISE @ w[:, None] - (NOISE @ w[:, None]).T))
        ),
        "kernel of data": lambda w: jnp.mean(jnp.exp(-((column - row) ** 2) * w[0] ** 2)),
        "kernel mean": lambda w: jnp.mean(jnp.exp(-((NOISE @ w[:, None] - Y) ** 2))),
        "nearest": lambda w: jnp.mean(((NOISE @ w[:, None] - Y) ** 2).min(0)),
        "centres": lambda w: jnp.mean((Y[:, None] - w) ** 2),
        "log_softmax twice": lambda w: optax.softmax_cross_entropy(
            jax.nn.log_softmax(X @ w[:, None] * ONE_HOT), ONE_HOT
        ).sum(),
        "teacher": lambda w: optax.softmax_cross_entropy(X @ W * w[0], probabilities(X @ W)).mean(),
        "scaled": lambda w: optax.softmax_cross_entropy(9 * probabilities(X @ W * w[0]), ONE_HOT).mean(),
        "smooth maximum": lambda w: jnp.mean(jax.nn.logsumexp(probabilities(X @ W * w[0]), 1)),
        "attention": lambda w: jnp.mean(jax.nn.log_softmax(probabilities(X @ W * w[0]) @ W.T)),
        "reversed": lambda w: optax.losses.kl_divergence(jnp.log(TARGETS), probabilities(X @ W * w[0])).mean(),
        "entropy": lambda w: jnp.mean(probabilities(X @ W * w[0]) * jax.nn.log_softmax(X @ W * w[0])),
        "gate": lambda w: jnp.mean((X @ w) * (X @ w > 0)),
        "straight through": lambda w: jnp.mean(X @ (w + jax.lax.stop_gradient(jnp.sign(w) - w))),
    }[name]


ALIKE = [
    "ranking", "written pairs", "written column", "energy distance", "kernel of data", "kernel mean", "nearest",
    "centres", "log_softmax twice", "teacher", "scaled", "smooth maximum", "attention", "gate", "straight through",
    "reversed", "entropy",
]  # fmt: skip


@pytest.mark.parametrize("name", ALIKE)
def test_what_looks_alike_is_not_suspected(name):
    assert suspicions(qed.Problem(by_hand(name), jnp.ones(4))) == set()


def test_the_logarithm_of_a_measured_quantity_is_no_distribution():
    amounts = jnp.exp(normal(40, 3))

    def loss(w):
        return jnp.mean(TARGETS * (jnp.log(amounts) - jax.nn.softmax(X @ w)))

    assert "QED608" not in codes(qed.why(qed.Problem(loss, W, step=0.05)))


def test_a_layer_that_wakes_up_is_no_dead_layer():
    """Its offset is far below zero at the start, and another path of the loss lifts it."""

    def loss(w):
        h = jax.nn.relu(X @ w["W"] + w["b"])
        return jnp.mean((h @ w["v"] - Y) ** 2) + jnp.mean((w["b"] - 1.0) ** 2)

    assert codes(qed.why(qed.Problem(loss, layer(-30.0), step=0.05))) == ()


def test_a_layer_that_dies_in_the_run_is_named():
    """What it adds is positive, and the target far below: one step too many, and nothing fires again."""

    def loss(w):
        h = jax.nn.relu(X @ w["W"] + w["b"])
        return jnp.mean((h @ jax.nn.softplus(w["v"]) + 5.0) ** 2)

    answer = qed.why(qed.Problem(loss, layer(0.1), step=0.1))
    (dead,) = [finding for finding in answer.findings if finding.code == "QED106"]
    assert dead.witness["step"] > 0
    assert dead.witness["dead"] == 6
    assert dead.message.startswith("after")


def test_a_converged_hinge_loss_has_no_dead_units():
    """All its terms are zero when every row is on the right side by enough: nothing is dead."""

    def loss(w):
        z = X @ w
        right = jnp.take_along_axis(z, jnp.argmax(X @ W, 1)[:, None], 1)
        return jnp.mean(jnp.sum(jax.nn.relu(0.001 + z - right), 1))

    assert "QED106" not in codes(qed.why(qed.Problem(loss, 1e3 * W, step=1e-3)))
