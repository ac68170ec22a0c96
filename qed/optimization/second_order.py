"""How the second derivative of a loss is held while it is minimised: dense, sparse, or by its products only.

=========  =======================================================  ==========================================
kind       when                                                     price of one matrix, and of one step
=========  =======================================================  ==========================================
dense      n <= 200; or n <= 1000 and the pattern is not sparse     products = colours; n^3/3 operations
sparse     the pattern takes at most n/2 products and n^2/4 places  products = colours; the fill of L
products   else                                                     none; a product for each conjugate direction
=========  =======================================================  ==========================================

Of more than 16 parameters even a dense matrix is filled from as many products as its pattern has colours. Reference:
Nocedal and Wright, *Numerical Optimization*, 2006, ch. 7 (large problems) and 8 (derivatives by graph colouring).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from qed.calculus.hessian import flatten, hessian_product, unflatten
from qed.calculus.sparse import SparseHessian, TooDense, full_hessian, sparse_hessian
from qed.domains.cost import count
from qed.errors import QedError
from qed.graph.function import Function
from qed.optimization.factorisation import Matrix
from qed.optimization.trust_region import ModelStep, conjugate_step, exact_step

Array = np.ndarray
FEW = 16
"""Up to so many parameters the pattern is not looked for: that takes longer than the products that it saves."""
SMALL, MEDIUM = 200, 1000
"""Up to so many parameters a dense matrix is factorised: always; if the pattern is not sparse."""
LARGEST = 5000
"""Up to so many parameters a dense matrix is made where it is asked for."""
DEAR = 2e9
"""From so many operations on, a second or so, a Hessian is not made at each step, and not twice at a point."""
PATTERN = 1e10
"""From so many operations of a whole dense Hessian of SMALL on, its pattern, which takes as long to find, is not."""
MOST = 1 << 22
"""How many entries a sparse matrix has at most."""


@dataclass(frozen=True, eq=False)
class SecondOrder:
    """The second derivative of a loss, to be used at many points; made by `second_order`.

    Args:
        kind: 'dense', 'sparse' or 'products'.
        why: the choice, in a sentence.
        hessian: the matrix at a point, where it is held.
        product: (parameters, data, direction) -> H direction, tuples of arrays; where nothing is held.
        function: the loss.
    """

    kind: str
    why: str
    hessian: SparseHessian | None
    product: Callable[..., Any]
    function: Function

    def matrix(self, parameters: Sequence[Any]) -> Matrix:
        """H at a point, float64, dense or sparse.

        Raises:
            ValueError: where it is not held (kind 'products').
        """
        if self.hessian is None:
            message = "the matrix is known by its products only"
            raise ValueError(message)
        return self.held(self.hessian(parameters))

    def held(self, matrix: scipy.sparse.csr_array) -> Matrix:
        """The matrix in the form in which it is held, symmetric, in float64."""
        assert self.hessian is not None
        found: Any = matrix.astype(np.float64)
        if not self.hessian.symmetric:
            found = (found + found.T) / 2
        return found.toarray() if self.kind == "dense" else scipy.sparse.csr_array(found)

    def step(
        self, parameters: Sequence[Any], gradient: Array, radius: float, *, matrix: Matrix | None = None
    ) -> ModelStep:
        """The step of the second-order model in a ball around a point.

        Args:
            parameters: the point, as `function.parameters`.
            gradient: there, as one vector.
            radius: of the ball.
            matrix: H there, where it is known already (a step was refused and the radius is smaller).
        """
        if self.kind != "products":
            return exact_step(self.matrix(parameters) if matrix is None else matrix, gradient, radius)

        def product(direction: Array) -> Array:
            vectors = unflatten(direction, self.function.parameters)
            return flatten(self.product(tuple(parameters), self.function.data, vectors))

        size = float(np.linalg.norm(gradient))
        return conjugate_step(product, gradient, radius, tolerance=min(0.1, np.sqrt(size)))


def second_order(function: Function, often: bool = False) -> SecondOrder:
    """How to hold the second derivative of a loss that was read; `often`: it is asked at many points.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> second_order(read(lambda x: jnp.sum((x[1:] - x[:-1] ** 2) ** 2), jnp.zeros(5000))).why
        'the Hessian of 5,000 parameters has 14,998 entries other than zero, read from 3 products'
        >>> second_order(read(lambda x: jnp.sum(x) ** 4, jnp.zeros(5000))).kind
        'products'
    """
    product = hessian_product(lambda p, d: function.value(p, d), equations=function.graph.count())
    n = function.size
    try:
        if n <= FEW or (n <= SMALL and n * count(function.graph, function.traced.free).sweep > PATTERN):
            raise TooDense
        hessian = sparse_hessian(function, most=n * n if n <= MEDIUM else min(n * n // 4, MOST), often=often)
    except TooDense as error:
        if n > MEDIUM:
            why = f"the Hessian of {n:,} parameters is too dense: {error}"
            return SecondOrder("products", why, None, product, function)
        hessian = full_hessian(function)
    if n > SMALL and hessian.worthwhile:
        why = f"the Hessian of {n:,} parameters has {hessian.entries:,} entries other than zero"
        return SecondOrder("sparse", f"{why}, read from {hessian.products:,} products", hessian, product, function)
    if n <= MEDIUM:
        why = f"the Hessian of {n:,} parameters can be factorised as it is, read from {hessian.products:,} products"
        return SecondOrder("dense", why, hessian, product, function)
    why = f"the Hessian of {n:,} parameters would take {hessian.products:,} products and {hessian.entries:,} numbers"
    return SecondOrder("products", why, None, product, function)


def held_as(function: Function, kind: str) -> SecondOrder:
    """The second derivative held as it is asked for: 'dense' or 'products'.

    Raises:
        QedError: QED007 where a dense matrix would have more than 5000 rows.
    """
    n = function.size
    product = hessian_product(lambda p, d: function.value(p, d), equations=function.graph.count())
    if kind == "products":
        return SecondOrder("products", "as asked for", None, product, function)
    if n > LARGEST:
        because = f"its factors would take {n**3 / 3:.1g} operations a step"
        raise QedError("QED007", f"a dense Hessian of {n:,} parameters", because, "method='newton' or 'trust-krylov'")
    return SecondOrder("dense", "as asked for", full_hessian(function), product, function)
