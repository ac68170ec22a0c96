"""What a call of the function returns, beside what its equations return one by one.

What is jitted, and every loop, is compiled as a whole, and a compiler may fuse roundings, reorder sums and divide by
multiplying: p - p / (p + 1) p keeps its digits equation by equation, and at p = 1e7 none of them as XLA compiles it for
a CPU. No equation of the program is to blame for that, and whoever calls the function gets it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax

from qed.graph.dtypes import as_wide
from qed.numerics.measuring.judge import Judged, leaf_of
from qed.numerics.measuring.question import Question

MORE = 1.0
"""A call is told of where it loses so many bits more than the run."""


def called(question: Question) -> Judged | None:
    """The value that a call returns, judged; None where the run tells as much, or where nothing is known in balls.

    Args:
        question: with its value judged.
    """
    value = question.value
    if value.enclosed is None or value.run is None or value.bits is None:
        return None
    at, args = jax.tree.map(_copied, (question.at, question.args))
    returned = tuple(jax.tree.leaves(question.function.fun(at, *args)))
    expected = value.run.results
    if [(a.shape, a.dtype) for a in map(as_wide, returned)] != [(a.shape, a.dtype) for a in map(as_wide, expected)]:
        return None
    found = [
        leaf_of(leaf.path, returned[k], value.enclosed, k, normwise=False)
        for k, leaf in zip(value.outputs, value.leaves, strict=True)
    ]
    leaves = tuple(leaf for leaf, _ in found)
    worst = max(range(len(leaves)), key=lambda i: leaves[i].bits_lost or 0.0)
    judged = replace(
        value,
        leaves=leaves,
        bounds=tuple(ends for _, ends in found),
        worst=worst,
        account=None,
        run=replace(value.run, returned=returned),
    )
    assert judged.bits is not None
    return judged if judged.bits > max(question.threshold, value.bits + MORE) else None


def _copied(leaf: Any) -> Any:
    """An array that a call may take the memory of, as one does that donates its arguments."""
    return leaf.copy() if isinstance(leaf, jax.Array) else leaf
