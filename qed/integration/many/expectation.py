"""Expectations and normalising constants of functions of a vector, against a product of measures.

What can be proved is tried first: subdivision of a box in few dimensions (`qed.integration.many.proof`). Bounds that
are narrow beside the value are the answer; bounds that are wide are the answer where nothing better is measured.
"""

from __future__ import annotations

from typing import Any

from qed.answer import Answer, Missing
from qed.integration.many.proof import Proved, by_boxes, told
from qed.integration.many.subject import Question
from qed.integration.product import Product
from qed.standing import Standing

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
    return _answer(Question.asked(fun, measure, args, tol, budget, seed))


def normalizer(
    log_density: Any, base: Product, args: tuple[Any, ...], budget: float = 20.0, seed: int = 0
) -> Answer[float]:
    """As `qed.normalizer`, over a box or the whole space: log_density(x, *args) of a vector x."""
    return _answer(Question.asked(log_density, base, args, None, budget, seed, logarithm=True))


def _answer(question: Question) -> Answer[float]:
    proved = by_boxes(question)
    return told(question, proved) if proved.certificate is not None else _unknown(question, proved.problem)


def _narrow(question: Question, proved: Proved) -> bool:
    """Whether bounds say enough."""
    if question.tol is not None:
        return proved.half_width <= question.tol
    return proved.half_width <= WIDE * (1.0 if question.logarithm else abs(proved.value))


def _unknown(question: Question, problem: str, value: float | None = None) -> Answer[float]:
    missing = Missing(problem or "no value was found", "another measure or function", code="QED020")
    return Answer(
        question.claim("is a number"), Standing.UNKNOWN, value, arithmetic="reals", missing=(missing,),
        subject=question.function.title(),
    )  # fmt: skip
