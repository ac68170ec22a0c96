"""What a point without slope and without curvature is, where its slopes are exactly zero: what f does around it.

-x^4 has a maximum at 0, x^3 none and no minimum either, whatever f does far away; that it is unbounded below besides is
said as well. Derivatives of higher order decide where they can (`qed.calculus.points.flat`). Where they do not, f is
looked at on lines through the point, at three distances: lower on some line and higher on another, it is a saddle.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from qed.answer import Answer
from qed.certificates.flat_direction import FlatDirection
from qed.certificates.overall_point import OverallPoint
from qed.findings import Finding
from qed.optimization.across import falling
from qed.optimization.edges import is_step
from qed.optimization.point import Judged, as_tree, fall_for_ever, ways
from qed.optimization.roundings import lost
from qed.optimization.running import curvatures
from qed.optimization.solution import Ending, Verdict

Array = np.ndarray
DISTANCES = (1e-1, 1e-2, 1e-3)
"""At which distances, relative to max(1, |x|), f is compared with its value at the point."""
DRAWN = 8
"""Along how many lines more, drawn with a fixed seed."""


def by_higher(case: Judged, part: Answer[Any], nature: str, flats: list[Array]) -> Answer[Verdict] | None:
    """The answer that a point is a maximum or a saddle; None where it may be a minimum, or its slopes are rounding.

    Args:
        case: the point.
        part: what `qed.critical_point` says: proved where slopes and some curvature are exactly zero.
        nature: what derivatives of higher order say: 'minimum', 'maximum', 'neither', or ''.
        flats: the directions without curvature.
    """
    steps = any(is_step(equation) for equation in case.objective.function.graph.walk())
    if not part.proved or nature == "minimum" or case.left > 0 or steps:
        return None
    kind, sure = {"maximum": Ending.MAXIMUM, "neither": Ending.SADDLE}.get(nature), ""
    if kind is None:
        lower, higher = _around(case, flats)
        if not lower:
            return None
        kind, sure = (Ending.SADDLE if higher else Ending.MAXIMUM), " as far as was looked"
    value: Any = part.value
    down = falling(case, flats) if kind is Ending.SADDLE else None
    way = as_tree(case, down) if down is not None else value.directions[0].vector if flats else None
    made = part.certificate
    flat = made.inner()[0] if isinstance(made, OverallPoint) else made
    order = flat.order if isinstance(flat, FlatDirection) else 0
    what = {Ending.MAXIMUM: "A maximum", Ending.SADDLE: "A saddle, and no minimum"}[kind]
    path = "curve" if nature else "line"
    where = (
        "f is lower all around" if kind is Ending.MAXIMUM else f"f is lower on one {path} through it and higher on one"
    )
    count = "a direction" if len(flats) == 1 else f"{len(flats)} directions"
    text = f"{what}{sure}: the slope is 0, f does not bend along {count}, and "
    text += f"{'by derivatives of higher order ' if nature else ''}{where}."
    answer: Answer[Verdict] = case.says(kind, text, parts=(part,), direction=way)
    overall = isinstance(made, OverallPoint)
    decided = order > 0 and (len(case.here.x) == 1 or (nature == "neither" and order % 2 == 1))
    if overall:
        text = f"{what}: the slope is 0, and f is concave where it is defined, so that no point is higher."
    elif decided:
        text = f"{what}: the slope is 0, f does not bend along {count}, and by the derivative of order {order} {where}."
    if overall or decided:
        answer = replace(
            answer, claim=part.claim, standing=part.standing, certificate=made, arithmetic=part.arithmetic,
            headline=text, reasons=part.reasons,
        )  # fmt: skip
    far = fall_for_ever(case, case.here, [sign * v for v in flats for sign in (1.0, -1.0)])
    far = fall_for_ever(case, case.here, ways(case, None)) if far is None else far
    if far is None:
        return answer
    headline = f"{answer.headline} Far from it: {str(far.headline)[:1].lower()}{str(far.headline)[1:]}"
    code = "QED306" if far.value is not None and far.value.kind is Ending.UNBOUNDED_BELOW else "QED423"
    return replace(answer, headline=headline, findings=(*answer.findings, Finding(code, str(far.headline))))


def overall(answer: Answer[Verdict], part: Answer[Any]) -> Answer[Verdict]:
    """The answer that a point is a flat minimum, with the proof that no point is lower.

    Args:
        answer: that it is a flat minimum.
        part: what `qed.critical_point` proved of it.
    """
    return replace(
        answer, claim=part.claim, standing=part.standing, certificate=part.certificate, arithmetic=part.arithmetic,
        reasons=part.reasons,
    )  # fmt: skip


def _around(case: Judged, flats: list[Array]) -> tuple[bool, bool]:
    """Whether f is lower on one line through the point, at all distances, and whether it is higher on one."""
    objective, here, n = case.objective, case.here, len(case.here.x)
    found = curvatures(objective, here, case.bounds)
    lines = [*flats, *np.random.default_rng(case.seed).standard_normal((DRAWN, n))]
    lines += [] if found is None else [found[1][:, 0], found[1][:, -1]]
    size, lower, higher = max(1.0, float(np.linalg.norm(here.x))), False, False
    least = 2 * case.noise + lost(objective, here.x)
    for line in lines:
        for sign in (1.0, -1.0):
            move = sign * size * line / np.linalg.norm(line)
            rises = np.array([objective.at(here.x + t * move).f - here.f for t in DISTANCES])
            lower |= bool(np.all(rises < -least))
            higher |= bool(np.all(rises > least))
    return lower, higher
