r"""The chain rule for arrays: the gradient of a scalar as products of named matrices.

With L the value and z any array of the program, the cotangent dL/dz has the shape of z. One step of the program at a
time, from the last to the first,

    y = s(z) elementwise:    dL/dz = dL/dy ⊙ s'(z)            (the Jacobian is diag(s'(z)))
    Z = A B:                 dL/dA = dL/dZ Bᵀ,   dL/dB = Aᵀ dL/dZ
    s = sum of z:            dL/dz = dL/ds in every entry
    B repeated over rows:    dL/db = (dL/dZ)ᵀ 1

What is none of these is followed by its numbers, and said so. Every array that the user's source names gets a step.
Reference: Magnus and Neudecker, *Matrix Differential Calculus* (3rd ed. 2019), chapters 5 and 9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from qed import facts
from qed.calculus.deriving.arrays import Array
from qed.calculus.deriving.operations import SAME, body_of, chain_of, has_choice, partials_of
from qed.calculus.deriving.program import NotDerivable
from qed.domains.adjoint import Adjoint, dense
from qed.facts import Class, Expression
from qed.facts.expression import ONE, Constant, Symbol
from qed.graph.dtypes import is_real
from qed.graph.graph import Equation
from qed.graph.tape import Cell, Entry, Unknown

if TYPE_CHECKING:
    from qed.calculus.deriving.sweep import Sweep


def pull(run: Sweep, entry: Entry, totals: Mapping[Cell, Array]) -> Sequence[Array | None]:
    """The cotangents of the inputs of an entry."""
    if len(entry.outputs) != 1:
        return _by_numbers(run, entry, totals)
    (out,), inputs, equation = entry.outputs, entry.inputs, entry.equation
    given, primitive = totals[out], entry.primitive
    if entry.kind == "stack":
        return [run.row(given, t) for t in range(len(inputs))]
    kind = facts.classify(primitive)
    if primitive == "stop_gradient" or kind in (Class.COMPARE, Class.ZERO_DERIVATIVE):
        return [None] * len(inputs)
    if primitive in SAME:
        return [Array(given.formula, inputs[0].shape)]
    if primitive == "reduce_sum":
        axes = set(equation.params["axes"])
        kept = tuple(i for i in range(len(inputs[0].shape)) if i not in axes)
        return [run.algebra.repeat(given, inputs[0].shape, kept)]
    if primitive == "broadcast_in_dim":
        return [_summed(run, given, inputs[0], equation), *([None] * (len(inputs) - 1))]
    if primitive in ("reshape", "squeeze", "expand_dims"):
        return [run.algebra.reshaped(given, inputs[0].shape), *([None] * (len(inputs) - 1))]
    if primitive == "transpose" and tuple(equation.params["permutation"]) == (1, 0):
        return [run.algebra.transpose(given)]
    if primitive == "dot_general" and chain_of(entry) is not None:
        return _of_product(run, entry, given)
    if primitive == "select_n" and len(inputs) == 3:
        which = run.form(inputs[0])
        chosen = run.algebra.times(given, which)
        formula = Symbol("x") * (ONE - Symbol("w"))
        other = run.algebra.elementwise(formula, {"x": given, "w": which}, given.shape)
        return [None, other, chosen]
    body = body_of(equation)
    if body is not None and all(is_real(c.dtype) for c in (*inputs, out)):
        found = _elementwise(run, entry, given)
        if found is not None:
            return found
    return _by_numbers(run, entry, totals)


def _summed(run: Sweep, given: Array, operand: Cell, equation: Equation) -> Array:
    """The cotangent of what was repeated: the sum over the repetitions."""
    axes = tuple(equation.params["broadcast_dimensions"])
    repeated = tuple(
        i for i in range(len(given.shape)) if i not in axes or operand.shape[axes.index(i)] != given.shape[i]
    )
    left = tuple(given.shape[i] for i in range(len(given.shape)) if i not in repeated)
    return run.algebra.reshaped(run.algebra.sum(given, repeated, left), operand.shape)


def _elementwise(run: Sweep, entry: Entry, given: Array) -> Sequence[Array | None] | None:
    """Times the partial derivative, place by place."""
    names, values, partials = partials_of(entry.equation, entry.inputs)
    operands = {n: run.form(c) for n, c in zip(names, entry.inputs, strict=True)}
    operands[values] = run.forms[entry.outputs[0]]
    found: list[Array | None] = []
    for cell, partial in zip(entry.inputs, partials, strict=True):
        if not cell.active:
            found.append(None)
            continue
        if partial is None:
            return None
        slope = _slope(run, entry, partial, operands)
        part = run.algebra.times(given, slope)
        found.append(_folded(run, part, cell.shape))
    return found


def _folded(run: Sweep, part: Array, shape: tuple[int, ...]) -> Array:
    """Summed over the axes along which an operand of that shape was repeated."""
    ahead = len(part.shape) - len(shape)
    axes = [i for i, n in enumerate(part.shape) if i < ahead or (shape[i - ahead] == 1 and n != 1)]
    left = tuple(n for i, n in enumerate(part.shape) if i not in axes)
    return run.algebra.reshaped(run.algebra.sum(part, tuple(axes), left), shape)


def _slope(run: Sweep, entry: Entry, partial: Expression, operands: Mapping[str, Array]) -> Array:
    """A partial derivative; one made of pieces as an array of its numbers, with a name."""
    shape = entry.outputs[0].shape
    if not has_choice(partial):
        return run.algebra.elementwise(partial, operands, shape)
    values = {name: run.algebra.value(operand) for name, operand in operands.items()}
    with np.errstate(all="ignore"):
        numbers = np.broadcast_to(np.asarray(partial.evaluate(arithmetic=facts.NUMPY, **values), float), shape)
    _note_ties(run, entry)
    if numbers.size and np.all(numbers == numbers.ravel()[0]):
        return Array(Constant(Fraction(float(numbers.ravel()[0]))), shape)
    sides = [run.short(c) for c in entry.inputs]
    in_tex = [run.short(c, tex=True) for c in entry.inputs]
    sign = ">" if partial == facts.ARITHMETIC["max"].partials[0] else "<"
    label, tex = f"{entry.primitive}'({', '.join(sides)})", ""
    if entry.primitive in ("max", "min"):
        label, tex = f"[{sides[0]} {sign} {sides[1]}]", rf"\mathbf{{1}}_{{{in_tex[0]} {sign} {in_tex[1]}}}"
    elif entry.primitive == "abs":
        label, tex = f"sign({sides[0]})", rf"\operatorname{{sign}}({in_tex[0]})"
    return run.algebra.name(label, numbers, key=(entry, label), tex=tex)


def _note_ties(run: Sweep, entry: Entry) -> None:
    """Remember the places at which the pieces of |u|, max and min meet."""
    inputs = [np.asarray(cell.values[0], np.float64) for cell in entry.inputs]
    if entry.primitive == "abs":
        run.ties[entry] = int(np.sum(inputs[0] == 0))
    elif entry.primitive in ("max", "min") and entry.inputs[0] is not entry.inputs[1]:
        run.ties[entry] = int(np.sum(inputs[0] == inputs[1]))


def _of_product(run: Sweep, entry: Entry, given: Array) -> Sequence[Array | None]:
    """The cotangents of the factors of a matrix product."""
    a, b = entry.inputs
    first, second = run.form(a), run.form(b)
    (sum_a, sum_b), _ = entry.equation.params["dimension_numbers"]
    shapes = (len(a.shape), len(b.shape))
    product = run.algebra.product
    if shapes == (1, 1):
        if not sum_a:
            return [
                product([(given, False), (second, False)], a.shape),
                product([(given, True), (first, False)], b.shape),
            ]
        return [run.algebra.times(given, second), run.algebra.times(given, first)]
    flip_a = shapes[0] == 2 and sum_a[0] == 0
    flip_b = shapes[1] == 2 and sum_b[0] == 1
    if shapes == (2, 2):
        for_a = [(second, flip_b), (given, True)] if flip_a else [(given, False), (second, not flip_b)]
        for_b = [(given, True), (first, flip_a)] if flip_b else [(first, not flip_a), (given, False)]
    elif shapes == (2, 1):
        for_a = [(second, False), (given, True)] if flip_a else [(given, False), (second, True)]
        for_b = [(first, not flip_a), (given, False)]
    else:
        for_a = [(second, flip_b), (given, False)]
        for_b = [(given, False), (first, True)] if flip_b else [(first, False), (given, True)]
    return [
        product(for_a, a.shape) if a.active else None,
        product(for_b, b.shape) if b.active else None,
    ]


def _by_numbers(run: Sweep, entry: Entry, totals: Mapping[Cell, Array]) -> Sequence[Array | None]:
    """The cotangents of a step that is no product, sum or elementwise function, as numbers."""
    given = [
        jnp.asarray(run.algebra.value(totals[cell]).astype(cell.dtype)) if cell in totals else None
        for cell in entry.outputs
    ]
    found: list[Array | None] = []
    of = ", ".join(run.text(totals[cell])[:40] for cell in entry.outputs if cell in totals)
    for cell, part in zip(entry.inputs, Adjoint().pull(entry, given), strict=True):
        numbers = dense(part)
        if isinstance(numbers, Unknown) and cell.active:
            message = f"no derivative of {entry.primitive}"
            raise NotDerivable(message, entry.primitive, entry.span)
        if numbers is None or isinstance(numbers, Unknown):
            found.append(None)
            continue
        run.by_numbers[entry.primitive] = entry.span
        run.inexact.add(cell)
        found.append(run.algebra.other(f"{entry.primitive}*({of})", np.asarray(numbers)))
    return found
