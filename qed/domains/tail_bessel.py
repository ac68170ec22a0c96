"""The scaled Bessel functions exp(-y) I_0(y) and exp(-y) I_1(y), for all arguments of a tail at once.

With u = 1 - cos t in I_0(y) = (1/pi) int_0^pi exp(y cos t) dt (DLMF 10.32.1),

    exp(-y) I_0(y) = 1 / (pi sqrt 2) int_0^2 exp(-y u) u^(-1/2) (1 - u/2)^(-1/2) du.

(1 - u/2)^(-1/2) is at least 1, and on [0, 1], where it is convex, at most 1 + (sqrt 2 - 1) u; on [1, 2] exp(-y u) is at
most exp(-y), and the rest has the integral pi / sqrt 2. So

    erf(sqrt(2 y))  <=  sqrt(2 pi y) exp(-y) I_0(y)  <=  1 + (sqrt 2 - 1) / (2 y) + sqrt(pi y / 2) exp(-y),

and y / (1 + sqrt(1 + y^2)) <= I_1(y) / I_0(y) <= 1 (Amos, "Computation of modified Bessel functions and their ratios",
Math. Comp. 28 (1974), inequality 9).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from qed.domains.precision import flint
from qed.domains.tail_forms import NoOrder, power_of

BESSEL = frozenset({"bessel_i0e", "bessel_i1e"})
"""The functions."""


def far_bessel(domain: Any, name: str, y: Any) -> Any:
    """A scaled Bessel function of a value that grows like a power.

    Args:
        domain: the tail domain.
        name: the function.
        y: the value.

    >>> from fractions import Fraction
    >>> from qed.domains.precision import precision
    >>> from qed.domains.tail import Tail
    >>> from qed.domains.tail_bessel import far_bessel
    >>> from qed.domains.tail_forms import Term
    >>> domain = Tail(100.0)
    >>> with precision(128) as library:
    ...     found = far_bessel(domain, "bessel_i0e", Term(library.arb(1), Fraction(1)))
    ...     print(found.p, found.b.str(3))
    -1/2 [0.399 +/- 7.69e-4]
    """
    y, arb = domain.as_term(y), flint().arb
    sign = domain.sign(y)
    y = domain.scaled(y, arb(sign))
    if y.k or y.q or not y.p > 0:
        raise NoOrder
    least = (y.b * power_of(arb(domain.start), y.p)).lower()
    if not least >= 1:
        raise NoOrder
    most = 1 + (arb(2).sqrt() - 1) / (2 * least) + (arb.pi() * least / 2).sqrt() * (-least).exp()  # falls from 1/2 on
    share = (2 * least).sqrt().erf().union(most) / (2 * arb.pi()).sqrt()
    found = domain.scaled(domain.power(y, Fraction(-1, 2)), share)
    if name == "bessel_i0e":
        return found
    ratio = least / (1 + (1 + least * least).sqrt())
    return domain.scaled(found, sign * ratio.union(arb(1)))
