"""A constrained problem as vectors: minimise f(x) with h(x) = 0, g(x) >= 0 and lower <= x <= upper.

The rows of h and then of g are one vector c(x); each has the name of its place in what the user's function returned.
With multipliers y for the rows and z_l, z_u >= 0 for the bounds the Lagrangian is

    L = f - y'c - z_l'(x - lower) - z_u'(upper - x),       y >= 0 for the rows of g,

so that y = d f*/d b for the rows c(x) = b or c(x) >= b (Nocedal and Wright, *Numerical Optimization*, 2006, ch. 12).
Everything is evaluated in float64, from the graphs as they were traced under the user's configuration
(`qed.domains.widened`); a rule of differentiation that the program brings along is replaced by what it stands for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np

from qed import facts
from qed.calculus.hessian import flatten, unflatten
from qed.domains.patterns import TooDense, jacobian_pattern
from qed.domains.widened import is_narrow
from qed.errors import QedError
from qed.graph.dtypes import is_real
from qed.graph.function import Function, confirm_known, indexed, read
from qed.graph.trace import is_float
from qed.optimization.bounds import Bounds, bounds_of
from qed.optimization.constrained.derivatives import Derivatives, derivatives_of

Array = np.ndarray
Matrix = Any
"""A dense array or a scipy.sparse.csr_array."""
RECENT = 6
"""Of how many points, the last ones, what was computed is kept."""
TINY = 1e-4
"""A row whose slope is smaller, and stays much the same, is measured in units of that slope."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A point with what is known there: value, rows (first of h, then of g), gradient, and Jacobian of the rows.

    `units` are the smallest scales of the rows, see `Constrained.units`.
    """

    x: Array
    f: float
    c: Array
    g: Array
    J: Matrix
    units: Array | float = 1.0

    @property
    def finite(self) -> bool:
        """Whether all numbers are."""
        entries = self.J.data if hasattr(self.J, "nnz") else self.J
        return bool(np.isfinite(self.f) and all(np.all(np.isfinite(a)) for a in (self.c, self.g, entries)))


@dataclass(frozen=True, eq=False)
class Rows:
    """A constraint function with the names of its rows; `free` are the rows that depend on x."""

    function: Function
    names: tuple[str, ...]
    free: Array


@dataclass(frozen=True, eq=False)
class Constrained:
    """A problem that was read; made by `constrained`.

    Args:
        objective: f.
        equality, inequality: h and g, or None.
        bounds: of the parameters, float64 vectors.
        asked: (fun, x0, args, equality, inequality, bounds) as they were given.
        derivatives: the compiled functions of float64 vectors.
        counts: of evaluations and Hessians.
        moved: whether a constraint or a bound was moved, so that the functions `asked` are others.
        recent: what is known at the last few points.
        looked: what looks around points found, and what is proved of all others from there.

    Example:
        >>> import jax.numpy as jnp
        >>> h = lambda x: {"sum": x[0] + x[1]}
        >>> problem = constrained(lambda x: x[0] ** 2 + x[1], jnp.ones(2), (), h, None, None)
        >>> problem.names, problem.at(problem.start).c.tolist(), problem.at(problem.start).J.tolist()
        (("equality['sum']",), [2.0], [[1.0, 1.0]])
    """

    objective: Function
    equality: Rows | None
    inequality: Rows | None
    bounds: Bounds
    asked: tuple[Any, ...]
    derivatives: Derivatives
    counts: dict[str, int]
    moved: bool = False
    recent: dict[bytes, dict[str, Any]] = field(init=False, default_factory=dict)
    looked: dict[Any, Any] = field(init=False, default_factory=dict)

    @property
    def n(self) -> int:
        """The number of parameters."""
        return self.objective.size

    @cached_property
    def equalities(self) -> int:
        """The number of rows of h."""
        return 0 if self.equality is None else len(self.equality.names)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The name of each row of c, such as ``inequality['budget'][0]``."""
        return tuple(name for part in (self.equality, self.inequality) if part is not None for name in part.names)

    @property
    def rows(self) -> int:
        """The number of rows of c."""
        return len(self.names)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The name of each number of x, such as ``w['b'][2]``."""
        return self.objective.coordinates

    @cached_property
    def free(self) -> Array:
        """Which rows depend on x at all."""
        parts = [part.free for part in (self.equality, self.inequality) if part is not None]
        return np.concatenate(parts) if parts else np.zeros(0, bool)

    @cached_property
    def units(self) -> Array:
        """By what each row is at least divided where it is judged: 1, or its slope where that is tiny everywhere.

        1e-10 (1 - x) >= 0 says x <= 1: a violation of 1e-10 is one of 1 in x. A slope that is tiny by chance, as that
        of x^4 near 0, is no unit: it changes with x.
        """
        found, here = np.ones(self.rows), _steepest(self.first(self.start)[1])
        tiny = (here > 0) & (here < TINY)
        if tiny.any():
            move = 1.0 + np.abs(self.start)
            for near in (self.bounds.project(self.start + move), self.bounds.project(self.start - move)):
                other = _steepest(self.first(near)[1])
                tiny &= np.isfinite(other) & (other > here / 2) & (other < 2 * here)
        found[tiny] = here[tiny]
        return found

    @cached_property
    def start(self) -> Array:
        """The start, projected onto the bounds."""
        return self.bounds.project(flatten(self.objective.parameters))

    @cached_property
    def eps(self) -> float:
        """The unit of rounding: float64's, or that of the program where part of it can only run in its own dtype."""
        parts = [self.objective, *(p.function for p in (self.equality, self.inequality) if p is not None)]
        own = max(float(jax.numpy.finfo(p.dtype).eps) for p in self.objective.parameters)
        return own if any(is_narrow(part.graph) for part in parts) else float(np.finfo(np.float64).eps)

    @cached_property
    def cornered(self) -> bool:
        """Whether one of the functions is made of primitives that may have corners."""
        parts = [self.objective, *(p.function for p in (self.equality, self.inequality) if p is not None)]
        return any(facts.may_have_corners(e.primitive) for part in parts for e in part.graph.walk())

    @cached_property
    def stopped(self) -> bool:
        """Whether one of the functions holds a stop_gradient."""
        parts = [self.objective, *(p.function for p in (self.equality, self.inequality) if p is not None)]
        return any(e.primitive == "stop_gradient" for part in parts for e in part.graph.walk())

    @property
    def sparse(self) -> bool:
        """Whether Jacobian and Hessian are held sparse."""
        return self.derivatives.sparse

    def at(self, x: Array) -> Seen:
        """Everything of first order at a vector; counted as one evaluation."""
        f, c = self.values(x)
        g, J = self.first(x)
        return Seen(np.array(x, np.float64), f, c, g, J, self.units)

    def values(self, x: Array) -> tuple[float, Array]:
        """f and c at a vector; counted where it is none of the last few."""
        known = self._known(x)
        if "values" not in known:
            self.counts["values"] += 1
            known["values"] = self.derivatives.values(x)
        f, c = known["values"]
        return f, c.copy()

    def first(self, x: Array) -> tuple[Array, Matrix]:
        """The gradient of f and the Jacobian of c at a vector."""
        known = self._known(x)
        if "first" not in known:
            known["first"] = self.derivatives.first(x)
        g, J = known["first"]
        return g.copy(), J.copy()

    def _known(self, x: Array) -> dict[str, Any]:
        key = np.asarray(x, np.float64).tobytes()
        if key not in self.recent:
            self.recent[key] = {}
            for old in list(self.recent)[:-RECENT]:
                del self.recent[old]
        return self.recent[key]

    def hessian(self, x: Array, y: Array, weight: float = 1.0) -> Matrix:
        """The Hessian of weight f - y'c, symmetric, dense or sparse."""
        self.counts["hessians"] += 1
        return self.derivatives.second(x, y, weight)

    def tree(self, x: Array) -> Any:
        """A vector as a tree like the start, in its dtypes; leaves that are not varied are the start's own."""
        leaves, structure = jax.tree.flatten(self.asked[1])
        parts = iter(unflatten(x, self.objective.parameters))
        return jax.tree.unflatten(structure, [next(parts) if is_float(leaf) else leaf for leaf in leaves])

    def rounded(self, x: Array) -> Array:
        """The vector as the parameters' dtypes hold it."""
        return flatten(unflatten(x, self.objective.parameters))

    def row_trees(self, y: Array) -> tuple[Any, Any]:
        """A vector of numbers of rows, such as multipliers, as trees like what h and g return; None where absent."""
        first = self.equalities
        return _like(self.equality, y[:first]), _like(self.inequality, y[first:])


def _steepest(J: Matrix) -> Array:
    """The largest entry of each row, in size."""
    largest: Any = abs(J).max(axis=1) if J.shape[1] else np.zeros(J.shape[0])
    return np.ravel(largest.toarray() if hasattr(largest, "toarray") else largest)


def constrained(
    fun: Callable[..., Any], x0: Any, args: tuple[Any, ...], equality: Any, inequality: Any, bounds: Any
) -> Constrained:
    """Read a constrained problem.

    Args:
        fun: f, as `qed.minimize` takes it.
        x0: the start, a tree.
        args: the further arguments of all functions.
        equality: h, with h(x, *args) = 0, any tree of arrays; or None.
        inequality: g, with g(x, *args) >= 0, likewise.
        bounds: as `qed.minimize` takes them.

    Raises:
        QedError: QED002 to QED010 as `qed.graph.function.read` does, for each of the functions; QED002 where a
            constraint returns truth values or integers; QED007 for bounds that do not fit.
    """
    objective = read(fun, x0, *args)
    confirm_known(objective)
    box = bounds_of(bounds, x0)
    parts = [_rows(given, name, x0, args) for given, name in ((equality, "equality"), (inequality, "inequality"))]
    asked = (fun, x0, args, equality, inequality, bounds)
    derivatives = derivatives_of(objective, [part.function for part in parts if part is not None])
    return Constrained(objective, parts[0], parts[1], box, asked, derivatives, {"values": 0, "hessians": 0})


def _rows(given: Any, name: str, x0: Any, args: tuple[Any, ...]) -> Rows | None:
    if given is None:
        return None
    if not callable(given):
        kind = type(given).__name__
        because = f"its type is {kind}, and a constraint is a function of (x, *args)"
        raise QedError("QED007", f"{name}= is no function", because, f"give {name}=lambda x: ...")
    try:
        function = read(given, x0, *args, scalar=False)
        confirm_known(function)
    except QedError as error:
        what, because, instead = f"{name}: {error.what}", error.because, error.instead
        if error.code == "QED002" and "size 0" in error.what:
            because, instead = "a constraint without numbers asks nothing of x", f"leave {name}= out"
        elif error.code == "QED002":
            because, instead = "how far a constraint is from holding is a number", _returns(name)
        raise QedError(error.code, what, because, instead, error.span, error.detail) from error
    names: list[str] = []
    tree = jax.tree_util.tree_unflatten(function.traced.out_tree, list(function.graph.outputs))
    for path, atom in jax.tree_util.tree_leaves_with_path(tree):
        where = name + jax.tree_util.keystr(path)
        if not is_real(atom.dtype):
            because = f"{where} is of dtype {atom.dtype}; how far a constraint is from holding is a number"
            raise QedError("QED002", f"{name} returns {atom.dtype}", because, _returns(name), function.span)
        names += [where + indexed(k) for k in np.ndindex(atom.shape)]
    return Rows(function, tuple(names), _dependent(function, len(names)))


def _returns(name: str) -> str:
    sign = "== 0" if name == "equality" else ">= 0"
    return f"return the floating-point numbers that have to be {sign}, without comparing them"


def _dependent(function: Function, count: int) -> Array:
    """Which rows depend on the parameters, as far as the graph tells."""
    free = set(function.traced.free)
    arrays = [None if i in free else leaf for i, leaf in enumerate(function.traced.leaves)]
    try:
        pattern = jacobian_pattern(function.graph, arrays, function.traced.free)
    except TooDense:
        return np.ones(count, bool)
    return np.diff(pattern.rows.starts) > 0


def _like(part: Rows | None, y: Array) -> Any:
    if part is None:
        return None
    tree = jax.tree_util.tree_unflatten(part.function.traced.out_tree, list(part.function.graph.outputs))
    leaves, structure = jax.tree.flatten(tree)
    found, first = [], 0
    for atom in leaves:
        size = int(np.prod(atom.shape, dtype=np.int64))
        found.append(np.asarray(y[first : first + size]).reshape(atom.shape))
        first += size
    return jax.tree.unflatten(structure, found)
