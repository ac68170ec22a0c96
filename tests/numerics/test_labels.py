"""A confident softmax with a label that is data: the derivative in the true class is minus the sum of the others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.trace import trace
from qed.numerics.rewriting import session

Z = np.array([[1.0, 2.0, 30.0], [40.0, -3.0, 5.0], [0.3, 0.1, -0.2], [0.0, 0.0, 60.0]], np.float32)
LABELS = np.array([2, 0, 1, 0])


def by_hand(z):
    return jnp.exp(z) / jnp.exp(z).sum(-1, keepdims=True)


def one_hot(y):
    return jax.nn.one_hot(y, 3)


ROWS = {
    "library, arange": lambda z, y: jax.nn.log_softmax(z)[jnp.arange(len(y)), y],
    "library, take": lambda z, y: jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1)[:, 0],
    "library, one-hot": lambda z, y: jnp.sum(one_hot(y) * jax.nn.log_softmax(z), -1),
    "library, einsum": lambda z, y: jnp.einsum("ij,ij->i", one_hot(y), jax.nn.log_softmax(z)),
    "library, where": lambda z, y: jnp.sum(jnp.where(jnp.arange(3) == y[:, None], jax.nn.log_softmax(z), 0), -1),
    "softmax, vmap": lambda z, y: jax.vmap(lambda r, k: jnp.log(jax.nn.softmax(r)[k]))(z, y),
    "hand, take": lambda z, y: jnp.log(jnp.take_along_axis(by_hand(z), y[:, None], axis=1)[:, 0]),
    "hand, arange": lambda z, y: jnp.log(by_hand(z)[jnp.arange(len(y)), y]),
    "hand, one-hot": lambda z, y: jnp.sum(one_hot(y) * jnp.log(by_hand(z)), -1),
    "hand, vmap": lambda z, y: jax.vmap(lambda r, k: jnp.log(jnp.exp(r)[k] / jnp.sum(jnp.exp(r))))(z, y),
    "library, mask of shares": lambda z, y: jnp.log(jnp.sum(one_hot(y) * jax.nn.softmax(z), -1)),
    "shifted": lambda z, y: _shifted(z, y),
    "logsumexp": lambda z, y: jnp.take_along_axis(z, y[:, None], 1)[:, 0] - jax.nn.logsumexp(z, axis=-1),
}
"""The logarithms of the probabilities of the labels, a row each."""


def _shifted(z, y):
    u = z - jax.lax.stop_gradient(jnp.max(z, axis=-1, keepdims=True))
    return jnp.take_along_axis(u, y[:, None], axis=-1)[:, 0] - jnp.log(jnp.sum(jnp.exp(u), axis=-1))


def true_of(z, y):
    """The logarithm and its derivative of each row, in float64: positive sums, log1p and quotients of them."""
    values, slopes = [], []
    for row, label in zip(z.astype(np.float64), y, strict=True):
        gaps = np.exp(row - row[label])
        others, total = np.sum(np.delete(gaps, label)), np.sum(gaps)
        slope = -gaps / total
        slope[label] = others / total
        values.append(-np.log1p(others))
        slopes.append(slope)
    return np.array(values), np.array(slopes)


@pytest.mark.parametrize("name", ROWS)
def test_the_entry_of_a_label_keeps_its_digits(name):
    function = ROWS[name]
    values, slopes = true_of(Z, LABELS)
    stable = jax.jit(jax.value_and_grad(qed.stabilize(lambda z, y: function(z, y)[0])))
    for k in range(len(Z)):
        z, y = jnp.asarray(Z[k : k + 1]), jnp.asarray(LABELS[k : k + 1])
        found, slope = stable(z, y)
        np.testing.assert_allclose(found, values[k], rtol=4e-7)
        np.testing.assert_allclose(slope[0], slopes[k], rtol=4e-7)


@pytest.mark.parametrize("name", ["library, take", "hand, arange", "softmax, vmap"])
def test_a_batch_of_labels(name):
    stable = qed.stabilize(lambda z, y: -jnp.mean(ROWS[name](z, y)))
    slopes = jax.grad(stable)(jnp.asarray(Z), jnp.asarray(LABELS))
    np.testing.assert_allclose(slopes, -true_of(Z, LABELS)[1] / len(Z), rtol=6e-7)


LOSSES = {
    "ignored": lambda z, y: -jnp.sum(jnp.where(y >= 0, _taken(jax.nn.log_softmax(z), jnp.where(y >= 0, y, 0)), 0.0)),
    "weights": lambda z, y: -jnp.sum(jnp.array([1.0, 0.5, 3.0])[y] * _taken(jnp.log(jax.nn.softmax(z)), y)),
}


def _taken(rows, y):
    return jnp.take_along_axis(rows, y[:, None], axis=1)[:, 0]


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_labels(name):
    weights = {"ignored": np.ones(4), "weights": np.array([3.0, 1.0, 0.5, 1.0])}[name]
    labels = LABELS.copy()
    if name == "ignored":
        labels[2], weights[2] = -1, 0
    slopes = jax.grad(qed.stabilize(LOSSES[name]))(jnp.asarray(Z), jnp.asarray(labels))
    expected = -true_of(Z, np.maximum(labels, 0))[1] * weights[:, None]
    np.testing.assert_allclose(slopes, expected, rtol=1e-6)


def test_what_is_left_of_a_softmax_at_a_label():
    stable = qed.stabilize(lambda z, y: 1 - jax.nn.softmax(z)[y])
    z = jnp.asarray(Z[0])
    q = -np.expm1(true_of(Z[:1], [2])[0][0])
    assert float(stable(z, jnp.int32(2))) == pytest.approx(q, rel=4e-7)
    assert jax.grad(stable)(z, jnp.int32(2))[2] == pytest.approx(-q, rel=4e-7)


def test_one_of_two():
    stable = qed.stabilize(lambda a, b: -jnp.log(jnp.exp(a) / (jnp.exp(a) + jnp.exp(b))))
    slopes = jax.grad(stable, (0, 1))(jnp.float32(20.0), jnp.float32(-20.0))
    np.testing.assert_allclose(slopes, [-np.exp(-40.0), np.exp(-40.0)], rtol=4e-7)


def test_masked_logits_have_no_part_in_it():
    def loss(z, m, y):
        return -jax.nn.log_softmax(jnp.where(m, z, -jnp.inf))[y]

    z, m = jnp.array([3.0, 700.0, 40.0, 1.0]), jnp.array([True, False, True, True])
    value, slope = jax.value_and_grad(qed.stabilize(loss))(z, m, jnp.int32(2))
    values, slopes = true_of(np.array([[3.0, 40.0, 1.0]]), [1])
    np.testing.assert_allclose(value, -values[0], rtol=4e-7)
    np.testing.assert_allclose(slope, [-slopes[0][0], 0, -slopes[0][1], -slopes[0][2]], rtol=4e-7)


def test_a_largest_of_many_that_is_no_label_keeps_its_part():
    z = jnp.zeros(5000).at[7].set(1e-3)
    slope = jax.grad(qed.stabilize(lambda z, y: -jax.nn.log_softmax(z)[y]))(z, jnp.int32(3))
    assert slope[7] == pytest.approx(np.exp(np.float64(z[7])) / (4999 + np.exp(np.float64(z[7]))), rel=4e-7)


@pytest.mark.parametrize(
    "function",
    [
        lambda z, y: jnp.log(jnp.sum(jnp.exp(z))) - z.at[y].get(mode="fill", fill_value=0.0),
        lambda z, y: jnp.log(jnp.sum(jnp.exp(jnp.outer(z, z)), axis=1))[0] - jnp.outer(z, z)[y, 0],
        lambda z, y: jax.nn.log_softmax(jnp.outer(z, z), axis=0)[y, 1] - jnp.outer(z, z)[1, y],
        lambda z, y: jnp.log(jnp.take(jnp.exp(z) / jnp.sum(jnp.exp(z)), y, mode="fill", fill_value=1.0)),
    ],
)
@pytest.mark.parametrize("label", [-9, -1, 0, 2, 7])
def test_what_is_no_entry_of_its_row_is_none(function, label):
    """An index out of bounds, another row, another axis."""
    z = jnp.array([1.0, 2.0, 3.0])
    y = jnp.int32(label)
    np.testing.assert_allclose(qed.stabilize(function)(z, y), function(z, y), rtol=1e-5)


def test_a_shift_along_another_axis_is_none():
    def function(x, y):
        u = x - jnp.max(x, axis=1)  # the maximum of row j in column j
        return u[0, y] - jnp.log(jnp.sum(jnp.exp(u), axis=1))[0]

    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 3)), jnp.float32)
    for label in range(3):
        np.testing.assert_allclose(qed.stabilize(function)(x, jnp.int32(label)), function(x, label), rtol=1e-5)


@pytest.mark.parametrize(
    "function",
    [
        lambda z, y: jax.nn.log_softmax(z),
        lambda z, y: jax.nn.log_softmax(z)[1],
        lambda z, y: jax.nn.log_softmax(z) @ jnp.array([0.3, 0.2, 0.5]),
        lambda z, y: -jnp.sum(z[::-1] * jax.nn.log_softmax(z)),
        lambda z, y: jax.nn.softmax(z)[y],
    ],
)
def test_what_no_data_choose_from_stays(function):
    graph = trace(function, jnp.asarray(Z[2]), jnp.int32(1)).graph
    assert not session.rewrite(graph).changes


def test_rewrites_name_the_law():
    answer = qed.stabilize(lambda z, y: -jax.nn.log_softmax(z)[y]).rewrites(jnp.asarray(Z[0]), jnp.int32(2))
    assert any("log1p(sum(exp(a_j - a_i))" in each.identity for each in answer.value.rewrites)


TEMPERED = {
    "divided": (lambda z, y: jnp.log(jnp.sum(jnp.exp(z / 3))) - z[y] / 3, 1 / 3),
    "multiplied": (lambda z, y: 0.5 * z[y] - jnp.log(jnp.sum(jnp.exp(z * 0.5))), -1 / 2),
    "one-hot": (lambda z, y: jnp.log(jnp.sum(jnp.exp(z))) - jnp.sum(jax.nn.one_hot(y, 3) * z), 1.0),
    "one-hot, the library's": (lambda z, y: jax.nn.logsumexp(z) - jnp.sum(z * (jnp.arange(3) == y)), 1.0),
}


@pytest.mark.parametrize("name", TEMPERED)
def test_a_logarithm_of_a_sum_beside_a_label_of_scaled_or_one_hot_logits(name: str) -> None:
    fun, c = TEMPERED[name]
    rows, labels = np.float32([[1, 2, 40], [300, -5, 2], [1, 2, 3]]), np.int32([2, 1, 0])
    stable = session.rewrite(trace(fun, rows[0], labels[0]).graph).function
    found = jax.vmap(jax.value_and_grad(lambda z, y: stable(z, y)[0]))(rows, labels)
    wide = abs(c) * rows.astype(np.float64)
    gaps = wide - wide[np.arange(3), labels][:, None]
    others = np.exp(gaps) * (np.arange(3) != labels[:, None])
    p = others / (1 + others.sum(1, keepdims=True))
    slopes = c * (p - (np.arange(3) == labels[:, None]) * p.sum(1, keepdims=True))
    np.testing.assert_allclose(found[0], np.sign(c) * np.log1p(others.sum(1)), rtol=3e-6)
    np.testing.assert_allclose(found[1], slopes, rtol=3e-6, atol=1e-37)


def test_a_one_hot_row_of_no_label_and_weights_of_any_size_are_no_label() -> None:
    z, fun = np.float32([0.5, 2, 1]), TEMPERED["one-hot"][0]
    stable = session.rewrite(trace(fun, z, np.int32(0)).graph).function
    np.testing.assert_allclose(stable(z, np.int32(7))[0], fun(z, 7), rtol=1e-6)
    weighted = session.rewrite(trace(lambda z, w: jax.nn.logsumexp(z) - jnp.sum(w * z), z, z).graph)
    assert not weighted.changes
    other = session.rewrite(
        trace(lambda z, y: jnp.log(jnp.sum(jnp.exp(z / 3))) - z[y] / 2, z, np.int32(0)).graph
    ).function
    np.testing.assert_allclose(other(z, np.int32(1))[0], np.log(np.sum(np.exp(z / 3))) - 1.0, rtol=1e-6)
