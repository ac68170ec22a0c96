"""The answer to "is the gradient right?" in words: one claim, one part for each place, and what was checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from qed.answer import Answer, Finding, Missing, Reason, Standing
from qed.calculus.gradient.check import Checked
from qed.calculus.gradient.judge import VALUE
from qed.calculus.gradient.local import reversible
from qed.calculus.gradient.replayed import replayed
from qed.calculus.gradient.verdict import Culprit, GradientCheck, GradientVerdict
from qed.findings import Level

V = GradientVerdict

_STANDING = {
    V.AGREES: Standing.MEASURED,
    V.DISAGREES: Standing.REFUTED,
    V.KINK: Standing.MEASURED,
    V.NONFINITE: Standing.REFUTED,
    V.SURROGATE: Standing.MEASURED,
    V.LATENT: Standing.MEASURED,
    V.UNDECIDED: Standing.UNKNOWN,
}

_CODES = {
    V.DISAGREES: ("QED101", None),
    V.KINK: ("QED104", Level.NOTE),
    V.SURROGATE: ("QED107", None),
    V.LATENT: ("QED108", None),
    V.UNDECIDED: ("QED105", None),
}

LOUD_ROUNDING = 1e-2
"""The relative rounding error of a gradient from which on it is worth a note."""


def answer(checked: Checked, again: Callable[[int], Checked]) -> Answer[GradientCheck]:
    """The answer of a check; `again` runs it with another seed."""
    check, function = checked.check, checked.function
    parts = [_part(checked, culprit) for culprit in check.culprits]
    parts += _agreements(checked)
    verdict = check.verdict
    return Answer(
        _claim(checked),
        _STANDING[verdict],
        check,
        arithmetic=function.dtype,
        findings=tuple(finding for part in parts for finding in part.findings),
        missing=_missing(checked),
        headline=_headline(checked),
        subject=_subject(checked),
        meta={"seed": check.seed},
        answers=tuple(parts),
        recheck=lambda: replayed(checked) and again(check.seed + 1).check.verdict is verdict,
    )


def _claim(checked: Checked) -> str:
    name, where = checked.function.name, ", ".join(_roots(checked))
    claim = f"the gradient of {name} in {where} is the derivative of {name}"
    match checked.check.verdict:
        case V.KINK if checked.check.culprits[0].jump is not None:
            return f"{name} jumps at the point: it has no derivative in {where} there"
        case V.KINK if checked.check.culprits[0].infinite:
            return f"{name} has no finite derivative in {where} at the point"
        case V.KINK if not _between(checked.check.culprits[0]):
            return f"{name} has no single derivative in {where} at the point"
        case V.KINK:
            return f"the gradient of {name} in {where} lies between the slopes from both sides of a kink"
        case V.SURROGATE:
            return f"but for the surrogates, {claim}"
        case V.LATENT:
            return f"{claim} at this point"
    return claim


def _between(culprit: Culprit) -> bool:
    """Whether what the gradient takes at a kink lies between the slopes that were seen, as far as they are known."""
    if culprit.slopes is None or culprit.found is None:
        return True
    slack = 1e-6 * max(1e-3, *map(abs, culprit.slopes))
    return culprit.slopes[0] - slack <= culprit.found <= culprit.slopes[1] + slack


def _roots(checked: Checked) -> list[str]:
    return list(dict.fromkeys(path.split("[")[0].split(".")[0] for path in checked.function.paths))


def _subject(checked: Checked) -> str:
    function = checked.function
    parts = [f"{function.name}({', '.join(_roots(checked))})"]
    if function.span is not None:
        parts.append(str(function.span))
    return "   ".join([*parts, f"{_plural(function.size, 'parameter')}, {function.dtype}"])


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _number(x: float | None) -> str:
    return "?" if x is None else f"{x:.10g}"


def _place(span: Any) -> str:
    return "" if span is None else f" at {span}"


def _headline(checked: Checked) -> str:
    check = checked.check
    if not check.culprits:
        return f"The gradient is right: {_compared(check)}; the whole agrees with the chain rule."
    first = check.culprits[0]
    other = len(check.culprits) - 1
    more = f" ({_plural(other, 'more place')} below)" if other else ""
    return _sentence(checked, first) + more


def _compared(check: GradientCheck) -> str:
    if not check.rules:
        return "it holds no derivative rule of your own"
    return f"{_plural(check.rules, 'rule')} of your own, {_plural(check.checked, 'comparison')}"


def _sentence(checked: Checked, culprit: Culprit) -> str:
    rule = f"the derivative rule of {culprit.name}{_place(culprit.rule_span)}"
    error = checked.check.gradient_error
    whole = ""
    if error:
        largest = max(checked.check.relative_error, key=lambda path: checked.check.relative_error[path])
        whole = f" The gradient in {largest} is off by {_share(error)}."
    match culprit.verdict:
        case V.DISAGREES if culprit.primitive == "stop_gradient":
            return f"The gradient is not the derivative: a stop_gradient{_place(culprit.span)} cuts a part off.{whole}"
        case V.DISAGREES if culprit.tied:
            which = f"{culprit.name}{_place(culprit.span)} has a tie here"
            return f"The gradient is not the derivative: {which}, and {culprit.why}, not {_number(culprit.found)}."
        case V.DISAGREES if not culprit.primitive:
            return f"The gradient is wrong: {culprit.why}."
        case V.DISAGREES if _is_solve(culprit):
            which = f"the solve of custom_linear_solve{_place(culprit.span)}"
            return f"The gradient is wrong: {which} does not solve its system.{whole}"
        case V.DISAGREES:
            second = "second " if culprit.order == 2 else ""
            return f"The {second}gradient is wrong: {rule} is not its derivative.{whole}"
        case V.NONFINITE:
            return f"The gradient is not finite: {culprit.why}."
        case V.KINK if culprit.jump is not None:
            at = f"The point is at a jump of {culprit.name}{_place(culprit.span)}"
            return f"{at}: {culprit.why}, and no derivative exists there."
        case V.KINK if culprit.infinite:
            which = f"{culprit.name}{_place(culprit.span)} has a tie here"
            return f"No finite derivative exists here: {which}, and {culprit.why}."
        case V.KINK:
            return f"The point is at a kink of {culprit.name}{_place(culprit.span)}: no single derivative exists there."
        case V.SURROGATE:
            return f"The gradient is a surrogate: {culprit.name}{_place(culprit.span)}, {culprit.why}.{whole}"
        case V.LATENT:
            return f"The gradient is right here, but {rule} is wrong: {culprit.why}."
    if culprit.tied:
        return f"Not decided: {culprit.name}{_place(culprit.span)} has a tie here, and {culprit.why}."
    return f"Not decided: {rule} differs from the derivative, {culprit.why}."


def _share(error: float) -> str:
    if not math.isfinite(error):
        return "all of it (zero was expected)"
    return f"{100 * error:.3g} %"


# --- the parts ------------------------------------------------------------------------------------------------


def _part(checked: Checked, culprit: Culprit) -> Answer[Any]:
    code, level = _CODES.get(culprit.verdict, ("", None))
    if culprit.verdict is V.NONFINITE:
        nonfinite = checked.nonfinite
        code = nonfinite.code if nonfinite is not None and nonfinite.culprit is culprit else "QED104"
    message = _message(culprit)
    finding = Finding(code, message, culprit.span, _witness(culprit), level)
    standing = _STANDING[culprit.verdict]
    missing = (_too_imprecise(culprit),) if standing is Standing.UNKNOWN else ()
    return Answer(
        _part_claim(culprit),
        standing,
        culprit,
        arithmetic="float64",
        reasons=tuple(_reasons(checked, culprit)),
        findings=(finding,),
        missing=missing,
        meta={"block": True} if culprit.verdict in (V.KINK, V.SURROGATE) else {},
        recheck=(lambda: replayed(checked, culprit)) if standing is Standing.REFUTED else None,
    )


def _too_imprecise(culprit: Culprit) -> Missing:
    return Missing(
        culprit.why if culprit.tied else f"whether the rule of {culprit.name} is right at this point",
        settle=f"check at a point where the function {'has no tie' if culprit.tied else 'keeps its digits'}",
        code="QED105",
        primitive=culprit.primitive,
        span=culprit.span,
    )


def _part_claim(culprit: Culprit) -> str:
    match culprit.verdict:
        case V.NONFINITE:
            return "the gradient is finite"
        case V.KINK if culprit.jump is not None:
            return f"{culprit.name} is at a jump, and there is no derivative"
        case V.KINK if culprit.infinite:
            return f"{culprit.name} has a tie, and there is no finite derivative"
        case V.KINK if not _between(culprit):
            return f"{culprit.name} is at a kink"
        case V.KINK:
            return f"{culprit.name} is at a kink, and the gradient between its slopes"
        case V.SURROGATE:
            return f"{culprit.name} is a surrogate: {culprit.why}"
        case V.LATENT:
            return f"the fault in the rule of {culprit.name} does not reach this gradient"
    if culprit.primitive == "stop_gradient":
        return "the stop_gradient takes nothing away"
    if culprit.tied:
        return "the gradient is the slope of the values around the point"
    if not culprit.primitive:
        return "the whole gradient agrees with the chain rule"
    if _is_solve(culprit):
        return "the solve of custom_linear_solve solves its system"
    return f"the rule of {culprit.name} is its derivative"


def _is_solve(culprit: Culprit) -> bool:
    """Whether it is the solver of a linear solve, not its transpose, that is looked at."""
    return culprit.primitive == "custom_linear_solve" and culprit.name == "solve"


def _message(culprit: Culprit) -> str:
    if culprit.verdict in (V.NONFINITE,) or not culprit.primitive:
        return culprit.why
    if culprit.tied and culprit.verdict is V.DISAGREES:
        return f"{culprit.why}, the gradient takes {_number(culprit.found)}"
    if culprit.verdict is V.KINK and (culprit.jump is not None or culprit.infinite):
        return culprit.why
    if culprit.verdict is V.KINK:
        slopes = culprit.slopes or (math.nan, math.nan)
        found = "" if culprit.found is None else f", the gradient takes {_number(culprit.found)}"
        return f"slopes {_number(slopes[0])} and {_number(slopes[1])} from the two sides{found}"
    if culprit.found is None or culprit.expected is None:
        return culprit.why
    if _is_solve(culprit):
        numbers = f"{_number(culprit.found)} where it should be {_number(culprit.expected)}"
        return f"{culprit.why}; A applied to what it returns gives {numbers}"
    return f"{_derivative(culprit)} is {_number(culprit.expected)}, {_what(culprit)} {_number(culprit.found)}"


def _what(culprit: Culprit) -> str:
    return "the gradient has" if culprit.primitive == "stop_gradient" else "the rule says"


def _derivative(culprit: Culprit) -> str:
    """What the two numbers are, such as ``d f[3] / d operand 0[3]``."""
    if culprit.primitive == "stop_gradient":
        return "the derivative"
    out = f"{culprit.name}{list(culprit.output) if culprit.output else ''}"
    into = f"operand {culprit.operand}{list(culprit.coordinate) if culprit.coordinate else ''}"
    return f"d {out} / d {into}" if culprit.order == 1 else f"the second derivative of {out} in {into}"


def _witness(culprit: Culprit) -> dict[str, Any]:
    note = {
        V.DISAGREES: "not the derivative",
        V.KINK: "a kink",
        V.LATENT: "wrong, but not met here",
        V.SURROGATE: "a surrogate",
        V.UNDECIDED: "not decided",
        V.NONFINITE: "not finite",
    }[culprit.verdict]
    if culprit.primitive == "stop_gradient":
        note = "cuts the derivative"
    return {
        "note": note + (f", loop step {_steps(culprit)}" if culprit.step is not None else ""),
        "primitive": culprit.primitive,
        "path": culprit.path,
        "rule": None if culprit.rule_span is None else str(culprit.rule_span),
        "loop_steps": list(culprit.loop_steps),
        "branch": culprit.branch,
        "coordinate": list(culprit.coordinate),
        "output": list(culprit.output),
        "expected": culprit.expected,
        "found": culprit.found,
    }


def _steps(culprit: Culprit) -> str:
    steps = culprit.loop_steps
    return str(steps[0]) if len(steps) == 1 else str(list(steps))


def _reasons(checked: Checked, culprit: Culprit) -> list[Reason]:
    if culprit.verdict is V.NONFINITE and culprit.expected is None:
        return [
            _measured("finite cotangents in, non-finite out", culprit.why, "a finite number", "not finite", culprit)
        ]
    reasons = [_measured("two derivatives, compared", _message(culprit), culprit.expected, culprit.found, culprit)]
    if culprit.verdict is V.KINK:
        return reasons
    relative = culprit.relative_difference
    if relative is not None:
        allowed = f"; rounding explains {culprit.tolerance:.2g}" if culprit.tolerance else ""
        size = (
            "all of it, for the derivative is zero"
            if not math.isfinite(relative)
            else f"{relative:.3g} of the derivative"
        )
        reasons.append(Reason("how far apart", role="and", text=f"the difference is {size}{allowed}"))
    where = []
    if culprit.rule_span is not None:
        where.append(f"the rule is at {culprit.rule_span}: {culprit.rule_span.text.strip()}")
    if culprit.step is not None:
        where.append(f"first in loop step {_steps(culprit)}, counted from 0")
    if culprit.branch is not None:
        where.append(f"in branch {culprit.branch}")
    if culprit.path:
        where.append(f"reached by {culprit.path}")
    reasons.append(Reason("where", role="where", text="; ".join(where), span=culprit.rule_span))
    if (
        culprit.why
        and culprit.verdict in (V.DISAGREES, V.UNDECIDED, V.LATENT)
        and culprit.why not in (reasons[0].text or "")
    ):
        reasons.append(Reason("what else is known", role="also", text=culprit.why))
    advice = _advice(checked, culprit)
    if advice:
        reasons.append(Reason("what to do", role="so", text=advice))
    return reasons


def _measured(rule: str, text: str, expected: Any, found: Any, culprit: Culprit) -> Reason:
    pair: dict[str, Any] = {"predicted": expected, "observed": found}
    if expected is None or found is None:
        pair = {"unpredicted": "there is no one derivative to predict"}
    return Reason(rule, text=text, span=culprit.span, standing=Standing.MEASURED, **pair)


def _advice(checked: Checked, culprit: Culprit) -> str:
    if culprit.verdict is V.DISAGREES and culprit.primitive == "stop_gradient":
        return "take the stop_gradient away, or mark the function around it with qed.surrogate if it is meant"
    if culprit.tied and culprit.verdict is V.DISAGREES:
        return "give the point a branch with the right slope too, as a polynomial where the other one is 0 / 0"
    if culprit.verdict in (V.DISAGREES, V.LATENT) and culprit.name == "custom_root":
        return "let tangent_solve(g, y) return the x with g(x) = y, as `lambda g, y: y / g(1.0)` for one number"
    if culprit.verdict in (V.DISAGREES, V.LATENT) and _is_solve(culprit):
        return "let solve(matvec, b) return the x with matvec(x) = b"
    if culprit.verdict in (V.DISAGREES, V.LATENT) and culprit.primitive:
        more = ", or delete it: JAX differentiates the body itself" if _deletable(checked, culprit) else ""
        return f"correct the rule{more}"
    if culprit.verdict is V.UNDECIDED:
        return f"ask again at a point where the function {'has no tie' if culprit.tied else 'keeps its digits'}"
    return ""


def _deletable(checked: Checked, culprit: Culprit) -> bool:
    """Whether JAX has the derivative of the body without the rule: it can be walked back, nothing is held constant."""
    found = [r.local for r in checked.records if (r.local.site.name, r.local.site.span) == (culprit.name, culprit.span)]
    held = (e.primitive == "stop_gradient" for one in found for e in one.site.body.walk())
    return bool(found) and VALUE not in culprit.why and all(map(reversible, found)) and not any(held)


# --- what agrees ----------------------------------------------------------------------------------------------


def _agreements(checked: Checked) -> list[Answer[Any]]:
    check, function = checked.check, checked.function
    verdicts = {culprit.verdict for culprit in check.culprits}
    found: list[Answer[Any]] = []
    if check.agreeing:
        which = "the rule agrees" if check.rules == 1 else f"{check.agreeing} of {check.rules} rules agree"
        times = _plural(check.checked, "comparison")
        text = f"{which} with the derivative of the body, to {check.tolerance:.0e} relative"
        found.append(_agreement(f"{text} ({times}: every loop step, every branch)", checked))
    if not verdicts & {V.NONFINITE}:
        whole = "every rule that agrees, stripped" if check.rules else "the gradient of the same graph"
        wrong = any(c.verdict is V.DISAGREES and c.primitive for c in check.culprits)
        beside = "but for what is named above, " if wrong else ""
        text = f"end to end, in float64: {beside}the gradient agrees with the chain rule ({whole})"
        if not any(c.verdict is V.DISAGREES and not c.primitive for c in check.culprits):
            found.append(_agreement(text, checked))
    if check.stops and not any(c.primitive == "stop_gradient" for c in check.culprits):
        found.append(_agreement(f"{_plural(check.stops, 'stop_gradient')}: nothing of the derivative is lost", checked))
    if check.rounding is not None and function.dtype != "float64":
        found.append(_precision(checked, check.rounding))
    return found


def _agreement(claim: str, checked: Checked) -> Answer[Any]:
    reason = Reason(
        "compared in float64",
        text=f"random signs times [1, 1.5] as directions, seed {checked.check.seed}",
        standing=Standing.MEASURED,
        unpredicted="the two sides predict each other",
    )
    return Answer(claim, Standing.MEASURED, arithmetic="float64", reasons=(reason,))


def _precision(checked: Checked, rounding: float) -> Answer[Any]:
    dtype = checked.function.dtype
    text = f"as computed in {dtype}, the gradient is within {rounding:.2g} (relative) of the same program in float64"
    findings = ()
    if rounding > LOUD_ROUNDING:
        message = f"rounding in {dtype}, not a rule, moves the gradient by {100 * rounding:.3g} %"
        findings = (Finding("QED105", message, checked.function.span, {"rounding": rounding}, Level.NOTE),)
    reason = Reason("rounding", text=text, standing=Standing.MEASURED, predicted=0.0, observed=rounding)
    return Answer(text, Standing.MEASURED, arithmetic=dtype, reasons=(reason,), findings=findings)


def _missing(checked: Checked) -> tuple[Missing, ...]:
    unsure = [_too_imprecise(c) for c in checked.check.culprits if c.verdict is V.UNDECIDED]
    return (*unsure, *(Missing(text) for text in checked.not_compared))
