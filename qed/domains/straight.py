"""Maps m x + b of one number, exactly: the program read in rational numbers, its float constants taken as they are.

Sums of lines are lines, and so are a line times a number and a line divided by one. What is anything else, or a line on
a part of the numbers only (a modulus, a maximum), is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, final

import numpy as np

from qed.domains.line import Line, line_of
from qed.domains.one_number import SAME, OneNumber, Undecided
from qed.graph.graph import Equation


@final
class Straight(OneNumber):
    """Which values are m x + b for all numbers x.

    >>> import numpy as np
    >>> from qed.certificates.certificate import placed
    >>> from qed.domains.straight import Straight
    >>> from qed.graph.trace import trace
    >>> from qed.graph.walk import Walker
    >>> traced = trace(lambda x: 3 - (x + 1) / 4, np.float64(0.5))
    >>> found = Walker([Straight()]).run(traced.graph, placed(traced, [Straight.argument()]))[0].values[0]
    >>> found.m, found.b
    (Fraction(-1, 4), Fraction(11, 4))
    """

    name = "straight lines"
    forms = (Line,)

    @staticmethod
    def argument() -> Line:
        """x itself."""
        return Line(Fraction(1), Fraction(0))

    def one(self, equation: Equation, inputs: Sequence[Any]) -> Line:
        """The line of an equation's output."""
        xs, name = [_line(x) for x in inputs], equation.primitive
        if name in SAME:
            return xs[0]
        if name == "neg":
            return Line(-xs[0].m, -xs[0].b)
        if len(xs) != 2:
            raise Undecided
        x, y = xs
        if name in ("add", "add_any"):
            return Line(x.m + y.m, x.b + y.b)
        if name == "sub":
            return Line(x.m - y.m, x.b - y.b)
        if name == "mul" and not (x.m and y.m):
            x, y = (y, x) if x.m else (x, y)  # x is a number
            return Line(x.b * y.m, x.b * y.b)
        if name == "div" and not y.m and y.b:
            return Line(x.m / y.b, x.b / y.b)
        raise Undecided


def _line(x: Any) -> Line:
    found = line_of(x)
    if not isinstance(found, Line) or np.shape(getattr(x, "array", 0.0)) != ():
        raise Undecided
    return found
