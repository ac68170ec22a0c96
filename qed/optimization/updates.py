"""Descent by the updates of optax: a rule with a fixed rate, by the whole gradient or by that of a few rows.

    w <- w + u(g, state),     g = grad f(w)   or the gradient of the mean over b rows, E g = grad f(w)

With rows the order is drawn anew for each pass, seed 0, and the point is judged by the whole function. A rate that is
fixed leaves a floor of noise that is about proportional to rate / b (Bottou, Curtis and Nocedal, *Optimization methods
for large-scale machine learning*, SIAM Review 60, 2018, section 4.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import optax

from qed.calculus.hessian import flatten
from qed.errors import QedError
from qed.graph.trace import is_array
from qed.optimization.bounds import Bounds
from qed.optimization.objective import Objective, Seen
from qed.optimization.step import parse

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Updates:
    """A rule of optax, and how many rows of the data a step sees; None for all.

    Args:
        name: as it was asked for.
        rule: the transformation.
        batch: rows a step.
    """

    name: str
    rule: optax.GradientTransformation
    batch: int | None = None


def updates_of(method: Any) -> Updates | None:
    """The rule that a method names: an optax transformation, or RULE:RATE[,OPTION...][,batch=ROWS]; None for others.

    Raises:
        QedError: QED005 for a text with a colon that is no rule, QED007 for a batch that is none.

    Example:
        >>> found = updates_of("sgd:0.1,momentum=0.9,batch=8")
        >>> found.batch, updates_of("newton")
        (8, None)
    """
    if hasattr(method, "init") and hasattr(method, "update"):
        return Updates("the given optax transformation", parse(method).optax())
    if not isinstance(method, str) or ":" not in method:
        return None
    parts = [part for part in method.split(",") if not part.strip().startswith("batch=")]
    given = [part.split("=", 1)[1] for part in method.split(",") if part.strip().startswith("batch=")]
    if given and (not given[0].strip().isdigit() or int(given[0]) < 1 or len(given) > 1):
        raise QedError("QED007", f"batch={given[0]} is no number of rows", "a step sees one at least", "batch=8")
    return Updates(method, parse(",".join(parts)).optax(), int(given[0]) if given else None)


def run_updates(
    objective: Objective, here: Seen, bounds: Bounds, updates: Updates, tol: float, most: int, asked: Any
) -> tuple[Seen, str, int]:
    """Take steps until the projected gradient is small: where that ended, 'stationary', 'diverged' or 'budget', steps.

    Args:
        objective: the loss.
        here: the start.
        bounds: the box; points are projected onto it.
        updates: the rule.
        tol: for the largest part of the projected gradient, looked at after each step, with rows after each pass.
        most: steps.
        asked: (fun, x, args), for the loss of some rows.
    """
    rows = None if updates.batch is None else _Rows(asked, updates.batch)

    @jax.jit
    def moved(slopes: Any, state: Any, parameters: Any) -> Any:
        change, state = updates.rule.update(slopes, state, parameters)
        return optax.apply_updates(parameters, change), state

    parameters = objective.arrays(here.x)
    state = updates.rule.init(parameters)
    for taken in range(most):
        whole = rows is None or taken % rows.passes == 0
        if whole:
            seen = objective.at(flatten(parameters))
            if not seen.finite:
                return here, "diverged", taken
            here = seen
            size = float(np.abs(bounds.slope(here.x, here.g)).max(initial=0.0))
            objective.sizes.append(size)
            if size <= tol:
                return here, "stationary", taken
        slopes = objective.arrays(here.g) if rows is None else rows.slopes(taken, parameters)
        parameters, state = moved(slopes, state, parameters)
        if not bounds.open:
            parameters = objective.arrays(bounds.project(flatten(parameters)))
    last = objective.at(flatten(parameters))
    return (last, "budget", most) if last.finite else (here, "diverged", most)


class _Rows:
    """The gradient of the loss over some rows of the data, which all arrays of the arguments have in common."""

    def __init__(self, asked: tuple[Callable[..., Any], Any, tuple[Any, ...]], batch: int) -> None:
        fun, x, args = asked
        counts = {int(np.shape(leaf)[0]) if np.ndim(leaf) else 0 for leaf in jax.tree.leaves(args) if is_array(leaf)}
        if len(counts) != 1 or 0 in counts:
            because = "rows are drawn from the arrays of args, which must have one first axis in common"
            raise QedError(
                "QED007", "batch= without rows", because, "pass the data as arguments: minimize(loss, x, X, y)"
            )
        self.count, self.args, self.rng = counts.pop(), args, np.random.default_rng(0)
        self.batch = min(batch, self.count)
        self.passes = max(1, self.count // self.batch)
        self.order = self.rng.permutation(self.count)
        leaves, tree = jax.tree.flatten(x)
        self.free = [
            i for i, leaf in enumerate(leaves) if jax.numpy.issubdtype(jax.numpy.result_type(leaf), np.floating)
        ]

        def loss(parameters: Any, chosen: Any) -> Any:
            full = list(leaves)
            for i, part in zip(self.free, parameters, strict=True):
                full[i] = part
            picked = jax.tree.map(lambda leaf: jax.numpy.asarray(leaf)[chosen] if is_array(leaf) else leaf, args)
            return fun(jax.tree.unflatten(tree, full), *picked)

        self.slope = jax.jit(jax.grad(loss))

    def slopes(self, taken: int, parameters: Any) -> Any:
        """The gradient over the rows of a step."""
        k = taken % self.passes
        if k == 0:
            self.order = self.rng.permutation(self.count)
        return self.slope(parameters, self.order[k * self.batch : (k + 1) * self.batch])
