"""Which values of a run are made of parameters alone, and which have data in them.

A value is *of the parameters* if it is computed from parameters and constant numbers (a row of W, a cast of it, its
square), and *mixed* if data are in it too: an argument behind the first, a constant array, a mask. The difference tells
a weight from what flows through the network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qed.calculus.backpropagation.naming import VIEWS
from qed.calculus.backpropagation.sweep import Sweep
from qed.graph.walk import Cell, Entry


@dataclass(eq=False)
class Kinds:
    """For each value: which parameters are in it (as bits), whether data are, and which part of a parameter it is."""

    bits: dict[Cell, int] = field(default_factory=dict)
    mixed: dict[Cell, bool] = field(default_factory=dict)
    part: dict[Cell, tuple[Any, ...]] = field(default_factory=dict)

    def is_mixed(self, cell: Cell) -> bool:
        """Whether data are in a value; a constant array is data, a constant number is not."""
        return self.mixed.get(cell, not cell.active and bool(cell.shape))

    def of_parameters(self, cell: Cell) -> bool:
        """Whether a value is computed from parameters alone."""
        return cell.active and not self.is_mixed(cell)


def kinds(done: Sweep, only_views: bool = False) -> Kinds:
    """Classify every value of a run.

    Args:
        done: the run.
        only_views: count as of the parameters only what shows a part of them, and everything computed as mixed: for
            programs without data, such as a chain of products with the entries of one vector.
    """
    found = Kinds()
    free = set(done.function.traced.free)
    for i, cell in enumerate(done.tape.inputs):
        found.bits[cell], found.mixed[cell] = (1 << i, False) if i in free else (0, True)
    for entry in done.tape.entries:
        bits, mixed = 0, False
        part: tuple[Any, ...] = ()
        for cell in entry.inputs:
            bits |= found.bits.get(cell, 0)
            mixed = mixed or found.is_mixed(cell)
            part += found.part.get(cell, ())
        part += _part_of(entry)
        for cell in entry.outputs:
            found.bits[cell] = bits
            computed = only_views and cell.active and entry.primitive not in VIEWS
            found.mixed[cell] = mixed or computed or (not cell.active and bool(cell.shape))
            if part and cell.active and not found.mixed[cell]:
                found.part[cell] = part
    return found


def _part_of(entry: Entry) -> tuple[Any, ...]:
    """What tells one row or slice of a parameter from another."""
    if entry.kind == "take":
        return (entry.index,)
    if entry.primitive == "slice":
        return (entry.equation.params["start_indices"],)
    if entry.primitive in ("dynamic_slice", "gather"):
        return tuple(np.asarray(cell.values[0]).tobytes() for cell in entry.inputs[1:] if not cell.active)
    return ()
