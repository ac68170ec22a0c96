"""The chain rule for arrays: closed forms, Jacobians with shapes, and numbers that are those of jax.grad."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.calculus.deriving.matrix import matrix_derivation
from qed.graph.function import read
from qed.report.text import text

RNG = np.random.default_rng(7)
X = jnp.asarray(RNG.standard_normal((7, 3)))
y = jnp.asarray(RNG.standard_normal(7))
w = jnp.asarray(RNG.standard_normal(3))
A = jnp.asarray(RNG.standard_normal((3, 3)))
NET = {
    "W1": jnp.asarray(RNG.standard_normal((3, 4))),
    "b1": jnp.asarray(RNG.standard_normal(4)),
    "W2": jnp.asarray(RNG.standard_normal((4, 2))),
    "b2": jnp.asarray(RNG.standard_normal(2)),
}


def least_squares(w, X, y):
    return jnp.mean((X @ w - y) ** 2)


def residuals(w, X, y):
    r = X @ w - y
    return jnp.sum(r**2) / 2


def ridge(w, X, y):
    return jnp.mean((X @ w - y) ** 2) + 0.1 * jnp.sum(w**2)


def quadratic(x, A):
    return x @ A @ x


def logistic(w, X, y):
    p = jax.nn.sigmoid(X @ w)
    t = y > 0
    return -jnp.mean(t * jnp.log(p) + (1 - t) * jnp.log(1 - p))


def layer(W, b, x):
    z = W @ x + b
    a = jax.nn.sigmoid(z)
    return jnp.sum(a**2)


def mlp(net, X, y):
    h = jnp.tanh(X @ net["W1"] + net["b1"])
    p = h @ net["W2"] + net["b2"]
    return jnp.mean((p - y[:, None]) ** 2)


def relu_net(net, X, y):
    h = jax.nn.relu(X @ net["W1"] + net["b1"])
    return jnp.mean(jnp.abs(h @ net["W2"] + net["b2"] - y[:, None]))


def softmax_regression(W, X, labels):
    logits = X @ W
    return -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(logits), axis=1))


def frobenius(W, X):
    return jnp.sum((W.T @ X.T) ** 2)


def bilinear(W, X):
    return jnp.sum(jnp.dot(X, W) @ W.T * X)


def outer(x, A):
    return jnp.sum(jnp.outer(x, jnp.sin(x)) * A)


def residual_net(net, X):
    h = X
    for _ in range(2):
        h = h + jnp.tanh(h @ net)
    return jnp.mean(h**2)


def scanned(net, X):
    def step(h, row):
        h = jnp.tanh(row @ net + 0.5 * h)
        return h, h

    return jnp.sum(jax.lax.scan(step, jnp.zeros(3), X)[1] ** 2)


def rows(W, X):
    return jnp.sum(jax.vmap(lambda x: jnp.sin(W @ x))(X) ** 2)


def sorted_and_gathered(x):
    return jnp.sum(jnp.sort(x) * jnp.arange(3.0)) + x[jnp.array([0, 0, 2])].sum() + jnp.cumsum(x**2)[1]


def where(x, A):
    return jnp.sum(jnp.where(x > 0, x**2, -x) * (A @ x))


def normalised(W, X):
    h = X @ W
    h = (h - h.mean(axis=0)) / jnp.sqrt(h.var(axis=0) + 1e-3)
    return jnp.sum(jnp.exp(h) / 10)


LABELS = jax.nn.one_hot(jnp.arange(7) % 4, 4)
CASES = [
    (least_squares, w, X, y), (residuals, w, X, y), (ridge, w, X, y), (quadratic, w, A), (logistic, w, X, y),
    (layer, A, w, w), (mlp, NET, X, y), (relu_net, NET, X, y), (softmax_regression, NET["W1"], X, LABELS),
    (frobenius, NET["W1"], X), (bilinear, NET["W1"], X), (outer, w, A), (residual_net, A, X), (scanned, A, X),
    (rows, A, X), (sorted_and_gathered, w), (where, w, A), (normalised, NET["W1"], X),
]  # fmt: skip


def gradient_of(fun, *args):
    return matrix_derivation(read(fun, *args), "L")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_every_formula_has_the_numbers_of_jax_grad(case):
    fun, *args = case
    with jax.enable_x64(True):
        args = jax.tree.map(lambda a: jnp.asarray(np.asarray(a, np.float64)), args)
        found = gradient_of(fun, *args)
        expected = jax.tree.leaves(jax.grad(fun)(*args))
    for (name, value), grad in zip(found.values.items(), expected, strict=True):
        np.testing.assert_allclose(value, grad, rtol=1e-10, atol=1e-12, err_msg=name)
    for product in found.products:
        place = list(found.values).index(product.parameter)
        np.testing.assert_allclose(product.product, np.ravel(expected[place]), rtol=1e-9, atol=1e-12)
        shapes = [factor.shape for factor in product.factors]
        assert shapes[0][0] == 1 and all(a[1] == b[0] for a, b in itertools.pairwise(shapes))


CLOSED = [
    (least_squares, (w, X, y), {"w": "2/7 Xᵀ (X w - y)"}),
    (residuals, (w, X, y), {"w": "Xᵀ (X w - y)"}),
    (quadratic, (w, A), {"x": "(A + Aᵀ) x"}),
    (logistic, (w, X, y), {"w": "1/7 Xᵀ (sigmoid(X w) - [y > 0])"}),
    (layer, (A, w, w), {"W": "2 (a^2 ⊙ (1 - a)) xᵀ"}),
    (frobenius, (NET["W1"], X), {"W": "2 Xᵀ X W"}),
    (softmax_regression, (NET["W1"], X, LABELS), {"W": "1/7 Xᵀ ((labels 1) ⊙ softmax(X W) - labels)"}),
    (
        mlp,
        (NET, X, y),
        {
            "W1": "1/7 Xᵀ (((p - y) W2ᵀ) ⊙ (1 - h^2))",
            "W2": "1/7 hᵀ (p - y)",
            "b1": "1/7 (((p - y) W2ᵀ) ⊙ (1 - h^2))ᵀ 1",
            "b2": "1/7 (p - y)ᵀ 1",
        },
    ),
]


@pytest.mark.parametrize(("fun", "args", "gradients"), CLOSED, ids=[fun.__name__ for fun, *_ in CLOSED])
def test_the_closed_form_is_that_of_the_textbook(fun, args, gradients):
    assert gradient_of(fun, *args).gradients == gradients


def test_the_steps_of_backpropagation():
    steps = {step.array: step.text for step in gradient_of(mlp, NET, X, y).steps}
    assert steps == {
        "p": "dL/dp = 1/7 (p - y)",
        "h": "dL/dh = (dL/dp) W2ᵀ",
        "z": "dL/dz = (dL/dh) ⊙ (1 - h^2)",
        "W1": "dL/dW1 = Xᵀ (dL/dz)",
        "W2": "dL/dW2 = hᵀ (dL/dp)",
        "b1": "dL/db1 = (dL/dz)ᵀ 1",
        "b2": "dL/db2 = (dL/dp)ᵀ 1",
    }


def test_a_layer_is_a_product_of_named_jacobians_with_shapes():
    (product,) = gradient_of(layer, A, w, w).products
    assert [(f.name, f.text, f.shape) for f in product.factors] == [
        ("dL/da", "(2 a)ᵀ", (1, 3)),
        ("da/dz", "diag(a ⊙ (1 - a))", (3, 3)),
        ("dz/dW", "I ⊗ xᵀ", (3, 9)),
    ]
    assert r"\underbrace{\operatorname{diag}(a \odot (1 - a))}_{3 \times 3}" in product.tex


def test_the_answer_shows_the_arrays():
    answer = qed.derive(mlp, NET, X, y)
    shown = text(answer, width=80)
    assert answer.measured and answer.check()
    assert max(map(len, shown.splitlines())) <= 80
    for line in ("z = X W1 + b1   [7, 4]", "dL/dz = (dL/dh) ⊙ (1 - h^2)   [7, 4]", "dh/dz = diag(1 - h^2)"):
        assert line in shown
    assert r"\frac{\partial L}{\partial W_{1}} &= X^{\top} \frac{\partial L}{\partial z} && 3 \times 4" in answer.tex
    np.testing.assert_allclose(answer.value.value["W1"], jax.grad(mlp)(NET, X, y)["W1"], rtol=1e-4)


def test_a_formula_too_long_for_a_line_is_left_to_the_steps():
    """The headline is a whole sentence without it, with no name of a field left in braces."""

    def deep(net, X, y):
        h = X
        for _ in range(3):
            h = jnp.tanh(h @ net["W1"] + net["b1"]) @ net["W1"].T
        return -jnp.mean(jax.nn.log_softmax(h)[jnp.arange(len(y)), (y > 0) * 1])

    headline = str(qed.derive(deep, NET, X, y).headline)
    assert headline == "The gradient follows from the chain rule; jax.grad gives the same numbers."


def test_what_has_no_notation_is_followed_by_its_numbers_and_said_so():
    found = gradient_of(sorted_and_gathered, w)
    assert {"sort", "gather"} <= set(found.by_numbers)
    assert "followed by its numbers" in text(qed.derive(sorted_and_gathered, jnp.arange(9.0)[:3]), width=80)


def test_numbers_exactly_at_a_corner_are_not_measured():
    answer = qed.derive(lambda v: jnp.sum(jax.nn.relu(v)), jnp.zeros(9).at[0].set(1.0))
    assert answer.unknown and answer.missing[0].what == "8 numbers stand exactly where the pieces of max meet"


def test_a_program_that_is_too_long_is_unknown():
    def long(v):
        return jnp.sum(jax.lax.fori_loop(0, 3000, lambda _, c: c * 0.999, v))

    answer = qed.derive(long, jnp.ones(9))
    assert answer.unknown and "steps" in answer.missing[0].what


def test_an_array_without_a_name_is_a_letter_and_said_to_be_one():
    answer = qed.derive(lambda w: w @ jnp.array([[2.0, 1.0], [0.0, 3.0]]) @ w, jnp.array([1.0, -2.0]))
    assert "dL/dw = (c0 + c0ᵀ) w" in answer.headline
    assert "c0 what the program holds without a name" in "\n".join(reason.text or "" for reason in answer.reasons)
    named = qed.derive(lambda w, c0: w @ c0 @ w, jnp.array([1.0, -2.0]), jnp.array([[2.0, 1.0], [0.0, 3.0]]))
    assert "without a name" not in named.reasons[0].text
