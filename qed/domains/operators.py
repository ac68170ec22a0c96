"""Enclosures of any domain with the operators of Python, so that a formula may be written as one writes it.

>>> import numpy as np
>>> from qed.domains.interval import Interval
>>> from qed.domains.intervals import Intervals
>>> from qed.domains.operators import Operators
>>> x = Operators(Interval(), Intervals([1.0], [2.0]))
>>> print((x * x - x).value)
[[-1.0, 3.0]]
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qed.domains.formulas import Formulas


class Operators:
    """Enclosures of any domain with Python's operators; the formulas of cards are evaluated in them."""

    def __init__(self, domain: Any, value: Any) -> None:
        self.domain, self.value = domain, value

    def _with(self, name: str, other: Operators) -> Operators:
        return Operators(self.domain, self.domain.combine(name, [self.value, other.value]))

    def __add__(self, other: Operators) -> Operators:
        return self._with("add", other)

    def __sub__(self, other: Operators) -> Operators:
        return self._with("sub", other)

    def __mul__(self, other: Operators) -> Operators:
        return self._with("mul", other)

    def __truediv__(self, other: Operators) -> Operators:
        return self._with("div", other)

    def __neg__(self) -> Operators:
        zero = self.domain.numbers.point(np.zeros(1))
        return Operators(self.domain, self.domain.combine("sub", [zero, self.value]))


class Formulary:
    """The arithmetic of formulas over a domain, on enclosures with operators."""

    def __init__(self, domain: Any) -> None:
        self.domain, self.formulas = domain, Formulas(domain)

    def constant(self, value: float) -> Operators:
        """The number itself."""
        return Operators(self.domain, self.domain.numbers.point(np.array([value], np.float64)))

    def call(self, name: str, *operands: Operators, **parameters: Any) -> Operators:
        """An enclosure of a function of the tables."""
        return Operators(self.domain, self.formulas.call(name, *(x.value for x in operands), **parameters))

    def select(self, comparison: str, left: Any, right: Any, then: Any, otherwise: Any) -> Operators:
        """The branch that is certain, or the hull of both."""
        parts = (x.value for x in (left, right, then, otherwise))
        return Operators(self.domain, self.formulas.select(comparison, *parts))
