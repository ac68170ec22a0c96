"""The gradient of a program of arrays by the chain rule: steps, closed forms, products of Jacobians."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from qed.calculus.deriving.jacobians import JacobianProduct, cuts, jacobian_product
from qed.calculus.deriving.notation import Notation
from qed.calculus.deriving.program import NotDerivable, short_names
from qed.calculus.deriving.sweep import LONGEST_CLOSED, ArrayStep, Sweep
from qed.domains.backward import Tape, record
from qed.graph.function import Function
from qed.graph.tape import Unknown
from qed.graph.walk import TooLong
from qed.span import Span

LONGEST_SHOWN = 200
"""Closed forms that are longer are left in the cotangents of the steps."""


@dataclass(frozen=True, eq=False)
class MatrixDerivation:
    """The gradient of a program of arrays.

    Args:
        function: the function's name.
        definitions: the named arrays of the program, as text, with shapes.
        steps: the cotangents, from the value backwards.
        gradients: for each parameter the gradient in closed form, as text.
        tex_gradients: the same in TeX.
        values: the numbers of these formulas, by parameter.
        products: the gradient in the deepest parameter as a product of Jacobians, where these are small.
        by_numbers: primitives that are followed by their numbers alone, with their lines.
        ties: how many numbers stand exactly where pieces meet, with the line.
        nameless: the letters of arrays that the program holds without a name.
        has_arrays: whether a parameter is an array.
    """

    function: str
    definitions: tuple[str, ...]
    steps: tuple[ArrayStep, ...]
    gradients: Mapping[str, str]
    tex_gradients: Mapping[str, str]
    values: Mapping[str, np.ndarray]
    products: tuple[JacobianProduct, ...] = ()
    by_numbers: Mapping[str, Span | None] = field(default_factory=dict)
    ties: tuple[tuple[int, str, Span | None], ...] = ()
    nameless: tuple[str, ...] = ()
    has_arrays: bool = True

    @property
    def text(self) -> str:
        """The derivation as plain text."""
        lines = [f"{d}" for d in self.definitions]
        for count, step in enumerate(self.steps, 1):
            lines.append(f"{count:>3}  {step.text}   {list(step.shape)}")
        lines += [f"     d{self.function}/d{name} = {text}" for name, text in self.gradients.items()]
        return "\n".join(lines)

    @property
    def tex(self) -> str:
        """The derivation as an align* environment."""
        rows = [f"{step.tex} && {_tex_shape(step.shape)}" for step in self.steps]
        return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"


def matrix_derivation(function: Function, name: str, most: int = 2000) -> MatrixDerivation:
    """Derive the gradient of a function of arrays.

    Args:
        function: the function at a point.
        name: what its value is called, such as ``L``.
        most: how many steps the program may have.

    Raises:
        TooLong: where the run has more steps, or its values take too much memory.
        NotDerivable: where a primitive has no derivative.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> X, y = jnp.ones((4, 2)), jnp.zeros(4)
        >>> matrix_derivation(read(lambda w, X, y: jnp.mean((X @ w - y) ** 2), jnp.ones(2), X, y), "L").gradients
        {'w': '1/2 Xᵀ (X w - y)'}
    """
    free = function.traced.free
    tape = record(function.graph, function.traced.leaves, free, whole_custom_calls=False)
    lost = tape.outputs[0].values[0]
    if isinstance(lost, Unknown):
        raise NotDerivable(str(lost), lost.primitive, lost.span)
    if len(tape.entries) > most:
        message = f"the program runs {len(tape.entries)} steps"
        raise TooLong(message)
    short = Sweep(function, tape, name, inline_names=False)
    steps = short.backward(named=True)
    run = Sweep(function, tape, name, inline_names=True)
    run.backward(named=False)
    if max((len(run.text(gradient)) for gradient in run.gradients.values()), default=0) > LONGEST_CLOSED:
        run = Sweep(function, tape, name, inline_names=False)
        run.backward(named=False)
    texts = {path: run.text(gradient) for path, gradient in run.gradients.items()}
    if max(map(len, texts.values()), default=0) > LONGEST_SHOWN:  # then in the cotangents of the steps
        run, texts = short, {path: short.text(short.totals[path]) for path in texts}
    tex = Notation(run.algebra, tex=True)
    return MatrixDerivation(
        name,
        tuple(short.definitions),
        tuple(steps),
        texts,
        {path: tex.write(run.totals.get(path, gradient)) for path, gradient in run.gradients.items()},
        {path: run.algebra.value(gradient) for path, gradient in run.gradients.items()},
        _products(short, function, tape) if len(tape.entries) <= 200 else (),
        dict(short.by_numbers),
        tuple((count, entry.primitive, entry.span) for entry, count in short.ties.items() if count),
        _nameless(function),
        any(parameter.shape for parameter in function.parameters),
    )


def _nameless(function: Function) -> tuple[str, ...]:
    paths = function.traced.paths
    return tuple(
        new for new, path in zip(short_names(paths), paths, strict=True) if new != path == f"constant {new[1:]}"
    )


def _products(run: Sweep, function: Function, tape: Tape) -> tuple[JacobianProduct, ...]:
    """The product for the parameter that is deepest in the program; the others are parts of it."""
    paths = short_names(function.traced.paths)
    depths = {i: len(cuts(tape, tape.inputs[i], run.labels)) for i in function.traced.free}
    deepest = max(depths, key=lambda i: depths[i])
    found = jacobian_product(run, tape, tape.inputs[deepest], paths[deepest])
    return () if found is None else (found,)


def _tex_shape(shape: tuple[int, ...]) -> str:
    return r" \times ".join(map(str, shape)) or "1"
