"""What a Taylor polynomial in several variables leaves on a cube: proved, close, and true at random points in balls."""

import flint
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.domains.ball import Ball, precision
from qed.domains.balls import Balls, objects
from qed.graph.trace import trace
from qed.graph.walk import Walker

DATA = jnp.array([[0.3, -0.7], [0.5, 0.2], [-0.4, 0.9]])


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def logistic(p):
    return jnp.mean(jnp.log1p(jnp.exp(-(DATA @ p["w"] + p["b"]))))


def network(p):
    return jnp.sum(jnp.tanh(p["W"] @ DATA[0] + p["b"]) ** 2)


FUNCTIONS = {
    "rosenbrock": (rosenbrock, jnp.array([1.0, 1.0]), 0.1),
    "logistic": (logistic, {"w": jnp.array([0.5, -1.0]), "b": jnp.float32(0.25)}, 0.125),
    "network": (network, {"W": jnp.full((1, 2), 0.3), "b": jnp.array([0.1])}, 0.0625),
    "quotient": (lambda x: jnp.exp(x[0]) / (1 + x[1]), jnp.array([0.25, 0.5]), 0.125),
}


def left(answer, fun, at, h):
    """f(a + h) minus the polynomial, in balls of 200 bits; h a vector of float64 numbers."""
    leaves = jax.tree.leaves(at)
    point = np.concatenate([np.ravel(np.asarray(leaf, np.float64)) for leaf in leaves])
    with precision(200):
        numbers = [flint.arb(float(a)) + flint.arb(float(b)) for a, b in zip(point, h, strict=True)]
        traced, inputs, start = trace(fun, at), [], 0
        for leaf in leaves:
            stop = start + leaf.size
            inputs.append(Balls(objects(numbers[start:stop], leaf.shape)))
            start = stop
    values = list(traced.leaves)
    for place, value in zip(traced.free, inputs, strict=True):
        values[place] = value
    (cell, *_) = Walker([Ball(200)]).run(traced.graph, values)
    with precision(200):
        total = cell.values[0].array.item()
        for k, tensor in enumerate(answer.value.coefficients):
            flat = np.asarray(tensor, np.float64).reshape((len(h),) * k)
            for index in np.ndindex(flat.shape):
                term = flint.arb(float(flat[index]))
                for i in index:
                    term = term * flint.arb(float(h[i]))
                total = total - term
        return total


@pytest.mark.parametrize("order", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_remainder_holds_in_balls(name, order, law_examples):
    fun, at, radius = FUNCTIONS[name]
    answer = qed.taylor(fun, at, order=order, radius=radius)
    assert answer.proved
    assert answer.check()
    size = sum(leaf.size for leaf in jax.tree.leaves(at))
    rng = np.random.default_rng(order)
    steps = rng.uniform(-radius, radius, (law_examples(60), size))
    steps[::3] = radius * np.sign(steps[::3])
    seen = []
    with precision(200):
        low, high = flint.arb(answer.value.remainder.lower), flint.arb(answer.value.remainder.upper)
    for h in steps:
        remainder = left(answer, fun, at, h)
        with precision(200):
            assert remainder >= low and remainder <= high
            seen.append(abs(float(remainder.mid())))
    width = max(abs(answer.value.remainder.lower), abs(answer.value.remainder.upper))
    assert width <= 300 * max(seen), "the enclosure says something"


def test_a_polynomial_is_its_own_taylor_polynomial():
    answer = qed.taylor(lambda x: x[0] * x[1] + x[1] ** 3, jnp.array([1.0, 2.0]), order=3, radius=0.5)
    assert answer.proved
    assert max(abs(answer.value.remainder.lower), abs(answer.value.remainder.upper)) < 1e-5


def test_what_is_missing_is_named():
    kink = qed.taylor(lambda x: jnp.sum(jnp.abs(x)), jnp.array([0.3, 0.05]), order=1, radius=0.1)
    assert kink.unknown
    assert "abs" in kink.missing[0].what
    many = qed.taylor(lambda x: jnp.sum(x**2), jnp.ones(24), order=3, radius=0.1)
    assert many.unknown
    assert "directions" in many.missing[0].what
