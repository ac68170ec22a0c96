"""A formula as a function for many numbers: read once into steps, each a function of the results before it.

`Expression.evaluate` walks the tree at each number; a card's definition is asked for one number after another. Equal
parts are one step, as common subexpressions are in a compiler (Aho, Lam, Sethi and Ullman, *Compilers*, 2nd ed., 2006,
section 8.5).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from qed.facts.expression import OPERATIONS, ZERO, Arithmetic, Call, Choice, Constant, Expression, Operation, Symbol

Step = tuple[Callable[..., Any], tuple[int, ...]]


def stepwise(root: Expression, arithmetic: Arithmetic, arguments: Sequence[str]) -> Callable[..., Any]:
    """Return the formula as a function of its arguments.

    >>> from qed.facts import NUMPY
    >>> from qed.facts.expression import parse
    >>> from qed.facts.stepwise import stepwise
    >>> float(stepwise(parse("exp(x)*y - exp(x)"), NUMPY, ("x", "y"))(0.0, 3.0))
    2.0
    """
    steps: list[Step] = []
    places: dict[Expression, int] = {Symbol(name): i for i, name in enumerate(arguments)}

    def place(node: Expression) -> int:
        if node not in places:
            steps.append(_step(node, arithmetic, place))
            places[node] = len(arguments) + len(steps) - 1
        return places[node]

    last = place(root)

    def run(*operands: Any) -> Any:
        found = [x for _, x in zip(arguments, operands, strict=True)]
        for function, where in steps:
            found.append(function(*[found[i] for i in where]))
        return found[last]

    return run


def _step(node: Expression, arithmetic: Arithmetic, place: Callable[[Expression], int]) -> Step:
    match node:
        case Operation(sign, left, right):
            if sign == "-" and left == ZERO:
                return operator.neg, (place(right),)
            return OPERATIONS[sign], (place(left), place(right))
        case Call(name, operands, parameters):
            return partial(arithmetic.call, name, **dict(parameters)), tuple(place(operand) for operand in operands)
        case Choice(comparison, left, right, then, otherwise):
            parts = tuple(place(part) for part in (left, right, then, otherwise))
            return partial(arithmetic.select, comparison), parts
        case Constant() | Symbol():  # at the precision of the moment
            return partial(node.evaluate, arithmetic=arithmetic), ()
    raise TypeError(type(node).__name__)
