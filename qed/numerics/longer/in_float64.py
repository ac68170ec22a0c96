"""A function in float32, bfloat16 or float16 in float64, rounded once.

The graph in float64 (`lengthened`) is rewritten like any other. Inputs are exact there, and the results are rounded to
the program's dtype. It does not matter whether `jax_enable_x64` is set. The derivative is taken of the graph in
float64, and is rewritten there. Where even float64 cancels so far that the program's dtype sees it, 288 bits are used
(`qed.numerics.longer.on_machine`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Protocol

import jax
import numpy as np
from jax import lax

from qed.domains.widened import widen
from qed.graph.build import Node
from qed.graph.dtypes import as_wide, is_real
from qed.graph.graph import Graph
from qed.numerics.longer.judged import Limits
from qed.numerics.longer.lengthened import lengthened
from qed.numerics.rewriting.change import Change
from qed.numerics.rewriting.render import Formula
from qed.numerics.rewriting.session import Rewritten
from qed.span import Span

LIMITS: Limits = ((12.0, 4.0), (8.0, 16.0))
"""How many bits a result must lose at how many probes."""
Pair = tuple[Rewritten | None, Rewritten | None]
"""A reverse and a forward graph of a derivative."""


class Function(Protocol):
    """A rewritten function with its derivatives, as `qed.numerics.rewriting.derivative.Stable` is one."""

    value: Rewritten

    def graphs(self, moving: Sequence[int]) -> tuple[Rewritten | None, Rewritten | None]:
        """The reverse and the forward graph of its derivative."""
        ...

    def longest(self, into: Any) -> Function:
        """The same in longer numbers, where results that are rounded to a dtype in the end need them."""
        ...

    def places(self, moving: Sequence[int], points: Sequence[Sequence[Any]], into: Any) -> set[Span | None]:
        """Where it loses at some points, inputs in longer numbers, what a dtype sees, and longer numbers do not."""
        ...


def in_float64(graph: Graph, make: Callable[[Graph], Function]) -> InFloat64 | None:
    """A function in float64; None where that is not for it.

    Args:
        graph: the function as written.
        make: its rewritten form, of the graph in float64.
    """
    wider = lengthened(graph)
    if wider is None:
        return None
    return InFloat64(graph, wider, make)


@dataclass(frozen=True, eq=False)
class InFloat64:
    """A function in float64 as one in its own dtype.

    Args:
        graph: the function as written.
        wider: its graph in float64.
        make: its rewritten form, of that graph.
    """

    graph: Graph
    wider: Graph
    make: Callable[[Graph], Function]
    alone: ClassVar[bool] = True

    @property
    def limits(self) -> Limits:
        """How many bits a result must lose at how many probes."""
        return LIMITS

    @cached_property
    def function(self) -> Function:
        """The function in float64, rewritten."""
        with jax.enable_x64(True):
            return self.make(self.wider)

    def places(self, moving: Sequence[int], points: Sequence[Sequence[Any]]) -> set[Span | None]:
        """Where it loses so much at some points that the program's dtype sees it, and longer numbers do not."""
        with jax.enable_x64(True):
            wide = [[as_wide(x) if is_real(np.asarray(x).dtype) else x for x in point] for point in points]
            return self.function.places(moving, wide, self._dtype)

    def value(self, short: Rewritten, blamed: Sequence[Node]) -> Rewritten:
        """The graph in float64 in place of a short one."""
        return self._in_short(self._longest.value, blamed)

    def derivative(self, moving: Sequence[int], short: Pair, blamed: Sequence[Node]) -> Pair:
        """The derivative's graphs in float64."""
        with jax.enable_x64(True):
            reverse, forward = self._longest.graphs(moving)
        return reverse and self._in_short(reverse, blamed), forward and self._in_short(forward, blamed)

    @property
    def _dtype(self) -> Any:
        return next(v.dtype for v in self.graph.inputs if is_real(v.dtype))

    @cached_property
    def _longest(self) -> Function:
        """The function in float64, and in longer numbers where float64 does not do."""
        with jax.enable_x64(True):
            return self.function.longest(self._dtype)

    def _in_short(self, wide: Rewritten, blamed: Sequence[Node]) -> Rewritten:
        identity = "the same operations on numbers of twice the digits, rounded at the end"
        told = () if wide.longer else longer_changes(blamed, "in float64", identity)
        return replace(
            wide,
            function=_rounded(wide.function, self._dtype),
            changes=(*wide.changes, *told),
            longer=True,
            bare=None,
        )


def _rounded(function: Callable[..., list[Any]], dtype: Any) -> Callable[..., list[Any]]:
    def evaluate(*inputs: Any) -> list[Any]:
        with jax.enable_x64(True):
            found = function(*map(widen, inputs))
            return [lax.convert_element_type(value, dtype) if is_real(value.dtype) else value for value in found]

    return evaluate


def longer_changes(blamed: Sequence[Node], numbers: str, identity: str) -> list[Change]:
    """What is told of longer numbers: the differences for which they are used, and what they are."""
    formula = Formula({})
    made = [
        Change(node.span, formula(node), f"{formula(node)} {numbers}", identity, "always", rewriting="longer numbers")
        for node in blamed
    ]
    return list(dict.fromkeys(made))


__all__ = ["Function", "InFloat64", "Pair", "in_float64", "longer_changes"]
