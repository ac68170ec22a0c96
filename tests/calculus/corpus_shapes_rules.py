"""Functions for which composition rules suffice; the losses of linear models are among them."""

import jax
import jax.numpy as jnp
from jax.scipy.special import entr, logsumexp

from tests.calculus.corpus_shapes import AFFINE, CONCAVE, CONVEX, INFINITY, LINE, NEITHER, Case, draw, over, signs

X, TARGETS, LABELS = draw(6, 3), draw(6), signs(6)
COUNTS = draw(6, low=0, high=20)
A, B = draw(4, 3, seed=1), draw(4, seed=1)
R3 = over(-INFINITY, INFINITY, 3)
POSITIVE = over(0.25, 4.0, 3)


def elastic_net(w, X, y):
    residual = X @ w["w"] + w["b"] - y
    penalty = 0.5 * jnp.sum(jnp.abs(w["w"])) + 0.25 * jnp.sum(w["w"] ** 2)
    return jnp.mean(residual**2) + penalty


WEIGHTS = ({"b": -INFINITY, "w": over(-INFINITY, INFINITY, 3)[0]}, None)

RULES = [
    Case("exp_of_affine", CONVEX, lambda x: jnp.exp(2 * x - 1), LINE, "exp is convex, its argument affine"),
    Case("softplus_by_hand", CONVEX, lambda x: jnp.log(1 + jnp.exp(x)), LINE, "log of a sum of log-convex functions"),
    Case("minus_softplus", CONCAVE, lambda x: -jax.nn.softplus(x), LINE, "minus a convex function that is not affine"),
    Case(
        "logsumexp_of_affine",
        CONVEX,
        lambda x, A, b: logsumexp(A @ x + b),
        R3,
        "log-sum-exp of affine functions",
        (A, B),
    ),
    Case(
        "logsumexp_by_hand", CONVEX, lambda x: jnp.log(jnp.sum(jnp.exp(x))), R3, "log of a sum of log-convex functions"
    ),
    Case("least_squares", CONVEX, lambda w, X, y: jnp.mean((X @ w - y) ** 2), R3, "squares of affine", (X, TARGETS)),
    Case("elastic_net", CONVEX, elastic_net, WEIGHTS, "squares and absolute values of affine functions", (X, TARGETS)),
    Case(
        "hinge_of_a_linear_model",
        CONVEX,
        lambda w, X, y: jnp.mean(jnp.maximum(0.0, 1 - y * (X @ w))),
        R3,
        "a maximum of affine functions",
        (X, LABELS),
    ),
    Case(
        "poisson_log_link",
        CONVEX,
        lambda w, X, y: jnp.sum(jnp.exp(X @ w) - y * (X @ w)),
        R3,
        "exp of affine minus affine",
        (X, COUNTS),
    ),
    Case(
        "pinball",
        CONVEX,
        lambda w, X, y: jnp.mean(jnp.maximum(0.75 * (y - X @ w), -0.25 * (y - X @ w))),
        R3,
        "a maximum of affine functions",
        (X, TARGETS),
    ),
    Case(
        "norm_of_affine", CONVEX, lambda x, A, b: jnp.linalg.norm(A @ x - b), R3, "a norm of affine functions", (A, B)
    ),
    Case("largest_of_affine", CONVEX, lambda x, A, b: jnp.max(A @ x + b), R3, "a maximum of affine functions", (A, B)),
    Case(
        "smallest_of_affine", CONCAVE, lambda x, A, b: jnp.min(A @ x + b), R3, "a minimum of affine functions", (A, B)
    ),
    Case("affine_map", AFFINE, lambda x, A, b: jnp.sum(A @ x + b) + 3, R3, "sums of affine functions", (A, B)),
    Case("cube_where_positive", CONVEX, lambda x: x**3, (0.0, INFINITY), "6x >= 0"),
    Case("cube_where_negative", CONCAVE, lambda x: x**3, (-2.0, 0.0), "6x <= 0"),
    Case("cube_on_both_sides", NEITHER, lambda x: x**3, (-1.0, 2.0), "6x changes sign at 0"),
    Case("reciprocal", CONVEX, lambda x: 1 / x, (0.5, INFINITY), "2/x^3 > 0"),
    Case("square_root", CONCAVE, jnp.sqrt, (0.0, INFINITY), "-x^(-3/2)/4 < 0 for x > 0, continuous at 0"),
    Case("power_three_halves", CONVEX, lambda x: x**1.5, (0.0, 4.0), "3/(4 sqrt x) > 0, continuous at 0"),
    Case(
        "log_barrier",
        CONVEX,
        lambda x: -jnp.sum(jnp.log(2 - x)) - jnp.sum(jnp.log(2 + x)),
        over(-1.5, 1.5, 3),
        "-log of positive affine functions",
    ),
    Case("entropy", CONCAVE, lambda p: jnp.sum(entr(p)), POSITIVE, "(-p log p)'' = -1/p < 0"),
    Case(
        "product_of_exponentials",
        CONVEX,
        lambda x: jnp.exp(x[0]) * jnp.exp(2 * x[1]) * jnp.exp(-x[2]),
        R3,
        "a product of log-affine functions is log-affine",
    ),
    Case(
        "minus_log_of_sigmoid",
        CONVEX,
        lambda x: -jnp.log(1 / (1 + jnp.exp(-x))),
        LINE,
        "log(1 + exp(-x))",
    ),
    Case("total_variation", CONVEX, lambda x: jnp.sum(jnp.abs(jnp.diff(x))), over(-3.0, 3.0, 5), "|affine|"),
    Case(
        "distance_to_an_interval",
        CONVEX,
        lambda x: jnp.sum(jnp.maximum(jnp.abs(x) - 1, 0.0) ** 2),
        R3,
        "the square of a nonnegative convex function",
    ),
    Case("softmax_of_three", NEITHER, lambda x: jax.nn.softmax(x)[0], over(-3.0, 3.0, 3), "a sigmoid along x[0]"),
    Case("largest_gap", CONVEX, lambda x: jnp.max(x) - jnp.min(x), R3, "a maximum plus a maximum of -x"),
]
