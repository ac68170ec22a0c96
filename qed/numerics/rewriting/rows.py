"""Some axes of an array as one, the first: the rows that a reduction adds or multiplies by halves."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp


def rows(x: Any, axes: tuple[int, ...]) -> Any:
    """The array with `axes` as its first one, and the others behind it; none of them needs to hold numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> rows(jnp.zeros((2, 3, 4)), (0, 2)).shape, rows(jnp.zeros((3, 0)), (0,)).shape
        ((8, 3), (3, 0))
    """
    kept = [a for a in range(x.ndim) if a not in axes]
    shape = math.prod(x.shape[a] for a in axes), *(x.shape[a] for a in kept)
    return jnp.transpose(x, (*axes, *kept)).reshape(shape)
