"""Functions on boxes whose shape is known: the corpus that `qed.convexity` is examined with.

f is convex on a box if f(½(x + y)) <= ½(f(x) + f(y)) for all x, y in it (f being continuous; Boyd and Vandenberghe,
*Convex Optimization*, 2004, section 3.1), concave if -f is, affine if both, and nonconvex here means neither. Every
label comes with one line that says why, and corpus_shapes_sampler.py tries to contradict it by segments. Four
difficulties: `rules` (composition rules suffice), `hessian` (second derivatives are needed), `trick` (written so that a
prover goes wrong: kinks, custom rules, equal names, tiny margins), `matrix` (a function of a matrix).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

CONVEX, CONCAVE, AFFINE, NEITHER = "convex", "concave", "affine", "nonconvex"
STANDING = {CONVEX: "PROVED", AFFINE: "PROVED", CONCAVE: "REFUTED", NEITHER: "REFUTED"}
INFINITY = np.inf
LINE = (-INFINITY, INFINITY)


@dataclass(frozen=True, eq=False)
class Case:
    """A function, its label and why.

    Args:
        name: unique.
        label: CONVEX, CONCAVE, AFFINE (both) or NEITHER.
        fun: the function; `box` where; `args` its data.
        why: one line of mathematics.
        segments: pairs of points at which chance would not look.
        exact: the function in Fractions or python-flint, of a flat list, where float64 cannot see the shape.
        sampled: False where neither can (the label then rests on `why` alone).
    """

    name: str
    label: str
    fun: Callable[..., Any]
    box: Any
    why: str
    args: tuple[Any, ...] = ()
    segments: tuple[tuple[Any, Any], ...] = ()
    exact: Callable[[list[Any]], Any] | None = None
    sampled: bool = True


def over(lower: float, upper: float, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """The box of arrays of a shape with all numbers between two ends."""
    return np.full(shape, lower, np.float32), np.full(shape, upper, np.float32)


def draw(*shape: int, seed: int = 0, low: int = -8, high: int = 8) -> np.ndarray:
    """An array of multiples of 1/4, which sums of a few products keep exact."""
    rng = np.random.default_rng([seed, *shape])
    return (rng.integers(low, high + 1, shape) / 4).astype(np.float32)


def signs(n: int, seed: int = 0) -> np.ndarray:
    """An array of labels -1 and 1, both of them in it."""
    y = np.sign(np.random.default_rng([seed, n, 1]).standard_normal(n)).astype(np.float32)
    y[:2] = (-1.0, 1.0)
    return y


def one_hot(rows: int, classes: int) -> np.ndarray:
    """Labels 0, 1, ..., repeated, as unit vectors."""
    return np.eye(classes, dtype=np.float32)[np.arange(rows) % classes]
