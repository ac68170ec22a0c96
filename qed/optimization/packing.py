"""Inner products of many arrays, leaf by leaf, in few kernels.

For lists of arrays x_1, ..., x_L and y_1, ..., y_L the numbers x_i . y_i are L reductions. On a CPU each kernel costs
some microseconds whatever its size, and most arrays of a model are small: biases, scales, single numbers. Small
arrays are therefore laid side by side as the rows of a matrix, padded with zeros, and for several pairs of lists

    (x_i . y_i)_i, (u_i . v_i)_i, ...  =  the row sums of (X * Y over U * V over ...),

one reduction for all of them. Large arrays are left where they are, and each has a product of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

SMALL = (256, 4096)
"""Up to so many numbers an array is small; those between two bounds share a matrix as wide as the longest."""

Packed = tuple[tuple[jax.Array, ...], tuple[Any, ...]]
"""(the matrices of the small arrays, the large arrays)."""


@dataclass(frozen=True)
class Packing:
    """Which arrays are laid side by side.

    Args:
        rows: for each matrix, the positions of the arrays that are its rows.
        widths: for each matrix, how long a row is.
        alone: the positions of the other arrays.
    """

    rows: tuple[tuple[int, ...], ...]
    widths: tuple[int, ...]
    alone: tuple[int, ...]

    @classmethod
    def of(cls, arrays: Sequence[Any]) -> Packing:
        """The packing of arrays of these shapes; complex ones and empty ones stay alone.

        Example:
            >>> Packing.of([np.ones(3), np.ones((200, 200)), np.ones(())])
            Packing(rows=((0, 2),), widths=(3,), alone=(1,))
        """
        sizes = [int(np.prod(jnp.shape(x), dtype=np.int64)) for x in arrays]
        together: dict[int, list[int]] = {}
        for i, (x, size) in enumerate(zip(arrays, sizes, strict=True)):
            if 0 < size <= SMALL[-1] and not jnp.iscomplexobj(x):
                together.setdefault(int(np.searchsorted(SMALL, size)), []).append(i)
        rows = tuple(tuple(found) for _, found in sorted(together.items()))
        taken = {i for found in rows for i in found}
        widths = tuple(max(sizes[i] for i in found) for found in rows)
        return cls(rows, widths, tuple(i for i in range(len(sizes)) if i not in taken))

    @property
    def places(self) -> np.ndarray:
        """Where the number of each array stands in what is computed first: matrix by matrix, then the others."""
        order = [i for found in self.rows for i in found] + list(self.alone)
        return np.argsort(np.asarray(order, np.int64), kind="stable")

    def pack(self, arrays: Sequence[Any]) -> Packed:
        """Lay the small arrays side by side, in float32, or float64 where one of them is."""
        matrices = tuple(
            jnp.stack([_row(x, width) for x in _wide([arrays[i] for i in found])])
            for found, width in zip(self.rows, self.widths, strict=True)
        )
        return matrices, tuple(arrays[i] for i in self.alone)

    def products(self, pairs: Sequence[tuple[Packed, Packed]]) -> jax.Array:
        """[pairs, L] the real parts of x_i . y_i for each pair of lists, in float32."""
        count = len(pairs)
        parts = [
            _row_sums([x[0][k] for x, _ in pairs], [y[0][k] for _, y in pairs]).reshape(count, -1)
            for k in range(len(self.rows))
        ]
        if self.alone:
            alone = [dot(a, b) for x, y in pairs for a, b in zip(x[1], y[1], strict=True)]
            parts.append(jnp.stack(alone).reshape(count, -1))
        return self._ordered(parts, count)

    def norms(self, lists: Sequence[Packed], squares: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The norms of each list's arrays, and 1 where one holds NaN or inf.

        Args:
            lists: the arrays.
            squares: [lists, L] their products with themselves; where squares leave float32's range the norms are
                computed again, scaled first.
        """

        def plain() -> tuple[jax.Array, jax.Array]:
            return jnp.sqrt(squares), jnp.zeros_like(squares)

        def careful() -> tuple[jax.Array, jax.Array]:
            found = [[_careful(matrix) for matrix in x[0]] + [_alone(x[1])] for x in lists]
            columns = [[jnp.stack(part) for part in zip(*each, strict=True)] for each in zip(*found, strict=True)]
            norms, flags = ([column[k] for column in columns] for k in (0, 1))
            return self._ordered(norms, len(lists)), self._ordered(flags, len(lists))

        return lax.cond(jnp.isfinite(squares).all(), plain, careful) if squares.size else plain()

    def _ordered(self, parts: Sequence[jax.Array], count: int) -> jax.Array:
        """The columns in the order of the arrays."""
        if not parts:
            return jnp.zeros((count, 0), jnp.float32)
        whole, places = jnp.concatenate(parts, axis=1), self.places
        return whole if (places == np.arange(len(places))).all() else whole[:, places]


def _wide(arrays: Sequence[Any]) -> list[jax.Array]:
    dtype = jnp.result_type(jnp.float32, *(jnp.asarray(x).dtype for x in arrays))
    return [jnp.asarray(x).astype(dtype) for x in arrays]


def _row(x: jax.Array, width: int) -> jax.Array:
    return jnp.ravel(x) if x.size == width else jnp.pad(jnp.ravel(x), (0, width - x.size))


def _row_sums(xs: Sequence[jax.Array], ys: Sequence[jax.Array]) -> jax.Array:
    """The row sums of the products, all pairs below each other."""
    products = [x * y for x, y in zip(xs, ys, strict=True)]
    return jnp.sum(jnp.concatenate(products), axis=1).astype(jnp.float32)


def dot(x: Any, y: Any) -> jax.Array:
    """The real part of x.y over all axes, in float32 or better, stored as float32."""
    x, y = jnp.asarray(x), jnp.asarray(y)
    if jnp.iscomplexobj(x) or jnp.iscomplexobj(y):
        return dot(x.real, y.real) + dot(x.imag, y.imag)
    wide = jnp.promote_types(jnp.promote_types(x.dtype, y.dtype), jnp.float32)
    axes = tuple(range(x.ndim))
    total = lax.dot_general(x.astype(wide), y.astype(wide), ((axes, axes), ((), ())), precision=lax.Precision.HIGHEST)
    return total.astype(jnp.float32)


def _careful(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The norm of each row, scaled by its largest number first, and 1 where the row holds NaN or inf."""
    size = jnp.abs(rows).astype(jnp.float32)
    finite, top = jnp.isfinite(rows).all(axis=1), jnp.max(size, axis=1, initial=0)
    down = jnp.where(top > 1, jnp.float32(2.0**-64), 1)  # 1/top itself would be subnormal, which XLA takes for 0
    scaled = (size * down[:, None]) / jnp.where(top > 0, top * down, 1)[:, None]
    norm = jnp.where(jnp.isfinite(top), top * jnp.sqrt(jnp.sum(jnp.square(scaled), axis=1)), top)
    return norm, (~finite).astype(jnp.float32)


def _alone(arrays: Sequence[Any]) -> tuple[jax.Array, jax.Array]:
    found = [_careful(jnp.asarray(x).reshape(1, -1)) for x in arrays]
    norms, flags = ([part[k] for part in found] for k in (0, 1))
    nothing = [jnp.zeros((0,), jnp.float32)]
    return jnp.concatenate(norms or nothing), jnp.concatenate(flags or nothing)
