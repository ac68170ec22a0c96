"""The first ball of Newton's method: its own step where H is definite."""

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.function import read
from qed.optimization.bounds import bounds_of
from qed.optimization.objective import Objective
from qed.optimization.running import by_model


def ended(fun, start):
    """Where Newton's method ends, how, and in how many values after that of the start."""
    start = jnp.asarray(start, jnp.float64)
    objective = Objective(read(fun, start))
    here = objective.at(objective.start)
    end, how, _ = by_model(objective, here, bounds_of(None, start), 1e-8, 100)
    return end, how, objective.counts["values"] - 1


def test_a_definite_quadratic_function_takes_one_value_from_however_far():
    with jax.enable_x64(True):
        end, how, values = ended(lambda x: jnp.sum(jnp.array([1.0, 3.0]) * (x - 1e3) ** 2), [0.0, 0.0])
    assert (how, values) == ("stationary", 1)
    np.testing.assert_allclose(end.x, 1e3)


def test_a_first_step_that_lies_beyond_the_model_costs_one_value(monkeypatch):
    def cone(x):
        return jnp.sum(jnp.sqrt(1 + (x - 1) ** 2))

    with jax.enable_x64(True):
        far = ended(cone, [4.0, 5.0])
        monkeypatch.setattr("qed.optimization.running.FAR", 1.0)
        near = ended(cone, [4.0, 5.0])
    assert far[1] == near[1] == "stationary" and far[2] == near[2] + 1
    np.testing.assert_allclose(far[0].x, 1.0, atol=1e-8)
