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
from qed.errors import CertificateError, QedError
from qed.graph.function import Function
from qed.numerics.measuring.blame import Account, born
from qed.numerics.measuring.judge import Judged, leaf_of
from qed.numerics.measuring.reference import OPERATIONS, PRECISIONS, Enclosed


class Relation(StrEnum):
    """How what the gradient's program means stands to the derivative of the function."""

    SAME = "the derivative of the function"
    DIFFERS = "another function than the derivative"
    UNDEFINED = "undefined in real numbers, where the derivative of the function is not"
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
        point: the point as a tree where a box was searched; `tried` how many points were;
            `outside` how many numbers of the x that was given lie outside of the box.
        called: the value that a call of the function returns, judged, where it loses more than the run.
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
    outside: int = 0
    called: Judged | None = None


def compared(question: Question) -> Question:
    """The same with the gradient judged against the derivative of the function, where that can be enclosed."""
    gradient, function = question.gradient, question.function
    if gradient is None or gradient.run is None or len(function.graph.outputs) != 1:
        return question
    assert question.value.run is not None
    if function.graph.outputs[0].shape != () or function.size * question.value.run.operations > OPERATIONS / 4:
        return question
    if gradient.enclosed is None and "undefined" not in gradient.missing:
        return question
    bits = PRECISIONS[0] if gradient.enclosed is None else gradient.enclosed.bits
    try:
        rows = partials(function.traced, bits)
    except (CertificateError, QedError):
        return question
    if gradient.enclosed is None:
        return replace(question, gradient=_against(gradient, rows, bits), relation=Relation.UNDEFINED)
    if _meet(rows, gradient.enclosed, gradient.outputs):
        return replace(question, relation=Relation.SAME)
    if intended(function):
        return replace(question, on_purpose=True)
    return replace(question, gradient=_against(gradient, rows, bits), relation=Relation.DIFFERS)


def _against(gradient: Judged, rows: list[list[Any]], bits: int) -> Judged:
    """The gradient judged by the partial derivatives of the function."""
    assert gradient.run is not None
    results = gradient.run.results
    arrays: list[Any] = [None] * len(results)
    for k, row in zip(gradient.outputs, rows, strict=True):
        found = np.empty(len(row), object)
        found[:] = row
        arrays[k] = found.reshape(np.shape(results[k]))
    truth = Enclosed(tuple(arrays), bits)
    paths = [leaf.path for leaf in gradient.leaves]
    judged = [leaf_of(path, results[k], truth, k, True) for k, path in zip(gradient.outputs, paths, strict=True)]
    worst = max(range(len(judged)), key=lambda i: judged[i][0].bits_lost or 0.0)
    births = born(gradient.run, gradient.outputs[worst])
    return replace(
        gradient,
        leaves=tuple(leaf for leaf, _ in judged),
        bounds=tuple(ends for _, ends in judged),
        worst=worst,
        account=Account(births) if births else gradient.account,
        reference="ball",
        missing="",
        enclosed=truth,
    )


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
