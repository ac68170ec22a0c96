"""The gradient taken operation by operation is the graph that JAX's derivative of the whole function is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.graph.backward import gradient
from qed.graph.build import Builder, reachable
from qed.graph.trace import trace
from qed.numerics.rewriting.differentiated import reverse_graph

X, Y = jnp.array([0.3, -1.2, 2.0]), jnp.array([[1.0, 0.5, -2.0], [0.1, 3.0, 0.7]])


@jax.custom_jvp
def doubled_slope(x):
    return jnp.sin(x)


doubled_slope.defjvp(lambda primals, tangents: (doubled_slope(*primals), 2 * jnp.cos(primals[0]) * tangents[0]))

FUNCTIONS = {
    "shared values": lambda x, y: jnp.sum(jnp.exp(x) * jnp.exp(x) + x / jnp.exp(x)) + jnp.sum(y),
    "a product with itself": lambda x, y: jnp.sum((x * x) * (x - x) + (x + x)) * jnp.sum(y),
    "passed on": lambda x, y: jnp.sum(jnp.tanh(x + 1) * jnp.sin(x) + jnp.cos(x + 1)) + jnp.sum(y * 2),
    "matrices": lambda x, y: jnp.sum(jax.nn.softmax(y @ x) * jnp.array([1.0, 2.0])) + jnp.linalg.norm(y.T @ y),
    "moves": lambda x, y: jnp.sum(y[:, ::-1].reshape(-1)[1:4] * jnp.concatenate([x[1:], x[:1]])) + x[jnp.array(0)],
    "choices": lambda x, y: jnp.sum(jnp.where(x > 0, jnp.log(jnp.abs(x)), x**3)) + jnp.max(y) + jnp.sum(x),
    "stopped": lambda x, y: jnp.sum(jax.lax.stop_gradient(jnp.max(x)) * x + jnp.exp(x - jax.lax.stop_gradient(x)) * y),
    "a rule of the user's": lambda x, y: jnp.sum(doubled_slope(x * y) + doubled_slope(x)),
    "relu": lambda x, y: jnp.sum(jax.nn.relu(y @ x)) + jnp.sum(jax.nn.gelu(x)),
    "powers": lambda x, y: jnp.sum(jnp.abs(x) ** y) + jnp.sum(jnp.abs(y) ** 1.5 * x**-2),
    "arrays that are closed over": lambda x, y: jnp.sum(jnp.asarray(np.arange(30.0)) ** 0.5) * jnp.sum(x) + jnp.sum(y),
}
WHOLE = {
    "a loop": lambda x, y: jax.lax.fori_loop(0, 3, lambda i, c: c * jnp.sum(jnp.sin(x)), jnp.sum(y)),
    "an unread argument": lambda x, y: jnp.sum(x),
    "several results": lambda x, y: jnp.sum(jnp.linalg.eigh(y.T @ y)[0]) + jnp.sum(x),
}


def both(fun, *args):
    graph = trace(fun, *args).graph
    builder = Builder()
    inputs = builder.inputs(graph)
    outputs = builder.inline(graph, inputs)
    moving = tuple(range(len(args)))
    return gradient(builder, outputs, inputs, moving, ["x", "y"]), reverse_graph(
        builder.function(outputs, inputs, differentiated=True), graph, moving
    )


def evaluated(graph, args):
    builder = Builder()
    inputs = builder.inputs(graph)
    return builder.function(builder.inline(graph, inputs), inputs)(*args)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_is_the_graph_of_the_whole(name):
    found, whole = both(FUNCTIONS[name], X, Y)
    assert found is not None and whole is not None
    builder = Builder()
    inputs = builder.inputs(found)
    one, other = ([n.operation for n in reachable(builder.inline(graph, inputs))] for graph in (found, whole))
    assert sorted(one) == sorted(other)
    for one, other in zip(evaluated(found, (X, Y)), evaluated(whole, (X, Y)), strict=True):
        np.testing.assert_array_equal(one, other)
    truth = jax.grad(FUNCTIONS[name], (0, 1))(X, Y)
    for one, other in zip(evaluated(found, (X, Y))[1:], truth, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_left_to_jax(name):
    found, whole = both(WHOLE[name], X, Y)
    assert found is None
    truth = jax.grad(WHOLE[name], (0, 1))(X, Y)
    for one, other in zip(evaluated(whole, (X, Y))[1:], truth, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-5)


def test_every_equation_has_the_line_of_what_it_is_the_derivative_of():
    def fun(x, y):
        a = jnp.exp(x)
        return jnp.sum(a * x) + jnp.sum(y)

    found, whole = both(fun, X, Y)
    assert {e.span for e in found.equations} == {e.span for e in whole.equations}


def test_what_is_known_of_an_operation_is_known_for_its_shapes_and_numbers():
    for scale, x in ((2.0, X), (3.0, X), (3.0, Y), (3.0, Y.astype(jnp.bfloat16))):

        def fun(x, y, scale=scale):
            return (jnp.sum(jnp.sin(x * scale) * 2) + jnp.sum(y)).astype(jnp.float32)

        found, _ = both(fun, x, x)
        np.testing.assert_allclose(
            np.asarray(evaluated(found, (x, x))[1], np.float32),
            np.asarray(jax.grad(fun)(x, x), np.float32),
            rtol=1e-5 if x.dtype == jnp.float32 else 2e-2,
        )
