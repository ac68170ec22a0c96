"""Differences of two exponentials of which one is the other times a share of two: the rest is the other share.

With A = exp(a) and B = exp(b), for any p,

    exp(p) - exp(p + a - log(A + B)) = exp(p + b - log(A + B)),        so 1/A - 1/(A + B) = B / (A (A + B)).

The derivative of log(A / (A + B)) that a user takes by `jax.grad` has the second one as a factor, the difference of two
cotangents: where B is small beside A nothing is left of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qed.graph.build import Node
from qed.numerics.rewriting import laws, stable
from qed.numerics.rewriting.forms import Form, Term, linear, together
from qed.numerics.rewriting.signs import Sign

if TYPE_CHECKING:
    from qed.numerics.rewriting.recursion import Logarithm


def rest_of_share(log: Logarithm, node: Node) -> tuple[Form, bool] | None:
    """A sum or difference of two exponentials as one: its logarithm, and whether it is negative."""
    parts = [_read(log, child) for child in node.children]
    if len(parts) != 2 or any(child.shape != node.shape for child in node.children):
        return None
    first, second = parts
    if first is None or second is None or (first[1] == second[1]) != (node.operation == "sub"):
        return None
    for (p, negative), (q, _), whole in ((first, second, True), (second, first, False)):
        gap = linear(node.shape, (1.0, q), (-1.0, p))
        other = _other_part(log, [t for t in gap.terms if t.coefficient], node)
        if other is not None:
            form = linear(node.shape, (1.0, p), (1.0, other))
            turned = negative if whole or node.operation != "sub" else not negative
            return replace(form, laws=together((laws.OTHER,), form.laws)), turned
    return None


def _read(log: Logarithm, node: Node) -> tuple[Form, bool] | None:
    """The logarithm of a node or of its negative, and whether it is the latter."""
    negative = False
    while node.operation == "neg":
        node, negative = node.children[0], not negative
    form = log.gained(node)
    if form is None or form.fragile or log.sign(node) == Sign.UNKNOWN:
        return None
    return form, negative


def _other_part(log: Logarithm, terms: list[Term], like: Node) -> Form | None:
    """b - log(A + B) as one term, where terms are a - log(A + B): b may be so large that nothing is left of a there."""
    totals = [t for t in terms if t.coefficient == -1]
    found = {(t.node.number, t.coefficient) for t in terms}
    for total in totals:
        for one, other in _parts(log, total.node):
            if found == {(total.node.number, -1.0), *((t.node.number, t.coefficient) for t in one.terms)}:
                parts = *log.algebra.split(other, like), *log.algebra.split(one, like)
                share = log.algebra.filled(log.emit(stable.LOG_SHARE_SPLIT, *parts), other.shape)
                return Form((Term(share),), other.shape)
    return None


def _parts(log: Logarithm, total: Node) -> list[tuple[Form, Form]]:
    """The logarithms of both exponentials whose sum's logarithm a node is, in both orders."""
    if total.operation == "logaddexp":
        a, b = (Form((Term(child),), total.shape) for child in total.children)
    elif total.number in log.algebra.summed:
        a, b = log.algebra.summed[total.number]
    else:
        return []
    return [(a, b), (b, a)]


__all__ = ["rest_of_share"]
