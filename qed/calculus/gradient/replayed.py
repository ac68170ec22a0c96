"""A refutation replayed by other code: the rule against a difference quotient of its own body.

The check compares exact derivatives. Its witness is a call, its operands and one entry; here the body is
evaluated a few times around the operands, in float64, and Richardson's quotient of its values (no chain rule
anywhere) must exclude what the rule says, within its error bar.
"""

from __future__ import annotations

import numpy as np

from qed.calculus.gradient.case import Case
from qed.calculus.gradient.check import Checked
from qed.calculus.gradient.coordinates import unit
from qed.calculus.gradient.differences import BARS
from qed.calculus.gradient.judge import judge
from qed.calculus.gradient.verdict import Culprit, GradientVerdict


def replayed(checked: Checked, culprit: Culprit | None = None) -> bool:
    """Whether the differences confirm the refuted rules of a check; True where they are too wide to tell."""
    refuted = [c for c in checked.check.culprits if c.verdict is GradientVerdict.DISAGREES and c.order == 1]
    chosen = [c for c in refuted if culprit is None or c is culprit]
    return all(_confirmed(checked, each) for each in chosen)


def _confirmed(checked: Checked, culprit: Culprit) -> bool:
    for record in checked.records:
        site = record.local.site
        if site.name != culprit.name:  # as of a transposed solve beside its solve
            continue
        same = site.span == culprit.span and site.path(record.steps) == culprit.path and record.local.order == 1
        if not same or culprit.found is None or culprit.expected is None:
            continue
        if site.kind == "solve":
            return judge(record, checked.check.seed + 1) is not None  # the residual of another right-hand side
        case = Case(record, checked.check.seed)
        element = _element(case, culprit)
        number, bar = case.quotient(unit(case, element))
        if not np.isfinite(number) or BARS * bar >= abs(culprit.found - culprit.expected):
            return True  # the bar is wider than the difference: nothing is said against it
        return abs(culprit.found - number) > BARS * bar
    return True


def _element(case: Case, culprit: Culprit) -> int:
    """The element of the comparison that a culprit names."""
    local = case.local
    if not local.elementwise:
        return 0
    inputs, outputs = local.shapes
    number = local.site.active.index(culprit.operand)
    shapes, place, which = (
        (inputs, culprit.coordinate, number) if local.linear_in == "c" else (outputs, culprit.output, 0)
    )
    start = sum(int(np.prod(shape, dtype=np.int64)) for shape in shapes[:which])
    return start + (int(np.ravel_multi_index(place, shapes[which])) if place else 0)
