"""Functions written to make a proof of convexity, or a refutation, say something false: each with its true shape.

Beside the corpus (tests/calculus/corpus_shapes*.py) these aim at the machinery: integers that wrap, terms used twice,
indices out of range, ties, domains' edges, numbers that overflow an enclosure, names that coincide.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.calculus.corpus_shapes import AFFINE, CONCAVE, CONVEX, INFINITY, LINE, NEITHER, Case, over

BOX = (-1.0, 2.0)
SQUARE = over(-1.0, 1.0, 2)


def positive(x, dtype):
    return (x > 0).astype(dtype)


def number(x):
    return x.astype(jnp.float32)


def named(body):
    """A jitted function of the name `inner`, whatever it does."""

    def inner(x):
        return body(x)

    return jax.jit(inner)


INNER = [named(lambda x: x**2), named(lambda x: -(x**2))]


def same_name(k):
    return lambda x: INNER[k](x) + 0 * INNER[1 - k](x)


def nested_shifts(x):
    """Three levels of one cached shift, each of another value."""
    shift = jax.jit(lambda v: v - jnp.max(v))
    return jnp.log(jnp.sum(jnp.exp(shift(shift(x) * 2)))) + jnp.max(x)


INTEGERS = [
    Case("unsigned_wraps", CONCAVE, lambda x: x * number(positive(x, jnp.uint8) - jnp.uint8(1)), BOX, "255x, then 0"),
    Case("minus_unsigned", CONVEX, lambda x: x * number(-positive(x, jnp.uint8)), BOX, "0, then 255x"),
    Case(
        "byte_wraps",
        CONCAVE,
        lambda x: x * number(positive(x, jnp.int8) * jnp.int8(100) + jnp.int8(100)),
        BOX,
        "100x, then -56x",
    ),
    Case(
        "word_wraps",
        CONCAVE,
        lambda x: x * number(positive(x, jnp.int32) * jnp.int32(2**31 - 1) + jnp.int32(1)),
        BOX,
        "x, then -2^31 x",
    ),
    Case(
        "product_of_bytes_wraps",
        CONCAVE,
        lambda x: (
            x * number((positive(x, jnp.int8) + jnp.int8(15)) * (positive(x, jnp.int8) * jnp.int8(-7) + jnp.int8(8)))
        ),
        BOX,
        "15 * 8 = 120, then 16 * 1 = 16",
    ),
    Case("truncated", NEITHER, lambda x: number(x.astype(jnp.int32)) * x, (-2.0, 2.0), "steps"),
    Case("truth_of_a_float", AFFINE, lambda x: number(x.astype(bool)) * x, BOX, "x"),
    Case("complement", CONCAVE, lambda x: x * number(~positive(x, jnp.int32)), BOX, "-x, then -2x"),
    Case("exclusive_or", NEITHER, lambda x: x * number((x > 0) ^ (x > 1)), BOX, "0, then x, then 0"),
    Case("index_by_sign", CONVEX, lambda x: jnp.stack([-x, x])[positive(x, jnp.int32)], BOX, "|x|"),
    Case("index_clamped", NEITHER, lambda x: jnp.stack([x * x, -x])[3 * positive(x, jnp.int32)], BOX, "x², then -x"),
    Case(
        "index_out_of_range_filled",
        AFFINE,
        lambda x: jnp.stack([x * x, x]).at[5].get(mode="fill", fill_value=3.0) + x,
        BOX,
        "3 + x",
    ),
    Case(
        "added_twice_at_one_place",
        CONCAVE,
        lambda x: jnp.zeros(2).at[jnp.array([0, 0])].add(jnp.stack([x * x, -2 * x * x]))[0],
        BOX,
        "-x²",
    ),
    Case("set_twice_at_one_place", CONCAVE, lambda x: jnp.stack([x * x, x]).at[0].set(-x * x)[0], BOX, "-x²"),
    Case(
        "sorted_with_a_partner",
        CONVEX,
        lambda x: lax.sort((jnp.stack([x, -x]), jnp.stack([x, 2 * x])), num_keys=1)[1][0],
        BOX,
        "x, then 2x",
    ),
]
TERMS = [
    Case(
        "one_term_for_two_sums",
        NEITHER,
        lambda x: jnp.log(1 + jnp.exp(-(x**2))) + jnp.log(1 + 2 * jnp.exp(-(x**2))) + x**2,
        LINE,
        "x² (1 - 1/2 - 2/3) near 0",
    ),
    Case("one_term_for_one_sum", CONVEX, lambda x: jnp.log(1 + jnp.exp(-(x**2))) + x**2, LINE, "log(1 + exp(x²))"),
    Case(
        "entropy_used_twice",
        NEITHER,
        lambda x: jnp.sum(x[:2] * jnp.log(x[:2])) - jnp.sum(x[:2]) * jnp.log(x[2]) - x[0] * jnp.log(x[2]),
        over(0.5, 2.0, 3),
        "x0 log x2 once too often",
    ),
    Case(
        "square_used_twice",
        NEITHER,
        lambda x: 2 * x[0] * x[1] + x[0] ** 2 + x[1] ** 2 + 3 * x[1] * x[2] + x[2] ** 2,
        over(-1.0, 1.0, 3),
        "x1² cannot serve both cross terms",
    ),
    Case("shift_of_a_shift", NEITHER, nested_shifts, over(-2.0, 2.0, 2), "max(2x) is not given back"),
    Case("first_of_one_name", CONVEX, same_name(0), LINE, "x²"),
    Case("second_of_one_name", CONCAVE, same_name(1), LINE, "-x²"),
    Case(
        "kept_and_forgotten_minus", CONCAVE, lambda x: jnp.abs(-3 * x - 1) - 2 * jnp.abs(3 * x + 1), LINE, "-|3x + 1|"
    ),
    Case("odd_power_of_minus", NEITHER, lambda x: (-x - 1) ** 3 + (x + 1) ** 3 + x**3, (-1.0, 1.0), "x³"),
    Case(
        "sum_of_largest_with_falling_weights",
        NEITHER,
        lambda x: jnp.sort(x) @ np.float32([1, 3, 2]),
        over(-1.0, 1.0, 3),
        "3 on the middle, 2 on the largest",
    ),
    Case(
        "sum_of_largest_of_convex",
        NEITHER,
        lambda x: jnp.sort(jnp.stack([x**2, x, jnp.exp(x)])) @ np.float32([-1, 0, 1]),
        BOX,
        "minus the smallest of convex functions",
    ),
    Case("quotient_by_convex", NEITHER, lambda x: x[0] ** 2 / jnp.exp(x[1]) ** 2 - x[1] ** 2, SQUARE, "-x1²"),
    Case(
        "powers_above_one", NEITHER, lambda x: -jnp.sqrt(x[0] * x[1] * x[2]), over(0.5, 2.0, 3), "exponents sum to 3/2"
    ),
    Case("max_of_equal", CONVEX, lambda x: jnp.max(jnp.stack([x, x, x])) + x**2, LINE, "x + x²"),
    Case("tie_of_kinks", AFFINE, lambda x: jnp.maximum(x, 2 * x) + jnp.minimum(x, 2 * x), LINE, "3x"),
    Case("root_of_a_square_minus", CONCAVE, lambda x: x - 2 * jnp.sqrt(x**2), LINE, "x - 2|x|"),
    Case("even_root_of_a_product", NEITHER, lambda x: jnp.sqrt(jnp.square(x[0] * x[1])), SQUARE, "|x0 x1|"),
    Case("logarithm_of_a_square", NEITHER, lambda x: jnp.log(x**2 + 1e-3), (-1.0, 1.0), "log|x| far away, a bowl at 0"),
]
SIZES = [
    Case(
        "one_point_box", AFFINE, lambda x: -(x**2), (0.5, 0.5), "every function of one point is affine", sampled=False
    ),
    Case(
        "flat_side_of_a_box",
        CONVEX,
        lambda x: x[0] ** 2 - x[1] ** 2,
        (np.float32([-1, 1]), np.float32([1, 1])),
        "x1 is 1",
    ),
    Case(
        "overflowing_range",
        CONVEX,
        lambda x: jnp.exp(jnp.exp(x)),
        (-1.0, 100.0),
        "increasing convex of convex",
        sampled=False,
    ),
    Case(
        "overflowing_square_minus",
        CONCAVE,
        lambda x: -(((1e30 * x) ** 2) ** 2),
        (-1e10, 1e10),
        "-1e120 x⁴",
        sampled=False,
    ),
    Case("huge_box", NEITHER, lambda x: x**3, (-1e38, 1e38), "6x", sampled=False),
    Case("tiny_box", CONVEX, lambda x: x**2, (-1e-38, 1e-38), "2"),
    Case("underflowing_coefficient", CONCAVE, lambda x: -1e-30 * (1e-15 * x) ** 2, LINE, "-2e-60", sampled=False),
    Case(
        "cancelling_infinities",
        NEITHER,
        lambda x: jnp.exp(x) - jnp.exp(2 * x),
        (-5.0, INFINITY),
        "convex where exp(x) < 1/4",
    ),
    Case(
        "tail_that_never_comes_back",
        NEITHER,
        lambda x: x**2 - 2.0**-12 * x**4,
        LINE,
        "2 - 12x²/4096 < 0 for |x| > 26.2",
        segments=((30.0, 40.0), (-1.0, 1.0)),
    ),
    Case(
        "bump_far_away",
        NEITHER,
        lambda x: x**2 / 64 - jnp.exp(-((x - 50) ** 2)),
        LINE,
        "2/64 + (2 - 4t²) exp(-t²)",
        segments=((50.75, 51.25), (-1.0, 1.0)),
    ),
    Case(
        "narrow_bump",
        NEITHER,
        lambda x: x**2 - 2.0**-10 * jnp.exp(-((64 * (x - 0.75)) ** 2)),
        (-1.0, 2.0),
        "2 - 8 * ... at t² = 3/2",
        segments=((0.75 + 1 / 64, 0.75 + 1.5 / 64), (-1.0, 0.0)),
    ),
    Case(
        "steep_staircase_of_sigmoids",
        NEITHER,
        lambda x: x**2 + 0.05 * jnp.tanh(20 * x),
        (-1.0, 1.0),
        "2 against 0.05 * 400 * 0.77",
    ),
]
ATTACKS = {case.name: case for case in (*INTEGERS, *TERMS, *SIZES)}

SOMEWHERE_UNDEFINED = {
    "logarithm": (jnp.log, (-1.0, 2.0), True),
    "minus_logarithm_at_its_edge": (lambda x: -jnp.log(x), (0.0, 2.0), False),
    "root": (lambda x: -jnp.sqrt(x), (-1.0, 2.0), False),
    "reciprocal": (lambda x: 1 / x, (-1.0, 2.0), True),
    "reciprocal_at_its_edge": (lambda x: 1 / x, (0.0, 2.0), False),
    "square_of_reciprocal": (lambda x: 1 / x**2, (-1.0, 2.0), True),
    "vanishing_logarithm": (lambda x: jnp.log(x) - jnp.log(x) + x**2, (-1.0, 2.0), False),
    "logarithm_times_zero": (lambda x: 0 * jnp.log(x) + x**2, (-1.0, 2.0), False),
    "logarithm_in_a_maximum": (lambda x: jnp.maximum(jnp.log(x), x**2 + 3), (-1.0, 2.0), False),
    "quotient_that_cancels": (lambda x: x / x + x**2, (-1.0, 2.0), False),
    "quotient_that_cancels_in_one_of_two_exponentials": (
        lambda x: jnp.exp(x) + jnp.exp((x * (x - 0.5)) / (x - 0.5)),
        (0.0, 1.0),
        False,
    ),
    "pole_of_lgamma": (jax.scipy.special.gammaln, (-0.5, 2.0), True),
    "arcsine": (jnp.arcsin, (0.0, 2.0), True),
    "logarithm_of_a_norm": (lambda x: jnp.log(x @ x), over(-1.0, 1.0, 2), True),
    "logdet_of_indefinite": (lambda x: -jnp.linalg.slogdet(x + x.T)[1], over(-1.0, 1.0, 2, 2), True),
    "overflowing_constant": (lambda x: x**2 + jnp.inf, (-1.0, 2.0), False),
    "nan_constant": (lambda x: x**2 * jnp.nan, (-1.0, 2.0), False),
    "infinity_minus_infinity": (lambda x: (x + jnp.inf) - jnp.inf, (-1.0, 2.0), False),
    "in_the_branch_not_taken": (lambda x: jnp.where(x > 0, x**2, jnp.log(x - 5)), (-1.0, 2.0), True),
}
"""Functions with no value somewhere on their box, and whether they bend down between points where they have one."""
