"""How the numbers of a program are written: each as a formula in the user's names, long ones under a name of their own.

An element has a *body*, the operation as it stands (|u|, max(u, v), a choice), and a *form*, what is written for it
from then on: its name where it has one, and the active piece where it is made of pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction

import numpy as np

from qed import facts
from qed.calculus.deriving.program import COMPARISONS, Program
from qed.domains.elements import Element
from qed.facts import Expression
from qed.facts.expression import COMPARISONS as RELATIONS
from qed.facts.expression import Call, Choice, Constant, Operation, Symbol, choice, operation
from qed.facts.plain import plain
from qed.facts.simplify import size

LONGEST = 12
"""Formulas of more nodes get a name."""

_TAKEN = ("arithmetic", "self", "pi", "e")
_LETTERS = "uvstrqabcdghkmnyz"


class Forms:
    """Names and formulas for the elements of a program.

    Attributes:
        forms: what is written for an element.
        bodies: the operation that it is.
        definitions: what the names stand for, in order.
        values: the number behind every symbol.
        digits: how many digits of constants are worth printing.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.forms: dict[Element, Expression] = {}
        self.bodies: dict[Element, Expression] = {}
        self.definitions: dict[str, Expression] = {}
        self.values: dict[str, float] = {}
        self.labels: dict[Element, str] = {}
        self.digits = 7 if np.asarray(program.output.value).dtype.itemsize < 8 else 15
        wanted = {element.name for element in program.order if element.name}
        self._free = (name for name in _letters() if name not in wanted)
        for element in program.order:
            if element.operation not in COMPARISONS:
                self._write(element)

    def text(self, formula: Expression) -> str:
        """A formula for reading."""
        return plain(formula, self.digits)

    def _write(self, element: Element) -> None:
        body = self._body(element)
        self.bodies[element] = body
        self.forms[element] = self._piece(element) or body
        if element.operation in ("symbol", "constant") or element is self.program.output:
            return
        if element.name is not None or size(self.forms[element]) > LONGEST:
            self.name(element)

    def name(self, element: Element) -> str:
        """Give an element a name from now on, the user's own where there is one."""
        if element in self.labels:
            return self.labels[element]
        label = self._unique(element.name or next(self._free))
        self.labels[element] = label
        self.definitions[label] = self.forms[element]
        self.values[label] = float(self.program.numbers[element])
        self.forms[element] = Symbol(label)
        return label

    def _unique(self, name: str) -> str:
        name = name + "_" if name in _TAKEN else name
        label, count = name, 1
        while label in self.values:
            count += 1
            label = f"{name}_{count}"
        return label

    def _body(self, element: Element) -> Expression:
        operands = [self.forms[operand] for operand in element.operands]
        match element.operation:
            case "symbol":
                label = self._unique(element.name or next(self._free))
                self.labels[element] = label
                self.values[label] = float(self.program.numbers[element])
                return Symbol(label)
            case "constant":
                return self._constant(float(element.value))
            case "add":
                total = operands[0]
                for operand in operands[1:]:
                    total = Operation("+", total, operand) if total == operand else operation("+", total, operand)
                return total
            case "mul" if isinstance(operands[1], Constant):
                return operation("*", *operands[::-1])
            case "sub" | "mul" | "div":
                return operation({"sub": "-", "mul": "*", "div": "/"}[element.operation], *operands)
            case "neg":
                return -operands[0]
            case "stop_gradient":
                return operands[0]
            case "select":
                return self._choice(element, operands)
            case "pow" if isinstance(operands[1], Constant):
                card = facts.card("power", exponent=operands[1].value)
                return Call(card.name, tuple(operands[:1]), card.parameters) if card else operands[0]
        parameters = tuple((key, Fraction(value)) for key, value in element.parameters.items())
        return Call(element.operation, tuple(operands), parameters)

    def _constant(self, value: float) -> Expression:
        if np.isfinite(value):
            return Constant(Fraction(value))
        self.values[str(value)] = value
        return Symbol(str(value))

    def _choice(self, element: Element, operands: list[Expression]) -> Expression:
        """`then if left > right else otherwise`, where one comparison decides between two cases."""
        test = element.condition
        if test is None or test.operation not in _WRITTEN or len(operands) != 2 or len({*test.operands}) == 1:
            return operands[0]
        if any(operand not in self.forms for operand in test.operands):
            return operands[0]
        then, otherwise = operands if element.choice == 1 else operands[::-1]
        left, right = (self.forms[operand] for operand in test.operands)
        return choice(_WRITTEN[test.operation], left, right, then, otherwise)

    def _piece(self, element: Element) -> Expression | None:
        """The piece that is active at this point, for an element made of pieces."""
        numbers = [float(operand.value) for operand in element.operands]
        operands = [self.forms[operand] for operand in element.operands]
        match element.operation:
            case "select":
                return operands[0]
            case "abs" if numbers[0] != 0:
                return operands[0] if numbers[0] > 0 else -operands[0]
            case "max" if numbers[0] != numbers[1]:
                return operands[0] if numbers[0] > numbers[1] else operands[1]
            case "min" if numbers[0] != numbers[1]:
                return operands[0] if numbers[0] < numbers[1] else operands[1]
            case "clamp" if numbers[1] not in (numbers[0], numbers[2]):
                return operands[0] if numbers[1] < numbers[0] else operands[2 if numbers[1] > numbers[2] else 1]
        return None

    def label(self, element: Element) -> str:
        """What an element is called in a derivation: its name, or its body in brackets."""
        if element in self.labels:
            return self.labels[element]
        text = self.text(self.bodies[element])
        enclosed = isinstance(self.bodies[element], Choice) or (text.startswith("|") and text.count("|") == 2)
        return text if enclosed and text.endswith((")", "|")) else f"({text})"

    def behind(self, element: Element) -> Element:
        """The element itself, or its operand where the operation changes nothing: x + 0, a choice of constants."""
        while element.operation not in ("symbol", "constant") and element not in self.labels:
            same = [o for o in element.operands if self.forms[o] == self.bodies[element]]
            if not same or element is self.program.output or element.operation in PIECES:
                return element
            element = same[0]
        return element

    def test_text(self, test: Element) -> str:
        """A comparison as it turned out, such as ``x > 0``, or ``x <= 0`` where that one is false."""
        if test.operation in _WRITTEN and all(operand in self.forms for operand in test.operands):
            left, right = (self.text(self.forms[operand]) for operand in test.operands)
            sign = _WRITTEN[test.operation] if bool(test.value) else _OPPOSITE[test.operation]
            return f"{left} {sign} {right}"
        inside = [self.test_text(operand) for operand in test.operands if operand.operation in COMPARISONS]
        return ", ".join(inside)


PIECES = ("abs", "max", "min", "clamp")
_OPPOSITE = {"eq": "!=", "ge": "<", "gt": "<=", "le": ">", "lt": ">=", "ne": "="}
_WRITTEN = {"eq": "==", "ge": ">=", "gt": ">", "le": "<=", "lt": "<", "ne": "!="}


def decided(formula: Expression, values: Mapping[str, float]) -> Expression:
    """A formula with the branch of every choice that the numbers take.

    Example:
        >>> from qed.facts.expression import parse
        >>> decided(parse("1 if x > y else 0"), {"x": 2.0, "y": 1.0})
        Expression('1')
    """
    match formula:
        case Operation(sign, left, right):
            return operation(sign, decided(left, values), decided(right, values))
        case Call(name, operands, parameters):
            return Call(name, tuple(decided(operand, values) for operand in operands), parameters)
        case Choice(comparison, left, right, then, otherwise):
            with np.errstate(all="ignore"):
                first, second = (number(side, values) for side in (left, right))
            return decided(then if RELATIONS[comparison](first, second) else otherwise, values)
    return formula


def number(formula: Expression, values: Mapping[str, float]) -> float:
    """The value of a formula in float64."""
    known = {name: np.float64(value) for name, value in values.items()}
    with np.errstate(all="ignore"):
        return float(formula.evaluate(arithmetic=facts.NUMPY, **known))


def _letters() -> Iterator[str]:
    yield from _LETTERS
    count = 1
    while True:
        yield f"u{count}"
        count += 1


def tex_name(name: str) -> str:
    r"""A name of a program in TeX.

    Example:
        >>> tex_name("w['a'][0, 1]"), tex_name("rate"), tex_name("h_2")
        ('w_{a,0,1}', '\\mathrm{rate}', 'h_{2}')
    """
    primes = len(name) - len(name.rstrip("'")) if not name.endswith("']") else 0
    name = name[: len(name) - primes]
    parts = [part.strip("'\" ") for part in re.findall(r"[^\[\].,]+", name)]
    root, *indices = parts or ["u"]
    found = re.fullmatch(r"([A-Za-z]+)_?(\d+)", root)
    if found:
        root, indices = found[1], [found[2], *indices]
    root = root if len(root) == 1 else _GREEK.get(root) or r"\mathrm{" + root.replace("_", r"\_") + "}"
    below = ",".join(_index(index) for index in indices)
    return root + (f"_{{{below}}}" if below else "") + "'" * primes


def _index(text: str) -> str:
    return text if len(text) == 1 or text.isdigit() else r"\mathrm{" + text.replace("_", r"\_") + "}"


_GREEK = {
    name: f"\\{name}"
    for name in (
        "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi rho sigma tau phi chi psi omega".split()
    )
}
