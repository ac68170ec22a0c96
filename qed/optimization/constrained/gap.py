"""The least value proved though the point is degenerate: a rational point that satisfies the constraints exactly.

Krawczyk's test asks for independent gradients and for multipliers above 0. A gap between f at one feasible point and
the bound of `qed.optimization.constrained.duality` asks for neither; but the point has to satisfy equalities
exactly. Tried are the point found, its numbers as short fractions, and from each the solution of the affine rows that
hold it, by elimination in rational numbers, in which rows that say the same vanish.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from qed.answer import Answer
from qed.certificates.feasible_gap import FeasibleGap, fraction, value
from qed.certificates.problem_terms import affine, coefficients
from qed.certificates.weak_duality import WeakDuality
from qed.errors import CertificateError, QedError
from qed.graph.walk import TooLong
from qed.optimization.constrained.duality import parts
from qed.optimization.constrained.polish import KKT, active_set
from qed.optimization.constrained.problem import Constrained

Array = np.ndarray
Row = list[Fraction]
FEW = 40
"""With up to so many parameters a point is looked for in rational numbers."""
CLOSE, NEAR = 1e-8, 1e-6
"""A gap, and a distance of the point, up to which it is told, relative."""


def closed(problem: Constrained, kkt: KKT, least: Answer[float] | None) -> FeasibleGap | None:
    """A certificate that f at a feasible point next to a KKT point is the least value but for a gap; None without."""
    bound = None if least is None else least.certificate
    if not isinstance(bound, WeakDuality) or problem.n > FEW or problem.sparse:
        return None
    try:
        for point in _points(problem, kkt):
            made = _made(bound, point, kkt)
            if made is not None:
                return made
    except (TypeError, ValueError, TooLong, QedError, MemoryError):
        return None
    return None


def _made(bound: WeakDuality, point: Row, kkt: KKT) -> FeasibleGap | None:
    assert bound.subject is not None
    size = max(1.0, abs(kkt.seen.f))
    try:
        most = value(bound.subject.traced(), 0, point)[1]
        if not most - bound.bound <= CLOSE * size:
            return None
        made = FeasibleGap.of(bound, point, most)
        made.verify()
    except CertificateError:
        return None
    return made


def _points(problem: Constrained, kkt: KKT) -> Iterator[Row]:
    """Rational points next to a KKT point that may satisfy the constraints exactly."""
    x, box = kkt.seen.x, problem.bounds
    exact = [Fraction(v) for v in x.tolist()]
    near = NEAR * (1 + float(np.abs(x).max(initial=0.0)))
    short = [p.limit_denominator(1000) for p in exact]
    for start in (short, exact):
        yield from (p for p in (start, _solved(problem, kkt, start)) if p is not None and _inside(p, box, x, near))


def _inside(point: Row, box: Any, x: Array, near: float) -> bool:
    values = np.array([float(p) for p in point])
    return bool(np.all(np.abs(values - x) <= near) and np.all((values >= box.lower) & (values <= box.upper)))


def _solved(problem: Constrained, kkt: KKT, start: Row) -> Row | None:
    """The start moved so that the affine rows and the bounds that hold the point are met; None where they conflict."""
    apart = parts(problem)
    if apart is None:
        return None
    active, n = active_set(problem, kkt), problem.n
    system: list[Row] = []
    for numbers, ends in ((active.lower, problem.bounds.lower), (active.upper, problem.bounds.upper)):
        for j in numbers.tolist():
            system.append([Fraction(int(k == j)) for k in range(n)] + [Fraction(float(ends[j]))])
    for i in active.rows.tolist():
        form = apart.forms[1 + i]
        if affine(form):
            slopes, constant = coefficients(form, n)
            system.append([*map(fraction, slopes), -fraction(constant)])
    return moved(system, start)


def moved(system: list[Row], start: Row) -> Row | None:
    """A solution of equations, each its coefficients and its right side, in which as few numbers as can be are moved.

    >>> halves = [Fraction(1, 2), Fraction(1, 3)]
    >>> [str(p) for p in moved([[Fraction(1), Fraction(1), Fraction(1)]] * 2, halves)]
    ['2/3', '1/3']
    """
    n, done, pivots = len(start), [], []
    for row in system:
        row = [*row[:-1], row[-1] - sum((a * p for a, p in zip(row, start, strict=False)), Fraction(0))]
        for other, pivot in zip(done, pivots, strict=True):
            if row[pivot]:
                row = [a - row[pivot] * b for a, b in zip(row, other, strict=True)]
        largest = max(range(n), key=lambda k: abs(row[k]), default=0)
        if not n or not row[largest]:
            if row[-1]:
                return None
            continue
        row = [a / row[largest] for a in row]
        done = [[a - other[largest] * b for a, b in zip(other, row, strict=True)] for other in done]
        done.append(row)
        pivots.append(largest)
    found = list(start)
    for row, pivot in zip(done, pivots, strict=True):
        found[pivot] += row[-1]
    return found
