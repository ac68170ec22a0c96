"""Which entry of the derivative is wrong: coordinates by bisection.

A comparison of elements (entries of J^T c, or of J v) shows one coordinate at once. The other is in the direction that
the rule was applied to: the difference is linear in it, so the half of the direction in which the difference is
larger is kept, and 17 evaluations find one entry of a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qed.calculus.gradient.case import Case


def place(element: int, shapes: Sequence[tuple[int, ...]]) -> tuple[int, tuple[int, ...]]:
    """(which array, which entry of it) of an element of a vector of several arrays."""
    for number, shape in enumerate(shapes):
        size = int(np.prod(shape, dtype=np.int64))
        if element < size:
            return number, tuple(int(i) for i in np.unravel_index(element, shape)) if shape else ()
        element -= size
    raise IndexError(element)


def one_hot(element: int, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """The direction that is 1 in one entry and 0 in all others."""
    number, index = place(element, shapes)
    made = [np.zeros(shape) for shape in shapes]
    made[number][index] = 1.0
    return made


def bisect(case: Case, element: int) -> int:
    """The entry of the direction that is behind the difference of one element: the difference is linear in it."""
    name = case.local.linear_in
    shapes = case.local.shapes[0 if name == "v" else 1]
    sizes = [int(np.prod(shape, dtype=np.int64)) for shape in shapes]
    full = np.concatenate([np.ravel(x) for x in case.probe[name]])
    low, high = 0, full.size

    def gap(start: int, stop: int) -> float:
        masked = np.zeros_like(full)
        masked[start:stop] = full[start:stop]
        cuts = np.cumsum(sizes)[:-1]
        parts = [part.reshape(shape) for part, shape in zip(np.split(masked, cuts), shapes, strict=True)]
        found, expected = case.at({**case.probe, name: parts})[:2]
        return abs(float(found[element] - expected[element]))

    while high - low > 1:
        middle = (low + high) // 2
        if gap(low, middle) >= gap(middle, high):
            high = middle
        else:
            low = middle
    return low


def unit(case: Case, element: int) -> dict[str, list[np.ndarray]]:
    """Directions that single out one derivative d output / d operand."""
    inputs, outputs = case.local.shapes
    probe = dict(case.probe)
    if not case.local.elementwise:
        return probe
    other = bisect(case, element)
    if case.local.linear_in == "c":
        probe["c"], probe["v"] = one_hot(other, outputs), one_hot(element, inputs)
    else:
        probe["v"], probe["c"] = one_hot(other, inputs), one_hot(element, outputs)
    return probe
