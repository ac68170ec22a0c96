"""The hyperbolic functions and their inverses (NIST DLMF, 4.28 to 4.37)."""

# ruff: noqa: E501  (a card is one line)

from __future__ import annotations

from qed.facts.card import entry

HYPERBOLIC = (
    entry("acosh", "1/sqrt((x - 1)*(x + 1))", domain="[1, inf)", limits="0, inf", range="[0, inf)", log="concave", numpy="numpy.arccosh", tex=r"\operatorname{arcosh} {x}"),
    entry("asinh", "1/sqrt(1 + x*x)", limits="-inf, inf", bends="0", parity="odd", log="concave", numpy="numpy.arcsinh", tex=r"\operatorname{arsinh} {x}"),
    entry("atanh", "1/((1 - x)*(1 + x))", domain="(-1, 1)", limits="-inf, inf", bends="0", parity="odd", numpy="numpy.arctanh", tex=r"\operatorname{artanh} {x}"),
    entry("cosh", "sinh(x)", limits="inf, inf", range="[1, inf)", turns="0", parity="even", log="convex", tex=r"\cosh {x}"),
    entry("sinh", "cosh(x)", limits="-inf, inf", bends="0", parity="odd", log="concave", tex=r"\sinh {x}"),
    entry("tanh", "(1 - y)*(1 + y)", limits="-1, 1", range="(-1, 1)", bends="0", parity="odd", log="concave", tex=r"\tanh {x}"),
)  # fmt: skip
