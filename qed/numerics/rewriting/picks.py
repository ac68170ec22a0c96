"""Which element of an array a chain of moves takes, found by moving the numbers of the elements instead of them.

A slice, a transposed diagonal, a gather by constant or by computed indices takes elements of an array x; moved along
the same way, 0, 1, 2, ... tell which. So it is decided whether each element of pick(x) comes from that row of x of
which sum(x) stands beside it, however that was written. Indices that are data may name any element of a row: they are
taken as 0, and only the rows are read off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from qed.domains.exact import FLOATS
from qed.graph.build import Builder, Node, Operation
from qed.graph.nodes import Bound, needs
from qed.numerics.rewriting.known_values import moved, value_of
from qed.numerics.rewriting.signs import MOVES, fills_with_nan

LARGEST = 1 << 16
"""Elements of the largest array whose moves are followed."""

_PICKS = (MOVES | {"gather", "pick"}) - {"stop_gradient", "reduce_precision"}

PICK = Operation("pick", lambda x, index, axes: _at(x, index, axes))
"""The element at a place of each row, counted along the axes of a row."""


def _at(x: Any, index: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    kept = tuple(axis for axis in range(x.ndim) if axis not in axes)
    rows = jax.numpy.transpose(x, (*kept, *axes)).reshape(len(index), -1)
    taken = rows[np.arange(len(index)), np.asarray(index)]
    return taken.reshape(tuple(x.shape[axis] for axis in kept))


def places(builder: Builder, mask: Node, axes: tuple[int, ...]) -> tuple[int, ...] | None:
    """Where a constant array of 0 and 1 is 1, if it is so once in each row."""
    if math.prod(mask.shape) > LARGEST:
        return None
    found = builder.readers.setdefault(places, {})
    if (mask.number, axes) not in found:
        found[mask.number, axes] = _places(value_of(builder, mask), axes) if known(mask) else None
    return found[mask.number, axes]


def _places(value: np.ndarray, axes: tuple[int, ...]) -> tuple[int, ...] | None:
    kept = tuple(axis for axis in range(value.ndim) if axis not in axes)
    rows = np.transpose(value, (*kept, *axes)).reshape(math.prod(value.shape[axis] for axis in kept), -1)
    if not np.all((rows == 0) | (rows == 1)) or not np.all(np.sum(rows == 1, axis=1) == 1):
        return None
    return tuple(int(k) for k in np.argmax(rows, axis=1))


def picked_from(node: Node) -> Node:
    """What a node takes its elements from, through all moves."""
    while _picks(node):
        node = node.children[0]
    return node


def _picks(node: Node) -> bool:
    return node.operation in _PICKS and (node.operation != "gather" or fills_with_nan(node))


def chain(node: Node, base: Node) -> list[Node] | None:
    """The moves by which a node takes its elements from a base, the first move first; None where it does not."""
    found: list[Node] = []
    while node is not base:
        if not _picks(node):
            return None
        found.append(node)
        node = node.children[0]
    return found[::-1]


def along_rows(
    builder: Builder, pick: Sequence[Node], base: Node, beside: Sequence[Node], axes: tuple[int, ...]
) -> bool:
    """Whether each element that moves take from a base lies in the row that other moves take from its reduction.

    Args:
        builder: of the nodes.
        pick: moves of the base.
        base: an array.
        beside: moves of the base reduced along the axes.
        axes: along which a row lies.
    """
    size = math.prod(base.shape)
    if not size or size > LARGEST:
        return False
    kept = tuple(n for axis, n in enumerate(base.shape) if axis not in axes)
    numbers = np.arange(math.prod(kept)).reshape(kept)
    rows = np.broadcast_to(np.expand_dims(numbers, axes), base.shape)
    pick, beside = _without_last(pick, beside)
    taken = _moved(builder, pick, rows, axes)
    other = _moved(builder, beside, numbers, ())
    return taken is not None and other is not None and bool(np.all(taken == np.broadcast_to(other, taken.shape)))


def _without_last(first: Sequence[Node], second: Sequence[Node]) -> tuple[Sequence[Node], Sequence[Node]]:
    """Two chains of moves without the last ones that they share, which take the same places, data or not."""
    while first and second and _same(first[-1], second[-1]):
        first, second = first[:-1], second[:-1]
    return first, second


def _same(one: Node, other: Node) -> bool:
    """Whether two moves do the same to arrays of one shape."""
    return (
        one.operation == other.operation
        and one.children[0].shape == other.children[0].shape
        and one.children[1:] == other.children[1:]
        and one.params == other.params
    )


def _moved(builder: Builder, moves: Sequence[Node], rows: np.ndarray, axes: tuple[int, ...]) -> np.ndarray | None:
    """The numbers of rows, moved; None where an index that is data may lead into another row."""
    current = rows.astype(np.float32)
    for k, move in enumerate(moves):
        others = [_indices(builder, move, child, axes if k == 0 else ()) for child in move.children[1:]]
        if any(other is None for other in others):
            return None
        found = None if others or move.dtype not in FLOATS else moved(move, [current.astype(move.dtype)])
        if found is None:
            with jax.ensure_compile_time_eval():
                found = np.asarray(move.evaluate(jax.numpy.asarray(current), *others))
        current = found
    return current


def _indices(builder: Builder, move: Node, child: Node, axes: tuple[int, ...]) -> np.ndarray | None:
    """Indices as numbers; those along the axes of a row may be data."""
    if known(child) or (move.operation == "gather" and _only_rows(move, child, axes)):
        return value_of(builder, child)
    if move.operation == "dynamic_slice" and move.children[1:].index(child) in axes:
        return np.zeros(child.shape, child.dtype)
    return None


def _only_rows(move: Node, indices: Node, axes: tuple[int, ...]) -> bool:
    """Whether only those indices of a gather are data that name the place in a row."""
    named = tuple(move.params["dimension_numbers"].start_index_map)
    if set(named) <= set(axes):
        return True
    if indices.operation != "concatenate" or indices.params["dimension"] != len(indices.shape) - 1:
        return False
    columns = indices.children
    if len(columns) != len(named) or any(column.shape[-1] != 1 for column in columns):
        return False
    return all(axis in axes or known(column) for axis, column in zip(named, columns, strict=True))


def known(node: Node) -> bool:
    """Whether no input has to do with a node."""
    return not needs(node, lambda each: each.operation == "input")


def position_in(builder: Builder, node: Node, row: Node) -> int | None:
    """Which element of a vector a number is, both taken from one array at places that are known."""
    base = picked_from(node)
    size = math.prod(base.shape)
    if math.prod(node.shape) != 1 or picked_from(row) is not base or not 0 < size <= LARGEST:
        return None
    numbers = np.arange(size).reshape(base.shape)
    one, others = (_moved(builder, chain(each, base) or [], numbers, ()) for each in (node, row))
    if one is None or others is None:
        return None
    (found,) = np.nonzero(others.reshape(-1) == one.reshape(()))
    return int(found[0]) if len(found) == 1 else None


def by_data(moves: Sequence[Node]) -> bool:
    """Whether moves take elements at places that are data, as labels are."""
    return any(move.children[1:] and not all(map(known, move.children[1:])) for move in moves)


def taken(builder: Builder, moves: Sequence[Node], value: Node) -> Node:
    """The same elements of another array of the same shape."""
    for move in moves:
        if move.equation is not None:
            value = builder.apply(move.equation, [value, *move.children[1:]])[0]
        else:
            inner = move.evaluate
            operation = Operation(move.operation, inner.evaluate if isinstance(inner, Bound) else inner)
            value = builder.emit(operation, value, shape=move.shape, **move.params)
    return value


__all__ = ["PICK", "along_rows", "by_data", "chain", "known", "picked_from", "places", "position_in", "taken"]
