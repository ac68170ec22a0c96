"""Classic expressions that lose their digits by cancellation, with the interval in which each is to be right.

From the exercises of Hamming, *Numerical Methods for Scientists and Engineers*, 1987, chapter 3 (the suite "hamming"
of FPBench), Kahan's and Higham's examples, and idioms of statistics and machine learning. All are elementwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class Classic:
    """An elementwise function of one number.

    Args:
        function: as a textbook writes it.
        low, high: between which numbers; None for the ends of the dtype.
    """

    function: Callable[[Any], Any]
    low: float | None = None
    high: float | None = None


E = 1e-6
TINY = 1e-15

CLASSICS: dict[str, Classic] = {
    # Hamming
    "2sqrt": Classic(lambda x: jnp.sqrt(x + 1) - jnp.sqrt(x), TINY, 1e18),
    "2isqrt": Classic(lambda x: 1 / jnp.sqrt(x) - 1 / jnp.sqrt(x + 1), TINY, 1e12),
    "2sin": Classic(lambda x: jnp.sin(x + E) - jnp.sin(x), 1e-9, 100.0),
    "2cos": Classic(lambda x: jnp.cos(x + E) - jnp.cos(x), 1e-9, 3.0),
    "2tan": Classic(lambda x: jnp.tan(x + E) - jnp.tan(x), 1e-9, 1.5),
    "2atan": Classic(lambda x: jnp.arctan(x + 1) - jnp.arctan(x), 1e-9, 1e12),
    "2cbrt": Classic(lambda x: jnp.cbrt(x + 1) - jnp.cbrt(x), TINY, 1e18),
    "2frac": Classic(lambda x: 1 / (x + 1) - 1 / x, 1e-9, 1e12),
    "2log": Classic(lambda x: jnp.log(x + 1) - jnp.log(x), TINY, 1e15),
    "2nthrt": Classic(lambda x: (x + 1) ** (1 / 5) - x ** (1 / 5), TINY, 1e15),
    "3frac": Classic(lambda x: 1 / (x + 1) - 2 / x + 1 / (x - 1), 3.0, 1e9),
    "cos2": Classic(lambda x: (1 - jnp.cos(x)) / (x * x), 1e-12, 3.0),
    "expm1": Classic(lambda x: jnp.exp(x) - 1, -80.0, 80.0),
    "exp2": Classic(lambda x: (jnp.exp(x) - 2) + jnp.exp(-x), 1e-15, 80.0),
    "expax": Classic(lambda x: jnp.exp(2.5 * x) - 1, -3.0, 3.0),
    "expq2": Classic(lambda x: jnp.exp(x) / (jnp.exp(x) - 1), 1e-12, 1e9),
    "invcot": Classic(lambda x: 1 / x - 1 / jnp.tan(x), 1e-9, 1.5),
    "logq": Classic(lambda x: jnp.log((1 - x) / (1 + x)), 1e-15, 0.9),
    "logs": Classic(lambda x: ((x + 1) * jnp.log(x + 1) - x * jnp.log(x)) - 1, 1.0, 1e15),
    "qlog": Classic(lambda x: jnp.log(1 - x) / jnp.log(1 + x), 1e-12, 0.9),
    "quadp": Classic(lambda b: (-b + jnp.sqrt(b * b - 4.0 * 2.0 * 0.5)) / (2 * 2.0), 3.0, 1e15),
    "quadm": Classic(lambda b: (-b - jnp.sqrt(b * b - 4.0 * 2.0 * 0.5)) / (2 * 2.0), 3.0, 1e15),
    "quad2p": Classic(lambda b: (-b + jnp.sqrt(b * b - 3.0)) / 1.5, 2.0, 1e15),
    "quad2m": Classic(lambda b: (-b - jnp.sqrt(b * b - 3.0)) / 1.5, -1e15, -2.0),
    "sintan": Classic(lambda x: (x - jnp.sin(x)) / (x - jnp.tan(x)), 1e-8, 1.5),
    "sqrtexp": Classic(lambda x: jnp.sqrt((jnp.exp(2 * x) - 1) / (jnp.exp(x) - 1)), 1e-12, 40.0),
    "tanhf": Classic(lambda x: (1 - jnp.cos(x)) / jnp.sin(x), 1e-12, 3.0),
    # differences of roots and powers
    "root above": Classic(lambda x: jnp.sqrt(x * x + 1) - x, 1e-9, 1e15),
    "root minus one": Classic(lambda x: jnp.sqrt(1 + x) - 1, 1e-20, 1e15),
    "root of square": Classic(lambda x: 1 - jnp.sqrt(1 - x * x), 1e-12, 0.9),
    "reciprocal root": Classic(lambda x: 1 / jnp.sqrt(1 + x) - 1, 1e-20, 1e15),
    "squares": Classic(lambda x: (x + E) ** 2 - x**2, 1e-3, 1e15),
    "cubes": Classic(lambda x: (x + E) ** 3 - x**3, 1e-3, 1e9),
    "square minus one": Classic(lambda x: x * x - 1, 0.5, 1e15),
    "cube minus one": Classic(lambda x: x**3 - 1, 0.5, 1e10),
    "expanded square": Classic(lambda x: x * x - 2 * x + 1, 0.5, 1.6),
    "expanded cube": Classic(lambda x: x**3 - 3 * x**2 + 3 * x - 1, 0.5, 1.6),
    "power minus one": Classic(lambda x: x**0.3 - 1, 0.5, 1e15),
    "discount": Classic(lambda x: 1 - 0.9**x, 1e-12, 1e3),
    "quotient minus one": Classic(lambda x: x / (x + 1) - 1, 1e-9, 1e12),
    "quotient of near": Classic(lambda x: (x + 1) / (x + 2) - x / (x + 1), 1e-3, 1e9),
    # circular and hyperbolic
    "versine": Classic(lambda x: 1 - jnp.cos(x), 1e-12, 3.0),
    "coversine": Classic(lambda x: 1 - jnp.sin(x), 0.1, 1.5),
    "sine squared": Classic(lambda x: 1 - jnp.cos(x) ** 2, 1e-12, 3.0),
    "cosine squared": Classic(lambda x: 1 - jnp.sin(x) ** 2, 0.1, 1.57),
    "cos minus sin": Classic(lambda x: jnp.cos(x) ** 2 - jnp.sin(x) ** 2, 0.1, 1.5),
    "sinh by hand": Classic(lambda x: (jnp.exp(x) - jnp.exp(-x)) / 2, 1e-15, 80.0),
    "cosh minus one": Classic(lambda x: jnp.cosh(x) - 1, 1e-12, 40.0),
    "tanh by hand": Classic(lambda x: (jnp.exp(x) - jnp.exp(-x)) / (jnp.exp(x) + jnp.exp(-x)), 1e-12, 1e4),
    "tanh by hand 2": Classic(lambda x: (jnp.exp(2 * x) - 1) / (jnp.exp(2 * x) + 1), 1e-12, 1e4),
    "tanh tail": Classic(lambda x: 1 - jnp.tanh(x), -40.0, 40.0),
    "sech squared": Classic(lambda x: 1 - jnp.tanh(x) ** 2, -40.0, 40.0),
    "asinh by hand": Classic(lambda x: jnp.log(x + jnp.sqrt(x * x + 1)), -1e9, 1e9),
    "acosh by hand": Classic(lambda x: jnp.log(x + jnp.sqrt(x * x - 1)), 1.001, 1e30),
    "atanh by hand": Classic(lambda x: 0.5 * jnp.log((1 + x) / (1 - x)), 1e-12, 0.99),
    "x minus sin": Classic(lambda x: x - jnp.sin(x), 1e-8, 3.0),
    "x minus tanh": Classic(lambda x: x - jnp.tanh(x), 1e-8, 10.0),
    "x minus atan": Classic(lambda x: x - jnp.arctan(x), 1e-8, 10.0),
    "sin over x": Classic(lambda x: jnp.sin(x) / x, 1e-12, 3.0),
    "sinh over x": Classic(lambda x: jnp.sinh(x) / x, 1e-12, 40.0),
    "tan over x": Classic(lambda x: jnp.tan(x) / x, 1e-12, 1.5),
    # exponentials and logarithms
    "phi 1": Classic(lambda x: (jnp.exp(x) - 1) / x, 1e-20, 80.0),
    "phi 2": Classic(lambda x: (jnp.exp(x) - 1 - x) / x**2, 1e-12, 80.0),
    "phi 3": Classic(lambda x: (jnp.exp(x) - 1 - x - x * x / 2) / x**3, 1e-8, 80.0),
    "bernoulli": Classic(lambda x: x / (jnp.exp(x) - 1), 1e-12, 80.0),
    "exp rest": Classic(lambda x: jnp.exp(x) - 1 - x, 1e-15, 80.0),
    "log rest": Classic(lambda x: x - jnp.log(1 + x), 1e-15, 1e30),
    "log over x": Classic(lambda x: jnp.log(1 + x) / x, 1e-15, 1e20),
    "exp of two": Classic(lambda x: jnp.exp(x + E) - jnp.exp(x), -20.0, 40.0),
    "exp minus two": Classic(lambda x: jnp.exp(x) - 2, 0.1, 3.0),
    "log near e": Classic(lambda x: jnp.log(x) - 1, 1.0, 10.0),
    "survival": Classic(lambda x: 1 - jnp.exp(-x), 1e-20, 1e9),
    "mean log ratio": Classic(lambda x: x - 1 - jnp.log(x), 1.5, 1e20),
    # statistics and machine learning
    "one minus sigmoid": Classic(lambda x: 1 - jax.nn.sigmoid(x), -80.0, 80.0),
    "sigmoid minus half": Classic(lambda x: jax.nn.sigmoid(x) - 0.5, 1e-12, 80.0),
    "normal tail": Classic(lambda x: 1 - jax.scipy.special.erf(x), -5.0, 8.0),
    "normal centre": Classic(lambda x: 1 - jax.scipy.special.erfc(x), 1e-15, 5.0),
    "normal interval": Classic(lambda x: jax.scipy.special.erf(x + 1e-3) - jax.scipy.special.erf(x), 1e-3, 6.0),
    "gelu by tanh": Classic(lambda x: 0.5 * x * (1 + jnp.tanh(0.7978846 * (x + 0.044715 * x**3))), -5.0, 40.0),
    "logistic of two": Classic(lambda x: jax.nn.sigmoid(x + 1e-4) - jax.nn.sigmoid(x), -40.0, 40.0),
    "odds": Classic(lambda x: jax.nn.sigmoid(x) / (1 - jax.nn.sigmoid(x)), -40.0, 40.0),
    "one plus minus": Classic(lambda x: ((1 + x) - 1) / x, 1e-20, 1e9),
}

CONTROLS: dict[str, Callable[[Any], Any]] = {
    "sum of squares": lambda x: x * x + jnp.sin(x) ** 2,
    "positive": lambda x: jnp.exp(x) + jnp.cosh(x) + 1,
    "input differences": lambda x: x - 3.5,
    "centred": lambda x: x - jnp.mean(x),
    "squared loss": lambda x: (x - 0.3) ** 2,
    "computed differences": lambda x: jnp.sin(x) * 3 - jnp.exp(x) * 0.1,
    "softmax": lambda x: jax.nn.softmax(x * 2),
    "layer norm": lambda x: (x - jnp.mean(x)) / jnp.sqrt(jnp.mean((x - jnp.mean(x)) ** 2) + 1e-5),
    "residual": lambda x: x + 0.1 * jnp.tanh(x),
    "polynomial of one sign": lambda x: 1 + x**2 + 3 * x**4,
    "step": lambda x: x - 0.1 * x * 0.01 * jnp.cos(x),
    "two sum": lambda x: ((x + 0.1 * jnp.sin(x)) - x) - 0.1 * jnp.sin(x),
    "straight through": lambda x: x + jax.lax.stop_gradient(jnp.round(x) - x),
}
