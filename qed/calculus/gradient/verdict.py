"""The verdicts on a gradient, and what a check returns.

Seven words, because a difference between a derivative and its rule has seven meanings, and only one of them is a
mistake in the rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from qed.span import Span


class GradientVerdict(StrEnum):
    """What was found; equal to its own text, ``GradientVerdict.KINK == 'kink'``."""

    AGREES = "agrees"
    """The rule is the derivative of its body, to the stated tolerance."""
    DISAGREES = "disagrees"
    """It is not, at a point where the derivative exists: the gradient is wrong."""
    KINK = "kink"
    """The slopes from the two sides differ here; the gradient lies between them."""
    NONFINITE = "nonfinite"
    """The value is finite and the derivative is not."""
    SURROGATE = "surrogate"
    """Not the derivative, on purpose: declared, or recognised by its form."""
    LATENT = "latent"
    """A fault where this gradient does not pass: in a branch not taken, or under a rule that replaces it."""
    UNDECIDED = "undecided"
    """The difference is within what rounding, or the error bar of a difference quotient, explains."""


@dataclass(frozen=True)
class Culprit:
    """One place where a derivative is not that of its function.

    Args:
        verdict: what it is.
        primitive: the call, such as 'custom_vjp_call' or 'stop_gradient'.
        name: the function's name.
        span: the line of the call.
        rule_span: the line where the rule is defined.
        path: the calls that lead there, such as ``scan[3]/remat/custom_vjp_call``.
        step: the loop step (a tuple of them in nested loops), counted from 0; None outside of loops.
        branch: the branch of the innermost cond around it, or None.
        coordinate: the entry of the operand in which the derivative is taken, () for a scalar.
        operand: which operand that is.
        output: the entry of the result.
        expected: the derivative there; `found` is what the rule says.
        tolerance: how large a difference float64 explains there.
        slopes: at a kink the slopes from both sides.
        why: one sentence.
        order: 1, or 2 where only the derivative of the rule is wrong.
        jump: where the value jumps, the least and the greatest of the values there.
        tied: whether no rule is to blame but a tie, by which a branch is taken at this point only.
        infinite: whether the slope grows without an end toward the point.
    """

    verdict: GradientVerdict
    primitive: str
    name: str
    span: Span | None = None
    rule_span: Span | None = None
    path: str = ""
    step: int | tuple[int, ...] | None = None
    branch: int | None = None
    coordinate: tuple[int, ...] = ()
    operand: int = 0
    output: tuple[int, ...] = ()
    expected: float | None = None
    found: float | None = None
    tolerance: float | None = None
    slopes: tuple[float, float] | None = None
    why: str = ""
    order: int = 1
    jump: tuple[float, float] | None = None
    tied: bool = False
    infinite: bool = False

    @property
    def loop_steps(self) -> tuple[int, ...]:
        """The loop steps, outermost first; () outside of loops."""
        if self.step is None:
            return ()
        return self.step if isinstance(self.step, tuple) else (self.step,)

    @property
    def relative_difference(self) -> float | None:
        """The distance of the two numbers over the size of the expected one; infinite where zero was expected."""
        if self.found is None or self.expected is None:
            return None
        gap = abs(self.found - self.expected)
        return gap / abs(self.expected) if self.expected else (float("inf") if gap else 0.0)


@dataclass(frozen=True)
class GradientCheck:
    """What a check of a gradient found.

    Args:
        verdict: the worst of all places.
        culprits: the places that do not simply agree, the worst first.
        checked: how many comparisons of rules were made (every loop step and branch counts).
        rules: how many different calls with a rule of the user's there are.
        agreeing: how many of them are the derivative of their function wherever they are called.
        stops: how many stop_gradients there are.
        tolerance: the relative difference up to which an element agrees.
        relative_error: for each parameter array the relative error of its whole gradient, in the Euclidean norm.
        rounding: the relative distance of the gradient as computed to that of the same program in float64.
        order: 1, or 2 where second derivatives were compared too.
        seed: of the directions.
    """

    verdict: GradientVerdict
    culprits: tuple[Culprit, ...] = ()
    checked: int = 0
    rules: int = 0
    agreeing: int = 0
    stops: int = 0
    tolerance: float = 1e-9
    relative_error: Mapping[str, float] = field(default_factory=dict)
    rounding: float | None = None
    order: int = 1
    seed: int = 0

    @property
    def gradient_error(self) -> float | None:
        """The largest relative error of a parameter array's gradient."""
        return max(self.relative_error.values(), default=None)


WORST = (
    GradientVerdict.DISAGREES,
    GradientVerdict.NONFINITE,
    GradientVerdict.UNDECIDED,
    GradientVerdict.SURROGATE,
    GradientVerdict.KINK,
    GradientVerdict.LATENT,
    GradientVerdict.AGREES,
)


def worst(verdicts: Any) -> GradientVerdict:
    """The verdict on the whole.

    Example:
        >>> worst(["kink", "agrees"]).value, worst([]).value
        ('kink', 'agrees')
    """
    given = [GradientVerdict(verdict) for verdict in verdicts]
    return min(given, key=WORST.index, default=GradientVerdict.AGREES)
