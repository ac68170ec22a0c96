"""Sparse Hessians and Jacobians: the pattern from the graph, the entries from a few products.

The pattern is found once, from the graph and the facts alone (`qed.domains.patterns`); its columns are coloured
(`qed.calculus.colouring`); then at each point the matrix is multiplied with the sum of the unit vectors of each colour,

    B = H S,   S_jc = 1 where column j has colour c,

by forward over reverse mode, several colours in one compiled call, and every entry is read from B. The number of
products is the number of colours, whatever n is; no array of n x n numbers is made.

Where a function brings a derivative rule of its own, the pattern is that of the derivative which JAX makes of the
rule (a linear function of the direction, whose graph is walked in turn), and the columns are coloured without use of
symmetry, which a rule may break.

Reference: Gebremedhin, Manne and Pothen, *What color is your Jacobian?*, SIAM Review 47, 2005.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse

from qed.calculus.colouring import Colouring, column_colouring, star_colouring
from qed.calculus.compiling import known, made_for, quickly
from qed.calculus.hessian import MANY, hessian_product, linearized
from qed.domains.index_sets import LIMIT, Sets
from qed.domains.patterns import Pattern, TooDense, hessian_pattern, jacobian_pattern
from qed.graph.calls import Inline
from qed.graph.defined import library_rule
from qed.graph.dtypes import is_real
from qed.graph.function import Function
from qed.graph.graph import Graph
from qed.graph.jaxpr import evaluate
from qed.graph.trace import trace

__all__ = ["SparseHessian", "SparseJacobian", "TooDense", "full_hessian", "sparse_hessian", "sparse_jacobian"]

Array = np.ndarray
TOGETHER = 32
"""How many products are computed in one compiled call at most."""
NUMBERS = 1 << 22
"""How many numbers the results of one call hold at most (where one product has fewer)."""
WIDE = 1 << 18
"""From how many numbers of the program on its products are computed one after the other."""
BEYOND, BLOCK = 1 << 21, 8
"""From how many numbers on they are beyond the processor's cache, and how many products share one look at them."""
MATRICES = 50
"""How many matrices are expected."""
FEW, LONGEST = 2, 4000
"""At how many points a long function is linearized before its products are compiled; equations that are never."""


@dataclass(frozen=True, eq=False)
class _Products:
    """What Hessians and Jacobians share: the pattern, its colours, and the compiled products."""

    function: Function
    pattern: Pattern
    colouring: Colouring
    run: Callable[..., Any]
    varying: bool

    @property
    def products(self) -> int:
        """How many products one matrix takes: the number of colours."""
        return self.colouring.count

    @property
    def entries(self) -> int:
        """How many entries the pattern has."""
        return self.pattern.count

    @property
    def worthwhile(self) -> bool:
        """Whether products and entries are fewer than half and a quarter of what the dense matrix takes."""
        rows, columns = self.pattern.shape
        return 2 * self.products <= min(rows, columns) and 4 * self.entries <= rows * columns

    def _compressed(self, parameters: Sequence[Any], data: Sequence[Any] | None) -> Array:
        data = self.function.data if data is None else self._allowed(data)
        colours = np.asarray(self.colouring.colours, np.int32)
        width = max(len(self.colouring.colours), len(self.pattern.rows), 1)
        together = max(1, min(self.products, TOGETHER, NUMBERS // width))
        calls = -(-self.products // together)
        together = -(-self.products // max(calls, 1)) if calls else 1
        parts = [
            np.asarray(self.run(tuple(parameters), tuple(data), colours, np.int32(first), together=together))
            for first in range(0, self.products, together)
        ]
        found = np.concatenate(parts) if parts else np.zeros((0, width), np.float32)
        return found if found.dtype == np.float64 else found.astype(np.float32)

    def _allowed(self, data: Sequence[Any]) -> Sequence[Any]:
        """Data that the pattern holds for: any floating-point numbers where it was found for varying data."""
        for new, old in zip(data, self.function.data, strict=True):
            if new is old or (self.varying and is_real(old.dtype)):
                continue
            if not np.array_equal(np.asarray(new), np.asarray(old)):
                message = "the pattern was found for other data: ask with varying=True"
                raise ValueError(message)
        return data


@dataclass(frozen=True, eq=False)
class SparseHessian(_Products):
    """A Hessian with few entries, to be evaluated at many points; made by `sparse_hessian`.

    Args:
        symmetric: whether each pair of entries is one number; False where a derivative rule is the user's.
    """

    symmetric: bool = True

    def __call__(self, parameters: Sequence[Any], data: Sequence[Any] | None = None) -> scipy.sparse.csr_array:
        """The matrix at a point.

        Args:
            parameters: arrays as `function.parameters`.
            data: arrays as `function.data`, the function's own by default.

        Returns:
            An n x n matrix, both triangles stored, the columns of each row in order. The parameters are numbered
            array by array, each in C order. Where an entry is infinite or NaN, others of its colour may be spoilt too.
        """
        return self.read(self._compressed(parameters, data))

    def read(self, products: Array) -> scipy.sparse.csr_array:
        """The matrix from its products with the sums of the unit vectors of each colour, a row each."""
        values = self.colouring.read(products if products.dtype == np.float64 else products.astype(np.float32))
        rows = self.pattern.rows
        return scipy.sparse.csr_array((values, rows.members, rows.starts), shape=self.pattern.shape)


@dataclass(frozen=True, eq=False)
class SparseJacobian(_Products):
    """A Jacobian with few entries, to be evaluated at many points; made by `sparse_jacobian`.

    Args:
        forward: whether columns are grouped (forward mode), or rows (reverse mode).
    """

    forward: bool = True

    def __call__(self, parameters: Sequence[Any], data: Sequence[Any] | None = None) -> scipy.sparse.csr_array:
        """The matrix at a point, a row for each floating-point output, as `SparseHessian` numbers its columns."""
        values = self.colouring.read(self._compressed(parameters, data))
        rows = self.pattern.rows
        if not self.forward:  # what was coloured are the columns of the transposed matrix
            rows = self.pattern.transposed().rows
            return scipy.sparse.csr_array((values, rows.members, rows.starts), shape=self.pattern.shape[::-1]).T.tocsr()
        return scipy.sparse.csr_array((values, rows.members, rows.starts), shape=self.pattern.shape)


def sparse_hessian(
    function: Function, *, varying: bool = False, most: int = LIMIT, often: bool = False
) -> SparseHessian:
    """The Hessian of a scalar function in all its parameters, prepared for many points.

    Args:
        function: a function that was read (`qed.graph.function.read`).
        varying: whether the floating-point data may change from call to call; their zeros are then not used. Integers
            and truth values have to stay as they are.
        most: the most places of the pattern, at most eight million.
        often: whether it is asked at many points, so that a long function is compiled at once.

    Raises:
        TooDense: where the pattern has more places.
        NotImplementedError: where the gradient has no derivative.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> chain = read(lambda x: jnp.sum((x[1:] - x[:-1] ** 2) ** 2), jnp.zeros(1000))
        >>> hessian = sparse_hessian(chain)
        >>> hessian.products, hessian.entries
        (3, 2998)
        >>> hessian(chain.parameters)[0, 0], hessian((jnp.ones(1000),))[[0], [0]].tolist()
        (np.float32(0.0), [8.0])
    """
    product = hessian_product(lambda p, d: function.value(p, d))
    own = _own_rules(function.graph)
    if own:
        product(function.parameters, function.data, function.parameters)  # settles whether forward mode has a rule
        pattern = _pattern_of_rule(lambda t, p, d: product(p, d, t), function, function.parameters, varying)
        if pattern.count > most:
            message = f"more than {most:,} places in the pattern of a derivative rule"
            raise TooDense(message)
        colouring = column_colouring(pattern.rows, pattern.width)
    else:
        pattern = hessian_pattern(function.graph, _fixed(function, varying), function.traced.free, most=most)
        colouring = star_colouring(pattern.rows)

    return _prepared(function, product, pattern, colouring, varying, not own, often)


def full_hessian(function: Function) -> SparseHessian:
    """The Hessian of a function of few parameters, prepared without a look at its graph: n products.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> hessian = full_hessian(read(lambda x: x[0] ** 2 + x[1], jnp.ones(2)))
        >>> hessian.products, hessian((jnp.ones(2),)).toarray().tolist()
        (2, [[2.0, 0.0], [0.0, 0.0]])
    """
    n = function.size
    rows = Sets(np.arange(0, n * n + 1, n), np.tile(np.arange(n), n))
    product = hessian_product(lambda p, d: function.value(p, d))
    own = _own_rules(function.graph)
    if own:
        product(function.parameters, function.data, function.parameters)
    colouring = column_colouring(rows, n) if own else star_colouring(rows)
    return _prepared(function, product, Pattern(rows, n), colouring, True, not own)


def _prepared(
    function: Function,
    product: Callable[..., Any],
    pattern: Pattern,
    colouring: Colouring,
    varying: bool,
    symmetric: bool,
    often: bool = False,
) -> SparseHessian:
    """A function of many equations is linearized at its first points, unless `often`; compiled if there are more."""
    count = function.graph.count()

    def by(used: Callable[..., Any]) -> Callable[..., Any]:
        def run(parameters: Any, data: Any, colours: Any, first: Any, *, together: int) -> Any:
            def one(colour: Any) -> Any:
                return end_to_end(used(parameters, data, _cut(colours == colour, parameters)))

            return jax.vmap(one)(first + jnp.arange(together, dtype=np.int32))

        return run

    if symmetric and function.graph.numbers() > WIDE and not _loops(function.graph):
        return SparseHessian(function, pattern, colouring, _one_by_one(function), varying, symmetric)
    sweeps = 2 * max(1, min(colouring.count, TOGETHER))
    compiled = made_for(function, by(product), MATRICES, sweeps, static_argnames="together")
    if symmetric and count > MANY:
        slowly = by(linearized(lambda p, d: function.value(p, d)))
        few = 0 if often else FEW
        compiled = slowly if count > LONGEST or not known() else _after_few(few, slowly, compiled)
    return SparseHessian(function, pattern, colouring, compiled, varying, symmetric)


def _loops(graph: Graph) -> bool:
    return any(equation.primitive == "while" for equation in graph.walk())


def _one_by_one(function: Function) -> Callable[..., Any]:
    """The products of a function of large arrays: linearized once, then applied to one direction after the other.

    What the directions share is computed once, and what one of them needs stays in the processor's cache. Where it
    would not, `BLOCK` directions go together: one look at the data serves them all, as one matrix product.
    """
    block = BLOCK if function.graph.numbers() > BEYOND else None

    def run(parameters: Any, data: Any, colours: Any, first: Any, *, together: int) -> Any:
        _, push = jax.linearize(lambda p: jax.grad(function.value)(p, data), parameters)

        def one(colour: Any) -> Any:
            return end_to_end(push(_cut(colours == colour, parameters)))

        return jax.lax.map(one, first + jnp.arange(together, dtype=np.int32), batch_size=block)

    return quickly(run, function.graph.count(), static_argnames="together")


def _after_few(few: int, first: Callable[..., Any], then: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is the first one, and from its call number few + 1 on the other."""
    calls = itertools.count()
    return lambda *args, **options: (first if next(calls) < few else then)(*args, **options)


def sparse_jacobian(function: Function, *, varying: bool = False) -> SparseJacobian:
    """The Jacobian of all floating-point outputs of a function in all its parameters, prepared for many points.

    Columns or rows are grouped, whichever takes fewer products.

    Args:
        function: a function that was read (with ``scalar=False`` where it returns arrays).
        varying: as for `sparse_hessian`.

    Raises:
        TooDense: where the pattern has more than eight million places.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> differences = read(lambda x: x[1:] - x[:-1] ** 2, jnp.ones(4), scalar=False)
        >>> jacobian = sparse_jacobian(differences)
        >>> jacobian.products, jacobian(differences.parameters).toarray().tolist()
        (2, [[-2.0, 1.0, 0.0, 0.0], [0.0, -2.0, 1.0, 0.0], [0.0, 0.0, -2.0, 1.0]])
    """
    chosen = [i for i, atom in enumerate(function.graph.outputs) if is_real(atom.dtype)]

    def outputs(parameters: Any, data: Any) -> tuple[Any, ...]:
        found = evaluate(function.graph, function.join(parameters, data))
        return tuple(found[i] for i in chosen)

    def push(direction: Any, parameters: Any, data: Any) -> Any:
        return jax.jvp(lambda p: outputs(p, data), (parameters,), (direction,))[1]

    def pull(direction: Any, parameters: Any, data: Any) -> Any:
        return jax.vjp(lambda p: outputs(p, data), parameters)[1](direction)[0]

    pattern, ways = _jacobian_pattern(function, chosen, push, pull, varying)
    colourings = {}
    if "push" in ways:
        colourings["push"] = column_colouring(pattern.rows, pattern.width)
    if "pull" in ways:
        colourings["pull"] = column_colouring(pattern.transposed().rows, len(pattern.rows))
    way = min(colourings, key=lambda name: colourings[name].count)
    product = push if way == "push" else pull
    like = function.parameters if way == "push" else tuple(function.graph.outputs[i] for i in chosen)

    sweeps = max(1, min(colourings[way].count, TOGETHER))

    @partial(made_for, function, calls=MATRICES, sweeps=sweeps, static_argnames="together")
    def run(parameters: Any, data: Any, colours: Any, first: Any, *, together: int) -> Any:
        def one(colour: Any) -> Any:
            return end_to_end(product(_cut(colours == colour, like), parameters, data))

        return jax.vmap(one)(first + jnp.arange(together, dtype=np.int32))

    return SparseJacobian(function, pattern, colourings[way], run, varying, way == "push")


def _jacobian_pattern(
    function: Function, chosen: Sequence[int], push: Callable[..., Any], pull: Callable[..., Any], varying: bool
) -> tuple[Pattern, tuple[str, ...]]:
    """The pattern, and the modes in which the function can be differentiated."""
    if not _own_rules(function.graph):
        free = function.traced.free
        return jacobian_pattern(function.graph, _fixed(function, varying), free, chosen), ("push", "pull")
    try:
        jax.jit(push).lower(function.parameters, function.parameters, function.data)
        return _pattern_of_rule(push, function, function.parameters, varying), ("push",)
    except (TypeError, ValueError, NotImplementedError):  # what JAX raises where a rule is for reverse mode only
        atoms = [function.graph.outputs[i] for i in chosen]
        cotangents = tuple(jnp.ones(atom.shape, atom.dtype) for atom in atoms)
        return _pattern_of_rule(pull, function, cotangents, varying).transposed(), ("pull",)


def _own_rules(graph: Graph) -> bool:
    """Whether a call in the graph has a derivative rule that is not JAX's own."""
    calls = (equation for equation in graph.walk() if isinstance(equation.call, Inline) and equation.call.custom)
    return any(equation.native is None or not library_rule(equation.native) for equation in calls)


def _fixed(function: Function, varying: bool) -> list[Any]:
    """The value of each input of the graph that stays as it is, None for the others."""
    free, last = set(function.traced.free), len(function.traced.leaves) - function.closed_over
    return [
        None if i in free or (varying and i < last and is_real(leaf.dtype)) else leaf
        for i, leaf in enumerate(function.traced.leaves)
    ]


def _pattern_of_rule(
    product: Callable[..., Any], function: Function, direction: Sequence[Any], varying: bool
) -> Pattern:
    """The pattern of a derivative as JAX makes it: that of the linear map direction -> product."""
    traced = trace(product, tuple(direction), function.parameters, function.data)
    fixed = _fixed(function, varying)
    arrays = [*([None] * (len(direction) + len(function.parameters))), *(fixed[i] for i in function.data_positions)]
    return jacobian_pattern(traced.graph, arrays, range(len(direction)))


def _cut(marks: Any, like: Sequence[Any]) -> tuple[Any, ...]:
    """A vector of truth values as arrays of zeros and ones of the given shapes and dtypes."""
    parts, start = [], 0
    for array in like:
        size = int(np.prod(array.shape, dtype=np.int64))
        parts.append(marks[start : start + size].reshape(array.shape).astype(array.dtype))
        start += size
    return tuple(parts)


def end_to_end(arrays: Sequence[Any]) -> Any:
    """Arrays as one vector."""
    return jnp.concatenate([array.ravel() for array in arrays])
