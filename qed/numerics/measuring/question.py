"""The question that `qed.precision` asks, with what was found: the value judged, the gradient judged, and their truth.

The gradient's own graph means one thing in real numbers, the derivative of the function may be another: a rule of the
user's that is wrong, or an intended surrogate. Which it is, is decided here by balls of the partial derivatives of the
function itself (`qed.certificates.digits.partials`), where there are few enough of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from qed.calculus.gradient.surrogate import is_marked
from qed.certificates.digits import partials
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.function import Function
from qed.numerics.measuring.judge import Judged, leaf_of
from qed.numerics.measuring.reference import OPERATIONS, Enclosed


class Relation(StrEnum):
    """How what the gradient's program means stands to the derivative of the function."""

    SAME = "the derivative of the function"
    DIFFERS = "another function than the derivative"
    UNKNOWN = "not compared with the derivative of the function"


@dataclass(frozen=True, eq=False)
class Question:
    """What was asked and found.

    Args:
        function: the function at the point; `at` the point as a tree, `args` the data.
        value: the value, judged; `gradient` the gradient, or None where JAX has none, and `problem` says why.
        threshold: how many bits may be lost.
        relation: what the gradient's truth is.
        on_purpose: whether the gradient is no derivative, and a stop_gradient or a marked surrogate says so.
        point: the point as a tree where a box was searched; `tried` how many points were.
    """

    function: Function
    at: Any
    args: tuple[Any, ...]
    value: Judged
    gradient: Judged | None
    problem: str
    threshold: float
    relation: Relation = Relation.UNKNOWN
    on_purpose: bool = False
    point: Any = None
    tried: int = 1
    seed: int = 0


def compared(question: Question) -> Question:
    """The same with the gradient judged against the derivative of the function, where that can be enclosed."""
    gradient, function = question.gradient, question.function
    if gradient is None or gradient.enclosed is None or gradient.run is None or len(function.graph.outputs) != 1:
        return question
    assert question.value.run is not None
    if function.graph.outputs[0].shape != () or function.size * question.value.run.operations > OPERATIONS / 4:
        return question
    try:
        rows = partials(function.traced, gradient.enclosed.bits)
    except CertificateError:
        return question
    if _meet(rows, gradient.enclosed, gradient.outputs):
        return replace(question, relation=Relation.SAME)
    if intended(function):
        return replace(question, on_purpose=True)
    arrays: list[Any] = list(gradient.enclosed.balls)
    for k, row in zip(gradient.outputs, rows, strict=True):
        found = np.empty(len(row), object)
        found[:] = row
        arrays[k] = found.reshape(arrays[k].shape)
    truth = Enclosed(tuple(arrays), gradient.enclosed.bits)
    results = gradient.run.results
    judged = [
        leaf_of(leaf.path, results[k], truth, k, True)
        for k, leaf in zip(gradient.outputs, gradient.leaves, strict=True)
    ]
    worst = max(range(len(judged)), key=lambda i: judged[i][0].bits_lost or 0.0)
    against = replace(
        gradient,
        leaves=tuple(leaf for leaf, _ in judged),
        bounds=tuple(ends for _, ends in judged),
        worst=worst,
        enclosed=truth,
    )
    return replace(question, gradient=against, relation=Relation.DIFFERS)


def intended(function: Function) -> bool:
    """Whether the program itself says that its gradient is not to be the derivative."""
    return any(
        equation.primitive == "stop_gradient" or is_marked(str(getattr(equation.call, "name", "")))
        for equation in function.graph.walk()
    )


def _meet(rows: list[list[Any]], found: Enclosed, outputs: tuple[int, ...]) -> bool:
    """Whether two enclosures of the same numbers meet everywhere."""
    with precision(found.bits):
        return all(
            all(a.overlaps(b) for a, b in zip(row, found.balls[k].ravel(), strict=True))
            for k, row in zip(outputs, rows, strict=True)
        )
