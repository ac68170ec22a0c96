"""A fingerprint of a graph: equal for equal programs, whatever their variables are called and wherever they stand.

It is the SHA-256 of the equations in order: primitive, which earlier values they read, shapes and dtypes, constants
bit by bit, and those parameters that are numbers, names, or tuples of them. It tells functions apart; it proves
nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from qed.graph.dtypes import is_extended
from qed.graph.graph import Atom, Graph, Literal


def fingerprint(graph: Graph) -> str:
    """Return the fingerprint of a graph as hexadecimal digits.

    >>> from qed.certificates.fingerprint import fingerprint
    >>> from qed.graph.trace import trace
    >>> f, g = (trace(lambda x, c=c: c * x, 1.0).graph for c in (2.0, 3.0))
    >>> fingerprint(f) == fingerprint(trace(lambda y: 2.0 * y, 7.0).graph), fingerprint(f) == fingerprint(g)
    (True, False)
    """
    digest = hashlib.sha256()
    for line in _lines(graph):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def _lines(graph: Graph) -> Iterator[str]:
    names: dict[Any, str] = {}

    def named(atom: Atom) -> str:
        if isinstance(atom, Literal):
            return _constant(atom.value)
        return f"{names[atom]}:{atom.dtype}{list(atom.shape)}"

    def define(variable: Any) -> str:
        names[variable] = f"v{len(names)}"
        return named(variable)

    yield "in " + " ".join(map(define, graph.inputs))
    for variable, array in graph.constants:
        yield f"constant {define(variable)} {_constant(array)}"
    for equation in graph.equations:
        reads = " ".join(map(named, equation.inputs))
        writes = " ".join(map(define, equation.outputs))
        parameters = {key: text for key, value in equation.params.items() if (text := _plain(value)) is not None}
        yield f"{writes} = {equation.primitive} {sorted(parameters.items())} {reads}"
        if equation.call is not None:
            yield f"call {type(equation.call).__name__}"
            for inner in equation.call.graphs:
                yield from _lines(inner)
            yield "end"
    yield "out " + " ".join(map(named, graph.outputs))


def _constant(value: Any) -> str:
    if is_extended(getattr(value, "dtype", None)):
        return "key"
    array = np.asarray(value)
    return f"{array.dtype}{list(array.shape)}{hashlib.sha256(array.tobytes()).hexdigest()}"


def _plain(value: Any) -> str | None:
    """A parameter that says something by itself; functions and nested graphs are told by their equations."""
    if value is None or isinstance(value, bool | int | float | str | np.dtype):
        return repr(value)
    if isinstance(value, tuple):
        parts = [_plain(part) for part in value]
        return None if None in parts else "(" + ", ".join(map(str, parts)) + ")"
    return None
