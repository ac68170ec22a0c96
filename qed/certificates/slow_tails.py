"""The variable of a tail: x itself, or its logarithm where what is to be integrated changes too slowly for powers of x.

    int_R^inf f(x) dx = int_log R^inf f(exp(t)) exp(t) dt,     and beside s,  x = s + exp(-t)

The tail domain knows x^p (log x)^k exp(c x^q), in which there is no log log x. In t = log x it is log t, and

    1 / (x log x log log x) dx = 1 / (t log t) dt,    1 / (x log x (log log x)^2) dx = 1 / (t (log t)^2) dt,

where the first diverges and the second does not: the scale of Abel, Dini and Bertrand, one logarithm further.

Reference: Hardy, *Orders of Infinity*, Cambridge 1910, section 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from qed.domains.precision import flint
from qed.domains.tail import Tail
from qed.domains.tail_forms import Near, Term

FARTHEST = 2.0**64
"""The farthest start that is tried."""


def variable(s: float | None, side: int, domain: Tail) -> tuple[Any, Any]:
    """The form of x in a tail domain, and that of dx: beyond a radius, or beside the number s.

    Args:
        s: the number; None for an infinite end.
        side: 1 above it, or at plus infinity, and -1 below it.
        domain: the tail domain, of x, of 1 / |x - s|, or of the logarithm of either where it is slow.

    >>> from qed.certificates.slow_tails import variable
    >>> from qed.domains.precision import precision
    >>> from qed.domains.tail import Tail
    >>> with precision(64):
    ...     x, dx = variable(None, 1, Tail(8.0))
    ...     t, dt = variable(None, 1, Tail(8.0, slow=True))
    >>> (x.p, x.q, dx.p), (t.p, t.q, dt.q)
    ((Fraction(1, 1), Fraction(0, 1), Fraction(0, 1)), (Fraction(0, 1), Fraction(1, 1), Fraction(1, 1)))
    """
    arb, zero, one = flint().arb, Fraction(0), Fraction(1)
    if domain.slow:
        sign = arb(1 if s is None else -1)
        size, dx = Term(arb(side), zero, sign, one), Term(arb(1), zero, sign, one)
    elif s is None:
        size, dx = Term(arb(side), one, arb(0)), Term(arb(1), zero, arb(0))
    else:
        size, dx = Term(arb(side), -one, arb(0)), Term(arb(1), Fraction(-2), arb(0))  # x = s + 1/y, dx = dy / y^2
    return (Near(arb(s), size) if s else size), dx


def slow_starts(s: float | None, start: float) -> Iterator[float]:
    """Starts of x, or of 1 / |x - s|, each the square of the one before."""
    while start <= FARTHEST / abs(s or 1.0):
        yield start
        start *= start
