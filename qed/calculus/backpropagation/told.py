"""The answer of `qed.backprop` in words: the first sentence, the tables, and the parts about rules and cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qed.answer import Answer, Missing, Reason, Standing
from qed.calculus.backpropagation import listing, reach, worked
from qed.calculus.backpropagation.reach import Reach
from qed.calculus.backpropagation.tape import Operations, Tape
from qed.calculus.backpropagation.worked import four
from qed.domains.words import plural
from qed.graph.function import Function

_FEW_STAGES = 4


def subject(function: Function) -> str:
    """The title line: the function, its place, how many parameters."""
    return function.title("parameter")


def headline(
    tape: Tape, name: str, bad: Sequence[Answer[Any]], reaches: Sequence[Reach], agreement: Answer[Any]
) -> str:
    """The one plain sentence."""
    if bad:
        finding = bad[0].findings[0]
        what = "value" if "value" in bad[0].claim else "gradient"
        place = "" if finding.span is None else f" at {finding.span}"
        return f"The {what} of {name} is not finite; it is born{place}: {finding.message}."
    if tape.rules:
        worst = max(tape.rules, key=lambda rule: rule.error)
        share = "infinitely" if worst.error == float("inf") else f"by {100 * worst.error:.3g} %"
        hit = sum(not error == 0 for error in worst.reached.values())
        return (
            f"The rule of {worst.name} differs from the derivative of its body {share}; the gradients of {hit} of "
            f"{plural(len(worst.reached), 'parameter array')} inherit it."
        )
    wrong = next((each for each in reaches if each.certain), None)
    wrong = wrong or next((each for each in reaches if each.kind in ("vanishes", "explodes", "stops")), None)
    same = ", equal to jax.grad" if agreement.measured and "jax.grad" in agreement.claim else ""
    if wrong is not None:
        verb = {"vanishes": "vanishes", "explodes": "explodes", "stops": "stops"}[wrong.kind]
        text = reach.sentence(wrong)
        return f"The gradient of {name} {verb} on its way back: {text}."
    if not tape.lines and all(each.gradient.norm == 0 for each in tape.parameters):
        return f"No differentiable equation leads from {name} back to its parameters: the gradient is zero{same}."
    steps = plural(len(worked.visible(tape.lines)), "equation")
    if len(tape.parameters) == 1 and tape.parameters[0].gradient.size <= worked.LARGEST:
        slope = worked.tell(tape.parameters[0].gradient)
        return f"d {name} / d {tape.parameters[0].name} = {slope}: one walk back over {steps}{same}."
    many = len(tape.parameters)
    which = f"all {many} arrays of parameters" if many > 1 else tape.parameters[0].name
    zero = [each.name for each in tape.parameters if each.gradient.norm == 0 and not each.gradient.nonfinite]
    if zero:
        listed = ", ".join(zero[:3]) + (f" and {len(zero) - 3} more" if len(zero) > 3 else "")
        return f"One walk back over {steps} gives the gradient of {name}{same}; it is exactly zero in {listed}."
    return f"One walk back over {steps} gives the gradient of {name} in {which}{same}."


def reasons(tape: Tape, name: str) -> tuple[Reason, ...]:
    """The tape as rows: the worked example or the tables; the whole of it as premises, which --why unfolds."""
    if not tape.lines:
        return ()
    if worked.is_small(tape.lines):
        return _worked(tape, name)
    rows: list[Reason] = []
    if tape.layers:
        details = Reason("by layer", role="details", text=listing.layer_details(tape.layers))
        whole = Reason("by layer", role="all", text=listing.layer_table(tape.layers, listing.MANY, 16))
        more = (whole, details) if len(tape.layers) > listing.FEW else (details,)
        text = listing.layer_table(tape.layers)
        rows.append(Reason("forward: z = x W + b, h = sigma(z)", role="layers", text=text, premises=more))
        rows += _compared(tape)
    for chain in tape.chains:
        if chain.kind == "layers" and all(len(stage.layers) == 1 for stage in chain.stages):
            continue  # the table of layers says the same
        if chain.kind == "equations" and len(chain.stages) < _FEW_STAGES:
            continue
        whole = Reason("stage by stage", role="all", text=listing.chain_table(chain, listing.MANY))
        role = {"loop": "loop", "layers": "blocks", "equations": "chain"}[chain.kind]
        more = (whole,) if len(chain.stages) > listing.FEW else ()
        rows.append(Reason("the chain of factors", role=role, text=listing.chain_table(chain), premises=more))
    whole = Reason("equation by equation", role="all", text=listing.equation_table(tape.lines))
    rows.append(Reason("the tape", role="tape", text=listing.line_table(tape.lines), premises=(whole,)))
    rows.append(Reason("the gradient", role="params", text=listing.parameter_table(tape.parameters)))
    return tuple(rows)


def _compared(tape: Tape) -> list[Reason]:
    """The formulas of the layers, computed apart from the sweep."""
    errors = [layer.error for layer in tape.layers if layer.error is not None]
    if not errors:
        return []
    reason = Reason(
        "sigma'(z) by pulling 1 back through the activation alone, x' delta in NumPy and float64",
        formula="delta = dL/dh * sigma'(z), dL/dW = x' delta",
        predicted=0.0,
        observed=max(errors),
        standing=Standing.MEASURED,
        role="",
        text=f"computed apart, delta and dL/dW agree within {max(errors):.1e}",
    )
    return [reason]


def _worked(tape: Tape, name: str) -> tuple[Reason, ...]:
    lines = tape.lines
    result = worked.symbol(lines[-1].name, lines)
    forward = worked.forward(lines, result).split("\n")
    backward = worked.backward(lines, tape.parameters, result).split("\n")
    rows = []
    for role, text in (("forward", forward), ("back", backward)):
        short = listing.cut(text, 2 * worked.FEW, "lines")
        more = () if len(short) == len(text) else (Reason("all of it", role="all", text="\n".join(text)),)
        rule = "u' = sum of v' . dv/du over the values v made of u" if role == "back" else "v = f(u), with df/du"
        rows.append(Reason(rule, role=role, text="\n".join(short), premises=more))
    return tuple(rows)


# --- rules ----------------------------------------------------------------------------------------------------


def rules_answer(tape: Tape, calls: int, unknown: int, arithmetic: str) -> Answer[None] | None:
    """Whether the user's derivative rules are the derivatives of their bodies; None where there is no such rule."""
    if not calls:
        return None
    claim = "each derivative rule of the file is the derivative of its body here"
    if not tape.rules and unknown:
        what = f"whether {plural(unknown, 'call')} of {calls} with a derivative rule of the file has that of its body"
        missing = Missing(what, settle="a body that can be differentiated at this point; or qed check")
        return Answer(claim, Standing.UNKNOWN, missing=(missing,), arithmetic=arithmetic)
    if not tape.rules:
        reason = Reason(
            "rule beside body, the same adjoint coming in",
            predicted="equal",
            observed="equal to half the digits",
            standing=Standing.MEASURED,
            text=f"{plural(calls, 'call')} compared",
        )
        return Answer(claim, Standing.MEASURED, reasons=(reason,), arithmetic=arithmetic)
    rows = []
    for rule in tape.rules:
        place = "" if rule.span is None else f" at {rule.span}"
        error = "the body's derivative is 0" if rule.error == float("inf") else f"relative error {rule.error:.3g}"
        rows.append(Reason("rule beside body", text=f"{rule.name}{place}: {error} where it is made", span=rule.span))
    if tape.rules[0].reached:
        rows.append(Reason("the error, pulled back", role="then", text=_propagation(tape)))
    meant = "a surrogate that is meant looks like this too; so does a mistake in the rule"
    rows.append(Reason("meant or not", role="so", text=meant))
    return Answer(claim, Standing.REFUTED, reasons=tuple(rows), arithmetic=arithmetic)


def _propagation(tape: Tape) -> str:
    reached = tape.rules[0].reached
    wide = min(40, max([9, *(len(path) for path in reached)]))
    rows = [
        f"{path:<{wide}}  {'untouched' if error == 0 else f'{error:.3g}'}"
        for path, error in sorted(reached.items(), key=lambda row: -row[1])
    ]
    return "\n".join([f"{'parameter':<{wide}}  relative error of its gradient", *listing.cut(rows, 12, "parameters")])


# --- cost -----------------------------------------------------------------------------------------------------


def cost_answer(cost: Operations, name: str, arithmetic: str) -> Answer[None] | None:
    """What one reverse sweep, n forward products and 2n differences take; None where nothing can be counted."""
    if not cost.function:
        return None
    n = cost.n
    least = "at least " if cost.uncounted or cost.open_loops else ""
    ways = f"{plural(n, 'forward product')} would take {_times(n * cost.ratio)}, 2 x {n} differences {2 * n}"
    claim = f"one reverse sweep takes {least}{_times(cost.ratio)} times the operations of {name}; {ways}"
    text = f"{cost.function:.4g} operations for {name}, {cost.sweep:.4g} for {name} with its gradient"
    observed = None if cost.observed is None else cost.observed[1] / cost.observed[0]
    once = cost.sweep_once / cost.function_once
    reason = Reason(
        "operations counted over the graph, beside XLA's count",
        formula="reverse: V + L; forward: n (V + L); differences: 2 n V",
        predicted=once,
        observed=observed,
        standing=Standing.MEASURED,
        unpredicted=None if observed is not None else "XLA gives no count for this function",
        text=text + (f" (XLA counts {observed:.3g} for the sweep, each loop's body once)" if observed else ""),
    )
    more = [reason]
    if cost.uncounted:
        more.append(
            Reason("not counted", role="but", text=f"operations of {', '.join(cost.uncounted)} are not counted")
        )
    if cost.open_loops:
        more.append(Reason("not counted", role="but", text="a while loop is counted as one step"))
    return Answer(claim, Standing.MEASURED, reasons=tuple(more), arithmetic=arithmetic)


def _times(x: float) -> str:
    return f"{x:.1f}" if x < 100 else f"{x:.0f}" if x < 1e6 else four(x)
