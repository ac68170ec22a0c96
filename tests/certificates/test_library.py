"""Library functions that are read as meant: a run of their equations, where nothing else reads what is within it."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import betaln, log_ndtr

import qed
from qed.certificates.library import meant
from qed.graph.trace import trace


def test_a_run_is_replaced_unless_what_is_within_it_is_used_elsewhere():
    traced = trace(lambda ab: betaln(ab[0], ab[1]), jnp.array([2.0, 9.0]))
    assert len(meant(traced).graph.equations) < len(traced.graph.equations)
    inner = next(one.outputs[0] for one in traced.graph.equations if one.primitive == "lgamma")
    shared = replace(traced, graph=replace(traced.graph, outputs=(*traced.graph.outputs, inner)))
    assert len(meant(shared).graph.equations) == len(traced.graph.equations)


@pytest.mark.parametrize("x", [0.5, np.float32(0.5), np.ones(2, np.float32)], ids=["weak", "number", "array"])
def test_the_normal_distribution_is_recognised_whatever_its_argument_is(x):
    traced = trace(lambda x: jnp.sum(log_ndtr(x) - 3 * x), x)
    assert "erfc" in [equation.primitive for equation in meant(traced).graph.walk()]
    assert "select_n" not in [equation.primitive for equation in meant(traced).graph.walk()]


def test_an_answer_says_what_a_library_function_is_read_as():
    answer = qed.convexity(lambda x: x * x - log_ndtr(2 * x), (-12.0, 3.0))
    assert answer.proved
    assert answer.check()
    (text,) = [reason.text for reason in answer.reasons if "is read as" in (reason.text or "")]
    assert text.startswith("log_ndtr is read as log Phi")
    plain = qed.convexity(lambda x: jnp.hypot(x[0], x[1]), (-jnp.ones(2), jnp.ones(2)))
    assert not [reason for reason in plain.reasons if "is read as" in (reason.text or "")]
