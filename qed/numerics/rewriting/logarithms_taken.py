"""Where a logarithm is taken: log a, log1p a, and sums and differences of logarithms.

::

    log sum exp u = logsumexp u           log1p(exp u) = softplus u           log(1 + v) = log1p v
    log sum exp u - log sum exp v: the shifts are subtracted first, then what is small
    logsumexp u - u_i is minus an entry of a log-softmax, where data choose i too (labels)

A logarithm is the one that the recursion (`qed.numerics.rewriting.recursion`) finds for its argument. What was taken is
remembered, so that a sum or difference of two of them is one form again.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from qed.graph.build import Builder, Node
from qed.numerics.rewriting import kernels, labels, laws, shifted, stable
from qed.numerics.rewriting.algorithms import LOG1P_SQUARE
from qed.numerics.rewriting.bounded import at_most_one
from qed.numerics.rewriting.complements import beside_one
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.forms import Form, Term, linear
from qed.numerics.rewriting.log_complements import LOG_OTHERS, log_of_rest
from qed.numerics.rewriting.log_softmax import LOG_SOFTMAX, entry
from qed.numerics.rewriting.log_softplus import LOG_SOFTPLUS, LOG_SOFTPLUS_LAW, softplus_of
from qed.numerics.rewriting.made_of_numbers import is_plain_number
from qed.numerics.rewriting.recursion import Logarithm
from qed.numerics.rewriting.running_entries import RUNNING_ENTRY, difference_of, running_entry
from qed.numerics.rewriting.scales import constant_of, root_of
from qed.numerics.rewriting.signs import Sign
from qed.numerics.rewriting.sums import complement, log_softmax, sum_of
from qed.numerics.rewriting.tempered import Scales

Found = tuple[Node, Form, str]
"""The new node, its form, and what it is of the form: 'log', 'exp', 'over' (something times exp), or what is 'put'."""


class TakenLogarithms:
    """What takes the place of logarithms, and of their sums and differences, on the nodes of one builder.

    Args:
        log: the logarithms of nodes.
        difference: differences without cancellation.
        scales: the scales of exponents.
    """

    def __init__(self, log: Logarithm, difference: Difference, scales: Scales) -> None:
        self.builder: Builder = log.builder
        self.log, self.difference, self.scales = log, difference, scales
        self._taken_of: dict[int, Form] = {}

    def remember(self, node: Node, form: Form) -> None:
        """A node that is a logarithm that was taken."""
        self._taken_of.setdefault(node.number, form)

    def taken(self, node: Node) -> Found | None:
        """log a."""
        argument = node.children[0]
        rest = log_of_rest(self.log, argument)
        if rest is not None:
            return rest, Form((Term(rest),), node.shape, laws=(LOG_OTHERS,)), "log"
        exponent = softplus_of(self.log, argument)
        if exponent is not None:
            value = self.log.algebra.filled(self.builder.emit(LOG_SOFTPLUS, exponent), node.shape)
            return value, Form((Term(value),), node.shape, laws=(LOG_SOFTPLUS_LAW,)), "put"
        form = None if is_plain_number(argument) else self.log.gained(argument)
        if form is not None:
            return self._beside_one(argument, self._formed(form, node))
        found = self._scaled_square(argument, node)
        if found is not None:
            return found
        if argument.operation in ("add", "sub") and argument.equation is not None:
            return self._near_one(argument, node)
        return None

    def _beside_one(self, argument: Node, found: Found) -> Found:
        """The logarithm of a weighted sum, near 1 from what it is less 1."""
        if argument.operation not in ("add", "sub") or laws.WEIGHTED not in found[1].laws or self.builder.derivative:
            return found
        rest = self.difference(self.difference.shifted(argument, Fraction(1)), argument)
        if rest is None:
            return found
        value, form, _ = found
        near = self.log.algebra.filled(rest[0], value.shape)
        new = self.builder.emit(kernels.LOG_BESIDE_ONE, value, near)
        return new, replace(form, laws=(laws.NEAR_ONE, *form.laws)), "mean"

    def sums(self, node: Node) -> Found | None:
        """A sum or difference of two logarithms that were taken, their shifts added first."""
        first, second = (self._of_log(child) for child in node.children)
        found = None
        if node.operation == "sub":
            found = (
                self._running(node) or self._complement(node) or self._entry(node, first, second) or self.labelled(node)
            )
        if found is not None:
            return found
        if first is None or second is None or any(child.shape != node.shape for child in node.children):
            return None
        form = linear(node.shape, (1.0, first), (-1.0 if node.operation == "sub" else 1.0, second))
        if not all(any(t.shift is not None for t in f.terms) for f in (first, second)):
            return self._share(form, node)
        live = {t.coefficient > 0 for t in form.terms if t.coefficient and t.shift is not None}
        return self._formed(form, node) if len(live) > 1 else None

    def _share(self, form: Form, node: Node) -> Found | None:
        """log(a) - log(a + b), both taken."""
        found = self.log.algebra.shares(form, node)
        return None if found is form else self._formed(found, node)

    def shifted(self, node: Node) -> Found | None:
        """Logarithms of sums that a library shifts: what they are is noted, and a temperature in them has its form."""
        written = None if self.builder.derivative else shifted.logsumexp_of(node)
        if written is not None:
            form = sum_of(self.log, *written)
            if node.shape == form.shape:
                self._taken_of.setdefault(node.number, form)
        written = None if self.builder.derivative else shifted.log_softmax_of(node)
        if written is None or not self.has_temperature(*written):
            return None
        form = log_softmax(self.log, *written)
        found = entry(self.scales, form)
        return None if found is None else (found, replace(form, laws=(LOG_SOFTMAX,)), "log")

    def _running(self, node: Node) -> Found | None:
        """cumlogsumexp(u) - u, or the negative of it."""
        value = difference_of(self.builder, node)
        return None if value is None else (value, Form((Term(value),), node.shape, laws=(RUNNING_ENTRY,)), "put")

    def _complement(self, node: Node) -> Found | None:
        """1 - p of a softmax."""
        found = beside_one(self.log, self.scales, node.children[1]) if constant_of(node.children[0]) == 1 else None
        return None if found is None else (*found, "put")

    def has_temperature(self, u: Node, axes: tuple[int, ...]) -> bool:
        """Whether one number scales an exponent; a scale for each row is what most products of arrays have."""
        exponent = self.scales(u, axes)
        return exponent is not None and exponent.c.shape == ()

    def _entry(self, node: Node, first: Form | None, second: Form | None) -> Found | None:
        """logsumexp(u) - u[i], the logarithm taken, or the negative of it."""
        if (first is None) == (second is None) or any(child.shape != node.shape for child in node.children):
            return None
        taken, plain = (first, node.children[1]) if first is not None else (second, node.children[0])
        assert taken is not None
        alone = Form((Term(plain),), node.shape)
        found = entry(self.scales, linear(node.shape, (1.0, alone), (-1.0, taken)))
        if found is None:
            return None
        value = self.log.algebra.negative(found) if first is not None else found
        return value, replace(taken, laws=(LOG_SOFTMAX, *taken.laws)), "mean"

    def labelled(self, node: Node) -> Found | None:
        """A log-softmax by the library of which data take entries."""
        logs = [self._as_sum(child) for child in node.children] if node.operation == "sub" else ()
        found = None if self.builder.derivative else labels.used(self.scales, node, logs)
        return None if found is None else (found, Form((Term(found),), node.shape, laws=(LOG_SOFTMAX,)), "put")

    def _as_sum(self, node: Node) -> Node:
        """A logarithm of a sum that was taken, as that; anything else as it is."""
        form = self._taken_of.get(node.number)
        only = form.terms[0] if form is not None and len(form.terms) == 1 and form.shape == node.shape else None
        return only.node if only is not None and only.coefficient == 1 and only.node.shape == node.shape else node

    def _of_log(self, node: Node) -> Form | None:
        """The form of a logarithm that was taken, or of a multiple of one."""
        if node.number in self._taken_of:
            return self._taken_of[node.number]
        if node.operation == "neg":
            inner, factor = self._of_log(node.children[0]), -1.0
        elif node.operation == "mul":
            numbers = [constant_of(child) for child in node.children]
            if (numbers[0] is None) == (numbers[1] is None):
                return None
            at = 0 if numbers[0] is None else 1
            inner, factor = self._of_log(node.children[at]), numbers[1 - at] or 0.0
        elif node.ghost is not None and node.equation is None:  # a logarithm that was made a fraction
            return self._of_log(node.ghost)
        else:
            return None
        return None if inner is None or not factor else linear(inner.shape, (factor, inner))

    def _scaled_square(self, argument: Node, node: Node) -> Found | None:
        """log(c (1 + a^2)) for a number c, where a^2 may overflow."""
        polynomial = dict(self.difference.terms(argument))
        c = polynomial.pop((), 0)
        if len(polynomial) != 1 or c <= 0 or c == 1:
            return None
        ((square, factor),) = ((monomial, found / c) for monomial, found in polynomial.items())
        scale = root_of(factor)
        if scale is None or any(power % 2 or power < 0 for _, power in square):
            return None
        root = self.difference.monomial(tuple((number, power // 2) for number, power in square), argument)
        algebra = self.log.algebra
        value = self.builder.emit(LOG1P_SQUARE, algebra.times(scale, root))
        number = self.builder.emit(stable.LOG, algebra.number(float(c), value))
        form = Form((Term(algebra.filled(value, node.shape)), Term(number)), node.shape, laws=(laws.LOG_SQUARE,))
        return self._formed(form, node)

    def _formed(self, form: Form, node: Node) -> Found:
        found = entry(self.scales, form)
        if found is not None:
            return found, replace(form, laws=(LOG_SOFTMAX, *form.laws)), "log"
        u, total = form.terms if len(form.terms) == 2 else (None, None)
        if u is not None and total is not None and (u.coefficient, total.coefficient) == (1, -1):
            value = running_entry(self.builder, total.node, u.node)
            if value is not None and value.shape == node.shape:
                value = self.log.algebra.negative(value)
                return value, replace(form, laws=(RUNNING_ENTRY, *form.laws)), "log"
        return self.log.whole(form, node), form, "log"

    def _near_one(self, argument: Node, node: Node) -> Found | None:
        """log(1 + v) and log(1 - v), v as it stands."""
        a, b = argument.children
        algebra = self.log.algebra
        if argument.operation == "add" and 1.0 in (constant_of(a), constant_of(b)):
            v = b if constant_of(a) == 1.0 else a
        elif argument.operation == "sub" and constant_of(a) == 1.0:
            v = algebra.negative(b)
        else:
            return None
        if constant_of(v) is not None or (v.shape != node.shape):
            return None
        value = self.builder.emit(stable.LOG1P, v)
        return value, self._single(value, node, laws.LOG1P), "log"

    def of_one_plus(self, node: Node) -> Found | None:
        """log1p v of an exponential v, or of minus one."""
        v = node.children[0]
        form = self.log.gained(v)
        if form is not None and not form.fragile and self.log.sign(v) > Sign.UNKNOWN:
            if at_most_one(self.log, form) and not self.builder.everywhere:
                return None
            value = self.log.algebra.softplus(self.log.whole(form, v))
            return value, self._single(value, node, laws.SOFTPLUS, form), "log"
        if v.operation != "neg":
            return None
        inner = self.log.gained(v.children[0])
        if inner is None or self.log.sign(v.children[0]) == Sign.UNKNOWN:
            return None
        return self._formed(complement(self.log, inner, node), node)

    def _single(self, value: Node, node: Node, law: laws.Law, *forms: Form) -> Form:
        return self.log.single(node, value, *forms, law=law)
