"""A million parameters: how many vectors of their size a run holds at most."""

import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.graph.function import read
from qed.optimization.bounds import bounds_of
from qed.optimization.objective import Objective
from qed.optimization.running import run
from qed.optimization.second_order import held_as


def valley(x, w):
    return jnp.sum(w * (x - 1.0) ** 2) + jnp.sum(jnp.log(jnp.cosh(x)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "n", "steps", "vectors"), [("newton", 1_000_000, 6, 10), ("l-bfgs", 1_000_000, 9, 10)]
)
def test_a_run_holds_few_vectors(method, n, steps, vectors):
    """Beside the start, with ten vectors of float64: five pairs of L-BFGS are held in float32."""
    with jax.enable_x64(True):
        start, weights = jnp.zeros(n), jnp.linspace(1.0, 100.0, n)
        objective = Objective(read(valley, start, weights))
        objective.curvature = held_as(objective.function, "products")
        here, bounds = objective.at(np.zeros(n)), bounds_of(None, start)
        tracemalloc.start()
        try:
            end = run(objective, here, bounds, method, 1e-6, steps)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert end.here.f < 0.9 * here.f
    assert peak <= vectors * 8 * n + 2**20  # and what Python takes beside
