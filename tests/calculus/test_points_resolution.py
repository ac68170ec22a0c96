"""A curvature below the roundings of the function's own arithmetic makes no saddle; cubic terms by two routes."""

import jax
import jax.numpy as jnp
import numpy as np

import qed
from qed.calculus.points import flat
from qed.calculus.points.case import Case
from qed.graph.function import read


def fitted(width: int, rows: int):
    """A network at the weights that made its targets, which were rounded to float32."""
    keys = jax.random.split(jax.random.key(3), 3)
    x = jax.random.normal(keys[0], (rows, 5))
    w = {"a": jax.random.normal(keys[1], (5, width)) / 5**0.5, "b": jax.random.normal(keys[2], (width,)) / width**0.5}
    signs = np.sign(np.random.default_rng(0).standard_normal(rows))
    y = jnp.asarray(np.asarray(jnp.tanh(x @ w["a"]) @ w["b"]) * (1 + 6e-8 * signs), jnp.float32)
    return lambda w: jnp.mean((jnp.tanh(x @ w["a"]) @ w["b"] - y) ** 2), w


def test_what_the_rounding_of_targets_bends_is_no_saddle():
    answer = qed.critical_point(*fitted(24, 60))
    assert answer.value.kind != "saddle"
    assert not answer.findings


def test_a_saddle_of_many_parameters_is_still_one():
    loss, w = fitted(24, 60)
    answer = qed.critical_point(loss, jax.tree.map(jnp.zeros_like, w))
    assert answer.value.kind == "saddle"


def test_mixed_third_derivatives_by_balls_and_by_products():
    def function(p):
        x, y, z = p["x"], p["y"][0], p["y"][1]
        return jnp.sin(y) * x**2 + jnp.exp(z) * x**2 * y + y**2 + 2 * z**2

    at = {"x": jnp.float32(0.5), "y": jnp.array([0.25, -0.5], jnp.float32)}
    case = Case(function, at, (), read(function, at))
    lines = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]])
    others = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 2)))[0]
    point = np.array([0.5, 0.25, -0.5])
    assert len(lines) * 2 * case.boxes.weight <= flat.BALLS
    by_balls, _ = flat._mixed(case, point, lines, others)
    np.testing.assert_allclose(by_balls, flat._by_products(case, point, lines) @ others, rtol=1e-12, atol=1e-14)
