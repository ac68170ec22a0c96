"""Where a problem is not finite: at its start, an error; on the way, a note, for the solvers step back from there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.answer import Reason
from qed.calculus.gradient.check import check_gradient
from qed.errors import QedError
from qed.optimization.constrained.engine import Outcome
from qed.optimization.constrained.problem import Constrained
from qed.span import Span

Array = np.ndarray


def start_error(problem: Constrained, x: Array) -> QedError:
    """The error that says what is not finite at the start, and in which equation it is born."""
    what, because, span = _where(problem, x)
    return QedError("QED006", f"{what} at the start", because, "start from a point where all are finite", span)


def outside_reason(problem: Constrained, outcomes: Sequence[Outcome]) -> list[Reason]:
    """That a solver asked for a point outside the domain, if one did, and what is born there."""
    for outcome in outcomes:
        if outcome.outside is not None:
            what, because, span = _where(problem, outcome.outside)
            text = f"{outcome.engine} tried a point where {what}, and stepped back: {because}"
            return [Reason("domain", text=text, role="where", span=span)]
    return []


def _where(problem: Constrained, x: Array) -> tuple[str, str, Span | None]:
    """What is not finite at a point, and why."""
    fun, _, args, equality, inequality, _ = problem.asked
    seen = problem.at(x)
    row, what = None, f"the value is {seen.f}"
    if np.isfinite(seen.f):
        wrong = np.flatnonzero(~np.isfinite(seen.c))
        if len(wrong):
            row = int(wrong[0])
            what = f"{problem.names[row]} is {seen.c[row]}"
        elif not np.all(np.isfinite(seen.g)):
            what = "the gradient is not finite"
        else:
            entries = seen.J.toarray() if hasattr(seen.J, "toarray") else seen.J
            row = int(np.argwhere(~np.isfinite(entries))[0][0])
            what = f"the gradient of {problem.names[row]} is not finite"
    if row is not None:
        given, k = (equality, row) if row < problem.equalities else (inequality, row - problem.equalities)

        def entry(x: Any, *more: Any) -> Any:
            return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(given(x, *more))])[k]

        fun = entry

    try:
        checked = check_gradient(fun, problem.tree(x), *args)
    except QedError as error:
        return what, error.what, error.span
    for finding in checked.findings:
        return what, finding.message, finding.span
    return what, "nothing can be compared with it", None
