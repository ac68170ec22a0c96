"""Random compositions of elementary functions, and what exact segments say of their shape.

A drawn function is elementwise in its constants: with constants of shape () it is one function of a few numbers, with
constants of shape (n,) it is n functions at once, so that 200-bit balls judge many of them in one pass.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from qed.domains.ball import Ball
from qed.domains.balls import Balls
from qed.domains.precision import precision
from qed.graph.trace import Traced, trace
from qed.graph.walk import Unknown, Walker

Function = Callable[[Sequence[jax.Array]], jax.Array]

UNARY: dict[str, Callable[[jax.Array], jax.Array]] = {
    "exp": jnp.exp,
    "expm1": jnp.expm1,
    "log": lambda x: jnp.log(jnp.abs(x) + 0.5),
    "log1p": lambda x: jnp.log1p(x**2),
    "log_of_exp": lambda x: jnp.log(1 + jnp.exp(x)),
    "sqrt": lambda x: jnp.sqrt(1 + x**2),
    "root": lambda x: jnp.sqrt(jnp.abs(x)),
    "square": jnp.square,
    "cube": lambda x: x**3,
    "fourth": lambda x: x**4,
    "reciprocal": lambda x: 1 / (0.25 + x**2),
    "abs": jnp.abs,
    "relu": jax.nn.relu,
    "leaky": lambda x: jnp.where(x > 0, x, 0.125 * x),
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "softplus": jax.nn.softplus,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "arctan": jnp.arctan,
    "sinh": jnp.sinh,
    "bell": lambda x: jnp.exp(-(x**2)),
    "clip": lambda x: jnp.clip(x, -1.0, 1.0),
    "stopped": lax.stop_gradient,
    "minus": lambda x: -x,
    "elu": lambda x: jnp.where(x > 0, x, jnp.expm1(x)),
}
BINARY: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "max": jnp.maximum,
    "min": jnp.minimum,
    "ratio": lambda a, b: a**2 / (1 + b**2),
    "logaddexp": lambda a, b: jnp.log(jnp.exp(a) + jnp.exp(b)),
    "choose": lambda a, b: jnp.where(a > 0, b, a),
}


def drawn(rng: np.random.Generator, depth: int, variables: int, shape: tuple[int, ...] = ()) -> Function:
    """A function of some variables, its constants of a shape; the same rng gives the same function."""
    if depth == 0:
        a = [_dyadic(rng, shape) for _ in range(variables)]
        b = _dyadic(rng, shape)
        return lambda xs: sum((a[i] * xs[i] for i in range(variables)), b)
    if rng.random() < 0.55:
        unary = UNARY[str(rng.choice(list(UNARY)))]
        inner = drawn(rng, depth - 1, variables, shape)
        return lambda xs: unary(inner(xs))
    binary = BINARY[str(rng.choice(list(BINARY)))]
    first = drawn(rng, depth - 1, variables, shape)
    second = first if rng.random() < 0.15 else drawn(rng, int(rng.integers(0, depth)), variables, shape)
    return lambda xs: binary(first(xs), second(xs))


def _dyadic(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return (rng.integers(-8, 9, shape) / 4).astype(np.float32)


@functools.lru_cache(maxsize=16)
def _traced(fun: Function, shapes: tuple[tuple[int, ...], ...]) -> Traced:
    """The graph of a function, once for all of its points: tracing costs more than walking."""
    return trace(lambda *xs: fun(xs), *(np.zeros(shape, np.float32) for shape in shapes))


def in_balls(fun: Function, points: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
    """The balls of fun at exact points, and where there surely is a value; None without a rule."""
    traced = _traced(fun, tuple(np.shape(p) for p in points))
    with precision(200):
        value = Walker([Ball()]).run(traced.graph, [Balls.point(p) for p in points])[0].values[0]
        if isinstance(value, Unknown):
            return None
        value = Ball().number(value)
    lost = value.doubt.undefined
    defined = np.ones(value.shape, bool) if lost is None else ~np.broadcast_to(lost, value.shape)
    return value.array, defined


def each_in_balls(fun: Function, points: np.ndarray) -> list[Any]:
    """The ball of the value at each of some points (n, variables); None where there may be none, or no rule.

    All are walked together where the function is elementwise and has a rule for that, else one by one.
    """
    found = in_balls(fun, list(points.T))
    alone = [found] if found is not None else [in_balls(fun, list(point)) for point in points]
    parts = [[None] if each is None else np.where(each[1], each[0], None).ravel() for each in alone]
    return [ball for part in parts for ball in part]


def bend(fun: Function, a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> np.ndarray | None:
    """+1 where the chord is surely above the middle, -1 where surely below, 0 where balls do not tell.

    Args:
        fun: elementwise.
        a: one end of a segment for each function, multiples of a power of 2 (the middle is exact).
        b: the other end.
    """
    middle = [(p + q) / 2 for p, q in zip(a, b, strict=True)]
    found = [in_balls(fun, points) for points in (a, b, middle)]
    if any(each is None for each in found):
        return None
    (fa, ka), (fb, kb), (fm, km) = found  # type: ignore[misc]
    out = np.zeros(fa.shape, int)
    with precision(200):
        for place in np.ndindex(fa.shape):
            if not (ka[place] and kb[place] and km[place]):
                continue
            above = fa[place] + fb[place] - 2 * fm[place]
            out[place] = 1 if above > 0 else -1 if above < 0 else 0
    return out
