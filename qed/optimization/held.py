"""f with some of its parts held as they are at a point: what it does at another one without them.

Where f falls from x to y and some u_i of its parts change on the way, f with each u_i(y) replaced by u_i(x) tells
whether they are why: if it falls as well, they are not. The points are run side by side, as the rows of a batch, loops
and branches included, and the held parts take their value from the first row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import jax
import numpy as np
from jax import lax

from qed.calculus.compiling import quickly
from qed.graph.graph import Equation
from qed.graph.jaxpr import bind
from qed.graph.replay import Place, Replay
from qed.optimization.objective import Objective

Array = np.ndarray
_ROWS = "points"


@final
class _Held(Replay):
    def __init__(self, held: Sequence[Equation]) -> None:
        self.held = {id(equation) for equation in held}

    def leaf(self, equation: Equation, values: Sequence[Any], place: Place) -> Sequence[Any]:
        outs = bind(equation.native, list(values))
        return [lax.all_gather(out, _ROWS)[0] for out in outs] if id(equation) in self.held else outs


def held(objective: Objective, x: Array, points: Sequence[Array], equations: Sequence[Equation]) -> Array | None:
    """The values at x and some points, with some equations held as they are at x; None where they cannot be run so.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> objective = Objective(read(lambda x: x[0] + jnp.floor(x[0]), jnp.array([0.5])))
        >>> steps = [e for e in objective.function.graph.walk() if e.primitive == "floor"]
        >>> x, y = np.array([0.5]), np.array([-0.5])
        >>> held(objective, x, [y], steps).tolist(), held(objective, x, [y], []).tolist()
        ([0.5, -0.5], [0.5, -1.5])
    """
    function = objective.function
    run = _Held(equations)
    rows = [np.stack(each) for each in zip(*(objective.arrays(point) for point in (x, *points)), strict=True)]
    both = jax.vmap(lambda *p: run.run(function.graph, function.join(p))[0][0], axis_name=_ROWS)
    try:
        values = quickly(both, function.graph.count())(*rows)
    except (TypeError, ValueError, NotImplementedError):  # what JAX raises where a rule is missing
        return None
    return np.asarray(values).astype(np.float64)
