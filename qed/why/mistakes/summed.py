"""A loss that is a sum over the rows and not their mean, in a run whose step is too large.

The gradient of a sum over n rows is n times that of their mean, and so is the curvature: the largest stable step
2 / lambda_max is n times smaller, and shrinks with every row that is added. A sum is a legitimate loss; it is named
only beside a step that was found too large, as a reason for it, and the mean is tried.

For gradient descent, with momentum or without, the mean at the same step is the sum at the step divided by n. That is
the run that is made.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qed.answer import Advice, Answer, Finding, Reason, Standing
from qed.graph.graph import Equation, Variable
from qed.why.case import Case
from qed.why.mistakes.flat import SAME, Flat, literal
from qed.why.trial import Run
from qed.why.words import number, plural

_PLAIN = (0.5, 1.0, 2.0, -1.0)
_ENDS = frozenset({"square", "integer_pow", "abs"})


def summed(case: Case, flat: Flat, run: Run) -> list[Answer[Any]]:
    """The sum over the rows that is the loss, where the mean ends lower (QED409)."""
    rows, prepared = case.prepared.rows, case.prepared
    if rows is None or not case.rule.is_gradient_descent or case.clock.left <= 0:
        return []
    total = _total(flat, rows)
    if total is None or flat.on_data(total.inputs[0]) == 0:
        return []
    tried = case.run("given", "the mean in place of the sum", scale=1.0 / rows, share=0.3)
    if tried.failure is not None or tried.steps == 0 or tried.settled >= tried.start:
        return []
    if run.failure is None and run.settled <= tried.settled:
        return []
    text = f"the loss is a sum over {plural(rows, 'row')}: gradient and curvature are {rows} times those of the mean"
    finding = Finding("QED409", text, total.span, {"rows": rows})
    reason = Reason(
        "a sum of n terms",
        formula="grad sum = n grad mean",
        text=f"divided by {rows} the same step takes the sum from {number(tried.start)} to {number(tried.settled)}",
        predicted="lower",
        observed=tried.settled,
        standing=Standing.MEASURED,
    )
    return [
        Answer(
            "the loss was searched for a division by the number of rows",
            Standing.MEASURED,
            arithmetic=prepared.dtype,
            reasons=(reason,),
            findings=(finding,),
            advice=(Advice(f"average the loss over its {rows} rows (divide by {rows})", trial=tried.trial()),),
        )
    ]


def _total(flat: Flat, rows: int) -> Equation | None:
    """The sum over the rows that is the whole loss but for plain factors, if squares or absolute values are summed."""
    atom = flat.graph.outputs[0]
    for _ in range(16):
        equation = flat.maker(atom)
        if equation is None:
            return None
        if equation.primitive == "reduce_sum":
            break
        if equation.primitive in ("mul", "div"):
            factors = [literal(each) for each in equation.inputs]
            plain = [k for k, factor in enumerate(factors) if factor is not None and abs(factor) in _PLAIN]
            if len(plain) != 1 or (equation.primitive == "div" and plain != [1]):
                return None
            atom = equation.inputs[1 - plain[0]]
        elif equation.primitive in SAME | {"neg"}:
            atom = equation.inputs[0]
        else:
            return None
    else:
        return None
    operand = equation.inputs[0]
    whole = set(equation.params["axes"]) == set(range(len(operand.shape)))
    if not whole or not operand.shape or operand.shape[0] != rows or int(np.prod(operand.shape)) > 64 * rows:
        return None
    last = flat.maker(operand)
    square = last is not None and (
        last.primitive in _ENDS or (last.primitive == "mul" and last.inputs[0] is last.inputs[1])
    )
    return equation if square and last is not None and _unweighted(flat, last.inputs[0]) else None


def _unweighted(flat: Flat, atom: Any) -> bool:
    """Whether what is squared is a difference, and not a product with weights of the rows."""
    made = flat.maker(atom)
    return isinstance(atom, Variable) and made is not None and made.primitive in ("sub", "add", "dot_general")
