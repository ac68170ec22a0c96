"""How closely an integral can be told whose integrand holds rounded constants.

A program that says 0.1 in float32 holds another number, which is off by up to u = 2^-24 of it. Proofs are about the
number that it holds; whoever reads them means 0.1, and so no bounds are told that are closer than

    4 u (4 + |log I|)      in parts of the value I:

a constant that is off by a share u moves exp(c x), P(X > c) and the like by a share u |log I| and a small factor.
Numbers with few digits (0.5, 3, 1024) are held exactly, and cost nothing.
"""

from __future__ import annotations

import math

import numpy as np

from qed.domains.widened import largest_rounding, rounding_of
from qed.graph.trace import Traced

FACTOR = 4
"""How many roundings are allowed for."""
ROUNDED = "the program holds constants such as 0.1 rounded to its precision: no closer bounds are told"
"""What is said where that counts."""


def room_of_constants(traced: Traced, size: float, logarithm: bool = False) -> float:
    """The least half-width of bounds about a value of that size; 0 where no constant of the program is rounded.

    Args:
        traced: the program.
        size: about how large the value is, or the terms that it is the sum of.
        logarithm: whether the value is a logarithm, whose absolute error counts.

    >>> import jax.numpy as jnp
    >>> from qed.graph.trace import trace
    >>> from qed.integration.constants import room_of_constants
    >>> [room_of_constants(trace(lambda x, c=c: c * x, jnp.float32(1.0)), 1.0) < 1e-9 for c in (0.5, 0.1)]
    [True, False]
    """
    given = [rounding_of(leaf, np.asarray(leaf).dtype) for leaf in traced.leaves[1:] if np.asarray(leaf).size]
    unit = max(largest_rounding(traced.graph), *given, 0.0)
    if not unit or not math.isfinite(size):
        return 0.0
    if logarithm:
        return FACTOR * unit * (4 + abs(size))
    return FACTOR * unit * size * (4 + abs(math.log(size))) if size > 0 else 0.0
