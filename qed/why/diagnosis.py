"""The value of the answer to *why*: everything that was found, in plain fields."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from qed.answer import Advice, Answer, Finding


class Verdict(StrEnum):
    """What the run did."""

    HEALTHY = "healthy"
    NONFINITE = "nonfinite"
    DIVERGES = "diverges"
    MISTAKE = "mistake"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Diagnosis:
    """What `qed.why` found.

    Args:
        verdict: healthy, nonfinite, diverges (finite, but ends worse than a smaller step or than it began), mistake
            (the run is finite and falls, but the loss shows a known mistake) or undecided.
        answers: one answer per question asked, in the order of the text.
        findings: all findings, those that explain the others first.
        advice: what was tried, best first.
        losses: the loss of the user's own run, before the first step and after each.
        first_bad_step: how many updates had been made when the first non-finite number appeared, or None.
        steepest_curvature: the largest Hessian eigenvalue found at the start (an eigenvalue lies within
            `curvature_error` of it), or None.
        step_limit: the largest stable step of the step rule at the start, or None where no closed form is known.
        growth: by which factor one step multiplies an error along the stiffest direction.
        stiffest: (parameter, share) of the stiffest direction, largest first.
    """

    verdict: Verdict
    answers: tuple[Answer[Any], ...]
    findings: tuple[Finding, ...]
    advice: tuple[Advice, ...]
    losses: tuple[float, ...]
    first_bad_step: int | None = None
    steepest_curvature: float | None = None
    curvature_error: float | None = None
    step_limit: float | None = None
    growth: float | None = None
    stiffest: tuple[tuple[str, float], ...] = ()
