"""The expression graph: without a rewriting the rebuilt function is the original one, bit for bit."""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.domains.value import Value
from qed.graph.build import Builder, Node, Operation, reachable
from qed.graph.graph import Equation, Graph, Literal, Variable
from qed.graph.names import assigned
from qed.graph.trace import trace
from qed.graph.walk import Walker

X = np.linspace(-2.0, 3.0, 12, dtype=np.float32).reshape(3, 4)
LABELS = np.array([0, 2, 3])
shared = jax.jit(lambda x: jnp.tanh(x) * 2.0)


@jax.custom_jvp
def surrogate(x):
    return jnp.sign(x)


surrogate.defjvp(lambda primals, tangents: (surrogate(*primals), tangents[0]))


@jax.custom_vjp
def clipped(x):
    return jnp.sin(x)


clipped.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (jnp.clip(g * jnp.cos(x), -0.5, 0.5),))


def dropout(x):
    keep = jax.random.bernoulli(jax.random.fold_in(jax.random.PRNGKey(3), 7), 0.5, x.shape)
    return jnp.sum(jnp.where(keep, x, 0.0))


FUNCTIONS = {
    "polynomial": lambda x: jnp.sum(x**3 - 2.0 * x + 1.0),
    "softmax": lambda x: jnp.sum(jax.nn.softmax(x) ** 2),
    "log_softmax": lambda x: -jnp.mean(jax.nn.log_softmax(x)[jnp.arange(3), LABELS]),
    "logsumexp": lambda x: jnp.sum(jax.nn.logsumexp(x, axis=1)),
    "relu": lambda x: jnp.sum(jax.nn.relu(x) * x),
    "gelu": lambda x: jnp.sum(jax.nn.gelu(x)),
    "softplus": lambda x: jnp.sum(jax.nn.softplus(x)),
    "swish": lambda x: jnp.sum(jax.nn.silu(x) + jax.nn.elu(x)),
    "one_hot": lambda x: jnp.sum(jax.nn.one_hot(jnp.argmax(x, axis=1), 4) * x),
    "norm": lambda x: jnp.linalg.norm(x) + jnp.std(x),
    "solve": lambda x: jnp.sum(jnp.linalg.solve(x[:, :3] + 5 * jnp.eye(3), x[:, 3])),
    "sort": lambda x: jnp.sum(jnp.sort(x, axis=1)[:, 1:] * jnp.argsort(x, axis=1)[:, 1:]),
    "integers": lambda x: jnp.sum((x * 3).astype(jnp.int32) % 4 // 2 << 1),
    "where": lambda x: jnp.sum(jnp.where(x > 0, jnp.log1p(jnp.abs(x)), x)),
    "scan": lambda x: jax.lax.scan(lambda c, row: (jnp.tanh(c + row), c * row), jnp.zeros(4), x)[0].sum(),
    "scan_outputs": lambda x: jax.lax.scan(lambda c, row: (c + row, c * row), jnp.zeros(4), x)[1].sum(),
    "fori": lambda x: jax.lax.fori_loop(0, 3, lambda i, c: c * 0.5 + i, x).sum(),
    "while": lambda x: jax.lax.while_loop(lambda c: jnp.sum(c) < 100.0, lambda c: c * 2.0, jnp.abs(x)).sum(),
    "cond": lambda x: jax.lax.cond(x[0, 0] < 0, jnp.sin, jnp.cos, x).sum(),
    "custom_jvp": lambda x: jnp.sum(surrogate(x) * x),
    "custom_vjp": lambda x: jnp.sum(clipped(x)),
    "remat": lambda x: jnp.sum(jax.checkpoint(lambda y: jnp.sin(jnp.cos(y)))(x)),
    "shared_jit": lambda x: jnp.sum(shared(shared(x)) + shared(x)),
    "random": dropout,
    "gather_scatter": lambda x: jnp.sum(x.at[LABELS, 1].add(2.0)[LABELS]),
    "convolution": lambda x: jnp.sum(jnp.convolve(x[0], x[1])),
    "bfloat16": lambda x: jnp.sum(jnp.exp(x.astype(jnp.bfloat16)).astype(jnp.float32)),
    "stop_gradient": lambda x: jnp.sum(jax.lax.stop_gradient(x) * x),
    "special": lambda x: jnp.sum(jax.scipy.special.gammaln(jnp.abs(x) + 1) + jax.scipy.special.erf(x)),
    "constant": lambda x: jnp.float32(3.0),
}


def rebuild(graph, **options):
    builder = Builder(**options)
    inputs = builder.inputs(graph)
    outputs = builder.inline(graph, inputs)
    return builder.function(outputs, inputs), outputs


def canonical(outputs: list[Node]) -> list[int]:
    """What the outputs are, whatever order, numbers and dead code they were found among.

    Conversions that only drop JAX's weak type, or convert a literal, leave no equation when traced a second time.
    """
    order = reachable(outputs)
    place: dict[int, int] = {}
    listed: list[tuple] = []

    def visit(node: Node) -> int:
        if node.number in place:
            return place[node.number]
        operation, children = node.operation, tuple(visit(child) for child in node.children)
        value = float(node.value) if operation == "constant" and node.shape == () else None
        if operation == "convert_element_type":
            if node.children[0].dtype == node.dtype:
                return children[0]
            if listed[children[0]][0] == "constant" and node.shape == ():
                operation, value, children = "constant", listed[children[0]][-1], ()
        entry = (operation, children, node.shape, str(node.dtype), value)
        if entry not in listed:
            listed.append(entry)
        place[node.number] = listed.index(entry)
        return place[node.number]

    assert len(order) < 500
    found = tuple(visit(node) for node in outputs)
    return sorted(_unfolded(listed, place) for place in found)


def _unfolded(listed: list[tuple], place: int) -> int:
    """A key of an entry that does not depend on its place; children stand before their parents."""
    keys: list[int] = []
    for operation, children, shape, dtype, value in listed[: place + 1]:
        keys.append(hash((operation, tuple(keys[child] for child in children), shape, dtype, repr(value))))
    return keys[place]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rebuilt_function_is_the_original(name):
    traced = trace(FUNCTIONS[name], X)
    function, outputs = rebuild(traced.graph)
    if name in ("scan", "scan_outputs", "while", "fori"):  # JAX compiles a loop even when it runs eagerly
        expected = [np.asarray(FUNCTIONS[name](X))]
    else:
        walked = Walker([Value()]).run(traced.graph, traced.leaves)
        expected = [np.asarray(cell.values[0]) for cell in walked]
    for found, wanted in zip(function(*traced.leaves), expected, strict=True):
        assert np.asarray(found).tobytes() == wanted.tobytes()
        assert np.asarray(found).dtype == wanted.dtype
    again = trace(function, *traced.leaves).graph
    assert canonical(rebuild(again)[1]) == canonical(outputs)


@pytest.mark.parametrize("name", ["softplus", "custom_jvp", "custom_vjp", "remat", "scan", "cond"])
def test_rebuilt_function_can_be_transformed(name):
    traced = trace(FUNCTIONS[name], X)
    function, _ = rebuild(traced.graph)
    found = jax.jit(jax.grad(lambda x: function(x)[0]))(X)
    np.testing.assert_allclose(found, jax.jit(jax.grad(FUNCTIONS[name]))(X), rtol=1e-6, atol=1e-7)
    assert jax.vmap(lambda x: function(x)[0])(jnp.stack([X, X])).shape == (2,)


def test_one_value_is_one_node():
    graph = trace(lambda x: jnp.exp(x) * 2.0 + jnp.exp(x) * 2.0, 1.0).graph
    (output,) = rebuild(graph)[1]
    assert output.operation == "add" and output.children[0] is output.children[1]
    draw = [jax.random.PRNGKey(0), jax.random.PRNGKey(1)]
    graph = trace(lambda x: jax.random.normal(draw[0]) + jax.random.normal(draw[1]) * x, 1.0).graph
    first, second = rebuild(graph)[1][0].children
    assert first is not second


def test_unused_values_are_never_computed():
    def fun(x):
        jnp.log(x)
        return x * 2.0

    traced = trace(fun, -1.0)
    with jax.debug_nans(True):
        assert float(rebuild(traced.graph)[0](*traced.leaves)[0]) == -2.0


def test_effects_run_though_no_output_needs_them(capsys):
    def fun(x):
        jax.debug.print("x is {}", x)
        return x * 2.0

    traced = trace(fun, 1.5)
    rebuild(traced.graph)[0](*traced.leaves)
    jax.effects_barrier()
    assert capsys.readouterr().out == "x is 1.5\n"


def test_a_custom_rule_stays_and_is_read_through():
    graph = trace(lambda x: jnp.sum(jax.nn.relu(x)), X).graph
    (relu,) = rebuild(graph)[1][0].children
    assert relu.operation == "custom_jvp_call"
    assert relu.ghost is not None and relu.ghost.operation == "max"


def test_a_residual_network_is_linear_in_its_depth():
    def network(x):
        for _ in range(400):
            x = x + jnp.tanh(x) * x
        return jnp.sum(x)

    graph = trace(network, X).graph
    start = time.perf_counter()
    outputs = rebuild(graph)[1]
    assert time.perf_counter() - start < 2.0
    assert len(reachable(outputs)) == 3 * 400 + 2


def test_rule_replaces_and_keeps_remat_where_nothing_fires():
    double = Operation("double", lambda x: x + x)

    def rule_in(builder, name):
        return lambda node: builder.emit(double, node.children[0]) if node.operation == name else None

    traced = trace(lambda x: jax.checkpoint(lambda y: jnp.sin(jnp.cos(y)))(x), 1.0)
    kept, opened = [], []
    for name, outputs in (("tan", kept), ("cos", opened)):
        builder = Builder()
        builder.rule = rule_in(builder, name)
        outputs += builder.inline(traced.graph, builder.inputs(traced.graph))
    assert kept[0].operation == "remat"
    assert opened[0].operation == "sin" and opened[0].children[0].operation == "double"


def test_a_graph_written_by_hand():
    x, y, z = (Variable((), np.dtype("float32")) for _ in range(3))
    two = Literal(2.0, (), np.dtype("float32"))
    graph = Graph((x,), (Equation("exp", (x,), (y,)), Equation("mul", (y, two), (z,))), (z,))
    assert float(rebuild(graph)[0](0.0)[0]) == 2.0


def loss_with_names(w):
    z = w * 3.0
    p = jnp.exp(z)
    total = 0.0
    for _ in range(2):
        total = total + jnp.sum(p)
    return total


def test_names_are_what_the_source_shows_and_never_wrong():
    graph = trace(loss_with_names, X).graph
    names = assigned(graph)
    by_primitive = {graph.equations[i].primitive: name for i, name in names.items()}
    assert by_primitive == {"mul": "z", "exp": "p"}


def test_a_function_called_twice_gives_no_names():
    def layer(x):
        h = jnp.tanh(x)
        return h

    graph = trace(lambda x: jnp.sum(layer(layer(x))), X).graph
    assert "h" not in assigned(graph).values()
