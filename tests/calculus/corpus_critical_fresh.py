"""A second set of held-out critical points, by an author who had not read what decides them.

At the points of KINKS there is no Hessian; `undecided` is right there, too. References: More, Garbow and Hillstrom
(1981), *Testing Unconstrained Optimization Software*; Surjanovic and Bingham's library of test functions; Higham,
*Accuracy and Stability of Numerical Algorithms* (2002), section 28.4: the Pascal matrix has determinant 1, and
determinant 0 with its last entry less by one.
"""

from __future__ import annotations

from math import comb

import jax
import jax.numpy as jnp
import numpy as np

from tests.calculus.corpus_critical import Known, float32

PASCAL = np.array([[comb(i + j, i) for j in range(8)] for i in range(8)], np.float32)
CORNER = np.zeros((8, 8), np.float32)
CORNER[7, 7] = 1.0
M = np.array([[2.0, 1.0], [0.0, 1.0]], np.float32)
RANK_ONE = np.outer([1.0, 2.0], [3.0, -1.0]).astype(np.float32)


def half_form(x, matrix):
    return 0.5 * x @ matrix @ x


def factors(p, target):
    return jnp.sum((jnp.outer(p["u"], p["v"]) - target) ** 2)


def two_factors(p, target):
    return jnp.sum((p["u"] @ p["v"] - target) ** 2)


def beale(x):
    return jnp.sum((jnp.array([1.5, 2.25, 2.625]) - x[0] * (1 - x[1] ** jnp.array([1, 2, 3]))) ** 2)


def goldstein_price(x):
    a, b = x
    first = 1 + (a + b + 1) ** 2 * (19 - 14 * a + 3 * a**2 - 14 * b + 6 * a * b + 3 * b**2)
    second = 30 + (2 * a - 3 * b) ** 2 * (18 - 32 * a + 12 * a**2 + 48 * b - 36 * a * b + 27 * b**2)
    return first * second


def folium(x):
    return x[0] ** 3 + x[1] ** 3 - 3 * x[0] * x[1]


def exchange(x):
    return (x[0] * x[1] + 1) ** 2 + (x[0] + x[1]) ** 2


def chain(x):
    return jnp.sum(1 - jnp.cos(x[1:] - x[:-1]))


def cross_entropy(z):
    return -jnp.mean(jax.nn.log_softmax(z))


def unit(p):
    return jnp.sum((p["out"] * jax.nn.relu(p["w"] - 3.0) - 1.0) ** 2)


FRESH = [
    Known("e^x without its parabola", lambda x: jnp.exp(x) - x - x**2 / 2, 0.0, "degenerate", "f''' = 1", "neither"),
    Known("cosine without two terms", lambda x: jnp.cos(x) + x**2 / 2 - x**4 / 24, 0.0, "degenerate",
          "the sixth derivative is -1", "maximum"),
    Known("x^8", lambda x: x**8, 0.0, "degenerate", "the eighth derivative is 8!", "minimum"),
    Known("log cosh", lambda x: jnp.log(jnp.cosh(x)), 0.0, "minimum", "f'' = 1"),
    Known("double well", lambda x: (x**2 - 2) ** 2, float32(2**0.5)[0], "minimum", "f'' = 16; float32 of sqrt 2"),
    Known("log gamma", lambda x: jax.lax.lgamma(x), float32(1.4616321449683623)[0], "minimum", "trigamma is positive"),
    Known("parabola beside its vertex", lambda x: x**2 + 1e-6 * x, 0.0, "not_critical", "slope 1e-6, exactly known"),
    Known("tail of an exponential", lambda x: jnp.exp(-x), 50.0, "not_critical", "slope -2e-22; no critical point"),
    Known("shallow slope", lambda x: 1e-20 * x, 0.0, "not_critical", "slope 1e-20; no critical point"),
    Known("thirty binary orders up", lambda x: x[0] ** 2 + 2.0**-30 * x[1] ** 2, jnp.zeros(2), "minimum", "diagonal"),
    Known("thirty binary orders down", lambda x: x[0] ** 2 - 2.0**-30 * x[1] ** 2, jnp.zeros(2), "saddle", "diagonal"),
    Known("Beale", beale, float32(3.0, 0.5), "minimum", "a sum of squares is 0; Jacobian of rank 2"),
    Known("Goldstein-Price", goldstein_price, float32(0.0, -1.0), "minimum", "Goldstein and Price 1971"),
    Known("folium of Descartes, its node", folium, jnp.zeros(2), "saddle", "H = (0, -3; -3, 0)"),
    Known("folium of Descartes, inside", folium, jnp.ones(2), "minimum", "H = (6, -3; -3, 6)"),
    Known("exchange symmetry kept", exchange, jnp.zeros(2), "saddle", "H = (2, 4; 4, 2)"),
    Known("exchange symmetry broken", exchange, float32(1.0, -1.0), "minimum", "H = 4 I"),
    Known("difference of fourth powers", lambda x: x[0] ** 4 - x[1] ** 4, jnp.zeros(2), "degenerate", "H = 0",
          "neither"),
    Known("square times a height", lambda x: x[0] ** 2 * x[1], jnp.zeros(2), "degenerate", "H = 0, a cubic", "neither"),
    Known("product of squares", lambda x: x[0] ** 2 * x[1] ** 2, jnp.zeros(2), "degenerate", "zero on both axes",
          "minimum"),
    Known("Pascal", half_form, jnp.zeros(8), "minimum", "determinant 1, all minors positive", args=(PASCAL,)),
    Known("Pascal less one", half_form, jnp.zeros(8), "degenerate", "determinant 0", "minimum",
          args=(PASCAL - CORNER,)),
    Known("Pascal less two", half_form, jnp.zeros(8), "saddle", "determinant -1", args=(PASCAL - 2 * CORNER,)),
    Known("rank one factors", factors, {"u": float32(1, 2), "v": float32(3, -1)}, "degenerate", "(c u, v/c)", "minimum",
          args=(RANK_ONE,)),
    Known("factors at 0", two_factors, {"u": jnp.zeros((2, 2)), "v": jnp.zeros((2, 2))}, "saddle",
          "H couples u and v by M, of full rank", args=(M,)),
    Known("uniform softmax", cross_entropy, jnp.zeros(4), "degenerate", "constant along (1, 1, 1, 1)", "minimum"),
    Known("chain of rotors", chain, jnp.zeros(12), "degenerate", "constant along (1, ..., 1)", "minimum"),
    Known("pinned chain of rotors", lambda x: chain(x) + 2.0**-20 * x[0] ** 2, jnp.zeros(12), "minimum",
          "a weak spring pins the rotation"),
    Known("unit that is dead", unit, {"out": jnp.ones(3), "w": jnp.zeros(3)}, "degenerate", "constant nearby"),
]  # fmt: skip

KINKS = [
    Known("size and square", lambda x: jnp.abs(x) + x**2, 0.0, "minimum", "a kink at its minimum"),
    Known("minus a size", lambda x: -jnp.abs(x), 0.0, "maximum", "a kink at its maximum"),
    Known("a ramp with two slopes", lambda x: jnp.maximum(x, 2 * x), 0.0, "not_critical", "slopes 1 and 2"),
    Known("a ramp less its half", lambda x: jax.nn.relu(x) - 0.5 * x, 0.0, "minimum", "slopes -1/2 and 1/2"),
    Known("Chebyshev and Rosenbrock by Nesterov", lambda x: jnp.abs(x[0] - 1) / 4 + jnp.abs(x[1] - 2 * x[0] ** 2 + 1),
          jnp.ones(2), "minimum", "both sizes are 0"),
]  # fmt: skip
