"""Which equations lose the digits: local errors, weighted by the adjoint of where they are made.

Every executed equation y = f(x) computes y + d, with d its *local* error: what it returned minus f of the very numbers
that it was given. To first order the result moves by the sum over all equations of <adjoint(y), d>, so that
|<adjoint(y), d>| over the sum of these is the equation's share. An error in an element that the result hardly depends
on counts for nothing, however large it is beside the element: that is why a product of matrices with one entry near
zero is not to blame (Wilkinson 1963; the weighting by adjoints: Griewank and Walther 2008, section 4.1).

A subtraction of two near numbers makes no error of its own (Sterbenz): it *uncovers* the errors made before it. So each
blamed equation also names the sum or difference behind it that turns its error into lost digits, by

    kappa = (|a| + |b|) / |a + b|,    log2(kappa) bits.

Adjoints are taken at the true numbers. Local errors are found in float64 for narrower dtypes, in balls for float64 and
where float64 itself rounds by what matters: cos(1e-8) is 1 in float64, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed import facts
from qed.domains.ball import Ball
from qed.domains.born import forward_births
from qed.domains.precision import flint, precision
from qed.domains.rounding import roundings
from qed.domains.shadow import Shadow, widen
from qed.graph.dtypes import as_wide, is_real, unit_roundoff
from qed.graph.walk import Cell, Context, Entry, Unknown
from qed.numerics.measuring.run import Run
from qed.numerics.measuring.wide import Wide, widen_run
from qed.span import Span

KAPPA = 3.0
"""Bits that a sum must uncover to be named."""
UNEXPLAINED = 1e-3
"""Below this part of the true number, roundings are no reason for a result that is not finite."""

_SUMS = frozenset({"add", "add_any", "sub", "reduce_sum", "dot_general", "conv_general_dilated", "cumsum"})
_BITS = 240


@dataclass(frozen=True)
class Uncovering:
    """A sum or difference of near numbers: it leaves `bits` fewer digits than its operands had.

    Args:
        primitive: such as 'sub'.
        span: the user's line.
        loop_steps: the steps of the loops around it, outermost first.
        bits: log2 of kappa.
        operands: the numbers that cancel, where there are two; of a sum the largest partial size.
        result: what is left.
    """

    primitive: str
    span: Span | None
    loop_steps: tuple[int, ...]
    bits: float
    operands: tuple[float, ...]
    result: float


@dataclass(frozen=True)
class Blame:
    """An equation, and its part in the error of the result.

    Args:
        primitive: such as 'exp'.
        span: the user's line.
        share: of the error, between 0 and 1.
        peak: that of its worst execution alone; None where that is not known.
        bits: how many bits the result would lose by this share of its error alone.
        loop_steps: the steps of the loops around its worst execution, outermost first; () outside loops.
        times: how often it was executed with some share.
        absorbed: of an addition, whether the result is one of its operands although the other is not zero.
        underflow: whether it returned 0 for a number that is not zero.
        overflow: whether it returned inf for a finite number.
        terms: how many terms it adds up.
        uncovered: the sum behind it that turns its error into lost digits, if there is one.
    """

    primitive: str
    span: Span | None
    share: float
    bits: float
    loop_steps: tuple[int, ...] = ()
    times: int = 1
    absorbed: bool = False
    underflow: bool = False
    overflow: bool = False
    terms: int = 1
    uncovered: Uncovering | None = None
    peak: float | None = None


@dataclass(frozen=True, eq=False)
class Account:
    """Where the error of one element of the result comes from, the largest share first.

    `explained` is the sum of all contributions over the error that was observed: about 1 where first order is enough.
    `lost` is a value whose adjoint no rule gives: what is before it is not accounted for. `inherent` is how many bits
    are lost when nothing but the inputs is rounded, to first order: log2(1 + sum |adjoint(x)| |x| / |result|). What a
    program loses beyond that is its own doing; of the rest, no other way to compute the same helps.
    """

    equations: tuple[Blame, ...]
    explained: float | None = None
    lost: Unknown | None = None
    inherent: float | None = None


@dataclass(eq=False)
class _Part:
    entry: Entry
    position: int
    contribution: float
    marks: dict[str, bool]
    terms: int


def account(
    found: Run, output: int, index: tuple[int, ...], error: float, bits: float, largest: float = 0.0
) -> Account:
    """Account for the error of one element of an output.

    Args:
        found: a run with something beside it.
        output: which output.
        index: which element of it.
        error: result minus truth; not finite where the result is not.
        bits: how many bits the element loses.
        largest: against which the error is taken where it is larger than the element.
    """
    cell = found.tape.outputs[output]
    seed = np.zeros(cell.shape)
    seed[index] = 1.0
    wide = widen_run(found.tape.entries, [*found.tape.inputs, *found.tape.outputs], found.truth)
    weights = wide.weights(cell, seed)
    lost = next((w for w in weights.values() if isinstance(w, Unknown)), None)
    size = abs(float(np.asarray(wide.cells[cell].values[0])[index]))
    observed = abs(error) if math.isfinite(error) else max(size, largest)
    parts = _parts(found, weights, observed)
    inherent = _inherent(found, weights, size, largest)
    total = sum(part.contribution for part in parts)
    if not parts or total == 0.0 or (not math.isfinite(error) and total < UNEXPLAINED * observed):
        births = born(found, output)
        if births or not parts or total == 0.0:
            return Account(births, None, lost, inherent)
    sums = _uncoverings(found, wide, weights, total if math.isfinite(total) else math.inf)
    explained = total / abs(error) if error and math.isfinite(error) and math.isfinite(total) else None
    return Account(tuple(_blames(parts, total, bits, sums)), explained, lost, inherent)


def _inherent(found: Run, weights: Mapping[Cell, Any], size: float, largest: float) -> float | None:
    """Bits lost by rounding the inputs alone."""
    total = 0.0
    for cell in found.tape.inputs:
        weight = weights.get(cell)
        if isinstance(weight, Unknown):
            return None
        if weight is not None and is_real(cell.dtype):
            with np.errstate(all="ignore"):
                total += float(np.sum(np.abs(weight * as_wide(cell.values[0]))))
    size = max(size, largest)
    return None if not (math.isfinite(total) and size > 0) else math.log2(1 + total / size)


def _blames(parts: Sequence[_Part], total: float, bits: float, sums: Sequence[tuple[int, Uncovering]]) -> list[Blame]:
    """Executions of one equation together, ranked."""
    groups: dict[tuple[Any, ...], list[_Part]] = {}
    for part in parts:
        groups.setdefault(_place(part.entry), []).append(part)
    infinite = sum(1 for part in parts if math.isinf(part.contribution))
    blames = []
    for group in groups.values():
        worst = max(group, key=lambda part: part.contribution)
        size = sum(part.contribution for part in group)
        peak = None if infinite else worst.contribution / total
        if infinite:
            share = sum(1 for part in group if math.isinf(part.contribution)) / infinite
        else:
            share = size / total
        behind = [uncovering for position, uncovering in sums if position > worst.position]
        blames.append(
            Blame(
                worst.entry.primitive,
                worst.entry.span,
                share,
                math.log2(1 + share * (2.0**bits - 1)),
                worst.entry.frame.steps(),
                len(group),
                terms=max(part.terms for part in group),
                uncovered=max(behind, key=lambda u: u.bits, default=None),
                peak=peak,
                **worst.marks,
            )
        )
    return sorted((b for b in blames if b.share > 1e-6), key=lambda b: -b.share)


def _place(entry: Entry) -> tuple[Any, ...]:
    """What is the same for all steps of a loop."""
    frame, calls = entry.frame, []
    while frame is not None and frame.equation is not None:
        calls.append((id(frame.equation), frame.branch))
        frame = frame.parent
    return (id(entry.equation), *calls)


# --- local errors ---------------------------------------------------------------------------------------------


def _parts(found: Run, weights: Mapping[Cell, Any], error_of_all: float) -> list[_Part]:
    parts = []
    for position, entry in enumerate(found.tape.entries):
        if entry.kind != "equation" or not any(is_real(cell.dtype) for cell in entry.outputs):
            continue
        weighted = [(cell, weights.get(cell)) for cell in entry.outputs]
        if all(w is None or isinstance(w, Unknown) or not np.any(w) for _, w in weighted) or _exact(entry):
            continue
        sharp = found.beside == "balls" and _rounds_in_float64(weighted, error_of_all)
        errors = _local_errors(entry, sharp)
        if errors is None:
            continue
        contribution = 0.0
        for (cell, weight), error in zip(weighted, errors, strict=True):
            if weight is None or isinstance(weight, Unknown) or error is None or not is_real(cell.dtype):
                continue
            with np.errstate(all="ignore"):
                each = np.where((error == 0) | (weight == 0) | np.isnan(weight), 0.0, weight * error)
                contribution += abs(float(np.sum(each))) if not np.isinf(each).any() else math.inf
        if contribution > 0:
            parts.append(_Part(entry, position, contribution, _marks(entry, weighted, errors), _terms(entry)))
    return parts


def _exact(entry: Entry) -> bool:
    """Whether an equation only moves numbers, or chooses among them."""
    kind = facts.classify(entry.equation.primitive)
    if kind in (facts.Class.INDEX, facts.Class.SELECT, facts.Class.COMPARE, facts.Class.RANDOM, facts.Class.EFFECT):
        return entry.equation.primitive not in ("scatter-add", "scatter-mul")
    return entry.equation.primitive in ("neg", "abs", "max", "min", "stop_gradient", "copy", "broadcast_in_dim")


def _rounds_in_float64(weighted: Sequence[Any], error: float) -> bool:
    """Whether a rounding of a result to float64 would be a material part of an error."""
    for cell, weight in weighted:
        if weight is None or isinstance(weight, Unknown) or not is_real(cell.dtype):
            continue
        with np.errstate(all="ignore"):
            size = np.nan_to_num(np.abs(weight * as_wide(cell.values[0])), nan=0.0, posinf=0.0)
        if size.size and float(np.max(size)) * 2.0**-52 > 1e-3 * error:
            return True
    return False


def _local_errors(entry: Entry, sharp: bool = False) -> list[np.ndarray | None] | None:
    """What an equation returned minus its function of what it was given; in balls where that has to be sharp."""
    given = [cell.values[0] for cell in entry.inputs]
    returned = [cell.values[0] for cell in entry.outputs]
    context = Context(entry.equation, entry.frame, {"value": tuple(given), "value:out": tuple(returned)})
    narrow = all(not is_real(cell.dtype) or unit_roundoff(cell.dtype) > 2.0**-40 for cell in entry.outputs)
    if narrow and not sharp:
        exact = Shadow().apply(entry.equation, [widen(value) for value in given], context)
        return [_difference(a, b) for a, b in zip(returned, exact, strict=True)]
    domain = Ball(_BITS)
    inputs = [domain.constant(atom, v) for atom, v in zip(entry.equation.inputs, given, strict=True)]
    if any(isinstance(value, Unknown) for value in inputs):
        return None
    exact = domain.apply(entry.equation, inputs, context)
    with precision(_BITS):
        return [_ball_difference(domain, a, b) for a, b in zip(returned, exact, strict=True)]


def _difference(returned: Any, exact: Any) -> np.ndarray | None:
    if isinstance(exact, Unknown) or not is_real(getattr(returned, "dtype", None)):
        return None
    a, b = as_wide(returned), as_wide(exact)
    with np.errstate(all="ignore"):
        found = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, a - b)
    return np.where(np.isnan(found), np.where(np.isnan(b), 0.0, np.inf), found)


def _ball_difference(domain: Ball, returned: Any, exact: Any) -> np.ndarray | None:
    if isinstance(exact, Unknown) or not is_real(getattr(returned, "dtype", None)):
        return None
    value = domain.number(exact)
    numbers = as_wide(returned)
    arb = flint().arb
    differences = []
    for number, ball in zip(numbers.ravel().tolist(), value.array.ravel(), strict=True):
        if not math.isfinite(number):
            differences.append(math.inf if ball.is_finite() else 0.0)
        else:
            distance = arb(number) - ball
            differences.append(float(distance.mid()) if distance.is_finite() else 0.0)
    return np.array(differences, np.float64).reshape(numbers.shape)


def _marks(entry: Entry, weighted: Sequence[Any], errors: Sequence[Any]) -> dict[str, bool]:
    """What kind of error it is, at the element that matters most."""
    weight, error = weighted[0][1], errors[0]
    if weight is None or isinstance(weight, Unknown) or error is None:
        return {}
    with np.errstate(all="ignore"):
        place = np.unravel_index(int(np.argmax(np.nan_to_num(np.abs(weight * error), posinf=np.inf))), error.shape)
    value = float(as_wide(entry.outputs[0].values[0])[place])
    operands = _operands(entry, place, 0)
    absorbed = entry.primitive in ("add", "add_any", "sub") and any(
        other != 0 and abs(value) == abs(kept) for kept, other in (operands, operands[::-1]) if len(operands) == 2
    )
    return {
        "absorbed": absorbed,
        "underflow": abs(value) < float(np.finfo(np.float64).tiny) and float(error[place]) != 0 and value == 0,
        "overflow": math.isinf(value) and all(map(math.isfinite, operands)),
    }


def _operands(entry: Entry, place: tuple[Any, ...], which: int) -> list[float]:
    """The operands of one element of an elementwise equation, [] for others."""
    shape = entry.outputs[0].shape
    try:
        return [
            float(np.broadcast_to(as_wide(cell.values[which]), shape)[place])
            for cell in entry.inputs
            if is_real(cell.dtype)
        ]
    except (ValueError, TypeError):
        return []


def _terms(entry: Entry) -> int:
    if entry.primitive not in _SUMS or not entry.inputs:
        return 1
    return max(1, int(roundings(entry, entry.outputs[0].values[0])[0]))


# --- sums that uncover ----------------------------------------------------------------------------------------


def _uncoverings(found: Run, wide: Wide, weights: Mapping[Cell, Any], total: float) -> list[tuple[int, Uncovering]]:
    """Sums and differences through which a material part of the error passes, and which leave few digits."""
    sums = []
    for position, (entry, twin) in enumerate(zip(found.tape.entries, wide.entries, strict=True)):
        if entry.kind != "equation" or entry.primitive not in _SUMS:
            continue
        cell = entry.outputs[0]
        weight, truth = weights.get(cell), wide.cells[cell].values[0]
        if weight is None or isinstance(weight, Unknown) or isinstance(truth, Unknown) or not is_real(cell.dtype):
            continue
        truth = np.asarray(truth)
        with np.errstate(all="ignore"):
            moved = np.abs(weight * (as_wide(cell.values[0]) - truth))
        moved = np.nan_to_num(moved, nan=0.0, posinf=np.inf)
        place = np.unravel_index(int(np.argmax(moved)), moved.shape)
        if not moved[place] >= 0.1 * min(total, np.finfo(float).max):
            continue
        if entry.primitive in ("add", "add_any", "sub"):
            operands = _operands(twin, place, 0)
        else:
            operands = [float(roundings(twin, truth)[1][place])]
        left = abs(float(truth[place]))
        size = sum(map(abs, operands))
        bits = math.log2(size / left) if left > 0 and size > 0 else math.inf if size > 0 else 0.0
        if bits >= KAPPA:
            steps = entry.frame.steps()
            sums.append((position, Uncovering(entry.primitive, entry.span, steps, bits, tuple(operands), left)))
    return sums


# --- what has no finite result --------------------------------------------------------------------------------


def born(found: Run, output: int) -> tuple[Blame, ...]:
    """Where no local error is to blame: the equations that made a number that is not finite."""
    value = as_wide(found.tape.outputs[output].values[0])
    if np.isfinite(value).all():
        return ()
    births = forward_births(found.tape, output).births
    return tuple(
        Blame(
            birth.primitive,
            birth.span,
            1.0 / len(births),
            -math.log2(unit_roundoff(birth.entry.outputs[0].dtype)),
            birth.entry.frame.steps(),
            overflow=birth.result in ("inf", "-inf"),
        )
        for birth in births
    )
