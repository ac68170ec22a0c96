"""What qed can find, as one table of codes, and a finding: one row of it met at one place.

A code is QED and three digits; the hundred is the subject: 0xx use of qed itself, 1xx derivatives, 2xx
numbers, 3xx landscape, 4xx descent, 6xx probability. Its name says the phenomenon, never the cure, and a number
is never used again for something else. The level says whether the phenomenon stands against the run (error,
warning) or is merely worth knowing (note); it is no standing: how surely it was found is the business of the
answer that carries the finding.

A code is listed here only if something can emit it, and each has a page qed/codes/QEDnnn.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from qed.span import Span


class Level(StrEnum):
    """How much a finding weighs: error and warning stand against the run, a note does not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Code:
    """A row of the table.

    >>> CODES["QED201"].name, CODES["QED201"].level == "error"
    ('overflow', True)
    """

    code: str
    name: str
    level: Level
    title: str

    @property
    def is_use(self) -> bool:
        """Whether this is an error of use (0xx): qed could not run, which is exit code 2."""
        return self.code.startswith("QED0")


_ERROR, _WARNING, _NOTE = Level.ERROR, Level.WARNING, Level.NOTE

CODES: Mapping[str, Code] = {
    code.code: code
    for code in (
        Code("QED000", "no-such-target", _ERROR, "The file, or the name in it, does not exist."),
        Code("QED001", "import-failed", _ERROR, "The file raised an exception while it was imported."),
        Code("QED002", "not-scalar", _ERROR, "The loss does not return a single number."),
        Code("QED003", "not-float-parameters", _ERROR, "A parameter is not a floating-point number."),
        Code("QED004", "empty-parameters", _ERROR, "There is no parameter to differentiate by."),
        Code("QED005", "unknown-step-rule", _ERROR, "The step rule is not one that qed can read."),
        Code("QED006", "nonfinite-input", _ERROR, "The data or the parameters hold NaN or inf already."),
        Code("QED007", "wrong-call", _ERROR, "The call does not fit what it calls."),
        Code("QED009", "not-built-yet", _ERROR, "This version does not answer that yet."),
        Code("QED010", "not-traceable", _ERROR, "The function cannot be turned into a graph."),
        Code("QED011", "no-gradient-seen", _ERROR, "The script ran, and no gradient was seen."),
        Code("QED012", "import-trains", _ERROR, "The file trains while it is imported."),
        Code("QED013", "missing-extra", _ERROR, "What the question needs is a library that is not installed."),
        Code("QED014", "subnormals-flushed", _ERROR, "This process rounds the smallest numbers to zero."),
        Code("QED015", "changes-between-calls", _ERROR, "The function gives another value when it is called again."),
        Code("QED020", "no-rule", _ERROR, "A primitive has no rule in the domain that the question needs."),
        Code("QED021", "check-failed", _ERROR, "What was checked again did not come out as claimed."),
        Code("QED101", "gradient-disagrees", _ERROR, "A derivative rule is not the derivative of its function."),
        Code("QED102", "zero-gradient-path", _WARNING, "Every path from a parameter to the loss has derivative zero."),
        Code("QED103", "where-poisons-gradient", _ERROR, "A branch that `where` drops spoils the gradient."),
        Code("QED104", "nondifferentiable-point", _WARNING, "At this point the derivative does not exist."),
        Code("QED105", "check-below-precision", _WARNING, "Rounding hides whether a derivative rule is right."),
        Code("QED106", "dead-units", _WARNING, "A layer of rectified units is zero for every row of the data."),
        Code("QED107", "surrogate-gradient", _NOTE, "A gradient is not the derivative, on purpose."),
        Code("QED108", "latent-fault", _WARNING, "A wrong derivative rule that this gradient does not meet."),
        Code("QED201", "overflow", _ERROR, "A result is too large for its number format and becomes inf."),
        Code("QED202", "underflow", _WARNING, "A number that the result depends on is too small, and becomes 0."),
        Code("QED203", "cancellation", _WARNING, "Two near numbers are subtracted: their roundings are what is left."),
        Code("QED204", "nan-born", _ERROR, "An operation on finite or infinite numbers has no value: NaN."),
        Code("QED205", "log-of-zero", _ERROR, "A pole is hit: the logarithm of zero, or a division by zero."),
        Code("QED206", "absorbed-addition", _WARNING, "A number is added to one so large that nothing changes."),
        Code("QED207", "lost-in-a-sum", _WARNING, "The roundings of a long sum add up to digits that matter."),
        Code("QED208", "finite-and-wrong", _WARNING, "The result is finite, and most of its digits are wrong."),
        Code("QED209", "depends-on-compilation", _NOTE, "Compiled and uncompiled runs differ in kind here."),
        Code("QED210", "nonfinite-unlocated", _ERROR, "A number stops being finite; its equation is not known."),
        Code("QED211", "rows-against-columns", _WARNING, "Each prediction is compared with every label."),
        Code("QED212", "integer-arithmetic", _WARNING, "Integer arithmetic on the data loses their numbers."),
        Code("QED213", "promoted-to-double", _NOTE, "Parameters are float32, and the loss is computed in float64."),
        Code("QED302", "not-convex", _WARNING, "Between two points the function lies above its chord."),
        Code("QED303", "saddle", _WARNING, "The critical point is a saddle: the loss still falls in some direction."),
        Code("QED304", "flat-direction", _NOTE, "In some direction the loss does not bend at the critical point."),
        Code("QED306", "unbounded-below", _WARNING, "The loss falls faster and faster: it has no lower bound."),
        Code("QED307", "positive-blocks", _WARNING, "Each layer bends upward alone, and all together do not."),
        Code("QED401", "step-beyond-stability", _ERROR, "The step is too large: a smaller one ends lower."),
        Code("QED402", "beyond-local-limit", _NOTE, "The step exceeds a local limit, harmlessly here."),
        Code("QED403", "loss-rises", _WARNING, "The run ends higher than it began, unexplained."),
        Code("QED404", "noise-floor", _WARNING, "The updates are too small to change the parameters."),
        Code("QED405", "vanishing-chain", _WARNING, "One array of parameters hardly moves beside the others."),
        Code("QED406", "exploding-chain", _WARNING, "One array of parameters is thrown about beside the others."),
        Code("QED409", "sum-over-rows", _NOTE, "The loss is a sum over the rows, and the step too large for it."),
        Code("QED410", "runs-away", _ERROR, "Gradient and parameters grow by orders, and each step overshoots."),
        Code("QED411", "rewards-errors", _WARNING, "The loss is smallest where the errors are largest."),
        Code("QED412", "no-warm-up", _WARNING, "The first steps are too large; with a warm-up the run ends lower."),
        Code(
            "QED413", "decay-on-offsets", _WARNING, "Weight decay pulls norms and offsets to zero, to the run's harm."
        ),
        Code("QED414", "always-clipped", _NOTE, "The gradient is clipped at every step."),
        Code("QED415", "feature-scales", _WARNING, "The columns of the data are of very different scales."),
        Code("QED416", "batch-statistics", _WARNING, "A prediction depends on the rows evaluated beside it."),
        Code("QED417", "zigzag", _NOTE, "The steps go to and fro across a narrow valley."),
        Code("QED418", "uphill", _ERROR, "The steps go along the gradient, and not against it."),
        Code("QED419", "updates-not-applied", _WARNING, "The updates are computed, and the parameters stay."),
        Code("QED420", "state-starts-anew", _WARNING, "The optimiser forgets its state at each step."),
        Code("QED421", "plan-is-over", _WARNING, "The planned rate is 0 long before the run ends."),
        Code("QED422", "needlessly-small", _NOTE, "The step is so small that another one is five times as fast."),
        Code("QED423", "infimum-not-attained", _WARNING, "The loss falls on without end, and only towards a number."),
        Code("QED424", "ill-conditioned", _WARNING, "Curvatures are too far apart for the steps that were made."),
        Code("QED425", "stopped-short", _WARNING, "The run ended where the loss still falls."),
        Code("QED426", "values-are-rounded", _NOTE, "What is left to gain is below the rounding of the loss."),
        Code("QED503", "no-multipliers", _WARNING, "The constraints are degenerate at the point: they have no price."),
        Code("QED504", "infeasible", _WARNING, "Constraints are in conflict: none of the points tried satisfies all."),
        Code("QED505", "redundant-constraint", _NOTE, "A constraint follows from others: it can be left out."),
        Code("QED506", "no-interior", _WARNING, "No point is strictly inside the constraints: their prices are lost."),
        Code("QED507", "complementarity", _WARNING, "A constraint asks that products of nonnegative numbers be 0."),
        Code("QED601", "not-normalised", _ERROR, "Numbers that are no probabilities stand where a law is needed."),
        Code("QED602", "logarithms-as-probabilities", _ERROR, "Log-probabilities stand where probabilities belong."),
        Code("QED603", "density-as-logarithm", _ERROR, "A density stands where its logarithm belongs."),
        Code("QED604", "order-of-arguments", _ERROR, "The two laws are given in the order of another library."),
        Code("QED605", "mass-outside-support", _WARNING, "One law has mass where the other has none."),
        Code("QED606", "density-as-mass", _ERROR, "Values of a density stand where masses are needed."),
        Code("QED607", "softmax-of-softmax", _WARNING, "Softmax is applied to probabilities."),
        Code("QED608", "log-minus-probability", _WARNING, "A probability stands where its logarithm belongs."),
        Code("QED609", "key-used-twice", _NOTE, "Two draws of one shape are made from the same random key."),
        Code(
            "QED610", "wrong-kind-of-labels", _WARNING, "Class numbers stand where one-hot rows belong, or the reverse."
        ),
        Code("QED611", "draws-fitted", _NOTE, "A loss fits its own random draws, and is higher in expectation."),
        Code("QED612", "softmax-over-rows", _WARNING, "Softmax is taken along the rows, not along the classes."),
        Code("QED701", "hessian-does-not-fit", _NOTE, "The whole matrix of second derivatives would be too large."),
        Code("QED702", "directions-do-not-fit", _ERROR, "The vectors that the question needs do not fit into memory."),
        Code("QED703", "tape-is-not-kept", _NOTE, "What a Hessian product could keep does not fit into memory."),
    )
}


@dataclass(frozen=True)
class Finding:
    """A phenomenon of the table, met at a place, with the numbers that show it.

    `message` is one sentence about this case. `witness` is a JSON-able mapping with which it can be
    replayed; its entry "note", if there is one, is printed beside the carets. `level` comes from the table
    unless given.

    >>> finding = Finding("QED201", "exp overflows: inf in 178 of 178 rows", Span("train.py", 8))
    >>> finding.name, str(finding.level), str(finding)
    ('overflow', 'error', 'train.py:8: QED201 overflow: exp overflows: inf in 178 of 178 rows')
    >>> Finding("QED999", "no such row")
    Traceback (most recent call last):
    ValueError: no code 'QED999' in the table of qed/findings.py
    """

    code: str
    message: str
    span: Span | None = None
    witness: Mapping[str, Any] | None = field(default=None, hash=False)
    level: Level | None = None

    def __post_init__(self) -> None:
        if self.code not in CODES:
            msg = f"no code {self.code!r} in the table of qed/findings.py"
            raise ValueError(msg)
        level = CODES[self.code].level if self.level is None else Level(self.level)
        object.__setattr__(self, "level", level)
        if self.witness is not None:
            object.__setattr__(self, "witness", dict(self.witness))

    @property
    def name(self) -> str:
        """The name of the code, such as 'overflow'."""
        return CODES[self.code].name

    def __str__(self) -> str:
        """One line: place, code, name, message."""
        place = "" if self.span is None else f"{self.span}: "
        return f"{place}{self.code} {self.name}: {self.message}"
