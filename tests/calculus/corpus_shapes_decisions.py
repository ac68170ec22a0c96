"""A third set of held-out shapes: portfolios, robust and matrix problems, and polynomials.

Written before any of its functions was given to the prover. References: Boyd and Vandenberghe, *Convex Optimization*
(2004), chapters 4, 6 and 7; Markowitz (1952); Ahmadi-Javid, *Entropic value-at-risk* (2012); Peyre and Cuturi,
*Computational Optimal Transport* (2019), section 4.4.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from tests.calculus.corpus_shapes import CONCAVE, CONVEX, LINE, NEITHER, Case, draw, over

RETURNS, MEAN = draw(6, 4, seed=71), draw(4, seed=72)
FACTORS = draw(4, 2, seed=73)
COVARIANCE = FACTORS @ FACTORS.T + np.diag(np.float32([0.25, 0.5, 0.25, 1.0]))
SINGULAR = FACTORS @ FACTORS.T
FREE, LONG_ONLY = over(*LINE, 4), over(0.0, 1.0, 4)
EXPERIMENTS = np.float32([[1, 0], [0, 1], [1, 1], [1, -2]])
COSTS = np.abs(draw(3, 3, seed=74))


def entropic_value_at_risk(p):
    return p["t"] * jnp.log(jnp.mean(jnp.exp(-(RETURNS @ p["w"]) / p["t"]))) + 3.0 * p["t"]


def drawdown(w):
    wealth = jnp.cumsum(RETURNS @ w)
    return jnp.max(jax.lax.cummax(wealth) - wealth)


def information(w):
    return EXPERIMENTS.T @ (w[:, None] * EXPERIMENTS)


def symmetric(x):
    return jnp.array([[2.0, 0.5], [0.5, 1.0]]) + x[0] * jnp.eye(2) + x[1] * jnp.array([[0.0, 1.0], [1.0, 0.0]])


def cholesky_likelihood(v):
    factor = jnp.zeros((3, 3), v.dtype).at[np.tril_indices(3)].set(v)
    sample = jnp.asarray([[2.0, 0.5, 0.0], [0.5, 1.0, 0.25], [0.0, 0.25, 1.5]])
    return jnp.trace(sample @ factor @ factor.T) - 2 * jnp.sum(jnp.log(jnp.diag(factor)))


def transport_dual(p):
    gap = (p["f"][:, None] + p["g"][None, :] - COSTS) / 0.5
    return 0.5 * jnp.sum(jnp.exp(gap)) - jnp.mean(p["f"]) - jnp.mean(p["g"])


LOWER = np.float32([0.25, -2, 0.25, -2, -2, 0.25])
POTENTIALS = (
    {"f": np.full(3, -np.inf, np.float32), "g": np.full(3, -np.inf, np.float32)},
    {"f": np.full(3, np.inf, np.float32), "g": np.full(3, np.inf, np.float32)},
)

PORTFOLIOS = [
    Case(
        "mean and variance, singular covariance",
        CONVEX,
        lambda w: 3 * w @ SINGULAR @ w - MEAN @ w,
        LONG_ONLY,
        "a form of rank two",
    ),
    Case(
        "mean and standard deviation",
        CONVEX,
        lambda w: 2 * jnp.sqrt(w @ COVARIANCE @ w) - MEAN @ w,
        FREE,
        "the norm of a definite form, minus affine",
    ),
    Case(
        "risk parity",
        CONVEX,
        lambda w: 0.5 * w @ COVARIANCE @ w - 0.25 * jnp.sum(jnp.log(w)),
        over(0.015625, 2.0, 4),
        "a form minus logarithms",
    ),
    Case(
        "costs of trade, to the power 3/2",
        CONVEX,
        lambda w: 0.5 * jnp.sum(jnp.abs(w - 0.25) ** 1.5) - MEAN @ w,
        FREE,
        "|u|^(3/2)",
    ),
    Case(
        "worst mean in an ellipsoid",
        CONVEX,
        lambda w: -MEAN @ w + 1.5 * jnp.linalg.norm(FACTORS.T @ w),
        FREE,
        "a norm of affine",
    ),
    Case("worst of scenarios", CONVEX, lambda w: jnp.max(-RETURNS @ w), FREE, "a maximum of affine"),
    Case(
        "growth of Kelly",
        CONCAVE,
        lambda w: jnp.mean(jnp.log(1 + 0.0625 * RETURNS @ w)),
        LONG_ONLY,
        "log of affine: 1 + Rw/16 >= 1/2",
    ),
    Case(
        "entropic value at risk",
        CONVEX,
        entropic_value_at_risk,
        ({"w": np.full(4, -1.0, np.float32), "t": 0.5}, {"w": np.full(4, 1.0, np.float32), "t": 4.0}),
        "the perspective of log-mean-exp",
    ),
    Case(
        "Sharpe's ratio",
        NEITHER,
        lambda w: -(MEAN @ w) / jnp.sqrt(w @ COVARIANCE @ w),
        over(0.125, 1.0, 4),
        "constant along rays, not constant",
    ),
    Case("largest drawdown", CONVEX, drawdown, FREE, "maxima of affine"),
    Case(
        "spread of two calls",
        NEITHER,
        lambda s: jnp.maximum(s - 1, 0) - jnp.maximum(s - 2, 0),
        (0.0, 4.0),
        "slope 0, 1, 0",
    ),
    Case(
        "downside deviation",
        CONVEX,
        lambda w: jnp.sqrt(jnp.mean(jax.nn.relu(0.25 - RETURNS @ w) ** 2)),
        LONG_ONLY,
        "the norm of nonnegative convex numbers",
    ),
    Case(
        "effective number of assets",
        NEITHER,
        lambda w: 1 / jnp.sum(w**2),
        over(0.125, 1.0, 3),
        "along rays convex, across them concave",
    ),
    Case(
        "value at risk",
        NEITHER,
        lambda w: -jnp.sort(RETURNS @ w)[1],
        over(-1.0, 1.0, 4),
        "a single order statistic",
    ),
    Case(
        "squares with uncertain data",
        CONVEX,
        lambda w: jnp.sum((jnp.abs(RETURNS @ w - 1) + 0.25 * jnp.sum(jnp.abs(w))) ** 2),
        FREE,
        "squares of nonnegative convex numbers",
    ),
    Case(
        "dual of regularised transport",
        CONVEX,
        transport_dual,
        POTENTIALS,
        "exp of affine, minus affine",
    ),
    Case(
        "transport between two and two",
        CONCAVE,
        lambda c: jnp.minimum(c[0, 0] + c[1, 1], c[0, 1] + c[1, 0]),
        over(0.0, 4.0, 2, 2),
        "a minimum of linear functions",
    ),
    Case(
        "regularised linear program",
        CONVEX,
        lambda p: MEAN @ p - 0.125 * jnp.sum(jax.scipy.special.entr(p)),
        LONG_ONLY,
        "p log p and affine",
    ),
]

MATRICES = [
    Case(
        "design by the smallest eigenvalue",
        CONVEX,
        lambda w: -jnp.linalg.eigvalsh(information(w))[0],
        over(0.0, 1.0, 4),
        "the smallest eigenvalue is concave",
    ),
    Case(
        "design by the trace of the inverse",
        CONVEX,
        lambda w: jnp.trace(jnp.linalg.inv(information(w))),
        over(0.25, 1.0, 4),
        "the trace of the inverse is convex on definite matrices",
    ),
    Case(
        "trace of the exponential",
        CONVEX,
        lambda x: jnp.sum(jnp.exp(jnp.linalg.eigvalsh(symmetric(x)))),
        over(-1.0, 1.0, 2),
        "a convex symmetric function of the eigenvalues",
    ),
    Case(
        "entropy of von Neumann",
        CONCAVE,
        lambda x: -jnp.sum(jnp.linalg.eigvalsh(symmetric(x)) * jnp.log(jnp.linalg.eigvalsh(symmetric(x)))),
        over(-0.125, 0.125, 2),
        "a concave symmetric function of positive eigenvalues",
    ),
    Case(
        "likelihood in the Cholesky factor",
        CONVEX,
        cholesky_likelihood,
        (LOWER, np.full(6, 2.0, np.float32)),
        "a definite form minus logarithms of the diagonal",
    ),
    Case(
        "completion with a nuclear norm",
        CONVEX,
        lambda A: jnp.linalg.norm(A, "nuc") + jnp.sum(jnp.where(np.eye(2) > 0, A - 1.5, 0.0) ** 2),
        over(-2.0, 2.0, 2, 2),
        "a norm and squares",
    ),
    Case(
        "condition number",
        NEITHER,
        lambda x: jnp.linalg.eigvalsh(symmetric(x))[1] / jnp.linalg.eigvalsh(symmetric(x))[0],
        (np.float32([2, 0]), np.float32([4, 2])),
        "quasi-convex only",
    ),
    Case(
        "differences by convolution",
        CONVEX,
        lambda x: jnp.sum(jnp.abs(jnp.convolve(x, np.float32([1, -2, 1]), mode="valid"))),
        over(*LINE, 6),
        "sizes of affine",
    ),
    Case(
        "largest of windows",
        CONVEX,
        lambda x: jnp.sum(jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (2,), (1,), "VALID")),
        over(-4.0, 4.0, 5),
        "maxima",
    ),
    Case(
        "trimmed sum",
        NEITHER,
        lambda x: jnp.sum(jnp.sort(x)[1:-1]),
        over(-2.0, 2.0, 4),
        "odd under x to -x, not linear",
    ),
    Case(
        "monotony by a penalty",
        CONVEX,
        lambda x: jnp.sum(jax.nn.relu(x[:-1] - x[1:]) ** 2) + 0.5 * jnp.sum((x - RETURNS[:, 0]) ** 2),
        over(*LINE, 6),
        "squares of nonnegative convex numbers",
    ),
    Case(
        "stress of a map",
        NEITHER,
        lambda x: (jnp.sqrt(jnp.sum((x[0] - x[1]) ** 2) + 1e-6) - 1.0) ** 2,
        over(-1.0, 1.0, 2, 2),
        "a summit where the two meet",
    ),
]

POLYNOMIALS = [
    Case(
        "fourth power of a sum, multiplied out",
        CONVEX,
        lambda v: v[0] ** 4 + 4 * v[0] ** 3 * v[1] + 6 * v[0] ** 2 * v[1] ** 2 + 4 * v[0] * v[1] ** 3 + v[1] ** 4,
        over(-2.0, 2.0, 2),
        "(x + y)^4",
    ),
    Case(
        "two fourth powers, multiplied out",
        CONVEX,
        lambda v: 2 * v[0] ** 4 + 12 * v[0] ** 2 * v[1] ** 2 + 2 * v[1] ** 4 + 0.5 * v[0] ** 2,
        over(-2.0, 2.0, 2),
        "(x + y)^4 + (x - y)^4 + x^2/2",
    ),
    Case(
        "square of a form",
        CONVEX,
        lambda v: (v[0] ** 2 + v[0] * v[1] + v[1] ** 2) ** 2,
        over(*LINE, 2),
        "a convex increasing function of a definite form",
    ),
    Case(
        "square of a product",
        NEITHER,
        lambda v: (v[0] * v[1]) ** 2 + 0.25 * jnp.sum(v**2),
        over(-2.0, 2.0, 2),
        "the determinant at (t, t) is (2 t^2 + 1/2)^2 - 16 t^4",
    ),
    Case(
        "sixth power that covers a wave",
        CONVEX,
        lambda x: x**6 + 2 * x**2 + jnp.sin(x) ** 2,
        (-2.0, 2.0),
        "4 + 2 cos 2x + 30 x^4 > 0",
    ),
    Case(
        "Motzkin's polynomial",
        NEITHER,
        lambda v: v[0] ** 4 * v[1] ** 2 + v[0] ** 2 * v[1] ** 4 - 3 * v[0] ** 2 * v[1] ** 2 + 1,
        over(-2.0, 2.0, 2),
        "zeros at (1, 1) and (-1, -1), and 1 at 0 between",
    ),
]
