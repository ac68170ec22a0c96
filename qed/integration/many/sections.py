"""Where an integral in many dimensions may be infinite or undefined: the search for sections that diverge.

Each coordinate is sent to the ends of its law, to 0 and to 1, while the others stay in small intervals about quantiles
of theirs; after these, curves are tried (`qed.integration.many.curves`). What is found is verified by
`qed.certificates.sections`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from qed.answer import Answer, Enclosed, Reason
from qed.certificates.named_laws import Law
from qed.certificates.patience import OutOfTime, on_time, patience
from qed.certificates.sections import Section, Sections, Tried, signs_proved
from qed.graph.trace import Traced
from qed.integration.many.curves import crossings, rays
from qed.integration.many.laws import named
from qed.integration.many.subject import Question
from qed.integration.measure import Measure
from qed.integration.transport import quantile
from qed.standing import Standing

LEVELS = (0.75, 0.25)
"""About which quantiles the other coordinates stay,"""
MOST = 4
"""in at most so many dimensions,"""
WIDTH = 2.0**-10
"""and how wide the intervals are, in parts of the numbers."""
PLACES = (0.0, 1.0)
"""Beside which numbers an integrand is looked at, besides the ends of a law."""
START = 64.0
"""Where the tails begin."""
RAYS = 64
"""So many rays are tried at most."""
SHARE = 4
"""They take at most this part of the budget."""


def by_sections(question: Question) -> Answer[float] | str:
    """The answer that it is infinite or undefined; or what speaks against a measurement, if anything does."""
    factors = [named(one) for one in question.measure.factors]
    if len(factors) > MOST or any(one is None for one in factors):
        return ""
    given = tuple(one for one in factors if one is not None)
    subject = question.subject
    traced = subject.traced()
    empty = Sections.made(subject, traced, factors=given, sections=(), logarithm=question.logarithm, value=math.nan)
    found: dict[int, Tried] = {}
    try:
        with patience(question.budget / SHARE):
            for sign, one in signs_proved(empty, traced, _all(question, traced, given)):
                found[sign] = one
                if len(found) == 2:
                    return _answer(question, _holding(empty, *found.values()))
                if empty.bounded(traced, sign):
                    return _answer(question, _holding(replace(empty, value=sign * math.inf), one))
    except OutOfTime:
        pass
    if not found:
        return ""
    (sign,) = found
    this, other = ("positive", "negative") if sign > 0 else ("negative", "positive")
    return f"the integral of its {this} part is infinite, and nothing bounds that of its {other} part"


def _all(question: Question, traced: Traced, factors: tuple[Law, ...]) -> Iterator[Tried]:
    """Everything that is tried, straight sections first."""
    for section in _tried(question, factors):
        yield "sections", section
    for ray in rays(traced, factors, question.logarithm)[:RAYS]:
        on_time()
        yield "rays", ray
    about = [np.array([sum(_about(one, law, level)) / 2
                       for one, law, level in zip(factors, question.measure.factors, levels, strict=True)])
             for levels in _levels(len(factors))]  # fmt: skip
    for crossing in crossings(traced, factors, question.logarithm, about):
        on_time()
        yield "crossings", crossing


def _levels(count: int) -> list[tuple[float, ...]]:
    """The quantiles of a few points."""
    return [tuple(LEVELS[(k + shift) % 2] for k in range(count)) for shift in (0, 1)] + [(0.4,) * count]


def _holding(certificate: Sections, *found: Tried) -> Sections:
    """The certificate with what proves it."""
    held = {kind: tuple(one for what, one in found if what == kind) for kind in ("sections", "rays", "crossings")}
    return replace(certificate, **held).sealed()


def _tried(question: Question, factors: tuple[Law, ...]) -> Iterator[Section]:
    boxes = [[_about(one, law, level) for level in LEVELS]
             for one, law in zip(factors, question.measure.factors, strict=True)]  # fmt: skip
    for i, (_, _, low, high) in enumerate(factors):
        ends: list[tuple[float, int]] = [(math.inf, side) for side, end in ((1, high), (-1, low)) if math.isinf(end)]
        ends += [(s, side) for s in dict.fromkeys((low, high, *PLACES)) if math.isfinite(s) for side in (1, -1)]
        others = [boxes[k] if k != i else boxes[k][:1] for k in range(len(factors))]
        for (s, side), chosen in itertools.product(ends, itertools.product(*others)):
            on_time()
            if math.isinf(s) or low <= s + side * 2 / START <= high:
                yield i, float(s), side, START, tuple(chosen)


def _about(factor: Law, law: Measure, level: float) -> tuple[float, float]:
    """A small interval of a factor about a quantile; of length, about a number between its ends."""
    name, _, low, high = factor
    if name:
        x = float(np.asarray(quantile(law, level)))
    elif math.isfinite(low) and math.isfinite(high):
        x = low + (high - low) * level
    else:
        x = low + 4 * level if math.isfinite(low) else high - 4 * level if math.isfinite(high) else 8 * (level - 0.5)
    a, b = x - WIDTH * max(abs(x), WIDTH), x + WIDTH * max(abs(x), WIDTH)
    return max(low, a), min(high, b)


def _answer(question: Question, certificate: Sections) -> Answer[float]:
    certificate.verify()
    undefined = math.isnan(certificate.value)
    curved = "along a curve " if certificate.rays or certificate.crossings else ""
    rule = f"sections with one free coordinate {curved}diverge, with " + ("both signs" if undefined else "one sign")
    what: Any = "undefined" if undefined else "infinite" if certificate.value > 0 else "-inf"
    says = f"is {what}: {rule}"
    return Answer(
        question.claim(says),
        Standing.PROVED,
        certificate.value,
        arithmetic="reals",
        error=None if undefined else Enclosed(certificate.value, certificate.value),
        reasons=(Reason(rule, "∫ f± dμ ≥ ∫_B ∫ f± dμᵢ dμ = ∞", standing=Standing.PROVED, text=rule),),
        certificate=certificate,
        headline=f"{question.noun} {says}.",
        subject=question.function.title(),
    )
