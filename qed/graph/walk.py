"""The one forward loop over a graph, and the one reverse loop over what it recorded.

Forward: equations are applied in order, in one or several domains of values side by side. `jit`, custom rules,
`cond`, `scan` and `while` are executed here and nowhere else; a domain only says what a *leaf* equation does
to its values. A value is a `Cell`; a call hands its cells on, so that one value is one cell through any depth
of calls, and two calls of one cached graph are two things. Where a domain has no rule its value is `Unknown`, with
the primitive and the line, and so is all that is computed from it: the walker passes it on, no domain sees it.

Where no domain decides a branch, every branch is walked and the results are joined; where no domain decides
the condition of a loop, what the loop computes is `Unknown`.

Reverse: reverse accumulation (Griewank and Walther, *Evaluating Derivatives*, 2008, ch. 3). The tape is the list
of entries in execution order; a backward domain says how cotangents of an entry's outputs become
cotangents of its inputs::

    adjoint(input) += adjoint(output) . d output / d input
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from qed.graph.calls import Cond, Inline, Scan, While
from qed.graph.graph import Atom, Equation, Graph, Literal, Variable
from qed.graph.tape import Cell, Context, Entry, Frame, Unknown

__all__ = [
    "Cell",
    "Context",
    "Contribution",
    "Cotangents",
    "Domain",
    "Entry",
    "Frame",
    "TooLong",
    "Unknown",
    "Walker",
    "reverse",
]

LIMIT = 2_000_000
"""How many leaves one walk executes at most: minutes, and gigabytes where a tape is kept."""


class Domain(Protocol):
    """What the walker asks of a domain; `qed.domains.forward.Forward` implements most of it."""

    name: str

    def constant(self, atom: Atom, array: Any) -> Any:
        """The domain's view of a concrete array."""

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """What a leaf equation does to values."""
        ...

    def unknown(self, equation: Equation, context: Context) -> Unknown:
        """The declared gap at an equation."""
        ...

    def choose(self, value: Any, count: int) -> int | None:
        """Which branch an index selects, or None."""

    def truth(self, value: Any) -> bool | None:
        """Whether a condition holds, or None."""

    def take(self, value: Any, index: int) -> Any:
        """Row `index` of a value."""

    def stack(self, values: Sequence[Any], variable: Variable) -> Any:
        """Rows on top of each other."""

    def join(self, first: Any, second: Any) -> Any:
        """What is known when either value is possible."""

    def depending(self, value: Any, cause: Any) -> Any:
        """The value of a branch that `cause` selected without deciding it."""

    def among(self, values: Sequence[Any], cause: Any) -> Any:
        """The value of one of several branches, between which `cause` did not decide."""


class TooLong(Exception):
    """A walk executed more leaves than its limit."""


class Walker:
    """Walks graphs forward in one or several domains at once.

    Args:
        domains: which domains, those that decide control flow first.
        observe: called with every executed `Entry` (a list's `append` makes a tape).
        activity: (equation, whether any input is active) -> which outputs depend on the active inputs.
        opaque: (equation) -> True for calls that are to be applied as leaves.
        limit: how many leaves at most; TooLong is raised where a loop of the program does not end within it.
    """

    def __init__(
        self,
        domains: Sequence[Domain],
        observe: Callable[[Entry], None] | None = None,
        activity: Callable[[Equation, Sequence[bool]], Sequence[bool]] | None = None,
        opaque: Callable[[Equation], bool] | None = None,
        limit: int = LIMIT,
    ) -> None:
        self.domains = tuple(domains)
        self.observe = observe
        self.activity = activity
        self.opaque = opaque
        self.limit = limit
        self._executed = 0
        self._constants: dict[Atom, Cell] = {}

    # --- cells ---

    def constant(self, atom: Atom, array: Any, active: bool = False) -> Cell:
        """A cell that holds the same concrete array in every domain."""
        values = tuple(domain.constant(atom, array) for domain in self.domains)
        return Cell(values, atom.shape, atom.dtype, active)

    def run(self, graph: Graph, arrays: Sequence[Any], active: Sequence[int] = ()) -> list[Cell]:
        """Walk a graph at concrete inputs.

        Args:
            graph: the graph.
            arrays: one array per input.
            active: positions of the inputs that are differentiated.

        Returns:
            One cell per output.
        """
        return self.walk(graph, self.start(graph, arrays, active), Frame(graph))

    def start(self, graph: Graph, arrays: Sequence[Any], active: Sequence[int] = ()) -> tuple[Cell, ...]:
        """The cells of the inputs."""
        wanted = set(active)
        return tuple(
            self.constant(variable, array, i in wanted)
            for i, (variable, array) in enumerate(zip(graph.inputs, arrays, strict=True))
        )

    def walk(self, graph: Graph, cells: Sequence[Cell], frame: Frame) -> list[Cell]:
        """Walk a graph at cells."""
        env: dict[Variable, Cell] = dict(zip(graph.inputs, cells, strict=True))
        for variable, array in graph.constants:
            env[variable] = self._once(variable, array)
        last = graph.last_use
        for index, equation in enumerate(graph.equations):
            inputs = [self._read(env, atom) for atom in equation.inputs]
            for variable, cell in zip(equation.outputs, self._step(equation, inputs, frame), strict=True):
                if variable in last:
                    env[variable] = cell
            for atom in equation.inputs:
                if isinstance(atom, Variable) and last[atom] == index:
                    env.pop(atom, None)
        return [self._read(env, atom) for atom in graph.outputs]

    def _read(self, env: dict[Variable, Cell], atom: Atom) -> Cell:
        return self._once(atom, atom.value) if isinstance(atom, Literal) else env[atom]

    def _once(self, atom: Atom, array: Any) -> Cell:
        """The cell of a constant, made at its first use: a loop reads it at every step."""
        if atom not in self._constants:
            self._constants[atom] = self.constant(atom, array)
        return self._constants[atom]

    # --- equations ---

    def _step(self, equation: Equation, inputs: list[Cell], frame: Frame) -> Sequence[Cell]:
        call = equation.call
        if call is None or (self.opaque is not None and self.opaque(equation)):
            return self._leaf(equation, inputs, frame)
        match call:
            case Inline():
                return self.walk(call.graph, inputs, Frame(call.graph, frame, equation))
            case Cond():
                return self._cond(call, equation, inputs, frame)
            case Scan():
                return self._scan(call, equation, inputs, frame)
            case While():
                return self._while(call, equation, inputs, frame)
        raise TypeError(call)

    def _leaf(self, equation: Equation, inputs: Sequence[Cell], frame: Frame) -> list[Cell]:
        columns: list[Sequence[Any]] = []
        seen: dict[str, tuple[Any, ...]] = {}
        for k, domain in enumerate(self.domains):
            values = tuple(cell.values[k] for cell in inputs)
            lost = next((value for value in values if isinstance(value, Unknown)), None)
            if lost is not None:
                outs: Sequence[Any] = (lost,) * len(equation.outputs)
            else:
                outs = domain.apply(equation, values, Context(equation, frame, MappingProxyType(seen)))
            columns.append(outs)
            seen = {**seen, domain.name: values, domain.name + ":out": tuple(outs)}
        flags = self._flags(equation, inputs)
        outputs = [
            Cell(tuple(column[j] for column in columns), variable.shape, variable.dtype, flags[j])
            for j, variable in enumerate(equation.outputs)
        ]
        self._record("equation", equation, frame, inputs, outputs)
        return outputs

    def _flags(self, equation: Equation, inputs: Sequence[Cell]) -> Sequence[bool]:
        any_active = [cell.active for cell in inputs]
        if self.activity is None or not any(any_active):
            return [False] * len(equation.outputs)
        return self.activity(equation, any_active)

    def _record(
        self,
        kind: str,
        equation: Equation,
        frame: Frame,
        inputs: Sequence[Cell],
        outputs: Sequence[Cell],
        index: int = 0,
    ) -> None:
        self._executed += 1
        if self._executed > self.limit:
            where = frame.span(equation)
            message = f"more than {self.limit} equations were executed" + (f", the last at {where}" if where else "")
            raise TooLong(message)
        if self.observe is not None:
            self.observe(Entry(kind, equation, frame, tuple(inputs), tuple(outputs), index))

    def _lost(self, equation: Equation, frame: Frame, cause: Cell) -> list[Cell]:
        """Unknown outputs of a call, because no domain could decide on `cause`."""
        context = Context(equation, frame)
        values = tuple(
            value if isinstance(value, Unknown) else domain.unknown(equation, context)
            for domain, value in zip(self.domains, cause.values, strict=True)
        )
        return [Cell(values, variable.shape, variable.dtype) for variable in equation.outputs]

    # --- calls ---

    def _cond(self, call: Cond, equation: Equation, inputs: list[Cell], frame: Frame) -> Sequence[Cell]:
        count = len(call.branches)
        known = [v for v in zip(self.domains, inputs[0].values, strict=True) if not isinstance(v[1], Unknown)]
        if not known:
            return self._lost(equation, frame, inputs[0])
        for domain, value in known:
            chosen = domain.choose(value, count)
            if chosen is not None:
                inner = Frame(call.branches[chosen], frame, equation, branch=chosen)
                return self.walk(inner.graph, inputs[1:], inner)
        results = [
            self.walk(branch, inputs[1:], Frame(branch, frame, equation, branch=i))
            for i, branch in enumerate(call.branches)
        ]
        return [self._among(cells, inputs[0]) for cells in zip(*results, strict=True)]

    def _among(self, cells: Sequence[Cell], index: Cell) -> Cell:
        values = []
        for k, domain in enumerate(self.domains):
            of_branches = [cell.values[k] for cell in cells]
            lost = next((v for v in (index.values[k], *of_branches) if isinstance(v, Unknown)), None)
            values.append(domain.among(of_branches, index.values[k]) if lost is None else lost)
        return Cell(tuple(values), cells[0].shape, cells[0].dtype, any(cell.active for cell in cells))

    def _scan(self, call: Scan, equation: Equation, inputs: list[Cell], frame: Frame) -> Sequence[Cell]:
        constants = inputs[: call.constants]
        carry = inputs[call.constants : call.constants + call.carry]
        sliced = inputs[call.constants + call.carry :]
        variables = equation.outputs[call.carry :]
        wanted = [variable in frame.graph.last_use for variable in variables]
        rows: list[list[Cell]] = [[] for _ in variables]
        for t in call.steps():
            inner = Frame(call.body, frame, equation, step=t)
            xs = [self._take(cell, t, equation, inner) for cell in sliced]
            outs = self.walk(call.body, [*constants, *carry, *xs], inner)
            carry = outs[: call.carry]
            for row, cell, keep in zip(rows, outs[call.carry :], wanted, strict=True):
                if keep:
                    row.append(cell)
        if call.reverse:
            rows = [row[::-1] for row in rows]
        stacked = [
            self._stack(row, variable, equation, frame) if keep else Cell((None,) * len(self.domains))
            for row, variable, keep in zip(rows, variables, wanted, strict=True)
        ]
        return [*carry, *stacked]

    def _take(self, cell: Cell, t: int, equation: Equation, frame: Frame) -> Cell:
        values = tuple(
            v if isinstance(v, Unknown) else d.take(v, t) for d, v in zip(self.domains, cell.values, strict=True)
        )
        out = Cell(values, cell.shape[1:], cell.dtype, cell.active)
        self._record("take", equation, frame, (cell,), (out,), t)
        return out

    def _stack(self, row: list[Cell], variable: Variable, equation: Equation, frame: Frame) -> Cell:
        values = []
        for k, domain in enumerate(self.domains):
            column = [cell.values[k] for cell in row]
            lost = next((value for value in column if isinstance(value, Unknown)), None)
            values.append(domain.stack(column, variable) if lost is None else lost)
        out = Cell(tuple(values), variable.shape, variable.dtype, any(cell.active for cell in row))
        self._record("stack", equation, frame, row, (out,))
        return out

    def _while(self, call: While, equation: Equation, inputs: list[Cell], frame: Frame) -> Sequence[Cell]:
        split = call.condition_constants
        for_condition, for_body = inputs[:split], inputs[split : split + call.body_constants]
        carry = list(inputs[split + call.body_constants :])
        step = 0
        while True:
            inner = Frame(call.condition, frame, equation, step=step)
            (decision,) = self.walk(call.condition, [*for_condition, *carry], inner)
            answers = [
                domain.truth(value)
                for domain, value in zip(self.domains, decision.values, strict=True)
                if not isinstance(value, Unknown)
            ]
            known = [answer for answer in answers if answer is not None]
            if not known:
                return self._lost(equation, frame, decision)
            if not known[0]:
                return carry
            inner = Frame(call.body, frame, equation, step=step)
            after = self.walk(call.body, [*for_body, *carry], inner)
            carry = after if not decision.shape else self._where(decision, after, carry, equation, inner)
            step += 1

    def _where(
        self, decision: Cell, after: Sequence[Cell], before: Sequence[Cell], equation: Equation, frame: Frame
    ) -> list[Cell]:
        """One step of a batched loop (vmap of a while): where the condition has ended, the carry stays."""
        chosen = []
        for new, old in zip(after, before, strict=True):
            mask = Variable(new.shape, decision.dtype)
            axes = tuple(range(len(decision.shape)))
            params = {"shape": new.shape, "broadcast_dimensions": axes, "sharding": None}
            spread = Equation("broadcast_in_dim", (Variable(decision.shape, decision.dtype),), (mask,), params)
            (wide,) = self._leaf(spread, [decision], frame)
            cases = (mask, Variable(old.shape, old.dtype), Variable(new.shape, new.dtype))
            select = Equation("select_n", cases, (Variable(new.shape, new.dtype),), span=equation.span)
            chosen += self._leaf(select, [wide, old, new], frame)
        return chosen


# --- the reverse loop -----------------------------------------------------------------------------------------

Pull = Callable[[Entry, Sequence[Any]], Sequence[Any]]


@dataclass(eq=False)
class Contribution:
    """What one entry adds to the cotangent of one of its inputs."""

    entry: Entry
    position: int
    value: Any


@dataclass(eq=False)
class Cotangents:
    """The result of the reverse loop: the total cotangent of every cell, and what it is the sum of."""

    totals: dict[Cell, Any] = field(default_factory=dict)
    parts: dict[Cell, list[Contribution]] = field(default_factory=dict)


def reverse(
    tape: Sequence[Entry],
    seeds: Mapping[Cell, Any],
    pull: Pull,
    add: Callable[[Any, Any], Any],
    keep_parts: bool = False,
) -> Cotangents:
    """Run the tape backwards.

    Args:
        tape: entries in execution order.
        seeds: cotangents of the outputs.
        pull: (entry, cotangents of its outputs, None for zero) -> cotangents of its inputs, None for zero.
        add: the sum of two cotangents.
        keep_parts: also keep every single contribution (to find which one is at fault).

    Returns:
        Cotangents of all active cells on a path to the seeds.
    """
    result = Cotangents(dict(seeds))
    for entry in reversed(tape):
        outs = [result.totals.get(cell) for cell in entry.outputs]
        if all(value is None for value in outs) or not any(cell.active for cell in entry.inputs):
            continue
        for position, (cell, value) in enumerate(zip(entry.inputs, pull(entry, outs), strict=True)):
            if value is None or not cell.active:
                continue
            known = result.totals.get(cell)
            result.totals[cell] = value if known is None else add(known, value)
            if keep_parts:
                result.parts.setdefault(cell, []).append(Contribution(entry, position, value))
    return result
