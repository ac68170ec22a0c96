"""Functions that fall without an end towards a point near by, and those that do not."""

import jax
import jax.numpy as jnp
import pytest

import qed


@pytest.mark.parametrize(
    ("fun", "start"),
    [
        (lambda x: jnp.log(x[0]), jnp.array([1.0])),
        (lambda x: jnp.log(jnp.abs(x[0] - 0.3)) + x[1] ** 2, jnp.ones(2)),
        (lambda x: -1 / x[0], jnp.array([1.0])),
        (lambda a: jnp.linalg.slogdet(a)[1], 1.5 * jnp.eye(2)),
        (lambda a: jnp.log(jnp.linalg.det(a @ a.T)) + jnp.sum(a**2), 1.5 * jnp.eye(2) + 0.1),
    ],
    ids=["log", "beside 0.3", "pole", "log determinant", "of a Gram matrix"],
)
def test_a_fall_towards_a_pole_has_no_end(fun, start):
    with jax.enable_x64(True):
        answer = qed.minimize(fun, start.astype(float))
        assert answer.reason == "unbounded_below"
        assert answer.measured and "towards a point" in answer.headline
        assert "QED306" in [finding.code for finding in answer.findings]


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: x[0] * jnp.log(x[0]),
        lambda x: jnp.sqrt(x[0]),
        lambda x: jnp.log(x[0] ** 2 + 1e-6),
        lambda x: x[0] - 0.1 * jnp.log(x[0]),
    ],
    ids=["x log x", "root", "bounded", "barrier"],
)
def test_a_fall_with_an_end_is_no_pole(fun):
    with jax.enable_x64(True):
        assert qed.minimize(fun, jnp.array([0.9])).reason != "unbounded_below"
