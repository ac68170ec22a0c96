"""Sparsity patterns of a graph: where its Jacobian, and the Hessian of one of its outputs, can be other than zero.

The graph is walked once in the sparsity domain. A Jacobian's row is the set of inputs that an output depends on; the
Hessian is the union of the products of sets that the output depends on (`qed.domains.sparsity`). A place that is not in
the pattern is zero wherever the derivative exists, at every value of the inputs that are differentiated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from qed.domains.index_sets import LIMIT, Sets, TooDense, stacked
from qed.domains.sparsity import Dependent, Sparsity
from qed.domains.sparsity_loops import opaque
from qed.graph.graph import Graph
from qed.graph.tape import Cell, Frame
from qed.graph.walk import Walker

__all__ = ["Pattern", "TooDense", "hessian_pattern", "jacobian_pattern"]

Array = np.ndarray
CHUNK = 1 << 22
"""How many places of products of sets are written out at a time."""


@dataclass(frozen=True, eq=False)
class Pattern:
    """The places of a matrix that can be other than zero, row by row.

    Args:
        rows: the columns of each row.
        width: how many columns there are.
        dense: the primitives (and lines) that were taken to depend on everything, for want of a finer rule.
    """

    rows: Sets
    width: int
    dense: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.rows), self.width

    @property
    def count(self) -> int:
        """How many places there are."""
        return len(self.rows.members)

    def matrix(self) -> scipy.sparse.csr_array:
        """The pattern as a matrix of truth values."""
        full = np.ones(self.count, bool)
        return scipy.sparse.csr_array((full, self.rows.members, self.rows.starts), shape=self.shape)

    def transposed(self) -> Pattern:
        """The pattern of the transposed matrix."""
        return Pattern(Sets.of(self.rows.members, self.rows.owners, self.width), len(self.rows), self.dense)


def jacobian_pattern(
    graph: Graph, arrays: Sequence[Any], free: Sequence[int], outputs: Sequence[int] | None = None
) -> Pattern:
    """Where the derivative of outputs in the free inputs can be other than zero.

    Args:
        graph: the graph.
        arrays: the value of each input that stays as it is; None for one that may change.
        free: which inputs are differentiated in; their elements are numbered in this order.
        outputs: which outputs, all by default.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> traced = trace(lambda x: x[1:] * x[:-1], jnp.ones(4))
        >>> jacobian_pattern(traced.graph, [None], [0]).matrix().toarray().astype(int).tolist()
        [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    """
    size = _size(graph, free)
    domain = Sparsity(size)
    found = _walked(domain, graph, arrays, free)
    chosen = range(len(found)) if outputs is None else outputs
    return Pattern(stacked([found[i].inputs for i in chosen]), size, tuple(domain.dense))


def hessian_pattern(
    graph: Graph, arrays: Sequence[Any], free: Sequence[int], output: int = 0, most: int = LIMIT
) -> Pattern:
    """Where the second derivative of a scalar output in the free inputs can be other than zero.

    Args:
        graph: the graph.
        arrays: the value of each input that stays as it is; None for one that may change.
        free: which inputs are differentiated in; their elements are numbered in this order.
        output: which output.
        most: from more places on TooDense is raised.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> traced = trace(lambda x: jnp.sum(x[1:] * x[:-1]) + jnp.exp(x[0]), jnp.ones(4))
        >>> hessian_pattern(traced.graph, [None], [0]).matrix().toarray().astype(int).tolist()
        [[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]]
    """
    size = _size(graph, free)
    domain = Sparsity(size, second=True)
    value = _walked(domain, graph, arrays, free)[output]
    return Pattern(_written(domain, np.unique(value.pairs.members), size, most), size, tuple(domain.dense))


def _size(graph: Graph, free: Sequence[int]) -> int:
    return sum(int(np.prod(graph.inputs[i].shape, dtype=np.int64)) for i in free)


def _walked(domain: Sparsity, graph: Graph, arrays: Sequence[Any], free: Sequence[int]) -> list[Dependent]:
    starts, first = {}, 0
    for position in free:
        starts[position] = first
        first += int(np.prod(graph.inputs[position].shape, dtype=np.int64))
    cells = []
    for position, (atom, array) in enumerate(zip(graph.inputs, arrays, strict=True)):
        if position in starts:
            value: Any = domain.inputs(atom.shape, starts[position])
        elif array is None:
            value = domain.varying(atom.shape)
        else:
            value = domain.constant(atom, array)
        cells.append(Cell((value,), atom.shape, atom.dtype))
    return [domain.lifted(cell.values[0]) for cell in Walker([domain], opaque=opaque).walk(graph, cells, Frame(graph))]


def _written(domain: Sparsity, numbers: Array, size: int, most: int) -> Sets:
    """The places of all products of sets, and of their transposes."""
    first, second = domain.factors(numbers)
    sizes = first.lengths * second.lengths
    message = f"more than {most:,} pairs of inputs are curved together"
    if int(sizes.max(initial=0)) > most or int(sizes.sum()) > 64 * LIMIT:
        raise TooDense(message)
    keys = np.zeros(0, np.int64)
    groups = np.cumsum(sizes) // CHUNK
    for group in np.unique(groups):
        chosen = np.flatnonzero(groups == group)
        left = first.take(chosen)
        right = second.take(chosen[left.owners])
        i, j = np.repeat(left.members, right.lengths), right.members
        keys = np.union1d(keys, np.concatenate((i * size + j, j * size + i)))
        if len(keys) > most:
            raise TooDense(message)
        if len(keys) == size * size:
            break
    return Sets.of(keys // max(size, 1), keys % max(size, 1), size)
