r"""The named rules of differentiation, and which one an operation asks for.

With ' the derivative in one variable, c and n constant:

    c' = 0,  x' = 1,  (c u)' = c u',  (u + v)' = u' + v',  (u - v)' = u' - v',  (u v)' = u' v + u v',
    (u/v)' = (u' v - u v')/v^2,  (u^n)' = n u^(n-1) u',  (f(u))' = f'(u) u'

f' of each function f is read off its fact card. Reference: any calculus text, such as Spivak, *Calculus* (4th ed.
2008), chapters 10 and 18.
"""

from __future__ import annotations

from dataclasses import dataclass

from qed import facts
from qed.facts import Card, Expression
from qed.facts.expression import ZERO, Call, Operation, Symbol
from qed.facts.plain import plain
from qed.facts.simplify import simplify


@dataclass(frozen=True)
class Rule:
    """A rule by its name, as a law in plain characters and in TeX."""

    name: str
    text: str
    tex: str


_RULES = (
    Rule("constant", "c' = 0", r"c' = 0"),
    Rule("identity", "x' = 1", r"x' = 1"),
    Rule("constant multiple", "(c u)' = c u'", r"(c\,u)' = c\,u'"),
    Rule("sum", "(u + v)' = u' + v'", r"(u + v)' = u' + v'"),
    Rule("difference", "(u - v)' = u' - v'", r"(u - v)' = u' - v'"),
    Rule("product", "(u v)' = u' v + u v'", r"(u v)' = u' v + u v'"),
    Rule("quotient", "(u/v)' = (u' v - u v')/v^2", r"\left(\frac{u}{v}\right)' = \frac{u' v - u v'}{v^2}"),
    Rule("reciprocal", "(c/v)' = -c v'/v^2", r"\left(\frac{c}{v}\right)' = -\frac{c\,v'}{v^2}"),
    Rule("power", "(x^n)' = n x^(n-1)", r"(x^n)' = n x^{n-1}"),
    Rule("power, chain", "(u^n)' = n u^(n-1) u'", r"(u^n)' = n u^{n-1} u'"),
    Rule("exponential of base c", "(c^u)' = c^u log(c) u'", r"(c^u)' = c^u \log(c)\, u'"),
    Rule(
        "power with a variable exponent",
        "(u^v)' = u^v (v' log u + v u'/u)",
        r"(u^v)' = u^v \left(v' \log u + \frac{v\,u'}{u}\right)",
    ),
    Rule("modulus", "|u|' = u' where u > 0, -u' where u < 0", r"|u|' = u' \;(u > 0),\; -u' \;(u < 0)"),
    Rule("maximum", "max(u, v)' is that of the larger", r"\max(u, v)' = u' \;(u > v),\; v' \;(u < v)"),
    Rule("minimum", "min(u, v)' is that of the smaller", r"\min(u, v)' = u' \;(u < v),\; v' \;(u > v)"),
    Rule("clamp", "u' strictly between the bounds, 0 beyond them", r"u' \text{ between the bounds, } 0 \text{ beyond}"),
    Rule("piece", "the derivative of the chosen case", r"\text{the derivative of the chosen case}"),
    Rule("stop_gradient", "declared constant: derivative 0", r"\text{declared constant: } 0"),
)  # fmt: skip

RULES = {rule.name: rule for rule in _RULES}
"""The rules that are no fact about one function, by name."""

NAMES = {
    "exp": "exponential", "log": "logarithm", "sin": "sine", "cos": "cosine", "tan": "tangent",
    "sinh": "hyperbolic sine", "cosh": "hyperbolic cosine", "tanh": "hyperbolic tangent",
    "asin": "arc sine", "acos": "arc cosine",
    "atan": "arc tangent", "sqrt": "square root", "rsqrt": "reciprocal square root", "cbrt": "cube root",
    "logistic": "sigmoid", "erf": "error function",
    "erfc": "complementary error function", "lgamma": "log-gamma",
    "exp2": "exponential of base 2", "log2": "logarithm of base 2", "neg": "constant multiple", "square": "power",
    "integer_pow": "power", "power": "power", "abs": "modulus", "max": "maximum", "min": "minimum",
}  # fmt: skip
"""What a card's rule is called; other cards keep their own names."""


def name_of(card: str) -> str:
    """The name of the rule for a function of the tables.

    Example:
        >>> name_of("tanh"), name_of("asinh")
        ('hyperbolic tangent', 'asinh')
    """
    return NAMES.get(card, card)


def law_of(card: Card, chain: bool) -> Rule:
    """The rule of one function as a law, from its card; with the factor u' where the argument is no bare variable.

    Example:
        >>> law_of(facts.card("log"), False).text, law_of(facts.card("exp"), True).text
        ("(log(x))' = 1/x", "(exp(u))' = exp(u) u'")
    """
    letter = "u" if chain else "x"
    inner = Symbol(letter)
    value = Call(card.name, (inner,), card.parameters)
    slope = simplify(card.derivative.substitute({"x": inner, "y": value}))
    right = outer_times_inner(slope, Symbol("u'")) if chain else slope
    name = name_of(card.name) + (", chain" if chain else "")
    return Rule(name, f"({plain(value)})' = {plain(right)}", rf"({facts.tex(value)})' = {_tex(right)}")


def _tex(formula: Expression) -> str:
    return facts.tex(formula, **{"u'": "u'"})


def outer_times_inner(outer: Expression, inner: Expression) -> Expression:
    """f'(u) u' as one writes it: with u' above the line of a fraction.

    Example:
        >>> from qed.facts.expression import parse
        >>> outer_times_inner(parse("1/u"), parse("v"))
        Expression('v/u')
    """
    match outer:
        case Operation("-", left, right) if left == ZERO:
            return -outer_times_inner(right, inner)
        case Operation("/", above, below):
            return above * inner / below
    return outer * inner
