"""A fourth set of held-out shapes: designs of experiments, barriers, production, geometric programs, controllers.

Written before any of its functions was given to the prover. References: Boyd and Vandenberghe, *Convex Optimization*
(2004), chapters 3, 4 and 7; Pukelsheim, *Optimal Design of Experiments* (2006); Nesterov and Nemirovskii (1994) for
barriers.

First judged, before any rule was read or changed for them: of the 11 in this file 10 right, 1 weaker (a concave
function that was called not convex), none wrong, each below 10 s.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from tests.calculus.corpus_shapes import CONCAVE, CONVEX, LINE, NEITHER, Case, draw, over

X, Y = draw(5, 3, seed=81), draw(5, seed=82)
FREE = over(*LINE, 3)


def beside(names, *sides):
    """The box of a dictionary from boxes of its entries."""
    return tuple({name: side[i] for name, side in zip(names.split(), sides, strict=True)} for i in (0, 1))


def design(w):
    return X.T @ (w[:, None] * X)


def optimal_for_a_contrast(w):
    c = jnp.array([1.0, -1.0, 0.0])
    return c @ jnp.linalg.solve(design(w) + 0.125 * jnp.eye(3), c)


def several_kernels(w):
    gram = sum(w[i] * jnp.asarray(np.outer(X[:, i], X[:, i])) for i in range(3)) + jnp.eye(5)
    return Y @ jnp.linalg.solve(gram, Y)


def cone_barrier(p):
    return -jnp.log(p["t"] ** 2 - jnp.sum(p["x"] ** 2))


def semidefinite_barrier(p):
    slack = p["t"] * jnp.eye(2) - (
        p["x"][0] * jnp.array([[1.0, 0.0], [0.0, -1.0]]) + p["x"][1] * jnp.array([[0.0, 1.0], [1.0, 0.0]])
    )
    return 2.0 * p["t"] - jnp.linalg.slogdet(slack)[1]


def constant_elasticity(rho):
    return lambda x: (0.25 * x[0] ** rho + 0.75 * x[1] ** rho) ** (1 / rho)


def posynomials(y):
    x = jnp.exp(y)
    area, volume = 2 * x[0] * x[1] + 3 * x[1] / x[2], x[0] ** 1.5 / (x[1] * x[2] ** 0.5)
    return jnp.maximum(jnp.log(area), jnp.log(volume + 0.5))


def signomial(y):
    x = jnp.exp(y)
    return x[0] * x[1] + 1 / x[2] - 0.25 * x[0] * x[2]


def rollout(nonlinear):
    a, b = jnp.array([[1.0, 0.25], [0.0, 1.0]]), jnp.array([0.0, 0.25])

    def cost(u):
        def step(x, u_t):
            x = a @ x + b * u_t + nonlinear * jnp.array([0.0, 0.5]) * jnp.sin(x)
            return x, x @ x + 0.1 * u_t**2

        final, stages = jax.lax.scan(step, jnp.array([1.0, 0.0]), u)
        return jnp.sum(stages) + 10.0 * final @ final

    return cost


def barrier_rollout(u):
    def step(x, u_t):
        x = 0.75 * x + 0.25 * u_t
        return x, u_t**2 - 0.125 * (jnp.log(2 - x) + jnp.log(x + 2))

    return jnp.sum(jax.lax.scan(step, 0.5, u)[1])


DECISIONS = [
    Case("optimal_for_a_contrast", CONVEX, optimal_for_a_contrast, over(0.25, 1, 5), "c'M^-1 c with M linear in w"),
    Case("several_kernels", CONVEX, several_kernels, over(0, 1, 3), "y'M^-1 y with M affine in w"),
    Case("cone_barrier", CONVEX, cone_barrier, beside("t x", over(3, 4), over(-1, 1, 2)), "-log of the Lorentz form"),
    Case(
        "semidefinite_barrier", CONVEX, semidefinite_barrier, beside("t x", over(2, 3), over(-0.5, 0.5, 2)), "-logdet"
    ),
    Case("elasticity_of_two", CONCAVE, constant_elasticity(0.5), over(0.125, 4, 2), "a concave mean, rho < 1"),
    Case("elasticity_of_a_half", CONCAVE, constant_elasticity(-1.0), over(0.125, 4, 2), "a concave mean, rho < 1"),
    Case("posynomials", CONVEX, posynomials, FREE, "log of sums of exponentials of affine functions"),
    Case("signomial", NEITHER, signomial, FREE, "an exponential with a negative weight"),
    Case("linear_rollout", CONVEX, rollout(0.0), over(*LINE, 4), "squares of affine functions of the controls"),
    Case("nonlinear_rollout", NEITHER, rollout(1.0), over(-20, 20, 4), "sin of the state, squared"),
    Case("barrier_rollout", CONVEX, barrier_rollout, over(-1, 1, 4), "-log of affine states inside"),
]
