"""The trigonometric functions and their inverses (NIST DLMF, 4.14 to 4.27)."""

# ruff: noqa: E501  (a card is one line)

from __future__ import annotations

from qed.facts.card import entry

TRIGONOMETRY = (
    entry("acos", "-1/sqrt((1 - x)*(1 + x))", domain="[-1, 1]", limits="pi, 0", range="[0, pi]", bends="0", numpy="numpy.arccos", tex=r"\arccos {x}"),
    entry("asin", "1/sqrt((1 - x)*(1 + x))", domain="[-1, 1]", limits="-pi/2, pi/2", range="[-pi/2, pi/2]", bends="0", parity="odd", numpy="numpy.arcsin", tex=r"\arcsin {x}"),
    entry("atan", "1/(1 + x*x)", limits="-pi/2, pi/2", range="(-pi/2, pi/2)", bends="0", parity="odd", log="concave", numpy="numpy.arctan", tex=r"\arctan {x}"),
    entry("cos", "-sin(x)", limits="none, none", range="[-1, 1]", turns="pi*k", bends="pi/2 + pi*k", parity="even", period="2*pi", log="concave", tex=r"\cos {x}"),
    entry("sin", "cos(x)", limits="none, none", range="[-1, 1]", turns="pi/2 + pi*k", bends="pi*k", parity="odd", period="2*pi", log="concave", tex=r"\sin {x}"),
    entry("tan", "1 + y*y", limits="none, none", poles="pi/2 + pi*k", at_poles="inf, -inf", bends="pi*k", parity="odd", period="pi", tex=r"\tan {x}"),
)  # fmt: skip
