"""All cards by name, and what is derived from them: look-up, and derivatives of every order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache
from types import MappingProxyType
from typing import Any

from qed.facts.arithmetic import TABLE, ArithmeticCard, polynomial
from qed.facts.card import Card
from qed.facts.differentiation import differentiate
from qed.facts.exponentials import EXPONENTIALS
from qed.facts.expression import ONE, Expression
from qed.facts.hyperbolic import HYPERBOLIC
from qed.facts.piecewise import PIECEWISE
from qed.facts.powers import POWERS, integer_pow, power
from qed.facts.special import SPECIAL, psi
from qed.facts.trigonometry import TRIGONOMETRY

_ALL = (*EXPONENTIALS, *POWERS, *TRIGONOMETRY, *HYPERBOLIC, *SPECIAL, *PIECEWISE)

CARDS: Mapping[str, Card] = MappingProxyType({card.name: card for card in sorted(_ALL, key=lambda card: card.name)})
"""The cards without a parameter, by name."""

FAMILIES: Mapping[str, Callable[..., Card]] = MappingProxyType({"integer_pow": integer_pow, "power": power, "psi": psi})
"""Functions from the value of a parameter to a card: integer_pow(y), power(exponent), psi(m)."""

_PARAMETER = {"integer_pow": "y", "power": "exponent", "psi": "m"}

ARITHMETIC: Mapping[str, ArithmeticCard] = MappingProxyType({card.name: card for card in TABLE})
"""The cards of operations of two and more numbers, by name."""


def card(name: str, **parameters: Any) -> Card | None:
    """Return the card of a function of one variable, or None if there is none.

    A family needs its parameter (`integer_pow` its `y`); other keyword arguments, such as an equation's `accuracy`,
    are ignored.

    Raises TypeError for a family without its parameter.

    >>> from qed import facts
    >>> facts.card("integer_pow", y=3).bends, facts.card("tanh", accuracy=None).parity, facts.card("dot_general")
    (Points(listed=(Point(expression=Expression('0')),), lattice=None), 'odd', None)
    """
    if name not in FAMILIES:
        return CARDS.get(name)
    key = _PARAMETER[name]
    if key not in parameters:
        message = f"{name} is a family of functions: say which by {key}="
        raise TypeError(message)
    return _member(name, Fraction(parameters[key]))


def arithmetic(name: str, operands: int) -> ArithmeticCard | None:
    """Return the card of an operation of that many numbers, or None if there is none.

    It is ARITHMETIC[name], but for `polynomial`, which takes any number of coefficients.

    >>> from qed import facts
    >>> facts.arithmetic("mul", 2).partials, facts.arithmetic("polynomial", 3).arguments
    ((Expression('y'), Expression('x')), ('x', 'c0', 'c1'))
    """
    if name == "polynomial":
        return _polynomial(operands - 1)
    found = ARITHMETIC.get(name)
    return found if found is not None and len(found.arguments) == operands else None


_polynomial = cache(polynomial)


@cache
def _member(name: str, parameter: Fraction) -> Card:
    return FAMILIES[name](parameter if name == "power" else int(parameter))


@cache
def derivative_of(card: Card, order: int = 1) -> Expression:
    """Return the derivative of a card of the given order, a formula in x and y, derived from the first.

    >>> from qed import facts
    >>> facts.derivative_of(facts.card("sin"), 2), facts.derivative_of(facts.card("log"), 2)
    (Expression('-sin(x)'), Expression('-1/(x*x)'))
    """
    if order == 1:
        return card.derivative
    return differentiate(derivative_of(card, order - 1), {"x": ONE, "y": card.derivative}, rule)


def rule(
    name: str, parameters: tuple[tuple[str, Fraction], ...] = ()
) -> tuple[tuple[str, ...], str, tuple[Expression | None, ...]]:
    """Return how a function is differentiated: names of its arguments and of its value, and its partial derivatives.

    Raises KeyError for a name that is in no table.

    >>> from qed.facts.table import rule
    >>> rule("tanh")
    (('x',), 'y', (Expression('(1 - y)*(1 + y)'),))
    """
    if name in ARITHMETIC:
        return ARITHMETIC[name].arguments, "z", ARITHMETIC[name].partials
    found = card(name, **dict(parameters))
    if found is None:
        raise KeyError(name)
    return ("x",), "y", (found.derivative,)
