"""Polynomials over the rationals in atoms with rational powers: the data of normal forms, and their sum.

A polynomial is {product of atoms to powers: rational number}; what atoms are, and all that multiplies, moves or
judges, is in `qed.certificates.real_forms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NoReturn

Map = tuple[int | None, ...]


class NotProved(Exception):
    """What the verifier does not know."""


def fail(why: str) -> NoReturn:
    """Give up a proof."""
    raise NotProved(why)


@dataclass(frozen=True, eq=False)
class Atom:
    """A factor: `kind` and `parts` say what it is, `shape` that of the array whose elements it stands for."""

    number: int
    kind: str
    parts: tuple[Any, ...]
    shape: tuple[int, ...]


Monomial = tuple[tuple[Atom, Fraction], ...]
Poly = dict[Monomial, Fraction]
ONE: Monomial = ()


def number(value: Fraction | int) -> Poly:
    """A rational number."""
    return {ONE: Fraction(value)} if value else {}


def plus(p: Mapping[Monomial, Fraction], q: Mapping[Monomial, Fraction], factor: Fraction | int = 1) -> Poly:
    """p + factor * q."""
    total = dict(p)
    for monomial, coefficient in q.items():
        value = total.get(monomial, Fraction(0)) + factor * coefficient
        if value:
            total[monomial] = value
        else:
            total.pop(monomial, None)
    return total


def common_divisor(a: Fraction, b: Fraction) -> Fraction:
    """The largest number of which two positive numbers are whole multiples."""
    while b:
        a, b = b, a % b
    return a
