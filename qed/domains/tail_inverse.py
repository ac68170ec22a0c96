"""Inverse functions and the error function, for all arguments of a tail at once, by what they are far out or at 1.

For y > 0 that grows (DLMF 4.24.17, 4.37.16, and 7.12.1 with 7.12.2, by which the series of erfc envelops it)

    atan y = pi/2 - atan(1/y),        asinh y = log y + log(1 + sqrt(1 + y^-2)),
    sqrt(pi) y exp(y^2) erfc y        lies between 1 - 1 / (2 y^2) and 1,

and where the argument comes to 1, where the functions are not smooth, 1 - y or y - 1 is a small value by itself:

    acos y = 2 asin sqrt((1 - y) / 2),    acosh y = 2 asinh sqrt((y - 1) / 2),    2 atanh y = log(1 + y) - log(1 - y).

Reference: NIST *Digital Library of Mathematical Functions*, chapters 4 and 7.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from qed.domains.precision import flint
from qed.domains.tail_forms import NoOrder, Term

GROWING = frozenset({"atan", "erf", "erfc", "asinh"})
"""Whose argument grows."""
AT_ONE = frozenset({"acos", "asin", "atanh", "acosh"})
"""Whose argument comes to 1 or -1; that of acosh may grow."""
INVERSE = GROWING | AT_ONE | {"cbrt"}
"""The functions."""
Of = Callable[[str, Any], Any]


def far_inverse(domain: Any, name: str, x: Any, of: Of) -> Any:
    """Such a function of a value; NoOrder where it is as smooth as elsewhere.

    Args:
        domain: the tail domain.
        name: the function.
        x: the value.
        of: another function by its name, of another value.

    >>> from fractions import Fraction
    >>> from qed.domains.precision import precision
    >>> from qed.domains.tail import Tail
    >>> from qed.domains.tail_forms import Term
    >>> with precision(64) as library:
    ...     x = Term(library.arb(1), Fraction(1), library.arb(0))
    ...     far_inverse(Tail(1024.0), "asinh", x, lambda name, value: value).b.str(4, radius=False)
    '0.6931'
    """
    if name == "cbrt":
        return _cube_root(domain, x)
    if name in AT_ONE:
        return _at_one(domain, name, x, of)
    arb = flint().arb
    sign = _growing(domain, x)
    y = domain.scaled(x, arb(sign))
    if name == "atan":
        rest = of("atan", domain.power(y, Fraction(-1)))
        return domain.add(domain.fixed(sign * arb.pi() / 2), domain.scaled(rest, arb(-sign)))
    least = domain.ball(domain.power(domain.mul(y, y), Fraction(-1)))  # of y^-2, from 0 on
    if name == "asinh":
        rest = domain.fixed((1 + (1 + least).sqrt()).log())
        return domain.scaled(domain.add(domain.log(y), rest), arb(sign))
    share = arb(1).union(1 - least.upper() / 2) / arb.pi().sqrt()
    fall = domain.exp(domain.scaled(domain.mul(y, y), arb(-1)))
    rest = domain.scaled(domain.mul(domain.as_term(fall), domain.power(y, Fraction(-1))), share)
    if name == "erf":
        return domain.add(domain.fixed(arb(sign)), domain.scaled(rest, arb(-sign)))
    return rest if sign > 0 else domain.add(domain.fixed(arb(2)), domain.scaled(rest, arb(-1)))


def _growing(domain: Any, x: Any) -> int:
    """The sign of a value that grows like a power or a logarithm; NoOrder for any other."""
    term = domain.as_term(x)
    if term.q or not (term.p, term.k) > (0, 0):
        raise NoOrder
    return domain.sign(term)


def _at_one(domain: Any, name: str, x: Any, of: Of) -> Any:
    """A function of what comes to 1 or -1."""
    arb = flint().arb
    one, half = domain.fixed(arb(1)), arb(0.5)
    if name == "acosh":
        above = domain.scaled(domain.add(x, domain.fixed(arb(-1))), half)
        return domain.scaled(of("asinh", domain.power(above, Fraction(1, 2))), arb(2))
    parts = domain.apart(x)
    if parts is None or not (parts[0] == 1 or parts[0] == -1):
        raise NoOrder
    sign = 1 if parts[0] == 1 else -1
    y = domain.scaled(x, arb(sign))
    left = domain.add(one, domain.scaled(y, arb(-1)))
    if name == "atanh":
        logs = domain.add(domain.log(domain.add(one, y)), domain.scaled(domain.log(left), arb(-1)))
        return domain.scaled(logs, half * sign)
    found = domain.scaled(of("asin", domain.power(domain.scaled(left, half), Fraction(1, 2))), arb(2))
    if name == "acos":
        return found if sign > 0 else domain.add(domain.fixed(arb.pi()), domain.scaled(found, arb(-1)))
    return domain.scaled(domain.add(domain.fixed(arb.pi() / 2), domain.scaled(found, arb(-1))), arb(sign))


def _cube_root(domain: Any, x: Any) -> Any:
    """The cube root; of a value of unknown sign what holds it."""
    arb, third = flint().arb, Fraction(1, 3)
    try:
        sign = domain.sign(x)
    except NoOrder:
        term = domain.as_term(x)
        most = abs(term.b).upper() if term.b.is_finite() else arb(0)
        if not most > 0:
            raise
        return domain.scaled(domain.power(Term(most, term.p, term.c, term.q, term.k), third), arb(-1).union(arb(1)))
    return domain.scaled(domain.power(domain.scaled(x, arb(sign)), third), arb(sign))
