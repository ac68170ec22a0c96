"""Functions written so that a prover goes wrong: kinks, choices, surrogates, equal names, tiny margins, loops."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import kl_div, logsumexp, rel_entr

from tests.calculus.corpus_shapes import AFFINE, CONCAVE, CONVEX, INFINITY, LINE, NEITHER, Case, draw, over

PLANE = over(-INFINITY, INFINITY, 2)
SQUARE = over(-2.0, 2.0, 2)
TINY = 2.0**-20


@jax.jit
def shifted(t):
    return t - 1


@jax.custom_jvp
def waves(x):
    return jnp.cos(x)


@waves.defjvp
def _waves_as_if_squared(primals, tangents):
    (x,), (t,) = primals, tangents
    return waves(x), 2 * x * t


@jax.custom_vjp
def bowl(x):
    return x**2 / 2


bowl.defvjp(lambda x: (bowl(x), x), lambda x, c: (-x * c,))


def wrong_axis(x):
    """Log-sum-exp of rows, shifted by the maxima of columns: on a square matrix both have the same shape."""
    shift = jnp.max(x, axis=0)
    return jnp.sum(jnp.log(jnp.sum(jnp.exp(x - shift[None, :]), axis=1)) + shift)


def right_axis(x):
    shift = jnp.max(x, axis=1)
    return jnp.sum(jnp.log(jnp.sum(jnp.exp(x - shift[:, None]), axis=1)) + shift)


def safe_norm(x):
    square = jnp.sum(x**2)
    zero = square == 0
    return jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, square)))


def horner(x, c):
    return lax.scan(lambda value, a: (value * x + a, None), jnp.zeros_like(x), c)[0]


def descended(x, A):
    """The value of a quadratic after 5 steps of gradient descent: a quadratic of the start."""
    end = lax.fori_loop(0, 5, lambda _, v: v - 0.125 * (A @ v), x)
    return end @ end


KINKS = [
    Case("absolute_by_where", CONVEX, lambda x: jnp.where(x > 0, x, -x), LINE, "|x|"),
    Case("smaller_by_where", CONCAVE, lambda x: jnp.where(x > 0, x, 2 * x), LINE, "min(x, 2x)"),
    Case("slope_falls", NEITHER, lambda x: jnp.where(x > 1, x, x * x), (0.0, 2.0), "slope 2 before 1, 1 after it"),
    Case("slope_rises", CONVEX, lambda x: jnp.where(x > 1, x * x, x), (0.0, 2.0), "slope 1 before 1, 2 after it"),
    Case("slope_continues", CONVEX, lambda x: jnp.where(x > 1, 2 * x, x * x + 1), (-1.0, 3.0), "slope 2 on both sides"),
    Case("jump", NEITHER, lambda x: jnp.where(x > 0, x, x - 1), (-1.0, 1.0), "affine on both sides of a jump"),
    Case(
        "one_point_above",
        NEITHER,
        lambda x: jnp.where(x == 0.5, 5.0, x * x),
        (-1.0, 1.0),
        "5 at 0.5 is above every chord",
        segments=((0.25, 0.75), (-1.0, 0.0)),
    ),
    Case(
        "one_point_below",
        NEITHER,
        lambda x: jnp.where(x == 0.5, -1.0, x * x),
        (-1.0, 1.0),
        "the chord from (0.5, -1) to (1, 1) is below the curve at 0.75",
        segments=((0.5, 1.0), (-1.0, 0.0)),
    ),
    Case(
        "difference_of_kinks", NEITHER, lambda x: jnp.abs(x) - jnp.abs(x - 1), (-2.0, 3.0), "a ramp between constants"
    ),
    Case("relu_minus_relu", AFFINE, lambda x: jax.nn.relu(x) - jax.nn.relu(-x), LINE, "x"),
    Case("larger_plus_smaller", AFFINE, lambda x: jnp.maximum(x[0], x[1]) + jnp.minimum(x[0], x[1]), PLANE, "x0 + x1"),
    Case("kink_under_a_parabola", NEITHER, lambda x: jnp.abs(x) - TINY * x * x, (-1.0, 1.0), "concave beside the kink"),
    Case("sign_times_x", CONVEX, lambda x: jnp.sign(x) * x, LINE, "|x|"),
    Case("norm_with_two_wheres", CONVEX, safe_norm, PLANE, "the norm"),
    Case("elu", CONVEX, jax.nn.elu, LINE, "slope exp(x) <= 1 before 0, 1 after it"),
    Case("selu", NEITHER, jax.nn.selu, (-2.0, 2.0), "slope 1.76 before 0, 1.05 after it"),
    Case("leaky_relu", CONVEX, jax.nn.leaky_relu, LINE, "max(x, x/100)"),
    Case("squareplus", CONVEX, jax.nn.squareplus, LINE, "(x + norm(x, 2))/2"),
    Case("gelu", NEITHER, jax.nn.gelu, (-4.0, 4.0), "two inflections"),
    Case("clip", NEITHER, lambda x: jnp.clip(x, -1.0, 1.0), LINE, "kink up at -1, down at 1"),
    Case("clip_in_half_its_range", CONVEX, lambda x: jnp.clip(x, -1.0, 1.0), (-5.0, 0.5), "max(x, -1) there"),
    Case("soft_sign_where_positive", CONCAVE, jax.nn.soft_sign, (0.0, INFINITY), "1 - 1/(1 + x)"),
]
RULES_OF_OTHERS = [
    Case("custom_rule_says_convex", NEITHER, waves, (-4.0, 4.0), "the value is cos x"),
    Case("custom_rule_says_concave", CONVEX, bowl, LINE, "the value is x²/2"),
    Case("stopped_factor", CONCAVE, lambda x: -x * lax.stop_gradient(x), LINE, "-x²"),
    Case("stopped_term", CONCAVE, lambda x: x**2 - 2 * lax.stop_gradient(x**2), LINE, "-x²"),
    Case("straight_through", NEITHER, lambda x: x + lax.stop_gradient(jnp.round(x) - x), (-2.0, 2.0), "round(x)"),
    Case("one_function_called_twice", NEITHER, lambda x: shifted(x[0]) * shifted(x[1]), SQUARE, "(x0 - 1)(x1 - 1)"),
    Case("one_function_called_twice_on_one", CONVEX, lambda x: shifted(x) * shifted(x), LINE, "(x - 1)²"),
    Case(
        "one_function_called_by_turns",
        NEITHER,
        lambda x: jnp.exp(x[0] - shifted(x[0]) + shifted(x[1])) - jnp.exp(shifted(x[0])),
        SQUARE,
        "exp(x1) - exp(x0 - 1)",
    ),
    Case("shift_along_the_wrong_axis", NEITHER, wrong_axis, over(-3.0, 3.0, 3, 3), "the shift does not cancel"),
    Case("shift_along_the_right_axis", CONVEX, right_axis, over(-INFINITY, INFINITY, 3, 3), "log-sum-exp of rows"),
]
SIZES = [
    Case(
        "barely_indefinite",
        NEITHER,
        lambda x: x[0] ** 2 + 2 * (1 + TINY) * x[0] * x[1] + x[1] ** 2,
        SQUARE,
        "eigenvalue -2^-19 along (1, -1)",
        segments=(((-1.0, 1.0), (1.0, -1.0)),),
    ),
    Case(
        "barely_definite", CONVEX, lambda x: x[0] ** 2 + 2 * (1 - TINY) * x[0] * x[1] + x[1] ** 2, SQUARE, "2^-19 > 0"
    ),
    Case(
        "almost_semidefinite_diagonal",
        NEITHER,
        lambda x: x[0] ** 2 - 1e-10 * x[1] ** 2,
        PLANE,
        "-1e-10 < 0 (what a tolerance of 1e-10 lets pass)",
        segments=(((0.0, -1.0), (0.0, 1.0)),),
    ),
    Case(
        "far_from_zero_in_float32",
        AFFINE,
        lambda x: (x + 2.0**30) - 2.0**30,
        (-1.0, 1.0),
        "x: only floating point makes a staircase of it",
        exact=lambda x: (x[0] + 2**30) - 2**30,
    ),
    Case(
        "flat_in_float32",
        CONCAVE,
        jax.nn.sigmoid,
        (20.0, 30.0),
        "sigmoid is concave where positive",
        segments=((20.0, 22.0),),
    ),
    Case(
        "small_curvature_beside_a_large_number",
        NEITHER,
        lambda x: 1e6 + x**4 - TINY * x**2,
        (-1.0, 1.0),
        "12x² - 2^-19 changes sign",
        exact=lambda x: x[0] ** 4 - Fraction(1, 2**20) * x[0] ** 2,
        segments=((-1 / 4096, 1 / 4096),),
    ),
]
TOGETHER = [
    Case("exp_times_other", NEITHER, lambda x: jnp.exp(x[0]) * x[1], over(0.25, 2.0, 2), "convex in each; det < 0"),
    Case("product_with_data", AFFINE, lambda x, y: x * y, LINE, "y is data", (3.0,)),
    Case(
        "signed_softplus",
        NEITHER,
        lambda x, w: jnp.sum(w * jax.nn.softplus(x)),
        SQUARE,
        "signs differ",
        (np.float32([1, -1]),),
    ),
    Case(
        "kl_divergence_of_both",
        CONVEX,
        lambda x: jnp.sum(kl_div(x[0], x[1])),
        over(0.25, 4.0, 2, 3),
        "a perspective of -log, minus affine",
    ),
    Case(
        "relative_entropy_in_the_second",
        CONVEX,
        lambda q, p: jnp.sum(rel_entr(p, q)),
        over(0.25, 4.0, 3),
        "-log",
        (np.float32([0.25, 0.5, 2]),),
    ),
    Case(
        "relative_entropy_minus_divergence",
        AFFINE,
        lambda x: jnp.sum(rel_entr(x[0], x[1]) - kl_div(x[0], x[1])),
        over(0.25, 4.0, 2, 3),
        "x - y: the two functions have one name",
    ),
    Case(
        "geometric_mean",
        CONCAVE,
        lambda x: jnp.sqrt(x[0] * x[1]),
        over(0.25, 4.0, 2),
        "[[-1/4a², 1/4ab], ...] has det 0",
    ),
]
LOOPS = [
    Case("polynomial_by_scan", CONVEX, horner, (-2.0, 2.0), "x⁴ + 2x² + x + 1", (np.float32([1, 0, 2, 1, 1]),)),
    Case(
        "polynomial_by_scan_with_two_minima", NEITHER, horner, (-2.0, 2.0), "x⁴ - 2x²", (np.float32([1, 0, -2, 0, 0]),)
    ),
    Case(
        "sum_by_fori",
        CONVEX,
        lambda x: lax.fori_loop(0, 3, lambda i, s: s + jnp.exp(x[i]), 0.0),
        over(-INFINITY, INFINITY, 3),
        "exp",
    ),
    Case("unrolled_descent", CONVEX, descended, PLANE, "the square of an affine map", (np.float32([[2, 1], [1, 3]]),)),
    Case(
        "branch_of_x",
        CONVEX,
        lambda x: lax.cond(x > 0, lambda: x * x, lambda: -x),
        (-1.0, 1.0),
        "slope -1 before 0, 2x after it",
    ),
    Case("branch_of_data", CONCAVE, lambda x, flag: lax.cond(flag > 0, jnp.log, jnp.exp, x), (0.5, 2.0), "log", (1.0,)),
    Case(
        "rematerialised",
        CONVEX,
        lambda x: jax.checkpoint(lambda v: logsumexp(2 * v))(x),
        over(-INFINITY, INFINITY, 3),
        "log-sum-exp",
    ),
    Case(
        "mapped",
        CONVEX,
        lambda x, X: jnp.sum(jax.vmap(lambda r: jax.nn.softplus(r @ x))(X)),
        over(-INFINITY, INFINITY, 3),
        "softplus of affine",
        (draw(4, 3, seed=9),),
    ),
    Case(
        "sum_of_the_two_largest",
        CONVEX,
        lambda x: jnp.sum(jnp.sort(x)[-2:]),
        over(-INFINITY, INFINITY, 4),
        "a maximum of sums of pairs",
    ),
    Case(
        "sum_of_the_two_largest_by_top_k",
        CONVEX,
        lambda x: jnp.sum(lax.top_k(x, 2)[0]),
        over(-INFINITY, INFINITY, 4),
        "a maximum of sums of pairs",
    ),
    Case("median", NEITHER, jnp.median, over(-2.0, 2.0, 3), "the middle of three"),
]
TRICKS = KINKS + RULES_OF_OTHERS + SIZES + TOGETHER + LOOPS
