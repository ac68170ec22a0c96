"""What tracing makes of calls, and graphs written by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from qed.domains.adjoint import adjoints
from qed.domains.value import Value
from qed.graph.calls import Cond, Inline, Scan, While
from qed.graph.graph import Equation, Graph, Literal, Variable
from qed.graph.trace import trace
from qed.graph.walk import Walker

V = jnp.array([0.5, -1.0, 2.0])


def calls(fun, *args):
    return [e.call for e in trace(fun, *args).graph.walk() if e.call is not None]


def test_scan():
    (call,) = calls(lambda x: lax.scan(lambda c, v: (c * v + x[0], c), 1.0, x, reverse=True)[0], V)
    assert isinstance(call, Scan)
    assert (call.constants, call.carry, call.length, list(call.steps())) == (1, 1, 3, [2, 1, 0])
    assert len(call.body.inputs) == 3


def test_while():
    (call,) = calls(lambda x: lax.while_loop(lambda c: c < x[0], lambda c: c + x[1] * x[2], 0.0), V)
    assert isinstance(call, While)
    assert (call.condition_constants, call.body_constants) == (1, 1)


def test_a_choice_of_platforms_is_the_function_that_all_compute():
    graph = trace(jnp.diag, jnp.eye(3)).graph
    names = [equation.primitive for equation in graph.walk()]
    assert "gather" in names and not {"cond", "platform_index"} & set(names)
    assert "platform_index" in [
        e.primitive for e in trace(lambda x: lax.platform_dependent(x, cpu=jnp.sin, tpu=jnp.cos), 1.0).graph.walk()
    ]


def test_fori_is_a_scan_or_a_while():
    assert isinstance(calls(lambda x: lax.fori_loop(0, 3, lambda i, c: c * x[0], 1.0), V)[0], Scan)
    assert isinstance(calls(lambda x, n: lax.fori_loop(0, n, lambda i, c: c * x[0], 1.0), V, jnp.int32(3))[0], While)


def test_cond_and_switch():
    branches = [jnp.sum, jnp.prod, jnp.max]
    for fun, count in ((lambda x, i: lax.cond(i, *branches[:2], x), 2), (lambda x, i: lax.switch(i, branches, x), 3)):
        (call,) = (call for call in calls(fun, V, jnp.int32(1)) if isinstance(call, Cond))
        assert len(call.branches) == count


def test_custom_rules_remat_and_jit_are_inline():
    rule = jax.custom_vjp(lambda x: x * 2)
    rule.defvjp(lambda x: (x * 2, None), lambda _, ct: (ct * 2,))
    kinds = [
        call.custom
        for call in calls(lambda x: jnp.sum(rule(jax.nn.relu(jax.checkpoint(jnp.sin)(x)))), V)
        if isinstance(call, Inline)
    ]
    assert sorted(set(kinds)) == ["", "jvp", "vjp"]


def test_a_kernel_or_a_mesh_is_no_call():
    mesh = jax.make_mesh((1,), ("i",))
    spec = jax.sharding.PartitionSpec()
    found = trace(lambda x: jax.shard_map(lambda v: v * v, mesh=mesh, in_specs=spec, out_specs=spec)(x), V)
    (equation,) = [e for e in found.graph.equations if e.primitive == "shard_map"]
    assert equation.call is None


def test_a_cached_graph_is_one_graph():
    f = jax.jit(lambda x: x * 2)
    first, second = calls(lambda x: jnp.sum(f(x) + f(x + 1)), V)
    assert first.graph is second.graph


def test_names_free_and_kept_leaves():
    tree = {"w": V, "act": jnp.tanh, "n": 3, "key": jax.random.key(0)}
    found = trace(lambda p, data: jnp.sum(p["act"](p["w"]) * data), tree, V)
    assert found.paths == ("p['key']", "p['n']", "p['w']", "data")
    assert found.parameter_paths == ("p['w']",)
    assert len(found.data()) == 3


def by_hand():
    """The loss sum(max(tanh(2 x), 0)) where x > -1 else x, without JAX."""
    x, y, t, r, m, s = (Variable((3,), "float64") for _ in range(6))
    two, zero, low = Literal(2.0), Literal(0.0), Literal(-1.0)
    total = Variable((), "float64")
    return Graph(
        inputs=(x,),
        equations=(
            Equation("mul", (two, x), (y,)),
            Equation("tanh", (y,), (t,)),
            Equation("max", (t, zero), (r,)),
            Equation("gt", (x, low), (m,)),
            Equation("select_n", (m, x, r), (s,)),
            Equation("reduce_sum", (s,), (total,), {"axes": (0,)}),
        ),
        outputs=(total,),
    )


def test_a_graph_written_by_hand_is_evaluated_without_jax():
    x = Variable((3,), "float64")
    y, z, loss = Variable((3,), "float64"), Variable((3,), "float64"), Variable((), "float64")
    graph = Graph(
        inputs=(x,),
        equations=(
            Equation("exp", (x,), (y,)),
            Equation("mul", (y, x), (z,)),
            Equation("reduce_sum", (z,), (loss,), {"axes": (0,)}),
        ),
        outputs=(loss,),
    )
    point = np.array([0.5, -1.0, 2.0])
    with jax.enable_x64(True):
        (cell,) = Walker([Value()]).run(graph, [point])
    np.testing.assert_allclose(cell.values[0], np.sum(np.exp(point) * point), rtol=1e-15)


def test_more_by_hand():
    graph = by_hand()
    point = np.array([0.5, -1.0, 2.0])
    with jax.enable_x64(True):
        (cell,) = Walker([Value()]).run(graph, [point])
    assert float(cell.values[0]) == pytest.approx(np.tanh(1.0) - 1.0 + np.tanh(4.0), rel=1e-12)


def test_adjoints_of_a_graph_written_by_hand():
    x, y, z = (Variable((), "float64") for _ in range(3))
    graph = Graph((x,), (Equation("exp", (x,), (y,)), Equation("mul", (y, x), (z,))), (z,))
    with jax.enable_x64(True):
        (slope,) = adjoints(graph, [np.float64(0.5)], [0]).gradient([0])
    assert float(slope) == pytest.approx(1.5 * np.exp(0.5), rel=1e-12)
