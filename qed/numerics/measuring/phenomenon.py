"""What lost the digits, by name: the code of a blamed equation, with a sentence about this case.

=======  =====================  =======================================================================
QED201   overflow               it returned inf for a finite number
QED202   underflow              it returned 0 for a number that is not 0, and the result depends on it
QED206   absorbed-addition      a + b = a although b is not 0, and the result depends on b
QED207   lost-in-a-sum          a sum of many terms, or one equation many times, whose roundings add up
QED203   cancellation           a sum or difference of near numbers uncovers the roundings made before it
QED208   finite-and-wrong       any other rounding that the result magnifies
=======  =====================  =======================================================================

Roundings add up, and none is magnified, where even the largest of them is a small part of the error: a loop that adds
a thousand numbers, or a thousand lines that do. The first that applies is named.
Overflow is the business of `qed.why` where it makes the loss infinite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from qed.findings import Finding
from qed.numerics.measuring.blame import Blame
from qed.span import Span

SHARE = 0.2
"""Equations with less than this share of the error are not worth a finding of their own."""

LEAST = 0.05
"""Equations with less than this share are not told of."""

MANY = 16
"""From so many terms on a sum is a reduction."""


def code_of(blame: Blame) -> str:
    """The code of a blamed equation.

    Example:
        >>> code_of(Blame("add", None, 1.0, 24.0, absorbed=True)), code_of(Blame("exp", None, 1.0, 24.0))
        ('QED206', 'QED208')
        >>> code_of(Blame("add", None, 1.0, 9.0, times=900, peak=0.002))
        'QED207'
    """
    if blame.overflow:
        return "QED201"
    if blame.underflow:
        return "QED202"
    if blame.absorbed:
        return "QED206"
    if blame.terms >= MANY:
        return "QED207"
    if blame.uncovered is not None:
        return "QED203"
    return "QED207" if _many_times(blame) else "QED208"


def _many_times(blame: Blame) -> bool:
    """Whether an equation was executed many times, and no execution makes much of its part of the error."""
    return blame.times >= MANY and blame.peak is not None and MANY * blame.peak <= blame.share


def place_of(blame: Blame) -> Span | None:
    """The line to show: of a cancellation the subtraction, else the equation's own."""
    if code_of(blame) == "QED203" and blame.uncovered is not None:
        return blame.uncovered.span
    return blame.span


def number(value: float) -> str:
    """A number as short as it can be told apart at nine digits."""
    return f"{value:.9g}"


def event_of(blame: Blame) -> str:
    """What happened, without how much of the error that is."""
    where = f" at step {'/'.join(map(str, blame.loop_steps))} of the loop" if blame.loop_steps else ""
    uncovered = blame.uncovered
    match code_of(blame):
        case "QED201":
            return f"{blame.primitive} overflows{where}"
        case "QED202":
            return f"{blame.primitive} returns 0 for a number that is not 0{where}"
        case "QED206":
            return f"{blame.primitive} leaves its larger operand as it is, the smaller is lost{where}"
        case "QED207" if blame.terms < MANY:
            return f"the roundings of {blame.primitive}, executed {blame.times} times one after another, add up"
        case "QED207":
            return f"{blame.primitive} adds {blame.terms} terms{where}, each rounded"
        case "QED203" if uncovered is not None:
            left = f"{uncovered.bits:.0f} bits cancel" if math.isfinite(uncovered.bits) else "all bits cancel"
            of = ""
            if len(uncovered.operands) == 2:
                of = f" of {number(uncovered.operands[0])} and {number(uncovered.operands[1])}"
            return f"{left} in this {uncovered.primitive}{of}"
    return f"the rounding of {blame.primitive}{where} is magnified"


def shares_of(group: Sequence[Blame], whose: str) -> str:
    """How much of the error of a result the same event is, by the primitives that rounded before it.

    Example:
        >>> from qed.numerics.measuring.blame import Uncovering
        >>> lost = Uncovering("sub", None, (), 20.0, (2.0, 1.0), 1.0)
        >>> parts = [("integer_pow", 0.4), ("reduce_sum", 0.35), ("integer_pow", 0.25)]
        >>> shares_of([Blame(name, None, share, 9.0, uncovered=lost) for name, share in parts], "the value")
        'rounded before: 65 % of the error of the value by integer_pow, 35 % by reduce_sum'
        >>> shares_of([Blame("exp", None, 0.98, 9.0)], "the value")
        '98 % of the error of the value'
    """
    if code_of(group[0]) != "QED203":
        return f"{100 * sum(blame.share for blame in group):.0f} % of the error of {whose}"
    home, parts = place_of(group[0]), dict[str, float]()
    for blame in group:
        away = "" if blame.span is None or home is None or str(blame.span) == str(home) else f" ({blame.span})"
        parts[blame.primitive + away] = parts.get(blame.primitive + away, 0.0) + blame.share
    (first, largest), *rest = sorted(parts.items(), key=lambda part: -part[1])
    told = [f"{100 * largest:.0f} % of the error of {whose} by {first}"]
    told += [f"{100 * share:.0f} % by {name}" for name, share in rest]
    return f"rounded before: {', '.join(told)}"


def together(equations: Sequence[Blame]) -> list[list[Blame]]:
    """The equations of one event at one place together, the largest share first."""
    groups: dict[tuple[str, str], list[Blame]] = {}
    for blame in _at_one_line(equations):
        groups.setdefault((event_of(blame), str(place_of(blame))), []).append(blame)
    return sorted(groups.values(), key=lambda group: -sum(blame.share for blame in group))


def _at_one_line(equations: Sequence[Blame]) -> list[Blame]:
    """The many equations of a line that do the same, a sum written by a Python loop, as one that is executed often."""
    lines: dict[tuple[str, str], list[Blame]] = {}
    for blame in equations:
        if code_of(blame) == "QED208" and blame.peak is not None:
            lines.setdefault((blame.primitive, str(blame.span)), []).append(blame)
    found = list(equations)
    for group in lines.values():
        peaks, times = [blame.peak or 0.0 for blame in group], sum(blame.times for blame in group)
        one = replace(group[0], share=sum(b.share for b in group), times=times, peak=max(peaks))
        if len(group) > 1 and _many_times(one):
            found = [blame for blame in found if not any(blame is each for each in group)] + [one]
    return sorted(found, key=lambda blame: -blame.share)


def told_of(equations: Sequence[Blame]) -> list[list[Blame]]:
    """The events that are told of: those with more than `LEAST` of the error, or many as one."""
    return together([blame for blame in _at_one_line(equations) if blame.share > LEAST])


def findings_of(equations: Sequence[Blame], whose: str, bits: float, result: float | None) -> list[Finding]:
    """A finding for each phenomenon with a share of the error that matters."""
    found: dict[str, Finding] = {}
    for group in told_of(equations) or together(equations):
        blame, share = group[0], sum(b.share for b in group)
        code = code_of(blame)
        if (share < SHARE and found) or code in found:
            continue
        joint = ";" if code == "QED203" else ":"
        witness = {
            "bits_lost": bits,
            "share": share,
            "primitive": blame.primitive,
            "loop_steps": list(blame.loop_steps),
            "result": result,
            "line": None if blame.span is None else blame.span.line,
            "note": event_of(blame),
        }
        found[code] = Finding(code, f"{event_of(blame)}{joint} {shares_of(group, whose)}", place_of(blame), witness)
    return list(found.values())
