"""Critical points of known kind, each with where that is known from.

`kind` is that of the true critical point that lies at, or within rounding of, the given one; `degenerate` says that the
Hessian is singular there (`nature` is then what is known by hand). Points that are no floats
are given as the float32 nearest to them, or as what Newton's method ends at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class Known:
    """A function, a point, the kind, and the reference."""

    name: str
    fun: Callable[..., Any]
    at: Any
    kind: str
    reference: str
    nature: str = ""
    args: tuple[Any, ...] = ()

    @property
    def degenerate(self) -> bool:
        return self.kind == "degenerate"


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def wood(x):
    a, b, c, d = x
    first = 100 * (b - a**2) ** 2 + (1 - a) ** 2 + 90 * (d - c**2) ** 2 + (1 - c) ** 2
    return first + 10 * (b + d - 2) ** 2 + 0.1 * (b - d) ** 2


def powell(x):
    a, b, c, d = x
    return (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def camel(x):
    return (4 - 2.1 * x[0] ** 2 + x[0] ** 4 / 3) * x[0] ** 2 + x[0] * x[1] + (4 * x[1] ** 2 - 4) * x[1] ** 2


RNG = np.random.default_rng(7)
X = jnp.asarray(RNG.integers(-4, 5, (12, 3)) / 4, jnp.float32)
Y = jnp.asarray(X @ np.array([1.0, -0.5, 2.0]), jnp.float32)
TWICE = jnp.concatenate([X, X[:, :1]], 1)
SPREAD = jnp.asarray(np.linspace(1, 3, 30), jnp.float32)


def squares(w, data, target):
    return jnp.mean((data @ w - target) ** 2)


def two_layers(p):
    return jnp.sum((X[:, 0] * p["a"] * p["b"] - 2 * X[:, 0]) ** 2)


def deep(p):
    return (p["a"] * p["b"] * p["c"] - 1) ** 2


def hidden(p):
    return jnp.mean((jnp.tanh(X @ p["into"]) @ p["out"] - Y) ** 2)


def dead(p):
    return jnp.sum((p["w"] - 1) ** 2) + jnp.sum(jax.nn.relu(p["b"] - 5.0))


def shifted(z):
    return -jax.nn.log_softmax(z)[0] + jax.nn.logsumexp(2 * z - 2 * jnp.mean(z)) - jax.nn.log_softmax(z)[1]


def float32(*numbers):
    return jnp.array(numbers, jnp.float32)


ONE = [
    Known("x^2", lambda x: x**2, 0.0, "minimum", "f'' = 2"),
    Known("1 - x^2", lambda x: 1 - x**2, 0.0, "maximum", "f'' = -2"),
    Known("cos at pi", jnp.cos, float32(np.pi)[0], "minimum", "f'' = 1; the float32 nearest to pi"),
    Known("cos at 0", jnp.cos, 0.0, "maximum", "f'' = -1"),
    Known("x exp x", lambda x: x * jnp.exp(x), -1.0, "minimum", "f'' = 1/e"),
    Known("x^2 exp(-x) at 2", lambda x: x**2 * jnp.exp(-x), 2.0, "maximum", "f'' = -2 exp(-2)"),
    Known("x log x", lambda x: x * jnp.log(x), float32(np.exp(-1))[0], "minimum", "f'' = e; float32 of 1/e"),
    Known("x^4", lambda x: x**4, 0.0, "degenerate", "f'''' = 24", "minimum"),
    Known("-x^4", lambda x: -(x**4), 0.0, "degenerate", "f'''' = -24", "maximum"),
    Known("x^3", lambda x: x**3, 0.0, "degenerate", "f''' = 6", "neither"),
    Known("x^5", lambda x: x**5 + 1, 0.0, "degenerate", "the fifth derivative is 120", "neither"),
    Known("(x - 1/4)^6", lambda x: (x - 0.25) ** 6, 0.25, "degenerate", "the sixth derivative is 720", "minimum"),
    Known("cosh x - x^2/2", lambda x: jnp.cosh(x) - x**2 / 2, 0.0, "degenerate", "f'''' = 1", "minimum"),
    Known("tiny x^2", lambda x: 1e-12 * x**2, 0.0, "minimum", "f'' = 2e-12"),
    Known("x^4 + tiny x^2", lambda x: x**4 - 1e-9 * x**2, 0.0, "maximum", "f'' = -2e-9"),
]

SEVERAL = [
    Known("x y", lambda x: x[0] * x[1], jnp.zeros(2), "saddle", "eigenvalues -1, 1"),
    Known("monkey saddle", lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2, jnp.zeros(2), "degenerate", "H = 0; cubic",
          "neither"),
    Known("Rosenbrock 2", rosenbrock, jnp.ones(2), "minimum", "the zero of a sum of squares"),
    Known("Rosenbrock 10", rosenbrock, jnp.ones(10), "minimum", "the zero of a sum of squares"),
    Known("Rosenbrock at 0", rosenbrock, jnp.zeros(2), "not_critical", "gradient (-2, 0)"),
    Known("Wood", wood, jnp.ones(4), "minimum", "More, Garbow and Hillstrom 1981, problem 14"),
    Known("Powell", powell, jnp.zeros(4), "degenerate", "More, Garbow and Hillstrom 1981, problem 13: rank 2",
          "minimum"),
    Known("Himmelblau minimum", himmelblau, float32(3.0, 2.0), "minimum", "Himmelblau 1972"),
    Known("Himmelblau maximum", himmelblau, float32(-0.27084459, -0.92303856), "maximum", "Himmelblau 1972"),
    Known("Himmelblau saddle", himmelblau, float32(-0.12796135, -1.95371498), "saddle", "Himmelblau 1972"),
    Known("camel at 0", camel, jnp.zeros(2), "saddle", "eigenvalues near 8 and -8"),
    Known("camel minimum", camel, float32(0.08984201, -0.71265640), "minimum", "Dixon and Szegoe 1978"),
    Known("Peano", lambda x: (x[1] - x[0] ** 2) * (x[1] - 3 * x[0] ** 2), jnp.zeros(2), "degenerate",
          "Peano 1884: a minimum on every line, and not one", "neither"),
    Known("parabola valley", lambda x: (x[1] - x[0] ** 2) ** 2, jnp.zeros(2), "degenerate", "zero on a parabola",
          "minimum"),
    Known("quartic valley", lambda x: (x[1] - x[0] ** 2) ** 2 + x[0] ** 4, jnp.zeros(2), "degenerate", "q = 1",
          "minimum"),
    Known("quartic bowl", lambda x: jnp.sum(x**4), jnp.zeros(3), "degenerate", "H = 0", "minimum"),
    Known("cusp", lambda x: x[0] ** 3 + x[1] ** 2, jnp.zeros(2), "degenerate", "third derivative 6", "neither"),
    Known("negative flat", lambda x: -(x[0] ** 2) - x[1] ** 4, jnp.zeros(2), "degenerate", "q = -1", "maximum"),
    Known("circle", lambda x: (x[0] ** 2 + x[1] ** 2 - 1) ** 2, float32(0.6, 0.8), "degenerate", "zero on a circle",
          "minimum"),
    Known("regression", squares, jnp.asarray(np.linalg.lstsq(X, Y)[0], jnp.float32), "minimum", "rank 3",
          args=(X, Y)),
    Known("rank-deficient regression", squares, float32(0.5, -0.5, 2.0, 0.5), "degenerate", "a column twice",
          "minimum", args=(TWICE, Y)),
    Known("thirty scales", lambda x: jnp.sum(SPREAD * (x - SPREAD / 3) ** 2), SPREAD / 3, "minimum", "diagonal"),
    Known("one negative of thirty", lambda x: jnp.sum(SPREAD * x**2) - 4 * x[7] ** 2, jnp.zeros(30), "saddle",
          "diagonal"),
]  # fmt: skip

NETWORKS = [
    Known("a b", two_layers, {"a": float32(1.0)[0], "b": float32(2.0)[0]}, "degenerate", "a b is all it sees",
          "minimum"),
    Known("a b at 0", two_layers, {"a": float32(0.0)[0], "b": float32(0.0)[0]}, "saddle", "Baldi and Hornik 1989"),
    Known("a b c at 0", deep, {k: float32(0.0)[0] for k in "abc"}, "degenerate", "H = 0, cubic: -2 a b c", "neither"),
    Known("tanh at 0", hidden, {"into": jnp.zeros((3, 2)), "out": jnp.zeros(2)}, "saddle",
          "H couples into and out alone, with the correlation of X and Y"),
    Known("dead unit", dead, {"w": jnp.ones(2), "b": jnp.zeros(1)}, "degenerate", "relu(b - 5) is zero nearby",
          "minimum"),
    Known("softmax", shifted, float32(0.3, 0.1, -1.0), "not_critical", "its gradient is not zero"),
]  # fmt: skip

POINTS = [*ONE, *SEVERAL, *NETWORKS]
