"""A function of arrays evaluated in NumPy: traced by JAX, and nothing of it compiled.

At a few points once, compiling costs a thousand times what is computed. So the function's graph is walked, and every
equation is done by the NumPy function that its fact card names, in the dtypes of the graph, or by one of the operations
that move (`qed.domains.moving`) and sum numbers. What is left, such as a loop, JAX does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from qed import facts
from qed.domains.exact import COMPARED, counted
from qed.domains.moving import rearranged
from qed.graph import jaxpr
from qed.graph.calls import Inline
from qed.graph.dtypes import is_real
from qed.graph.graph import Atom, Equation, Graph, Literal


def in_numpy(function: Callable[..., Sequence[Any]], inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The results of a function that maps arrays, given with their points along the first axis.

    Args:
        function: (arrays of one point) -> list of arrays.
        inputs: for each argument its values at all points.

    Example:
        >>> import jax.numpy as jnp
        >>> in_numpy(lambda x: [jnp.exp(x) - 1, jnp.sum(x)], [np.zeros(2)])
        [array([0., 0.], dtype=float32), array([0., 0.], dtype=float32)]
    """
    traced = jax.make_jaxpr(jax.vmap(lambda *xs: list(function(*xs))))(*inputs)
    with np.errstate(all="ignore"):
        return _run(jaxpr.Reader().graph(traced), list(inputs))


def _run(graph: Graph, inputs: Sequence[Any]) -> list[Any]:
    values: dict[Any, Any] = {v: np.asarray(x, v.dtype) for v, x in zip(graph.inputs, inputs, strict=True)}
    values.update({v: np.asarray(array) for v, array in graph.constants})

    def read(atom: Atom) -> Any:
        return np.asarray(atom.value, atom.dtype) if isinstance(atom, Literal) else values[atom]

    for equation in graph.equations:
        found = evaluated(equation, [read(atom) for atom in equation.inputs])
        values.update({v: np.asarray(x) for v, x in zip(equation.outputs, found, strict=True)})
    return [read(atom) for atom in graph.outputs]


def evaluated(equation: Equation, values: list[Any]) -> Sequence[Any]:
    """The outputs of an equation at arrays of numbers."""
    if isinstance(equation.call, Inline):
        return _run(equation.call.graph, values)
    if equation.call is None:
        dtype = equation.outputs[0].dtype
        found = _one(equation.primitive, equation.params, values, dtype)
        if found is not None:
            return [np.asarray(found).astype(dtype, copy=False)]
    return jaxpr.bind(equation.native, values)


def _one(name: str, params: Mapping[str, Any], values: list[Any], dtype: Any) -> Any:
    if not all(v.size for v in values):
        return None  # JAX knows what the largest of no numbers is, NumPy does not
    if is_real(dtype) and np.dtype(dtype).itemsize < 4:  # NumPy and SciPy sum and evaluate in no half precision
        values = [v.astype(np.float32) if is_real(v.dtype) else v for v in values]
    if name in OTHERS:
        return OTHERS[name](params, *values)
    moved = rearranged(name, params, values)
    if moved is not None and len(moved) == 1:
        return moved[0]
    if name in facts.ARITHMETIC:
        value = facts.ARITHMETIC[name].value
        return facts.NUMPY.call(name, *values) if value.numpy or value.definition is not None else None
    card = facts.card(name, **params) if name in {*facts.CARDS, *facts.FAMILIES} and len(values) == 1 else None
    return None if card is None else card.numpy(values[0])


# --- sums and choices --------------------------------------------------------------------------------------------


def _dot(params: Mapping[str, Any], x: Any, y: Any) -> Any:
    (left, right), (batch, other) = params["dimension_numbers"]
    names = [chr(97 + i) for i in range(x.ndim + y.ndim)]
    a, b = names[: x.ndim], names[x.ndim :]
    for i, j in (*zip(left, right, strict=True), *zip(batch, other, strict=True)):
        b[j] = a[i]
    free = [n for i, n in enumerate(a) if i not in (*left, *batch)] + [
        n for j, n in enumerate(b) if j not in (*right, *other)
    ]
    return np.einsum(f"{''.join(a)},{''.join(b)}->{''.join([a[i] for i in batch] + free)}", x, y)


def _select(_: Mapping[str, Any], which: Any, *cases: Any) -> Any:
    found = cases[0]
    for i, case in enumerate(cases[1:], 1):
        found = np.where(which == i, case, found)
    return found


def _reduced(how: Callable[..., Any]) -> Callable[..., Any]:
    return lambda params, x: how(x, axis=tuple(params["axes"]))


def _cumulative(how: Callable[..., Any]) -> Callable[..., Any]:
    def run(params: Mapping[str, Any], x: Any) -> Any:
        axis = params["axis"]
        return np.flip(how(np.flip(x, axis), axis), axis) if params["reverse"] else how(x, axis)

    return run


def _applied(how: Callable[..., Any]) -> Callable[..., Any]:
    return lambda params, *xs: how(*xs)


OTHERS: Mapping[str, Callable[..., Any]] = {
    "convert_element_type": lambda p, x: x,
    "cumprod": _cumulative(np.multiply.accumulate),
    "cumsum": _cumulative(np.add.accumulate),
    "dot_general": _dot,
    "iota": lambda p: counted(p["dtype"], p["shape"], p["dimension"]),
    "reduce_and": _reduced(np.all),
    "reduce_max": _reduced(np.max),
    "reduce_min": _reduced(np.min),
    "reduce_or": _reduced(np.any),
    "reduce_prod": _reduced(np.prod),
    "reduce_sum": _reduced(np.sum),
    "select_n": _select,
    **{name: _applied(lambda x: x) for name in ("copy", "copy_p", "stop_gradient")},
    **{name: _applied(getattr(np, f"bitwise_{name}")) for name in ("and", "or", "not", "xor")},
    **{name: _applied(how) for name, how in {"add_any": np.add, "is_finite": np.isfinite, **COMPARED}.items()},
}
"""What is no function of numbers, and more than a move (`qed.domains.moving`): (parameters, operands) -> result."""


__all__ = ["evaluated", "in_numpy"]
