"""Which data are feature columns, and the same data standardised.

Standardising a column means (x - mean) / sd. It may be advised only for floating-point data whose *first* use is
an affine map of the parameters: ``X @ W``, or ``w * x`` with a scalar w. Labels, targets and token ids are never
touched: they meet the parameters only after the affine map. A column without spread (an intercept column of ones)
stays as it is. The scaled problem is another parametrisation of the same model family, not the same loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.graph.calls import Inline
from qed.graph.dtypes import is_real
from qed.graph.graph import Equation, Graph, Literal, Variable

_SAME = frozenset({"convert_element_type", "copy", "stop_gradient"})
_VIEW = _SAME | {"reshape", "transpose", "broadcast_in_dim", "squeeze", "expand_dims"}


@dataclass(frozen=True)
class Columns:
    """One input of the graph whose columns may be standardised.

    Args:
        position: which input of the graph.
        axis: the axis that counts the columns; None for a single column.
    """

    position: int
    axis: int | None


@dataclass(frozen=True)
class _View:
    position: int
    exact: bool


def feature_columns(graph: Graph, free: Sequence[int]) -> tuple[Columns, ...]:
    """The data inputs all of whose uses are the first affine map of a parameter.

    Args:
        graph: the loss, its closed-over arrays among the inputs.
        free: positions of the parameters.
    """
    uses: dict[int, list[int | str | None]] = {}
    env: dict[Variable, _View] = {v: _View(i, True) for i, v in enumerate(graph.inputs)}
    _read(graph, env, set(free), uses)
    found = []
    for position, variable in enumerate(graph.inputs):
        axes = uses.get(position)
        if position in free or not axes or not is_real(variable.dtype) or "other" in axes:
            continue
        if len(set(axes)) == 1:
            found.append(Columns(position, axes[0] if isinstance(axes[0], int) else None))
    return tuple(found)


def _read(graph: Graph, env: dict[Variable, _View], free: set[int], uses: dict[int, list[Any]]) -> None:
    for equation in graph.equations:
        views = [None if isinstance(a, Literal) else env.get(a) for a in equation.inputs]
        if isinstance(equation.call, Inline):
            inner = {v: view for v, view in zip(equation.call.graph.inputs, views, strict=True) if view is not None}
            _read(equation.call.graph, inner, free, uses)
            for atom, out in zip(equation.call.graph.outputs, equation.outputs, strict=True):
                if isinstance(atom, Variable) and atom in inner:
                    env[out] = inner[atom]
            continue
        if equation.primitive in _VIEW and views[0] is not None:
            is_parameter = views[0].position in free
            exact = views[0].exact and equation.primitive in _SAME
            if is_parameter or exact:
                env[equation.outputs[0]] = _View(views[0].position, exact)
                continue
        for k, view in enumerate(views):
            if view is not None and view.position not in free:
                uses.setdefault(view.position, []).append(_use(equation, k, views, free))


def _use(equation: Equation, k: int, views: Sequence[_View | None], free: set[int]) -> int | str | None:
    other = views[1 - k] if len(views) == 2 else None
    if other is None or other.position not in free:
        return "other"
    shape = equation.inputs[k].shape
    if equation.primitive == "dot_general":
        contract, batch = equation.params["dimension_numbers"]
        if not batch[k] and len(contract[k]) == 1 and len(shape) >= 2:
            return int(contract[k][0])
    if equation.primitive == "mul" and len(shape) <= 1 and shape:
        return None
    return "other"


def standardised(value: Any, columns: Columns) -> Any | None:
    """The array with standardised columns, or None where its columns are on one scale already.

    Example:
        >>> import numpy as np
        >>> x = np.array([[1.0, 1000.0], [1.0, 3000.0]], np.float32)
        >>> standardised(x, Columns(0, 1)).tolist()
        [[1.0, -1.0], [1.0, 1.0]]
    """
    x = np.asarray(value).astype(np.float64)
    axes = tuple(i for i in range(x.ndim) if i != columns.axis) if columns.axis is not None else None
    mean, sd = x.mean(axis=axes, keepdims=True), x.std(axis=axes, keepdims=True)
    spread = sd > 1e-7 * (1e-30 + np.abs(mean))
    if not spread.any() or not np.isfinite(x).all():
        return None
    scales = sd[spread]
    on_scale = (
        scales.max() <= 3 * scales.min() and np.abs(mean[spread]).max() <= scales.max() and 0.3 < scales.max() < 3
    )
    if on_scale:
        return None
    scaled = np.where(spread, (x - mean) / np.where(spread, sd, 1.0), x)
    return jnp.asarray(scaled.astype(np.asarray(value).dtype))


def widest(value: Any, columns: Columns) -> tuple[int | None, float]:
    """The column with the largest standard deviation, and that deviation."""
    x = np.asarray(value).astype(np.float64)
    if columns.axis is None:
        return None, float(x.std())
    sd = x.std(axis=tuple(i for i in range(x.ndim) if i != columns.axis))
    return int(np.argmax(sd)), float(sd.max())
