"""Equations that call other graphs, in the five forms that exist.

===========  ===================================================  =======================================
form         primitives                                           meaning
===========  ===================================================  =======================================
`Inline`     jit, remat, custom_jvp_call, custom_vjp_call, ...    outputs = graph(inputs)
`Cond`       cond (also switch)                                   outputs = branches[inputs[0]](inputs[1:])
`Scan`       scan (also map, fori_loop with static bounds)        carry, y_t = body(consts, carry, x_t)
`While`      while (also fori_loop)                               while condition(carry): carry = body(carry)
===========  ===================================================  =======================================

A leaf, the fifth form, calls nothing: ``Equation.call is None``. The front end fills these records in; the
walker (`qed.graph.walk`) is the only code that executes them.
"""

from __future__ import annotations

from dataclasses import dataclass

from qed.graph.graph import Graph


@dataclass(frozen=True)
class Inline:
    """The called graph stands in place of the equation.

    Args:
        graph: what is called.
        custom: 'jvp' or 'vjp' where the user attached a derivative rule, else ''.
        name: the called function's name.
    """

    graph: Graph
    custom: str = ""
    name: str = ""

    @property
    def graphs(self) -> tuple[Graph, ...]:
        """The called graphs."""
        return (self.graph,)


@dataclass(frozen=True)
class Cond:
    """One of several branches, chosen by the first input (clamped into range)."""

    branches: tuple[Graph, ...]

    @property
    def graphs(self) -> tuple[Graph, ...]:
        """The called graphs."""
        return self.branches


@dataclass(frozen=True)
class Scan:
    """A loop of known length over the leading axis of its last inputs.

    Inputs are `constants` values seen by every step, then `carry` values handed from step to step, then the
    arrays that are sliced; outputs are the last carry, then what the steps return, stacked.
    """

    body: Graph
    constants: int
    carry: int
    length: int
    reverse: bool = False

    @property
    def graphs(self) -> tuple[Graph, ...]:
        """The called graphs."""
        return (self.body,)

    def steps(self) -> range:
        """The indices in the order in which the loop visits them."""
        return range(self.length - 1, -1, -1) if self.reverse else range(self.length)


@dataclass(frozen=True)
class While:
    """A loop that runs as long as `condition` holds of the carry."""

    condition: Graph
    body: Graph
    condition_constants: int
    body_constants: int

    @property
    def graphs(self) -> tuple[Graph, ...]:
        """The called graphs."""
        return (self.condition, self.body)


Call = Inline | Cond | Scan | While
