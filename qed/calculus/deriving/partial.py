"""What a derivation in one variable is: steps, a formula, a number; and how its formulas are prepared for TeX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from qed.calculus.deriving.forms import decided, number
from qed.calculus.deriving.rules import Rule
from qed.facts import Expression
from qed.facts.expression import ONE, Call, Constant, Operation
from qed.facts.simplify import LARGEST, simplify, size
from qed.span import Span


@dataclass(frozen=True)
class Step:
    """One application of a rule.

    Args:
        rule: the rule, with its law.
        left: what is differentiated, such as ``(x^2 exp(-x))'``.
        general: the rule put to it, in the derivatives of its parts.
        result: the same with those put in, simplified.
        value: the number that is differentiated; slope: its derivative at this point.
        span: the user's line.
        note: which piece is active, and the like.
        tex: the step as rows of an align environment.
    """

    rule: Rule
    left: str
    general: str
    result: str
    value: float
    slope: float
    span: Span | None = None
    note: str = ""
    tex: str = ""
    defined: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """What is differentiated, the rule put to it, the result, the number; what would stand twice once."""
        found = [self.left, self.general, self.result]
        try:
            known = f"{float(self.result):.6g}" == f"{self.slope:.6g}"
        except ValueError:
            known = False
        found += [] if known else [f"{self.slope:.6g}"]
        return tuple(part for i, part in enumerate(found) if i == 0 or part != found[i - 1])

    @property
    def text(self) -> str:
        """The step on one line."""
        return " = ".join(self.parts)


@dataclass(frozen=True, eq=False)
class Partial:
    """The derivative in one variable.

    Args:
        variable: its name.
        formula: the derivative as a formula, in the variables and data where `complete`, else in `definitions` too.
        value: its number at the point, in float64.
        steps: the rules that were applied.
        definitions: what names in the formula stand for.
        values: the numbers of the symbols.
        conditions: the pieces that are active, on which the formula holds.
        scale: the sum of the moduli of all products along all paths: what rounding is relative to.
        rest: how many further steps there are that are not written down.
        data: the names of numbers that are neither parameters nor computed.
    """

    variable: str
    formula: Expression
    value: float
    steps: tuple[Step, ...]
    definitions: Mapping[str, Expression]
    values: Mapping[str, float]
    conditions: tuple[str, ...]
    scale: float
    complete: bool
    notes: tuple[str, ...] = ()
    rest: int = 0
    data: frozenset[str] = frozenset()

    @cached_property
    def second(self) -> Expression | None:
        """The second derivative as a formula, in the same variable; None where the first is not written out."""
        return self._derived(self.formula)

    @cached_property
    def third(self) -> Expression | None:
        """The third derivative."""
        return None if self.second is None else self._derived(self.second)

    def _derived(self, formula: Expression) -> Expression | None:
        from qed.facts.differentiation import differentiate
        from qed.facts.table import rule

        if not self.complete or size(formula) > LARGEST:
            return None
        try:
            return simplify(decided(differentiate(formula, {self.variable: ONE}, rule), self.values))
        except (ValueError, KeyError):
            return None

    def __call__(self, **values: float) -> float:
        """The derivative's formula at other numbers of its symbols; those left out keep theirs."""
        return number(self.formula, {**self.values, **values})


def rounded(formula: Expression, digits: int) -> Expression:
    """A formula whose constants are decimals of so many digits, for TeX."""
    match formula:
        case Constant(value) if value.denominator > 12:
            return Constant(Fraction(f"{float(value):.{digits}g}"))
        case Operation(sign, left, right):
            return Operation(sign, rounded(left, digits), rounded(right, digits))
        case Call(name, operands, parameters):
            return Call(name, tuple(rounded(operand, digits) for operand in operands), parameters)
    return formula


def tex_number(value: float) -> str:
    r"""A number in TeX.

    Example:
        >>> tex_number(1.5e-7)
        '1.5 \\cdot 10^{-7}'
    """
    text = f"{value:.6g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
    return {"inf": r"\infty", "-inf": r"-\infty"}.get(text, text)
