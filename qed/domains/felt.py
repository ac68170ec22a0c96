"""Which parameters a value feels: from which of them a path leads to it on which no derivative is zero.

In one pass over a graph, with four sets for each value,

    uses    the parameters that it depends on, and whether it depends on data,
    feels   the parameters in which its derivative may be other than zero,
    open    the same, if `stop_gradient` did nothing,
    bare    the parameters that it shows as they are (taken from an array, in another shape),

and the equations at which paths lose their derivative: a comparison, a rounding, a place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from qed import facts
from qed.domains.backward import has_derivative
from qed.graph.calls import Cond, Inline, Scan, While
from qed.graph.dtypes import is_inexact
from qed.graph.graph import Equation, Graph, Literal, Variable
from qed.span import Span

_PASSES = frozenset({facts.Class.EFFECT, None})


@dataclass(frozen=True)
class State:
    """The four sets of a value, as bits."""

    uses: int = 0
    feels: int = 0
    open: int = 0
    bare: int = 0

    def __or__(self, other: State) -> State:
        return State(self.uses | other.uses, self.feels | other.feels, self.open | other.open, self.bare | other.bare)


@dataclass(eq=False)
class Cut:
    """An equation at which paths lose their derivative: of which parameters, shown as they are or not; with data?"""

    bit: int
    equation: Equation
    span: Span | None
    lost: int = 0
    bare: int = 0
    on_data: bool = False


@dataclass(eq=False)
class Flow:
    """The pass over a graph of `count` parameters; bit `count` stands for the data, the bits after it for the cuts.

    Primitives in `shows` hand on numbers as they are.

    >>> import jax.numpy as jnp
    >>> from qed.graph.trace import trace
    >>> graph = trace(lambda x: jnp.sum(x > 0) + 0.0, jnp.ones(3)).graph
    >>> flow = Flow(1)
    >>> (out,) = flow.run(graph, [State(1, 1, 1, 1)])
    >>> bool(out.feels), [cut.equation.primitive for cut in flow.cuts.values()]
    (False, ['gt'])
    """

    count: int
    shows: frozenset[str] = frozenset()
    cuts: dict[int, Cut] = field(default_factory=dict)

    def run(self, graph: Graph, inputs: Sequence[State], span: Span | None = None) -> list[State]:
        """The sets of a graph's results."""
        env: dict[Variable, State] = dict(zip(graph.inputs, inputs, strict=True))
        for equation in graph.equations:
            given = [State() if isinstance(a, Literal) else env.get(a, State()) for a in equation.inputs]
            env.update(zip(equation.outputs, self.step(equation, given, equation.span or span), strict=True))
        return [State() if isinstance(a, Literal) else env.get(a, State()) for a in graph.outputs]

    def step(self, equation: Equation, given: list[State], span: Span | None) -> list[State]:
        """Those of an equation's."""
        match equation.call:
            case Inline(graph=graph, custom=""):
                return self.run(graph, given, span)
            case Cond(branches=branches):
                decided = State(given[0].uses)
                rows = [self.run(branch, given[1:], span) for branch in branches]
                return [joined([*column, decided]) for column in zip(*rows, strict=True)]
            case Scan(body=body, constants=constants, carry=carry):
                return self._repeat(body, given[:constants], given[constants:], carry, span)
            case While() as loop:
                split = loop.condition_constants
                cut = split + loop.body_constants
                count = len(given) - cut
                outs = self._repeat(loop.body, given[split:cut], given[cut:], count, span)
                (decision,) = self.run(loop.condition, [*given[:split], *outs], span)
                return [out | State(decision.uses) for out in outs]
        return self._leaf(equation, joined(given), span)

    def _repeat(
        self, body: Graph, constants: list[State], rest: list[State], carry: int, span: Span | None
    ) -> list[State]:
        current, sliced = rest[:carry], rest[carry:]
        while True:
            outs = self.run(body, [*constants, *current, *sliced], span)
            after = [old | new for old, new in zip(current, outs[:carry], strict=True)]
            if after == current:
                return [*after, *outs[carry:]]
            current = after

    def _leaf(self, equation: Equation, inside: State, span: Span | None) -> list[State]:
        if equation.primitive == "stop_gradient":
            return [State(inside.uses, 0, inside.open)] * len(equation.outputs)
        smooth = equation.call is not None or _smooth(equation)
        states = []
        for variable in equation.outputs:
            if smooth and is_inexact(variable.dtype):
                states.append(inside if equation.primitive in self.shows else replace(inside, bare=0))
            else:
                states.append(State(inside.uses | self._cut(equation, inside, span)))
        return states

    def _cut(self, equation: Equation, inside: State, span: Span | None) -> int:
        if not inside.open:
            return 0
        known = self.cuts.get(id(equation))
        if known is None:
            known = self.cuts[id(equation)] = Cut(1 << (self.count + 1 + len(self.cuts)), equation, span)
        known.lost |= inside.open
        known.bare |= inside.bare
        known.on_data |= bool(inside.uses >> self.count & 1)
        return known.bit


def joined(states: Sequence[State]) -> State:
    """The sets of all together."""
    found = State()
    for state in states:
        found |= state
    return found


def _smooth(equation: Equation) -> bool:
    """False only where the derivative is certainly zero."""
    kind = facts.classify(equation.primitive)
    return kind in _PASSES or equation.primitive == "random_gamma" or has_derivative(equation)
