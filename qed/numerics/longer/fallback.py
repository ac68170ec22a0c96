"""Longer numbers where rewriting is at its end.

A difference that cancels and has no rule keeps its digits if what is subtracted has enough of them. A function in
float32, bfloat16 or float16 is computed in float64 (`qed.numerics.longer.in_float64`), one in float64 by integers of
288 bits (`qed.numerics.longer.on_machine`). That takes the place of the rewritten graph where the latter

- has differences that can cancel, as its operations tell (`candidates`), and
- loses digits at points of all magnitudes (`judged`), or at the user's own points where they are given;

and where a rewritten graph leaves what is lost as written, or loses more, at some of the points.

Where it mends nothing and loses more at some of the points, the function as written is kept (where there are no longer
numbers, where it loses more at more points than it mends); and so it is where the two agree at all points, and what was
rewritten is nothing but differences: it can lose no digits.

A function whose value keeps its digits may need longer numbers in its derivative alone.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 1.18 (computing in twice the
working precision).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph import jaxpr
from qed.graph.build import Node, reachable
from qed.graph.dtypes import as_wide, is_real
from qed.graph.graph import Graph
from qed.numerics.longer.affordable import affordable
from qed.numerics.longer.candidates import candidates
from qed.numerics.longer.in_float64 import Function, InFloat64, Pair, in_float64
from qed.numerics.longer.judged import FEW, MOST, Judgement, Limits, judged, left
from qed.numerics.longer.numbers import in_numpy
from qed.numerics.longer.on_machine import on_machine
from qed.numerics.longer.probes import SEED, beside, probes, tens, where_defined
from qed.numerics.longer.truth import in_balls
from qed.numerics.longer.weights import drawn_from_unit, weights
from qed.numerics.rewriting.change import Change, Only
from qed.numerics.rewriting.differentiated import forward_graph, reverse_graph
from qed.numerics.rewriting.put_back import NAME as EXPONENTS
from qed.numerics.rewriting.session import Rewritten, rewrite
from qed.span import Span

T = TypeVar("T")
_X64 = "jax_enable_x64"
ALIKE = frozenset(["difference", "near one", "substitutions"])
"""The rewritings that mend what is lost beside a point, too, and not at it alone."""
SCALED = frozenset("unit_vector norm root_of_squares log_norm log_of_squares length over_length".split())
"""What is put in place of roots of squares that overflow where no probe is."""
SATURATES = frozenset(["tanh", "logistic"])
"""Functions whose derivative by JAX's own rule, 1 - t^2 or s (1 - s), has few digits where they are nearly constant."""
SAME, LEFT = 2.0, 3.0
"""Bits that a result may lose at the user's own points, and beside them, and counts as right."""


class Wider(Protocol):
    """A function and its derivatives in longer numbers."""

    alone: ClassVar[bool]
    """Whether its results need no others beside them."""

    @property
    def limits(self) -> Limits:
        """How many bits a result must lose at how many probes."""
        ...

    def value(self, short: Rewritten, blamed: Sequence[Node]) -> Rewritten:
        """What takes the place of a graph."""
        ...

    def derivative(self, moving: Sequence[int], short: Pair, blamed: Sequence[Node]) -> Pair:
        """What takes the place of the derivative's graphs, None where there is none."""
        ...


@dataclass(frozen=True)
class Found:
    """What is to be done with a graph.

    Args:
        blamed: the differences for which longer numbers are needed; None where they are not, or not for this function.
        doubtful: whether something is lost at points too few to need them.
        keeps: whether the function as written takes the graph's place.
    """

    blamed: Sequence[Node] | None = None
    doubtful: bool = False
    keeps: bool = False


NOTHING = Found()


@dataclass(eq=False)
class Longer:
    """The function of a graph in longer numbers.

    Args:
        graph: the function as written.
        make: its rewritten form, of the graph in float64.
        by: the names of the rewritings that changed the value.
        only: which nodes lose digits at the user's own points: where it is given, nothing is probed.
        into: the dtype to which results are rounded in the end, where that is shorter than the graph's.
    """

    graph: Graph
    make: Callable[[Graph], Function]
    by: frozenset[str] = frozenset()
    only: Only | None = None
    into: Any = None
    _known: dict[tuple[int, ...], Found] = field(init=False, default_factory=dict)
    _graphs: dict[tuple[tuple[int, ...], bool], Graph | None] = field(init=False, default_factory=dict)

    @cached_property
    def wider(self) -> Wider | None:
        """The function in longer numbers; None where they are not for it."""
        return on_machine(self.graph, self.into) or in_float64(self.graph, self.make)

    @property
    def alone(self) -> bool:
        """Whether the derivative in longer numbers needs none in the program's dtype beside it."""
        return self.wider is not None and self.wider.alone

    def value(self, short: Rewritten, pair: Callable[[tuple[int, ...]], Pair]) -> Rewritten:
        """What is evaluated: the rewritten graph, the value in longer numbers, or the function as written.

        A value that was rewritten and loses digits at few points takes them where its derivative does: what cancels in
        one cancels in the other.

        Args:
            short: the graph of the value in the program's dtype.
            pair: the graphs of its derivative in some inputs.
        """
        found = self._found(short, None, len(short.outputs))
        if found.keeps:
            return self._kept(None, len(short.inputs))
        blamed = found.blamed
        if blamed is None and found.doubtful and _is_number(self.graph):
            moving = tuple(i for i, v in enumerate(self.graph.inputs) if is_real(v.dtype))
            blamed = self._found_in(moving, _first(pair(moving))).blamed
        return short if blamed is None or self.wider is None else self.wider.value(short, blamed)

    def needed(self, pair: Pair, moving: Sequence[int], sharper: Callable[[], Pair]) -> Pair:
        """The reverse and the forward graph of the derivative: as they are, in longer numbers, or as JAX makes them.

        Args:
            pair: these graphs in the program's dtype.
            moving: positions of the inputs that it is taken in.
            sharper: the same with more of it rewritten, which is cheaper than longer numbers where it does.
        """
        found = self._found_in(tuple(moving), _first(pair))
        if found.blamed is not None and SATURATES & {n.operation for n in reachable(_first(pair).outputs)}:
            other = sharper()
            again = self._found(_first(other), tuple(moving), len(self.graph.outputs))
            if again.blamed is None and not again.keeps and _first(other).changes:
                return other
        if found.blamed is not None:
            return self.derivative(moving, pair, found.blamed)
        if not found.keeps:
            return pair
        reverse, forward = (each and self._kept(tuple(moving), len(each.inputs)) for each in pair)
        return reverse, forward

    def _found_in(self, moving: tuple[int, ...], short: Rewritten) -> Found:
        if moving not in self._known:
            self._known[moving] = self._found(short, moving, len(self.graph.outputs))
        return self._known[moving]

    def _kept(self, moving: tuple[int, ...] | None, inputs: int) -> Rewritten:
        """The function as written, or its derivative."""
        graph = self.graph if moving is None else self._graphs[moving, inputs == len(self.graph.inputs)]
        assert graph is not None
        return replace(rewrite(graph, rewritings=()), kept=True)

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
            truth = self._truth(None if k == 0 else tuple(moving), len(each.inputs))
            same, most = (SAME, LEFT) if self.into is None else (self.wider.limits[0][0],) * 2

            def seen(bits: float, where: Any, each: Any = each, truth: Any = truth, found: Any = found) -> Judgement:
                rows = [np.stack([np.asarray(point[i]) for point in where]) for i in range(len(where[0]))]
                return judged(each, truth, found, rows, len(self.graph.outputs), ((bits, 0.0),), SAME)

            at = seen(same, points)
            if at.points and (most == same or seen(most, beside(points, moving)).points):
                blamed |= {span for node in at.blamed or found for span in node.spans or [node.span]}
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

    def _found(self, short: Rewritten, moving: tuple[int, ...] | None, normwise: int) -> Found:
        """What a graph loses at the probes, or which of its differences the user's own points blame."""
        by = frozenset() if short.builder.effects else self.by | names(short.changes)
        if self.only is not None:
            suspects = self._suspects(short)
            return Found(suspects if suspects and self.wider is not None else None)
        most = MOST if self.wider is not None else affordable(self.graph) if by else 0
        suspects = self._suspects(short) if most else []
        if not suspects and not (most and by):
            return NOTHING
        return untraced(lambda: self._measured(short, moving, normwise, suspects, by, most))

    def _measured(
        self,
        short: Rewritten,
        moving: tuple[int, ...] | None,
        normwise: int,
        suspects: list[Node],
        by: frozenset[str],
        most: int,
    ) -> Found:
        points, truth, doubtful = self._points, self._truth(moving, len(short.inputs)), False
        if suspects and self.wider is not None:
            judgement = judged(short, truth, suspects, _with_tangents(points, short), normwise, self.wider.limits)
            if judgement.needed:
                return Found(judgement.blamed or suspects[:1])
            doubtful = judgement.points > 1
        written = self._written(moving, len(short.inputs)) if by and self.into is None else None
        if written is None:
            return Found(doubtful=doubtful)
        more = _with_tangents(_both(points, self._weighted(tens(self.graph))), short)
        rest = left(short, written, truth, more, normwise, most)
        doubtful = doubtful or rest.beside > 0
        if rest.keeps(self.wider is not None) or (by <= ALIKE and not rest.apart):
            return Found(doubtful=doubtful, keeps=True)
        if rest.wrong < FEW or self.wider is None:
            return Found(doubtful=doubtful)
        new = [change.new for change in short.changes if change.new is not None]
        return Found(suspects[:1] or new[:1] or None)

    def _truth(self, moving: tuple[int, ...] | None, inputs: int) -> Callable[..., list[np.ndarray] | None]:
        """The outputs at some points, or those of the derivative's graph; NaN where they are not known.

        Nor are they where the dtype that results are rounded to has no digits for them.
        """

        def truth(points: Sequence[np.ndarray]) -> list[np.ndarray] | None:
            function = self._written(moving, inputs)
            found = None if function is None else in_balls(function, points)
            if found is None or self.into is None:
                return found
            info = jnp.finfo(self.into)
            return [np.where((abs(x) >= float(info.tiny)) & (abs(x) <= float(info.max)), x, np.nan) for x in found]

        return truth

    @cached_property
    def _points(self) -> list[np.ndarray]:
        """Where the function is tried."""
        return where_defined(self.graph, self._weighted(probes(self.graph)), self._defined, self._weighted)

    def _weighted(self, points: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Points whose weights lie in [0, 1]."""
        return drawn_from_unit(points, self._weights, SEED) if self._weights else list(points)

    @cached_property
    def _weights(self) -> frozenset[int]:
        return weights(self.graph)

    def _defined(self, points: Sequence[np.ndarray]) -> np.ndarray:
        """At which points the function as written is a number."""
        real = [x for x in in_numpy(self._evaluated, points) if is_real(x.dtype)]
        return np.all([np.all(np.isfinite(as_wide(x)).reshape(len(x), -1), axis=1) for x in real], axis=0)

    @cached_property
    def _evaluated(self) -> Callable[..., list[Any]]:
        """The function as written."""
        return rewrite(self.graph, rewritings=()).function

    def _written(self, moving: tuple[int, ...] | None, inputs: int) -> Callable[..., Sequence[Any]] | None:
        """The function as written, or the graph of its derivative."""
        if moving is None:
            return self._evaluated
        key = moving, inputs == len(self.graph.inputs)
        if key not in self._graphs:
            self._graphs[key] = (reverse_graph if key[1] else forward_graph)(self._evaluated, self.graph, moving)
        graph = self._graphs[key]
        return None if graph is None else lambda *xs: list(jaxpr.evaluate(graph, xs))


def _both(points: Sequence[np.ndarray], more: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [np.concatenate(pair) for pair in zip(points, more, strict=True)]


def _with_tangents(points: Sequence[np.ndarray], short: Rewritten) -> list[np.ndarray]:
    """Points for all inputs of a graph, of which the last may be tangents."""
    found, rng = list(points), np.random.default_rng(SEED)
    for node in short.inputs[len(points) :]:
        found.append(rng.standard_normal((len(points[0]), *node.shape)).astype(node.dtype))
    return found


def names(changes: Sequence[Change]) -> frozenset[str]:
    """Which rewritings made some changes; "scaled" is what keeps squares from overflowing, far from all probes.

    What is put back into exponentials needs no probes.
    """
    changes = [change for change in changes if change.rewriting != EXPONENTS]
    new = [change.new for change in changes if change.new is not None]
    scaled = {"scaled" for node in new if {node.operation, *(child.operation for child in node.children)} & SCALED}
    return frozenset(change.rewriting for change in changes) | scaled


def _first(pair: Pair) -> Rewritten:
    return next(each for each in pair if each is not None)


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


__all__ = ["Longer", "names", "untraced"]
