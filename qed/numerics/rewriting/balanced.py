"""Products of exponentials with the inverse of a sum of them, whatever else is multiplied and added between.

::

    (w exp(-L)) exp(u) = w exp(u - L),        L = log sum exp(u)
    w exp(-L) + v exp(-L) = (w + v) exp(-L),        sum w exp(u - 2 L) = exp(-L) sum w exp(u - L)
    w - sum p w = (w - w_r) - sum p (w - w_r),        p = softmax(u), r with the largest p

The gradient of an expectation under exponential weights, sum(v exp(u)) / sum(exp(u)), that a user takes by `jax.grad`
has v / sum(exp(u)) times exp(u), and sum(v exp(u)) / sum(exp(u))^2 times exp(u): one factor vanishes where the other
overflows. Each node is read as w exp(form), w of any sign; a product of two is exp of the sum of both forms where one
of them decreases with the size of a sum (its *degree* is negative) and the other increases. In the last line nothing
cancels for w_r, which is what a share near 1 leaves of its derivative.

Reference: Blanchard, Higham and Higham, *Accurately computing the log-sum-exp and softmax functions*, 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting import laws, stable
from qed.numerics.rewriting.forms import Form, Term, linear, together
from qed.numerics.rewriting.kernels import SOFTMAX, softmax
from qed.numerics.rewriting.made_of_numbers import number_of
from qed.numerics.rewriting.scales import source_of, spread_along
from qed.numerics.rewriting.signs import MOVES, Sign, floating

if TYPE_CHECKING:
    from qed.numerics.rewriting.recursion import Logarithm


def beside_mean(w: Any, p: Any, axes: tuple[int, ...]) -> Any:
    """w - sum(p w) along axes, for p whose sum is 1."""
    first = jax.lax.stop_gradient(p == jnp.max(p, axis=axes, keepdims=True))
    count = jnp.sum(first, axis=axes, keepdims=True).astype(w.dtype)
    beside = w - jnp.sum(jnp.where(first, w, 0), axis=axes, keepdims=True) / count
    return beside - jnp.sum(p * beside, axis=axes, keepdims=True)


def beside_mean_and_zero(w: Any, u: Any, axes: tuple[int, ...]) -> Any:
    """w - sum(p w) along axes, p = exp(u)/(1 + sum(exp(u))): the mean has one share more, of a w that is 0."""
    k = len(axes)
    first = tuple(range(k))
    rows = [jnp.moveaxis(each, axes, first) for each in (w, u)]
    flat = [each.reshape(-1, *each.shape[k:]) for each in rows]
    more = [jnp.concatenate([each, jnp.zeros_like(each[:1])]) for each in flat]
    found = beside_mean(more[0], softmax(more[1], (0,)), (0,))[:-1]
    return jnp.moveaxis(found.reshape(rows[0].shape), first, axes)


CENTRED = Operation("beside_mean", beside_mean)
CENTRED_BESIDE_ONE = Operation("beside_mean", lambda w, u, axes: beside_mean_and_zero(w, u, axes), whole=True)
DEEP = 10
"""Through how many operations factors are followed."""
SUMS = frozenset("logsumexp weighted_logsumexp logaddexp logaddexp_split weighted_logaddexp".split())

Weighted = tuple[Node | None, Form]
"""w and form, where a node is w exp(form); None for 1."""


class Balanced:
    """Nodes as products of a weight and an exponential.

    Args:
        log: the logarithms of nodes.
        exponential: makes exp of a form, in place of a node.
    """

    def __init__(self, log: Logarithm, exponential: Callable[[Form, Node], Node]) -> None:
        self.log = log
        self.exponential = exponential
        self._known: dict[int, Weighted | None] = {}

    def __call__(self, node: Node) -> Weighted | None:
        """w and form of a product, where two factors balance; the weight is None where the sign of both is known."""
        first, second = (self.read(child) for child in node.children)
        if first is None or second is None:
            return None
        if self._cancels(first, second, node):
            return self._times(node, first, second)
        if not (_falls(first[1]) and degree(second[1]) > 0) and not (_falls(second[1]) and degree(first[1]) > 0):
            return None
        return self._times(node, first, second)

    def _cancels(self, first: Weighted, second: Weighted, node: Node) -> bool:
        """Whether nothing is left of the exponentials of two factors, a sum of exponentials among them."""
        left = linear(node.shape, (1.0, first[1]), (1.0, second[1])).terms
        sums = any(_is_sum(t.node) for _, form in (first, second) for t in form.terms)
        return sums and not any(t.coefficient for t in left)

    def labels(self, node: Node) -> tuple[Node, Node, Form] | None:
        """w, v and the form of p, where a product (w exp(-u) + v exp(-L)) exp(u) is w + v p: w holds labels."""
        for total, power in (node.children, node.children[::-1]):
            if total.operation not in ("add", "add_any") or total.shape != node.shape:
                continue
            read, outer = [self.read(child) for child in total.children], self.read(power)
            parts = [part for part in read if part is not None]
            if outer is None or outer[0] is not None or len(parts) != 2:
                continue
            for (w, first), (v, second) in (parts, parts[::-1]):
                gone = linear(node.shape, (1.0, first), (1.0, outer[1]))
                left = [t for t in gone.terms if t.coefficient]
                if not all(t.coefficient == 1 and _is_logarithm_of_constants(t.node) for t in left):
                    continue
                if w is None or v is None or not _falls(second):
                    continue
                for term in left:
                    w = self.log.emit(stable.MUL, w, self._constants(term))
                return w, v, linear(node.shape, (1.0, second), (1.0, outer[1]))
        return None

    def _constants(self, term: Term) -> Node:
        """The constants of which a term is the logarithm."""
        return source_of(term.node).children[0] if term.node.shape == () else self._exponential_of(term.node)

    def know(self, node: Node, weight: Node | None, form: Form) -> None:
        """Remember what a node is that was emitted as a product."""
        self._known[node.number] = weight, form

    def read(self, node: Node, deep: int = DEEP) -> Weighted | None:
        """w and form of a node; None where there is no exponential in it."""
        if node.number not in self._known:
            self._known[node.number] = self._found(node, deep) if floating(node.dtype) else None
        return self._known[node.number]

    def _found(self, node: Node, deep: int) -> Weighted | None:
        inner = self.read(node.children[0], deep - 1) if deep and node.operation == "reduce_sum" else None
        if inner is not None and inner[0] is not None and (found := self._sum(node, deep)) is not None:
            return found
        form = self.log.gained(node)
        if form is not None and not form.fragile and self.log.sign(node) > Sign.UNKNOWN:
            return self._without_numbers(replace(form, terms=tuple(map(self._unspread, form.terms))), node)
        total = {"reduce_sum": self._sum}.get(node.operation)
        total = self._sum_of_two if node.operation in ("add", "add_any", "sub") else total
        found = total(node, deep) if total is not None and deep else None
        if found is not None:
            return found
        moves = node.operation in MOVES and node.equation is not None and len(node.children) == 1
        found = self._moved(node, deep) if moves and deep else None
        if found is not None and _falls(found[1]):
            return found
        only = form.terms[0] if form is not None and len(form.terms) == 1 else None
        if form is not None and only is not None and only.coefficient == 1 and only.shift is not None:
            if only.rest is not None and only.rest.operation == "log":  # a weighted sum, also where it is 0
                return only.rest.children[0], replace(form, terms=(Term(only.shift),), fragile=False)
        if not deep:
            return None
        if node.operation == "neg":
            inner = self.read(node.children[0], deep - 1)
            return None if inner is None else (self._negative(inner[0], node), inner[1])
        if node.operation == "mul":
            return self._product(node, deep)
        if node.operation == "div":
            return self._quotient(node, deep)
        return found

    def _without_numbers(self, form: Form, node: Node) -> Weighted:
        """A form without the logarithms of constants, which are the weight."""
        constants = [t for t in form.terms if t.coefficient == 1 and _is_logarithm_of_constants(t.node)]
        if not constants or not any(_is_sum(t.node) and t.coefficient < 0 for t in form.terms):
            return None, form
        weight: Node | None = None
        for term in constants:
            number = self._constants(term)
            weight = number if weight is None else self.log.emit(stable.MUL, weight, number)
        assert weight is not None
        kept = tuple(t for t in form.terms if t not in constants)
        weight = weight if weight.shape == () else self.log.algebra.filled(weight, node.shape)
        return weight, replace(form, terms=kept)

    def _exponential_of(self, log: Node) -> Node:
        """The constants of which a node is the logarithm, moved as that is."""
        if log.operation == "log":
            return log.children[0]
        inner = self._exponential_of(log.children[0])
        return self.log.builder.over(log, (inner, *log.children[1:]))

    def _sum_of_two(self, node: Node, deep: int) -> Weighted | None:
        """Two terms that have the same exponential."""
        first, second = (self.read(child, deep - 1) for child in node.children)
        if first is None or second is None or _terms(first[1]) != _terms(second[1]) or not _falls(first[1]):
            return None
        one = self.log.algebra.number(1.0, node)
        operation = stable.SUB if node.operation == "sub" else stable.ADD
        parts = [each if each is not None else one for each, _ in (first, second)]
        weight = self._centred(parts[0], parts[1], node) or self._centred(parts[1], parts[0], node)
        weight = weight or self.log.emit(operation, *parts)
        return self.log.algebra.filled(weight, node.shape), replace(first[1], shape=node.shape)

    def _centred(self, w: Node, mean: Node, node: Node) -> Node | None:
        """w - sum(p w), p a softmax."""
        source = source_of(mean)
        negative = source.operation == "neg"
        total = source.children[0] if negative else source
        if total.operation != "sum" or negative == (node.operation == "sub") or w.shape != node.shape:
            return None
        product, axes = total.children[0], total.params["axes"]
        kept = tuple(1 if i in axes else n for i, n in enumerate(node.shape))
        if product.operation != "mul" or product.shape != node.shape or not spread_along(mean, source, kept):
            return None
        for p, other in (product.children, product.children[::-1]):
            if p.operation == "softmax" and p.params["axes"] == axes and other is w:
                return self.log.emit(CENTRED, w, p, axes=axes)
            if p.operation == "softmax_beside_one" and p.params["axes"] == axes and other is w:
                return self.log.emit(CENTRED_BESIDE_ONE, w, p.children[0], axes=axes)
        return None

    def _sum(self, node: Node, deep: int) -> Weighted | None:
        """A sum of which each term has a factor exp(-L) more than balances it, and L is the same for all."""
        child, axes = node.children[0], tuple(node.params["axes"])
        inner = self.read(child, deep - 1)
        weight, form = inner if inner is not None else (None, Form((), ()))
        if weight is None or not _falls(form):
            return None
        common = [t for t in form.terms if _is_sum(t.node) and t.coefficient < 0]
        outside = [self._without(t, child, axes) for t in common]
        if len(common) != 1 or outside[0] is None:
            return None
        rest = degree(form) - common[0].coefficient
        live = [t for t in form.terms if t.coefficient and t is not common[0]]
        if all(t.coefficient == 1 and _is_logarithm_of_constants(t.node) for t in live):  # nothing to balance
            for term in live:
                weight = self.log.emit(stable.MUL, weight, self._constants(term))
            total = self.log.emit(stable.SUM, self.log.algebra.filled(weight, child.shape), axes=axes, shape=node.shape)
            return total, replace(form, terms=(outside[0],), shape=node.shape)
        if not 0 < rest < -common[0].coefficient:
            return None
        balanced = replace(
            form, terms=tuple(replace(t, coefficient=-rest) if t is common[0] else t for t in form.terms)
        )
        product = self.log.emit(stable.MUL, weight, self.exponential(balanced, child))
        total = self.log.emit(stable.SUM, self.log.algebra.filled(product, child.shape), axes=axes, shape=node.shape)
        left = replace(outside[0], coefficient=common[0].coefficient + rest)
        return total, replace(form, terms=(left,), shape=node.shape)

    def _without(self, term: Term, like: Node, axes: tuple[int, ...]) -> Term | None:
        """A term as it was before it was repeated along some axes."""
        if term.node.shape == ():
            return term
        kept = tuple(1 if i in axes else n for i, n in enumerate(like.shape))
        source = source_of(term.node)
        if source.shape != tuple(n for i, n in enumerate(like.shape) if i not in axes):
            return None
        if not spread_along(term.node, source, kept):
            return None
        parts = [None if part is None else source_of(part) for part in (term.shift, term.rest)]
        if any(part is not None and part.shape != source.shape for part in parts):
            return replace(term, node=source, shift=None, rest=None)
        return replace(term, node=source, shift=parts[0], rest=parts[1])

    def _unspread(self, term: Term) -> Term:
        """A term that is one number repeated, as that number."""
        parts = [None if part is None else self._once(part) for part in (term.node, term.shift, term.rest)]
        if parts[0] is None or any(part is not None and part.shape != () for part in parts):
            return term
        return replace(term, node=parts[0], shift=parts[1], rest=parts[2])

    def _once(self, node: Node) -> Node:
        """One number that is repeated; also the logarithm of one."""
        inner = source_of(node)
        if inner.operation != "log" or inner.equation is not None or inner.shape == ():
            return inner
        operands = [source_of(child) for child in inner.children]
        if any(operand.shape != () for operand in operands):
            return inner
        return self.log.emit(Operation("log", inner.evaluate, inner.settled), *operands)

    def _negative(self, weight: Node | None, like: Node) -> Node:
        return self.log.algebra.negative(weight if weight is not None else self.log.algebra.number(1.0, like))

    def _product(self, node: Node, deep: int) -> Weighted | None:
        a, b = node.children
        first, second = self.read(a, deep - 1), self.read(b, deep - 1)
        if first is None and second is None:
            return None
        if first is not None and second is not None:
            return self._times(node, first, second)
        (weight, form), other = (first, b) if first is not None else (second or (None, Form((), ())), a)
        product = other if weight is None else self.log.emit(stable.MUL, weight, other)
        return product, replace(form, shape=node.shape)

    def _quotient(self, node: Node, deep: int) -> Weighted | None:
        a, b = node.children
        above, below = self.read(a, deep - 1), self.read(b, deep - 1)
        if below is not None and below[0] is None and not below[1].fragile:
            weight, form = above if above is not None else (a, Form((), a.shape))
            return weight, linear(node.shape, (1.0, form), (-1.0, below[1]))
        if above is None or number_of(b) is None:
            return None
        one = self.log.algebra.number(1.0, node)
        return self.log.emit(stable.DIV, above[0] or one, b), replace(above[1], shape=node.shape)

    def _mean(self, weight: Node, form: Form) -> Weighted | None:
        """What a sum of w exp(u) is that is divided by one of exp(u): exp of the latter times the mean of w."""
        if weight.operation != "weighted_sum":
            return None
        w, u, shift = weight.children
        axes = weight.params["axes"]
        kept = [t for t in form.terms if t.node is not shift]
        over = next((t for t in kept if t.node.operation == "logsumexp" and t.node.children[0] is u), None)
        if over is None or len(kept) == len(form.terms) or over.node.params["axes"] != axes or over.coefficient > -1:
            return None
        if any(t.node is shift and t.coefficient != 1 for t in form.terms):
            return None
        p = self.log.emit(SOFTMAX, u, axes=axes)
        product = self.log.emit(stable.MUL, self.log.algebra.filled(w, u.shape), p)
        mean = self.log.emit(stable.SUM, product, axes=axes, shape=weight.shape)
        terms = [replace(t, coefficient=t.coefficient + 1) if t is over else t for t in kept]
        return mean, replace(form, terms=tuple(t for t in terms if t.coefficient))

    def _times(self, node: Node, first: Weighted, second: Weighted) -> Weighted:
        form = linear(node.shape, (1.0, first[1]), (1.0, second[1]))
        weights = [each for each, _ in (first, second) if each is not None]
        if len(weights) == 1:
            found = self._mean(weights[0], form)
            if found is not None:
                return found
        weight = self.log.emit(stable.MUL, *weights) if len(weights) == 2 else weights[0] if weights else None
        return weight, replace(form, laws=together((laws.WEIGHTED,), form.laws) if weight is not None else form.laws)

    def _moved(self, node: Node, deep: int) -> Weighted | None:
        source = node.children[0]
        inner = self.read(source, deep - 1)
        if inner is None:
            return None
        weight, form = inner

        def moved(value: Node | None) -> Node | None:
            if value is None or (value.shape == () and node.operation == "broadcast_in_dim"):
                return value
            assert node.equation is not None
            return self.log.builder.apply(node.equation, [self.log.algebra.filled(value, source.shape)])[0]

        terms = tuple(
            replace(t, node=moved(t.node) or t.node, shift=moved(t.shift), rest=moved(t.rest)) for t in form.terms
        )
        return moved(weight), replace(form, terms=terms, shape=node.shape)


def _is_logarithm_of_constants(node: Node) -> bool:
    log = source_of(node)
    return log.operation == "log" and log.equation is None and len(log.children) == 1 and _of_constants(log.children[0])


_TABLES = frozenset("mul div neg add sub convert_element_type eq ge gt le lt iota".split())
"""What arrays of constants are made by: one-hot rows, triangles, and multiples of them."""


def _of_constants(node: Node, depth: int = 8) -> bool:
    """Whether a node is made of constants."""
    if node.operation in MOVES or node.operation in _TABLES:
        return depth > 0 and all(_of_constants(child, depth - 1) for child in node.children)
    return node.operation == "constant"


def weighs(forms: Sequence[Form | None]) -> bool:
    """Whether there are arrays of constants among what forms are the logarithms of."""
    return any(_is_logarithm_of_constants(t.node) and t.node.shape != () for f in forms if f for t in f.terms)


def _terms(form: Form) -> frozenset[tuple[int, float]]:
    return frozenset((term.node.number, term.coefficient) for term in form.terms)


def degree(form: Form) -> float:
    """The sum of the coefficients of what is no number."""
    return sum(t.coefficient for t in form.terms if not _is_number(t.node) and not _is_logarithm_of_constants(t.node))


def _falls(form: Form) -> bool:
    """Whether a form decreases with a sum of exponentials."""
    return degree(form) < 0 and any(_is_sum(term.node) and term.coefficient < 0 for term in form.terms)


def _is_sum(node: Node) -> bool:
    """Whether a node is the logarithm of a sum of exponentials, or of 1 and one."""
    node = source_of(node)
    if node.operation == "softplus":
        parts = source_of(node.children[0]), *source_of(node.children[0]).children
        return any(source_of(part).operation in ("shift", *SUMS) for part in parts)
    return node.operation in SUMS


def _is_number(node: Node) -> bool:
    while node.operation in ("log", "fill", "broadcast_in_dim", "reshape"):
        node = node.children[0]
    return node.operation == "constant" or number_of(node) is not None


__all__ = ["Balanced", "beside_mean", "degree", "weighs"]
