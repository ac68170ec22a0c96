"""What each primitive is: a card of facts for every elementwise function, a class for everything else.

This is data, written once and read by every domain; it imports neither JAX nor NumPy. The facts are proved against
themselves in tests/laws. See `qed.facts.card` for what a card states, `qed.facts.structure` for the classes.

>>> from qed import facts
>>> facts.card("logistic").derivative, facts.classify("dot_general").value
(Expression('y*(1 - y)'), 'bilinear')
"""

from __future__ import annotations

from qed.facts.arithmetic import ArithmeticCard
from qed.facts.card import Card
from qed.facts.condition import Condition
from qed.facts.expression import Arithmetic, Expression
from qed.facts.libraries import BALLS, JAX, NUMPY
from qed.facts.points import Interval, Lattice, Point, Points
from qed.facts.structure import CLASSES, OUT_OF_SCOPE, Class, classify, may_have_corners
from qed.facts.table import ARITHMETIC, CARDS, FAMILIES, arithmetic, card, derivative_of
from qed.facts.typeset import tex

__all__ = [
    "ARITHMETIC",
    "BALLS",
    "CARDS",
    "CLASSES",
    "FAMILIES",
    "JAX",
    "NUMPY",
    "OUT_OF_SCOPE",
    "Arithmetic",
    "ArithmeticCard",
    "Card",
    "Class",
    "Condition",
    "Expression",
    "Interval",
    "Lattice",
    "Point",
    "Points",
    "arithmetic",
    "card",
    "classify",
    "derivative_of",
    "may_have_corners",
    "tex",
]
