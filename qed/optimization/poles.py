"""Falls without an end towards a point near by: log x towards 0, -1/x, the log-determinant towards a singular matrix.

A run there ends at a huge slope, or where f is not finite, and no ray leads far out. On the way from the start q to a
point p, at p + (q - p) / 2^k, k = 1, 2, ..., log |x - p| falls by log 2 each time, and a power by more and more; what
has a limit, as x log x and the square root do, falls by less and less. So does log(-log x), of which nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from qed.answer import Answer
from qed.optimization.objective import Seen
from qed.optimization.point import Judged, as_tree
from qed.optimization.solution import Ending, Verdict

Array = np.ndarray
FIRST, MIDDLE, HALVINGS = 8, 14, 20
"""From which halving on falls are compared, where the later ones begin, and how many there are."""
KEPT = 0.99
"""Which part of the largest of the earlier falls the later ones are to have."""
BISECTIONS = 60
"""How many times an interval is halved in which f ceases to be finite."""


def towards_a_pole(case: Judged) -> Answer[Verdict] | None:
    """The answer that f falls without an end towards a point; None where that is not seen."""
    if not case.bounds.open:
        return None
    for begin, p in _ways(case):
        values = [case.objective.at(p + (begin.x - p) * 0.5**k).f for k in range(HALVINGS)]
        if not np.all(np.isfinite(values)):
            continue
        falls = np.array([a - b for a, b in pairwise(values)])
        earlier, later = falls[FIRST:MIDDLE], falls[MIDDLE:]
        noise = 1e3 * case.objective.noise(float(np.abs(values).max()))
        if earlier.min() > 0 and later.min() >= KEPT * earlier.max() and falls[-1] > noise:
            away = float(np.linalg.norm(begin.x - p)) * 0.5 ** (HALVINGS - 1)
            text = (
                f"Unbounded below as far as was looked: towards a point f falls each time that the distance is halved, "
                f"by {earlier[0]:.3g} and at last by {falls[-1]:.3g}, to {values[-1]:.6g} at a distance of {away:.2g}."
            )
            return case.says(Ending.UNBOUNDED_BELOW, text, direction=as_tree(case, p - begin.x))
    return None


def unless_a_pole(case: Judged, answer: Answer[Verdict]) -> Answer[Verdict]:
    """An answer, or where f is seen to fall without an end towards a point that it does."""
    pole = towards_a_pole(case)
    return answer if pole is None else pole


def _ways(case: Judged) -> Iterator[tuple[Seen, Array]]:
    """Points to begin at, and points towards which f may fall: the end of the run, and the edge down the slope."""
    if case.start is not None and np.all(np.isfinite(case.here.x)) and np.any(case.here.x != case.start.x):
        yield case.start, case.here.x
    for begin in (case.here, case.start):
        if begin is None or not begin.finite or not np.any(begin.g):
            continue
        edge = _edge(case, begin, -begin.g / float(np.linalg.norm(begin.g)))
        if edge is not None:
            yield begin, edge


def _edge(case: Judged, begin: Seen, unit: Array) -> Array | None:
    """The first point down a direction at which f is not finite."""
    size = 1.0 + float(np.linalg.norm(begin.x))
    ends = (t * size for t in (0.5, 1.0, 2.0))
    high = next((t for t in ends if not np.isfinite(case.objective.at(begin.x + t * unit).f)), None)
    if high is None:
        return None
    low = 0.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if np.isfinite(case.objective.at(begin.x + middle * unit).f) else (low, middle)
    return begin.x + high * unit
