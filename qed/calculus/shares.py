"""Which parameters a direction consists of, by their names and their shares of its squared length.

Of a unit vector v over all parameters, |v|^2 = 1 is the sum of the squares in each array; along the axis on which an
array's part is most concentrated, the largest sums name rows, columns or entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def shares(
    vector: np.ndarray,
    paths: Sequence[str],
    shapes: Sequence[tuple[int, ...]],
    names: Sequence[Any] | None = None,
    most: int = 3,
) -> tuple[tuple[str, float], ...]:
    """Which parameters a unit vector consists of: the axis along which it is most concentrated, with its names.

    For a matrix the rows, the columns and the single entries are looked at; for others the whole array or its
    entries. What is named explains the largest share with one name.

    Args:
        vector: the arrays laid end to end.
        paths: the name of each array.
        shapes: the shape of each array.
        names: per array names for its axes, or None.
        most: how many are named.

    >>> import numpy as np
    >>> shares(np.array([0.6, 0.8, 0.0]), ["w['a']", "w['b']"], [(2,), ()], most=2)
    (("w['a'][1]", 0.6400000000000001), ("w['a'][0]", 0.36))
    """
    found: list[tuple[str, float]] = []
    start = 0
    for path, shape, axes in zip(paths, shapes, names or [None] * len(paths), strict=True):
        size = int(np.prod(shape, dtype=np.int64))
        part = np.square(vector[start : start + size]).reshape(shape)
        start += size
        if not size:
            continue
        found += _of_array(part, path, axes)
    found.sort(key=lambda item: -item[1])
    return tuple(found[:most])


def _of_array(part: np.ndarray, path: str, names: Any) -> list[tuple[str, float]]:
    total = float(part.sum())
    if part.ndim == 0 or part.size == 1:
        return [(_label(path, names, part.ndim, {}, part.shape), total)]
    candidates = []
    for axis in range(part.ndim):
        along = part.sum(axis=tuple(i for i in range(part.ndim) if i != axis))
        uniform = total / along.size
        candidates.append((float(along.max()) - uniform, axis, along))
    _, axis, along = max(candidates, key=lambda c: (c[0], -c[1]))
    order = np.argsort(-along, kind="stable")[:3]
    if total > 0 and along[order[0]] < 0.3 * total:  # spread out: the array as a whole says more
        return [(path, total)]
    return [(_label(path, names, part.ndim, {axis: int(i)}, part.shape), float(along[i])) for i in order]


def _label(path: str, names: Any, ndim: int, where: dict[int, int], shape: tuple[int, ...]) -> str:
    for axis, index in where.items():
        if names is not None and axis < len(names) and names[axis] is not None:
            return f"{path} '{names[axis][index]}'" if ndim == 1 else names[axis][index]
    if not where:
        return path
    text = ", ".join(str(where[axis]) if axis in where else ":" for axis in range(ndim))
    return f"{path}[{text}]"
