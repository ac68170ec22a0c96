"""How far rounding in float64 moves one number that is computed from arrays.

The number is traced as a graph, and the graph's rounding bound is that of `qed.domains.rounding`: the sum over all
executed equations of |adjoint| times the error that the equation makes. Where it cannot be had (an adjoint is
infinite), the number is computed at neighbouring points instead, each operand moved by one unit in the last place,
and ten times the spread is taken (discrete stochastic arithmetic: Vignes, 1993).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from qed.calculus.gradient.kinks import perturbed
from qed.domains.rounding import rounding_bound
from qed.domains.widened import compiled
from qed.errors import QedError
from qed.graph.dtypes import is_inexact
from qed.graph.jaxpr import Reader
from qed.graph.walk import TooLong

SAMPLES = 6


def noise(value: Callable[..., Any], inputs: Sequence[Any]) -> float:
    """The bound for ``value(*inputs)``, a float64 scalar.

    Args:
        value: traceable under `jax.enable_x64`.
        inputs: arrays, the floating-point ones in float64.

    Example:
        >>> import numpy as np
        >>> noise(lambda x: (1.0 + x) - 1.0, [np.float64(1e-10)]) > 1e-16
        True
    """
    with jax.enable_x64(True):
        graph = Reader().graph(jax.make_jaxpr(value)(*inputs))
        try:
            bound = rounding_bound(graph, [jax.numpy.asarray(x) for x in inputs])
        except (TooLong, QedError):
            bound = None
    return _sampled(value, inputs) if bound is None else bound


def _sampled(value: Callable[..., Any], inputs: Sequence[Any]) -> float:
    floats = [i for i, x in enumerate(inputs) if is_inexact(getattr(x, "dtype", None))]
    fast = compiled(value)
    found = [float(fast(*inputs))]
    for k in range(SAMPLES):
        moved = list(inputs)
        for i, x in zip(floats, perturbed([inputs[i] for i in floats], 2.0**-53, k), strict=True):
            moved[i] = x
        found.append(float(fast(*moved)))
    spread = max(found) - min(found)
    return 10 * spread if np.isfinite(spread) else float("inf")
