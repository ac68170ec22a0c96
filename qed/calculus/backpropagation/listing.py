"""The tape of a larger program as tables: by layer, by loop step, by line, by parameter.

All tables go from the result back to the input, as the sweep does, except the one by line, which is the program. Long
ones are cut in the middle and say how much is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from qed.calculus.backpropagation.naming import keys_of
from qed.calculus.backpropagation.tape import Chain, Layer, Line, Parameter
from qed.calculus.backpropagation.worked import visible
from qed.span import display_width

FEW, MANY = 12, 200


def cut(rows: Sequence[str], most: int, what: str) -> list[str]:
    """At most so many rows; the middle gives way to a line that says how many are left out.

    >>> cut(["a", "b", "c", "d", "e", "f"], 4, "rows")
    ['a', 'b', '... 3 more rows ...', 'f']
    """
    if len(rows) <= most:
        return list(rows)
    head = most // 2
    tail = most - head - 1
    return [*rows[:head], f"... {len(rows) - head - tail} more {what} ...", *rows[len(rows) - tail :]]


def short_names(names: Sequence[str]) -> list[str]:
    """Names without what they all begin with, and without quotes and brackets.

    >>> short_names(["w['first']", "w['out']"]), short_names(["m.layers[0]", "m.layers[1]"]), short_names(["S[0]"])
    (['first', 'out'], ['layers[0]', 'layers[1]'], ['S[0]'])
    """
    split = [keys_of(name) for name in names]
    shared = 0
    while len(set(names)) > 1 and all(len(keys) > shared + 1 for keys in split):
        if len({keys[shared] for keys in split}) > 1:
            break
        shared += 1
    if any(len(keys) > shared and keys[shared][1:2].isdigit() for keys in split):
        shared = max(0, shared - 1)
    return [_joined(keys[shared:]) for keys in split]


def _joined(keys: Sequence[str]) -> str:
    text = ""
    for key in keys:
        plain = key.removeprefix(".").replace("['", "").replace("']", "")
        text += plain if plain.startswith("[") or not text else f".{plain}"
    return text


def number(x: float | None) -> str:
    """A number in at most eight characters; '' for none."""
    return "" if x is None else f"{x:.3g}"


def layer_table(layers: Sequence[Layer], most: int = FEW, widest: int = 20) -> str:
    """One row a layer, from the result back: how |dL/dh| becomes |dL/dx|, and the gradient of the weights."""
    names = short_names([layer.name for layer in layers])
    inside = [layer.step for layer in layers if layer.step is not None]
    if inside:
        names = [n if k.step is None else f"{n}, step {k.step}" for n, k in zip(names, layers, strict=True)]
    wide = min(widest, max([5, *(len(name) for name in names)]))
    head = f"{'layer':<{wide}} {'|dL/dh|':>8} {_SLOPE:>8} {'* W':>8} {'= factor':>8}  {'|dL/dW|':>8}"
    rows = [
        f"{_tail(name, wide):<{wide}} {number(k.out):>8} {number(k.by_slope) if k.activation else '':>8} "
        f"{number(k.by_weight):>8} {number(k.factor):>8}  {number(k.weight):>8}"
        for name, k in zip(names, layers, strict=True)
    ]
    if inside and most < len(rows):  # the steps between the first and the last stand in the table of the loop
        ends = (min(inside), max(inside))
        rows = [row for row, k in zip(rows, layers, strict=True) if k.step is None or k.step in ends]
    return "\n".join([_RULE, head, *cut(rows[::-1], most, "layers")])


_SLOPE = "* sigma'"
_RULE = "delta = dL/dh * sigma'(z),  dL/dx = delta W',  dL/dW = x' delta"


def layer_details(layers: Sequence[Layer], most: int = MANY) -> str:
    """For each layer its equations with shapes, in the order of the program."""
    rows = []
    for layer in layers:
        x, w, z = (_by(shape) for shape in layer.shapes)
        step = "" if layer.step is None else f", step {layer.step}"
        rows.append(f"{layer.name}{step}: {layer.kind}, x {x}, W {w}, z {z}")
        if layer.slopes is not None:
            low, middle, high = layer.slopes
            rows.append(f"  delta = dL/dh * {layer.activation}'(z), |delta| = {number(layer.delta)}")
            rows.append(f"  |{layer.activation}'(z)| from {number(low)} to {number(high)}, median {number(middle)}")
        else:
            rows.append(f"  delta = dL/dz, |delta| = {number(layer.delta)}")
        rows.append(f"  {layer.formula}")
        rows.append(f"  |dL/dW| = {number(layer.weight)}, |W| = {number(layer.scale)}")
    return "\n".join(cut(rows, most, "lines"))


def chain_table(chain: Chain, most: int = FEW) -> str:
    """One row a stage, from the result back: |adjoint| behind it, its factor, the product so far."""
    names = [stage.name for stage in chain.stages]
    names = short_names(names) if chain.kind == "layers" else names
    wide = min(32, max([5, *(len(name) for name in names)]))
    head = f"{'step' if chain.kind == 'loop' else 'stage':<{wide}} {'|dL/dh|':>9} {'factor':>9} {'so far':>9}"
    rows, product = [], 1.0
    for stage, name in zip(reversed(chain.stages), reversed(names), strict=True):
        product *= stage.factor
        cut_name = _tail(name, wide) if chain.kind == "layers" else _fit(name, wide)
        rows.append(f"{cut_name:<{wide}} {number(stage.into):>9} {number(stage.factor):>9} {number(product):>9}")
    return "\n".join([head, *cut(rows, most, f"{'steps' if chain.kind == 'loop' else 'stages'}")])


def parameter_table(parameters: Sequence[Parameter], most: int = FEW) -> str:
    """One row a parameter: its shape, its norm, the norm of its gradient, and their ratio."""
    names = [parameter.name for parameter in parameters]
    names = short_names(names) if max(map(len, names), default=0) > 28 else names
    wide = min(28, max([9, *(len(name) for name in names)]))
    head = f"{'parameter':<{wide}} {'shape':>10} {'|w|':>8} {'|dL/dw|':>8} {'ratio':>8}"
    rows = []
    for name, each in zip(names, parameters, strict=True):
        size, slope = each.value.norm, each.gradient.norm
        share = slope / size if size else None
        lost = "  not finite" if each.gradient.nonfinite else ""
        rows.append(
            f"{_tail(name, wide):<{wide}} {_by(each.value.shape):>10} {number(size):>8} {number(slope):>8} "
            f"{number(share):>8}{lost}"
        )
    return "\n".join([head, *cut(rows, most, "parameters")])


def line_table(lines: Sequence[Line], most: int = FEW) -> str:
    """One row for each line of the source, in the order of the program: the last value made on it and its adjoint."""
    groups: dict[tuple[str, int], list[Line]] = {}
    for line in visible(lines):
        key = ("", 0) if line.span is None else (line.span.file, line.span.line)
        groups.setdefault(key, []).append(line)
    files = {file for file, _ in groups if file}
    wide = 32
    head = f"{'line':<{wide + 5}} {'value':>10}  {'|value|':>8} {'|dL/dv|':>8}"
    rows = []
    for (file, place), members in groups.items():
        last = members[-1]
        text = "(no line of the file)" if last.span is None else last.span.text.strip()
        where = "" if last.span is None else str(place) if len(files) < 2 else f"{PurePath(file).stem[:6]}:{place}"
        repeats = f" ({len(members)} equations)" if len(members) > 40 else ""
        left = f"{where:>4} {_fit(text + repeats, wide)}"
        rows.append(
            f"{left}{' ' * max(0, wide + 5 - display_width(left))} {_by(last.value.shape):>10}  "
            f"{number(last.value.norm):>8} {number(last.adjoint.norm):>8}"
        )
    return "\n".join([head, *cut(rows, most, "lines")])


def equation_table(lines: Sequence[Line], most: int = MANY) -> str:
    """One row an equation: its name, what it is, shape, |value| and |adjoint|."""
    rows = []
    for line in lines:
        if line.view and line.name in {use.operand for use in line.uses}:
            continue
        place = "" if line.span is None else str(line.span.line)
        text = _fit(f"{line.name} = {line.text}", 28)
        rows.append(
            f"{place:>4} {text:<28} {_by(line.value.shape):>10} {number(line.value.norm):>8} "
            f"{number(line.adjoint.norm):>8}"
        )
    head = f"{'line':<4} {'equation':<28} {'value':>10} {'|value|':>8} {'|dL/dv|':>8}"
    return "\n".join([head, *cut(rows, most, "equations")])


def _tail(text: str, width: int) -> str:
    """The end of a name, which tells it from others, with '..' where it was cut."""
    return text if len(text) <= width else ".." + text[len(text) - width + 2 :]


def _fit(text: str, width: int) -> str:
    """Text cut to a width, with '..' where it was cut."""
    if display_width(text) <= width:
        return text
    while display_width(text) > width - 2:
        text = text[:-1]
    return text + ".."


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "1"
