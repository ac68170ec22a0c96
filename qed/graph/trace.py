"""A user's function and its arguments -> a Graph, once.

The parameters are a pytree. Its floating-point arrays are what derivatives are taken in (*free*); its other
leaves (activation functions, random keys, flags) are kept as they are. The function is traced exactly once,
under the configuration in force; everything else re-interprets that graph, because tracing again under another
precision would give another function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from qed.graph.arguments import ArgumentKey
from qed.graph.dtypes import is_real
from qed.graph.graph import Graph
from qed.graph.jaxpr import Reader


@dataclass(frozen=True, eq=False)
class Traced:
    """A function, traced at given arguments.

    Args:
        graph: its graph; the inputs are the array leaves of all arguments, in order.
        leaves: the values of those inputs.
        free: the positions of the inputs that are parameters to differentiate in.
        paths: the name of every input, such as ``w['W']``.
        outputs: how many outputs belong to the value (1); the rest is auxiliary.
    """

    graph: Graph
    leaves: tuple[Any, ...]
    free: tuple[int, ...]
    paths: tuple[str, ...]
    rebuild: Callable[[Sequence[Any]], tuple[Any, ...]] = field(repr=False)
    out_tree: Any = field(default=None, repr=False)

    @property
    def parameters(self) -> tuple[Any, ...]:
        """The values of the free inputs."""
        return tuple(self.leaves[i] for i in self.free)

    @property
    def parameter_paths(self) -> tuple[str, ...]:
        """The names of the free inputs."""
        return tuple(self.paths[i] for i in self.free)

    def data(self) -> tuple[Any, ...]:
        """The values of the inputs that are not free."""
        free = set(self.free)
        return tuple(leaf for i, leaf in enumerate(self.leaves) if i not in free)


class NotNumeric(TypeError):
    """The traced function returned something that is no number and no array."""

    def __init__(self, value: Any) -> None:
        super().__init__(f"it returned a {type(value).__name__}")
        self.value = value


def is_array(leaf: Any) -> bool:
    """True for arrays and plain numbers; False for functions, strings and other static leaves.

    Plain Python numbers count in the first argument only: elsewhere they may be sizes or axes, and are kept.
    """
    return isinstance(leaf, jax.Array | np.ndarray | np.generic | float | complex) or (
        isinstance(leaf, int) and not isinstance(leaf, bool)
    )


def is_float(leaf: Any) -> bool:
    """True where a derivative in this leaf makes sense: real floating-point arrays (bfloat16 included)."""
    return is_array(leaf) and is_real(jax.numpy.result_type(leaf))


def parameter_names(fun: Callable, count: int) -> list[str]:
    """The names of the first `count` positional parameters of fun, or ``x``, ``args[0]``, ... where hidden.

    Example:
        >>> parameter_names(lambda w, data: 0.0, 2)
        ['w', 'data']
    """
    fallback = ["x", *(f"args[{i}]" for i in range(count))][:count]
    try:
        parameters = list(inspect.signature(fun).parameters.values())
    except (TypeError, ValueError):
        return fallback
    names: list[str] = []
    for parameter in parameters:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
        elif parameter.kind is parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}[{i}]" for i in range(count - len(names))]
    return (names + fallback[len(names) :])[:count]


def trace(fun: Callable, *arguments: Any, kwargs: Mapping[str, Any] | None = None) -> Traced:
    """Trace ``fun(*arguments, **kwargs)``; the float leaves of the first argument are the free parameters.

    Args:
        fun: a JAX function of pytrees.
        arguments: concrete values; the first is the point at which derivatives are wanted.
        kwargs: further arguments by name.

    Returns:
        The trace. Its graph evaluates to the flat outputs of fun.

    Raises:
        whatever fun raises under tracing; the callers turn it into a QedError with the user's line.

    Example:
        >>> import jax.numpy as jnp
        >>> traced = trace(lambda x: jnp.sum(jnp.exp(x)), jnp.zeros(3))
        >>> [equation.primitive for equation in traced.graph.equations], traced.paths
        (['exp', 'reduce_sum'], ('x',))
    """
    everything = (arguments, dict(kwargs or {}))
    flat, tree = jax.tree_util.tree_flatten_with_path(everything)
    names = parameter_names(fun, len(arguments))
    positions = array_positions(flat)
    leaves = tuple(flat[i][1] for i in positions)
    static = [leaf for _, leaf in flat]

    def rebuild(values: Sequence[Any]) -> tuple[Any, ...]:
        full = list(static)
        for position, value in zip(positions, values, strict=True):
            full[position] = value
        return jax.tree_util.tree_unflatten(tree, full)

    out_tree = None

    def flat_fun(*values: Any) -> list[Any]:
        nonlocal out_tree
        rebuilt, keywords = rebuild(values)
        outs, out_tree = jax.tree_util.tree_flatten(fun(*rebuilt, **keywords))
        for out in outs:
            if not (is_array(out) or isinstance(out, bool)):
                raise NotNumeric(out)
        return outs

    jaxpr = jax.make_jaxpr(flat_fun)(*leaves)
    paths = tuple(path_name(flat[i][0], names) for i in positions)
    free = tuple(k for k, i in enumerate(positions) if _first_argument(flat[i][0]) and is_float(flat[i][1]))
    graph = Reader().graph(jaxpr, names=paths)
    return Traced(graph, leaves, free, paths, rebuild, out_tree)


def array_positions(flat: Sequence[tuple[Any, Any]]) -> list[int]:
    """Which leaves of (arguments, kwargs), each with its path, are inputs of the graph; the others are static."""
    return [
        i for i, (path, leaf) in enumerate(flat) if is_array(leaf) and (_first_argument(path) or hasattr(leaf, "dtype"))
    ]


def _first_argument(path: tuple[Any, ...]) -> bool:
    return path[0].idx == 0 and path[1].idx == 0 if hasattr(path[1], "idx") else False


def path_name(path: tuple[Any, ...], names: Sequence[str]) -> str:
    """A key path of (arguments, kwargs) as the user would write it: ``w['W']``, ``model.layers[0].weight``."""
    where, rest = path[1], path[2:]
    root = names[where.idx] if path[0].idx == 0 else str(where.key)
    if rest and isinstance(rest[0], ArgumentKey):
        root, rest = rest[0].name, rest[1:]
    return str(root) + "".join(_key(key) for key in rest)


def _key(key: Any) -> str:
    if isinstance(key, jax.tree_util.DictKey):
        return f"[{key.key!r}]"
    if isinstance(key, jax.tree_util.GetAttrKey):
        return f".{key.name}"
    if isinstance(key, jax.tree_util.SequenceKey):
        return f"[{key.idx}]"
    text = str(key)
    return text if text.startswith((".", "[")) else f"[{text}]"
