"""What the primitives of array programs are, for the chain rule: elementwise formulas, and matrix products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from qed import facts
from qed.calculus.deriving.arrays import Array
from qed.calculus.deriving.rules import name_of
from qed.facts import Class, Expression
from qed.facts.expression import Call, Choice, Constant, Operation, Symbol
from qed.graph.graph import Equation
from qed.graph.tape import Cell, Entry

SAME = frozenset(
    "convert_element_type copy device_put optimization_barrier reduce_precision sharding_constraint".split()
)
"""Primitives that hand their operand on."""

TEX_SIGNS = {">=": r"\ge", "<=": r"\le", "!=": r"\ne"}
SIGNS = {"eq": "=", "ge": ">=", "gt": ">", "le": "<=", "lt": "<", "ne": "!="}
ACTIVATIONS = frozenset("tanh logistic max erf erfc sin cos".split())
_KINDS: dict[str, str] = {
    "dot_general": "matrix product", "reduce_sum": "sum", "broadcast_in_dim": "repetition", "transpose": "transpose",
    "add": "sum", "sub": "difference", "mul": "product", "div": "quotient", "select_n": "choice",
}  # fmt: skip


def rule_name(entry: Entry) -> str:
    """What a step is called in the list of rules; '' for what only reshapes or converts."""
    primitive = entry.primitive
    if primitive in SAME or primitive in ("reshape", "squeeze", "expand_dims"):
        return ""
    return _KINDS.get(primitive) or name_of(primitive)


def chain_of(entry: Entry) -> list[tuple[Cell, bool]] | None:
    """A product of two vectors or matrices as factors, each with whether it is transposed; None for any other."""
    a, b = entry.inputs
    (sum_a, sum_b), (batch, _) = entry.equation.params["dimension_numbers"]
    shapes = (len(a.shape), len(b.shape))
    if batch or max(shapes) > 2 or min(shapes) < 1 or len(sum_a) > 1:
        return None
    if not sum_a:
        return [(a, False), (b, True)] if shapes == (1, 1) else None
    if shapes == (1, 1):
        return [(a, True), (b, False)]
    if shapes == (1, 2):
        return [(b, sum_b[0] == 0), (a, False)]
    return [(a, sum_a[0] == 0), (b, shapes[1] == 2 and sum_b[0] == 1)]


def body_of(equation: Equation) -> tuple[tuple[str, ...], Expression] | None:
    """An elementwise operation as a formula in the names of its operands."""
    kind = facts.classify(equation.primitive)
    if kind is Class.UNARY:
        card = facts.card(equation.primitive, **equation.params)
        if card is None:
            return None
        return ("x",), -Symbol("x") if card.name == "neg" else Call(card.name, (Symbol("x"),), card.parameters)
    if kind is Class.ARITHMETIC and equation.primitive in facts.ARITHMETIC:
        found = facts.ARITHMETIC[equation.primitive]
        signs = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
        if found.name in signs:
            return found.arguments, Operation(signs[found.name], Symbol("x"), Symbol("y"))
        return found.arguments, Call(found.name, tuple(map(Symbol, found.arguments)))
    return None


def with_constants(formula: Expression, operands: Mapping[str, Array]) -> Expression:
    """A power with a constant exponent as the function of one number that it is."""
    match formula:
        case Call("pow", (base, Symbol(name))) if isinstance(operands[name].formula, Constant):
            exponent = operands[name].formula
            assert isinstance(exponent, Constant)
            card = facts.card("power", exponent=exponent.value)
            return Call(card.name, (base,), card.parameters) if card else formula
    return formula


def partials_of(equation: Equation, inputs: Sequence[Cell]) -> tuple[tuple[str, ...], str, Sequence[Expression | None]]:
    """Names of the operands and of the value, and the partial derivatives, from the cards."""
    if facts.classify(equation.primitive) is Class.UNARY:
        card = facts.card(equation.primitive, **equation.params)
        assert card is not None
        return ("x",), "y", (card.derivative,)
    found = facts.ARITHMETIC[equation.primitive]
    if found.name == "pow" and not inputs[1].active and np.size(inputs[1].values[0]) == 1:
        card = facts.card("power", exponent=Fraction(float(np.asarray(inputs[1].values[0]).ravel()[0])))
        assert card is not None
        return found.arguments, "z", (card.derivative, None)
    return found.arguments, "z", found.partials


def has_choice(formula: Expression) -> bool:
    """Whether a formula is made of pieces."""
    match formula:
        case Choice():
            return True
        case Operation(_, left, right):
            return has_choice(left) or has_choice(right)
        case Call(_, operands):
            return any(map(has_choice, operands))
    return False
