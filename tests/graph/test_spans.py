"""The user's line and columns of every equation, also of those that library code makes."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from qed.domains.value import Value
from qed.graph.source import operand_texts
from qed.graph.trace import trace
from qed.graph.walk import Walker

X = jnp.array([[0.5, -1.0, 2.0], [1.5, 0.3, -0.2]])


def entries(fun, *args):
    seen = []
    traced = trace(fun, *args)
    Walker([Value()], seen.append).run(traced.graph, traced.leaves)
    return seen


def marked(fun, *args):
    """The texts under the spans of all entries, each once, in order."""
    texts = [entry.span.text[entry.span.column : entry.span.end_column] for entry in entries(fun, *args)]
    return list(dict.fromkeys(texts))


def test_columns_of_the_users_line():
    def loss(w):
        z = X @ w + 1.0
        return jnp.sum(jnp.tanh(z) / 2)

    tanh = "jnp.tanh(z)"
    assert marked(loss, jnp.ones(3)) == ["X @ w", "X @ w + 1.0", tanh, f"{tanh} / 2", f"jnp.sum({tanh} / 2)"]
    first = entries(loss, jnp.ones(3))[0].span
    _, start = inspect.getsourcelines(loss)
    assert (first.line, first.function, first.file) == (start + 1, "loss", __file__)
    assert operand_texts(first) == ("X", "w")


def test_a_loss_of_optax_is_the_line_that_calls_it():
    def loss(z):
        return jnp.mean(optax.softmax_cross_entropy(z, jax.nn.one_hot(jnp.array([0, 2]), 3)))

    texts = marked(loss, X)
    assert "optax.softmax_cross_entropy(z, jax.nn.one_hot(jnp.array([0, 2]), 3))" in texts
    assert all(entry.span.file == __file__ for entry in entries(loss, X))


def test_a_layer_of_flax_is_the_line_that_calls_it():
    linen = pytest.importorskip("flax.linen")

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            h = linen.relu(linen.Dense(2)(x))
            return linen.Dense(1)(h)

    dense = [{"kernel": jnp.ones(shape), "bias": jnp.ones(shape[1])} for shape in [(3, 2), (2, 1)]]
    params = {"params": {"Dense_0": dense[0], "Dense_1": dense[1]}}
    texts = marked(lambda p: jnp.sum(Net().apply(p, X)), params)
    first = "linen.Dense(2)(x)"
    assert texts == [first, f"linen.relu({first})", "linen.Dense(1)(h)", "jnp.sum(Net().apply(p, X))"]


def test_a_layer_of_nnx_is_the_line_that_calls_it():
    nnx = pytest.importorskip("flax.nnx")
    shapes = nnx.eval_shape(lambda: nnx.Linear(3, 2, rngs=nnx.Rngs(0)))
    graphdef, state = nnx.split(shapes)
    state = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), state)

    def loss(p):
        layer = nnx.merge(graphdef, p)
        return jnp.sum(layer(X))

    assert marked(loss, state) == ["layer(X)", "jnp.sum(layer(X))"]


def test_a_layer_of_equinox_is_the_line_that_calls_it():
    eqx = pytest.importorskip("equinox")
    layer = eqx.filter_eval_shape(lambda: eqx.nn.Linear(3, 2, key=jax.random.key(0)))
    layer = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), layer)

    def loss(layer):
        y = jax.vmap(layer)(X)
        return jnp.sum(y)

    assert marked(loss, layer) == ["jax.vmap(layer)(X)", "jnp.sum(y)"]


def test_a_density_of_numpyro_is_the_line_that_calls_it():
    dist = pytest.importorskip("numpyro.distributions")

    def loss(m):
        return -jnp.sum(dist.StudentT(3.0, m).log_prob(X))

    texts = marked(loss, jnp.array(0.5))
    assert "dist.StudentT(3.0, m).log_prob(X)" in texts
    assert all(entry.span.function == "loss" for entry in entries(loss, jnp.array(0.5)))


def test_two_calls_of_a_cached_library_function_have_two_lines():
    def loss(x):
        a = jax.nn.relu(x)
        b = jax.nn.relu(-x)
        return jnp.sum(a * b)

    assert marked(loss, X) == ["jax.nn.relu(x)", "-x", "jax.nn.relu(-x)", "a * b", "jnp.sum(a * b)"]


@jax.jit
def squared(x):
    return x * x


def test_two_calls_of_a_users_cached_function_are_two_things():
    def loss(x):
        a = squared(x)
        b = squared(x + 1)
        return jnp.sum(a + b)

    products = [entry for entry in entries(loss, X) if entry.primitive == "mul"]
    assert [entry.span.text.strip() for entry in products] == ["return x * x"] * 2
    assert products[0].equation is products[1].equation, "JAX shares the inner graph"
    assert products[0].frame is not products[1].frame
    callers = [entry.frame.equation.span.text.strip() for entry in products]
    assert callers == ["a = squared(x)", "b = squared(x + 1)"]
    values = [np.asarray(entry.outputs[0].values[0]) for entry in products]
    assert not np.array_equal(*values)


def test_the_path_names_step_and_branch():
    def loss(x):
        step = lambda c, v: (jax.lax.cond(v > 0, lambda: c * v, lambda: c), None)  # noqa: E731
        return jax.lax.scan(step, 1.0, x)[0]

    names = [entry.name for entry in entries(loss, X[0])]
    assert "scan[0]/cond<1>/mul" in names
    assert not [name for name in names if name.startswith("scan[1]/cond<1>")]
