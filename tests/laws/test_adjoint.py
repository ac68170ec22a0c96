"""The law of adjoints: the adjoints of the inputs are `jax.grad`, NaN where that is NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.domains.adjoint import adjoints
from qed.graph.trace import trace
from qed.graph.walk import Unknown
from tests.corpus import CORPUS, corpus

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:optax", "ignore:The function .* is deprecated")


def gradients(fun, *args):
    """(adjoints of the free inputs, jax.grad in them)."""
    traced = trace(fun, *args)
    found = adjoints(traced.graph, traced.leaves, traced.free).gradient(traced.free)

    def loss(parameters):
        full = list(traced.leaves)
        for position, value in zip(traced.free, parameters, strict=True):
            full[position] = value
        return fun(*traced.rebuild(full)[0])

    return found, jax.jit(jax.grad(loss))([traced.leaves[i] for i in traced.free])


def assert_equal(found, expected, rtol):
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert not isinstance(mine, Unknown), str(mine)
        assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)
        mine, theirs = (np.asarray(g).astype(np.float64) for g in (mine, theirs))
        np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs))
        finite = theirs[np.isfinite(theirs)]
        scale = max(np.abs(finite).max(initial=0.0), 1e-3)
        np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=rtol * scale)


QUICK = {name for name in CORPUS if name.startswith("program.")} | {"equinox.mlp", "nn.softmax_masked", "linalg.solve"}
WIDE = {"softmax_regression", "scan_nested", "custom_jvp", "elementary", "products", "complex_numbers", "cond_in_scan"}
IN_FLOAT32, IN_FLOAT64 = (set(sorted(CORPUS)[k::4]) for k in (1, 2))
"""Of the slow ones a quarter is asked in float32 and another in float64, where they can be asked in both."""


@pytest.mark.parametrize(
    "case",
    corpus(
        lambda c: c.derivative and (c.name in QUICK | IN_FLOAT32 or not c.same_x64),
        slow=lambda c: c.slow or c.name not in QUICK,
    ),
)
def test_float32(case):
    assert_equal(*gradients(case.fun, *case.make()), rtol=2e-2 if "16" in case.name else 1e-4)


def doubled(leaf):
    return jnp.asarray(np.asarray(leaf).astype(np.float64)) if getattr(leaf, "dtype", None) == np.float32 else leaf


@pytest.mark.parametrize(
    "case",
    corpus(
        lambda c: c.derivative and c.same_x64 and (c.name.removeprefix("program.") in WIDE or c.name in IN_FLOAT64),
        slow=lambda c: c.name.removeprefix("program.") not in WIDE,
    ),
)
def test_float64(case):
    with jax.enable_x64(True):
        assert_equal(*gradients(case.fun, *jax.tree.map(doubled, case.make())), rtol=1e-10)


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: jnp.sum(jnp.where(x > 0, jnp.log(x), 0.0)),
        lambda x: jnp.sum(jnp.sqrt(x)),
        lambda x: jnp.linalg.norm(x * 0),
        lambda x: jnp.sum(x**0.5),
        lambda x: jnp.sum(jnp.abs(x) / x),
        lambda x: jnp.sum(jnp.maximum(x, 0.0)),
        lambda x: jnp.sum(jnp.arccos(x + 1)),
        lambda x: jnp.sum(jnp.power(0.0, x)),
        lambda x: jnp.max(x * 0),
    ],
    ids=["where", "sqrt", "norm", "power", "abs", "kink", "arccos", "exponent", "tie"],
)
def test_where_there_is_no_derivative(fun):
    assert_equal(*gradients(fun, jnp.array([0.0, 1.0, 4.0])), rtol=1e-5)


def test_without_reverse_mode_in_jax_the_executed_steps_have_a_derivative():
    for name in ("while_loop", "while_vmapped", "fori_dynamic"):
        case = CORPUS[f"program.{name}"]
        with jax.enable_x64(True):
            args = jax.tree.map(doubled, case.make())
            traced = trace(case.fun, *args)
            (found,) = adjoints(traced.graph, traced.leaves, traced.free).gradient(traced.free)
            forward = jax.jacfwd(case.fun)(*args)
        np.testing.assert_allclose(found, forward, rtol=1e-10)


def test_a_missing_rule_is_unknown_and_named():
    def loss(x):
        mesh = jax.make_mesh((1,), ("i",))
        spec = jax.sharding.PartitionSpec()
        return jax.shard_map(lambda v: jnp.sum(v * v), mesh=mesh, in_specs=spec, out_specs=spec)(x)

    traced = trace(loss, jnp.ones(3))
    (found,) = adjoints(traced.graph, traced.leaves, traced.free).gradient(traced.free)
    assert isinstance(found, Unknown)
    assert (found.primitive, found.span.function) == ("shard_map", "loss")
