"""A function in float64 in numbers of 288 bits, where they tell its result.

The graph as written, and its derivative by JAX, are programs of the machine (`qed.numerics.longer.machine`). No
identity is needed there, so nothing is rewritten: what cancels has digits enough. A result is rounded to float64 where
its error is surely below half a unit in the last place, and is that of the rewritten graph elsewhere: at inputs that
are not finite, at the ends of a function's domain, where even 288 bits cancel.

A function in float32 that loses so much in float64 that float32 sees it is computed so, too.

It is asked for fewer bits at more probes than float64 in place of float32 is, since it knows digits that no float64
does: those of log(1 + 1e-20), a share beside 1, which nobody misses.

What is computed in integers has no derivative for JAX. That of the first derivative, which second derivatives ask for,
is the rewritten graph's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.build import Builder, Node
from qed.graph.dtypes import is_real, unit_roundoff
from qed.graph.graph import Graph
from qed.numerics.longer.in_float64 import Pair, longer_changes
from qed.numerics.longer.judged import Limits
from qed.numerics.longer.lengthened import is_small_arithmetic
from qed.numerics.longer.machine import ANYTHING
from qed.numerics.longer.program import Unsupported, constants, program
from qed.numerics.longer.schedule import Table
from qed.numerics.longer.special import SLOPES
from qed.numerics.rewriting.differentiated import forward_graph, reverse_graph
from qed.numerics.rewriting.session import Rewritten

KNOWN = 2.0**-54
"""The largest relative error of what is rounded."""
NOTHING = 2.0**-200
"""A bound of an error below which a result is as good as known."""
LIMITS: Limits = ((9.0, 10.0), (7.0, 32.0))
"""How many bits a result must lose at how many probes."""
LEAST_IN_SHORT = 12.0
"""At how many probes one whose results are shorter must lose in float64 what they have."""
IDENTITY = "the same operations on numbers of 288 bits, rounded at the end; it takes longer, too"
Key = tuple[tuple[int, ...], bool]


def on_machine(graph: Graph, into: Any = None) -> OnMachine | None:
    """A function on the machine; None where that is not for it.

    Args:
        graph: the function as written.
        into: the dtype to which its results are rounded in the end, where that is a shorter one.
    """
    if not is_small_arithmetic(graph, frozenset(["float64"]), lengthened=into is not None):
        return None
    try:
        return OnMachine(graph, program(graph), into)
    except Unsupported:
        return None


@dataclass(frozen=True, eq=False)
class OnMachine:
    """A function of float64 and its derivatives on the machine.

    Args:
        graph: the function as written.
        table: its program.
        into: the dtype to which its results are rounded in the end, where that is a shorter one.
    """

    graph: Graph
    table: Table
    into: Any = None
    alone: ClassVar[bool] = False
    _derivatives: dict[Key, tuple[Graph, Table] | None] = field(init=False, default_factory=dict)

    @property
    def limits(self) -> Limits:
        """How many bits a result must lose at how many probes."""
        if self.into is None:
            return LIMITS
        return ((float(np.log2(unit_roundoff(self.into) / unit_roundoff("float64"))), LEAST_IN_SHORT),)

    def value(self, short: Rewritten, blamed: Sequence[Node]) -> Rewritten:
        """The machine's results in place of a graph's, where it knows them."""
        return _beside(short, self.table, blamed)

    def derivative(self, moving: Sequence[int], short: Pair, blamed: Sequence[Node]) -> Pair:
        """The machine's derivatives in place of those of the rewritten graphs."""
        reverse, forward = (
            None if graph is None else self._in_place(graph, moving, reverse=k == 0, blamed=blamed)
            for k, graph in enumerate(short)
        )
        return reverse, forward

    def _in_place(self, short: Rewritten, moving: Sequence[int], reverse: bool, blamed: Sequence[Node]) -> Rewritten:
        found = self._differentiated(moving, reverse)
        return short if found is None else _beside(short, found[1], blamed)

    def _differentiated(self, moving: Sequence[int], reverse: bool) -> tuple[Graph, Table] | None:
        """The graph of the derivative, as JAX makes it of the function as written, and its program."""
        key = tuple(moving), reverse
        if key not in self._derivatives:
            self._derivatives[key] = self._made(*key)
        return self._derivatives[key]

    def _made(self, moving: tuple[int, ...], reverse: bool) -> tuple[Graph, Table] | None:
        builder = Builder()  # a graph in float64 holds calls whose JAX equations are still of a shorter dtype
        inputs = builder.inputs(self.graph)
        function = builder.function(builder.inline(self.graph, inputs), inputs, effects=False)
        graph = (reverse_graph if reverse else forward_graph)(function, self.graph, moving)
        try:
            return None if graph is None else (graph, program(graph, self._meant()))
        except Unsupported:
            return None

    def _meant(self) -> dict[float, Fraction]:
        """The constants of JAX's derivative rules, where the function has none that is equal."""
        own = constants(self.graph)
        names = {equation.primitive for equation in self.graph.walk()}
        values = [sign * SLOPES[name]() for name in names & set(SLOPES) for sign in (1, -1)]
        return {float(value): value for value in values if float(value) not in own}


def _beside(short: Rewritten, table: Table, blamed: Sequence[Node]) -> Rewritten:
    """The machine's results beside those of a rewritten graph, whose derivative is the graph's."""

    @jax.custom_jvp
    def function(*inputs: Any) -> list[Any]:
        others = short.function(*inputs)
        found, error = table(jnp.concatenate([jnp.ravel(x).astype(jnp.float64) for x in inputs]))
        ends = np.cumsum([x.size for x in others])[:-1]
        pairs = zip(others, jnp.split(found, ends), jnp.split(error, ends), strict=True)
        return [_known(*pair) if is_real(pair[0].dtype) else pair[0] for pair in pairs]

    @function.defjvp
    def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        return function(*primals), jax.jvp(short.function, primals, tangents)[1]

    changes = (*short.changes, *longer_changes(blamed, "in 288 bits", IDENTITY))
    return replace(short, function=lambda *inputs: list(function(*inputs)), changes=changes, longer=True, bare=None)


def _known(other: Any, found: Any, error: Any) -> Any:
    """The machine's result where it is known; a zero keeps the sign that it has in float64.

    A result that is known to be small beside others of its array, and no more of it, is that of float64 so far as it
    lies within the machine's bound, and 0 or the nearest number within the bound else.
    """
    found, error = found.reshape(other.shape), error.reshape(other.shape)
    bound = jnp.abs(found) * error
    largest = jnp.max(jnp.where(error < KNOWN, jnp.abs(found), 0), initial=0)
    small = (error < ANYTHING) & (bound <= jnp.maximum(KNOWN * largest, NOTHING))
    within = jnp.clip(jnp.where(jnp.isnan(other), 0, other), found - bound, found + bound)
    return jnp.where((error < KNOWN) & ~((found == 0) & (other == 0)), found, jnp.where(small, within, other))


__all__ = ["OnMachine", "on_machine"]
