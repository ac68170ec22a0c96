"""The graph: equations over variables, as the user's function wrote them.

A *graph* is a list of equations in evaluation order. Each equation applies one primitive (``exp``,
``dot_general``, ...) to variables and literals and defines new variables. An equation whose primitive calls
another graph (``jit``, ``cond``, ``scan``, ...) carries that graph in `Equation.call`. Nothing in this file
knows JAX: a graph can be written by hand.

Example: the graph of ``exp(x) * x`` at a scalar::

    >>> from qed.graph.graph import Equation, Graph, Variable
    >>> x, y, z = (Variable((), "float64") for _ in range(3))
    >>> graph = Graph(
    ...     inputs=(x,),
    ...     equations=(Equation("exp", (x,), (y,)), Equation("mul", (y, x), (z,))),
    ...     outputs=(z,),
    ... )
    >>> [equation.primitive for equation in graph.equations]
    ['exp', 'mul']

Reference: the jaxpr language of JAX, https://docs.jax.dev/en/latest/jaxpr.html.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from qed.span import Span


@dataclass(frozen=True, eq=False)
class Variable:
    """A value defined once: shape, dtype, and the user's name for it where the source shows one."""

    shape: tuple[int, ...]
    dtype: Any
    name: str | None = None

    def __repr__(self) -> str:
        return f"{self.name or 'v'}:{self.dtype}{list(self.shape)}"


@dataclass(frozen=True, eq=False)
class Literal:
    """A constant written into the equation itself, such as the 2.0 of ``2.0 * x``."""

    value: Any
    shape: tuple[int, ...] = ()
    dtype: Any = "float64"

    def __repr__(self) -> str:
        return str(self.value)


Atom = Variable | Literal


@dataclass(frozen=True, eq=False)
class Equation:
    """One application of a primitive.

    Args:
        primitive: qed's name of the primitive, a key of the tables in `qed.facts`.
        inputs: what it reads.
        outputs: the variables that it defines.
        params: static parameters (axes, dtypes, ...).
        span: the user's source line; None means "the line of the call around it".
        call: how it calls other graphs (see `qed.graph.calls`); None for a leaf.
        native: the equation of the front end that it came from, or None where written by hand.
    """

    primitive: str
    inputs: tuple[Atom, ...]
    outputs: tuple[Variable, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    span: Span | None = None
    call: Any = None
    native: Any = None

    def __repr__(self) -> str:
        outs = ", ".join(map(repr, self.outputs))
        return f"{outs} = {self.primitive}({', '.join(map(repr, self.inputs))})"


@dataclass(frozen=True, eq=False)
class Graph:
    """A function as equations.

    Args:
        inputs: the variables that the caller supplies.
        equations: in evaluation order.
        outputs: what the function returns.
        constants: arrays that the function closes over, beside the variables that stand for them.
        name: the function's name.
    """

    inputs: tuple[Variable, ...]
    equations: tuple[Equation, ...]
    outputs: tuple[Atom, ...]
    constants: tuple[tuple[Variable, Any], ...] = ()
    name: str = "fun"
    span: Span | None = None
    last_use: Mapping[Variable, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        last: dict[Variable, int] = {}
        for index, equation in enumerate(self.equations):
            for atom in equation.inputs:
                if isinstance(atom, Variable):
                    last[atom] = index
        for atom in self.outputs:
            if isinstance(atom, Variable):
                last[atom] = len(self.equations)
        object.__setattr__(self, "last_use", last)

    def walk(self) -> Iterator[Equation]:
        """Every equation, those of called graphs included (each once per place where it is written)."""
        for equation in self.equations:
            yield equation
            if equation.call is not None:
                for graph in equation.call.graphs:
                    yield from graph.walk()

    def count(self) -> int:
        """The number of equations, those of called graphs included."""
        return sum(1 for _ in self.walk())

    def numbers(self) -> int:
        """How many numbers a run computes, those of called graphs included; a loop's body counts once."""
        return sum(math.prod(out.shape) for equation in self.walk() for out in equation.outputs)
