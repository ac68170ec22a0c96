"""`qed.verdict`: what a point is to a function that is minimised there, whoever found it.

Solvers tell why they stopped, which is something else: of fifteen causes for which a point is no minimum, or is one
though the solver reports failure, their messages name two or three. Here each question is asked of the function itself;
the order is in qed/optimization/judging.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from qed.answer import Answer
from qed.certificates.reading import as_read
from qed.errors import QedError
from qed.graph.function import confirm_known, read
from qed.graph.tracers import closes_over_tracers, is_traced
from qed.optimization.bounds import bounds_of
from qed.optimization.compiled import verdict_under_a_trace
from qed.optimization.constrained.verdict_at import verdict_at
from qed.optimization.judging import judged
from qed.optimization.objective import Objective
from qed.optimization.repeatable import check_repeatable
from qed.optimization.solution import Verdict


def verdict(
    fun: Callable[..., Any],
    x: Any,
    *args: Any,
    bounds: Any = None,
    equality: Any = None,
    inequality: Any = None,
    multipliers: Any = None,
) -> Answer[Verdict]:
    """What the point x is to fun(x, *args): a minimum, or for which reason none.

    Args:
        fun: a function of a tree of arrays that returns a number.
        x: the point, a tree with floating-point arrays; or what a solver of SciPy returned.
        args: data.
        bounds: a `qed.Box` or a pair (lower, upper).
        equality: h, with h(x, *args) = 0: a function that returns a tree of numbers.
        inequality: g, with g(x, *args) >= 0, likewise.
        multipliers: of the constraints, as `qed.minimize` returns them (L = f - y'c), or a mapping with equality,
            inequality, lower, upper; without them they are recovered from the point.

    Returns:
        An answer whose value is a `Verdict`; `kind` is one of `qed.optimization.solution.Ending`. Under jit or vmap,
        without constraints, value and gradient are computed, and the answer is UNKNOWN.

    Raises:
        QedError: QED002 to QED010 as `qed.graph.function.read` does; QED007 for a point outside the bounds, or
            for multipliers that do not fit; QED015 for a function that changes between calls.

    Example:
        >>> import jax.numpy as jnp
        >>> str(verdict(lambda x: x[0] ** 2 - x[1] ** 2, jnp.zeros(2)).kind)
        'saddle'
        >>> str(verdict(lambda x: jnp.sum((x - 1) ** 2), jnp.ones(2)).kind)
        'minimum'
    """
    began = time.perf_counter()
    if type(x).__module__.startswith("scipy.optimize") and hasattr(x, "x"):
        x = x.x
    plain = equality is None and inequality is None
    if plain and (is_traced(x, args) or closes_over_tracers(fun)):
        return verdict_under_a_trace(fun, x, args)
    if equality is not None or inequality is not None:
        return verdict_at(
            fun, x, args, equality=equality, inequality=inequality, bounds=bounds, multipliers=multipliers
        )
    if multipliers is not None:
        because = "the multipliers of bounds follow from the gradient"
        raise QedError("QED007", "multipliers= without constraints", because, "leave it out, or give equality=")
    function = read(fun, x, *args)
    confirm_known(function)
    check_repeatable(function, (fun, x, args))
    box = bounds_of(bounds, x)
    objective = Objective(function)
    objective.foresee()
    if not box.open and (abs(box.project(objective.start) - objective.start) > 1e-9 * (1 + abs(objective.start))).any():
        raise QedError("QED007", "the point lies outside the bounds", "it is none of those asked about", "project it")
    here = objective.at(box.project(objective.start))
    answer = judged(objective, here, box, (fun, x, args))
    meta = {**answer.meta, "seconds": time.perf_counter() - began, "dtype": function.dtype}
    return as_read(replace(answer, meta=meta), function.traced)
