"""Index sets through loops: step by step while that is cheap and the number of steps is known, else to a fixed point.

A loop whose condition depends on the inputs may take any number of steps: the sets of its carry grow until one more
step adds nothing (the least fixed point; Cousot and Cousot, 1977). They are finite, so that it ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qed.domains.known import Known
from qed.graph.calls import Scan, While
from qed.graph.dtypes import is_extended
from qed.graph.graph import Equation, Graph
from qed.graph.tape import Cell, Context, Frame
from qed.graph.walk import Walker

if TYPE_CHECKING:
    from qed.domains.sparsity import Dependent

Base: Any = object  # of a part of `qed.domains.sparsity.Sparsity`, whose methods it uses
BUDGET = 20_000
"""How many equations a loop of known length, and all others together, may take to be followed step by step."""


def opaque(equation: Equation) -> bool:
    """Whether the walker leaves a loop to the domain."""
    call = equation.call
    if isinstance(call, Scan):
        return call.length * length(call.body) > BUDGET
    return isinstance(call, While)


def length(graph: Graph) -> int:
    """How many equations one evaluation takes at least, the steps of inner loops of known length counted."""
    total = 0
    for equation in graph.equations:
        call = equation.call
        inner = sum(map(length, call.graphs)) if call is not None else 0
        total += 1 + (call.length * inner if isinstance(call, Scan) else inner)
    return total


class Loops(Base):
    """The rules of `scan` and `while`."""

    def walk(self, graph: Graph, values: Sequence[Any], frame: Frame) -> list[Any]:
        """The values of a graph's outputs."""
        atoms = graph.inputs
        cells = [Cell((x,), atom.shape, atom.dtype) for x, atom in zip(values, atoms, strict=True)]
        return [cell.values[0] for cell in Walker([self], opaque=opaque).walk(graph, cells, frame)]

    def loop(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """A loop of either kind."""
        call = context.equation.call
        if isinstance(call, Scan):
            return self._scan(call, inputs, context)
        if isinstance(call, While):
            return self._while(call, inputs, context)
        return self.everything(inputs, context)

    def _scan(self, call: Scan, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """All steps at once: a row may be any row."""
        split = call.constants + call.carry
        fixed, carry = list(inputs[: call.constants]), inputs[call.constants : split]
        rows = [self._any_row(self.lifted(x)) for x in inputs[split:]]
        inner = Frame(call.body, context.frame, context.equation)
        state, outs = self._grown(carry, lambda c: self.walk(call.body, [*fixed, *c, *rows], inner), call.carry)
        stacked = []
        for row, variable in zip(outs[call.carry :], context.equation.outputs[call.carry :], strict=True):
            one = self.lifted(row)
            stacked.append(one.take(np.broadcast_to(one.places, variable.shape)))
        return [*state, *stacked]

    def _any_row(self, x: Dependent) -> Dependent:
        count = int(np.prod(x.shape[1:], dtype=np.int64))
        return x.united(np.arange(len(x.inputs)) % max(count, 1), np.arange(len(x.inputs)), x.shape[1:])

    def _grown(self, carry: Sequence[Any], step: Any, count: int) -> tuple[list[Dependent], Sequence[Any]]:
        state = [self.lifted(x) for x in carry]
        while True:
            outs = step(state)
            after = [old.merged(self.lifted(new)) for old, new in zip(state, outs[:count], strict=True)]
            if all(old.holds(new) for old, new in zip(state, after, strict=True)):
                return state, outs
            state = after

    def _while(self, call: While, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        split = call.condition_constants
        for_condition, for_body = list(inputs[:split]), list(inputs[split : split + call.body_constants])
        carry = list(inputs[split + call.body_constants :])
        inner = Frame(call.body, context.frame, context.equation)
        each = length(call.body) + length(call.condition)
        while self.left >= each:
            (going,) = self.walk(call.condition, [*for_condition, *carry], inner)
            if not isinstance(going, Known):
                break
            mask = np.asarray(going.array)
            if not mask.any():
                return carry
            after = self.walk(call.body, [*for_body, *carry], inner)
            carry = after if mask.all() else [self._where(mask, a, b) for a, b in zip(after, carry, strict=True)]
            self.left -= each
        state, _ = self._grown(carry, lambda c: self.walk(call.body, [*for_body, *c], inner), len(carry))
        return state

    def _where(self, mask: np.ndarray, new: Any, old: Any) -> Any:
        """A step of a batched loop: where the condition has ended, the carry stays."""
        if isinstance(new, Known) and isinstance(old, Known) and not is_extended(new.array.dtype):
            shape = np.shape(new.array)
            wide = mask.reshape(mask.shape + (1,) * (len(shape) - mask.ndim))
            return Known(np.where(wide, np.asarray(new.array), np.asarray(old.array)))
        new, old = self.lifted(new), self.lifted(old)
        wide = np.broadcast_to(mask.reshape(mask.shape + (1,) * (len(new.shape) - mask.ndim)), new.shape)
        return new.where(wide).merged(old.where(~wide))
