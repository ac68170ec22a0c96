"""What the values on a tape are called, and the equations in these names.

A value has the user's name where the source shows one (`qed.graph.names`); else it is v1, v2, ... in the order of
execution, as in a worked example. In a loop the step is an index: ``h_3``. What only shows the same numbers in another
shape has the name of what it shows; a part of an array is called as it is written, ``x[0]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from qed import facts
from qed.domains.backward import Tape
from qed.domains.words import number
from qed.facts.expression import Symbol
from qed.graph.calls import Inline
from qed.graph.dtypes import is_real
from qed.graph.graph import Graph
from qed.graph.names import assigned, name_at
from qed.graph.walk import Cell, Entry

VIEWS = frozenset(
    """broadcast_in_dim convert_element_type copy dynamic_slice expand_dims gather optimization_barrier reshape rev
    slice squeeze take transpose""".split()
)
"""Primitives that show numbers of their first operand in another shape, place or dtype."""

_ONES = frozenset({"add_any", "reduce_sum", "concatenate", "stack", "cumsum", "pad", "split"})
INFIX = {"add": "+", "add_any": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**", "dot_general": "@", "rem": "%"}
_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
SPELLED = {"logistic": "sigmoid", "reduce_sum": "sum", "reduce_max": "max", "reduce_min": "min", "reduce_prod": "prod"}

_LONGEST = 24
_PLACE = re.compile(r"[A-Za-z_][\w.]*(\[[\w'\", :.-]+\])+")
_POWER = re.compile(r"integer_pow\(([^(),]+), y=(-?\d+)\)")


class Names:
    """The name of every value on a tape.

    Args:
        tape: what was executed.
        paths: the names of the inputs.
        result: what the output is called where it has no other name.
    """

    def __init__(self, tape: Tape, paths: tuple[str, ...], result: str) -> None:
        self._of: dict[Cell, str] = dict(zip(tape.inputs, paths, strict=True))
        self._assigned: dict[int, tuple[Mapping[int, str], dict[Any, int]]] = {}
        self._taken: dict[str, Cell] = {name: cell for cell, name in self._of.items()}
        self._count = 0
        outputs = set(tape.outputs[:1])
        for entry in tape.entries:
            for position, cell in enumerate(entry.outputs):
                if cell not in self._of:
                    self._give(entry, position, cell, result if cell in outputs else None)

    def of(self, cell: Cell) -> str:
        """The name of a value; of a constant its number, or its shape."""
        found = self._of.get(cell)
        if found is not None:
            return found
        value = cell.values[0]
        if cell.shape == () and hasattr(value, "dtype") and np.dtype(value.dtype).kind in "biuf":
            return number(float(value))
        return f"constant[{','.join(map(str, cell.shape))}]"

    def _give(self, entry: Entry, position: int, cell: Cell, result: str | None) -> None:
        text = self._written(entry) if entry.kind == "equation" and position == 0 else None
        name = text if text is not None and text.isidentifier() else result
        if entry.primitive in VIEWS and entry.inputs and name is None:
            self._of[cell] = self._viewed(entry, cell, text)
            return
        if name is None and not cell.active:
            self._of[cell] = text if text is not None else self._constant(entry)
            return
        if name is None:
            self._count += 1
            name = f"v{self._count}"
        else:
            name += "".join(f"_{step}" for step in entry.frame.steps())
        self._of[cell] = self._unique(name, cell)

    def _constant(self, entry: Entry) -> str:
        """What is written where a value does not depend on the parameters: the equation, or what made it."""
        whole = self.equation(entry)
        if len(whole) <= _LONGEST:
            return whole
        call = entry.frame.equation.call if entry.frame.equation is not None else None
        name = SPELLED.get(entry.primitive, entry.primitive)
        if isinstance(call, Inline) and entry.frame.graph.span is None:
            name = call.name.strip("_")
        return f"{name}(...)"

    def _viewed(self, entry: Entry, cell: Cell, text: str | None) -> str:
        """The name of what only shows another value: that value's, or the place in it."""
        shown = self.of(entry.inputs[0])
        if entry.kind == "take":
            return f"{shown}[{entry.index}]"
        if entry.primitive == "broadcast_in_dim" or _size(entry.inputs[0]) == _size(cell):
            return shown
        place = _place(entry)
        if place is not None:
            return f"{shown}[{place}]"
        if text is not None and _PLACE.fullmatch(text):
            return self._unique(shown + text[text.index("[") :], cell)
        return self._unique(f"{shown}[...]", cell)

    def _unique(self, name: str, cell: Cell) -> str:
        made, k = name, 1
        while made in self._taken:
            k += 1
            made = f"{name}#{k}"
        self._taken[made] = cell
        return made

    def _written(self, entry: Entry) -> str | None:
        names, places = self._names(entry.frame.graph)
        index = places.get(entry.equation)
        found = names.get(index) if index is not None else None
        if found is not None:
            return found
        if index is not None and len(entry.frame.graph.equations) - 1 == index:  # the last of a called function
            call = entry.frame.equation
            if call is not None and isinstance(call.call, Inline) and call.span is not None and not entry.frame.steps():
                text = name_at(call.span)
                return text if text is not None and text.isidentifier() else None
        return None

    def _names(self, graph: Graph) -> tuple[Mapping[int, str], dict[Any, int]]:
        found = self._assigned.get(id(graph))
        if found is None:
            found = assigned(graph), {equation: i for i, equation in enumerate(graph.equations)}
            self._assigned[id(graph)] = found
        return found

    # --- equations ---

    def equation(self, entry: Entry) -> str:
        """The right-hand side of an executed equation, such as ``sin(y)`` or ``x @ w``."""
        operands = [self.of(cell) for cell in entry.inputs]
        name = entry.primitive
        if name in INFIX and len(operands) == 2:
            return f"{_bracket(operands[0])} {INFIX[name]} {_bracket(operands[1])}"
        if name in ("integer_pow", "square"):
            return f"{_bracket(operands[0])}**{entry.equation.params.get('y', 2)}"
        if name == "neg":
            return f"-{_bracket(operands[0])}"
        if name in VIEWS:
            return operands[0]
        if name in _COMPARE and len(operands) == 2:
            return f"{operands[0]} {_COMPARE[name]} {operands[1]}"
        if name == "select_n" and len(operands) == 3:
            return f"where({operands[0]}, {operands[2]}, {operands[1]})"
        call = entry.equation.call
        if isinstance(call, Inline) and call.name:
            name = call.name
        shown = operands if len(operands) <= 4 else [*operands[:3], "..."]
        return f"{SPELLED.get(name, name)}({', '.join(shown)})"

    def slope(self, entry: Entry, position: int) -> str:
        """The local derivative of an executed equation in one operand, as text."""
        primitive, operands = entry.primitive, [self.of(cell) for cell in entry.inputs]
        kind = facts.classify(primitive) if entry.kind == "equation" else None
        if kind is facts.Class.UNARY and is_real(entry.inputs[0].dtype):
            card = facts.card(primitive, **entry.equation.params)
            if card is not None:
                return _formula(card.derivative, {"x": operands[0], "y": self.of(entry.outputs[0])})
        if kind is facts.Class.ARITHMETIC:
            card = facts.arithmetic(primitive, len(operands))
            partial = None if card is None else card.partials[position]
            if card is not None and partial is not None:
                values = dict(zip(card.arguments, operands, strict=True))
                return _formula(partial, {**values, "z": self.of(entry.outputs[0])})
        if primitive == "dot_general":
            other = operands[1 - position]
            return other if all(not cell.shape for cell in entry.inputs) else f"{_bracket(other)}'"
        if primitive == "conv_general_dilated":
            return f"correlation with {operands[1 - position]}"
        if (
            primitive in ("add_any", "reduce_sum", "concatenate", "stack", "cumsum", "pad", "split")
            or primitive in VIEWS
        ):
            return "1"
        if primitive == "select_n":
            return f"1 where {operands[0]} picks it"
        call = entry.equation.call
        return f"rule of {call.name}" if isinstance(call, Inline) and call.custom else f"d {primitive}"


def common(paths: Sequence[str]) -> str:
    """What the names of some parameters have in common, '' where that is no more than the name of all parameters.

    >>> common(["w['first']['W']", "w['first']['b']"]), common(["w['W']"]), common(["w['W']", "w['b']"])
    ("w['first']", "w['W']", '')
    """
    if len(paths) == 1:
        return paths[0]
    shared: list[str] = []
    for column in zip(*(keys_of(path) for path in paths), strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return "".join(shared) if len(shared) > 1 else ""


def keys_of(path: str) -> list[str]:
    """The steps of a path: ``w``, ``['first']``, ``.bias``.

    >>> keys_of("w['first'].bias[2]")
    ['w', "['first']", '.bias', '[2]']
    """
    return list(_keys(path))


def _keys(path: str) -> Iterator[str]:
    current = ""
    depth = 0
    for character in path:
        if depth == 0 and character in "[." and current:
            yield current
            current = ""
        depth += (character == "[") - (character == "]")
        current += character
    if current:
        yield current


def _formula(expression: Any, names: Mapping[str, str]) -> str:
    text = str(expression.substitute({key: Symbol(_bracket(name)) for key, name in names.items()}))
    return _POWER.sub(r"\1**\2", text)


def _place(entry: Entry) -> str | None:
    """Which part a slice takes, as an index: ``0`` or ``2:5, 1``."""
    params, shape = entry.equation.params, entry.inputs[0].shape
    if entry.primitive == "slice" and not any(step != 1 for step in params["strides"] or ()):
        starts, ends = params["start_indices"], params["limit_indices"]
    elif entry.primitive == "dynamic_slice":
        sizes = params["slice_sizes"]
        values = [int(np.asarray(cell.values[0])) for cell in entry.inputs[1:]]
        starts = [min(max(s, 0), n - k) for s, n, k in zip(values, shape, sizes, strict=True)]
        ends = [s + k for s, k in zip(starts, sizes, strict=True)]
    else:
        return None
    parts = [
        ":" if (start, end) == (0, n) else str(start) if end == start + 1 else f"{start}:{end}"
        for start, end, n in zip(starts, ends, shape, strict=True)
    ]
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts)


def _bracket(name: str) -> str:
    return f"({name})" if name.startswith("-") else name


def _size(cell: Cell) -> int:
    return int(np.prod(cell.shape, dtype=np.int64))
