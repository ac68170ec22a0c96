"""Rows whose gradient vanishes: what the tolerance allows is no feasible point."""

import jax
import jax.numpy as jnp
import pytest

import qed


@pytest.mark.parametrize("row", [lambda x: x[0] ** 3, lambda x: x[0] ** 2, lambda x: x[0] ** 5 * (1 + x[1])])
def test_a_fall_along_what_a_row_allows_within_its_tolerance_makes_no_saddle(row):
    """On x0 = 0 x1^2 has its minimum at 0, and -x1^2 has none."""
    with jax.enable_x64(True):
        at_least = qed.verdict(lambda x: -(x[0] ** 2) + x[1] ** 2, jnp.zeros(2), equality=row)
        assert at_least.kind in ("minimum", "undecided")
        assert qed.verdict(lambda x: x[0] ** 2 - x[1] ** 2, jnp.zeros(2), equality=row).kind == "saddle"
