"""Formulas as TeX, read as one writes them by hand: quotients as fractions, x*x as a square."""

from __future__ import annotations

import re
from itertools import groupby

from qed.facts.expression import ZERO, Call, Choice, Constant, Expression, Operation, Symbol

_SUM, _PRODUCT, _ATOM = range(3)
_RELATIONS = {"==": "=", "!=": r"\ne", "<": "<", "<=": r"\le", ">": ">", ">=": r"\ge"}


def tex(expression: Expression, **symbols: str) -> str:
    r"""Return a formula as TeX; `symbols` gives other names to its symbols, or whole TeX terms.

    >>> from qed.facts import card, tex
    >>> tex(card("tanh").derivative), tex(card("tanh").derivative, y=r"\tanh x")
    ('(1 - y) (1 + y)', '(1 - \\tanh x) (1 + \\tanh x)')
    >>> tex(card("erf").derivative)
    '\\frac{2}{\\sqrt{\\pi}} e^{-x^{2}}'
    """
    return _tex(expression, _SUM, symbols)


def fill(template: str, **arguments: tuple[str, bool]) -> str:
    """Return a card's template with its arguments, each TeX and whether it must be bracketed where nothing encloses it.

    >>> fill("{x}^2", x=("a + b", True)), fill("e^{{x}}", x=("a + b", True))
    ('(a + b)^2', 'e^{a + b}')
    """
    filled, last = "", 0
    for slot in re.finditer(r"\{(" + "|".join(arguments) + r")\}", template):
        filled += template[last : slot.start()]
        text, compound = arguments[slot[1]]
        enclosed = filled.endswith(("{", "(", "|", r"\lceil ", r"\lfloor "))
        filled += f"({text})" if compound and not enclosed else text
        last = slot.end()
    return filled + template[last:]


def _tex(node: Expression, level: int, symbols: dict[str, str]) -> str:
    match node:
        case Constant(value):
            if value.denominator == 1:
                return _bracket(str(value), value < 0 and level > _SUM)
            text = rf"\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"
            return _bracket(f"-{text}" if value < 0 else text, value < 0 and level > _SUM)
        case Symbol("pi"):
            return r"\pi"
        case Symbol(name):
            return _bracket(symbols[name], level == _ATOM) if name in symbols else _name(name)
        case Operation("-", left, right) if left == ZERO:
            return _bracket(f"-{_tex(right, _PRODUCT, symbols)}", level > _SUM)
        case Operation("+" | "-" as sign, left, right):
            second = _tex(right, _PRODUCT if sign == "-" else _SUM, symbols)
            return _bracket(f"{_tex(left, _SUM, symbols)} {sign} {second}", level > _SUM)
        case Operation("/", left, right):
            return rf"\frac{{{_tex(left, _SUM, symbols)}}}{{{_tex(right, _SUM, symbols)}}}"
        case Operation("*", left, right):
            return _bracket(_product([*_factors(left), *_factors(right)], symbols), level == _ATOM)
        case Call():
            return _call(node, level, symbols)
        case Choice(comparison, left, right, then, otherwise):
            test = f"{_tex(left, _SUM, symbols)} {_RELATIONS[comparison]} {_tex(right, _SUM, symbols)}"
            first, second = _tex(then, _SUM, symbols), _tex(otherwise, _SUM, symbols)
            text = rf"\begin{{cases}} {first} & {test} \\ {second} & \text{{otherwise}} \end{{cases}}"
            return rf"\left({text}\right)" if level > _SUM else text
    raise TypeError(type(node).__name__)


def _factors(node: Expression) -> list[Expression]:
    match node:
        case Operation("*", left, right):
            return [*_factors(left), *_factors(right)]
    return [node]


def _product(factors: list[Expression], symbols: dict[str, str]) -> str:
    """Factors side by side, equal neighbours as powers, a function before another factor in brackets."""
    groups = [(factor, len(list(same))) for factor, same in groupby(factors)]
    text = ""
    for index, (factor, power) in enumerate(groups):
        one = _tex(factor, _ATOM if power > 1 else _PRODUCT, symbols)
        open_ended = isinstance(factor, Call) and not one.endswith((")", "|", "}")) and index < len(groups) - 1
        one = f"{one}^{{{power}}}" if power > 1 else _bracket(one, open_ended)
        text += (r" \cdot " if one[:1].isdigit() else " ") * bool(text) + one
    return text


def _name(name: str) -> str:
    """A letter as it is, a letter with a number as an index, a word upright."""
    if name[1:].isdigit():
        return f"{name[0]}_{{{name[1:]}}}"
    return name if len(name) == 1 else rf"\mathrm{{{name}}}"


def _call(node: Call, level: int, symbols: dict[str, str]) -> str:
    from qed.facts.table import ARITHMETIC, card

    inner = [(_tex(operand, _SUM, symbols), not isinstance(operand, Symbol | Constant)) for operand in node.operands]
    if node.name in ARITHMETIC:
        found = ARITHMETIC[node.name]
        template, names = found.tex, found.arguments
    else:
        known = card(node.name, **dict(node.parameters))
        template, names = (known.tex if known else rf"\operatorname{{{node.name}}} {{x}}"), ("x",)
    text = fill(template, **dict(zip(names, inner, strict=True)))
    return _bracket(text, (level > _SUM and _is_sum(text)) or (level == _ATOM and not text.endswith((")", "|"))))


def _is_sum(text: str) -> bool:
    """Whether there is a plus or minus outside all brackets."""
    bare = text
    while (inner := re.sub(r"\{[^{}]*\}|\([^()]*\)|\|[^|]*\|", "", bare)) != bare:
        bare = inner
    return bare.startswith("-") or " + " in bare or " - " in bare


def _bracket(text: str, needed: bool) -> str:
    return f"({text})" if needed else text
