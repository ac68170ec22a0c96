"""Convexity of losses over many rows: by rules of whole arrays, with a certificate that is checked again."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from qed import convexity
from qed.calculus.shapes.arrays import of_arrays
from qed.certificates.certificate import Certificate
from qed.errors import CertificateError

RANDOM = np.random.default_rng(0)
ROWS, TARGETS = RANDOM.standard_normal((12, 3)), RANDOM.standard_normal(12)
SIGNS = np.where(TARGETS > 0, 1.0, -1.0)
TRUTH = (SIGNS + 1) / 2
LABELS = np.arange(12) % 4
HOT = np.eye(4)[LABELS]
WHOLE = np.full(3, -np.inf), np.full(3, np.inf)


def hand(w):
    p = 1 / (1 + jnp.exp(-ROWS @ w))
    return -jnp.mean(TRUTH * jnp.log(p) + (1 - TRUTH) * jnp.log(1 - p))


CONVEX = {
    "logistic": lambda w: jnp.mean(jnp.logaddexp(0, ROWS @ w) - TRUTH * (ROWS @ w)) + 0.01 * w @ w,
    "logistic by hand": hand,
    "logistic, signs": lambda w: jnp.mean(jnp.log(1 + jnp.exp(-SIGNS * (ROWS @ w)))),
    "cross-entropy of optax": lambda w: optax.sigmoid_binary_cross_entropy(ROWS @ w, TRUTH).mean(),
    "Huber": lambda w: optax.huber_loss(ROWS @ w, TARGETS).mean(),
    "hinge": lambda w: jnp.mean(jnp.maximum(0, 1 - SIGNS * (ROWS @ w))) + jnp.sum(jnp.abs(w)),
    "Poisson": lambda w: jnp.mean(jnp.exp(ROWS @ w) - TRUTH * (ROWS @ w)),
    "quantile": lambda w: jnp.mean(
        jnp.where(ROWS @ w - TARGETS > 0, 0.9 * (ROWS @ w - TARGETS), -0.1 * (ROWS @ w - TARGETS))
    ),
    "a norm": lambda w: jnp.linalg.norm(ROWS @ w - TARGETS) + jnp.max(jnp.abs(ROWS @ w)),
    "log-sum-exp": lambda w: jax.nn.logsumexp(ROWS @ w) + jnp.log(jnp.sum(jnp.exp(-2 * (ROWS @ w)))),
    "softmax": lambda w: optax.softmax_cross_entropy_with_integer_labels(
        jnp.outer(TARGETS, jnp.append(w, 0.0)), LABELS
    ).mean(),
    "softmax, one-hot": lambda w: -jnp.sum(HOT * jax.nn.log_softmax(jnp.outer(TARGETS, jnp.append(w, 0.0)), axis=1)),
    "log of softmax": lambda w: -jnp.mean(jnp.log(jax.nn.softmax(jnp.outer(TARGETS, jnp.append(w, 0.0)))[:, 1])),
    "roots of exponentials": lambda w: jnp.sum(jnp.sqrt(jnp.exp(ROWS @ w)) / jnp.exp(TARGETS * w[0])),
}
NEITHER = {
    "a network": lambda w: jnp.mean((jnp.tanh(ROWS @ w) - TARGETS) ** 2),
    "products of other places": lambda w: jnp.sum((ROWS @ w) * jnp.flip(ROWS @ w)),
    "a sum with other places": lambda w: jnp.sum(jnp.exp(w) * jnp.exp(-w[::-1]) - jnp.exp(-2 * w)),
    "the difference of two lengths": lambda w: jnp.sum(w * w) - jnp.sum((ROWS @ w) ** 2),
    "Cauchy": lambda w: jnp.mean(jnp.log1p((ROWS @ w - TARGETS) ** 2)),
    "the peak of other rows": lambda w: jnp.log(jnp.sum(jnp.exp(w - jnp.max(2 * w)))) + jnp.max(3 * w),
    "peaks put elsewhere": lambda w: jnp.sum(
        jnp.max(jnp.outer(TARGETS, w), 1)[::-1]
        + jnp.log(jnp.sum(jnp.exp(jnp.outer(TARGETS, w) - jnp.max(jnp.outer(TARGETS, w), 1, keepdims=True)), 1))
    ),
    "a root of what may be negative": lambda w: -jnp.sum(jnp.sqrt(ROWS @ w)),
    "divided by what changes sign": lambda w: jnp.sum((ROWS @ w) ** 2 / TARGETS),
    "a smaller one of two": lambda w: jnp.sum(jnp.minimum((ROWS @ w) ** 2, 1.0)),
}


@pytest.mark.parametrize("name", CONVEX)
def test_convex_losses_are_proved(name):
    proof = of_arrays(CONVEX[name], np.zeros(3), (), ([WHOLE[0]], [WHOLE[1]]))
    assert proof is not None and proof.claim in ("convex", "affine")


@pytest.mark.parametrize("name", NEITHER)
def test_what_is_neither_is_not_proved(name):
    assert of_arrays(NEITHER[name], np.zeros(3), (), ([WHOLE[0]], [WHOLE[1]])) is None


def test_a_box_decides_what_the_whole_space_does_not():
    def fun(w):
        return jnp.sum(jnp.tanh(ROWS[:3] ** 2 @ w))

    assert of_arrays(fun, np.zeros(3), (), ([np.zeros(3)], [np.ones(3)])).claim == "concave"
    assert of_arrays(fun, np.zeros(3), (), ([-np.ones(3)], [np.zeros(3)])).claim == "convex"
    assert of_arrays(fun, np.zeros(3), (), ([-np.ones(3)], [np.ones(3)])) is None


def test_a_loss_over_many_rows_is_proved_and_checked():
    rows = np.random.default_rng(1).standard_normal((30_000, 8)).astype(np.float32)
    truth = (rows[:, 0] > 0).astype(np.float32)

    def loss(p):
        z = rows @ p["w"] + p["b"]
        return jnp.mean(jnp.maximum(z, 0) - z * truth + jnp.log1p(jnp.exp(-jnp.abs(z)))) + 1e-3 * jnp.sum(p["w"] ** 2)

    ends = ({"w": np.full(8, end, np.float32), "b": np.float32(end)} for end in (-np.inf, np.inf))
    answer = convexity(loss, tuple(ends))
    assert answer.proved and str(answer.shape) == "convex" and answer.check()
    assert answer.certificate.kind == "disciplined_convexity"
    assert "array by array" in answer.reasons[0].text and "1 elementwise part is" in answer.reasons[0].text


def test_another_proof_and_another_function_are_refused():
    proof = of_arrays(CONVEX["logistic"], np.zeros(3), (), ([WHOLE[0]], [WHOLE[1]]))
    read = Certificate.from_json(proof.to_json())
    assert read.verify(CONVEX["logistic"], np.zeros(3))
    with pytest.raises(CertificateError, match="another function"):
        read.verify(CONVEX["Huber"], np.zeros(3))
    shown = [k for k, (_, rows) in enumerate(proof.terms) if rows]
    assert shown
    (claim, rows), k = proof.terms[shown[0]], shown[0]
    for other in (
        {"claim": "affine"},
        {"claim": "sharp"},
        {"terms": ()},
        {"terms": (*proof.terms, ("convex", ()))},
        {"terms": tuple(("concave", r) for _, r in proof.terms)},
        {"terms": (*proof.terms[:k], (claim, ()), *proof.terms[k + 1 :])},
        {"terms": (*proof.terms[:k], (claim, rows[:-1]), *proof.terms[k + 1 :])},
        {"terms": (*proof.terms[:k], (claim, ((*rows[-1][:1], "affine", *rows[-1][2:]),)), *proof.terms[k + 1 :])},
    ):
        with pytest.raises(CertificateError):
            replace(proof, **other).sealed().verify()


def test_the_program_itself_refutes_wrong_rules(monkeypatch):
    from qed.domains import array_shapes
    from qed.domains.array_shapes import CONVEX as MARK

    monkeypatch.setattr(array_shapes, "added", lambda x, y: np.full(np.shape(x.bits & y.bits), MARK))
    assert of_arrays(lambda w: jnp.sum(jnp.sin(w) + jnp.cos(2 * w)), np.zeros(3), (), ([WHOLE[0]], [WHOLE[1]])) is None
