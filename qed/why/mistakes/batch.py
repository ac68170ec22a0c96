"""Batch statistics in evaluation: the prediction of a row depends on the rows beside it.

In training, batch normalisation subtracts from a value z of each row the mean over the rows, and divides by their
deviation. In evaluation the running averages of training belong there: with the statistics of the evaluated batch the
same row gets another prediction in another company, and a batch of one row loses everything (z - mean z = 0).

In the graph of a function that is evaluated and not differentiated, a difference of z and its own mean over an axis
of rows is looked for that is divided by a statistic of the same rows and goes into a layer: a score (R^2, a
correlation, a covariance) centres too and is none. It is then evaluated with half of the rows replaced by the first:
what changes in the other half can only come from its company. Where the rows still feel each other with the statistics
held, they are meant to (attention, pooling, the moments of one series), and nothing is told.

Reference: Ioffe and Szegedy, *Batch normalization*, 2015, section 3.1 (inference).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.answer import Answer, Finding, Reason, Standing
from qed.findings import Level
from qed.graph.graph import Atom, Equation, Graph, Variable
from qed.graph.trace import Traced
from qed.why.mistakes.flat import SAME, VIEWS, Flat, compute, flatten, literal

MOVED = 1e-3
FEWEST = 4
LARGEST = 20_000
_LAYER = frozenset({"add", "conv_general_dilated", "dot_general", "mul", "sub"})
_ENDS = frozenset({"reduce_max", "reduce_min", "reduce_prod", "reduce_sum"})


@dataclass(frozen=True, eq=False)
class _Normal:
    """A difference of z and its mean over the rows, and what it is divided by; both statistics have no rows."""

    equation: Equation
    z: Variable
    mean: Variable
    deviation: Variable


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
    for output in graph.outputs:
        flat = flatten(replace(graph, outputs=(output,)), ())
        normals = [found for equation in flat.graph.equations if (found := _normal(flat, equation)) is not None]
        found = _company(flat, graph, traced, normals) if normals else None
        if found is not None:
            return [_answer(found, name)]
    return []


def _normal(flat: Flat, equation: Equation) -> _Normal | None:
    """(z - mean of z over the first axis, or that and others) / deviation, read by a layer."""
    out = equation.outputs[0]
    if equation.primitive != "sub" or len(out.shape) < 2 or out.shape[0] < FEWEST:
        return None
    z, mean = equation.inputs
    if not isinstance(z, Variable) or z.shape != out.shape or not _mean_of(flat, mean, z):
        return None
    core = flat.core(mean)
    for value, deviation in _divided(flat, out, z):
        if isinstance(core, Variable) and _in_a_layer(flat, value, out.shape[0]):
            return _Normal(equation, z, core, deviation)
    return None


def _divided(flat: Flat, difference: Variable, z: Variable) -> Iterator[tuple[Variable, Variable]]:
    """(quotient, deviation): where the difference is divided by, or multiplied with, what z gives without its rows."""
    rows = difference.shape[0]
    for user in flat.uses.get(difference, ()):
        if user.primitive in SAME:
            yield from _divided(flat, user.outputs[0], z)
        if user.primitive in ("mul", "div") and len(user.inputs) == 2:
            other = user.inputs[1] if user.inputs[0] is difference else user.inputs[0]
            core = flat.core(other)
            bare = isinstance(core, Variable) and int(np.prod(core.shape)) * rows <= int(np.prod(difference.shape))
            if bare and isinstance(core, Variable) and flat.needs(core, z):
                yield user.outputs[0], core


def _in_a_layer(flat: Flat, value: Variable, rows: int) -> bool:
    """Whether what has a value for each row meets an array that has not: weights, a scale or an offset."""
    batches = sum(1 << i for i, v in enumerate(flat.graph.inputs) if v.shape and v.shape[0] == rows)
    waiting, seen = [value], set()
    while waiting:
        value = waiting.pop()
        for user in flat.uses.get(value, ()):
            if user in seen or user.primitive in _ENDS:
                continue
            seen.add(user)
            others = [atom for atom in user.inputs if atom is not value and isinstance(atom, Variable)]
            weights = [
                atom for atom in others if np.prod(flat.core(atom).shape) > 1 and not flat.depends(atom) & batches
            ]
            if weights and user.primitive in _LAYER:
                return True
            waiting += [out for out in user.outputs if out.shape[:1] == (rows,)]
    return False


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


def _company(flat: Flat, graph: Graph, traced: Traced, normals: Sequence[_Normal]) -> _Company | None:
    """The change in the first half of the rows when the second half becomes the first row."""
    first = normals[0]
    rows, z = first.equation.outputs[0].shape[0], first.equation.outputs[0]
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
    statistics = [each for normal in normals for each in (normal.mean, normal.deviation)]
    wanted: list[Atom] = [z, flat.graph.outputs[0]]
    before, after = (compute(flat, leaves, [*wanted, *statistics]) for leaves in (traced.leaves, other))
    inside = _moved(before[0], after[0], half)
    by_row = np.ndim(before[1]) > 0 and np.shape(before[1])[0] == rows
    outside = _moved(before[1], after[1], half) if by_row else None
    if not inside > MOVED or (outside is not None and not outside > MOVED):
        return None
    held = {each: (each, lambda _, value=value: value) for each, value in zip(statistics, before[2:], strict=True)}
    if by_row and _moved(before[1], compute(flat, other, wanted, held)[1], half) > MOVED:
        return None
    return _Company(first.equation, rows, inside, outside)


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
