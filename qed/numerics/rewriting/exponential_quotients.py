"""Where something is divided by a sum of exponentials, and what is a product of such quotients.

::

    exp(a) / sum exp(b) = exp(a - logsumexp b)          a / sum exp(b) = a exp(-logsumexp b)
    sum(w exp u) / sum(exp u): a mean                   p log p, of a p that is known by its logarithm

The forms of the logarithms are subtracted before anything is exponentiated: neither the sum nor its reciprocal, which
may be out of range where their product with exp(a) is not, is formed.
"""

from __future__ import annotations

from dataclasses import replace

from qed.graph.build import Builder, Node
from qed.numerics.rewriting import kernels, laws, shifted, stable
from qed.numerics.rewriting.balanced import Balanced, weighs
from qed.numerics.rewriting.bounded import at_most_one, divides, is_mild
from qed.numerics.rewriting.complements import BESIDE_SOFTMAX
from qed.numerics.rewriting.difference_terms import plus
from qed.numerics.rewriting.expectations import expectation
from qed.numerics.rewriting.forms import Form, Term, linear
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.log_softmax import entry
from qed.numerics.rewriting.logarithms_taken import Found, TakenLogarithms
from qed.numerics.rewriting.made_of_numbers import multiple_of, number_of
from qed.numerics.rewriting.magnitudes import put_among_zeros
from qed.numerics.rewriting.masks import MASKED, masked_softmax_of
from qed.numerics.rewriting.other_shares import rest_of_share
from qed.numerics.rewriting.power_sums import SHARE, SHARE_OF_POWERS, share
from qed.numerics.rewriting.ratios import sigmoid, softmax
from qed.numerics.rewriting.scales import constant_of, source_of
from qed.numerics.rewriting.shares import centred_shares
from qed.numerics.rewriting.signs import Sign
from qed.numerics.rewriting.softmax_entropy import ENTROPY, negative_entropy
from qed.numerics.rewriting.sums import limited, log_softmax, scaled
from qed.numerics.rewriting.tempered import softmax_of

LABELS = Law("w + v p = (w + v) p + w (1 - p), 1 - softmax(a)_i = the sum of the others", "always")


class ExponentialQuotients:
    """What takes the place of quotients and products, on the nodes of one builder.

    Args:
        logs: the logarithms that are taken there.
    """

    def __init__(self, logs: TakenLogarithms) -> None:
        self.builder: Builder = logs.builder
        self.logs, self.log, self.difference, self.scales = logs, logs.log, logs.difference, logs.scales
        self.balanced = Balanced(self.log, lambda form, node: self.exponential(form, node)[0])
        self._inverse: set[int] = set()

    def over(self, node: Node) -> Found | None:
        """A quotient a / b, by the logarithm of b."""
        written = None if self.builder.derivative else shifted.softmax_of(node)
        if written is not None:
            return self._tempered(*written, node)
        a, b = node.children
        of_powers = share(self.log, a, b)
        if of_powers is not None:
            value = self.builder.emit(SHARE_OF_POWERS, *of_powers)
            return value, Form((Term(value),), node.shape, laws=(SHARE,)), "mean"
        below = None if is_mild(self.log, b) else self.log.gained(b)
        masked = None if below is None else masked_softmax_of(self.log, a, below)
        if below is not None and masked is not None:
            return masked, replace(below, laws=(MASKED, *below.laws)), "mean"
        if below is None or below.fragile or self.log.sign(b) == Sign.UNKNOWN:
            return None
        mean = expectation(self.log, self.scales, a, below)
        if mean is not None:
            return mean, replace(below, laws=(laws.WEIGHTS, *below.laws)), "mean"
        # a sum of which this is a term, is one of products
        if self.log.sign(b) == Sign.BOUNDED and limited(self.log, a):
            return self._times_inverse(a, below, node)
        above = self.log(a)
        if above is not None and above.gained and not above.fragile and self.log.sign(a) > Sign.UNKNOWN:
            return self.exponential(linear(node.shape, (1.0, above), (-1.0, below), law=laws.QUOTIENT), node)
        weighted = scaled(self.log, a)
        if weighted is not None and weighted[0] is not None and weighted[1].terms:
            return self._weighted(weighted[0], linear(node.shape, (1.0, weighted[1]), (-1.0, below)), node)
        if self.log.sign(b) == Sign.BOUNDED:
            return self._times_inverse(a, below, node)
        if above is None and (number_of(a) or 0.0) > 0:
            above = self.log.plain(a)
        if above is not None and not above.gained and self.log.sign(a) == Sign.BOUNDED:
            return self.exponential(linear(node.shape, (1.0, above), (-1.0, below), law=laws.QUOTIENT), node)
        return None

    def product(self, node: Node) -> Found | None:
        """p log p; exp(a) times what was 1/sum(exp(b)), and other factors whose logarithms cancel in part."""
        found = self._x_log_x(node) or self.logs.labelled(node)
        if found is not None:
            return found
        if not self.builder.derivative and weighs([self.log.gained(child) for child in node.children]):
            return self._balanced(node) or self._cancelling(node)
        return self._cancelling(node) or self._balanced(node)

    def shares(self, node: Node) -> Found | None:
        """w p - sum(p w) p of a softmax p, and 1/a - 1/(a + b)."""
        value = None if self.builder.derivative else centred_shares(self.builder, node)
        if value is None:
            return self.rest(node) or self._labels_beside(node)
        return value, Form((Term(value),), node.shape, laws=(laws.WEIGHTED,)), "put"

    def _labels_beside(self, node: Node) -> Found | None:
        """w - sum(w) p of a softmax p as (w - sum(w)) p + w (1 - p): of labels w, one of the terms is 0."""
        if self.builder.derivative or any(child.shape != node.shape for child in node.children):
            return None
        for w, product in (node.children, node.children[::-1]):
            for v, p in (product.children, product.children[::-1]) if product.operation == "mul" else ():
                total = _minus_total(v) if p.operation == "softmax" else None
                if total is None or total[1].shape != node.shape or total[2] != p.params["axes"]:
                    continue
                sign, source, _ = total
                read = self.difference.terms(_without_ones(w)), self.difference.terms(source)
                if not read[0] or plus(read[0], read[1], sign):
                    continue
                emit = self.builder.emit
                others = emit(stable.MUL, w, emit(BESIDE_SOFTMAX, *p.children, **p.params))
                value = emit(stable.ADD, emit(stable.MUL, emit(stable.ADD, w, v), p), others)
                return (
                    self.log.algebra.filled(value, node.shape),
                    Form((Term(value),), node.shape, laws=(LABELS,)),
                    "put",
                )
        return None

    def rest(self, node: Node) -> Found | None:
        """1/a - 1/(a + b), or a multiple of it."""
        found = rest_of_share(self.log, node)
        if found is None:
            return None
        value, form, kind = self.exponential(found[0], node)
        return (self.log.algebra.negative(value), form, "put") if found[1] else (value, form, kind)

    def power(self, node: Node) -> Found | None:
        """A negative power of a sum of exponentials."""
        exponent, base = node.params["y"], node.children[0]
        form = self.log.gained(base) if exponent < 0 and not is_mild(self.log, base) else None
        if form is None or form.fragile or self.log.sign(base) == Sign.UNKNOWN:
            return None
        return self.exponential(linear(node.shape, (float(exponent), form), law=laws.POWER), node)

    def entropy(self, node: Node) -> Found | None:
        """The sum of p log p of a softmax."""
        found = None if self.builder.derivative else negative_entropy(self.log, node)
        return None if found is None else (found, Form((Term(found),), node.shape, laws=(ENTROPY,)), "put")

    def _tempered(self, u: Node, axes: tuple[int, ...], node: Node) -> Found | None:
        """exp(u - max(u)) / sum(exp(u - max(u))) of an exponent with a temperature."""
        if not self.logs.has_temperature(u, axes):
            return None
        form, value = log_softmax(self.log, u, axes), softmax_of(self.scales, u, axes)
        self.log.know(value, form)
        return value, replace(form, laws=(laws.SOFTMAX,)), "exp"

    def _cancelling(self, node: Node) -> Found | None:
        if min(self.log.sign(child) for child in node.children) == Sign.UNKNOWN:
            return None
        forms = [self.log.gained(child) for child in node.children]
        known = [form for form in forms if form is not None and not form.fragile]
        if len(known) < 2:
            return None
        emitted = [self._put(child).number in self._inverse for child in node.children]
        if all(at_most_one(self.log, each) for each in known) and not self.builder.everywhere:
            return None
        form = linear(node.shape, *((1.0, form) for form in known), law=laws.QUOTIENT)
        live = [term for term in self.log.algebra.simplified(form).terms if term.coefficient]
        cancels = len(live) < sum(len(form.terms) for form in known)
        return self.exponential(form, node) if emitted.count(True) == 1 or cancels else None

    def _balanced(self, node: Node) -> Found | None:
        """w exp(-log(sum(exp(u)))) exp(v) = w exp(v - log(sum(exp(u)))), w of any sign."""
        found = self.balanced(node)
        if found is None:
            return self._labelled(node)
        weight, form = found
        value, form, kind = self.exponential(form, node)
        if weight is not None:
            value = self.log.algebra.filled(self.builder.emit(stable.MUL, weight, value), node.shape)
            self.balanced.know(value, *found)
            kind = "put"
        return value, form, kind

    def _labelled(self, node: Node) -> Found | None:
        """w + v p = (w + v) p + w (1 - p): of labels w and their sum -v, one of the terms is 0."""
        found = self.balanced.labels(node)
        p = None if found is None else self.exponential(found[2], node)[0]
        if found is None or p is None or p.operation != "softmax":
            return None
        w, v, form = found
        emit = self.builder.emit
        others = emit(BESIDE_SOFTMAX, p.children[0], **p.params)
        value = emit(stable.ADD, emit(stable.MUL, emit(stable.ADD, w, v), p), emit(stable.MUL, w, others))
        return self.log.algebra.filled(value, node.shape), replace(form, laws=(LABELS, *form.laws)), "put"

    def _put(self, node: Node) -> Node:
        """What a node moves, puts among zeros, or is a multiple of."""
        while True:
            node = source_of(node)
            inner = put_among_zeros(node)
            if inner is None:
                inner = multiple_of(node)
            if inner is None:
                return node
            node = inner

    def _x_log_x(self, node: Node) -> Found | None:
        """p log p, for a p that is known by its logarithm."""
        for p, log in (node.children, node.children[::-1]):
            if log.equation is not None or log.operation in ("input", "constant") or self.builder.derivative:
                continue
            form = self.log.gained(p)
            if form is None or form.fragile or p.shape != log.shape:
                continue
            if log in (self.log.whole(form, p), entry(self.scales, form)):
                return self.builder.emit(kernels.X_LOG_X, p, log), replace(form, laws=(laws.XLOGX, *form.laws)), "mean"
        return None

    def _weighted(self, weight: Node, form: Form, node: Node) -> Found:
        """w exp(a) / exp(b) = w exp(a - b), w of any sign."""
        factor = self.log.algebra.exponential(form, node)
        value = self.builder.emit(stable.MUL, weight, factor)
        form = replace(form, laws=(laws.WEIGHTED, *form.laws))
        return self.log.algebra.filled(value, node.shape), form, "weighted"

    def _times_inverse(self, a: Node, below: Form, node: Node) -> Found:
        """a exp(-log b), a as it stands: b is at least a positive constant, so that the factor is bounded."""
        inverse = linear(below.shape, (-1.0, below), law=laws.DIVISOR)
        factor = self.log.algebra.exponential(inverse, node)
        self.log.know(factor, inverse)
        if divides(inverse):
            self._inverse.add(factor.number)
        if constant_of(a) == 1.0:
            return self.log.algebra.filled(factor, node.shape), inverse, "over"
        value = self.builder.emit(stable.MUL, a, factor)
        if (number_of(a) or 0.0) > 0:
            self.log.know(value, linear(node.shape, (1.0, self.log.plain(a)), (1.0, inverse), law=laws.QUOTIENT))
        return self.log.algebra.filled(value, node.shape), inverse, "over"

    def _multiple(self, form: Form, node: Node) -> Node | None:
        """A number times a softmax, a sigmoid, or what is 1 where it is a number."""
        numbers = [t for t in form.terms if t.coefficient == 1 and self._is_logarithm_of_number(t.node)]
        others = tuple(t for t in form.terms if t not in numbers)
        if len(numbers) != 1 or not others:
            return None
        rest = replace(form, terms=others)
        if any(t.coefficient for t in others):
            value = softmax(self.log, self.scales, rest) or sigmoid(self.log, self.difference, rest)
        else:
            value = self.log.algebra.exponential(rest, node)
        number = source_of(numbers[0].node).children[0]
        return None if value is None else self.builder.emit(stable.MUL, number, value)

    def _is_logarithm_of_number(self, node: Node) -> bool:
        log = source_of(node)
        return log.operation == "log" and log.equation is None and (number_of(log.children[0]) or 0.0) > 0

    def exponential(self, form: Form, node: Node) -> Found:
        """exp of a form, as an entry of a softmax or a logistic function where it is one."""
        value = (
            softmax(self.log, self.scales, form)
            or sigmoid(self.log, self.difference, form)
            or self._multiple(form, node)
            or self.log.algebra.exponential(form, node)
        )
        self.log.know(value, form)
        self.balanced.know(value, None, form)
        if divides(form):
            self._inverse.add(value.number)
        used = tuple(law for law in form.laws if law is not laws.QUOTIENT)
        return value, replace(form, laws=(laws.DIVIDE, *used)), "exp"


def _minus_total(v: Node) -> tuple[int, Node, tuple[int, ...]] | None:
    """(sign, w, axes), where a node is sign * sum(w) along axes, its rows moved and repeated."""
    sign = 1
    while True:
        summed = v.operation in ("sum", "reduce_sum") and len(v.children) == 1
        if summed and any(v.children[0].shape[k] != 1 for k in v.params["axes"]):
            return sign, v.children[0], tuple(v.params["axes"])
        if not (summed or v.operation in ("neg", "reshape", "broadcast_in_dim", "squeeze")):
            return None
        sign = -sign if v.operation == "neg" else sign
        v = v.children[0]


def _without_ones(w: Node) -> Node:
    """A node without factors that are 1: exponentials of what cancelled."""
    for one, other in (w.children, w.children[::-1]) if w.operation == "mul" else ():
        inner = one.children[0] if one.operation == "exp" else None
        if inner is not None and inner.operation == "cancelled":
            return other
    return w
