"""What is proved of an integral over a box in few dimensions: the search, the certificate, the answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.answer import Answer, Enclosed, Reason
from qed.calculus.bounding.boxes import Gap
from qed.certificates.box_integral import BoxIntegral, exponential
from qed.errors import CertificateError
from qed.graph.trace import Traced
from qed.graph.walk import TooLong
from qed.integration.many.boxes import Search
from qed.integration.many.constants import with_room
from qed.integration.many.subject import Question
from qed.integration.words import within
from qed.standing import Standing

Array = np.ndarray
DIMENSIONS = 3
"""In more dimensions boxes are not cut."""
HOPED = 1e-5
"""How wide the bounds are asked to be to each side, in parts of the value,"""
OF_SIZE = 1e-6
"""or in parts of what was added up."""
GRID = 33
"""Points a side of the grid on which the largest log-density is looked for."""
SEARCHING = 0.5
"""The share of the budget that a search may take; its verification takes about as long."""


@dataclass(frozen=True)
class Proved:
    """A certificate that was verified, or why there is none."""

    certificate: BoxIntegral | None
    problem: str = ""

    @property
    def half_width(self) -> float:
        """How far the bounds lie from the value; infinite where nothing is proved."""
        return np.inf if self.certificate is None else (self.certificate.upper - self.certificate.lower) / 2

    @property
    def value(self) -> float:
        """The middle of the bounds."""
        assert self.certificate is not None
        return self.certificate.lower / 2 + self.certificate.upper / 2


def by_boxes(question: Question) -> Proved:
    """Bounds of the integral by subdivision, where the measure is uniform on a box of few dimensions."""
    box = question.box()
    if box is None:
        return Proved(None, "the measure is not uniform on a finite box")
    low, high, density = box
    if len(low) > DIMENSIONS:
        return Proved(None, f"boxes are cut in at most {DIMENSIONS} dimensions")
    subject = question.subject
    traced = subject.traced()
    shift = 0.0
    if question.logarithm:
        shift = largest(traced, low, high)
        if not np.isfinite(shift):
            return Proved(None, "no finite log-density was found")
    try:
        found = Search(exponential(traced, shift) if question.logarithm else traced, low, high).run(
            _goal(question, float(density)), time.monotonic() + SEARCHING * question.budget
        )
        if not np.isfinite(found.half_width):
            return Proved(None, "on some cell the function is not bounded, or not defined")
        first = BoxIntegral.on_box(
            subject, ([low], [high]), tree=found.tree, weight=str(density), logarithm=question.logarithm, shift=shift,
            lower=0.0, upper=0.0,
        )  # fmt: skip
        lower, upper = first.enclosed(traced)
    except Gap as gap:
        return Proved(None, str(gap.unknown))
    except (CertificateError, TooLong) as lost:
        return Proved(None, str(lost))
    ends = found.lower * float(density), found.upper * float(density)
    if not question.logarithm and not (lower <= ends[1] and ends[0] <= upper):
        return Proved(None, "two enclosures of it do not meet")
    lower, upper = with_room(question, traced, lower, upper)
    return Proved(BoxIntegral.on_box(subject, ([low], [high]), **_content(first), lower=lower, upper=upper))


def _content(made: BoxIntegral) -> dict[str, Any]:
    return {name: getattr(made, name) for name in ("tree", "weight", "logarithm", "shift")}


def _goal(question: Question, density: float) -> Any:
    """How wide the bounds may be to each side, of the integral without the measure's density."""

    def goal(value: float, size: float) -> float:
        if question.tol is not None:
            return question.tol * (max(value, 0.0) if question.logarithm else 1.0 / density) * 0.99
        return max(HOPED * abs(value), OF_SIZE * size)

    return goal


def largest(traced: Traced, low: Array, high: Array) -> float:
    """About the largest value of u on a box, by a grid and local ascent; NaN where none is finite."""
    from qed.integration.many.modes import ascended, batched

    u = batched(traced, 0)
    side = max(3, int(GRID if len(low) < 3 else GRID // 2))
    axes = [a + (b - a) * (np.arange(side) + 0.5) / side for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape((-1, len(low)))
    values = u(grid)
    values = np.where(np.isfinite(values), values, -np.inf)
    best = np.argsort(-values)[:4]
    tops = [ascended(u, grid[k], low, high) for k in best if values[k] > -np.inf]
    return max((value for _, value in tops), default=np.nan)


def told(question: Question, proved: Proved) -> Answer[float]:
    """The answer of a proof."""
    certificate = proved.certificate
    assert certificate is not None
    lower, upper = certificate.lower, certificate.upper
    cells = sum(node < 0 for node in certificate.tree)
    rule = f"the midpoint rule with its remainder, or the range, on {cells} cells"
    formula = "∫ f dx ∈ V (f(m) + Σ hᵢ² ∂ᵢᵢf(X) / 6)"
    says = f"has its logarithm in [{lower!r}, {upper!r}]" if question.logarithm else f"lies in [{lower!r}, {upper!r}]"
    return Answer(
        question.claim(says),
        Standing.PROVED,
        proved.value,
        arithmetic="reals",
        error=Enclosed(lower, upper),
        reasons=(Reason(rule, formula, standing=Standing.PROVED, text=rule),),
        certificate=certificate,
        headline=f"{question.noun} is {within(lower, upper)}.",
        subject=question.function.title(),
    )
