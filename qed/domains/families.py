"""Exponential families: the natural parameters and the log-normaliser, each written once.

    p(x) = h(x) exp(<eta, T(x)> - A(eta)),        A' = E T,    A'' = Cov T.

Two members of one family differ by a curvature of A only, since h and T cancel (Bregman's form of the divergence, and
Taylor's with the integral remainder):

    KL(p || q) = A(eta_q) - A(eta_p) - <A'(eta_p), d> = int_0^1 (1 - t) d' A''(eta_p + t d) d dt,    d = eta_q - eta_p.

References: Brown, *Fundamentals of Statistical Exponential Families*, IMS 1986; Banerjee et al., JMLR 6 (2005).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from qed.graph.trace import Traced, trace


@dataclass(frozen=True)
class ExponentialFamily:
    """The log-normaliser of the natural parameters, and these from the parameters of each named density."""

    log_normaliser: Callable[..., Any]
    natural: Mapping[str, Callable[..., tuple[Any, ...]]]


def _normal(a: Any, b: Any) -> Any:
    return -a * a / (4 * b) - jnp.log(-2 * b) / 2


def _gamma(a: Any, b: Any) -> Any:
    return gammaln(a) - a * jnp.log(-b)


def _beta(a: Any, b: Any) -> Any:
    return gammaln(a) + gammaln(b) - gammaln(a + b)


Member = tuple[str, tuple[float, ...]]
"""The name of a named density, and its parameters."""

FAMILIES: Mapping[str, ExponentialFamily] = {
    "Beta": ExponentialFamily(_beta, {"Beta": lambda a, b: (a, b)}),
    "Gamma": ExponentialFamily(
        _gamma,
        {"Gamma": lambda shape, rate: (shape, -rate), "Exponential": lambda rate: (jnp.ones_like(rate), -rate)},
    ),
    "HalfNormal": ExponentialFamily(
        lambda b: -jnp.log(-b) / 2, {"HalfNormal": lambda scale: (-1 / (2 * scale * scale),)}
    ),
    "InverseGamma": ExponentialFamily(_gamma, {"InverseGamma": lambda shape, rate: (shape, -rate)}),
    "LogNormal": ExponentialFamily(
        _normal, {"LogNormal": lambda mean, scale: (mean / (scale * scale), -1 / (2 * scale * scale))}
    ),
    "Normal": ExponentialFamily(
        _normal, {"Normal": lambda mean, scale: (mean / (scale * scale), -1 / (2 * scale * scale))}
    ),
}
"""The families by name; a family may have members under several names."""


def common(p: Member, q: Member) -> ExponentialFamily | None:
    """The exponential family that both members (name, parameters) are of, if there is one.

    >>> from qed.domains.families import common
    >>> common(("Gamma", (2.0, 1.0)), ("Exponential", (1.0,))) is FAMILIES["Gamma"]
    True
    >>> common(("Normal", (0.0, 1.0)), ("Exponential", (1.0,))) is None
    True
    """
    p, q = _called(p), _called(q)
    return next((one for one in FAMILIES.values() if p[0] in one.natural and q[0] in one.natural), None)


def _called(member: Member) -> Member:
    """A member by the name of its family: the uniform law on [0, 1] is Beta(1, 1)."""
    return ("Beta", (1.0, 1.0)) if member == ("Uniform", (0.0, 1.0)) else member


def path(p: Member, q: Member) -> Traced:
    """The log-normaliser on the straight line of natural parameters from p (t = 0) to q (t = 1), as a graph."""
    family = common(p, q)
    if family is None:
        msg = f"{p[0]} and {q[0]} are of no one exponential family"
        raise ValueError(msg)
    p, q = _called(p), _called(q)
    from_p, from_q = family.natural[p[0]], family.natural[q[0]]

    def along(t: Any, of_p: Any, of_q: Any) -> Any:
        ends = zip(from_p(*of_p), from_q(*of_q), strict=True)
        return family.log_normaliser(*(a + t * (b - a) for a, b in ends))

    with jax.enable_x64(True):
        return trace(along, np.float64(0.5), *(tuple(map(np.float64, one[1])) for one in (p, q)))
