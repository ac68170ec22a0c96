r"""The chain rule as a product of named Jacobians: dL/dW = (dL/dp)(dp/dz)(dz/dW), with shapes.

Arrays are read row by row as vectors. The Jacobian of an elementwise step is a diagonal matrix diag(s'(z)); of
Z = A W it is A ⊗ I in W, of Z = U B it is I ⊗ Bᵀ in U, of z = W x it is I ⊗ xᵀ in W and W in x. The factors stand
between the arrays through which every path from the parameter to the value runs. Each is also computed as numbers,
row by row in reverse mode, and the product of these numbers is compared with `jax.grad`.
Reference: Magnus and Neudecker, *Matrix Differential Calculus* (3rd ed. 2019), chapter 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from qed import facts
from qed.calculus.deriving.arrays import Array
from qed.calculus.deriving.cotangents import pull
from qed.calculus.deriving.notation import Notation
from qed.calculus.deriving.sweep import Sweep
from qed.domains.adjoint import Adjoint, add, dense
from qed.domains.backward import Tape
from qed.facts import Class
from qed.facts.expression import ONE
from qed.graph.tape import Cell, Entry, Unknown
from qed.graph.walk import reverse

LARGEST = 32
"""Jacobians with more rows are not computed as numbers."""


@dataclass(frozen=True, eq=False)
class Jacobian:
    """One factor of the chain rule.

    Args:
        name: such as ``dp/dz``.
        text, tex: what it is, where it has a short notation, else ''.
        shape: rows and columns.
        matrix: the numbers.
    """

    name: str
    text: str
    tex: str
    shape: tuple[int, int]
    matrix: np.ndarray


@dataclass(frozen=True, eq=False)
class JacobianProduct:
    """The gradient in one parameter as a product of Jacobians."""

    parameter: str
    factors: tuple[Jacobian, ...]

    @property
    def product(self) -> np.ndarray:
        """The numbers of the product, one row."""
        result = self.factors[0].matrix
        for factor in self.factors[1:]:
            result = result @ factor.matrix
        return result.ravel()

    @property
    def text(self) -> str:
        """Names, what they are, and shapes."""
        head = f"dL/d{self.parameter} = " + " ".join(f"({f.name})" for f in self.factors)
        shapes = "shapes " + " ".join(f"[{f.shape[0]} x {f.shape[1]}]" for f in self.factors)
        known = [f"{f.name} = {f.text}" for f in self.factors if f.text]
        return "\n".join([head, shapes, *known])

    @property
    def tex(self) -> str:
        """The product in TeX, each factor with its shape below."""
        factors = [
            rf"\underbrace{{{f.tex or _fraction(f.name)}}}_{{{f.shape[0]} \times {f.shape[1]}}}" for f in self.factors
        ]
        return _fraction(f"dL/d{self.parameter}") + " = " + r"\; ".join(factors)


def jacobian_product(run: Sweep, tape: Tape, parameter: Cell, name: str) -> JacobianProduct | None:
    """The factors from the value to a parameter; None where they are too large or a step has no derivative.

    Args:
        run: the symbolic pass, with the names of the arrays and their cotangents.
        tape: what was executed.
        parameter: the cell of the parameter.
        name: what it is called.
    """
    output = tape.outputs[0]
    cells = [parameter, *cuts(tape, parameter, run.labels), output]
    labels = [name, *(run.labels[cell] for cell in cells[1:-1]), "L"]
    if len(cells) < 3 or any(int(np.prod(cell.shape, dtype=int)) > LARGEST for cell in cells[1:]):
        return None
    factors = []
    for i in range(len(cells) - 1, 0, -1):
        after, before = cells[i], cells[i - 1]
        matrix = _matrix(tape, after, before)
        if matrix is None:
            return None
        text, tex = _described(run, tape, after, before, matrix)
        factors.append(Jacobian(f"d{labels[i]}/d{labels[i - 1]}", text, tex, matrix.shape, matrix))
    return JacobianProduct(name, tuple(factors))


def cuts(tape: Tape, start: Cell, labels: Mapping[Cell, str]) -> list[Cell]:
    """The named arrays through which every path from a cell to the output runs, in order."""
    reached = {start}
    for entry in tape.entries:
        if any(cell in reached for cell in entry.inputs):
            reached.update(cell for cell in entry.outputs if cell.active)
    useful = {tape.outputs[0]}
    for entry in reversed(tape.entries):
        if any(cell in useful for cell in entry.outputs):
            useful.update(cell for cell in entry.inputs if cell.active)
    on = reached & useful
    last: dict[Cell, int] = {}
    for t, entry in enumerate(tape.entries):
        if any(cell in on for cell in entry.outputs):
            last.update((cell, t) for cell in entry.inputs if cell in on)
    found, furthest = [], last.get(start, -1)
    for t, entry in enumerate(tape.entries):
        for cell in entry.outputs:
            if cell not in on or cell is tape.outputs[0]:
                continue
            if furthest <= t and cell in labels:
                found.append(cell)
            furthest = max(furthest, last.get(cell, t))
    return found


def _matrix(tape: Tape, after: Cell, before: Cell) -> np.ndarray | None:
    """The Jacobian of one array in another, row by row."""
    adjoint, rows = Adjoint(), []
    entries = _segment(tape, after, before)
    size = int(np.prod(after.shape, dtype=int))
    for i in range(size):
        seed = np.zeros(size)
        seed[i] = 1.0
        seeds = {after: jnp.asarray(seed.reshape(after.shape), after.dtype)}
        total = dense(reverse(entries, seeds, adjoint.pull, add).totals.get(before))
        if isinstance(total, Unknown):
            return None
        zero = np.zeros(before.shape)
        rows.append(np.asarray(zero if total is None else total, np.float64).ravel())
    return np.stack(rows)


def _between(tape: Tape, after: Cell) -> Sequence[Entry]:
    """The entries up to the one that makes a cell."""
    for t, entry in enumerate(tape.entries):
        if after in entry.outputs:
            return tape.entries[: t + 1]
    return tape.entries


def _segment(tape: Tape, after: Cell, before: Cell) -> list[Entry]:
    """The entries that lie between two cells."""
    reached, found = {before}, []
    for entry in _between(tape, after):
        if any(cell in reached for cell in entry.inputs):
            found.append(entry)
            reached.update(cell for cell in entry.outputs if cell.active)
    needed, kept = {after}, []
    for entry in reversed(found):
        if any(cell in needed for cell in entry.outputs):
            kept.append(entry)
            needed.update(entry.inputs)
    return kept[::-1]


def _described(run: Sweep, tape: Tape, after: Cell, before: Cell, matrix: np.ndarray) -> tuple[str, str]:
    """A notation for a factor, if there is a short one whose numbers are those of the matrix."""
    tex = Notation(run.algebra, tex=True)
    entries = _segment(tape, after, before)
    if after.shape == () and before in run.cotangents:
        total = run.cotangents[before]
        text, written = run.text(total), tex.write(total)
        text = f"({text})ᵀ" if len(before.shape) == 1 else f"vec({text})ᵀ"
        return (text if len(text) <= 60 else ""), rf"\left({written}\right)^{{\top}}"
    kinds = {facts.classify(entry.primitive) for entry in entries}
    products = [entry for entry in entries if entry.primitive == "dot_general"]
    if kinds <= {Class.UNARY, Class.ARITHMETIC, Class.SELECT, Class.LINEAR} and not products:
        return _diagonal(run, entries, after, before, matrix)
    if len(products) == 1:
        return _of_product(run, products[0], entries, before, matrix)
    return "", ""


def _diagonal(run: Sweep, entries: list[Entry], after: Cell, before: Cell, matrix: np.ndarray) -> tuple[str, str]:
    totals: dict[Cell, Array] = {after: Array(ONE, after.shape)}
    for entry in reversed(entries):
        if not any(cell in totals for cell in entry.outputs):
            continue
        for cell, part in zip(entry.inputs, pull(run, entry, totals), strict=True):
            if part is not None and cell.active:
                totals[cell] = run.algebra.plus(totals[cell], part) if cell in totals else part
    slope = totals.get(before)
    if slope is None or slope.shape != before.shape or matrix.shape[0] != matrix.shape[1]:
        return "", ""
    if not np.allclose(np.diag(run.algebra.value(slope).ravel()), matrix, rtol=1e-3, atol=1e-6):
        return "", ""
    text, tex = run.text(slope), Notation(run.algebra, tex=True).write(slope)
    if text == "1":
        return "I", "I"
    return (f"diag({text})" if len(text) <= 48 else ""), rf"\operatorname{{diag}}({tex})"


def _of_product(run: Sweep, entry: Entry, entries: list[Entry], before: Cell, matrix: np.ndarray) -> tuple[str, str]:
    """A matrix product in one of its factors; what lies around it must change nothing."""
    a, b = entry.inputs
    tex = Notation(run.algebra, tex=True)
    for cell, other, position in ((a, b, 0), (b, a, 1)):
        if not cell.active or not any(cell is before or cell in e.outputs for e in entries):
            continue
        form = run.form(other)
        values = run.algebra.value(form)
        for numbers, written in _notations(values, cell.shape, position):
            if numbers.shape == matrix.shape and np.allclose(numbers, matrix, rtol=1e-3, atol=1e-6):
                texts = [notation.write(form) for notation in (run.notation, tex)]
                texts = [t if t.isidentifier() or t.isalnum() or "_" in t else f"({t})" for t in texts]
                signs = (("ᵀ", "⊗", "I"), (r"^{\top}", r"\otimes", "I"))
                found = [written.format(M=t, T=s[0], x=s[1], I=s[2]) for t, s in zip(texts, signs, strict=True)]
                return (found[0] if len(found[0]) <= 48 else ""), found[1]
    return "", ""


def _notations(other: np.ndarray, shape: tuple[int, ...], position: int) -> list[tuple[np.ndarray, str]]:
    """The Jacobians that a product with `other` can have in a factor of that shape."""
    matrix = other.reshape(-1, 1) if other.ndim == 1 else other
    if len(shape) == 1:
        return [(matrix, "{M}"), (matrix.T, "{M}{T}")]
    found = []
    for m, sign in ((matrix, "{M}"), (matrix.T, "{M}{T}")):
        found.append((np.kron(np.eye(shape[0]), m), "{I} {x} " + sign))
        found.append((np.kron(m, np.eye(shape[1])), sign + " {x} {I}"))
    return found if position == 0 else found[::-1]


def _fraction(name: str) -> str:
    from qed.calculus.deriving.forms import tex_name

    above, _, below = name.partition("/d")
    return rf"\frac{{\partial {tex_name(above[1:])}}}{{\partial {tex_name(below)}}}"
