"""Beside a minimum of high order f still falls, by next to nothing; beside an inflection it falls on."""

import jax
import jax.numpy as jnp
import pytest

import qed

MINIMA = {
    "one direction": (lambda x: x[0] ** 4 - x[1] ** 8 + 2 * x[1] ** 2, [5e-5, 0.0]),
    "aside": (lambda x: (x[0] - 2 * x[1]) ** 4 + jnp.sin(x[0] + x[1]) ** 2 - jnp.sin(x[0] + x[1]) ** 6, [4e-5, -4e-5]),
}
NONE = {
    "an inflection": (lambda x: x[0] ** 3 - x[1] ** 8 + 2 * x[1] ** 2, [5e-5, 0.0]),
    "lower to one side": (lambda x: x[0] ** 4 - 0.02 * x[0] ** 3 + x[1] ** 2 * jnp.cos(x[1]), [-5e-5, 0.0]),
}


@pytest.mark.parametrize("name", MINIMA)
def test_a_fall_by_next_to_nothing_ends_in_a_flat_minimum(name):
    f, x = MINIMA[name]
    with jax.enable_x64(True):
        found = qed.verdict(f, jnp.array(x))
    assert str(found.value.kind) == "flat_minimum", found.headline
    assert found.measured and found.value.decrease < 1e-15


@pytest.mark.parametrize("name", NONE)
def test_a_fall_that_goes_on_does_not(name):
    f, x = NONE[name]
    with jax.enable_x64(True):
        found = qed.verdict(f, jnp.array(x))
    assert str(found.value.kind) not in ("flat_minimum", "minimum"), found.headline


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: (x[1] - 2 * x[0] ** 2) * (x[1] - 5 * x[0] ** 2),
        lambda x: x[1] ** 2 - 2 * x[1] * x[0] ** 2 + x[0] ** 4 / 3,
    ],
    ids=["between two parabolas", "on one parabola"],
)
def test_a_saddle_that_falls_on_a_curve_only_is_no_flat_minimum(fun):
    with jax.enable_x64(True):
        answer = qed.verdict(fun, jnp.array([6e-5, 0.0]))
    assert answer.kind not in ("flat_minimum", "minimum")
