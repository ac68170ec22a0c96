"""log n without forming n: one rule a primitive, compositions for free.

::

    log exp x   = x                             log logistic x = -softplus(-x)       log c = the number
    log(a b)    = log a + log b                 log(a / b)     = log a - log b       log a^k = k log a
    log(a + b)  = logaddexp(log a, log b)       log(1 + e^x)   = softplus(x)
    log(a - b)  = log a + log1mexp(log b - log a)
    log sum a   = logsumexp(log a)              log prod a     = sum log a
    log max(a, b) = max(log a, log b)           log where(c, a, b) = where(c, log a, log b)
    log of what only moves elements (broadcast, reshape, slice, gather, ...) = the moved log

The rules are used where a logarithm is taken (`log`, `log1p`) and where something is divided by a sum of
exponentials: a / b = exp(log a - log b). "log a" stands for a node equal to log a wherever a > 0; a rule
that needs more (both factors of a product, all terms of a sum) asks for the sign, and where the graph does
not show it nothing is rewritten: log(a b) is not log a + log b if both may be negative. A rewriting is
therefore an identity wherever the original real function is defined. Stable code is left alone: exp(x - max
x) needs no help.

Not read: loops. The log of a product or sum that a `scan` accumulates stays as it is.

Reference: PyTensor's stabilising rewrites, as rules on values instead of patterns (shared list: log of
softmax, sigmoid, sums of exponentials and their compositions); Blanchard, Higham and Higham (2021) for the
log-sum-exp.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from fractions import Fraction

from qed.graph.build import Builder, Node
from qed.numerics.rewriting import kernels, labels, laws, shifted, stable
from qed.numerics.rewriting.algorithms import LOG1P_SQUARE
from qed.numerics.rewriting.balanced import Balanced
from qed.numerics.rewriting.bounded import at_most_one, divides, is_mild
from qed.numerics.rewriting.change import Change, Only
from qed.numerics.rewriting.complements import beside_one
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.expectations import expectation
from qed.numerics.rewriting.forms import Form, Term, linear
from qed.numerics.rewriting.log_complements import LOG_OTHERS, log_of_rest
from qed.numerics.rewriting.log_softmax import LOG_SOFTMAX, entry
from qed.numerics.rewriting.made_of_numbers import is_plain_number, multiple_of, number_of
from qed.numerics.rewriting.magnitudes import Magnitudes, put_among_zeros
from qed.numerics.rewriting.masks import MASKED, masked_softmax_of
from qed.numerics.rewriting.power_sums import SHARE, SHARE_OF_POWERS, share
from qed.numerics.rewriting.ratios import sigmoid, softmax
from qed.numerics.rewriting.recursion import Logarithm
from qed.numerics.rewriting.render import Formula
from qed.numerics.rewriting.scales import constant_of, root_of, source_of
from qed.numerics.rewriting.signs import Sign
from qed.numerics.rewriting.softmax_entropy import ENTROPY, negative_entropy
from qed.numerics.rewriting.sums import complement, limited, log_softmax, scaled, sum_of
from qed.numerics.rewriting.tempered import Scales, softmax_of


def _after(formula: Formula, old: Node, new: Node, form: Form, use: str) -> str:
    if use == "log":
        return formula.form(form, new)
    if use in ("mean", "weighted", "put"):
        return formula(new)
    if use == "over" and new.operation == "mul":
        return formula.product(old.children[0], formula.exponential(form))
    return formula.exponential(form)


def _reasons(form: Form) -> tuple[str, str]:
    conditions = dict.fromkeys(law.condition for law in form.laws)
    if len(conditions) > 1:
        conditions.pop("always", None)
    return "; ".join(law.identity for law in form.laws), "; ".join(conditions)


_Found = tuple[Node, Form, str]
"""The new node, its form, and what it is of the form: 'log', 'exp', 'over' (something times exp), or what is 'put'."""


class Logarithms:
    """The rewriting on the nodes of one builder.

    Args:
        builder: where nodes are made.
        only: which nodes may be rewritten; default all.
    """

    name = "logarithm"

    def __init__(self, builder: Builder, only: Only | None = None) -> None:
        self.only = only
        self.builder = builder
        self.log = Logarithm(builder)
        self.magnitudes = Magnitudes(self.log)
        self.balanced = Balanced(self.log, lambda form, node: self._exponential(form, node)[0])
        self.difference = Difference.of(builder)
        self.log.gap = self._gap
        self.scales = Scales(self.difference)
        self.log.entry = lambda form: entry(self.scales, form)
        self.changed: list[tuple[Node, Node, Form, str]] = []
        self._uses = {"log": self._log, "log1p": self._log1p, "div": self._div, "mul": self._mul}
        self._uses |= {"reduce_sum": self._entropy, "integer_pow": self._power, "sub": self._logs, "add": self._logs}
        self._uses |= dict.fromkeys(labels.CHOOSE, self._labelled)
        self._inverse: set[int] = set()
        self._taken_of: dict[int, Form] = {}

    @property
    def begins(self) -> Collection[str]:
        """The operations at which it begins."""
        return self._uses

    def changes(self, needed: set[int]) -> tuple[Change, ...]:
        """What was changed, for the new nodes of these numbers."""
        formula = Formula(self.log.algebra.forms)
        return tuple(
            Change(old.span, formula(old), _after(formula, old, new, form, use), *_reasons(form), old=old, new=new)
            for old, new, form, use in self.changed
            if new.number in needed
        )

    def rule(self, node: Node) -> Node | None:
        """What takes the place of a node, or None."""
        use = self._uses.get(node.operation)
        if use is None or node.equation is None or (self.only is not None and not self.only(node)):
            return None
        if node.operation in ("sub", "add"):
            return self._noted(node, self._shifted(node) or self._logs(node))
        if node.operation in labels.CHOOSE:
            return self._noted(node, self._labelled(node))
        last = source_of(node.children[-1])
        while last.operation in ("gather", "convert_element_type"):
            last = source_of(last.children[0])
        if last.settled and last.equation is not None:  # the scaled sum of a log-sum-exp, in its derivative
            return None
        return self._noted(node, self._signed(node) or use(node))

    def _signed(self, node: Node) -> _Found | None:
        """A product or quotient with factors below zero, by what it is without their signs."""
        if node.operation not in ("mul", "div"):
            return None
        parts = self.magnitudes.product(node.children)
        if parts is None or parts[0] == list(node.children) or node.equation is None:
            return None
        without = self.builder.apply(node.equation, parts[0])[0]
        found = self._mul(without) if node.operation == "mul" else self._div(without)
        if found is None:
            return None
        value, form, _ = found
        return (value if parts[1] else self.log.algebra.negative(value)), form, "put"

    def _noted(self, node: Node, found: _Found | None) -> Node | None:
        if found is None:
            return None
        new, form, kind = found
        if kind == "log":
            self._taken_of.setdefault(new.number, form)
        known = self.log(node) if kind in ("weighted", "mean") and new.operation != "x_log_x" else None
        if known is not None:  # a logarithm of it goes back to what it was
            self.log.know(new, known)
            self.log.sign.know(new, self.log.sign(node), self.log.sign.varies(node))
        new.span = new.span or node.span
        self.changed.append((node, new, form, kind))
        return new

    def _gap(self, a: Node, b: Node) -> Node | None:
        found = self.difference.sharp(self.difference.minus(a, b), a)
        return None if found is None else self.difference.algebra.filled(found[0], a.shape)

    # --- logarithms ---

    def _log(self, node: Node) -> _Found | None:
        argument = node.children[0]
        rest = log_of_rest(self.log, argument)
        if rest is not None:
            return rest, Form((Term(rest),), node.shape, laws=(LOG_OTHERS,)), "log"
        form = None if is_plain_number(argument) else self.log.gained(argument)
        if form is not None:
            return self._beside_one(argument, self._taken(form, node))
        found = self._scaled_square(argument, node)
        if found is not None:
            return found
        if argument.operation in ("add", "sub") and argument.equation is not None:
            return self._near_one(argument, node)
        return None

    def _beside_one(self, argument: Node, found: _Found) -> _Found:
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

    def _logs(self, node: Node) -> _Found | None:
        """A sum or difference of two logarithms that were taken, their shifts added first."""
        first, second = (self._of_log(child) for child in node.children)
        found = None
        if node.operation == "sub":
            found = self._complement(node) or self._entry(node, first, second) or self._labelled(node)
        if found is not None:
            return found
        if (
            first is None
            or second is None
            or not all(any(t.shift is not None for t in f.terms) for f in (first, second))
        ):
            return None
        if any(child.shape != node.shape for child in node.children):
            return None
        form = linear(node.shape, (1.0, first), (-1.0 if node.operation == "sub" else 1.0, second))
        live = {t.coefficient > 0 for t in form.terms if t.coefficient and t.shift is not None}
        return self._taken(form, node) if len(live) > 1 else None

    def _shifted(self, node: Node) -> _Found | None:
        """Logarithms of sums that a library shifts: what they are is noted, and a temperature in them has its form."""
        written = None if self.builder.derivative else shifted.logsumexp_of(node)
        if written is not None:
            form = sum_of(self.log, *written)
            if node.shape == form.shape:
                self._taken_of.setdefault(node.number, form)
        written = None if self.builder.derivative else shifted.log_softmax_of(node)
        if written is None or not self._has_temperature(*written):
            return None
        form = log_softmax(self.log, *written)
        found = entry(self.scales, form)
        return None if found is None else (found, replace(form, laws=(LOG_SOFTMAX,)), "log")

    def _tempered(self, u: Node, axes: tuple[int, ...], node: Node) -> _Found | None:
        """exp(u - max(u)) / sum(exp(u - max(u))) of an exponent with a temperature."""
        if not self._has_temperature(u, axes):
            return None
        form, value = log_softmax(self.log, u, axes), softmax_of(self.scales, u, axes)
        self.log.know(value, form)
        return value, replace(form, laws=(laws.SOFTMAX,)), "exp"

    def _complement(self, node: Node) -> _Found | None:
        """1 - p of a softmax."""
        found = beside_one(self.log, self.scales, node.children[1]) if constant_of(node.children[0]) == 1 else None
        return None if found is None else (*found, "put")

    def _has_temperature(self, u: Node, axes: tuple[int, ...]) -> bool:
        """Whether one number scales an exponent; a scale for each row is what most products of arrays have."""
        exponent = self.scales(u, axes)
        return exponent is not None and exponent.c.shape == ()

    def _entry(self, node: Node, first: Form | None, second: Form | None) -> _Found | None:
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

    def _labelled(self, node: Node) -> _Found | None:
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
        else:
            return None
        return None if inner is None or not factor else linear(inner.shape, (factor, inner))

    def _scaled_square(self, argument: Node, node: Node) -> _Found | None:
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
        return self._taken(form, node)

    def _taken(self, form: Form, node: Node) -> _Found:
        found = entry(self.scales, form)
        if found is not None:
            return found, replace(form, laws=(LOG_SOFTMAX, *form.laws)), "log"
        return self.log.whole(form, node), form, "log"

    def _near_one(self, argument: Node, node: Node) -> _Found | None:
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

    def _log1p(self, node: Node) -> _Found | None:
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
        return self._taken(complement(self.log, inner, node), node)

    def _single(self, value: Node, node: Node, law: laws.Law, *forms: Form) -> Form:
        return self.log.single(node, value, *forms, law=law)

    # --- quotients ---

    def _div(self, node: Node) -> _Found | None:
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
            return self._over(a, below, node)
        above = self.log(a)
        if above is not None and above.gained and not above.fragile and self.log.sign(a) > Sign.UNKNOWN:
            return self._exponential(linear(node.shape, (1.0, above), (-1.0, below), law=laws.QUOTIENT), node)
        weighted = scaled(self.log, a)
        if weighted is not None and weighted[0] is not None and weighted[1].terms:
            return self._weighted(weighted[0], linear(node.shape, (1.0, weighted[1]), (-1.0, below)), node)
        if self.log.sign(b) == Sign.BOUNDED:
            return self._over(a, below, node)
        if above is None and (number_of(a) or 0.0) > 0:
            above = self.log.plain(a)
        if above is not None and not above.gained and self.log.sign(a) == Sign.BOUNDED:
            return self._exponential(linear(node.shape, (1.0, above), (-1.0, below), law=laws.QUOTIENT), node)
        return None

    def _mul(self, node: Node) -> _Found | None:
        """p log p; exp(a) times what was 1/sum(exp(b)), and other factors whose logarithms cancel in part."""
        found = self._x_log_x(node) or self._labelled(node)
        if found is not None:
            return found
        return self._cancelling(node) or self._balanced(node)

    def _cancelling(self, node: Node) -> _Found | None:
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
        return self._exponential(form, node) if emitted.count(True) == 1 or cancels else None

    def _balanced(self, node: Node) -> _Found | None:
        """w exp(-log(sum(exp(u)))) exp(v) = w exp(v - log(sum(exp(u)))), w of any sign."""
        found = self.balanced(node)
        if found is None:
            return None
        weight, form = found
        value, form, kind = self._exponential(form, node)
        if weight is not None:
            value = self.log.algebra.filled(self.builder.emit(stable.MUL, weight, value), node.shape)
            self.balanced.know(value, *found)
            kind = "put"
        return value, form, kind

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

    def _x_log_x(self, node: Node) -> _Found | None:
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

    def _entropy(self, node: Node) -> _Found | None:
        """The sum of p log p of a softmax."""
        found = None if self.builder.derivative else negative_entropy(self.log, node)
        return None if found is None else (found, Form((Term(found),), node.shape, laws=(ENTROPY,)), "put")

    def _weighted(self, weight: Node, form: Form, node: Node) -> _Found:
        """w exp(a) / exp(b) = w exp(a - b), w of any sign."""
        factor = self.log.algebra.exponential(form, node)
        value = self.builder.emit(stable.MUL, weight, factor)
        form = replace(form, laws=(laws.WEIGHTED, *form.laws))
        return self.log.algebra.filled(value, node.shape), form, "weighted"

    def _over(self, a: Node, below: Form, node: Node) -> _Found:
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

    def _power(self, node: Node) -> _Found | None:
        exponent, base = node.params["y"], node.children[0]
        form = self.log.gained(base) if exponent < 0 and not is_mild(self.log, base) else None
        if form is None or form.fragile or self.log.sign(base) == Sign.UNKNOWN:
            return None
        return self._exponential(linear(node.shape, (float(exponent), form), law=laws.POWER), node)

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

    def _exponential(self, form: Form, node: Node) -> _Found:
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
