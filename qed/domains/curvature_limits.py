"""Infinite constants among the numbers of a program: what an operation does to one, and to a number beside it.

A form is a real number; infinities and NaN stay Python's floats. A sum with infinities of one sign is infinite, of both
has no value; a maximum with -inf is the other number (log-sum-exp over an empty set starts there).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qed.domains.curvature_terms import Form

Array = np.ndarray


def objects(values: Sequence[Any], shape: tuple[int, ...]) -> Array:
    """An array of objects, whatever they are."""
    found = np.empty(len(values), object)
    found[:] = values
    return found.reshape(shape)


def fold(rule: Any, row: Sequence[Any]) -> Any:
    """All of a row, from the left."""
    total = row[0]
    for form in row[1:]:
        total = rule(total, form)
    return total


def _sum_of_two(x: Any, y: Any) -> Any:
    return infinite_sum((x, y))


def infinite_sum(row: Sequence[Any]) -> Any:
    """A sum with infinite constants of one sign, None where there are both."""
    found = {x for x in row if isinstance(x, float)}
    return found.pop() if len(found) == 1 and not any(np.isnan(x) for x in found) else None


def _largest(x: Any, y: Any) -> Any:
    finite = [v for v in (x, y) if isinstance(v, Form)]
    infinite = [v for v in (x, y) if not isinstance(v, Form)]
    if any(np.isnan(v) for v in infinite):
        return None
    return max(infinite) if not finite or max(infinite) == np.inf else finite[0]


def _smallest(x: Any, y: Any) -> Any:
    finite = [v for v in (x, y) if isinstance(v, Form)]
    infinite = [v for v in (x, y) if not isinstance(v, Form)]
    if any(np.isnan(v) for v in infinite):
        return None
    return min(infinite) if not finite or min(infinite) == -np.inf else finite[0]


def _difference(x: Any, y: Any) -> Any:
    return infinite_sum((x, y if isinstance(y, Form) else -y))


INFINITE = {"add": _sum_of_two, "sub": _difference, "max": _largest, "min": _smallest}
"""By operation: its value where an operand is infinite, or None."""
