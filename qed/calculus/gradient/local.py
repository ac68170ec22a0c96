"""A derivative rule beside the derivative of its own body, both in float64.

For a call y = f(x) with a rule of the user's, c a cotangent and v a tangent,

    found      the user's own functions (jvp; or fwd, then bwd), traced by JAX in the program's dtypes, and that graph
               evaluated in float64;
    expected   J^T c or J v, J the derivative of f's own body by the chain rule, every rule inside stripped and every
               stop_gradient inside open: the derivative of the values.

No step size enters, and both are compared element by element. A body that can only be differentiated forward (a
`while` inside) is compared through <J^T c, v> = <c, J v>. A body that cannot be differentiated at all (a callback,
foreign code) is differenced: Richardson's table, with an error bar (`differences`).

Reference: Griewank and Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 3.3 (the dot product test).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp

from qed.calculus.gradient.differences import BARS, richardson
from qed.calculus.gradient.directions import directions
from qed.calculus.gradient.sites import Site, opened
from qed.calculus.gradient.solves import composed
from qed.calculus.gradient.surrogate import is_marked
from qed.domains.widened import Widened, is_narrow, largest_rounding, widen
from qed.errors import QedError
from qed.graph import jaxpr
from qed.graph.calls import Inline
from qed.graph.defined import rule_span
from qed.graph.graph import Equation, Graph
from qed.graph.jaxpr import Reader
from qed.graph.replay import Place

TOLERANCE = 1e-9
"""Relative: what float64 rounding is taken to explain of one element, before it is looked at closely."""

NARROW = 2e-5
"""The same where a callback or foreign code works in float32."""


WIDE = 1e-2
"""The share of the derivative that twenty error bars of a difference quotient may take; wider ones decide nothing."""


LARGEST = 1e-6
"""The largest tolerance that is given for rounded constants without a closer look."""


class Method(StrEnum):
    """How the derivative of the body is taken."""

    REVERSE = "reverse"
    FORWARD = "forward"
    DIFFERENCES = "differences"


Keep = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Local:
    """The comparison of one site.

    Args:
        site: the call.
        rule: the graph of its rule: (inputs, probe) -> (values, derivatives).
        method: how the reference is made.
        keep: which rules inside the body stay (those of JAX's own library).
        order: 1, or 2 to compare the derivatives of the derivatives.
        flipped: of order 2: the gradient of <J^T c, w>, where JAX cannot push w through the rule.
    """

    site: Site
    rule: Graph
    method: Method
    keep: Keep | None = None
    order: int = 1
    flipped: bool = False

    @cached_property
    def shapes(self) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        """The shapes of the active inputs, and of the outputs that have derivatives."""
        equation = self.site.equation
        return (
            [equation.inputs[i].shape for i in self.site.active],
            [equation.outputs[j].shape for j in self.site.outputs],
        )

    @cached_property
    def tolerance(self) -> float:
        """The relative difference that is not looked at closely."""
        if is_narrow(self.rule) or is_narrow(self.site.body):
            return NARROW
        return max(TOLERANCE, min(4 * self.constants, LARGEST))

    @cached_property
    def constants(self) -> float:
        """The largest unit roundoff of a constant: a trace in float32 rounds them, in the rule and in the body."""
        return max(largest_rounding(self.rule), largest_rounding(self.site.body))

    @cached_property
    def declared(self) -> bool:
        """Whether the call, or a function of its rule, is marked as a surrogate."""
        inside = (e.call.name for e in self.rule.walk() if isinstance(e.call, Inline))
        return self.site.marked or any(is_marked(name) for name in inside)

    @property
    def elementwise(self) -> bool:
        """Whether whole vectors are compared, not numbers <c, J v>."""
        return self.method is Method.REVERSE

    def probe(self, seed: int, array: Any = jnp) -> dict[str, list[Any]]:
        """The directions that are used: cotangents c, tangents v, and w for the second derivative."""
        inputs, outputs = self.shapes
        return {
            "c": directions(outputs, 3 * seed + 1, array),
            "v": directions(inputs, 3 * seed + 2, array),
            "w": directions(inputs, 3 * seed + 3, array),
        }

    @property
    def linear_in(self) -> str:
        """The direction that the rule is applied to."""
        return "c" if self.site.kind == "vjp" else "v"

    # --- what the rule says ---

    def found(
        self, inputs: Sequence[Any], probe: dict[str, list[Any]], rounded: Any = None
    ) -> tuple[list[Any], list[Any]]:
        """(values, derivatives) by the user's rule; under `jax.enable_x64`."""
        directions = list(probe[self.linear_in])
        if self.order == 2:
            directions += probe["w"]
        outs = Widened(rounded=rounded)(self.rule, [*inputs, *directions])
        count = len(self.site.outputs)
        values, derivatives = outs[:count], outs[count:]
        if self.elementwise:
            return values, derivatives
        other = probe["c"] if self.linear_in == "v" else probe["v"]
        return values, [_dot(derivatives, other)]

    # --- what the body says ---

    def body(self, inputs: Sequence[Any], extra: int = 0, rounded: Any = None) -> Callable[..., list[Any]]:
        """The body as a function of the active inputs, in float64."""
        full = [widen(value) for value in inputs]

        def value(*active: Any) -> list[Any]:
            given = list(full)
            for position, x in zip(self.site.active, active, strict=True):
                given[position] = x
            outs = Widened(self.keep, self._open, extra, rounded)(self.site.body, given)
            return [outs[j] for j in self.site.outputs]

        return value

    def _open(self, equation: Equation, place: Place) -> Any:
        """The derivative is that of the values: what a body holds constant moves; not what `implicit` holds."""
        return jnp.ones(()) if self.site.implicit is None else opened(equation, place)

    def active(self, inputs: Sequence[Any]) -> list[Any]:
        """The active inputs in float64."""
        return [widen(inputs[i]) for i in self.site.active]

    def values(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs of the body that have derivatives."""
        return self.body(inputs)(*self.active(inputs))

    def expected(
        self, inputs: Sequence[Any], probe: dict[str, list[Any]], extra: int = 0, rounded: Any = None
    ) -> tuple[list[Any], list[Any]]:
        """(derivatives of the body, their error bars); the bars are zero where no step size entered."""
        at = self.active(inputs)
        body = self.body(inputs, extra, rounded)
        if self.method is Method.DIFFERENCES:
            number, bar = richardson(lambda t: _dot(probe["c"], body(*_moved(at, probe["v"], t))), _size(at))
            return [number], [bar]
        if self.flipped:
            found = list(jax.grad(lambda x: _dot(self._first(body, x, probe), probe["w"]))(at))
        elif self.order == 2:
            found = jax.jvp(lambda *x: self._first(body, x, probe), at, probe["w"])[1]
        else:
            found = self._first(body, at, probe)
        return found, [jnp.zeros((), found[0].dtype)] * len(found)

    def decides(self, inputs: Sequence[Any], found: Any, expected: Any, bars: Any) -> Any:
        """Whether the error bars are narrow enough for a verdict; always true where nothing is differenced."""
        if self.method is not Method.DIFFERENCES:
            return jnp.ones((), bool)
        slope = jnp.maximum(jnp.abs(found[0]), jnp.abs(expected[0]))
        values = sum((jnp.sum(jnp.abs(y)) for y in self.values(inputs)), jnp.zeros(()))
        allowed = jnp.maximum(WIDE * slope, WIDE * TOLERANCE**0.5 * values / _size(self.active(inputs)))
        return BARS * bars[0] <= allowed

    def _first(self, body: Callable[..., list[Any]], at: Sequence[Any], probe: dict[str, list[Any]]) -> list[Any]:
        if self.method is Method.REVERSE and self.linear_in == "c":
            return list(jax.vjp(body, *at)[1](list(probe["c"])))
        pushed = jax.jvp(body, tuple(at), tuple(probe["v"]))[1]
        return list(pushed) if self.elementwise else [_dot(probe["c"], pushed)]


def _dot(left: Sequence[Any], right: Sequence[Any]) -> Any:
    return sum((jnp.sum(a * b) for a, b in zip(left, right, strict=True)), jnp.zeros((), jnp.float64))


def _moved(at: Sequence[Any], along: Sequence[Any], t: Any) -> list[Any]:
    return [x + t * v for x, v in zip(at, along, strict=True)]


def _size(at: Sequence[Any]) -> Any:
    """The size of the point, 1 at the origin: the scale of a step."""
    top = jnp.max(jnp.stack([jnp.max(jnp.abs(x), initial=0.0) for x in at]))
    return jnp.where((top > 0) & jnp.isfinite(top), top, 1.0)


# --- how a comparison is made ---------------------------------------------------------------------------------


def local(site: Site, keep: Keep | None = None, order: int = 1) -> Local:
    """The comparison of a site; call it under the program's own configuration.

    Raises:
        QedError: QED010 where JAX cannot apply the user's rule.
    """
    rule = composed(site.equation) if site.kind == "solve" else rule_graph(site, order)
    flipped = any(equation.primitive == "custom_lin" for equation in rule.walk())
    if flipped:  # a reverse rule inside has no forward derivative
        rule = rule_graph(site, order, flipped)
    for method in (Method.REVERSE, Method.FORWARD):
        made = Local(site, rule, method, keep, order, flipped)
        if _differentiable(made):
            return made
    return Local(site, rule, Method.DIFFERENCES, keep, order, flipped)


def reversible(made: Local) -> bool:
    """Whether the body has a reverse derivative, so that the whole program has a gradient without the rule."""
    if made.method is not Method.REVERSE or made.linear_in == "c":
        return made.method is Method.REVERSE
    equation = made.site.equation
    inputs = [jax.ShapeDtypeStruct(atom.shape, atom.dtype) for atom in equation.inputs]
    try:
        with jax.enable_x64(True):
            jax.eval_shape(lambda *xs: jax.vjp(made.body(xs), *made.active(xs))[1](made.probe(0)["c"]), *inputs)
    except (ValueError, TypeError, NotImplementedError):
        return False
    return True


def _differentiable(made: Local) -> bool:
    equation = made.site.equation
    inputs = [jax.ShapeDtypeStruct(atom.shape, atom.dtype) for atom in equation.inputs]
    try:
        with jax.enable_x64(True):
            jax.eval_shape(lambda *xs: made.expected(xs, made.probe(0)), *inputs)
    except (ValueError, TypeError, NotImplementedError):  # what JAX raises where a derivative is missing
        return False
    return True


def rule_graph(site: Site, order: int, flipped: bool = False) -> Graph:
    """The rule as a graph, traced by JAX from the user's own functions, in the program's dtypes."""
    native, active, outputs = site.equation.native, site.active, site.outputs
    inputs = site.equation.inputs

    def moved(values: Sequence[Any], chosen: Sequence[Any]) -> list[Any]:
        """The operands; those of a root that are one number (its equation's, its solver's) move together."""
        full = list(values)
        for position, x in zip(active, chosen, strict=True):
            for other, atom in enumerate(inputs):
                if other == position or (site.root and order == 2 and atom is inputs[position]):
                    full[other] = x
        return full

    def first(values: Sequence[Any], along: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        def primal(*chosen: Any) -> list[Any]:
            full = moved(values, chosen)
            outs = jaxpr.bind(native, full)
            return [outs[j] for j in outputs]

        at = [values[i] for i in active]
        if site.kind == "jvp":
            outs, derivatives = jax.jvp(primal, tuple(at), tuple(along))
        else:
            outs, pull = jax.vjp(primal, *at)
            derivatives = pull(list(along))
        return list(outs), list(derivatives)

    def flat(*everything: Any) -> list[Any]:
        values, along = everything[: len(inputs)], everything[len(inputs) :]
        if order == 1:
            outs, derivatives = first(values, along)
            return [*outs, *derivatives]
        count = len(along) - len(active)

        def at(*chosen: Any) -> tuple[list[Any], list[Any]]:
            full = moved(values, chosen)
            outs, derivatives = first(full, along[:count])
            return derivatives, outs

        if flipped:

            def slope(chosen: Sequence[Any]) -> tuple[Any, list[Any]]:
                derivatives, outs = at(*chosen)
                return sum((jnp.vdot(d, w) for d, w in zip(derivatives, along[count:], strict=True)), 0.0), outs

            second, outs = jax.grad(slope, has_aux=True)([values[i] for i in active])
            return [*outs, *second]
        _, second, outs = jax.jvp(at, tuple(values[i] for i in active), tuple(along[count:]), has_aux=True)
        return [*outs, *second]

    shapes = [jax.ShapeDtypeStruct(atom.shape, atom.dtype) for atom in inputs]
    ins = [jax.ShapeDtypeStruct(inputs[i].shape, inputs[i].dtype) for i in active]
    variables = site.equation.outputs
    outs = [jax.ShapeDtypeStruct(variables[j].shape, variables[j].dtype) for j in outputs]
    along = ins if site.kind == "jvp" else outs
    try:
        traced = jax.make_jaxpr(flat)(*shapes, *along, *(ins if order == 2 else ()))
    except Exception as error:
        raise rule_error(site, error, order) from error
    return Reader().graph(traced)


def rule_error(site: Site, error: Exception, order: int = 1) -> QedError:
    """The coded error for what JAX raises when it applies a rule."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    message = f"{type(error).__name__}: {' '.join(lines[:2])}" if lines else type(error).__name__
    what = f"the derivative rule of {site.name} cannot be applied"
    if order == 2:
        what = f"the derivative rule of {site.name} cannot be differentiated"
    because = message if len(message) <= 400 else message[:397] + "..."
    instead = "return from the rule what JAX asks for here: structure, shapes and dtypes of the operands"
    return QedError("QED010", what, because, instead, rule_span(site.equation.native) or site.span)
