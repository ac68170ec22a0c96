"""The walker with a domain that cannot decide everything, and with programs at the edge of what it supports.

`Signs` is a worked example of a new domain: what is known of the sign of every element together.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from qed.domains.adjoint import adjoints
from qed.domains.forward import Forward, Unknown
from qed.domains.shadow import Shadow
from qed.domains.value import Value
from qed.graph.graph import Variable
from qed.graph.trace import trace
from qed.graph.walk import TooLong, Walker

V = jnp.array([0.5, 1.0, 2.0])


class Signs(Forward):
    """A set of signs out of -1, 0 and 1, for all elements of a value together."""

    name = "signs"
    special: ClassVar = {
        "broadcast_in_dim": "kept",
        "convert_element_type": "kept",
        "exp": "positive",
        "reduce_sum": "kept",
        "square": "square",
    }

    def constant(self, atom, array):
        return frozenset(np.sign(np.asarray(array, float)).ravel().astype(int).tolist())

    def take(self, value, index):
        return value

    def stack(self, values, variable):
        return frozenset().union(*values)

    def join(self, first, second):
        return first | second

    def nary(self, card, xs, context):
        if card.name == "mul":
            return frozenset(a * b for a in xs[0] for b in xs[1])
        if card.name == "add":
            sums = {(1, -1): (-1, 0, 1), (-1, 1): (-1, 0, 1)}
            return frozenset(s for a in xs[0] for b in xs[1] for s in sums.get((a, b), (a or b,)))
        return self.unknown(context.equation, context)

    def unary(self, card, x, context):
        if card.name == "neg":
            return frozenset(-s for s in x)
        return self.unknown(context.equation, context)

    def compare(self, xs, context):
        return (frozenset({0, 1}),)

    def positive(self, xs, context):
        return (frozenset({1}),)

    def square(self, xs, context):
        return (frozenset(s * s for s in xs[0]),)

    def kept(self, xs, context):
        return (xs[0],)


def signs(fun, *args):
    traced = trace(fun, *args)
    cells = Walker([Signs()]).run(traced.graph, traced.leaves)
    return [cell.values[0] for cell in cells]


def test_a_new_domain_in_fifty_lines():
    assert signs(lambda x: jnp.sum(jnp.exp(x) * -x), V) == [{-1}]
    assert signs(lambda x: jnp.sum(jnp.exp(x) + x), -V) == [{-1, 0, 1}]


def test_an_undecided_branch_joins_both():
    def loss(x):
        return lax.cond(jnp.sum(x) > 0, lambda v: jnp.sum(v), lambda v: -jnp.sum(jnp.exp(v)), x)

    assert signs(loss, V) == [{1, -1}]


def test_a_branch_where_one_side_is_unknown_is_unknown():
    (found,) = signs(lambda x: lax.cond(jnp.sum(x) > 0, lambda v: jnp.sum(v), lambda v: jnp.sum(jnp.sin(v)), x), V)
    assert isinstance(found, Unknown)
    assert (found.primitive, "jnp.sin(v)" in found.span.text) == ("sin", True)


def test_an_undecided_loop_is_unknown_at_its_line():
    def loss(x):
        return jnp.sum(lax.while_loop(lambda c: jnp.sum(c) < 9, lambda c: c * 2, x))

    (found,) = signs(loss, V)
    assert isinstance(found, Unknown)
    assert (found.domain, found.primitive) == ("signs", "while")
    assert "lax.while_loop" in found.span.text


def test_another_domain_decides_for_it():
    traced = trace(lambda x: jnp.sum(lax.while_loop(lambda c: jnp.sum(c) < 9, lambda c: c * 2, x)), V)
    (cell,) = Walker([Value(), Signs()]).run(traced.graph, traced.leaves)
    assert (float(cell.values[0]), cell.values[1]) == (14.0, {1})


def test_unknown_passes_through_everything():
    def loss(x):
        y = jnp.sin(x)
        total, rows = lax.scan(lambda c, v: (c * v, c), 1.0, y)
        total = lax.cond(total > 0, lambda: total, lambda: -total)
        return lax.while_loop(lambda c: c < total, lambda c: c * 2, total) + jnp.sum(rows)

    (found,) = signs(loss, V)
    assert isinstance(found, Unknown)
    assert found.primitive == "sin"


def test_a_loop_that_does_not_end_is_stopped():
    traced = trace(lambda x: lax.while_loop(lambda c: c > 0, lambda c: c + 1, x), 1.0)
    with pytest.raises(TooLong, match=r"more than 50 equations were executed, the last at .*test_walker.py:\d+"):
        Walker([Value()], limit=50).run(traced.graph, traced.leaves)


# --- programs at the edge -------------------------------------------------------------------------------------


def value(fun, *args, domains=(Value,)):
    traced = trace(fun, *args)
    cells = Walker([domain() for domain in domains]).run(traced.graph, traced.leaves)
    return [cell.values[-1] for cell in cells]


def test_what_is_not_supported_is_unknown_with_its_line():
    mesh = jax.make_mesh((1,), ("i",))
    spec = jax.sharding.PartitionSpec()

    def loss(x):
        return jnp.sum(jax.shard_map(lambda v: v * v, mesh=mesh, in_specs=spec, out_specs=spec)(x))

    for domains in ((Value,), (Value, Shadow)):
        (found,) = value(loss, V, domains=domains)
        assert isinstance(found, Unknown)
        assert found.primitive == "shard_map"
        assert "jax.shard_map" in found.span.text


def test_a_kernel_is_unknown_with_its_line():
    pallas = pytest.importorskip("jax.experimental.pallas")

    def kernel(x, out):
        out[...] = x[...] * 2

    def loss(x):
        return jnp.sum(pallas.pallas_call(kernel, jax.ShapeDtypeStruct((3,), jnp.float32), interpret=True)(x))

    (found,) = value(loss, V)
    assert isinstance(found, Unknown)
    assert (found.primitive, "pallas_call" in found.span.text) == ("pallas_call", True)


def test_keys_integers_truth_and_nothing():
    found = value(lambda x: (x > 0, jnp.argmax(x), jax.random.key(0), x[:0], jnp.int8(3), None), V)
    assert [str(leaf.dtype) for leaf in found] == ["bool", "int32", "key<fry>", "float32", "int8"]


def test_what_a_program_prints_is_not_printed_again(capfd):
    def loss(x):
        jax.debug.print("hello {}", x)
        jax.debug.callback(lambda v: print("called", v), x)
        return x * 2

    traced = trace(loss, 1.0)
    (cell,) = Walker([Value()]).run(traced.graph, traced.leaves)
    jax.effects_barrier()
    assert (float(cell.values[0]), capfd.readouterr().out) == (2.0, "")


def test_a_scan_over_keys_in_value_and_shadow():
    def loss(x):
        keys = jax.random.split(jax.random.key(0), 3)
        return lax.scan(lambda c, kv: (c + jax.random.normal(kv[0]) * kv[1], kv[0]), 0.0, (keys, x))[0]

    mine = value(loss, V, domains=(Value, Shadow))[0]
    np.testing.assert_allclose(float(mine), float(loss(V)), rtol=1e-5)


def test_an_empty_scan_keeps_shapes_in_every_domain():
    def loss(x):
        total, rows = lax.scan(lambda c, v: (c, (v, jax.random.key(0))), x, jnp.zeros((0, 2)))
        return total, rows[0]

    for domains in ((Value,), (Value, Shadow)):
        total, rows = value(loss, V, domains=domains)
        assert (total.shape, rows.shape) == ((3,), (0, 2))


def test_donation_sharding_and_names_in_jit():
    f = jax.jit(lambda x: jnp.sum(x * 2), donate_argnums=0, inline=True)
    g = jax.jit(lambda x: jnp.sum(x * 2), in_shardings=jax.sharding.SingleDeviceSharding(jax.devices()[0]))
    assert [float(v) for v in value(lambda x: (f(x + 0), g(x)), V)] == [7.0, 7.0]


def test_tangents_that_are_no_numbers():
    """Forward derivatives of integers have dtype float0."""
    fun = lambda x: jax.jvp(lambda v, n: v * n, (x, 3), (x, np.zeros((), jax.dtypes.float0)))[1]  # noqa: E731
    assert float(value(fun, 2.0)[0]) == 6.0


def test_a_gradient_of_a_loop_that_the_walker_took():
    traced = trace(lambda x: lax.while_loop(lambda c: c < 9, lambda c: c * c, x), 2.0)
    (slope,) = adjoints(traced.graph, traced.leaves, traced.free).gradient(traced.free)
    assert float(slope) == 4 * 2.0**3


def test_constants_of_a_loop_are_made_once():
    made = []

    class Counting(Signs):
        def constant(self, atom, array):
            if not isinstance(atom, Variable):
                made.append(atom)
            return super().constant(atom, array)

    traced = trace(lambda x: lax.fori_loop(0, 5, lambda i, c: c * 2.0, x), 1.0)
    Walker([Value(), Counting()]).run(traced.graph, traced.leaves)
    assert len(made) == len(set(map(id, made)))
