"""Sums of shares that are centred: w p - p sum(p w) of a softmax p is p (w - sum(p w)).

The derivative of a mean under a softmax that is used more than once is made of such terms, each a multiple of a share.
Where one p is near 1 they cancel there; of w - sum(p w), as `balanced.beside_mean` finds it, nothing does.
"""

from __future__ import annotations

from qed.graph.build import Builder, Node
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.balanced import CENTRED
from qed.numerics.rewriting.scales import constant_of, source_of, spread_along


def centred_shares(builder: Builder, node: Node) -> Node | None:
    """w p - p sum(p w), or the same multiple of both, as p (w - sum(p w))."""
    a, b = node.children
    if not _multiplied_alike(a, b) or a.equation is None:
        return _centred(builder, a, b)
    at = 0 if a.children[0] is b.children[0] else 1  # the derivative of k u, of each use of a share
    inner = _centred(builder, a.children[1 - at], b.children[1 - at])
    if inner is None:
        return None
    return builder.over(a, (a.children[0], inner) if at == 0 else (inner, a.children[1]))


def _centred(builder: Builder, a: Node, b: Node) -> Node | None:
    first, second = (_share(child) for child in (a, b))
    if first is None or second is None or first[1] is not second[1]:
        return None
    (w, p), mean = first, second[0]
    found = _beside_mean(builder, w, mean, p) or _beside_mean(builder, mean, w, p)
    return None if found is None else builder.emit(stable.MUL, found, p)


def _beside_mean(builder: Builder, w: Node, mean: Node, p: Node) -> Node | None:
    """w + mean, where that is -sum(p w), its axes put back."""
    source = source_of(mean)
    total = source.children[0] if source.operation == "neg" else source
    if w.shape != p.shape or not total.children or total.operation not in ("sum", "reduce_sum"):
        return None
    product, axes = total.children[0], tuple(total.params["axes"])
    negative = (source.operation == "neg") != (product.operation == "neg")
    product = product.children[0] if product.operation == "neg" else product
    kept = tuple(1 if i in axes else n for i, n in enumerate(p.shape))
    if not negative or product.operation != "mul" or p.params["axes"] != axes:
        return None
    if not spread_along(mean, source, kept) or {*product.children} != {w, p}:
        return None
    return builder.emit(CENTRED, w, p, axes=axes)


def _share(node: Node) -> tuple[Node, Node] | None:
    """w and p, where a node is a product of something and a softmax."""
    for w, p in (node.children, node.children[::-1]) if node.operation == "mul" else ():
        if p.operation == "softmax" and p.shape == node.shape:
            return w, p
    return None


def _multiplied_alike(a: Node, b: Node) -> bool:
    """Whether two nodes are the same multiple of others."""
    if a.operation != b.operation or a.operation not in ("mul", "div"):
        return False
    places = (0, 1) if a.operation == "mul" else (1,)
    return any(a.children[i] is b.children[i] and constant_of(a.children[i]) is not None for i in places)


__all__ = ["centred_shares"]
