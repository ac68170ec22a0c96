"""Hessian-vector products of a program, in its own arithmetic and in float64, counted; and what they take in memory.

In its own arithmetic a product is as fast as two gradients or so, and has its rounding errors. In float64 the *graph of
values* is differentiated: rules that the user attached to a function are not asked, and the roundings are 1e-16 of the
largest curvature. Error bars come from the latter.
"""

from __future__ import annotations

import os

import jax
import numpy as np

from qed.calculus.hessian import flatten, hessian_product, unflatten
from qed.domains.widened import Widened, is_narrow, widen
from qed.errors import QedError
from qed.findings import Finding
from qed.graph.function import Function

Array = np.ndarray
SMALL = 20_000
"""Up to so many parameters all products are made in float64."""
NOTED = 2**30
"""From so many bytes of a whole Hessian on its size is said."""


class Products:
    """v -> H v of a function at its point, for float64 vectors: the arrays of the argument laid end to end.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> products = Products(read(lambda x: jnp.sum(x**3), jnp.array([1.0, 2.0])))
    >>> products(np.ones(2)).tolist(), products.exact(np.ones(2)).tolist(), products.count
    ([6.0, 12.0], [6.0, 12.0], 2)
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        self.count = 0
        self.wide = not is_narrow(function.graph)
        equations = function.graph.count()
        self._own = hessian_product(lambda p, data: function.value(p, data), equations=equations)
        self._wide = hessian_product(
            lambda p, data: Widened()(function.graph, function.join(p, data))[0], equations=equations
        )
        with jax.enable_x64(True):
            self._point = (
                tuple(widen(p) for p in function.parameters),
                tuple(widen(leaf) for leaf in function.data),
            )

    @property
    def size(self) -> int:
        """The number of parameters."""
        return self.function.size

    @property
    def dtype(self) -> type:
        """What a basis of vectors is kept in."""
        return np.float64 if self.size <= SMALL or "64" in self.function.dtype else np.float32

    def __call__(self, vector: Array) -> Array:
        """The product for a search: in float64 where that is cheap, otherwise in the program's arithmetic."""
        return self.exact(vector) if self.size <= SMALL else self.own(vector)

    def own(self, vector: Array) -> Array:
        """The product in the program's arithmetic."""
        self.count += 1
        parameters = self.function.parameters
        return flatten(self._own(tuple(parameters), self.function.data, unflatten(vector, parameters)))

    def exact(self, vector: Array) -> Array:
        """The product in float64, where the graph allows it."""
        if not self.wide:
            return self.own(vector)
        self.count += 1
        with jax.enable_x64(True):
            point, data = self._point
            return flatten(self._wide(point, data, unflatten(vector, point)))

    def rounding(self, vector: Array) -> float:
        """|H v in the program's arithmetic - H v in float64| for a unit vector: what a search may be off by."""
        return 0.0 if self.size <= SMALL else float(np.linalg.norm(self.own(vector) - self.exact(vector)))


def in_words(number: float) -> str:
    """A size in bytes as one says it.

    >>> in_words(4 * 1e6**2), in_words(2.5e9)
    ('4.0 TB', '2.5 GB')
    """
    for unit, name in ((1e18, "EB"), (1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number:.0f} bytes"


def of_hessian(function: Function) -> float:
    """The bytes of a whole Hessian."""
    return float(function.size) ** 2 * max((p.dtype.itemsize for p in function.parameters), default=4)


def too_large_to_form(function: Function, k: int, vectors: int) -> tuple[Finding, ...]:
    """QED701, where the Hessian would be too large to form; said before anything is allocated."""
    size = of_hessian(function)
    if size < NOTED:
        return ()
    text = (
        f"{function.size:,} parameters: the Hessian would take {in_words(size)}; {k} of its eigenvalues take "
        f"{vectors} vectors of {in_words(size / function.size)} and some tens of products"
    )
    return (Finding("QED701", text),)


def room_for(function: Function, vectors: int, itemsize: int) -> None:
    """Raise QED702 where so many vectors do not fit into memory."""
    needed = float(function.size) * itemsize * vectors
    there = free_memory()
    if there is not None and needed > there:
        what = f"{vectors} vectors of {function.size:,} numbers take {in_words(needed)}"
        because = f"{in_words(there)} of memory are free"
        raise QedError(
            "QED702", what, because, "ask for fewer eigenvalues (k), or for those of a part of the parameters"
        )


def free_memory() -> float | None:
    """The bytes of memory that are free, where the system says it."""
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES")) * float(os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return None
