"""Functions whose global minimum on a box is known, written to make a rigorous minimiser lose it.

Each has the exact minimum and all points where it is taken (or some of them, where there is a continuum). The traps:
derivatives that are not the values', kinks, jumps, single points, ties, plateaus, faces and corners, flat directions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.calculus.corpus_shapes import INFINITY, over

THIRD = float(np.float32(1 / 3))


@dataclass(frozen=True, eq=False)
class Problem:
    """A function, a box, its minimum there (None: not attained, or to be sampled) and where it is taken."""

    fun: Callable[..., Any]
    box: Any
    minimum: float | None
    points: tuple[Any, ...] = ()
    args: tuple[Any, ...] = ()


@jax.custom_jvp
def misled(x):
    return (x - 1) ** 2


misled.defjvps(lambda t, y, x: jnp.ones_like(x) * t)


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def goldstein_price(x):
    a, b = x[0], x[1]
    first = 1 + (a + b + 1) ** 2 * (19 - 14 * a + 3 * a**2 - 14 * b + 6 * a * b + 3 * b**2)
    second = 30 + (2 * a - 3 * b) ** 2 * (18 - 32 * a + 12 * a**2 + 48 * b - 36 * a * b + 27 * b**2)
    return first * second


PROBLEMS = {
    "parabola": Problem(lambda x: (x - 0.5) ** 2 - 1, (-2.0, 2.0), -1.0, (0.5,)),
    "parabola_outside": Problem(lambda x: (x - 5) ** 2, (-2.0, 2.0), 9.0, (2.0,)),
    "stopped_gradient": Problem(lambda x: x**2 - 2 * lax.stop_gradient(x**2), (-1.0, 2.0), -4.0, (2.0,)),
    "stopped_entirely": Problem(lambda x: lax.stop_gradient((x - 0.25) ** 2), (-1.0, 2.0), 0.0, (0.25,)),
    "wrong_rule": Problem(misled, (-3.0, 3.0), 0.0, (1.0,)),
    "kink": Problem(lambda x: jnp.abs(x - 0.375) - 0.25 * x, (-2.0, 2.0), -0.09375, (0.375,)),
    "kink_of_several": Problem(
        lambda x: jnp.abs(x[0] - 0.5) + 2 * jnp.abs(x[1] + x[0] - 1), over(-2.0, 2.0, 2), 0.0, ([0.5, 0.5],)
    ),
    "largest_of_planes": Problem(
        lambda x: jnp.maximum(jnp.maximum(x[0], -x[0] - 2 * x[1]), x[1]), over(-1.0, 1.0, 2), 0.0, ([0.0, 0.0],)
    ),
    "jump_down": Problem(lambda x: jnp.where(x >= 0.25, x - 1, x + 1), (-1.0, 2.0), -0.75, (0.25,)),
    "jump_not_attained": Problem(lambda x: jnp.where(x > 0.25, x - 1, x + 1), (-1.0, 2.0), None),
    "one_point": Problem(lambda x: jnp.where(x == 0.5, -1.0, x * x), (-1.0, 1.0), -1.0, (0.5,)),
    "staircase": Problem(lambda x: jnp.floor(x) - 0.25 * x, (-1.5, 1.5), -1.75, (-1.0 - 2.0**-30,)),
    "rounded": Problem(lambda x: (jnp.round(x) - 1) ** 2 + 0.125 * x, (-3.0, 3.0), 0.0625, (0.5 + 2.0**-30,)),
    "plateau": Problem(lambda x: jax.nn.relu(jnp.abs(x) - 1), (-3.0, 2.0), 0.0, (-1.0, -0.3, 0.0, 1.0)),
    "constant": Problem(lambda x: 0 * x[0] + 3.0, over(-1.0, 1.0, 2), 3.0, ([0.0, 0.0], [1.0, -1.0])),
    "two_minima": Problem(lambda x: (x**2 - 1) ** 2, (-2.0, 2.0), 0.0, (-1.0, 1.0)),
    "almost_two_minima": Problem(lambda x: (x**2 - 1) ** 2 + 2.0**-20 * (1 - x), (-2.0, 2.0), None, ()),
    "many_minima": Problem(lambda x: 1 - jnp.cos(6 * (x - 0.25)), (-0.5, 1.5), 0.0, (0.25, 0.25 + np.pi / 3)),
    "corner": Problem(lambda x: x[0] + 2 * x[1] - 3 * x[2], over(-1.0, 2.0, 3), -9.0, ([-1.0, -1.0, 2.0],)),
    "edge": Problem(lambda x: x[0] ** 2 - x[1], over(-1.0, 2.0, 2), -2.0, ([0.0, 2.0],)),
    "saddle": Problem(lambda x: x[0] * x[1], over(-1.0, 1.0, 2), -1.0, ([1.0, -1.0], [-1.0, 1.0])),
    "valley": Problem(lambda x: (x[0] - x[1]) ** 2, over(-1.0, 1.0, 2), 0.0, ([0.0, 0.0], [1.0, 1.0], [-0.5, -0.5])),
    "circle": Problem(lambda x: (x @ x - 1) ** 2, over(-1.5, 1.5, 2), 0.0, ([1.0, 0.0], [0.0, -1.0], [0.6, 0.8])),
    "degenerate_hessian": Problem(lambda x: x[0] ** 4 + x[1] ** 2, over(-1.0, 2.0, 2), 0.0, ([0.0, 0.0],)),
    "three_fold_zero": Problem(lambda x: (x - 0.5) ** 6 + (x - 0.5) ** 7 / 4, (-1.0, 2.0), 0.0, (0.5,)),
    "himmelblau": Problem(himmelblau, over(-5.0, 5.0, 2), 0.0, ([3.0, 2.0],)),
    "goldstein_price": Problem(goldstein_price, over(-2.0, 2.0, 2), 3.0, ([0.0, -1.0],)),
    "rosenbrock": Problem(
        lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, over(-2.0, 2.0, 2), 0.0, ([1.0, 1.0],)
    ),
    "rosenbrock_in_between": Problem(
        lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, over(1.0, 2.0, 2), 0.0, ([1.0, 1.0],)
    ),
    "fixed_coordinate": Problem(
        lambda x: x[0] * x[1] + x[0] ** 2,
        (np.array([-2, 1], np.float32), np.array([2, 1], np.float32)),
        -0.25,
        ([-0.5, 1.0],),
    ),
    "single_point": Problem(lambda x: x**2, (0.5, 0.5), 0.25, (0.5,)),
    "open_parabola": Problem(lambda x: (x - 3) ** 2 + 1, (-INFINITY, INFINITY), 1.0, (3.0,)),
    "half_open": Problem(lambda x: x + 4 / x, (0.5, INFINITY), 4.0, (2.0,)),
    "infimum_at_infinity": Problem(lambda x: jnp.exp(-x), (0.0, INFINITY), None),
    "branch": Problem(lambda x: lax.cond(x > 0.5, lambda: x - 2, lambda: -x), (-1.0, 2.0), None),
    "loop": Problem(
        lambda x: lax.scan(lambda c, a: (c * x + a, None), jnp.float32(0), np.array([1, 0, -2, 0, 1], np.float32))[0],
        (-2.0, 2.0),
        0.0,
        (-1.0, 1.0),
    ),
    "tree": Problem(
        lambda w: (w["a"] - 1) ** 2 + jnp.sum((w["b"] + 0.5) ** 2),
        ({"a": -2.0, "b": over(-2.0, 2.0, 2)[0]}, 2.0),
        0.0,
    ),
    "rounded_constant": Problem(lambda x: (3 * x - 1) ** 2, (0.0, 1.0), 0.0, (1 / 3,)),
    "constant_of_float32": Problem(lambda x: (x - np.float32(1 / 3)) ** 2, (0.0, 1.0), 0.0, (THIRD,)),
    "large_offset": Problem(lambda x: 1e8 + (x - 0.5) ** 2, (-1.0, 1.0), 1e8, (0.5,)),
    "small_scale": Problem(lambda x: 1e-20 * (x - 0.5) ** 2, (-1.0, 1.0), 0.0, (0.5,)),
    "vertical": Problem(lambda x: -jnp.sqrt(x) + x, (0.0, 4.0), -0.25, (0.25,)),
    "cusp": Problem(lambda x: jnp.sqrt(jnp.abs(x - 0.25)), (-1.0, 1.0), 0.0, (0.25,)),
    "sorted": Problem(lambda x: jnp.sort(x)[1] ** 2 + x @ x, over(-1.0, 2.0, 2), 0.0, ([0.0, 0.0],)),
    "log_of_sums": Problem(
        lambda x: jax.scipy.special.logsumexp(x) - jnp.mean(x), over(-1.0, 1.0, 2), float(np.log(2)), ([0.5, 0.5],)
    ),
}
