"""The logarithm of the gamma function and its derivative, for all arguments of a tail at once.

    (y - 1/2) log y - y <= log Gamma(y) <= y log y,        log y - 1 / y <= psi(y) <= log y,        y >= 3

(DLMF 5.6.1; Alzer, Math. Comp. 66 (1997), for psi): both are put under their dominant terms. Towards the pole at 0

    log Gamma(y) = -log y + log Gamma(1 + y),        psi(y) = -1 / y + psi(1 + y)

(DLMF 5.5.1 and 5.5.2), where log Gamma(1 + y) is between -y and 0 for 0 <= y <= 1, as log Gamma is convex with the
slope -0.577... at 1 and is 0 at 1 and 2; psi rises from psi(1/2) > -1.97 over psi(1) to psi(3/2) < 0.04.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from qed.domains.precision import flint
from qed.domains.tail_forms import NoOrder, power_of

GAMMA = frozenset({"lgamma", "digamma"})
"""The functions."""


def far_gamma(domain: Any, name: str, y: Any) -> Any:
    """lgamma or digamma of a value that grows like a power, or goes to 0 like one.

    Args:
        domain: the tail domain.
        name: the function.
        y: the value.
    """
    y, arb = domain.as_term(y), flint().arb
    if y.p < 0 and not (y.k or y.q):
        return _beside_pole(domain, name, y)
    if not (y.b > 0 and y.p > 0) or y.k or y.q:
        raise NoOrder
    least = (y.b * power_of(arb(domain.start), y.p)).lower()
    if not least >= 3:
        raise NoOrder
    log = domain.log(y)
    if name == "digamma":
        return domain.add(log, domain.fixed(arb(0).union(-1 / least)))
    share = arb(1).union(1 - 1 / least.log() - 1 / (2 * least))
    return domain.scaled(domain.mul(y, domain.as_term(log)), share)


def _beside_pole(domain: Any, name: str, y: Any) -> Any:
    """The same of b x^p with p < 0, which is no more than 1/2 in size."""
    arb = flint().arb
    most = (abs(y.b) * power_of(arb(domain.start), y.p)).upper()
    if not (2 * most <= 1 and (y.b > 0 or (y.b < 0 and name == "digamma"))):
        raise NoOrder
    if name == "digamma":
        beside = arb("-0.578").union(arb("0.04")) if y.b > 0 else arb("-1.97").union(arb("-0.577"))
        return domain.add(domain.scaled(domain.power(y, Fraction(-1)), arb(-1)), domain.fixed(beside))
    return domain.add(domain.scaled(domain.log(y), arb(-1)), domain.fixed(arb(0).union(-most)))
