"""The interface of backward domains: record a tape forward, pull cotangents back along it.

A backward domain defines ``pull(entry, cotangents of the outputs) -> cotangents of the inputs``. The tape is
recorded in the value domain; calls with a derivative rule of the user's (custom_jvp, custom_vjp) stay whole,
because their rule, not their body, is what the program differentiates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from qed import facts
from qed.domains.forward import CLASS_METHODS
from qed.domains.value import Value
from qed.graph.calls import Inline
from qed.graph.dtypes import is_inexact
from qed.graph.graph import Equation, Graph
from qed.graph.walk import Cell, Entry, Frame, TooLong, Walker

NO_DERIVATIVE = frozenset({facts.Class.ZERO_DERIVATIVE, facts.Class.COMPARE, facts.Class.RANDOM, facts.Class.EFFECT})

LARGEST_TAPE = 1 << 30
"""Bytes of values that a tape may hold; the adjoints take as much again."""


@dataclass(frozen=True, eq=False)
class Tape:
    """Everything that was executed, with its values, and the cells at both ends."""

    entries: tuple[Entry, ...]
    inputs: tuple[Cell, ...]
    outputs: tuple[Cell, ...]


def has_derivative(equation: Equation) -> bool:
    """False for primitives whose derivative is zero or undefined: comparisons, rounding, bits."""
    kind = facts.classify(equation.primitive)
    if kind is facts.Class.UNARY:
        card = facts.card(equation.primitive, **equation.params)
        return card is None or bool(card.derivative.symbols) or float(_number(card.derivative)) != 0.0
    return kind not in NO_DERIVATIVE


def _number(constant: facts.Expression) -> float:
    return constant.evaluate(arithmetic=facts.NUMPY)


def activity(equation: Equation, active: Sequence[bool]) -> list[bool]:
    """Which outputs of a leaf equation depend, differentiably, on inputs of which some are active."""
    alive = has_derivative(equation)
    return [alive and is_inexact(variable.dtype) for variable in equation.outputs]


def whole_custom_call(equation: Equation) -> bool:
    """Whether an equation is a call with a derivative rule of the user's."""
    return isinstance(equation.call, Inline) and bool(equation.call.custom)


def record(
    graph: Graph,
    arrays: Sequence[Any],
    active: Sequence[int],
    whole_custom_calls: bool | Callable[[Equation], bool] = True,
    observe: Callable[[Entry], None] | None = None,
    most: int = LARGEST_TAPE,
) -> Tape:
    """Evaluate a graph in the value domain and keep every leaf.

    Args:
        graph: the graph.
        arrays: one array per input.
        active: positions of the inputs to differentiate in.
        whole_custom_calls: keep calls with a user's derivative rule as one entry (for differentiation), or enter
            them (to find where a number is born); or which of them to keep.
        observe: called with each entry as it is executed, for progress and budgets.
        most: how many bytes of values to keep at most.

    Raises:
        TooLong: where the values take more than that.
    """
    entries: list[Entry] = []
    kept = 0

    def keep(entry: Entry) -> None:
        nonlocal kept
        entries.append(entry)
        kept += sum(getattr(cell.values[0], "nbytes", 0) for cell in entry.outputs)
        if kept > most:
            message = f"the values of the run take more than {most / 2**30:.2g} GiB"
            raise TooLong(message)
        if observe is not None:
            observe(entry)

    whole = whole_custom_calls if callable(whole_custom_calls) else whole_custom_call if whole_custom_calls else None
    walker = Walker([Value()], keep, activity, whole)
    cells = walker.start(graph, arrays, active)
    outputs = walker.walk(graph, cells, Frame(graph))
    return Tape(tuple(entries), cells, tuple(outputs))


class Backward:
    """A backward domain; subclasses define `pull` by the same three steps as `qed.domains.forward.Forward`."""

    name: ClassVar[str]
    special: ClassVar[dict[str, str]] = {}

    @classmethod
    def rule(cls, primitive: str) -> tuple[str, str] | None:
        """(kind, method) of the rule for a primitive; None is a declared gap."""
        if primitive in cls.special:
            return "special", cls.special[primitive]
        kind = facts.classify(primitive)
        if kind is None:
            return None
        method = "nothing" if kind in NO_DERIVATIVE else CLASS_METHODS[kind]
        return ("derived", method) if hasattr(cls, method) else None

    def pull(self, entry: Entry, cotangents: Sequence[Any]) -> Sequence[Any]:
        """Cotangents of the inputs from those of the outputs; None stands for zero."""
        raise NotImplementedError
