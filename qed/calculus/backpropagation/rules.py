"""How the error of a derivative rule propagates: the sweep with the user's rules beside the sweep through their bodies.

A rule that is attached to a function (`jax.custom_jvp`, `jax.custom_vjp`) replaces the derivative of its body. The
sweep is run twice on the same point, once with each such call kept whole and once with it entered. For each call both
are also compared alone, for the same adjoint coming in: that is the error *made* there. Everything upstream of the
call inherits it, each parameter with the share that its gradient gets through the call; what lies beside or behind the
call is untouched. Whether a rule that differs is a mistake or meant (a straight-through estimator, a clipped gradient)
is another question, that of `qed.check_gradient`.

Rules of libraries are not compared: JAX's own are tested with JAX.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.calculus.backpropagation.sweep import Sweep
from qed.calculus.backpropagation.tape import Rule, relative
from qed.domains.adjoint import Adjoint, add, adjoints, dense
from qed.domains.backward import record
from qed.domains.born import bad
from qed.graph.calls import Inline
from qed.graph.dtypes import is_inexact, unit_roundoff
from qed.graph.graph import Equation
from qed.graph.walk import Entry, TooLong, Unknown, reverse

MOST_CALLS = 200
"""How many executed calls with a rule are compared; in a long loop the first ones."""


def own_calls(done: Sweep) -> list[Entry]:
    """The executed calls on the way of the gradient whose derivative rule the user wrote."""
    return [entry for entry in done.entries if _is_own(entry)]


def _is_own(entry: Entry) -> bool:
    return entry.kind == "equation" and _has_rule(entry.equation) and not _of_a_library(entry.equation)


def _has_rule(equation: Equation) -> bool:
    return isinstance(equation.call, Inline) and bool(equation.call.custom)


def _of_a_library(equation: Equation) -> bool:
    """Whether a call with a rule is one of JAX's or of another package: its body has no line of the user's."""
    return _has_rule(equation) and equation.call.graph.span is None


@dataclass(frozen=True, eq=False)
class Compared:
    """The rules that differ, how many calls were compared, and how many could not be."""

    rules: tuple[Rule, ...] = ()
    calls: int = 0
    unknown: int = 0


def compare(done: Sweep) -> Compared:
    """Each rule of the user's that differs from the derivative of its body, and whom its error reaches."""
    worst: dict[Any, tuple[float, Entry]] = {}
    calls = own_calls(done)
    unknown = max(0, len(calls) - MOST_CALLS)
    for entry in calls[:MOST_CALLS]:
        error = _error_at(done, entry)
        key = (entry.equation, entry.frame.graph)
        unknown += error is None or math.isnan(error)
        if error is not None and error > max(_tolerance(entry), worst.get(key, (0.0, entry))[0]):
            worst[key] = error, entry
    if not worst:
        return Compared((), len(calls), unknown)
    through = _through_bodies(done, {entry.equation for _, entry in worst.values()})
    paths = done.function.paths
    pairs = zip(paths, done.gradient, through, strict=True) if through is not None else ()
    reached = {path: relative([mine], [theirs]) for path, mine, theirs in pairs}
    rules = []
    for error, entry in worst.values():
        call = entry.equation.call
        rules.append(Rule(str(call.name), entry.span, entry.name, error, reached))
    return Compared(tuple(rules), len(calls), unknown)


def _tolerance(entry: Entry) -> float:
    """Rounding of a rule and of its body, with room for a body that loses digits where the rule does not."""
    dtypes = [cell.dtype for cell in (*entry.inputs, *entry.outputs) if is_inexact(cell.dtype)]
    return max((unit_roundoff(dtype) for dtype in dtypes), default=0.0) ** 0.5


def _error_at(done: Sweep, entry: Entry) -> float | None:
    """|rule - body| / |body| of the adjoints of the inputs, for the adjoint that comes in; None where unknown."""
    given = [done.adjoint(cell) for cell in entry.outputs]
    by_rule = Adjoint().pull(entry, given)
    by_body = _body(entry, given)
    if by_body is None or any(isinstance(value, Unknown) for value in (*by_rule, *by_body)):
        return None
    pairs = [
        (_filled(one, cell), _filled(other, cell))
        for one, other, cell in zip(by_rule, by_body, entry.inputs, strict=True)
        if cell.active and is_inexact(cell.dtype)
    ]
    if any(bad(other).any() for _, other in pairs):  # the rule may be there because the body has no derivative
        return None
    return relative([one for one, _ in pairs], [other for _, other in pairs])


def _filled(value: Any, cell: Any) -> Any:
    return np.zeros(cell.shape, np.float64) if value is None else dense(value)


def _body(entry: Entry, given: Sequence[Any]) -> list[Any] | None:
    """The same adjoints, pulled back through the body."""
    call = entry.equation.call
    active = [i for i, cell in enumerate(entry.inputs) if cell.active]
    arrays = [cell.values[0] for cell in entry.inputs]
    try:
        tape = record(call.graph, arrays, active, _of_a_library)
    except TooLong:
        return None
    seeds: dict[Any, Any] = {}
    for cell, value in zip(tape.outputs, given, strict=True):
        if value is not None:
            seeds[cell] = value if cell not in seeds else add(seeds[cell], value)
    totals = reverse(tape.entries, seeds, Adjoint().pull, add).totals
    return [totals.get(cell) for cell in tape.inputs]


def _through_bodies(done: Sweep, wrong: set[Equation]) -> list[Any] | None:
    """The gradient of the sweep that enters the calls whose rule differs, and keeps all others whole."""
    traced = done.function.traced
    try:
        tape = record(traced.graph, traced.leaves, traced.free, lambda e: _has_rule(e) and e not in wrong)
    except TooLong:
        return None
    gradient = adjoints(traced.graph, traced.leaves, traced.free, tape=tape).gradient(traced.free)
    return None if any(isinstance(value, Unknown) for value in gradient) else gradient
