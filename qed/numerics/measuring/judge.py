"""One graph at one point: its results beside the truth, in bits, and who is to blame.

The same for a function and for its gradient, which is a graph like any other. In a value each number is judged by
itself; in a gradient each array by its largest element, because a component that is small beside the others is a
difference of larger terms nearly always, and a step does not notice it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.domains.balls import Balls
from qed.domains.bits import Format, bits_lost, bits_of_array
from qed.domains.precision import precision
from qed.domains.rounding import entry_error
from qed.graph.calls import Cond, While
from qed.graph.dtypes import as_wide
from qed.graph.graph import Graph
from qed.graph.walk import TooLong
from qed.numerics.measuring.blame import Account, account
from qed.numerics.measuring.reference import OPERATIONS, SPEED, Enclosed, enclosed, floating
from qed.numerics.measuring.result import Against, Leaf
from qed.numerics.measuring.run import Run, run
from qed.numerics.measuring.wide import widen_run

DOUBT = 0.25
"""A float64 beside the program is believed where its own error bound is below this many units of the result."""


@dataclass(frozen=True, eq=False)
class Judged:
    """A graph, judged.

    Args:
        leaves: one for each floating-point output.
        outputs: the positions of these among the outputs of the graph.
        worst: the position in `leaves` of the one that lost most; None where nothing is known.
        account: who is to blame for its worst element.
        reference: 'ball', 'float64' or ''.
        bounds: of balls: for each leaf lower and upper bounds of its worst element's bits.
        missing: why nothing is known, or why it is not in balls.
        at_most: where nothing is known, a first-order estimate of the bits lost.
        follows: whether real numbers take the branches that the program took.
        run: the run with what was beside it.
        enclosed: the balls.
    """

    leaves: tuple[Leaf, ...]
    outputs: tuple[int, ...]
    worst: int | None
    account: Account | None
    reference: str
    bounds: tuple[tuple[float, float], ...] = ()
    missing: str = ""
    at_most: float | None = None
    follows: bool = True
    run: Run | None = None
    enclosed: Enclosed | None = None

    @property
    def bits(self) -> float | None:
        """Bits lost by the worst."""
        return None if self.worst is None else self.leaves[self.worst].bits_lost


def judge(
    graph: Graph,
    arrays: Sequence[Any],
    names: Sequence[str],
    normwise: bool,
    budget: float | None = None,
    blame: bool = True,
) -> Judged:
    """Judge the floating-point outputs of a graph.

    Args:
        graph: the graph.
        arrays: one array per input.
        names: one for each output.
        normwise: whether an array is judged by its largest element.
        budget: seconds for balls.
        blame: whether to account for the error.
    """
    outputs = floating(graph)
    names = [names[k] for k in outputs]
    deadline = None if budget is None else time.monotonic() + budget
    try:
        plain = run(graph, arrays)
    except TooLong as error:
        return Judged(tuple(Leaf(n, None) for n in names), tuple(outputs), None, None, "", missing=str(error))
    most = OPERATIONS if budget is None else max(OPERATIONS, budget * SPEED)
    if plain.operations > most:
        problem: Any = f"{plain.operations:.2g} operations are more than balls are asked for (budget= allows more)"
    else:
        problem = enclosed(graph, arrays, outputs, len(plain.tape.entries), deadline)
    if isinstance(problem, Enclosed):
        return _in_balls(plain, problem, outputs, names, normwise, blame)
    return _in_float64(plain, problem, outputs, names, normwise, blame)


# --- balls ----------------------------------------------------------------------------------------------------


def _in_balls(
    plain: Run, found: Enclosed, outputs: Sequence[int], names: Sequence[str], normwise: bool, blame: bool
) -> Judged:
    leaves, bounds = [], []
    for k, name in zip(outputs, names, strict=True):
        leaf, ends = leaf_of(name, plain.results[k], found, k, normwise)
        leaves.append(leaf)
        bounds.append(ends)
    worst = max(range(len(leaves)), key=lambda i: leaves[i].bits_lost or 0.0)
    known = Judged(tuple(leaves), tuple(outputs), worst, None, "ball", tuple(bounds), run=plain, enclosed=found)
    if not blame:
        return known
    beside = run(plain.graph, plain.arrays, "balls", found.bits)
    return _accounted(known, beside, _same(beside, found, outputs))


def _same(beside: Run, found: Enclosed, outputs: Sequence[int]) -> bool:
    """Whether the balls that followed the program meet those that went their own way.

    Both enclose the same real numbers where every branch and every number of steps is the same; so only disjoint
    balls show that they are not. A graph without branches and loops of open length has one way.
    """
    if not any(isinstance(equation.call, Cond | While) for equation in beside.graph.walk()):
        return True
    with precision(found.bits):
        return all(
            a.overlaps(b)
            for k in outputs
            if isinstance(other := beside.tape.outputs[k].values[1], Balls)
            for a, b in zip(found.balls[k].ravel(), other.array.ravel(), strict=True)
        )


def leaf_of(name: str, result: Any, found: Enclosed, output: int, normwise: bool) -> tuple[Leaf, tuple[float, float]]:
    """An array judged in balls: the worst element, and bounds of its bits."""
    form = Format.of(result.dtype)
    balls, middle, numbers = found.balls[output], found.middle(output), as_wide(result)
    _, against = scale_of(middle, form, normwise)
    with precision(found.bits):
        pairs = bits_of_array(numbers.ravel().tolist(), list(balls.ravel()), form, normwise)
    bits = np.array([(low + high) / 2 for low, high in pairs]).reshape(middle.shape)
    place = worst_place(bits)
    flat = int(np.ravel_multi_index(place, bits.shape)) if place else 0
    own = bits_lost(numbers, middle, form)
    there = worst_place(own)
    leaf = Leaf(
        name,
        float(bits[place]),
        place,
        float(numbers[place]),
        float(middle[place]),
        against if against is not Against.ONE or abs(middle[place]) < form.zero else Against.ITSELF,
        (float(own[there]), there),
    )
    return leaf, pairs[flat]


def scale_of(truth: np.ndarray, form: Format, normwise: bool) -> tuple[Any, Against]:
    """What an error is divided by beside the truth itself.

    Example:
        >>> scale_of(np.array([0.0, 4.0]), Format.of("float32"), normwise=True)[0]
        4.0
        >>> scale_of(np.array([0.0, 4.0]), Format.of("float32"), normwise=False)[0].tolist()
        [4.0, 0.0]
    """
    sizes = np.abs(truth[np.isfinite(truth)])
    largest = float(np.max(sizes, initial=0.0))
    if normwise and largest >= form.zero:
        return largest, Against.LARGEST if truth.size > 1 else Against.ITSELF
    if normwise:
        return 1.0, Against.ONE
    zero = np.abs(truth) < form.zero
    against = Against.ITSELF if not zero.any() else Against.LARGEST if largest >= form.zero else Against.ONE
    return np.where(zero, largest if largest >= form.zero else 1.0, 0.0), against


def worst_place(bits: np.ndarray) -> tuple[int, ...]:
    """The index of the largest element."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(np.nan_to_num(bits, nan=-1.0))), bits.shape))


def _accounted(known: Judged, beside: Run, follows: bool) -> Judged:
    assert known.worst is not None
    leaf, output = known.leaves[known.worst], known.outputs[known.worst]
    assert leaf.result is not None
    assert leaf.truth is not None
    with np.errstate(all="ignore"):
        error = float(np.subtract(leaf.result, leaf.truth))
    cell = beside.tape.outputs[output]
    truth = beside.truth(cell)
    sizes = np.abs(np.asarray(truth, np.float64)) if leaf.against is Against.LARGEST else np.zeros(1)
    largest = 1.0 if leaf.against is Against.ONE else float(np.max(sizes, initial=0.0))
    found = account(beside, output, leaf.element, error, leaf.bits_lost or 0.0, largest)
    return Judged(
        known.leaves,
        known.outputs,
        known.worst,
        found,
        known.reference,
        known.bounds,
        known.missing,
        known.at_most,
        follows,
        beside,
        known.enclosed,
    )


# --- float64 --------------------------------------------------------------------------------------------------


def _in_float64(
    plain: Run, problem: str, outputs: Sequence[int], names: Sequence[str], normwise: bool, blame: bool
) -> Judged:
    """The program beside float64, believed where float64 bounds its own error; else nothing is known."""
    beside = run(plain.graph, plain.arrays, "float64")
    leaves = [_leaf_in_float64(name, beside, k, normwise) for k, name in zip(outputs, names, strict=True)]
    order = [i for i, leaf in enumerate(leaves) if leaf.bits_lost is not None]
    if not order:
        return Judged(tuple(leaves), tuple(outputs), None, None, "", missing=problem, run=beside)
    worst = max(order, key=lambda i: leaves[i].bits_lost or 0.0)
    bound = _own_bound(beside, outputs[worst], leaves[worst])
    form = Format.of(plain.results[outputs[worst]].dtype)
    if form.name == "float64" or bound is None or not bound <= DOUBT * form.unit:
        because = problem + (
            "" if form.name == "float64" else "; and float64 beside the program may lose its digits too at this point"
        )
        unknown = tuple(Leaf(leaf.path, None, leaf.element, leaf.result) for leaf in leaves)
        estimate = None if bound is None else min(math.log2(1 + bound / form.unit), form.digits)
        estimate = estimate if form.name == "float64" else None
        return Judged(unknown, tuple(outputs), None, None, "", missing=because, at_most=estimate, run=beside)
    known = Judged(tuple(leaves), tuple(outputs), worst, None, "float64", missing=problem, run=beside)
    return _accounted(known, beside, True) if blame else known


def _leaf_in_float64(name: str, beside: Run, output: int, normwise: bool) -> Leaf:
    cell = beside.tape.outputs[output]
    truth, numbers = beside.truth(cell), as_wide(cell.values[0])
    if not hasattr(truth, "dtype") or np.isnan(np.asarray(truth)).any():
        return Leaf(name, None)
    form, truth = Format.of(cell.dtype), np.asarray(truth)
    scale, against = scale_of(truth, form, normwise)
    bits, own = bits_lost(numbers, truth, form, scale), bits_lost(numbers, truth, form)
    place, there = worst_place(bits), worst_place(own)
    if np.isnan(bits[place]):  # inf beside inf: a number beyond float64 perhaps
        return Leaf(name, None)
    elementwise = (float(own[there]), there)
    return Leaf(name, float(bits[place]), place, float(numbers[place]), float(truth[place]), against, elementwise)


def _own_bound(beside: Run, output: int, leaf: Leaf) -> float | None:
    """How far float64 may be off itself, relative to the element, to first order; None where that is not known."""
    cell = beside.tape.outputs[output]
    seed = np.zeros(cell.shape)
    seed[leaf.element] = 1.0
    wide = widen_run(beside.tape.entries, [*beside.tape.inputs, *beside.tape.outputs], beside.truth)
    weights = wide.weights(cell, seed)
    totals = {wide.cells[c]: w for c, w in weights.items()}
    total = 0.0
    with np.errstate(all="ignore"):
        for entry in wide.entries:
            part = entry_error(entry, totals)
            if part is None:
                return None
            for c in entry.outputs:  # what is below float64's range is rounded to zero
                weight = totals.get(c)
                if entry.kind == "equation" and isinstance(weight, np.ndarray):
                    part += float(np.max(np.abs(weight), initial=0.0)) * np.finfo(np.float64).tiny
            total += part
        size = abs(leaf.truth or 0.0)
        found = float(np.float64(total) / np.float64(max(size, 1e-300)))
    return found if math.isfinite(found) else None
