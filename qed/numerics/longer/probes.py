"""Points of all magnitudes, at which it is seen what a formula loses: drawn, and the same whenever they are drawn.

Where two numbers cancel, they are nearly equal, and what makes them so is one of few things: an argument is small or
large, arguments are near each other, or one is near a number like 1 or pi. Each point is one of

    scattered      c_i s_ij 10^U(-1, 1), c_i = 10^U(-9, 9) for each argument, all signs s_ij or only +
    moderate       U(0, 1) or N(0, 1)
    neighbours     c (1 + 10^-U(1, 7) N(0, 1)), one c = 10^U(-4, 4) for all arguments
    beside         b_i + 10^-U(1, 7) N(0, 1), b_i of 1, 0, -1, 2, pi/2, pi for each argument
    apart          s_ij 10^U(-6, 6), each number by itself
    led            c_i N(0, 1) for one number of each argument, 10^-U(1, 6) times as much for the others
    in (0, 1)      near 0, near 1 (10^-U(0, 8) from it), or anywhere, by argument
    shares         arrays whose sum is 1: nearly equal ones or not, two arrays near each other or not; numbers by
                   themselves beside them near 1 or anywhere
    directions     arrays whose norm is 1 or near it; numbers by themselves as beside shares
    mixed          each argument by one of these

Many functions are defined on a part of the line only: probabilities, positive scales. Where a function is no number at
more than half of the points, others are drawn until there are enough at which it is one (`where_defined`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from qed.graph.dtypes import is_real, unit_roundoff
from qed.graph.graph import Graph

COUNT = 512
SEED = 0
ROUNDS = 2
"""How often points are drawn again at most."""
BESIDE_ONE, FAR_BESIDE = 8, 8
"""How many neighbours a point has, and by how many units of the last place they differ from it."""
BESIDE = (1.0, 0.0, -1.0, 2.0, np.pi / 2, np.pi)


def probes(graph: Graph, count: int = COUNT, seed: int = SEED) -> list[np.ndarray]:
    """One array an input of a graph, with `count` points along its first axis, and some more.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> [x.shape for x in probes(trace(lambda x, n: x * n, jnp.zeros(3, "float32"), jnp.int32(2)).graph)]
        [(596, 3), (596,)]
    """
    rng = np.random.default_rng(seed)
    shapes = [v.shape for v in graph.inputs if is_real(v.dtype)]
    rows = [KINDS[k % len(KINDS)](rng, shapes) for k in range(count)]
    if any(math.prod(shape) > 1 for shape in shapes):
        aside = np.random.default_rng([seed, 1])
        rows += [_shares(aside, shapes) for _ in range(count // len(KINDS))]
        rows += [_directions(aside, shapes) for _ in range(count // (2 * len(KINDS)))]
    return _of_dtypes(graph, rows, rng)


def tens(graph: Graph) -> list[np.ndarray]:
    """Some more points s_ij 10^U(0, 2), all signs or only +: where exponentials and error functions are small or large.

    A function of JAX's own may lose digits there; a rewritten one should not.
    """
    rng = np.random.default_rng([SEED, 2])
    shapes = [v.shape for v in graph.inputs if is_real(v.dtype)]
    return _of_dtypes(graph, [_apart(rng, shapes, 0.0, 2.0) for _ in range(COUNT // len(KINDS))], rng)


def beside(points: Sequence[Sequence[Any]], moving: Sequence[int]) -> list[list[Any]]:
    """A point and others a few units of the last place from it: what is lost there, no rounding hides by chance.

    Several points stay as they are: what their roundings hide at one of them they do not at the others.

    Args:
        points: the inputs at each point.
        moving: positions of the inputs that move.

    Example:
        >>> found = beside([[np.float32(1), np.float32(3)]], [0])
        >>> len(found), sorted({float(x) - 1 for x, _ in found})[0] > -1e-6, {float(y) for _, y in found}
        (9, True, {3.0})
    """
    found = [list(point) for point in points]
    if len(points) > 1:
        return found
    rng = np.random.default_rng(SEED)
    for _ in range(BESIDE_ONE):
        near = list(points[0])
        for i in moving:
            x = np.asarray(near[i])
            if is_real(x.dtype):
                steps = rng.integers(-FAR_BESIDE, FAR_BESIDE + 1, x.shape).astype(np.float64)
                near[i] = (x * (1 + 2 * unit_roundoff(x.dtype) * steps).astype(x.dtype)).astype(x.dtype)
        found.append(near)
    return found


def _of_dtypes(graph: Graph, rows: Sequence[Sequence[Any]], rng: Any) -> list[np.ndarray]:
    """Points as arrays, in the dtypes of a graph's inputs; integers are 0 or 1."""
    reals = iter(zip(*rows, strict=True))
    found = []
    for variable in graph.inputs:
        if is_real(variable.dtype):
            with np.errstate(over="ignore"):
                found.append(np.stack(next(reals)).astype(variable.dtype))
        else:
            whole = rng.integers(0, 2, (len(rows), *variable.shape))
            found.append(whole.astype(variable.dtype))
    return found


def where_defined(
    graph: Graph,
    points: Sequence[np.ndarray],
    defined: Callable[[Sequence[np.ndarray]], np.ndarray],
    inside: Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]] = list,
) -> list[np.ndarray]:
    """Points, and others where a function is no number at more than half of them.

    Args:
        graph: the function, of whose inputs they are.
        points: those that were drawn already.
        defined: at which points it is a number.
        inside: moves points that are drawn to where the inputs are known to lie.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> graph = trace(lambda x: jnp.log(x) + jnp.log(1 - x), jnp.float32(1)).graph
        >>> inside = lambda points: (points[0] > 0) & (points[0] < 1)
        >>> found = where_defined(graph, probes(graph), inside)
        >>> int(inside(probes(graph)).sum()), int(inside(found).sum())
        (244, 256)
    """
    wanted = len(points[0]) // 2 - int(np.count_nonzero(defined(points)))
    found = list(points)
    for k in range(ROUNDS):
        if wanted <= 0:
            break
        others = inside(probes(graph, seed=SEED + 1 + k))
        chosen = np.flatnonzero(defined(others))[:wanted]
        found = [np.concatenate([x, y[chosen]]) for x, y in zip(found, others, strict=True)]
        wanted -= len(chosen)
    return found


def _scattered(rng: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    positive = rng.random() < 0.5
    found = []
    for shape in shapes:
        size = 10 ** rng.uniform(-9, 9) * 10 ** rng.uniform(-1, 1, shape)
        found.append(size if positive else size * rng.choice([-1, 1], shape))
    return found


def _moderate(rng: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    positive = rng.random() < 0.5
    return [rng.random(shape) if positive else rng.standard_normal(shape) for shape in shapes]


def _neighbours(rng: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    centre, near = 10 ** rng.uniform(-4, 4), 10 ** -rng.uniform(1, 7)
    return [centre * (1 + near * rng.standard_normal(shape)) for shape in shapes]


def _beside(rng: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    near = [10 ** -rng.uniform(1, 7) for _ in shapes]
    return [rng.choice(BESIDE) + e * rng.standard_normal(shape) for e, shape in zip(near, shapes, strict=True)]


def _apart(rng: Any, shapes: Sequence[tuple[int, ...]], low: float = -6.0, high: float = 6.0) -> list[Any]:
    positive = rng.random() < 0.5
    sizes = [10 ** rng.uniform(low, high, shape) for shape in shapes]
    return [size if positive else size * rng.choice([-1, 1], size.shape) for size in sizes]


def _led(rng: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    found = []
    for shape in shapes:
        values = np.asarray(rng.standard_normal(shape) * 10 ** -rng.uniform(1, 6)).ravel()
        if values.size:
            values[rng.integers(values.size)] = rng.standard_normal()
        found.append(values.reshape(shape) * 10 ** rng.uniform(-2, 2))
    return found


def _in_unit(rng: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    found = []
    for shape in shapes:
        small = 10 ** -rng.uniform(0, 8, shape)
        found.append([small, 1 - small, rng.random(shape)][rng.integers(3)])
    return found


def _shares(rng: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    """As probabilities are; the same centre for arrays of one shape."""
    near = 10 ** -rng.uniform(1, 5)
    centres = {shape: np.ones(shape) if rng.random() < 0.5 else 0.05 + rng.random(shape) for shape in shapes}
    found = []
    for shape in shapes:
        if not math.prod(shape) > 1:
            found.append(1 + near * rng.standard_normal(shape) if rng.random() < 0.75 else 3 * rng.random(shape))
            continue
        sizes = np.abs(centres[shape] * (1 + near * rng.standard_normal(shape))) + 1e-12
        found.append(sizes / sizes.sum(-1, keepdims=True))
    return found


def _directions(rng: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    """As unit vectors are, and what is near them."""
    near = 10 ** -rng.uniform(1, 8)
    found = []
    for shape in shapes:
        if not math.prod(shape) > 1:
            found.append(1 + near * rng.standard_normal(shape) if rng.random() < 0.5 else 3 * rng.random(shape))
            continue
        arrows = rng.standard_normal(shape)
        found.append(arrows / np.sqrt(np.sum(arrows**2, -1, keepdims=True)) * (1 + near * rng.standard_normal()))
    return found


def _mixed(rng: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    return [PURE[rng.integers(len(PURE))](rng, [shape])[0] for shape in shapes]


PURE: tuple[Callable[..., list[Any]], ...] = (
    _scattered, _moderate, _neighbours, _beside, _apart, _led, _in_unit,
)  # fmt: skip
KINDS = (*PURE, _scattered, _mixed)
"""By which rule each point in turn is drawn."""


__all__ = ["COUNT", "SEED", "beside", "probes", "tens", "where_defined"]
