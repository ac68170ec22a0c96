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
from qed.optimization.bounds import Bounds
from qed.optimization.examples import Examples
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
    text, batch = without_batch(method)
    return Updates(method, parse(text).optax(), batch)


def without_batch(text: str) -> tuple[str, int | None]:
    """A step rule as text without its batch=ROWS, and that number, None where there is none.

    Raises:
        QedError: QED007 for a batch that is none.

    Example:
        >>> without_batch("sgd:0.1,batch=8,momentum=0.9")
        ('sgd:0.1,momentum=0.9', 8)
    """
    parts = [part for part in text.split(",") if not part.strip().startswith("batch=")]
    given = [part.split("=", 1)[1] for part in text.split(",") if part.strip().startswith("batch=")]
    if given and (not given[0].strip().isdigit() or int(given[0]) < 1 or len(given) > 1):
        raise QedError("QED007", f"batch={given[0]} is no number of rows", "a step sees one at least", "batch=8")
    return ",".join(parts), int(given[0]) if given else None


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
        self.examples, self.rng = Examples(*asked), np.random.default_rng(0)
        self.batch = min(batch, self.examples.count)
        self.passes = max(1, self.examples.count // self.batch)
        self.order = self.rng.permutation(self.examples.count)

    def slopes(self, taken: int, parameters: Any) -> Any:
        """The gradient over the rows of a step."""
        k = taken % self.passes
        if k == 0:
            self.order = self.rng.permutation(self.examples.count)
        return self.examples.slope(parameters, self.order[k * self.batch : (k + 1) * self.batch])
