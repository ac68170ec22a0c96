"""The birth that a non-finite result goes back to, found without a tape.

`qed.domains.born` follows a result back along the tape, which holds every value of the run; where that is too much
(a loop of thousands of steps over large arrays) the same question is answered going forward: every non-finite element
carries the number of the birth that it comes from, the earliest where there are several, and the result's own number
is the answer; a second evaluation stops there and looks. What is alive at one time is all that is kept. What lies
between birth and result is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from qed.domains.born import Birth, Lineage, bad, implicated, witness
from qed.domains.dependence import inherited
from qed.domains.value import Value
from qed.graph.dtypes import as_wide
from qed.graph.graph import Graph
from qed.graph.tape import Cell, Entry
from qed.graph.walk import Walker


class _Origins:
    """Hands birth numbers from the inputs of each equation to its outputs; 0 is a number that was given."""

    def __init__(self) -> None:
        self.executed = 0
        self.births: list[int] = [0]

    def observe(self, entry: Entry) -> None:
        """Go through one equation."""
        self.executed += 1
        for j, cell in enumerate(entry.outputs):
            wrong = bad(cell.values[0])
            if wrong.any():
                cell.origin = self._of_output(entry, j, wrong)

    def _of_output(self, entry: Entry, output: int, wrong: np.ndarray) -> np.ndarray:
        numbers = [_numbers(cell) for cell in entry.inputs]
        if entry.kind == "take":
            return np.where(wrong, numbers[0][entry.index], 0)
        if entry.kind == "stack":
            return np.where(wrong, np.stack(numbers), 0)
        found = np.zeros(wrong.shape, np.int32)
        nan = np.isnan(as_wide(entry.outputs[output].values[0])) & wrong
        for part, is_nan in ((nan, True), (wrong & ~nan, False)):
            if part.any():
                self._of_part(entry, output, part, is_nan, numbers, found)
        return found

    def _of_part(
        self, entry: Entry, output: int, part: np.ndarray, is_nan: bool, numbers: Sequence[np.ndarray], found: Any
    ) -> None:
        wrong, chosen, with_nan = implicated(entry, output, part, is_nan)
        fresh = part & ~inherited(entry, wrong, output)
        known = _different(own[mask] for mask, own in zip(chosen, numbers, strict=True) if mask is not None)
        for number in reversed(known):  # the earliest is written last
            marked = [
                None if mask is None else mask & (own == number) for mask, own in zip(chosen, numbers, strict=True)
            ]
            found[part & ~fresh & inherited(entry, marked, output)] = number
        if is_nan and not with_nan:  # designed infinities that cancel each other: the NaN is born where they meet
            fresh = fresh | (part & (found == 0))
        if fresh.any():
            if self.births[-1] != self.executed:
                self.births.append(self.executed)
            found[fresh] = len(self.births) - 1


class _Found(Exception):
    """The second evaluation is where it wants to be."""


def _look(graph: Graph, arrays: Sequence[Any], place: int) -> Birth:
    """The birth at the leaf of that number."""
    executed = 0
    births: list[Birth] = []

    def observe(entry: Entry) -> None:
        nonlocal executed
        executed += 1
        if executed == place:
            births.append(witness(entry, [_born_here(entry, j) for j in range(len(entry.outputs))]))
            raise _Found

    try:
        Walker([Value()], observe).run(graph, arrays)
    except _Found:
        pass
    return births[0]


def _born_here(entry: Entry, output: int) -> np.ndarray:
    wrong = bad(entry.outputs[output].values[0])
    marked = [bad(cell.values[0]) for cell in entry.inputs]
    fresh = wrong & ~inherited(entry, marked, output)
    return fresh if fresh.any() else wrong


def _different(numbers: Iterable[np.ndarray]) -> list[int]:
    """The different birth numbers in arrays, ascending."""
    return sorted({int(n) for own in numbers for n in np.unique(own)} - {0})


def _numbers(cell: Cell) -> np.ndarray:
    return np.zeros(cell.shape, np.int32) if cell.origin is None else cell.origin


def origin(
    graph: Graph, arrays: Sequence[Any], output: int = 0, observe: Callable[[Entry], None] | None = None
) -> Lineage:
    """The birth that a non-finite output goes back to, in the memory that one evaluation takes.

    Args:
        graph: the graph.
        arrays: one array per input.
        output: which output.
        observe: called with each entry, for progress.

    Returns:
        A lineage with at most one birth, the earliest, and without the way from there. `given` is True where the output
        is not finite and nothing was born.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> traced = trace(lambda x: jnp.sum(jnp.exp(x)), jnp.array([1.0, 100.0]))
        >>> origin(traced.graph, traced.leaves).births[0].primitive
        'exp'
    """
    found = _Origins()

    def see(entry: Entry) -> None:
        found.observe(entry)
        if observe is not None:
            observe(entry)

    result = Walker([Value()], see).run(graph, arrays)[output]
    numbers = _numbers(result)[bad(result.values[0])]
    born = _different([numbers])
    births = (_look(graph, arrays, found.births[born[0]]),) if born else ()
    return Lineage(births, (), (), bool(numbers.size) and not births)
