"""Where the gradient shrinks and grows: a chain of places that all of it passes through.

Walking the tape backwards, the values that are read further on and not yet made are the *front* of the sweep. Where
the front is a single value h, every derivative behind it carries the factor dL/dh: the gradient passes through a
bottleneck. Between two of them lies a stage, and

    |dL/dh_0| = |dL/dh_n| * product of the factors |dL/dh_(k-1)| / |dL/dh_k| .

The stages are cut so that each holds the layers between two bottlenecks: one layer of a plain network, one block of
a network with residual connections. The steps of a loop that carry a state are a chain of their own. Functions
without layers are cut at each equation.

Reference: Bengio, Simard and Frasconi (1994), *Learning long-term dependencies with gradient descent is difficult*;
Pascanu, Mikolov and Bengio (2013), *On the difficulty of training recurrent neural networks*.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from qed.calculus.backpropagation.kinds import Kinds
from qed.calculus.backpropagation.layers import Found
from qed.calculus.backpropagation.naming import VIEWS, common
from qed.calculus.backpropagation.sweep import Sweep
from qed.calculus.backpropagation.tape import Chain, Stage, norm
from qed.graph.calls import Cond, Inline, Scan, While
from qed.graph.dtypes import as_wide, is_inexact
from qed.graph.graph import Atom, Equation, Graph, Variable
from qed.graph.walk import Cell, Entry, Frame

MOST_LOOPS = 3
"""How many runs of loops are told, those that change the gradient most."""


def chains(done: Sweep, known: Kinds, found: Sequence[Found]) -> tuple[Chain, ...]:
    """The chain through the layers (or the equations), then one for each loop with a state."""
    own = {id(frame.equation) for layer in found if not layer.layer.shared for frame in _frames(layer.entry)}
    loops = [chain for equation, chain in _loops(done) if id(equation) not in own]
    single = [i for i, layer in enumerate(found) if not (layer.layer.shared and layer.entry.frame.steps() and loops)]
    if not found:
        whole = _equations(done, known) if not loops else None
    else:
        whole = _layers(done, known, found, single)
    loops.sort(key=lambda chain: -abs(math.log(chain.product)) if 0 < chain.product < math.inf else -math.inf)
    return tuple(chain for chain in (whole, *loops[:MOST_LOOPS]) if chain is not None and len(chain.stages) > 1)


def _frames(entry: Entry) -> Iterator[Frame]:
    frame: Frame | None = entry.frame
    while frame is not None:
        yield frame
        frame = frame.parent


def size_of(done: Sweep, *cells: Cell) -> float:
    """The norm of the adjoints of some values together."""
    arrays = [done.adjoint(cell) for cell in cells]
    return norm([norm(np.abs(np.asarray(as_wide(array)))) for array in arrays if array is not None])


def fronts(done: Sweep, known: Kinds | None) -> list[tuple[int, Cell]]:
    """The bottlenecks as (place, value): everything from equation `place` on reads only this value of what is before.

    Args:
        done: the sweep.
        known: leaves parameters out of the front; None counts every value.
    """
    totals = done.found.cotangents.totals
    live = {done.tape.outputs[0]}
    found = [(len(done.entries), done.tape.outputs[0])]
    for place in range(len(done.entries) - 1, -1, -1):
        entry = done.entries[place]
        live.difference_update(entry.outputs)
        for cell in entry.inputs:
            if cell.active and cell in totals and (known is None or known.is_mixed(cell)):
                live.add(cell)
        if len(live) == 1:
            found.append((place, next(iter(live))))
    return found[::-1]


def _layers(done: Sweep, known: Kinds, found: Sequence[Found], single: Sequence[int]) -> Chain | None:
    """One stage for the layers between two bottlenecks, from the first layer that reads a bottleneck on."""
    cuts = fronts(done, known)
    places = [place for place, _ in cuts]
    groups: dict[int, list[int]] = {}
    for i in single:
        before = int(np.searchsorted(places, found[i].place, side="right"))
        groups.setdefault(before, []).append(i)
    keys = sorted(groups)
    everything = common([path for layer in found for path in layer.layer.parameters])
    stages = []
    for number, key in enumerate(keys):
        if key == 0:  # these read data only
            continue
        members = groups[key]
        into = size_of(done, cuts[key - 1][1])
        if number + 1 < len(keys):
            out = size_of(done, cuts[keys[number + 1] - 1][1])
        else:
            last = max(members, key=lambda i: found[i].place)
            out = size_of(done, found[last].out) if len(members) == 1 else _after(done, cuts, found[last])
        name = _title([found[i] for i in members], everything)
        stages.append(Stage(name, tuple(members), found[members[0]].entry.span, out, into))
    return Chain("layers", tuple(stages)) if stages else None


def _after(done: Sweep, cuts: Sequence[tuple[int, Cell]], last: Found) -> float:
    """|adjoint| at the first bottleneck behind a layer."""
    cell = next((cell for place, cell in cuts if place > last.place), done.tape.outputs[0])
    return size_of(done, cell)


def _title(members: Sequence[Found], everything: str) -> str:
    """The layer, what the names of the layers begin with, or the first of them and how many more there are."""
    names = list(dict.fromkeys(member.layer.name for member in members))
    if len(names) == 1:
        return names[0]
    shared = common([path for member in members for path in member.layer.parameters])
    return shared if shared not in ("", everything) else f"{names[0]} +{len(names) - 1}"


# --- without layers -------------------------------------------------------------------------------------------


def _equations(done: Sweep, known: Kinds) -> Chain | None:
    """One stage an equation; what only shows the same numbers in another shape is left out."""
    has_data = any(known.is_mixed(cell) and cell.active for entry in done.entries for cell in entry.outputs)
    cuts = fronts(done, known if has_data else None)
    stages = []
    for (place, cell), (after, later) in pairwise(cuts):
        between = done.entries[place:after]
        if all(entry.primitive in VIEWS for entry in between):
            continue
        entry = next(entry for entry in reversed(between) if entry.primitive not in VIEWS)
        where = "" if entry.span is None else f"line {entry.span.line}: "
        name = f"{where}{done.names.of(later)} = {done.names.equation(entry)}"
        stages.append(Stage(name, (), entry.span, size_of(done, later), size_of(done, cell)))
    return Chain("equations", tuple(stages)) if stages else None


# --- loops ----------------------------------------------------------------------------------------------------


def _loops(done: Sweep) -> Iterator[tuple[Equation, Chain]]:
    """Each run of a loop that hands a state on, with its steps and the adjoint of the state."""
    totals = done.found.cotangents.totals
    for (_, equation), steps in _states(done).items():
        call = equation.call
        first, last = (
            (call.constants, call.constants + call.carry)
            if isinstance(call, Scan)
            else (call.body_constants, len(call.body.inputs))
        )
        order = [t for t in (call.steps() if isinstance(call, Scan) else sorted(steps)) if t in steps]
        carried = [k for k in range(first, last) if is_inexact(call.body.inputs[k].dtype)]
        rows = [(t, [steps[t][k] for k in carried if k in steps[t] and steps[t][k] in totals]) for t in order]
        rows = [(t, cells) for t, cells in rows if cells]
        if rows and any(_read_outside(done, cell, equation, rows[0][0]) for cell in rows[0][1]):
            del rows[0]
        if len(rows) < 3:
            continue
        sizes = [size_of(done, *cells) for _, cells in rows]
        stages = [
            Stage(f"step {t}", (), equation.span, after, before)
            for (t, _), before, after in zip(rows, sizes, sizes[1:], strict=False)
        ]
        yield equation, Chain("loop", tuple(stages), "" if equation.span is None else str(equation.span))


def _read_outside(done: Sweep, cell: Cell, equation: Equation, step: int) -> bool:
    """Whether the state that enters the first step is read elsewhere, too: its adjoint is then not the loop's alone."""
    return not all(
        any(frame.equation is equation and frame.step == step for frame in _frames(entry))
        for entry in done.consumers.get(cell, ())
    )


_States = dict[tuple[Any, Equation], dict[int, dict[int, Cell]]]


def _states(done: Sweep) -> _States:
    """For each run of a loop and each step the values of the inputs of its body, by position."""
    places: dict[int, dict[Atom, int]] = {}
    found: _States = {}
    for entry in done.entries:
        if entry.kind != "equation":
            continue
        for atom, cell in zip(entry.equation.inputs, entry.inputs, strict=False):
            for frame, k in _homes(entry, atom, places):
                steps = found.setdefault((frame.parent, frame.equation), {})  # type: ignore[arg-type]
                steps.setdefault(frame.step or 0, {}).setdefault(k, cell)
    return found


def _homes(entry: Entry, atom: Atom, places: dict[int, dict[Atom, int]]) -> Iterator[tuple[Frame, int]]:
    """The loop steps around an equation whose body's input an operand is, and which input, through any calls."""
    frame: Frame | None = entry.frame
    while frame is not None and frame.equation is not None and isinstance(atom, Variable):
        k = _inputs(frame.graph, places).get(atom)
        if k is None:
            return
        match frame.equation.call:
            case (Scan() | While()) as call:
                if frame.step is None or frame.graph is not call.body:
                    return
                yield frame, k
                outer = _before(call, frame.step, k)
                if outer is None:
                    return
                atom = frame.equation.inputs[outer]
            case Inline():
                atom = frame.equation.inputs[k]
            case Cond():
                atom = frame.equation.inputs[k + 1]
        frame = frame.parent


def _before(call: Scan | While, step: int, k: int) -> int | None:
    """The operand of the loop that input k of its body is at a step; None where a step before made it."""
    if isinstance(call, Scan):
        first = next(iter(call.steps()), 0)
        return k if k < call.constants or (k < call.constants + call.carry and step == first) else None
    return call.condition_constants + k if k < call.body_constants or step == 0 else None


def _inputs(graph: Graph, places: dict[int, dict[Atom, int]]) -> dict[Atom, int]:
    if id(graph) not in places:
        places[id(graph)] = {variable: k for k, variable in enumerate(graph.inputs)}
    return places[id(graph)]
