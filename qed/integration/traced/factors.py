"""A measure on the line as points and weights that JAX can trace: atoms, whole numbers, densities."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from qed.domains.counts import COUNTS
from qed.errors import QedError
from qed.integration.images import base_of
from qed.integration.measure import Measure, Part
from qed.integration.traced.lines import LINES, Line, about_mode, length
from qed.integration.traced.quadrature import nodes
from qed.integration.traced.switches import switches

COUNTED = 2**12
"""How many whole numbers of an infinite law are added up."""
ENDED = 20.0
"""By how much the logarithm of the last mass has to lie below the largest one."""
Difference = Callable[[Any], Any]


def points(measure: Measure, count: int, h: Difference | None) -> tuple[Any, Any]:
    """Points of a measure and the logarithms of their weights, as many panels as `count` for a density."""
    found = [_of_part(part, count, h) for part in measure.parts]
    for x, weight in measure.atoms:
        found.append((jnp.asarray(x, jnp.result_type(float))[None], jnp.log(_number(weight))[None]))
    xs, logs = zip(*found, strict=True)
    return jnp.concatenate(xs), jnp.concatenate([jnp.broadcast_to(a, x.shape) for a, x in zip(logs, xs, strict=True)])


def centre(measure: Measure) -> Any:
    """A point of the support."""
    if not measure.parts:
        return jnp.asarray(measure.atoms[0][0], jnp.result_type(float))
    x, logs = _of_part(measure.parts[0], 8, None)
    return jax.lax.stop_gradient(x[jnp.argmax(logs)])


def _number(weight: Any) -> Any:
    """A weight, a fraction or a tracer, as a number of JAX."""
    return jnp.asarray(weight if hasattr(weight, "dtype") else float(weight), jnp.result_type(float))


def _of_part(part: Part, count: int, h: Difference | None) -> tuple[Any, Any]:
    base, image = base_of(part)
    if image is not None:
        x, logs = _of_part(base, count, _before(image, base, h))
        return jax.vmap(image)(x), logs
    if part.counting:
        x, logs = _counted(part)
    elif part.log_density is not None:
        u = jax.vmap(part.log_density)
        x, logs = nodes(about_mode(u, part.lower, part.upper), 2 * count, h)
        logs = logs + u(x)
        logs = logs - jax.scipy.special.logsumexp(logs) if part.probability else logs
    else:
        x, logs = nodes(line_of(part), count, h)
    return x, logs + jnp.log(_number(part.weight))


def _before(image: Callable[[Any], Any], base: Part, h: Difference | None) -> Difference | None:
    """The differences that change their signs at corners of the map, and those of h after it."""
    start, logs = _of_part(base, 8, None)
    own = switches(image, jax.lax.stop_gradient(start[jnp.argmax(logs)]))
    found = [one for one in (own, None if h is None else lambda x: h(image(x))) if one is not None]
    return (lambda x: jnp.concatenate([one(x) for one in found])) if found else None


def line_of(part: Part) -> Line:
    """The substitution of a named part."""
    if part.cut:
        what, because = f"a part of {part.family} is traced", "no substitution is known for a law that is cut"
        raise QedError("QED007", what, because, "give concrete parameters, or where(inside, f, 0) under the whole law")
    if not part.probability:
        return length(part.lower, part.upper)
    parameters = tuple(jnp.asarray(value, jnp.result_type(float)) for value in part.parameters)
    if part.family not in LINES:
        what, because = f"{part.family} has traced parameters", "no substitution is known for it"
        raise QedError("QED007", what, because, f"known are {', '.join(sorted(LINES))}")
    return LINES[part.family](*parameters)


def log_counted(u: Callable[[Any], Any], part: Part) -> Any:
    """The logarithm of the sum of exp(u(k)) m(k), m the masses of a law, or 1; NaN where more terms matter."""
    if part.family in COUNTS or part.upper - part.lower < COUNTED:
        k, logs = _counted(part)
    else:
        k = part.lower + jnp.arange(COUNTED, dtype=jnp.result_type(float))
        logs = jnp.zeros_like(k)
    terms = jax.vmap(u)(k) + logs
    unseen = (part.upper - part.lower >= COUNTED) & ~(terms[-1] < jnp.max(terms) - ENDED)
    return jax.scipy.special.logsumexp(jnp.where(unseen, math.nan, terms))


def _counted(part: Part) -> tuple[Any, Any]:
    """Whole numbers from the lower end on."""
    if part.family not in COUNTS and not (part.upper - part.lower < COUNTED):
        what, because = "an infinite sum has traced parameters", "its terms have no law that says where they end"
        raise QedError("QED007", what, because, "give concrete parameters, or a finite range")
    k = part.lower + jnp.arange(COUNTED, dtype=jnp.result_type(float))
    inside = k <= part.upper
    kept = jnp.where(inside, k, part.lower)
    logs = jnp.zeros_like(k) if part.family not in COUNTS else COUNTS[part.family].log_mass(kept, *part.parameters)
    logs = jnp.where(inside, logs, -math.inf)
    if part.upper - part.lower < COUNTED:
        return kept, logs
    unseen = logs[-1] > jnp.max(logs) - ENDED  # NaN, and no number that lacks what lies beyond
    return kept, jnp.where(unseen, math.nan, logs)
