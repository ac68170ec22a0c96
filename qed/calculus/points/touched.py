"""The value of a function at a point, and whether a corner of one of its parts lies exactly there.

A function that is made of |u|, max(u, v), comparisons and the like is smooth where none of them is met at its corner:
u = 0, u = v. One evaluation, equation by equation, shows whether that is so. Where a corner is met the function may be
smooth all the same (|u|^3); `qed.calculus.points.corners` then looks around the point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np

from qed import facts
from qed.graph.calls import Inline
from qed.graph.function import Function
from qed.graph.graph import Equation
from qed.graph.jaxpr import bind
from qed.graph.replay import Place, Replay

_EQUAL = frozenset({"max", "min", "gt", "ge", "lt", "le", "eq", "ne"})


@final
class _Touching(Replay):
    def __init__(self) -> None:
        self.found = False

    def opaque(self, equation: Equation, place: Place) -> bool:
        """Loops and branches are run as they are, and not looked into."""
        return not isinstance(equation.call, Inline)

    def leaf(self, equation: Equation, values: Sequence[Any], place: Place) -> Sequence[Any]:
        name = equation.primitive
        if not self.found and all(np.issubdtype(getattr(v, "dtype", float), np.floating) for v in values):
            if name in _EQUAL:
                self.found = bool(np.any(np.equal(*values)))
            elif name == "clamp":
                self.found = bool(np.any((values[1] == values[0]) | (values[1] == values[2])))
            elif name in facts.CARDS and facts.CARDS[name].kinks:
                self.found = bool(np.any(values[0] == 0))
        return bind(equation.native, values)


def touched(function: Function) -> tuple[float, bool]:
    """f at its point, and whether a corner of a part of it is met there.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> f = lambda x: jnp.sum(jnp.maximum(x, 1.0))
    >>> [touched(read(f, jnp.array([2.0, at]))) for at in (3.0, 1.0)]
    [(5.0, False), (3.0, True)]
    """
    run = _Touching()
    (value, *_) = run.run(function.graph, function.join(function.parameters))[0]
    return float(np.asarray(value).astype(np.float64)), run.found
