"""The value domain: concrete arrays, equation by equation, in the arithmetic of the program itself.

Every leaf is evaluated by JAX's own implementation of that primitive, or by NumPy where that cannot differ
(`qed.domains.exact`), so that walking a graph equals JAX's own evaluation with jit disabled and loops unrolled, bit
for bit. A *compiled* run differs from it: XLA fuses
equations and contracts ``a * b + c``. Equations written by hand, without JAX behind them, take the NumPy value
that their fact card names. What a program prints while it runs is not printed again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, final

import jax
import jax.numpy as jnp
import numpy as np

from qed import facts
from qed.domains.exact import exact
from qed.domains.forward import Forward
from qed.graph import jaxpr
from qed.graph.dtypes import is_extended
from qed.graph.graph import Atom, Variable
from qed.graph.walk import Context


@final
class Value(Forward):
    """Arrays in the program's own dtypes."""

    name = "value"
    special: ClassVar = {
        "call_hi_primitive": "evaluate",
        "debug_callback": "nothing",
        "debug_print": "nothing",
        "inspect_sharding": "nothing",
        "polynomial": "evaluate",
    }

    def constant(self, atom: Atom, array: Any) -> Any:
        """The array itself, in the dtype of the graph."""
        if isinstance(array, jax.Array) or atom.dtype is None:
            return array
        return jnp.asarray(array, dtype=atom.dtype)

    def choose(self, value: Any, count: int) -> int | None:
        """JAX clamps the index of a switch into range."""
        return int(np.clip(int(value), 0, count - 1))

    def truth(self, value: Any) -> bool | None:
        """A concrete condition; a batched loop goes on while any of its conditions holds."""
        return bool(np.any(np.asarray(value)))

    def take(self, value: Any, index: int) -> Any:
        """Row `index`, copied through the host so that no loop step compiles anything."""
        if is_extended(value.dtype):
            return value[index]
        return jnp.asarray(np.asarray(value)[index])

    def stack(self, values: Sequence[Any], variable: Variable) -> Any:
        """Rows on top of each other."""
        if not values:
            return jnp.zeros(variable.shape, variable.dtype)
        if is_extended(values[0].dtype):
            return jnp.stack(values)
        return jnp.asarray(np.stack([np.asarray(value) for value in values]))

    # --- the rules: all classes are the same here ---

    def evaluate(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Any equation that comes from JAX."""
        equation = context.equation
        if equation.native is None:
            return self.by_hand(inputs, context)
        found = exact(equation, inputs)
        return jaxpr.bind(equation.native, inputs) if found is None else found

    linear = bilinear = compare = select = reduce = index = linear_algebra = random = evaluate
    constant_almost_everywhere = effect = opaque_call = evaluate

    def nothing(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Effects that only show something."""
        return ()

    def unary(self, card: facts.Card, x: Any, context: Context) -> Any:
        """An elementwise primitive."""
        return self.evaluate((x,), context)[0]

    def nary(self, card: Any, xs: Sequence[Any], context: Context) -> Any:
        """Arithmetic."""
        return self.evaluate(xs, context)[0]

    def by_hand(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """An equation without JAX behind it: the NumPy value of its fact card, or of `BY_HAND`."""
        equation = context.equation
        arrays = [np.asarray(x) for x in inputs]
        if equation.primitive in BY_HAND:
            return (BY_HAND[equation.primitive](*arrays, **equation.params),)
        kind = facts.classify(equation.primitive)
        if kind is facts.Class.UNARY:
            card = facts.card(equation.primitive, **equation.params)
            return (card.numpy(*arrays),) if card is not None else (self.unknown(equation, context),)
        if kind is facts.Class.ARITHMETIC:
            return (facts.NUMPY.call(equation.primitive, *arrays),)
        return (self.unknown(equation, context),) * len(equation.outputs)


def _spread(x: np.ndarray, shape: tuple[int, ...], broadcast_dimensions: tuple[int, ...], **_: Any) -> np.ndarray:
    places = [1] * len(shape)
    for axis, size in zip(broadcast_dimensions, x.shape, strict=True):
        places[axis] = size
    return np.broadcast_to(x.reshape(places), shape)


BY_HAND: Mapping[str, Callable[..., Any]] = {
    "broadcast_in_dim": _spread,
    "eq": np.equal,
    "ge": np.greater_equal,
    "gt": np.greater,
    "le": np.less_equal,
    "lt": np.less,
    "ne": np.not_equal,
    "reduce_max": lambda x, axes, **_: np.max(x, axis=tuple(axes)),
    "reduce_min": lambda x, axes, **_: np.min(x, axis=tuple(axes)),
    "reduce_sum": lambda x, axes, **_: np.sum(x, axis=tuple(axes)),
    "select_n": lambda which, *cases: np.select([which.astype(int) == i for i in range(len(cases))], cases),
    "transpose": lambda x, permutation: np.transpose(x, permutation),
}
"""NumPy values of what has no card, for graphs written without JAX."""
