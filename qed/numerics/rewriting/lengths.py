"""Lengths, directions and angles without overflow in the middle: everything divided by a power of two first.

::

    |x| = s |x / s|          d|x| = <u, dx>          u = x / |x|          du = (dx - u <u, dx>) / |x|

with s = 2^e near the largest |x_i|. Scaling by a power of two is exact. It is a multiplication by 2^-e, because a
compiler may turn (x / s) / s into x / (s s), which overflows where neither division does (XLA does).

The derivative of a norm at the origin is 0, one of its subgradients; that of a direction is 0 there too.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 27.8.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Operation
from qed.numerics.rewriting.binary_exponents import mantissa_and_exponent, power_of_two_of


def power_of_two(size: Any) -> tuple[Any, Any]:
    """(s, 1/s) for s = 2^e near a size, both of them normal numbers; s = 1 where the size is 0 or not finite.

    Example:
        >>> import jax.numpy as jnp
        >>> tuple(map(float, power_of_two(jnp.float32(3.0))))
        (4.0, 0.25)
    """
    dtype = jnp.result_type(size)
    wide = jnp.float32 if jnp.finfo(dtype).bits < 32 else dtype
    limit = int(jnp.finfo(dtype).maxexp) - 3
    usable = (size > 0) & jnp.isfinite(size)
    exponent = jnp.clip(mantissa_and_exponent(jnp.where(usable, size, 0.5).astype(wide))[1], -limit, limit)
    scale, inverse = power_of_two_of(exponent, wide).astype(dtype), power_of_two_of(-exponent, wide).astype(dtype)
    return jax.lax.stop_gradient(scale), jax.lax.stop_gradient(inverse)


def _usable(total: Any) -> Any:
    """Where a sum of squares neither overflowed nor lost terms below the smallest number."""
    info = jnp.finfo(total.dtype)
    return (total <= info.max) & (total >= float(info.tiny) / float(info.eps) ** 2)


def norm(x: Any, axes: tuple[int, ...]) -> Any:
    """sqrt(sum x^2) along axes, scaled where the sum would overflow or vanish; its derivative is x / norm, 0 at 0."""

    def value_of(x: Any) -> Any:
        total = jnp.sum(jnp.multiply(x, x), axis=axes)
        scale, inverse = power_of_two(jnp.max(jnp.abs(x), axis=axes, initial=0.0))
        scaled = scale * jnp.sqrt(jnp.sum((x * jnp.expand_dims(inverse, axes)) ** 2, axis=axes))
        usable = _usable(total)
        return jnp.where(usable, jnp.sqrt(jnp.where(usable, total, 1)), scaled).astype(x.dtype)

    found = jax.custom_jvp(value_of)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        (x,), (along,) = primals, tangents
        value = found(x)
        below = jnp.expand_dims(value, axes)
        direction = jnp.where(below == 0, 0, x / jnp.where(below == 0, 1, below)).astype(x.dtype)
        return value, jnp.sum(direction * along, axis=axes)

    return found(x)


def unit(x: Any, axes: tuple[int, ...]) -> Any:
    """x / |x| along axes; NaN at 0. Nothing is divided by |x| itself: two such divisions would become one by |x|^2."""

    def scaled(x: Any) -> tuple[Any, Any, Any]:
        inverse = power_of_two(jnp.max(jnp.abs(x), axis=axes, keepdims=True, initial=0.0))[1]
        y = x * inverse
        return y, jnp.expand_dims(norm(y, axes), axes), inverse

    def value_of(x: Any) -> Any:
        y, length, _ = scaled(x)
        return y / length

    found = jax.custom_jvp(value_of)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        (x,), (along,) = primals, tangents
        u, (_, length, inverse) = found(x), scaled(x)
        across = along - u * jnp.sum(u * along, axis=axes, keepdims=True)
        return u, across * inverse / length

    return found(x)


def hypot(child: Any, rest: Any, *parts: Any) -> Any:
    """sqrt(rest + sum of squares), from the plain sum too; its derivative does not divide by a square."""

    def value_of(child: Any, rest: Any, *parts: Any) -> Any:
        size = jnp.sqrt(jnp.abs(rest))
        for part in parts:
            size = jnp.maximum(size, jnp.abs(part))
        scale, inverse = power_of_two(size)
        total = (rest * inverse) * inverse
        for part in parts:
            total = total + (part * inverse) ** 2
        usable = _usable(child) | (child < 0)
        return jnp.where(usable, jnp.sqrt(jnp.where(usable, child, 1)), scale * jnp.sqrt(total)).astype(child.dtype)

    found = jax.custom_jvp(value_of)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        value = found(*primals)
        safe = jnp.where(value == 0, 1, value)
        at_zero = jnp.where(value == 0, 0, 1).astype(value.dtype)
        tangent = (0.5 / value) * tangents[1]
        for part, along in zip(primals[2:], tangents[2:], strict=True):
            tangent = tangent + at_zero * (part / safe) * along
        return value, tangent.astype(value.dtype)

    return found(child, rest, *parts)


@jax.custom_jvp
def absolute(x: Any) -> Any:
    """|x|, the length of one number: its derivative at 0 is 0, as that of every length."""
    return jnp.abs(x)


@absolute.defjvp
def _absolute_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    return absolute(*primals), jnp.sign(primals[0]) * tangents[0]


def beside_root(x: Any, rest: Any) -> Any:
    """sqrt(x^2 rest) without the square; its derivative at x = 0 is 0, as that of every length.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> jax.value_and_grad(beside_root)(jnp.float32(-3e25), jnp.float32(4.0))
        (Array(6.e+25, dtype=float32), Array(-2., dtype=float32))
    """
    alone = x == 0
    return jnp.where(alone, 0, absolute(x) * jnp.sqrt(jnp.where(alone, 1, rest))).astype(x.dtype)


@jax.custom_jvp
def over(x: Any, length: Any) -> Any:
    """x / length."""
    return x / length


@over.defjvp
def _over_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    """(dx - q d length) / length, all divided by a power of two near the length first."""
    x, length = primals
    _, inverse = power_of_two(length)
    value = over(x, length)
    across = (tangents[0] - value * tangents[1]) * inverse
    return value, (across / (length * inverse)).astype(value.dtype)


@jax.custom_jvp
def over_again(x: Any, length: Any) -> Any:
    """x / length of an x that is a quotient itself, which a compiler would divide by the square of the length."""
    _, inverse = power_of_two(length)
    return ((x * inverse) / (length * inverse)).astype(jnp.result_type(x))


@over_again.defjvp
def _over_again_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    x, length = primals
    value = over_again(x, length)
    return value, over_again(tangents[0] - value * tangents[1], length)


@jax.custom_jvp
def angle(y: Any, x: Any) -> Any:
    """The angle of the vector (x, y)."""
    return jnp.arctan2(y, x)


@angle.defjvp
def _angle_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    y, x = primals
    _, inverse = power_of_two(jnp.maximum(jnp.abs(x), jnp.abs(y)))
    a, b = y * inverse, x * inverse
    square = a * a + b * b
    return angle(y, x), (b / square * inverse) * tangents[0] - (a / square * inverse) * tangents[1]


@jax.custom_jvp
def slope_angle(y: Any, x: Any) -> Any:
    """atan(y / x)."""
    return jnp.arctan(y / x)


@slope_angle.defjvp
def _slope_angle_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    return slope_angle(*primals), jax.jvp(angle, primals, tangents)[1]


NORM_OF = Operation("norm", norm, whole=True)
OVER = Operation("over_length", over, whole=True)
OVER_AGAIN = Operation("over_length", over_again, whole=True)
UNIT = Operation("unit_vector", unit, whole=True)
"""x / |x| along axes as an operation of a rewriting."""
