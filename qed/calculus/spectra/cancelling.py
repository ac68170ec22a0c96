"""What rounding does to Hessian products whose terms cancel.

A product is as exact as float64 only where nothing large cancels in it. The softmax of (0, 1, 2, 30) is 1 - 3e-12 at
its last place, s (1 - s) is then 3e-12 with the rounding error of 1, and so is the Hessian of log-sum-exp. With E the
rounding errors of the product as a matrix, and random signs e and d, to first order (`qed.domains.rounding`)

    |e'E d| <= bound(e, d),     the mean of (e'E d)^2 = |E|_F^2,

where the bound adds up the sizes of all that is rounded. Signs meet every entry alike, so that the bound, which takes
each error at its largest, stands for |E|_F, by which no eigenvalue and no entry is further off (Weyl; Horn and
Johnson, *Matrix Analysis*, 2nd ed., 2013, corollary 4.3.15). What is rounded whatever the point is, as in a product
with a matrix of data, is left to the bound of whoever asks.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.hessian import unflatten
from qed.domains.rounding import rounding_bound
from qed.domains.widened import Widened, widen
from qed.graph.calls import Scan, While
from qed.graph.function import Function
from qed.graph.graph import Graph
from qed.graph.trace import trace

LONG, WIDE, TURNS = 150, 300_000, 32
"""Up to how many equations, numbers, and steps of a loop it is asked: the bound walks through all of them."""


def cancelled(function: Function) -> float:
    """By how much the Hessian products of a function, in float64, may be off at its point; 0 where it is not asked.

    >>> from qed.graph.function import read
    >>> at = lambda last: jnp.array([0.0, 1.0, 2.0, last], jnp.float32)
    >>> far, near = (cancelled(read(jax.nn.logsumexp, at(last))) for last in (30.0, 3.0))
    >>> bool(1e-16 < far < 1e-14), bool(near < 1e-13)
    (True, True)
    """
    graph = function.graph
    if graph.count() > LONG or graph.numbers() > WIDE or _turns(graph):
        return 0.0
    rng = np.random.default_rng(0)
    left, right = rng.choice([-1.0, 1.0], (2, function.size))
    with jax.enable_x64(True), np.errstate(all="ignore"):
        point = tuple(widen(p) for p in function.parameters)
        data = tuple(widen(leaf) for leaf in function.data)
        along, onto = unflatten(right, point), unflatten(left, point)

        def value(p: tuple[jax.Array, ...]) -> jax.Array:
            return Widened()(graph, function.join(p, data))[0]

        def entry(*p: jax.Array) -> jax.Array:
            bent = jax.jvp(jax.grad(value), (p,), (along,))[1]
            return sum((jnp.vdot(a, b) for a, b in zip(bent, onto, strict=True)), jnp.zeros(()))

        try:
            traced = trace(entry, *point)
            found = rounding_bound(traced.graph, traced.leaves)
        except (TypeError, ValueError, NotImplementedError):  # no product, or none that can be followed
            return 0.0
    return found or 0.0


def _turns(graph: Graph) -> bool:
    """Whether a loop is long, or does not know its length."""
    calls = [equation.call for equation in graph.walk()]
    return any(isinstance(call, While) or (isinstance(call, Scan) and call.length > TURNS) for call in calls)
