"""The graph in float64 with every rounding error made larger: how far its outputs are from those of real numbers.

Each equation computes y (1 + d) with |d| <= k u, u = 2^-53; here it computes y (1 + d) with |d| <= k w, w = 512 u, d
drawn at random, and what it differs by from the plain run is w / u times as large as what rounding does, in
distribution (Monte Carlo arithmetic: Parker, *Monte Carlo Arithmetic*, UCLA CSD-970002, 1997; Vignes, "Discrete
stochastic arithmetic for validating results of numerical software", Numer. Algorithms 37, 2004). It follows what is not
of first order too, as where a number is lost altogether in (x + 1e16) - 1e16. Of a sum of n terms the terms are
changed, sqrt n times as much; of a factorisation its matrix; what moves elements, and what compares, is exact. Numbers
that underflow are not followed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, final

import jax.numpy as jnp
import numpy as np
from jax import lax

from qed import facts
from qed.domains.rounding import FOLDS, SUMS, of_one_number
from qed.domains.widened import Widened
from qed.graph.graph import Equation, Graph
from qed.graph.replay import Place

WIDER = 2.0**9
"""How many times as large as a unit roundoff the changes are."""
SCATTERED = 16
"""How many terms a scatter adds up in one place, or a loop's reduction: about."""
_PLACES, _DRAWS = 0x1E3779B97F4A7C15, 0x11B54A32D192ED02


@final
class Jittered(Widened):
    """A graph in float64, each of whose roundings is a random number.

    Args:
        draw: a whole number (of JAX or not) that the random numbers depend on.
        unit: the unit roundoff, of a program that is run in another format than float64.

    >>> import jax
    >>> from qed.graph.trace import trace
    >>> with jax.enable_x64(True):
    ...     lost = trace(lambda x: (x + 1e16) - 1e16, jnp.float64(0.3))
    ...     away = [float(Jittered(i)(lost.graph, lost.leaves)[0]) / WIDER for i in range(3)]
    >>> bool(0.1 < max(np.abs(away)) < 4), len(set(away))
    (True, 3)
    """

    def __init__(self, draw: Any, unit: float = 2.0**-53) -> None:
        super().__init__()
        self.draw = draw
        self.unit = WIDER * unit
        self._count = 0

    def leaf(self, equation: Equation, values: Sequence[Any], place: Place) -> Sequence[Any]:
        """One equation: its operands changed, or its results."""
        primitive = equation.primitive
        if facts.classify(primitive) is facts.Class.LINALG:
            values = [self._changed(v, 10 * math.sqrt(max(v.shape, default=1)), normwise=True) for v in values]
        elif primitive == "polygamma":  # whose order is a whole number, and NaN otherwise
            values = [jnp.round(values[0]), values[1]]
        elif primitive in SUMS | FOLDS:
            terms = max(1, max(v.size for v in values) // max(1, math.prod(equation.outputs[0].shape)))
            if primitive.startswith("scatter") or primitive == "dot_general":
                terms = _depth(equation, values)
            values = [self._changed(v, math.sqrt(terms)) for v in values]
        outs = super().leaf(equation, values, place)
        count = of_one_number(primitive)
        if not count:
            return outs
        return [self._changed(out, count) for out in outs]

    def _function(self, graph: Graph, constants: Sequence[Any]) -> Callable[[Any], Any]:
        """What a linear solve multiplies and solves with: linear, as noise is not; its arrays are changed."""
        return Widened()._function(graph, constants)

    def _changed(self, x: Any, count: float, normwise: bool = False) -> Any:
        """x (1 + d), with |d| at most so many units."""
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            return x
        noise = count * self.unit * self._noise(x)
        return x + noise * jnp.max(jnp.abs(x), initial=0.0) if normwise else x * (1 + noise)

    def _noise(self, x: Any) -> Any:
        """Numbers in [-1, 1) that depend on the bits of x, on the equation and on the draw: products modulo 2^64."""
        self._count += 1
        if jnp.issubdtype(x.dtype, jnp.complexfloating):
            x = jnp.real(x) + 2 * jnp.imag(x)
        odd = jnp.asarray(self.draw, np.int64) * _DRAWS + (2 * self._count * _PLACES + 1) % 2**62
        return (lax.bitcast_convert_type(x, np.int64) * odd).astype(np.float64) * 2.0**-63


def _depth(equation: Equation, values: Sequence[Any]) -> int:
    """How many terms one number of a product of matrices, or of a scatter, is the sum of."""
    if equation.primitive != "dot_general":
        return SCATTERED
    ((left, _), _) = equation.params["dimension_numbers"]
    return max(1, math.prod(values[0].shape[axis] for axis in left))
