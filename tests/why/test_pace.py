"""Layers that do not learn: the vanishing gradient in a loss that is run, and healthy twins."""

import jax
import jax.numpy as jnp
import optax
import pytest

import qed

KEYS = jax.random.split(jax.random.key(0), 13)
X = jax.random.normal(KEYS[0], (32, 8))
Y = jnp.sin(X[:, 0])
WEIGHTS = {f"layer{i:02}": jax.random.normal(key, (8, 8)) / 3 for i, key in enumerate(KEYS[1:])} | {
    "out": jnp.ones((8, 2))
}


def loss_of(layer):
    def loss(w):
        h = X
        for name in sorted(w)[:-1]:
            h = layer(h, h @ w[name])
        return jnp.mean((h @ w["out"] - Y[:, None]) ** 2)

    return loss


@pytest.mark.parametrize(
    ("layer", "step", "told"),
    [
        (lambda h, z: jax.nn.sigmoid(z), "sgd:0.03", True),
        (lambda h, z: jax.nn.sigmoid(z), optax.adam(1e-3), False),  # it divides by the size of the gradient
        (lambda h, z: h + jnp.tanh(z) / 12, "sgd:0.001", False),
    ],
    ids=["sigmoid", "sigmoid under Adam", "residual"],
)
def test_a_layer_that_does_not_learn_is_named(layer, step, told):
    answer = qed.why(qed.Problem(loss_of(layer), WEIGHTS, step=step))
    found = [finding for finding in answer.findings if finding.code == "QED405"]
    assert bool(found) == told, str(answer)
    if told:
        assert found[0].witness["leaf"] == "w['layer00']" and "does not learn" in str(answer.headline)
        assert found[0].witness["way"] < 1e-3
