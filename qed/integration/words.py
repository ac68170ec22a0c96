"""How an integral is told: its name, the middle of its bounds, a distance that holds; and, unproved, the two rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qed.answer import Reason
from qed.standing import Standing

RULES = "Gauss-Kronrod beside the double exponential rule"
"""The two unlike rules of `qed.integration.quadrature`."""

SUMS = "terms added up in balls; the rest is enclosed by a geometric sum, an integral, or Euler and Maclaurin's formula"
"""How sums over whole numbers are proved."""


def capital(text: str) -> str:
    """The text with a capital letter first."""
    return text[0].upper() + text[1:]


def as_event(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, marked as the indicator of an event: its integral is told as a probability."""
    function.indicates = True  # type: ignore[attr-defined]
    return function


def noun(function: Callable[..., Any], probability: bool) -> str:
    """What the integral of a function is called: a mean or a probability, where the mass is 1.

    >>> from qed.integration.words import as_event, noun
    >>> noun(abs, True), noun(abs, False), noun(as_event(lambda x: x > 0), True)
    ('mean', 'integral', 'probability')
    """
    if getattr(function, "indicates", False):
        return "probability" if probability else "measure"
    return "mean" if probability else "integral"


def bounded(function: Callable[..., Any], probability: bool, lower: float, upper: float) -> tuple[float, float]:
    """Bounds of an integral, and of an event's those that every measure has: 0 and, of a probability, 1.

    >>> from qed.integration.words import as_event, bounded
    >>> bounded(abs, True, -1e-9, 1e-9), bounded(as_event(lambda x: x > 0), True, -1e-9, 1e-9)
    ((-1e-09, 1e-09), (0.0, 1e-09))
    """
    if not getattr(function, "indicates", False):
        return lower, upper
    return max(lower, 0.0), min(upper, 1.0) if probability else upper


def claim(noun: str, name: str, measure: Any, says: str) -> str:
    """A sentence about it: `the mean of f under Normal(0, 1) lies in [...]`."""
    return f"the {noun} of {name} {'under' if noun in ('mean', 'probability') else 'against'} {measure} {says}"


def within(lower: float, upper: float) -> str:
    """An interval in words, the distance rounded up.

    >>> from qed.integration.words import within
    >>> within(0.999999999, 1.000000001), within(2.0, 2.0)
    ('1 within 1.1e-09', '2')
    """
    shown = f"{0.5 * lower + 0.5 * upper:.9g}"
    room = max(upper - float(shown), float(shown) - lower)
    return f"{shown} within {1.05 * room:.1e}" if room > 0 else shown


def two_rules(error: float, problem: str) -> Reason:
    """Why a measured integral is believed: two unlike rules agree; and why it is not proved."""
    return Reason(
        RULES,
        standing=Standing.MEASURED,
        unpredicted="no theorem bounds what two rules miss together",
        text=f"{RULES} agree within {error:.2g}; no proof: {problem}",
    )


SETTLED = (
    ("found in time", "a larger budget=, or the integral over parts of the line, qed.measures.restrict(measure, a, b)"),
    ("no rule for", "the same function written without that operation, or the integral over a bounded part, "
     "qed.measures.restrict(measure, a, b)"),
    ("NaN", "a value there: jnp.where(bad, its value, f(jnp.where(bad, 1.0, x)))"),
    ("no number near", "a value there: jnp.where(bad, its value, f(jnp.where(bad, 1.0, x)))"),
    ("undefined", "a function that is defined there, or the parts to both sides, qed.measures.restrict(measure, a, b)"),
    ("not bounded", "the parts to both sides of that number, qed.measures.restrict(measure, a, b)"),
    ("balls", "a larger budget=, or a wider tol="),
    ("only known as", "a wider tol="),
)  # fmt: skip
"""What is left open, by a part of what it says, and what one can do."""


def settle(problem: str) -> str:
    """What would settle a question that was left open for a reason.

    >>> from qed.integration.words import settle
    >>> settle("the sum is only known as [2.0 +/- 1]"), settle("no value was found")
    ('a wider tol=', 'a larger budget=, or the integral over parts of the line, qed.measures.restrict(measure, a, b)')
    """
    return next((what for part, what in SETTLED if part in problem), SETTLED[0][1])
