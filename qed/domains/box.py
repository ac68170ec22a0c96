"""Boxes: for each number of an argument an interval, the argument being any tree of arrays.

`Box(lower, upper)` holds two trees; each side may be a prefix of the other (one number for a whole array, None or an
infinity where nothing bounds), and scalars are broadcast. Whole numbers are ends like others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.errors import QedError
from qed.graph.dtypes import is_real

WRONG = "this is no box"


@dataclass(frozen=True)
class Interval:
    """All real numbers from lower to upper.

    >>> from qed.domains.box import Interval
    >>> 1.5 in Interval(1.0, 2.0), Interval(1.0, 2.0).width
    (True, 1.0)
    """

    lower: float
    upper: float

    @property
    def width(self) -> float:
        """How long it is."""
        return self.upper - self.lower

    def __contains__(self, number: float) -> bool:
        return self.lower <= number <= self.upper


@dataclass(frozen=True)
class Box:
    """Bounds of an argument: two trees of arrays, prefixes of one another.

    >>> from qed.domains.box import Box
    >>> Box(-1.0, 2.0).lower, Box({"w": 0.0}, 1.0).upper
    (-1.0, 1.0)
    """

    lower: Any
    upper: Any


def spread(box: Any) -> tuple[Any, list[np.ndarray], list[np.ndarray]]:
    """Return an example of the argument, and the lower and upper ends of its arrays in float64.

    Args:
        box: a `Box` or a pair (lower, upper).

    Raises:
        QedError: QED007 where the two sides do not fit, an end is NaN or above the other; QED003 where an end is no
            real floating-point number.

    >>> from qed.domains.box import spread
    >>> example, lower, upper = spread((0, [1.0, 2.0]))
    >>> example, [float(x) for x in lower]
    ([1.0, 2.0], [0.0, 0.0])
    """
    lower, upper = (box.lower, box.upper) if isinstance(box, Box) else _pair(box)
    shape = _shape_of(lower, upper)
    tree = jax.tree.structure(shape)
    sides = _sides(lower, upper, shape)
    leaves = [_example(leaf) for leaf in jax.tree.leaves(shape)]
    example = jax.tree.unflatten(tree, leaves)
    return example, sides[0], sides[1]


def spread_over(box: Any, x: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the lower and upper ends in float64, one array for each array of a point of the box.

    Args:
        box: a `Box` or a pair (lower, upper), each side a prefix of x, whose scalars are for all numbers below.
        x: a tree of arrays.

    Raises:
        QedError: as `spread` does.

    >>> from qed.domains.box import spread_over
    >>> import numpy as np
    >>> [end[0].tolist() for end in spread_over((0, None), np.zeros(2))]
    [[0.0, 0.0], [inf, inf]]
    """
    lower, upper = (box.lower, box.upper) if isinstance(box, Box) else _pair(box)
    sides = _sides(lower, upper, x)
    return sides[0], sides[1]


def _sides(lower: Any, upper: Any, shape: Any) -> list[list[np.ndarray]]:
    """Both sides in the shape of a tree, or an error where they are no box."""
    sides = [_ends(side, shape, sign) for side, sign in ((lower, -1), (upper, 1))]
    for a, b in zip(*sides, strict=True):
        if np.any(np.isnan(a) | np.isnan(b)):
            because = "an end of the box is NaN"
            raise _wrong(because)
        if np.any(a > b):
            because = f"a lower end of the box, {float(a[a > b][0])!r}, is above its upper end"
            raise _wrong(because)
        if np.any(np.isposinf(a) | np.isneginf(b)):
            because = "no real number lies between two equal infinities"
            raise _wrong(because)
    return sides


def _pair(box: Any) -> tuple[Any, Any]:
    if isinstance(box, tuple | list) and len(box) == 2:
        return box[0], box[1]
    because = f"a box is qed.Box(lower, upper) or that pair, not {type(box).__name__}"
    if any(hasattr(leaf, "dtype") for leaf in jax.tree.leaves(box)):
        because = f"{because}: a point x has one end where a box has two"
        instead = "give two ends: qed.Box(lower, upper), arrays like x; about a point, qed.Box(x - 1.0, x + 1.0)"
        raise QedError("QED007", WRONG, because, instead)
    raise _wrong(because)


def _shape_of(lower: Any, upper: Any) -> Any:
    """The side that says more: more leaves, or larger ones."""
    size = [(len(jax.tree.leaves(s)), sum(np.size(leaf) for leaf in jax.tree.leaves(s))) for s in (lower, upper)]
    shape = lower if size[0] > size[1] else upper
    if not jax.tree.leaves(shape):
        because = "both sides of the box are open: say at one of them which arrays there are"
        raise _wrong(because)
    return shape


def _ends(side: Any, shape: Any, sign: int) -> list[np.ndarray]:
    try:
        wide = jax.tree.broadcast(side, shape, is_leaf=lambda x: x is None)
        found = jax.tree.leaves(wide, is_leaf=lambda x: x is None)
        pairs = list(zip(found, jax.tree.leaves(shape), strict=True))
        return [_broadcast(_number(end, sign), np.shape(like)) for end, like in pairs]
    except (ValueError, TypeError) as error:
        because = f"its two sides do not fit: {error}"
        raise _wrong(because) from None


def _broadcast(end: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.array(np.broadcast_to(end, shape))
    except ValueError:
        because = f"an array of shape {end.shape} does not fill one of shape {shape}"
        raise ValueError(because) from None


def _number(end: Any, sign: int) -> np.ndarray:
    if end is None:
        return np.array(sign * np.inf)
    if isinstance(end, int) and not isinstance(end, bool):
        return np.array(float(end))
    array = np.asarray(end)
    if array.dtype.kind in "iu" and np.all(np.abs(array.astype(np.float64)) <= 2.0**53):
        return array.astype(np.float64)
    if not is_real(array.dtype):
        because = f"its dtype is {array.dtype}"
        raise QedError("QED003", "an end of the box is no floating-point number", because, "give floats")
    return array.astype(np.float64)


def _example(leaf: Any) -> Any:
    """A value like the argument; where it lies is of no account, except that functions may look at its dtype."""
    if isinstance(leaf, int | float):
        return float(leaf)
    return np.zeros(np.shape(leaf), leaf.dtype if is_real(leaf.dtype) else jnp.result_type(float))


def _wrong(because: str) -> QedError:
    return QedError("QED007", WRONG, because, "give qed.Box(lower, upper) with lower <= upper")
