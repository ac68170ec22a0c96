"""Expectations and normalising constants of functions of a vector, against a product of measures.

What can be proved is tried first: integrals on the line (`separable`, `conditional`), subdivision of a box in few
dimensions (`proof`). Bounds that are narrow beside the value are the answer; bounds that are wide are the answer where
nothing better is measured.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qed.answer import Answer, Measured, Missing, Reason
from qed.certificates.reading import as_read
from qed.integration.many.conditional import by_conditionals
from qed.integration.many.constants import room
from qed.integration.many.proof import Proved, by_boxes, told
from qed.integration.many.sampling import Sampled, sampled
from qed.integration.many.sections import by_sections
from qed.integration.many.separable import by_coordinates
from qed.integration.many.separable import told as together
from qed.integration.many.subject import Question
from qed.integration.many.sum_of_normals import by_normal_sum
from qed.integration.product import Product
from qed.standing import Standing

METHOD = "scrambled Sobol' points on laws about the modes, beside Halton points on wider ones"
WIDE = 0.02
"""Bounds to each side, in parts of the value, that are the answer without a measurement; of a logarithm, absolutely."""


def expect(
    fun: Any, measure: Product, args: tuple[Any, ...], tol: float | None = None, budget: float = 20.0, seed: int = 0
) -> Answer[float]:
    """As `qed.expect`, against a product of measures: fun(x, *args) of a vector x.

    >>> import jax.numpy as jnp
    >>> from qed.integration.many.expectation import expect
    >>> from qed.integration.measures import Uniform
    >>> answer = expect(lambda x: x[0] * x[1] ** 2, Uniform([0.0, 0.0], [1.0, 1.0]), ())
    >>> str(answer.standing), round(answer.value, 5), answer.check()
    ('PROVED', 0.16667, True)
    """
    return _told(Question.asked(fun, measure, args, tol, budget, seed))


def normalizer(
    log_density: Any, base: Product, args: tuple[Any, ...], budget: float = 20.0, seed: int = 0
) -> Answer[float]:
    """As `qed.normalizer`, over a box or the whole space: log_density(x, *args) of a vector x."""
    return _told(Question.asked(log_density, base, args, None, budget, seed, logarithm=True))


def _told(question: Question) -> Answer[float]:
    answer = _answer(question)
    return as_read(answer, question.subject.once) if answer.arithmetic == "reals" else answer


def _answer(question: Question) -> Answer[float]:
    """Prove; where that is wide or impossible, measure."""
    apart = by_coordinates(question)
    if apart.certificate is not None:
        return together(question, apart)
    if (of_a_sum := by_normal_sum(question)) is not None:
        return of_a_sum
    if (conditional := by_conditionals(question)) is not None:
        return conditional
    proved = by_boxes(question)
    if proved.certificate is not None and _narrow(question, proved):
        return told(question, proved)
    sections = by_sections(question) if proved.certificate is None else ""
    if isinstance(sections, Answer):
        return sections
    found = sampled(question)
    if found.value is not None:
        found = replace(found, error=max(found.error, room(question, question.subject.traced(), found.value)))
    if sections:
        found = replace(found, problem=sections, value=None)  # what a rule makes of it is no value
    if proved.certificate is None:
        return _measured(question, found, proved.problem) if not found.problem else _unknown(question, found)
    lower, upper = proved.certificate.lower, proved.certificate.upper
    inside = found.value is not None and lower <= found.value <= upper
    if found.problem or not inside or found.error >= proved.half_width:
        return told(question, proved)
    return _measured(question, found, f"it is only proved to lie in [{lower!r}, {upper!r}]")


def _narrow(question: Question, proved: Proved) -> bool:
    """Whether bounds say enough."""
    if question.tol is not None:
        return proved.half_width <= question.tol
    return proved.half_width <= WIDE * (1.0 if question.logarithm else abs(proved.value))


def _measured(question: Question, found: Sampled, problem: str) -> Answer[float]:
    """The answer of two rules that agree."""
    assert found.value is not None
    says = f"has the logarithm {found.value!r}" if question.logarithm else f"is {found.value!r}"
    reason = Reason(
        METHOD,
        "∫ g dx = Σ aₖ Eₖ[g / q],  q = Σ aₖ qₖ",
        found.with_numbers,
        predicted=found.value,
        observed=found.other,
        standing=Standing.MEASURED,
        text=f"two unlike rules agree within {found.error:.2g}; no proof: {problem}",
    )
    return Answer(
        question.claim(f"{says} within {found.error:.3g}"),
        Standing.MEASURED,
        found.value,
        arithmetic="float64",
        error=Measured(found.error, METHOD, question.seed),
        reasons=(reason,),
        headline=f"{question.noun} is about {found.value:.9g}, measured within {found.error:.2g}.",
        subject=question.function.title(),
        meta={"seed": question.seed},
        recheck=lambda: _again(question, found),
    )


def _again(question: Question, found: Sampled) -> bool:
    """Whether the same rules with another seed agree with what was measured."""
    other = sampled(replace(question, seed=question.seed + 1))
    if other.problem or other.value is None or found.value is None:
        return False
    return abs(other.value - found.value) <= other.error + found.error


def _unknown(question: Question, found: Sampled) -> Answer[float]:
    """Nothing that can be relied on, with the estimate and what speaks against it."""
    missing = Missing(found.problem, "another measure or function, or a larger budget", code="QED020")
    claim = question.claim("has a finite logarithm" if question.logarithm else "is a number")
    reasons = () if not found.with_numbers else (Reason(METHOD, with_numbers=found.with_numbers, text=found.problem),)
    return Answer(
        claim, Standing.UNKNOWN, found.value, arithmetic="float64", missing=(missing,), reasons=reasons,
        subject=question.function.title(), meta={"seed": question.seed},
    )  # fmt: skip
