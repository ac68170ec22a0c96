"""Library functions read as the functions that they stand for: by what they approximate, or without their guards.

JAX has log of the normal distribution function in three pieces,

    log Phi(x) = log(erfc(-x/sqrt 2)/2)    about -Phi(-x) for large x, and an asymptotic series for small ones

(Abramowitz and Stegun, 7.1.23), which jump by a unit of rounding where they meet: as a real function that program is
neither concave nor continuous, while log Phi is concave. A question about the shape of a loss is one about log Phi.
The length of (x, y) is the same real number with the divisions that keep it from overflowing, and without them; and
from 0.12 on JAX has p log(p/q) - p + q near p = q by a few terms of its series, which end in a jump, too. A function is
recognised by tracing the library's own again, at the same shapes, and comparing the graphs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.certificates.fingerprint import fingerprint
from qed.errors import QedError
from qed.graph.calls import Cond, Inline, Scan, While
from qed.graph.graph import Equation, Graph
from qed.graph.trace import Traced, trace


def _log_ndtr(x: Any) -> Any:
    return jnp.log(jax.lax.erfc(x * x.dtype.type(-np.sqrt(0.5))) * x.dtype.type(0.5))


def _hypot(x: Any, y: Any) -> Any:
    return jnp.sqrt(x * x + y * y)


def _kl_div(p: Any, q: Any) -> Any:
    both, first = (p > 0) & (q > 0), (p == 0) & (q >= 0)
    u, v = jnp.where(both, p, 1), jnp.where(both, q, 1)
    return jnp.where(both, u * jnp.log(u / v) - u + v, jnp.where(first, q, jnp.inf))


def _rel_entr(p: Any, q: Any) -> Any:
    both, first = (p > 0) & (q > 0), (p == 0) & (q >= 0)
    u, v = jnp.where(both, p, 1), jnp.where(both, q, 1)
    return jnp.where(both, u * jnp.log(u / v), jnp.where(first, 0 * q, jnp.inf))


_X64 = "jax_enable_x64"
MEANT: dict[str, tuple[tuple[Callable[..., Any], Callable[..., Any]], ...]] = {
    "_rel_entr": ((jax.scipy.special.kl_div, _kl_div), (jax.scipy.special.rel_entr, _rel_entr)),
    "hypot": ((jnp.hypot, _hypot),),
    "log_ndtr": ((jax.scipy.special.log_ndtr, _log_ndtr),),
}
"""By the name of a call: the library's functions that make it, and what they stand for."""


def meant(traced: Traced) -> Traced:
    """The program with these functions as they are meant.

    >>> import jax, numpy as np
    >>> from qed.certificates.library import meant
    >>> from qed.graph.trace import trace
    >>> graph = meant(trace(jax.scipy.special.log_ndtr, np.float32(0))).graph
    >>> [equation.primitive for equation in graph.equations[0].call.graph.equations]
    ['mul', 'erfc', 'mul', 'log']
    """
    graph = _meant(traced.graph)
    return traced if graph is traced.graph else replace(traced, graph=graph)


def _meant(graph: Graph) -> Graph:
    changed = [_equation(equation) for equation in graph.equations]
    if all(new is old for new, old in zip(changed, graph.equations, strict=True)):
        return graph
    return replace(graph, equations=tuple(changed))


def _equation(equation: Equation) -> Equation:
    call = equation.call
    if call is None:
        return equation
    if isinstance(call, Inline) and call.name in MEANT:
        graph = _exact(call.name, call.graph)
        return equation if graph is None else replace(equation, call=replace(call, graph=graph))
    graphs = tuple(map(_meant, call.graphs))
    if all(new is old for new, old in zip(graphs, call.graphs, strict=True)):
        return equation
    names = {Inline: ("graph",), Scan: ("body",), While: ("condition", "body")}
    if isinstance(call, Cond):
        return replace(equation, call=replace(call, branches=graphs))
    return replace(equation, call=replace(call, **dict(zip(names[type(call)], graphs, strict=True))))


def _exact(name: str, graph: Graph) -> Graph | None:
    """The graph of what the library's function stands for, if this is the library's graph."""
    shapes = tuple((v.shape, str(v.dtype)) for v in graph.inputs)
    if graph.constants or any(dtype not in ("float32", "float64") for _, dtype in shapes):
        return None
    x64, own = bool(getattr(jax.config, _X64)), fingerprint(graph)
    found = (_graphs(name, which, shapes, x64) for which in range(len(MEANT[name])))
    return next((pair[1] for pair in found if pair is not None and pair[0] == own), None)


@cache
def _graphs(
    name: str, which: int, shapes: tuple[tuple[tuple[int, ...], str], ...], x64: bool
) -> tuple[str, Graph] | None:
    library, exact = MEANT[name][which]
    with jax.enable_x64(x64 or any(dtype == "float64" for _, dtype in shapes)):
        at = [np.zeros(shape, dtype) for shape, dtype in shapes]
        try:
            own, wanted = trace(lambda xs: library(*xs), at).graph, trace(lambda xs: exact(*xs), at).graph
        except (QedError, TypeError):
            return None
    calls = [e.call for e in own.equations if isinstance(e.call, Inline) and e.call.name == name]
    same = len(calls) == 1 and len(wanted.inputs) == len(shapes)
    return (fingerprint(calls[0].graph), wanted) if same else None
