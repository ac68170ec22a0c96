"""Expectations under exponential weights: sum(exp(u) v) / sum(exp(u)) = sum(softmax(u) v), for v of any sign."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qed.graph.build import Node
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.forms import Form
from qed.numerics.rewriting.scales import leads, source_of, summed
from qed.numerics.rewriting.tempered import Scales, softmax_of

if TYPE_CHECKING:
    from qed.numerics.rewriting.recursion import Logarithm


def expectation(log: Logarithm, scales: Scales, a: Node, below: Form) -> Node | None:
    """a / exp(below), where a is sum(exp(u) v) and below is log(sum(exp(u))) along the same axes."""
    only = below.terms[0] if len(below.terms) == 1 else None
    if only is None or only.coefficient != 1:
        return None
    if a.operation == "dot_general":
        return _product(log, scales, a, only.node)
    if a.operation == "convert_element_type":
        return _in_float32(log, scales, a, only.node)
    if a.operation != "reduce_sum":
        return None
    total, axes, child = source_of(only.node), tuple(a.params["axes"]), a.children[0]
    if total.operation != "logsumexp" or total.params["axes"] != axes or child.operation != "mul":
        return None
    u = total.children[0]
    value = _beside_exp(log, child, u)
    if value is None or only.node.shape != a.shape or child.shape != u.shape:
        return None
    product = log.emit(stable.MUL, softmax_of(scales, u, axes), log.algebra.filled(value, child.shape))
    return log.emit(stable.SUM, product, shape=a.shape, axes=axes)


def _in_float32(log: Logarithm, scales: Scales, a: Node, whole: Node) -> Node | None:
    """The same of 16-bit numbers, which are summed in float32: the products are rounded there alone."""
    found, total = summed(a), source_of(whole)
    wide = total.children[0] if total.operation == "convert_element_type" else None
    if found is None or wide is None or wide.operation != "logsumexp" or wide.shape != a.shape:
        return None
    (child, axes), u = found, wide.children[0]
    if wide.params["axes"] != axes or child.operation != "mul" or u.operation != "convert_element_type":
        return None
    value, widening = _beside_exp(log, child, u.children[0]), a.children[0].children[0]
    if value is None or whole.shape != a.shape or child.shape != u.shape or a.equation is None:
        return None
    assert widening.equation is not None
    (value,) = log.builder.apply(widening.equation, [log.algebra.filled(value, child.shape)])
    product = log.emit(stable.MUL, softmax_of(scales, u, axes), value)
    return log.builder.apply(a.equation, [log.emit(stable.SUM, product, shape=a.shape, axes=axes)])[0]


def _beside_exp(log: Logarithm, product: Node, u: Node) -> Node | None:
    """The other factor of a product with exp(u)."""
    pairs = (product.children, product.children[::-1])
    return next((other for each, other in pairs if _is_exp(log, each, u)), None)


def _is_exp(log: Logarithm, node: Node, u: Node) -> bool:
    """Whether a node is known to be exp(u)."""
    form = log.gained(node)
    only = form.terms[0] if form is not None and len(form.terms) == 1 else None
    return only is not None and only.node is u and only.coefficient == 1


def _product(log: Logarithm, scales: Scales, a: Node, whole: Node) -> Node | None:
    """exp(u) @ v / sum(exp(u)), u on either side."""
    total = source_of(whole)
    (contracted, batched) = a.params["dimension_numbers"]
    if total.operation != "logsumexp" or a.equation is None:
        return None
    u, axes = total.children[0], total.params["axes"]
    for side, child in enumerate(a.children):
        if not _is_exp(log, child, u) or tuple(contracted[side]) != axes:
            continue
        lead = tuple(n for i, n in enumerate(u.shape) if i not in axes)
        free = [i for i in range(len(child.shape)) if i not in axes]
        if batched[0] or free != list(range(len(free))) or (side == 1 and lead and len(a.children[0].shape) > 1):
            return None
        put = (*lead, *(1 for _ in a.shape[len(lead) :]))
        if total.shape != lead or whole.shape not in (a.shape, put, ()) or not leads(whole, total, len(lead)):
            return None
        children = list(a.children)
        children[side] = softmax_of(scales, u, axes)
        return log.builder.apply(a.equation, children)[0]
    return None


__all__ = ["expectation"]
