"""Where the value or the gradient stops being finite, as a part of the answer of `qed.backprop`.

The births are found by `qed.domains.born`: forward, the equation that makes NaN or inf of finite numbers; backward, the
equation that takes finite adjoints in and hands a non-finite one out. If the adjoint that came in is exactly zero,
the result does not use that value (a branch that `where` drops), and 0 * inf = NaN; otherwise the derivative itself is
not finite there.
"""

from __future__ import annotations

from typing import Any

from qed.answer import Answer, Finding, Reason, Standing
from qed.calculus.backpropagation.sweep import Sweep
from qed.domains.backward import record
from qed.domains.born import Birth, backward_births, bad, forward_births
from qed.domains.words import because, code_of, count_of, number, operands_of, spell, where


def answers(done: Sweep) -> list[Answer[None]]:
    """One answer for the first birth of a non-finite number that reaches value or gradient; none if all is finite."""
    if bad(done.value).any():
        return [_forward(done)]
    births = backward_births(done.found, done.function.traced.free)
    return [_backward(done, births)] if births else []


def _witness(birth: Birth) -> dict[str, Any]:
    return {
        "primitive": birth.primitive,
        "path": birth.entry.name,
        "phase": birth.phase,
        "result": birth.result,
        "index": list(birth.index),
        "operands": list(birth.operands),
        "cotangent": birth.cotangent,
        "loop_steps": list(birth.entry.frame.steps()),
        "note": count_of(birth),
    }


def _step(birth: Birth) -> str:
    steps = birth.entry.frame.steps()
    return f" (in loop step {', '.join(map(str, steps))}, counted from 0)" if steps else ""


def _forward(done: Sweep) -> Answer[None]:
    traced = done.function.traced
    tape = record(traced.graph, traced.leaves, traced.free, whole_custom_calls=False)
    lineage = forward_births(tape)
    claim = f"the value of {done.function.name} is finite"
    if not lineage.births:
        text = "the number that is not finite was handed in, or is a constant of the function"
        finding = Finding("QED210", f"the value is not finite, and no equation made it so: {text}", done.function.span)
        return Answer(claim, Standing.REFUTED, findings=(finding,), arithmetic=done.function.dtype)
    birth = lineage.births[0]
    finding = Finding(code_of(birth), spell(birth), birth.span, _witness(birth))
    reason = Reason(
        "followed back from the result",
        with_numbers=spell(birth),
        predicted="a finite number",
        observed=birth.result,
        span=birth.span,
        text=because(birth) + _step(birth),
    )
    return Answer(claim, Standing.REFUTED, reasons=(reason,), findings=(finding,), arithmetic=done.function.dtype)


def _backward(done: Sweep, births: tuple[Birth, ...]) -> Answer[None]:
    birth = births[0]
    code = code_of(birth)
    operands = [x for x in birth.operands if x is not None]
    texts = operands_of(birth)
    name = texts[0] if texts and len(texts[0]) <= 40 else "its operand"
    at = f"at {name} = {number(operands[0])}{where(birth)}" if operands else "here"
    if len(operands) > 1:
        at = f"at ({', '.join(number(x) for x in operands)}){where(birth)}"
    came = "a number" if birth.cotangent is None else number(birth.cotangent)
    if code == "QED103":
        text = f"masked: the derivative of {birth.primitive} {at} is not finite, and the result does not use that value"
        rule = f"adjoint in = 0, times a derivative that is not finite: 0 * inf = {birth.result}"
    elif code == "QED201":
        text = f"what comes back to {birth.primitive}, times its derivative {at}, leaves the range of the dtype"
        rule = f"adjoint in = {came}, adjoint out = {birth.result}"
    else:
        text = f"genuine: the derivative of {birth.primitive} {at} is not finite, though the value is"
        rule = f"adjoint in = {came}, times a derivative that is not finite = {birth.result}"
    finding = Finding(code, text, birth.span, {**_witness(birth), "masked": code == "QED103"})
    reason = Reason(
        "finite adjoint in, non-finite adjoint out",
        formula=f"u' = v' . d{birth.primitive}/du",
        with_numbers=rule,
        predicted="a finite number",
        observed=birth.result,
        span=birth.span,
        text=f"{text}{_step(birth)}",
    )
    then = Reason("the product with the local derivative", role="then", text=rule)
    return Answer(
        f"the gradient of {done.function.name} is finite",
        Standing.REFUTED,
        reasons=(reason, then),
        findings=(finding,),
        arithmetic=done.function.dtype,
    )
