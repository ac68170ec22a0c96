"""Terms in an order in which the machine computes them: a table of rows of independent instructions.

List scheduling: at each row, those of the ready instructions go first below which most are waiting (Hu, *Parallel
sequencing and assembly line problems*, 1961). Registers come in blocks, one a row, and a block is used again when the
last of its numbers has been read.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.numerics.longer.instructions import Term
from qed.numerics.longer.limbs import of_fraction, unknown
from qed.numerics.longer.machine import FIELDS, LANES, Operation, run, run_in_numpy


@dataclass(frozen=True, eq=False)
class Table:
    """A program: arguments of `qed.numerics.longer.machine.run`.

    Args:
        code, steps, constants, outputs, registers: as they are there, sizes rounded up so that few differ.
        inputs, wanted: how many numbers it takes and gives.
        instructions: how many there are.
    """

    code: np.ndarray
    steps: int
    constants: np.ndarray
    outputs: np.ndarray
    registers: int
    inputs: int
    wanted: int
    instructions: int

    def __call__(self, inputs: Any) -> tuple[Any, Any]:
        """The results in float64 and the bounds of their relative errors; under `jax.enable_x64`."""
        filled = jnp.pad(inputs, (0, -self.inputs % LANES))
        found, rho = run(self.code, self.steps, self.constants, filled, self.outputs, self.registers)
        return found[: self.wanted], rho[: self.wanted]

    def at_points(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same at many points, (points, numbers), without compiling."""
        found, rho = run_in_numpy(self.code, self.steps, self.constants, inputs, self.outputs, self.registers)
        return found[:, : self.wanted], rho[:, : self.wanted]


def scheduled(inputs: int, outputs: Sequence[Term]) -> Table:
    """The table of some terms.

    Args:
        inputs: how many numbers are given.
        outputs: the terms that are wanted.
    """
    order = _reachable(outputs)
    rows = _rows(order)
    last = _last_reads(rows, outputs)
    constants = _Constants()
    place: dict[int, int] = {}
    for term in order:
        if term.position >= 0:
            place[id(term)] = term.position
        elif term.constant:
            place[id(term)] = -1 - constants(term)
    blocks = _Blocks(-(-inputs // LANES))
    code = np.zeros((_rounded_up(len(rows), 512), FIELDS + 1, LANES), np.int32)
    for k, row in enumerate(rows):
        blocks.release(k)
        block = blocks.take(max(last[id(term)] for term in row))
        code[k, 0] = -1
        code[k, FIELDS] = block
        for lane, term in enumerate(row):
            kind = Operation.PLAIN if term.operation is None else term.operation
            operands: list[int] = [place[id(each)] for each in term.operands]
            code[k, :FIELDS, lane] = np.array([int(kind), *operands, *[0] * (3 - len(operands)), term.extra], np.int32)
            place[id(term)] = block * LANES + lane
    count = len(constants.rows)
    padded = np.zeros((_rounded_up(max(count, 1), 128), len(unknown())), np.int64)
    padded[:count] = constants.rows or padded[:0]
    places = [place[id(term)] for term in outputs]
    wanted = np.array([*places, *[0] * (-len(places) % LANES)], np.int32)
    total = sum(map(len, rows))
    return Table(code, len(rows), padded, wanted, _rounded_up(blocks.count, 32) * LANES, inputs, len(places), total)


def _reachable(outputs: Sequence[Term]) -> list[Term]:
    """The terms below some, operands first."""
    found: list[Term] = []
    seen: set[int] = set()
    stack = [(term, False) for term in outputs]
    while stack:
        term, done = stack.pop()
        if done:
            found.append(term)
        elif id(term) not in seen:
            seen.add(id(term))
            stack.append((term, True))
            stack.extend((each, False) for each in term.operands if id(each) not in seen)
    return found


def _rows(order: Sequence[Term]) -> list[list[Term]]:
    height: dict[int, int] = {}
    users: dict[int, list[Term]] = {}
    waits: dict[int, int] = {}
    for term in reversed(order):
        above = height.setdefault(id(term), 0) + 1
        distinct = {id(each) for each in term.operands if each.operation is not None}
        waits[id(term)] = len(distinct)
        for key in distinct:
            height[key] = max(height.get(key, 0), above)
            users.setdefault(key, []).append(term)
    ready = [(-height[id(t)], k, t) for k, t in enumerate(order) if t.operation is not None and not waits[id(t)]]
    heapq.heapify(ready)
    rows, count = [], len(order)
    while ready:
        row = [heapq.heappop(ready)[2] for _ in range(min(LANES, len(ready)))]
        rows.append(row)
        for term in row:
            for user in users.get(id(term), ()):
                waits[id(user)] -= 1
                if not waits[id(user)]:
                    count += 1
                    heapq.heappush(ready, (-height[id(user)], count, user))
    return rows


def _last_reads(rows: Sequence[Sequence[Term]], outputs: Sequence[Term]) -> dict[int, int]:
    last = {id(term): k for k, row in enumerate(rows) for term in row}
    for k, row in enumerate(rows):
        for term in row:
            last.update((id(each), k) for each in term.operands)
    last.update((id(term), len(rows)) for term in outputs)
    return last


class _Constants:
    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []

    def __call__(self, term: Term) -> int:
        self.rows.append(unknown() if term.value is None else of_fraction(term.value, term.bits))
        return len(self.rows) - 1


class _Blocks:
    """Blocks of registers in use, after those of the inputs."""

    def __init__(self, first: int) -> None:
        self.count = first
        self.free: list[int] = []
        self.until: list[tuple[int, int]] = []

    def release(self, now: int) -> None:
        """Blocks that were read for the last time before this row."""
        while self.until and self.until[0][0] < now:
            heapq.heappush(self.free, heapq.heappop(self.until)[1])

    def take(self, last: int) -> int:
        """A block that is read until a row."""
        if self.free:
            block = heapq.heappop(self.free)
        else:
            block, self.count = self.count, self.count + 1
        heapq.heappush(self.until, (last, block))
        return block


def _rounded_up(count: int, least: int) -> int:
    size = least
    while size < count:
        size *= 2
    return size


__all__ = ["Table", "scheduled"]
