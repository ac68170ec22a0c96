"""What a walk hands around and records: cells, frames, entries, and `Unknown`.

A *cell* is one value of the run; a *frame* is one activation of a graph, and (frame, variable) names a value even
where JAX shares one inner graph between two calls. An *entry* is one executed leaf; entries in execution order
are the tape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from qed.graph.graph import Equation, Graph
from qed.span import Span


@dataclass(frozen=True)
class Unknown:
    """A value that a domain cannot follow, and the first equation where it lost the thread.

    `why` is a sentence with {} for the primitive, or what is missing for it in the domain.

    Example:
        >>> str(Unknown("interval", "fft", Span("train.py", 8)))
        'no rule for fft in the domain interval at train.py:8'
    """

    domain: str
    primitive: str
    span: Span | None
    why: str = "no rule for"

    def __str__(self) -> str:
        where = f" at {self.span}" if self.span else ""
        if "{}" in self.why:
            return self.why.replace("{}", self.primitive) + where
        return f"{self.why} {self.primitive} in the domain {self.domain}{where}"


@dataclass(frozen=True, eq=False)
class Frame:
    """One activation of a graph: which equation called it, from where, in which step or branch."""

    graph: Graph
    parent: Frame | None = None
    equation: Equation | None = None
    step: int | None = None
    branch: int | None = None

    def span(self, equation: Equation | None = None) -> Span | None:
        """The user's line: the equation's own, else that of the nearest call around it that has one."""
        if equation is not None and equation.span is not None:
            return equation.span
        frame: Frame | None = self
        while frame is not None:
            if frame.equation is not None and frame.equation.span is not None:
                return frame.equation.span
            frame = frame.parent
        return None

    def path(self) -> str:
        """How deep this is, such as ``jit/scan[3]``."""
        parts: list[str] = []
        frame: Frame | None = self
        while frame is not None and frame.equation is not None:
            label = frame.equation.primitive
            if frame.step is not None:
                label += f"[{frame.step}]"
            if frame.branch is not None:
                label += f"<{frame.branch}>"
            parts.append(label)
            frame = frame.parent
        return "/".join(reversed(parts))

    def steps(self) -> tuple[int, ...]:
        """The loop steps around this activation, outermost first."""
        found: list[int] = []
        frame: Frame | None = self
        while frame is not None:
            if frame.step is not None:
                found.append(frame.step)
            frame = frame.parent
        return tuple(reversed(found))


@dataclass(eq=False, slots=True, weakref_slot=True)
class Cell:
    """One value: what each domain knows of it, and whether it depends on what is differentiated.

    `origin` is free for an observer's notes, which live as long as the value.
    """

    values: tuple[Any, ...]
    shape: tuple[int, ...] = ()
    dtype: Any = None
    active: bool = False
    origin: Any = None


@dataclass(frozen=True, eq=False, slots=True)
class Entry:
    """One executed leaf: an equation, or the walker's own 'take' (row t of a scanned array) and 'stack'."""

    kind: str
    equation: Equation
    frame: Frame
    inputs: tuple[Cell, ...]
    outputs: tuple[Cell, ...]
    index: int = 0

    @property
    def span(self) -> Span | None:
        """The user's line."""
        return self.frame.span(self.equation)

    @property
    def primitive(self) -> str:
        """The primitive, or 'take' and 'stack'."""
        return self.equation.primitive if self.kind == "equation" else self.kind

    @property
    def name(self) -> str:
        """The primitive with its call path, such as ``scan[3]/exp``."""
        path = self.frame.path()
        return f"{path}/{self.primitive}" if path else self.primitive


@dataclass(frozen=True, eq=False)
class Context:
    """What a domain sees at an equation: the equation, its frame, and the other domains' input values."""

    equation: Equation
    frame: Frame
    others: Mapping[str, tuple[Any, ...]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def span(self) -> Span | None:
        """The user's line."""
        return self.frame.span(self.equation)
