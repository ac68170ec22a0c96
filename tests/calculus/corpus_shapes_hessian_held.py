"""Functions whose shape needs second derivatives, second part."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from tests.calculus.corpus_shapes import CONCAVE, CONVEX, INFINITY, LINE, NEITHER, Case, draw, over

MATRIX = draw(3, 3, seed=7)
DEFINITE = MATRIX @ MATRIX.T + np.eye(3, dtype=np.float32) / 2
X, Y = draw(5, 3, seed=8), draw(5, seed=8)
PLANE = over(-INFINITY, INFINITY, 2)


def branin(x):
    b, c, t = 5.1 / (4 * jnp.pi**2), 5 / jnp.pi, 1 / (8 * jnp.pi)
    return (x[1] - b * x[0] ** 2 + c * x[0] - 6) ** 2 + 10 * (1 - t) * jnp.cos(x[0]) + 10


def camel(x):
    u, v = x[0], x[1]
    return (4 - 2.1 * u**2 + u**4 / 3) * u**2 + u * v + (-4 + 4 * v**2) * v**2


def swish_network(w, X, y):
    hidden = jax.nn.silu(X @ w["first"])
    return 0.5 * jnp.mean((hidden @ w["second"] - y) ** 2)


def gaussian_likelihood(t, y):
    return jnp.mean(0.5 * jnp.exp(-2 * t[1]) * (y - t[0]) ** 2 + t[1])


HESSIAN = [
    Case(
        "definite_form_by_einsum",
        CONVEX,
        lambda x, A: jnp.einsum("i,ij,j->", x, A, x),
        over(-INFINITY, INFINITY, 3),
        "A = MM' + I/2",
        (DEFINITE,),
    ),
    Case(
        "form_with_opposite_corners", NEITHER, lambda x: x[0] ** 2 + 3 * x[0] * x[1] + x[1] ** 2, PLANE, "det = 4 - 9"
    ),
    Case(
        "singular_cross_terms",
        CONVEX,
        lambda x: x[0] * x[0] + 6 * x[0] * x[1] + 9 * x[1] * x[1],
        PLANE,
        "(x0 + 3 x1)^2",
    ),
    Case(
        "three_variables_expanded",
        CONVEX,
        lambda x: x[0] ** 2 + x[1] ** 2 + x[2] ** 2 + x[0] * x[1] + x[1] * x[2] + x[2] * x[0],
        over(-INFINITY, INFINITY, 3),
        "½(sum² + norm²)",
    ),
    Case("minus_a_form", CONCAVE, lambda x: x[0] * x[1] - x[0] ** 2 - x[1] ** 2, PLANE, "eigenvalues -1, -3"),
    Case("branin", NEITHER, branin, ([-5.0, 0.0], [10.0, 15.0]), "three minima"),
    Case("camel", NEITHER, camel, ([-2.0, -1.0], [2.0, 1.0]), "six minima"),
    Case("camel_near_a_minimum", CONVEX, camel, ([0.0, 0.625], [0.25, 0.75]), "the Hessian is positive definite there"),
    Case("cosine_near_zero", CONCAVE, jnp.cos, (-1.5, 1.5), "-cos x < 0"),
    Case("cosine_near_pi", CONVEX, jnp.cos, (1.625, 4.625), "-cos x > 0"),
    Case("cosine_across", NEITHER, jnp.cos, (0.0, 3.0), "inflection at pi/2"),
    Case("arctangent_where_positive", CONCAVE, jnp.arctan, (0.0, INFINITY), "-2x/(1 + x^2)^2 <= 0"),
    Case("arctangent_where_negative", CONVEX, jnp.arctan, (-INFINITY, 0.0), "-2x/(1 + x^2)^2 >= 0"),
    Case("hyperbolic_sine_where_positive", CONVEX, jnp.sinh, (0.0, 5.0), "sinh x >= 0"),
    Case("log_cosh_by_hand", CONVEX, lambda x: jnp.log(jnp.cosh(x)), (-20.0, 20.0), "sech^2 > 0"),
    Case("square_over_exp", NEITHER, lambda x: x**2 * jnp.exp(-x), (-1.0, 5.0), "(x^2 - 4x + 2) exp(-x) changes sign"),
    Case(
        "square_over_exp_between",
        CONCAVE,
        lambda x: x**2 * jnp.exp(-x),
        (0.75, 3.25),
        "x^2 - 4x + 2 < 0 on (0.59, 3.41)",
    ),
    Case("log_over_x", NEITHER, lambda x: jnp.log(x) / x, (1.0, 10.0), "inflection at exp(3/2)"),
    Case("log_over_x_before", CONCAVE, lambda x: jnp.log(x) / x, (0.5, 4.25), "(2 log x - 3)/x^3 < 0 for x < 4.48"),
    Case("reciprocal_of_a_product", CONVEX, lambda x: 1 / (x[0] * x[1]), over(0.5, 2.0, 2), "exp of -log x0 - log x1"),
    Case("product_of_squares", NEITHER, lambda x: x[0] ** 2 * x[1] ** 2, over(-1.0, 1.0, 2), "det = -12 x0² x1²"),
    Case(
        "square_over_positive", CONVEX, lambda x: x[0] ** 2 / x[1], ([-3.0, 0.25], [3.0, 4.0]), "quadratic over linear"
    ),
    Case(
        "fourth_over_square",
        CONVEX,
        lambda x: (x[0] ** 2 / x[1]) ** 2,
        ([-2.0, 0.5], [2.0, 2.0]),
        "the square of a nonnegative convex function",
    ),
    Case("logarithm_of_gamma", CONVEX, gammaln, (0.5, 10.0), "trigamma > 0"),
    Case(
        "variance_by_logarithm",
        NEITHER,
        gaussian_likelihood,
        over(-2.0, 2.0, 2),
        "saddles where (y - m)^2 is small",
        (Y,),
    ),
    Case(
        "swish_network",
        NEITHER,
        swish_network,
        ({"first": over(-1.0, 0.0, 3, 2)[0], "second": over(-1.0, 0.0, 2)[0]}, 1.0),
        "hidden units may be swapped",
        (X, Y),
    ),
    Case(
        "ridge_and_waves",
        CONVEX,
        lambda x: jnp.sum(x**2) + jnp.sin(x[0]) * jnp.cos(x[1]),
        over(-10.0, 10.0, 2),
        "2 beats an operator norm of at most 1",
    ),
    Case(
        "gravity",
        NEITHER,
        lambda x: -1 / jnp.sqrt(x[0] ** 2 + x[1] ** 2 + 0.25),
        over(-2.0, 2.0, 2),
        "convex near 0, not far away",
    ),
    Case(
        "log_of_sum_of_squares",
        NEITHER,
        lambda x: jnp.log(1 + x @ x),
        over(-0.75, 0.75, 3),
        "1 + x'x - 2x'x < 0 at the corners",
    ),
    Case("log_of_sum_of_squares_inside", CONVEX, lambda x: jnp.log(1 + x @ x), over(-0.5, 0.5, 3), "x'x <= 3/4 < 1"),
    Case("tilted_quartic", CONVEX, lambda x: x**4 - 4 * x**3 + 6 * x**2 - 4 * x, LINE, "12 (x - 1)^2 >= 0"),
]
