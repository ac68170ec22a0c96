"""The functions of formulas that are evaluated twice: in balls, and in JAX.

In balls they prove, in JAX they are mapped over arrays and differentiated. A formula takes one of the two arithmetics
as its first argument, and is written once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax.scipy.special import gammaln

from qed.domains.precision import flint


@dataclass(frozen=True)
class Functions:
    """Logarithms, the logarithm of the gamma function, and pi, in one arithmetic.

    >>> from qed.domains.precision import precision
    >>> from qed.domains.two_arithmetics import BALLS, JAX
    >>> with precision(64) as flint:
    ...     print(bool(abs(BALLS.lgamma(flint.arb(5)) - float(JAX.lgamma(5.0))) < 1e-6))
    True
    """

    log: Callable[[Any], Any]
    log1p: Callable[[Any], Any]
    lgamma: Callable[[Any], Any]
    pi: Callable[[], Any]


BALLS = Functions(lambda x: x.log(), lambda x: x.log1p(), lambda x: x.lgamma(), lambda: flint().arb.pi())
"""Of balls of python-flint."""
JAX = Functions(jnp.log, jnp.log1p, gammaln, lambda: jnp.pi)
"""Of arrays; pi is a float."""
