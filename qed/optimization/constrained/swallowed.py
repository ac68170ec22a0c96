"""Constraints whose floats say that they hold where they do not.

(1e16 + x) - 1e16 - 1 >= 0 holds for x >= 1. A compiler that folds the constants makes x - 1 of it or 0, and at x = 0
the float may be 0: feasible, to all digits. Balls enclose the value of the function that was written, whatever the
order in which it is summed; a row whose enclosure lies below 0 does not hold.
"""

from __future__ import annotations

import numpy as np

from qed.certificates.certificate import Subject
from qed.certificates.stacked import stacked
from qed.domains.ball_boxes import BallBoxes, NotSmooth
from qed.errors import QedError
from qed.graph.walk import TooLong
from qed.optimization.constrained.problem import Constrained, Seen
from qed.optimization.constrained.residuals import row_scales

Array = np.ndarray
MOST = 20_000
"""How many numbers f and the constraints may compute together for balls to be asked."""


def swallowed(problem: Constrained, seen: Seen, most: float) -> tuple[str, float, float] | None:
    """A row that is violated, in real numbers, by more than `most` of its slope: name, float and least violation.

    None where no row is, or where balls do not tell.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.optimization.constrained.problem import constrained
        >>> g = lambda x: (1e16 + x[0]) - 1e16 - 1
        >>> problem = constrained(lambda x: x[0] ** 2, jnp.zeros(1), (), None, g, None)
        >>> swallowed(problem, problem.at(np.zeros(1)), 1e-6)[2]
        1.0
    """
    own = [part for part in (problem.equality, problem.inequality) if part is not None]
    if problem.moved or sum(part.function.graph.numbers() for part in own) > MOST:
        return None
    _, _, args, equality, inequality, _ = problem.asked
    equal = problem.equalities
    try:
        rows = stacked(inequality) if equality is None else stacked(equality, inequality)
        traced = Subject(rows, problem.tree(seen.x), tuple(args)).traced()
        lower, upper = BallBoxes(traced).values(seen.x, seen.x)
    except (NotSmooth, NotImplementedError, TooLong, QedError, TypeError, ValueError, MemoryError):
        return None
    low, high = (np.array([float(end) for end in np.ravel(side)]) for side in (lower, upper))
    off = np.where(np.arange(len(high)) < equal, np.maximum(low, -high), -high)
    worst = int(np.argmax(off / row_scales(seen)))
    if not off[worst] / row_scales(seen)[worst] > most:
        return None
    return problem.names[worst], float(seen.c[worst]), float(off[worst])
