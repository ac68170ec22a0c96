"""What lost the digits, by name: the code of a blamed equation, with a sentence about this case.

=======  =====================  =======================================================================
QED201   overflow               it returned inf for a finite number
QED202   underflow              it returned 0 for a number that is not 0, and the result depends on it
QED206   absorbed-addition      a + b = a although b is not 0, and the result depends on b
QED207   lost-in-a-sum          a sum of many terms, whose roundings add up
QED203   cancellation           a sum or difference of near numbers uncovers the roundings made before it
QED208   finite-and-wrong       any other rounding that the result magnifies
=======  =====================  =======================================================================

The first that applies is named. Overflow is the business of `qed.why` where it makes the loss infinite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from qed.findings import Finding
from qed.numerics.measuring.blame import Blame
from qed.span import Span

SHARE = 0.2
"""Equations with less than this share of the error are not worth a finding of their own."""

MANY = 16
"""From so many terms on a sum is a reduction."""


def code_of(blame: Blame) -> str:
    """The code of a blamed equation.

    Example:
        >>> code_of(Blame("add", None, 1.0, 24.0, absorbed=True)), code_of(Blame("exp", None, 1.0, 24.0))
        ('QED206', 'QED208')
    """
    if blame.overflow:
        return "QED201"
    if blame.underflow:
        return "QED202"
    if blame.absorbed:
        return "QED206"
    if blame.terms >= MANY:
        return "QED207"
    return "QED203" if blame.uncovered is not None else "QED208"


def place_of(blame: Blame) -> Span | None:
    """The line to show: of a cancellation the subtraction, else the equation's own."""
    if code_of(blame) == "QED203" and blame.uncovered is not None:
        return blame.uncovered.span
    return blame.span


def number(value: float) -> str:
    """A number as short as it can be told apart at nine digits."""
    return f"{value:.9g}"


def sentence(blame: Blame, whose: str) -> str:
    """What happened, in one sentence; `whose` is 'the value' or 'the gradient'."""
    percent = f"{100 * blame.share:.0f} % of the error of {whose}"
    where = f" at step {'/'.join(map(str, blame.loop_steps))} of the loop" if blame.loop_steps else ""
    uncovered = blame.uncovered
    match code_of(blame):
        case "QED201":
            return f"{blame.primitive} overflows{where}: {percent}"
        case "QED202":
            return f"{blame.primitive} returns 0 for a number that is not 0{where}: {percent}"
        case "QED206":
            return f"{blame.primitive} leaves its larger operand as it is, the smaller is lost{where}: {percent}"
        case "QED207":
            return f"{blame.primitive} adds {blame.terms} terms{where}, each rounded: {percent}"
        case "QED203" if uncovered is not None:
            left = f"{uncovered.bits:.0f} bits cancel" if math.isfinite(uncovered.bits) else "all bits cancel"
            of = ""
            if len(uncovered.operands) == 2:
                of = f" of {number(uncovered.operands[0])} and {number(uncovered.operands[1])}"
            return f"{left} in this {uncovered.primitive}{of}; rounded by {blame.primitive} before: {percent}"
    return f"the rounding of {blame.primitive}{where} is magnified: {percent}"


def findings_of(equations: Sequence[Blame], whose: str, bits: float, result: float | None) -> list[Finding]:
    """A finding for each phenomenon with a share of the error that matters."""
    found: dict[str, Finding] = {}
    for blame in equations:
        code = code_of(blame)
        if (blame.share < SHARE and found) or code in found:
            continue
        witness = {
            "bits_lost": bits,
            "share": blame.share,
            "primitive": blame.primitive,
            "loop_steps": list(blame.loop_steps),
            "result": result,
            "line": None if blame.span is None else blame.span.line,
        }
        found[code] = Finding(code, sentence(blame, whose), place_of(blame), witness)
    return list(found.values())
