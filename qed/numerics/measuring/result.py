"""What `qed.precision` found, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from qed.numerics.measuring.blame import Blame


class Against(StrEnum):
    """Which number an error is divided by."""

    ITSELF = "the number itself"
    LARGEST = "the largest number of its array"
    ONE = "1, because the number is zero"


@dataclass(frozen=True)
class Leaf:
    """An array that was judged: the value, or the gradient in one array of parameters.

    Args:
        path: its name, such as ``w['W']``; '' for a function that returns one number.
        bits_lost: of the element that lost most; None where it is not known.
        element: which element that is.
        result: what was computed there.
        truth: what is meant there, to float64.
        against: what the error is relative to.
        elementwise: bits lost by the worst element relative to itself, and which one; of a gradient this may be an
            element that is small beside the others of its array.
    """

    path: str
    bits_lost: float | None
    element: tuple[int, ...] = ()
    result: float | None = None
    truth: float | None = None
    against: Against = Against.ITSELF
    elementwise: tuple[float, tuple[int, ...]] | None = None

    @property
    def name(self) -> str:
        """The element as the user would write it: ``w['W'][3, 0]``."""
        index = f"[{', '.join(map(str, self.element))}]" if self.element else ""
        return f"{self.path}{index}"


@dataclass(frozen=True, eq=False)
class Precision:
    """How many digits a function loses at a point, and where.

    Args:
        bits_lost: of the value (of an array, of its worst element); None where it is not known.
        gradient_bits_lost: of the gradient: the largest over its arrays; None where it is not known.
        bits: how many bits the dtype of the value has: 24 for float32, 53 for float64.
        dtype: of the value.
        outputs: the arrays of the value; `gradient` those of the gradient.
        equations: who is to blame for the value's error, the largest share first; `gradient_equations` for that of
            the worst element of the gradient, in the gradient's own program.
        reference: what the truth was computed in: 'ball' or 'float64', for value and gradient.
        point: the worst point that was found in a box; None without a box.
        tried: how many points were looked at.
        inherent: of the value and of the gradient: how many bits rounding x and args alone would lose; no other
            formula for the same function is expected to lose fewer.
        at_most: where the bits are not known, how many are lost at most by a first-order estimate.
    """

    bits_lost: float | None
    gradient_bits_lost: float | None
    bits: int
    dtype: str
    outputs: tuple[Leaf, ...]
    gradient: tuple[Leaf, ...] = ()
    equations: tuple[Blame, ...] = ()
    gradient_equations: tuple[Blame, ...] = ()
    reference: tuple[str, str] = ("ball", "ball")
    point: Any = None
    tried: int = 1
    at_most: float | None = None
    inherent: tuple[float | None, float | None] = (None, None)

    @property
    def worst(self) -> Leaf:
        """The output that lost most."""
        return max(self.outputs, key=lambda leaf: -1.0 if leaf.bits_lost is None else leaf.bits_lost)
