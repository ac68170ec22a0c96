"""Elements moved from and to places given by integers: slices, gathers and scatters of enclosures.

Known integers are routed through JAX once (`qed.domains.moving`). Where an integer is not decided, a read may give any
element of the operand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qed.domains import moving
from qed.domains.doubt import Doubt, moved
from qed.domains.intervals import combined
from qed.domains.known import Known
from qed.graph.walk import Context

Base: Any = object  # of a part of `qed.domains.enclosing.Enclosing`, whose methods it uses

_SCATTERS = {
    "scatter_add": "add",
    "scatter_sub": "sub",
    "scatter_mul": "mul",
    "scatter_max": "max",
    "scatter_min": "min",
}
_MOVED = {"dynamic_slice": (0,), "dynamic_update_slice": (0, 1), "gather": (0,), "scatter": (0, 2)}


class Scattering(Base):
    """The rules of the class `index` for a domain of enclosures."""

    def index(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Slices, gathers and scatters."""
        equation = context.equation
        name = equation.primitive.replace("-", "_")
        positions = (0, 2) if name in _SCATTERS else _MOVED.get(name)
        if positions is None or equation.native is None:
            return (self.unknown(equation, context),)
        indices = [x for i, x in enumerate(inputs) if i not in positions]
        values = [self.number(inputs[i]) for i in positions]
        if not all(isinstance(x, Known) for x in indices):
            found = self.undecided(name, values, context)
            for index in indices:
                found = self.depending(found, index)
            return (found,)
        if name == "scatter" or name in _SCATTERS:
            return (self.scattered(name, values, indices[0].array, context),)
        arrays = [None if i in positions else x.array for i, x in enumerate(inputs)]
        routes = moving.routed(equation, positions, arrays)
        assert routes is not None
        found = self.taken(values, routes[0])
        return (self.filled(found, routes[0] < 0, context),)

    def filled(self, found: Any, padding: Any, context: Context) -> Any:
        """What a gather puts where an index is out of range: NaN, that is no number, or what the program says."""
        if not np.any(padding):
            return found
        fill = context.equation.params.get("fill_value")
        value = self.numbers.point(np.asarray(np.nan if fill is None else fill, np.float64))
        return combined(lambda x, y: np.where(padding, y, x), found, value)

    def undecided(self, name: str, values: Sequence[Any], context: Context) -> Any:
        """A read or a write somewhere: any element of the operand."""
        shape = context.equation.outputs[0].shape
        if name in ("dynamic_slice", "gather"):
            found = self.anyone(values[0], shape)
            promised = name == "dynamic_slice" or "CLIP" in str(context.equation.params["mode"])
            inside = Doubt() if promised else Doubt(np.ones(found.shape, bool))
            return type(found).of(found.parts, found.doubt | inside)
        if name == "dynamic_update_slice":
            operand, update = values
            size = int(np.prod(context.equation.inputs[1].shape))
            return operand.hull(self.anyone(update, shape)) if size else operand
        return self.unknown(context.equation, context)

    def anyone(self, x: Any, shape: tuple[int, ...]) -> Any:
        """An enclosure of every element, at each place of a shape."""
        batch = self.batch
        lower, upper = (end.reshape((*x.shape[:batch], -1)) for end in x.bounds)
        doubt = moved([x.doubt], [x.shape], lambda mask: np.any(mask.reshape((*x.shape[:batch], -1)), -1))
        one = self.numbers.between(np.min(lower, -1, initial=np.inf), np.max(upper, -1, initial=-np.inf), doubt)
        wide = (*x.shape[:batch], *shape)
        spread = (*x.shape[:batch], *([1] * len(shape)))
        return one.map(lambda a: np.broadcast_to(a.reshape(spread), wide))

    def scattered(self, name: str, values: Sequence[Any], indices: Any, context: Context) -> Any:
        """Updates put to, added to, ... elements of the operand, those of one place one after the other."""
        equation = context.equation
        shape = equation.inputs[0].shape
        size = int(np.prod(shape))
        if size >= moving.COUNTABLE:
            return self.unknown(equation, context)
        targets = moving.scatter_targets(equation, indices).ravel()
        lead = np.broadcast_shapes(*(v.shape[: self.batch] for v in values))
        operand, updates = (
            v.map(lambda x: np.broadcast_to(x, (*lead, *x.shape[self.batch :])).reshape((*lead, -1))) for v in values
        )
        rounds = _rounds(targets)
        if name == "scatter" and len(rounds) > 1:  # which of two writes to one place stays is not defined
            return self.unknown(equation, context)
        for chosen in rounds:
            places = targets[chosen]
            old, new = operand.map(lambda x, p=places: x[..., p]), updates.map(lambda x, c=chosen: x[..., c])
            result = new if name == "scatter" else self.combine(_SCATTERS[name], [old, new])
            operand = combined(lambda x, y, p=places: _written(x, p, y), operand, result)
        return operand.map(lambda x: x.reshape((*lead, *shape)))


def _written(x: np.ndarray, places: np.ndarray, values: np.ndarray) -> np.ndarray:
    x = np.array(x)
    x[..., places] = values
    return x


def _rounds(targets: np.ndarray) -> list[np.ndarray]:
    """The updates in groups without two that meet one place, in order; -1 meets none."""
    order = np.argsort(targets, kind="stable")
    order = order[targets[order] >= 0]
    ordered = targets[order]
    start = np.searchsorted(ordered, ordered, side="left")
    rank = np.arange(len(order)) - start
    return [order[rank == r] for r in range(int(rank.max()) + 1 if len(rank) else 0)]
