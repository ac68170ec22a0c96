"""The sign of the gamma function as the real function that it is.

`jax.scipy.special.gamma` is that sign times exp(log|Gamma|). JAX finds the sign of an argument by the bits of the
number, since floating point has a zero of each sign. A real number has one, at which Gamma has a pole, and

    sign Gamma(x) = 1 for x >= 0,        (-1)^floor(x) for x < 0 that is not whole,

which is what stands in its place: a branch of the program that is only walked where x may be negative.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammasgn

from qed.certificates.fingerprint import fingerprint
from qed.graph.calls import Inline
from qed.graph.graph import Equation, Graph
from qed.graph.trace import Traced, trace

NAME = "gammasgn"
_X64 = "jax_enable_x64"


def _sign(x: Any) -> Any:
    def of_negative(x: Any) -> Any:
        whole = jnp.floor(x)
        return jnp.where(x == whole, jnp.nan, 1 - 2 * jnp.abs(jax.lax.rem(whole, x.dtype.type(2))))

    return jax.lax.cond(x < 0, of_negative, jnp.ones_like, x)


def signs_read(traced: Traced) -> Traced:
    """The program with the sign of the gamma function as it is meant.

    >>> import numpy as np
    >>> from jax.scipy.special import gamma
    >>> from qed.certificates.gamma_sign import signs_read
    >>> from qed.graph.trace import trace
    >>> graph = signs_read(trace(gamma, np.float32(0.5))).graph
    >>> [equation.primitive for equation in graph.equations[0].call.graph.equations]
    ['lt', 'convert_element_type', 'cond']
    """
    graph = _read(traced.graph)
    return traced if graph is traced.graph else replace(traced, graph=graph)


def _read(graph: Graph) -> Graph:
    changed = tuple(map(_equation, graph.equations))
    same = all(new is old for new, old in zip(changed, graph.equations, strict=True))
    return graph if same else replace(graph, equations=changed)


def _equation(equation: Equation) -> Equation:
    call = equation.call
    if not isinstance(call, Inline):
        return equation
    graph = _exact(call.graph) if call.name == NAME else _read(call.graph)
    return equation if graph is None or graph is call.graph else replace(equation, call=replace(call, graph=graph))


def _exact(graph: Graph) -> Graph | None:
    """The graph of the sign, if this is the library's, of one number."""
    if len(graph.inputs) != 1 or graph.constants or graph.inputs[0].shape:
        return None
    kind = str(graph.inputs[0].dtype)
    if kind not in ("float32", "float64"):
        return None
    own = fingerprint(graph)
    return next((exact for known, exact in _graphs(kind, bool(getattr(jax.config, _X64))) if known == own), None)


@cache
def _graphs(kind: str, x64: bool) -> list[tuple[str, Graph]]:
    """The library's graphs, of a number whose type is fixed and of one whose type gives way, and what they mean."""
    found = []
    with jax.enable_x64(x64 or kind == "float64"):
        exact = trace(_sign, np.zeros((), kind)).graph
        for at in (np.zeros((), kind), jnp.asarray(0.0)):
            calls = [e.call for e in trace(lambda x: gammasgn(x), at).graph.equations]
            found += [(fingerprint(c.graph), exact) for c in calls if isinstance(c, Inline) and c.name == NAME]
    return found
