"""Where a function has a corner or a jump: what its comparisons, maxima and floors look at, from its graph.

A jump at b(theta), where h(b, theta) = 0, adds its height times p(b) db/dtheta to the derivative of the integral
(Leibniz's rule), with db/dtheta = - h_theta / h_x (the implicit function theorem). Where the interval is cut at b, and
the points of each piece move with its ends, that term needs no rule of its own. One step of Newton's method from a root
that was found without derivatives, b = b_0 - h(b_0, theta) / h_x(b_0), has the right derivative (Christianson, "Reverse
accumulation and implicit functions", Optimization Methods and Software 9, 1998).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from qed.errors import QedError
from qed.graph import jaxpr
from qed.graph.dtypes import is_real
from qed.graph.graph import Equation
from qed.graph.replay import Place, Records, Replay
from qed.graph.trace import trace

PAIRS = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "max", "min", "lt_to", "le_to"})
SINGLE = frozenset({"abs", "sign"})
WHOLE = {"floor": 0.0, "ceil": 0.0, "round": 0.5}
"""Where between whole numbers they jump."""
PHASES = 4
"""Jumps at whole numbers are followed as those at k, k + PHASES, k + 2 PHASES, ..., each a difference of its own."""
MOST = 8
"""How many differences are followed; their roots, at most `ROOTS` each, cut the interval."""
ROOTS = 4
HALVINGS = 60


@final
class Differences(Replay):
    """A graph as it is, with the differences noted that its comparisons look at."""

    def leaf(self, equation: Equation, values: Sequence[Any], place: Place) -> Sequence[Any]:
        """An equation as JAX has it."""
        return jaxpr.bind(equation.native, list(values))

    def step(self, equation: Equation, values: Sequence[Any], place: Place) -> tuple[Sequence[Any], Records]:
        """One equation, its difference noted."""
        outs, notes = super().step(equation, values, place)
        if not all(is_real(atom.dtype) for atom in equation.inputs):
            return outs, notes
        if equation.primitive in PAIRS:
            notes = {**notes, place.at(equation): jnp.subtract(*values)}
        elif equation.primitive in SINGLE:
            notes = {**notes, place.at(equation): values[0]}
        elif equation.primitive in WHOLE:
            notes = {**notes, place.at(equation): _jumps(values[0] - WHOLE[equation.primitive])}
        elif equation.primitive == "rem":
            notes = {**notes, place.at(equation): _jumps(values[0] / values[1])}
        return outs, notes


def _jumps(x: Any) -> Any:
    """Numbers of which one changes its sign where x is whole.

    >>> import jax.numpy as jnp
    >>> signs = [jnp.sign(_jumps(jnp.asarray(x))).tolist() for x in (1.9, 2.1)]
    >>> [k for k in range(PHASES) if signs[0][k] != signs[1][k]]
    [2]
    """
    return jnp.stack([jnp.sin(jnp.pi * (x - k) / PHASES) for k in range(PHASES)])


def switches(fun: Callable[..., Any], example: Any, *args: Any) -> Callable[[Any], Any] | None:
    """x -> the vector of differences whose sign changes where fun(x, *args) may have a corner or a jump; None for none.

    >>> import jax.numpy as jnp
    >>> from qed.integration.traced.switches import switches
    >>> switches(lambda x, c: jnp.where(x < c, 1.0, 0.0), jnp.asarray(0.0), 2.0)(jnp.asarray(0.5)).tolist()
    [-1.5]
    """
    traced = trace(fun, example, *args)

    def differences(x: Any) -> Any:
        inputs = list(traced.leaves)
        inputs[traced.free[0]] = jnp.asarray(x, traced.leaves[traced.free[0]].dtype)
        _, notes = Differences().run(traced.graph, inputs)
        found = [jnp.ravel(value) for value in notes.values()]
        return jnp.concatenate(found)[:MOST] if found else jnp.zeros(0)

    try:
        size = jax.eval_shape(differences, example).shape[0]
    except (TypeError, ValueError, QedError):
        return None
    return differences if size else None


def roots(h: Callable[[Any], Any], grid: Any, end: Any) -> Any:
    """Where the components of h: number -> vector change their sign between points of a grid; `end` where they do not.

    The result is differentiable in everything that h depends on.
    """
    values = jax.vmap(h)(grid)
    count = values.shape[1]
    found = []
    for k in range(min(count, MOST)):

        def one(x: Any, k: int = k) -> Any:
            return h(x)[k]

        signs = jnp.sign(jax.lax.stop_gradient(values[:, k]))
        changes = (signs[:-1] * signs[1:] < 0) | ((signs[1:] == 0) & (signs[:-1] != 0))
        places = jnp.nonzero(changes, size=ROOTS, fill_value=-1)[0]
        refined = jax.vmap(lambda a, b, one=one: _refined(one, a, b))(grid[places], grid[places + 1])
        found.append(jnp.where(places >= 0, refined, end))
    return jnp.concatenate(found)


def _refined(one: Callable[[Any], Any], a: Any, b: Any) -> Any:
    """A root between a and b, with its derivative."""
    low, high = jax.lax.stop_gradient(a), jax.lax.stop_gradient(b)
    sign = jax.lax.stop_gradient(jnp.sign(one(low)))

    def halved(_: Any, ends: tuple[Any, Any]) -> tuple[Any, Any]:
        low, high = ends
        middle = low / 2 + high / 2
        left = jnp.sign(one(middle)) == sign
        return jnp.where(left, middle, low), jnp.where(left, high, middle)

    count = HALVINGS if low.dtype == np.float64 else HALVINGS // 2
    low, high = jax.lax.stop_gradient(jax.lax.fori_loop(0, count, halved, (low, high)))
    root = jax.lax.stop_gradient(low / 2 + high / 2)
    slope = jax.lax.stop_gradient(jax.grad(one)(root))
    value = one(root)
    step = value - jax.lax.stop_gradient(value)  # 0, with the derivative of h
    return root - step / jnp.where(slope == 0, 1.0, slope)
