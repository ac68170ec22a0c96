"""Parameters whose gradient is zero whatever the data are: no smooth path leads from them to the loss.

By the chain rule the derivative of the loss in a parameter is a sum over the paths from it to the loss, each the
product of the local derivatives on the way. Where there is no path the sum is empty, and where every path runs through
an equation whose derivative is zero (a comparison, a rounding, an index, `stop_gradient`) all its products are zero.
Both are read off the graph (`qed.domains.felt`), and then seen: the gradient is evaluated, and the parameter is moved.
What is not used or stopped on purpose is a note. A warning is given only where moving the parameter moves the loss, and
the gradient is zero none the less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed import facts
from qed.answer import Answer, Finding, Reason, Standing
from qed.domains.felt import Cut, Flow, State
from qed.findings import Level
from qed.graph.dtypes import is_extended
from qed.graph.graph import Variable
from qed.graph.trace import is_float
from qed.why.case import Case
from qed.why.mistakes.flat import VIEWS

_BARE = VIEWS | {"concatenate", "dynamic_slice", "gather", "select_n", "slice"}
_ROUNDS = frozenset({"ceil", "floor", "round", "sign"})
_WORDS = {
    "ceil": "rounding",
    "convert_element_type": "a conversion to integers or truth values",
    "floor": "rounding",
    "round": "rounding",
    "sign": "the sign",
}


@dataclass(frozen=True, eq=False)
class _Fixed:
    """A parameter that no gradient moves: why ('unused', 'stopped', 'cut') and, if cut, where."""

    index: int
    why: str
    cut: Cut | None = None


def _fixed(case: Case) -> list[_Fixed]:
    prepared = case.prepared
    free = {position: k for k, position in enumerate(prepared.traced.free)}
    flow = Flow(len(free), _BARE)
    inputs = [State() if _is_key(v) else State(1 << flow.count) for v in prepared.graph.inputs]
    for position, k in free.items():
        inputs[position] = State(1 << k, 1 << k, 1 << k, 1 << k)
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
