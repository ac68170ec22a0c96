"""A small program as a worked example: forward with the local derivatives, then the adjoints backwards.

Each step of the walk back writes out the chain rule: the adjoint of a value is the sum, over the places that use it, of
the adjoint of what is made there times the local derivative::

    dL/du = dL/dv * dv/du + dL/dw * dw/du
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from qed.calculus.backpropagation.tape import Line, Parameter, Quantity, Use

FEW, MANY = 16, 60
"""How many lines are shown, and how many where every reason is unfolded."""

LARGEST = 4
"""Up to this many numbers in every value, a program is small."""

WIDTH = 66


def is_small(lines: Sequence[Line]) -> bool:
    """Whether a tape can be told number by number."""
    shown = visible(lines)
    return 0 < len(shown) <= MANY and all(line.value.size <= LARGEST for line in shown)


def visible(lines: Sequence[Line]) -> list[Line]:
    """The lines that compute something: all but those that only show numbers in another shape or place."""
    return [line for line in lines if not line.view]


def symbol(name: str, lines: Sequence[Line]) -> str:
    """What the result is called in derivatives: its own name if that is short, else L."""
    taken = {line.name for line in lines} | {use.operand for line in lines for use in line.uses}
    return name if len(name) <= 2 or "L" in taken else "L"


def forward(lines: Sequence[Line], result: str) -> str:
    """The values in the order of the program, each with its local derivatives.

    Every line is ``number of the source line, equation = value``, with the derivatives below each other beside it.
    """
    shown = visible(lines)
    last = lines[-1].name
    left = [
        f"{_place(line):>4}  {_short(line.name, last, result)} = {line.text} = {tell(line.value)}" for line in shown
    ]
    column = min(max(map(len, left)) + 3, 36)
    rows: list[str] = []
    for line, start in zip(shown, left, strict=True):
        slopes = [_local(line, use, last, result) for use in line.uses]
        if slopes and (len(start) + 3 > column or column + max(map(len, slopes)) > WIDTH):
            rows.append(start)
            rows += [" " * max(6, min(column, WIDTH - len(slope))) + slope for slope in slopes]
            continue
        rows.append(start.ljust(column) + slopes[0] if slopes else start)
        rows += [" " * column + slope for slope in slopes[1:]]
    return "\n".join(rows)


def _place(line: Line) -> str:
    return "" if line.span is None else str(line.span.line)


def _local(line: Line, use: Use, last: str, result: str) -> str:
    head = f"∂{_short(line.name, last, result)}/∂{use.operand}"
    formula = re.sub(rf"(?<![\w.]){re.escape(last)}(?![\w\[.])", result, use.formula)
    if use.slope is None:
        return f"{head} = {formula}"
    numbers = tell(use.slope)
    hidden = formula in ("1", numbers) or formula.startswith("d ")
    return f"{head} = {numbers}" if hidden else f"{head} = {formula} = {numbers}"


def backward(lines: Sequence[Line], parameters: Sequence[Parameter], result: str) -> str:
    """The adjoints from the result back to the inputs, each as a sum of products."""
    last = lines[-1].name
    users: dict[str, list[tuple[Line, Use]]] = {}
    for line in visible(lines):
        for use in line.uses:
            users.setdefault(use.operand, []).append((line, use))
    rows = [f"d{result}/d{result} = 1"]
    totals = {line.name: line.adjoint for line in visible(lines)}
    order = [line.name for line in reversed(visible(lines)) if line.name != last]
    order += [line.name for line in lines if line.view and line.name not in totals]
    totals |= {parameter.name: parameter.gradient for parameter in parameters}
    order += [parameter.name for parameter in parameters]
    for name in dict.fromkeys(order):
        parts = [other for other in users if other.startswith(name + "[")]
        own = users.get(name, [])
        if own and not parts:
            rows += _adjoint(name, own, totals.get(name), last, result)
        elif name in totals:
            rows.append(f"d{result}/d{name} = {tell(totals[name])}")
    return "\n".join(rows)


def _adjoint(name: str, users: Sequence[tuple[Line, Use]], total: Quantity | None, last: str, result: str) -> list[str]:
    terms = [
        f"d{result}/d{_short(line.name, last, result)} * ∂{_short(line.name, last, result)}/∂{name}"
        for line, _ in users
    ]
    products = [_product(line, use) for line, use in users]
    head = f"d{result}/d{name}"
    number = _summed(users) if total is None else tell(total)
    whole = f"{head} = {' + '.join(terms)} = {' + '.join(products)} = {number}"
    if len(users) == 1 and products[0] == number:
        whole = f"{head} = {terms[0]} = {number}"
    if len(whole) <= WIDTH:
        return [whole]
    return [
        *_wrapped(f"{head} = ", terms),
        *_wrapped(f"{' ' * len(head)} = ", products),
        f"{' ' * len(head)} = {number}",
    ]


def _wrapped(start: str, terms: Sequence[str]) -> Iterator[str]:
    line = start + terms[0]
    for term in terms[1:]:
        if len(line) + 3 + len(term) > WIDTH:
            yield line
            line = " " * len(start) + "+ " + term
        else:
            line += " + " + term
    yield line


def _short(name: str, last: str, result: str) -> str:
    return result if name == last else name


def _product(line: Line, use: Use) -> str:
    if use.slope is None or use.slope.size != line.adjoint.size:
        return tell(use.part)
    return f"{_factor(line.adjoint)} * {_factor(use.slope)}"


def _factor(value: Quantity) -> str:
    text = tell(value)
    return f"({text})" if text.startswith("-") else text


def _summed(users: Sequence[tuple[Line, Use]]) -> str:
    columns = [use.part.numbers for _, use in users]
    if any(column is None for column in columns):
        return "..."
    sums = [sum(row) for row in zip(*columns, strict=True)]
    return four(sums[0]) if len(sums) == 1 else f"[{', '.join(four(x) for x in sums)}]"


def four(x: Any) -> str:
    """A number with four digits.

    >>> four(0.1234567), four(1e-12), four(2.0)
    ('0.1235', '1e-12', '2')
    """
    if isinstance(x, complex):
        return f"({four(x.real)}{'+' if x.imag >= 0 else ''}{four(x.imag)}j)"
    return f"{x:.4g}"


def tell(value: Quantity) -> str:
    """A value in a few characters: its numbers where they are few, else shape and norm."""
    if value.numbers is not None and value.size == 1:
        return four(value.numbers[0])
    if value.numbers is not None and value.size <= LARGEST:
        return f"[{', '.join(four(x) for x in value.numbers)}]"
    return f"{'x'.join(map(str, value.shape))} of norm {four(value.norm)}"
