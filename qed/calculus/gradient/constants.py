"""What the rounding of constants to the program's dtype does to a comparison.

A program traced in float32 holds float32 constants: 0.79788458 where sqrt(2 / pi) was meant. The body of a function
and its rule may write one number in two ways, and then they differ by a unit in the last place of *float32*,
however exactly the rest is evaluated. So every constant that is not plainly exact (1, 0.5, ...) is moved by one unit
roundoff of its dtype, up or down at random, in rule and body independently; a difference is put down to rounding if
it is no larger than four times the largest change that a few such moves make.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.domains.widened import rounding_of
from qed.graph.graph import Atom

SAMPLES = 5
MARGIN = 4.0


class Moved:
    """Constants moved by a unit roundoff, up or down as the bits of `seed` and the order of their use say."""

    def __init__(self, seed: Any) -> None:
        self.seed = seed
        self.numbers: dict[int, int] = {}
        self.roundings: dict[int, float] = {}

    def __call__(self, atom: Atom, value: Any) -> Any:
        """The constant, moved."""
        key = id(atom)
        if key not in self.numbers:
            self.numbers[key] = len(self.numbers) + 1
            try:
                self.roundings[key] = rounding_of(np.asarray(value), atom.dtype)
            except TypeError:  # a constant that is itself traced
                self.roundings[key] = 0.0
        unit = self.roundings[key]
        if not unit:
            return value
        bits = (jnp.asarray(self.seed, np.uint32) + np.uint32(self.numbers[key])) * np.uint32(0x9E3779B1)
        bits = (bits ^ (bits >> np.uint32(15))) * np.uint32(0x846CA68B)
        return value * jnp.where((bits >> np.uint32(16)) & 1, 1.0 + unit, 1.0 - unit)
