"""Sums of exponentials that are shifted already, as libraries write them, read as what they are.

::

    log(sum(exp(u - m))) + m = logsumexp(u)               exp(u - m) / sum(exp(u - m)) = softmax(u)
    (u - m) - log(sum(exp(u - m))) = u - logsumexp(u)     m = max(u), without a derivative

They are stable as they stand, in u. What stands beside them may cancel them, and a temperature in u has a derivative
that they do not keep (`free_energy`); they are read for that.
"""

from __future__ import annotations

from qed.graph.build import Node
from qed.numerics.rewriting.scales import maximum_of, source_of, spread_along, unshifted

Summed = tuple[Node, tuple[int, ...]]
"""What is summed in the exponent, and along which axes."""


def log_of_sum(node: Node) -> tuple[Node, tuple[int, ...], Node] | None:
    """u, the axes and the maximum, where a node is log(sum(exp(u - max(u))))."""
    if node.operation != "log" or len(node.children) != 1:
        return None
    total = source_of(node.children[0])
    if total.operation == "abs":
        total = source_of(total.children[0])
    return _sum(total)


def _sum(total: Node) -> tuple[Node, tuple[int, ...], Node] | None:
    if total.operation != "reduce_sum" or total.children[0].operation != "exp":
        return None
    gap = total.children[0].children[0]
    axes = tuple(total.params["axes"])
    u = unshifted(gap, axes)
    top = None if u is None else maximum_of(gap.children[1], gap.dtype)
    return None if u is None or top is None else (u, axes, top)


def logsumexp_of(node: Node) -> Summed | None:
    """u and the axes, where a node is log(sum(exp(u - max(u)))) + max(u)."""
    if node.operation != "add":
        return None
    for log, shift in (node.children, node.children[::-1]):
        found = log_of_sum(source_of(log))
        if found is not None and maximum_of(shift, node.dtype) is found[2]:
            return found[:2]
    return None


def log_softmax_of(node: Node) -> Summed | None:
    """u and the axes, where a node is (u - max(u)) - log(sum(exp(u - max(u))))."""
    if node.operation != "sub" or node.children[0].operation != "sub":
        return None
    gap, log = node.children
    found = log_of_sum(source_of(log))
    if found is None or gap.children[0] is not found[0] or maximum_of(gap.children[1], gap.dtype) is not found[2]:
        return None
    return found[:2] if spread_along(log, source_of(log), _kept(*found[:2])) or log.shape == _kept(*found[:2]) else None


def softmax_of(node: Node) -> Summed | None:
    """u and the axes, where a node is exp(u - max(u)) / sum(exp(u - max(u)))."""
    if node.operation != "div" or node.children[0].operation != "exp":
        return None
    total = source_of(node.children[1])
    found = _sum(total)
    if found is None or total.children[0] is not node.children[0]:
        return None
    return found[:2] if spread_along(node.children[1], total, _kept(*found[:2])) else None


def _kept(u: Node, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if axis in axes else n for axis, n in enumerate(u.shape))
