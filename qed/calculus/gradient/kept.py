"""Derivative rules attached again to a program in float64.

Where a rule stays (one of JAX's own library, a surrogate, a rule whose body cannot be differentiated), the float64
program differentiates the call by the user's own functions, as the program does. The rule is traced by JAX in the
program's dtypes, once and beforehand, and that graph is evaluated in float64. A rule may call functions of the library
again (that of logaddexp takes its own value): their rules stay too, however often it is differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, final

import jax
import numpy as np

from qed.calculus.gradient.local import rule_graph
from qed.calculus.gradient.sites import RULES, Site
from qed.calculus.gradient.solves import dense
from qed.domains.widened import Widened
from qed.errors import QedError
from qed.graph.defined import library_rule
from qed.graph.dtypes import is_inexact, is_real
from qed.graph.function import Function
from qed.graph.graph import Equation, Graph
from qed.graph.replay import Key, Place
from qed.graph.roots import is_root
from qed.graph.tape import Frame

_X64 = "jax_enable_x64"


@final
class Kept:
    """Which rules stay in the float64 program; an argument `keep` of `Widened`.

    Args:
        graph: the program; the rules of JAX's own library in it are kept everywhere.
        sites: further calls whose rules are kept, at their places.
    """

    def __init__(self, graph: Graph, sites: Sequence[Site] = ()) -> None:
        self._library: dict[int, Callable[..., Any]] = {}
        self._places: dict[Key, Callable[..., Any]] = {}
        for equation in graph.walk():
            if equation.native is None or id(equation) in self._library:
                continue
            if equation.primitive in RULES or is_root(equation.native):
                ours = library_rule(equation.native) or is_root(equation.native)
                if ours and _plain(equation):
                    attached = _attach(_whole(equation, graph))
                    if attached is not None:
                        self._library[id(equation)] = attached
        self._add(sites)

    def _add(self, sites: Sequence[Site]) -> None:
        for site in sites:
            attached = _attach(_whole(site.equation, site.body)) if _plain(site.equation) else None
            attached = attached or _attach(site)
            if attached is not None:
                self._places[site.key] = attached

    def with_sites(self, sites: Sequence[Site]) -> Kept:
        """The same rules, and those of further sites."""
        made = Kept.__new__(Kept)
        made._library, made._places = self._library, dict(self._places)
        made._add(sites)
        return made

    def with_roots(self, sites: Sequence[Site]) -> Kept:
        """The same rules; but roots and linear solves are what their equations say, whatever solves them."""
        made = self.with_sites(())
        for site in sites:
            solution = dense(site.equation) if site.kind == "solve" else None
            if site.kind != "solve":
                made._places[site.key] = lambda widened, values, site=site: Widened(widened.keep)(site.body, values)
            elif solution is not None:
                made._places[site.key] = solution
        return made

    def __call__(self, equation: Equation, place: Place) -> Callable[..., Any] | None:
        """The rule to attach at a place, or None."""
        return self._places.get(place.at(equation)) or self._library.get(id(equation))


def differentiable(graph: Graph) -> Widened:
    """A graph in float64 for JAX to differentiate, also more than once: the rules of JAX's own library stay.

    >>> from qed.graph.trace import trace
    >>> graph = trace(jax.nn.softplus, 0.0).graph
    >>> with jax.enable_x64(True):
    ...     run = differentiable(graph)
    ...     print(float(jax.grad(jax.grad(lambda x: run(graph, [x])[0]))(0.0)))
    0.25
    """
    return Widened(Kept(graph))


def in_float64(function: Function) -> Callable[..., list[Any]]:
    """The outputs of a function's graph at a flat float64 vector of its parameters, for JAX to differentiate.

    The rules of JAX's own library stay: they are right where the bodies of its functions have ties (softplus at 0). A
    rule of the user's does not. Called as ``value(x, data=None)``, under `jax.enable_x64`.

    >>> from qed.graph.function import read
    >>> with jax.enable_x64(True):
    ...     value = in_float64(read(jax.nn.softplus, np.float32(0.0)))
    ...     print(jax.grad(lambda x: value(x)[0])(np.zeros(1)))
    [0.5]
    """
    run, shapes = differentiable(function.graph), [np.shape(p) for p in function.parameters]

    def outputs(x: Any, data: Sequence[Any] | None = None) -> list[Any]:
        parts, start = [], 0
        for shape in shapes:
            size = int(np.prod(shape, dtype=np.int64))
            parts.append(x[start : start + size].reshape(shape))
            start += size
        return run(function.graph, function.join(parts, data))

    return outputs


def _plain(equation: Equation) -> bool:
    return all(is_real(variable.dtype) for variable in equation.outputs)


def _whole(equation: Equation, graph: Graph) -> Site:
    """The call with all its floating operands active."""
    kind = "jvp" if equation.primitive == "custom_jvp_call" or is_root(equation.native) else "vjp"
    active = tuple(i for i, atom in enumerate(equation.inputs) if is_inexact(atom.dtype))
    return Site(0, equation, Place(Frame(graph)), kind, active)


def _attach(site: Site) -> Callable[..., Any] | None:
    try:
        rule = rule_graph(site, 1)
    except QedError:
        return None
    count, enabled = len(site.outputs), bool(getattr(jax.config, _X64))

    @cache
    def inside() -> Kept:
        """The rules of the library inside the rule, traced under the program's own configuration."""
        with jax.enable_x64(enabled):
            return Kept(rule)

    def attached(widened: Widened, values: Sequence[Any]) -> Sequence[Any]:
        def value(*given: Any) -> list[Any]:
            return Widened(widened.keep)(site.body, given)

        def applied(given: Sequence[Any], along: Sequence[Any]) -> list[Any]:
            return Widened(inside())(rule, [*given, *along])

        if site.kind == "jvp":
            pushed = jax.custom_jvp(value)

            def push(primals: Any, tangents: Any) -> Any:
                outs = applied(primals, [tangents[i] for i in site.active])
                return outs[:count], [t.astype(np.float64) for t in outs[count:]]

            pushed.defjvp(push)
            return pushed(*values)
        pulled = jax.custom_vjp(value)

        def pull(given: Any, cotangents: Any) -> Any:
            every: list[Any] = [None] * len(given)
            for position, cotangent in zip(site.active, applied(given, cotangents)[count:], strict=True):
                every[position] = cotangent
            return tuple(every)

        pulled.defvjp(lambda *given: (value(*given), given), pull)
        return pulled(*values)

    return attached
