"""A fifth set of held-out critical points, written before any of them was asked about; all 15 were right at first.

Potentials of physics and chemistry, statistics at symmetric points, factorisations; points that are no floats are the
float32 nearest to them, or what Newton's method ends at. References: Müller and Brown, Theor. Chim. Acta 53 (1979),
the surface with three minima; Frenkel and Kontorova (1938), the chain in a periodic potential.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from tests.calculus.corpus_critical import Known, float32
from tests.calculus.corpus_critical_models import newton

TRIANGLE = float32([0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2])


def muller_brown(x):
    high, a, b, c, at, up = np.array(
        [
            (-200, -100, -170, 15), (-1, -1, -6.5, 0.7), (0, 0, 11, 0.6), (-10, -10, -6.5, 0.7),
            (1, 0, -0.5, -1), (0, 0.5, 1.5, 1),
        ]
    )  # fmt: skip
    one, two = x[0] - at, x[1] - up
    return jnp.sum(high * jnp.exp(a * one**2 + b * one * two + c * two**2))


def lennard_jones(x):
    squares = jnp.stack([jnp.sum((x[i] - x[j]) ** 2) for i, j in ((0, 1), (0, 2), (1, 2))])
    return jnp.sum(squares**-6 - 2 * squares**-3)


def pendulum(x):
    return -2 * jnp.cos(x[0]) - jnp.cos(x[1])


def squared(u, goal):
    return jnp.sum((jnp.diag(goal) - u @ u.T) ** 2)


def mixture(m):
    x = jnp.array([-2.0, 2.0])
    return -jnp.mean(jnp.logaddexp(-((x - m) ** 2) / 2, -((x + m) ** 2) / 2))


def negative_entropy(z):
    return jnp.sum(jax.nn.softmax(z) * jax.nn.log_softmax(z))


def student(m):
    return jnp.sum(jnp.log1p((jnp.array([-3.0, 3.0]) - m) ** 2))


def chain(x):
    return jnp.sum((x[1:] - x[:-1]) ** 2) / 2 + jnp.sum(1 - jnp.cos(x))


PHYSICS = [
    Known("a minimum of Müller and Brown", muller_brown, newton(muller_brown, np.array([-0.558, 1.442])), "minimum",
          "the paper"),
    Known("a saddle of Müller and Brown", muller_brown, newton(muller_brown, np.array([-0.822, 0.624])), "saddle",
          "the paper"),
    Known("three atoms", lennard_jones, TRIANGLE, "degenerate", "all pairs at 1; it may be moved, turned",
          "minimum"),
    Known("pendulum, both up", pendulum, float32(np.pi, np.pi), "maximum", "H = diag(-2, -1)"),
    Known("pendulum, one up", pendulum, float32(np.pi, 0.0), "saddle", "H = diag(-2, 1)"),
    Known("factor of an indefinite matrix", squared, jnp.zeros((2, 2)), "saddle", "-4 tr U'AU", "",
          (jnp.array([2.0, -1.0]),)),
    Known("factor of a negative matrix", squared, jnp.zeros((2, 2)), "minimum", "-4 tr U'AU", "",
          (jnp.array([-1.0, -2.0]),)),
    Known("two means on each other", mixture, 0.0, "maximum", "f'' = 1 - 4"),
    Known("negative entropy at equal numbers", negative_entropy, jnp.zeros(4), "degenerate", "strict but along 1",
          "minimum"),
    Known("between two outliers", student, 0.0, "maximum", "f'' = 4 (1 - 9) / 100"),
    Known("fifth power", lambda x: x[0] ** 5 - 10 * x[0] ** 3 * x[1] ** 2 + 5 * x[0] * x[1] ** 4, jnp.zeros(2),
          "degenerate", "odd", "neither"),
    Known("three factors at zero", lambda w: (w[0] * w[1] * w[2] - 1) ** 2, jnp.zeros(3), "degenerate",
          "-2 w0 w1 w2 is odd", "neither"),
    Known("three factors at one", lambda w: (w[0] * w[1] * w[2] - 1) ** 2, jnp.ones(3), "degenerate",
          "zero on a surface", "minimum"),
    Known("chain in its wells", chain, jnp.zeros(59), "minimum", "H = L + I"),
    Known("chain on its hills", chain, jnp.full(59, np.float32(np.pi)), "saddle",
          "H = L - I, 0 <= L <= 4 (of 60 atoms one curvature is 0, and nothing is proved)"),
]  # fmt: skip
