"""Faster than any exponential of a power, for all x beyond R: exp(-exp(x)) below, exp(exp(x)) above.

A growing exponential outgrows every power: x^(p - m) exp(c x^q) does not fall from R on where p - m + c q R^q >= 0, so
that with K = b R^(p - m) exp(c R^q)

    b x^p exp(c x^q) >= K x^m         for all x >= R, b > 0,
    0 <= exp(-b x^p exp(c x^q)) <= exp(-K x^m),        exp(b x^p exp(c x^q)) >= exp(K x^m).

The first is a term again. Of the second only the lower bound is known, which is enough for an integral that is
infinite. Reference: de Bruijn, *Asymptotic Methods in Analysis*, Dover 1981, chapter 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from qed.domains.precision import flint
from qed.domains.tail_forms import NoOrder, Term, ball_of, fraction_of, power_of

STEEPEST = 8
"""The highest power m that stands for a growing exponential."""
KEPT = frozenset({"convert_element_type", "copy", "squeeze", "reshape", "stop_gradient"})
"""What leaves a large value as it is."""


@dataclass(frozen=True, eq=False)
class Above:
    """Of a sign, and of a size of at least a positive term, for all x >= R; nothing is known from above."""

    least: Term
    sign: int = 1


def steep(domain: Any, x: Term) -> Any:
    """exp of a term that grows like an exponential; None where it does not.

    Args:
        domain: the tail domain.
        x: the term.
    """
    arb = flint().arb
    if x.k or not (x.q and x.c > 0 and (x.b > 0 or x.b < 0)):
        return None
    start, c = arb(domain.start), x.c.lower()
    power = power_of(start, x.q)
    room = float((ball_of(x.p) + c * ball_of(x.q) * power).lower())
    m = min(STEEPEST, math.floor(room)) if math.isfinite(room) else STEEPEST
    if m < 1:
        raise NoOrder
    most = (abs(x.b).lower() * power_of(start, x.p - m) * (c * power).exp()).lower()
    if not (most > 0 and most.is_finite()):
        raise NoOrder
    if x.b < 0:
        return Term(arb(0).union(arb(1)), Fraction(0), -most, Fraction(m))
    return Above(Term(arb(1), Fraction(0), most, Fraction(m)))


def above(domain: Any, name: str, xs: Sequence[Any], params: Any) -> Any:
    """What an operation makes of values of which one at least is only bounded from below.

    Args:
        domain: the tail domain.
        name: the operation.
        xs: its operands.
        params: its parameters.
    """
    if len(xs) == 1:
        return _alone(domain, name, xs[0], params)
    if len(xs) != 2:
        raise NoOrder
    x, y = xs
    if name == "pow" and isinstance(x, Above) and isinstance(y, Term) and y.constant and y.b > 0 and x.sign > 0:
        return Above(domain.power(x.least, fraction_of(y.b)))
    if name == "div" and not isinstance(y, Above):
        name, y = "mul", domain.power(y, Fraction(-1))
    if name == "sub":
        name, y = "add", replace(y, sign=-y.sign) if isinstance(y, Above) else domain.scaled(y, flint().arb(-1))
    one: Any
    other: Any
    one, other = (x, y) if isinstance(x, Above) else (y, x)
    if name == "mul":
        sign = other.sign if isinstance(other, Above) else domain.sign(other)
        size = other.least if isinstance(other, Above) else domain.scaled(domain.as_term(other), flint().arb(sign))
        return Above(_positive(domain, domain.mul(one.least, size)), one.sign * sign)
    if name in ("max", "min") and one.sign == (1 if name == "max" else -1):
        return one
    if name in ("add", "add_any"):
        if isinstance(other, Above):
            if other.sign != one.sign:
                raise NoOrder
            return Above(_positive(domain, domain.add(one.least, other.least)), one.sign)
        return Above(_positive(domain, domain.add(one.least, domain.scaled(other, flint().arb(one.sign)))), one.sign)
    raise NoOrder


def _alone(domain: Any, name: str, x: Above, params: Any) -> Any:
    if name in KEPT:
        return x
    if name == "neg":
        return replace(x, sign=-x.sign)
    if name == "abs":
        return replace(x, sign=1)
    if name == "exp" and x.sign > 0:
        found = domain.exp(x.least)
        return found if isinstance(found, Above) else Above(_positive(domain, found))
    if name == "exp":  # between 0 and exp(-least)
        found = domain.as_term(domain.exp(domain.scaled(x.least, flint().arb(-1))))
        return replace(found, b=flint().arb(0).union(found.b.upper()))
    if name in ("integer_pow", "square"):
        exponent = 2 if name == "square" else int(params["y"])
        if exponent >= 1:
            return Above(domain.power(x.least, Fraction(exponent)), x.sign if exponent % 2 else 1)
    raise NoOrder


def _positive(domain: Any, x: Any) -> Term:
    """A value as a positive term."""
    x = domain.as_term(x)
    if not (x.b > 0 and x.b.is_finite()):
        raise NoOrder
    return x


def infinite_integral(domain: Any, f: Any, weight: Any) -> Any:
    """An infinity, where the product of two values, one of them only bounded from below, proves it.

    Args:
        domain: the tail domain.
        f: a value.
        weight: another one, which is positive.
    """
    product = above(domain, "mul", (f, weight), {})
    if domain.integral(product.least) == flint().arb.pos_inf():
        return flint().arb.pos_inf() if product.sign > 0 else flint().arb.neg_inf()
    raise NoOrder
