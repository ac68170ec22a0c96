"""Whether a loss or its gradient may have lost its digits, asked without running anything equation by equation.

What the compiled program returns is set beside the truth: balls where the program is small and no integers are in it
(balls are not compiled, what integers index is), and the same graph in float64, compiled once, elsewhere. Where most
digits are gone the condition number is asked for, in float64 too,

    inherent bits = log2(1 + sum |x_i dr/dx_i| / |r|),

because near a minimum every gradient, and near a root every loss, loses what rounding x and the data alone would lose.
Only what is lost beyond that is worth the account of every equation (`qed.numerics.measuring.judge`). A screen may let
pass what float64 loses too in a large program; it never accuses.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, sections 1.6 and 1.20.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.domains.bits import Format, bits_lost
from qed.domains.cost import count
from qed.domains.widened import Widened, compiled, widen
from qed.graph.dtypes import as_wide, is_extended, is_real, unit_roundoff
from qed.graph.graph import Graph
from qed.numerics.measuring.judge import scale_of, worst_place
from qed.numerics.measuring.reference import Enclosed, enclosed, floating
from qed.numerics.measuring.result import Against

MOST = 0.5
"""Which share of the bits of the coarsest format may be lost in peace."""

BEYOND = 3.0
"""How many more must be lost than rounding the inputs alone loses."""

SMALL = 5_000
"""Programs of at most so many operations are compared in balls (measured: 0.1 to 8 us each)."""


def coarsest(graph: Graph) -> float:
    """The largest unit roundoff of what the equations of a graph are given.

    Example:
        >>> from qed.graph.trace import trace
        >>> coarsest(trace(lambda x: x * 2, jnp.float16(1.0)).graph) == 2.0**-11
        True
    """
    units = {a.dtype: unit_roundoff(a.dtype) for e in graph.walk() for a in e.inputs if is_real(a.dtype)}
    return max(units.values(), default=0.0)


def too_many(bits: float, own: float, coarse: float) -> bool:
    """Whether most digits of the coarsest format are lost, beside those that the program never had.

    Args:
        bits: lost.
        own: the unit roundoff of the result.
        coarse: that of the coarsest format before it.
    """
    coarse = max(own, coarse)
    return bits - math.log2(coarse / own) > MOST * -math.log2(coarse)


def _counts(graph: Graph) -> bool:
    """Whether integers are in it: they are evaluated by JAX, one primitive after the other."""
    atoms = [atom for equation in graph.walk() for atom in (*equation.inputs, *equation.outputs)]
    return any(np.issubdtype(np.dtype(a.dtype), np.integer) for a in atoms if not is_extended(a.dtype))


@dataclass(eq=False)
class Screen:
    """A graph, asked at several points.

    Args:
        graph: of the loss, or of its gradient.
        normwise: whether an array is judged by its largest element.
    """

    graph: Graph
    normwise: bool
    _wide: Any = field(default=None, repr=False)
    _slope: Any = field(default=None, repr=False)

    def suspects(self, arrays: Sequence[Any], results: Sequence[Any]) -> bool:
        """Whether more digits are lost at this point than rounding the inputs explains.

        Args:
            arrays: one per input.
            results: what the compiled program returns there, one array per output.
        """
        outputs, truths = floating(self.graph), self._truths(arrays)
        if truths is None:
            return False
        coarse, worst = coarsest(self.graph), None
        for k, truth in zip(outputs, truths, strict=True):
            form = Format.of(self.graph.outputs[k].dtype)
            scale, against = scale_of(truth, form, self.normwise)
            bits = bits_lost(as_wide(np.asarray(results[k])), truth, form, scale)
            place = worst_place(bits)
            lost = float(np.nan_to_num(bits[place]))
            if too_many(lost, form.unit, coarse) and (worst is None or lost > worst[0]):
                largest = float(np.max(np.abs(truth), initial=0.0)) if against is Against.LARGEST else 0.0
                worst = lost, k, place, 1.0 if against is Against.ONE else max(abs(float(truth[place])), largest)
        if worst is None:
            return False
        lost, output, place, size = worst
        inherent = self._inherent(arrays, output, place, size)
        return inherent is None or lost > inherent + BEYOND - 1

    def _truths(self, arrays: Sequence[Any]) -> list[np.ndarray] | None:
        """The floating-point outputs as they are meant; None where only a float64 beside a float64 is at hand."""
        outputs, counted = floating(self.graph), count(self.graph, ())
        double = any(unit_roundoff(self.graph.outputs[k].dtype) < 2.0**-40 for k in outputs)
        if counted.value <= SMALL and (double or not _counts(self.graph)):
            found = enclosed(self.graph, arrays, outputs, counted.equations, time.monotonic())
            if isinstance(found, Enclosed):
                return [found.middle(k) for k in outputs]
        if double:
            return None
        if self._wide is None:
            self._wide = compiled(lambda given: [Widened()(self.graph, given)[k] for k in outputs])
        return list(self._wide(list(arrays)))

    def _inherent(self, arrays: Sequence[Any], output: int, place: tuple[int, ...], size: float) -> float | None:
        """Bits lost by rounding the inputs alone, to first order; None where that has no number."""
        real = [i for i, atom in enumerate(self.graph.inputs) if is_real(atom.dtype)]

        def element(moving: Sequence[Any], given: Sequence[Any], seed: Any) -> Any:
            full = list(given)
            for i, value in zip(real, moving, strict=True):
                full[i] = value
            return jnp.sum(Widened()(self.graph, full)[output] * seed)

        if self._slope is None or self._slope[0] != output:
            self._slope = output, jax.jit(jax.grad(element))
        seed = np.zeros(self.graph.outputs[output].shape)
        seed[place] = 1.0
        try:
            with jax.enable_x64(True):
                moving = [widen(arrays[i]) for i in real]
                weights = self._slope[1](moving, list(arrays), seed)
                pairs = zip(weights, moving, strict=True)
                total = sum(float(np.sum(np.abs(np.asarray(w) * np.asarray(x)))) for w, x in pairs)
        except Exception:  # JAX has no derivative of an equation of it: the account says more
            return None
        return math.log2(1 + total / size) if math.isfinite(total) and size > 0 else None
