"""A log-softmax of a library's, of which labels that are data take entries.

A library's log-softmax (u - max(u)) - log(sum(exp(u - max(u)))) keeps the digits of a row; its entry at the largest u,
-log(1 + the sum of the others), is 0 where the others are small, and so is its derivative. That is the entry which a
label takes in a trained model: by an index, by a mask, or by a one-hot row that is made of an index. Such a use is
given the log-softmax whose largest entry is found from the others (`free_energy.tempered_log_softmax`). What no data
choose from stays as it is, and so does a mean with weights that are floating-point data: its other terms count as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax.numpy as jnp

from qed.graph.build import Node
from qed.numerics.rewriting import shifted, stable
from qed.numerics.rewriting.free_energy import TEMPERED_LOG_SOFTMAX
from qed.numerics.rewriting.log_softmax import of_label, summed_of
from qed.numerics.rewriting.picks import by_data, chain, known, picked_from, taken
from qed.numerics.rewriting.signs import MOVES

if TYPE_CHECKING:
    from qed.numerics.rewriting.tempered import Scales

CHOOSE = ("gather", "dynamic_slice", "dot_general", "select_n")
"""Operations by which data choose; products and differences do, too."""


def used(scales: Scales, node: Node, logs: Sequence[Node] = ()) -> Node | None:
    """What uses the entries of a log-softmax by data, of the one that keeps the digits of its largest entry.

    Args:
        scales: what reads exponents.
        node: the use.
        logs: of a difference, its operands, or what they are as logarithms of sums.
    """
    if node.equation is None:
        return None
    if node.operation == "sub":
        return _beside_logarithm(scales, node, logs or node.children)
    if node.operation in ("gather", "dynamic_slice"):
        return _rows(scales, node) if by_data([node]) else None
    parts = [_rows(scales, child) for child in node.children]
    if all(part is None for part in parts):
        return None
    others = [child for child, part in zip(node.children, parts, strict=True) if part is None]
    if node.operation == "select_n":
        others = [node.children[0]]
    elif not any(map(_chosen, others)):
        return None
    if all(map(known, others)):
        return None
    children = [child if part is None else part for child, part in zip(node.children, parts, strict=True)]
    return scales.difference.builder.apply(node.equation, children)[0]


def _chosen(node: Node) -> bool:
    """Whether the numbers are truth values or whole numbers, made floating-point: no weights of any size."""
    while jnp.issubdtype(node.dtype, jnp.floating):
        if node.operation not in MOVES | {"convert_element_type"}:
            return False
        node = node.children[0]
    return True


def _beside_logarithm(scales: Scales, node: Node, logs: Sequence[Node]) -> Node | None:
    """log(sum(exp(u))) - u[y], or the negative of it, u shifted already."""
    if any(child.shape != node.shape for child in node.children):
        return None
    for at, sign in ((0, -1.0), (1, 1.0)):
        total, pick = node.children[at], node.children[1 - at]
        found = of_label(scales, pick, total) or _of_one_hot(scales, pick, total, logs[at])
        if found is not None:
            return scales.difference.algebra.times(sign, found)
    return None


def _of_one_hot(scales: Scales, pick: Node, total: Node, log: Node) -> Node | None:
    """sum(t u) - log(sum(exp(u))) = sum(t log softmax(u)) - (1 - sum(t)) log(sum(exp(u))), t made of whole numbers."""
    product = pick.children[0] if pick.operation == "reduce_sum" and pick.equation is not None else None
    summed = summed_of(log) or shifted.logsumexp_of(log)
    if product is None or product.operation != "mul" or summed is None:
        return None
    u, axes = summed
    weights = [t for t, other in (product.children, product.children[::-1]) if other is u and t is not u]
    if not weights or tuple(pick.params["axes"]) != axes or weights[0].shape != u.shape:
        return None
    (t,) = weights
    if known(t) or not _chosen(t):
        return None
    emit, one = scales.difference.emit, scales.difference.algebra.number(1.0, u)
    entries = emit(TEMPERED_LOG_SOFTMAX, u, one, axes=axes, divides=True, shape=u.shape)
    chosen = emit(stable.SUM, emit(stable.MUL, t, entries), shape=pick.shape, axes=axes)
    rest = emit(stable.SUB, one, emit(stable.SUM, t, shape=pick.shape, axes=axes))
    return emit(stable.SUB, chosen, emit(stable.MUL, rest, total))


def _rows(scales: Scales, node: Node) -> Node | None:
    """The same elements of the log-softmax that keeps them, where a node takes them from one by a library."""
    source = picked_from(node)
    if source.operation == "neg":
        inner = _rows(scales, source.children[0])
        moves = chain(node, source)
        return (
            None if inner is None or moves is None else _moved(scales, moves, scales.difference.algebra.negative(inner))
        )
    written = shifted.log_softmax_of(source)
    moves = None if written is None else chain(node, source)
    if written is None or moves is None:
        return None
    u, axes = written
    one = scales.difference.algebra.number(1.0, u)
    value = scales.difference.emit(TEMPERED_LOG_SOFTMAX, u, one, axes=axes, divides=True, shape=u.shape)
    return _moved(scales, moves, value)


def _moved(scales: Scales, moves: Sequence[Node], value: Node) -> Node:
    return taken(scales.difference.builder, moves, value)


__all__ = ["CHOOSE", "used"]
