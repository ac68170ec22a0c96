"""Parameters whose gradient is zero whatever the data are: no smooth path leads from them to the loss.

By the chain rule the derivative of the loss in a parameter is a sum over the paths from it to the loss, each the
product of the local derivatives on the way. Where there is no path the sum is empty, and where every path runs through
an equation whose derivative is zero (a comparison, a rounding, an index, `stop_gradient`) all its products are zero.
Both are read off the graph in one pass with four sets for each value,

    uses    the parameters that it depends on, and whether it depends on data,
    feels   the parameters in which its derivative may be other than zero,
    open    the same, if `stop_gradient` did nothing,
    bare    the parameters that it shows as they are (taken from an array, in another shape),

and then seen: the gradient is evaluated, and the parameter is moved. What is not used or stopped on purpose is a
note. A warning is given only where moving the parameter moves the loss, and the gradient is zero none the less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed import facts
from qed.answer import Answer, Finding, Reason, Standing
from qed.domains.backward import has_derivative
from qed.findings import Level
from qed.graph.calls import Cond, Inline, Scan, While
from qed.graph.dtypes import is_extended, is_inexact
from qed.graph.graph import Equation, Graph, Literal, Variable
from qed.graph.trace import is_float
from qed.span import Span
from qed.why.case import Case
from qed.why.mistakes.flat import VIEWS

_PASSES = frozenset({facts.Class.EFFECT, None})
_BARE = VIEWS | {"concatenate", "dynamic_slice", "gather", "select_n", "slice"}
_ROUNDS = frozenset({"ceil", "floor", "round", "sign"})
_WORDS = {
    "ceil": "rounding",
    "convert_element_type": "a conversion to integers or truth values",
    "floor": "rounding",
    "round": "rounding",
    "sign": "the sign",
}


@dataclass(frozen=True)
class _State:
    uses: int = 0
    feels: int = 0
    open: int = 0
    bare: int = 0

    def __or__(self, other: _State) -> _State:
        return _State(self.uses | other.uses, self.feels | other.feels, self.open | other.open, self.bare | other.bare)


@dataclass(eq=False)
class _Cut:
    """An equation at which paths lose their derivative: of which parameters, shown as they are or not; with data?"""

    bit: int
    equation: Equation
    span: Span | None
    lost: int = 0
    bare: int = 0
    on_data: bool = False


@dataclass(eq=False)
class _Flow:
    """The pass over a graph of `count` parameters; bit `count` stands for the data, the bits after it for the cuts."""

    count: int
    cuts: dict[int, _Cut] = field(default_factory=dict)

    def run(self, graph: Graph, inputs: Sequence[_State], span: Span | None = None) -> list[_State]:
        env: dict[Variable, _State] = dict(zip(graph.inputs, inputs, strict=True))
        for equation in graph.equations:
            given = [_State() if isinstance(a, Literal) else env.get(a, _State()) for a in equation.inputs]
            env.update(zip(equation.outputs, self.step(equation, given, equation.span or span), strict=True))
        return [_State() if isinstance(a, Literal) else env.get(a, _State()) for a in graph.outputs]

    def step(self, equation: Equation, given: list[_State], span: Span | None) -> list[_State]:
        match equation.call:
            case Inline(graph=graph, custom=""):
                return self.run(graph, given, span)
            case Cond(branches=branches):
                decided = _State(given[0].uses)
                rows = [self.run(branch, given[1:], span) for branch in branches]
                return [_joined([*column, decided]) for column in zip(*rows, strict=True)]
            case Scan(body=body, constants=constants, carry=carry):
                return self._repeat(body, given[:constants], given[constants:], carry, span)
            case While() as loop:
                split = loop.condition_constants
                cut = split + loop.body_constants
                count = len(given) - cut
                outs = self._repeat(loop.body, given[split:cut], given[cut:], count, span)
                (decision,) = self.run(loop.condition, [*given[:split], *outs], span)
                return [out | _State(decision.uses) for out in outs]
        return self._leaf(equation, _joined(given), span)

    def _repeat(
        self, body: Graph, constants: list[_State], rest: list[_State], carry: int, span: Span | None
    ) -> list[_State]:
        current, sliced = rest[:carry], rest[carry:]
        while True:
            outs = self.run(body, [*constants, *current, *sliced], span)
            after = [old | new for old, new in zip(current, outs[:carry], strict=True)]
            if after == current:
                return [*after, *outs[carry:]]
            current = after

    def _leaf(self, equation: Equation, inside: _State, span: Span | None) -> list[_State]:
        if equation.primitive == "stop_gradient":
            return [_State(inside.uses, 0, inside.open)] * len(equation.outputs)
        smooth = equation.call is not None or _smooth(equation)
        states = []
        for variable in equation.outputs:
            if smooth and is_inexact(variable.dtype):
                states.append(inside if equation.primitive in _BARE else replace(inside, bare=0))
            else:
                states.append(_State(inside.uses | self._cut(equation, inside, span)))
        return states

    def _cut(self, equation: Equation, inside: _State, span: Span | None) -> int:
        if not inside.open:
            return 0
        known = self.cuts.get(id(equation))
        if known is None:
            known = self.cuts[id(equation)] = _Cut(1 << (self.count + 1 + len(self.cuts)), equation, span)
        known.lost |= inside.open
        known.bare |= inside.bare
        known.on_data |= bool(inside.uses >> self.count & 1)
        return known.bit


def _joined(states: Sequence[_State]) -> _State:
    found = _State()
    for state in states:
        found |= state
    return found


def _smooth(equation: Equation) -> bool:
    """False only where the derivative is certainly zero."""
    kind = facts.classify(equation.primitive)
    return kind in _PASSES or equation.primitive == "random_gamma" or has_derivative(equation)


@dataclass(frozen=True, eq=False)
class _Fixed:
    """A parameter that no gradient moves: why ('unused', 'stopped', 'cut') and, if cut, where."""

    index: int
    why: str
    cut: _Cut | None = None


def _fixed(case: Case) -> list[_Fixed]:
    prepared = case.prepared
    free = {position: k for k, position in enumerate(prepared.traced.free)}
    flow = _Flow(len(free))
    inputs = [_State() if _is_key(v) else _State(1 << flow.count) for v in prepared.graph.inputs]
    for position, k in free.items():
        inputs[position] = _State(1 << k, 1 << k, 1 << k, 1 << k)
    out = flow.run(prepared.graph, inputs, prepared.span)[0]
    found = []
    settings = _settings(prepared.problem.at)
    for k in free.values():
        bit = 1 << k
        if k in settings:
            continue
        if out.feels & bit or not int(np.prod(prepared.parameters[k].shape, dtype=np.int64)):
            continue
        if not out.uses & bit:
            found.append(_Fixed(k, "unused"))
        elif out.open & bit:
            found.append(_Fixed(k, "stopped"))
        else:
            found += [_Fixed(k, "cut", cut) for cut in flow.cuts.values() if out.uses & cut.bit and cut.lost & bit][:1]
    return found


def _is_key(variable: Variable) -> bool:
    return is_extended(variable.dtype) or str(variable.dtype) == "uint32"


def _settings(at: Any) -> set[int]:
    """The parameters that are plain numbers in a tree of arrays, such as the rate of a dropout layer."""
    floats = [leaf for leaf in jax.tree.leaves(at) if is_float(leaf)]
    plain = {k for k, leaf in enumerate(floats) if not hasattr(leaf, "shape")}
    return plain if len(plain) < len(floats) else set()


def zero_gradient(case: Case) -> list[Answer[Any]]:
    """The parameters that the loss does not feel, one answer for each reason (QED102)."""
    fixed = _fixed(case)
    if not fixed or case.clock.left <= 0:
        return []
    kinds = {why: [item for item in fixed if item.why == why] for why in ("unused", "stopped", "cut")}
    unused, stopped = kinds["unused"], kinds["stopped"]
    if unused and _move_the_loss(case, unused):  # not the same twice: nothing is certain
        return []
    answers = [_note(case, same, same[0].why) for same in (unused, stopped) if same]
    others_are_trained = len(fixed) < len(case.prepared.parameters)
    cut = [item for item in kinds["cut"] if not (others_are_trained and _is_setting(case, item))]
    places = dict.fromkeys(id(item.cut) for item in cut)
    together = [[item for item in cut if id(item.cut) == place] for place in places]
    groups = [items for items in together if case.clock.left > 0 and _move_the_loss(case, items)]
    zero = _exactly_zero(case) if groups else []
    for items in groups:
        still = [item for item in items if zero[item.index]]
        compared = [item for item in still if others_are_trained and _is_compared(item)]
        sick = [item for item in still if item not in compared]
        answers += [_note(case, compared, "compared")] if compared else []
        answers += [_warning(case, sick)] if sick else []
    return answers


def _move_the_loss(case: Case, items: Sequence[_Fixed]) -> bool:
    """Whether moving parameters, by a tenth to three times their size, changes the loss; needs no compiling."""
    prepared, runner, rng = case.prepared, case.runner("given"), np.random.default_rng(0)
    before = runner.value(prepared.parameters, prepared.data)
    for share in (0.1, 1.0, 1.0, 3.0, 3.0):
        parameters = list(prepared.parameters)
        for item in items:
            at = np.asarray(parameters[item.index]).astype(np.float64)
            size = float(np.abs(at).max()) or 1.0
            moved = at + share * size * rng.standard_normal(at.shape)
            parameters[item.index] = jnp.asarray(moved, parameters[item.index].dtype)
        after = runner.value(parameters, prepared.data)
        if before != after and not (np.isnan(before) and np.isnan(after)):
            return True
    return False


def _exactly_zero(case: Case) -> list[bool]:
    prepared = case.prepared
    gradient = jax.jit(jax.grad(prepared.loss))(prepared.parameters, prepared.data)
    return [not np.asarray(g).astype(np.float64).any() for g in gradient]


def _felt(case: Case, items: Sequence[_Fixed]) -> bool:
    zero = _exactly_zero(case)
    return any(not zero[item.index] for item in items)


def _is_setting(case: Case, item: _Fixed) -> bool:
    """Whether no data meet it where it is cut, and it is one number (a rate) or whole numbers (a mask, indices)."""
    value = np.asarray(case.prepared.parameters[item.index]).astype(np.float64)
    no_data = item.cut is not None and not item.cut.on_data
    return no_data and (value.size == 1 or bool((value == np.round(value)).all()))


def _is_compared(item: _Fixed) -> bool:
    """Whether the parameter itself, not something computed from it, is compared or indexes: fixed bounds, perhaps."""
    cut = item.cut
    return cut is not None and bool(cut.bare >> item.index & 1) and cut.equation.primitive not in _ROUNDS


def _names(case: Case, items: Sequence[_Fixed]) -> str:
    paths = [case.prepared.paths[item.index] for item in items]
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _note(case: Case, items: Sequence[_Fixed], why: str) -> Answer[Any]:
    names, many = _names(case, items), len(items) > 1
    how = {
        "unused": "the loss does not use ",
        "stopped": "stop_gradient stands before every use of ",
        "compared": "nothing but comparisons and indices use ",
    }[why]
    text = f"{names} {'are' if many else 'is'} not trained: {how}{'them' if many else 'it'}"
    witness = {"parameters": [case.prepared.paths[item.index] for item in items], "why": why}
    finding = Finding("QED102", text, None, witness, Level.NOTE)
    reason = Reason(
        "no path in the graph that carries a derivative",
        text=f"the gradient in {names} is a sum over no paths, and exactly zero at every point",
        predicted="gradient 0",
        observed="no path",
        standing=Standing.MEASURED,
    )
    return Answer(
        "the graph was searched for parameters without a gradient",
        Standing.MEASURED,
        arithmetic=case.prepared.dtype,
        reasons=(reason,),
        findings=(finding,),
    )


def _warning(case: Case, items: Sequence[_Fixed]) -> Answer[Any]:
    names, many, cut = _names(case, items), len(items) > 1, items[0].cut
    primitive = "" if cut is None else cut.equation.primitive
    span = None if cut is None else cut.span
    word = _WORDS.get(primitive, "a comparison" if facts.classify(primitive) is facts.Class.COMPARE else primitive)
    text = f"the gradient in {names} is exactly zero: the way to the loss leads through {word}"
    witness = {
        "parameters": [case.prepared.paths[item.index] for item in items],
        "primitive": primitive,
        "note": f"the derivative of {word} is zero",
    }
    reason = Reason(
        "moved, and the gradient evaluated",
        text=f"moving {'one of them' if many else names} moves the loss, but every path to it has derivative zero",
        predicted="gradient 0",
        observed="gradient 0",
        span=span,
        standing=Standing.MEASURED,
    )
    return Answer(
        f"the gradient in {names} tells how the loss depends on {'them' if many else 'it'}",
        Standing.REFUTED,
        arithmetic=case.prepared.dtype,
        reasons=(reason,),
        findings=(Finding("QED102", text, span, witness),),
        recheck=lambda: _move_the_loss(case, items) and not _felt(case, items),
    )
