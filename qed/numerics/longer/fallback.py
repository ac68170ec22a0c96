"""Longer numbers where rewriting is at its end: the function in float64, rounded once.

A difference that cancels and has no rule keeps its digits if what is subtracted has twice as many. Of a function in
float32, bfloat16 or float16, the graph in float64 (`lengthened`) is rewritten like any other, and takes the place of
the rewritten graph where that

- has differences that can cancel, as its operations tell (`candidates`), and
- loses digits at points of all magnitudes (`judged`), or at the user's own points where they are given.

Inputs are exact in float64, and the results are rounded to the program's dtype. It does not matter whether
`jax_enable_x64` is set. The derivative is taken of the graph in float64, and is rewritten there; a function whose
value keeps its digits may need longer numbers in its derivative alone.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 1.18 (computing in twice the
working precision).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import jax
import numpy as np
from jax import lax

from qed.domains.widened import widen
from qed.graph.build import Node
from qed.graph.dtypes import is_real
from qed.graph.graph import Graph
from qed.numerics.longer.candidates import candidates
from qed.numerics.longer.judged import judged
from qed.numerics.longer.lengthened import lengthened
from qed.numerics.longer.probes import SEED, probes
from qed.numerics.rewriting.change import Change, Only
from qed.numerics.rewriting.render import Formula
from qed.numerics.rewriting.session import Rewritten
from qed.span import Span

T = TypeVar("T")
_X64 = "jax_enable_x64"
SAME = 2.0
"""Bits that a result may lose at the user's own points and counts as right."""
IDENTITY = "the same operations on numbers of twice the digits, rounded at the end"


class Function(Protocol):
    """A rewritten function with its derivatives, as `qed.numerics.rewriting.derivative.Stable` is one."""

    value: Rewritten

    def graphs(self, moving: Sequence[int]) -> tuple[Rewritten | None, Rewritten | None]:
        """The reverse and the forward graph of its derivative."""
        ...


@dataclass(eq=False)
class Longer:
    """The function of a graph in longer numbers.

    Args:
        graph: the function as written.
        make: its rewritten form, of the graph in float64.
        only: which nodes lose digits at the user's own points: where it is given, nothing is probed.
    """

    graph: Graph
    make: Callable[[Graph], Function]
    only: Only | None = None
    _made: Function | None = field(default=None, init=False)
    _asked: bool = field(default=False, init=False)

    @property
    def function(self) -> Function | None:
        """The rewritten function in float64; None where longer numbers are not for it."""
        if not self._asked:
            self._asked = True
            wider = lengthened(self.graph)
            if wider is not None:
                with jax.enable_x64(True):
                    self._made = self.make(wider)
        return self._made

    def value(self, short: Rewritten) -> Rewritten | None:
        """The value in longer numbers, where it is needed."""
        found = self._suspects(short)
        if not found or self.function is None:
            return None
        blamed = self._blamed(short, self.function.value, found, len(short.outputs))
        return in_short(self.function.value, self.dtype, blamed) if blamed is not None else None

    def needed(self, short: Rewritten, moving: Sequence[int]) -> tuple[Rewritten | None, Rewritten | None] | None:
        """The reverse and the forward graph of the derivative in longer numbers, where they are needed.

        Args:
            short: the derivative's graph in the program's dtype.
            moving: positions of the inputs that it is taken in.
        """
        found = self._suspects(short)
        if not found or self.function is None:
            return None
        long = next(each for each in self._graphs(moving) if each is not None)
        blamed = self._blamed(short, long, found, len(self.graph.outputs))
        return None if blamed is None else self.derivative(moving, blamed)

    def derivative(
        self, moving: Sequence[int], blamed: Sequence[Node] = ()
    ) -> tuple[Rewritten | None, Rewritten | None]:
        """The reverse and the forward graph of the derivative in longer numbers."""
        reverse, forward = self._graphs(moving)
        return self._in_short(reverse, blamed), self._in_short(forward, blamed)

    def _in_short(self, long: Rewritten | None, blamed: Sequence[Node]) -> Rewritten | None:
        return None if long is None else in_short(long, self.dtype, blamed)

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
            if not found or self.function is None or len(each.inputs) != len(points[0]):
                continue
            long = self.function.value if k == 0 else next(g for g in self._graphs(moving) if g is not None)
            rows = [np.stack([np.asarray(point[i]) for point in points]) for i in range(len(points[0]))]
            seen = judged(each, long.function, found, rows, len(self.graph.outputs), (SAME, SAME))
            if seen.points:
                blamed |= {span for node in seen.blamed or found for span in node.spans or [node.span]}
        return blamed

    @property
    def dtype(self) -> Any:
        """The dtype of the program, of which there is one."""
        return next(v.dtype for v in self.graph.inputs if is_real(v.dtype))

    def _graphs(self, moving: Sequence[int]) -> tuple[Rewritten | None, Rewritten | None]:
        assert self.function is not None
        with jax.enable_x64(True):
            return self.function.graphs(moving)

    def _suspects(self, short: Rewritten) -> list[Node]:
        if short.builder.effects:
            return []
        found = candidates(short.outputs)
        return found if self.only is None else [node for node in found if self.only(node)]

    def _blamed(self, short: Rewritten, long: Rewritten, found: list[Node], normwise: int) -> Sequence[Node] | None:
        """The differences that lose digits; None where longer numbers are not needed."""
        if self.only is not None:
            return found
        points = probes(self.graph)
        rng = np.random.default_rng(SEED)
        for node in short.inputs[len(points) :]:  # tangents
            points.append(rng.standard_normal((len(points[0]), *node.shape)).astype(node.dtype))
        judgement = untraced(lambda: judged(short, long.function, found, points, normwise))
        return judgement.blamed or found[:1] if judgement.harmful else None


def untraced(compute: Callable[[], T]) -> T:
    """A result that is computed at once although a function around it may be being traced: in a thread of its own."""
    wide = bool(getattr(jax.config, _X64))

    def run() -> T:
        with jax.enable_x64(wide):
            return compute()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


def in_short(long: Rewritten, dtype: Any, blamed: Sequence[Node]) -> Rewritten:
    """A graph in float64 as a function in the program's dtype.

    Args:
        long: the graph.
        dtype: of the program.
        blamed: the differences for which it is used.
    """
    changes = (*long.changes, *_changes(blamed))
    return replace(long, function=_rounded(long.function, dtype), changes=changes, longer=True)


def _rounded(function: Callable[..., list[Any]], dtype: Any) -> Callable[..., list[Any]]:
    def evaluate(*inputs: Any) -> list[Any]:
        with jax.enable_x64(True):
            found = function(*map(widen, inputs))
            return [lax.convert_element_type(value, dtype) if is_real(value.dtype) else value for value in found]

    return evaluate


def _changes(blamed: Sequence[Node]) -> list[Change]:
    formula = Formula({})
    made = [
        Change(node.span, formula(node), f"{formula(node)} in float64", IDENTITY, "always", rewriting="longer numbers")
        for node in blamed
    ]
    return list(dict.fromkeys(made))


__all__ = ["Longer", "in_short"]
