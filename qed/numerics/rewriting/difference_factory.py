"""What every kernel of the difference rewriting is made of: where it is used, and its derivative.

With tangents x', y', d' of x, y and d = x - y::

    (f(x) - f(y))' = f'(x) d' + (f'(x) - f'(y)) y'      near,        f'(x) x' - f'(y) y'      far apart

where f'(x) - f'(y) is once more taken without cancellation; every kernel states it. Products are exact where they are
formed with what their rounding left out (Dekker, *A floating-point technique for extending the available precision*,
1971).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Function = Callable[..., Any]


def kernel(name: str, value: Function, slope: Function, near: Function, slopes: Function) -> Function:
    """A difference of f as a function of (x, y, d) with the derivative of the head of this file.

    Args:
        name: of the function.
        value: (x, y, d) -> f(x) - f(y), everywhere.
        slope: f'.
        near: (x, y, d) -> where the slopes are to be subtracted without cancellation.
        slopes: (x, y, d) -> f'(x) - f'(y) near.
    """

    def difference(x: Any, y: Any, d: Any) -> Any:
        return value(x, y, d)

    difference.__name__ = difference.__qualname__ = name
    found = jax.custom_jvp(difference)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        x, y, d = primals
        along_x, along_y, along_d = tangents
        close = near(x, y, d)
        at_x = slope(x)
        zero = jnp.zeros_like(at_x)
        change = jnp.where(close, slopes(x, y, d), -slope(y))
        tangent = jnp.where(close, at_x, zero) * along_d + jnp.where(close, zero, at_x) * along_x + change * along_y
        primal = found(x, y, d)
        return primal, jnp.broadcast_to(tangent, jnp.shape(primal)).astype(primal.dtype)

    return found


def within(x: Any, y: Any, d: Any) -> Any:
    """Whether two finite numbers of one sign, not both 0, are within a factor 2 of each other."""
    return jnp.abs(d) < 0.5 * jnp.maximum(jnp.abs(x), jnp.abs(y))


def short(x: Any, y: Any, d: Any) -> Any:
    """Whether the distance is at most 1/2."""
    return jnp.abs(d) <= 0.5


def of_one_size(x: Any, y: Any) -> Any:
    """Whether positive numbers are within a factor 2 of each other, so that their difference cancels."""
    return (y > 0.5 * x) & (y < 2 * x)


def over(a: Any, b: Any) -> Any:
    """a / b; 0 where b is 0, which is where a is 0 too."""
    return jnp.where(b == 0, 0.0, a / jnp.where(b == 0, 1.0, b)).astype(jnp.result_type(a, b))


def chosen(near: Function, formula: Function, f: Function) -> Function:
    """The formula where x and y are near, the plain difference elsewhere."""
    return lambda x, y, d: jnp.where(near(x, y, d), formula(x, y, d), f(x) - f(y))


def split(x: Any) -> tuple[Any, Any]:
    """x as the sum of two numbers of half the digits (Dekker, 1971)."""
    bits = (jnp.finfo(x.dtype).nmant + 2) // 2
    scaled = x * (2.0**bits + 1)
    high = scaled - (scaled - x)
    return high, x - high


def exact_product(x: Any, y: Any) -> tuple[Any, Any]:
    """x y as a number and what its rounding left out; 0 is left out where the splitting overflows."""
    (a, b), (c, d) = split(x), split(y)
    product = x * y
    rest = ((a * c - product) + a * d + b * c) + b * d
    return product, jnp.where(jnp.isfinite(rest), rest, 0.0).astype(product.dtype)


def exact_difference(y: Any, t: Any, x: Any) -> Any:
    """y - t x, the product exact."""
    product, rest = exact_product(jnp.broadcast_to(t, x.shape), x)
    return (y - product) - rest
