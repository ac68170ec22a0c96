"""Lipschitz constants of `qed.lipschitz` against difference quotients in 200-bit balls.

|f(b) - f(a)| <= L |b - a| for the function, and |f(m + d) + f(m - d) - 2 f(m)| <= L |d|² where its gradient has the
constant L (Nesterov, *Introductory Lectures on Convex Optimization*, 2004, lemma 1.2.3, twice).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import qed
from qed.domains.precision import precision
from tests.calculus.corpus_shapes import over
from tests.laws.random_shapes import drawn, each_in_balls

PLANE = over(-1.0, 2.0, 2)


def ratio(balls, a, b, order, flint):
    """A difference quotient that is at most the constant of an order, from balls of its values there."""
    if any(ball is None for ball in balls):
        return None
    square: Any = sum((flint.arb(float(y)) - flint.arb(float(x))) ** 2 for x, y in zip(a, b, strict=True))
    if order == 0:
        return abs(balls[1] - balls[0]) / square.sqrt()
    return abs(balls[0] + balls[1] - 2 * balls[2]) / (square / 4)


def exceeded(fun, box, order, constant, seed, count=60):
    """Whether a pair of points of the box contradicts a constant."""
    rng = np.random.default_rng(seed)
    lower, upper = (np.float64(side).ravel() for side in box)
    pairs = []
    with precision(200) as flint:
        for k in range(count):
            share = rng.integers(0, 257, (2, lower.size)) / 256
            a, b = lower + (upper - lower) * share
            b = a + (b - a) * 2.0 ** -(k % 12)
            if not np.array_equal(a, b):
                pairs.append((a, b))
        if not pairs:
            return None
        ends = [np.stack(side) for side in zip(*pairs, strict=True)]
        ends += [(ends[0] + ends[1]) / 2] * order
        values = zip(*(each_in_balls(fun, side) for side in ends), strict=True)
        for (a, b), balls in zip(pairs, values, strict=True):
            quotient: Any = ratio(balls, a, b, order, flint)
            if quotient is not None and quotient > flint.arb(float(constant)):
                return a, b, quotient.str(12)
    return None


KNOWN = {
    "form": (lambda x: x[0] ** 2 + x[0] * x[1] + x[1] ** 2, {1: 3.0}),
    "saddle": (lambda x: 4 * x[0] * x[1], {1: 4.0, 0: 128**0.5}),
    "affine": (lambda x: 3 * x[0] - 4 * x[1], {0: 5.0, 1: 0.0}),
    "modulus": (lambda x: jnp.abs(x[0]) + x[1], {0: 2**0.5, 1: np.inf}),
    "stopped": (lambda x: x[0] * lax.stop_gradient(x[0]) + x[1], {0: 17**0.5, 1: 2.0}),
    "jump": (lambda x: jnp.where(x[0] > 0, x[0] + 1, x[0]), {0: np.inf, 1: np.inf}),
    "one_point": (lambda x: jnp.where(x[0] == 0.5, 1.0, 0.0) + x[1], {0: np.inf, 1: np.inf}),
    "staircase": (lambda x: jnp.floor(x[0]), {0: np.inf, 1: np.inf}),
    "vertical": (lambda x: jnp.cbrt(x[0]), {0: np.inf, 1: np.inf}),
    "straight_through": (lambda x: x[0] + lax.stop_gradient(jnp.round(x[0]) - x[0]), {0: np.inf, 1: np.inf}),
    "relu": (lambda x: jax.nn.relu(x[0] - 2 * x[1]), {0: 5**0.5, 1: np.inf}),
    "waves": (lambda x: jnp.sin(3 * x[0]), {0: 3.0, 1: 9.0}),
}


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("name", KNOWN)
def test_known_constants_are_not_undercut(name, order):
    fun, least = KNOWN[name]
    answer = qed.lipschitz(fun, PLANE, order=order, budget=1.0)
    if answer.unknown or order not in least:
        return
    found: Any = answer.value
    assert answer.check()
    assert float(getattr(found, "upper", found)) >= least[order] * (1 - 1e-6)


def random_constants(k):
    rng = np.random.default_rng([51, k])
    variables, order = 1 + k % 2, (k // 2) % 2
    fun = drawn(rng, int(rng.integers(1, 4)), variables)
    lower = rng.integers(-256, 257, variables) / 128
    box = np.float32(lower), np.float32(lower + rng.integers(1, 129, variables) / 128)
    answer = qed.lipschitz(lambda x: fun([x[i] for i in range(variables)]), box, order=order, budget=1.0)
    if answer.unknown:
        return None
    found: Any = answer.value
    return exceeded(fun, box, order, getattr(found, "upper", found), k)


def test_no_difference_quotient_exceeds_a_constant(law_examples):
    assert [k for k in range(law_examples(4)) if random_constants(k) is not None] == []


@pytest.mark.slow
def test_no_difference_quotient_of_many_exceeds_a_constant(law_examples):
    assert [k for k in range(100, 100 + law_examples(50)) if random_constants(k) is not None] == []


# --- sums of functions of affine functions, on the whole plane ------------------------------------------------

CURVES = {
    "softplus": lambda t: jax.nn.softplus(t),
    "by hand": lambda t: jnp.log(1 + jnp.exp(t)),
    "tanh": lambda t: jnp.tanh(t),
    "log cosh": lambda t: jnp.log(jnp.cosh(t)),
    "root": lambda t: jnp.sqrt(1 + t * t),
    "square": lambda t: t * t,
    "sine": lambda t: jnp.sin(t),
    "hinge": lambda t: jnp.maximum(t, 0.0) ** 2,
    "kink": lambda t: jnp.abs(t),
    "clipped": lambda t: jnp.clip(t, -1.0, 1.0),
    "stopped": lambda t: t * lax.stop_gradient(t),
    "huber": lambda t: jnp.where(jnp.abs(t) <= 1.0, t * t / 2, jnp.abs(t) - 0.5),
    "badly joined": lambda t: jnp.where(jnp.abs(t) <= 1.0, t * t / 2, jnp.abs(t)),
}
SHARED = jax.jit(lambda t: jax.nn.softplus(t) + jnp.tanh(t))
FORBIDDEN = {0: {"square", "hinge", "stopped", "badly joined"}, 1: {"kink", "clipped", "badly joined"}}


def ridges(k):
    """A random sum of curves of affine functions with signs, and the names of the curves."""
    rng = np.random.default_rng([91, k])
    names = [str(name) for name in rng.choice(list(CURVES), rng.integers(1, 4))]
    rows = rng.integers(-8, 9, (len(names), 3)) / 4
    signs = rng.choice([-2.0, -1.0, 1.0, 0.5], len(names))

    def fun(x):
        parts = [s * CURVES[n](a * x[0] + b * x[1] + c) for s, n, (a, b, c) in zip(signs, names, rows, strict=True)]
        return sum(parts) + SHARED(x[0] - x[1]) - SHARED(x[0] + 2 * x[1])

    moving = {n for n, row in zip(names, rows, strict=True) if np.any(row[:2])}
    return fun, moving, len(set(names)) == len(names)


def plane_broken(k):
    fun, moving, alone = ridges(k)
    order = k % 2
    whole = np.full(2, -np.inf, np.float32), np.full(2, np.inf, np.float32)
    answer = qed.lipschitz(fun, whole, order=order, budget=6.0)
    if answer.unknown:
        return None
    if alone and moving & FORBIDDEN[order]:
        return "a constant that does not exist", moving
    return exceeded(fun, over(-6.0, 6.0, 2), order, answer.upper, k, 40)


@pytest.mark.slow
def test_no_difference_quotient_exceeds_a_constant_on_the_plane(law_examples):
    assert {k: found for k in range(law_examples(18)) if (found := plane_broken(k)) is not None} == {}
