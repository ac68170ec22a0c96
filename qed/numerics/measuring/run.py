"""The run of a program, equation by equation in its own arithmetic, beside the numbers that it stands for.

Control follows the program: where its rounded numbers choose a branch or end a loop, so does what runs beside them. The
numbers beside are balls (`qed.domains.ball`) where the run is small enough for them, and float64 (`qed.domains.shadow`)
where it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.domains.backward import LARGEST_TAPE, Tape, activity
from qed.domains.ball import Ball
from qed.domains.balls import Balls
from qed.domains.cost import leaf
from qed.domains.known import Known
from qed.domains.precision import precision
from qed.domains.shadow import Shadow
from qed.domains.value import Value
from qed.graph.graph import Graph
from qed.graph.walk import Cell, Frame, TooLong, Unknown, Walker


@dataclass(frozen=True, eq=False)
class Run:
    """A recorded run; each cell holds the program's value first, then, if anything ran beside it, that.

    Args:
        graph: the graph; `arrays` one array per input.
        tape: entries and ends, with every call entered.
        beside: 'balls', 'float64' or ''.
        returned: what a call of the program returned, where that is asked about and not the run.
    """

    graph: Graph
    arrays: tuple[Any, ...]
    tape: Tape
    beside: str = ""
    returned: tuple[Any, ...] | None = None

    @property
    def results(self) -> list[Any]:
        """What the program returned, one array per output."""
        return [cell.values[0] for cell in self.tape.outputs] if self.returned is None else list(self.returned)

    @property
    def operations(self) -> float:
        """How many operations on single numbers were executed."""
        total = 0.0
        for entry in self.tape.entries:
            if entry.kind == "equation":
                sizes = sum(int(np.prod(cell.shape)) for cell in entry.outputs)
                total += max(leaf(entry.equation, [True] * len(entry.inputs)).value, sizes)
        return total

    def truth(self, cell: Cell) -> Any:
        """What ran beside a cell, in float64 (the middle of a ball), or `Unknown`."""
        return narrowed(cell.values[1], cell)


def narrowed(value: Any, cell: Cell) -> Any:
    """A value of a domain beside the program's as an array; the program's own where the domain does not know it."""
    if isinstance(value, Unknown):
        return value
    if isinstance(value, Known):
        return value.array
    if isinstance(value, Balls):
        with precision(53):
            flat = [float(ball.mid()) if ball.is_finite() or ball.is_exact() else np.nan for ball in value.array.flat]
        return np.array(flat, np.float64).reshape(value.shape)
    return value


def run(graph: Graph, arrays: Sequence[Any], beside: str = "", bits: int = 120, most: int = LARGEST_TAPE) -> Run:
    """Run a graph, and record it.

    Args:
        graph: the graph.
        arrays: one array per input.
        beside: 'balls' (of that many bits), 'float64', or nothing.
        bits: of the balls.
        most: how many bytes of values to keep.

    Raises:
        TooLong: where the values take more than that, or too many equations are executed.
    """
    domains: list[Any] = [Value()]
    if beside:
        domains.append(Ball(bits) if beside == "balls" else Shadow())
    entries: list[Any] = []
    kept = 0

    def keep(entry: Any) -> None:
        nonlocal kept
        entries.append(entry)
        kept += sum(3 * getattr(cell.values[0], "nbytes", 0) for cell in entry.outputs)
        if kept > most:
            message = f"the values of the run take more than {most / 2**30:.2g} GiB"
            raise TooLong(message)

    walker = Walker(domains, keep, activity)
    cells = walker.start(graph, arrays)
    outputs = walker.walk(graph, cells, Frame(graph))
    return Run(graph, tuple(arrays), Tape(tuple(entries), cells, tuple(outputs)), beside)
