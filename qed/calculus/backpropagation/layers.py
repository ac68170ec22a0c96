"""The layers of a network, found on the tape: where parameters meet data, and the elementwise function behind.

A value is *of the parameters* if it is computed from parameters alone (a row of W, a cast of it), and *mixed* if data
are in it too. A layer is an equation in which the two meet: a product of matrices, a convolution, a look-up of
rows; where a program has none of these, a product of numbers. Its bias is what is added next, its activation sigma the
elementwise function that everything then passes through. With x the input, z = x W + b and h = sigma(z)::

    delta = dL/dz = dL/dh * sigma'(z)          dL/dW = x' delta          dL/dx = delta W'

sigma'(z) is computed by pulling 1 back through the activation alone, x' delta in NumPy: both are compared with what the
sweep found.

Reference: Rumelhart, Hinton and Williams (1986), *Learning representations by back-propagating errors*.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed import facts
from qed.calculus.backpropagation.kinds import Kinds, kinds
from qed.calculus.backpropagation.naming import SPELLED, VIEWS, common
from qed.calculus.backpropagation.sweep import Sweep
from qed.calculus.backpropagation.tape import Layer, norm, relative
from qed.domains.adjoint import Adjoint, add, dense
from qed.graph.calls import Inline
from qed.graph.dtypes import as_wide, is_real, unit_roundoff
from qed.graph.walk import Cell, Entry, Unknown, reverse
from qed.span import Span

_MATRIX = {"dot_general": "dense", "ragged_dot_general": "dense", "conv_general_dilated": "convolution"}
_ELEMENTWISE = (facts.Class.UNARY, facts.Class.ARITHMETIC, facts.Class.SELECT)
_PASSED = frozenset({"convert_element_type", "broadcast_in_dim", "stop_gradient", "copy"})
_CHAINED = 3
_SUMS = frozenset({"add", "sub", "add_any"})
LONGEST_PRODUCT = 1e9
"""Operations of a product that is done again in NumPy, at most."""


@dataclass(frozen=True, eq=False)
class Found:
    """A layer with the places on the tape: its equation, its input, its weights, z and h; `own` is the name of W."""

    layer: Layer
    entry: Entry
    place: int
    x: Cell
    weights: Cell
    z: Cell
    out: Cell
    own: str


def structure(done: Sweep) -> tuple[Kinds, list[Found]]:
    """The kinds of the values and the layers; in a program without data, those of a chain of three products or more."""
    known = kinds(done)
    found = layers(done, known)
    if found or any(known.is_mixed(cell) for entry in done.entries for cell in entry.outputs if cell.active):
        return known, found
    other = kinds(done, only_views=True)
    chained = layers(done, other)
    if len(chained) < _CHAINED or any(each.layer.shared or not each.x.active for each in chained):
        return known, []
    return other, chained


def layers(done: Sweep, known: Kinds) -> list[Found]:
    """The layers in the order of execution."""
    mains = [main for place, entry in enumerate(done.entries) if (main := _main(entry, place, known)) is not None]
    if any(kind in ("dense", "convolution") for *_, kind in mains):
        mains = [main for main in mains if main[-1] != "product"]
    places = {id(entry): i for i, entry in enumerate(done.entries)}
    uses: dict[Any, int] = {}
    for _, _, weights, _, _ in mains:
        key = _identity(weights, known)
        uses[key] = uses.get(key, 0) + 1
    within = _Within(done, known, places, _products(done, known, [entry for entry, *_ in mains]))
    return _told_apart([_layer(within, *main, shared=uses[_identity(main[2], known)] > 1) for main in mains])


@dataclass(frozen=True, eq=False)
class _Within:
    """What a layer is looked up in: the run, the kinds of its values, the places of its equations, the products."""

    done: Sweep
    known: Kinds
    places: dict[int, int]
    products: set[Cell]
    puller: Adjoint = field(default_factory=Adjoint)


def _products(done: Sweep, known: Kinds, mains: Sequence[Entry]) -> set[Cell]:
    """The values that are sums of products with parameters: what a preactivation is made of."""
    found = {cell for entry in mains for cell in entry.outputs}
    for entry in done.entries:
        if (entry.primitive in VIEWS and entry.inputs[0] in found) or (
            entry.primitive in _SUMS and all(cell in found or _constant(cell, known) for cell in entry.inputs)
        ):
            if any(cell in found for cell in entry.inputs):
                found.update(entry.outputs)
    return found


def _constant(cell: Cell, known: Kinds) -> bool:
    """Whether a summand changes nothing in how z depends on x: a parameter, or a constant number."""
    return known.of_parameters(cell) or (not cell.active and not cell.shape)


def _identity(weights: Cell, known: Kinds) -> Any:
    return known.bits.get(weights, 0), known.part.get(weights, ())


def _main(entry: Entry, place: int, known: Kinds) -> tuple[Entry, int, Cell, Cell, str] | None:
    """(entry, its place, the weights, the input, the kind) where parameters meet data."""
    if entry.kind != "equation" or not any(cell.active for cell in entry.outputs):
        return None
    own = [cell for cell in entry.inputs if known.of_parameters(cell)]
    other = [cell for cell in entry.inputs if known.is_mixed(cell)]
    if not own or not other:
        return None
    name, call = entry.primitive, entry.equation.call
    kind = _MATRIX.get(name, "")
    if name == "gather" and entry.inputs[0] is own[0]:
        kind = "embedding"
    if name in ("mul", "div"):
        kind = "product"
    if isinstance(call, Inline) and call.custom:
        kind = "rule"
    active = [cell for cell in other if cell.active]
    return (entry, place, own[0], (active or other)[0], kind) if kind else None


def _layer(within: _Within, entry: Entry, place: int, weights: Cell, x: Cell, kind: str, shared: bool) -> Found:
    done, known = within.done, within.known
    z, bits = _with_bias(within, entry)
    out, through = (z, ()) if kind == "rule" else _activation(done, within.places, z)
    adjoint_z, adjoint_out = _wide(done.adjoint(z)), _wide(done.adjoint(out))
    slope = _slope(within.puller, through, z, out) if through else None
    if slope is not None and not relative([adjoint_z], [adjoint_out * slope]) <= unit_roundoff(z.dtype) ** 0.5:
        out, through, adjoint_out, slope = z, (), adjoint_z, None  # a rule that is not elementwise, or not linear
    part = _part(done, entry, weights)
    errors = [] if slope is None else [relative([adjoint_z], [adjoint_out * slope])]
    again = _product(done, entry, x, weights) if kind == "dense" else None
    if again is not None:
        errors.append(relative([part], [again]))
    steps = entry.frame.steps()
    own, paths = _paths(done, known.bits[weights]), _paths(done, known.bits[weights] | bits)
    size = None if slope is None else np.abs(slope)
    layer = Layer(
        name=_name(done, weights, own, paths),
        kind=kind,
        span=entry.span,
        parameters=tuple(paths),
        step=steps[-1] if steps and shared else None,
        activation=_called(through),
        shapes=(x.shape, weights.shape, z.shape),
        out=norm(adjoint_out),
        delta=norm(adjoint_z),
        weight=norm(part),
        scale=norm(_wide(weights.values[0])),
        into=norm(_part(done, entry, x)) if x.active else None,
        slopes=None if size is None else (float(size.min()), float(np.median(size)), float(size.max())),
        formula=_formula(kind, x.shape, weights.shape, z.shape),
        error=max(errors, default=None),
        shared=shared,
    )
    return Found(layer, entry, place, x, weights, z, out, _owned(own))


def _paths(done: Sweep, bits: int) -> list[str]:
    return [path for i, path in enumerate(done.function.traced.paths) if bits >> i & 1]


def _wide(array: Any) -> np.ndarray:
    found = np.asarray(as_wide(array))
    return found if np.iscomplexobj(found) else found.astype(np.float64)


def _part(done: Sweep, entry: Entry, cell: Cell) -> np.ndarray:
    """What one equation adds to the adjoint of one of its inputs, over all the positions at which it stands."""
    parts = [_wide(dense(part.value)) for part in done.parts(cell) if part.entry is entry]
    return sum(parts[1:], parts[0]) if parts else np.zeros(cell.shape)


def _with_bias(within: _Within, entry: Entry) -> tuple[Cell, int]:
    """z, once the sums with a bias or another product behind the product are taken in; the parameters added."""
    done, known = within.done, within.known
    z, bits = next(cell for cell in entry.outputs if done.adjoint(cell) is not None), 0
    while True:
        readers = done.consumers.get(z, ())
        if len(readers) != 1 or len(readers[0].outputs) != 1:
            return z, bits
        after = readers[0]
        (out,) = after.outputs
        others = [cell for cell in after.inputs if cell is not z]
        view = after.primitive in VIEWS and len(others) == 0 and _size(out) == _size(z)
        affine = after.primitive in _SUMS and all(cell in within.products or _constant(cell, known) for cell in others)
        if not (view or (affine and others)) or _size(out) != _size(z):
            return z, bits
        for cell in others:
            bits |= known.bits.get(cell, 0) if known.of_parameters(cell) else 0
        z = out


def _activation(done: Sweep, places: dict[int, int], z: Cell) -> tuple[Cell, tuple[Entry, ...]]:
    """The nearest value that all of z passes through, elementwise, and the equations in between."""
    waiting: dict[Cell, set[int]] = {z: {places[id(entry)] for entry in done.consumers.get(z, ())}}
    members, through = {z}, []
    while True:
        pending = [place for rest in waiting.values() for place in rest]
        if not pending:
            return z, ()
        place = min(pending)
        entry = done.entries[place]
        if not _elementwise(entry, members, z):
            return z, ()
        through.append(entry)
        for cell in entry.inputs:
            if cell in waiting:
                waiting[cell].discard(place)
        waiting = {cell: rest for cell, rest in waiting.items() if rest}
        (out,) = entry.outputs
        members.add(out)
        waiting[out] = {places[id(after)] for after in done.consumers.get(out, ())}
        if list(waiting) == [out]:
            if all(each.primitive in VIEWS for each in through):
                return z, ()
            return (out, tuple(through)) if out.shape == z.shape else (z, ())


def _elementwise(entry: Entry, members: set[Cell], z: Cell) -> bool:
    if entry.kind != "equation" or len(entry.outputs) != 1 or entry.outputs[0].shape != z.shape:
        return False
    if any(cell.active and cell not in members for cell in entry.inputs):
        return False
    call = entry.equation.call
    if isinstance(call, Inline) and call.custom:
        return len(entry.inputs) == 1 and all(is_real(cell.dtype) for cell in entry.inputs) and _acts_alone(call)
    if entry.primitive == "convert_element_type":
        return True
    kind = facts.classify(entry.primitive)
    data = [cell for cell in entry.inputs if cell.shape and cell not in members]
    return kind in _ELEMENTWISE and (kind is facts.Class.SELECT or not data)


def _acts_alone(call: Inline) -> bool:
    """Whether the body of a rule is elementwise throughout."""
    names = [equation.primitive for equation in call.graph.walk() if equation.call is None]
    passed = {"convert_element_type", "broadcast_in_dim", "stop_gradient", "copy", "iota"}
    return all(
        name in passed or facts.classify(name) in (*_ELEMENTWISE, facts.Class.COMPARE) for name in names
    ) and not any(
        equation.call is not None and equation.primitive in ("scan", "while") for equation in call.graph.walk()
    )


def _slope(puller: Adjoint, through: Sequence[Entry], z: Cell, out: Cell) -> np.ndarray | None:
    """sigma'(z), by pulling ones back through the activation alone."""
    found = reverse(through, {out: jnp.ones(out.shape, out.dtype)}, puller.pull, add).totals.get(z)
    return None if found is None or isinstance(found, Unknown) else _wide(dense(found))


def _called(through: Sequence[Entry]) -> str:
    """The name of the activation: of the function that all its equations stand in, or of its equation."""
    if not through:
        return ""
    frames = {id(entry.frame): entry.frame for entry in through}
    if len(through) == 1:
        call = through[0].equation.call
        name = call.name if isinstance(call, Inline) and call.name else through[0].primitive
        frame = through[0].frame
        inside = frame.equation.call if frame.equation is not None else None
        named = isinstance(inside, Inline) and frame.graph.span is None and name in ("select_n", "max")
        return inside.name if named and isinstance(inside, Inline) else SPELLED.get(name, name)
    if len(frames) == 1:
        (frame,) = frames.values()
        inside = frame.equation.call if frame.equation is not None else None
        if isinstance(inside, Inline) and frame.graph.span is None:
            return inside.name
    written = {name for each in through if (name := _call_at(each.span)) is not None}
    if len(written) == 1 and len({each.span for each in through}) == 1:
        return written.pop()
    names = dict.fromkeys(SPELLED.get(each.primitive, each.primitive) for each in through)
    return ", ".join(list(names)[:3]) + (", ..." if len(names) > 3 else "")


def _call_at(span: Span | None) -> str | None:
    """The function that is called at a place in the source: ``gelu`` of ``jax.nn.gelu(z)``."""
    text = "" if span is None or span.end_line not in (None, span.line) else span.text[span.column : span.end_column]
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return None
    return ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else None


def _product(done: Sweep, entry: Entry, x: Cell, weights: Cell) -> np.ndarray | None:
    """x' delta in NumPy and float64, in the axes of the weights; None where it would take too long."""
    if entry.primitive != "dot_general" or len(entry.inputs) != 2 or x is weights:
        return None
    (contract, batch), delta = entry.equation.params["dimension_numbers"], done.adjoint(entry.outputs[0])
    letters = iter("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    labels: list[list[str]] = [[""] * len(cell.shape) for cell in entry.inputs]
    for left, right in (*zip(*batch, strict=True), *zip(*contract, strict=True)):
        labels[0][left] = labels[1][right] = next(letters)
    for side in labels:
        side[:] = [label or next(letters) for label in side]
    summed = {labels[0][axis] for axis in contract[0]}
    shared = [labels[0][axis] for axis in batch[0]]
    result = shared + [label for side in labels for label in side if label not in summed and label not in shared]
    mine = 0 if entry.inputs[0] is weights else 1
    if (
        2.0 * np.prod(entry.outputs[0].shape) * np.prod([entry.inputs[0].shape[a] for a in contract[0]])
        > LONGEST_PRODUCT
    ):
        return None
    formula = f"{''.join(labels[1 - mine])},{''.join(result)}->{''.join(labels[mine])}"
    return np.einsum(formula, _wide(x.values[0]), _wide(delta), optimize=True)


def _formula(kind: str, x: Sequence[int], w: Sequence[int], z: Sequence[int]) -> str:
    shapes = f"{_by(x)} and {_by(z)} -> {_by(w)}"
    return {
        "dense": f"dL/dW = x' delta, {shapes}",
        "convolution": f"dL/dW = correlation of x with delta, {shapes}",
        "embedding": f"dL/dW = the rows of delta added up where they were read, {_by(z)} -> {_by(w)}",
        "product": f"dL/dw = x delta, summed, {shapes}",
        "rule": f"dL/dW by a rule of its own, {shapes}",
    }[kind]


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "1"


def _name(done: Sweep, weights: Cell, own: Sequence[str], paths: Sequence[str]) -> str:
    """A row of stacked weights by its index, else what the names of W and b begin with, else the name of W."""
    written = done.names.of(weights)
    if any(written.startswith(path) for path in own) and written not in own:
        return written
    return common(paths) or _owned(own)


def _owned(own: Sequence[str]) -> str:
    """The name of the weights; of weights made of several parameters what the names begin with, or the first."""
    return common(own) or f"{own[0]} +{len(own) - 1}"


def _told_apart(found: list[Found]) -> list[Found]:
    """Layers of different weights that share a name get the name of their own weights."""
    owners: dict[str, set[str]] = {}
    for each in found:
        owners.setdefault(each.layer.name, set()).add(each.own)
    clash = {name for name, own in owners.items() if len(own) > 1}
    return [
        replace(each, layer=replace(each.layer, name=each.own)) if each.layer.name in clash else each for each in found
    ]


def _size(cell: Cell) -> int:
    return int(np.prod(cell.shape, dtype=np.int64))
