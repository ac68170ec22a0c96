"""What a minimisation found, and what a point is found to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Ending(StrEnum):
    """What a point is to the function that was minimised there, or why the run ended where it did.

    Example:
        >>> Ending.SADDLE == "saddle"
        True
    """

    MINIMUM = "minimum"
    FLAT_MINIMUM = "flat_minimum"
    SADDLE = "saddle"
    MAXIMUM = "maximum"
    UNBOUNDED_BELOW = "unbounded_below"
    INFIMUM_NOT_ATTAINED = "infimum_not_attained"
    KINK = "kink"
    NOISE_FLOOR = "noise_floor"
    GRADIENT_WRONG = "gradient_wrong"
    STOP_GRADIENT = "stop_gradient"
    NONFINITE = "nonfinite"
    ILL_CONDITIONED = "ill_conditioned"
    BUDGET_SPENT = "budget_spent"
    NOT_STATIONARY = "not_stationary"
    UNDECIDED = "undecided"


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a point is.

    Args:
        kind: see `Ending`.
        fun: the value there.
        gradient: the length of the (projected) gradient, its largest part.
        noise: how much of the value is rounding.
        decrease: how much the quadratic model says f can still fall; NaN where it was not asked.
        direction: a tree like x along which something is said (f falls, the gradient is wrong), or None.
        lowest, highest: of the curvatures among the parameters that no bound holds; NaN where they were not asked.
    """

    kind: Ending
    fun: float
    gradient: float
    noise: float
    decrease: float = float("nan")
    direction: Any = None
    lowest: float = float("nan")
    highest: float = float("nan")


@dataclass(frozen=True)
class Multipliers:
    """How fast the least value moves with each bound: d f*/d lower = `lower`, d f*/d upper = -`upper`, both >= 0."""

    lower: Any
    upper: Any


@dataclass(frozen=True, eq=False)
class Solution:
    """What a minimisation found.

    Args:
        x: the point, a tree like the start.
        fun: the value there.
        gradient: there, a tree like x.
        multipliers: of the bounds.
        counts: values (each with its gradient), hessians, products, steps.
        reason: what the point is, an `Ending`.
        method: which method ran.
        verdict: the whole verdict.
    """

    x: Any
    fun: float
    gradient: Any
    multipliers: Multipliers
    counts: Mapping[str, int]
    reason: Ending
    method: str
    verdict: Verdict
