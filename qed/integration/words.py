"""How an integral is told: the middle of its bounds and a distance that holds; and, where not proved, the two rules."""

from __future__ import annotations

from qed.answer import Reason
from qed.standing import Standing

RULES = "Gauss-Kronrod beside the double exponential rule"
"""The two unlike rules of `qed.integration.quadrature`."""

SUMS = "terms added up in balls; the rest is bounded by a geometric sum or an integral"
"""How sums over whole numbers are proved."""


def capital(text: str) -> str:
    """The text with a capital letter first."""
    return text[0].upper() + text[1:]


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
