"""Where a program of one number takes another way: its comparisons, floors, remainders and whole numbers change there.

A function that jumps or has a corner at b is smooth on both sides. A proof that is cut at

    b - d,  b - e,  b + e,  b + d        with e much smaller than d, and d than the pieces beside it

needs no halving to find b: between b - e and b + e the range of the integrand is all that is asked. The places are
found in float64 on a grid, by halving, and believed by nobody. Reference: Davis and Rabinowitz, *Methods of Numerical
Integration*, Academic Press 1984, section 2.12 (integrands with singularities).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from qed.certificates.certificate import placed
from qed.certificates.gamma_sign import signs_read
from qed.domains.widened import Widened, widen
from qed.errors import QedError
from qed.graph.calls import Inline
from qed.graph.dtypes import is_extended, is_real
from qed.graph.graph import Equation
from qed.graph.replay import Place, Records
from qed.graph.trace import Traced
from qed.integration.hinges import JUMPS

CORNERS = frozenset({"abs", "clamp", "max", "min"})
"""The primitives that have a corner."""
GRID = 2**11
"""Points of the grid."""
MOST = 24
"""How many places are told: where the density is largest."""
HALVINGS, ROUNDS = 56, 3
"""How often a piece of the grid is halved, and how many places are looked for in it."""
WIDEST = 4096
"""Signatures that have more numbers than this are not looked at."""
APART = 2.0**-26, 2.0**-44
"""The distances d and e, in parts of the number."""


@final
class _Signature(Widened):
    """The graph in float64, with all noted that only changes where the program takes another way."""

    def step(self, equation: Equation, values: Sequence[Any], place: Place) -> tuple[Sequence[Any], Records]:
        """One equation, and which way it took."""
        outs, notes = super().step(equation, values, place)
        ways = [*_way(equation, values, outs), *(y for v, y in zip(equation.outputs, outs, strict=True) if _whole(v))]
        if not ways or _within_a_loop(place):
            return outs, notes  # what a loop makes of its steps is noted behind it
        return outs, {**notes, place.at(equation): jnp.concatenate([jnp.ravel(y).astype(jnp.float64) for y in ways])}


def _within_a_loop(place: Place) -> bool:
    """Whether an equation is a step of a loop or stands in one of several branches."""
    frame: Any = place.frame
    while frame is not None:
        if frame.equation is not None and not isinstance(frame.equation.call, Inline):
            return True
        frame = frame.parent
    return False


def _whole(atom: Any) -> bool:
    """Whether a value is made of whole numbers or truth values."""
    return not is_extended(atom.dtype) and np.dtype(atom.dtype).kind in "biu"


def _way(equation: Equation, values: Sequence[Any], outs: Sequence[Any]) -> Sequence[Any]:
    """Numbers that change where an equation of real numbers jumps or has a corner."""
    name = equation.primitive
    if not all(is_real(v.dtype) for v in (*equation.inputs, *equation.outputs)):
        return ()
    if name in ("max", "min"):
        return (values[0] > values[1],)
    if name == "clamp":
        return values[1] > values[0], values[1] > values[2]
    if name == "abs":
        return (jnp.sign(values[0]),)
    if name == "rem":
        return (jnp.trunc(values[0] / values[1]),)
    return outs if name in ("floor", "ceil", "round", "sign") else ()


def breaks(traced: Traced, u: Callable[[Any], Any], ends: Sequence[float]) -> list[float]:
    """Places between the first and the last of the ends where the program takes another way, those of most mass.

    Args:
        traced: the program.
        u: the log-density, of arrays.
        ends: finite numbers in order, between which the mass is.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.graph.trace import trace
    >>> from qed.integration.breaks import breaks
    >>> traced = trace(lambda x: jnp.where(x < 0.25, 0.0, jnp.floor(x)), np.float32(0.5))
    >>> [round(place, 9) for place in breaks(traced, np.zeros_like, (-0.5, 2.5))]
    [0.0, 0.25, 1.0, 2.0]
    """
    if len(ends) < 2 or not any(_turns(equation) for equation in traced.graph.walk()):
        return []
    signature = _signature(signs_read(traced))
    if signature is None:
        return []
    x = np.union1d(np.linspace(ends[0], ends[-1], GRID), ends)
    ways = signature(x)
    changed = np.flatnonzero(np.any(ways[:-1] != ways[1:], axis=1))
    dense = np.maximum(u(x[changed]), u(x[changed + 1])) if changed.size else np.zeros(0)
    changed = changed[np.argsort(-dense, kind="stable")[:MOST]]
    found: list[float] = []
    low, high = x[changed], x[changed + 1]
    for _ in range(ROUNDS):
        if not low.size:
            break
        first, last = low, high
        left, right = signature(low), signature(high)
        for _ in range(HALVINGS):
            middle = low + (high - low) / 2
            same = np.all(signature(middle) == left, axis=1)
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        found += [float(b) for b in high]
        more = np.any(signature(high) != right, axis=1) & (high > first) & (high < last)
        low, high = high[more], last[more]
    places: list[float] = []
    for b in sorted(found):  # a sign is 0 between two jumps, which are one
        if not places or b - places[-1] > 2 * APART[1] * _size(b, ends):
            places.append(b)
    return places[: 2 * MOST]


def beside(places: Sequence[float], ends: Sequence[float]) -> list[float]:
    """The cuts on both sides of places: farther from them, and nearer.

    >>> from qed.integration.breaks import beside
    >>> [round((cut - 1.0) * 2.0**44) for cut in beside([1.0], (0.0, 2.0))]
    [-262144, -1, 1, 262144]
    """
    return [b + sign * part * _size(b, ends) for b in places for sign, part in _STEPS]


def _size(b: float, ends: Sequence[float]) -> float:
    """Of what the distances of cuts are parts."""
    return max(abs(b), min((ends[-1] - ends[0]) / 64, 1.0))


_STEPS = [(sign, part) for sign, parts in ((-1, APART), (1, APART[::-1])) for part in parts]


def _turns(equation: Equation) -> bool:
    """Whether an equation may take one way or another."""
    whole = any(_whole(v) for v in equation.outputs) and any(is_real(v.dtype) for v in equation.inputs)
    return whole or equation.primitive in JUMPS | CORNERS


def _signature(traced: Traced) -> Callable[[Any], np.ndarray] | None:
    """The ways of the program, of an array of numbers: a row each."""

    def one(x: Any) -> Any:
        _, notes = _Signature().run(traced.graph, [widen(value) for value in placed(traced, [x])])
        found = list(notes.values())
        return jnp.nan_to_num(jnp.concatenate(found)) if found else jnp.zeros(0)

    try:
        with jax.enable_x64(True):
            size = jax.eval_shape(one, jax.ShapeDtypeStruct((), np.float64)).shape[0]
    except (TypeError, ValueError, KeyError, NotImplementedError, QedError):
        return None
    if not 0 < size <= WIDEST:
        return None
    call = jax.jit(jax.vmap(one))

    def evaluate(x: Any) -> np.ndarray:
        with jax.enable_x64(True):
            flat = np.asarray(x, np.float64)
            padded = np.resize(flat, 1 << max(4, int(flat.size - 1).bit_length()))  # few sizes, few compilations
            return np.asarray(call(padded))[: flat.size]

    return evaluate
