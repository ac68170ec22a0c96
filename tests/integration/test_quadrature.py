"""Sums over many intervals: the rules on all at once say what they say on each, and err by no more than told."""

import math

import jax
import numpy as np
import pytest

from qed.graph.trace import trace
from qed.integration import quadrature

ENDS = np.linspace(0.0, 1.0, quadrature.ONE_BY_ONE + 6).tolist()
CASES = {"smooth": (np.sin, 1 - math.cos(1.0)), "a kink in one": (lambda x: np.abs(x - 0.33), 0.2789)}


@pytest.mark.parametrize("name", CASES)
def test_many_intervals_together_are_what_they_are_one_by_one(name, monkeypatch):
    f, truth = CASES[name]
    together = quadrature.measured(f, np.zeros_like, ENDS, probability=False)
    monkeypatch.setattr(quadrature, "ONE_BY_ONE", len(ENDS))
    apart = quadrature.measured(f, np.zeros_like, ENDS, probability=False)
    for found in (together, apart):
        assert abs(found.value - truth) <= found.error <= 1e-7
    assert together.value == pytest.approx(apart.value, rel=1e-9)


def test_a_function_of_no_numbers_is_not_called():
    """A loop that never ends at 0 is asked at no number."""
    with jax.enable_x64(True):
        traced = trace(lambda x: jax.lax.while_loop(lambda s: s < 1, lambda s: 2 * s, x), np.float64(0.5))
    assert quadrature.vectorised(traced, 0)(np.zeros(0)).shape == (0,)
