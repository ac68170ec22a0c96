"""Whether the error of a wrong rule reaches the gradient at all.

A backward pass multiplies what a rule returns by the cotangent that arrives from the loss. Where that is exactly zero
(the dropped side of a `where`, a factor 0) the rule may be as wrong as it likes: this gradient is right, and the
fault is latent. The cotangent is the derivative of the loss in a number added to the call's result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.gradient.kept import Kept
from qed.calculus.gradient.sites import opened
from qed.calculus.gradient.survey import Record
from qed.domains.widened import Widened, compiled, widen
from qed.graph.function import Function
from qed.graph.graph import Equation
from qed.graph.replay import Place


def cotangents(function: Function, record: Record, kept: Kept) -> list[np.ndarray] | None:
    """What arrives at a site from the loss, summed over loop steps; None where that cannot be differentiated."""
    site = record.local.site

    def value(added: Sequence[Any], arrays: Sequence[Any]) -> Any:
        def keep(equation: Equation, place: Place) -> Any:
            if place.at(equation) != site.key:
                return kept(equation, place)

            def shifted(widened: Widened, values: Sequence[Any]) -> list[Any]:
                solve = site.kind == "solve"
                outs = list(Widened(kept).leaf(equation, values, place) if solve else Widened(kept)(site.body, values))
                for j, extra in zip(site.outputs, added, strict=True):
                    outs[j] = outs[j] + extra
                return outs

            return shifted

        return Widened(keep, opened)(function.graph, arrays)[0]

    zeros = [np.zeros(shape) for shape in record.local.shapes[1]]
    arrays = list(function.traced.leaves)
    try:
        found = compiled(lambda added, arrays: jax.grad(value)(added, [widen(a) for a in arrays]))(zeros, arrays)
    except (TypeError, ValueError, NotImplementedError):  # a body without a reverse derivative before the site
        return None
    return [np.asarray(c) for c in found]


def passes(function: Function, record: Record, kept: Kept, seed: int = 0) -> bool:
    """Whether the difference between the rule and its body, met by the real cotangent, is other than zero."""
    arriving = cotangents(function, record, kept)
    if arriving is None:
        return True
    if not any(c.any() for c in arriving):
        return False
    local = record.local
    if local.site.kind == "solve" or not local.elementwise or not all(np.isfinite(c).all() for c in arriving):
        return True

    def effect(inputs: Any, cts: Any) -> Any:
        probe = local.probe(seed)
        if local.linear_in == "c":
            probe = {**probe, "c": cts}
        found, expected = local.found(inputs, probe)[1], local.expected(inputs, probe)[0]
        weights = cts if local.linear_in == "v" else [jnp.ones_like(e) for e in expected]
        gaps = [jnp.abs((f - e) * w) for f, e, w in zip(found, expected, weights, strict=True)]
        sizes = [jnp.abs(e * w) + jnp.abs(f * w) for f, e, w in zip(found, expected, weights, strict=True)]
        return [
            jnp.max(jnp.where(g > local.tolerance * s, g, 0.0), initial=0.0) for g, s in zip(gaps, sizes, strict=True)
        ]

    return any(float(part) != 0.0 for part in compiled(effect)(list(record.inputs), arriving))
