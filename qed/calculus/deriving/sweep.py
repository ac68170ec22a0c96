"""One sweep forward, which writes what the arrays of a program are, and one backward, which writes their cotangents."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from qed import facts
from qed.calculus.deriving.arrays import Algebra, Array
from qed.calculus.deriving.cotangents import pull
from qed.calculus.deriving.notation import Notation
from qed.calculus.deriving.operations import (
    ACTIVATIONS,
    SAME,
    SIGNS,
    TEX_SIGNS,
    body_of,
    chain_of,
    rule_name,
    with_constants,
)  # fmt: skip
from qed.calculus.deriving.program import NotDerivable, names_of, short_names
from qed.domains.backward import Tape
from qed.facts import Class
from qed.facts.expression import ONE, ZERO, Constant, Symbol
from qed.graph.dtypes import is_extended, is_real
from qed.graph.function import Function
from qed.graph.tape import Cell, Entry
from qed.span import Span

LONGEST_CLOSED = 48
"""Up to this length a gradient is written in parameters and data alone, else in the arrays that the source names."""


@dataclass(frozen=True, eq=False)
class ArrayStep:
    """One line of the chain rule: the cotangent of an array, from those of what is computed from it.

    Args:
        array: its name; `parameter` whether it is one.
        rules: the kinds of steps that lie between it and the next named arrays.
        text, tex: ``dL/dz = dL/dp ⊙ p ⊙ (1 - p)``.
        shape: of the array.
        definition: what the array is, such as ``z = X w``.
        value: the cotangent as numbers.
        exact: False where part of it is only followed by its numbers.
    """

    array: str
    parameter: bool
    rules: tuple[str, ...]
    text: str
    tex: str
    shape: tuple[int, ...]
    definition: str
    value: np.ndarray
    span: Span | None = None
    exact: bool = True


class Sweep:
    """One pass forward, which writes what the arrays are, and one backward, which writes their cotangents."""

    def __init__(self, function: Function, tape: Tape, name: str, inline_names: bool) -> None:
        self.algebra = Algebra()
        self.notation = Notation(self.algebra)
        self.function, self.tape, self.name = function, tape, name
        self.names = names_of(function.graph)
        self.forms: dict[Cell, Array] = {}
        self.labels: dict[Cell, str] = {}
        self.bodies: dict[Cell, Array] = {}
        self.definitions: list[str] = []
        self.gradients: dict[str, Array] = {}
        self.totals: dict[str, Array] = {}
        self.inexact: set[Cell] = set()
        self.cotangents: dict[Cell, Array] = {}
        self.by_numbers: dict[str, Span | None] = {}
        self.ties: dict[Entry, int] = {}
        self._used: set[str] = set()
        self._inline = inline_names
        paths = short_names(function.traced.paths)
        for i, cell in enumerate(tape.inputs):
            if _numeric(cell.dtype):
                self._label(cell, paths[i])
        for entry in tape.entries:
            self._forward(entry)

    def text(self, array: Array) -> str:
        """A formula for reading."""
        return self.notation.write(array)

    # --- forward ---

    def _label(self, cell: Cell, name: str) -> None:
        label, count = name, 1
        while label in self._used:
            count += 1
            label = f"{name}_{count}"
        self._used.add(label)
        self.labels[cell] = label
        self.forms[cell] = self.algebra.name(label, cell.values[0], key=cell)

    def form(self, cell: Cell) -> Array:
        """What is written for a cell: its form, or a number, or an array of data without a name."""
        if cell not in self.forms:
            value = np.asarray(cell.values[0])
            if value.size == 1 or (value.size and np.all(value == value.ravel()[0])):
                number = self.algebra.number(float(value.ravel()[0]))
                self.forms[cell] = Array(number.formula, value.shape)
            else:
                self.forms[cell] = self.algebra.name("data", value, key=cell)
        return self.forms[cell]

    def _forward(self, entry: Entry) -> None:
        self._pre_activation(entry)
        outside = facts.classify(entry.primitive) in (Class.EFFECT, Class.RANDOM)
        if outside and entry.outputs and any(cell.active for cell in entry.inputs):
            message = f"no rule for {entry.primitive}"
            raise NotDerivable(message, entry.primitive, entry.span)
        for cell in entry.outputs:
            if _numeric(cell.dtype):
                self.forms[cell] = self._written(entry, cell)
        if len(entry.outputs) != 1 or not _numeric(entry.outputs[0].dtype):
            return
        (cell,) = entry.outputs
        user = self.names.get(entry.equation)
        long = len(self.text(self.forms[cell])) > 60 and not self._inline
        if cell is self.tape.outputs[0] or not (user or (long and cell.active)):
            return
        if not cell.active and (not user or self._is_data(cell) or cell.shape == ()):
            return
        if self._inline and len(self.text(self.forms[cell])) < 2 * LONGEST_CLOSED:
            return
        steps = entry.frame.steps()
        self._define(cell, (user or "a") + (f"_{steps[-1] + 1}" if steps else ""), self.forms[cell])

    def _pre_activation(self, entry: Entry) -> None:
        """Name what goes into a nonlinear function: its cotangent is what the layer below is derived from."""
        if self._inline or entry.primitive not in ACTIVATIONS:
            return
        if entry.primitive == "max" and not any(
            np.size(c.values[0]) == 1 and np.isfinite(c.values[0]) for c in entry.inputs
        ):
            return
        for cell in entry.inputs:
            if cell.active and cell.shape and cell not in self.labels and cell in self.forms:
                body = self.forms[cell]
                if len(self.text(body)) > 3:
                    self._define(cell, "z", body)

    def _define(self, cell: Cell, name: str, body: Array) -> None:
        text = self.text(body)
        self.bodies[cell] = body
        self._label(cell, name)
        self.definitions.append(f"{self.labels[cell]} = {text}   {list(cell.shape)}")

    def _written(self, entry: Entry, cell: Cell) -> Array:
        """The formula of an entry's output."""
        equation, inputs = entry.equation, entry.inputs
        primitive = entry.primitive
        value = np.asarray(cell.values[0])
        if not cell.active and cell.dtype != bool and all(map(self._is_data, inputs)):
            return self._plain(value, cell)
        if entry.kind == "take":
            return self.row(self.form(inputs[0]), entry.index)
        if primitive in SAME or primitive == "stop_gradient":
            return self.form(inputs[0])
        if primitive == "reduce_sum":
            axes = tuple(equation.params["axes"])
            return self.algebra.sum(self.form(inputs[0]), axes, cell.shape)
        if primitive == "broadcast_in_dim":
            axes = tuple(equation.params["broadcast_dimensions"])
            return self.algebra.repeat(self.form(inputs[0]), cell.shape, axes)
        if primitive in ("reshape", "squeeze", "expand_dims"):
            return self.algebra.reshaped(self.form(inputs[0]), cell.shape)
        if primitive == "transpose" and tuple(equation.params["permutation"]) == (1, 0):
            return self.algebra.transpose(self.form(inputs[0]))
        if primitive == "dot_general":
            chain = chain_of(entry)
            if chain is not None:
                return self.algebra.product([(self.form(c), t) for c, t in chain], cell.shape)
        if primitive == "select_n" and len(inputs) == 3:
            which, other, then = (self.form(c) for c in inputs)
            formula = Symbol("w") * Symbol("x") + (ONE - Symbol("w")) * Symbol("y")
            return self.algebra.elementwise(formula, {"w": which, "x": then, "y": other}, cell.shape)
        if facts.classify(primitive) is Class.COMPARE:
            return self._test(entry, value)
        if primitive == "max" and any(np.all(np.isneginf(np.asarray(c.values[0]))) for c in inputs):
            return self.form(next(c for c in inputs if not np.all(np.isneginf(np.asarray(c.values[0])))))
        if primitive == "abs" and np.all(value > 0) and np.all(np.asarray(inputs[0].values[0]) > 0):
            return self.form(inputs[0])
        body = body_of(equation)
        whole = primitive in ("add", "sub", "mul", "max", "min", "neg", "abs", "sign")
        if body is not None and all(is_real(c.dtype) or (whole and _numeric(c.dtype)) for c in inputs):
            names, formula = body
            operands = dict(zip(names, (self.form(c) for c in inputs), strict=True))
            return self.algebra.elementwise(with_constants(formula, operands), operands, cell.shape)
        label = primitive.removeprefix("reduce_")
        if primitive == "reduce_max" and tuple(equation.params["axes"]) == (len(inputs[0].shape) - 1,) != (0,):
            label = "rowmax"
        described = ", ".join(self.short(c) for c in inputs if c in self.forms)
        in_tex = ", ".join(self.short(c, tex=True) for c in inputs if c in self.forms)
        tex = r"\operatorname{" + label.replace("_", r"\_") + "}(" + in_tex + ")"
        return self.algebra.other(f"{label}({described})", value, tex)

    def row(self, array: Array, index: int) -> Array:
        """One row of an array."""
        atom = self.algebra.atom_of(array)
        named = atom is not None and atom.kind == "name" and "/" not in atom.label
        text, tex = self.text(array), Notation(self.algebra, tex=True).write(array)
        text, tex = (text, tex) if named else (f"({text})", f"({tex})")
        return self.algebra.other(f"{text}[{index}]", self.algebra.value(array)[index], f"{tex}_{{{index}}}")

    def _is_data(self, cell: Cell) -> bool:
        """Whether a cell is made of numbers without a name."""
        if not _numeric(cell.dtype):
            return True
        symbols = self.form(cell).formula.symbols
        return all(self.algebra.atoms[s].label == "data" for s in symbols if s in self.algebra.atoms)

    def _plain(self, value: np.ndarray, cell: Cell) -> Array:
        if value.size and np.all(value == value.ravel()[0]) and np.isfinite(value.ravel()[0]):
            return Array(self.algebra.number(float(value.ravel()[0])).formula, value.shape)
        return self.algebra.name("data", value, key=cell)

    def short(self, cell: Cell, tex: bool = False) -> str:
        """What a cell is, in a few characters."""
        text = self.text(self.form(cell))
        if len(text) > 24:
            return r"\ldots" if tex else "..."
        return Notation(self.algebra, tex=True).write(self.form(cell)) if tex else text

    def _test(self, entry: Entry, value: np.ndarray) -> Array:
        """A comparison as an array of ones and zeros."""
        sign = SIGNS.get(entry.primitive)
        if sign and any(cell.active for cell in entry.inputs) and entry.inputs[0] is not entry.inputs[1]:
            left, right = (np.asarray(cell.values[0]) for cell in entry.inputs)
            self.ties[entry] = int(np.sum(left == right))
        sides = [self.short(c) for c in entry.inputs]
        label = f"[{sides[0]} {sign} {sides[1]}]" if sign and len(sides) == 2 else f"[{entry.primitive}]"
        if value.size and np.all(value == value.ravel()[0]):
            return Array(Constant(Fraction(int(value.ravel()[0]))), value.shape)
        tex = (
            r"\mathbf{1}_{"
            + f" {TEX_SIGNS.get(sign or '', sign)} ".join(self.short(c, True) for c in entry.inputs)
            + "}"
        )
        return self.algebra.name(label, value, key=entry, tex=tex if sign else "")

    # --- backward ---

    def backward(self, named: bool) -> list[ArrayStep]:
        """The cotangents; with `named` each array with a name gets a step, and its cotangent a name."""
        output = self.tape.outputs[0]
        totals: dict[Cell, Array] = {output: Array(ONE, ())}
        trails: dict[Cell, tuple[str, ...]] = {}
        steps: list[ArrayStep] = []
        for entry in reversed(self.tape.entries):
            outs = [cell for cell in entry.outputs if cell in totals]
            if not outs:
                continue
            for cell in outs:
                if named and cell in self.labels:
                    steps.append(self._named(cell, totals, trails.pop(cell, ()), entry.span))
            parts = pull(self, entry, totals)
            trail = tuple(dict.fromkeys(rule for cell in outs for rule in trails.get(cell, ())))
            for cell, part in zip(entry.inputs, parts, strict=True):
                if part is None or not cell.active:
                    continue
                if any(c in self.inexact for c in outs):
                    self.inexact.add(cell)
                totals[cell] = self.algebra.plus(totals[cell], part) if cell in totals else part
                added = (*trails.get(cell, ()), *trail, rule_name(entry))
                trails[cell] = tuple(dict.fromkeys(rule for rule in added if rule))
        paths = short_names(self.function.traced.paths)
        for i in self.function.traced.free:
            cell, path = self.tape.inputs[i], paths[i]
            if cell not in totals:
                totals[cell] = Array(ZERO, cell.shape)
            self.gradients[path] = totals[cell]
            if named:
                self.totals[path] = totals[cell]
            if named:
                steps.append(self._named(cell, totals, trails.get(cell, ()), None, parameter=True))
        return steps

    def _named(
        self, cell: Cell, totals: dict[Cell, Array], rules: tuple[str, ...], span: Span | None, parameter: bool = False
    ) -> ArrayStep:
        label = f"d{self.name}/d{self.labels[cell]}"
        total = totals[cell]
        value = self.algebra.value(total)
        self.cotangents[cell] = total
        tex = Notation(self.algebra, tex=True)
        named = self.algebra.name(label, value, key=cell)
        left, right = tex.write(named), tex.write(total)
        body = self.bodies.get(cell)
        definition = f"{self.labels[cell]} = {self.text(body)}" if body is not None else ""
        step = ArrayStep(
            self.labels[cell], parameter, rules, f"{label} = {self.text(total)}", f"{left} &= {right}", cell.shape,
            definition, value, span, cell not in self.inexact,
        )  # fmt: skip
        totals[cell] = named
        return step


def _numeric(dtype: Any) -> bool:
    """Whether values of a dtype are numbers or truth values, and no random keys."""
    return dtype is not None and not is_extended(dtype) and np.dtype(dtype).kind in "fiubV"
