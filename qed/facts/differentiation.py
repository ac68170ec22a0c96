"""The derivative of a formula, by the rules for sums, products, quotients and composition.

With d the derivative: d(u + v) = du + dv, d(u v) = du v + u dv, d(u / v) = du/v - u dv/(v v), and
d f(u1, ..., un) = sum of (partial_i f)(u) du_i, where the tables give partial_i f as a formula in its arguments and its
value. A choice is differentiated branch by branch: correct wherever the choice is not about to change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from qed.facts.expression import ZERO, Call, Choice, Expression, Operation, Symbol, choice

Rule = Callable[[str, tuple[tuple[str, Fraction], ...]], tuple[tuple[str, ...], str, tuple[Expression | None, ...]]]


def differentiate(node: Expression, slopes: Mapping[str, Expression], rule: Rule) -> Expression:
    """Return the derivative of a formula, given the derivatives of its symbols and the rule of each function.

    Raises ValueError where a function has no formula for a partial derivative that is needed.

    >>> from qed.facts.differentiation import differentiate
    >>> from qed.facts.expression import ONE, parse
    >>> from qed.facts.table import rule
    >>> differentiate(parse("x*x + exp(2*x)"), {"x": ONE}, rule)
    Expression('2*x + exp(2*x)*2')
    """
    match node:
        case Symbol(name):
            return slopes.get(name, ZERO)
        case Operation(_, left, right):
            return _of_operation(node, differentiate(left, slopes, rule), differentiate(right, slopes, rule))
        case Call(_, operands):
            inner = [differentiate(operand, slopes, rule) for operand in operands]
            return _of_call(node, inner, rule) if any(slope != ZERO for slope in inner) else ZERO
        case Choice(comparison, left, right, then, otherwise):
            branches = (differentiate(branch, slopes, rule) for branch in (then, otherwise))
            return choice(comparison, left, right, *branches)
    return ZERO


def _of_operation(node: Operation, left: Expression, right: Expression) -> Expression:
    match node.sign:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * node.right + node.left * right
    quotient = left / node.right
    return quotient if right == ZERO else quotient - node.left * right / (node.right * node.right)


def _of_call(node: Call, inner: list[Expression], rule: Rule) -> Expression:
    arguments, value, partials = rule(node.name, node.parameters)
    names = {**dict(zip(arguments, node.operands, strict=True)), value: node}
    total: Expression = ZERO
    for partial, slope in zip(partials, inner, strict=True):
        if slope == ZERO:
            continue
        if partial is None:
            message = f"{node} has no formula for this partial derivative"
            raise ValueError(message)
        total = total + partial.substitute(names) * slope
    return total
