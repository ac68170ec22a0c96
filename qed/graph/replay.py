"""A graph run again as a JAX function: traceable, so that it can be compiled, differentiated and batched.

The walker (`qed.graph.walk`) executes a graph on concrete values, loop step by loop step. A replay builds the
program anew, loops as `lax.scan` and `lax.while_loop`, so that one compilation runs all steps; a subclass says what
a leaf does, what becomes of a call with a derivative rule, and what is noted on the way. Notes are arrays, one
record for each place that is watched; a loop folds the records of its steps into one with `merge`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from qed.graph.calls import Cond, Inline, Scan, While
from qed.graph.dtypes import is_extended
from qed.graph.graph import Atom, Equation, Graph, Literal, Variable
from qed.graph.tape import Frame

Key = tuple[Any, ...]
Records = dict[Any, Any]


@dataclass(frozen=True, eq=False)
class Place:
    """Where a replay is: the frame, and whether the program itself comes here (a branch may not be taken).

    `key` names the place whatever the loop step, so that tracing twice finds the same place.
    """

    frame: Frame
    taken: Any = True
    key: Key = ()

    def into(self, graph: Graph, equation: Equation, branch: int | None = None, taken: Any = None) -> Place:
        """The place inside a call."""
        here = self.taken if taken is None else jnp.logical_and(self.taken, taken)
        return Place(Frame(graph, self.frame, equation, branch=branch), here, (*self.key, (id(equation), branch)))

    def at(self, equation: Equation) -> Key:
        """The name of an equation at this place."""
        return (*self.key, id(equation))


class Replay:
    """Evaluates graphs under JAX's transformations; subclasses define `leaf`, and more where they differ."""

    records: bool = False
    """Whether something is noted; if not, loops are built without records."""

    def run(self, graph: Graph, inputs: Sequence[Any]) -> tuple[list[Any], Records]:
        """The outputs of a graph, and what was noted."""
        return self.walk(graph, list(inputs), Place(Frame(graph)))

    def walk(self, graph: Graph, inputs: Sequence[Any], place: Place) -> tuple[list[Any], Records]:
        """Evaluate a graph at a place."""
        env: dict[Variable, Any] = dict(zip(graph.inputs, inputs, strict=True))
        env.update((variable, self.constant(variable, array)) for variable, array in graph.constants)
        notes: Records = {}
        for index, equation in enumerate(graph.equations):
            values = [self._read(env, atom) for atom in equation.inputs]
            outs, new = self.step(equation, values, place)
            notes.update(new)
            env.update(zip(equation.outputs, outs, strict=True))
            for atom in equation.inputs:
                if isinstance(atom, Variable) and graph.last_use[atom] == index:
                    env.pop(atom, None)
        return [self._read(env, atom) for atom in graph.outputs], notes

    def _read(self, env: Mapping[Variable, Any], atom: Atom) -> Any:
        return self.constant(atom, atom.value) if isinstance(atom, Literal) else env[atom]

    # --- what a subclass says ---

    def constant(self, atom: Atom, array: Any) -> Any:
        """A constant of the graph."""
        return array

    def leaf(self, equation: Equation, values: Sequence[Any], place: Place) -> Sequence[Any]:
        """An equation that calls nothing."""
        raise NotImplementedError

    def opaque(self, equation: Equation, place: Place) -> bool:
        """Whether a call is to be applied as a leaf."""
        return False

    def inline(
        self, call: Inline, equation: Equation, values: Sequence[Any], place: Place
    ) -> tuple[Sequence[Any], Records]:
        """A call: by default what it calls, its derivative rule stripped."""
        return self.walk(call.graph, values, place.into(call.graph, equation))

    def merge(self, old: Any, new: Any) -> Any:
        """One record of two."""
        raise NotImplementedError

    def lift(self, record: Any, step: Any) -> Any:
        """The record of a loop's body, as seen from outside: it learns the step."""
        raise NotImplementedError

    def go_on(self, count: Any, taken: Any) -> Any:
        """A limit to a while loop, beside its own condition."""
        return True

    # --- control flow ---

    def step(self, equation: Equation, values: Sequence[Any], place: Place) -> tuple[Sequence[Any], Records]:
        """One equation."""
        call = equation.call
        if call is None or self.opaque(equation, place):
            return self.leaf(equation, values, place), {}
        match call:
            case Inline():
                return self.inline(call, equation, values, place)
            case Cond():
                return self.cond(call, equation, values, place)
            case Scan():
                return self.scan(call, equation, values, place)
            case While():
                return self.loop(call, equation, values, place)
        raise TypeError(call)

    def cond(self, call: Cond, equation: Equation, values: Sequence[Any], place: Place) -> tuple[Any, Records]:
        """A branch: without records the one that is chosen; with records all of them, and the results selected."""
        which = jnp.clip(jnp.asarray(values[0], np.int32), 0, len(call.branches) - 1)
        if not self.records:
            branches = [
                lambda *xs, g=g, i=i: tuple(self.walk(g, xs, place.into(g, equation, i))[0])
                for i, g in enumerate(call.branches)
            ]
            return list(lax.switch(which, branches, *values[1:])), {}
        notes: Records = {}
        rows = []
        for i, branch in enumerate(call.branches):
            outs, new = self.walk(branch, values[1:], place.into(branch, equation, i, which == i))
            notes.update(new)
            rows.append(outs)
        return [_chosen(which, column) for column in zip(*rows, strict=True)], notes

    def scan(self, call: Scan, equation: Equation, values: Sequence[Any], place: Place) -> tuple[Any, Records]:
        """A loop of known length."""
        fixed = list(values[: call.constants])
        start = _strong(values[call.constants : call.constants + call.carry])
        sliced = list(values[call.constants + call.carry :])
        inner = place.into(call.body, equation)

        def body(carry: Any, row: Any) -> tuple[Any, Any]:
            state, kept, count = carry
            outs, notes = self.walk(call.body, [*fixed, *state, *row], inner)
            step = call.length - 1 - count if call.reverse else count
            lifted = {key: self.lift(note, step) for key, note in notes.items()}
            kept = {key: self.merge(kept[key], note) for key, note in lifted.items()} if kept else kept
            state = _like(outs[: call.carry], state)
            return (state, kept, count + 1), outs[call.carry :]

        count = jnp.zeros((), np.int32)
        if not self.records or not call.length:
            (state, _, _), rows = lax.scan(body, (start, {}, count), sliced, call.length, call.reverse)
            return [*state, *rows], {}
        kept = self._empty(lambda: self.walk(call.body, [*fixed, *start, *(x[0] for x in sliced)], inner)[1])
        (state, kept, _), rows = lax.scan(body, (start, kept, count), sliced, call.length, call.reverse)
        return [*state, *rows], kept

    def loop(self, call: While, equation: Equation, values: Sequence[Any], place: Place) -> tuple[Any, Records]:
        """A loop with a condition."""
        split = call.condition_constants
        tail = split + call.body_constants
        for_condition, for_body = list(values[:split]), list(values[split:tail])
        start = _strong(values[tail:])
        inner = place.into(call.body, equation)
        kept = self._empty(lambda: self.walk(call.body, [*for_body, *start], inner)[1]) if self.records else {}

        def decide(state: Sequence[Any]) -> Any:
            return self.walk(call.condition, [*for_condition, *state], place.into(call.condition, equation))[0][0]

        def goes_on(carry: Any) -> Any:
            state, _, count = carry
            going = jnp.logical_and(jnp.any(decide(state)), self.go_on(count, place.taken))
            return going | (count == 0) if self.records else going  # a body that never runs is looked at once

        def body(carry: Any) -> Any:
            state, kept, count = carry
            going = decide(state)
            here = place.into(call.body, equation, taken=jnp.any(going)) if self.records else inner
            outs, notes = self.walk(call.body, [*for_body, *state], here)
            kept = {key: self.merge(kept[key], self.lift(note, count)) for key, note in notes.items()}
            after = _like(outs, state)
            if going.shape or self.records:  # where it has ended, the carry stays
                after = [_where(going, new, old) for new, old in zip(after, state, strict=True)]
            return after, kept, count + 1

        state, kept, _ = lax.while_loop(goes_on, body, (start, kept, jnp.zeros((), np.int32)))
        return list(state), kept

    def _empty(self, notes: Any) -> Records:
        shapes = jax.eval_shape(notes)
        step = jnp.zeros((), np.int32)
        zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
        return {key: self.lift(note, step) for key, note in zeros.items()}


def _strong(values: Sequence[Any]) -> list[Any]:
    """Without weak types, which a loop's carry may not change."""
    given = [value if hasattr(value, "dtype") else jnp.asarray(value) for value in values]
    return [value if is_extended(value.dtype) else lax.convert_element_type(value, value.dtype) for value in given]


def _like(values: Sequence[Any], carry: Sequence[Any]) -> list[Any]:
    return [new if new.dtype == old.dtype else new.astype(old.dtype) for new, old in zip(values, carry, strict=True)]


def _chosen(which: Any, column: Sequence[Any]) -> Any:
    found = column[0]
    for i, other in enumerate(column[1:], 1):
        found = jnp.where(which == i, other, found)
    return found


def _where(mask: Any, new: Any, old: Any) -> Any:
    return jnp.where(mask.reshape(mask.shape + (1,) * (new.ndim - mask.ndim)), new, old)
