"""What a search for a global minimum found, as data: bounds, and boxes that hold all minimisers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.calculus.bounding.search import Search
from qed.certificates.global_minimum import INSIDE, OPEN

Array = np.ndarray


@dataclass(frozen=True)
class Minimizer:
    """A box that may hold points where the minimum is taken.

    Args:
        lower, upper: its ends, trees like the argument.
        exactly_one: whether it is proved to hold exactly one local minimiser.
    """

    lower: Any
    upper: Any
    exactly_one: bool


@dataclass(frozen=True)
class GlobalMinimum:
    """The minimum of a function on a box.

    Args:
        lower, upper: bounds of the minimum.
        minimizers: boxes; every point where the minimum is taken lies in one of them.
        point: where the upper bound was found, a tree like the argument.
        boxes: how many boxes were enclosed.
        finished: whether upper - lower is within the tolerance.
    """

    lower: float
    upper: float
    minimizers: tuple[Minimizer, ...]
    point: Any
    boxes: int
    finished: bool


def room(search: Search) -> float:
    """By how much bounds are moved down, so that other arithmetic can confirm them."""
    return 2.0**-40 * max(1.0, abs(search.low), abs(search.best))


def preorder(search: Search) -> list[tuple[int, int]]:
    """The tree in the order in which a certificate walks it."""
    tree, found, waiting = search.tree, [], [0]
    while waiting:
        node = waiting.pop()
        found.append((tree.kind[node], tree.number[node]))
        waiting += reversed(tree.children[node])
    return found


def minimizers(search: Search) -> list[tuple[Array, Array, bool]]:
    """The boxes that hold all minimisers: those of regions, and what is open, touching boxes joined."""
    used = {n for k, n in zip(search.tree.kind, search.tree.number, strict=True) if k == INSIDE}
    regions = [r for k, r in enumerate(search.regions) if k in used and r.bound - room(search) <= search.best]
    found = [(r.inner_lower, r.inner_upper, True) if r.one else (r.lower, r.upper, False) for r in regions]
    leaves = [i for i, kind in enumerate(search.tree.kind) if kind == OPEN and not search.tree.children[i]]
    boxes = [(search.tree.lower[i], search.tree.upper[i]) for i in leaves]
    return found + [(low, high, False) for low, high in _joined(boxes)]


def _joined(boxes: Sequence[tuple[Array, Array]]) -> list[tuple[Array, Array]]:
    """Boxes with those that touch put into one, until none touch."""
    groups: list[tuple[Array, Array]] = []
    for low, high in boxes:
        while True:
            meeting = [k for k, (a, b) in enumerate(groups) if np.all(a <= high) and np.all(low <= b)]
            if not meeting:
                break
            for k in reversed(meeting):
                a, b = groups.pop(k)
                low, high = np.minimum(low, a), np.maximum(high, b)
        groups.append((low, high))
    return groups
