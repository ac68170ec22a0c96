"""Whether a measure holds JAX's tracers: numbers that are not known yet, under jax.grad, jax.jit or jax.vmap."""

from __future__ import annotations

from typing import Any

from qed.graph.tracers import closes_over_tracers, is_traced

__all__ = ["closes_over_tracers", "is_traced", "measure_is_traced"]


def measure_is_traced(measure: Any) -> bool:
    """Whether a number of a measure is a tracer."""
    if hasattr(measure, "factors"):
        return any(measure_is_traced(one) for one in measure.factors)
    if not hasattr(measure, "parts"):
        return is_traced(measure)
    numbers = [list(map(list, measure.atoms))]
    parts = [*measure.parts, *(part.of for part in measure.parts if part.of is not None)]
    numbers += [[part.parameters, part.lower, part.upper, part.weight] for part in parts]
    return is_traced(numbers) or any(closes_over_tracers(g) for part in parts for g in (part.log_density, part.image))
