"""The certificate of a KKT point in a box, as it is made before it is verified: its distance and its values.

The point lies within |center - x| + radius of x, added up outward, and the values of f on the box are enclosed in
padded intervals, or in balls where these have no rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qed.certificates.certificate import Subject
from qed.certificates.kkt_point import KKTPoint
from qed.domains.ball_boxes import BITS, BallBoxes
from qed.domains.padded_jets import PaddedBoxes
from qed.domains.precision import precision
from qed.graph.trace import Traced

Array = np.ndarray
MANY = 1000
"""A program that holds an array of more numbers adds up many."""


def boxed(
    subject: Subject,
    point: Array,
    center: Array,
    radius: Array,
    *,
    bounds: tuple[Array, Array],
    held: tuple[Array, Array],
    rows: Sequence[int] = (),
    equalities: int = 0,
) -> KKTPoint:
    """The certificate about a box of x and multipliers, not verified yet.

    Args:
        subject: the function (f, h..., g...) in one vector.
        point: the vector that was asked about.
        center: the middle of the box, of x and then of the multipliers of `rows`.
        radius: its half-widths; 0 for numbers that stand at a bound.
        bounds: the bounds of x.
        held: the numbers of x at their lower bound, and at their upper one.
        rows: the rows that hold.
        equalities: how many of the first rows are equalities.
    """
    n, traced = len(point), subject.once
    away = np.abs(center[:n] - point) * (1 + 2.0**-50) + radius[:n]
    distance = float(np.nextafter(np.linalg.norm(away) * (1 + 2.0**-40), np.inf)) if np.any(away) else 0.0
    held_by = KKTPoint.fields_of(
        equalities, rows, center.tolist(), radius.tolist(), distance, values(traced, center[:n], radius[:n]),
        held[0].tolist(), held[1].tolist(), bounds,
    )  # fmt: skip
    return KKTPoint.at_point(subject, **held_by)


def values(traced: Traced, center: Array, radius: Array) -> tuple[float, float]:
    """Bounds of f on a box, with a little to spare."""
    varies = radius > 0
    low = np.where(varies, np.nextafter(center - radius, -np.inf), center)
    high = np.where(varies, np.nextafter(center + radius, np.inf), center)
    boxes = PaddedBoxes(traced)
    found: Any = boxes.arrays(low, high, 1, np.zeros(0, int))
    if found is not None and all(np.isfinite(end[0, 0]) for end in found):
        least, most = float(found[0][0, 0]), float(found[1][0, 0])
    else:
        ends = BallBoxes(traced, 0).range(low, high)
        with precision(BITS):
            least, most = float(ends[0].lower()), float(ends[1].upper())
    room = 1e-15 * (1 + max(abs(least), abs(most)))
    if boxes.weight > MANY:  # the sums of many numbers round otherwise beside a bound
        room += 2.0**-10 * (most - least)
    return least - room, most + room
