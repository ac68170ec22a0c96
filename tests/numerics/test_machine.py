"""Numbers of 288 bits: every function beside balls, the machine compiled and in NumPy, functions of float64 by it."""

import math
from fractions import Fraction
from typing import Any

import flint
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.trace import trace
from qed.numerics.longer import limbs
from qed.numerics.longer.instructions import Term, Unsupported, Writer
from qed.numerics.longer.program import FUNCTIONS, program
from qed.numerics.longer.schedule import scheduled
from tests.numerics.scoring import precision

POINTS = np.array([0.3, 1e-30, 1 + 1e-9, -0.75, 7.5, -3e-5, 25.0, 1e4, 5e-324])
BALLS = {
    "acos": lambda x: x.acos(),
    "acosh": lambda x: x.acosh(),
    "asin": lambda x: x.asin(),
    "asinh": lambda x: x.asinh(),
    "atan": lambda x: x.atan(),
    "atanh": lambda x: x.atanh(),
    "bessel_i0e": lambda x: x.bessel_i(0) * (-abs(x)).exp(),
    "bessel_i1e": lambda x: x.bessel_i(1) * (-abs(x)).exp(),
    "cbrt": lambda x: abs(x).root(3) * (1 if x > 0 else -1),
    "cos": lambda x: x.cos(),
    "cosh": lambda x: x.cosh(),
    "digamma": lambda x: x.digamma(),
    "erf": lambda x: x.erf(),
    "erfc": lambda x: x.erfc(),
    "exp": lambda x: x.exp(),
    "expm1": lambda x: x.expm1(),
    "floor": lambda x: x.floor(),
    "lgamma": lambda x: x.lgamma(),
    "log": lambda x: x.log(),
    "log1p": lambda x: x.log1p(),
    "logistic": lambda x: 1 / (1 + (-x).exp()),
    "sin": lambda x: x.sin(),
    "sinh": lambda x: x.sinh(),
    "sqrt": lambda x: x.sqrt(),
    "tan": lambda x: x.tan(),
    "tanh": lambda x: x.tanh(),
}


@pytest.mark.parametrize("name", BALLS)
def test_a_function_is_what_balls_say_within_its_bound(name):
    writer, x = Writer(), Term(position=0)
    value = FUNCTIONS[name](writer, x)
    gap = writer.subtract(value, Term(position=1))  # of the nearest float64: what is left tells the digits behind it
    found, error = scheduled(1, [value]).at_points(POINTS[:, None])
    known = 0
    with precision(600):
        truths = [BALLS[name](flint.arb(float(p))) for p in POINTS]
        nearest = np.array([float(t.mid()) for t in truths])
        rest, _ = scheduled(2, [gap]).at_points(np.stack([POINTS, nearest], 1))
        for k, truth in enumerate(truths):
            if not truth.is_finite():
                assert not error[k, 0] < 2.0**-54
            elif error[k, 0] < 2.0**-54:
                known += 1
                assert found[k, 0] == pytest.approx(nearest[k], rel=3e-16, abs=1e-307)
                if np.isinf(nearest[k]):
                    continue
                left = truth - flint.arb(nearest[k])
                assert abs(flint.arb(rest[k, 0]) - left) <= abs(truth) * (error[k, 0] + 2.0**-105) + 1e-300
    assert known >= 3


def of(fun, like: Any = 1.0):
    with jax.enable_x64(True):
        args = [jnp.asarray(like)] * fun.__code__.co_argcount
        return program(trace(fun, *args).graph)


def test_numbers_are_exact_and_bounds_hold():
    third = limbs.of_fraction(Fraction(1, 3))
    digits = sum(Fraction(int(d)) / Fraction(limbs.BASE) ** k for k, d in enumerate(third[: limbs.DIGITS]))
    error = abs(digits * Fraction(limbs.BASE) ** int(third[limbs.DIGITS]) * 3 - 1)
    assert 0 < error < Fraction(limbs.EPS) == Fraction(float(third[-1:].view(np.float64)[0]))
    found, bound = of(lambda x, y: (x + y) - x).at_points(np.array([[1.0, 1e-40], [1.0, 1e-300]]))
    assert found[0, 0] == 1e-40 and bound[0, 0] < 2.0**-54
    assert not bound[1, 0] < 1  # lost, and told so


def test_a_function_of_what_may_be_0_is_unknown():
    table = of(lambda x, y: [1 / ((x + y) - x), jnp.log((x + y) - x), y / jnp.sqrt((x + y) - x), jnp.exp((x + y) - x)])
    _, bound = table.at_points(np.array([[1.0, 1e-300], [1.0, 0.5]]))
    assert (bound < 1).tolist() == [[False, False, False, True], [True] * 4]


def test_what_nothing_is_known_of_is_not_small_beside_others():
    def hazards(x, y):  # e^-1250 is lost beside 1: what its inverse is multiplied by may not be small
        tail = 1 - (1 - jnp.exp(-x * x / 2))
        return [y + jnp.exp(-x * x / 2) / tail, y + jnp.exp(-x * x) * jnp.log(tail), jnp.exp(jnp.exp(-x * x) / tail)]

    def masked(x, y):
        return y + jnp.where(x > 20, 0.0, 1.0) / ((1 + jnp.exp(-x * x / 2)) - 1)

    points = np.array([[50.0, 10.0], [3.0, 10.0]])
    found, bound = of(hazards).at_points(points)
    assert (bound < 1e100).tolist() == [[False] * 3, [True] * 3]
    assert found[1] == pytest.approx([11, 10 - 4.5 * np.exp(-9), np.exp(np.exp(-4.5))], rel=1e-15)
    found, bound = of(masked).at_points(points)  # 0 times anything
    assert found[0, 0] == 10 and (bound < 2.0**-54).all()


def test_a_result_known_to_be_small_is_not_what_rounding_makes_of_it():
    def spread(x):
        return 1 - jnp.sqrt(jnp.mean(jnp.cos(x)) ** 2 + jnp.mean(jnp.sin(x)) ** 2)

    def loading(k, t):
        g = jnp.sqrt(k * k + 0.02)
        return 2 * (jnp.exp(g * t) - 1) / ((g + k) * (jnp.exp(g * t) - 1) + 2 * g)

    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(qed.stabilize(spread)))(jnp.array([0.25, 0.25 + 2.0**-24, 0.25 - 2.0**-24]))
        assert abs(slope[0]) < 2.0**-53 * abs(slope[1]) and float(slope[1]) == pytest.approx(2.0**-24 / 3, rel=1e-15)
        assert jax.jit(jax.grad(qed.stabilize(loading), 1))(0.3, 3000.0) == 0  # 1e-400, and NaN as written


def test_what_is_no_number_is_unknown():
    table = of(lambda x: [1 / x, jnp.log(x), jnp.where(x > 0, x, -jnp.inf)])
    _, bound = table.at_points(np.array([[0.0], [np.nan], [np.inf], [-1.0], [2.0]]))
    assert (bound < 2.0**-54).tolist() == [[False] * 3] * 3 + [[True, False, False], [True] * 3]

    def unbounded(x):
        return jax.lax.while_loop(lambda c: c[0] < 9, lambda c: c + 1, x)

    bits = lambda x: x * (3 * (x > 0) & 2)  # noqa: E731
    wrapped = lambda x: x * ((x > 0).astype(jnp.int8) - 1)  # noqa: E731
    nothing = lambda x: jnp.sum(x[:0, None] * x, 1)  # noqa: E731
    for fun in (lambda x: jnp.sort(x), lambda x: x.astype(jnp.float16), unbounded, bits, wrapped, nothing):
        with pytest.raises(Unsupported):
            of(fun, [1.0, 2.0, 3.0])


def test_a_loop_of_known_length_is_written_out():
    table = of(lambda x: jax.lax.fori_loop(0, 5, lambda k, c: c - c * c / (c + x), x + 1))
    found, bound = table.at_points(np.array([[1e-9], [0.5]]))
    for x, value, error in zip((Fraction(1e-9), Fraction(1, 2)), found[:, 0], bound[:, 0], strict=True):
        c = x + 1
        for _ in range(5):
            c -= c * c / (c + x)
        assert value == float(c) and error < 2.0**-150
    rows = of(lambda x: jax.lax.scan(lambda c, a: (c * a + 1, c - a), 1.0, x), [1.0, 1.0, 1.0])
    assert rows.at_points(np.array([[2.0, 3.0, 0.5]]))[0].tolist() == [[6.0, -1.0, 0.0, 9.5]]


def test_logarithms_of_constants_and_counts_of_truth_values():
    table = of(lambda x: [0.5**x, jnp.log(x / x * 2.0**23), x * jnp.sum(jnp.stack([x > 0, (x > 1) | (x < -1)]))])
    found, bound = table.at_points(np.array([[0.25], [3.0]]))
    assert found == pytest.approx(np.array([[0.5**0.25, math.log(2.0**23), 0.25], [0.125, math.log(2.0**23), 6.0]]))
    assert (bound < 2.0**-54).all()


def test_what_is_compared_with_the_largest_of_some_is_known_to_be_equal():
    def shares(x):
        p = jnp.exp(x) / jnp.sum(jnp.exp(x))
        return [p - p, jnp.where(p == jnp.max(p), 1.0, 2.0), jnp.where(jnp.min(p) < p, 1.0, 0.0)]

    found, bound = of(shares, [0.0, 1.0, 2.0]).at_points(np.array([[3.0, 1.0, 2.0], [1.0, 1.0, np.nan]]))
    assert found[0].tolist() == [0, 0, 0, 1, 2, 2, 1, 0, 1] and (bound[0] < 2.0**-54).all()
    assert not (bound[1] < 2.0**-54).any()


def moments(x, y):
    return jnp.dot(x, x) * jnp.dot(y, y) - jnp.dot(x, y) ** 2


def exact(x, y):
    a, b = ([Fraction(float(v)) for v in each] for each in (x, y))
    dot = lambda u, v: sum(p * q for p, q in zip(u, v, strict=True))  # noqa: E731
    value = dot(a, a) * dot(b, b) - dot(a, b) ** 2
    return float(value), [float(2 * (dot(b, b) * p - dot(a, b) * q)) for p, q in zip(a, b, strict=True)]


def test_a_function_of_float64_under_every_transformation():
    with jax.enable_x64(True):
        x, y = jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.0, 3.0 + 1e-7])
        stable = qed.stabilize(moments)
        value, slope = exact(x, y)
        assert abs(float(moments(x, y)) / value - 1) > 1e-3
        compiled = jax.jit(jax.vmap(jax.value_and_grad(stable), (None, 0)))
        found, slopes = compiled(x, jnp.stack([y, 2 * y, y * jnp.nan]))
        assert float(found[0]) == pytest.approx(value, rel=3e-16) and float(found[1]) == pytest.approx(4 * value)
        assert math.isnan(found[2])
        assert slopes[0].tolist() == pytest.approx(slope, rel=3e-16)
        told = stable.rewrites(x, y).value
        assert told is not None and any("in 288 bits" in rewrite.after for rewrite in told.rewrites)
        hessian = jax.jit(jax.hessian(stable))(x, y)
        b = np.asarray(y)
        assert np.asarray(hessian) == pytest.approx(2 * (np.dot(b, b) * np.eye(3) - np.outer(b, b)), rel=1e-12)


@pytest.mark.slow
def test_several_results_of_float64_and_a_scan():
    with jax.enable_x64(True):
        x, y = jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.0, 3.0 + 1e-7])
        value, slope = exact(x, y)
        both = qed.stabilize(lambda x, y: jnp.stack([moments(x, y), x[0]]))
        assert jax.jit(jax.jacrev(both))(x, y)[0].tolist() == pytest.approx(slope, rel=3e-16)

        def summed(a):
            return jax.lax.scan(lambda total, row: (total + both(a, row)[0], None), 0.0, jnp.stack([y, y]))[0]

        assert float(jax.jit(summed)(x)) == pytest.approx(2 * value, rel=3e-16)
