"""Quotients of exponentials that have a name, read off the logarithm of the quotient.

::

    exp(u - logsumexp(u)) = softmax(u)          exp(u - log(exp u + exp v)) = sigmoid(u - v)
    a e^u / (a e^u + b e^v) = sigmoid((u + log a) - (v + log b))

Both are 1 up to a small rest where one exponential outweighs the others; their kernels have derivatives that keep the
digits of that rest (`kernels`). u - v is formed without cancellation where the difference rewriting can.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qed.graph.build import Node
from qed.numerics.rewriting import kernels, stable
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.forms import Form
from qed.numerics.rewriting.scales import source_of, spread_along
from qed.numerics.rewriting.tempered import Scales, softmax_of

if TYPE_CHECKING:
    from qed.numerics.rewriting.recursion import Logarithm


def softmax(log: Logarithm, scales: Scales, form: Form) -> Node | None:
    """exp(u - logsumexp(u)) with the sum along axes that are kept, or exp(u - log(1 + sum(exp(u))))."""
    form = log.algebra.simplified(form)
    if len(form.terms) != 2:
        return None
    (u, total) = sorted(form.terms, key=lambda term: -term.coefficient)
    source = outer = source_of(total.node)
    if source.operation == "softplus":
        source = source_of(_term_of(log, source.children[0]))
    if (u.coefficient, total.coefficient) != (1, -1) or source.operation != "logsumexp":
        return None
    axes = source.params["axes"]
    kept = tuple(1 if i in axes else n for i, n in enumerate(u.node.shape))
    put = spread_along(total.node, outer, kept)
    put &= outer is source or spread_along(_term_of(log, outer.children[0]), source, kept)
    if source.children[0] is not u.node or form.shape != u.node.shape or not put:
        return None
    beside_one = outer is not source
    return log.emit(kernels.SOFTMAX_BESIDE_ONE, u.node, axes=axes) if beside_one else softmax_of(scales, u.node, axes)


def _term_of(log: Logarithm, node: Node) -> Node:
    """The one term of which a node is the value, where it is one."""
    form = log.algebra.forms.get(node.number)
    only = form.terms[0] if form is not None and len(form.terms) == 1 else None
    return only.node if only is not None and only.coefficient == 1 else node


def sigmoid(log: Logarithm, difference: Difference, form: Form) -> Node | None:
    """exp(u - log(exp(u) + exp(v))) = sigmoid(u - v)."""
    form = log.algebra.simplified(form)
    if len(form.terms) != 2:
        return _sigmoid_of_sums(log, form)
    (u, total) = sorted(form.terms, key=lambda term: -term.coefficient)
    if (u.coefficient, total.coefficient) != (1, -1) or total.node.operation != "logaddexp":
        return _sigmoid_of_sums(log, form)
    pair = total.node.children
    if u.node not in pair or u.node.shape != form.shape:
        return None
    other = pair[1] if u.node is pair[0] else pair[0]
    gap = difference.sharp(difference.minus(u.node, other), u.node)
    inner = gap[0] if gap is not None else log.emit(stable.SUB, u.node, other)
    return log.algebra.filled(log.emit(kernels.LOGISTIC, inner), form.shape)


def _sigmoid_of_sums(log: Logarithm, form: Form) -> Node | None:
    """The same for u and v that are sums, as the logarithms of w exp(u) are: their roundings are kept apart."""
    totals = [t for t in form.terms if t.node.operation == "logaddexp_split"]
    if len(totals) != 1 or totals[0].coefficient != -1 or totals[0].node.shape != form.shape:
        return None
    parts = totals[0].node.children
    above = replace(form, terms=tuple(t for t in form.terms if t is not totals[0] and t.coefficient))
    pair = log.algebra.split(above, totals[0].node)
    if pair not in (tuple(parts[:2]), tuple(parts[2:])):
        return None
    other = parts[2:] if pair == tuple(parts[:2]) else parts[:2]
    high, low = pair
    for term in form.terms:
        if not term.coefficient:  # 0, and NaN where it is not finite
            low = log.emit(stable.ADD, low, log.emit(stable.CANCELLED, term.node))
    return log.emit(stable.SIGMOID_SPLIT, high, low, *other, shape=form.shape)
