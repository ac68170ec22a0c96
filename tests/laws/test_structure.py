"""Every primitive of the installed JAX has a class or is out of scope for a stated reason: none is forgotten."""

from __future__ import annotations

import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from qed.facts import ARITHMETIC, CARDS, CLASSES, FAMILIES, OUT_OF_SCOPE, Class, classify

MODULES = """
jax jax.numpy jax.nn jax.random jax.image jax.scipy.special jax.scipy.stats jax.scipy.linalg jax.scipy.signal
jax.scipy.optimize jax.scipy.integrate jax.scipy.interpolate jax.scipy.ndimage jax.experimental.sparse
jax.experimental.checkify jax.experimental.ode jax.experimental.jet jax.experimental.shard_map jax.extend optax
""".split()

SPELLINGS = {"remat2": "remat", "checkpoint": "remat", "pjit": "jit"}
"""Older and internal spellings that the front end replaces by qed's."""

QED_ONLY = {"power", "psi", "reciprocal"}
"""Functions with a card that are no primitives of JAX (reciprocal is one in Pallas only)."""


@pytest.fixture(scope="module")
def registered() -> set[str]:
    """The names of all primitives after importing what a loss can be written with, in a process of its own."""
    program = f"""
import gc, {", ".join(MODULES)}
from jax.extend.core import Primitive
print(*{{p.name for p in gc.get_objects() if isinstance(p, Primitive)}})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {SPELLINGS.get(name, name) for name in done.stdout.split()}


def test_no_primitive_is_forgotten(registered):
    assert {name for name in registered if classify(name) is None and name not in OUT_OF_SCOPE} == set()
    assert len(registered) > 250


def test_a_primitive_is_in_one_place():
    assert set(CLASSES) & set(OUT_OF_SCOPE) == set()
    assert {name for name, kind in CLASSES.items() if kind is Class.UNARY} == {*CARDS, *FAMILIES}
    assert {name for name, kind in CLASSES.items() if kind is Class.ARITHMETIC} == {*ARITHMETIC, "polynomial"}


def test_every_class_has_members():
    assert set(CLASSES.values()) == set(Class)


def test_cards_say_whether_they_are_primitives(registered):
    newest = {"log2", "one_minus_square"}
    cards = {name for name, card in CARDS.items() if card.primitive} | {"integer_pow"}
    assert cards - registered <= newest
    assert not {name for name, card in CARDS.items() if not card.primitive} - QED_ONLY


def _primitives(function, *arguments):
    return {equation.primitive.name for equation in jax.make_jaxpr(function)(*arguments).jaxpr.eqns}


LINEAR_EXAMPLES = {
    "reduce_sum": lambda x: jnp.sum(x),
    "transpose": lambda x: jax.lax.transpose(x, (1, 0)),
    "cumsum": lambda x: jax.lax.cumsum(x),
    "rev": lambda x: jax.lax.rev(x, (0,)),
    "slice": lambda x: jax.lax.slice(x, (0, 1), (2, 3)),
    "concatenate": lambda x: jax.lax.concatenate([x, x], 0),
    "pad": lambda x: jax.lax.pad(x, 0.0, [(1, 1, 0), (0, 0, 1)]),
    "reshape": lambda x: jax.lax.reshape(x, (6,)),
    "broadcast_in_dim": lambda x: jax.lax.broadcast_in_dim(x, (4, 2, 3), (1, 2)),
    "squeeze": lambda x: jax.lax.squeeze(x[None], (0,)),
    "convert_element_type": lambda x: jax.lax.convert_element_type(x, jnp.bfloat16),
    "reduce_precision": lambda x: jax.lax.reduce_precision(x, 8, 7),
    "reduce_window_sum": lambda x: jax.lax.reduce_window(x, 0.0, jax.lax.add, (2, 2), (1, 1), "SAME"),
    "copy": lambda x: jnp.copy(x),
}


@pytest.mark.parametrize("name", LINEAR_EXAMPLES)
def test_linear_means_that_the_derivative_is_the_function(name):
    """At any point, the derivative of a linear function along v is the function at v."""
    x, v = jnp.arange(6.0).reshape(2, 3) - 2.0, jnp.arange(6.0).reshape(2, 3) ** 2
    function = LINEAR_EXAMPLES[name]
    assert name in _primitives(function, x) and classify(name) is Class.LINEAR
    _, slope = jax.jvp(function, (x,), (v,))
    assert jnp.array_equal(slope, function(v))


ZERO_EXAMPLES = {
    "stop_gradient": jax.lax.stop_gradient,
    "iota": lambda x: x * 0 + jax.lax.iota(jnp.float32, 3),
    "bitcast_convert_type": lambda x: jax.lax.bitcast_convert_type(x, jnp.int32),
}


@pytest.mark.parametrize("name", ZERO_EXAMPLES)
def test_zero_derivative_means_that(name):
    x = jnp.arange(3.0)
    function = ZERO_EXAMPLES[name]
    assert name in _primitives(function, x) and classify(name) is Class.ZERO_DERIVATIVE
    _, slope = jax.jvp(function, (x,), (jnp.ones(3),))
    assert not slope.any()


def test_spellings():
    assert classify("scatter_add") is classify("scatter-add") is Class.INDEX
    assert classify("no_such_primitive") is None
