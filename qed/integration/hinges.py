"""Masses at which a comparison hinges on how a constant was rounded.

In real numbers 0.1 * 3 >= 0.3 holds or fails by the rounding of 0.1 and 0.3 to the program's precision, and a law that
has a mass at 3 has it on the one side or the other. The program with every rounded constant c anywhere in

    [c - u |c|, c + u |c|],      u the unit roundoff,

is walked at every mass, or over ranges of whole numbers, halved where a comparison is undecided. Where one is undecided
at a mass and the function differs, its number says nothing about what was meant, nor about what the program does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from qed.certificates.certificate import placed
from qed.certificates.patience import on_time
from qed.domains.ball_ends import BallEnds, Ends
from qed.domains.balls import objects
from qed.domains.counts import COUNTS
from qed.domains.known import Known
from qed.domains.precision import flint, precision
from qed.domains.widened import largest_rounding, rounding_of
from qed.errors import CertificateError
from qed.facts.structure import COMPARED
from qed.graph.dtypes import is_real
from qed.graph.graph import Atom
from qed.graph.trace import Traced
from qed.graph.walk import Entry, Unknown, Walker
from qed.integration.measure import Part

BITS = 128
JUMPS = COMPARED.union("sign floor ceil round rem argmax argmin".split())
"""The primitives that jump."""
WALKS = 4000
"""How many ranges are looked at."""
LEAST = -745.0
"""Masses whose logarithm is smaller are 0 in float64."""
PLACES = 2.0**14
"""How many places of masses without a name are looked at."""
SMOOTH = 1000
"""What differs by less than this many roundings does not jump."""


class Blurred(BallEnds):
    """Intervals with exact ends, each rounded constant an interval."""

    def constant(self, atom: Atom, array: Any) -> Any:
        """The number; of a rounded one all that may have been meant."""
        found = super().constant(atom, array)
        if isinstance(array, Ends) or not isinstance(found, Ends) or not is_real(atom.dtype):
            return found
        numbers = np.asarray(array).astype(np.float64)
        half = np.array([_half(c, atom.dtype) for c in numbers.ravel()]).reshape(found.shape)
        with precision(self.bits):
            return Ends(found.lower - half, found.upper + half, found.doubt) if np.any(half) else found


def _half(number: float, dtype: Any) -> float:
    """By how much a constant may be off; whole numbers are held exactly."""
    unit = rounding_of(number, dtype)
    return 0.0 if not np.isfinite(number) or (number.is_integer() and abs(number) * unit < 1) else unit * abs(number)


def hinge(traced: Traced, atoms: Sequence[float], sums: Sequence[tuple[Part, int]]) -> str:
    """The first mass at which a comparison hinges on a rounded constant, in words; nothing where there is none.

    Args:
        traced: the program.
        atoms: the places of the atoms, at which its first output counts.
        sums: the parts on whole numbers, and the outputs that are integrated against them.

    >>> import jax.numpy as jnp
    >>> from qed.graph.trace import trace
    >>> from qed.integration.hinges import hinge
    >>> [hinge(trace(lambda x, c=c: 0.1 * x >= c, jnp.float32(1.0)), (3.0,), ())[:4] for c in (0.3, 0.25)]
    ['at 3', '']
    """
    given = [rounding_of(leaf, np.asarray(leaf).dtype) for leaf in traced.leaves[1:] if np.asarray(leaf).size]
    unit = max(largest_rounding(traced.graph), *given, 0.0)
    if not unit or not any(equation.primitive in JUMPS for equation in traced.graph.walk()):
        return ""
    waiting = [(x, x, 0) for x in atoms]
    waiting += [(first, last, output) for part, output in sums for first, last in _ranges(part)]
    waiting.reverse()
    for _ in range(WALKS):
        if not waiting:
            return ""
        on_time()
        first, last, output = waiting.pop()
        undecided, width, size = _undecided(traced, first, last, output)
        if not undecided:
            continue
        if first < last:
            middle = (first + last) // 2
            waiting += [(middle + 1, last, output), (first, middle, output)]
        elif not width <= SMOOTH * unit * max(1.0, size):
            return f"at {first:.9g}, which has a mass, {undecided} hinges on how a constant such as 0.1 is rounded"
    first, last, _ = waiting[-1]
    return f"whether a comparison hinges on how a constant is rounded is not known from {first:g} to {last:g}"


def _ranges(part: Part) -> Iterator[tuple[float, float]]:
    """Ranges of whole numbers that hold all masses that count."""
    named = COUNTS.get(part.family)
    if np.isfinite(part.upper):
        yield part.lower, part.upper
        return
    start, size = part.lower, 16.0
    while size <= PLACES * 64:
        yield start, start + size - 1
        start, size = start + size, 2 * size
        if named is None:
            if size > PLACES:
                return
            continue
        with precision(BITS):
            balls = tuple(map(flint().arb, part.parameters))
            if named.ratio(int(start), *balls) < 1 and named.mass(start, *balls).log() < LEAST:
                return


def _undecided(traced: Traced, first: float, last: float, output: int) -> tuple[str, float, float]:
    """The first comparison that is undecided on a range, in words, and how far the output's values reach there."""
    found: list[str] = []

    def look(entry: Entry) -> None:
        if found or entry.equation.primitive not in JUMPS:
            return
        value = entry.outputs[0].values[0]
        if isinstance(value, Ends) and not _is_one(value):
            span = entry.frame.span(entry.equation)
            found.append(f"{entry.equation.primitive}" + (f" at {span}" if span else ""))

    with precision(BITS) as library:
        given = Ends(objects([library.arb(first)], ()), objects([library.arb(last)], ()))
        try:
            cells = Walker([Blurred(BITS)], look).run(traced.graph, placed(traced, [given]))
        except CertificateError:
            return "", 0.0, 0.0
        value = cells[output].values[0]
        if isinstance(value, Unknown | Known) or not found:
            return (found[0] if found and isinstance(value, Unknown) else ""), np.inf, 0.0
        low, high = value.lower.ravel()[0], value.upper.ravel()[0]
        width = float((high - low).upper()) if low.is_finite() and high.is_finite() else np.inf
        return found[0], width, float(abs(low).upper()) if np.isfinite(width) else np.inf


def _is_one(value: Ends) -> bool:
    """Whether every interval is less wide than a jump."""
    return all(bool(high - low < 0.5) for low, high in zip(value.lower.ravel(), value.upper.ravel(), strict=True))
