"""Where a run rests though f falls: mixtures of flat directions, maxima among corners, and rays far out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(11)
    return jnp.asarray(rng.normal(size=(25, 3)), jnp.float32), jnp.asarray(rng.normal(size=25), jnp.float32)


@pytest.mark.slow
def test_a_network_of_zeros_before_and_after_a_rectifier_is_no_minimum(data):
    """No derivative of one weight is there, and no second one of two; with both, the loss is lower."""
    x, y = data

    def loss(p):
        return jnp.mean((jax.nn.leaky_relu(x @ p["w"]) @ p["v"] + p["b"] - y) ** 2)

    zero = {"w": jnp.zeros((3, 5)), "v": jnp.zeros(5), "b": jnp.zeros(())}
    constant = float(jnp.var(y))

    def rectified(p):
        return jnp.mean((jax.nn.relu(x @ p["w"]) @ p["v"] + p["b"] - y) ** 2)

    for fun in (loss, rectified):
        assert float(fun(qed.minimize(fun, zero).x)) < 0.9 * constant


def test_a_maximum_among_corners_is_left():
    answer = qed.minimize(lambda w: jnp.sum(jax.scipy.special.xlogy(w**2 + 0.2, w**2 + 0.2)), jnp.zeros(2))
    assert answer.reason == "minimum"
    assert np.abs(np.asarray(answer.x)) == pytest.approx(np.sqrt(np.exp(-1) - 0.2), abs=1e-4)


@pytest.mark.parametrize("smooth", [True, False])
def test_a_maximum_less_its_own_share_falls_for_ever(smooth):
    """Along (-1, ..., -1) by 0.6 a unit; at the largest floats it looks like a corner."""
    top = jax.nn.logsumexp if smooth else jnp.max
    answer = qed.minimize(lambda w: top(w) - 0.4 * w[1], jnp.zeros(5))
    assert answer.reason == "unbounded_below"


def test_a_corner_far_away_is_where_it_was():
    answer = qed.minimize(lambda w: jnp.abs(w[0] - 3e6) + jnp.abs(w[1]) - 5e6, jnp.zeros(2))
    assert answer.x == pytest.approx([3e6, 0.0], abs=1.0)
    assert answer.reason in ("kink", "minimum")
