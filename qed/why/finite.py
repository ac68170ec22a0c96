"""The answer to "is it finite?": which equation made the first non-finite number, and of which numbers.

The compiled run says *that* a number is not finite; the graph, evaluated equation by equation at the same parameters,
says *where* it was born. If the two disagree the result depends on compilation, and that is what is said.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from qed.answer import Answer, Finding, Missing, Reason, Standing
from qed.domains.adjoint import adjoints
from qed.domains.backward import LARGEST_TAPE, Tape, record
from qed.domains.born import Birth, Lineage, backward_births, bad, forward_births
from qed.domains.forward import Unknown
from qed.domains.origin import origin
from qed.domains.segments import births_in_segments, in_segments
from qed.domains.words import because, code_of, count_of, number, operands_of, plural, spell, where
from qed.errors import QedError
from qed.graph.function import Function
from qed.graph.size import bytes_of
from qed.graph.trace import trace
from qed.graph.walk import TooLong, Walker
from qed.why.grown import grown
from qed.why.prepare import Prepared
from qed.why.trial import Failure


@dataclass(frozen=True, eq=False)
class Cause:
    """What a non-finite number comes from: its answer, and the birth that it names."""

    answer: Answer[Any]
    birth: Birth | None
    nan_in_data: bool = False


def diagnose_failure(prepared: Prepared, failure: Failure, observe: Callable[[Any], None] | None = None) -> Cause:
    """Replay the failing evaluation in the value domain and say where the number was born."""
    graph = prepared.graph
    arrays = prepared.join(failure.parameters, failure.data)
    if failure.where == "parameters":
        return Cause(_overflowing_update(prepared, failure), None)
    try:
        if prepared.values > memory(prepared):
            return _in_little_memory(prepared, failure, observe)
        try:
            tape = record(graph, arrays, prepared.traced.free, whole_custom_calls=False, observe=observe)
            lineage = forward_births(tape)
        except TooLong:  # a loop of unknown length made more
            return _in_little_memory(prepared, failure, observe)
        if lineage.births:
            return Cause(forward_answer(prepared, failure, tape, lineage), lineage.births[0])
        if lineage.given:
            raise _given(prepared)
        whole_calls = record(graph, arrays, prepared.traced.free, observe=observe)
    except TooLong as error:
        return Cause(_too_long(failure, error), None)
    whole = adjoints(graph, arrays, prepared.traced.free, keep_parts=True, tape=whole_calls)
    found = backward_births(whole, prepared.traced.free)
    if found:
        return Cause(_backward_answer(prepared, failure, found), found[0])
    tape = tape or whole_calls
    value = tape.outputs[0].values[0]
    lost = [x for x in (value, *whole.gradient(prepared.traced.free)) if isinstance(x, Unknown)]
    cause = _in_the_gradient_of_jax(prepared, failure) if failure.where == "gradient" else None
    if cause is not None:
        return cause
    return Cause(_no_rule(failure, lost[0]) if lost else _depends_on_compilation(failure, value), None)


def _in_the_gradient_of_jax(prepared: Prepared, failure: Failure) -> Cause | None:
    """The birth in the graph that jax.grad makes, whose derivatives may leave the range where the rules here do not.

    That of x / y by y is -x y^-2 in JAX: with y = 1e-20 the square is 0 in float32, and -x / y / y is a number.
    """
    function = prepared.function

    def slopes(parameters: Any, data: Any) -> Any:
        def value(p: Any) -> Any:  # the function itself: its equations keep their lines
            given = function.join(p, data)
            positional, named = function.traced.rebuild(given[: len(given) - function.closed_over])
            return jax.tree.leaves(function.fun(*positional, **named))[0]

        return jax.grad(value)(parameters)

    try:
        traced = trace(slopes, tuple(failure.parameters), tuple(failure.data))
        tape = record(traced.graph, traced.leaves, (), whole_custom_calls=False)
    except Exception:  # whatever the user's function raises when it is traced again
        return None
    place = {id(entry): k for k, entry in enumerate(tape.entries)}
    found = [(i, forward_births(tape, i)) for i in range(len(traced.graph.outputs))]
    born = [(i, lineage) for i, lineage in found if lineage.births]
    if not born:
        return None
    output, lineage = min(born, key=lambda item: place.get(id(item[1].births[0].entry), 0))
    names = (None,) * len(traced.free)
    asked = replace(prepared, function=Function(slopes, traced, prepared.name, prepared.span, 0), axis_names=names)
    at = replace(failure, parameters=traced.parameters, data=traced.data())
    answer = forward_answer(asked, at, tape, lineage, output)
    text = f"in the gradient of {prepared.name}, as JAX writes it: the loss is finite here"
    reason = Reason("the gradient's own equations", role="where", text=text)
    return Cause(replace(answer, reasons=(*answer.reasons, reason)), lineage.births[0])


LEAST, SHARE = 64 << 20, 4
"""A diagnosis may always take 64 MiB, and a quarter of what parameters and data take beside that."""


def memory(prepared: Prepared) -> int:
    """How many bytes of values the replay of a run may hold at one time."""
    return min(LARGEST_TAPE, LEAST + bytes_of(prepared.traced.leaves) // SHARE)


def _in_little_memory(prepared: Prepared, failure: Failure, observe: Callable[[Any], None] | None) -> Cause:
    """The same with less memory than the tape takes: going forward, and back in segments."""
    graph, arrays, free = prepared.graph, prepared.join(failure.parameters, failure.data), prepared.traced.free
    lineage = origin(graph, arrays, observe=observe)
    if lineage.births:
        return Cause(forward_answer(prepared, failure, None, lineage), lineage.births[0])
    if lineage.given:
        raise _given(prepared)
    room = memory(prepared)
    run = in_segments(graph, arrays, free, segment=room // 4, most=room, observe=observe)
    value = run.outputs[0].values[0]
    found = births_in_segments(run, free, observe=observe)
    if found.births:
        return Cause(_backward_answer(prepared, failure, found.births), found.births[0])
    lost = value if isinstance(value, Unknown) else found.lost
    answer = _no_rule(failure, lost) if lost is not None else _depends_on_compilation(failure, value)
    return Cause(answer, None)


def _claim(failure: Failure) -> str:
    what = {
        "loss": "the loss is finite",
        "gradient": "the gradient is finite",
        "parameters": "the update is finite",
        "state": "the new state is finite",
    }
    when = "at the start" if failure.step == 0 else f"after {plural(failure.step, 'step')}"
    return f"{what[failure.where]} {when}"


# --- forward --------------------------------------------------------------------------------------------------


_MOVES = frozenset({"convert_element_type", "broadcast_in_dim", "reshape", "squeeze", "copy", "transpose", "jit"})


def _chain(lineage: Lineage, failure: Failure) -> str | None:
    """What becomes of the number on its way to the loss: one station for each line of the user's."""
    turned = {id(turn.entry): turn for turn in lineage.turns}
    stations: dict[tuple[str, int], str] = {}
    kind = lineage.births[0].result
    for entry in lineage.passed:
        turn = turned.get(id(entry))
        kind = turn.result if turn is not None else kind
        span = entry.span
        if span is None:
            continue
        where = (span.file, span.line)
        if turn is not None:
            stations[where] = spell(turn)
        elif (
            where not in stations
            and entry.equation.primitive not in _MOVES
            and span.line != getattr(lineage.births[0].span, "line", None)
        ):
            stations[where] = f"{entry.equation.primitive} of {kind}"
    words = [f"line {line} {text}" for (_, line), text in stations.items()]
    if len(words) > 4:
        words = [*words[:3], "..."]
    return " -> ".join([*words, f"{failure.where} = {failure.value}"]) if words else None


def _witness(birth: Birth, failure: Failure) -> dict[str, Any]:
    return {
        "primitive": birth.primitive,
        "path": birth.entry.name,
        "result": birth.result,
        "index": list(birth.index),
        "operands": list(birth.operands),
        "count": birth.count,
        "size": birth.size,
        "step": failure.step,
        "loop_steps": list(birth.entry.frame.steps()),
        "note": count_of(birth),
    }


def forward_answer(
    prepared: Prepared, failure: Failure, tape: Tape | None, lineage: Lineage, output: int = 0
) -> Answer[Any]:
    """The answer that names the equation where a non-finite output was born."""
    birth = lineage.births[0]
    code = code_of(birth)
    reasons = [
        Reason(
            "replayed, equation by equation",
            formula=birth.primitive,
            with_numbers=spell(birth),
            predicted="a finite number",
            observed=birth.result,
            span=birth.span,
            text=because(birth) + _loop(birth),
        )
    ]
    growth = grown(prepared.graph, prepared.join(failure.parameters, failure.data), birth) if code == "QED201" else None
    wide = growth or _shadow(prepared, failure, birth)
    if wide is not None:
        reasons.append(wide)
    chain = _chain(lineage, failure)
    if chain:
        reasons.append(Reason("followed to the result", role="then", text=chain))
    finding = Finding(code, f"{spell(birth)}", birth.span, _witness(birth, failure))
    return Answer(
        _claim(failure),
        Standing.REFUTED,
        arithmetic=prepared.dtype,
        reasons=tuple(reasons),
        findings=(finding,),
        recheck=lambda: bool(bad(_replay(prepared, failure, output)).any()),
    )


def _loop(birth: Birth) -> str:
    steps = birth.entry.frame.steps()
    if not steps:
        return ""
    which = f"step {steps[0]}" if len(steps) == 1 else f"steps {list(steps)}"
    return f" (in loop {which}, counted from 0)"


def _replay(prepared: Prepared, failure: Failure, output: int = 0) -> Any:
    from qed.domains.value import Value

    cells = Walker([Value()]).run(prepared.graph, prepared.join(failure.parameters, failure.data))
    return cells[output].values[0]


class _Seen(Exception):
    """The equation asked for was evaluated: the rest of the walk is not needed."""


def _shadow(prepared: Prepared, failure: Failure, birth: Birth) -> Reason | None:
    """Whether float64 would have held the number: the dtype is to blame, or the formula."""
    from qed.domains.shadow import Shadow
    from qed.domains.value import Value

    if str(birth.entry.outputs[0].dtype) == "float64":
        return None
    seen: list[Any] = []

    def observe(entry: Any) -> None:
        same = entry.equation is birth.entry.equation and entry.frame.steps() == birth.entry.frame.steps()
        if same and entry.kind == "equation" and len(seen) == 0 and entry.frame.path() == birth.entry.frame.path():
            seen.append(entry.outputs[0].values[1])
            raise _Seen

    with contextlib.suppress(_Seen):
        Walker([Value(), Shadow()], observe).run(prepared.graph, prepared.join(failure.parameters, failure.data))
    if not seen or isinstance(seen[0], Unknown):
        return None
    wide = np.asarray(seen[0])
    value = float(np.real(wide[birth.index] if wide.shape else wide))
    if math.isfinite(value):
        text = f"float64 holds it here ({number(value)}): the range of {birth.entry.outputs[0].dtype} is too small"
    else:
        text = f"float64 gives {value} too: the formula, not the precision, is to blame"
    return Reason("float64 beside it", role="and", observed=value, predicted=birth.result, text=text)


# --- backward -------------------------------------------------------------------------------------------------


def _backward_answer(prepared: Prepared, failure: Failure, births: Sequence[Birth]) -> Answer[Any]:
    birth = births[0]
    code = code_of(birth)
    operands = [x for x in birth.operands if x is not None]
    texts = operands_of(birth)
    name = texts[0] if texts and len(texts[0]) <= 40 else "its operand"
    at = f"at {name} = {number(operands[0])}{where(birth)}" if operands else "here"
    if code == "QED103":
        text = (
            f"the derivative of {birth.primitive} {at} is not finite; the value is discarded later, "
            "but 0 * (not finite) = nan in the gradient"
        )
    elif code == "QED201":
        text = f"what reaches {birth.primitive} from the loss, times its derivative {at}, leaves the range"
        text += "" if birth.cotangent is None else f": it is {number(birth.cotangent)} before"
    else:
        text = f"the derivative of {birth.primitive} {at} is not finite, though the value is"
    finding = Finding(code, text, birth.span, {**_witness(birth, failure), "cotangent": birth.cotangent})
    return Answer(
        _claim(failure),
        Standing.REFUTED,
        arithmetic=prepared.dtype,
        reasons=(
            Reason(
                "finite cotangents in, non-finite out",
                formula=f"adjoint(x) = adjoint({birth.primitive}) * d {birth.primitive}/dx",
                with_numbers=None
                if birth.cotangent is None
                else f"{number(birth.cotangent)} * (not finite) = {birth.result}",
                predicted="a finite number",
                observed=birth.result,
                span=birth.span,
                text=text + _loop(birth),
            ),
            Reason(
                "the loss itself",
                role="and",
                text="the loss is finite at this point: only its gradient is not",
            ),
        ),
        findings=(finding,),
        recheck=lambda: _gradient_is_bad(prepared, failure),
    )


def _gradient_is_bad(prepared: Prepared, failure: Failure) -> bool:
    arrays = prepared.join(failure.parameters, failure.data)
    if prepared.values > memory(prepared):
        room = memory(prepared)
        run = in_segments(prepared.graph, arrays, prepared.traced.free, segment=room // 4, most=room)
        return bool(births_in_segments(run, prepared.traced.free).births)
    found = adjoints(prepared.graph, arrays, prepared.traced.free)
    return any(bad(g).any() for g in found.gradient(prepared.traced.free))


# --- the rest -------------------------------------------------------------------------------------------------


def _overflowing_update(prepared: Prepared, failure: Failure) -> Answer[Any]:
    text = "loss and gradient are finite, but parameters + update leaves the range of the dtype"
    finding = Finding("QED201", text, prepared.span, {"step": failure.step, "note": "in the update"})
    reason = Reason("the update", text=text, predicted="finite parameters", observed=failure.value)
    return Answer(_claim(failure), Standing.REFUTED, arithmetic=prepared.dtype, reasons=(reason,), findings=(finding,))


def _no_rule(failure: Failure, lost: Unknown) -> Answer[Any]:
    missing = Missing(
        "which equation makes the number",
        settle=f"a rule for {lost.primitive} in the domain {lost.domain}",
        code="QED020",
        primitive=lost.primitive,
        span=lost.span,
    )
    return Answer(_claim(failure), Standing.UNKNOWN, findings=(_unlocated(failure),), missing=(missing,))


def _unlocated(failure: Failure) -> Finding:
    """The compiled run is not finite, whatever is known of the place."""
    when = "at the start" if failure.step == 0 else f"after {plural(failure.step, 'step')}"
    message = f"{failure.where} = {failure.value} {when}, and which equation makes it is not known"
    return Finding("QED210", message, None, {"step": failure.step, "value": failure.value})


def _too_long(failure: Failure, error: TooLong) -> Answer[Any]:
    missing = Missing("which equation makes the number", settle=f"a larger --budget, or a smaller program: {error}")
    return Answer(_claim(failure), Standing.UNKNOWN, findings=(_unlocated(failure),), missing=(missing,))


def _depends_on_compilation(failure: Failure, loss: Any) -> Answer[Any]:
    value = float(np.asarray(loss).astype(np.float64))
    text = f"compiled: {failure.where} = {failure.value}; equation by equation: loss = {number(value)}, all finite"
    finding = Finding("QED209", text, None, {"compiled": failure.value, "eager": value, "step": failure.step})
    return Answer(
        _claim(failure),
        Standing.UNKNOWN,
        reasons=(Reason("compiled beside uncompiled", text=text, predicted=value, observed=failure.value),),
        findings=(finding, _unlocated(failure)),
        missing=(
            Missing(
                "which equation makes the number in the compiled program",
                settle="the same under jax.disable_jit(): if it is finite there, XLA's optimizations make it",
                code="QED209",
            ),
        ),
    )


def _given(prepared: Prepared) -> QedError:
    names = [prepared.traced.paths[i] for i in prepared.data_positions]
    for name, value in zip(names, prepared.data, strict=True):
        wrong = bad(value)
        if wrong.any():
            first = tuple(int(i) for i in np.argwhere(wrong)[0])
            shown = number(float(np.asarray(value).astype(np.float64)[first]))
            return QedError(
                "QED006",
                f"the data {name} hold {plural(int(wrong.sum()), 'non-finite number')}",
                f"{name}{list(first) if first else ''} = {shown}, and it reaches the loss",
                "remove or mask those entries before the loss uses them",
                detail={"path": name, "index": list(first), "count": int(wrong.sum())},
            )
    return QedError(
        "QED006",
        "a non-finite constant reaches the loss",
        "it is written in the loss itself",
        "replace the constant",
    )
