"""Global minima of random compositions, with corners, branches, infinite boxes and odd constants: none is lost.

What verifies a certificate is attacked by itself too: it must not say yes to a bound that a sample refutes.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.boxes_together import Together
from qed.domains.precision import precision
from qed.graph.trace import trace
from tests.laws.random_shapes import drawn
from tests.laws.test_attacks_on_global_minima import low_points, values

SMOOTH = {"tanh": jnp.tanh, "sin": jnp.sin, "cos": jnp.cos, "exp": lambda x: jnp.exp(jnp.tanh(x)),
          "bell": lambda x: jnp.exp(-x * x), "root": lambda x: jnp.sqrt(1 + x * x), "sigmoid": jax.nn.sigmoid,
          "log": lambda x: jnp.log1p(x * x), "cube": lambda x: x**3, "ratio": lambda x: x / (1 + x * x)}  # fmt: skip
CORNERS = {"abs": jnp.abs, "relu": lambda x: jnp.maximum(x, 0), "clip": lambda x: jnp.clip(x, -1, 1)}


def composed(rng, depth):
    """A function of two numbers, of the primitives that the verification knows."""
    if depth == 0:
        a, b, c = (float(v) for v in rng.integers(-8, 9, 3) / 4)
        return lambda x: a * x[0] + b * x[1] + c
    first, second = composed(rng, depth - 1), composed(rng, depth - 1)
    kind = rng.integers(0, 6)
    if kind < 2:
        table = {**SMOOTH, **(CORNERS if kind else {})}
        f = table[str(rng.choice(list(table)))]
        return lambda x: f(first(x))
    binary = [lambda a, b: a + b, lambda a, b: a * b, jnp.maximum, jnp.minimum][kind - 2]
    return lambda x: binary(first(x), second(x))


def sampled(fun, low, high, rng, count):
    """The least of values at random points and corners of boxes."""
    many = jax.jit(jax.vmap(fun))
    shares = rng.random((count, *low.shape))
    shares[:4] = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])[:, None]
    return np.min([np.asarray(many(jnp.asarray(low + s * (high - low), jnp.float32)), float) for s in shares], 0)


def attack_the_verification(seeds):
    proved = 0
    for seed in seeds:
        rng = np.random.default_rng([17, seed])
        fun = composed(rng, int(rng.integers(1, 5)))
        ask = Together(trace(fun, np.zeros(2, np.float32)))
        assert ask.known
        low = rng.uniform(-3, 3, (24, 2))
        high = low + rng.choice([0.0, 1e-4, 0.1, 1.0, 3.0], (24, 2))
        least = sampled(fun, low, high, rng, 60)
        room = 1e-4 * (1 + np.abs(least))  # the samples are float32
        assert not np.any(ask.at_least(low, high, least + room)), seed
        proved += np.sum(ask.at_least(low, high, least - 0.5 * (1 + np.abs(least))))
        i, down = rng.integers(0, 2, 24), rng.random(24) < 0.5
        said, each = ask.sloped(low, high, i, down), np.arange(24)
        many = jax.jit(jax.vmap(fun))
        for s, t in rng.random((30, 2, 24, 2)):
            x = low + s * (high - low)
            y = x.copy()
            y[each, i] = (low + t * (high - low))[each, i]
            rise = np.asarray(many(jnp.asarray(y, jnp.float32)) - many(jnp.asarray(x, jnp.float32)), float)
            wrong = rise * np.where(down, -1, 1) * np.sign(y - x)[each, i] < -1e-4 * (1 + np.abs(least) + np.abs(rise))
            assert not np.any(wrong & said), seed
    return proved / (24 * len(seeds))


def test_the_verification_says_yes_to_nothing_false():
    assert attack_the_verification(range(6)) > 0.5


@pytest.mark.slow
def test_the_verification_says_yes_to_nothing_false_of_many(law_examples):
    assert attack_the_verification(range(100, 100 + law_examples(30))) > 0.5


def held(fun, box, seed, budget=1.0):
    """Whether a minimum was proved; sampled values then respect it."""
    answer = qed.minimize_globally(fun, box, budget=budget, tol=1e-3)
    if answer.unknown:
        return False
    assert answer.check()
    balls = values(fun, box, (), low_points(fun, box, (), seed=seed, count=400))
    with precision(200) as flint:
        assert not any(ball < flint.arb(float(answer.lower)) for ball in balls), seed
        assert answer.lower <= answer.upper
    return True


@pytest.mark.slow
def test_random_compositions_with_corners_and_branches(law_examples):
    seeds = range(law_examples(8))
    proved = 0
    for seed in seeds:
        rng = np.random.default_rng([19, seed])
        inner, corner = drawn(rng, 2, 2), composed(rng, 2)

        def fun(x, inner=inner, corner=corner):
            return jnp.where(x[0] > x[1], inner([x[0], x[1]]), corner(x)) + jnp.abs(corner(x) - 0.25)

        lower = rng.integers(-8, 8, 2) / 4
        proved += held(fun, (np.float32(lower), np.float32(lower + rng.integers(1, 9, 2) / 4)), seed)
    assert proved  # how many depends on the machine


@pytest.mark.slow
def test_random_compositions_on_infinite_boxes(law_examples):
    for seed in range(law_examples(8)):
        rng = np.random.default_rng([23, seed])
        fun = composed(rng, 2)
        lower, upper = rng.choice([-np.inf, -1.5, 0.0], 2), rng.choice([np.inf, 0.25, 2.0], 2)
        held(lambda x, fun=fun: jnp.tanh(fun(x)) + 0.125 * jnp.abs(x[0]), (lower, upper), seed)


ODD = {
    "an integer": (lambda x: x[0] ** 2 + jnp.asarray(3) * x[1] ** 2 - 7, -7.0),
    "a large integer": (lambda x: x[0] ** 2 + x[1] ** 2 + 2**24, float(2**24)),
    "integers as an array": (lambda x: jnp.sum(np.array([[1, 2], [3, 4]]) @ (x * x)), 0.0),
    "nan": (lambda x: x[0] + jnp.nan, None),
    "nan in a branch not taken": (lambda x: jnp.where(x[0] > 5, jnp.nan, x[0] ** 2), 0.0),
    "nan in a branch": (lambda x: jnp.where(x[0] > 0.5, jnp.nan, x[0] ** 2), None),
    "infinity": (lambda x: x[0] - jnp.inf, None),
    "infinity in a maximum": (lambda x: jnp.maximum(x[0] ** 2 + x[1], -jnp.inf), -1.0),
    "nan times 0": (lambda x: x[0] ** 2 + 0.0 * jnp.nan, None),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_constants(name):
    fun, minimum = ODD[name]
    answer = qed.minimize_globally(fun, (np.full(2, -1.0), np.full(2, 1.0)), budget=240)
    assert answer.unknown == (minimum is None)
    if minimum is not None:
        slack = 1e-6 * (1 + abs(minimum))
        assert answer.check() and answer.lower <= minimum + slack and minimum - slack <= answer.upper
