"""Whether the multipliers of a KKT point are unique, and what they range over where they are not.

They are unique where the gradients of the rows and bounds that hold the point are linearly independent. Where they are
dependent the multipliers fill a polyhedron, {(y, z): J'y + z_l - z_u = grad f, y_g >= 0, z >= 0}; the least and the
largest value of each of them come from two linear programs. Then y is no derivative of the least value, and its ends
are the one-sided ones. Reference: Gauvin, *A necessary and sufficient regularity condition to have bounded multipliers
in nonconvex programming*, Math. Program. 12, 1977: the polyhedron is bounded exactly where Mangasarian and Fromovitz'
condition holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from qed.optimization.constrained.polish import KKT, Active, active_set
from qed.optimization.constrained.problem import Constrained

Array = np.ndarray
MANY = 300
"""With more active rows, or in sparse problems, nothing is asked."""
RANK = 1e-9
"""A singular value below this, of rows scaled to length 1, is taken for zero."""


@dataclass(frozen=True, eq=False)
class Dependent:
    """Gradients that are dependent: `rank` of `count`, and the range of each multiplier that is not determined.

    `inward` says whether some direction keeps the equalities to first order and leads strictly into all inequalities,
    the gradients of equalities being independent.
    """

    rank: int
    count: int
    ranges: tuple[tuple[str, float, float], ...]
    inward: bool

    @property
    def text(self) -> str:
        """What is told of it."""
        told = ", ".join(f"{name} from {_end(low)} to {_end(high)}" for name, low, high in self.ranges)
        return (
            f"the gradients of what holds the point are dependent (rank {self.rank} of {self.count}), so the "
            f"multipliers are not unique; those told are one choice of {told}. The condition of Mangasarian and "
            f"Fromovitz {'holds' if self.inward else 'fails'}: they are {'bounded' if self.inward else 'unbounded'}"
        )


def _end(value: float) -> str:
    return ("-" if value < 0 else "") + "infinity" if np.isinf(value) else f"{value:.6g}"


def dependent(problem: Constrained, kkt: KKT) -> Dependent | None:
    """How the multipliers are not unique; None where they are, or where it is not asked."""
    active = active_set(problem, kkt)
    count = len(active.rows) + len(active.lower) + len(active.upper)
    if problem.sparse or not count or count > MANY:
        return None
    unit, names = np.eye(problem.n), problem.parameters
    columns = np.vstack([kkt.seen.J[active.rows], unit[active.lower], -unit[active.upper]]).T
    lengths = np.linalg.norm(columns, axis=0)
    scaled = columns / np.where(lengths > 0, lengths, 1.0)
    singular = np.linalg.svd(scaled, compute_uv=False)
    rank = int(np.sum(singular > RANK * max(float(singular.max(initial=0.0)), 1e-300)))
    if rank == count:
        return None
    _, _, basis = np.linalg.svd(scaled)
    loose = np.flatnonzero(np.abs(basis[rank:]).max(axis=0) > 1e-7)
    labels = [problem.names[i] for i in active.rows]
    labels += [f"lower bound of {names[i]}" for i in active.lower] + [
        f"upper bound of {names[i]}" for i in active.upper
    ]
    signed = np.concatenate([active.rows >= problem.equalities, np.ones(count - len(active.rows), bool)])
    ranges = []
    for i in loose[:6]:
        ends = [_extreme(columns, kkt.seen.g, signed, int(i), sign) for sign in (1.0, -1.0)]
        ranges.append((labels[i], ends[0], ends[1]))
    return Dependent(rank, count, tuple(ranges), leads_inward(scaled, signed & ~_fixed(problem, active)))


def _fixed(problem: Constrained, active: Active) -> Array:
    """Which of what holds a point is a number without room: an equality."""
    none = problem.bounds.lower == problem.bounds.upper
    return np.concatenate([np.zeros(len(active.rows), bool), none[active.lower], none[active.upper]])


def leads_inward(columns: Array, signed: Array) -> bool:
    """Whether the condition of Mangasarian and Fromovitz holds: MEASURED by a linear program.

    Args:
        columns: the gradients of what holds the point, of length 1.
        signed: which of them are of inequalities and bounds.

    Example:
        >>> both = np.array([[1.0, 2.0], [0.0, 0.0]])
        >>> leads_inward(both, np.array([True, True])), leads_inward(both * [1, -1], np.array([True, True]))
        (True, False)
    """
    equal, rest = columns[:, ~signed], columns[:, signed]
    singular = np.linalg.svd(equal, compute_uv=False) if equal.shape[1] else np.ones(1)
    if equal.shape[1] > len(equal) or singular[-1] <= RANK:
        return False
    n = len(columns)
    cost, ends = np.append(np.zeros(n), -1.0), [(-1.0, 1.0)] * n + [(None, 1.0)]
    above = np.hstack([-rest.T, np.ones((rest.shape[1], 1))])
    across = np.hstack([equal.T, np.zeros((equal.shape[1], 1))]) if equal.shape[1] else None
    zero = None if across is None else np.zeros(len(across))
    found = scipy.optimize.linprog(cost, above, np.zeros(len(above)), across, zero, bounds=ends)
    return bool(found.status == 0 and -found.fun > 1e-7)


def _extreme(columns: Array, gradient: Array, signed: Array, i: int, sign: float) -> float:
    """The least (sign 1) or largest (sign -1) value of the i-th multiplier."""
    cost = np.zeros(columns.shape[1])
    cost[i] = sign
    size = max(1.0, float(np.abs(gradient).max()))
    ends = [(0 if one else None, None) for one in signed]
    # the equations hold up to rounding only: a band, not a line
    band = 1e-9 * size
    found = scipy.optimize.linprog(
        cost, np.vstack([columns, -columns]), np.concatenate([gradient + band, band - gradient]), bounds=ends
    )
    if found.status == 3:
        return -sign * np.inf
    value = float(found.x[i]) if found.status == 0 else float("nan")
    return 0.0 if abs(value) <= 1e-8 * size else value
