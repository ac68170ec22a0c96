"""Functions that attack proofs by pieces and by second derivatives: seams, irrational cuts, singular points."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.calculus.corpus_shapes import AFFINE, CONCAVE, CONVEX, INFINITY, LINE, NEITHER, Case, over

BOX = (-2.0, 2.0)
SEAM = float(np.float32(0.3))
SQUARE = over(-2.0, 2.0, 2)


def tangent(x):
    """x² after 0.3, its tangent before it, in constants that are rounded: the exact numbers do not meet at the seam."""
    return jnp.where(x > 0.3, x * x, 0.6 * x - 0.09)


def tangent_exact(x):
    c, slope, rest = np.float32(0.3), np.float32(0.6), np.float32(0.09)
    c, slope, rest = (type(x[0])(float(v)) for v in (c, slope, rest))
    return x[0] * x[0] if x[0] > c else slope * x[0] - rest


def newton(x):
    """Three steps towards the root of x: quotients in a loop."""
    return lax.fori_loop(0, 3, lambda _, r: (r + x / r) / 2, 1.0 + 0 * x)


def saw(x):
    return x - jnp.floor(x) + jnp.floor(x)


PIECES = [
    Case("modulus_of_a_bowl", NEITHER, lambda x: jnp.abs(x**2 - 1), BOX, "concave between its roots"),
    Case(
        "modulus_of_a_bowl_with_irrational_roots",
        NEITHER,
        lambda x: jnp.abs(x**2 - 2),
        BOX,
        "concave between its roots",
    ),
    Case("positive_part_of_a_bowl", CONVEX, lambda x: jnp.maximum(x**2 - 2, 0), BOX, "a maximum of convex functions"),
    Case("negative_part_of_a_bowl", NEITHER, lambda x: jnp.minimum(x**2 - 2, 0), BOX, "slope falls at the roots"),
    Case("chosen_at_irrational_roots", NEITHER, lambda x: jnp.where(x**2 > 2, 2.0, x**2), BOX, "a bowl under a lid"),
    Case(
        "seam_that_rounding_tears",
        NEITHER,
        tangent,
        (-1.0, 1.0),
        "down by 4e-9 at 0.3",
        exact=tangent_exact,
        segments=((SEAM - 2.0**-15, SEAM + 2.0**-15), (0.0, 1.0)),
    ),
    Case(
        "exp_of_a_modulus_minus",
        NEITHER,
        lambda x: jnp.exp(jnp.abs(x)) - 1.5 * jnp.abs(x),
        BOX,
        "f'' > 0 beside a slope that falls by 1",
    ),
    Case(
        "exp_of_a_modulus_minus_less",
        CONVEX,
        lambda x: jnp.exp(jnp.abs(x)) - jnp.abs(x),
        BOX,
        "slopes +-(exp|x| - 1) meet at 0",
    ),
    Case("root_of_a_modulus", NEITHER, lambda x: jnp.sqrt(jnp.abs(x)), BOX, "concave on both sides of 0"),
    Case("minus_root_on_its_domain", CONVEX, lambda x: -jnp.sqrt(x), (0.0, 4.0), "vertical at 0"),
    Case("power_of_a_modulus", CONVEX, lambda x: jnp.abs(x) ** 1.5, BOX, "3/4 |x|^(-1/2) > 0"),
    Case(
        "square_minus_a_power_of_a_modulus",
        NEITHER,
        lambda x: x**2 - jnp.abs(x) ** 1.5,
        BOX,
        "2 - 3/4 |x|^(-1/2) < 0 near 0",
    ),
    Case("cube_root", NEITHER, jnp.cbrt, BOX, "vertical at 0"),
    Case("cube_root_where_positive", CONCAVE, jnp.cbrt, (0.0, 2.0), "-2/9 x^(-5/3)"),
    Case("saw_that_cancels", AFFINE, saw, BOX, "x"),
    Case("larger_by_choice", CONVEX, lambda x: jnp.where(x[0] > x[1], x[0], x[1]), SQUARE, "max"),
    Case("smaller_by_choice", CONCAVE, lambda x: jnp.where(x[0] > x[1], x[1], x[0]), SQUARE, "min"),
    Case(
        "choice_by_another_variable",
        NEITHER,
        lambda x: jnp.where(x[1] > 0, x[0] ** 2, 0.0) + x[1] ** 2,
        SQUARE,
        "jumps at x1 = 0",
    ),
    Case(
        "choice_of_a_sum", CONVEX, lambda x: jnp.where(x[0] + x[1] > 0, (x[0] + x[1]) ** 2, 0.0), SQUARE, "max(s, 0)²"
    ),
    Case(
        "choice_of_a_sum_in_the_wrong_order",
        NEITHER,
        lambda x: jnp.where(x[0] - x[1] > 0, (x[0] + x[1]) ** 2, 0.0),
        SQUARE,
        "jumps",
    ),
    Case(
        "two_directions_as_one",
        NEITHER,
        lambda x: jnp.abs(x[0] + x[1]) - jnp.abs(x[0] + 2 * x[1]),
        SQUARE,
        "two lines, not one",
    ),
    Case(
        "same_direction_twice",
        CONVEX,
        lambda x: jnp.abs(x[0] + 2 * x[1]) - 0.5 * jnp.abs(-2 * x[0] - 4 * x[1]) + jnp.abs(x[0] + 2 * x[1]),
        SQUARE,
        "|u| - |u| + |u|",
    ),
    Case(
        "value_above_at_a_cut",
        NEITHER,
        lambda x: jnp.where(x < 1, x**2, jnp.where(x > 1, 2 * x - 1, 1.0 + 2.0**-20)),
        BOX,
        "one point too high",
        segments=((1 - 2.0**-11, 1 + 2.0**-11), (-1.0, 0.0)),
    ),
    Case(
        "value_right_at_a_cut",
        CONVEX,
        lambda x: jnp.where(x < 1, x**2, jnp.where(x > 1, 2 * x - 1, 1.0)),
        BOX,
        "slope 2 on both sides",
    ),
    Case("many_kinks_that_rise", CONVEX, lambda x: jnp.sum(jnp.abs(x - jnp.arange(-8.0, 9.0) / 4)), BOX, "moduli"),
    Case(
        "one_kink_of_many_falls",
        NEITHER,
        lambda x: jnp.sum(jnp.abs(x - jnp.arange(-8.0, 9.0) / 4)) - 1.25 * jnp.abs(x - 0.75),
        BOX,
        "1 - 1.25 at 3/4",
        segments=((0.625, 0.875), (-2.0, 2.0)),
    ),
    Case("kink_beyond_the_box", CONVEX, lambda x: x**2 - 4 * jnp.abs(x - 2.5), BOX, "affine there"),
    Case("kink_at_the_end_of_the_box", CONVEX, lambda x: x**2 - 4 * jnp.abs(x - 2), BOX, "affine up to its end"),
    Case("rounded_to_even", NEITHER, lambda x: x**2 + jnp.round(x) * 0.01, BOX, "steps"),
    Case("remainder", NEITHER, lambda x: jnp.mod(x, 1.0), BOX, "a saw"),
    Case("heaviside", CONVEX, lambda x: jnp.heaviside(x, 0.0) * x, BOX, "max(x, 0)"),
    Case("sine_over_x", NEITHER, jnp.sinc, BOX, "waves"),
    Case("newton_for_a_root", CONCAVE, newton, (0.5, 4.0), "close to the root of x", sampled=False),
]
SMOOTH = [
    Case(
        "quartic_with_a_cross_term",
        NEITHER,
        lambda x: x[0] ** 4 + x[1] ** 4 - x[0] ** 2 * x[1] ** 2,
        SQUARE,
        "-2 x1² at (0, x1)",
    ),
    Case("quartic_of_a_sum", CONVEX, lambda x: (x[0] + x[1]) ** 4 + (x[0] - x[1]) ** 4, SQUARE, "powers of affine"),
    Case(
        "quartic_of_a_sum_expanded",
        CONVEX,
        lambda x: 2 * x[0] ** 4 + 12 * x[0] ** 2 * x[1] ** 2 + 2 * x[1] ** 4,
        SQUARE,
        "the same",
    ),
    Case("large_power", CONVEX, lambda x: x**100, (-1.0, 1.0), "even"),
    Case("large_odd_power", NEITHER, lambda x: x**101, (-1.0, 1.0), "odd"),
    Case(
        "singular_at_a_corner",
        CONVEX,
        lambda x: x[0] ** 2 / x[1] + x[1] ** 2,
        ([-1.0, 0.125], [1.0, 1.0]),
        "quadratic over linear",
    ),
    Case("sech", NEITHER, lambda x: 1 - jnp.tanh(x) ** 2, BOX, "a bell"),
    Case("sech_inside", CONCAVE, lambda x: 1 - jnp.tanh(x) ** 2, (-0.5, 0.5), "tanh² < 1/3"),
    Case("digamma", CONCAVE, jax.scipy.special.digamma, (0.5, 6.0), "polygamma(2) < 0"),
    Case("complementary_error_function", CONVEX, jax.scipy.special.erfc, (0.0, 3.0), "4x exp(-x²)/sqrt(pi)"),
    Case("error_function", NEITHER, jax.scipy.special.erf, (-1.0, 1.0), "odd"),
    Case("log_of_the_normal_distribution", CONCAVE, jax.scipy.stats.norm.logcdf, (-3.0, 3.0), "log-concave"),
    Case("powers_of_two", CONVEX, lambda x: jnp.exp2(x) + jnp.logaddexp2(x, 0.0), LINE, "exp2 and its log-sum"),
    Case("common_logarithm", CONCAVE, jnp.log10, (0.5, INFINITY), "-1/x²"),
    Case("tangent", CONVEX, jnp.tan, (0.0, 1.5), "2 tan sec²"),
    Case("arc_cosine", CONCAVE, jnp.arccos, (0.0, 0.875), "-x (1 - x²)^(-3/2)"),
    Case("area_hyperbolic_sine", NEITHER, jnp.arcsinh, BOX, "odd"),
    Case("ptp", CONVEX, lambda x: jnp.ptp(x), SQUARE, "max - min"),
    Case(
        "squared_distance_between_two",
        CONVEX,
        lambda x: jnp.sum((x[0] - x[1]) ** 2),
        over(-1.0, 1.0, 2, 2),
        "a square of affine",
    ),
    Case(
        "log_of_a_quadratic",
        NEITHER,
        lambda x: jnp.log(1 + x[0] ** 2 + x[1] ** 2),
        SQUARE,
        "concave along rays far away",
    ),
    Case(
        "product_of_positive_convex",
        NEITHER,
        lambda x: (1 + x[0] ** 2) * (1 + x[1] ** 2),
        SQUARE,
        "x0² x1² at the corners",
    ),
    Case(
        "product_of_increasing",
        CONVEX,
        lambda x: jnp.exp(x) * (x + 3) ** 2,
        BOX,
        "positive, increasing, convex factors",
    ),
]
ATTACKS_ON_PIECES = {case.name: case for case in (*PIECES, *SMOOTH)}
