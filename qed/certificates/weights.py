"""Weights of atoms and densities as texts of fractions, so that certificates hold them exactly."""

from __future__ import annotations

from fractions import Fraction

from qed.errors import CertificateError


def as_text(weight: Fraction) -> str:
    """A fraction as a text, in hexadecimal digits, whose number Python does not limit.

    >>> from fractions import Fraction
    >>> from qed.certificates.weights import as_text, fraction
    >>> as_text(Fraction(3, 16)), fraction("x3/10") == Fraction(3, 16)
    ('x3/10', True)
    """
    return f"x{weight.numerator:x}/{weight.denominator:x}"


def fraction(text: str, node: str = "p_parts") -> Fraction:
    """A weight from its text."""
    try:
        if text.startswith("x"):
            over, under = (int(digits, 16) for digits in text[1:].split("/"))
            weight = Fraction(over, under)
        else:
            weight = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise CertificateError(node, f"{text[:40]!r} is no weight") from None
    if weight < 0:
        raise CertificateError(node, "a weight is negative")
    return weight
