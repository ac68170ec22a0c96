"""The algorithms that the table of substitutions puts in the place of formulas, each with its own derivative.

A derivative is stated where differentiating the algorithm would cancel anew: of an arccosine c' / sqrt(1 - c^2) from
1 - c and 1 + c; of the area of a triangle a (b^2 + c^2 - a^2) / (8 area); of (1 + u)^n in n the rest of a series.

References: Kahan, *Miscalculating area and angles of a needle-like triangle*, 2014; Chan, Golub and LeVeque,
*Algorithms for computing the sample variance*, 1983.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Operation
from qed.numerics import logspace
from qed.numerics.rewriting.difference_factory import exact_difference
from qed.numerics.rewriting.difference_inverses import root_above
from qed.numerics.rewriting.difference_series import remainder
from qed.numerics.rewriting.lengths import norm, power_of_two, unit


def _mean_square(x: Any, y: Any, axes: tuple[int, ...]) -> Any:
    """sum (x - mean x)(y - mean y), the second mean correcting the rounding of the first."""
    a = x - jnp.mean(x, axis=axes, keepdims=True)
    b = a if y is x else y - jnp.mean(y, axis=axes, keepdims=True)
    a = a - jnp.mean(a, axis=axes, keepdims=True)
    return jnp.sum(a * (a if y is x else b), axis=axes)


def _centred(x: Any, axes: tuple[int, ...]) -> Any:
    a = x - jnp.mean(x, axis=axes, keepdims=True)
    return a - jnp.mean(a, axis=axes, keepdims=True)


def _cosine(x: Any, y: Any, axes: tuple[int, ...]) -> Any:
    return jnp.sum(unit(x, axes) * unit(y, axes), axis=axes)


@jax.custom_jvp
def side(square: Any, a: Any, b: Any, angle: Any) -> Any:
    """sqrt(a^2 + b^2 - 2 a b cos(angle)), given the square as it stands, which is used where a b <= 0."""
    usable, top, gap, across = _side_parts(a, b, angle)
    scaled = top * jnp.sqrt((gap / top) ** 2 + (across / top) ** 2)
    return jnp.where(usable, scaled, jnp.sqrt(jnp.where(usable, 1, square))).astype(square.dtype)


def _side_parts(a: Any, b: Any, angle: Any) -> tuple[Any, Any, Any, Any]:
    """Whether a b > 0, and the sides a - b and 2 sqrt(a b) sin(angle/2) of a right triangle, with their scale."""
    usable = (a > 0) == (b > 0)
    usable &= (a != 0) & (b != 0)
    across = 2 * jnp.sqrt(jnp.where(usable, jnp.abs(a), 1)) * jnp.sqrt(jnp.where(usable, jnp.abs(b), 1))
    across = across * jnp.sin(0.5 * angle)
    gap = a - b
    top = jnp.maximum(jnp.abs(gap), jnp.abs(across))
    return usable, jnp.where((top > 0) & jnp.isfinite(top), top, 1).astype(top.dtype), gap, across


@side.defjvp
def _side_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    square, a, b, angle = primals
    along, along_a, along_b, along_angle = tangents
    value = side(square, a, b, angle)
    usable, _, gap, _ = _side_parts(a, b, angle)
    safe = jnp.where(value == 0, 1, value)
    half = jnp.sin(0.5 * angle)
    in_a = gap / safe + 2 * ((b / safe) * half) * half
    in_b = 2 * ((a / safe) * half) * half - gap / safe
    in_angle = 2 * (((a / safe) * b) * half) * jnp.cos(0.5 * angle)
    parts = in_a * along_a + in_b * along_b + in_angle * along_angle
    plain = (0.5 / jnp.where(usable, 1, value)) * along
    return value, jnp.where(usable, jnp.where(value == 0, 0, parts), plain).astype(value.dtype)


def _across(x: Any, y: Any, axes: tuple[int, ...]) -> Any:
    """The part of y that is perpendicular to x, to its own digits: y - t x with the product exact, then once more."""

    def along(v: Any) -> Any:
        scale = jnp.expand_dims(norm(x, axes), axes)
        return jnp.sum(v * (x / scale), axis=axes, keepdims=True) / scale

    t = along(y)
    rest = exact_difference(y, t, x)
    return rest - along(rest) * x


def _cosine_distance(x: Any, y: Any, axes: tuple[int, ...]) -> Any:
    """1 - c = sin^2 / (1 + c) where c > 0."""

    def value_of(x: Any, y: Any) -> Any:
        c = _cosine(x, y, axes)
        sine = norm(_across(x, y, axes), axes) / norm(y, axes)
        return jnp.where(c > 0, sine * sine / (1 + jnp.where(c > 0, c, 0)), 1 - c).astype(c.dtype)

    found = jax.custom_jvp(value_of)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        x, y = primals
        a, b = (jnp.expand_dims(norm(v, axes), axes) for v in (x, y))
        in_x, in_y = _across(x, y, axes) / b / a, _across(y, x, axes) / a / b
        return found(x, y), -jnp.sum(in_x * tangents[0], axis=axes) - jnp.sum(in_y * tangents[1], axis=axes)

    return found(x, y)


@jax.custom_jvp
def half_angle(low: Any, high: Any) -> Any:
    """acos c from low = 1 - c and high = 1 + c."""
    return 2 * jnp.arctan2(jnp.sqrt(jnp.maximum(low, 0)), jnp.sqrt(jnp.maximum(high, 0)))


@half_angle.defjvp
def _half_angle_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    low, high = primals
    root = jnp.sqrt(low) * jnp.sqrt(high)
    total = low + high
    return half_angle(low, high), ((high / total) * tangents[0] - (low / total) * tangents[1]) / root


@jax.custom_jvp
def included_angle(a: Any, b: Any, c: Any) -> Any:
    """The angle between the sides a and b of a triangle, opposite c."""
    return half_angle(*_complements(a, b, c))


def _complements(a: Any, b: Any, c: Any) -> tuple[Any, Any]:
    """1 - cos and 1 + cos of that angle; a - b first, which is exact where the sides are near."""
    gap, total = a - b, a + b
    return (c - gap) * (c + gap) / (2 * a * b), (total - c) * (total + c) / (2 * a * b)


@included_angle.defjvp
def _included_angle_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    """c / (a b sin) in c, and -(a^2 - b^2 + c^2) / (2 a^2 b sin) in a."""
    a, b, c = primals
    low, high = _complements(a, b, c)
    below = a * b * (jnp.sqrt(low) * jnp.sqrt(high))
    between = (a - b) * (a + b)
    in_a, in_b = -(c * c + between) / (2 * a) / below, -(c * c - between) / (2 * b) / below
    return included_angle(a, b, c), in_a * tangents[0] + in_b * tangents[1] + (c / below) * tangents[2]


@jax.custom_jvp
def triangle(a: Any, b: Any, c: Any) -> Any:
    """The area of a triangle by its sides."""
    largest = jnp.maximum(jnp.maximum(a, b), c)
    smallest = jnp.minimum(jnp.minimum(a, b), c)
    middle = jnp.maximum(jnp.minimum(jnp.maximum(a, b), c), jnp.minimum(a, b))
    p, q, r = largest, middle, smallest
    return 0.25 * jnp.sqrt((p + (q + r)) * (r - (p - q)) * (r + (p - q)) * (p + (q - r)))


@triangle.defjvp
def _triangle_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    """d area / da = a (b^2 + c^2 - a^2) / (8 area)."""
    area = triangle(*primals)
    tangent = jnp.zeros_like(area)
    for k in range(3):
        a, b, c = primals[k], primals[k - 1], primals[k - 2]
        larger, smaller = jnp.maximum(b, c), jnp.minimum(b, c)
        tangent = tangent + (a / area / 8) * (smaller * smaller - (a - larger) * (a + larger)) * tangents[k]
    return area, tangent


@jax.custom_jvp
def growth_over(rho: Any, n: Any) -> Any:
    """(1 + rho / n)^n."""
    return _growth(1 + rho / n, rho / n, n)


@growth_over.defjvp
def _growth_over_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    """In n: log(1 + u) - u / (1 + u) = u^2 (R_2 log1p(u) + 1 / (1 + u)), u = rho / n."""
    rho, n = primals
    u, value = rho / n, growth_over(rho, n)
    small = jnp.abs(u) < 0.5
    inner = jnp.where(small, u, 0).astype(value.dtype)
    near = u * u * (remainder("log1p", 2)(inner) + 1 / (1 + inner))
    in_n = jnp.where(small, near, logspace.log1p(u) - u / (1 + u))
    return value, value * (tangents[0] / (1 + u) + in_n * tangents[1])


def _growth(base: Any, r: Any, n: Any) -> Any:
    near = jnp.abs(r) < 0.25
    small, large = jnp.where(near, r, 0), jnp.where(near, 1, base)
    return jnp.where(near, jnp.exp(n * logspace.log1p(small)), large**n).astype(base.dtype)


@jax.custom_jvp
def log1p_square(x: Any) -> Any:
    """log(1 + x^2)."""
    size = jnp.abs(x)
    large = size > 1 / jnp.finfo(x.dtype).eps
    return jnp.where(large, 2 * jnp.log(jnp.where(large, size, 1)), logspace.log1p(x * x))


def log_determinant(a: Any) -> Any:
    """log det a without the determinant, which may overflow; NaN where det a < 0, as the logarithm of that is."""
    rows, by_rows = power_of_two(jnp.max(jnp.abs(a), axis=-1, keepdims=True))
    columns, by_columns = power_of_two(jnp.max(jnp.abs(a * by_rows), axis=-2, keepdims=True))
    sign, size = jnp.linalg.slogdet((a * by_rows) * by_columns)
    scales = jnp.sum(jnp.log(rows), axis=(-2, -1)) + jnp.sum(jnp.log(columns), axis=(-2, -1))
    return jnp.where(sign < 0, jnp.nan, size + scales)


log1p_square.defjvp(lambda p, t: (log1p_square(*p), 2 * (p[0] / root_above(p[0])) / root_above(p[0]) * t[0]))

CENTRED = Operation("sum_of_centred_products", _mean_square, whole=True)
CENTRED_SQUARE = Operation("sum_of_centred_squares", lambda x, axes: _mean_square(x, x, axes), whole=True)
CENTRED_AT = Operation("centred", _centred, whole=True)
SQUARED_DISTANCE = Operation("squared_distance", lambda x, y, axes: jnp.sum((x - y) ** 2, axis=axes), whole=True)
COSINE_OF = Operation("cosine", _cosine, whole=True)
COSINE_DISTANCE_OF = Operation("cosine_distance", _cosine_distance, whole=True)
HALF_ANGLE = Operation("arccosine_from_complement", half_angle, whole=True)
SIDE = Operation("side", side, whole=True)
INCLUDED_ANGLE = Operation("included_angle", included_angle, whole=True)
TRIANGLE = Operation("area_of_triangle", triangle, whole=True)
GROWN_OVER = Operation("growth_over", growth_over, whole=True)
LOG1P_SQUARE = Operation("log1p_square", log1p_square, whole=True)
SLOGDET = Operation("slogdet", log_determinant, whole=True)
GROWN = Operation("power_near_one", _growth, whole=True)
