"""Integrals over a product measure that fall apart into integrals on the line, in any number of dimensions.

The form is read from the graph (`qed.domains.separated`), each factor is integrated by `qed.expect` or `qed.normalizer`
on the line, and the certificate (`qed.certificates.separable`) keeps the certificates of all of them. That the form is
the function is looked at once more: both are evaluated at some points.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from qed.answer import Answer, Enclosed, Reason
from qed.certificates.certificate import Certificate
from qed.certificates.expectation import Expectation, LogMass
from qed.certificates.separable import UNIT, ZERO, Separable, measure_of, number
from qed.domains.separated import One, Sum, TooWide, by_coordinate, separated
from qed.errors import CertificateError, QedError
from qed.graph.trace import Traced
from qed.graph.walk import TooLong
from qed.integration.many.constants import room, rounded, with_room
from qed.integration.many.modes import batched
from qed.integration.many.subject import Question
from qed.integration.measure import Measure
from qed.integration.words import within
from qed.standing import Standing

Array = np.ndarray
PIECES = 48
"""How many integrals on the line are taken at most."""
SHARE = 0.5
"""Which share of the budget they may take."""
POINTS = 32
"""At how many points the form is compared with the function."""
ALIKE = 1e-7
"""How far they may differ, in parts of the sizes of the terms."""


@dataclass(frozen=True)
class Apart:
    """A certificate, or why there is none; and of how many terms and integrals it is made."""

    certificate: Separable | None
    problem: str = ""
    text: str = ""


def by_coordinates(question: Question) -> Apart:
    """Bounds of the integral by integrals on the line, where the function is of that form."""
    subject = question.subject
    traced = subject.traced()
    try:
        form = separated(traced)
    except TooLong as error:
        return Apart(None, str(error))
    if isinstance(form, str):
        return Apart(None, form)
    factors = question.measure.factors
    if not question.logarithm and not form.terms:
        return Apart(None, "its terms cancel: no integral on the line is left")
    wanted = _wanted(question, form, factors)
    if isinstance(wanted, str):
        return Apart(None, wanted)
    if not alike(question, form):
        return Apart(None, "the form that was read differs from the function")
    deadline = time.monotonic() + SHARE * question.budget
    pieces: list[tuple[int, str, str]] = []
    data: dict[str, tuple[Any, ...]] = {}
    for i, one in wanted:
        if time.monotonic() > deadline:
            return Apart(None, "the budget ended before all integrals on the line were taken")
        found = _on_line(one, factors[i], question.logarithm)
        if isinstance(found, str):
            return Apart(None, f"coordinate {i}, {_short(one)}: {found}")
        pieces.append((i, str(one), json.dumps(found.to_json())))
        data[_identity(factors[i])] = measure_of(found)
    return _certified(subject, traced, question, pieces, data, len(form.terms))


def _short(one: One) -> str:
    text = str(one)
    return text if len(text) < 60 else text[:57] + "..."


def _wanted(question: Question, form: Sum, factors: Sequence[Measure]) -> list[tuple[int, One]] | str:
    """The integrals on the line, each once for coordinates with one measure."""
    if question.logarithm:
        try:
            parts = by_coordinate(form)[1]
        except TooWide:
            return "the log-density is no sum of functions of single coordinates"
        pairs = [(i, parts.get(i, ZERO)) for i in range(len(factors))]
    else:
        pairs = [(i, dict(term).get(i, UNIT)) for _, term in form.terms for i in range(len(factors))]
    known: dict[tuple[str, str], tuple[int, One]] = {}
    for i, one in pairs:
        known.setdefault((_identity(factors[i]), str(one)), (i, one))
    if len(known) > PIECES:
        return f"{len(known)} integrals on the line would be needed"
    return list(known.values())


def _identity(measure: Measure) -> str:
    return repr((measure.atoms, measure.parts))


def _on_line(one: One, measure: Measure, logarithm: bool) -> Certificate | str:
    """The integral of one factor, proved; or why not."""
    from qed.integration.expectation import expect
    from qed.integration.normalizer import normalizer

    def factor(x: Any) -> Any:
        return number(one, x)

    if any(part.log_density is not None for part in measure.parts):
        return "its measure has a log-density that is not named"
    try:
        with jax.enable_x64(True):
            answer = normalizer(factor, measure) if logarithm else expect(factor, measure)
    except QedError as error:
        return f"{error.what}: {error.because}"
    if not answer.proved or not (np.isfinite(answer.lower) and np.isfinite(answer.upper)):
        return answer.missing[0].what if answer.missing else "its integral is not proved to be finite"
    if not isinstance(answer.certificate, LogMass if logarithm else Expectation):
        return "its measure counts places"
    return answer.certificate


def _certified(
    subject: Any, traced: Any, question: Question, pieces: Sequence[Any], data: dict[str, Any], terms: int
) -> Apart:
    """The certificate, its bounds from its own arithmetic."""
    measures = [data[_identity(one)] for one in question.measure.factors]
    made = Separable.made(
        subject,
        traced,
        measures=tuple(measures),
        pieces=tuple(pieces),
        logarithm=question.logarithm,
        lower=0.0,
        upper=0.0,
    )
    try:
        lower, upper = with_room(question, traced, *made.enclosed(traced, verified=True))
        certificate = Separable.made(
            subject, traced, measures=made.measures, pieces=made.pieces, logarithm=question.logarithm, lower=lower,
            upper=upper,
        )  # fmt: skip
        certificate.verify()
    except CertificateError as error:
        return Apart(None, str(error))
    counted = [f"{n} {what}{'' if n == 1 else 's'}" for n, what in ((terms, "term"), (len(pieces), "integral"))]
    text = f"{', '.join(counted)} on the line"
    return Apart(certificate, "", rounded(text, room(question, traced, lower / 2 + upper / 2)))


def alike(question: Question, form: Sum, traced: Traced | None = None) -> bool:
    """Whether the form has the values of the function, or of another program, at some points of the support."""
    from qed.integration.many.sampling import integrand

    try:
        g = integrand(question)
        base = g.base
    except QedError:
        return True
    u = np.random.default_rng(question.seed).random((POINTS, question.measure.dimension))
    x = base.points(u) if base is not None else np.clip(8 * u - 4, g.low, g.high)
    values = batched(traced or question.subject.traced())(x)
    with jax.enable_x64(True), np.errstate(all="ignore"):
        total, size = np.zeros(len(x)), np.zeros(len(x))
        for c, factors in form.terms:
            term = float(c) * np.ones(len(x))
            for i, one in factors:
                term = term * np.asarray(number(one, jax.numpy.asarray(x[:, i])), np.float64)
            total, size = total + term, size + np.abs(term)
    good = np.isfinite(values) & np.isfinite(total)
    return bool(np.all(np.abs(values[good] - total[good]) <= ALIKE * (size[good] + 1e-300)))


def told(question: Question, apart: Apart) -> Answer[float]:
    """The answer of a proof."""
    certificate = apart.certificate
    assert certificate is not None
    lower, upper = certificate.lower, certificate.upper
    says = f"has its logarithm in [{lower!r}, {upper!r}]" if question.logarithm else f"lies in [{lower!r}, {upper!r}]"
    formula = "log ∫ exp(Σ uᵢ) = Σ log ∫ exp(uᵢ)" if question.logarithm else "∫ Σ cₖ Π gₖᵢ dμ = Σ cₖ Π ∫ gₖᵢ dμᵢ"
    rule = f"Fubini's theorem: {apart.text}"
    return Answer(
        question.claim(says),
        Standing.PROVED,
        lower / 2 + upper / 2,
        arithmetic="reals",
        error=Enclosed(lower, upper),
        reasons=(Reason(rule, formula, standing=Standing.PROVED, text=rule),),
        certificate=certificate,
        headline=f"{question.noun} is {within(lower, upper)}.",
        subject=question.function.title(),
    )
