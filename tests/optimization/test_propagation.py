"""How a step carries errors on: the spectral radius by Arnoldi, and the limit that follows, by experiment."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from qed.calculus.arnoldi import outermost
from qed.optimization.local import NotIdentified
from qed.optimization.propagation import Propagation, propagation

H = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 0.3]])
START = (jnp.array([1e-6, -1e-6, 5e-7]),)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [1, 4, 30])
def test_the_outermost_eigenvalue_of_a_random_matrix(size, seed):
    a = np.random.default_rng(seed).standard_normal((size, size))
    found = outermost(lambda v: a @ v, size)
    assert found.radius == pytest.approx(np.abs(np.linalg.eigvals(a)).max(), rel=1e-3)
    assert found.products <= size


def test_a_real_positive_eigenvalue_is_no_oscillation():
    a = np.diag([3.0, -2.0, 1.0])
    assert outermost(lambda v: a @ v, 3).value == pytest.approx(3)
    assert outermost(lambda v: a @ v, 3, oscillating=True).value == pytest.approx(-2)
    assert outermost(lambda v: np.abs(np.diag(a)) * v, 3, oscillating=True).radius == 0


def test_a_product_that_is_not_finite_says_nothing():
    assert not outermost(lambda v: v * np.nan, 3).finite


def at(rule, state, w=START):
    gradient = (jnp.asarray(H, jnp.float32) @ w[0],)
    return propagation(rule, state, w, gradient, lambda v: H @ v)


def warm(rule):
    """A state with accumulators of 4 wherever the rule has arrays beside the momentum."""
    found, tree = jax.tree_util.tree_flatten_with_path(rule.init(START))
    names = [{getattr(key, "name", None) for key in path} for path, _ in found]
    filled = [
        jnp.full_like(leaf, 4.0) if name & {"sum_of_squares", "nu"} else leaf
        for name, (_, leaf) in zip(names, found, strict=True)
    ]
    return jax.tree.unflatten(tree, filled)


def grows(rule, steps=10_000):
    """Whether a small error grows under the rule itself, on the quadratic."""
    hessian = jnp.asarray(H, jnp.float32)

    def step(_, carried):
        w, state, largest = carried
        update, state = rule.update((hessian @ w[0],), state, w)
        w = optax.apply_updates(w, update)
        return w, state, jnp.maximum(largest, jnp.abs(w[0]).max())

    start = (START, warm(rule), jnp.float32(0))
    return not float(jax.jit(lambda: jax.lax.fori_loop(0, steps, step, start))()[2]) < 1e-4


RULES = {
    "adagrad": lambda rate: optax.adagrad(rate, initial_accumulator_value=4.0),
    "two memories": lambda rate: optax.chain(optax.trace(0.5), optax.sgd(rate, momentum=0.9)),
    "an averaged gradient": lambda rate: optax.chain(optax.ema(0.9, debias=False), optax.sgd(rate)),
    "two groups": lambda rate: optax.chain(optax.masked(optax.trace(0.9), (True,)), optax.sgd(rate)),
}


@pytest.mark.parametrize("name", RULES)
def test_just_below_the_factor_it_converges_and_just_above_it_grows(name):
    make = RULES[name]
    found = at(make(50.0), warm(make(50.0)))
    assert isinstance(found, Propagation), found
    assert found.grows
    limit = 50.0 * found.factor
    assert not grows(make(0.98 * limit))
    assert grows(make(1.02 * limit))
    calm = at(make(0.5 * limit), warm(make(0.5 * limit)))
    assert not calm.grows
    assert calm.factor is None


def test_negative_curvature_is_no_instability():
    rule = RULES["two memories"](0.1)
    gradient = (jnp.ones(3),)
    assert not propagation(rule, rule.init(START), START, gradient, lambda v: -5.0 * v).grows


@pytest.mark.parametrize("rule", [optax.lion(0.1), optax.sign_sgd(0.1)], ids=["lion", "sign"])
def test_a_sign_has_no_derivative(rule):
    found = at(rule, rule.init(START))
    assert isinstance(found, NotIdentified)
    assert "does not feel the gradient" in found.words
