"""The exponent of an enclosed number, read from the bits of its format.

A positive float m 2^e is stored as the integer (e + bias) 2^p + fraction, so that for positive x < y the stored
integers are ordered too: those of all floats next to the numbers of [a, b] lie between those next to a and to b.
Shifted by p bits to the right they are one integer where a and b have one exponent,

    floor(log2 a) = floor(log2 b),

and the exponent is known although the fraction is not. Programs that scale by a power of two ask for no more.

Reference: IEEE Std 754-2019, section 3.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.domains.balls import Balls
from qed.domains.known import Known
from qed.graph.dtypes import is_real
from qed.graph.graph import Equation


def stored(lower: np.ndarray, upper: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """The ends of the integers stored for the floats next to the numbers of [lower, upper]; None unless positive.

    Example:
        >>> low, high = stored(np.array(1.9), np.array(1.91), "float32")
        >>> int(low) >> 23, int(high) >> 23
        (127, 127)
    """
    kind = np.dtype(dtype)
    if not (np.all(lower > 0) and np.all(upper <= float(jnp.finfo(kind).max)) and np.all(lower <= upper)):
        return None
    unsigned = np.dtype(f"u{kind.itemsize}")
    ends = []
    for end, outward in ((lower, -np.inf), (upper, np.inf)):
        near = np.asarray(end, np.float64).astype(kind)
        integers = np.asarray(near.view(unsigned)).astype(np.float64)
        inexact = near.astype(np.float64) != end
        step = np.where(inexact, np.sign(outward), 0.0)
        rounded = inexact | (kind.itemsize == 8)  # 63 bits are rounded to 53
        ends.append(np.where(rounded, np.nextafter(integers + step, outward), integers))
    return ends[0], ends[1]


def by_exponent(equation: Equation, inputs: Sequence[Any]) -> Any:
    """Balls of the bits of positive floats, or such bits shifted to the right and decided; None for all else."""
    if equation.primitive not in ("bitcast_convert_type", "shift_right_logical"):
        return None
    value, *rest = inputs
    if not isinstance(value, Balls) or value.doubt:
        return None
    lower, upper = value.bounds
    given, made = equation.inputs[0].dtype, np.dtype(equation.outputs[0].dtype)
    if equation.primitive == "bitcast_convert_type" and is_real(given) and made.kind == "u":
        found = stored(lower, upper, given) if made.itemsize == np.dtype(given).itemsize else None
        return None if found is None else Balls.between(*found)
    if equation.primitive != "shift_right_logical" or not isinstance(rest[0], Known) or not np.all(lower >= 0):
        return None
    parts = 2.0 ** np.asarray(rest[0].array).astype(np.float64)
    low, high = np.floor(lower / parts), np.floor(upper / parts)
    return Known(low.astype(made)) if np.array_equal(low, high) else None


__all__ = ["by_exponent", "stored"]
