"""Points with a flat direction beside which f falls, or rises, on a curve."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

MOVED = np.array([[0.3, 0.7], [1.1, -0.2]])
TURNED = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def parabola(u, last):
    """0 on the parabola but for a last term."""
    return (u[1] - u[0] ** 2) ** 2 + last(u[0])


CASES = {
    "sixth": (lambda x: parabola(x, lambda t: -(t**6)), np.zeros(2), "neither"),
    "fifth": (lambda x: parabola(x, lambda t: 1e-6 * t**5), np.zeros(2), "neither"),
    "sixth up": (lambda x: 1e8 * parabola(x, lambda t: t**6), np.zeros(2), "minimum"),
    "sine": (lambda x: (x[1] - jnp.sin(x[0])) ** 2 - x[0] ** 8, np.zeros(2), "neither"),
    "sine up": (lambda x: (x[1] - jnp.sin(x[0])) ** 2 + x[0] ** 8, np.zeros(2), "minimum"),
    "below": (lambda x: -parabola(x, lambda t: t**6), np.zeros(2), "maximum"),
    "moved": (
        lambda x: parabola(MOVED @ (x - jnp.array([0.3, -0.7])), lambda t: -(t**6)), np.array([0.3, -0.7]), "neither",
    ),
    "rounded": (
        lambda x: parabola(jnp.array([[0.6, -0.8], [0.8, 0.6]]) @ x - jnp.array([0.1, 0.2]), lambda t: -(t**6)),
        np.linalg.solve([[0.6, -0.8], [0.8, 0.6]], [0.1, 0.2]), "neither",
    ),
    "three": (
        lambda x: (lambda u: parabola(u, lambda t: -(t**7)) + (u[2] - u[0] * u[1]) ** 2)(TURNED @ x), np.zeros(3),
        "neither",
    ),
    "two flat": (
        lambda x: (x[2] - x[0] ** 2 - x[1] ** 2) ** 2 + x[0] ** 6 - x[1] ** 6, np.zeros(3), "neither",
    ),
    "between cones": (
        lambda x: (x[0] ** 2 + x[1] ** 2 - 8 * x[2] ** 2) * (x[0] ** 2 + x[1] ** 2 - 8.1 * x[2] ** 2), np.zeros(3),
        "neither",
    ),
    "valley": (lambda x: (x[1] - jnp.sin(x[0])) ** 2, np.zeros(2), "minimum"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_first_term_on_the_curve_across_which_f_has_no_slope_decides(name):
    fun, x, nature = CASES[name]
    answer = qed.critical_point(fun, jnp.asarray(x))
    assert (str(answer.kind), answer.nature) == ("degenerate", nature)
    assert answer.check()
    verdict = qed.verdict(fun, jnp.asarray(x))
    assert verdict.kind == {"neither": "saddle", "maximum": "maximum"}.get(nature, "flat_minimum")


def test_where_a_rule_for_balls_is_missing_the_values_show_the_fall_on_a_curve():
    def fun(x, sign):
        return (x @ x - 1) ** 2 + sign * 1e-3 * (jnp.arctan2(x[1], x[0]) - jnp.arctan2(0.8, 0.6)) ** 6

    x = jnp.array([0.6, 0.8])
    assert qed.verdict(fun, x, -1.0).kind == "saddle"
    assert qed.verdict(fun, x, 1.0).kind == "flat_minimum"
    assert qed.critical_point(fun, x, -1.0).check()


@pytest.mark.parametrize("c", [5.0, 50.0, 5000.0])
def test_a_fall_that_begins_beyond_a_rise_makes_no_saddle(c):
    answer = qed.verdict(
        lambda x: x[0] ** 4 * (1 - c * x[0] ** 2 + 0.2 * (c * x[0] ** 2) ** 2) + x[1] ** 4 + x[2] ** 2, jnp.zeros(3)
    )
    assert answer.kind == "flat_minimum"
