"""Directions without small entries: random signs times numbers in [1, 1.5].

A fault in one entry of a Jacobian J shows in J v multiplied by the entry of v. Normal random numbers are near zero
now and then, and a fault in such a place is multiplied away; here every entry counts. The numbers are a hash of
position and seed (Knuth, *The Art of Computer Programming*, vol. 3, section 6.4: multiplicative hashing), so that the
same ones come out inside a compiled program and outside, on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np


def direction(shape: tuple[int, ...], seed: int, array: Any = jnp) -> Any:
    """A direction in float64.

    Args:
        shape: its shape.
        seed: which one.
        array: `jax.numpy` (under `jax.enable_x64`) or `numpy`.

    Example:
        >>> v = direction((4,), 0, np)
        >>> bool((1 <= abs(v)).all() and (abs(v) <= 1.5).all()), v.tolist() == direction((4,), 0, np).tolist()
        (True, True)
    """
    start = np.uint32(seed * 0x9E3779B1 % 2**32)
    bits = array.arange(math.prod(shape), dtype=np.uint32) + start
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        bits = (bits ^ (bits >> np.uint32(shift))) * np.uint32(factor)
    bits = bits ^ (bits >> np.uint32(16))
    size = 1.0 + (bits & np.uint32(0xFFFF)).astype(np.float64) / 131072.0
    return array.where(bits >> np.uint32(31) == 0, size, -size).reshape(shape)


def directions(shapes: Sequence[tuple[int, ...]], seed: int, array: Any = jnp) -> list[Any]:
    """One direction for each of several arrays."""
    return [direction(shape, seed * 1009 + 17 * i + 1, array) for i, shape in enumerate(shapes)]
