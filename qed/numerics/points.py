"""The points at which a function is tried: one that is given, or some of all magnitudes in a box."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.domains.box import spread
from qed.errors import QedError

RANDOM = 24
FAR, NEAR = 1e4, 1e-8
"""Magnitudes that are tried where a box is open, and around 0."""


def points_of(fun: Callable[..., Any], at: Any, box: Any) -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
    """The arguments of a function by way of example, and at all points to try.

    Args:
        fun: the function.
        at: its argument, or the tuple of its arguments where it takes several.
        box: a box of the first argument, or None.

    Raises:
        QedError: QED007 or QED003 for what is no box; QED007 where arguments are missing.

    Example:
        >>> args, points = points_of(lambda x: x, None, (0.0, 1.0))
        >>> args, len(points), sorted(float(p[0]) for p in points)[-1]
        ((Array(0., dtype=float32),), 27, 1.0)
    """
    given = () if at is None else at if isinstance(at, tuple) and needed(fun) > 1 else (at,)
    if box is None:
        _enough(fun, given)
        return given, [given]
    example, lower, upper = spread(box)
    tree = jax.tree.structure(example)
    first = given[0] if given else example
    if jax.tree.structure(first) != tree:
        raise QedError(
            "QED007",
            "the box does not fit at",
            "the box and the first argument are different trees",
            "give both the same structure",
        )
    dtypes = [jnp.result_type(leaf) for leaf in jax.tree.leaves(first)]
    tries = [
        (jax.tree.unflatten(tree, [jnp.asarray(x, d) for x, d in zip(point, dtypes, strict=True)]), *given[1:])
        for point in _inside(lower, upper)
    ]
    _enough(fun, tries[0])
    return tries[0], tries


def needed(fun: Callable[..., Any]) -> int:
    """How many positional arguments a function has to be given."""
    try:
        parameters = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):
        return 1
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    several = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    return max(2 if several else 0, sum(p.kind in kinds and p.default is p.empty for p in parameters))


def _enough(fun: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        inspect.signature(fun).bind(*args)
    except ValueError:
        return
    except TypeError as error:
        raise QedError(
            "QED007",
            "at does not fit the function",
            f"{error}: {len(args)} given",
            "give at=(x, y, ...), one for each argument",
        ) from error


def _inside(lower: list[np.ndarray], upper: list[np.ndarray]) -> list[list[np.ndarray]]:
    low = [
        np.where(np.isfinite(a), a, np.where(np.isfinite(b), b - FAR, -FAR)) for a, b in zip(lower, upper, strict=True)
    ]
    high = [
        np.where(np.isfinite(b), b, np.where(np.isfinite(a), a + FAR, FAR)) for a, b in zip(lower, upper, strict=True)
    ]
    points = [low, high, [a / 2 + b / 2 for a, b in zip(low, high, strict=True)]]
    generator = np.random.default_rng(0)
    for number in range(RANDOM):
        share = [generator.random(a.shape) for a in low]
        if number % 2:
            points.append([a + (b - a) * s for a, b, s in zip(low, high, share, strict=True)])
        else:
            points.append([_magnitude(a, b, generator) for a, b in zip(low, high, strict=True)])
    return points


def _magnitude(low: np.ndarray, high: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A number of random magnitude between two ends; beside an end or around 0, whichever lies in the box."""
    top = np.maximum(np.maximum(np.abs(low), np.abs(high)), NEAR)
    size = np.exp(generator.uniform(np.log(NEAR * top), np.log(top)))
    sign = generator.choice([-1.0, 1.0], low.shape)
    return np.clip(
        np.where((low < 0) & (high > 0), sign * size, np.where(low >= 0, low + size, high - size)), low, high
    )
