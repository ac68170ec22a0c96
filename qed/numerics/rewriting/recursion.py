"""The recursive function L: node -> its logarithm as a form, or None; memoised, one rule a primitive.

The rules stand in `products`, `sums` and `arrays`; the list of them is in
`qed.numerics.rewriting.logarithm`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qed import facts
from qed.graph.build import Builder, Node
from qed.graph.graph import Equation
from qed.numerics.rewriting import arrays, carries, laws, products, stable, sums
from qed.numerics.rewriting.forms import Algebra, Form, Term, together
from qed.numerics.rewriting.signs import Sign, Signs, floating

LOOPS = ("item", "scan", "while")

RULES: Mapping[str, Callable[[Logarithm, Node], Form | None]] = {
    **products.RULES,
    **sums.RULES,
    **arrays.RULES,
    **dict.fromkeys(LOOPS, carries.logarithm),
}

_EMITTED = ("item", "erfc", "logistic", "sech2")
"""What a rule reads although a rewriting emitted it: erfc is what a choice is read as."""
_BECOME = ("mul", "add")
"""What a difference may become of which the logarithm is better than that of the difference."""
_ENDS = frozenset(["exp", "exp2", "logistic", "expm1", "cosh", "erfc"])


class Logarithm:
    """L(n) = log n wherever n > 0, without forming n.

    Args:
        builder: where new nodes are made.

    `gap` finds a - b without cancellation, or None, and `entry` the logarithm of an entry of a softmax; by themselves
    they find nothing.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> graph = trace(lambda x: jnp.exp(x) / 2, 1.0).graph
        >>> builder = Builder()
        >>> form = Logarithm(builder)(builder.inline(graph, builder.inputs(graph))[0])
        >>> [(term.coefficient, term.node.operation) for term in form.terms]
        [(1.0, 'input'), (-1.0, 'log')]
    """

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.algebra = Algebra(builder)
        self.emit = builder.emit
        self.sign = Signs()
        self.gap: Callable[[Node, Node], Node | None] = lambda a, b: None
        self.entry: Callable[[Form], Node | None] = lambda form: None
        self._known: dict[int, Form | None] = {}
        self._became: set[int] = set()

    def minus(self, a: Node, b: Node) -> Node:
        """a - b, without cancellation where `gap` knows such a form."""
        found = self.gap(a, b)
        return found if found is not None else self.emit(stable.SUB, a, b)

    def know(self, node: Node, form: Form) -> None:
        """Remember the logarithm of a node that was emitted as an exponential."""
        self._known[node.number] = form

    def __call__(self, node: Node) -> Form | None:
        """The logarithm of a node; bottom up along the operations that have rules, so that depth is no matter."""
        if node.number in self._known:
            return self._known[node.number]
        pending, seen = [node], {}
        while pending:
            top = pending.pop()
            if top.number in seen or top.number in self._known:
                continue
            seen[top.number] = top
            if top.ghost is not None:
                pending.extend([top.ghost] if readable(top) else [])
            elif top.operation in RULES and top.operation not in _ENDS and top.operation not in LOOPS:
                pending.extend(top.children)
        for number in sorted(seen):
            if number not in self._known:
                self._known[number] = self._rule(seen[number])
        return self._known[node.number]

    def _rule(self, node: Node) -> Form | None:
        if not floating(node.dtype) or 0 in node.shape:
            return None
        if node.ghost is not None:
            return self._of_ghost(node) if readable(node) else None
        if node.operation == "constant":
            return products.constant(self, node)
        rule = RULES.get(node.operation)
        made = node.equation is not None or node.operation in _EMITTED or node.number in self._became
        return rule(self, node) if rule is not None and made else None

    def _of_ghost(self, node: Node) -> Form | None:
        """The logarithm of what a node stands for; of a difference that became a product or a sum, of that."""
        assert node.ghost is not None
        found = self(node.ghost)
        if found is None and node.equation is None and node.operation in _EMITTED:
            return RULES[node.operation](self, node)
        if node.equation is not None or node.operation not in _BECOME:
            return found
        known = self.sign(node) > Sign.UNKNOWN == self.sign(node.ghost)
        if found is not None and not found.fragile and not known:
            return found
        self._became.update(each.number for each in _emitted_below(node))
        became = RULES[node.operation](self, node)
        return became if became is not None and became.gained and not became.fragile else found

    # --- what the rules ask ---

    def gained(self, node: Node) -> Form | None:
        """The logarithm, if a rule helps."""
        form = self(node)
        return form if form is not None and form.gained else None

    def plain(self, node: Node) -> Form:
        """The logarithm, as it stands where no rule helps."""
        form = self(node)
        if form is not None:
            return form
        fragile = self.sign(node) < Sign.BOUNDED and self.sign.varies(node)
        return Form((Term(self.emit(stable.LOG, node)),), node.shape, gained=False, fragile=fragile)

    def whole(self, form: Form, like: Node) -> Node:
        """The form as one node in its own shape."""
        return self.algebra.whole(form, like)

    def single(self, node: Node, value: Node, *forms: Form, law: laws.Law | None = None) -> Form:
        """The form of `node` that is one term."""
        used = together((law,) if law else (), *(form.laws for form in forms))
        fragile = any(form.fragile for form in forms)
        return Form((Term(self.algebra.filled(value, node.shape)),), node.shape, True, fragile, used)


def _emitted_below(node: Node) -> list[Node]:
    """A sum of products that a rewriting emitted: its parts."""
    parts = [child for child in node.children if child.equation is None and child.operation in _BECOME]
    return [*parts, *(each for part in parts for each in _emitted_below(part))]


def readable(node: Node) -> bool:
    """Whether the logarithm may look through a call: what it finds replaces the call and its derivative rule.

    Always through `remat`, through a choice that is known to be one function (`branches`), and through what a rewriting
    emitted in place of something else. Through a custom derivative rule only if a library wrote it and what it computes
    is smooth: a rule of the user's is meant as it stands, and a library's own is often there for ties and kinks.
    """
    if node.operation in ("remat", "select_n") or (node.equation is None and node.ghost is not None):
        return True
    if node.equation is None or node.equation.call is None or node.equation.call.graph.span is not None:
        return False
    return all(_smooth(equation) for equation in node.equation.call.graph.walk())


def _smooth(equation: Equation) -> bool:
    name = equation.primitive
    if name in facts.ARITHMETIC:
        return facts.ARITHMETIC[name].tie is None
    if name in facts.CARDS or name in facts.FAMILIES:
        card = facts.card(name, **equation.params)
        return card is not None and not card.kinks and not card.jumps
    return facts.classify(name) in (facts.Class.LINEAR, facts.Class.BILINEAR, facts.Class.CALL)
