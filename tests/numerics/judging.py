"""How many bits a computed value lost, judged in balls; and points that are uniform over the floats."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.domains.ball import Ball
from qed.graph.graph import Graph
from qed.graph.trace import trace
from qed.graph.walk import Unknown, Walker

PRECISIONS = (300, 1200, 5000)


def exact(graph: Graph, leaves: Sequence[Any], digits: int = 70) -> list[Any]:
    """The first output of a graph as balls of at least so many good bits, or None where there is no such number.

    A primitive of one JAX version without a rule in balls makes all of them None.
    """
    found: list[Any] = []
    for bits in PRECISIONS:
        value = Walker([Ball(bits=bits)]).run(graph, leaves)[0].values[0]
        if isinstance(value, Unknown):
            return [None] * max(1, int(np.prod(graph.outputs[0].shape)))
        found = list(value.array.ravel())
        if all(ball.is_exact() or ball.rel_accuracy_bits() > digits for ball in found):
            break
    return [ball if ball.is_exact() or ball.rel_accuracy_bits() > digits else None for ball in found]


def lost(computed: Any, expected: Sequence[Any], dtype: Any) -> list[float]:
    """log2(1 + relative error / unit), a float an element; 0 where the value is below what the dtype resolves."""
    import flint

    info = np.finfo(dtype)
    tiny, largest = float(info.tiny), flint.arb(float(info.max))
    found: list[float] = []
    for value, ball in zip(np.asarray(computed).ravel().tolist(), expected, strict=True):
        if ball is None or (not math.isfinite(value) and abs(ball) > largest):
            found.append(0.0)
            continue
        if not math.isfinite(value):
            found.append(99.0)
            continue
        error = abs(flint.arb(value) - ball)
        if error <= tiny:
            found.append(0.0)
            continue
        relative = error / abs(ball) if ball != 0 else flint.arb(2) ** 99
        found.append(min(99.0, math.log2(1 + float(relative.mid()) / (float(info.eps) / 2))))
    return found


def uniform_floats(low: float, high: float, count: int, dtype: Any, seed: int = 0) -> np.ndarray:
    """Points uniform over the floats between two numbers: as many near 0 as the format has there."""
    whole = {4: np.uint32, 8: np.uint64}[np.dtype(dtype).itemsize]

    def place(x: float) -> int:
        bits = int(np.asarray(abs(x), dtype).view(whole))
        return bits if x >= 0 else -bits

    def at(k: int) -> float:
        size = float(np.asarray(abs(k), whole).view(dtype))
        return size if k >= 0 else -size

    draw = random.Random(seed)
    points: list[float] = []
    while len(points) < count:
        x = at(draw.randint(place(low), place(high)))
        if abs(x) >= np.finfo(dtype).tiny:
            points.append(x)
    return np.array(points, dtype)


def worst(function: Callable[..., Any], candidate: Callable[..., Any], points: np.ndarray) -> tuple[float, float]:
    """Bits that a candidate for an elementwise function loses at the worst of points, in value and in derivative."""
    x = jnp.asarray(points)

    def slope(f: Callable[..., Any]) -> Callable[..., Any]:
        return jax.grad(lambda v: jnp.sum(f(v)))

    found = []
    for reference, computed in ((function, candidate), (slope(function), slope(candidate))):
        traced = trace(reference, x)
        found.append(max(lost(jax.jit(computed)(x), exact(traced.graph, traced.leaves), points.dtype)))
    return found[0], found[1]
