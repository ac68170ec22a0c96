"""In a box a minimum that bounds hold by force is proved to be one; that of a convex function is the global one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.optimization.bounds import bounds_of

ROWS = np.random.default_rng(0).standard_normal((12, 2)).astype(np.float32)
SIGNS = np.sign(ROWS @ np.array([1.0, -0.5]) + 0.8 * np.random.default_rng(1).standard_normal(12)).astype(np.float32)


def logistic(w):
    return jnp.mean(jax.nn.softplus(-SIGNS * (ROWS @ w))) + 0.05 * w @ w


def valley(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


@pytest.mark.parametrize(
    ("fun", "bounds", "words"),
    [
        (logistic, None, "The global minimum, since f is convex"),
        (logistic, (-0.1, 0.2), "The global minimum in the box, since f is convex"),
        (lambda x: 0.5 * x @ x + 0.45 * jnp.cos(x[0] + x[1]), None, "The global minimum, since f is convex"),
        (lambda x: jnp.sum((x - 0.3) ** 2) + x[0] * x[1], (0.0, 1.0), "The global minimum in the box"),
        (valley, None, "A strict local minimum"),
        (valley, (-0.5, 0.5), "A strict local minimum in the box"),
        (valley, ((-2.0, -2.0), (2.0, 2.0)), "A strict local minimum in the box"),
    ],
)
def test_a_minimum_is_proved_and_its_proof_is_verified_again(fun, bounds, words):
    start = (jnp.float32(0.1), jnp.float32(0.2))
    answer = qed.minimize(lambda p: fun(jnp.stack(p)), start, bounds=bounds)
    assert answer.reason == "minimum"
    assert answer.proved
    assert answer.headline.startswith(words)
    assert answer.check()


@pytest.mark.parametrize(
    ("fun", "bounds"),
    [
        (lambda x: (x[0] - 1) ** 2 * jnp.cos(3 * x[1] - 1.5) + (x[1] - 0.5) ** 2, (0.0, 1.0)),  # held with no force
        (lambda x: x[0] ** 4 * jnp.cos(x[1]) + (x[1] + 1) ** 2, (0.0, 2.0)),  # f does not bend
    ],
)
def test_a_weakly_held_minimum_of_what_is_not_convex_is_not_proved(fun, bounds):
    assert not qed.minimize(fun, jnp.array([0.5, 0.5]), bounds=bounds).proved


@pytest.mark.parametrize("end", [1.0, 0.75])
def test_a_weakly_held_minimum_of_a_convex_function_is_proved_by_its_value(end):
    answer = qed.minimize(lambda x: (x[0] - end) ** 2 + (x[1] - 0.5) ** 2, jnp.array([0.5, 0.5]), bounds=(0.0, end))
    assert answer.proved and answer.certificate.kind == "feasible gap" and answer.check()


def test_a_local_minimum_of_a_function_that_is_not_convex_is_not_called_global():
    answer = qed.minimize(lambda x: (x[0] ** 2 - 1) ** 2 + 0.2 * x[0] + x[1] ** 2, jnp.array([1.0, 1.0]))
    assert answer.proved
    assert "global" not in answer.headline
    assert answer.fun > 0.1


def test_bounds_are_what_the_dtype_holds_inside_them():
    box = bounds_of((np.array([-0.3, 0.1, 0.1]), np.array([0.7, 0.1, 1e300])), jnp.zeros(3, jnp.float32))
    assert np.all(box.lower.astype(np.float32) == box.lower)
    assert -0.3 <= box.lower[0] < -0.2999999 and 0.6999999 < box.upper[0] <= 0.7
    assert box.lower[1] == box.upper[1] == np.float32(0.1)
    answer = qed.minimize(lambda x: jnp.sum(x), jnp.zeros(2, jnp.float32), bounds=(-0.3, 0.3))
    assert answer.reason == "minimum"
    assert np.all(np.asarray(answer.x, np.float64) >= -0.3)


@pytest.mark.parametrize("scale", [1e14, 1e16, 1e20])
def test_scales_far_apart_are_no_flat_directions(scale):
    with jax.enable_x64(True):
        answer = qed.minimize(lambda x: x[0] ** 2 + scale * x[1] ** 2, jnp.ones(2))
        assert answer.proved and answer.check() and answer.reason == "minimum" and "global" in answer.headline
        if scale <= 1e16:
            turned = qed.minimize(lambda x: (x[0] - 1 / 3) ** 2 + scale * (x[1] - x[0] / 7) ** 2, jnp.ones(2))
            assert turned.proved and turned.check() and turned.reason == "minimum" and not turned.findings
        flat = qed.verdict(lambda x: scale * (x[0] + x[1] - 1 / 3) ** 2, jnp.array([1 / 6, 1 / 6]))
        assert flat.kind == "flat_minimum"
