"""What a function is at some points, in balls: the number beside which a computed one has lost digits.

The graph of the function as written is walked once for all points, in balls of 288 bits (`qed.domains.ball`). Where a
ball is narrower than half a unit of float64, its middle is the truth; elsewhere nothing is known, and the result is
NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from qed.domains.ball import Ball, precision
from qed.domains.balls import Balls, objects
from qed.graph import jaxpr
from qed.graph.dtypes import is_real
from qed.graph.walk import Unknown, Walker

BITS = 288
KNOWN = 54
"""How many bits of a number are to be known."""
NOTHING = 2.0**-1070
"""What is surely smaller is 0."""


def in_balls(function: Callable[..., Sequence[Any]], points: Sequence[np.ndarray]) -> list[np.ndarray] | None:
    """The results of a function at points, in float64; NaN where they are not known, None where no rule tells them.

    Args:
        function: (arrays of one point) -> list of arrays.
        points: for each argument its values at all points.

    Example:
        >>> import jax.numpy as jnp
        >>> in_balls(lambda x: [jnp.exp(x) - 1, jnp.log(x)], [np.array([1e-30, -1.0], np.float32)])[0]
        array([ 1.00000000e-30, -6.32120559e-01])
        >>> in_balls(lambda x: [jnp.log(x)], [np.array([1.0, -1.0], np.float32)])
        [array([ 0., nan])]
    """
    traced = jax.make_jaxpr(jax.vmap(lambda *xs: list(function(*xs))))(*points)
    graph = jaxpr.Reader().graph(traced)
    with precision(BITS) as flint:
        given = [
            Balls(objects(list(map(flint.arb, x.ravel().tolist())), x.shape)) if is_real(x.dtype) else x
            for x in map(_wide, points)
        ]
        cells = Walker([Ball(BITS)]).run(graph, given)
        found = [cell.values[0] for cell in cells]
        if any(isinstance(value, Unknown) for value in found):
            return None
        return [_middle(Ball(BITS).number(value)) for value in found]


def _wide(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64) if is_real(x.dtype) else x


def _middle(balls: Balls) -> np.ndarray:
    """The numbers in the middle of balls that are narrow enough."""
    found = np.array([float(b.mid()) if _known(b) else np.nan for b in balls.array.ravel()]).reshape(balls.shape)
    for lost in (balls.doubt.undefined, balls.doubt.infinite):
        found = found if lost is None else np.where(lost, np.nan, found)
    return found


def _known(ball: Any) -> bool:
    return ball.is_finite() and (ball.is_exact() or ball.rel_accuracy_bits() > KNOWN or ball.abs_upper() < NOTHING)


__all__ = ["in_balls"]
