"""The common mistakes of a training loss, by name: read off its graph, and seen in numbers before they are told.

Each file holds one mistake: the pattern of equations that it leaves in the graph, and the evaluation that
confirms it. Reading the graph takes milliseconds and is always done; something is compiled only where the
pattern is there. A suspicion that the numbers do not confirm is not mentioned.

=============  ======  =============================================================================
file           code    mistake
=============  ======  =============================================================================
`gradient`     QED102  a parameter that no gradient moves: comparison, rounding, argmax on its way
`dead`         QED106  a layer whose rectified units never fire
`outer`        QED211  (n, 1) minus (n,): each prediction compared with every label
`softmax`      QED607  softmax of a softmax
`divergence`   QED608  a probability where a log-probability belongs
`summed`       QED409  a sum over the rows, named beside a step that is too large
`keys`         QED609  two draws from one random key
=============  ======  =============================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

from qed.answer import Answer
from qed.findings import Level
from qed.why.case import Case
from qed.why.mistakes.dead import dead_units
from qed.why.mistakes.divergence import log_minus_probability
from qed.why.mistakes.flat import flatten
from qed.why.mistakes.gradient import zero_gradient
from qed.why.mistakes.keys import same_key
from qed.why.mistakes.outer import crosswise
from qed.why.mistakes.softmax import softmax_twice
from qed.why.mistakes.summed import summed
from qed.why.trial import Run

LARGEST = 20_000
"""Graphs with more equations are not searched."""


def look(case: Case, run: Run, codes: Collection[str] = ()) -> list[Answer[Any]]:
    """Search the loss for mistakes, where it is finite at the start.

    Args:
        case: the case under diagnosis.
        run: the user's own run.
        codes: what was found already; a sum over the rows is named only beside a step that is too large.

    Returns:
        An answer for each mistake, warnings before notes; empty where there is none.
    """
    prepared = case.prepared
    started = math.isfinite(run.losses[0]) and not (run.failure is not None and run.failure.step == 0)
    if not started or case.clock.left <= 0 or prepared.graph.count() > LARGEST:
        return []
    flat = flatten(prepared.graph, prepared.traced.free)
    checks: list[Callable[[], list[Answer[Any]]]] = [
        lambda: crosswise(case, flat, run),
        lambda: softmax_twice(case, flat),
        lambda: log_minus_probability(case, flat),
        lambda: zero_gradient(case),
        lambda: dead_units(case, flat, run),
        lambda: same_key(case, flat),
    ]
    if {"QED401", "QED403"} & set(codes):
        checks.append(lambda: summed(case, flat, run))
    found = [answer for check in checks for answer in check()]
    return sorted(found, key=lambda answer: all(finding.level == Level.NOTE for finding in answer.findings))
