"""One forward run and one reverse sweep, and the lines that come of it.

The run is recorded equation by equation in the function's own arithmetic, calls with a derivative rule of their own
kept whole; the adjoint domain pulls the derivative of the result back. Then each equation is told with its local
derivatives: from its fact card where there is one, and where the result of the equation is a single number by
pulling 1 back through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp

from qed import facts
from qed.calculus.backpropagation.naming import VIEWS, Names
from qed.calculus.backpropagation.tape import SMALL, Line, Parameter, Quantity, Use, quantity
from qed.domains.adjoint import Adjoint, Adjoints, adjoints, dense
from qed.domains.backward import LARGEST_TAPE, Tape, record
from qed.graph.calls import Inline
from qed.graph.dtypes import is_real
from qed.graph.function import Function
from qed.graph.walk import Cell, Contribution, Entry, Unknown


@dataclass(frozen=True, eq=False)
class Sweep:
    """A function, its recorded run, and the adjoint of every value."""

    function: Function
    found: Adjoints

    @property
    def tape(self) -> Tape:
        """The recorded run."""
        return self.found.tape

    @cached_property
    def names(self) -> Names:
        """The names of the values."""
        return Names(self.tape, self.function.traced.paths, self.function.name)

    @cached_property
    def gradient(self) -> list[Any]:
        """The adjoints of the parameters, or Unknown."""
        return self.found.gradient(self.function.traced.free)

    @property
    def value(self) -> Any:
        """The function's value."""
        return self.tape.outputs[0].values[0]

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The executed equations that the gradient passes through."""
        totals = self.found.cotangents.totals
        return tuple(
            entry
            for entry in self.tape.entries
            if any(cell.active for cell in entry.inputs) and any(cell in totals for cell in entry.outputs)
        )

    @cached_property
    def consumers(self) -> dict[Cell, list[Entry]]:
        """For each value the equations of `entries` that read it."""
        found: dict[Cell, list[Entry]] = {}
        for entry in self.entries:
            for cell in dict.fromkeys(entry.inputs):
                found.setdefault(cell, []).append(entry)
        return found

    def adjoint(self, cell: Cell) -> Any:
        """The adjoint of a value; None where the result does not depend on it."""
        return self.found.of(cell)

    def parts(self, cell: Cell) -> Sequence[Contribution]:
        """The terms of the sum that is the adjoint of a value."""
        return self.found.cotangents.parts.get(cell, ())

    def lost(self) -> Unknown | None:
        """The first place where a derivative rule is missing, or None."""
        return next((x for x in (self.value, *self.gradient) if isinstance(x, Unknown)), None)


def sweep(function: Function, observe: Callable[[Entry], None] | None = None, most: int = LARGEST_TAPE) -> Sweep:
    """Record a run and sweep back.

    Raises:
        TooLong: where the values take more than `most` bytes.
    """
    traced = function.traced
    tape = record(traced.graph, traced.leaves, traced.free, observe=observe, most=most)
    return Sweep(function, adjoints(traced.graph, traced.leaves, traced.free, keep_parts=True, tape=tape))


def parameters(done: Sweep) -> tuple[Parameter, ...]:
    """Each parameter with its gradient."""
    function = done.function
    rows = zip(function.paths, function.parameters, done.gradient, strict=True)
    return tuple(Parameter(path, quantity(value), quantity(slope)) for path, value, slope in rows)


def lines(done: Sweep) -> tuple[Line, ...]:
    """The tape in the order of execution."""
    made: dict[Cell, int] = {}
    puller = Adjoint()
    found = []
    for index, entry in enumerate(done.entries):
        cell = next(cell for cell in entry.outputs if cell in done.found.cotangents.totals)
        call = entry.equation.call
        found.append(
            Line(
                index=index,
                name=done.names.of(cell),
                text=done.names.equation(entry),
                primitive=entry.name,
                span=entry.span,
                value=quantity(cell.values[0]),
                adjoint=quantity(done.adjoint(cell)),
                uses=tuple(_uses(done, entry, made, puller)),
                view=entry.primitive in VIEWS,
                rule=call.custom if isinstance(call, Inline) and entry.kind == "equation" else "",
            )
        )
        made.update(dict.fromkeys(entry.outputs, index))
    return tuple(found)


def _uses(done: Sweep, entry: Entry, made: dict[Cell, int], puller: Adjoint) -> Iterator[Use]:
    for position, cell in enumerate(entry.inputs):
        part = next((p for p in done.parts(cell) if p.entry is entry and p.position == position), None)
        if part is None:
            continue
        slope = local_slope(entry, position, puller)
        yield Use(
            operand=done.names.of(cell),
            line=made.get(cell),
            formula=done.names.slope(entry, position),
            slope=slope,
            part=quantity(dense(part.value)),
        )


def local_slope(entry: Entry, position: int, puller: Adjoint) -> Quantity | None:
    """The numbers of a local derivative where they are few: elementwise, or of an equation with one result."""
    out, cell = entry.outputs[0], entry.inputs[position]
    if len(entry.outputs) != 1 or entry.kind != "equation" or not is_real(out.dtype):
        return None
    size = quantity_size(out)
    kind = facts.classify(entry.primitive)
    elementwise = kind in (facts.Class.UNARY, facts.Class.ARITHMETIC) and cell.shape == out.shape
    if quantity_size(cell) > SMALL or not (size == 1 or (elementwise and size <= SMALL)):
        return None
    pulled = puller.pull(entry, [jnp.ones(out.shape, out.dtype)])[position]
    return None if pulled is None or isinstance(pulled, Unknown) else quantity(dense(pulled))


def quantity_size(cell: Cell) -> int:
    """How many numbers a value holds."""
    size = 1
    for length in cell.shape:
        size *= length
    return size
