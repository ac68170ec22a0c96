"""One array of parameters that hardly moves beside the others: the vanishing gradient.

The gradient of an early layer is a product of the derivatives of all layers behind it, and a product of numbers below 1
shrinks geometrically. The pace of an array is |change| / |weights| of a step. It lags where it is below a millionth,
below a ten thousandth of the fastest array's, and its gradient (over its weights) is as far behind: rules that divide
by the size of the gradient make up for the last, and then nothing lags.

It is told where an array lags at the first step, and has not moved by more than a millionth of itself a step when the
run ended: at that point all gradients may be small.

Reference: Hochreiter, Bengio, Frasconi and Schmidhuber, *Gradient flow in recurrent nets*, 2001.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qed.answer import Answer, Finding, Reason, Standing
from qed.why.case import Case
from qed.why.trial import Run
from qed.why.words import number, plural

SLOW, FAR = 1e-6, 1e-4
"""A pace that is slow in itself, and one that is slow beside the fastest."""
FEWEST, LEAST = 3, 16
"""How many arrays are compared at least, and how many numbers each holds at least."""


def lags(pace: np.ndarray, pull: np.ndarray, i: int) -> bool:
    """Whether array i moves far slower than the fastest other, and is pulled as much less.

    Args:
        pace: |change| / |weights| of each array.
        pull: |gradient| / |weights| of each array.
        i: which.

    >>> lags(np.array([1e-9, 1e-3, 1e-3]), np.array([1e-8, 1e-2, 1e-2]), 0)
    True
    """
    others = float(np.delete(pace, i).max()), float(np.delete(pull, i).max())
    return bool(pace[i] < min(SLOW, FAR * others[0]) and 0 < pull[i] < FAR * others[1])


def vanishing_layers(case: Case, run: Run) -> list[Answer[Any]]:
    """An array of parameters that does not learn (QED405), at the first step and at the last."""
    prepared = case.prepared
    large = [k for k, p in enumerate(prepared.parameters) if p.ndim >= 2 and p.size >= LEAST]
    last = run.last
    if prepared.rule is None or run.failure is not None or last is None or last.step < 1 or len(large) < FEWEST:
        return []
    if case.clock.left <= 0:
        return []
    start = _paces(case, large)
    if start is None:
        return []
    for i, k in enumerate(large):
        way = _distance(prepared.parameters[k], last.parameters[k])
        if lags(*start, i) and way < SLOW * last.step:
            return [_answer(case, last.step, prepared.paths[k], start[0], way, i)]
    return []


def _distance(start: Any, end: Any) -> float:
    """|end - start| / |start|."""
    a, b = (np.asarray(x).astype(np.float64) for x in (start, end))
    return float(np.linalg.norm(b - a) / np.linalg.norm(a))


def _paces(case: Case, large: list[int]) -> tuple[np.ndarray, np.ndarray] | None:
    """(|change| / |weights|, |gradient| / |weights|) of the first step; None where that is not known."""
    parameters = case.prepared.parameters
    gradient = case.curvature("given").gradient(parameters, case.prepared.data)
    change = case.runner("given").update(parameters, case.prepared.data)

    def sizes(arrays: Sequence[Any]) -> np.ndarray:
        return np.array([float(np.linalg.norm(np.asarray(arrays[k]).astype(np.float64))) for k in large])

    weights, moved, pulled = sizes(parameters), sizes(change), sizes(gradient)
    if not (weights > 0).all() or not np.isfinite(moved).all() or not np.isfinite(pulled).all():
        return None
    return moved / weights, pulled / weights


def _answer(case: Case, steps: int, path: str, start: np.ndarray, way: float, i: int) -> Answer[Any]:
    fastest = float(np.delete(start, i).max())
    times = f"{fastest / float(start[i]):.3g} times" if start[i] else "infinitely far"
    pace = f"its first step is {number(float(start[i]))} of its weights, {times} below the fastest array's"
    text = f"{path} does not learn: {pace}, and {plural(steps, 'step')} move it by {number(way)}"
    reason = Reason(
        "|change| / |weights| of the first step and of the whole run",
        formula="dL/dW_1 = dL/dy J_n ... J_2 dh_1/dW_1",
        text=f"{pace}; its gradient is as far behind. In {plural(steps, 'step')} it moves by {number(way)} of itself",
        predicted=f"within {FAR:g} of the fastest",
        observed=float(start[i] / fastest),
        standing=Standing.MEASURED,
    )
    witness = {"leaf": path, "ratio": float(start[i]), "others": fastest, "way": way}
    return Answer(
        "all arrays of parameters learn at a like pace",
        Standing.REFUTED,
        arithmetic=case.prepared.dtype,
        reasons=(reason,),
        findings=(Finding("QED405", text, None, witness),),
    )
