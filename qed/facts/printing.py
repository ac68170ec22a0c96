"""Formulas as text: what `parse` reads back as the same function."""

from __future__ import annotations

from fractions import Fraction

from qed.facts.expression import ZERO, Call, Choice, Constant, Expression, Operation, Symbol


def text(formula: Expression) -> str:
    """Return a formula as text, with no more brackets than it needs.

    >>> from qed.facts.expression import parse
    >>> text(parse("(x*y) - ((1/2) + x)"))
    'x*y - (1/2 + x)'
    """
    return _text(formula, 0)


def _text(node: Expression, level: int) -> str:
    """Python text; level 0 anything, 1 a term of a sum, 2 a factor, 3 what stands right of - or /."""
    match node:
        case Constant(value):
            return _wrap(_digits(value), (value < 0 and level > 0) or (value.denominator != 1 and level > 1))
        case Symbol(name):
            return name
        case Operation("-", left, right) if left == ZERO:
            return _wrap(f"-{_text(right, 2)}", level > 0)
        case Operation("+" | "-" as sign, left, right):
            return _wrap(f"{_text(left, 1)} {sign} {_text(right, 2 if sign == '-' else 1)}", level > 1)
        case Operation(sign, Operation("-", left, negated), right) if left == ZERO:
            return _wrap(f"-{_text(Operation(sign, negated, right), 2)}", level > 0)
        case Operation(sign, left, right):
            return _wrap(f"{_text(left, 2)}{sign}{_text(right, 3)}", level > 2)
        case Call(name, operands, parameters):
            inside = [_text(operand, 0) for operand in operands] + [f"{key}={value}" for key, value in parameters]
            return f"{name}({', '.join(inside)})"
        case Choice(comparison, left, right, then, otherwise):
            test = f"{_text(left, 1)} {comparison} {_text(right, 1)}"
            return _wrap(f"{_text(then, 1)} if {test} else {_text(otherwise, 0)}", level > 0)
    raise TypeError(type(node).__name__)


def _digits(value: Fraction) -> str:
    """The quotient of two integers, or the decimal where that is what was meant."""
    power = len(str(value.denominator)) - 1
    for places in range(power, 4 * power) if value.denominator > 10**6 else ():
        if 10**places % value.denominator == 0:
            digits = str(abs(value) * 10**places).rjust(places + 1, "0")
            return f"{'-' * (value < 0)}{digits[:-places]}.{digits[-places:]}"
    return str(value)


def _wrap(text: str, needed: bool) -> str:
    return f"({text})" if needed else text
