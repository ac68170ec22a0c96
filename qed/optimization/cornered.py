"""Whether a program may have corners or jumps between its parameters and its value: read from its equations.

A maximum, an absolute value, a comparison may have one; where it is taken of integers or data it moves nothing. Three
more have none, though equations of that kind are met: log(e^a + e^b) is smooth however it is written by
`jax.numpy.logaddexp`; what goes through `stop_gradient` only, as the largest score of a softmax that is taken off
all of them, changes no value where gradients are right, and wrong ones are told elsewhere; and |u| is u for a sum of
exponentials. A step, though stopped, is one: a straight-through estimator jumps.

A softmax written by hand takes the largest score off, too, with its derivative: z - max z, then log sum exp. That the
value does not depend on what is taken off is no matter of single equations; it is seen by changing the largest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, final

import jax
import numpy as np

from qed import facts
from qed.calculus.compiling import made_for
from qed.calculus.stopped import moved_by
from qed.domains.widened import Widened, compiled
from qed.graph.dtypes import is_real
from qed.graph.function import Function
from qed.graph.graph import Equation, Graph, Variable
from qed.graph.replay import Place

CALLS = ("jit", "pjit", "closed_call")
"""Primitives that run the graph that they hold, once."""
SMOOTH = ("logaddexp", "logaddexp2", "log_ndtr")
"""Functions of JAX's own that are smooth, with a rule for their derivative, written with maxima and choices."""
LARGEST = ("reduce_max", "reduce_min")
"""Primitives that pick one of several numbers."""
CHANGE, SCALES, ROUNDINGS = 0.1, (0.0, 0.1, 1.0, 3.0), 256.0
"""By which part they are changed, how far from the parameters, and how many roundings are no change of the value."""
CONTINUOUS = ("max", "min", "abs", "reduce_max", "reduce_min", "cummax", "cummin", "is_finite")
"""Primitives with corners and no jumps between finite numbers."""
KEEP_SIGN = (
    "reduce_sum",
    "broadcast_in_dim",
    "reshape",
    "squeeze",
    "transpose",
    "add",
    "mul",
    "max",
    "reduce_max",
    "abs",
)
"""Primitives whose value is positive where all operands are."""


def has_corners(function: Function) -> bool:
    """Whether a function that was read may have corners or jumps in its parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> def by_hand(w):
        ...     z = w - jnp.max(w)
        ...     return jnp.log(jnp.sum(jnp.exp(z))) - z[0]
        >>> has_corners(read(by_hand, jnp.ones(3))), has_corners(read(lambda w: jnp.max(w) * w[0], jnp.ones(3)))
        (False, True)
    """
    graph = function.graph
    free = [graph.inputs[i] for i in function.traced.free]
    if not cornered(graph, free):
        return False
    return cornered(graph, free, largest=False) or not _blind(function)


def _blind(function: Function) -> bool:
    """Whether the value is the same, in float64 at some points, when its largest and least numbers are changed."""
    graph, draw = function.graph, np.random.default_rng(0)

    def values(leaves: Any, by: Any) -> Any:
        return tuple(Changed(by)(graph, function.join(leaves))[0] for by in (0.0 * by, by))

    run = compiled(values, lambda fun: made_for(function, fun, calls=len(SCALES)))
    for scale in SCALES:
        at = [np.asarray(p) + scale * (1 + np.abs(p)) * draw.standard_normal(p.shape) for p in function.parameters]
        try:
            here, there = (float(value) for value in run(at, np.float64(CHANGE)))
        except (TypeError, ValueError, NotImplementedError):  # what JAX raises where a rule is missing
            return False
        if not abs(here - there) <= ROUNDINGS * np.finfo(np.float64).eps * max(1.0, abs(here)):
            return False
    return True


@final
class Changed(Widened):
    """A graph in float64 in which the largest and the least numbers of arrays are changed, each by another amount."""

    def __init__(self, by: Any) -> None:
        super().__init__()
        self.by = by

    def leaf(self, equation: Equation, values: Sequence[Any], place: Place) -> Sequence[Any]:
        """An equation in float64, and what it gives changed."""
        outs = super().leaf(equation, values, place)
        if equation.primitive not in LARGEST:
            return outs
        return [moved_by(out, self.by) if is_real(out.dtype) else out for out in outs]


def cornered(graph: Graph, varying: Iterable[Variable], largest: bool = True) -> bool:
    """Whether a corner or a jump may be met where some of the inputs vary.

    Within loops and branches everything is taken to vary. With `largest` false those of the largest and the least of
    several numbers are left out.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> def scores(w):
        ...     return jnp.sum(jax.nn.log_softmax(w)) + jnp.sum(jax.nn.softplus(w)) + jax.nn.logsumexp(w)
        >>> def straight(w):
        ...     return jnp.sum(w + jax.lax.stop_gradient(jnp.round(w) - w))
        >>> for f in (scores, straight, lambda w: jnp.max(w), lambda w: jnp.sum(jax.nn.relu(w))):
        ...     graph = read(f, jnp.ones(3)).graph
        ...     cornered(graph, graph.inputs[:1])
        False
        True
        True
        True
    """
    return _met(graph, set(varying), set(), largest)


def _met(graph: Graph, varying: set[Variable], positive: set[Variable], largest: bool) -> bool:
    felt = _felt(graph)
    for equation in graph.equations:
        moves = [isinstance(atom, Variable) and atom in varying for atom in equation.inputs]
        if not any(moves) or (getattr(equation.call, "custom", "") and equation.call.name in SMOOTH):
            varying.update(equation.outputs if any(moves) else ())
            continue
        stopped = not any(made in felt for made in equation.outputs)
        above = all(atom in positive or _is_positive(atom) for atom in equation.inputs)
        if equation.primitive == "is_finite" and stopped:
            continue
        varying.update(equation.outputs)
        if equation.primitive == "exp" or (equation.primitive in KEEP_SIGN and above):
            positive.update(equation.outputs)
        graphs = () if equation.call is None else equation.call.graphs
        if equation.primitive in CALLS and len(graphs) == 1 and len(graphs[0].inputs) == len(moves):
            inner = {variable for variable, move in zip(graphs[0].inputs, moves, strict=True) if move}
            if _met(graphs[0], inner, set(), largest):
                return True
            continue
        smooth = (stopped and equation.primitive in CONTINUOUS) or (above and equation.primitive in ("abs", "sign"))
        smooth = smooth or (not largest and equation.primitive in LARGEST)
        if may_have_a_corner(equation) and not smooth and (equation.primitive != "select_n" or moves[0]):
            return True
        if any(may_have_a_corner(each) for part in graphs for each in part.walk()):
            return True
    return False


def _is_positive(atom: object) -> bool:
    value = getattr(atom, "value", None)
    return isinstance(value, int | float) and value > 0


def _felt(graph: Graph) -> set[Variable]:
    """The variables whose derivatives reach an output."""
    felt = {atom for atom in graph.outputs if isinstance(atom, Variable)}
    for equation in reversed(graph.equations):
        if equation.primitive != "stop_gradient" and any(made in felt for made in equation.outputs):
            felt.update(atom for atom in equation.inputs if isinstance(atom, Variable))
    return felt


def may_have_a_corner(equation: Equation) -> bool:
    """Whether an equation between floating-point numbers may have a corner or a step."""
    given, made = (
        any(jax.numpy.issubdtype(atom.dtype, jax.numpy.floating) for atom in atoms)
        for atoms in (equation.inputs, equation.outputs)
    )
    if equation.primitive == "convert_element_type":
        return given and not made
    return (given or made) and facts.may_have_corners(equation.primitive)
