"""How closely an integral in many dimensions is told whose program holds rounded constants, as on the line.

See `qed.integration.constants`: a program that says 0.1 in float32 holds another number. The terms that a value is the
sum of may be larger than the value: their size is the mean of |f| at some points of the measure.
"""

from __future__ import annotations

import numpy as np

from qed.errors import QedError
from qed.graph.trace import Traced
from qed.integration.constants import ROUNDED, room_of_constants
from qed.integration.many.modes import batched
from qed.integration.many.subject import Question
from qed.integration.words import bounded

POINTS = 256
"""So many points are looked at."""


def room(question: Question, traced: Traced, value: float) -> float:
    """The least half-width of bounds about the value; 0 where no constant is rounded, or where the width was asked."""
    if question.tol is not None or not np.isfinite(value) or not room_of_constants(traced, 1.0):
        return 0.0
    if question.logarithm:
        return room_of_constants(traced, value, logarithm=True)
    return room_of_constants(traced, max(abs(value), _size(question, traced)))


def with_room(question: Question, traced: Traced, lower: float, upper: float) -> tuple[float, float]:
    """Bounds that are no closer than the constants of the program allow; of a chance, between 0 and 1."""
    middle = lower / 2 + upper / 2
    half = room(question, traced, middle)
    ends = middle - half, middle + half
    if not question.logarithm:
        ends = bounded(question.fun, question.measure.probability, *ends)
    return min(lower, ends[0]), max(upper, ends[1])


def rounded(rule: str, half: float) -> str:
    """The rule, and that constants are rounded where that is so."""
    return f"{rule}; {ROUNDED}" if half else rule


def _size(question: Question, traced: Traced) -> float:
    """The mean of |f| times the mass, by a few points; 0 where the measure has no points to draw."""
    try:
        points, mass = question.measure.sample(POINTS, question.seed), question.measure.mass
    except QedError:
        return 0.0
    values = np.abs(batched(traced)(points))
    values = values[np.isfinite(values)]
    size = float(np.mean(values)) * mass if values.size and np.isfinite(mass) else 0.0
    return size if np.isfinite(size) else 0.0
