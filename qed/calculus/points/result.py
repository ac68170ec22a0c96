"""What a point is, as the value of `qed.critical_point`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np


class Kind(StrEnum):
    """What a point is; equal to its own text, ``Kind.SADDLE == 'saddle'``.

    The signs of the curvatures (the eigenvalues of the Hessian) at a critical point decide: all positive, a strict
    local minimum; all negative, a strict local maximum; of both signs, a saddle; none of these, some being zero:
    degenerate, and the second derivatives alone cannot tell.
    """

    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    SADDLE = "saddle"
    DEGENERATE = "degenerate"
    NOT_CRITICAL = "not_critical"
    UNDECIDED = "undecided"


def kind_of(negative: int, positive: int) -> Kind:
    """The kind of a critical point all of whose curvatures have a sign.

    >>> str(kind_of(0, 2)), str(kind_of(1, 0)), str(kind_of(1, 1))
    ('minimum', 'maximum', 'saddle')
    """
    return Kind.MINIMUM if not negative else Kind.MAXIMUM if not positive else Kind.SADDLE


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction through the point along which something is said.

    Args:
        vector: of length one, a tree like the argument.
        curvature: the second derivative along it; 0 where it is flat.
        shares: (name, share of the squared length) of the parameters it consists of, largest first.
        why: for a flat direction what leaves the function as it is, checked by moving along it; '' where none is known.
        third, fourth: for a flat direction the third and fourth derivative along it.
    """

    vector: Any
    curvature: float
    shares: tuple[tuple[str, float], ...]
    why: str = ""
    third: float | None = None
    fourth: float | None = None

    def named(self) -> str:
        """The parameters that make up most of it: '90 % w[0]'.

        >>> Direction(None, 1.0, (("w[0]", 0.9), ("w[1]", 0.1))).named()
        '90% w[0], 10% w[1]'
        """
        return ", ".join(f"{share:.0%} {name}" for name, share in self.shares if share >= 0.05)


@dataclass(frozen=True, eq=False)
class CriticalPoint:
    """What a point is.

    Args:
        kind: see `Kind`.
        nature: of a degenerate point, what derivatives of higher order, motions that leave f as it is, or its convexity
            say: 'minimum', 'maximum', 'neither', or ''.
        moving: the nature is told by motions of the point that leave f as it is: other points there are like it.
        strict: the nature is told by derivatives of higher order along all flat directions: no point nearby is like it.
        everywhere: the nature holds beside all points, f being convex or concave where it is defined.
        point: the middle of the enclosure of the critical point, a tree like the argument, in float64; None if unknown.
        distance: the critical point is within this distance of the given one (Euclidean); inf if unknown.
        gradient: |grad f| at the given point.
        rounding: how large it could be there by rounding alone.
        negative, positive, flat: how many curvatures are negative, positive, and zero up to rounding.
        curvatures: the eigenvalues of the Hessian that were computed, ascending.
        directions: those of the most negative curvature, and the flat ones.
    """

    kind: Kind
    nature: str = ""
    point: Any = None
    distance: float = float("inf")
    gradient: float = float("nan")
    rounding: float = float("nan")
    negative: int = 0
    positive: int = 0
    flat: int = 0
    curvatures: np.ndarray | None = None
    directions: tuple[Direction, ...] = ()
    moving: bool = False
    everywhere: bool = False
    strict: bool = False
