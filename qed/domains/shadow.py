"""The shadow domain: the same graph in float64, beside the program's own arithmetic.

Every floating-point value is carried in float64 and every equation is evaluated again on these shadows, loops
and branches following the program itself. Where the program has inf or NaN and the shadow has a finite
number, the *range or precision of the dtype* is to blame; where both have it, the formula is. The difference of
the two measures rounding; float64 is no truth (a formula that cancels loses its digits there too), so nothing
that is read from a shadow is ever called proved.

Bits stay bits: random numbers, bit casts, results of callbacks, of solvers and reductions that the user supplies
are copied from the program and widened.

Large arrays that are given (weights) are widened where an equation uses them, not before: in float64 the weights of a
bfloat16 model take four times their memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, final

import jax
import jax.numpy as jnp
import numpy as np

from qed import facts
from qed.domains.forward import Forward
from qed.graph import jaxpr
from qed.graph.dtypes import as_wide, is_extended, is_inexact, wide
from qed.graph.graph import Atom, Variable
from qed.graph.walk import Context

_DTYPE_PARAMS = ("new_dtype", "preferred_element_type", "dtype")

LATER = 1 << 16
"""Given arrays with more numbers than this are widened at their uses."""

_SCATTERS = ("scatter", "scatter-add", "scatter-max", "scatter-min", "scatter-mul", "scatter-sub")


def widen(array: Any) -> Any:
    """The same numbers in float64 or complex128; other dtypes unchanged."""
    dtype = getattr(array, "dtype", None)
    if not is_inexact(dtype) or (dtype == wide(dtype) and isinstance(array, jax.Array)):
        return array
    with jax.enable_x64(True):
        return jnp.asarray(as_wide(array))


def widened_native(native: Any) -> Any:
    """The same JAX equation for operands in float64: its parameters name the wider dtypes."""
    changed = {key: wide(native.params[key]) for key in _DTYPE_PARAMS if is_inexact(native.params.get(key))}
    if native.primitive.name not in _SCATTERS:
        return native.replace(params={**native.params, **changed}) if changed else native
    shapes = [jax.ShapeDtypeStruct(v.aval.shape, wide(v.aval.dtype)) for v in native.invars]
    with jax.enable_x64(True):
        traced = jax.make_jaxpr(lambda *xs: _scatter(native, xs))(*shapes)
    found = [eqn for eqn in traced.eqns if eqn.primitive is native.primitive]
    return native.replace(params={**native.params, **found[0].params}) if found else native


def _scatter(native: Any, inputs: Sequence[Any]) -> Any:
    """Scatters hold their operation as a graph in the program's dtype: here it is made anew."""
    scatter = getattr(jax.lax, native.primitive.name.replace("-", "_"))
    keywords = {key: native.params[key] for key in ("indices_are_sorted", "unique_indices", "mode")}
    return scatter(*inputs, native.params["dimension_numbers"], **keywords)


@final
class Shadow(Forward):
    """Arrays in float64."""

    name = "shadow"
    requires = ("value",)
    special: ClassVar = {
        "bitcast_convert_type": "copied",
        "call_hi_primitive": "copied",
        "custom_linear_solve": "copied",
        "nextafter": "copied",
        "polynomial": "evaluate",
        "reduce": "copied",
        "reduce_precision": "unchanged",
        "reduce_window": "copied",
        "scatter_apply": "copied",
        "select_and_scatter": "copied",
        **dict.fromkeys(_SCATTERS, "scattered"),
    }

    def constant(self, atom: Atom, array: Any) -> Any:
        """The same number, widened; a large array as it is."""
        if atom.dtype is not None and not isinstance(array, jax.Array):
            array = jnp.asarray(array, dtype=atom.dtype)
        return array if getattr(array, "size", 0) > LATER else widen(array)

    def take(self, value: Any, index: int) -> Any:
        """Row `index`."""
        with jax.enable_x64(True):
            return value[index] if is_extended(value.dtype) else widen(jnp.asarray(np.asarray(value)[index]))

    def stack(self, values: Sequence[Any], variable: Variable) -> Any:
        """Rows on top of each other."""
        with jax.enable_x64(True):
            if not values:
                return jnp.zeros(variable.shape, wide(variable.dtype))
            if is_extended(variable.dtype):
                return jnp.stack(values)
            return jnp.asarray(np.stack([as_wide(value) for value in values]))

    def evaluate(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Any equation, with the dtypes in its parameters widened too."""
        native = context.equation.native
        if native is None:
            return self.by_hand(inputs, context)
        changed = {key: wide(native.params[key]) for key in _DTYPE_PARAMS if is_inexact(native.params.get(key))}
        with jax.enable_x64(True):
            return jaxpr.bind(native, [widen(value) for value in inputs], **changed)

    def scattered(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Scatters hold their operation as a graph in the program's dtype: here it is made anew."""
        native = context.equation.native
        if native is None:
            return self.by_hand(inputs, context)
        with jax.enable_x64(True):
            return (_scatter(native, [widen(value) for value in inputs]),)

    linear = bilinear = compare = select = reduce = index = linear_algebra = evaluate
    constant_almost_everywhere = evaluate

    def copied(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """What is defined by bits, not by real numbers: the program's own result."""
        return tuple(widen(value) for value in context.others["value:out"])

    random = effect = opaque_call = copied

    def unchanged(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """A rounding of the program that the shadow does not repeat."""
        return (widen(inputs[0]),)

    def unary(self, card: facts.Card, x: Any, context: Context) -> Any:
        """An elementwise primitive."""
        return self.evaluate((x,), context)[0]

    def nary(self, card: Any, xs: Sequence[Any], context: Context) -> Any:
        """Arithmetic."""
        return self.evaluate(xs, context)[0]

    def by_hand(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Without JAX behind it the value domain is NumPy already."""
        return self.copied(inputs, context)
