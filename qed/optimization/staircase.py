"""Functions that change by steps only: shares of right answers, ranks, counts; a derivative is 0 wherever there is one.

The gradient of the share of rows with argmax(scores) = label is 0, and tells neither a minimum nor anything else. So
where a gradient is 0, points around are asked: where it is 0 at all of them, f differs, and f with its comparisons,
places and roundings held as they are at the point does not, these are why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from qed.answer import Answer
from qed.findings import Finding
from qed.graph.graph import Atom, Equation
from qed.optimization.edges import is_step, places_of
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
    steps = list({id(e): e for e in case.objective.function.graph.walk() if _is_step(e)}.values())
    if not steps:
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
    points = [one.x for one in seen]
    alone = ([step] for step in steps[: ALONE if len(steps) > 1 else 0])
    blamed = next((part for part in (*alone, steps) if _explain(case, points, part)), None)
    if blamed is None:
        return None
    lowest = min(seen, key=lambda one: one.f)
    text = (
        f"No gradient passes {' and '.join(places_of(blamed)[:3])}: it is 0 here and at all of {len(seen)} points "
        f"around, where f takes {len(values)} values, from {values[0]:.6g} to {values[-1]:.6g}, and {case.here.f:.6g} "
        "here. No method that uses gradients moves x."
    )
    answer = case.says(Ending.STOP_GRADIENT, text, direction=as_tree(case, lowest.x - case.here.x))
    return replace(answer, findings=(Finding("QED102", text, blamed[0].span),))


def _is_step(equation: Equation) -> bool:
    """Whether a result is a step function: a rounded number, or a place, a count or a truth about floating numbers."""
    made = any(not _floats(atom) for atom in equation.outputs) and any(_floats(atom) for atom in equation.inputs)
    return is_step(equation) or (made and equation.call is None)


def _floats(atom: Atom) -> bool:
    return bool(jnp.issubdtype(atom.dtype, jnp.inexact))


def _explain(case: Judged, points: Sequence[np.ndarray], steps: Sequence[Equation]) -> bool:
    """Whether f is the same at all points with some steps held as they are."""
    values = held(case.objective, case.here.x, points, steps)
    return values is not None and bool(np.all(np.abs(values - values[0]) <= _rounded(case, float(values[0]))))


def _rounded(case: Judged, f: float) -> float:
    """How far values may lie apart by rounding; what a step does to neighbouring floats is none."""
    return 8 * case.objective.noise(max(abs(f), abs(case.here.f)))
