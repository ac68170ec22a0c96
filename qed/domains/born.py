"""Where the first non-finite number is *born*, forward and backward.

An inf or NaN that reaches the result is followed back along the tape, element by element where the primitive
allows it, to the equation that made it out of finite numbers. Non-finite numbers that never reach the result
(a mask of -inf under a softmax, the unused side of a ``where``, a maximum that starts from -inf) are not
followed and not reported.

Forward, with B the set of bad elements of an output::

    NaN among the inputs of B          -> follow the NaN
    only inf among them                -> follow the inf; if the output is NaN, it turned to NaN here
    only finite numbers among them     -> born here

Which inputs an element depends on says `qed.domains.dependence`; elements of one array may differ: some born
here, others handed on.

Where the birth is a pole at zero (log 0, 1/0), the zero is followed too: one that was made of an infinity (1/inf,
exp(-inf)) leads back to that infinity, and if it was born, not given, its birth is the cause and the pole a turn.

Backward, the same with cotangents: *finite cotangents in, non-finite out* names the equation. If the incoming
cotangent is exactly zero the non-finite local derivative belongs to a value that the result does not use
(0 * inf = NaN: the ``where`` trap); otherwise the function itself has no finite derivative there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed import facts
from qed.domains.adjoint import Adjoints, dense
from qed.domains.backward import Tape
from qed.domains.dependence import broadcasts, elementwise, folded, inherited, sources
from qed.graph.dtypes import as_wide, is_inexact
from qed.graph.walk import Cell, Entry
from qed.span import Span

POLES = frozenset({"log", "log2", "div", "rsqrt", "digamma", "lgamma", "pow", "integer_pow", "reciprocal"})
"""Primitives that are not finite at 0: of the divisor, of the only or the first operand of the others."""

_PICKS = frozenset({"max", "min", "reduce_max", "reduce_min", "cummax", "cummin", "sort", "top_k"})
_MIXES = frozenset({"fft", "sort", "cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "gather", "scatter"})
_MIXING = (facts.Class.BILINEAR, facts.Class.LINALG)
"""Where the element of an operand at the same place is not what an element of the output is made of."""


@dataclass(frozen=True, eq=False)
class Birth:
    """The equation that makes the first non-finite number, with the numbers it made it of.

    Args:
        entry: the executed equation.
        phase: 'forward' or 'backward'.
        result: 'inf', '-inf' or 'nan'.
        index: the element shown, the one with the most extreme operand.
        operands: the inputs of that element (None where an input has no single matching element).
        count: how many elements of the output are bad; `size` is how many there are.
        cotangent: backward only: the incoming cotangent at that element.
    """

    entry: Entry
    phase: str
    result: str
    index: tuple[int, ...]
    operands: tuple[float | None, ...]
    count: int
    size: int
    bad_rows: tuple[int, int] | None = None
    cotangent: float | None = None

    @property
    def span(self) -> Span | None:
        """The user's line."""
        return self.entry.span

    @property
    def primitive(self) -> str:
        """The primitive's name."""
        return self.entry.equation.primitive


@dataclass(frozen=True, eq=False)
class Lineage:
    """From the births to the result: `births` in execution order, `turns` where inf became NaN (or 0) on the way."""

    births: tuple[Birth, ...]
    turns: tuple[Birth, ...]
    passed: tuple[Entry, ...]
    given: bool = False


def bad(value: Any) -> np.ndarray:
    """The mask of non-finite elements; all False for dtypes without inf and NaN, and for `Unknown`."""
    if not is_inexact(getattr(value, "dtype", None)):
        return np.zeros(getattr(value, "shape", ()), bool)
    found = np.asarray(value)
    return ~np.isfinite(found if found.dtype.kind in "fc" else as_wide(found))


def _real(value: Any) -> np.ndarray:
    """Numbers to show: float64, of complex ones the worse part."""
    found = as_wide(value)
    if np.iscomplexobj(found):
        return np.where(np.isfinite(np.real(found)), np.imag(found), np.real(found))
    return found.astype(np.float64)


def word(value: float) -> str:
    """'nan', 'inf', '-inf', or '0' of a zero that was made of an infinity."""
    if value == 0:
        return "0"
    return "nan" if np.isnan(value) else ("inf" if value > 0 else "-inf")


# --- forward --------------------------------------------------------------------------------------------------


def forward_births(tape: Tape, output: int = 0) -> Lineage:
    """Follow a non-finite output back to where it was born.

    Args:
        tape: recorded with calls entered (`record(..., whole_custom_calls=False)`).
        output: which output.

    Returns:
        The lineage; empty where the output is finite. `given` is True where the trail ends at an input or at a
        constant, that is where nothing was born and the number was handed in.
    """
    target = tape.outputs[output]
    masks: dict[Cell, np.ndarray] = {target: bad(target.values[0])}
    if not masks[target].any():
        return Lineage((), (), ())
    births: list[Birth] = []
    turns: list[Birth] = []
    passed: list[Entry] = []
    produced: set[Cell] = set()
    behind = _Behind()
    for entry in reversed(tape.entries):
        mine = [masks.get(cell) for cell in entry.outputs]
        if behind.follow(entry):
            passed.append(entry)
        if all(mask is None or not mask.any() for mask in mine):
            continue
        produced.update(entry.outputs)
        if passed[-1:] != [entry]:
            passed.append(entry)
        origin, is_turn = _follow(entry, mine, masks)
        if origin is not None:
            births.append(witness(entry, origin))
            behind.look(births[-1], origin)
        if is_turn:
            turns.append(witness(entry, mine))
    given = any(mask.any() and cell not in produced for cell, mask in masks.items())
    if not births and turns:  # designed infinities that cancel each other: the NaN is born where they meet
        births, turns = [turns[-1]], turns[:-1]
    if behind.births:
        order = {id(entry): i for i, entry in enumerate(tape.entries)}
        turns = sorted([*turns, *behind.turns, *behind.poles], key=lambda turn: -order[id(turn.entry)])
        births = [birth for birth in births if birth not in behind.poles] + behind.births
        births.sort(key=lambda birth: -order[id(birth.entry)])
    else:
        passed = [entry for entry in passed if any(cell in produced for cell in entry.outputs)]
    return Lineage(tuple(births[::-1]), tuple(turns[::-1]), tuple(passed[::-1]), given and not births)


class _Behind:
    """What stands behind a zero at which a pole was hit: the zeros that made it, and the infinities that made those."""

    def __init__(self) -> None:
        self.zeros: dict[Cell, np.ndarray] = {}
        self.masks: dict[Cell, np.ndarray] = {}
        self.births: list[Birth] = []
        self.turns: list[Birth] = []
        self.poles: list[Birth] = []

    def look(self, birth: Birth, origin: Sequence[Any]) -> None:
        """Follow the zeros that a birth was made of, if it is at a pole."""
        entry, mask = birth.entry, origin[0]
        if birth.primitive not in POLES or not elementwise(entry):
            return
        cell = entry.inputs[1 if birth.primitive == "div" else 0]
        if is_inexact(cell.dtype):
            zeros = folded(mask, cell.shape) & _zero(cell)
            if zeros.any():
                self._mark(self.zeros, cell, zeros)
                self.poles.append(birth)

    def follow(self, entry: Entry) -> bool:
        """Go through one equation; whether it is on the way."""
        found = False
        for j, cell in enumerate(entry.outputs):
            zeros = self.zeros.get(cell)
            if zeros is not None:
                self._zeros(entry, zeros, j)
                found = True
        mine = [self.masks.get(cell) for cell in entry.outputs]
        if all(mask is None or not mask.any() for mask in mine):
            return found
        origin, _ = _follow(entry, mine, self.masks)
        if origin is not None:
            self.births.append(witness(entry, origin))
        return True

    def _zeros(self, entry: Entry, zeros: np.ndarray, output: int) -> None:
        implicated = sources(entry, zeros, output)
        if elementwise(entry) and entry.primitive not in (*_PICKS, "clamp"):
            infinite = [
                None if mask is None else mask & bad(cell.values[0])
                for cell, mask in zip(entry.inputs, implicated, strict=True)
            ]
            if any(mask is not None and mask.any() for mask in infinite):
                for cell, mask in zip(entry.inputs, infinite, strict=True):
                    self._mark(self.masks, cell, mask)
                made = zeros & inherited(entry, infinite, output)
                self.turns.append(witness(entry, [made]))
        handed = [None if m is None else m & _zero(c) for c, m in zip(entry.inputs, implicated, strict=True)]
        if entry.primitive == "dot_general" and all(_zero(cell).any() for cell in entry.inputs):
            return  # which of the products is to blame is not known
        if entry.primitive == "mul":  # zero times zero: neither is the one to blame
            a, b = (np.broadcast_to(_zero(cell), zeros.shape) for cell in entry.inputs)
            alone = zeros & ~(a & b)
            handed = [folded(alone, cell.shape) & _zero(cell) for cell in entry.inputs]
        for cell, mask in zip(entry.inputs, handed, strict=True):
            self._mark(self.zeros, cell, mask)

    @staticmethod
    def _mark(into: dict[Cell, np.ndarray], cell: Cell, mask: np.ndarray | None) -> None:
        if mask is not None and mask.any():
            into[cell] = into[cell] | mask if cell in into else mask


def _zero(cell: Cell) -> np.ndarray:
    """The mask of the elements that are 0."""
    return as_wide(cell.values[0]) == 0 if is_inexact(cell.dtype) else np.zeros(cell.shape, bool)


def _follow(entry: Entry, mine: Sequence[Any], masks: dict[Cell, np.ndarray]) -> tuple[Any, bool]:
    """Mark the inputs to follow; return the masks of what was born here, and whether inf turned to NaN here."""
    born: list[np.ndarray | None] = [None] * len(mine)
    turned = False
    for j, (cell, mask) in enumerate(zip(entry.outputs, mine, strict=True)):
        if mask is None or not mask.any():
            continue
        nan = np.isnan(as_wide(cell.values[0])) & mask
        for part, is_nan in ((nan, True), (mask & ~nan, False)):
            if part.any():
                fresh, turn = _follow_part(entry, j, part, is_nan, masks)
                turned = turned or turn
                if fresh.any():
                    born[j] = fresh if born[j] is None else born[j] | fresh
    return (born if any(mask is not None for mask in born) else None), turned


def _follow_part(
    entry: Entry, output: int, part: np.ndarray, is_nan: bool, masks: dict[Cell, np.ndarray]
) -> tuple[np.ndarray, bool]:
    """The same for one output and one kind of number: (born here, turned here)."""
    wrong, chosen, with_nan = implicated(entry, output, part, is_nan)
    for cell, mask in zip(entry.inputs, chosen, strict=True):
        if mask is not None and mask.any():
            masks[cell] = masks[cell] | mask if cell in masks else mask
    followed = any(mask is not None and mask.any() for mask in chosen)
    if entry.kind != "equation":
        return np.zeros(part.shape, bool), False
    fresh = part & ~inherited(entry, wrong, output)
    return fresh, followed and is_nan and not with_nan


def implicated(
    entry: Entry, output: int, part: np.ndarray, is_nan: bool
) -> tuple[list[np.ndarray | None], list[np.ndarray | None], bool]:
    """For the marked elements of one kind: (all non-finite inputs, those to follow, whether there is NaN to follow)."""
    of_part = sources(entry, part, output)
    wrong = [
        None if mask is None else mask & bad(cell.values[0]) for cell, mask in zip(entry.inputs, of_part, strict=True)
    ]
    if not is_nan and entry.primitive in _PICKS:  # a maximum of inf does not come from a -inf beside it
        picked = set(_real(entry.outputs[output].values[0])[part].tolist())
        wrong = [
            None if mask is None else mask & np.isin(_real(cell.values[0]), list(picked))
            for cell, mask in zip(entry.inputs, wrong, strict=True)
        ]
    nans = [
        None if mask is None else mask & np.isnan(as_wide(cell.values[0]))
        for cell, mask in zip(entry.inputs, wrong, strict=True)
    ]
    with_nan = is_nan and any(mask is not None and mask.any() for mask in nans)
    return wrong, nans if with_nan else wrong, with_nan


def witness(entry: Entry, mine: Sequence[Any], phase: str = "forward") -> Birth:
    """The birth of the marked elements of the outputs."""
    j = next(k for k, mask in enumerate(mine) if mask is not None and mask.any())
    mask, out = mine[j], _real(entry.outputs[j].values[0])
    index = _most_extreme(entry, mask)
    rows = (int(mask.reshape(mask.shape[0], -1).any(1).sum()), mask.shape[0]) if mask.ndim else None
    operands = _operands(entry, mask.shape, index)
    return Birth(entry, phase, word(float(out[index])), index, operands, int(mask.sum()), mask.size, rows)


def _most_extreme(entry: Entry, mask: np.ndarray) -> tuple[int, ...]:
    """The bad element with the largest finite first operand; where NaN came of inf, an element with most inf."""
    candidates = np.argwhere(mask)
    handed = [bad(c.values[0]) for c in entry.inputs if is_inexact(c.dtype) and broadcasts(c.shape, mask.shape)]
    if any(h.any() for h in handed):
        count = sum(np.broadcast_to(h, mask.shape).astype(int) for h in handed)
        return tuple(int(i) for i in candidates[int(np.argmax(np.asarray(count)[mask]))])
    if entry.inputs and entry.inputs[0].shape == mask.shape and is_inexact(entry.inputs[0].dtype):
        values = np.abs(_real(entry.inputs[0].values[0]))[mask]
        finite = np.where(np.isfinite(values), values, -1.0)
        return tuple(int(i) for i in candidates[int(np.argmax(finite))])
    return tuple(int(i) for i in candidates[0])


def _operands(entry: Entry, shape: tuple[int, ...], index: tuple[int, ...]) -> tuple[float | None, ...]:
    found: list[float | None] = []
    mixed = entry.primitive in _MIXES or facts.classify(entry.primitive) in _MIXING
    for cell in entry.inputs:
        if is_inexact(cell.dtype) and broadcasts(cell.shape, shape) and not (mixed and cell.shape):
            value = np.broadcast_to(_real(cell.values[0]), shape)
            found.append(float(value[index]))
        else:
            found.append(None)
    return tuple(found)


# --- backward -------------------------------------------------------------------------------------------------


def backward_births(found: Adjoints, active: Sequence[int]) -> tuple[Birth, ...]:
    """The equations that make a non-finite gradient out of finite cotangents, in the order of the reverse loop.

    Args:
        found: adjoints with their parts kept.
        active: positions of the inputs whose gradients are looked at.
    """
    totals, parts = found.cotangents.totals, found.cotangents.parts
    start = [found.tape.inputs[i] for i in active]
    queue = [cell for cell in start if bad(dense(totals.get(cell, None))).any()]
    seen: set[Cell] = set(queue)
    births: dict[int, Birth] = {}
    while queue:
        cell = queue.pop()
        for part in parts.get(cell, ()):
            wrong = bad(dense(part.value))
            if not wrong.any():
                continue
            above = [c for c in part.entry.outputs if c in totals and bad(dense(totals[c])).any()]
            if above:
                queue += [c for c in above if c not in seen]
                seen.update(above)
            else:
                births.setdefault(
                    id(part.entry), backward_witness(part.entry, part.position, wrong, totals, part.value)
                )
    order = {id(entry): i for i, entry in enumerate(found.tape.entries)}
    return tuple(sorted(births.values(), key=lambda birth: -order[id(birth.entry)]))


def backward_witness(entry: Entry, position: int, wrong: np.ndarray, totals: Mapping[Cell, Any], value: Any) -> Birth:
    """The birth of the marked elements of what an entry adds to the cotangent of one of its inputs."""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    out = entry.outputs[0]
    incoming = _real(dense(totals[out])) if out in totals else None
    same = incoming is not None and incoming.shape == wrong.shape
    cotangent = float(incoming[index]) if same and incoming is not None else None
    result = word(float(_real(dense(value))[index]))
    rows = (int(wrong.reshape(wrong.shape[0], -1).any(1).sum()), wrong.shape[0]) if wrong.ndim else None
    operands = _operands(entry, wrong.shape, index)
    return Birth(entry, "backward", result, index, operands, int(wrong.sum()), wrong.size, rows, cotangent)
