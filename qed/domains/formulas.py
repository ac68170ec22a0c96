"""The formulas of fact cards (derivatives, definitions) in a domain of enclosures.

`Formulas(domain)` is a `facts.Arithmetic`: a card's derivative evaluated in it encloses the derivative's values on
boxes. A choice that is not decided is the hull of both branches.

>>> from qed import facts
>>> from qed.domains.formulas import Formulas
>>> from qed.domains.interval import Interval
>>> from qed.domains.intervals import Intervals
>>> formulas = Formulas(Interval())
>>> tanh, x = facts.card("tanh"), Intervals(0.0, 1.0)
>>> slope = tanh.derivative.evaluate(x=x, y=formulas.call("tanh", x), arithmetic=formulas)
>>> bool(slope.lower > 0.2), bool(slope.upper < 1.8)
(True, True)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qed import facts
from qed.domains.enclosing import Enclosing

PI = facts.Point.parse("pi")


class Formulas:
    """The arithmetic of formulas over a domain of enclosures."""

    def __init__(self, domain: Enclosing) -> None:
        self.domain = domain

    def constant(self, value: float) -> Any:
        """The number itself."""
        return self.domain.numbers.point(float(value))

    def call(self, name: str, *operands: Any, **parameters: Any) -> Any:
        """An enclosure of a function of the tables.

        Raises KeyError where there is no rule for it.
        """
        if name == "pi":
            return self.domain.pi()
        if name in facts.ARITHMETIC:
            found = self.domain.combine(name, operands)
            if found is None:
                raise KeyError(name)
            return found
        card = facts.card(name, **parameters)
        if card is None:
            raise KeyError(name)
        return self.domain.image(card, operands[0])

    def select(self, comparison: str, left: Any, right: Any, then: Any, otherwise: Any) -> Any:
        """The branch that is certain, or the hull; element by element."""
        names = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
        yes, no = self.domain.certain(names[comparison], left, right)
        return self.domain.chosen(np.asarray(no), np.asarray(yes), then, otherwise)
