"""Which functions are smooth though a largest number is taken: a softmax by hand, and what only looks like one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.function import read
from qed.optimization.cornered import has_corners

DRAW = np.random.default_rng(3)
X = jnp.asarray(DRAW.normal(size=(20, 2)))
LABELS = jnp.asarray(np.argmax(np.asarray(X) @ DRAW.normal(size=(2, 3)), 1))


def by_hand(w):
    z = X @ w
    z = z - z.max(axis=1, keepdims=True)
    shares = jnp.exp(z) / jnp.exp(z).sum(1, keepdims=True)
    return -jnp.mean(jnp.log(shares[jnp.arange(len(X)), LABELS]))


def two_pass(w):
    top = jnp.max(w, 0)
    return jnp.sum(jnp.log(jnp.sum(jnp.exp(w - top), 0)) + top)


def softmin(w):
    low = jnp.min(w)
    weights = jnp.exp(low - w)
    return jnp.sum(weights * w) / jnp.sum(weights)


@pytest.mark.parametrize("fun", [by_hand, two_pass, softmin, jax.jit(by_hand)])
def test_what_is_taken_off_and_not_seen_makes_no_corner(fun):
    assert not has_corners(read(fun, jnp.zeros((2, 3))))


@pytest.mark.parametrize(
    "fun",
    [
        lambda w: by_hand(w) + 1e-3 * jnp.max(w),
        lambda w: jnp.sum(jnp.log(jnp.sum(jnp.exp(w - jnp.max(w, 0)), 0)) + jnp.max(w)),  # another largest one
        lambda w: jnp.sum(jnp.exp(w - jnp.max(w))),
        lambda w: by_hand(w) + jnp.sum(jnp.abs(w)),
        lambda w: jnp.sum(jax.nn.relu(w - jnp.max(w) + 1)),
        lambda w: jax.lax.fori_loop(0, 3, lambda _, v: v + jnp.max(w), 0.0),
    ],
)
def test_what_is_seen_stays_a_corner(fun):
    assert has_corners(read(fun, jnp.zeros((2, 3))))


@pytest.mark.slow
def test_classes_told_apart_by_a_softmax_by_hand_have_no_minimum():
    assert qed.minimize(by_hand, jnp.zeros((2, 3))).reason == "infimum_not_attained"
