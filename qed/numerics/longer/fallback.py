"""Longer numbers where rewriting is at its end.

A difference that cancels and has no rule keeps its digits if what is subtracted has enough of them. A function in
float32, bfloat16 or float16 is computed in float64 (`qed.numerics.longer.in_float64`), one in float64 by integers of
288 bits (`qed.numerics.longer.on_machine`). That takes the place of the rewritten graph where the latter

- has differences that can cancel, as its operations tell (`candidates`), and
- loses digits at points of all magnitudes (`judged`), or at the user's own points where they are given.

A function whose value keeps its digits may need longer numbers in its derivative alone.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 1.18 (computing in twice the
working precision).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar, Protocol, TypeVar

import jax
import numpy as np

from qed.graph.build import Node
from qed.graph.graph import Graph
from qed.numerics.longer.candidates import candidates
from qed.numerics.longer.in_float64 import Function, Pair, in_float64
from qed.numerics.longer.judged import judged
from qed.numerics.longer.on_machine import on_machine
from qed.numerics.longer.probes import SEED, probes
from qed.numerics.rewriting.change import Only
from qed.numerics.rewriting.session import Rewritten
from qed.span import Span

T = TypeVar("T")
_X64 = "jax_enable_x64"
SAME = 2.0
"""Bits that a result may lose at the user's own points and counts as right."""


class Wider(Protocol):
    """A function and its derivatives in longer numbers."""

    alone: ClassVar[bool]
    """Whether its results need no others beside them."""

    @property
    def bits(self) -> tuple[float, float]:
        """How many bits a result must lose at a probe to count, and how many a difference."""
        ...

    @property
    def least(self) -> float:
        """How many probes must count."""
        ...

    def truth(self, moving: Sequence[int] | None, points: Sequence[np.ndarray]) -> list[np.ndarray] | None:
        """Its outputs at some points, or those of its derivative's graph; NaN where they are not known."""
        ...

    def value(self, short: Rewritten, blamed: Sequence[Node]) -> Rewritten:
        """What takes the place of a graph."""
        ...

    def derivative(self, moving: Sequence[int], short: Pair, blamed: Sequence[Node]) -> Pair:
        """What takes the place of the derivative's graphs, None where there is none."""
        ...


@dataclass(eq=False)
class Longer:
    """The function of a graph in longer numbers.

    Args:
        graph: the function as written.
        make: its rewritten form, of the graph in float64.
        only: which nodes lose digits at the user's own points: where it is given, nothing is probed.
        into: the dtype to which results are rounded in the end, where that is shorter than the graph's.
    """

    graph: Graph
    make: Callable[[Graph], Function]
    only: Only | None = None
    into: Any = None

    @cached_property
    def wider(self) -> Wider | None:
        """The function in longer numbers; None where they are not for it."""
        return on_machine(self.graph, self.into) or in_float64(self.graph, self.make)

    @property
    def alone(self) -> bool:
        """Whether the derivative in longer numbers needs none in the program's dtype beside it."""
        return self.wider is not None and self.wider.alone

    def value(self, short: Rewritten) -> Rewritten | None:
        """The value in longer numbers, where it is needed."""
        blamed = self._blamed(short, None, len(short.outputs))
        return None if blamed is None or self.wider is None else self.wider.value(short, blamed)

    def needed(self, pair: Pair, moving: Sequence[int]) -> Pair | None:
        """The reverse and the forward graph of the derivative in longer numbers, where they are needed.

        Args:
            pair: these graphs in the program's dtype.
            moving: positions of the inputs that it is taken in.
        """
        short = next(each for each in pair if each is not None)
        blamed = self._blamed(short, moving, len(self.graph.outputs))
        return None if blamed is None else self.derivative(moving, pair, blamed)

    def derivative(self, moving: Sequence[int], pair: Pair, blamed: Sequence[Node] = ()) -> Pair:
        """The reverse and the forward graph of the derivative in longer numbers."""
        assert self.wider is not None
        return self.wider.derivative(moving, pair, blamed)

    def places(
        self, short: Sequence[Rewritten], moving: Sequence[int], points: Sequence[Sequence[Any]]
    ) -> set[Span | None]:
        """Where the user's own points lose digits that longer numbers keep.

        Args:
            short: the graph of the value, then that of the derivative, in the program's dtype.
            moving: positions of the inputs that it is differentiated in.
            points: the inputs at each point.
        """
        blamed: set[Span | None] = set()
        for k, each in enumerate(short):
            found = self._suspects(each)
            if not found or self.wider is None or len(each.inputs) != len(points[0]):
                continue
            rows = [np.stack([np.asarray(point[i]) for point in points]) for i in range(len(points[0]))]
            truth = partial(self.wider.truth, None if k == 0 else tuple(moving))
            seen = judged(each, truth, found, rows, len(self.graph.outputs), (SAME, SAME))
            if seen.points:
                blamed |= {span for node in seen.blamed or found for span in node.spans or [node.span]}
        return blamed

    def _suspects(self, short: Rewritten) -> list[Node]:
        if short.builder.effects:
            return []
        found = candidates(short.outputs)
        return found if self.only is None else [node for node in found if self.only(node)]

    def _blamed(self, short: Rewritten, moving: Sequence[int] | None, normwise: int) -> Sequence[Node] | None:
        """The differences that lose digits; None where longer numbers are not needed, or not for this function."""
        found = self._suspects(short)
        if not found or self.wider is None:
            return None
        if self.only is not None:
            return found
        points = probes(self.graph)
        rng = np.random.default_rng(SEED)
        for node in short.inputs[len(points) :]:  # tangents
            points.append(rng.standard_normal((len(points[0]), *node.shape)).astype(node.dtype))
        truth = partial(self.wider.truth, None if moving is None else tuple(moving))
        wider = self.wider
        judgement = untraced(lambda: judged(short, truth, found, points, normwise, wider.bits))
        return judgement.blamed or found[:1] if judgement.points >= wider.least else None


def untraced(compute: Callable[[], T]) -> T:
    """A result that is computed at once although a function around it may be being traced: in a thread of its own."""
    wide = bool(getattr(jax.config, _X64))

    def run() -> T:
        with jax.enable_x64(wide):
            return compute()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


__all__ = ["Longer"]
