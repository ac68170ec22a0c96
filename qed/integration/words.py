"""How an interval is told: its middle and the distance to its ends, rounded so that the words are true."""

from __future__ import annotations


def within(lower: float, upper: float) -> str:
    """An interval in words, the distance rounded up.

    >>> from qed.integration.words import within
    >>> within(0.999999999, 1.000000001), within(2.0, 2.0)
    ('1 within 1.1e-09', '2')
    """
    shown = f"{0.5 * lower + 0.5 * upper:.9g}"
    room = max(upper - float(shown), float(shown) - lower)
    return f"{shown} within {1.05 * room:.1e}" if room > 0 else shown
