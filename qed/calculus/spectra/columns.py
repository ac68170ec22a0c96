"""The diagonal of a Hessian without chance: from its columns, or from sums of columns that share no row.

A matrix of few columns is formed, column by column. One of many whose pattern is known from the graph is multiplied
with the sums of the columns of each colour, and every entry is read from one product (`qed.calculus.sparse`). What is
left is rounding: the products of order n eps, and where the matrix was formed |H - H'|, which would be 0 without.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse

from qed.calculus.lanczos import length
from qed.calculus.sparse import TooDense, sparse_hessian
from qed.calculus.spectra.products import SMALL, Products

Array = np.ndarray
MOST = 120
"""How many products may be spent."""
ENTRIES = 40
"""How many entries a row of the pattern has at most, in the mean."""
ROUNDINGS = 8
"""How many roundings a product has beside those of its sum."""
SAFETY = 10.0
"""By how much the product with a random vector may be further off than columns are."""


@dataclass(frozen=True, eq=False)
class Columns:
    """The entries H_ii with bounds of their rounding, the matrix they are from, and how many products it took."""

    matrix: Any
    errors: Array
    products: int

    @cached_property
    def values(self) -> Array:
        """All H_ii."""
        return np.asarray(self.matrix.diagonal(), float)

    @property
    def told(self) -> str:
        """In words where they are from."""
        return "one Hessian product" if self.products == 1 else f"one of {self.products} Hessian products"

    @property
    def sum_error(self) -> float:
        """How far their sum may be off."""
        size = len(self.values)
        return float(np.sum(self.errors)) + size * float(np.finfo(float).eps) * float(np.sum(np.abs(self.values)))

    def holds(self, products: Products, seed: int) -> bool:
        """Whether the matrix multiplies a random vector as a fresh product does."""
        v = np.random.default_rng(seed).standard_normal(len(self.values))
        away = np.abs(np.asarray(products(v), float) - self.matrix @ v)
        return bool(np.all(away <= SAFETY * (self.errors + self.errors.mean()) * (1 + np.abs(v).max())))


def columns(products: Products) -> Columns | None:
    """The diagonal, or None where it takes more than 120 products.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> few = columns(Products(read(lambda x: x[0] ** 2 * x[1], jnp.array([3.0, 2.0]))))
    >>> few.values.tolist(), few.products
    ([4.0, 0.0], 2)
    >>> chain = columns(Products(read(lambda x: jnp.sum((x[1:] - x[:-1]) ** 2), jnp.zeros(500))))
    >>> chain.values[:3].tolist(), chain.products
    ([2.0, 4.0, 4.0], 3)
    """
    size = products.size
    narrow = products.arithmetic != "float64"
    beside = products.cancelled
    unit = (ROUNDINGS + np.sqrt(size)) * float(np.finfo(products.function.dtype if narrow else float).eps)
    if size <= MOST:
        matrix = np.array([products(column) for column in np.eye(size)], float)
        errors = beside + unit * np.array([length(row) for row in matrix])
        errors += np.max(np.abs(matrix - matrix.T), -1, initial=0.0)
        return Columns(matrix, errors, size)
    if size > SMALL or len(products.parts) > 1:
        return None
    try:
        hessian = sparse_hessian(products.function, most=ENTRIES * size)
    except (TooDense, NotImplementedError):
        return None
    if hessian.products > MOST:
        return None
    colours = hessian.colouring.colours
    found = np.zeros((hessian.products, size))
    for c in range(hessian.products):
        found[c] = products(np.where(colours == c, 1.0, 0.0))
    rows = hessian.pattern.rows
    matrix = scipy.sparse.csr_array((hessian.colouring.read(found), rows.members, rows.starts), shape=(size, size))
    return Columns(matrix, beside + unit * np.array([length(column) for column in found.T]), hessian.products)
