"""The value of a function at a point, and whether a corner or a jump of one of its parts lies exactly there.

A function that is made of |u|, max(u, v), comparisons, sorted numbers, rounding and the like is smooth where none of
them is met at its corner or its jump: u = 0, u = v, two equal numbers of which one is chosen. One evaluation, equation
by equation, branches and the steps of loops included, shows whether that is so. Where one is met the function may be
smooth all the same (|u|^3, a sum of sorted numbers); `qed.calculus.points.corners` then looks around the point.

Not looked into: the condition of a while loop, linear solvers, and loops and branches with callbacks to Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from qed import facts
from qed.calculus.gradient.ties import ties
from qed.graph.calls import Cond, Inline
from qed.graph.dtypes import is_inexact, is_real
from qed.graph.function import Function
from qed.graph.graph import Equation
from qed.graph.jaxpr import bind
from qed.graph.replay import Key, Place, Records, Replay

_OF_COMPLEX = frozenset({"abs", "sign", "eq", "ne"})
"""What has a corner or a jump on complex numbers too."""
_FREE = frozenset({"reduce", "reduce_window", "scatter_apply", "select_and_scatter"})
"""What applies a user's function, which is not looked into: it may be at a corner anywhere."""


@final
class _Touching(Replay):
    records = True

    def __init__(self) -> None:
        self.numbers: dict[Key, int] = {}

    def opaque(self, equation: Equation, place: Place) -> bool:
        """Loops and branches are looked into where they hold a corner or a jump, and nothing that runs outside JAX."""
        if isinstance(equation.call, Inline):
            return False
        inside = [inner for graph in equation.call.graphs for inner in graph.walk()]
        effects = any(facts.classify(inner.primitive) is facts.Class.EFFECT for inner in inside)
        return effects or not any(_watched(inner) for inner in inside)

    def leaf(self, equation: Equation, values: Sequence[Any], place: Place) -> Sequence[Any]:
        """The program's own equation."""
        return bind(equation.native, values)

    def step(self, equation: Equation, values: Sequence[Any], place: Place) -> tuple[Sequence[Any], Records]:
        """One equation, and whether it is at a corner or a jump."""
        outs, notes = super().step(equation, values, place)
        if equation.call is None and _watched(equation):
            met = _met(equation, [jnp.asarray(value) for value in values], outs)
            number = self.numbers.setdefault(place.at(equation), len(self.numbers))
            notes = {number: jnp.logical_and(jnp.any(met), place.taken)}
        return outs, notes

    def cond(self, call: Cond, equation: Equation, values: Sequence[Any], place: Place) -> tuple[Any, Records]:
        """The branch that is chosen, where that is known; in a loop all of them."""
        if isinstance(values[0], Tracer):
            return super().cond(call, equation, values, place)
        which = int(np.clip(int(values[0]), 0, len(call.branches) - 1))
        branch = call.branches[which]
        return self.walk(branch, values[1:], place.into(branch, equation, which))

    def merge(self, old: Any, new: Any) -> Any:
        """Whether a corner is met in one step of a loop or another."""
        return jnp.logical_or(old, new)

    def lift(self, record: Any, step: Any) -> Any:
        """The same from outside of the loop."""
        return record

    def go_on(self, count: Any, taken: Any) -> Any:
        """A loop in a branch that is not taken need not end."""
        return taken


def _watched(equation: Equation) -> bool:
    """Whether an equation may be at a corner or a jump: by its primitive, and because it is given floats."""
    name = _name(equation)
    if not any(is_inexact(atom.dtype) for atom in equation.inputs):
        return False
    if name == "convert_element_type":
        return not is_inexact(equation.params["new_dtype"])
    return name in _RULES or name in _FREE or (name != "select_n" and facts.may_have_corners(name))


def _name(equation: Equation) -> str:
    return equation.primitive.replace("-", "_")


def _met(equation: Equation, values: Sequence[Any], outs: Sequence[Any]) -> Any:
    """Whether an equation is at a corner or a jump; never False where it is."""
    name, params = _name(equation), equation.params
    if name in _FREE:
        return True
    if name in _RULES:
        return _RULES[name](params, values, outs)
    if name in facts.CARDS or name in facts.ARITHMETIC or name in _OF_COMPLEX:
        real = all(is_real(value.dtype) for value in values)
        if not real and name in _OF_COMPLEX:
            return values[0] == (values[1] if len(values) == 2 else 0)
    elif not is_real(values[0].dtype):
        return False
    found = ties(name, params, values, jnp)
    return False if found is None else found


def _keys(params: Any, values: Sequence[Any], outs: Sequence[Any]) -> Any:
    """Equal keys of a sort."""
    keys = [value for value in values[: params["num_keys"]] if is_real(value.dtype)]
    return jnp.array([jnp.any(ties("sort", params, [key], jnp)) for key in keys])


def _whole(params: Any, values: Sequence[Any], outs: Sequence[Any]) -> Any:
    """Floats that are cut to integers, at an integer; or asked whether they are zero."""
    (x,) = values
    return x == 0 if params["new_dtype"] == np.dtype(bool) else (x == jnp.round(x)) & (x != 0)


def _running(params: Any, values: Sequence[Any], outs: Sequence[Any]) -> Any:
    """An element that equals the largest, or smallest, one before it."""
    x, best = (jnp.moveaxis(array, params["axis"], 0) for array in (values[0], outs[0]))
    later, before = (x[:-1], best[1:]) if params["reverse"] else (x[1:], best[:-1])
    return (later == before) & jnp.isfinite(later)


def _scattered(params: Any, values: Sequence[Any], outs: Sequence[Any]) -> Any:
    """Equal numbers among those that are there and those that come: more than there are ties."""
    return ties("sort", {"dimension": 0}, [jnp.concatenate([values[0].ravel(), values[2].ravel()])], jnp)


def _window(sign: int, position: int) -> Callable[..., Any]:
    def rule(params: Any, values: Sequence[Any], outs: Sequence[Any]) -> Any:
        """Windows with several largest elements: each is reduced to its maximum and how often that occurs."""
        least = str(params.get("select_prim", "")) == "le"
        x = (-1 if least else sign) * values[position]
        ones = [(1,) * x.ndim] * 2
        given = [params.get(key) or one for key, one in zip(("base_dilation", "window_dilation"), ones, strict=True)]
        best, count = lax.reduce_window(
            (x, jnp.ones(x.shape, np.int32)), (np.array(-np.inf, x.dtype), np.int32(0)), _more,
            params["window_dimensions"], params["window_strides"], params["padding"], *given,
        )  # fmt: skip
        return (count > 1) & jnp.isfinite(best)

    return rule


def _more(one: Any, two: Any) -> Any:
    (a, m), (b, n) = one, two
    return jnp.maximum(a, b), jnp.where(a >= b, m, 0) + jnp.where(b >= a, n, 0)


_RULES: dict[str, Callable[..., Any]] = {
    "sort": _keys,
    "convert_element_type": _whole,
    "cummax": _running,
    "cummin": _running,
    "scatter_max": _scattered,
    "scatter_min": _scattered,
    "reduce_window_max": _window(1, 0),
    "reduce_window_min": _window(-1, 0),
    "select_and_gather_add": _window(1, 1),
    "select_and_scatter_add": _window(1, 1),
}


def touched(function: Function) -> tuple[float, bool]:
    """f at its point, and whether a corner or a jump of a part of it is met there.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> f = lambda x: jnp.sum(jnp.maximum(x, 1.0))
    >>> [touched(read(f, jnp.array([2.0, at]))) for at in (3.0, 1.0)]
    [(5.0, False), (3.0, True)]
    """
    (value, *_), notes = _Touching().run(function.graph, function.join(function.parameters))
    return float(np.asarray(value).astype(np.float64)), any(bool(note) for note in notes.values())
