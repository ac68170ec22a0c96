"""a - b without cancellation: a calculus of finite differences, one rule a primitive, compositions for free.

As differentiation has one rule for each primitive, so has subtraction. With d = x - y, found by the same rules::

    sqrt x - sqrt y = d / (sqrt x + sqrt y)     log x - log y = log1p(d / y)     e^x - e^y = e^y expm1(d)
    sin x - sin y = 2 cos(y + d/2) sin(d/2)     c/x - c/y = -c d / (x y)         atan x - atan y = atan(d / (1 + x y))

and against a number: e^x - 1 = expm1 x, 1 - cos x = 2 sin(x/2)^2, 1 - logistic x = logistic(-x), 1 - erf x = erfc x.
Both sides are first read as polynomials (`difference_terms`), so that equal terms cancel before anything is computed:
``sqrt(x + 1) - sqrt(x)`` has d = 1. A rule fires only where its d is *sharp*: a number, a difference of inputs, a sum
of terms of one sign, or what a rule found in turn. Where d itself lost its digits the rewriting would gain nothing,
and the graph stays as it is; so it does where both terms are known to have one sign and nothing can cancel.

A sum whose terms cancel and leave one plain term, ``(s + v) - s``, is left alone: it is written on purpose, to
find the rounding error (Kahan, 1965), or to make a step exact.

The rules: `difference_rules`, `difference_kernels` (f(x) - f(y)), `difference_series` (three and more terms: rests of
Taylor series). Reference: Kahan, *How futile are mindless assessments of roundoff in floating-point computation?*,
2006; Panchekha, Sanchez-Stern, Wilcox and Tatlock, *Automatically improving accuracy for floating point expressions*,
2015, for the classics.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from qed.graph.build import Builder, Node, reachable
from qed.graph.graph import Graph
from qed.graph.names import assigned
from qed.numerics.rewriting.change import Change
from qed.numerics.rewriting.difference_choices import through_choice
from qed.numerics.rewriting.difference_laws import BOSE, CANCEL, NORM_AT_ZERO, NORMS
from qed.numerics.rewriting.difference_outer import logarithm
from qed.numerics.rewriting.difference_quotients import exponentials, quotient, removed
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.padded import at_one_place
from qed.numerics.rewriting.removable import SERIES_AT_ZERO, Removable
from qed.numerics.rewriting.render import Formula
from qed.numerics.rewriting.rewritten import Rewritten
from qed.numerics.rewriting.signs import floating, memoised

SUMS = frozenset(["sub", "add", "add_any", "one_minus_square"])
USED = SUMS | {"div", "log", "mul"}


@dataclass(frozen=True, eq=False)
class Rewrite:
    """One replacement: the node, what takes its place, and the laws that make them equal."""

    old: Node
    new: Node
    laws: tuple[Law, ...]
    convention: str | None = None


class Differences:
    """The difference rewriting on the nodes of a builder.

    Args:
        builder: where new nodes are made.
        only: which nodes may be rewritten; default all.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> rewritten = rewrite(trace(lambda x: jnp.sqrt(x + 1) - jnp.sqrt(x), jnp.float32(1e12)).graph)
        >>> print(rewritten.function(jnp.float32(1e12))[0])
        5e-07
    """

    name = "difference"
    begins: Collection[str] = USED

    def __init__(self, builder: Builder, only: Callable[[Node], bool] | None = None) -> None:
        self.builder = builder
        self.only = only
        self.difference = Difference.of(builder)
        self.deep = Difference(builder, self.difference.deep, pairs=False)
        self.removable = Removable(builder)
        self._emitted: dict[int, bool] = {}
        self.changed: list[Rewrite] = []

    def rule(self, node: Node) -> Node | None:
        """What takes the place of a node whose children are rewritten already, or None."""
        if node.operation not in USED or not floating(node.dtype) or (self.only is not None and not self.only(node)):
            return None
        if node.operation == "mul":
            found = self._product(node)
            return None if found is None else self.replaced(node, *found)
        if node.operation != "log" and not self.builder.derivative:
            new = None if self._named(node) else self.removable(node)
            if new is not None:
                return self.replaced(node, new, (SERIES_AT_ZERO,))
        padded = at_one_place(self.difference, node, lambda each: self._found(self.difference, each))
        if padded is not None:
            return self.replaced(node, *padded)
        for difference in (self.difference, self.deep) if self._two_readings(node) else (self.difference,):
            if node.operation in SUMS:
                found = self._found(difference, node)
                if found is None and not self.builder.derivative:
                    found = through_choice(difference, node)
            else:
                found = (quotient if node.operation == "div" else logarithm)(difference, node)
            if found is not None:
                new = difference.algebra.filled(found[0], node.shape)
                return None if new is node else self.replaced(node, new, found[1])
        if node.operation != "log" and not self.builder.derivative:
            new = self.removable(node, 1)
            return None if new is None else self.replaced(node, new, (SERIES_AT_ZERO,))
        return None

    def _two_readings(self, node: Node) -> bool:
        """Whether something that was emitted is below a node: only then it is read as what it stands for, too."""

        def emitted(each: Node) -> bool:
            if each.equation is None and each.operation not in ("input", "constant", "item"):
                return True
            return any(self._emitted[child.number] for child in (*each.children, *filter(None, [each.ghost])))

        return memoised(node, self._emitted, emitted)

    def _product(self, node: Node) -> tuple[Node, tuple[Law, ...]] | None:
        """A product with a quotient among its factors, where what is divided by vanishes with another factor."""
        if self.builder.derivative:
            return None
        for difference in (self.difference, self.deep):
            polynomial = difference.terms(node)
            if len(polynomial) != 1:
                continue
            ((monomial, coefficient),) = polynomial.items()
            found = removed(difference, monomial, coefficient, node) if any(p < 0 for _, p in monomial) else None
            if found is not None:
                return difference.algebra.filled(found[0], node.shape), found[1]
        return None

    def _named(self, node: Node) -> bool:
        """Whether a quotient or a sum has a form of its own, near 0 and far from it."""
        if node.operation in SUMS:
            polynomial = self.deep.terms(node)
            return 0 < len(polynomial) and self.deep.adds(polynomial) and bool(self._gone(self.deep, node, polynomial))
        if node.operation != "div":
            return False
        found = quotient(self.difference, node)
        return exponentials(self.deep, node) is not None or (found is not None and BOSE in found[1])

    def _found(self, difference: Difference, node: Node) -> tuple[Node, tuple[Law, ...]] | None:
        polynomial = difference.terms(node)
        found = difference(polynomial, node)
        if found is not None or not polynomial:
            return found
        gone = self._gone(difference, node, polynomial)
        if not gone or _compensates(gone, polynomial):
            return None
        sharp = difference.sharp(polynomial, node)
        return (difference.plain(polynomial, node), (CANCEL,)) if sharp is None else (sharp[0], (CANCEL, *sharp[1]))

    def _gone(self, difference: Difference, node: Node, polynomial: Polynomial) -> list[Monomial]:
        """Which terms of both sides of a sum cancel."""
        if len(node.children) != 2:
            return []
        left, right = (difference.terms(child) for child in node.children)
        return [m for m in left if m in right and 2 * abs(polynomial.get(m, 0)) < max(abs(left[m]), abs(right[m]))]

    def replaced(self, old: Node, new: Node, used: tuple[Law, ...]) -> Node:
        """Note that one node takes the place of another."""
        new.span = new.span or old.span
        if new.ghost is None and new.equation is None and new.number > old.number:
            new.ghost = old
        convention = NORM_AT_ZERO if NORMS in used else None
        self.changed.append(Rewrite(old, new, tuple(dict.fromkeys(used)), convention))
        return new

    def changes(self, needed: set[int]) -> tuple[Change, ...]:
        """What was changed, for those new nodes that are needed."""
        formula = Formula(self.difference.algebra.forms)
        return tuple(described(each, formula) for each in self.changed if each.new.number in needed)


def _compensates(gone: Sequence[tuple], rest: Polynomial) -> bool:
    """Whether plain terms cancel and leave one plain term: that is how a rounding error is computed."""
    degrees = [sum(abs(power) for _, power in monomial) for monomial in (*gone, *rest)]
    return ONE not in rest and max(degrees) == 1 and ONE not in gone


def described(rewrite: Rewrite, formula: Formula, name: str = "difference") -> Change:
    """A rewrite in words."""
    conditions = dict.fromkeys(law.condition for law in rewrite.laws)
    if len(conditions) > 1:
        conditions.pop("always", None)
    return Change(
        rewrite.old.span,
        formula(rewrite.old),
        formula(rewrite.new),
        "; ".join(law.identity for law in rewrite.laws),
        "; ".join(conditions),
        rewrite.convention,
        name,
        rewrite.old,
        rewrite.new,
    )


def rewrite(graph: Graph, only: Callable[[Node], bool] | None = None) -> Rewritten | None:
    """Rewrite differences that can cancel into a form that does not.

    Args:
        graph: the graph of a function.
        only: which nodes may be rewritten, by their `spans`, say; default all.

    Returns:
        The rewritten function, or None if nothing was changed that an output needs.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> rewrite(trace(lambda x: 1 - jnp.cos(x), 1.0).graph).changes[0].identity
        '1 - cos(a) = 2 sin(a/2)**2, 1 + cos(a) = 2 cos(a/2)**2'
        >>> rewrite(trace(lambda x: x + jnp.cos(x), 1.0).graph) is None
        True
    """
    builder = Builder(names=assigned)
    session = Differences(builder, only)
    builder.rule = session.rule
    inputs = builder.inputs(graph)
    outputs = builder.inline(graph, inputs)
    needed = {node.number for node in reachable([*outputs, *builder.effects])}
    changes = session.changes(needed)
    return Rewritten(builder.function(outputs, inputs), changes) if changes else None


__all__ = ["Differences", "Rewrite", "described", "rewrite"]
