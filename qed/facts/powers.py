"""Powers and roots: the derivative of x^n is n x^(n-1).

Integer powers and powers with a constant real exponent are families: one card for each exponent.
"""

# ruff: noqa: E501  (a card is one line)

from __future__ import annotations

from fractions import Fraction

from qed.facts.card import Card, entry

POWERS = (
    entry("cbrt", "1/(3*y*y)", limits="-inf, inf", kinks="0", bends="0", parity="odd", log="concave", flint="qed.facts.balls.cbrt", tex=r"\sqrt[3]{{x}}"),
    entry("neg", "-1", limits="inf, -inf", parity="odd", log="concave", numpy="numpy.negative", flint="", definition="-x", tex="-{x}"),
    entry("one_minus_square", "-2*x", limits="-inf, -inf", range="(-inf, 1]", turns="0", parity="even", log="concave", numpy="", jax="", flint="", definition="(1 - x)*(1 + x)", tex="1 - {x}^2"),
    entry("reciprocal", "-y*y", limits="0, 0", poles="0", at_poles="-inf, inf", parity="odd", log="convex", jax="", flint="", definition="1/x", tex=r"\frac{1}{{x}}", primitive=False),
    entry("rsqrt", "-y/(2*x)", domain="(0, inf)", limits="inf, 0", range="(0, inf)", log="convex", numpy="", definition="1/sqrt(x)", tex=r"\frac{1}{\sqrt{{x}}}"),
    entry("sqrt", "1/(2*y)", domain="[0, inf)", limits="0, inf", range="[0, inf)", log="concave", tex=r"\sqrt{{x}}"),
    entry("square", "2*x", limits="inf, inf", range="[0, inf)", turns="0", parity="even", log="concave", flint="", definition="x*x", tex="{x}^2"),
)  # fmt: skip


def integer_pow(y: int) -> Card:
    """Return the card of x^y for an integer y (JAX's integer_pow calls the exponent y).

    >>> from qed.facts.powers import integer_pow
    >>> integer_pow(3).derivative, str(integer_pow(4).turns), str(integer_pow(-1).poles)
    (Expression('3*integer_pow(x, y=2)'), '0', '0')
    """
    even = y % 2 == 0
    infinities = "inf, inf" if even else "-inf, inf"
    return entry(
        "integer_pow",
        {0: "0", 1: "1", 2: "2*x"}.get(y, f"({y})*integer_pow(x, y={y - 1})"),
        limits={0: "1, 1"}.get(y, infinities if y > 0 else "0, 0"),
        range="[1, 1]" if y == 0 else "(-inf, inf)" if not even else "[0, inf)" if y > 0 else "(0, inf)",
        poles="0" if y < 0 else "",
        at_poles=infinities if y < 0 else "",
        turns="0" if even and y > 0 else "",
        bends="0" if not even and y > 1 else "",
        parity="even" if even else "odd",
        log="affine" if y == 0 else "concave" if y > 0 else "convex",
        numpy="numpy.power", flint="qed.facts.balls.integer_pow", arguments="x, y",
        parameters={"y": Fraction(y)},
        tex=f"{{x}}^{{{y}}}",
    )  # fmt: skip


def power(exponent: Fraction | float | int) -> Card:
    """Return the card of x^c for a constant c, an exact number: of integer_pow for an integer, else on x > 0 (x >= 0 if c > 0).

    JAX's `pow` with a constant second argument is this function; `0.1` means the float64 nearest to one tenth.

    >>> from qed.facts.powers import power
    >>> str(power(0.5).domain), str(power(-0.5).domain), power(2.0).name
    ('[0, inf)', '(0, inf)', 'integer_pow')
    """
    exponent = Fraction(exponent)
    if exponent.denominator == 1:
        return integer_pow(int(exponent))
    up = exponent > 0
    return entry(
        "power",
        f"({exponent})*power(x, exponent={exponent - 1})",
        domain="[0, inf)" if up else "(0, inf)",
        limits="0, inf" if up else "inf, 0",
        range="[0, inf)" if up else "(0, inf)",
        log="concave" if up else "convex",
        numpy="numpy.power", jax="jax.numpy.power", flint="qed.facts.balls.power", arguments="x, exponent",
        parameters={"exponent": exponent},
        tex=f"{{x}}^{{{exponent}}}",
        primitive=False,
    )  # fmt: skip
