"""Where mass may hide: the exponents of a function, read from its graph.

A narrow summand of a sum of exponentials is invisible in the values of the sum: at all points that are tried it
underflows beside the others. Its exponent is not: it is a function of its own, smooth and steep, and local ascent on
it finds the place from far away. So the arguments of every exponential and maximum that the graph holds are looked at
one by one; and so are the denominators, where they are smallest, and both sides of every comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from qed.certificates.certificate import placed
from qed.domains.widened import Widened, widen
from qed.graph.dtypes import is_real
from qed.graph.graph import Atom, Equation
from qed.graph.replay import Place, Records, Replay
from qed.graph.trace import Traced
from qed.integration.many.modes import rowwise

Array = np.ndarray
SOURCES = frozenset({"exp", "exp2", "logaddexp", "logistic", "max", "reduce_max"})
"""Primitives whose operands are looked at."""
BENT = frozenset({"tanh", "erf", "erfc", "cosh", "sinh", "atan", "logistic"})
"""Functions that may have a peak on either side."""
COMPARED = frozenset({"lt", "le", "gt", "ge", "eq", "ne"})
"""Primitives that compare two numbers."""
STEEP = 4
"""From which whole exponent on a power is looked at."""
MOST = 48
"""How many exponents are looked at; of more, some that are spread evenly."""


@final
class Exponents(Replay):
    """A graph in float64 that notes the operands of exponentials and maxima."""

    def __init__(self) -> None:
        self.inner = Widened()

    def constant(self, atom: Atom, array: Any) -> Any:
        """The same number, widened."""
        return self.inner.constant(atom, array)

    def leaf(self, equation: Equation, values: Sequence[Any], place: Place) -> Sequence[Any]:
        """An equation in float64."""
        return self.inner.leaf(equation, values, place)

    def step(self, equation: Equation, values: Sequence[Any], place: Place) -> tuple[Sequence[Any], Records]:
        """One equation, its operands noted."""
        outs, notes = super().step(equation, values, place)
        if all(is_real(atom.dtype) for atom in equation.inputs) and (noted := looked_at(equation, values)):
            notes = {**notes, place.at(equation): noted}
        return outs, notes


def looked_at(equation: Equation, values: Sequence[Any]) -> tuple[Any, ...]:
    """What is large where an equation may hide a peak; nothing of other equations."""
    name = equation.primitive
    if name in SOURCES - BENT:
        return tuple(values)
    if name in ("eq", "ne"):
        return (-jnp.abs(values[0] - values[1]),)
    if name in COMPARED:
        off = values[0] - values[1]
        return (off, -off, *((jnp.sum(off), -jnp.sum(off)) if jnp.ndim(off) else ()))
    if name in BENT:
        return values[0], -values[0]
    if name == "div":
        return (-jnp.log(jnp.abs(values[1])),)
    if name == "integer_pow" and not 0 <= equation.params["y"] < STEEP:
        return jnp.abs(values[0]), -jnp.abs(values[0])
    if name in ("rsqrt", "sqrt", "log", "log1p"):
        return (-values[0],)
    return (values[0], -values[0], -jnp.abs(values[0])) if name == "pow" else ()


def undefined_about(logs: Callable[[Array], Array], place: Array, low: Array, high: Array) -> bool:
    """Whether a function of rows is NaN at most points very near a place of a box: on a set that has volume.

    >>> import numpy as np
    >>> from qed.integration.many.hidden import undefined_about
    >>> at, box = np.zeros(1), (np.zeros(1), np.ones(1))
    >>> [undefined_about(lambda x, a=a: np.where(x[:, 0] <= a, np.nan, 1.0), at, *box) for a in (0.0, 0.5)]
    [False, True]
    """
    wide = np.where(np.isfinite(high - low), high - low, 1.0 + np.abs(place))
    steps = 1e-9 * wide * np.random.default_rng(0).uniform(-1.0, 1.0, (16, len(place)))
    steps = np.where(place + steps < low, np.abs(steps), np.where(place + steps > high, -np.abs(steps), steps))
    return bool(np.mean(np.isnan(logs(place + steps))) > 0.5)


def exponents(traced: Traced) -> Callable[[Any], Array] | None:
    """The exponents as a function of rows: (rows, exponents), or None where there are none.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.graph.trace import trace
    >>> from qed.integration.many.hidden import exponents
    >>> found = exponents(trace(lambda x: jnp.exp(-x[0]) + jnp.exp(-x[1]), np.zeros(2)))
    >>> found(np.array([[1.0, 2.0]])).tolist()
    [[-1.0, -2.0]]
    """

    def one(x: Any) -> Any:
        inputs = [widen(value) for value in placed(traced, [x])]
        _, notes = Exponents().run(traced.graph, inputs)
        found = [jnp.ravel(jnp.asarray(v, jnp.float64)) for values in notes.values() for v in values]
        return jnp.concatenate(found) if found else jnp.zeros(0)

    try:
        with jax.enable_x64(True):
            size = jax.eval_shape(one, jax.ShapeDtypeStruct(np.shape(traced.parameters[0]), jnp.float64)).shape[0]
    except (TypeError, ValueError, jax.errors.JAXTypeError):
        return None
    if not size:
        return None
    chosen = np.unique(np.linspace(0, size - 1, min(size, MOST)).astype(int))
    return rowwise(lambda x: one(x)[chosen])
