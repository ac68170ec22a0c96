"""Births in a gradient found in segments: the same as on the whole tape, in less memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.domains.adjoint import adjoints
from qed.domains.born import backward_births
from qed.domains.segments import births_in_segments, in_segments
from qed.graph.trace import trace
from qed.graph.walk import TooLong


def root(x):
    return jnp.sum(jnp.sqrt(jnp.abs(x - 1.0)))


def trap(x):
    return jnp.sum(
        jnp.where(x > 0, jnp.log(jnp.where(x == 1, 0.0, x)) * 0.0, x) ** 2 + jnp.where(x > 5, jnp.sqrt(x - 5), x)
    )


def loop(x):
    def step(c, t):
        return jnp.sin(c) + jnp.where(t == 30, jnp.sqrt(c - c), 0.0), c.sum()

    last, sums = jax.lax.scan(step, x, jnp.arange(40))
    return jnp.sum(last) + jnp.sum(sums)


def branches(x):
    y = jax.lax.cond(x[0] > 0, lambda v: jnp.arccos(v), lambda v: v, x)
    return jnp.sum(jax.lax.fori_loop(0, 5, lambda _, c: c * 0.5, y) * jax.nn.relu(x))


@jax.custom_vjp
def own(x):
    return x * 2


own.defvjp(lambda x: (own(x), x), lambda x, g: (g / (x - x),))


def ruled(x):
    return jnp.sum(jnp.tanh(own(x)) ** 2)


def fine(x):
    return jnp.sum(jnp.exp(jnp.sin(x)) ** 2)


def killed(x):
    """A non-finite cotangent that no parameter receives."""
    return jnp.sum(jnp.where(x > 100, jax.lax.stop_gradient(jnp.sqrt(x - x)), x))


X = jnp.array([1.0, 0.3, -0.2])


@pytest.mark.parametrize("fun", [root, trap, loop, branches, ruled, fine, killed], ids=lambda f: f.__name__)
@pytest.mark.parametrize("segment", [1, 30, 1 << 30])
def test_the_same_births_as_on_the_whole_tape(fun, segment):
    traced = trace(fun, X)
    whole = backward_births(adjoints(traced.graph, traced.leaves, traced.free, keep_parts=True), traced.free)
    run = in_segments(traced.graph, traced.leaves, traced.free, segment=segment, most=1 << 20)
    assert (len(run.parts) > 1) == (segment < 100)
    found = births_in_segments(run, traced.free).births
    assert [(b.primitive, b.index, b.operands, b.result, b.entry.frame.steps(), b.count) for b in found] == [
        (b.primitive, b.index, b.operands, b.result, b.entry.frame.steps(), b.count) for b in whole
    ]
    assert bool(found) == (fun not in (fine, killed))
    finite = np.isfinite(np.asarray(jax.grad(fun)(X))).all()
    assert finite == (not found)


def test_the_values_between_the_cuts_are_few():
    def deep(x):
        for _ in range(60):
            x = jnp.sin(x)
        return jnp.sum(jnp.sqrt(x - x))

    traced = trace(deep, jnp.ones(1000))
    run = in_segments(traced.graph, traced.leaves, traced.free, segment=40_000, most=1 << 20)
    held = {id(cell): cell for part in run.parts for entry in part for cell in entry.outputs if cell.values}
    assert len(run.parts) >= 6 and sum(cell.values[0].nbytes for cell in held.values()) <= 4000 * len(run.parts)
    assert births_in_segments(run, traced.free).births[0].primitive == "sqrt"
    assert not any(cell.values for part in run.parts for entry in part for cell in entry.outputs)


def test_what_crosses_the_cuts_is_bounded():
    def wide(x):
        parts = [jnp.sin(x * k) for k in range(50)]
        return sum(jnp.sum(part * parts[0]) for part in parts)

    traced = trace(wide, jnp.ones(1000))
    with pytest.raises(TooLong, match="between the segments"):
        in_segments(traced.graph, traced.leaves, traced.free, segment=8000, most=100_000)
