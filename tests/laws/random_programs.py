"""Random programs of vectors: each is a straight line of elementwise functions, moves, sums and choices.

Derivatives of such a program are zero where its structure makes them so, and nowhere else but by coincidence.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

N = 6


def _unary(rng, pool):
    name = rng.choice(["sin", "exp", "tanh", "square", "abs", "negative", "floor", "log"])
    x = pool()
    if name == "log":
        return lambda e: jnp.log(2.0 + x(e) ** 2)
    return lambda e: getattr(jnp, name)(0.3 * x(e))


def _binary(rng, pool):
    x, y = pool(), pool()
    name = rng.choice(["add", "subtract", "multiply", "multiply", "divide", "maximum", "arctan2"])
    if name in ("divide", "arctan2"):
        return lambda e: getattr(jnp, name)(x(e), 2.0 + y(e) ** 2)
    return lambda e: getattr(jnp, name)(x(e), y(e))


def _moved(rng, pool):
    x, index = pool(), jnp.asarray(rng.integers(-1, N, N))
    return lambda e: x(e).at[index].get(mode="fill", fill_value=0.5, wrap_negative_indices=False)


def _rolled(rng, pool):
    x, by = pool(), int(rng.integers(1, N))
    return lambda e: jnp.concatenate([x(e)[by:], x(e)[:by][::-1]])


def _sliced(rng, pool):
    x, start = pool(), int(rng.integers(0, 4))
    return lambda e: lax.pad(lax.dynamic_slice(x(e), (start,), (2,)), jnp.float32(0.5), ((1, N - 4, 1),))


def _masked(rng, pool):
    x, y, mask = pool(), pool(), jnp.asarray(rng.integers(0, 2, N).astype(bool))
    return lambda e: jnp.where(mask, x(e), 2.0 * y(e)) * jnp.asarray(~mask | (mask.sum() > 3), jnp.float32)


def _matrix(rng, pool):
    x = pool()
    matrix = jnp.asarray(rng.standard_normal((N, N)) * (rng.uniform(size=(N, N)) < 0.25), jnp.float32)
    return lambda e: matrix @ x(e)


def _outer(rng, pool):
    x, y = pool(), pool()
    return lambda e: (x(e)[:3].reshape(3, 1) @ y(e)[1:3].reshape(1, 2)).T.reshape(-1)


def _scattered(rng, pool):
    x, y, index = pool(), pool(), jnp.asarray(rng.integers(0, N + 2, 3))
    name = rng.choice(["add", "set"])
    index = jnp.asarray([0, 3, 4]) if name == "set" else index
    return lambda e: getattr(x(e).at[index], name)(y(e)[:3], mode="drop")


def _reduced(rng, pool):
    x, size = pool(), int(rng.choice([2, 3]))
    operation = (jnp.sum, jnp.prod, jnp.max)[rng.integers(0, 3)]
    return lambda e: jnp.repeat(operation(x(e).reshape(size, -1), axis=1), N // size)


def _cumulated(rng, pool):
    x, reverse = pool(), bool(rng.integers(0, 2))
    return lambda e: lax.cumsum(x(e) * 0.5, reverse=reverse)


def _looped(rng, pool):
    x = pool()

    def run(e):
        return lax.scan(lambda c, v: (0.5 * c + v, c * v), jnp.float32(0.7), x(e))[1]

    return run


def _called(rng, pool):
    x = pool()
    return lambda e: jax.nn.relu(jax.nn.softplus(jax.checkpoint(jnp.sin)(x(e))) - 0.5)


STEPS = [step for name, step in list(globals().items()) if name.startswith("_") and not name.startswith("__")]


def program(seed, length=6):
    """A function of a vector of N numbers, float32 to float32."""
    rng = np.random.default_rng(seed)
    steps = []

    def read(place):
        return lambda values: values[place]

    for _ in range(length):
        places = [0, *range(len(steps) + 1)]
        steps.append(STEPS[rng.integers(len(STEPS))](rng, lambda p=places: read(int(rng.choice(p)))))
    weights = jnp.asarray(rng.integers(0, 2, N), jnp.float32)

    def run(x):
        values = [x]
        for step in steps:
            values.append(step(values))
        return weights @ values[-1]

    return run
