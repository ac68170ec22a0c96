"""Ranges of `qed.enclose`, with the forms that use derivatives, against values in 200-bit balls."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import qed
from qed.domains.precision import precision
from tests.laws.random_shapes import drawn, each_in_balls


def outside(fun, box, answer, seed, count=40):
    """A point of the box at which the value surely lies outside the range; None if there is none among many."""
    rng = np.random.default_rng(seed)
    lower, upper = (np.float64(side).ravel() for side in box)
    points = []
    for _ in range(count):
        share = rng.integers(0, 257, lower.size) / 256
        share = np.where(rng.random(lower.size) < 0.3, np.round(share), share)
        points.append(lower + (upper - lower) * share)
    with precision(200) as flint:
        for k, value in enumerate(each_in_balls(fun, np.stack(points))):
            if value is None:
                continue
            if value < flint.arb(float(answer.lower)) or value > flint.arb(float(answer.upper)):
                return k, points[k], value.str(12)
    return None


def random_range(k):
    rng = np.random.default_rng([77, k])
    variables = 1 + k % 3
    fun = drawn(rng, int(rng.integers(1, 4)), variables)
    lower = rng.integers(-256, 257, variables) / 128
    box = np.float32(lower), np.float32(lower + rng.integers(1, 257, variables) / 128)
    answer = qed.enclose(lambda x: fun([x[i] for i in range(variables)]), box, budget=1.0, width=0.01)
    return None if answer.unknown else outside(fun, box, answer, k)


def test_no_value_lies_outside_a_range(law_examples):
    assert [k for k in range(law_examples(10)) if random_range(k) is not None] == []


@pytest.mark.slow
def test_no_value_of_many_lies_outside_a_range(law_examples):
    assert [k for k in range(100, 100 + law_examples(120)) if random_range(k) is not None] == []


TRAPS = {
    "spike": (lambda x: jnp.where(x == 0.5, 9.0, x), -1.0, 1.0, -1.0, 9.0),
    "jump": (lambda x: jnp.where(x > 0.25, x - 5, x), -1.0, 1.0, -4.75, 0.25),
    "stopped": (lambda x: x - lax.stop_gradient(x) + x * x, -1.0, 2.0, 0.0, 4.0),
    "kink": (lambda x: jnp.abs(x - 0.25) + x / 2, -1.0, 1.0, 0.125, 1.25),
    "stairs": (lambda x: jnp.floor(x) + x, -1.0, 1.5, -2.0, 2.5),
    "bump": (lambda x: jax.nn.relu(0.01 - jnp.abs(x - 0.3)), -1.0, 1.0, 0.0, 0.01),
    "steep": (lambda x: jnp.tanh(1000 * (x - 0.3)), -1.0, 1.0, -1.0, 1.0),
    "loop": (lambda x: lax.fori_loop(0, 4, lambda i, c: c * c - 1.0, x), -1.0, 1.0, -1.0, 0.0),
}


@pytest.mark.parametrize("name", TRAPS)
def test_what_is_not_smooth_is_not_bounded_by_its_derivative(name):
    fun, lower, upper, low, high = TRAPS[name]
    answer = qed.enclose(fun, (lower, upper), budget=2.0)
    assert answer.proved and answer.check()
    assert answer.lower <= low + 1e-6 and answer.upper >= high - 1e-6
