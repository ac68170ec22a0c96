"""The first line of an answer names the function, its place and its size."""

import jax.numpy as jnp
import pytest

import qed


def bowl(x):
    return jnp.sum(x**2)


@pytest.mark.parametrize("verb", [qed.convexity, qed.enclose, qed.lipschitz, qed.minimize_globally])
def test_the_title_names_the_function(verb):
    answer = verb(bowl, (-jnp.ones(2), jnp.ones(2)))
    assert answer.subject.startswith("bowl(x)   ") and answer.subject.endswith(":9   2 numbers, float32")
