"""A condition on numbers, as text: `x > 0 or (x == 0 and y >= 0)`.

It is a disjunction of conjunctions of comparisons between formulas. In floating point it is decided; on balls a
comparison holds only if it holds for all points of the balls, so `holds` then means: certainly.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from typing import Any

from qed.facts.expression import COMPARISONS, Arithmetic, Expression, parse

_SIGNS = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


@dataclass(frozen=True)
class Comparison:
    """`left sign right`."""

    sign: str
    left: Expression
    right: Expression

    def __str__(self) -> str:
        return f"{self.left} {self.sign} {self.right}"


@dataclass(frozen=True)
class Condition:
    """An `or` of `and`s of comparisons; with no alternatives it always holds.

    >>> from qed.facts.condition import Condition
    >>> domain = Condition.parse("x > 0 or (x == 0 and y >= 0)")
    >>> domain.holds(x=0.0, y=1.0), domain.holds(x=0.0, y=-1.0), Condition().holds()
    (True, False, True)
    """

    alternatives: tuple[tuple[Comparison, ...], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Return the condition that a text is; "" always holds."""
        return _condition(text)

    def holds(self, *, arithmetic: Arithmetic | None = None, **values: Any) -> Any:
        """Return whether it holds for the values: a bool, or an array of them. NumPy is the default arithmetic."""
        if arithmetic is None:
            from qed.facts.libraries import NUMPY

            arithmetic = NUMPY
        if not self.alternatives:
            return True
        result: Any = False
        for conjunction in self.alternatives:
            every: Any = True
            for part in conjunction:
                sides = (side.evaluate(arithmetic=arithmetic, **values) for side in (part.left, part.right))
                every = every & COMPARISONS[part.sign](*sides)
            result = result | every
        return result

    def __str__(self) -> str:
        conjunctions = [" and ".join(str(part) for part in conjunction) for conjunction in self.alternatives]
        return " or ".join(f"({c})" if len(conjunctions) > 1 and " and " in c else c for c in conjunctions)


@cache
def _condition(text: str) -> Condition:
    return Condition(tuple(_alternatives(ast.parse(text.strip(), mode="eval").body)) if text.strip() else ())


def _alternatives(node: ast.expr) -> list[tuple[Comparison, ...]]:
    match node:
        case ast.BoolOp(op=ast.Or(), values=values):
            return [conjunction for value in values for conjunction in _alternatives(value)]
        case ast.BoolOp(op=ast.And(), values=values):
            return [tuple(part for value in values for (part,) in _alternatives(value))]
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return [(Comparison(_SIGNS[type(op)], parse(ast.unparse(left)), parse(ast.unparse(right))),)]
    message = f"not a condition: {ast.unparse(node)!r}"
    raise ValueError(message)
