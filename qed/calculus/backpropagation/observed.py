"""What JAX itself says beside the tape: the gradient of the compiled function, and XLA's count of its operations.

The tape is predicted from the graph, equation by equation; `jax.grad`, compiled, is the observation. Where JAX has no
reverse rule (a `while` whose length is not known), the sweep over the executed steps is compared with one
forward product instead: <gradient, d> beside the derivative along a fixed random direction d.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.backpropagation.tape import norm, relative
from qed.graph.dtypes import as_wide
from qed.graph.function import Function

SEED = 0


@dataclass(frozen=True, eq=False)
class Observed:
    """The compiled gradient, or why there is none.

    Args:
        gradient: one array per parameter, or None.
        value: the compiled value.
        operations: XLA's counts for (function, value and gradient), or None.
        failure: what JAX said where it has no gradient.
        along: (adjoints . d, forward derivative along d, |adjoints| |d|) where it has only a forward one.
    """

    gradient: list[Any] | None
    value: Any
    operations: tuple[float, float] | None
    failure: str = ""
    along: tuple[float, float, float] | None = None


def observe(function: Function, adjoints: Sequence[Any]) -> Observed:
    """Compile and run the function with its gradient."""
    parameters, data = function.parameters, function.data

    def both(parameters: Any, data: Any) -> Any:
        return jax.value_and_grad(function.value)(parameters, data)

    try:
        lowered = jax.jit(both).lower(parameters, data)
        value, gradient = lowered.compile()(parameters, data)
    except (ValueError, TypeError, NotImplementedError) as error:  # what JAX raises where a rule is missing
        return _forward(function, adjoints, str(error).strip().splitlines()[0] if str(error).strip() else "")
    counts = (_operations(jax.jit(function.value).lower(parameters, data)), _operations(lowered))
    known = None if None in counts or not counts[0] else counts
    return Observed(list(gradient), value, known)  # type: ignore[arg-type]


def _operations(lowered: Any) -> float | None:
    """XLA's count: floating-point operations, elementary functions counted as one each."""
    try:
        found = lowered.cost_analysis()
    except Exception:  # an analysis that a back end does not offer is no answer, and no reason to fail
        return None
    if not isinstance(found, dict) or "flops" not in found:
        return None
    return float(found["flops"]) + float(found.get("transcendentals", 0.0))


def _forward(function: Function, adjoints: Sequence[Any], failure: str) -> Observed:
    rng = np.random.default_rng(SEED)
    direction = tuple(
        jnp.asarray((rng.choice([-1.0, 1.0], p.shape) * rng.uniform(1.0, 1.5, p.shape)).astype(p.dtype))
        for p in function.parameters
    )

    @jax.jit
    def slope(parameters: Any, data: Any) -> Any:
        return jax.jvp(lambda p: function.value(p, data), (parameters,), (direction,))

    try:
        value, along = slope(function.parameters, function.data)
    except (ValueError, TypeError, NotImplementedError):
        return Observed(None, None, None, failure)
    pairs = [(np.asarray(as_wide(g)), np.asarray(as_wide(d))) for g, d in zip(adjoints, direction, strict=True)]
    mine = float(sum(np.sum(g * d) for g, d in pairs))
    scale = norm([norm(g) * norm(d) for g, d in pairs])
    return Observed(None, value, None, failure, (mine, float(np.asarray(as_wide(along))), scale))


def difference(observed: Observed, adjoints: Sequence[Any]) -> float | None:
    """The relative difference between the adjoints and what was observed; None where nothing was."""
    if observed.gradient is not None:
        return relative(adjoints, observed.gradient)
    if observed.along is not None:
        mine, theirs, scale = observed.along
        return 0.0 if mine == theirs else abs(mine - theirs) / max(scale, abs(theirs))
    return None
