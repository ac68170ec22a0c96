"""The integrand of a divergence: log p(x) - log q(x) of densities given as parts, as one function of x.

    log p(x) = log sum_k exp(u_k(x) + a_k),      a_k near log(w_k / Z_k)

with the constants a_k as floats: what they are off by is somebody else's business. One part alone needs no sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.domains.densities import NAMED

Described = tuple[str, tuple[float, ...], tuple[float, ...], str]


def log_ratio(
    p: Sequence[Described],
    q: Sequence[Described],
    constants: Sequence[float],
    own: Sequence[Callable[..., Any]],
    ratio: bool,
) -> Callable[..., Any]:
    """The function of x that returns log p - log q (without log p, if not `ratio`) and the log-densities in `own`.

    A part is (family, parameters, cuts, weight); one without a family takes the next function of `own`.

    >>> from qed.domains.log_ratio import log_ratio
    >>> p, q = ("Normal", (0.0, 1.0), (), "1"), ("Normal", (1.0, 1.0), (), "1")
    >>> float(log_ratio([p], [q], [0.0, 0.0], [], True)(2.0)[0])
    -1.5
    """
    waiting = iter(own)
    terms = [_term(part, constant, waiting) for part, constant in zip((*p, *q), constants, strict=True)]
    of_p, of_q = terms[: len(p)], terms[len(p) :]

    def joint(x: Any) -> Any:
        found = -_sum(of_q, q, x)
        return (_sum(of_p, p, x) + found if ratio else found), *(one(x) for one in own)

    return joint


def _term(part: Described, constant: float, waiting: Any) -> Callable[[Any], Any]:
    name, parameters, _, _ = part
    if not name:
        own = next(waiting)
        return lambda x: own(x) + constant
    density = NAMED[name].log_density
    return lambda x: density(x, *parameters) + constant


def _sum(terms: Sequence[Callable[[Any], Any]], parts: Sequence[Described], x: Any) -> Any:
    """The logarithm of the sum of the terms, each where its part is."""
    if len(terms) == 1:
        return terms[0](x)
    return reduce(jnp.logaddexp, [_where(term, part[2], x) for term, part in zip(terms, parts, strict=True)])


def _where(term: Callable[[Any], Any], cuts: Sequence[float], x: Any) -> Any:
    inside = [x >= cuts[0]] * bool(np.isfinite(cuts[0])) + [x <= cuts[-1]] * bool(np.isfinite(cuts[-1]))
    return jnp.where(reduce(jnp.logical_and, inside), term(x), -jnp.inf) if inside else term(x)
