"""Bytes: of arrays, from their shapes and dtypes, and in words.

How many bytes the values of a run take is counted by `qed.domains.cost`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from qed.graph.dtypes import is_extended


def bytes_of(arrays: Iterable[Any]) -> int:
    """The bytes of arrays or variables; what has no dtype counts nothing.

    Example:
        >>> bytes_of([np.ones((3, 4), np.float32), np.ones(5), None])
        88
    """
    return sum(_bytes(array) for array in arrays)


def _bytes(array: Any) -> int:
    dtype = getattr(array, "dtype", None)
    if dtype is None:
        return 0
    count = int(np.prod(getattr(array, "shape", ()), dtype=np.int64))
    return count * (8 if is_extended(dtype) else np.dtype(dtype).itemsize)


def in_bytes(count: float) -> str:
    """A number of bytes in words.

    Example:
        >>> in_bytes(512), in_bytes(3 << 20), in_bytes(5e9)
        ('512 B', '3 MiB', '4.66 GiB')
    """
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} GiB"
