"""Functions that change by steps only: shares of right answers, ranks, counts; a derivative is 0 wherever there is one.

The gradient of the share of rows with argmax(scores) = label is 0, and tells neither a minimum nor anything else. So
where every path to the value leads through a comparison, a rounding or a place (`qed.domains.felt`), points around are
asked whether f differs there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from qed.answer import Answer
from qed.domains.felt import Cut, Flow, State
from qed.findings import Finding
from qed.graph.graph import Equation
from qed.optimization.edges import places_of
from qed.optimization.held import held
from qed.optimization.point import Judged, around, as_tree
from qed.optimization.solution import Ending, Verdict

DISTANCES = (1.0, 1e-2)
"""How far from the point it is looked, relative to its size."""
AXES, RANDOM = 20, 20
"""Along how many axes at most, and in how many random directions."""
ALONE = 4
"""How many equations are asked alone whether they are why."""


def by_steps_only(case: Judged) -> Answer[Verdict] | None:
    """The answer that f changes by steps only around a point; None where a gradient is not 0, or f is the same."""
    if np.any(case.here.g):
        return None
    cuts = _cuts(case)
    if not cuts:
        return None
    size = max(1.0, float(np.linalg.norm(case.here.x)))
    seen = []
    for way in around(len(case.here.x), RANDOM, case.seed, AXES):
        for move in (sign * t * size * way / np.linalg.norm(way) for t in DISTANCES for sign in (1.0, -1.0)):
            seen.append(case.objective.at(case.bounds.project(case.here.x + move)))
            if not seen[-1].finite or np.any(seen[-1].g):
                return None
    values = sorted({case.here.f, *(one.f for one in seen)})
    if values[-1] - values[0] <= _rounded(case, values[-1]):
        return None
    lowest, points = min(seen, key=lambda one: one.f), [one.x for one in seen]
    alone = ([cut.equation] for cut in cuts[: ALONE if len(cuts) > 1 else 0])
    blamed = next((one for one in alone if _explain(case, points, one)), [cut.equation for cut in cuts])
    text = (
        f"No gradient passes {' and '.join(places_of(blamed)[:3])}: it is 0 here and at all of {len(seen)} points "
        f"around, where f takes {len(values)} values, from {values[0]:.6g} to {values[-1]:.6g}, and {case.here.f:.6g} "
        "here. No method that uses gradients moves x."
    )
    answer = case.says(Ending.STOP_GRADIENT, text, direction=as_tree(case, lowest.x - case.here.x))
    return replace(answer, findings=(Finding("QED102", text, blamed[0].span),))


def _cuts(case: Judged) -> list[Cut]:
    """The equations at which all paths from the parameters to the value lose their derivative; none if one does not."""
    traced = case.objective.function.traced
    flow = Flow(len(traced.free))
    inputs = [State(1 << flow.count) for _ in traced.graph.inputs]
    for k, position in enumerate(traced.free):
        inputs[position] = State(1 << k, 1 << k, 1 << k, 1 << k)
    out = flow.run(traced.graph, inputs)[0]
    return [] if out.open else [cut for cut in flow.cuts.values() if out.uses & cut.bit]


def _explain(case: Judged, points: Sequence[np.ndarray], steps: Sequence[Equation]) -> bool:
    """Whether f is the same at all points with some equations held as they are."""
    values = held(case.objective, case.here.x, points, steps)
    return values is not None and bool(np.all(np.abs(values - values[0]) <= _rounded(case, float(values[0]))))


def _rounded(case: Judged, f: float) -> float:
    """How far values may lie apart by rounding; what a step does to neighbouring floats is none."""
    return 8 * case.objective.noise(max(abs(f), abs(case.here.f)))
