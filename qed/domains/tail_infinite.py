"""The infinities that a program writes, in the tail domain: the logarithm of a density that is 0 beyond some radius.

    exp(-inf) = 0,    x + (-inf) = -inf,    max(x, -inf) = x,    x < inf        for every real number x

What has no value, such as inf - inf and 0 times inf, is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qed.domains.precision import flint
from qed.domains.tail_forms import NoOrder, Truth

ORDER = ("eq", "ne", "lt", "le", "gt", "ge")


@dataclass(frozen=True)
class Infinite:
    """+inf or -inf for all x >= R, by its sign."""

    sign: int


def with_infinities(domain: Any, name: str, xs: Sequence[Any]) -> Any:
    """What an operation makes of values of which one at least is infinite.

    Args:
        domain: the tail domain.
        name: the operation.
        xs: its operands.
    """
    if name in ORDER and len(xs) == 2:
        return _compared(domain, name, *xs)
    if name == "is_finite":
        return Truth(False)
    if name in ("add", "sub"):
        x, y = xs if name == "add" else (xs[0], _turned(xs[1]))
        return _sum(domain, x, y)
    if name in ("mul", "div"):
        return _product(domain, name, *xs)
    if name in ("max", "min"):
        return _larger(name, *xs)
    (x,) = xs if len(xs) == 1 else (None,)
    if x is None:
        raise NoOrder
    if name == "neg":
        return Infinite(-x.sign)
    if name == "abs":
        return Infinite(1)
    if name == "exp":
        return domain.fixed(flint().arb(0)) if x.sign < 0 else x
    raise NoOrder


def _turned(x: Any) -> Any:
    return Infinite(-x.sign) if isinstance(x, Infinite) else x


def _sign(domain: Any, x: Any) -> int:
    """The sign of a value that is infinite, or a number of one sign."""
    return x.sign if isinstance(x, Infinite) else domain.sign(x)


def _sum(domain: Any, x: Any, y: Any) -> Infinite:
    if isinstance(x, Infinite) and isinstance(y, Infinite):
        if x.sign != y.sign:
            raise NoOrder
        return x
    one, other = (x, y) if isinstance(x, Infinite) else (y, x)
    if not domain.real(other):
        raise NoOrder
    return one


def _product(domain: Any, name: str, x: Any, y: Any) -> Infinite:
    if name == "div" and isinstance(y, Infinite):
        raise NoOrder
    if not all(isinstance(v, Infinite) or domain.real(v) for v in (x, y)):
        raise NoOrder
    return Infinite(_sign(domain, x) * _sign(domain, y))


def _larger(name: str, x: Any, y: Any) -> Any:
    one, other = (x, y) if isinstance(x, Infinite) else (y, x)
    return one if (one.sign > 0) == (name == "max") else other


def _compared(domain: Any, name: str, x: Any, y: Any) -> Truth:
    if not all(isinstance(v, Infinite) or domain.real(v) for v in (x, y)):
        raise NoOrder
    signs = [v.sign if isinstance(v, Infinite) else 0 for v in (x, y)]
    off = signs[0] - signs[1]
    held = {"eq": off == 0, "ne": off != 0, "ge": off >= 0, "gt": off > 0, "le": off <= 0, "lt": off < 0}
    return Truth(held[name])
