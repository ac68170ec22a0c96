"""The common mistakes of a training loss, by name: read off its graph, and seen in numbers before they are told.

Each file holds one mistake: the pattern of equations that it leaves in the graph, and the evaluation that
confirms it. Reading the graph takes milliseconds and is always done; something is compiled only where the
pattern is there. A suspicion that the numbers do not confirm is not mentioned.

=============  ======  =============================================================================
file           code    mistake
=============  ======  =============================================================================
`gradient`     QED102  a parameter that no gradient moves: comparison, rounding, argmax on its way
`dead`         QED106  a layer whose rectified units never fire
`digits`       QED203  digits lost without a NaN: also QED202, QED206, QED207, QED208
`outer`        QED211  (n, 1) minus (n,): each prediction compared with every label
`integers`     QED212  integer arithmetic on the data: a quotient that is 0 everywhere, a wrap around
`promoted`     QED213  float32 parameters, and a loss in float64
`saddle`       QED303  a run that stands still where the loss still falls in some direction
`unbounded`    QED306  a loss that falls faster and faster
`pace`         QED405  an array of parameters that hardly moves beside the others
`rounded`      QED404  updates below the resolution of 16-bit parameters
`summed`       QED409  a sum over the rows, named beside a step that is too large
`sign`         QED411  minus a mean of errors
`warmup`       QED412  first steps of Adam that the run does not recover from
`decay`        QED413  weight decay on norms and offsets
`clipped`      QED414  a gradient that is clipped at every step
`scales`       QED415  features of very different scales
`batch`        QED416  statistics of the batch in what a script evaluates beside its training
`softmax`      QED607  softmax of a softmax
`divergence`   QED608  a probability where a log-probability belongs
`keys`         QED609  two draws from one random key
`labels`       QED610  class numbers as one-hot rows, or the other way round
`over_rows`    QED612  a softmax along the rows
`expected`     QED611  a mean over draws of a normal number, and what it is in expectation
=============  ======  =============================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

from qed.answer import Answer
from qed.findings import Level
from qed.why.case import Case
from qed.why.mistakes.clipped import always_clipped
from qed.why.mistakes.dead import dead_units
from qed.why.mistakes.decay import decay_on_offsets
from qed.why.mistakes.digits import lost_digits
from qed.why.mistakes.divergence import log_minus_probability
from qed.why.mistakes.expected import expected_loss
from qed.why.mistakes.flat import flatten
from qed.why.mistakes.gradient import zero_gradient
from qed.why.mistakes.integers import integer_arithmetic
from qed.why.mistakes.keys import same_key
from qed.why.mistakes.labels import labels_of_the_wrong_kind
from qed.why.mistakes.outer import crosswise
from qed.why.mistakes.over_rows import softmax_over_rows
from qed.why.mistakes.pace import vanishing_layers
from qed.why.mistakes.promoted import promoted
from qed.why.mistakes.rounded import lost_updates
from qed.why.mistakes.saddle import rests_at_a_saddle
from qed.why.mistakes.scales import different_scales
from qed.why.mistakes.sign import wrong_sign
from qed.why.mistakes.softmax import softmax_twice
from qed.why.mistakes.summed import summed
from qed.why.mistakes.unbounded import falls_without_bound
from qed.why.mistakes.warmup import no_warm_up
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
    too_large = bool({"QED401", "QED403"} & set(codes))
    checks: list[Callable[[], list[Answer[Any]]]] = [
        lambda: crosswise(case, flat, run),
        lambda: labels_of_the_wrong_kind(case, flat),
        lambda: softmax_over_rows(case, flat),
        lambda: softmax_twice(case, flat),
        lambda: log_minus_probability(case, flat),
        lambda: integer_arithmetic(case, flat),
        lambda: zero_gradient(case),
        lambda: dead_units(case, flat, run),
        lambda: wrong_sign(case, flat, run) or falls_without_bound(case, run) or rests_at_a_saddle(case, run),
        lambda: no_warm_up(case, run),
        lambda: lost_updates(case, run),
        lambda: vanishing_layers(case, run),
        lambda: decay_on_offsets(case, flat, run),
        lambda: [] if too_large else different_scales(case, run),
        lambda: summed(case, flat, run) if too_large else [],
        lambda: always_clipped(case, run),
        lambda: promoted(case, flat),
        lambda: same_key(case, flat),
        lambda: lost_digits(case, run),
        lambda: expected_loss(case, flat, run),
    ]
    found = [answer for check in checks for answer in check()]
    return sorted(found, key=lambda answer: all(finding.level == Level.NOTE for finding in answer.findings))
