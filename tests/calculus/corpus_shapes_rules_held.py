"""Functions for which composition rules suffice, second part."""

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp, xlogy

from tests.calculus.corpus_shapes import (
    AFFINE,
    CONCAVE,
    CONVEX,
    INFINITY,
    LINE,
    NEITHER,
    Case,
    draw,
    one_hot,
    over,
    signs,
)

X, TARGETS, LABELS = draw(8, 3, seed=5), draw(8, seed=5), signs(8, seed=5)
ONE_HOT = one_hot(8, 4)
A, B = draw(5, 3, seed=6), draw(5, seed=6)
R3 = over(-INFINITY, INFINITY, 3)
R34 = over(-INFINITY, INFINITY, 3, 4)


def softmax_regression(w, X, Y):
    z = X @ w["W"] + w["b"]
    return -jnp.mean(jnp.sum(Y * jax.nn.log_softmax(z), axis=1))


def cross_entropy_by_hand(W, X, Y):
    z = X @ W
    z = z - jnp.max(z, axis=1, keepdims=True)
    return jnp.mean(jnp.log(jnp.sum(jnp.exp(z), axis=1)) - jnp.sum(Y * z, axis=1))


def support_vectors(w, X, y):
    margin = y * (X @ w["w"] + w["b"])
    return 0.5 * w["w"] @ w["w"] + 10.0 * jnp.sum(jax.nn.relu(1 - margin) ** 2)


PAIR = (
    {"W": over(-INFINITY, 0.0, 3, 4)[0], "b": over(-INFINITY, 0.0, 4)[0]},
    None,
)
PLANE = ({"b": -INFINITY, "w": over(-INFINITY, 0.0, 3)[0]}, None)

RULES = [
    Case("softmax_regression", CONVEX, softmax_regression, PAIR, "log-sum-exp of affine minus affine", (X, ONE_HOT)),
    Case("cross_entropy_by_hand", CONVEX, cross_entropy_by_hand, R34, "the shift cancels", (X, ONE_HOT)),
    Case("squared_hinge_machine", CONVEX, support_vectors, PLANE, "squares of nonnegative convex", (X, LABELS)),
    Case(
        "logistic_regression_with_ridge",
        CONVEX,
        lambda w, X, y: jnp.mean(jnp.log1p(jnp.exp(-y * (X @ w)))) + 0.125 * jnp.dot(w, w),
        R3,
        "log1p of a log-affine function, and a square",
        (X, LABELS),
    ),
    Case(
        "lasso",
        CONVEX,
        lambda w, X, y: jnp.sum(jnp.square(y - X @ w)) / 16 + 0.25 * jnp.linalg.norm(w, 1),
        R3,
        "squares and absolute values of affine",
        (X, TARGETS),
    ),
    Case("hyperbolic_cosine_by_hand", CONVEX, lambda x: jnp.exp(x) + jnp.exp(-x), LINE, "exp of affine"),
    Case("log_sigmoid", CONCAVE, jax.nn.log_sigmoid, LINE, "-log(1 + exp(-x))"),
    Case("logarithm", CONCAVE, lambda x: jnp.sum(jnp.log(x)), over(0.125, INFINITY, 3), "-1/x^2 < 0"),
    Case("reciprocal_where_negative", CONCAVE, lambda x: 1 / x, (-4.0, -0.25), "2/x^3 < 0"),
    Case("reciprocal_square_root", CONVEX, jax.lax.rsqrt, (0.25, 9.0), "3/4 x^(-5/2) > 0"),
    Case("fifth_power_on_both_sides", NEITHER, lambda x: x**5 + x, (-2.0, 2.0), "20x^3 changes sign at 0"),
    Case("sixth_power", CONVEX, lambda x: jnp.sum((x - 1) ** 6), R3, "30(x-1)^4 >= 0"),
    Case("negative_power", CONVEX, lambda x: x**-2.5, (0.5, 8.0), "a(a-1) > 0 with a = -5/2"),
    Case("minus_norm", CONCAVE, lambda x: 1 - jnp.linalg.norm(x), R3, "minus a norm"),
    Case("maximum_norm", CONVEX, lambda x, A, b: jnp.max(jnp.abs(A @ x - b)), R3, "the maximum norm", (A, B)),
    Case("group_lasso", CONVEX, lambda W: jnp.sum(jnp.linalg.norm(W, axis=1)), R34, "norms of rows"),
    Case("pseudo_huber", CONVEX, lambda x: jnp.sum(jnp.sqrt(1 + x**2) - 1), R3, "the norm of (1, x)"),
    Case("exp_of_norm", CONVEX, lambda x: jnp.exp(jnp.linalg.norm(x)), over(-4.0, 4.0, 3), "exp increases"),
    Case("exp_of_concave", NEITHER, lambda x: jnp.exp(-jnp.sum(x**2)), over(-2.0, 2.0, 2), "a bell"),
    Case("affine_in_a_tree", AFFINE, lambda w: w["a"].sum() - 2 * w["b"], ({"a": R3[0], "b": -INFINITY}, None), "sums"),
    Case("difference_of_squares", NEITHER, lambda x: x[0] ** 2 - x[1] ** 2, over(-1.0, 1.0, 2), "eigenvalues 2, -2"),
    Case("negative_entropy_by_xlogy", CONVEX, lambda p: jnp.sum(xlogy(p, p)), over(0.25, 4.0, 3), "(p log p)'' = 1/p"),
    Case(
        "geometric_program",
        CONVEX,
        lambda x: jnp.log(jnp.exp(x[0] + 2 * x[1]) + 3 * jnp.exp(-x[1]) + 0.5),
        over(-INFINITY, INFINITY, 2),
        "log of a posynomial in logarithmic variables",
    ),
    Case(
        "logsumexp_minus_largest",
        NEITHER,
        lambda x: logsumexp(x) - jnp.max(x),
        over(-4.0, 4.0, 2),
        "log(1 + exp(-|t|)) along x = (t, 0): a peak at 0, convex beside it",
    ),
    Case(
        "norm_of_one_and_a_square",
        CONVEX,
        lambda x: jnp.sqrt(1 + x**4),
        (-2.0, 2.0),
        "a norm of nonnegative convex functions; (6x^2 + 2x^6) / (1 + x^4)^(3/2) >= 0",
    ),
    Case("product_with_a_negative_number", CONCAVE, lambda x: -3.0 * jnp.exp(x), LINE, "-3 exp(x) < 0"),
    Case("sum_of_relus", CONVEX, lambda x, A, b: jnp.sum(jax.nn.relu(A @ x + b)), R3, "max(affine, 0)", (A, B)),
    Case(
        "difference_of_relus",
        NEITHER,
        lambda x: jax.nn.relu(x) - 2 * jax.nn.relu(x - 1),
        (-1.0, 3.0),
        "a kink up at 0 and a kink down at 1",
    ),
]
