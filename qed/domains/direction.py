"""Functions of one number that rise or fall strictly, read off the graph.

Sums of rising functions rise, products of rising functions that are not negative, compositions with functions that
rise; minus turns the direction over, and so does 1/v of what is positive. All is meant off single points, which
measure nothing. A function that rises or falls strictly is one to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from qed.domains.forward import Forward
from qed.domains.known import Known
from qed.domains.tail_forms import exact_on_numbers
from qed.domains.value import Value
from qed.graph.dtypes import is_real
from qed.graph.graph import Atom, Equation
from qed.graph.walk import Context

SAME = frozenset({"convert_element_type", "stop_gradient", "copy", "squeeze", "reshape"})
ODD = frozenset({"tanh", "sinh", "asinh", "atan", "erf", "cbrt", "expm1"})
"""Functions that rise on the whole line, and have the sign of their argument."""
POSITIVE = frozenset({"exp", "exp2", "logistic"})
"""Functions that rise on the whole line, with positive values."""


class NoDirection(Exception):
    """A value is not known to rise or to fall."""


@dataclass(frozen=True, eq=False)
class Direction:
    """Rising (1) or falling (-1), and whether it is known never to be negative."""

    sign: int
    nonnegative: bool = False


@final
class Directions(Forward):
    """Which values rise or fall with the argument.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.certificates.certificate import placed
    >>> from qed.domains.direction import Direction, Directions
    >>> from qed.graph.trace import trace
    >>> from qed.graph.walk import Walker
    >>> traced = trace(lambda x: 1 / (1 + jnp.exp(2 * x)), np.float32(0.5))
    >>> Walker([Directions()]).run(traced.graph, placed(traced, [Direction(1)]))[0].values[0].sign
    -1
    """

    name = "direction"

    def constant(self, atom: Atom, array: Any) -> Any:
        """A number; a direction is itself."""
        return array if isinstance(array, Direction) else Known(np.asarray(array))

    def take(self, value: Any, index: int) -> Any:
        """Row `index` of known numbers."""
        return Known(value.array[index])

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The directions of an equation's outputs."""
        if all(isinstance(x, Known) for x in inputs) and exact_on_numbers(equation):
            found = Value().apply(equation, [x.array for x in inputs], context)
            return tuple(self.constant(v, array) for v, array in zip(equation.outputs, found, strict=True))
        atoms = (*equation.inputs, *equation.outputs)
        try:
            if any(v.shape != () or not is_real(v.dtype) for v in atoms):
                raise NoDirection
            return (_of(equation, inputs),)
        except NoDirection:
            return (self.unknown(equation, context),) * len(equation.outputs)


def _of(equation: Equation, xs: Sequence[Any]) -> Direction:
    name = equation.primitive
    if len(xs) == 1 and isinstance(xs[0], Direction):
        return _unary(name, xs[0], equation.params)
    if len(xs) != 2:
        raise NoDirection
    x, y = xs
    if name == "sub":
        y = _negated(y)
    if name in ("add", "sub", "add_any"):
        return _sum(x, y)
    if name == "mul":
        return _product(x, y)
    if name == "div":
        return _product(x, _power(y, -1.0) if isinstance(y, Direction) else Known(1 / _number(y)))
    if name == "pow" and isinstance(x, Direction):
        return _power(x, _number(y))
    raise NoDirection


def _number(x: Any) -> float:
    """A finite number that is not 0."""
    if not isinstance(x, Known):
        raise NoDirection
    value = float(np.asarray(x.array).astype(np.float64))
    if not np.isfinite(value) or value == 0:
        raise NoDirection
    return value


def _unary(name: str, x: Direction, params: Any) -> Direction:
    if name in SAME or (name == "abs" and x.nonnegative):
        return x
    if name == "neg":
        return _negated(x)
    if name in ODD:
        return x
    if name in POSITIVE:
        return Direction(x.sign, True)
    if name == "log1p" and x.nonnegative:
        return x
    if name == "log" and x.nonnegative:
        return Direction(x.sign)
    if name in ("sqrt", "rsqrt", "square"):
        return _power(x, {"sqrt": 0.5, "rsqrt": -0.5, "square": 2.0}[name])
    if name == "integer_pow":
        y = int(params["y"])
        return Direction(x.sign, x.nonnegative) if y > 0 and y % 2 else _power(x, float(y))
    raise NoDirection


def _negated(x: Any) -> Any:
    return Direction(-x.sign) if isinstance(x, Direction) else Known(-np.asarray(x.array).astype(np.float64))


def _sum(x: Any, y: Any) -> Direction:
    if isinstance(x, Direction) and isinstance(y, Direction):
        if x.sign != y.sign:
            raise NoDirection
        return Direction(x.sign, x.nonnegative and y.nonnegative)
    one, other = (x, y) if isinstance(x, Direction) else (y, x)
    value = float(np.asarray(other.array).astype(np.float64))
    if not np.isfinite(value):
        raise NoDirection
    return Direction(one.sign, one.nonnegative and value >= 0)


def _product(x: Any, y: Any) -> Direction:
    if isinstance(x, Direction) and isinstance(y, Direction):
        if x.sign != y.sign or not (x.nonnegative and y.nonnegative):
            raise NoDirection
        return x
    one, other = (x, y) if isinstance(x, Direction) else (y, x)
    positive = _number(other) > 0
    return Direction(one.sign if positive else -one.sign, one.nonnegative and positive)


def _power(x: Direction, exponent: float) -> Direction:
    """A power of what is not negative, and so is 0 at one point at most."""
    if not x.nonnegative or exponent == 0:
        raise NoDirection
    return Direction(x.sign if exponent > 0 else -x.sign, True)
