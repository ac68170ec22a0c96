"""The answer to "how many digits are left?": one claim about the value, one about the gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from qed.answer import Answer, Exact, Missing, Reason, Standing
from qed.answer import Measured as MeasuredError
from qed.certificates.digits import Digits
from qed.domains.bits import Format
from qed.errors import CertificateError, QedError
from qed.findings import Finding
from qed.graph.dtypes import as_wide
from qed.graph.trace import is_float
from qed.numerics.measuring.blame import Blame
from qed.numerics.measuring.called import called
from qed.numerics.measuring.judge import Judged, judge
from qed.numerics.measuring.phenomenon import event_of, findings_of, number, place_of, shares_of, told_of
from qed.numerics.measuring.question import Question, Relation, compared
from qed.numerics.measuring.result import Against, Leaf, Precision
from qed.standing import combine

VERIFIABLE = 20_000
"""How many operations a certificate may take to be verified at once; a gradient takes one walk per parameter."""
NAMED = 4
"""How many numbers of a point a claim writes out."""


def answer(question: Question) -> Answer[Precision]:
    """The answer."""
    value, gradient = _value_part(question), _gradient_part(question)
    found = _precision(question)
    call = _call_part(question)
    parts = [part for part in (value, call, gradient) if part is not None]
    standing = combine(*(part.standing for part in parts))
    certificate = _certificate(question, True, gradient is not None) if standing is Standing.PROVED else None
    form = found.dtype
    claim = f"at most {question.threshold:g} of the {found.bits} bits of the value{_if_zero(question.value)}"
    if gradient is not None:
        claim += f" and of {_measured_by(question)}{_if_zero(question.gradient)}"
    claim += f" are lost{_place(question)}"
    missing = tuple(m for part in parts for m in part.missing) if standing is Standing.UNKNOWN else ()
    if gradient is None:
        missing += (Missing(f"the gradient: {question.problem}"),)
    elif gradient.unknown and not missing:
        missing = gradient.missing
    return Answer(
        claim,
        standing,
        found,
        arithmetic=form,
        certificate=certificate,
        findings=tuple({(f.code, f.span): f for part in parts for f in part.findings}.values()),
        missing=missing,
        headline=_headline(question, found),
        subject=question.function.title(),
        meta={"run": _where(), "jit": False, "seed": question.seed, "tried": question.tried},
        reasons=(_elsewhere(question),) if question.outside else (),
        answers=tuple(parts),
        recheck=lambda: all(part.check() for part in parts if not part.unknown),
    )


def _place(question: Question) -> str:
    """Of which point of a box a claim is; of the box itself nothing is claimed."""
    if question.point is None:
        return ""
    numbers = [f"{float(v):.9g}" for leaf in jax.tree.leaves(question.point) for v in np.ravel(np.asarray(leaf, float))]
    at = ", ".join(numbers) if len(numbers) <= NAMED else "the point of the value"
    return f" at {at}, found among {question.tried} points of the box"


def _where() -> str:
    return f"equation by equation, not compiled, on {jax.devices()[0].platform}"


def _precision(question: Question) -> Precision:
    value, gradient = question.value, question.gradient
    assert value.run is not None or value.bits is None
    atom = question.function.graph.outputs[value.outputs[value.worst or 0]]
    form = Format.of(atom.dtype)
    return Precision(
        value.bits,
        None if gradient is None else gradient.bits,
        int(form.digits),
        form.name,
        value.leaves,
        () if gradient is None else gradient.leaves,
        () if value.account is None else value.account.equations,
        () if gradient is None or gradient.account is None else gradient.account.equations,
        (value.reference, "" if gradient is None else gradient.reference),
        question.point,
        question.tried,
        value.at_most,
        (_inherent(value), _inherent(gradient)),
    )


def _inherent(found: Judged | None) -> float | None:
    return None if found is None or found.account is None else found.account.inherent


def _headline(question: Question, found: Precision) -> str:
    name = question.function.name
    where = "at this point" if question.point is None else f"at the worst of {question.tried} points of the box"
    judged = (("value", question.value), ("gradient", question.gradient))
    over = [f"its {whose}" for whose, part in judged if part is not None and _beyond(question, part)]
    if over:
        are = "is" if len(over) == 1 else "are"
        return f"{name} overflows {where}: {' and '.join(over)} {are} beyond the range of {found.dtype}."
    value, its_value = _lost(found.bits_lost, found.bits), f"its value{_if_zero(question.value)}"
    call = ""
    if question.called is not None:
        call = (
            f" A call of it, compiled where it is jitted, loses {_lost(question.called.bits, found.bits)} of its value."
        )
    if question.gradient is None:
        return f"{name} loses {value} of {its_value} {where}.{call}"
    gradient = _lost(found.gradient_bits_lost, found.bits)
    its_gradient = f"{_measured_by(question, 'its gradient')}{_if_zero(question.gradient)}"
    if value == gradient:
        return f"{name} loses {value} of {its_value} and of {its_gradient} {where}.{call}"
    return f"{name} loses {value} of {its_value} and {gradient} of {its_gradient} {where}.{call}"


def _if_zero(found: Judged | None) -> str:
    """What is said beside a number that is 0: there is nothing but 1 to take its error against."""
    worst = None if found is None or found.worst is None else found.leaves[found.worst]
    return " (which is 0: against 1)" if worst is not None and worst.against is Against.ONE else ""


def _measured_by(question: Question, gradient: str = "the gradient") -> str:
    """What the bits of a gradient are bits of: in an array errors are relative to its largest number."""
    leaves = [v for v in question.function.parameters if is_float(v)]
    if all(np.size(leaf) == 1 for leaf in leaves):
        return gradient
    return (
        f"the largest number of {gradient}" if len(leaves) == 1 else f"the largest number in each array of {gradient}"
    )


def _beyond(question: Question, found: Judged) -> bool:
    """Whether its worst number overflows."""
    return found.worst is not None and _overflows(found.leaves[found.worst], _form(question, found))


def _lost(bits: float | None, of: int) -> str:
    if bits is None:
        return f"an unknown number of the {of} bits"
    if bits >= of:
        return f"all {of} bits"
    shown = f"{bits:.1f}".removesuffix(".0")
    return f"{shown} of the {of} bits" if bits >= 0.05 else f"none of the {of} bits"


# --- the two parts --------------------------------------------------------------------------------------------


def _value_part(question: Question) -> Answer[Any]:
    value = question.value
    zero = _if_zero(value)
    claim = f"at most {question.threshold:g} bits of the value{zero} are lost{_place(question)}"
    claim += "" if question.called is None else ", equation by equation"
    return _part(question, value, claim, "the value", ())


def _call_part(question: Question) -> Answer[Any] | None:
    """What a call returns, where it loses more than the equations one by one."""
    if question.called is None:
        return None
    zero = _if_zero(question.called)
    claim = f"at most {question.threshold:g} bits of the value{zero} are lost by a call of the function"
    text = (
        f"equation by equation it loses {_lost(question.value.bits, _precision(question).bits)}: the rest is what the "
    )
    text += "compiler makes of what is jitted"
    note = Reason("a call of the function", role="because", text=text, observed=question.value.bits)
    asked = replace(question, value=question.called)
    found = _part(asked, question.called, claim + _place(question), "the value", (note,))
    return found if found.certificate is not None else replace(found, recheck=lambda: called(question) is not None)


def _gradient_part(question: Question) -> Answer[Any] | None:
    gradient = question.gradient
    if gradient is None:
        return None
    of = f"{_measured_by(question)}{_if_zero(gradient)}"
    claim = f"at most {question.threshold:g} bits of {of} are lost{_place(question)}"
    notes = ()
    if question.relation is Relation.DIFFERS:
        text = (
            "this is no rounding: a derivative rule of the program means another function than the derivative; "
            "qed.check_gradient names it"
        )
        notes = (Reason("the derivative of the function, in balls", role="because", text=text),)
    elif question.relation is Relation.UNDEFINED:
        text = (
            "the gradient's program has no value in real numbers here (0 times infinity, in a branch that is not taken "
            "perhaps), and the function has a derivative"
        )
        notes = (Reason("the derivative of the function, in balls", role="because", text=text),)
    elif question.on_purpose:
        text = (
            "a stop_gradient or a marked surrogate changes the gradient on purpose: it is compared with its own formula"
        )
        notes = (Reason("the gradient's own graph", role="note", text=text),)
    return _part(question, gradient, claim, "the gradient", notes)


def _part(question: Question, found: Judged, claim: str, whose: str, notes: tuple[Reason, ...]) -> Answer[Any]:
    gradient = whose == "the gradient"
    if found.worst is None or found.bits is None:
        settle = "a larger budget=" if "budget" in found.missing else None
        missing = Missing(f"how many bits of {whose} are lost: {found.missing}", settle, code="QED020")
        estimate = () if found.at_most is None else (_estimate(found.at_most),)
        return Answer(claim, Standing.UNKNOWN, None, missing=(missing,), reasons=estimate)
    leaf, bits, form = found.leaves[found.worst], found.bits, _form(question, found)
    standing, certificate = _standing(question, found, gradient)
    lost = not bits <= question.threshold
    if lost and standing is Standing.MEASURED:
        of = (_measured_by(question) if gradient else whose) + _if_zero(found)
        claim = f"more than {question.threshold:g} bits of {of} are lost{_place(question)}"
    reasons = [comparison(leaf, found, form, whose), *notes]
    blamed = found.account.equations if found.account is not None and lost else ()
    if question.relation is Relation.DIFFERS and gradient:
        blamed = ()
    findings = findings_of(blamed, whose, bits, leaf.result)
    reasons += because(blamed, whose, findings)
    if lost and not found.follows:
        text = "rounded numbers take another branch than real ones, or end a loop at another step"
        reasons.append(Reason("control flow", role="because", text=text))
    inherent = None if found.account is None else found.account.inherent
    if lost and inherent is not None and inherent > question.threshold:
        reasons.append(_ill_conditioned(inherent, bits))
    if leaf.elementwise is not None and leaf.elementwise[0] > max(question.threshold, bits + 1):
        reasons.append(_small_element(leaf))
    return Answer(
        claim,
        standing,
        bits,
        arithmetic=form.name,
        error=MeasuredError(0.0, found.reference) if standing is Standing.MEASURED else Exact(),
        reasons=tuple(reasons),
        findings=tuple(findings),
        certificate=certificate if standing is Standing.PROVED else None,
        meta={"reference": found.reference, "element": leaf.name},
        recheck=lambda: _again(question, found, certificate, gradient),
    )


def _estimate(bits: float) -> Reason:
    text = f"to first order at most {bits:.1f} bits, by a running error bound"
    return Reason("running error analysis", role="note", text=text, observed=bits)


def _form(question: Question, found: Judged) -> Format:
    assert found.run is not None
    return Format.of(found.run.results[found.outputs[found.worst or 0]].dtype)


def _standing(question: Question, found: Judged, gradient: bool) -> tuple[Standing, Digits | None]:
    """The standing of "at most so many bits are lost", with the certificate where there is one."""
    if found.reference != "ball":
        return Standing.MEASURED, None
    assert found.worst is not None
    low, high = found.bounds[found.worst]
    if low > question.threshold:
        return Standing.REFUTED, _certificate(question, not gradient, gradient)
    if not high <= question.threshold:
        return Standing.MEASURED, None
    certificate = _certificate(question, not gradient, gradient)
    return (Standing.MEASURED, None) if certificate is None else (Standing.PROVED, certificate)


def _certificate(question: Question, value: bool, gradient: bool) -> Digits | None:
    """A verified certificate of the bits that were found, or None."""
    sizes = question.function.size if gradient else 1
    run = question.value.run
    if run is None or run.operations * sizes > VERIFIABLE or (gradient and question.relation is Relation.UNKNOWN):
        return None
    if gradient and question.on_purpose:
        return None
    found = Digits.about(
        question.function.fun,
        question.at,
        question.args,
        value=_rows(question.value) if value else (),
        gradient=_rows(question.gradient) if gradient and question.gradient is not None else (),
    )
    try:
        found.verify()
    except (CertificateError, QedError):
        return None
    return found


def _rows(found: Judged) -> list[tuple[str, Any, tuple[float, float]]]:
    assert found.run is not None
    results = [found.run.results[k] for k in found.outputs]
    return [(str(r.dtype), as_wide(r), ends) for r, ends in zip(results, found.bounds, strict=True)]


def _again(question: Question, found: Judged, certificate: Digits | None, gradient: bool) -> bool:
    """The run repeated, and what it returns compared again."""
    if certificate is not None:
        return certificate.verify()
    assert found.run is not None
    names = [leaf.path for leaf in found.leaves]
    full = [""] * len(found.run.graph.outputs)
    for k, name in zip(found.outputs, names, strict=True):
        full[k] = name
    again = judge(found.run.graph, found.run.arrays, full, gradient, blame=False)
    if question.relation in (Relation.DIFFERS, Relation.UNDEFINED):
        return _measured_again(question)
    if again.bits is None or found.bits is None:
        return again.bits == found.bits
    return (again.bits > question.threshold) == (found.bits > question.threshold)


def _measured_again(question: Question) -> bool:
    """The gradient against the derivative of the function, once more."""
    assert question.gradient is not None
    again = compared(replace(question, relation=Relation.UNKNOWN))
    return again.gradient is not None and again.gradient.bits == question.gradient.bits


# --- sentences ------------------------------------------------------------------------------------------------


def comparison(leaf: Leaf, found: Judged, form: Format, whose: str) -> Reason:
    """The result beside the truth, as a reason."""
    name = f"{leaf.name}: " if leaf.name else ""
    told = "balls say" if found.reference == "ball" else "float64 says"
    against = "" if leaf.against is Against.ITSELF else f", against {leaf.against}"
    assert leaf.result is not None
    assert leaf.truth is not None
    truth = "a finite number beyond float64" if math.isinf(leaf.truth) else number(leaf.truth)
    text = f"{name}{form.name} gives {number(leaf.result)}, {told} {truth}{against}"
    text += f"; {_lost(leaf.bits_lost, int(form.digits))} lost" + _ulps(leaf, form)
    if _overflows(leaf, form):
        text += f": an overflow, the largest number of {form.name} is {form.largest:.3g}"
    return Reason(
        f"the run beside {found.reference}",
        formula="log2(1 + |result - truth| / (u |truth|))",
        text=text,
        predicted=leaf.truth,
        observed=leaf.result,
        role="gradient" if whose == "the gradient" else "value",
    )


def _overflows(leaf: Leaf, form: Format) -> bool:
    """Whether the result is infinite, and the truth a finite number beyond the format (balls enclose only such)."""
    return leaf.result is not None and math.isinf(leaf.result) and abs(leaf.truth or 0.0) > form.largest


def _ulps(leaf: Leaf, form: Format) -> str:
    """How many units in the last place the result is off, where that is a number one can use."""
    if leaf.bits_lost is None or leaf.truth is None or leaf.against is not Against.ITSELF:
        return ""
    if not 0 < abs(leaf.truth) <= form.largest or leaf.bits_lost >= form.digits - 1:
        return ""
    mantissa = math.frexp(abs(leaf.truth))[0]  # in [1/2, 1)
    return f": {(2.0**leaf.bits_lost - 1) * mantissa:.3g} ulp"


def because(blamed: Sequence[Blame], whose: str, findings: Sequence[Finding], most: int = 3) -> list[Reason]:
    """What the equations did to the digits, one reason for an event; what a finding says at its line is not repeated.

    Args:
        blamed: the equations.
        whose: 'the value' or 'the gradient'.
        findings: what is printed beside the reasons; the first shows its note under the line.
        most: how many reasons.
    """
    shown = findings[0] if findings and findings[0].span is not None else None
    reasons = []
    for group in told_of(blamed)[:most]:
        event, place, text = event_of(group[0]), place_of(group[0]), shares_of(group, whose)
        if shown is None or (shown.witness or {}).get("note") != event or str(shown.span) != str(place):
            text = f"{event}: {text}" + ("" if place is None else f" ({place})")
        elif text[0].isdigit():
            text = f"that is {text}"
        reasons.append(
            Reason(
                "local error, weighted by its adjoint",
                formula="|adjoint(y)| * |y - f(x)|",
                text=text,
                observed=sum(b.share for b in group),
                span=group[0].span,
            )
        )
    return reasons


def _ill_conditioned(inherent: float, bits: float) -> Reason:
    text = f"rounding x and the data alone, once, loses up to {inherent:.1f} bits here: the question is ill-conditioned"
    if inherent >= bits - 3:
        text += ", and no other formula is expected to do better"
    return Reason("condition number", "sum |x df/dx| / |f|", role="note", text=text, observed=inherent, predicted=bits)


def _elsewhere(question: Question) -> Reason:
    text = f"x lies outside of the box in {question.outside} of its numbers: it gave shapes and dtypes, and no digit "
    text += "was counted there"
    return Reason("the box", role="note", text=text, observed=question.outside, unpredicted="x was not asked about")


def _small_element(leaf: Leaf) -> Reason:
    assert leaf.elementwise is not None
    bits, place = leaf.elementwise
    index = f"[{', '.join(map(str, place))}]" if place else ""
    text = f"{leaf.path}{index} alone, small beside the others of its array, loses {bits:.1f} bits relative to itself"
    return Reason("element by element", role="note", text=text, observed=bits)
