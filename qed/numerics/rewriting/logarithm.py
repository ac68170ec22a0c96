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

from qed.graph.build import Builder, Node
from qed.numerics.rewriting import labels
from qed.numerics.rewriting.change import Change, Only
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.exponential_quotients import ExponentialQuotients
from qed.numerics.rewriting.forms import Form, Term
from qed.numerics.rewriting.log_softmax import entry
from qed.numerics.rewriting.logarithms_taken import Found, TakenLogarithms
from qed.numerics.rewriting.magnitudes import Magnitudes
from qed.numerics.rewriting.over_differences import OVER_DIFFERENCE, over_difference
from qed.numerics.rewriting.recursion import Logarithm
from qed.numerics.rewriting.render import Formula
from qed.numerics.rewriting.scales import source_of
from qed.numerics.rewriting.sigmoid_products import SigmoidProducts
from qed.numerics.rewriting.tempered import Scales


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
        self.difference = Difference.of(builder)
        self.log.gap = self._gap
        scales = Scales(self.difference)
        self.log.entry = lambda form: entry(scales, form)
        self.logs = TakenLogarithms(self.log, self.difference, scales)
        self.quotients = ExponentialQuotients(self.logs)
        self.sigmoids = SigmoidProducts(self.log, self.difference)
        self.changed: list[tuple[Node, Node, Form, str]] = []
        self._uses = {"log": self.logs.taken, "log1p": self.logs.of_one_plus}
        self._uses |= {"div": self.quotients.over, "mul": self.quotients.product}
        self._uses |= {"reduce_sum": self.quotients.entropy, "integer_pow": self.quotients.power}
        self._uses["add_any"] = self.quotients.shares
        self._uses |= dict.fromkeys(("sub", "add"), self._sum) | dict.fromkeys(labels.CHOOSE, self.logs.labelled)

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
        if use is None or (self.only is not None and not self.only(node)):
            return None
        if node.equation is None:  # what a difference put in place of a sum of products
            return self._noted(node, self.sigmoids(node)) if node.operation in ("mul", "div") else None
        if node.operation in ("sub", "add", "add_any", *labels.CHOOSE):
            return self._noted(node, use(node))
        last = source_of(node.children[-1])
        while last.operation in ("gather", "convert_element_type"):
            last = source_of(last.children[0])
        if last.settled and last.equation is not None:  # the scaled sum of a log-sum-exp, in its derivative
            return None
        found = self._signed(node) or use(node)
        if node.operation in ("mul", "div"):
            found = found or self.sigmoids(node) or self._over_difference(node)
        return self._noted(node, found)

    def _over_difference(self, node: Node) -> Found | None:
        """What is divided by a difference of exponentials and multiplied by one of them."""
        value = None if self.builder.derivative else over_difference(self.log.algebra, node)
        return None if value is None else (value, Form((Term(value),), node.shape, laws=(OVER_DIFFERENCE,)), "put")

    def _sum(self, node: Node) -> Found | None:
        shares = self.quotients.shares(node) if node.operation == "add" else self.quotients.rest(node)
        return shares or self.logs.shifted(node) or self.logs.sums(node)

    def _signed(self, node: Node) -> Found | None:
        """A product or quotient with factors below zero, by what it is without their signs."""
        if node.operation not in ("mul", "div"):
            return None
        parts = self.magnitudes.product(node.children)
        if parts is None or parts[0] == list(node.children) or node.equation is None:
            return None
        without = self.builder.apply(node.equation, parts[0])[0]
        found = self._uses[node.operation](without)
        if found is None:
            return None
        value, form, _ = found
        return (value if parts[1] else self.log.algebra.negative(value)), form, "put"

    def _noted(self, node: Node, found: Found | None) -> Node | None:
        if found is None:
            return None
        new, form, kind = found
        if kind == "log":
            self.logs.remember(new, form)
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
