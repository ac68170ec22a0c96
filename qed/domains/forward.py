"""The interface of forward domains: how a domain's rule for an equation is found.

A domain says what it carries for a value and what a *class* of primitives does to it. The rule for an equation is
looked up in this order, and the first that exists wins:

1. the domain's own table `special`, keyed by the primitive's name;
2. the primitive's fact card: `unary(card, x, context)`, or `nary(card, xs, context)` for arithmetic;
3. the primitive's class in `qed.facts.structure`: `linear`, `bilinear`, `compare`, `select`, `reduce`, `index`, ...

A method that a domain does not define is a declared gap: the equation's outputs become `Unknown` with the
primitive and the user's line, and the walker makes all that is computed from them `Unknown` too. Nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from qed import facts
from qed.graph.graph import Atom, Equation, Variable
from qed.graph.walk import Context, Unknown

CLASS_METHODS: Mapping[facts.Class, str] = {
    facts.Class.UNARY: "unary",
    facts.Class.ARITHMETIC: "nary",
    facts.Class.LINEAR: "linear",
    facts.Class.BILINEAR: "bilinear",
    facts.Class.ZERO_DERIVATIVE: "constant_almost_everywhere",
    facts.Class.COMPARE: "compare",
    facts.Class.SELECT: "select",
    facts.Class.REDUCE: "reduce",
    facts.Class.INDEX: "index",
    facts.Class.LINALG: "linear_algebra",
    facts.Class.RANDOM: "random",
    facts.Class.EFFECT: "effect",
    facts.Class.CALL: "opaque_call",
}


class Forward:
    """A forward domain; subclasses are final and define the methods of the classes that they can follow."""

    name: ClassVar[str]
    requires: ClassVar[tuple[str, ...]] = ()
    special: ClassVar[Mapping[str, str]] = {}

    # --- what a subclass must say ---

    def constant(self, atom: Atom, array: Any) -> Any:
        """The domain's view of a concrete array."""
        raise NotImplementedError

    def take(self, value: Any, index: int) -> Any:
        """Row `index` along the leading axis."""
        raise NotImplementedError

    def stack(self, values: Sequence[Any], variable: Variable) -> Any:
        """Rows put on top of each other, to the shape of `variable`."""
        raise NotImplementedError

    # --- control flow: a domain that cannot decide says None ---

    def choose(self, value: Any, count: int) -> int | None:
        """Which of `count` branches an index selects, or None."""
        return None

    def truth(self, value: Any) -> bool | None:
        """Whether a condition holds, or None."""
        return None

    def join(self, first: Any, second: Any) -> Any:
        """What is known when either value is possible."""
        return first if first is second else Unknown(self.name, "cond", None)

    def depending(self, value: Any, cause: Any) -> Any:
        """A value of a branch that `cause` selected without deciding it."""
        return value

    def among(self, values: Sequence[Any], cause: Any) -> Any:
        """The value of one of two branches or more, of which `cause` did not decide."""
        found = values[0]
        for value in values[1:]:
            found = self.depending(self.join(found, value), cause)
        return found

    # --- dispatch ---

    @classmethod
    def rule(cls, primitive: str) -> tuple[str, str] | None:
        """(kind, method) of the rule for a primitive: kind is 'special' or 'derived'; None is a declared gap.

        This one function drives both the evaluation and the coverage table in the documentation.
        """
        if primitive in cls.special:
            return "special", cls.special[primitive]
        kind = facts.classify(primitive)
        method = CLASS_METHODS[kind] if kind is not None else ""
        return ("derived", method) if method and hasattr(cls, method) else None

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The domain's values of an equation's outputs."""
        rule = self.rule(equation.primitive)
        if rule is None:
            return (self.unknown(equation, context),) * len(equation.outputs)
        kind, name = rule
        method: Callable[..., Any] = getattr(self, name)
        if kind == "derived" and name == "unary":
            return (method(facts.card(equation.primitive, **equation.params), inputs[0], context),)
        if kind == "derived" and name == "nary":
            return (method(facts.ARITHMETIC[equation.primitive], inputs, context),)
        return method(inputs, context)

    def unknown(self, equation: Equation, context: Context) -> Unknown:
        """The declared gap at this equation."""
        return Unknown(self.name, equation.primitive, context.span)
