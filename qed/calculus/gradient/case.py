"""One record of a comparison, evaluated outside of the program: at other directions, at other points, with a bound.

All vectors are of the comparison's elements: those of the operands for a reverse rule, of the results for a
forward one, or the single number <c, J v>.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.calculus.gradient.constants import MARGIN, SAMPLES, Moved
from qed.calculus.gradient.differences import BARS, richardson
from qed.calculus.gradient.noise import noise
from qed.calculus.gradient.survey import SCALE, Record
from qed.domains.widened import compiled, widen
from qed.graph.calls import While
from qed.graph.dtypes import is_inexact


class Case:
    """One record, evaluated outside of the program."""

    def __init__(self, record: Record, seed: int) -> None:
        self.record = record
        self.local = record.local
        self.seed = seed
        self.probe = self.local.probe(seed, np)
        self._pair = compiled(self._evaluate)
        self.inputs = [
            np.asarray(value).astype(np.float64) if is_inexact(atom.dtype) else value
            for atom, value in zip(self.local.site.equation.inputs, record.inputs, strict=True)
        ]
        self.point = [self.inputs[i] for i in self.local.site.active]

    def _evaluate(self, inputs: Any, probe: Any) -> Any:
        values, found = self.local.found(inputs, probe)
        expected, bars = self.local.expected(inputs, probe)
        bars = [jnp.broadcast_to(bar, e.shape) for bar, e in zip(bars, expected, strict=True)]
        decides = [jnp.broadcast_to(self.local.decides(inputs, found, expected, bars), (1,)).astype(np.float64)]
        return [vector(each) for each in (found, expected, bars, values, self.local.values(inputs), decides)]

    def at(self, probe: Any = None, point: Sequence[Any] | None = None) -> tuple[np.ndarray, ...]:
        """(found, expected, bars, values by the rule, values of the body, whether that decides), as vectors."""
        inputs = list(self.inputs)
        for position, x in zip(self.local.site.active, self.point if point is None else point, strict=True):
            inputs[position] = np.asarray(x, np.float64)
        return tuple(self._pair(inputs, self.probe if probe is None else probe))

    @cached_property
    def here(self) -> tuple[np.ndarray, ...]:
        """The comparison itself."""
        return self.at()

    @cached_property
    def suspicious(self) -> np.ndarray:
        """The elements that differ by more than the relative tolerance, or are not finite."""
        found, expected, bars = self.here[:3]
        if not self.here[5].all():
            return np.ones(found.shape, bool)
        return ~(np.abs(found - expected) <= self.local.tolerance * (np.abs(found) + np.abs(expected)) + BARS * bars)

    @cached_property
    def linear(self) -> bool:
        """Whether the backward rule scales with its cotangent."""
        local = self.local
        if local.site.kind != "vjp" or local.order != 1:
            return True
        scaled = self.at({**self.probe, "c": [SCALE * c for c in self.probe["c"]]})[0] / SCALE
        found = self.here[0]
        with np.errstate(all="ignore"):
            same = np.abs(scaled - found) <= local.tolerance * (np.abs(scaled) + np.abs(found))
        return bool(np.all(same | ~np.isfinite(scaled) | ~np.isfinite(found)))

    # --- scalars for the rounding bound and for differences ---

    def sides(self, element: int, probe: Any = None) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """(what the rule says, what the body says) of one element, as functions of all inputs."""
        local = self.local

        def side(which: int) -> Callable[..., Any]:
            def value(*inputs: Any) -> Any:
                along = {key: [jnp.asarray(x) for x in xs] for key, xs in (probe or self.probe).items()}
                found = local.expected(inputs, along)[0] if which else local.found(inputs, along)[1]
                return vector(found)[element]

            return value

        return side(0), side(1)

    def noise(self, element: int) -> float:
        """How far rounding in float64 may move both sides of one element."""
        return sum(noise(side, self.inputs) for side in self.sides(element))

    def value_noise(self, element: int) -> float:
        """How far rounding in float64 may move one element of the values that the rule returns."""

        def value(*inputs: Any) -> Any:
            probe = {key: [jnp.asarray(x) for x in xs] for key, xs in self.probe.items()}
            return vector(self.local.found(inputs, probe)[0])[element]

        return noise(value, self.inputs)

    @cached_property
    def constants(self) -> np.ndarray | float:
        """How far the rounding of constants to the program's dtype moves each element of the difference."""
        local = self.local
        if not local.constants:
            return 0.0

        def gap(inputs: Any, probe: Any, seed: Any) -> Any:
            found = vector(local.found(inputs, probe, Moved(seed))[1])
            return found - vector(local.expected(inputs, probe, rounded=Moved(seed + 7919))[0])

        moved = compiled(gap)
        here = self.here[0] - self.here[1]
        with np.errstate(all="ignore"):
            rows = [np.abs(moved(self.inputs, self.probe, np.uint32(seed)) - here) for seed in range(SAMPLES)]
            return MARGIN * np.nan_to_num(np.max(rows, axis=0))

    def extended(self) -> np.ndarray | None:
        """The derivative of the body with its while loops run one step longer; None where it has none."""
        if not any(isinstance(equation.call, While) for equation in self.local.site.body.walk()):
            return None
        longer = compiled(lambda inputs, probe: vector(self.local.expected(inputs, probe, extra=1)[0]))
        return longer(self.inputs, self.probe)

    def quotient(self, probe: Any) -> tuple[float, float]:
        """<c, J v> of the body by differences, and its bar."""
        local = self.local

        def along(inputs: Any, probe: Any) -> Any:
            body, at = local.body(inputs), local.active(inputs)
            return richardson(lambda t: _along(body, at, probe, t), _scale(at, probe["v"]))

        number, bar = compiled(along)(self.inputs, probe)
        return float(number), float(bar)


def _along(body: Any, at: Sequence[Any], probe: Any, t: Any) -> Any:
    outs = body(*[x + t * v for x, v in zip(at, probe["v"], strict=True)])
    return sum((jnp.sum(c * y) for c, y in zip(probe["c"], outs, strict=True)), jnp.zeros(()))


def _scale(at: Sequence[Any], along: Sequence[Any]) -> Any:
    """The size of the entries that move; 1 where they are zero."""
    top = jnp.max(
        jnp.stack([jnp.max(jnp.abs(jnp.where(v != 0, x, 0.0)), initial=0.0) for x, v in zip(at, along, strict=True)])
    )
    return jnp.where((top > 0) & jnp.isfinite(top), top, 1.0)


def vector(arrays: Sequence[Any]) -> Any:
    """Several arrays as one float64 vector."""
    return jnp.concatenate([jnp.ravel(widen(a)) for a in arrays]) if arrays else jnp.zeros(0)
