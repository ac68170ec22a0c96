"""Units that never fire: relu(z) with z < 0 for every row of the data.

With h = max(z, 0) and z = W x + b the derivative of the loss in W and b carries the factor 1[z > 0]. A unit whose z is
negative for every row contributes nothing to the loss and gets a gradient of exactly zero: no gradient step
moves it again, unless what it reads changes. Single dead units are common and harmless; a layer of them is
not, since nothing is learned through it.

Whether a look is worth while costs nothing: a step from where the run ended leaves most columns of a layer's parameter
unmoved. Only then are the preactivations and the gradient evaluated, there and at the start. A layer that is
silent at first and fires later is in order.

Reference: Lu, Shin, Su and Karniadakis (2020), *Dying ReLU and initialization: theory and numerical examples*.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from qed.answer import Answer, Finding, Reason, Standing
from qed.graph.graph import Atom, Equation, Variable
from qed.why.case import Case
from qed.why.mistakes.flat import SAME, VIEWS, Flat, compute, literal
from qed.why.trial import Run
from qed.why.words import plural

SHARE = 0.9
ROWS, UNITS = 16, 4
_LAYERS = frozenset({"dot_general", "conv_general_dilated"})
_ON = VIEWS | {"mul", "add", "concatenate", "pad", "select_n", "sub"}


@dataclass(frozen=True, eq=False)
class _Layer:
    """A layer of rectified units: their preactivations (rows first, units last), and its own parameters as bits."""

    equation: Equation
    before: Variable
    own: int


@dataclass(frozen=True)
class _Dead:
    """How many units of a layer never fire, and the parameters that get no gradient."""

    layer: _Layer
    count: int
    units: int
    paths: tuple[str, ...]


def dead_units(case: Case, flat: Flat, run: Run) -> list[Answer[Any]]:
    """Layers of which nine units in ten or more never fire where the run ended (QED106)."""
    rows, start = case.prepared.rows, case.prepared.parameters
    if case.prepared.rule is None or rows is None or rows < ROWS:
        return []
    layers = [layer for equation in flat.graph.equations if (layer := _layer(flat, equation, rows)) is not None]
    step, end = (0, start) if run.last is None else (run.last.step, run.last.parameters)
    if not layers or case.clock.left <= 0 or not _unmoved(case, layers, end):
        return []
    measure = _measure(case, flat, layers)
    dead = _dead(case, layers, measure, end)
    if not dead:
        return []
    from_the_start = _dead(case, layers, measure, start) if step else dead
    if from_the_start:
        step, end, dead = 0, start, from_the_start
    return [_answer(case, layers, measure, dead, step, end)]


def _layer(flat: Flat, equation: Equation, rows: int) -> _Layer | None:
    """The layer that an equation max(z, 0) belongs to, if another layer with parameters reads it."""
    if equation.primitive != "max":
        return None
    for mine, other in ((0, 1), (1, 0)):
        atom, zero = equation.inputs[mine], flat.core(equation.inputs[other])
        if literal(zero) != 0.0 or not isinstance(atom, Variable):
            continue
        shaped = len(atom.shape) >= 2 and atom.shape[0] == rows and atom.shape[-1] >= UNITS
        if shaped and flat.on_parameters(atom) and flat.on_data(atom) and _read_on(flat, equation.outputs[0]):
            return _Layer(equation, atom, _own_parameters(flat, atom))
    return None


def _read_on(flat: Flat, value: Variable) -> bool:
    """Whether a product with a parameter reads the value."""
    waiting, seen = [value], set()
    while waiting:
        value = waiting.pop()
        for user in flat.uses.get(value, ()):
            if user in seen:
                continue
            seen.add(user)
            if user.primitive in _LAYERS:
                others = [atom for atom in user.inputs if atom is not value]
                if any(flat.on_parameters(atom) and not flat.on_data(atom) for atom in others):
                    return True
            elif user.primitive in _ON:
                waiting += user.outputs
    return False


def _unmoved(case: Case, layers: Sequence[_Layer], parameters: Sequence[Any]) -> bool:
    """Whether a step leaves most columns of a layer's parameter exactly where they are; needs no compiling."""
    changes = case.runner("given").update(parameters, case.prepared.data)
    still = _bits(case, changes)
    return any(still & layer.own for layer in layers)


def _bits(case: Case, arrays: Sequence[Any]) -> int:
    """The parameters, as bits, of which most columns of the given array are exactly zero."""
    wide = [np.asarray(array).astype(np.float64) for array in arrays]
    return sum(1 << i for i, x in zip(case.prepared.traced.free, wide, strict=True) if x.ndim and _still(x))


def _still(change: np.ndarray) -> bool:
    flat = change.reshape(-1, change.shape[-1])
    return bool(flat.size) and float((flat == 0).all(axis=0).mean()) >= SHARE


def _measure(case: Case, flat: Flat, layers: Sequence[_Layer]) -> Callable[..., Any]:
    """(parameters, data) -> the preactivations of the layers, and the gradient; compiled once."""
    prepared = case.prepared
    wanted: list[Atom] = [layer.before for layer in layers]

    @jax.jit
    def values(at: Any, data: Any) -> Any:
        return compute(flat, prepared.join(at, data), wanted), jax.grad(prepared.loss)(at, data)

    return values


def _dead(case: Case, layers: Sequence[_Layer], measure: Callable[..., Any], parameters: Sequence[Any]) -> list[_Dead]:
    prepared = case.prepared
    before, gradient = measure(tuple(parameters), prepared.data)
    still = _bits(case, gradient)
    names = dict(zip(prepared.traced.free, prepared.paths, strict=True))
    found = []
    for layer, value in zip(layers, before, strict=True):
        z = np.asarray(value).astype(np.float64)
        silent = (z < 0).reshape(-1, z.shape[-1]).all(axis=0)
        paths = tuple(path for position, path in names.items() if (still & layer.own) >> position & 1)
        if silent.mean() >= SHARE and paths:
            found.append(_Dead(layer, int(silent.sum()), silent.size, paths))
    return found


def _own_parameters(flat: Flat, before: Variable) -> int:
    """The parameters that a layer adds to what the values that it reads depend on already."""
    waiting: list[Atom] = [before]
    found = 0
    while waiting:
        equation = flat.maker(waiting.pop())
        if equation is None:
            continue
        for atom in equation.inputs:
            if not flat.on_data(atom):
                found |= flat.on_parameters(atom)
            elif equation.primitive in SAME | {"add", "sub", "broadcast_in_dim", "reshape"}:
                waiting.append(atom)
    return found


def _answer(
    case: Case,
    layers: Sequence[_Layer],
    measure: Callable[..., Any],
    dead: list[_Dead],
    step: int,
    parameters: Sequence[Any],
) -> Answer[Any]:
    when = "at the start" if step == 0 else f"after {plural(step, 'step')}"
    worst = max(dead, key=lambda item: item.count / item.units)
    names = ", ".join(worst.paths)
    rows = case.prepared.rows
    how = f"all {worst.units} units" if worst.count == worst.units else f"{worst.count} of {worst.units} units"
    text = f"{when} {how} of this layer are negative in all {rows} rows: they never fire"
    findings = [
        Finding(
            "QED106",
            text if item is worst else f"{item.count} of {item.units} units never fire",
            item.layer.equation.span,
            {"units": item.units, "dead": item.count, "rows": rows, "step": step, "parameters": list(item.paths)},
        )
        for item in sorted(dead, key=lambda item: item is not worst)
    ]
    reason = Reason(
        "the derivative of max(z, 0) is zero for z < 0",
        formula="dL/dz = dL/dh 1[z > 0]",
        text=f"where z < 0 the gradient is exactly zero, and it is, in {names}: no gradient step revives them",
        predicted="gradient 0",
        observed="gradient 0",
        standing=Standing.MEASURED,
    )
    return Answer(
        f"the units of every layer fire for some row {when}",
        Standing.REFUTED,
        arithmetic=case.prepared.dtype,
        reasons=(reason,),
        findings=tuple(findings),
        recheck=lambda: bool(_dead(case, layers, measure, parameters)),
    )
