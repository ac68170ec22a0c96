"""A ray along which f falls for ever: not one of rounding, nor one that violations buy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.optimization.constrained.problem import constrained
from qed.optimization.constrained.rays import ray_down


@pytest.mark.parametrize(
    ("f", "floor", "direction", "falls"),
    [
        (lambda x: x[0], -jnp.inf, [-1e-6, 1.0], True),
        (lambda x: -((1.0 + x[1] ** 2) ** 0.05), -1.0, [0.0, 1.0], True),
        (lambda x: 1e-20 * x[0], -jnp.inf, [-1.0, 0.0], True),
        (lambda x: x[0], -1.0, [-1e-17, 1.0], False),  # 1e-8 on a way of 1e9: what rounding makes
        (lambda x: x[0], 0.0, [-1e-10, 1.0], False),  # falls by as much as it violates
    ],
)
def test_a_ray_falls_by_more_than_the_doubts(f, floor, direction, falls):
    with jax.enable_x64(True):
        g = None if np.isinf(floor) else lambda x: x[0] - floor
        problem = constrained(f, jnp.array([0.5, 0.5]), (), None, g, None)
        start = np.array([0.0, 0.5])
        assert (ray_down(problem, start, np.array(direction)) is not None) == falls
