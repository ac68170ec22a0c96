"""Library functions read as the functions that they stand for: by what they approximate, or without their guards.

JAX has log of the normal distribution function in three pieces,

    log Phi(x) = log(erfc(-x/sqrt 2)/2)    about -Phi(-x) for large x, and an asymptotic series for small ones

(Abramowitz and Stegun, 7.1.23), which jump by a unit of rounding where they meet: as a real function that program is
neither concave nor continuous, while log Phi is concave. A question about the shape of a loss is one about log Phi.
The length of (x, y) is the same real number with the divisions that keep it from overflowing, and without them; and
from 0.12 on JAX has p log(p/q) - p + q near p = q by a few terms of its series, which end in a jump, too; log B(a, b)
goes over to an asymptotic series at b = 8. The logarithm of a sum of two powers takes a maximum and an absolute value
that cancel where the two are equal (`smooth`). A function is recognised by tracing the library's own again, at the same
shapes, and comparing the graphs; one that leaves no call behind, by a run of equations that are the same as its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from qed.answer import Answer, Reason, Standing
from qed.certificates.fingerprint import fingerprint
from qed.errors import QedError
from qed.graph.calls import Cond, Inline, Scan, While
from qed.graph.graph import Atom, Equation, Graph, Literal, Variable
from qed.graph.trace import Traced, trace

T = TypeVar("T")


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


def _betaln(a: Any, b: Any) -> Any:
    lgamma = jax.lax.lgamma
    return lgamma(a) + (lgamma(b) - lgamma(a + b))


def _logaddexp(a: Any, b: Any) -> Any:
    return a + jnp.log1p(jnp.exp(b - a))


_X64 = "jax_enable_x64"
MEANT: dict[str, tuple[tuple[Callable[..., Any], Callable[..., Any]], ...]] = {
    "_rel_entr": ((jax.scipy.special.kl_div, _kl_div), (jax.scipy.special.rel_entr, _rel_entr)),
    "hypot": ((jnp.hypot, _hypot),),
    "log_ndtr": ((jax.scipy.special.log_ndtr, _log_ndtr),),
}
"""By the name of a call: the library's functions that make it, and what they stand for."""
TIED: dict[str, tuple[tuple[Callable[..., Any], Callable[..., Any]], ...]] = {
    "logaddexp": ((jnp.logaddexp, _logaddexp),),
}
"""Those that are the same real number, and smooth where their bodies have a tie; on floats such formulas overflow.

That of base 2 is not among them: its body has a rounded log 2, and so a corner.
"""


RUNS = ((jax.scipy.special.betaln, _betaln),)
"""The library's functions of two numbers that leave their equations in a row, and what they stand for."""


def meant(traced: Traced) -> Traced:
    """The program with these functions as they are meant.

    >>> import jax, numpy as np
    >>> from qed.certificates.library import meant
    >>> from qed.graph.trace import trace
    >>> graph = meant(trace(jax.scipy.special.log_ndtr, np.float32(0))).graph
    >>> [equation.primitive for equation in graph.equations[0].call.graph.equations]
    ['mul', 'erfc', 'mul', 'log']
    """
    return _read_as(traced, "meant")


def smooth(traced: Traced) -> Traced:
    """The program with log(e^a + e^b) without the maximum that its body takes: for arithmetic without overflow.

    >>> import jax, numpy as np
    >>> from qed.graph.trace import trace
    >>> graph = smooth(trace(jax.numpy.logaddexp, np.float32(0), np.float32(1))).graph
    >>> [equation.primitive for equation in graph.equations[0].call.graph.equations]
    ['sub', 'exp', 'log1p', 'add']
    """
    return _read_as(traced, "tied")


TABLES, EVERY = {"meant": MEANT, "tied": TIED}, MEANT | TIED
STANDS_FOR = {
    "_rel_entr": "the relative entropy",
    "log_ndtr": "log Phi, the logarithm of the normal distribution function",
    "betaln": "log B(a, b)",
}
RULE = "library functions are read as what they stand for"


def told(answer: Answer[T], traced: Traced) -> Answer[T]:
    """The answer, with the sentence that names the library's functions that are read as what they stand for.

    >>> import jax, numpy as np
    >>> from qed.answer import Answer
    >>> told(Answer("f is concave", "REFUTED"), trace(jax.scipy.special.log_ndtr, np.float32(0))).reasons[0].text
    'log_ndtr is read as log Phi, the logarithm of the normal distribution function, which JAX approximates by pieces'
    """
    names = sorted(set(_read(traced.graph)))
    if not names or answer.standing is Standing.UNKNOWN or any(reason.rule == RULE for reason in answer.reasons):
        return answer
    read = " and ".join(f"{name.lstrip('_')} is read as {STANDS_FOR[name]}" for name in names)
    return replace(answer, reasons=(*answer.reasons, Reason(RULE, role="where", text=f"{read}, which {_BY_PIECES}")))


_BY_PIECES = "JAX approximates by pieces"


def _read(graph: Graph) -> Iterator[str]:
    """The names of the functions that are replaced, and reached."""
    if _without_runs(graph) is not graph:
        yield "betaln"
    for equation in graph.equations:
        call = equation.call
        if isinstance(call, Inline) and call.name in MEANT:
            if call.name != "hypot" and _exact(call.name, call.graph) is not None:
                yield call.name  # the length of (x, y) is the same real number
        elif call is not None:
            for inner in call.graphs:
                yield from _read(inner)


def _read_as(traced: Traced, table: str) -> Traced:
    graph = _meant(traced.graph, table)
    return traced if graph is traced.graph else replace(traced, graph=graph)


def _meant(graph: Graph, table: str) -> Graph:
    graph = _without_runs(graph) if table == "meant" else graph
    changed = [_equation(equation, table) for equation in graph.equations]
    if all(new is old for new, old in zip(changed, graph.equations, strict=True)):
        return graph
    return replace(graph, equations=tuple(changed))


def _without_runs(graph: Graph) -> Graph:
    """The graph, the equations of such functions replaced by those of what they stand for."""
    names = [equation.primitive for equation in graph.equations]
    if "lgamma" not in names:
        return graph
    found: list[Equation] = []
    k = 0
    while k < len(names):
        first = graph.equations[k]
        made = None
        if len(first.inputs) == 2 and names[k] in ("le", "min"):
            shapes = tuple((x.shape, str(x.dtype)) for x in first.inputs)
            made = next((m for which in range(len(RUNS)) if (m := _run(graph, k, which, shapes)) is not None), None)
        found += [first] if made is None else made.equations
        k += 1 if made is None else made.length
    return graph if len(found) == len(names) else replace(graph, equations=tuple(found))


class Run(NamedTuple):
    """What `length` equations of a graph are replaced by."""

    length: int
    equations: list[Equation]


def _run(graph: Graph, start: int, which: int, shapes: tuple[tuple[tuple[int, ...], str], ...]) -> Run | None:
    """The equations from `start` on, if they are those of a function of RUNS."""
    if any(dtype not in ("float32", "float64") for _, dtype in shapes):
        return None
    pair = _traced(*RUNS[which], shapes, bool(getattr(jax.config, _X64)))
    if pair is None or any(len(graph.inputs) != 2 or graph.constants for graph in pair):
        return None
    library, exact = pair
    own = graph.equations[start : start + len(library.equations)]
    inputs = own[0].inputs
    value: dict[Any, Atom] = dict(zip(library.inputs, inputs, strict=True))
    for pattern, equation in zip(library.equations, own, strict=False):
        value.update(zip(pattern.outputs, equation.outputs, strict=False))
    bound = tuple(_bound(equation, value) for equation in library.equations)
    free = tuple(dict.fromkeys(x for x in inputs if isinstance(x, Variable)))
    ours = Graph(free, own, own[-1].outputs)
    if len(own) < len(bound) or not _closed(ours) or fingerprint(ours) != fingerprint(replace(ours, equations=bound)):
        return None
    within = {v for equation in own[:-1] for v in equation.outputs}
    after = (x for equation in graph.equations[start + len(own) :] for x in equation.inputs)
    if any(isinstance(x, Variable) and x in within for x in (*after, *graph.outputs)):
        return None  # what is used elsewhere has to stay
    value = dict(zip(exact.inputs, inputs, strict=True)) | {exact.outputs[0]: own[-1].outputs[0]}
    for equation in exact.equations:
        value |= {v: Variable(v.shape, v.dtype) for v in equation.outputs if v not in value}
    return Run(len(own), [replace(_bound(equation, value), span=own[-1].span) for equation in exact.equations])


def _bound(equation: Equation, value: dict[Any, Atom]) -> Equation:
    """An equation between other variables."""
    inputs = tuple(x if isinstance(x, Literal) else value.get(x, x) for x in equation.inputs)
    outputs: Any = tuple(value.get(v, v) for v in equation.outputs)
    return replace(equation, inputs=inputs, outputs=outputs)


def _closed(graph: Graph) -> bool:
    """Whether the equations read nothing but the inputs and each other."""
    known = set(graph.inputs)
    for equation in graph.equations:
        if not all(isinstance(x, Literal) or x in known for x in equation.inputs):
            return False
        known.update(equation.outputs)
    return True


@cache
def _traced(library: Any, exact: Any, shapes: Any, x64: bool, weak: bool = False) -> tuple[Graph, Graph] | None:
    """The graphs of a library's function and of what it stands for; `weak` for scalars that are Python's floats."""
    with jax.enable_x64(x64 or any(dtype == "float64" for _, dtype in shapes)):
        at = [0.0 if weak and shape == () else np.zeros(shape, dtype) for shape, dtype in shapes]
        try:
            found = [trace(lambda xs, fun=fun: fun(*xs), at).graph for fun in (library, exact)]
        except (QedError, TypeError):
            return None
    return found[0], found[1]


def _equation(equation: Equation, table: str) -> Equation:
    call = equation.call
    if call is None:
        return equation
    if isinstance(call, Inline) and call.name in TABLES[table]:
        graph = _exact(call.name, call.graph)
        return equation if graph is None else replace(equation, call=replace(call, graph=graph))
    graphs = tuple(_meant(graph, table) for graph in call.graphs)
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
    found = (_graphs(name, which, shapes, x64, weak) for which in range(len(EVERY[name])) for weak in (False, True))
    return next((pair[1] for pair in found if pair is not None and pair[0] == own), None)


@cache
def _graphs(
    name: str, which: int, shapes: tuple[tuple[tuple[int, ...], str], ...], x64: bool, weak: bool
) -> tuple[str, Graph] | None:
    pair = _traced(*EVERY[name][which], shapes, x64)
    given = _traced(*EVERY[name][which], shapes, x64, True) if weak else pair
    if pair is None or given is None:
        return None
    own, wanted = given[0], pair[1]
    calls = [e.call for e in own.equations if isinstance(e.call, Inline) and e.call.name == name]
    same = len(calls) == 1 and len(wanted.inputs) == len(shapes)
    return (fingerprint(calls[0].graph), wanted) if same else None
