"""Functions made of pieces: the modulus, and the steps whose derivative is zero wherever it exists.

`round` is JAX's with either rounding method: they differ only in the value at the jumps.
"""

# ruff: noqa: E501  (a card is one line)

from __future__ import annotations

from qed.facts.card import entry

PIECEWISE = (
    entry("abs", "1 if x >= 0 else -1", limits="inf, inf", range="[0, inf)", kinks="0", turns="0", parity="even", log="concave", flint="qed.facts.balls.absolute", tex=r"|{x}|"),
    entry("ceil", "0", limits="-inf, inf", jumps="k", tex=r"\lceil {x} \rceil"),
    entry("floor", "0", limits="-inf, inf", jumps="k", tex=r"\lfloor {x} \rfloor"),
    entry("round", "0", limits="-inf, inf", jumps="1/2 + k", parity="odd", numpy="numpy.round", flint="qed.facts.balls.nearest"),
    entry("sign", "0", limits="-1, 1", range="[-1, 1]", jumps="0", parity="odd", flint="sgn"),
)  # fmt: skip
