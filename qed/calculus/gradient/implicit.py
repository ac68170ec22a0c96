"""The derivative of a root by the implicit function theorem, as the reference for what `jax.lax.custom_root` says.

Where f(a, x*(a)) = 0 and J = df/dx is regular there, dx*/da = -J^-1 df/da. Newton's correction of the solution s that
the program found,

    a -> s - J^-1 f(a, s),      s and J held constant,

has exactly this derivative, and the value s where s is a root. It takes the place of the solver's body: the
derivative of the solver's steps is that of an algorithm, not of the root. One more step of Newton's method, of which
nothing is held constant, has the second derivative too, for its error is quadratic in that of the first. J is formed
densely, of f as the user wrote it, without derivative rules; what `tangent_solve` makes of it is not used.

Reference: Griewank and Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 15.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from qed.graph import jaxpr
from qed.graph.calls import Inline, Scan, While
from qed.graph.defined import library_rule
from qed.graph.dtypes import is_real
from qed.graph.graph import Equation, Graph
from qed.graph.jaxpr import Reader, evaluate
from qed.graph.replay import Place, Replay
from qed.graph.roots import root

LARGEST = 1000
"""The largest system whose Jacobian is formed."""


@final
class _Stripped(Replay):
    """A graph in its own arithmetic, without the derivative rules of the user's."""

    def opaque(self, equation: Equation, place: Place) -> bool:
        """Rules of JAX's own stay."""
        return isinstance(equation.call, Inline) and bool(equation.call.custom) and library_rule(equation.native)

    def leaf(self, equation: Equation, values: Sequence[Any], place: Place) -> Sequence[Any]:
        """The equation itself."""
        return jaxpr.bind(equation.native, values)


def implicit_body(equation: Equation, order: int = 1) -> Graph | None:
    """Newton's correction of the solution of a `custom_root` call, as a graph of the call's operands.

    None where the Jacobian is too large, where something in it is not real, or where JAX hides the equation (as where
    it is batched, in older versions, and the shapes do not tell along which axis).

    Args:
        equation: the call.
        order: 2 for a body whose second derivative is that of the root too.
    """
    found = root(equation.native)
    if found is None:
        return None
    residual, positions, count = found
    unknowns = equation.outputs[:count]
    sizes = [int(np.prod(v.shape, dtype=np.int64)) for v in unknowns]
    if sum(sizes) > LARGEST or not all(is_real(v.dtype) for v in unknowns):
        return None
    cuts = np.cumsum(sizes)[:-1].tolist()

    def joined(arrays: Sequence[Any]) -> Any:
        return jnp.concatenate([jnp.ravel(a) for a in arrays])

    def apart(x: Any) -> list[Any]:
        parts = zip(jnp.split(x, cuts), unknowns, strict=True)
        return [p.reshape(v.shape).astype(v.dtype) for p, v in parts]

    def corrected(*operands: Any) -> list[Any]:
        outs = [lax.stop_gradient(x) for x in evaluate(equation.call.graph, operands)]
        constants, solution = [operands[i] for i in positions], outs[:count]
        graph = Reader().graph(jax.make_jaxpr(lambda c, x: residual(c, x))(constants, solution))

        def function(x: Any) -> Any:
            return joined(_Stripped().run(graph, [*constants, *apart(x)])[0])

        x = joined(solution)
        jacobian = lax.stop_gradient(jax.jacfwd(function)(x))
        x = x - jnp.linalg.solve(jacobian, function(x))
        if order == 2:
            x = x - jnp.linalg.solve(jax.jacfwd(function)(x), function(x))
        return [*apart(x), *outs[count:]]

    shapes = [jax.ShapeDtypeStruct(atom.shape, atom.dtype) for atom in equation.inputs]
    try:
        return Reader().graph(jax.make_jaxpr(corrected)(*shapes))
    except (TypeError, ValueError, NotImplementedError):  # f without a forward derivative
        return None


def iterates(rule: Graph, solver: Graph) -> bool:
    """Whether the rule of a root loops where its solver does not: then its tangent solve is right to a tolerance."""
    return loops(rule) > loops(solver)


def loops(graph: Graph) -> int:
    """How many loops a graph holds, those inside of linear solves included."""
    count = 0
    for equation in graph.walk():
        count += isinstance(equation.call, Scan | While)
        if equation.primitive == "custom_linear_solve":
            parts = jaxpr.linear_solve(equation.native).values()
            count += sum(loops(inner) for inner, _ in parts if inner is not None)
    return count
