"""Error functions, Bessel functions scaled by e^-|x|, and the gamma family (NIST DLMF, chapters 5, 7 and 10).

`erf_inv` is the inverse of erf. log-gamma is log |Gamma(x)|: defined off the integers x <= 0, with one minimum in each gap between
two of them at a place without a closed form; its shape, digamma's and that of the derivatives of digamma are therefore
stated on x > 0 only. The decimals of forty digits are the zeros of digamma on x > 0 and of the first two derivatives of
exp(-|x|) I_1(x), and the values there.
"""

# ruff: noqa: E501  (a card is one line)

from __future__ import annotations

from fractions import Fraction

from qed.facts.card import Card, entry

_ZERO_OF_DIGAMMA = "1.461632144968362341262659542325721328468"
_LEAST_LGAMMA = "-0.1214862905358496080955145571776915821514"
_TURN_OF_I1E = "1.545127257992542686163940336098214610034"
_GREATEST_I1E = "0.2190919749505309689944209681100678406186"
_BEND_OF_I1E = "2.781492935347947078601999578791474854385"

SPECIAL = (
    entry("bessel_i0e", "bessel_i1e(x) - sign(x)*y", limits="0, 0", range="(0, 1]", kinks="0", turns="0", parity="even", numpy="scipy.special.i0e", flint="qed.facts.balls.bessel_i0e", tex=r"e^{-|{x}|} I_0({x})"),
    entry("bessel_i1e", "1/2 if x == 0 else bessel_i0e(x) - y*(sign(x) + 1/x)", limits="0, 0", range=f"[-{_GREATEST_I1E}, {_GREATEST_I1E}]", turns=f"-{_TURN_OF_I1E}, {_TURN_OF_I1E}", bends=f"-{_BEND_OF_I1E}, 0, {_BEND_OF_I1E}", parity="odd", numpy="scipy.special.i1e", flint="qed.facts.balls.bessel_i1e", tex=r"e^{-|{x}|} I_1({x})"),
    entry("digamma", "psi(x, m=1)", limits="-inf, inf", poles="k; k <= 0", at_poles="inf, -inf", shape_on="(0, inf)", log="concave", numpy="scipy.special.psi", tex=r"\psi({x})"),
    entry("erf", "2/sqrt(pi)*exp(-x*x)", limits="-1, 1", range="(-1, 1)", bends="0", parity="odd", log="concave", numpy="scipy.special.erf"),
    entry("erf_inv", "sqrt(pi)/2*exp(y*y)", domain="(-1, 1)", limits="-inf, inf", bends="0", parity="odd", numpy="scipy.special.erfinv", flint="qed.facts.balls.erf_inv", tex=r"\operatorname{erf}^{-1} {x}"),
    entry("erfc", "-2/sqrt(pi)*exp(-x*x)", limits="2, 0", range="(0, 2)", bends="0", log="concave", numpy="scipy.special.erfc"),
    entry("lgamma", "digamma(x)", limits="inf, inf", range=f"[{_LEAST_LGAMMA}, inf)", poles="k; k <= 0", at_poles="inf, inf", turns=_ZERO_OF_DIGAMMA, shape_on="(0, inf)", numpy="scipy.special.gammaln", flint="qed.facts.balls.lgamma", tex=r"\log|\Gamma({x})|"),
)  # fmt: skip


def psi(m: int) -> Card:
    """Return the card of the m-th derivative of digamma, m >= 1: trigamma is psi(1). JAX computes it as polygamma(m, x).

    On x > 0 its sign is that of (-1)^(m+1), and each derivative has the other sign (DLMF 5.15.1).

    >>> from qed.facts.special import psi
    >>> psi(1).derivative, str(psi(2).range)
    (Expression('psi(x, m=2)'), '(-inf, 0)')
    """
    odd = m % 2 == 1
    return entry(
        "psi",
        f"psi(x, m={m + 1})",
        limits="inf, 0" if odd else "-inf, 0",
        range="(0, inf)" if odd else "(-inf, 0)",
        poles="k; k <= 0",
        at_poles="inf, inf" if odd else "inf, -inf",
        shape_on="(0, inf)",
        log="convex" if odd else "none",
        numpy="qed.facts.polygammas.polygamma", jax="jax.scipy.special.polygamma", flint="qed.facts.balls.psi",
        arguments="m, x",
        parameters={"m": Fraction(m)},
        tex=rf"\psi^{{({m})}}({{x}})",
        primitive=False,
    )  # fmt: skip
