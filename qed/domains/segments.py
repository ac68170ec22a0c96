"""Births in a gradient, found without keeping the values of the run: the tape in segments, replayed one by one.

Reverse accumulation wants the values of the forward run in the opposite order. Where they do not fit, the run is cut
into segments of about equal size; of the values only those are kept that cross a cut, and going back each segment is
evaluated once more from them, before its cotangents are pulled: two evaluations of every equation, and memory for one
segment, for what crosses the cuts, and for the cotangents that are on their way.

    forward     | segment 1 | segment 2 | ... | segment k |      kept: what crosses each |
    backward    replay k, pull k, replay k - 1, pull k - 1, ..., replay 1, pull 1

What crosses a cut is what something still refers to there: the walker lets go of a value after its last use. The
births themselves are found as in `qed.domains.born`, but on the way, while the cotangents are there.

Reference: Griewank and Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 12.2 (checkpointing).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary, ref

import jax.numpy as jnp
import numpy as np

from qed.domains.adjoint import Adjoint, add, dense
from qed.domains.backward import activity, whole_custom_call
from qed.domains.born import Birth, backward_witness, bad
from qed.domains.value import Value
from qed.graph.graph import Graph, Variable
from qed.graph.size import in_bytes
from qed.graph.walk import Cell, Context, Entry, Frame, TooLong, Unknown, Walker, reverse

MOST_ENTRIES = 500_000
"""How many executed leaves are remembered, without their values."""


@dataclass(eq=False)
class Segments:
    """A run, remembered without most of its values.

    Args:
        parts: the entries, segment by segment; a cell without values gets them when its segment is replayed.
        inputs, outputs: the cells at both ends.
        kept: how many bytes of values cross the cuts.
    """

    parts: list[list[Entry]]
    inputs: tuple[Cell, ...]
    outputs: tuple[Cell, ...]
    kept: int

    def replay(self, part: Sequence[Entry]) -> None:
        """Evaluate the entries of a segment again."""
        domain = Value()
        for entry in part:
            values = [cell.values[0] for cell in entry.inputs]
            if entry.kind == "take":
                found: Sequence[Any] = (domain.take(values[0], entry.index),)
            elif entry.kind == "stack":
                cell = entry.outputs[0]
                found = (domain.stack(values, Variable(cell.shape, cell.dtype)),)
            else:
                lost = next((value for value in values if isinstance(value, Unknown)), None)
                context = Context(entry.equation, entry.frame)
                found = domain.apply(entry.equation, values, context) if lost is None else (lost,) * len(entry.outputs)
            for cell, value in zip(entry.outputs, found, strict=True):
                cell.values = (value,)


@dataclass(eq=False)
class _Notes:
    """Writes down the entries of a walk with cells of its own, whose values it keeps at the cuts only."""

    segment: int
    most: int
    parts: list[list[Entry]] = field(default_factory=lambda: [[]])
    own: WeakKeyDictionary[Cell, Cell] = field(default_factory=WeakKeyDictionary)
    open: list[tuple[Any, Cell]] = field(default_factory=list)
    filled: int = 0
    kept: int = 0
    count: int = 0

    def cell(self, cell: Cell, made: bool = False) -> Cell:
        """This file's cell for the walker's; that of an input or a constant holds the value from the start."""
        mine = self.own.get(cell)
        if mine is None:
            mine = Cell(() if made else cell.values, cell.shape, cell.dtype, cell.active)
            self.own[cell] = mine
            if made:
                self.open.append((ref(cell), mine))
        return mine

    def note(self, entry: Entry) -> None:
        """One more entry; before it, a cut where the segment is full."""
        if self.filled > self.segment:
            self.cut()
        self.count += 1
        if self.count > MOST_ENTRIES:
            message = f"more than {MOST_ENTRIES} equations would have to be replayed"
            raise TooLong(message)
        inputs = tuple(self.cell(cell) for cell in entry.inputs)
        outputs = tuple(self.cell(cell, made=True) for cell in entry.outputs)
        self.parts[-1].append(replace(entry, inputs=inputs, outputs=outputs))
        self.filled += sum(getattr(cell.values[0], "nbytes", 0) for cell in entry.outputs)

    def cut(self) -> None:
        """Keep what is still referred to."""
        for alive, mine in self.open:
            cell = alive()
            if cell is not None:
                mine.values = cell.values
                self.kept += getattr(cell.values[0], "nbytes", 0)
        if self.kept > self.most:
            message = f"the values between the segments of the run take more than {in_bytes(self.most)}"
            raise TooLong(message)
        self.open, self.filled = [], 0
        self.parts.append([])


def in_segments(
    graph: Graph,
    arrays: Sequence[Any],
    active: Sequence[int],
    *,
    segment: int,
    most: int,
    observe: Callable[[Entry], None] | None = None,
) -> Segments:
    """Evaluate a graph and remember how, keeping little.

    Args:
        graph: the graph.
        arrays: one array per input.
        active: positions of the inputs to differentiate in.
        segment: bytes of values in a segment.
        most: bytes that may cross the cuts, all together.
        observe: called with each entry, for progress and budgets.

    Raises:
        TooLong: where more than `most` bytes cross the cuts, or the run is too long.
    """
    notes = _Notes(segment, most)

    def see(entry: Entry) -> None:
        notes.note(entry)
        if observe is not None:
            observe(entry)

    walker = Walker([Value()], see, activity, whole_custom_call)
    cells = walker.start(graph, arrays, active)
    inputs = tuple(notes.cell(cell) for cell in cells)
    results = walker.walk(graph, cells, Frame(graph))
    outputs = tuple(notes.cell(cell) for cell in results)
    for mine, cell in zip(outputs, results, strict=True):
        mine.values = cell.values
    return Segments(notes.parts, inputs, outputs, notes.kept)


@dataclass(frozen=True, eq=False)
class Births:
    """What pulling the cotangents back showed: the births, in the order of the reverse loop, and what was lost."""

    births: tuple[Birth, ...]
    lost: Unknown | None


def births_in_segments(
    run: Segments, active: Sequence[int], output: int = 0, observe: Callable[[Entry], None] | None = None
) -> Births:
    """The equations that make a non-finite gradient out of finite cotangents; the values of the run are used up.

    Args:
        run: the run in segments.
        active: positions of the inputs whose gradients are looked at.
        output: which output is differentiated; it must be a scalar.
        observe: called with each entry, for progress and budgets.
    """
    domain, flow = Adjoint(), _Flow()
    cell = run.outputs[output]
    totals: dict[Cell, Any] = {cell: jnp.ones(cell.shape, cell.dtype)}

    def pull(entry: Entry, outs: Sequence[Any]) -> Sequence[Any]:
        if observe is not None:
            observe(entry)
        found = domain.pull(entry, outs)
        flow.see(entry, outs, found)
        return found

    for part in reversed(run.parts):
        run.replay(part)
        totals = reverse(part, totals, pull, add).totals
        for entry in part:
            for cell in entry.outputs:
                totals.pop(cell, None)
                cell.values = ()
    inputs = [run.inputs[i] for i in active]
    wrong = [cell for cell in inputs if bad(dense(totals.get(cell))).any()]
    lost = next((value for cell in inputs if isinstance(value := dense(totals.get(cell)), Unknown)), None)
    return Births(flow.births(wrong), lost)


@dataclass(eq=False)
class _Flow:
    """Which cells handed non-finite cotangents to which, and where finite ones turned: without the numbers."""

    count: int = 0
    into: dict[Cell, list[tuple[int, list[Cell], Birth | None]]] = field(default_factory=dict)

    def see(self, entry: Entry, outs: Sequence[Any], found: Sequence[Any]) -> None:
        """Note the non-finite contributions of one entry."""
        self.count += 1
        above: list[Cell] | None = None
        for position, (cell, value) in enumerate(zip(entry.inputs, found, strict=True)):
            if value is None or not cell.active:
                continue
            wrong = bad(dense(value))
            if not wrong.any():
                continue
            totals = {c: total for c, total in zip(entry.outputs, outs, strict=True) if total is not None}
            if above is None:
                above = [c for c, total in totals.items() if bad(dense(total)).any()]
            birth = None if above else self._birth(entry, position, wrong, totals, value)
            self.into.setdefault(cell, []).append((self.count, above, birth))

    @staticmethod
    def _birth(entry: Entry, position: int, wrong: np.ndarray, totals: Mapping[Cell, Any], value: Any) -> Birth:
        birth = backward_witness(entry, position, wrong, totals, value)
        own = {cell: replace(cell) for cell in (*entry.inputs, *entry.outputs)}  # outlives the segment
        inputs, outputs = (tuple(own[cell] for cell in cells) for cells in (entry.inputs, entry.outputs))
        return replace(birth, entry=replace(entry, inputs=inputs, outputs=outputs))

    def births(self, start: Sequence[Cell]) -> tuple[Birth, ...]:
        """The births that reach one of these cells, in the order in which the reverse loop came to them."""
        queue, seen, found = list(start), set(start), {}
        while queue:
            for count, above, birth in self.into.get(queue.pop(), ()):
                if birth is not None:
                    found.setdefault(count, birth)
                fresh = [cell for cell in above if cell not in seen]
                seen.update(fresh)
                queue += fresh
        return tuple(found[count] for count in sorted(found))
