"""Concrete integers, truth values and keys beside enclosures, and arrays with some axes made one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Known:
    """A concrete array of integers, truth values or random keys."""

    array: Any


def flattened(x: Any, axes: Sequence[int]) -> Any:
    """The array with some axes made one, the last."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    shape = [x.shape[axis] for axis in kept]
    size = int(np.prod([x.shape[axis] for axis in axes]))
    return x.map(lambda a: np.transpose(a, (*kept, *axes)).reshape((*shape, size)))
