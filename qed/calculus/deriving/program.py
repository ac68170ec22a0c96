"""A user's function at a point as a list of real numbers, each a formula of earlier ones.

The parameters' entries become symbols, and so do small arrays of data (held constant, they keep their names). The
graph is walked in two domains at once: the value domain decides branches and loops, the domain of elements writes down
what is computed. The numbers of a program are computed again in float64, from the facts on the cards.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from qed import facts
from qed.domains.elements import PLAIN, Element, Elements, TooManyElements
from qed.domains.value import Value
from qed.graph.dtypes import is_real
from qed.graph.function import Function
from qed.graph.graph import Equation, Graph
from qed.graph.names import assigned
from qed.graph.walk import Cell, Frame, Unknown, Walker
from qed.span import Span

LARGEST_DATA = 16
"""Arrays of data with more numbers are not named number by number."""

LARGEST_PARAMETERS = 64
"""With more parameters nobody would read a derivation for each."""


class NotDerivable(Exception):
    """The derivation ends: what is missing, at which primitive, on which line."""

    def __init__(self, what: str, primitive: str | None = None, span: Span | None = None) -> None:
        super().__init__(what)
        self.what, self.primitive, self.span = what, primitive, span


@dataclass(frozen=True, eq=False)
class Program:
    """A function of numbers, as a list of elements.

    Args:
        output: the element that is the function's value.
        variables: the entries of the parameters, in the order of the arrays.
        order: everything that the output needs, operands first.
        numbers: the value of each in float64.
        decisions: comparisons that decided a branch or the end of a loop.
    """

    output: Element
    variables: tuple[Element, ...]
    order: tuple[Element, ...]
    numbers: Mapping[Element, float]
    decisions: tuple[Element, ...]

    def depending_on(self, variable: Element) -> frozenset[Element]:
        """The elements whose value changes with a variable."""
        found = {variable}
        for element in self.order:
            inside = (*element.operands, element.condition) if element.condition else element.operands
            if element.operation != "stop_gradient" and any(each in found for each in inside):
                found.add(element)
        return frozenset(found)


def program_of(function: Function, limit: int = 20_000) -> Program:
    """Write a function out number by number.

    Raises:
        TooManyElements: where it is too large for that.
        NotDerivable: where a primitive is met that has no rule.

    Example:
        >>> from qed.graph.function import read
        >>> program_of(read(lambda x: x * x + 1.0, 3.0)).output
        add(mul(x, x), constant())
    """
    if function.size > LARGEST_PARAMETERS:
        message = f"{function.size} parameters"
        raise TooManyElements(message)
    domain = Elements(names_of(function.graph), limit)
    walker = Walker([Value(), domain])
    cells, variables, free = [], [], set(function.traced.free)
    start = walker.start(function.graph, function.traced.leaves)
    paths = function.traced.paths
    for i, (cell, path, own) in enumerate(zip(start, short_names(paths), paths, strict=True)):
        array = cell.values[0]
        named = i in free or (is_real(cell.dtype) and 0 < np.size(array) <= LARGEST_DATA and path.isidentifier())
        named = named and (i in free or not _NAMELESS.fullmatch(own))  # of an array without a name its numbers
        symbols = domain.symbols(path, array) if named else PLAIN
        cells.append(Cell((array, symbols), cell.shape, cell.dtype))
        if i in free:
            variables += np.ravel(np.asarray(symbols, object)).tolist()
    result = walker.walk(function.graph, cells, Frame(function.graph))[0]
    lost = next((value for value in result.values if isinstance(value, Unknown)), None)
    if lost is not None:
        message = f"no rule for {lost.primitive}"
        raise NotDerivable(message, lost.primitive, lost.span)
    output = Element("constant", value=np.asarray(result.values[0])[()])
    if result.values[1] is not PLAIN:
        output = result.values[1][()]
    while output.operation == "select" and output.condition is not None and len({*output.condition.operands}) == 1:
        output = output.operands[0]  # a test for NaN decides nothing
    order = in_order(output, (*variables, *domain.decisions))
    return Program(output, tuple(variables), order, numbers_of(order), tuple(domain.decisions))


_NAMELESS = re.compile(r"constant \d+")


def short_names(paths: Sequence[str]) -> list[str]:
    """``w['W1']`` as ``W1`` where no other array is called so; an array without a name, ``constant 0``, as ``c0``.

    >>> short_names(["w['W1']", "constant 0", "b"]), short_names(["c0", "constant 0"])
    (['W1', 'c0', 'b'], ['c0', 'constant 0'])
    """
    given = set(paths)
    short = [path.replace("constant ", "c") if _NAMELESS.fullmatch(path) else path for path in paths]
    paths = [path if new in given else new for new, path in zip(short, paths, strict=True)]
    last = [path.rpartition("[")[2].strip("]'\"") if path.endswith("]") else path for path in paths]
    plain: Callable[[int], bool] = lambda i: last[i].isidentifier() and last.count(last[i]) == 1  # noqa: E731
    return [last[i] if plain(i) else path for i, path in enumerate(paths)]


def names_of(graph: Graph) -> dict[Equation, str]:
    """The user's names of what equations define, in this graph and in those that it calls; words only."""
    found = {graph.equations[i]: name for i, name in assigned(graph).items() if name.isidentifier()}
    for equation in graph.equations:
        if equation.call is not None:
            for inner in equation.call.graphs:
                found.update(names_of(inner))
    return found


def in_order(output: Element, others: Iterable[Element] = ()) -> tuple[Element, ...]:
    """What elements need, themselves included, operands first."""
    done: dict[Element, None] = {}
    for start in (*others, output):
        pending = [(start, False)]
        while pending:
            element, ready = pending.pop()
            if ready:
                done.setdefault(element)
            elif element not in done:
                pending.append((element, True))
                below = (*element.operands, element.condition) if element.condition else element.operands
                pending += [(each, False) for each in reversed(below) if each not in done]
    return tuple(done)


def numbers_of(order: Iterable[Element], arithmetic: Any = facts.NUMPY, start: Any = np.float64) -> dict[Element, Any]:
    """The value of each element in an arithmetic, from the exact inputs; choices stay as the program made them."""
    found: dict[Element, Any] = {}
    with np.errstate(all="ignore"):
        for element in order:
            found[element] = _number(element, [found[o] for o in element.operands], arithmetic, start)
    return found


def _number(element: Element, operands: list[Any], arithmetic: Any, start: Any) -> Any:
    match element.operation:
        case "symbol" | "constant":
            return start(float(element.value))
        case "select" | "stop_gradient":
            return operands[0]
        case "add":
            return sum(operands[1:], operands[0])
        case operation if operation in COMPARISONS:
            return element.value
    parameters = {key: Fraction(value) for key, value in element.parameters.items()}
    return arithmetic.call(element.operation, *operands, **parameters)


COMPARISONS = frozenset("and eq ge gt is_finite le lt ne not or xor".split())
