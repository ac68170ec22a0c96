"""A logarithm as a linear form: log n = c1 t1 + c2 t2 + ..., each term a node.

Products, quotients and powers of values are sums, differences and multiples of their forms, and equal terms
cancel before anything is computed. A log-sum-exp is one term with two parts, its shift and the small rest
(see `qed.numerics.rewriting.stable`); the form is evaluated shifts first, so that large numbers cancel
exactly before the rest is added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from qed.graph.build import Builder, Node
from qed.numerics.rewriting import kernels, stable
from qed.numerics.rewriting.averages import LOG_MEAN_EXP
from qed.numerics.rewriting.laws import SHARE, Law
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.softmax_powers import merged

SMALL = 1000
"""The largest denominator of a coefficient that is divided by instead of multiplied with its rounded inverse."""


@dataclass(frozen=True, eq=False)
class Term:
    """One term: coefficient * node; for a log-sum-exp also node = shift + rest."""

    node: Node
    coefficient: float = 1.0
    shift: Node | None = None
    rest: Node | None = None


@dataclass(frozen=True, eq=False)
class Form:
    """The logarithm of a value.

    Args:
        terms: their sum is the logarithm.
        shape: shape of the value (a term may be a scalar).
        gained: False where this is merely the logarithm as it stands, of a value that has to be formed.
        fragile: True where a term is the logarithm of something that may be 0 and has a derivative.
        laws: what was used.
    """

    terms: tuple[Term, ...]
    shape: tuple[int, ...]
    gained: bool = True
    fragile: bool = False
    laws: tuple[Law, ...] = ()


def linear(shape: tuple[int, ...], *parts: tuple[float, Form], law: Law | None = None) -> Form:
    """The linear combination of forms; equal terms are merged.

    A term that cancels stays, with coefficient 0: it is 0 if it is finite and NaN if not, as in the original quotient.
    """
    merged: dict[int, Term] = {}
    for factor, form in parts:
        for term in form.terms:
            known = merged.get(term.node.number)
            coefficient = factor * term.coefficient + (known.coefficient if known else 0.0)
            if term.coefficient and np.isfinite(factor):
                merged[term.node.number] = replace(term, coefficient=coefficient)
    forms = [form for _, form in parts]
    return Form(
        tuple(term for term in merged.values() if term.coefficient or not _finite_constant(term.node)),
        shape,
        any(form.gained for form in forms),
        any(form.fragile for form in forms),
        together((law,) if law else (), *(form.laws for form in forms)),
    )


def _number_of(term: Term) -> Node | None:
    """The number of which a term is the logarithm, to the power 1 or -1."""
    node = term.node
    if abs(term.coefficient) != 1 or node.operation != "log" or node.equation is not None or term.shift is not None:
        return None
    return node.children[0] if len(node.children) == 1 else None


def _is_half(term: Term, coefficient: float) -> bool:
    """Whether a term is coefficient * log(1/2)."""
    number = constant_of(term.node.children[0]) if term.node.operation == "log" else None
    return (number == 0.5 and term.coefficient == coefficient) or (number == 2 and term.coefficient == -coefficient)


def _finite_constant(node: Node) -> bool:
    if node.operation == "log" and len(node.children) == 1 and node.equation is None:
        return _finite_constant(node.children[0])  # of a positive number: `products.constant`
    return node.operation == "constant" and bool(np.all(np.isfinite(node.value)))


def together(*laws: tuple[Law, ...]) -> tuple[Law, ...]:
    """All laws, each once."""
    return tuple(dict.fromkeys(law for group in laws for law in group))


class Algebra:
    """Arithmetic on nodes that simplifies what it can see.

    `forms` holds the form that each emitted node was the value of, for reports; `summed` the two forms of whose
    exponentials a node is the logarithm of the sum.
    """

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.emit = builder.emit
        self.forms: dict[int, Form] = {}
        self.summed: dict[int, tuple[Form, Form]] = {}

    def number(self, value: float, like: Node) -> Node:
        """A constant in the dtype of a node."""
        return self.builder.constant(value, like.dtype)

    def negative(self, node: Node) -> Node:
        """-node; the negative of a negative is what it was."""
        if node.operation == "neg":
            return node.children[0]
        return self.emit(stable.NEG, node)

    def times(self, coefficient: float, node: Node) -> Node:
        """A multiple of a node."""
        if node.operation == "neg" and node.equation is None:
            return self.times(-coefficient, node.children[0])
        if coefficient == 1:
            return node
        if coefficient == -1:
            return self.negative(node)
        exact = Fraction(coefficient).limit_denominator(SMALL) if np.isfinite(coefficient) else Fraction(0)
        if exact.denominator & (exact.denominator - 1) and float(exact) == coefficient:
            above = self.times(float(exact.numerator), node)  # divided by a whole number, which is exact
            return self.emit(stable.DIV, above, self.number(float(exact.denominator), node))
        return self.emit(stable.MUL, self.number(coefficient, node), node)

    def filled(self, node: Node, shape: tuple[int, ...]) -> Node:
        """The node, broadcast to a shape."""
        return node if node.shape == shape else self.emit(stable.FILL, node, shape=shape, to=shape)

    def softplus(self, node: Node) -> Node:
        """log(1 + exp node)."""
        return self.emit(stable.SOFTPLUS, node)

    def total(self, pairs: list[tuple[float, Node]], dtype_of: Node) -> Node:
        """The sum of multiples of nodes: those with positive coefficient first."""
        ordered = sorted(pairs, key=lambda pair: pair[0] < 0)
        if not ordered:
            return self.number(0.0, dtype_of)
        coefficient, node = ordered[0]
        result = self.times(coefficient, node)
        for coefficient, node in ordered[1:]:
            if coefficient < 0:
                result = self.emit(stable.SUB, result, self.times(-coefficient, node))
            else:
                result = self.emit(stable.ADD, result, self.times(coefficient, node))
        return result

    def whole(self, form: Form, like: Node) -> Node:
        """The form as one node, in the shape of the form."""
        form = self.shares(self.simplified(form), like)
        live = self._merged([t for t in form.terms if t.coefficient])
        large = [(t.coefficient, t.node if t.shift is None else t.shift) for t in live] + self._cancelled(form)
        small = [(t.coefficient, t.rest) for t in live if t.rest is not None]
        result = self.total(large, like)
        for coefficient, node in small:
            operation = stable.SUB if coefficient < 0 else stable.ADD
            result = self.emit(operation, result, self.times(abs(coefficient), node))
        result = self.filled(result, form.shape)
        if all(term.node is not result for term in form.terms):
            self.forms.setdefault(result.number, form)
        return result

    def _merged(self, live: list[Term]) -> list[Term]:
        """Terms of which two are one that is small where they cancel, or a multiple of it.

        They are logsumexp(u) and -log n for n terms, the logarithm of a mean, and log erfc(u) and log 1/2.
        """
        for tail in live:
            half = next((t for t in live if tail.node.operation == "log_erfc" and _is_half(t, tail.coefficient)), None)
            if half is not None:
                whole = self.emit(kernels.LOG_HALF_ERFC, tail.node.children[0])
                return [Term(whole, tail.coefficient), *(t for t in live if t not in (tail, half))]
        for total in live:
            if total.node.operation != "logsumexp":
                continue
            axes, u = total.node.params["axes"], total.node.children[0]
            count = math.prod(u.shape[k] for k in axes)
            for other in live:
                number = constant_of(other.node.children[0]) if other.node.operation == "log" else None
                if other.coefficient == -total.coefficient and number == count:
                    mean = self.emit(LOG_MEAN_EXP, u, shape=total.node.shape, axes=axes)
                    return [Term(mean, total.coefficient), *(t for t in live if t not in (total, other))]
        return live

    def shares(self, form: Form, like: Node) -> Form:
        """The form with a - log(exp(a) + exp(b)), of sums a and b, as one term: it is small where both are large."""
        terms = {term.node.number: term for term in form.terms}
        for total in form.terms:
            for k, part in enumerate(self.summed.get(total.node.number, ()) if total.coefficient else ()):
                found = [terms.get(t.node.number) for t in part.terms]
                pairs = zip(part.terms, found, strict=True)
                if any(f is None or f.coefficient != -total.coefficient * t.coefficient for t, f in pairs):
                    continue
                one, other = self.summed[total.node.number][:: 1 if k == 0 else -1]
                high_low = *self.split(one, like), *self.split(other, like)
                share = self.filled(self.emit(stable.LOG_SHARE_SPLIT, *high_low), form.shape)
                rest = [t for t in form.terms if t is not total and t not in found]
                laws = together((SHARE,), form.laws)
                return self.shares(replace(form, terms=(*rest, Term(share, -total.coefficient)), laws=laws), like)
        return form

    def split(self, form: Form, like: Node) -> tuple[Node, Node]:
        """The form as a large part and a small one, which takes up what rounding the first leaves out."""
        form = self.shares(self.simplified(form), like)
        live = [t for t in form.terms if t.coefficient]
        large = [(t.coefficient, t.node if t.shift is None else t.shift) for t in live] + self._cancelled(form)
        small = [(t.coefficient, t.rest) for t in live if t.rest is not None]
        if len(large) > 1:
            coefficients, nodes = tuple(c for c, _ in large), [self.filled(n, form.shape) for _, n in large]
            high = self.emit(kernels.SUM_HIGH, *nodes, coefficients=coefficients)
            small.append((1.0, self.emit(kernels.SUM_LOW, *nodes, coefficients=coefficients)))
        else:
            high = self.total(large, like)
        return self.filled(high, form.shape), self.filled(self.total(small, like), form.shape)

    def exponential(self, form: Form, like: Node) -> Node:
        """exp of the form, as a product where that keeps more digits than a sum in the exponent.

        What is the logarithm of a number is multiplied and divided by; of a log-sum-exp its shift stays in the exponent
        and its well-scaled sum divides.
        """
        form = self.shares(self.simplified(form), like)
        if len(form.terms) == 1 and form.terms[0].coefficient == -1 and form.terms[0].node.operation == "softplus":
            inner = self.negative(form.terms[0].node.children[0])
            return self.filled(self.emit(kernels.LOGISTIC, inner), form.shape)
        live = [term for term in form.terms if term.coefficient]
        if [(t.node.operation, t.coefficient) for t in live] == [("log_share_split", 1)] and len(form.terms) == 1:
            return self.filled(self.emit(stable.SIGMOID_SPLIT, *live[0].node.children), form.shape)
        exponent = self._cancelled(form)
        above: list[Node] = []
        below: list[Node] = []
        for term in form.terms:
            if not term.coefficient:
                continue
            number = _number_of(term)
            shift, total = self._parts(term)
            if number is not None:
                (above if term.coefficient > 0 else below).append(number)
            elif total is not None and shift is not None:
                exponent.append((term.coefficient, shift))
                below += [total] * int(-term.coefficient)
            elif term.shift is not None and term.rest is not None:
                exponent += [(term.coefficient, term.shift), (term.coefficient, term.rest)]
            else:
                exponent.append((term.coefficient, term.node))
        if not exponent:
            exponent.append((1.0, self.number(0.0, like)))
        return self.filled(self._product(exponent, above, below, like), form.shape)

    def _parts(self, term: Term) -> tuple[Node | None, Node | None]:
        """(shift, sum) of a log-sum-exp that is divided by: log = shift + log(sum)."""
        if term.coefficient not in (-1, -2, -3):
            return None, None
        if term.node.operation == "softplus" and term.rest is None:
            x = term.node.children[0]
            shift = self.emit(kernels.POSITIVE_PART, x)
            return shift, self.emit(kernels.SUM_TWO, x, self.number(0.0, x), shift)
        if term.rest is None:
            return None, None
        if term.rest.operation == "log":
            return term.shift, term.rest.children[0]
        if term.rest.operation == "rest_two":
            return term.shift, self.emit(kernels.SUM_TWO, *term.rest.children)
        if term.rest.operation == "rest_split":
            return term.shift, self.emit(stable.SUM_SPLIT, *term.rest.children)
        return None, None

    def _product(self, exponent: list[tuple[float, Node]], above: list[Node], below: list[Node], like: Node) -> Node:
        """exp(exponent) * above / below; halved and applied twice beside other factors, so that it cannot overflow."""
        ordered = sorted(exponent, key=lambda pair: pair[0] < 0)
        if above and all(node.operation == "cancelled" for _, node in ordered):  # 1, or NaN
            return self._times_one(ordered, above, below)
        scale = 0.5 if above else 1.0
        coefficients = tuple(scale * coefficient for coefficient, _ in ordered)
        nodes = [node for _, node in ordered]
        if above:
            ratio = above[0]
            for factor in above[1:]:
                ratio = self.emit(stable.MUL, ratio, factor)
            beside = ratio
            for divisor in below:
                ratio = self.emit(stable.DIV, ratio, divisor)
            power = self.emit(kernels.EXP_BESIDE, beside, *nodes, coefficients=coefficients)
            return self.emit(stable.MUL, self.emit(stable.MUL, power, ratio), power)
        if len(nodes) == 1:
            result = self.emit(stable.EXP, self.times(coefficients[0], nodes[0]))
        else:
            result = self.emit(kernels.EXP_OF_SUM, *nodes, coefficients=coefficients)
        for divisor in below:
            result = self.emit(stable.DIV, result, divisor)
        return result

    def _times_one(self, exponent: list[tuple[float, Node]], above: list[Node], below: list[Node]) -> Node:
        """above / below, and NaN where one of the exponents is, which are 0."""
        total = exponent[0][1]
        for _, node in exponent[1:]:
            total = self.emit(stable.ADD, total, node)
        value = above[0]
        for factor in above[1:]:
            value = self.emit(stable.MUL, value, factor)
        for divisor in below:
            value = self.emit(stable.DIV, value, divisor)
        return self.emit(stable.MUL, value, self.emit(stable.EXP, total))

    def _cancelled(self, form: Form) -> list[tuple[float, Node]]:
        return [(1.0, self.emit(stable.CANCELLED, term.node)) for term in form.terms if not term.coefficient]

    def simplified(self, form: Form) -> Form:
        """The form with z - softplus(z) written as -softplus(-z), and sums of exp(u) and exp(k u) as one."""
        powers = merged(form, self.emit)
        if powers is not None:
            return self.simplified(powers)
        terms = {term.node.number: term for term in form.terms}
        for term in form.terms:
            if term.node.operation != "softplus":
                continue
            argument = term.node.children[0]
            other, sign = terms.get(argument.number), 1.0
            if other is None and argument.operation == "neg":
                other, sign = terms.get(argument.children[0].number), -1.0
            if other is not None and term.coefficient and other.coefficient * sign == -term.coefficient:
                reduced = Term(self.softplus(self.negative(argument)), term.coefficient)
                rest = [t for t in form.terms if t is not term and t is not other]
                return self.simplified(replace(form, terms=(*rest, reduced)))
        return form
