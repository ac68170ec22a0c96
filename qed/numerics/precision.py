"""How many digits a function loses at a point, in its value and in its gradient, and which equations lose them.

A program computes the right formula and the wrong number where it subtracts near numbers, adds to numbers that are too
large, or leaves the range of its format; most of it shows no NaN. Here the program is run equation by equation in its
own arithmetic, what it returns is compared with what its graph means in real numbers (`measuring.reference`), and the
difference is accounted for by local errors weighted with adjoints (`measuring.blame`). The gradient is a graph too, and
is judged in the same way: a function that is right to the last bit may have a gradient of which no digit is.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, chapters 1 to 3.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.answer import Answer
from qed.domains.box import spread_over
from qed.domains.value import Value
from qed.errors import QedError
from qed.graph.function import Function, read
from qed.graph.graph import Graph
from qed.graph.trace import is_float
from qed.graph.walk import Entry, Unknown, Walker
from qed.numerics.measuring.called import called
from qed.numerics.measuring.gradient import gradient_graph
from qed.numerics.measuring.judge import Judged, judge
from qed.numerics.measuring.question import Question, compared
from qed.numerics.measuring.result import Precision
from qed.numerics.measuring.search import OPERATIONS, POINTS, Signs, Worst, search

__all__ = ["Precision", "precision"]

THRESHOLD = 3.0
"""A value or a gradient that loses at most so many bits keeps its digits (a tenth of float32's, as Herbie counts)."""


def precision(
    fun: Callable[..., Any], x: Any, *args: Any, box: Any = None, seed: int = 0, budget: float | None = None
) -> Answer[Precision]:
    """How many bits of fun(x, *args), and of its gradient in x, are lost to rounding, and by which equations.

    Args:
        fun: ``fun(x, *args)``, written with JAX; it returns floats. Of an array each element is judged, and the
            gradient is that of the one that loses most.
        x: the point, any pytree with floating-point leaves.
        args: data.
        box: where to look for the worst point: `qed.Box(lower, upper)` or the pair; x only gives the shapes then, and
            where it lies outside of the box the answer says so.
        seed: of the search.
        budget: seconds; larger programs are compared in balls, and the search takes longer.

    Returns:
        An answer about the claim "at most 3 bits are lost". Bits lost are log2(1 + relative error / unit roundoff):
        24 is everything in float32, a correctly rounded result loses at most 1. PROVED with a certificate, REFUTED
        with the wrong number as witness, or MEASURED where only float64 is beside the program; the claim is about the
        numbers that this run returned, equation by equation, and the real-number meaning of the graph. Where a call of
        the function, compiled where it is jitted, returns a value that loses more, that is another claim, REFUTED.

    Raises:
        QedError: QED002 (no floats are returned), QED003, QED004 (x is not made of floats), QED006 (NaN in x), QED007,
            QED010.

    Example:
        >>> import jax.numpy as jnp
        >>> answer = precision(lambda x: (1 - jnp.cos(x)) / x**2, jnp.float32(1e-3))
        >>> round(answer.bits_lost), answer.bits, round(answer.gradient_bits_lost)
        (20, 24, 24)
        >>> blamed = answer.equations[0]
        >>> blamed.primitive, round(blamed.share, 2), blamed.uncovered.primitive
        ('cos', 1.0, 'sub')
    """
    from qed.numerics.measuring.words import answer

    if box is None:
        return answer(examine(fun, x, args, budget))
    function = read(fun, x, *args, scalar=False, finite=False)
    if len(function.parameters) != len(jax.tree.leaves(x)):
        raise QedError("QED007", "x holds more than floats", "a box has two ends for each number of x", "split x")
    lower, upper = spread_over(box, jax.tree.map(jnp.asarray, x))
    worst = _worst(function, args, lower, upper, seed, budget)
    at = jax.tree.unflatten(jax.tree.structure(x), [jnp.asarray(a) for a in worst.point])
    found = examine(fun, at, args, budget)
    return answer(replace(found, point=at, tried=worst.tried, seed=seed, outside=_outside(x, lower, upper)))


def _outside(x: Any, lower: Any, upper: Any) -> int:
    """How many numbers of a point lie outside of the box."""
    wide = [np.asarray(jnp.asarray(leaf)).astype(np.float64) for leaf in jax.tree.leaves(x)]
    return sum(int(np.sum(~((a <= each) & (each <= b)))) for each, a, b in zip(wide, lower, upper, strict=True))


def _worst(function: Function, args: tuple[Any, ...], lower: Any, upper: Any, seed: int, budget: float | None) -> Worst:
    """The point of a box where value or gradient lose the most bits."""
    graph, names = function.graph, _names(function)
    derived, rest = _derived(function)

    def objective(point: list[Any]) -> float | None:
        arrays = function.join([jnp.asarray(a) for a in point])
        judged = [judge(graph, arrays, names, normwise=False, blame=False)]
        if derived is not None:
            inputs = [jnp.asarray(a) for a in point] + rest
            judged.append(judge(derived, inputs, function.paths, normwise=True, blame=False))
        known = [found.bits for found in judged if found.bits is not None]
        return max(known) + 0.01 * min(known) if known else None

    example = function.join(function.parameters)
    started = judge(graph, example, names, normwise=False, blame=False)
    operations = 1.0 if started.run is None else max(1.0, started.run.operations)
    points = int(np.clip(OPERATIONS / (20 * operations), 8, POINTS)) if budget is None else 100 * POINTS
    like = [np.asarray(a) for a in function.parameters]
    return search(objective, lower, upper, like, seed, points, budget, _sums(function))


_SUMS = frozenset({"add", "add_any", "dot_general", "reduce_sum", "sub"})
LARGEST = 32
"""How many numbers of sums are looked at."""


def _sums(function: Function) -> Signs:
    """The results of the sums and differences of a program at a point: where one is 0, its terms cancel."""

    def at(point: list[Any]) -> dict[Hashable, float]:
        found: dict[Hashable, float] = {}

        def observe(entry: Entry) -> None:
            if entry.equation.primitive in _SUMS and entry.kind == "equation" and len(found) < LARGEST:
                value = entry.outputs[0].values[0]
                if not isinstance(value, Unknown) and is_float(value):
                    numbers = np.asarray(value).astype(np.float64).ravel()[: LARGEST - len(found)]
                    where = (id(entry.equation), entry.frame.path(), entry.frame.steps())
                    found.update({(*where, k): float(each) for k, each in enumerate(numbers)})

        Walker([Value()], observe).run(function.graph, function.join([jnp.asarray(a) for a in point]))
        return found

    return at


def _derived(function: Function) -> tuple[Graph | None, list[Any]]:
    """The gradient's graph with its inputs behind the parameters, for a function that returns one number."""
    if [atom.shape for atom in function.graph.outputs] != [()]:
        return None, []
    try:
        graph, inputs = gradient_graph(function.fun, function.own or function.traced, 0, ())
    except Exception:  # JAX has no gradient of it: only the value is looked at
        return None, []
    return graph, inputs[len(function.parameters) :]


def examine(
    fun: Callable[..., Any], x: Any, args: tuple[Any, ...], budget: float | None = None, threshold: float = THRESHOLD
) -> Question:
    """Judge value and gradient at a point."""
    function = read(fun, x, *args, scalar=False)
    at = jax.tree.map(lambda leaf: jnp.asarray(leaf) if is_float(leaf) else leaf, x)
    names = _names(function)
    value = judge(function.graph, function.traced.leaves, names, normwise=False, budget=budget)
    gradient, problem = _gradient(function, value, budget)
    question = Question(function, at, args, value, gradient, problem, threshold)
    return compared(replace(question, called=called(question)))


def _names(function: Function) -> list[str]:
    """A name for each output: '' where there is one."""
    tree = function.traced.out_tree
    if len(function.graph.outputs) == 1 or tree is None:
        return [""] * len(function.graph.outputs)
    numbered = jax.tree_util.tree_unflatten(tree, list(range(len(function.graph.outputs))))
    paths, _ = jax.tree_util.tree_flatten_with_path(numbered)
    return [f"value{jax.tree_util.keystr(path)}" for path, _ in paths]


def _gradient(function: Function, value: Judged, budget: float | None) -> tuple[Judged | None, str]:
    output = value.outputs[value.worst or 0]
    index = value.leaves[value.worst or 0].element
    try:
        graph, arrays = gradient_graph(function.fun, function.own or function.traced, output, index)
    except Exception as error:  # JAX has no reverse derivative of a dynamic while, of some callbacks
        line = str(error).splitlines()[0] if str(error) else ""
        return None, f"JAX has no gradient of it: {type(error).__name__}: {line}"
    return judge(graph, arrays, list(function.paths), normwise=True, budget=budget), ""
