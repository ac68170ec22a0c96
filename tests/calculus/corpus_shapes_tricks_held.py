"""Functions written so that a prover goes wrong, second part."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.scipy.special import kl_div, logsumexp, rel_entr

from tests.calculus.corpus_shapes import AFFINE, CONCAVE, CONVEX, INFINITY, LINE, NEITHER, Case, draw, over

PLANE = over(-INFINITY, INFINITY, 2)
SQUARE = over(-2.0, 2.0, 2)
R3, R4 = over(-INFINITY, INFINITY, 3), over(-INFINITY, INFINITY, 4)
THIN = 2.0**-26


@jax.jit
def weighed(t, c):
    return t * c


@jax.jit
def largest(t):
    return jnp.max(t)


@jax.custom_jvp
def square(x):
    return jnp.square(x)


square.defjvps(lambda t, y, x: -2 * x * t)


@jax.custom_jvp
def double_well(x):
    return (x**2 - 1) ** 2


double_well.defjvps(lambda t, y, x: 4 * x * t)


def twice_shifted(x):
    """Log-sum-exp of each half, where one cached function finds both shifts."""
    a, b = x[:2], x[2:]
    return (
        jnp.log(jnp.sum(jnp.exp(a - largest(a)))) + largest(a) + jnp.log(jnp.sum(jnp.exp(b - largest(b)))) + largest(b)
    )


def shifts_exchanged(x):
    a, b = x[:2], x[2:]
    return jnp.log(jnp.sum(jnp.exp(a - largest(a)))) + largest(b)


def huber_by_hand(r):
    size = jnp.abs(r)
    return jnp.sum(jnp.where(size <= 1, 0.5 * r**2, size - 0.5))


def huber_without_its_half(r):
    size = jnp.abs(r)
    return jnp.sum(jnp.where(size <= 1, 0.5 * r**2, size))


def tukey(r):
    return jnp.sum(jnp.where(jnp.abs(r) <= 2, 1 - (1 - (r / 2) ** 2) ** 3, 1.0))


def recurrent(x, w):
    return lax.scan(lambda h, v: (jnp.tanh(w * h + v), None), jnp.zeros(()), x)[0]


def largest_by_scan(x):
    return lax.scan(lambda m, v: (jnp.maximum(m, v), None), jnp.full_like(x[0], -jnp.inf), x)[0]


def power_by_while(x):
    return lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] * s[1]), (0, x))[1]


KINKS = [
    Case(
        "three_pieces",
        CONVEX,
        lambda x: jnp.where(x < -1, -2 * x - 1, jnp.where(x > 1, 2 * x - 1, x * x)),
        (-4.0, 4.0),
        "slopes -2, 2x, 2",
    ),
    Case(
        "three_pieces_with_a_slope_too_steep",
        NEITHER,
        lambda x: jnp.where(x < -1, -2 * x - 1, jnp.where(x > 1, x, x * x)),
        (-4.0, 4.0),
        "slope 2 before 1, 1 after it",
    ),
    Case("huber_by_hand", CONVEX, huber_by_hand, over(-INFINITY, INFINITY, 2), "slope clip(r, -1, 1) increases"),
    Case("huber_without_its_half", NEITHER, huber_without_its_half, over(-3.0, 3.0, 2), "jumps by a half at 1"),
    Case("tukey_biweight", NEITHER, tukey, over(-4.0, 4.0, 2), "constant far away"),
    Case("square_of_relu", CONVEX, lambda x: jax.nn.relu(x) ** 2, LINE, "slope 2 max(x, 0) increases"),
    Case(
        "square_of_leaky_relu_minus_one",
        NEITHER,
        lambda x: (jax.nn.leaky_relu(x) - 1) ** 2,
        (-2.0, 2.0),
        "slope -0.02 before 0, -2 after it",
    ),
    Case("celu", CONVEX, jax.nn.celu, LINE, "slope exp(x) before 0, 1 after it"),
    Case("leaky_relu_with_slope_two", CONCAVE, lambda x: jax.nn.leaky_relu(x, 2.0), LINE, "min(x, 2x)"),
    Case("silu", NEITHER, jax.nn.silu, (-4.0, 4.0), "inflections at +-2.4"),
    Case("mish", NEITHER, jax.nn.mish, (-5.0, 5.0), "tends to 0 below"),
    Case("hard_swish", NEITHER, jax.nn.hard_swish, (-4.0, 4.0), "slope falls at -3"),
    Case("relu6", NEITHER, jax.nn.relu6, LINE, "min(max(x, 0), 6)"),
    Case("hard_tanh_where_positive", CONCAVE, jax.nn.hard_tanh, (0.0, 3.0), "min(x, 1) there"),
    Case("soft_sign", NEITHER, jax.nn.soft_sign, (-3.0, 3.0), "odd and bounded"),
    Case("absolute_by_square_root", CONVEX, lambda x: jnp.sqrt(x * x), LINE, "|x|"),
    Case("absolute_minus_absolute", AFFINE, lambda x: jnp.maximum(x, -x) - jnp.abs(x) + x, LINE, "x"),
    Case("norm_minus_coordinate", CONVEX, lambda x: jnp.linalg.norm(x) - jnp.sum(x), R3, "a norm minus affine"),
    Case(
        "distance_to_the_unit_ball",
        CONVEX,
        lambda x: jnp.maximum(jnp.linalg.norm(x) - 1, 0.0),
        R3,
        "the positive part of a convex function",
    ),
    Case(
        "distance_to_the_unit_sphere",
        NEITHER,
        lambda x: jnp.abs(jnp.linalg.norm(x) - 1),
        over(-2.0, 2.0, 3),
        "a peak at 0",
    ),
    Case(
        "end_of_the_box_above",
        CONVEX,
        lambda x: jnp.where(x == 1, 5.0, x * x),
        (0.0, 1.0),
        "an upper jump at an end keeps convexity",
        sampled=False,
    ),
    Case(
        "end_of_the_box_below",
        NEITHER,
        lambda x: jnp.where(x == 1, -5.0, x * x),
        (0.0, 1.0),
        "a chord from (1, -5) is below the curve",
        segments=((0.0, 1.0), (0.0, 0.5)),
    ),
]
RULES_OF_OTHERS = [
    Case("custom_rule_turned_around", CONVEX, square, LINE, "the value is x²"),
    Case("custom_rule_hides_a_well", NEITHER, double_well, (-2.0, 2.0), "two minima"),
    Case("stopped_copy_cancels", AFFINE, lambda x: jnp.exp(x) - lax.stop_gradient(jnp.exp(x)) + x, (-2.0, 2.0), "x"),
    Case("stopped_weight", NEITHER, lambda x: lax.stop_gradient(jax.nn.sigmoid(x)) * x, (-6.0, 6.0), "x sigmoid(x)"),
    Case(
        "stopped_shift",
        CONVEX,
        lambda x: jnp.log(jnp.sum(jnp.exp(x - lax.stop_gradient(jnp.max(x))))) + jnp.max(x),
        R3,
        "log-sum-exp",
    ),
    Case(
        "shift_not_added_again",
        NEITHER,
        lambda x: jnp.log(jnp.sum(jnp.exp(x - lax.stop_gradient(jnp.max(x))))),
        over(-3.0, 3.0, 2),
        "log-sum-exp minus a maximum",
    ),
    Case("cached_product", NEITHER, lambda x: weighed(x[0], x[1]) + weighed(x[1], x[0]), SQUARE, "2 x0 x1"),
    Case("cached_shift_of_two_halves", CONVEX, twice_shifted, over(-INFINITY, INFINITY, 4), "two log-sum-exps"),
    Case(
        "cached_shifts_exchanged",
        NEITHER,
        shifts_exchanged,
        over(-3.0, 3.0, 4),
        "the peak of log-sum-exp minus a maximum",
    ),
    Case("quantised_by_floor", NEITHER, lambda x: jnp.floor(4 * x) / 4, (-1.0, 1.0), "a staircase"),
    Case(
        "cast_to_bfloat16",
        CONVEX,
        lambda x: (x.astype(jnp.bfloat16) ** 2).astype(jnp.float32),
        (np.float32(-2), np.float32(2)),
        "x² in the reals",
        exact=lambda x: x[0] ** 2,
    ),
]
SIZES = [
    Case(
        "thin_negative_direction",
        NEITHER,
        lambda x: (x[0] - x[1]) ** 2 - THIN * (x[0] + x[1]) ** 2,
        SQUARE,
        "-2^-24 along (1, 1)",
        segments=(((-1.0, -1.0), (1.0, 1.0)),),
    ),
    Case(
        "thin_positive_direction",
        CONVEX,
        lambda x: (x[0] - x[1]) ** 2 + THIN * (x[0] + x[1]) ** 2,
        SQUARE,
        "two squares",
    ),
    Case(
        "kink_minus_small_kink",
        NEITHER,
        lambda x: x**2 - 2.0**-30 * jnp.abs(x),
        (-1.0, 1.0),
        "slope falls by 2^-29 at 0",
        exact=lambda x: x[0] ** 2 - Fraction(1, 2**30) * abs(x[0]),
        segments=((-(2.0**-32), 2.0**-32),),
    ),
    Case(
        "underflows_in_float32",
        CONCAVE,
        lambda x: -jnp.exp(-x),
        (100.0, 200.0),
        "-exp(-x) < 0",
        segments=((100.0, 101.0),),
    ),
    Case("saturated_tanh", CONCAVE, jnp.tanh, (9.0, 16.0), "-2 tanh sech² < 0", segments=((9.0, 10.0),)),
    Case("huge_curvature", CONVEX, lambda x: 1e30 * x**2 + x, (-1.0, 1.0), "2e30 > 0"),
    Case(
        "large_and_small",
        CONVEX,
        lambda x: 1e8 * x[0] ** 2 + 1e-8 * x[1] ** 2 + x[0] * x[1],
        over(-1.0, 1.0, 2),
        "4 - 1 > 0",
    ),
    Case(
        "large_and_small_indefinite",
        NEITHER,
        lambda x: 1e8 * x[0] ** 2 + 1e-9 * x[1] ** 2 + x[0] * x[1],
        over(-1.0, 1.0, 2),
        "0.4 - 1 < 0",
        segments=(((2.0**-28, -1.0), (-(2.0**-28), 1.0)),),
    ),
]
TOGETHER = [
    Case(
        "bilinear_with_data",
        AFFINE,
        lambda w, x: w["a"] @ x + w["b"],
        ({"a": R3[0], "b": -INFINITY}, None),
        "x is data",
        (np.array([1, 2, 3], np.float32),),
    ),
    Case("absolute_product", NEITHER, lambda x: jnp.abs(x[0] * x[1]), SQUARE, "0 at (1, 0) and (0, 1), 1/4 between"),
    Case("log_times_other", NEITHER, lambda x: jnp.log(x[0]) * x[1], over(0.5, 2.0, 2), "mixed derivative 1/x0"),
    Case(
        "entropy_of_both_exchanged",
        CONVEX,
        lambda x: jnp.sum(rel_entr(x[0], x[1])),
        over(0.25, 4.0, 2, 2),
        "a perspective of -log",
    ),
    Case(
        "minus_divergence_in_the_second",
        CONCAVE,
        lambda q, p: -jnp.sum(kl_div(p, q)),
        over(0.25, 4.0, 3),
        "p log q - q + const",
        (np.array([0.25, 0.5, 2], np.float32),),
    ),
    Case(
        "harmonic_mean",
        CONCAVE,
        lambda x: x[0] * x[1] / (x[0] + x[1]),
        over(0.25, 4.0, 2),
        "-2(x1, -x0)(x1, -x0)' / s³",
    ),
    Case(
        "norm_over_positive",
        CONVEX,
        lambda x: jnp.sum(x[:2] ** 2) / x[2],
        (np.array([-2, -2, 0.5], np.float32), np.array([2, 2, 4], np.float32)),
        "quadratic over linear",
    ),
    Case(
        "square_over_shrinking",
        CONVEX,
        lambda x: x[0] ** 2 / (1 - x[1] ** 2),
        ([-2.0, -0.75], [2.0, 0.75]),
        "quadratic over concave",
    ),
    Case(
        "square_over_growing", NEITHER, lambda x: x[0] ** 2 / (1 + x[1] ** 2), SQUARE, "concave in x1 where x1² < 1/3"
    ),
    Case("weighted_power_mean", CONCAVE, lambda x: x[0] ** 0.25 * x[1] ** 0.75, over(0.5, 2.0, 2), "a geometric mean"),
    Case(
        "powers_that_sum_to_more",
        NEITHER,
        lambda x: x[0] ** 0.75 * x[1] ** 0.75,
        over(0.5, 2.0, 2),
        "along (t, t) t^1.5, concave in each",
    ),
    Case(
        "contrast",
        NEITHER,
        lambda z: logsumexp(z @ z.T) - jnp.trace(z @ z.T),
        over(-1.0, 1.0, 2, 2),
        "a quadratic under log-sum-exp minus a quadratic",
    ),
    Case(
        "three_norm",
        CONVEX,
        lambda x: jnp.sum(jnp.abs(x) ** 3) ** (1 / 3),
        over(0.5, 2.0, 2),
        "the 3-norm (of exponent nearest 1/3)",
    ),
    Case("half_norm", CONCAVE, lambda x: jnp.sum(jnp.sqrt(x)) ** 2, over(0.25, 4.0, 2), "x0 + x1 + 2 sqrt(x0 x1)"),
]
LOOPS = [
    Case("recurrent_network", NEITHER, recurrent, over(-2.0, 2.0, 3), "tanh", (1.5,)),
    Case("largest_by_scan", CONVEX, largest_by_scan, R4, "a maximum"),
    Case("power_by_while", CONVEX, power_by_while, (-1.5, 1.5), "x^8"),
    Case(
        "sum_of_norms_by_map",
        CONVEX,
        lambda x, C: jnp.sum(lax.map(lambda c: jnp.linalg.norm(x - c), C)),
        R3,
        "norms of affine",
        (draw(3, 3, seed=12),),
    ),
    Case("cumulative_sums", CONVEX, lambda x: jnp.sum(jnp.cumsum(x) ** 2), R4, "squares of affine"),
    Case("cumulative_maxima", CONVEX, lambda x: jnp.sum(lax.cummax(x)), R4, "maxima"),
    Case(
        "products_by_scan",
        NEITHER,
        lambda x: lax.scan(lambda c, v: (c * v, None), 1.0, x)[0],
        over(-1.0, 1.0, 2),
        "x0 x1",
    ),
    Case(
        "switch_of_x",
        NEITHER,
        lambda x: lax.cond(x > 0, lambda: -x, lambda: x * x),
        (-1.0, 1.0),
        "convex before 0, where the slope falls",
    ),
    Case("sum_of_the_two_smallest", CONCAVE, lambda x: jnp.sum(jnp.sort(x)[:2]), R4, "a minimum of sums of pairs"),
    Case("second_largest", NEITHER, lambda x: jnp.sort(x)[-2], over(-2.0, 2.0, 3), "neither a maximum nor a minimum"),
    Case("range_by_sort", CONVEX, lambda x: jnp.sort(x)[-1] - jnp.sort(x)[0], R4, "max minus min"),
    Case(
        "gathered_by_data",
        CONVEX,
        lambda x, i: jnp.sum(jnp.exp(x[i])),
        R4,
        "exp of coordinates",
        (np.array([0, 2, 2], np.int32),),
    ),
    Case("element_of_the_largest", CONVEX, lambda x: x[jnp.argmax(x)], over(-2.0, 2.0, 3), "max"),
    Case("variance", CONVEX, jnp.var, R4, "squares of affine"),
    Case("standard_deviation", CONVEX, jnp.std, R4, "a norm of affine"),
    Case("optax_safe_norm", CONVEX, lambda x: optax.safe_norm(x, 0.0), R3, "the norm"),
    Case("two_norms_nested", CONVEX, lambda x: jnp.sqrt(1 + jnp.linalg.norm(x) ** 2), R3, "the norm of (1, x)"),
]
TRICKS = KINKS + RULES_OF_OTHERS + SIZES + TOGETHER + LOOPS
