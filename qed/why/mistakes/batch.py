"""Batch statistics in evaluation: the prediction of a row depends on the rows beside it.

In training, batch normalisation subtracts from a value z of each row the mean over the rows, and divides by their
deviation. In evaluation the running averages of training belong there: with the statistics of the evaluated batch the
same row gets another prediction in another company, and a batch of one row loses everything (z - mean z = 0).

In the graph of a function that is evaluated and not differentiated, a difference of z and its own mean over an axis
of rows is looked for. It is then evaluated twice, the second time with half of the rows replaced by the first: what
changes in the other half, in the difference and in what the function returns, can only come from its company.

Reference: Ioffe and Szegedy, *Batch normalization*, 2015, section 3.1 (inference).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.answer import Answer, Finding, Reason, Standing
from qed.findings import Level
from qed.graph.graph import Atom, Equation, Graph, Variable
from qed.graph.trace import Traced
from qed.why.mistakes.flat import VIEWS, Flat, compute, flatten, literal

MOVED = 1e-3
FEWEST = 4
LARGEST = 20_000


@dataclass(frozen=True, eq=False)
class _Company:
    """What the rows that stay do when the others change: of their normalised value, and of the outputs by row."""

    equation: Equation
    rows: int
    inside: float
    outside: float | None


def statistics_of_the_batch(traced: Traced, name: str) -> list[Answer[Any]]:
    """Batch statistics in a function that is evaluated (QED416).

    Args:
        traced: the function at the arrays that it was called with.
        name: its name.
    """
    graph = traced.graph
    if graph.count() > LARGEST:
        return []
    for k, output in enumerate(graph.outputs):
        flat = flatten(replace(graph, outputs=(output,)), ())
        for equation in flat.graph.equations:
            if _is_centred(flat, equation):
                found = _company(flat, graph, traced, equation, k)
                if found is not None:
                    return [_answer(found, name)]
    return []


def _is_centred(flat: Flat, equation: Equation) -> bool:
    """Whether the equation is z - mean of z over the first axis, or that and others."""
    if equation.primitive != "sub" or len(equation.outputs[0].shape) < 2 or equation.outputs[0].shape[0] < FEWEST:
        return False
    z, mean = equation.inputs
    return isinstance(z, Variable) and z.shape == equation.outputs[0].shape and _mean_of(flat, mean, z)


def _mean_of(flat: Flat, atom: Atom, z: Variable) -> bool:
    made = flat.maker(flat.core(atom))
    if made is None or made.primitive not in ("div", "mul"):
        return False
    total = flat.maker(flat.core(made.inputs[0]))
    known = literal(made.inputs[1])
    if total is None or total.primitive != "reduce_sum" or known is None:
        return False
    axes = {int(axis) for axis in total.params["axes"]}
    count = int(np.prod([total.inputs[0].shape[axis] for axis in axes]))
    divided = known == count if made.primitive == "div" else abs(known * count - 1) < 1e-6
    same = flat.core(total.inputs[0], VIEWS) is flat.core(z, VIEWS)
    return 0 in axes and divided and same and total.inputs[0].shape == z.shape


def _company(flat: Flat, graph: Graph, traced: Traced, equation: Equation, output: int) -> _Company | None:
    """The change in the first half of the rows when the second half becomes the first row."""
    rows, z = equation.outputs[0].shape[0], equation.outputs[0]
    batches = [
        i
        for i, variable in enumerate(graph.inputs)
        if variable.shape and variable.shape[0] == rows and len(variable.shape) > 1 and flat.depends(z) >> i & 1
    ]
    if len(batches) != 1:
        return None
    half = rows // 2
    array = jnp.asarray(traced.leaves[batches[0]])
    other = list(traced.leaves)
    other[batches[0]] = array.at[half:].set(array[0])
    wanted: list[Atom] = [z, flat.graph.outputs[0]]
    before, after = (compute(flat, leaves, wanted) for leaves in (traced.leaves, other))
    inside = _moved(before[0], after[0], half)
    by_row = np.ndim(before[1]) > 0 and np.shape(before[1])[0] == rows
    outside = _moved(before[1], after[1], half) if by_row else None
    if not inside > MOVED or (outside is not None and not outside > MOVED):
        return None
    return _Company(equation, rows, inside, outside)


def _moved(before: Any, after: Any, half: int) -> float:
    """The largest change in the first rows, relative to their size; of whole numbers the share of those that change."""
    if not jnp.issubdtype(jnp.result_type(before), jnp.floating):
        return float((np.asarray(before)[:half] != np.asarray(after)[:half]).mean())
    a, b = (np.asarray(x)[:half].astype(np.float64) for x in (before, after))
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return 0.0
    return float(np.abs(a - b).max(initial=0.0)) / (float(np.abs(a).max(initial=0.0)) or 1.0)


def _answer(found: _Company, name: str) -> Answer[Any]:
    text = f"{name} is evaluated with the statistics of the evaluated batch: a row's result depends on the other rows"
    changed = found.inside if found.outside is None else found.outside
    what = "its normalised value" if found.outside is None else "its result"
    reason = Reason(
        "evaluated in another company",
        formula="z - mean over rows of z",
        text=f"with half of the {found.rows} rows replaced by the first, {what} in the other half changes by "
        f"{100 * changed:.3g} %",
        predicted="no change",
        observed=changed,
        standing=Standing.MEASURED,
    )
    finding = Finding(
        "QED416",
        text,
        found.equation.span,
        {"rows": found.rows, "inside": found.inside, "outside": found.outside, "note": "the mean over the rows"},
        Level.NOTE if found.outside is None else None,
    )
    grave = found.outside is not None
    return Answer(
        f"a row's result in {name} depends on that row alone",
        Standing.REFUTED if grave else Standing.MEASURED,
        reasons=(reason,),
        findings=(finding,),
        recheck=lambda: changed > MOVED,
    )
