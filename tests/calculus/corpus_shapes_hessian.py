"""Functions whose shape needs second derivatives: cross terms, one part of a period, sums of convex and concave."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.calculus.corpus_shapes import CONCAVE, CONVEX, INFINITY, LINE, NEITHER, Case, draw, over

FACTOR = draw(3, 4, seed=2, low=-4, high=4)
SEMIDEFINITE = FACTOR.T @ FACTOR
INDEFINITE = SEMIDEFINITE - np.eye(4, dtype=np.float32)
X, LABELS = draw(5, 3, seed=4), draw(5, seed=4)
PLANE = over(-INFINITY, INFINITY, 2)
R4 = over(-INFINITY, INFINITY, 4)


def quadratic(x, A):
    return x @ A @ x


def perceptron(w, X, y):
    return jnp.mean((jnp.tanh(X @ w["W"]) @ w["v"] - y) ** 2)


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


HESSIAN = [
    Case(
        "form_with_a_cross_term",
        CONVEX,
        lambda x: x[0] ** 2 + x[0] * x[1] + x[1] ** 2,
        PLANE,
        "eigenvalues 1, 3 of [[2, 1], [1, 2]]",
    ),
    Case("semidefinite_form", CONVEX, quadratic, R4, "A = B'B of rank 3", (SEMIDEFINITE,)),
    Case("indefinite_form", NEITHER, quadratic, R4, "A has eigenvalues of both signs", (INDEFINITE,)),
    Case(
        "expanded_square",
        CONVEX,
        lambda x: x[0] ** 2 - 2 * x[0] * x[1] + x[1] ** 2,
        PLANE,
        "(x0 - x1)^2, a singular form",
    ),
    Case("rosenbrock", NEITHER, rosenbrock, over(-2.0, 2.0, 3), "a curved valley"),
    Case(
        "himmelblau_at_its_minimum",
        CONVEX,
        himmelblau,
        ([2.75, 1.75], [3.25, 2.25]),
        "the Hessian is positive definite there",
    ),
    Case("himmelblau", NEITHER, himmelblau, over(-5.0, 5.0, 2), "four minima"),
    Case("quartic_beyond_its_inflections", CONVEX, lambda x: x**4 - x**2, (0.5, 3.0), "12x^2 - 2 > 0 for x > 0.41"),
    Case("quartic_with_two_minima", NEITHER, lambda x: x**4 - x**2, (-1.0, 1.0), "12x^2 - 2 changes sign"),
    Case("sine_on_half_a_period", CONCAVE, jnp.sin, (0.0, 3.0), "-sin x <= 0 on [0, pi]"),
    Case("sine_on_the_other_half", CONVEX, jnp.sin, (3.25, 6.25), "-sin x >= 0 on [pi, 2pi]"),
    Case("bell_inside", CONCAVE, lambda x: jnp.exp(-(x**2)), (-0.7, 0.7), "(4x^2 - 2) exp(-x^2) < 0 for |x| < 0.7071"),
    Case("bell_outside", CONVEX, lambda x: jnp.exp(-(x**2)), (0.75, 3.0), "4x^2 - 2 > 0 for x > 0.7071"),
    Case("bell_across", NEITHER, lambda x: jnp.exp(-(x**2)), (-1.0, 1.0), "4x^2 - 2 changes sign"),
    Case("x_times_exp", CONVEX, lambda x: x * jnp.exp(x), (-1.9, 5.0), "(x + 2) exp(x) > 0"),
    Case("x_log_x", CONVEX, lambda x: jnp.sum(x * jnp.log(x)), over(0.125, 8.0, 3), "1/x > 0"),
    Case("x_to_the_x", CONVEX, lambda x: x**x, (0.25, 3.0), "exp of the convex x log x"),
    Case("log_of_one_plus_square", CONVEX, lambda x: jnp.log(1 + x**2), (-0.9, 0.9), "(2 - 2x^2) / (1 + x^2)^2"),
    Case("cauchy_loss", NEITHER, lambda x: jnp.sum(jnp.log1p(x**2)), over(-3.0, 3.0, 2), "2 - 2x^2 changes sign"),
    Case("welsch_loss", NEITHER, lambda x: 1 - jnp.exp(-(x**2) / 2), LINE, "(1 - x^2) exp(-x^2/2) changes sign"),
    Case("square_minus_cosine", CONVEX, lambda x: x**2 / 2 + 0.5 * jnp.cos(x), LINE, "1 - cos(x)/2 >= 1/2"),
    Case("square_and_small_waves", CONVEX, lambda x: x**2 + 0.5 * jnp.cos(2 * x), LINE, "2 - 2 cos 2x >= 0"),
    Case("rastrigin", NEITHER, lambda x: jnp.sum(x**2 - 10 * jnp.cos(2 * jnp.pi * x)), over(-5.0, 5.0, 2), "waves"),
    Case(
        "precision_of_a_normal",
        CONVEX,
        lambda t: t[0] ** 2 / (2 * t[1]) - 0.5 * jnp.log(t[1]),
        ([-4.0, 0.25], [4.0, 4.0]),
        "a log-partition function in natural parameters",
    ),
    Case(
        "perceptron_with_tanh",
        NEITHER,
        perceptron,
        ({"W": over(-2.0, 0.0, 3, 2)[0], "v": over(-2.0, 0.0, 2)[0]}, 2.0),
        "signs of W and v may be swapped together",
        (X, LABELS),
    ),
    Case(
        "factorisation",
        NEITHER,
        lambda w: jnp.sum((w[0][:, None] * w[1][None, :] - 1.0) ** 2),
        over(-2.0, 2.0, 2, 3),
        "minima at (u, v) and (-u, -v)",
    ),
    Case("saddle_written_as_squares", NEITHER, lambda x: (x[0] + x[1]) ** 2 - (x[0] - x[1]) ** 2, PLANE, "4 x0 x1"),
    Case("tanh_where_positive", CONCAVE, jnp.tanh, (0.0, 5.0), "-2 tanh sech^2 <= 0"),
    Case("sigmoid_on_both_sides", NEITHER, jax.nn.sigmoid, (-4.0, 4.0), "inflection at 0"),
    Case(
        "gamma_deviance_near_the_data",
        CONVEX,
        lambda m, y: jnp.sum(y / m + jnp.log(m)),
        over(0.5, 1.5, 3),
        "2y/m^3 - 1/m^2 >= 0 for m <= 2y",
        (over(1.0, 1.0, 3)[0],),
    ),
]
