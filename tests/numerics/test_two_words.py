"""Pairs of numbers: each operation has the digits of two, compiled or not, in float32 and float64."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.domains.precision import flint, precision
from qed.numerics.rewriting import two_words as words

OPERATIONS = {
    "plus": (lambda x, y: words.plus(x, y), lambda a, b: a + b, 2.0),
    "a constant plus": (
        lambda x, y: words.plus(y, words.exactly(jnp.full_like(y[0], 0.75))),
        lambda a, b: b + 0.75,
        2.0,
    ),
    "times": (words.times, lambda a, b: a * b, 2.0),
    "over": (words.over, lambda a, b: a / b, 2.0),
    "root": (lambda x, y: words.root(x), lambda a, b: a.sqrt(), 2.0),
    "chain": (
        lambda x, y: words.over(words.power(words.plus(x, words.minus(y)), 2), words.plus(x, words.times(x, x))),
        lambda a, b: (a - b) ** 2 / (a + a * a),
        2.0,
    ),
    "total": (
        lambda x, y: tuple(jnp.full_like(x[0], v) for v in words.total(words.times(x, x), (0,))),
        None,
        2.0,
    ),
    "log": (lambda x, y: words.log(x), lambda a, b: a.log(), 1.18),
    "exp": (lambda x, y: words.exp((y[0] / 8, y[1])), lambda a, b: (b / 8).exp(), 1.18),
    "power": (lambda x, y: words.power_of(x, (y[0] / 64, y[1])), lambda a, b: a ** (b / 64), 1.18),
}
"""In pairs, in balls, and how many times the digits of one number it has."""


@pytest.mark.parametrize(("compiled", "dtype"), [(False, "float32"), (True, "float32"), (True, "float64")])
def test_pairs_have_the_digits_of_two_numbers(compiled, dtype):
    rng = np.random.default_rng(0)
    x = (10 ** rng.uniform(-4, 4, 40)).astype(dtype)
    y = (rng.standard_normal(40) * 100).astype(dtype)

    def all_of(x, y):
        pair = words.exactly(x), words.exactly(y)
        return {name: in_pairs(*pair) for name, (in_pairs, _, _) in OPERATIONS.items()}

    with jax.enable_x64(dtype == "float64"), precision(300):
        found = (jax.jit(all_of) if compiled else all_of)(jnp.asarray(x), jnp.asarray(y))
        digits, arb = np.finfo(dtype).nmant + 1, flint().arb
        squares = sum((arb(float(a)) ** 2 for a in x), arb(0))
        for name, (_, in_balls, times) in OPERATIONS.items():
            for k, (a, b) in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
                truth = squares if in_balls is None else in_balls(arb(a), arb(b))
                high, low = (arb(float(each[k])) for each in found[name])
                allowed = abs(truth) * arb(2) ** -int(times * digits - 6)
                assert abs(high + low - truth) < allowed, (name, a, b)
                assert abs(low) <= abs(high) * arb(2) ** (2 - digits)


@pytest.mark.parametrize("compiled", [False, True])
def test_products_of_arrays(compiled):
    rng = np.random.default_rng(1)
    x, y = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 3, 5), (2, 5, 4)))

    def product(x, y):
        return words.product_of(words.exactly(x), words.exactly(y), ((2,), (1,)), ((0,), (0,)))

    high, low = (jax.jit(product) if compiled else product)(x, y)
    truth = np.einsum("bij,bjk->bik", x.astype(np.float64), y.astype(np.float64))
    np.testing.assert_allclose(np.asarray(high, np.float64) + np.asarray(low, np.float64), truth, rtol=0, atol=1e-12)
