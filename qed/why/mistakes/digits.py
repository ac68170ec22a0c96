"""Digits that are lost without a trace: a finite loss, or a finite gradient, of which most bits are wrong.

Half of the programs that lose their digits never show a NaN. So the loss and its gradient at the start are compared
with what their graphs mean in real numbers (`qed.numerics.measuring`): in balls where they are small, in float64, where
that bounds its own error, elsewhere. Not where the run ended: near a minimum every gradient is a small difference of
large terms, and near a root every loss.

Where rounding the parameters and the data alone would lose the same digits, no other formula would keep them. What is
told is therefore only what is lost beyond that, and only where less than half of the digits are left: a training step
needs few, and library functions such as log_softmax near a certain class lose some. Digits are counted in the coarsest
format of the program. Equation by equation only what a screen suspects is run (`qed.why.mistakes.screen`): that
compiles every primitive.

The remedy is a stable form of the same function (`qed.stabilize`), tried: bits lost before and after, and the run.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from qed.answer import Advice, Answer, Standing, Trial
from qed.domains.bits import Format
from qed.domains.cost import count
from qed.graph.dtypes import unit_roundoff
from qed.graph.graph import Graph
from qed.graph.trace import Traced, trace
from qed.numerics.measuring.gradient import gradient_graph
from qed.numerics.measuring.judge import Judged, judge
from qed.numerics.measuring.phenomenon import findings_of
from qed.numerics.measuring.words import because, comparison
from qed.numerics.stabilize import stabilize
from qed.why.case import STEPS, Case
from qed.why.mistakes.screen import BEYOND, Screen, coarsest, too_many
from qed.why.trial import Run, Runner

SHARE = 0.2
"""Of the time that is left, what two more compilations may take."""

LARGEST = 1_000_000
"""Programs of more operations are not compared."""

EQUATIONS = 1_000
"""Nor those of more equations: each is evaluated by itself, and compiled the first time."""


@dataclass(frozen=True, eq=False)
class _Lost:
    """Digits lost in the loss or in its gradient, at a point."""

    whose: str
    when: str
    found: Judged
    parameters: tuple[Any, ...]

    @property
    def bits(self) -> float:
        """How many."""
        return self.found.bits or 0.0


def lost_digits(case: Case, run: Run) -> list[Answer[Any]]:
    """A loss or a gradient that is finite and of which most digits are wrong (QED202, 203, 206, 207, 208)."""
    prepared = case.prepared
    counted = count(prepared.graph, prepared.traced.free)
    if counted.value > LARGEST or counted.equations > EQUATIONS or counted.open_loops or case.clock.left <= 0:
        return []
    if run.first > SHARE * case.clock.left:
        return []
    graph = replace(prepared.graph, outputs=prepared.graph.outputs[:1])
    value = Screen(graph, normwise=False)
    derived = _derived(prepared.function.own or prepared.traced, prepared.function.fun)
    gradient = None if derived is None else (Screen(derived[0], normwise=True), derived[1])
    try:
        lost = _lost(case, value, gradient, "at the start", tuple(map(_strong, prepared.parameters)))
    except TypeError:  # the graph cannot be replayed in another precision: integers of the wrong width, say
        return []
    advice = _stable_form(case, lost[0]) if lost else ()
    return [_answer(each, advice if each is lost[0] else ()) for each in lost]


def _strong(array: Any) -> Any:
    """The array without JAX's weak type, so that what is compiled at the start serves at the end of the run too."""
    return array.astype(array.dtype) if getattr(array, "weak_type", False) else array


def _derived(own: Traced, fun: Any) -> tuple[Graph, list[Any]] | None:
    try:
        return gradient_graph(fun, own, 0, ())
    except Exception:  # JAX has no gradient of it; the run has said so
        return None


def _lost(case: Case, value: Screen, gradient: Any, when: str, parameters: tuple[Any, ...]) -> list[_Lost]:
    prepared, found = case.prepared, []
    arrays = prepared.join(parameters, prepared.data)
    loss = case.runner("given").value(parameters, prepared.data)
    if value.suspects(arrays, [loss]):
        judged = judge(value.graph, arrays, [""], normwise=False)
        found.append(_Lost("the loss", when, judged, parameters))
    if gradient is not None and case.clock.left > 0:
        screen, inputs = gradient
        given = [*parameters, *inputs[len(parameters) :]]
        if screen.suspects(given, case.curvature("given").gradient(parameters, prepared.data)):
            judged = judge(screen.graph, given, list(prepared.paths), normwise=True)
            if not _hidden(judged, loss):
                found.append(_Lost("the gradient", when, judged, parameters))
    return [each for each in found if _beyond(each.found)]


def _hidden(gradient: Judged, loss: Any) -> bool:
    """Whether a gradient, as computed and as meant, is below the rounding of the loss itself: it is 0, up to that."""
    if gradient.worst is None or gradient.run is None:
        return False
    leaf = gradient.leaves[gradient.worst]
    size = max(abs(leaf.result or 0.0), abs(leaf.truth or 0.0))
    return size <= coarsest(gradient.run.graph) * abs(float(np.asarray(loss).astype(np.float64)))


def _many(found: Judged) -> bool:
    """Whether more than half of the digits of the coarsest format are lost."""
    if found.bits is None or found.run is None or found.worst is None:
        return False
    own = found.run.results[found.outputs[found.worst]].dtype
    return too_many(found.bits, unit_roundoff(own), coarsest(found.run.graph))


def _accounted(lost: _Lost) -> _Lost:
    """The same with who is to blame."""
    run = lost.found.run
    assert run is not None
    names = [""] * len(run.graph.outputs)
    for k, leaf in zip(lost.found.outputs, lost.found.leaves, strict=True):
        names[k] = leaf.path
    return replace(lost, found=judge(run.graph, run.arrays, names, normwise=lost.whose == "the gradient"))


def _beyond(found: Judged) -> bool:
    """Whether more is lost than rounding the inputs explains."""
    if not _many(found) or found.account is None or not found.account.equations:
        return False
    inherent = found.account.inherent
    return inherent is not None and (found.bits or 0.0) > inherent + BEYOND


# --- the remedy -----------------------------------------------------------------------------------------------


def _stable_form(case: Case, lost: _Lost) -> tuple[Advice, ...]:
    """A stable form of the loss, tried at this point and as a run."""
    prepared = case.prepared
    own = prepared.function.own or prepared.traced
    fun = prepared.function.fun
    arguments, keywords = own.rebuild(own.leaves)
    closed_over = prepared.closed_over

    @functools.wraps(fun)  # its arguments keep their names in the patch
    def first(*given: Any) -> Any:
        return jax.tree.leaves(fun(*given, **keywords))[0]

    stable = stabilize(first)

    def loss(parameters: Any, data: Any) -> Any:
        full = prepared.join(parameters, data)
        return stable(*own.rebuild(full[: len(full) - closed_over])[0])

    try:
        after = _bits_of(loss, prepared, lost)
    except Exception:  # the rewriting meets something that it cannot follow: then there is no advice
        return ()
    if after is None or after > lost.bits - BEYOND:
        return ()
    before, patch = lost.bits, _patch(stable, arguments)
    what = f"compute it in a stable form: {before:.0f} bits of {lost.whose} are lost, and {after:.0f} then"
    trial = _trial(case, loss)
    return (Advice(what, patch=patch, trial=trial),)


def _bits_of(loss: Any, prepared: Any, lost: _Lost) -> float | None:
    """Bits lost by the stable form at the same point."""
    data = list(prepared.data)
    if lost.whose == "the loss":
        traced = trace(loss, list(lost.parameters), data)
        return judge(traced.graph, traced.leaves, [""], normwise=False, blame=False).bits
    traced = trace(loss, list(lost.parameters), data)
    graph, inputs = gradient_graph(loss, traced, 0, ())
    return judge(graph, inputs, list(prepared.paths), normwise=True, blame=False).bits


def _patch(stable: Any, arguments: Sequence[Any]) -> str | None:
    try:
        return stable.rewrites(*arguments).value.patch or None
    except Exception:  # the patch is text beside the trial, which was made
        return None


def _trial(case: Case, loss: Any) -> Trial:
    """The run with another form of the loss, or its value alone where there is no step rule."""
    prepared = case.prepared
    if prepared.rule is None or case.clock.left <= 0:
        start = float(np.asarray(prepared.loss(prepared.parameters, prepared.data)).astype(np.float64))
        end = float(np.asarray(loss(prepared.parameters, prepared.data)).astype(np.float64))
        return Trial(0, start, end, 0, bool(np.isfinite(end)))
    run = Runner(loss, case.rule, case.key_position).run(
        prepared.parameters, prepared.data, STEPS, deadline=case.clock.deadline(0.4)
    )
    return run.trial()


# --- the answer -----------------------------------------------------------------------------------------------


def _answer(lost: _Lost, advice: tuple[Advice, ...]) -> Answer[Any]:
    found = lost.found
    assert found.worst is not None
    assert found.run is not None
    assert found.account is not None
    leaf = found.leaves[found.worst]
    form = Format.of(found.run.results[found.outputs[found.worst]].dtype)
    ball = found.reference == "ball"
    claim = f"{lost.whose} keeps its digits {lost.when}" if ball else f"{lost.whose} loses digits {lost.when}"
    blamed = found.account.equations
    how_many = f"{lost.bits:.0f} of the {form.digits:.0f} bits of {lost.whose} are wrong {lost.when}"
    found_here = findings_of(blamed, lost.whose, lost.bits, leaf.result)
    reasons = (comparison(leaf, found, form, lost.whose), *because(blamed, lost.whose, found_here, most=2))
    findings = [
        replace(
            each,
            message=f"{how_many}: {each.message}",
            witness={**(each.witness or {}), "note": f"{how_many}: {(each.witness or {})['note']}"},
        )
        for each in found_here
    ]
    return Answer(
        claim,
        Standing.REFUTED if ball else Standing.MEASURED,
        lost.bits,
        arithmetic=form.name,
        reasons=reasons,
        findings=tuple(findings),
        advice=advice,
        meta={"reference": found.reference},
        recheck=lambda: _many(_accounted(lost).found),
    )
