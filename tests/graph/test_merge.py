import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.jaxpr import evaluate
from qed.graph.merge import merge
from qed.graph.splice import splice
from qed.graph.trace import trace

ROWS = np.arange(6.0, dtype=np.float32).reshape(2, 3)


def merged(fun, *args):
    """How many equations there are, how many are left; the values are the same, bit for bit."""
    traced = trace(fun, *args)
    graph = splice(traced.graph)
    less = merge(graph)
    one, two = (evaluate(g, traced.leaves) for g in (graph, less))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    return len(graph.equations), len(less.equations)


def test_what_is_computed_twice_is_computed_once():
    net = lambda x: jnp.tanh(ROWS @ x)  # noqa: E731
    x = jnp.ones(3, jnp.float32)
    assert merged(lambda x: net(x) * jnp.exp(net(x)), x) == (6, 4)
    assert merged(lambda x: (x + 1.0) * (1.0 + x) + (x - 1.0) * (1.0 - x), x) == (7, 6)
    inner = jax.jit(net)
    assert merged(lambda x: inner(x) + inner(x), x) == (5, 3)
    kept = jax.checkpoint(net)
    assert merged(lambda x: kept(x) + kept(x), x) == (3, 2)


def test_other_parameters_other_constants_and_effects_stay():
    x = jnp.asarray(ROWS)
    for fun in (
        lambda x: jnp.sum(x, 0)[0] + jnp.sum(x, 1)[0],
        lambda x: x * np.float32(2) + x * np.float32(3),
        lambda x: x @ (2.0 * ROWS).T + x @ ROWS.T,
    ):
        before, after = merged(fun, x)
        assert before == after

    def prints(x):
        jax.debug.print("{}", x[0, 0])
        jax.debug.print("{}", x[0, 0])
        return jnp.sum(x)

    graph = splice(trace(prints, x).graph)
    assert sum("debug" in e.primitive for e in merge(graph).equations) == 2
