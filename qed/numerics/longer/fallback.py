"""Longer numbers where rewriting is at its end.

A difference that cancels and has no rule keeps its digits if what is subtracted has enough of them. A function in
float32, bfloat16 or float16 is computed in float64 (`qed.numerics.longer.in_float64`), one in float64 by integers of
288 bits (`qed.numerics.longer.on_machine`). That takes the place of the rewritten graph where the latter

- has differences that can cancel, as its operations tell (`candidates`), and
- loses digits at points of all magnitudes (`judged`), or at the user's own points where they are given;

and where a rewritten graph leaves what is lost as written, or loses more, at some of the points.

A function whose value keeps its digits may need longer numbers in its derivative alone.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 1.18 (computing in twice the
working precision).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, ClassVar, Protocol, TypeVar

import jax
import numpy as np

from qed.graph import jaxpr
from qed.graph.build import Node
from qed.graph.dtypes import as_wide, is_real
from qed.graph.graph import Graph
from qed.numerics.longer.candidates import candidates
from qed.numerics.longer.in_float64 import Function, InFloat64, Pair, in_float64
from qed.numerics.longer.judged import Limits, judged, left
from qed.numerics.longer.numbers import in_numpy
from qed.numerics.longer.on_machine import on_machine
from qed.numerics.longer.probes import SEED, probes, tens, where_defined
from qed.numerics.rewriting.change import Only
from qed.numerics.rewriting.differentiated import forward_graph, reverse_graph
from qed.numerics.rewriting.session import Rewritten, rewrite
from qed.span import Span

T = TypeVar("T")
_X64 = "jax_enable_x64"
WRONG = 3.0
"""At how many probes a rewritten result that is another than as written may lose over 3 bits; fewer are chance."""
SAME = 2.0
"""Bits that a result may lose at the user's own points and counts as right."""


class Wider(Protocol):
    """A function and its derivatives in longer numbers."""

    alone: ClassVar[bool]
    """Whether its results need no others beside them."""

    @property
    def limits(self) -> Limits:
        """How many bits a result must lose at how many probes."""
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
    _changed: bool = field(init=False, default=False)
    _doubtful: bool = field(init=False, default=False)
    _known: dict[tuple[int, ...], Sequence[Node] | None] = field(init=False, default_factory=dict)

    @cached_property
    def wider(self) -> Wider | None:
        """The function in longer numbers; None where they are not for it."""
        return on_machine(self.graph, self.into) or in_float64(self.graph, self.make)

    @property
    def alone(self) -> bool:
        """Whether the derivative in longer numbers needs none in the program's dtype beside it."""
        return self.wider is not None and self.wider.alone

    def value(self, short: Rewritten, pair: Callable[[tuple[int, ...]], Pair]) -> Rewritten | None:
        """The value in longer numbers, where it is needed.

        A value that was rewritten and loses digits at few points takes them where its derivative does: what cancels in
        one cancels in the other.

        Args:
            short: the graph of the value in the program's dtype.
            pair: the graphs of its derivative in some inputs.
        """
        blamed = self._blamed(short, None, len(short.outputs))
        if blamed is None and self._doubtful:
            moving = tuple(i for i, v in enumerate(self.graph.inputs) if is_real(v.dtype))
            blamed = self._blamed_in(moving, pair(moving)) if _is_number(self.graph) else None
        return None if blamed is None or self.wider is None else self.wider.value(short, blamed)

    def needed(self, pair: Pair, moving: Sequence[int]) -> Pair | None:
        """The reverse and the forward graph of the derivative in longer numbers, where they are needed.

        Args:
            pair: these graphs in the program's dtype.
            moving: positions of the inputs that it is taken in.
        """
        blamed = self._blamed_in(tuple(moving), pair)
        return None if blamed is None else self.derivative(moving, pair, blamed)

    def _blamed_in(self, moving: tuple[int, ...], pair: Pair) -> Sequence[Node] | None:
        if moving not in self._known:
            short = next(each for each in pair if each is not None)
            self._known[moving] = self._blamed(short, moving, len(self.graph.outputs))
        return self._known[moving]

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
            bits = SAME if self.into is None else self.wider.limits[0][0]
            seen = judged(each, truth, found, rows, len(self.graph.outputs), ((bits, 0.0),), SAME)
            if seen.points:
                blamed |= {span for node in seen.blamed or found for span in node.spans or [node.span]}
        return blamed

    def places_in_float64(self, moving: Sequence[int], points: Sequence[Sequence[Any]]) -> set[Span | None]:
        """Where the function in float64, in place of a shorter dtype, loses more at these points than that has."""
        if not isinstance(self.wider, InFloat64):
            return set()
        return self.wider.places(moving, points)

    def _suspects(self, short: Rewritten) -> list[Node]:
        if short.builder.effects:
            return []
        found = candidates(short.outputs)
        return found if self.only is None else [node for node in found if self.only(node)]

    def _blamed(self, short: Rewritten, moving: Sequence[int] | None, normwise: int) -> Sequence[Node] | None:
        """The differences that lose digits; None where longer numbers are not needed, or not for this function."""
        self._changed |= bool(short.changes) and not short.builder.effects
        found, changed = self._suspects(short), self._changed
        if not (found or (changed and self.only is None)) or self.wider is None:
            return None
        if self.only is not None:
            return found
        wider = self.wider
        truth = partial(wider.truth, None if moving is None else tuple(moving))

        def measured() -> Sequence[Node] | None:
            points = self._points
            if found:
                judgement = judged(short, truth, found, _with_tangents(points, short), normwise, wider.limits)
                if judgement.needed:
                    return judgement.blamed or found[:1]
                self._doubtful |= moving is None and judgement.points > 1
            written = self._written(moving, len(short.inputs)) if changed and self.into is None else None
            more = _with_tangents(_both(points, tens(self.graph)), short)
            wrong, doubtful = (0.0, 0.0) if written is None else left(short, written, truth, more, normwise)
            self._doubtful |= moving is None and doubtful > 0
            if wrong < WRONG:
                return None
            return found[:1] or [change.new for change in short.changes if change.new is not None][:1] or None

        return untraced(measured)

    @cached_property
    def _points(self) -> list[np.ndarray]:
        """Where the function is tried."""
        return where_defined(self.graph, probes(self.graph), self._defined)

    def _defined(self, points: Sequence[np.ndarray]) -> np.ndarray:
        """At which points the function as written is a number."""
        real = [x for x in in_numpy(self._evaluated, points) if is_real(x.dtype)]
        return np.all([np.all(np.isfinite(as_wide(x)).reshape(len(x), -1), axis=1) for x in real], axis=0)

    @cached_property
    def _evaluated(self) -> Callable[..., list[Any]]:
        """The function as written."""
        return rewrite(self.graph, rewritings=()).function

    def _written(self, moving: Sequence[int] | None, inputs: int) -> Callable[..., Sequence[Any]] | None:
        """The function as written, or the graph of its derivative."""
        if moving is None:
            return self._evaluated
        make = reverse_graph if inputs == len(self.graph.inputs) else forward_graph
        graph = make(self._evaluated, self.graph, moving)
        return None if graph is None else lambda *xs: list(jaxpr.evaluate(graph, xs))


def _both(points: Sequence[np.ndarray], more: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [np.concatenate(pair) for pair in zip(points, more, strict=True)]


def _with_tangents(points: Sequence[np.ndarray], short: Rewritten) -> list[np.ndarray]:
    """Points for all inputs of a graph, of which the last may be tangents."""
    found, rng = list(points), np.random.default_rng(SEED)
    for node in short.inputs[len(points) :]:
        found.append(rng.standard_normal((len(points[0]), *node.shape)).astype(node.dtype))
    return found


def _is_number(graph: Graph) -> bool:
    """Whether a function returns one real number and nothing else."""
    (first, *others) = graph.outputs
    return not others and first.shape == () and is_real(first.dtype)


def untraced(compute: Callable[[], T]) -> T:
    """A result that is computed at once although a function around it may be being traced: in a thread of its own."""
    wide = bool(getattr(jax.config, _X64))

    def run() -> T:
        with jax.enable_x64(wide):
            return compute()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


__all__ = ["Longer"]
