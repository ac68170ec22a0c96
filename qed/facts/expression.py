"""A formula written once, as text, and used in every arithmetic.

A fact such as "the derivative of tanh is `(1 - y) * (1 + y)`", with `x` the argument and `y = tanh(x)` the value,
is parsed into a small tree of constants, symbols, the four operations, calls of other cards and choices
(`1 if x >= 0 else -1`). The tree evaluates in any arithmetic that has Python's operators and the three methods of
`Arithmetic`: NumPy, jax.numpy, balls, and later intervals and jets; it can be differentiated and written as TeX.

The grammar is Python's own (parsed by `ast`), restricted to what is listed above. Numbers are exact fractions:
`1/3` is one third, and reaches an arithmetic as the quotient of two floats that are exact. Keyword arguments of a call
are parameters, never differentiated: `integer_pow(x, y=3)`. The one named constant is `pi`.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Protocol

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_SYMBOLS_OF_AST: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip


_DECIMAL = re.compile(r"(?<![\w.])\d+\.\d*(e[+-]?\d+)?|(?<![\w.])\d+e[+-]?\d+")


class Arithmetic(Protocol):
    """What a domain of numbers must offer, besides Python's operators, for an expression to be evaluated in it."""

    def constant(self, value: float) -> Any:
        """Return the number `value`, which is exact as it stands (an integer or a float)."""
        ...

    def call(self, name: str, *operands: Any, **parameters: Any) -> Any:
        """Return the value of the function of that name; `call("pi")` is the constant."""
        ...

    def select(self, comparison: str, left: Any, right: Any, then: Any, otherwise: Any) -> Any:
        """Return `then` where `left comparison right` holds, else `otherwise`; undecided: what encloses both."""
        ...


@dataclass(frozen=True)
class Expression:
    """A node of a formula. Build one by `parse`; the operators + - * / build larger ones and fold constants.

    >>> from qed.facts.expression import parse
    >>> parse("1 - y*y")
    Expression('1 - y*y')
    >>> parse("1 - y*y") * 2
    Expression('(1 - y*y)*2')
    """

    def evaluate(self, *, arithmetic: Arithmetic, **values: Any) -> Any:
        """Return the number that the formula is, its symbols standing for `values`, in `arithmetic`.

        >>> from qed.facts import NUMPY, card
        >>> float(card("tanh").derivative.evaluate(x=1.0, y=0.5, arithmetic=NUMPY))
        0.75
        """
        return _evaluate(self, arithmetic, values, {})

    def substitute(self, values: Mapping[str, Expression]) -> Expression:
        """Return the formula with expressions put for symbols.

        >>> from qed.facts.expression import parse
        >>> parse("2*x*y").substitute({"y": parse("exp(x)")})
        Expression('2*x*exp(x)')
        """
        return _rebuild(self, lambda leaf: values.get(leaf.name, leaf))

    @property
    def symbols(self) -> frozenset[str]:
        """The names of the symbols in it, `pi` among them.

        >>> from qed.facts.expression import parse
        >>> sorted(parse("x*x + y + pi").symbols)
        ['pi', 'x', 'y']
        """
        found: set[str] = set()

        def note(leaf: Symbol) -> Expression:
            found.add(leaf.name)
            return leaf

        _rebuild(self, note)
        return frozenset(found)

    @property
    def calls(self) -> frozenset[str]:
        """The names of the functions it calls.

        >>> from qed.facts.expression import parse
        >>> sorted(parse("exp(-x) * (sign(x) - erf(exp(x)))").calls)
        ['erf', 'exp', 'sign']
        """
        return _calls(self)

    def __add__(self, other: Expression | int) -> Expression:
        return operation("+", self, _lift(other))

    def __sub__(self, other: Expression | int) -> Expression:
        return operation("-", self, _lift(other))

    def __mul__(self, other: Expression | int) -> Expression:
        return operation("*", self, _lift(other))

    def __truediv__(self, other: Expression | int) -> Expression:
        return operation("/", self, _lift(other))

    def __neg__(self) -> Expression:
        return operation("-", ZERO, self)

    def __repr__(self) -> str:
        return f"Expression({str(self)!r})"

    def __str__(self) -> str:
        from qed.facts.printing import text

        return text(self)


@dataclass(frozen=True, repr=False)
class Constant(Expression):
    """An exact rational number."""

    value: Fraction


@dataclass(frozen=True, repr=False)
class Symbol(Expression):
    """A name that stands for a number: an argument, a value, or `pi`."""

    name: str


@dataclass(frozen=True, repr=False)
class Operation(Expression):
    """Left and right joined by one of + - * /."""

    sign: str
    left: Expression
    right: Expression


@dataclass(frozen=True, repr=False)
class Call(Expression):
    """A function of the tables at its operands; parameters are (name, exact number) pairs."""

    name: str
    operands: tuple[Expression, ...]
    parameters: tuple[tuple[str, Fraction], ...] = ()


@dataclass(frozen=True, repr=False)
class Choice(Expression):
    """`then if left comparison right else otherwise`."""

    comparison: str
    left: Expression
    right: Expression
    then: Expression
    otherwise: Expression


EXACT = 2.0**53
"""Below which whole numbers are floats."""
ZERO = Constant(Fraction(0))
ONE = Constant(Fraction(1))
PI = Symbol("pi")


@cache
def parse(text: str) -> Expression:
    """Return the expression that a text is.

    Raises ValueError for anything outside the grammar, with the text.

    >>> from qed.facts.expression import parse
    >>> parse("1/2 if x == 0 else y/x")
    Expression('1/2 if x == 0 else y/x')
    """
    try:
        exact = _DECIMAL.sub(lambda found: f"({Fraction(found[0])})", text.strip())
        return _from_ast(ast.parse(exact, mode="eval").body)
    except (ValueError, SyntaxError) as error:
        message = f"not a formula: {text!r} ({error})"
        raise ValueError(message) from None


def operation(sign: str, left: Expression, right: Expression) -> Expression:
    """Return `left sign right`, constants folded and neutral elements dropped.

    >>> from qed.facts.expression import operation, parse
    >>> operation("*", parse("x"), parse("0")), operation("+", parse("1/2"), parse("1/3"))
    (Expression('0'), Expression('5/6'))
    """
    if isinstance(left, Constant) and isinstance(right, Constant) and not (sign == "/" and right == ZERO):
        return Constant(OPERATIONS[sign](left.value, right.value))
    return _of_negatives(sign, left, right) or _of_neutrals(sign, left, right) or Operation(sign, left, right)


def _of_neutrals(sign: str, left: Expression, right: Expression) -> Expression | None:
    match sign:
        case "+" if ZERO in (left, right):
            return right if left == ZERO else left
        case "+" if left == right:
            return operation("*", Constant(Fraction(2)), left)
        case "*" if ZERO in (left, right):
            return ZERO
        case "*" if ONE in (left, right):
            return right if left == ONE else left
        case "-" if right == ZERO:
            return left
        case "/" if left == ZERO or right == ONE:
            return left
    return None


def _of_negatives(sign: str, left: Expression, right: Expression) -> Expression | None:
    """The same with the minus sign outside: -(-b), a + -b, a - -b, -a*b, a/-b and so on."""
    minus_left, minus_right = _negated(left), _negated(right)
    match sign:
        case "+" if minus_right:
            return operation("-", left, minus_right)
        case "+" if minus_left:
            return operation("-", right, minus_left)
        case "-" if minus_right:
            return operation("+", left, minus_right)
        case "*" | "/" if minus_left and minus_right:
            return operation(sign, minus_left, minus_right)
        case "*" | "/" if minus_left:
            return -operation(sign, minus_left, right)
        case "*" | "/" if minus_right:
            return -operation(sign, left, minus_right)
    return None


def _negated(node: Expression) -> Expression | None:
    """The u with node = -u, where node is written so."""
    match node:
        case Constant(value) if value < 0:
            return Constant(-value)
        case Operation("-", left, right) if left == ZERO:
            return right
    return None


def choice(comparison: str, left: Expression, right: Expression, then: Expression, otherwise: Expression) -> Expression:
    """Return `then if left comparison right else otherwise`, or the branch if both are the same.

    >>> from qed.facts.expression import ONE, ZERO, choice, parse
    >>> choice("<", parse("x"), ZERO, ONE, ONE)
    Expression('1')
    """
    return then if then == otherwise else Choice(comparison, left, right, then, otherwise)


def _lift(value: Expression | int) -> Expression:
    return value if isinstance(value, Expression) else Constant(Fraction(value))


def _from_ast(node: ast.expr) -> Expression:
    match node:
        case ast.Constant(value=int() as value) if not isinstance(value, bool):
            return Constant(Fraction(value))
        case ast.Name(id=name):
            return Symbol(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_from_ast(operand)
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _SYMBOLS_OF_AST:
            return operation(_SYMBOLS_OF_AST[type(op)], _from_ast(left), _from_ast(right))
        case ast.Call(func=ast.Name(id=name), args=operands, keywords=keywords):
            parameters = tuple((str(pair.arg), _number(pair.value)) for pair in keywords)
            return Call(name, tuple(_from_ast(operand) for operand in operands), parameters)
        case ast.IfExp(test=ast.Compare(left=left, ops=[op], comparators=[right]), body=body, orelse=orelse):
            sides = (_from_ast(left), _from_ast(right))
            return choice(_SYMBOLS_OF_AST[type(op)], *sides, _from_ast(body), _from_ast(orelse))
    message = f"{ast.unparse(node)!r} is outside the grammar"
    raise ValueError(message)


def _number(node: ast.expr) -> Fraction:
    value = _from_ast(node)
    if not isinstance(value, Constant):
        message = f"a parameter is a number, not {value}"
        raise ValueError(message)
    return value.value


def _evaluate(node: Expression, arithmetic: Arithmetic, values: Mapping[str, Any], memo: dict[Call, Any]) -> Any:
    match node:
        case Constant(value):
            return _constant(value, arithmetic)
        case Symbol(name):
            return values[name] if name in values else _named(name, arithmetic)
        case Operation(sign, left, right):
            second = _evaluate(right, arithmetic, values, memo)
            if sign == "-" and left == ZERO:
                return -second
            return OPERATIONS[sign](_evaluate(left, arithmetic, values, memo), second)
        case Call(name, operands, parameters):
            if node not in memo:
                arguments = [_evaluate(operand, arithmetic, values, memo) for operand in operands]
                memo[node] = arithmetic.call(name, *arguments, **dict(parameters))
            return memo[node]
        case Choice(comparison, left, right, then, otherwise):
            parts = (_evaluate(part, arithmetic, values, memo) for part in (left, right, then, otherwise))
            return arithmetic.select(comparison, *parts)
    raise TypeError(type(node).__name__)


def _constant(value: Fraction, arithmetic: Arithmetic) -> Any:
    """The number itself where a float holds it, else the quotient of two integers, each a sum of floats."""
    if value.denominator == 1 or Fraction(float(value)) == value:
        return _integer(value, arithmetic) if value.denominator == 1 else arithmetic.constant(float(value))
    return _integer(Fraction(value.numerator), arithmetic) / _integer(Fraction(value.denominator), arithmetic)


def _integer(value: Fraction, arithmetic: Arithmetic) -> Any:
    leading = float(value)
    if -EXACT < leading < EXACT:
        return arithmetic.constant(leading)
    rest = value - Fraction(leading)
    return arithmetic.constant(leading) + _integer(rest, arithmetic) if rest else arithmetic.constant(leading)


def _named(name: str, arithmetic: Arithmetic) -> Any:
    if name == "pi":
        return arithmetic.call("pi")
    raise KeyError(name)


def _rebuild(node: Expression, leaf: Callable[[Symbol], Expression]) -> Expression:
    match node:
        case Symbol():
            return leaf(node)
        case Operation(sign, left, right):
            return operation(sign, _rebuild(left, leaf), _rebuild(right, leaf))
        case Call(name, operands, parameters):
            return Call(name, tuple(_rebuild(operand, leaf) for operand in operands), parameters)
        case Choice(comparison, left, right, then, otherwise):
            return choice(comparison, *(_rebuild(part, leaf) for part in (left, right, then, otherwise)))
    return node


def _calls(node: Expression) -> frozenset[str]:
    match node:
        case Operation(_, left, right):
            return _calls(left) | _calls(right)
        case Call(name, operands):
            return frozenset({name}).union(*(_calls(operand) for operand in operands))
        case Choice():
            return _calls(node.left) | _calls(node.right) | _calls(node.then) | _calls(node.otherwise)
    return frozenset()
