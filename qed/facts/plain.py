"""Formulas as one writes them by hand on one line: `2 x exp(-x)`, `x^2/(1 + x)`, `|x|`.

A product is a space, a power a `^`, and a function has its usual name. It is to be read by people; what `parse` reads
back is qed/facts/printing.py, and what a printer sets is qed/facts/typeset.py.
"""

from __future__ import annotations

from fractions import Fraction

from qed.facts.expression import ZERO, Call, Choice, Constant, Expression, Operation, Symbol

_SUM, _PRODUCT, _POWER = range(3)
_RELATIONS = {"==": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_SPELLED = {"logistic": "sigmoid", "erf_inv": "erfinv", "lgamma": "log|Gamma|"}


def plain(formula: Expression, digits: int = 15) -> str:
    """Return a formula for reading; constants that are no simple fractions are rounded to `digits`.

    >>> from qed.facts.expression import parse
    >>> plain(parse("2*x*exp(-x) - x*x/(1 + x)")), plain(parse("3*integer_pow(x, y=2)"))
    ('2 x exp(-x) - x x/(1 + x)', '3 x^2')
    """
    return _plain(formula, _SUM, digits)


def decimal(value: Fraction, digits: int = 15) -> str:
    """Return an exact number for reading: an integer, a simple fraction, or a decimal rounded to `digits`.

    >>> decimal(Fraction(2, 3)), decimal(Fraction(3, 2)), decimal(Fraction(0.1)), decimal(Fraction(10**20))
    ('2/3', '1.5', '0.1', '1e+20')
    """
    if value.denominator == 1 and abs(value) < 10**digits:
        return str(value)
    if value.denominator <= 12 and 100 % value.denominator:
        return str(value)
    try:
        return f"{float(value):.{digits}g}"
    except OverflowError:
        return str(value)


def _plain(node: Expression, level: int, digits: int) -> str:
    match node:
        case Constant(value):
            text = decimal(value, digits)
            return _bracket(text, (text.startswith("-") and level > _SUM) or ("/" in text and level == _POWER))
        case Symbol(name):
            return _bracket(name, level == _POWER and not _is_word(name))
        case Operation("-", left, right) if left == ZERO:
            return _bracket(f"-{_plain(right, _PRODUCT, digits)}", level > _SUM)
        case Operation("+" | "-" as sign, left, right):
            second = _plain(right, _PRODUCT if sign == "-" else _SUM, digits)
            if second.startswith("-"):
                second = f"({second})"
            return _bracket(f"{_plain(left, _SUM, digits)} {sign} {second}", level > _SUM)
        case Operation("/", left, right):
            above = _bracket(_plain(left, _PRODUCT, digits), _has_quotient(left))
            below = _plain(right, _PRODUCT if isinstance(right, Call) else _POWER, digits)
            return _bracket(f"{above}/{below}", level == _POWER)
        case Operation("*", left, right):
            return _bracket(_product([*_factors(left), *_factors(right)], digits), level == _POWER)
        case Call():
            return _call(node, level, digits)
        case Choice(comparison, left, right, then, otherwise):
            test = f"{_plain(left, _SUM, digits)} {_RELATIONS[comparison]} {_plain(right, _SUM, digits)}"
            return f"({_plain(then, _SUM, digits)} if {test} else {_plain(otherwise, _SUM, digits)})"
    raise TypeError(type(node).__name__)


def _has_quotient(node: Expression) -> bool:
    match node:
        case Constant(value):
            return "/" in decimal(value)
        case Operation("/", _, _) | Call("rsqrt" | "reciprocal"):
            return True
        case Operation("*", left, right):
            return _has_quotient(left) or _has_quotient(right)
    return False


def _factors(node: Expression) -> list[Expression]:
    match node:
        case Operation("*", left, right):
            return [*_factors(left), *_factors(right)]
    return [node]


def _product(factors: list[Expression], digits: int) -> str:
    text = ""
    for factor in factors:
        one = _plain(factor, _PRODUCT, digits)
        one = _bracket(one, _has_quotient(factor) and len(factors) > 1)
        text += ((" · " if one[:1].isdigit() else " ") if text else "") + one
    return text


def _is_word(name: str) -> bool:
    return all(c.isalnum() or c in "_[].,'" for c in name)


def _call(node: Call, level: int, digits: int) -> str:
    parameters, (first, *others) = dict(node.parameters), node.operands
    if node.name in ("integer_pow", "power", "square", "pow"):
        exponent = others[0] if others else Constant(parameters.get("y", parameters.get("exponent", Fraction(2))))
        base = _plain(first, _POWER, digits)
        base = _bracket(base, isinstance(first, Call) and not base.endswith((")", "|")) and not base.startswith("("))
        text = f"{base}^{_plain(exponent, _POWER, digits)}"
        return _bracket(text, level == _POWER)
    inside = [_plain(operand, _SUM, digits) for operand in node.operands]
    match node.name:
        case "neg":
            return _bracket(f"-{_plain(first, _PRODUCT, digits)}", level > _SUM)
        case "abs":
            return f"|{inside[0]}|"
        case "reciprocal":
            return _bracket(f"1/{_plain(first, _POWER, digits)}", level == _POWER)
        case "rsqrt":
            return _bracket(f"1/sqrt({inside[0]})", level == _POWER)
        case "clamp":
            return f"min(max({inside[0]}, {inside[1]}), {inside[2]})"
        case "one_minus_square":
            return _bracket(f"1 - {_plain(first, _POWER, digits)}^2", level > _SUM)
    inside += [decimal(value, digits) for value in parameters.values()]
    return f"{_SPELLED.get(node.name, node.name)}({', '.join(inside)})"


def _bracket(text: str, needed: bool) -> str:
    return f"({text})" if needed else text
