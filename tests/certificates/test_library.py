"""Library functions that are read as meant: a run of their equations, where nothing else reads what is within it."""

from dataclasses import replace

import jax.numpy as jnp
from jax.scipy.special import betaln

from qed.certificates.library import meant
from qed.graph.trace import trace


def test_a_run_is_replaced_unless_what_is_within_it_is_used_elsewhere():
    traced = trace(lambda ab: betaln(ab[0], ab[1]), jnp.array([2.0, 9.0]))
    assert len(meant(traced).graph.equations) < len(traced.graph.equations)
    inner = next(one.outputs[0] for one in traced.graph.equations if one.primitive == "lgamma")
    shared = replace(traced, graph=replace(traced.graph, outputs=(*traced.graph.outputs, inner)))
    assert len(meant(shared).graph.equations) == len(traced.graph.equations)
