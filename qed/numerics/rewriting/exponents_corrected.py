"""f(u) of a computed u, corrected by what u rounds off: f(u) = f(h) + f'(h) l, u = h + l.

The pair is made by a program (`qed.numerics.rewriting.exponents_in_pairs`); the slope is told as f'(h)/f(h), which is
moderate where f is near 0. f is the exponential and what has one inside: expm1, the sigmoid, Bose's function, the
softplus, sech^2, erfc; and the difference of two exponentials. What is not finite or 0 stays as it is, and so does
what the correction is small beside.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Operation
from qed.numerics.rewriting import two_words
from qed.numerics.rewriting.bose import bose
from qed.numerics.rewriting.difference_factory import short
from qed.numerics.rewriting.difference_kernels import exp as exp_difference
from qed.numerics.rewriting.exponents_in_pairs import Program
from qed.numerics.rewriting.kernels import sigmoid
from qed.numerics.rewriting.smooth import sech2

SMALL = 4.0
"""Up to which |u| nothing is put back: three bits are lost at most where few operations make u."""


def _steep(name: str) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
    """A function f, and f'(h)/f(h) from h and f(h)."""
    match name:
        case "exp":
            return jnp.exp, lambda h, f: jnp.ones_like(h)
        case "expm1":
            return jnp.expm1, lambda h, f: jnp.exp(h) / f
        case "logistic":
            return sigmoid, lambda h, f: jax.nn.sigmoid(-h)
        case "bose":
            return bose, lambda h, f: -(1 + f)
        case "softplus":
            return jax.nn.softplus, lambda h, f: jax.nn.sigmoid(h) / f
        case "sech2":
            return sech2, lambda h, f: -2 * jnp.tanh(h)
        case "log_sigmoid":
            return lambda h: -jax.nn.softplus(-h), lambda h, f: jax.nn.sigmoid(-h) / f
    return jax.lax.erfc, lambda h, f: -2 / math.sqrt(math.pi) * jnp.exp(-h * h) / f


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def put_back(name: str, program: Program, u: Any, *leaves: Any) -> Any:
    """f(u) of a u that is given with the leaves of a program that makes it in pairs; f by its name."""
    function, slope = _steep(name)
    plain = function(u)
    high, low = program(leaves)
    near = function(high)
    steep = slope(high, near)
    found = two_words.corrected(near, (high, steep * low))
    usable = (jnp.abs(u * steep) > SMALL) & jnp.isfinite(found) & jnp.isfinite(plain) & (plain != 0)
    return jnp.where(usable, found, plain).astype(u.dtype)


@put_back.defjvp
def _put_back_slope(name: str, program: Program, primals: Any, tangents: Any) -> tuple[Any, Any]:
    value, u = put_back(name, program, *primals), primals[0]
    if name == "exp":
        return value, tangents[0] * value
    if name == "expm1":  # whose slope is not expm1(u) + 1, as JAX has it, where u is far below 0
        return value, tangents[0] * put_back("exp", program, *primals)
    return value, jax.jvp(_steep(name)[0], (u,), (tangents[0],))[1]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def put_in(name: str, small: float, program: Program, plain: Any, *leaves: Any) -> Any:
    """f(u) with the leaves of a program that makes u in pairs; plain, f(u) as it is, where |u f'/f| is small."""
    function, slope = _steep(name)
    high, low = program(leaves)
    near = function(high)
    steep = slope(high, near)
    found = two_words.corrected(near, (high, steep * low))
    usable = jnp.isfinite(found) & jnp.isfinite(plain) & (plain != 0)
    if small:
        usable &= jnp.abs(high * steep) > small
    return jnp.where(usable, found, plain).astype(plain.dtype)


@put_in.defjvp
def _put_in_slope(name: str, small: float, program: Program, primals: Any, tangents: Any) -> tuple[Any, Any]:
    return put_in(name, small, program, *primals), tangents[0]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def difference_put_back(first: Program, second: Program, x: Any, y: Any, d: Any, *leaves: Any) -> Any:
    """exp(x) - exp(y) from d = x - y, with the leaves of what makes x and y in pairs."""
    plain = exp_difference(x, y, d)
    (a, more_a), (b, more_b) = first(leaves), second(leaves)
    rest_x, rest_y = (a - x) + more_a, (b - y) + more_b
    more = jnp.where(short(x, y, d), plain * rest_y, jnp.exp(x) * rest_x - jnp.exp(y) * rest_y)
    usable = (jnp.maximum(jnp.abs(x), jnp.abs(y)) > SMALL) & jnp.isfinite(more)
    return jnp.where(usable, plain + more, plain).astype(x.dtype)


@difference_put_back.defjvp
def _difference_put_back_slope(first: Program, second: Program, primals: Any, tangents: Any) -> tuple[Any, Any]:
    value = difference_put_back(first, second, *primals)
    return value, jax.jvp(exp_difference, primals[:3], tangents[:3])[1]


def operation_of(name: str) -> Operation:
    """A function that is put back, by its name."""

    def evaluate(u: Any, *leaves: Any, program: Program) -> Any:
        return put_back(name, program, u, *leaves)

    return Operation(f"{name}_put_back", evaluate, whole=True)


EXP_PUT_BACK = operation_of("exp")
DIFFERENCE_PUT_BACK = Operation(
    "exp_difference_put_back",
    lambda x, y, d, *leaves, first, second: difference_put_back(first, second, x, y, d, *leaves),
    whole=True,
)
PUT_IN = Operation(
    "put_in",
    lambda plain, *leaves, f, small, program: put_in(f, small, program, plain, *leaves),
    whole=True,
)


__all__ = ["DIFFERENCE_PUT_BACK", "EXP_PUT_BACK", "PUT_IN", "SMALL", "operation_of", "put_back", "put_in"]
