"""Bits lost: how many digits of a result are wrong, in the unit of its own dtype.

With t the true number, r the result and u the unit roundoff of its dtype (2^-24 for float32),

    bits lost = log2(1 + |r - t| / (u max(|t|, tiny))),

so that a correctly rounded result loses at most 1 bit, and one of which nothing is right loses all p = -log2 u of them.
Below tiny, the smallest normal number, a dtype holds no relative precision, so the error is taken against tiny. Where
t is zero the relative error is undefined: the error is taken against a scale instead, and that is said.
Beyond the largest number of the dtype inf is what IEEE arithmetic returns, and no digit of the number is in it: all are
lost. Below tiny 0 is a right result: compiled code flushes what is there to zero.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, sections 1.2 and 2.1; the count
in bits is that of Panchekha et al., "Automatically improving accuracy for floating point expressions", PLDI 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.domains.ends import floats
from qed.domains.precision import flint
from qed.graph.dtypes import unit_roundoff


@dataclass(frozen=True)
class Format:
    """A floating-point format, by the numbers that matter here.

    Args:
        name: of the dtype.
        unit: half the distance from 1 to the next number.
        tiny: the smallest normal number.
        largest: the largest finite number.

    Example:
        >>> Format.of("float32").digits, Format.of("bfloat16").digits, Format.of("float64").digits
        (24.0, 8.0, 53.0)
    """

    name: str
    unit: float
    tiny: float
    largest: float

    @classmethod
    def of(cls, dtype: Any) -> Format:
        """The format of a dtype."""
        kind = np.dtype(dtype)
        info = jnp.finfo(kind)
        return cls(str(kind), unit_roundoff(kind), float(info.tiny), float(info.max))

    @property
    def least(self) -> float:
        """Below which size 0 is the right result: compiled code flushes subnormal numbers, but not those of float16."""
        return self.zero if self.name == "float16" else self.tiny

    @property
    def zero(self) -> float:
        """Below which size a truth counts as zero: half the smallest subnormal number."""
        return self.tiny * self.unit

    @property
    def digits(self) -> float:
        """How many bits it has: all that can be lost."""
        return float(-np.log2(self.unit))


def bits_lost(result: Any, truth: Any, form: Format, scale: Any = 0.0) -> np.ndarray:
    """Bits lost by each element of a result, with the truth in float64; NaN where the truth is not known.

    An infinite truth may be a number beyond float64: beside it an infinite result is not judged (NaN).

    Args:
        result: what was computed.
        truth: what is meant, in float64.
        form: the format of the result.
        scale: against which the error is taken where it is larger than the truth; 0 for a relative error.

    Example:
        >>> half = Format.of("float16")
        >>> [round(float(bits_lost(r, 1.0, half)), 2) for r in (1.0, 1 + 2**-10, 1.5, float("nan"))]
        [0.0, 1.58, 10.0, 11.0]
        >>> float(bits_lost(float("inf"), 1e6, half))
        11.0
    """
    r, t = np.broadcast_arrays(np.asarray(result).astype(np.float64), np.asarray(truth, np.float64))
    with np.errstate(all="ignore"):
        size = np.maximum(np.maximum(np.abs(t), form.tiny), scale)
        half = np.abs(r * 0.5 - t * 0.5)  # of two numbers near the end of the range the difference overflows
        error = 2 * (half / size) / form.unit
        found = np.minimum(np.log2(1 + error), form.digits)
    found = np.where(np.isfinite(r) & np.isfinite(t), found, form.digits)
    right = (r == 0) & (np.abs(t) < form.least)
    unknown = np.isnan(t) | (np.isinf(t) & (r == t))
    return np.where(unknown, np.nan, np.where(right, 0.0, found))


def bits_in_balls(result: float, truth: Any, form: Format, scale: Any = 0.0) -> tuple[float, float]:
    """Bounds of the bits that a result loses, its truth being in a ball; to be called inside `precision(bits)`.

    Example:
        >>> from qed.domains.precision import precision
        >>> with precision(100) as flint:
        ...     low, high = bits_in_balls(1.5, flint.arb(2).sqrt(), Format.of("float16"))
        >>> round(low, 6), round(high, 6)
        (6.96846, 6.96846)
    """
    arb = flint().arb
    if not np.isfinite(result):
        return (form.digits if truth.is_finite() else 0.0), form.digits
    if result == 0 and abs(truth) < form.least:
        return 0.0, 0.0
    size = abs(truth).max(arb(form.tiny)).max(arb(scale))
    error = abs(truth - arb(result)) / (size * arb(form.unit))
    if not error.is_finite():
        return 0.0, form.digits
    low, high = floats([(1 + error).log() / arb(2).log()])
    return max(0.0, min(float(low[0]), form.digits)), max(0.0, min(float(high[0]), form.digits))


def bits_of_array(
    results: Sequence[float], truths: Sequence[Any], form: Format, normwise: bool
) -> list[tuple[float, float]]:
    """Bounds of the bits lost by each element of an array, to be called inside `precision(bits)`.

    Args:
        results: the elements, as computed.
        truths: a ball for each.
        form: their format.
        normwise: whether errors are taken against the largest truth of the array; otherwise they are only where the
            truth is zero. Where all of them are zero, errors are taken against 1.
    """
    arb = flint().arb
    largest = arb(0)
    for truth in truths:
        largest = largest.max(abs(truth))
    common = largest if largest >= form.zero else arb(1)
    scales = [common if normwise or abs(truth) < form.zero else arb(0) for truth in truths]
    return [bits_in_balls(r, t, form, s) for r, t, s in zip(results, truths, scales, strict=True)]
