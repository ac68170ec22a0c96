"""Splicing jitted calls keeps the function and brings what they close over to the surface."""

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.jaxpr import evaluate
from qed.graph.splice import closes_over_arrays, splice
from qed.graph.trace import trace

DATA = jnp.arange(6.0).reshape(2, 3)


@jax.jit
def inner(x):
    return DATA @ x


@jax.jit
def twice(x):
    return jnp.sum(inner(x) * inner(2 * x))


def test_the_spliced_graph_is_the_same_function_and_has_no_calls():
    x = jnp.array([1.0, -2.0, 0.5])
    graph = trace(twice, x).graph
    assert closes_over_arrays(graph)
    flat = splice(graph)
    assert not any(equation.primitive == "jit" for equation in flat.equations)
    np.testing.assert_array_equal(evaluate(flat, [x])[0], evaluate(graph, [x])[0])


def test_two_calls_of_one_cached_graph_share_the_array_but_no_other_variable():
    flat = splice(trace(twice, jnp.ones(3)).graph)
    assert len(flat.constants) == 1
    outputs = [variable for equation in flat.equations for variable in equation.outputs]
    assert len(outputs) == len(set(outputs))


def test_replacing_the_surfaced_array_changes_the_result():
    x = jnp.array([1.0, -2.0, 0.5])
    flat = splice(trace(twice, x).graph)
    ((variable, array),) = flat.constants
    other = flat.__class__((*flat.inputs, variable), flat.equations, flat.outputs)
    doubled = evaluate(other, [x, 2 * array])[0]
    np.testing.assert_allclose(doubled, 4 * evaluate(flat, [x])[0], rtol=1e-6)


def test_every_spliced_equation_has_a_line():
    flat = splice(trace(twice, jnp.ones(3)).graph)
    assert all(equation.span is not None for equation in flat.equations)


def test_custom_rules_stay_calls():
    graph = trace(jax.jit(lambda x: jnp.sum(jax.nn.softplus(DATA @ x))), jnp.ones(3)).graph
    assert "custom_jvp_call" in [equation.primitive for equation in splice(graph).equations]
