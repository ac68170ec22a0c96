"""Windows: which elements of an array a pooling or a convolution looks at, as one table of indices.

With stride s, dilation d of the window, dilation b of the array and padding p, the window at output o has at its
place w the element (o s + w d - p) / b of the array, if that is a whole number in range, and a padding otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray


def windows(
    shape: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    base_dilation: Sequence[int],
    window_dilation: Sequence[int],
) -> Array:
    """Return indices into the flattened array, -1 for padding, of shape (outputs..., places in the window).

    >>> from qed.domains.windows import windows
    >>> windows((4,), (2,), (2,), ((0, 0),), (1,), (1,)).tolist()
    [[0, 1], [2, 3]]
    >>> windows((2,), (2,), (1,), ((1, 0),), (1,), (1,)).tolist()
    [[-1, 0], [0, 1]]
    """
    index = np.zeros((1,) * (2 * len(shape)), np.int64)
    valid = np.ones_like(index, bool)
    outputs = []
    for axis, (n, w, s, (low, high), b, d) in enumerate(
        zip(shape, window, strides, padding, base_dilation, window_dilation, strict=True)
    ):
        size = low + (max(n - 1, 0) * b + 1 if n else 0) + high
        reach = (w - 1) * d + 1
        count = (size - reach) // s + 1 if size >= reach else 0
        place = np.arange(count)[:, None] * s + np.arange(w)[None, :] * d - low
        good = (place % b == 0) & (place >= 0) & (place // b < n)
        spread = [1] * (2 * len(shape))
        spread[axis], spread[len(shape) + axis] = count, w
        index = index * n + np.where(good, place // b, 0).reshape(spread)
        valid = valid & good.reshape(spread)
        outputs.append(count)
    places = int(np.prod(list(window))) if window else 1
    return np.where(valid, index, -1).reshape((*outputs, places))


def pooled(shape: Sequence[int], params: Any) -> Array:
    """Return the windows of a `reduce_window` primitive."""
    return windows(
        shape,
        params["window_dimensions"],
        params["window_strides"],
        params["padding"],
        params["base_dilation"],
        params["window_dilation"],
    )


def read(x: Array, batch: int, index: Array, fill: Any) -> Array:
    """Return the elements at `index` of an array flattened behind its batch, `fill` where the index is -1.

    >>> import numpy as np
    >>> from qed.domains.windows import read
    >>> read(np.array([5.0, 6.0]), 0, np.array([[-1, 0], [0, 1]]), 0.0).tolist()
    [[0.0, 5.0], [5.0, 6.0]]
    """
    flat = x.reshape((*x.shape[:batch], -1))
    if not flat.shape[-1]:
        return np.full((*x.shape[:batch], *index.shape), fill, x.dtype)
    found = flat[..., np.maximum(index, 0)]
    return np.where(index >= 0, found, np.asarray(fill, x.dtype)) if np.any(index < 0) else found
