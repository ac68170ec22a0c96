"""Integrals of a function of one linear form in normal coordinates, by the law of the form.

The last place of the program through which all of its argument goes, and that is a linear form, is looked for; what is
left behind it is integrated on the line (`qed.certificates.sum_of_normals`).
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import jax

from qed.answer import Answer, Enclosed, Reason
from qed.certificates.expectation import Expectation
from qed.certificates.sum_of_normals import Form, Law, SumOfNormals, behind, form_of, moments, on_the_line
from qed.errors import CertificateError, QedError
from qed.graph.walk import TooLong
from qed.integration.combining import from_log_density
from qed.integration.many.constants import room, rounded, with_room
from qed.integration.many.subject import Question
from qed.integration.measure import Measure
from qed.integration.words import within
from qed.standing import Standing

PLACES = 64
"""So many equations are looked at, from the last on."""
SHARE = 0.5
"""The share of the budget that the integral on the line may take."""
RULE = "a sum of independent normal numbers is normal: an integral on the line"
FORMULA = "c + Σ aᵢ Xᵢ ~ N(c + Σ aᵢ mᵢ, Σ aᵢ² sᵢ²)"


def by_normal_sum(question: Question) -> Answer[float] | None:
    """The proved answer; None where the function is of another form, or the integral on the line is not proved."""
    laws = [_law(one) for one in question.measure.factors]
    if question.logarithm or any(one is None for one in laws) or not any(laws):
        return None
    given = tuple(one for one in laws if one is not None)
    traced = question.subject.traced()
    equations = traced.graph.equations
    for place in range(len(equations) - 1, max(len(equations) - 1 - PLACES, -1), -1):
        try:
            behind(traced, equations[place])
            form = form_of(traced, equations[place])
            if form is None or len(form[1]) < 2:
                continue
            scale = _scale(form, given)
            functions = on_the_line(traced, given, place, scale)
        except (CertificateError, TooLong):
            continue
        return _answer(question, given, place, scale, functions)
    return None


def _law(law: Measure) -> Law | None:
    """Mean and scale of a normal law, () for another probability."""
    if not law.probability:
        return None
    (part, *more) = law.parts or (None,)
    if part is not None and not more and not law.atoms and part.family == "Normal" and part.of is None:
        return tuple(map(float, part.parameters))
    return ()


def _scale(form: Form, laws: tuple[Law, ...]) -> float:
    """A number D for which D and D^2 times the moments have no denominators but powers of 2."""
    mean, variance = moments(form, laws)
    whole = math.lcm(*(a.denominator for a in (mean, variance, form[0], *form[1].values())))
    while whole % 2 == 0:
        whole //= 2
    return float(whole) if whole < 2**20 else 1.0


def _answer(
    question: Question, laws: tuple[Law, ...], place: int, scale: float, functions: tuple[Any, ...]
) -> Answer[float] | None:
    from qed.integration.expectation import expect

    h, u = functions
    h.__name__ = question.function.name
    try:
        with jax.enable_x64(True):
            found = expect(h, from_log_density(u), tol=question.tol, budget=SHARE * question.budget)
    except QedError:
        return None
    if not found.proved or not isinstance(found.certificate, Expectation):
        return None
    lower, upper = found.certificate.lower, found.certificate.upper
    if not lower <= upper:
        return None
    traced = question.subject.traced()
    half = room(question, traced, lower / 2 + upper / 2)
    lower, upper = with_room(question, traced, lower, upper)
    try:
        certificate = SumOfNormals.made(
            question.subject, laws=laws, equation=place, scale=scale, piece=json.dumps(found.certificate.to_json()),
            lower=lower, upper=upper,
        )  # fmt: skip
        certificate.verify()
    except (CertificateError, TooLong):
        return None
    says = f"is {found.value}" if math.isinf(lower) else f"lies in [{lower!r}, {upper!r}]"
    return replace(
        found,
        claim=question.claim(says),
        seal=None,
        certificate=certificate,
        error=Enclosed(lower, upper),
        reasons=(Reason(RULE, FORMULA, standing=Standing.PROVED, text=rounded(RULE, half)), *found.reasons),
        headline=f"{question.noun} is {within(lower, upper)}." if half else found.headline,
        subject=question.function.title(),
    )
