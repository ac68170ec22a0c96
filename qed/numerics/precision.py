"""How many digits a function loses at a point, in its value and in its gradient, and which equations lose them.

A program computes the right formula and the wrong number where it subtracts near numbers, adds to numbers that are too
large, or leaves the range of its format; most of it shows no NaN. Here the program is run equation by equation in its
own arithmetic, what it returns is compared with what its graph means in real numbers (`measuring.reference`), and the
difference is accounted for by local errors weighted with adjoints (`measuring.blame`). The gradient is a graph too, and
is judged in the same way: a function that is right to the last bit may have a gradient of which no digit is.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, chapters 1 to 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from qed.answer import Answer
from qed.errors import QedError
from qed.graph.function import Function, read
from qed.graph.trace import is_float, trace
from qed.numerics.measuring.gradient import gradient_graph
from qed.numerics.measuring.judge import Judged, judge
from qed.numerics.measuring.question import Question, compared
from qed.numerics.measuring.result import Precision

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
        box: where to look for the worst point: `qed.Box(lower, upper)` or the pair; x only gives the shapes then.
        seed: of the search.
        budget: seconds; larger programs are compared in balls, and the search takes longer.

    Returns:
        An answer about the claim "at most 3 bits are lost". Bits lost are log2(1 + relative error / unit roundoff):
        24 is everything in float32, a correctly rounded result loses at most 1. PROVED with a certificate, REFUTED
        with the wrong number as witness, or MEASURED where only float64 is beside the program; the claim is about the
        numbers that this run returned, equation by equation, and the real-number meaning of the graph.

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

    if box is not None:
        raise QedError("QED009", "box= is not answered yet", "the search is not built", "give a point")
    return answer(examine(fun, x, args, budget))


def examine(
    fun: Callable[..., Any], x: Any, args: tuple[Any, ...], budget: float | None = None, threshold: float = THRESHOLD
) -> Question:
    """Judge value and gradient at a point."""
    function = read(fun, x, *args, scalar=False)
    at = jax.tree.map(lambda leaf: jnp.asarray(leaf) if is_float(leaf) else leaf, x)
    names = _names(function)
    value = judge(function.graph, function.traced.leaves, names, normwise=False, budget=budget)
    gradient, problem = _gradient(function, at, args, value, budget)
    return compared(Question(function, at, args, value, gradient, problem, threshold))


def _names(function: Function) -> list[str]:
    """A name for each output: '' where there is one."""
    tree = function.traced.out_tree
    if len(function.graph.outputs) == 1 or tree is None:
        return [""] * len(function.graph.outputs)
    numbered = jax.tree_util.tree_unflatten(tree, list(range(len(function.graph.outputs))))
    paths, _ = jax.tree_util.tree_flatten_with_path(numbered)
    return [f"value{jax.tree_util.keystr(path)}" for path, _ in paths]


def _gradient(
    function: Function, at: Any, args: tuple[Any, ...], value: Judged, budget: float | None
) -> tuple[Judged | None, str]:
    output = value.outputs[value.worst or 0]
    index = value.leaves[value.worst or 0].element
    try:
        graph, arrays = gradient_graph(function.fun, trace(function.fun, at, *args), output, index)
    except Exception as error:  # JAX has no reverse derivative of a dynamic while, of some callbacks
        line = str(error).splitlines()[0] if str(error) else ""
        return None, f"JAX has no gradient of it: {type(error).__name__}: {line}"
    return judge(graph, arrays, list(function.paths), normwise=True, budget=budget), ""
