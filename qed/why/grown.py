"""Where an overflow is the end of a growth: the operands of its equation in the loop steps before.

A loop x_{k+1} = F(x_k) that is unstable multiplies its error by a factor again and again, until a number leaves the
range. The equation at which it does is chance, and a wider dtype only puts it off. What tells growth from a range that
is too narrow are the sizes in the steps before: if the largest operand of the same equation grew many times from each
of the last steps to the next, the loop diverges.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 1.19 (growth is no rounding).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from qed.answer import Reason
from qed.domains.born import Birth
from qed.domains.forward import Unknown
from qed.domains.value import Value
from qed.domains.words import number
from qed.graph.graph import Graph
from qed.graph.walk import Walker

LAST = 3
"""How many of the steps before are looked at."""
FACTOR = 10.0
"""How many times an operand has to grow from each of them to the next."""


class _Reached(Exception):
    """The birth was reached: the rest of the walk is not needed."""


def grown(graph: Graph, arrays: Sequence[Any], birth: Birth) -> Reason | None:
    """The growth that a birth in a loop ends; None where it is born in the first steps, or without growth."""
    steps = birth.entry.frame.steps()
    if not steps or steps[0] < LAST:
        return None
    sizes: dict[int, float] = {}

    def observe(entry: Any) -> None:
        if entry.kind != "equation" or entry.equation is not birth.entry.equation:
            return
        at = entry.frame.steps()
        if at == steps:
            raise _Reached
        if len(at) == len(steps) and at[1:] == steps[1:] and at[0] < steps[0]:
            sizes[at[0]] = max(sizes.get(at[0], 0.0), _size(cell.values[0] for cell in entry.inputs))

    with contextlib.suppress(_Reached):
        Walker([Value()], observe).run(graph, arrays)
    last = [sizes.get(k) for k in range(steps[0] - LAST, steps[0])]
    known = [size for size in last if size is not None and np.isfinite(size) and size > 0]
    if len(known) < LAST or any(b < FACTOR * a for a, b in pairwise(known)):
        return None
    listed = ", ".join(number(size) for size in known)
    return Reason(
        "the same equation in the loop steps before",
        role="and",
        formula="x_{k+1} = F(x_k)",
        text=f"in the {LAST} loop steps before, its largest operand was {listed}: the loop diverges, and a wider dtype "
        "would only put the end off",
        predicted=f"growth by less than {FACTOR:g} a step",
        observed=known[-1] / known[-2],
    )


def _size(values: Any) -> float:
    """The largest number among some arrays."""
    largest = 0.0
    for value in values:
        if isinstance(value, Unknown) or not np.issubdtype(np.asarray(value).dtype, np.number):
            continue
        array = np.abs(np.asarray(value).astype(np.float64)) if not np.iscomplexobj(value) else np.abs(value)
        largest = max(largest, float(np.max(array, initial=0.0)))
    return largest
