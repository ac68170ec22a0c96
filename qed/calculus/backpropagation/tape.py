"""The tape of reverse accumulation, as its reader wants to see it: what `qed.backprop` returns.

A program is a sequence of equations v_i = f_i(the earlier values that it reads). With L the result and
v' = dL/dv the adjoint of v, one walk backwards over the tape computes all adjoints (Linnainmaa 1970)::

    L' = 1,      u' = sum over the equations v that read u of  v' . dv/du .

`qed.domains.backward.Tape` is the machine's record of a run, with its cells and cotangents; the `Tape` here is made
from it: one `Line` an equation, with the user's names, its value, its local derivatives and its adjoint, and the
same grouped into layers. Large arrays are told by shape, norm and range; the arrays themselves are at hand as
`Quantity.array` and are left out of the JSON.

Reference: Griewank and Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qed.graph.dtypes import as_wide, is_extended, is_inexact
from qed.span import Span

NOT_WRITTEN = {"json": False}
"""Metadata of a field that the JSON leaves out."""

SMALL = 6
"""Up to this many numbers a value is shown as numbers."""


@dataclass(frozen=True, eq=False)
class Quantity:
    """An array by shape, Euclidean norm and range; its numbers where they are few.

    `norm`, `lower` and `upper` are of the finite entries; `nonfinite` counts the others.

    >>> import jax.numpy as jnp
    >>> found = quantity(jnp.array([3.0, -4.0]))
    >>> found.norm, found.lower, found.numbers
    (5.0, -4.0, (3.0, -4.0))
    """

    shape: tuple[int, ...]
    dtype: str
    norm: float
    lower: float
    upper: float
    nonfinite: int
    numbers: tuple[Any, ...] | None
    array: Any = field(default=None, repr=False, metadata=NOT_WRITTEN)

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def number(self) -> Any:
        """The number of an array that holds one, else None."""
        return self.numbers[0] if self.size == 1 and self.numbers else None


def quantity(array: Any) -> Quantity:
    """The quantity of an array; one without numbers (a random key) has only its shape."""
    dtype = getattr(array, "dtype", None)
    if dtype is None or is_extended(dtype):
        return Quantity(tuple(getattr(array, "shape", ())), str(dtype), 0.0, 0.0, 0.0, 0, None)
    wide = np.asarray(as_wide(array))
    size = np.abs(wide) if np.iscomplexobj(wide) else wide.astype(np.float64)
    good = np.isfinite(size) if is_inexact(dtype) else np.ones(size.shape, bool)
    kept = size[good]
    few = tuple(x.item() for x in wide.ravel()) if wide.size <= SMALL else None
    return Quantity(
        tuple(wide.shape),
        str(dtype),
        norm(kept),
        float(kept.min()) if kept.size else 0.0,
        float(kept.max()) if kept.size else 0.0,
        int(wide.size - kept.size),
        few,
        array,
    )


def norm(array: Any) -> float:
    """The Euclidean norm in float64, without overflow of the squares.

    >>> norm(np.array([3.0, 4.0])), norm(np.array([3e200, 4e200])) < 1e201
    (5.0, True)
    """
    flat = np.abs(np.asarray(array)).astype(np.float64).ravel()
    top = float(flat.max(initial=0.0))
    if top == 0 or not np.isfinite(top):
        return top
    return top * float(np.sqrt(np.sum(np.square(flat / top))))


@dataclass(frozen=True, eq=False)
class Use:
    """One operand of a line that the result depends on, and what this line adds to the operand's adjoint.

    Args:
        operand: the operand's name.
        line: the index of the line that made it; None for an input.
        formula: the local derivative, as text in the names of the program.
        slope: its numbers, where they are few; None for large arrays and for linear maps.
        part: the term  v' . dv/du  of the sum that is the operand's adjoint.
    """

    operand: str
    line: int | None
    formula: str
    slope: Quantity | None
    part: Quantity


@dataclass(frozen=True, eq=False)
class Line:
    """One executed equation.

    Args:
        index: its place in the order of execution.
        name: what the user calls its value, or v1, v2, ...
        text: the equation in these names, such as ``sin(y)``.
        primitive: the primitive, with its call path: ``scan[3]/tanh``.
        span: the user's line.
        value: what it computed (its first output that the result depends on).
        adjoint: the derivative of the result in it.
        uses: one for each operand that the result depends on.
        view: whether it only shows the same numbers in another shape or place.
        rule: 'jvp' or 'vjp' where a derivative rule of its own is attached, else ''.
    """

    index: int
    name: str
    text: str
    primitive: str
    span: Span | None
    value: Quantity
    adjoint: Quantity
    uses: tuple[Use, ...]
    view: bool = False
    rule: str = ""


@dataclass(frozen=True, eq=False)
class Parameter:
    """An input that is differentiated: its value and its gradient, dL/dw."""

    name: str
    value: Quantity
    gradient: Quantity


@dataclass(frozen=True, eq=False)
class Layer:
    """An operation with parameters, the elementwise function behind it, and how the gradient goes through both.

    With input x, z = x W + b (or a convolution, a look-up, a product) and h = sigma(z)::

        delta = dL/dh * sigma'(z),      dL/dW = x' delta,      dL/dx = delta W'.

    Args:
        name: the parameters, such as ``w['first']``.
        kind: 'dense', 'convolution', 'embedding', 'product'.
        span: the user's line of the operation.
        parameters: the names of W and b.
        step: which step of a loop, or None.
        activation: the elementwise function, '' where there is none.
        shapes: of x, W and z.
        out: |dL/dh|.
        delta: |dL/dz|.
        weight: |dL/dW| of this use of W.
        scale: |W|.
        into: |dL/dx| through this layer; None where x is data.
        slopes: the smallest, the median and the largest |sigma'(z)|; None without an activation.
        formula: the rule for dL/dW with its shapes.
        error: the relative difference between delta and dL/dh * sigma'(z), and between dL/dW and x' delta in NumPy,
            whichever is larger; None where neither was compared.
        shared: whether the same W is used by other layers (or other steps) too.
    """

    name: str
    kind: str
    span: Span | None
    parameters: tuple[str, ...]
    step: int | None
    activation: str
    shapes: tuple[tuple[int, ...], ...]
    out: float
    delta: float
    weight: float
    scale: float
    into: float | None
    slopes: tuple[float, float, float] | None
    formula: str
    error: float | None
    shared: bool = False

    @property
    def by_slope(self) -> float:
        """What sigma' does to the norm: |delta| / |dL/dh|."""
        return ratio(self.delta, self.out)

    @property
    def by_weight(self) -> float | None:
        """What W' does to the norm: |dL/dx| / |delta|; None where x is data."""
        return None if self.into is None else ratio(self.into, self.delta)

    @property
    def factor(self) -> float | None:
        """Both together: |dL/dx| / |dL/dh|."""
        return None if self.into is None else ratio(self.into, self.out)


def ratio(above: float, below: float) -> float:
    """The quotient, 0 where both are 0."""
    if below == 0:
        return 0.0 if above == 0 else float("inf")
    return above / below


@dataclass(frozen=True, eq=False)
class Stage:
    """A stretch of the program between two places that the whole gradient passes through.

    Args:
        name: its layers, the loop step, or the line.
        layers: indices into `Tape.layers`.
        span: the user's line.
        out: |adjoint| at its end, nearer to the result.
        into: |adjoint| at its beginning.
    """

    name: str
    layers: tuple[int, ...]
    span: Span | None
    out: float
    into: float

    @property
    def factor(self) -> float:
        """|adjoint in| / |adjoint out|: below 1 the gradient shrinks here."""
        return ratio(self.into, self.out)


@dataclass(frozen=True, eq=False)
class Chain:
    """The stages in the order of the program; the product of their factors is |adjoint in| / |adjoint out|.

    `kind` is 'layers', 'loop' (stages are the steps of one loop) or 'equations'.
    """

    kind: str
    stages: tuple[Stage, ...]
    where: str = ""

    @property
    def product(self) -> float:
        """The product of all factors."""
        found = 1.0
        for stage in self.stages:
            found *= stage.factor
        return found

    def product_behind(self, place: Stage) -> float:
        """The product of the factors from the result back to a stage, without its own."""
        found = 1.0
        for stage in reversed(self.stages):
            if stage is place:
                break
            found *= stage.factor
        return found

    @property
    def typical(self) -> float:
        """The geometric mean of the factors that are neither 0 nor infinite."""
        logs = [math.log(stage.factor) for stage in self.stages if 0 < stage.factor < math.inf]
        return math.exp(sum(logs) / len(logs)) if logs else self.product


@dataclass(frozen=True, eq=False)
class Rule:
    """A derivative rule of the user's beside the derivative of the body that it stands for.

    Args:
        name: the function's name; `span` where it is called, `path` the call path.
        error: |rule - body| / |body| of what it hands to its inputs, for the same incoming adjoint.
        reached: for each parameter, the relative error of its gradient.
    """

    name: str
    span: Span | None
    path: str
    error: float
    reached: dict[str, float]


@dataclass(frozen=True)
class Operations:
    """Counted operations: of the function, of one reverse sweep, of n forward products and of 2n differences.

    `n` is the number of parameters, `function` the operations of one evaluation, `sweep` of the value and the
    whole gradient; `observed` are XLA's own counts of both, with each loop's body counted once on both sides
    (`function_once`, `sweep_once`), or None.
    """

    n: int
    function: float
    sweep: float
    function_once: float
    sweep_once: float
    observed: tuple[float, float] | None
    uncounted: tuple[str, ...] = ()
    open_loops: int = 0

    @property
    def ratio(self) -> float:
        """Operations of one reverse sweep, relative to one evaluation."""
        return ratio(self.sweep, self.function)

    @property
    def forward(self) -> float:
        """Operations of n forward products."""
        return self.n * self.sweep

    @property
    def differences(self) -> float:
        """Operations of 2n evaluations."""
        return 2 * self.n * self.function


@dataclass(frozen=True, eq=False, repr=False)
class Tape:
    """What `qed.backprop` found, in the order of the program.

    Args:
        value: the function's value.
        gradient: a pytree like x: the adjoints of its leaves, None where a leaf is no float.
        lines: one for each executed equation that the gradient passes through.
        layers: the same by layer.
        chains: where the gradient shrinks and grows: through the layers, and through each loop.
        parameters: each leaf of x with its gradient.
        rules: rules of the user's that differ from their bodies.
        operations: what a reverse sweep costs.
        bytes: what the values on the tape take; the adjoints take as much again.
    """

    value: Any
    gradient: Any = field(metadata=NOT_WRITTEN)
    lines: tuple[Line, ...]
    layers: tuple[Layer, ...]
    chains: tuple[Chain, ...]
    parameters: tuple[Parameter, ...]
    rules: tuple[Rule, ...]
    operations: Operations
    bytes: int

    def __repr__(self) -> str:
        return f"Tape({len(self.lines)} lines, {len(self.layers)} layers)"

    def __len__(self) -> int:
        return len(self.lines)

    def line(self, name: str) -> Line:
        """The last line of that name; KeyError where there is none."""
        found = [line for line in self.lines if line.name == name]
        if not found:
            raise KeyError(name)
        return found[-1]


def relative(found: Sequence[Any], expected: Sequence[Any]) -> float:
    """|found - expected| / |expected| over several arrays, NaN equal to NaN; inf where only `expected` is zero.

    >>> relative([np.array([1.0, 2.0])], [np.array([1.0, 2.5])]) == 0.5 / norm([1.0, 2.5])
    True
    """
    off, all_of = [], []
    for one, other in zip(found, expected, strict=True):
        a, b = np.asarray(as_wide(one)), np.asarray(as_wide(other))
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        with np.errstate(all="ignore"):
            off.append(norm(np.abs(np.where(same, 0, a - b))))
        all_of.append(norm(np.abs(np.where(np.isfinite(b), b, 0))))
    return ratio(norm(off), norm(all_of))
