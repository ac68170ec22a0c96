"""A point within bounds: the slope presses against those that hold, and f bends upwards along the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from qed.answer import Answer
from qed.calculus.critical import critical_within
from qed.calculus.points.overall import WORK
from qed.optimization.across import falling
from qed.optimization.corner import in_the_corner, of_bounds
from qed.optimization.many import among_many
from qed.optimization.point import (
    Judged,
    as_tree,
    bends_beyond,
    falls,
    jumped,
)
from qed.optimization.proving import proved
from qed.optimization.running import curvatures
from qed.optimization.solution import Ending, Verdict
from qed.optimization.stopped import stopped_short
from qed.optimization.where_flat import where_flat

Array = np.ndarray
NEAR = 1e-3
"""A minimum is near where slope and gain are smaller than this part of how f varies."""


def in_the_box(case: Judged) -> Answer[Verdict]:
    """With bounds: the slope presses against those that hold, and the others, weakly held ones too, bend upwards."""
    here, box = case.here, case.bounds
    held = box.held(here.x, here.g)
    found = curvatures(case.objective, here, box)
    if found is None:
        many = among_many(case)
        return stopped_short(case, {}) if many is None else many
    values, vectors = found
    ends = {} if not len(values) else {"lowest": float(values[0]), "highest": float(values[-1])}
    count, scale = int(held.sum()), case.extent(ends.get("highest", 0.0))
    if (
        len(values)
        and values[0] < -max(1e-8, case.rounding(len(values))) * max(abs(values[-1]), 1e-300)
        and falls(case, [vectors[:, 0]])
    ):
        way = case.named(vectors[:, 0])
        text = f"Not a minimum: {of_bounds(count)}along {way} f falls, with a curvature of {values[0]:.3g}."
        kind = Ending.SADDLE if case.left <= 1e-3 * max(scale, abs(values[0])) else Ending.NOT_STATIONARY
        return case.says(kind, text, direction=as_tree(case, vectors[:, 0]), **dict[str, Any](ends))
    if len(values) and values[0] < -max(1e-8, case.rounding(len(values))) * abs(values[-1]):
        corner = in_the_corner(case, held)
        if corner is not None:
            return corner
    free = np.where(held, 0.0, box.slope(here.x, here.g))
    gain = 0.0
    if len(values) and values[0] > case.rounding(len(values)) * abs(values[-1]):
        gain = 0.5 * float(np.sum((vectors.T @ free) ** 2 / values))
        if not bends_beyond(case, -vectors @ ((vectors.T @ free) / values), float(values[0])):
            return stopped_short(case, ends)
    elif len(values):
        zero = max(1e-8, case.rounding(len(values))) * abs(values[-1])
        if case.left <= 1e-6 * scale and values[0] >= -zero:
            level = not falls(case, list(vectors.T[:1]))
            if level and (jump := jumped(case, 0.0, ends)) is not None:
                return jump
            if level and np.all((here.x > box.lower) & (here.x < box.upper)):
                part: Any = critical_within(*case.asked, WORK, here.f)
                if part.value is not None and part.value.kind == "degenerate":
                    return where_flat(case, part)
            flats = list(vectors.T[np.abs(values) <= zero])
            if (way := falling(case, flats)) is not None:
                text = f"Not a minimum: {of_bounds(count)}f falls along a direction that does not bend, or beside it."
                return case.says(Ending.SADDLE, text, direction=as_tree(case, way), **dict[str, Any](ends))
            if level:
                text = (
                    f"A flat minimum as far as was looked: {of_bounds(count)}along some direction "
                    f"{'of the others ' * (count > 0)}f bends by no more than rounding explains."
                )
                return case.says(Ending.FLAT_MINIMUM, text, **dict[str, Any](ends))
        return stopped_short(case, ends)
    if (jump := jumped(case, gain, ends)) is not None:
        return jump
    if gain <= max(case.noise, 1e-10 * scale) and case.left <= 1e-4 * scale:
        text = (
            f"A minimum in the box: {count} of {len(held)} parameters are held by bounds, the others bend upwards"
            + (f" (curvatures from {values[0]:.3g})" if len(values) else "")
            + f"; by the quadratic model f falls by no more than {gain:.2g}."
        )
        return proved(case, case.says(Ending.MINIMUM, text, decrease=gain, **dict[str, Any](ends)), here.x)
    if case.left <= NEAR * scale and gain <= NEAR * scale:
        text = f"A minimum in the box, near the point: by the quadratic model f falls by {gain:.2g} to it."
        near = proved(case, case.says(Ending.MINIMUM, text, decrease=gain, **dict[str, Any](ends)), here.x)
        if near.proved:
            return near
    return stopped_short(case, ends)
