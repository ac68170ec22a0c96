"""One run of the program with every comparison in it: each rule is compared where and with what the program calls it.

The program is built anew in its own arithmetic (a `Replay`), so that every call with a rule meets the numbers that it
meets in the program: in every step of a loop, in every branch of a cond, taken or not. The comparison (`local`)
is part of the same compiled program, and a loop keeps of all its steps only the record of the first that differs, or
of the worst. One compilation and one run check any number of steps in constant memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from qed.calculus.gradient.differences import BARS
from qed.calculus.gradient.kinks import perturbed
from qed.calculus.gradient.local import Local
from qed.calculus.gradient.sites import prefixes
from qed.domains.widened import compiled
from qed.graph import jaxpr
from qed.graph.calls import Cond, Inline
from qed.graph.dtypes import is_extended
from qed.graph.graph import Equation, Graph
from qed.graph.replay import Place, Records, Replay

SCALE = -(2.0**20)
"""A backward rule is applied to c and to SCALE c: of a linear one the results differ by that factor, bit for bit."""

NEARBY = 1e-6
"""How far away, relative, the second comparison is made: a wrong rule is wrong there too, a kink is left behind."""

UNTAKEN_STEPS = 1000
"""How often a while loop in a branch that the program does not take may turn: its condition may never end there."""

_SILENT = frozenset({"debug_callback", "debug_print", "inspect_sharding"})


@dataclass(frozen=True, eq=False)
class Record:
    """What a comparison saw at a site.

    Args:
        local: the comparison.
        seen: how often the site was reached, untaken branches included.
        differs: whether anything is to be looked at closely.
        taken: whether the program itself came to the step that is kept.
        ratio: the largest relative difference of an element in the step that is kept.
        steps: the loop steps of that instance, outermost first.
        inputs: the operands there.
    """

    local: Local
    seen: int
    differs: bool
    taken: bool
    ratio: float
    steps: tuple[int, ...]
    inputs: tuple[Any, ...]


def difference(found: Sequence[Any], expected: Sequence[Any], bars: Sequence[Any]) -> tuple[Any, Any]:
    """(largest relative difference, whether all is finite), elements with their bars; under jit."""
    worst, finite = jnp.zeros(()), jnp.ones((), bool)
    for f, e, bar in zip(found, expected, bars, strict=True):
        size = jnp.abs(f) + jnp.abs(e)
        gap = jnp.maximum(jnp.abs(f - e) - BARS * bar, 0.0)
        ratio = jnp.where(gap == 0, 0.0, gap / jnp.where(size == 0, 1.0, size))
        worst = jnp.maximum(worst, jnp.max(jnp.where(jnp.isfinite(ratio), ratio, 0.0), initial=0.0))
        finite = finite & jnp.all(jnp.isfinite(f) & jnp.isfinite(e))
    return worst, finite


@final
class Survey(Replay):
    """The program, with the comparisons in it."""

    records = True

    def __init__(self, comparisons: Sequence[Local], seed: int) -> None:
        self.at: dict[Any, list[tuple[int, Local]]] = {}
        for number, local in enumerate(comparisons):
            self.at.setdefault(local.site.key, []).append((number, local))
        self.around = prefixes([local.site for local in comparisons])
        self.seed = seed

    def leaf(self, equation: Equation, values: Sequence[Any], place: Place) -> Sequence[Any]:
        """The program's own equation."""
        return () if equation.primitive in _SILENT else jaxpr.bind(equation.native, values)

    def opaque(self, equation: Equation, place: Place) -> bool:
        """Calls without a site inside are bound as they are; so are branches with effects, which must run once."""
        key = place.at(equation)
        inside = key in self.around or key in self.at
        return not inside or (isinstance(equation.call, Cond) and _has_effects(equation))

    def step(self, equation: Equation, values: Sequence[Any], place: Place) -> tuple[Sequence[Any], Records]:
        """One equation; at a linear solve that is a site the comparison is made beside it."""
        outs, notes = super().step(equation, values, place)
        if equation.call is None:
            notes = {n: self._compare(one, values, place.taken) for n, one in self.at.get(place.at(equation), ())}
        return outs, notes

    def inline(
        self, call: Inline, equation: Equation, values: Sequence[Any], place: Place
    ) -> tuple[Sequence[Any], Records]:
        """A call; at a site the comparison is made beside it."""
        outs, notes = self.walk(call.graph, values, place.into(call.graph, equation))
        for number, local in self.at.get(place.at(equation), ()):
            notes[number] = self._compare(local, values, place.taken)
        return outs, notes

    def _compare(self, local: Local, inputs: Sequence[Any], taken: Any) -> Any:
        """The comparison at the operands, with the cotangent scaled, and at a point nearby (off any kink)."""
        probe, name = local.probe(self.seed), local.linear_in
        active = local.active(inputs)
        nearby = perturbed(active, NEARBY, self.seed, jnp)
        scaled = local.site.kind == "vjp" and local.order == 1
        scales = jnp.array([1.0, 1.0, SCALE] if scaled else [1.0, 1.0])
        points = [jnp.stack([x, y, x] if scaled else [x, y]) for x, y in zip(active, nearby, strict=True)]

        def at(row: Any) -> Any:
            scale, point = row
            full = list(inputs)
            for position, x in zip(local.site.active, point, strict=True):
                full[position] = x
            values, found = local.found(full, {**probe, name: [scale * x for x in probe[name]]})
            expected, bars = local.expected(full, probe)
            ratio, finite = difference(found, expected, bars)
            value, _ = difference(values, local.values(full), [0.0] * len(values))
            return found, jnp.maximum(ratio, value), finite & local.decides(full, found, expected, bars)

        rows, worst, finite = lax.map(at, (scales, points))
        linear = jnp.zeros(())
        if scaled:
            linear, _ = difference([row[2] / SCALE for row in rows], [row[0] for row in rows], [0.0] * len(rows))
        ratio = jnp.maximum(worst[0], linear)
        differs = (ratio > local.tolerance) | ~finite[0]
        nearby_too = finite[1] & (worst[1] > local.tolerance)
        severity = jnp.where(differs, 2 + nearby_too + 2 * jnp.asarray(taken, bool), 1)
        return {
            "severity": severity.astype(np.int32),
            "ratio": ratio,
            "steps": (),
            "inputs": tuple(storable(value) for value in inputs),
            "seen": jnp.ones((), np.int32),
        }

    def merge(self, old: Any, new: Any) -> Any:
        """Of two steps the first that differs: the program's own before those not taken, smooth ones before kinks."""
        worse = (new["severity"] == 1) & (new["ratio"] > old["ratio"])
        better = (new["severity"] > old["severity"]) | ((new["severity"] == old["severity"]) & worse)
        chosen = jax.tree.map(lambda a, b: jnp.where(better, a, b), new, old)
        return {**chosen, "seen": old["seen"] + new["seen"]}

    def lift(self, record: Any, step: Any) -> Any:
        """The step of the loop around it, put before those inside."""
        return {**record, "steps": (jnp.asarray(step, np.int32), *record["steps"])}

    def go_on(self, count: Any, taken: Any) -> Any:
        """A loop that the program does not reach is cut short."""
        return jnp.logical_or(taken, count < UNTAKEN_STEPS)


def _has_effects(equation: Equation) -> bool:
    return any(inner.primitive == "io_callback" for branch in equation.call.branches for inner in branch.walk())


def storable(value: Any) -> Any:
    """A value as plain numbers: random keys as their bits."""
    return jax.random.key_data(value) if is_extended(getattr(value, "dtype", None)) else value


def restored(value: Any, dtype: Any) -> Any:
    """What `storable` took apart."""
    if not is_extended(dtype):
        return value
    return jax.random.wrap_key_data(jnp.asarray(value), impl=str(dtype)[4:-1])


def survey(graph: Graph, arrays: Sequence[Any], comparisons: Sequence[Local], seed: int = 0) -> list[Record]:
    """Run the program once with all comparisons in it.

    Args:
        graph: the program.
        arrays: one array per input.
        comparisons: what to compare.
        seed: of the directions.

    Returns:
        A record for each comparison that the run came to, in their order.
    """
    if not comparisons:
        return []
    made = Survey(comparisons, seed)
    notes: Mapping[int, Any] = compiled(lambda *values: made.run(graph, values)[1])(*arrays)
    return [_record(comparisons[number], notes[number]) for number in sorted(notes) if notes[number]["seen"] > 0]


def _record(local: Local, note: Mapping[str, Any]) -> Record:
    dtypes = [atom.dtype for atom in local.site.equation.inputs]
    return Record(
        local,
        seen=int(note["seen"]),
        differs=int(note["severity"]) > 1,
        taken=int(note["severity"]) not in (2, 3),
        ratio=float(note["ratio"]),
        steps=tuple(int(step) for step in note["steps"]),
        inputs=tuple(restored(value, dtype) for value, dtype in zip(note["inputs"], dtypes, strict=True)),
    )
