"""Value, gradient and Hessian as one compiled program, where the Hessian costs little beside what a call costs.

The derivative of (f, grad f) along a direction v is (grad f . v, H v). So one program that pushes the vectors s_c of
the colours of H forward through value-and-gradient,

    x -> f(x), grad f(x), H s_1, ..., H s_k,

holds all that a step of Newton's method asks, and the two sweeps that the gradient and the products share are traced,
lowered and compiled once: of small functions that takes 0.6 to 0.7 of the time of both. Each trial then pays for
its products, which is worth it where they are few and the program is short. The residuals of a sum of squares are
pushed along too, where the directions are the unit vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.compiling import made_for
from qed.calculus.hessian import MANY, cut
from qed.calculus.sparse import SparseHessian, end_to_end
from qed.graph.function import Function

Array = np.ndarray
PRODUCTS, NUMBERS = 32, 20_000
"""How many products there are at most, and how many numbers of the program times the products."""


@dataclass(frozen=True, eq=False)
class Together:
    """The program; made by `together`.

    Args:
        run: (parameters, data, directions) -> f, the arrays of grad f, a row H s_c for each direction, and a row J s_c
            of the residuals, of length 0 where there are none.
        directions: the vectors s_c, as arrays like the parameters with one axis more.
    """

    run: Callable[..., Any]
    directions: tuple[Array, ...]

    def __call__(self, parameters: Sequence[Any], data: Sequence[Any]) -> tuple[Any, tuple[Any, ...], Array, Array]:
        """f, grad f, the products and the rows of the residuals at a point."""
        f, g, products, rows = self.run(tuple(parameters), tuple(data), self.directions)
        return f, g, np.asarray(products), np.asarray(rows)


def together(
    function: Function, hessian: SparseHessian | None, residuals: Callable[..., Any] | None = None
) -> Together | None:
    """The program of a function whose Hessian is prepared; None where it would be long, or has rules of its own.

    Args:
        function: f.
        hessian: how it is read from products.
        residuals: (parameters, data) -> r, where f is a sum of squares; left out where a column of H is no product.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.calculus.sparse import sparse_hessian
        >>> from qed.graph.function import read
        >>> f = read(lambda x: x[0] ** 3 + x[1] ** 2, jnp.array([2.0, 1.0]))
        >>> value, gradient, products, _ = together(f, sparse_hessian(f))(f.parameters, f.data)
        >>> float(value), gradient[0].tolist(), products.tolist()  # no two columns have a row in common: one colour
        (9.0, [12.0, 2.0], [[12.0, 2.0]])
    """
    count = function.graph.count()
    if hessian is None or not hessian.symmetric or not 0 < hessian.products <= PRODUCTS or count > MANY:
        return None
    if function.graph.numbers() * hessian.products > NUMBERS:
        return None
    both = jax.value_and_grad(lambda p, d: function.value(p, d))
    if residuals is None or hessian.products < function.size:
        residuals = _none

    def run(parameters: Any, data: Any, directions: Any) -> Any:
        def along(direction: Any) -> Any:
            (f, g), (_, product) = jax.jvp(lambda p: both(p, data), (parameters,), (direction,))
            row = jax.jvp(lambda p: residuals(p, data), (parameters,), (direction,))[1]
            return f, g, end_to_end(product), row

        return jax.vmap(along, out_axes=(None, None, 0, 0))(directions)

    colours = np.asarray(hessian.colouring.colours)
    rows = [cut((colours == colour).astype(np.float64), function.parameters) for colour in range(hessian.products)]
    fast = made_for(function, run, sweeps=2 * hessian.products)
    return Together(fast, tuple(np.stack(parts) for parts in zip(*rows, strict=True)))


def _none(parameters: Any, data: Any) -> Any:
    """No residuals."""
    return jnp.zeros(0)
