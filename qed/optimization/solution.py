"""What a minimisation found, and what a point is found to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import jax
import numpy as np

from qed.answer import Reason
from qed.errors import QedError
from qed.graph.trace import is_float


class Ending(StrEnum):
    """What a point is to the function that was minimised there, or why the run ended where it did.

    Example:
        >>> Ending.SADDLE == "saddle"
        True
    """

    MINIMUM = "minimum"
    FLAT_MINIMUM = "flat_minimum"
    SADDLE = "saddle"
    MAXIMUM = "maximum"
    UNBOUNDED_BELOW = "unbounded_below"
    INFIMUM_NOT_ATTAINED = "infimum_not_attained"
    KINK = "kink"
    NOISE_FLOOR = "noise_floor"
    GRADIENT_WRONG = "gradient_wrong"
    STOP_GRADIENT = "stop_gradient"
    NONFINITE = "nonfinite"
    NO_KKT_POINT = "no_kkt_point"
    INFEASIBLE = "infeasible"
    ILL_CONDITIONED = "ill_conditioned"
    BUDGET_SPENT = "budget_spent"
    NOT_STATIONARY = "not_stationary"
    UNDECIDED = "undecided"


FOUND = {
    Ending.INFEASIBLE: "QED504",
    Ending.NO_KKT_POINT: "QED503",
    Ending.SADDLE: "QED303",
    Ending.FLAT_MINIMUM: "QED304",
    Ending.UNBOUNDED_BELOW: "QED306",
    Ending.INFIMUM_NOT_ATTAINED: "QED423",
    Ending.KINK: "QED104",
    Ending.ILL_CONDITIONED: "QED424",
    Ending.BUDGET_SPENT: "QED425",
    Ending.NOT_STATIONARY: "QED425",
    Ending.NOISE_FLOOR: "QED426",
}
"""What is found where a run ended at no strict minimum."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a point is.

    Args:
        kind: see `Ending`.
        fun: the value there.
        gradient: the length of the (projected) gradient, its largest part.
        noise: how much of the value is rounding.
        decrease: how much the quadratic model says f can still fall; NaN where it was not asked.
        direction: a tree like x along which something is said (f falls, the gradient is wrong), or None.
        lowest, highest: of the curvatures among the parameters that no bound holds; NaN where they were not asked.
            Under constraints, of the Lagrangian along the directions that they leave.
        residuals: under constraints, of the KKT conditions (`qed.optimization.constrained.residuals.Residuals`).
        below: a tree like x, a point that was seen elsewhere, as low as f becomes along a ray or lower; or None.
    """

    kind: Ending
    fun: float
    gradient: float
    noise: float
    decrease: float = float("nan")
    direction: Any = None
    lowest: float = float("nan")
    highest: float = float("nan")
    residuals: Any = None
    below: Any = None


@dataclass(frozen=True, eq=False)
class Multipliers:
    """How fast the least value moves with each constraint.

    Args:
        lower, upper: d f*/d lower = `lower`, d f*/d upper = -`upper`, both >= 0; trees like x.
        equality: y = d f*/d b for h(x) = b, a tree like what h returns; None without h.
        inequality: y = d f*/d b >= 0 for g(x) >= b, a tree like what g returns; None without g.
    """

    lower: Any
    upper: Any
    equality: Any = None
    inequality: Any = None

    def in_signs_of(self, tool: str) -> dict[str, Any]:
        """The same numbers with the names and signs of another tool.

        Args:
            tool: 'slsqp' (SciPy: `multipliers`), 'trust-constr' (SciPy: `v`), 'ipopt' (`mult_g`, `mult_x_L`,
                `mult_x_U`), 'casadi' (`lam_g`, `lam_x`), or 'cvxpy' (`dual_value` of each constraint).

        Returns:
            The tool's names with vectors (cvxpy: trees), equalities before inequalities, bounds as trees like x.

        Raises:
            QedError: QED007 for another name.

        Example:
            >>> from qed.optimization.solution import Multipliers
            >>> found = Multipliers(lower=0.0, upper=0.5, equality=-1.5, inequality=2.0)
            >>> {name: np.asarray(v).tolist() for name, v in found.in_signs_of("ipopt").items()}
            {'mult_g': [1.5, -2.0], 'mult_x_L': 0.0, 'mult_x_U': 0.5}
            >>> {name: float(v) for name, v in found.in_signs_of("cvxpy").items()}
            {'equality': 1.5, 'inequality': 2.0, 'lower': 0.0, 'upper': 0.5}
        """
        leaves = jax.tree.leaves(self.equality) + jax.tree.leaves(self.inequality)
        y = np.concatenate([np.zeros(0), *(np.ravel(np.asarray(leaf)) for leaf in leaves)])
        across = jax.tree.map(lambda a, b: np.asarray(b) - np.asarray(a), self.lower, self.upper)
        minus = None if self.equality is None else jax.tree.map(lambda a: -np.asarray(a), self.equality)
        named: dict[str, dict[str, Any]] = {
            "slsqp": {"multipliers": y},
            "trust-constr": {"v": -y, "v of bounds": across},
            "ipopt": {"mult_g": -y, "mult_x_L": self.lower, "mult_x_U": self.upper},
            "casadi": {"lam_g": -y, "lam_x": across},
            "cvxpy": {"equality": minus, "inequality": self.inequality, "lower": self.lower, "upper": self.upper},
        }
        if tool not in named:
            because = f"there are {', '.join(named)}"
            raise QedError("QED007", f"the signs of {tool!r} are not known", because, "tool='ipopt'")
        return named[tool]


@dataclass(frozen=True, eq=False)
class Solution:
    """What a minimisation found.

    Args:
        x: the point, a tree like the start.
        fun: the value there.
        gradient: there, a tree like x.
        multipliers: of the bounds and the constraints.
        counts: values (each with its gradient), hessians, products, steps.
        reason: what the point is, an `Ending`.
        method: which method ran.
        verdict: the whole verdict.
        explanation: what `explain` asks.
    """

    x: Any
    fun: float
    gradient: Any
    multipliers: Multipliers
    counts: Mapping[str, int]
    reason: Ending
    method: str
    verdict: Verdict
    explanation: Callable[[], Any] | None = field(default=None, repr=False, metadata={"json": False})

    def explain(self) -> Any:
        """What each constraint that holds the point costs, how far that price holds, and what moving it brings.

        Solves the problem again many times. Returns an answer with a `qed.optimization.sensitivity.Sensitivity`.

        Raises:
            QedError: QED009 where there is nothing that could be priced: neither constraints nor bounds.

        Example:
            >>> import jax.numpy as jnp
            >>> import qed
            >>> found = qed.minimize(lambda x: x @ x, jnp.ones(2), equality=lambda x: x[0] + x[1] - 2)
            >>> round(found.explain().prices[0].price, 6)
            2.0
        """
        if self.explanation is None:
            because = "prices are those of constraints and bounds, and none was given"
            raise QedError("QED009", "there is nothing to price", because, "give equality=, inequality= or bounds=")
        return self.explanation()


FEW, SHOWN = 6, 8
"""How many numbers of an array are written out, and how many arrays are named."""


def placed(paths: Sequence[str], x: Any, fun: float) -> Reason:
    """Where the least value was found, as a line of text.

    Args:
        paths: the names of the parameter arrays.
        x: a tree whose floating-point leaves are these arrays.
        fun: the value there.
    """
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(x) if is_float(leaf)]
    named = []
    for path, leaf in list(zip(paths, leaves, strict=True))[:SHOWN]:
        wide = leaf.astype(np.float64)
        if wide.size == 1:
            named.append(f"{path} = {wide.ravel()[0]:.6g}")
        elif wide.size <= FEW:
            named.append(f"{path} = [{', '.join(f'{v:.6g}' for v in wide.ravel())}]")
        else:
            named.append(f"{path} {'x'.join(map(str, wide.shape))}, from {wide.min():.4g} to {wide.max():.4g}")
    more = len(leaves) - SHOWN
    named += [f"and {more} more arrays"] if more > 0 else []
    return Reason("the point", text=f"f = {fun:.8g} at {'; '.join(named)}", role="value")
