"""The places of a program where a derivative is what somebody wrote, not what the chain rule gives.

A *site* is a call with a derivative rule of the user's (`jax.custom_jvp`, `jax.custom_vjp`, `jax.custom_gradient`)
whose operands depend on what is differentiated, once for every way of calls that leads to it; inside loops once for
all steps. Rules of JAX's own library are trusted: they are verified once, by the tests, not at every check. Operands
that do not depend on the parameters are data, and what a rule says of them is never used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from qed.calculus.gradient.implicit import implicit_body
from qed.calculus.gradient.solves import judged, parts, product
from qed.calculus.gradient.surrogate import is_marked
from qed.domains.backward import has_derivative
from qed.facts.trusted import RULES as RULED
from qed.facts.trusted import is_trusted
from qed.graph.calls import Cond, Inline, Scan, While
from qed.graph.defined import library_rule, rule_span
from qed.graph.dtypes import is_real
from qed.graph.graph import Equation, Graph, Literal, Variable
from qed.graph.replay import Key, Place
from qed.graph.roots import is_root, root
from qed.graph.tape import Frame
from qed.span import Span

RULES = ("custom_jvp_call", "custom_vjp_call")


@dataclass(frozen=True, eq=False)
class Site:
    """A call with a derivative rule, or a stop_gradient.

    Args:
        number: its place in the list of sites.
        equation: the call.
        place: where it stands; `key` is the same for every loop step.
        kind: 'jvp', 'vjp', 'solve' for a linear solve, or 'stop' for a stop_gradient.
        active: the positions of the operands that depend on the parameters.
        marked: whether it is declared a surrogate.
        outer: the site in whose body this one stands: the outer rule is used in its place.
        root: whether it is `jax.lax.custom_root`, whose rule is JAX's around functions of the user's.
        implicit: what is differentiated in the place of a root's solver (`implicit`; None where it cannot be had), or
            of a linear solve (`solves`).
    """

    number: int
    equation: Equation
    place: Place
    kind: str
    active: tuple[int, ...]
    marked: bool = False
    outer: int | None = None
    root: bool = False
    implicit: Graph | None = None

    @property
    def key(self) -> Key:
        """The name of the place."""
        return self.place.at(self.equation)

    @property
    def body(self) -> Graph:
        """What the call computes."""
        return self.implicit or self.equation.call.graph

    @property
    def outputs(self) -> tuple[int, ...]:
        """The positions of the outputs that have derivatives."""
        return tuple(j for j, variable in enumerate(self.equation.outputs) if is_real(variable.dtype))

    @property
    def name(self) -> str:
        """The function's name."""
        if self.kind == "stop":
            return "stop_gradient"
        if self.root:
            return "custom_root"
        if self.kind == "solve":
            return "solve"
        span = rule_span(self.equation.native)
        made_by_jax = self.body.span is None and span is not None  # as by jax.custom_gradient
        return (span.function or self.body.name) if made_by_jax and span is not None else self.body.name

    @property
    def span(self) -> Span | None:
        """The line of the call."""
        return self.place.frame.span(self.equation)

    @property
    def branch(self) -> int | None:
        """The branch of the innermost cond around it."""
        frame: Frame | None = self.place.frame
        while frame is not None:
            if frame.branch is not None:
                return frame.branch
            frame = frame.parent
        return None

    def path(self, steps: Sequence[int] = ()) -> str:
        """The calls that lead to it, such as ``jit/scan[3]/remat/custom_vjp_call``."""
        frames: list[Frame] = []
        frame: Frame | None = self.place.frame
        while frame is not None and frame.equation is not None:
            frames.append(frame)
            frame = frame.parent
        parts, left = [], list(steps)
        for frame in reversed(frames):
            label = frame.equation.primitive if frame.equation is not None else ""
            if label in ("scan", "while") and left:
                label += f"[{left.pop(0)}]"
            if frame.branch is not None:
                label += f"<{frame.branch}>"
            parts.append(label)
        return "/".join([*parts, self.equation.primitive])


def find_sites(graph: Graph, active: Sequence[int], marked: bool = False) -> tuple[Site, ...]:
    """Every site of a graph.

    Args:
        graph: the graph.
        active: the positions of the inputs that are differentiated.
        marked: whether the whole function is declared a surrogate.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> f = jax.custom_jvp(jnp.sin)
        >>> rule = f.defjvp(lambda p, t: (jnp.sin(p[0]), jnp.cos(p[0]) * t[0]))
        >>> graph = trace(jax.jit(lambda x: f(x) + jax.nn.relu(x)), 1.0).graph
        >>> [(site.kind, site.path()) for site in find_sites(graph, [0])]
        [('jvp', 'jit/custom_jvp_call')]
    """
    search = _Search()
    wanted = set(active)
    search.walk(graph, [i in wanted for i in range(len(graph.inputs))], Place(Frame(graph)), marked, None)
    return tuple(search.sites)


def second_site(site: Site) -> Site | None:
    """A root as its second derivative is compared: in the operands of its equation alone.

    None where its tangent solve depends on a parameter by another operand, which then moves with it unseen.
    """
    found = root(site.equation.native)
    if found is None:
        return None
    inputs = site.equation.inputs
    own = tuple(i for i in site.active if i in found[1])
    if any(all(inputs[i] is not inputs[j] for j in own) for i in site.active):
        return None
    return replace(site, active=own, implicit=implicit_body(site.equation, 2))


def unverified(graph: Graph, active: Sequence[int]) -> tuple[str, ...]:
    """The primitives and functions of JAX's own that a derivative passes through, and that no test verifies.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> unverified(trace(lambda x: jnp.sum(jax.scipy.linalg.expm(x)), jnp.eye(2)).graph, [0])
        ()
        >>> unverified(trace(lambda x: jax.scipy.special.expi(x), 1.0).graph, [0])
        ('expi',)
    """
    search, wanted = _Search(), set(active)
    search.walk(graph, [i in wanted for i in range(len(graph.inputs))], Place(Frame(graph)), False, None, note=False)
    return tuple(sorted(search.unverified))


def reaches(graph: Graph, site: Site) -> bool:
    """Whether a derivative passes from a site to the first output: not where every way is stopped or rounded."""
    search = _Search(site)
    return search.walk(graph, [False] * len(graph.inputs), Place(Frame(graph)), False, None)[0]


class _Search:
    """The pass over a graph that says what depends on what is differentiated; or, from one site on, on that site."""

    def __init__(self, source: Site | None = None) -> None:
        self.sites: list[Site] = []
        self.unverified: set[str] = set()
        self.source = source.key if source is not None else None
        self.around = prefixes([source]) if source is not None else set()

    def walk(
        self, graph: Graph, flags: Sequence[bool], place: Place, marked: bool, outer: int | None, note: bool = True
    ) -> list[bool]:
        env: dict[Variable, bool] = dict(zip(graph.inputs, flags, strict=True))
        for equation in graph.equations:
            given = [not isinstance(atom, Literal) and env.get(atom, False) for atom in equation.inputs]
            none = [False] * len(equation.outputs)
            key = place.at(equation)
            alive = any(given) or key in self.around
            outs = self.step(equation, given, place, marked, outer, note) if alive else none
            if key == self.source:
                outs = [is_real(variable.dtype) for variable in equation.outputs]
            env.update(zip(equation.outputs, outs, strict=True))
        return [not isinstance(atom, Literal) and env.get(atom, False) for atom in graph.outputs]

    def step(
        self, equation: Equation, given: list[bool], place: Place, marked: bool, outer: int | None, note: bool
    ) -> list[bool]:
        call = equation.call
        match call:
            case Inline():
                return self.inline(call, equation, given, place, marked, outer, note)
            case Cond():
                rows = [
                    self.walk(branch, given[1:], place.into(branch, equation, i), marked, outer, note)
                    for i, branch in enumerate(call.branches)
                ]
                return [any(column) for column in zip(*rows, strict=True)]
            case Scan():
                inner = place.into(call.body, equation)
                return self.repeat(call.body, given, call.constants, call.carry, inner, marked, outer, note)
            case While():
                split = call.condition_constants
                inner = place.into(call.body, equation)
                count = len(given) - split - call.body_constants
                return self.repeat(call.body, given[split:], call.body_constants, count, inner, marked, outer, note)
        if equation.primitive == "stop_gradient":
            if note and is_real(equation.inputs[0].dtype):
                active = tuple(i for i, flag in enumerate(given) if flag)
                self.sites.append(Site(len(self.sites), equation, place, "stop", active, marked, outer))
            return [False] * len(equation.outputs)
        if equation.primitive == "custom_linear_solve" and note and judged(equation):
            right = tuple(range(parts(equation)[1], len(equation.inputs)))
            body = product(equation)
            self.sites.append(Site(len(self.sites), equation, place, "solve", right, marked, outer, implicit=body))
        alive = call is not None or has_derivative(equation)
        outs = [alive and is_real(variable.dtype) for variable in equation.outputs]
        if any(outs) and not is_trusted(equation.primitive):
            self.unverified.add(equation.primitive)
        return outs

    def inline(
        self,
        call: Inline,
        equation: Equation,
        given: list[bool],
        place: Place,
        marked: bool,
        outer: int | None,
        note: bool,
    ) -> list[bool]:
        marked = marked or is_marked(call.name)
        rule = equation.primitive in RULES and equation.native is not None
        inside = outer
        if equation.native is not None and is_root(equation.native):
            if note:
                active = tuple(i for i, f in enumerate(given) if f and is_real(equation.inputs[i].dtype))
                body = implicit_body(equation)
                self.sites.append(Site(len(self.sites), equation, place, "jvp", active, marked, outer, True, body))
            return [is_real(variable.dtype) for variable in equation.outputs]
        if rule and note and not library_rule(equation.native):
            kind = "jvp" if equation.primitive == "custom_jvp_call" else "vjp"
            active = tuple(i for i, f in enumerate(given) if f and is_real(equation.inputs[i].dtype))
            inside = len(self.sites)
            self.sites.append(Site(inside, equation, place, kind, active, marked, outer))
        elif rule:
            if library_rule(equation.native) and call.name not in RULED:
                self.unverified.add(call.name)
            return [is_real(variable.dtype) for variable in equation.outputs]
        outs = self.walk(call.graph, given, place.into(call.graph, equation), marked, inside, note)
        return [is_real(v.dtype) for v in equation.outputs] if rule else outs

    def repeat(
        self,
        body: Graph,
        given: list[bool],
        constants: int,
        carry: int,
        inner: Place,
        marked: bool,
        outer: int | None,
        note: bool,
    ) -> list[bool]:
        fixed, state, rows = given[:constants], given[constants : constants + carry], given[constants + carry :]
        while True:  # until no more of the carry becomes active
            outs = self.walk(body, [*fixed, *state, *rows], inner, marked, outer, note=False)
            after = [old or new for old, new in zip(state, outs[:carry], strict=True)]
            if after == state:
                break
            state = after
        if note:
            self.walk(body, [*fixed, *state, *rows], inner, marked, outer)
        return [*state, *outs[carry:]]


def opened(equation: Equation, place: Place) -> Any:
    """The share of the derivative that a stop_gradient lets through where rules are stripped: all inside of a rule.

    A rule stands for the derivative of the values that its body computes. What the body holds constant is never used
    while the rule is there (often it is held constant because the rule says its derivative), and is no part of a value.
    """
    frame: Frame | None = place.frame
    while frame is not None:
        if frame.equation is not None and frame.equation.primitive in RULES:
            return jnp.ones(())
        frame = frame.parent
    return None


def prefixes(sites: Sequence[Site]) -> set[Any]:
    """The names of all calls that have a site inside: (place, equation) of each."""
    found: set[Any] = set()
    for site in sites:
        key = site.place.key
        found.update((*key[:depth], key[depth][0]) for depth in range(len(key)))
    return found
