"""What a difference between a rule and the derivative of its body means.

A difference is a fault only when nothing else explains it. In this order:

    declared               the call is marked as a surrogate
    a kink                 the derivative jumps at the point, and the rule lies between the one-sided derivatives
    rounding               the difference is within the rounding bound of either side (`qed.domains.rounding`)
    an unfinished limit    the derivative changes as much when the body's `while` loop runs one step longer
    not linear             the backward rule does not scale with its cotangent: it clips
    a staircase            the body rounds, and a difference quotient over many of its steps agrees with the rule

What is left is named by its coordinates: the comparison is linear in its direction, so halving the direction finds
the operand's entry, and one last evaluation at unit vectors gives the two numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.calculus.gradient.constants import MARGIN, SAMPLES, Moved
from qed.calculus.gradient.differences import BARS, richardson
from qed.calculus.gradient.kinks import hull
from qed.calculus.gradient.local import Local, Method
from qed.calculus.gradient.noise import noise
from qed.calculus.gradient.survey import SCALE, Record
from qed.calculus.gradient.verdict import Culprit, GradientVerdict
from qed.domains.widened import compiled, widen
from qed.graph import jaxpr
from qed.graph.calls import While
from qed.graph.dtypes import is_inexact

LOOKED_AT = 3
"""How many of the worst elements, by size and by ratio, are compared with their rounding bounds."""

LOOSE_VALUE = 1e-4
"""How far the value that a rule returns may be from the function's, relative, where constants are rounded."""

WIDE_BAR = 1e-3
"""Relative: a bar wider than this decides nothing."""

_STAIRS = frozenset({"floor", "ceil", "round", "sign"})


@dataclass(frozen=True)
class Finding:
    """A verdict, the element that it is about, and one sentence; `slopes` at a kink, `tolerance` at that element."""

    verdict: GradientVerdict
    element: int = 0
    why: str = ""
    slopes: tuple[float, float] | None = None
    tolerance: float = 0.0


class Case:
    """One record, evaluated outside of the program.

    All vectors are of the comparison's elements: those of the operands for a reverse rule, of the results for a
    forward one, or the single number <c, J v>.
    """

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
        return [_vector(each) for each in (found, expected, bars, values, self.local.values(inputs), decides)]

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

    def noise(self, element: int) -> float:
        """How far rounding in float64 may move both sides of one element."""
        local = self.local

        def flat(which: int) -> Any:
            def value(*inputs: Any) -> Any:
                probe = {key: [jnp.asarray(x) for x in xs] for key, xs in self.probe.items()}
                found, expected = local.found(inputs, probe)[1], local.expected(inputs, probe)[0]
                return _vector((found, expected)[which])[element]

            return value

        return noise(flat(0), self.inputs) + noise(flat(1), self.inputs)

    @cached_property
    def constants(self) -> np.ndarray | float:
        """How far the rounding of constants to the program's dtype moves each element of the difference."""
        local = self.local
        if not local.constants:
            return 0.0

        def gap(inputs: Any, probe: Any, seed: Any) -> Any:
            found = _vector(local.found(inputs, probe, Moved(seed))[1])
            return found - _vector(local.expected(inputs, probe, rounded=Moved(seed + 7919))[0])

        moved = compiled(gap)
        here = self.here[0] - self.here[1]
        with np.errstate(all="ignore"):
            rows = [np.abs(moved(self.inputs, self.probe, np.uint32(seed)) - here) for seed in range(SAMPLES)]
            return MARGIN * np.nan_to_num(np.max(rows, axis=0))

    def extended(self) -> np.ndarray | None:
        """The derivative of the body with its while loops run one step longer; None where it has none."""
        if not any(isinstance(equation.call, While) for equation in self.local.site.body.walk()):
            return None
        longer = compiled(lambda inputs, probe: _vector(self.local.expected(inputs, probe, extra=1)[0]))
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


def _vector(arrays: Sequence[Any]) -> Any:
    return jnp.concatenate([jnp.ravel(widen(a)) for a in arrays]) if arrays else jnp.zeros(0)


# --- the verdict ----------------------------------------------------------------------------------------------


def judge(record: Record, seed: int = 0) -> Culprit | None:
    """The verdict on a record that differs; None where it agrees after all."""
    case = Case(record, seed)
    finding = _finding(case)
    if finding is None:
        return None
    site = record.local.site
    if finding.verdict is GradientVerdict.DISAGREES and (not record.taken or site.outer is not None):
        where = "under another rule, which is used instead" if record.taken else "in a branch that is not taken here"
        finding = Finding(GradientVerdict.LATENT, finding.element, f"a fault {where}", None, finding.tolerance)
    return _culprit(case, finding)


def _finding(case: Case) -> Finding | None:
    local = case.local
    found, expected, _, values, body, _ = case.here
    with np.errstate(all="ignore"):
        suspicious = case.suspicious
        gap = np.abs(found - expected)
        if local.declared:
            return _marked(case, suspicious)
        if not case.linear:
            why = "its backward rule is not linear in the cotangent: it clips or normalises"
            return Finding(GradientVerdict.SURROGATE, _worst(gap, suspicious), why)
        value = _value_differs(case, values, body)
        if value is not None:
            return value
        if not suspicious.any():
            return None
        lost = ~np.isfinite(expected) & suspicious
        broken = ~np.isfinite(found) & suspicious
        if (broken & ~lost).any():
            return _not_finite(case, _first(broken & ~lost))
        if lost.any():
            return _lost(case, _first(lost))
        return _finite(case, suspicious, gap)


def _marked(case: Case, suspicious: np.ndarray) -> Finding | None:
    if not suspicious.any() and case.linear:
        return None
    gap = np.abs(case.here[0] - case.here[1])
    return Finding(GradientVerdict.SURROGATE, _worst(gap, suspicious), "declared with qed.surrogate")


def _value_differs(case: Case, values: np.ndarray, body: np.ndarray) -> Finding | None:
    """The rule returns another value than its function: what is differentiated is another function."""
    gap = np.abs(values - body)
    wrong = np.isfinite(values) & np.isfinite(body) & (gap > 1e-6 * (np.abs(values) + np.abs(body)))
    if not wrong.any() or case.local.method is Method.DIFFERENCES:
        return None
    element = _worst(gap, wrong)
    local, inputs = case.local, case.inputs
    bound = noise(lambda *xs: _vector(local.values(xs))[element], inputs)
    if gap[element] <= bound or (local.constants and gap[element] <= LOOSE_VALUE * abs(body[element])):
        return None
    why = f"its rule returns the value {values[element]:.6g}, the function {body[element]:.6g}"
    return Finding(GradientVerdict.DISAGREES, 0, why, None, bound)


def _not_finite(case: Case, element: int) -> Finding:
    why = "the rule returns a number that is not finite, and the derivative of the body is finite"
    return Finding(GradientVerdict.NONFINITE, element, why)


def _lost(case: Case, element: int) -> Finding | None:
    """The chain rule gives no finite number for the body; differences may."""
    found, expected = case.here[0], case.here[1]
    if not np.isfinite(found[element]):
        if not np.isfinite(case.here[4]).all():
            return None
        return Finding(GradientVerdict.NONFINITE, element, "rule and body both have no finite derivative here")
    rest = case.suspicious & np.isfinite(expected) & np.isfinite(found)
    if rest.any():
        worse = _finite(case, rest, np.abs(found - expected))
        if worse is not None:
            return worse
    probe = unit(case, element)
    number, bar = case.quotient(probe)
    claimed = float(case.at(probe)[0].sum()) if case.local.elementwise else float(found[element])
    gap = abs(claimed - number)
    size = abs(number) + abs(claimed)
    if gap <= BARS * bar + 1e-6 * size and bar <= WIDE_BAR * max(size, 1e-300):
        return None
    if np.isfinite(number) and bar <= WIDE_BAR * abs(number) and gap > BARS * bar + 1e-6 * size:
        why = "the difference quotient of the body excludes it"
        return Finding(GradientVerdict.DISAGREES, element, why, None, BARS * bar)
    return Finding(GradientVerdict.UNDECIDED, element, "the body itself overflows here, so that nothing tells")


def _finite(case: Case, suspicious: np.ndarray, gap: np.ndarray) -> Finding | None:
    """The elements where both sides are finite and differ."""
    local = case.local
    found, expected, bars = case.here[:3]
    left = suspicious
    if local.method is Method.DIFFERENCES:
        left = suspicious & case.here[5].astype(bool)
        if not left.any():
            why = "a difference quotient of the body has too wide an error bar"
            return Finding(GradientVerdict.UNDECIDED, _worst(gap, suspicious), why, None, float(BARS * bars.max()))
    within, bounds = _within_rounding(case, left, gap, found, expected)
    left = left & ~within
    kinks = None
    if left.any() and local.method is not Method.DIFFERENCES:
        kinks = hull(lambda point: case.at(point=point)[1], case.point, case.seed)
        left = left & ~kinks.holds(found)
    longer = case.extended() if left.any() else None
    if longer is not None:
        stopping = BARS * np.abs(longer - expected)
        left = left & ~((gap <= stopping) & (stopping <= WIDE_BAR * np.abs(expected)))
    if not left.any():
        if kinks is not None and (suspicious & ~within & kinks.jumps).any():
            element = _first(suspicious & ~within & kinks.jumps)
            slopes = (float(kinks.lower[element]), float(kinks.upper[element]))
            return Finding(GradientVerdict.KINK, element, "the slopes from the two sides differ", slopes)
        if within.any() and bounds is not None and bounds[1] > WIDE_BAR * abs(found[bounds[0]]):
            why = "the body loses so many digits here that nothing is told"
            return Finding(GradientVerdict.UNDECIDED, bounds[0], why, None, bounds[1])
        return None
    element = _worst(gap, left)
    tolerance = bounds[1] if bounds is not None else local.tolerance * abs(expected[element])
    tolerance = max(tolerance, BARS * float(bars[element]))
    why = ""
    if _has_stairs(local):
        if _steps_agree(case, element):
            return None
        if not np.any(expected[left]):
            why = "its body is piecewise constant: meant as a straight-through estimate, it wants qed.surrogate"
    return Finding(GradientVerdict.DISAGREES, element, why, None, tolerance)


def _within_rounding(
    case: Case, left: np.ndarray, gap: np.ndarray, found: np.ndarray, expected: np.ndarray
) -> tuple[np.ndarray, tuple[int, float] | None]:
    """The elements whose difference rounding explains; and the widest bound that was met, with its element.

    The bound is computed for the worst elements only. If it explains those, it is taken to explain the others.
    """
    none = np.zeros(left.shape, bool)
    if not left.any() or case.local.method is Method.DIFFERENCES:
        return none, None
    order = np.flatnonzero(left)
    with np.errstate(all="ignore"):
        ratio = gap / (np.abs(found) + np.abs(expected))
    within_constants = left & (gap <= case.constants)
    left = left & ~within_constants
    if not left.any():
        return within_constants, None
    order = np.flatnonzero(left)
    chosen = dict.fromkeys(
        [*order[np.argsort(-gap[order])][:LOOKED_AT].tolist(), *order[np.argsort(-ratio[order])][:LOOKED_AT].tolist()]
    )
    widest: tuple[int, float] | None = None
    for element in chosen:
        bound = case.noise(element)
        if gap[element] > bound:
            beyond = left & (gap > bound)
            return within_constants | (left & ~beyond), (element, bound)
        if widest is None or bound > widest[1]:
            widest = (element, bound)
    return within_constants | left, widest


def _has_stairs(local: Local) -> bool:
    """Whether the body rounds: then its derivative by the chain rule says nothing of it on a larger scale."""
    return any(equation.primitive in _STAIRS or _truncates(equation) for equation in local.site.body.walk())


def _steps_agree(case: Case, element: int) -> bool:
    """Whether the rule is the slope of the staircase, as a difference quotient over many steps sees it."""
    probe = unit(case, element)
    number, bar = case.quotient(probe)
    claimed = float(case.at(probe)[0].sum()) if case.local.elementwise else float(case.here[0][element])
    size = abs(number) + abs(claimed)
    return np.isfinite(number) and bar <= WIDE_BAR * size and abs(claimed - number) <= BARS * bar + 1e-6 * size


def _truncates(equation: Any) -> bool:
    return (
        equation.primitive == "convert_element_type"
        and is_inexact(equation.inputs[0].dtype)
        and not is_inexact(equation.outputs[0].dtype)
    )


def _first(mask: np.ndarray) -> int:
    return int(np.flatnonzero(mask)[0])


def _worst(gap: np.ndarray, mask: np.ndarray) -> int:
    if not mask.any():
        return 0
    return int(np.argmax(np.where(mask & np.isfinite(gap), gap, -1.0)))


# --- coordinates ----------------------------------------------------------------------------------------------


def _place(element: int, shapes: Sequence[tuple[int, ...]]) -> tuple[int, tuple[int, ...]]:
    """(which array, which entry of it) of an element of a vector of several arrays."""
    for number, shape in enumerate(shapes):
        size = int(np.prod(shape, dtype=np.int64))
        if element < size:
            return number, tuple(int(i) for i in np.unravel_index(element, shape)) if shape else ()
        element -= size
    raise IndexError(element)


def _one_hot(element: int, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    number, index = _place(element, shapes)
    made = [np.zeros(shape) for shape in shapes]
    made[number][index] = 1.0
    return made


def bisect(case: Case, element: int) -> int:
    """The entry of the direction that is behind the difference of one element: the difference is linear in it."""
    name = case.local.linear_in
    shapes = case.local.shapes[0 if name == "v" else 1]
    sizes = [int(np.prod(shape, dtype=np.int64)) for shape in shapes]
    full = np.concatenate([np.ravel(x) for x in case.probe[name]])
    low, high = 0, full.size

    def gap(start: int, stop: int) -> float:
        masked = np.zeros_like(full)
        masked[start:stop] = full[start:stop]
        cuts = np.cumsum(sizes)[:-1]
        parts = [part.reshape(shape) for part, shape in zip(np.split(masked, cuts), shapes, strict=True)]
        found, expected = case.at({**case.probe, name: parts})[:2]
        return abs(float(found[element] - expected[element]))

    while high - low > 1:
        middle = (low + high) // 2
        if gap(low, middle) >= gap(middle, high):
            high = middle
        else:
            low = middle
    return low


def unit(case: Case, element: int) -> dict[str, list[np.ndarray]]:
    """Directions that single out one derivative d output / d operand."""
    inputs, outputs = case.local.shapes
    probe = dict(case.probe)
    if not case.local.elementwise:
        return probe
    other = bisect(case, element)
    if case.local.linear_in == "c":
        probe["c"], probe["v"] = _one_hot(other, outputs), _one_hot(element, inputs)
    else:
        probe["v"], probe["c"] = _one_hot(other, inputs), _one_hot(element, outputs)
    return probe


def _culprit(case: Case, finding: Finding) -> Culprit | None:
    if finding.verdict is GradientVerdict.AGREES:
        return None
    local, record = case.local, case.record
    inputs, outputs = local.shapes
    probe = unit(case, finding.element)
    found, expected = case.at(probe)[:2]
    element = finding.element
    result, operand = (0, 0) if not local.elementwise else (element, bisect(case, element))
    if local.linear_in == "c":
        result, operand = operand, result
    if finding.verdict is GradientVerdict.KINK and local.elementwise:
        around = hull(lambda point: case.at(probe, point)[1], case.point, case.seed)
        slopes: tuple[float, float] | None = (float(around.lower[element]), float(around.upper[element]))
    else:
        slopes = finding.slopes
    number, coordinate = _place(operand, inputs) if local.elementwise else (0, ())
    steps = record.steps
    return Culprit(
        finding.verdict,
        local.site.equation.primitive,
        local.site.name,
        local.site.span,
        jaxpr.rule_span(local.site.equation.native) or _first_line(local),
        local.site.path(steps),
        None if not steps else (steps[0] if len(steps) == 1 else steps),
        local.site.branch,
        coordinate,
        local.site.active[number],
        _place(result, outputs)[1] if local.elementwise else (),
        float(expected[element]),
        float(found[element]),
        finding.tolerance or None,
        slopes,
        finding.why,
        local.order,
    )


def _first_line(local: Local) -> Any:
    """The first line of the user's in the rule, where JAX made the function around it (`jax.custom_gradient`)."""
    return next((e.span for e in reversed(local.rule.equations) if e.span is not None), local.site.span)
