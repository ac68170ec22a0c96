"""What could help, tried: no advice leaves this file without the run that was made with it.

The remedies are combined from four changes: a stable form of the loss (an identity), a step below the local limit,
standardised data columns, a clipped gradient. Each runs from the user's own start for as many steps as the user's run,
and they are ranked by what happened.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.answer import Advice
from qed.span import Span
from qed.why.case import STEPS, Case
from qed.why.columns import Columns, feature_columns, standardised
from qed.why.pasted import pasted
from qed.why.stability import SAFETY, Judgement, rises
from qed.why.trial import Run
from qed.why.words import number

CLIP = 1.0


@dataclass(frozen=True, eq=False)
class Tried:
    """One remedy and its run.

    Args:
        what: the change in words; `patch` the same as code where it is one.
        run: what happened.
        form: the form of the loss.
        data: the data it ran on.
    """

    what: str
    run: Run
    form: str
    data: tuple[Any, ...] | None = None
    patch: str | None = None

    @property
    def helps(self) -> bool:
        """Whether the run is finite and ends lower than it began."""
        return self.run.failure is None and not rises(self.run)

    def advice(self) -> Advice:
        """The advice with its trial; a run that ends higher than it began is called useless."""
        useless = self.run.failure is None and rises(self.run)
        ends = "ends higher than it began"
        if useless and self.run.end <= self.run.start:
            ends = f"its last losses lie around {number(self.run.settled)}, higher than it began"
        what = f"{self.what} (useless: {ends})" if useless else self.what
        return Advice(what, patch=self.patch, trial=self.run.trial())


def stable_patch(case: Case, run: Run, first: Span | None = None) -> str | None:
    """The rewriting as code, a line for each change that shows; the change of the expression at `first` comes first.

    `run` is that of the loss as given: where its loss fails, and not its gradient, lengths overflow or vanish.
    """
    if case.rewritten is None:
        return None
    lines = []
    for change in sorted(case.rewritten.changes, key=lambda change: change.span != first):
        where = f"line {change.span.line}: " if change.span is not None else ""
        before = change.before if "..." not in change.before else _written(change.span) or change.before
        after = pasted(change.after, change.before, overflow=run.failure is not None and run.failure.where == "loss")
        line = f"{where}{before}  ->  {after}"
        if line not in lines and "".join(before.split()) != "".join(after.split()):
            lines.append(line)
    return "\n".join(lines) or None


def _written(span: Span | None) -> str:
    """What stands in the source under a span of one line."""
    if span is None or span.end_column is None or span.end_line not in (None, span.line):
        return ""
    return span.text[span.column : span.end_column]


def scaled_data(case: Case) -> tuple[tuple[Any, ...], str] | None:
    """The data with standardised feature columns and which arrays changed, or None where that does not apply."""
    prepared = case.prepared
    found: dict[int, Any] = {}
    for columns in feature_columns(prepared.graph, prepared.traced.free):
        value = standardised(prepared.traced.leaves[columns.position], columns)
        if value is not None:
            found[columns.position] = value
    if not found:
        return None
    data = tuple(found.get(i, prepared.traced.leaves[i]) for i in prepared.data_positions)
    return data, ", ".join(prepared.traced.paths[i] for i in found)


def feature_axes(case: Case) -> tuple[Columns, ...]:
    """The feature columns of the case."""
    return feature_columns(case.prepared.graph, case.prepared.traced.free)


def try_remedies(case: Case, given: Run, stable: Run | None, step: Judgement | None) -> list[Tried]:
    """Try what applies, best first."""
    tried = [item for item in _candidates(case, given, stable, step) if item.run.steps > 0]
    return sorted(tried, key=_rank)


def _rank(item: Tried) -> tuple[int, float, int]:
    if item.run.failure is not None:
        return (2, -item.run.steps, len(item.what))
    return (int(rises(item.run)), item.run.settled, len(item.what))


def _candidates(case: Case, given: Run, stable: Run | None, step: Judgement | None) -> Iterator[Tried]:
    form = "given" if stable is None else "rewritten"
    patch = stable_patch(case, given) if stable is not None else None
    prefix = "stable form" if stable is not None else ""
    rate = case.rule.rate
    keep = f"keep {rate:g}" if rate is not None else "keep the step"
    if stable is not None:
        yield Tried(f"stable form alone, {keep}", stable, form, patch=patch)
    if step is not None and step.smaller is not None:
        smaller, run = step.smaller
        words = f"step {smaller:.3g}" if rate is not None else f"{smaller:g} times the update"
        yield Tried(_and(prefix, words), run, form, patch=patch)
    needed = (stable if stable is not None else given).failure is not None or (
        step is not None and step.code in ("QED401", "QED403")
    )
    if not needed:
        return
    scaled = scaled_data(case)
    if scaled is not None and case.clock.left > 0:
        data, names = scaled
        run = case.run(form, "standardised columns", data=data, share=0.3)
        what = _and(prefix, f"standardise the columns of {names}, {keep}")
        yield Tried(what, run, form, data, patch)
        yield from _larger(case, form, data, what, run, patch)
    failure = (stable if stable is not None else given).failure
    if failure is not None and failure.step == 0:  # not finite before any step: no clipping can help
        return
    if case.clock.left > 0 and case.rule.is_gradient_descent:
        run = case.run(form, "clipped gradient", clip=CLIP, share=0.3)
        yield Tried(_and(prefix, f"clip the gradient norm to {CLIP:g}, {keep}"), run, form, patch=patch)


def _larger(case: Case, form: str, data: tuple[Any, ...], what: str, run: Run, patch: str | None) -> Iterator[Tried]:
    """After standardising, the limit at the start of the scaled problem, and a step just below it."""
    if (
        run.failure is not None
        or rises(run)
        or not case.rule.is_gradient_descent
        or case.clock.left < 0.2 * case.clock.budget
    ):
        return
    usable = "given" if np.isfinite(case.runner("given").value(case.prepared.parameters, data)) else form
    steep = case.steepness(usable, case.prepared.parameters, data)
    rate = case.rule.rate
    if steep.limit is None or rate is None or not math.isfinite(steep.limit) or steep.limit < 1.5 * rate:
        return
    bold = float(f"{SAFETY * steep.limit:.2g}")
    again = case.run(form, "a larger step", data=data, scale=bold / rate, share=0.3, steps=STEPS)
    words = what.replace(f"keep {rate:g}", f"step {bold:g} (limit there {steep.limit:.3g})")
    yield Tried(words, again, form, data, patch)


def _and(first: str, second: str) -> str:
    return f"{first} + {second}" if first else second
