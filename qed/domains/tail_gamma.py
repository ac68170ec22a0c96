"""The logarithm of the gamma function and its derivative, for all arguments of a tail at once.

    (y - 1/2) log y - y <= log Gamma(y) <= y log y,        log y - 1 / y <= psi(y) <= log y,        y >= 3

(DLMF 5.6.1; Alzer, Math. Comp. 66 (1997), for psi): both are put under their dominant terms.
"""

from __future__ import annotations

from typing import Any

from qed.domains.precision import flint
from qed.domains.tail_forms import NoOrder, power_of

GAMMA = frozenset({"lgamma", "digamma"})
"""The functions."""


def far_gamma(domain: Any, name: str, y: Any) -> Any:
    """lgamma or digamma of a value that grows like a power.

    Args:
        domain: the tail domain.
        name: the function.
        y: the value.
    """
    y, arb = domain.as_term(y), flint().arb
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
