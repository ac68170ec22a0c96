"""A recorded run in float64, with the true numbers in it: where adjoints are taken.

The adjoint of a value says how much the result moves when the value does, and it has to be known where the program
itself has lost its digits: at the true numbers, not at the computed ones. So the tape of the run is copied, each cell
with the true number in float64, each equation with the dtypes in its parameters widened
(`qed.domains.widened` does the same for compiled programs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.domains.adjoint import Adjoint, add, dense
from qed.domains.shadow import widened_native
from qed.graph.dtypes import as_wide, is_inexact, is_real, wide
from qed.graph.graph import Equation
from qed.graph.walk import Cell, Entry, Unknown, reverse

Truth = Callable[[Cell], Any]


@dataclass(frozen=True, eq=False)
class Wide:
    """A run in float64: its entries, and the wide cell of each cell of the program."""

    entries: tuple[Entry, ...]
    cells: Mapping[Cell, Cell]

    def weights(self, output: Cell, seed: np.ndarray) -> dict[Cell, Any]:
        """The derivative of <seed, output> with respect to every cell: an array, or `Unknown`; missing where it is 0.

        Cells are those of the program.
        """
        wide_output = self.cells[output]
        with jax.enable_x64(True):
            totals = reverse(self.entries, {wide_output: jnp.asarray(seed)}, Adjoint().pull, add).totals
            found = {cell: dense(totals[w]) for cell, w in self.cells.items() if w in totals}
        return {cell: value if isinstance(value, Unknown) else np.asarray(value) for cell, value in found.items()}


def widen_run(entries: Sequence[Entry], ends: Sequence[Cell], truth: Truth) -> Wide:
    """The tape in float64.

    Args:
        entries: of the run, calls entered.
        ends: cells at both ends of the run, which no entry may read or write.
        truth: the true number of a cell, as an array in its own or a wider dtype.
    """
    cells: dict[Cell, Cell] = {}
    equations: dict[Equation, Equation] = {}

    def cell_of(cell: Cell) -> Cell:
        if cell not in cells:
            value = truth(cell)
            if not isinstance(value, Unknown) and is_real(cell.dtype):
                value = jnp.asarray(as_wide(value))
            cells[cell] = Cell((value,), cell.shape, wide(cell.dtype), is_inexact(cell.dtype))
        return cells[cell]

    def equation_of(equation: Equation) -> Equation:
        if equation not in equations:
            native = equation.native
            equations[equation] = equation if native is None else replace(equation, native=widened_native(native))
        return equations[equation]

    with jax.enable_x64(True):
        for cell in ends:
            cell_of(cell)
        wide_entries = tuple(
            replace(
                entry,
                equation=equation_of(entry.equation),
                inputs=tuple(map(cell_of, entry.inputs)),
                outputs=tuple(map(cell_of, entry.outputs)),
            )
            for entry in entries
        )
    return Wide(wide_entries, cells)
