"""Normalising constants, and means of exp(u), in which coordinates are normal given the others: in any dimension.

The form is read from the graph, normal coordinates are integrated in closed form (`qed.domains.conditionals`), and what
is left is integrated on the line by `qed.normalizer`. That the form is the function is looked at once more: both are
evaluated at some points. Evidences of hierarchical models and of linear regressions, funnels, ridges that are bent.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from qed.answer import Answer, Enclosed, Reason
from qed.certificates.conditional import Conditional, exponent_of, left_of, line_of
from qed.certificates.expectation import LogMass
from qed.certificates.named_laws import Law
from qed.certificates.separable import ZERO, number
from qed.domains.separated import separated
from qed.errors import CertificateError, QedError
from qed.graph.walk import TooLong
from qed.integration.many.constants import room, rounded, with_room
from qed.integration.many.laws import named
from qed.integration.many.separable import alike
from qed.integration.many.subject import Question
from qed.integration.measure import Measure
from qed.integration.words import within
from qed.standing import Standing


def by_conditionals(question: Question) -> Answer[float] | None:
    """The answer, where the log-density is of that form and what is left is proved."""
    laws = [named(one) for one in question.measure.factors]
    subject = question.subject
    traced = subject.traced()
    u = traced if question.logarithm else exponent_of(traced)
    if u is None or any(law is None for law in laws):
        return None
    given = tuple(law for law in laws if law is not None)
    try:
        left = left_of(u, given)
        form = separated(u)
    except TooLong:
        return None
    if isinstance(left, str) or isinstance(form, str) or not alike(question, form, u):
        return None
    pieces = []
    for i in range(len(given)):
        if i in left.gone:
            continue
        found = _on_line(left.parts.get(i, ZERO), question.measure.factors[i], given[i], question.budget / 2)
        if found is None:
            return None
        pieces.append((i, json.dumps(found.to_json())))
    try:
        made = Conditional.made(
            subject, traced, laws=given, pieces=tuple(pieces), lower=0.0, upper=0.0, exponential=not question.logarithm
        )
        lower, upper = made.enclosed(traced, verified=True)
        if np.isfinite(upper):
            lower, upper = with_room(question, traced, lower, upper)
        certificate = replace(made, lower=lower, upper=upper).sealed()
        certificate.verify()
    except CertificateError:
        return None
    return _told(question, certificate, len(left.gone), room(question, traced, lower / 2 + upper / 2))


def _on_line(one: Any, measure: Measure, law: Law, budget: float) -> LogMass | None:
    """The integral of what is left of a coordinate, proved."""
    from qed.integration.combining import Lebesgue
    from qed.integration.normalizer import normalizer

    base = measure if line_of(law) == law else Lebesgue()
    try:
        with jax.enable_x64(True):
            answer = normalizer(lambda x: number(one, x), base, budget=budget)
    except QedError:
        return None
    good = answer.proved and answer.lower > -np.inf and (answer.upper < np.inf or answer.lower == np.inf)
    return answer.certificate if good and isinstance(answer.certificate, LogMass) else None


def _told(question: Question, certificate: Conditional, count: int, half: float) -> Answer[float]:
    """The answer of a proof."""
    lower, upper = certificate.lower, certificate.upper
    left = len(certificate.laws) - count
    counted = f"{count} normal coordinate{'' if count == 1 else 's'}"
    rest = f", {left} integral{'' if left == 1 else 's'} on the line" if left else ""
    rule = rounded(f"normal given the others: {counted} in closed form{rest}", half)
    infinite = lower == np.inf
    says = f"has its logarithm in [{lower!r}, {upper!r}]" if question.logarithm else f"lies in [{lower!r}, {upper!r}]"
    return Answer(
        question.claim("is infinite" if infinite else says),
        Standing.PROVED,
        lower if infinite else lower / 2 + upper / 2,
        arithmetic="reals",
        error=Enclosed(lower, upper),
        reasons=(Reason(rule, "∫ exp(c + by - ay²) dy = √(π/a) exp(c + b²/4a)", standing=Standing.PROVED, text=rule),),
        certificate=certificate,
        headline=f"{question.noun} is {'infinite' if infinite else within(lower, upper)}.",
        subject=question.function.title(),
    )
