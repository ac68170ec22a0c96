"""A function written with JAX, in CVXPY: literally, primitive by primitive, and by hand where CVXPY has an atom.

`literal` walks the function's jaxpr with CVXPY expressions in the place of arrays: what CVXPY would say to somebody who
writes the same formula. Box ends become the variable's bounds (CVXPY reads their signs). `BY_HAND` gives the
form that a CVXPY user would choose, for the cases where an atom exists that the formula hides.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal


class NoAtom(Exception):
    """CVXPY has nothing for a primitive, or refuses its arguments."""


def variables(lower: list[np.ndarray], upper: list[np.ndarray]) -> list[Any]:
    """A variable for each array of the box, with its bounds."""
    import cvxpy as cp

    made = []
    for low, high in zip(lower, upper, strict=True):
        bounds = [low, high] if np.any(np.isfinite(low)) or np.any(np.isfinite(high)) else None
        made.append(cp.Variable(np.shape(low), bounds=bounds))
    return made


def literal(fun: Callable[..., Any], example: Any, args: tuple[Any, ...], inputs: list[Any]) -> Any:
    """The CVXPY expression of ``fun(x, *args)`` as it is written.

    Raises NoAtom with the primitive.
    """
    closed = jax.make_jaxpr(fun)(example, *args)
    data = [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
    (out,) = run(closed.jaxpr, closed.consts, [*inputs, *data])
    return out


def run(jaxpr: Any, consts: Any, inputs: list[Any]) -> list[Any]:
    """Evaluate a jaxpr, numbers as numbers and the rest as expressions."""
    known: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    known.update(zip(jaxpr.invars, inputs, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for eqn in jaxpr.eqns:
        found = _equation(eqn, [read(atom) for atom in eqn.invars])
        known.update(zip(eqn.outvars, found, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _equation(eqn: Any, values: list[Any]) -> list[Any]:
    name = eqn.primitive.name
    inner = next((eqn.params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in eqn.params), None)
    if inner is not None and name not in ("scan", "while", "cond"):
        return run(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), values)
    if not any(_is_expression(value) for value in values):
        found = eqn.primitive.bind(*values, **eqn.params)
        return list(found) if eqn.primitive.multiple_results else [found]
    if name not in RULES:
        raise NoAtom(name)
    try:
        return [RULES[name](*values, **eqn.params)]
    except (NoAtom, NotImplementedError):
        raise
    except Exception as error:
        raise NoAtom(f"{name}: {type(error).__name__}") from error


def _is_expression(value: Any) -> bool:
    import cvxpy as cp

    return isinstance(value, cp.Expression)


def _atom(name: str) -> Callable[..., Any]:
    def rule(*values: Any, **_: Any) -> Any:
        import cvxpy as cp

        return getattr(cp, name)(*[v if _is_expression(v) else np.asarray(v) for v in values])

    return rule


def _wide(*values: Any) -> list[Any]:
    return [v if _is_expression(v) else np.asarray(v, float) for v in values]


def _mul(a: Any, b: Any, **_: Any) -> Any:
    import cvxpy as cp

    a, b = _wide(a, b)
    return cp.square(a) if a is b else cp.multiply(a, b)


def _dot(a: Any, b: Any, dimension_numbers: Any, **_: Any) -> Any:
    import cvxpy as cp

    (left, right), batch = dimension_numbers
    if batch != ((), ()) or len(left) != 1:
        what = "dot_general with batches"
        raise NoAtom(what)
    same = a is b
    a, b = _wide(a, b)
    if same and a.ndim == 1:
        return cp.sum_squares(a)
    a = a.T if a.ndim == 2 and left[0] == 0 else a
    b = b.T if b.ndim == 2 and right[0] == 1 else b
    return a @ b


def _reduced(name: str) -> Callable[..., Any]:
    def rule(x: Any, axes: tuple[int, ...], **_: Any) -> Any:
        import cvxpy as cp

        for axis in sorted(axes, reverse=True):
            x = getattr(cp, name)(x, axis=axis) if x.ndim > 1 else getattr(cp, name)(x)
        return x

    return rule


def _broadcast(x: Any, shape: tuple[int, ...], broadcast_dimensions: tuple[int, ...], **_: Any) -> Any:
    import cvxpy as cp

    sides = [1] * len(shape)
    for place, size in zip(broadcast_dimensions, x.shape, strict=True):
        sides[place] = size
    return cp.multiply(cp.reshape(x, tuple(sides), order="C"), np.ones(shape)) if shape else x


def _reshape(x: Any, new_sizes: tuple[int, ...], **_: Any) -> Any:
    import cvxpy as cp

    return cp.reshape(x, new_sizes, order="C")


def _squeeze(x: Any, dimensions: tuple[int, ...], **_: Any) -> Any:
    import cvxpy as cp

    kept = tuple(size for i, size in enumerate(x.shape) if i not in dimensions)
    return cp.reshape(x, kept, order="C")


def _slice(x: Any, start_indices: Any, limit_indices: Any, strides: Any, **_: Any) -> Any:
    steps = strides or (1,) * len(start_indices)
    return x[tuple(slice(a, b, s) for a, b, s in zip(start_indices, limit_indices, steps, strict=True))]


def _binary(move: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda a, b, **_: move(*_wide(a, b))


def _power(x: Any, y: Any, **_: Any) -> Any:
    import cvxpy as cp

    return cp.power(x, float(np.asarray(y)))


def _select(which: Any, *cases: Any, **_: Any) -> Any:
    """A choice that data decide."""
    import cvxpy as cp

    if _is_expression(which):
        what = "select_n"
        raise NoAtom(what)
    masks = [np.asarray(which == k, float) for k in range(len(cases))]
    return sum(
        cp.multiply(mask, np.where(mask, case, 0) if not _is_expression(case) else case)
        for mask, case in zip(masks, cases, strict=True)
    )


RULES: dict[str, Callable[..., Any]] = {
    "add": _binary(operator.add),
    "add_any": _binary(operator.add),
    "sub": _binary(operator.sub),
    "mul": _mul,
    "div": _binary(operator.truediv),
    "neg": lambda x, **_: -x,
    "exp": _atom("exp"),
    "log": _atom("log"),
    "log1p": _atom("log1p"),
    "sqrt": _atom("sqrt"),
    "rsqrt": lambda x, **_: _power(x, -0.5),
    "abs": _atom("abs"),
    "max": _atom("maximum"),
    "min": _atom("minimum"),
    "square": _atom("square"),
    "integer_pow": lambda x, y, **_: _power(x, y),
    "pow": _power,
    "reduce_sum": _reduced("sum"),
    "reduce_max": _reduced("max"),
    "reduce_min": _reduced("min"),
    "dot_general": _dot,
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "select_n": _select,
    "slice": _slice,
    "transpose": lambda x, permutation, **_: x.T if x.ndim == 2 and permutation == (1, 0) else x,
    "convert_element_type": lambda x, **_: x,
    "copy": lambda x, **_: x,
    "stop_gradient": lambda x, **_: x,
}


def verdict(expression: Any) -> str:
    """Return CVXPY's word for an expression: convex, concave, affine, or unknown (it refutes nothing).

    >>> import cvxpy as cp
    >>> verdict(cp.square(cp.Variable())), verdict(cp.exp(cp.Variable()) ** 0.5)
    ('convex', 'unknown')
    """
    if expression.is_affine():
        return "affine"
    if expression.is_convex():
        return "convex"
    return "concave" if expression.is_concave() else "unknown"
