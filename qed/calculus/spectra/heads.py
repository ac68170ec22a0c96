"""A loss as outer functions of what a network returns, found in its graph.

The Gauss-Newton matrix of a loss psi(z(w)) is G = J' D^2 psi J, with J the derivative of z. It depends on where the
loss is cut. Here a loss is first written as a sum of terms times numbers, in which it is affine; each is cut at the
*earliest* value z through which every path from the parameters goes (a dominator; Aho, Lam, Sethi and Ullman,
*Compilers*, section 9.6) and beyond which the term is, up to weights a_i >= 0 and what does not depend on z,

    sum_i a_i (A(z_i) - t_i z_i),     with    grad A = the identity, softmax, the logistic function or exp:

squared error, cross-entropy of softmax or of one logit, Poisson. Then D^2 psi depends on no label, and G is the Fisher
information of the model whose log-likelihood it is (Martens, *New insights and perspectives on the natural gradient
method*, JMLR 21, 2020, section 9). Which of them it is, is seen from gradients at three points in float64. A term that
is affine in z has no curvature of its own there, as in mean(exp(z)) - mean(y z): where a term alone is of no family,
all terms that are functions of z are taken together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.domains.widened import Widened, widen
from qed.graph.dtypes import is_real
from qed.graph.function import Function
from qed.graph.graph import Atom, Equation, Graph, Variable
from qed.graph.merge import merge
from qed.graph.splice import splice

Array = np.ndarray
CUTS = 40
"""How many places to cut a term are tried."""
SAME = 1e-6
"""How far gradients may be from what a family says, in relation to their size."""
_PASS = frozenset({"convert_element_type", "copy", "neg", "reshape", "squeeze"})


@dataclass(frozen=True, eq=False)
class Head:
    """A part of a loss: the sum of its terms outer_i(network(w)), each times its factor.

    Args:
        network: inputs of the whole graph -> z.
        outer: z, then the inputs of the whole graph -> the terms.
        factors: what the loss multiplies each by.
        family: of the model whose log-likelihood it is.
    """

    network: Graph
    outer: Graph
    factors: tuple[float, ...]
    family: str

    @property
    def terms(self) -> tuple[Any, ...]:
        """The values that are its terms."""
        return self.outer.outputs


def _softmax(z: Array) -> Array:
    e = np.exp(z - np.max(z, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


FAMILIES: dict[str, Callable[[Array], Array]] = {
    "normal": lambda z: z,
    "categorical": _softmax,
    "Bernoulli": lambda z: 1 / (1 + np.exp(-z)),
    "Poisson": np.exp,
}
"""name -> the mean as a function of the natural parameter."""


def heads(function: Function) -> tuple[Head, ...] | None:
    """The terms of a loss; None where one of them is of no family.

    >>> from qed.graph.function import read
    >>> x, y = jnp.ones((5, 3)), jnp.arange(5) % 2
    >>> loss = lambda w: -jnp.mean(jax.nn.log_softmax(jnp.tanh(x @ w["a"]) @ w["b"])[jnp.arange(5), y])
    >>> w = {"a": jnp.ones((3, 4)), "b": jnp.ones((4, 2))}
    >>> [head.family for head in heads(read(loss, w))]
    ['categorical']
    >>> [head.family for head in heads(read(lambda w: loss(w) + 0.1 * jnp.sum(w["a"] ** 2), w))]
    ['categorical', 'normal']
    >>> heads(read(lambda w: jnp.sum(jnp.sin(w["a"]) @ w["b"]), w)) is None
    True
    """
    loss = _Loss.of(function)
    found: dict[Variable, Head] = {}
    for term in loss.cuts:
        head = loss.head(term, [term])
        if head is not None:
            found[term] = head
    for term in loss.cuts:
        if term not in found:
            loose = [t for t in loss.cuts if t not in found or len(found[t].factors) == 1]
            head = loss.head(term, loose)
            if head is None:
                return None
            found.update(dict.fromkeys(head.terms, head))
    return tuple(dict.fromkeys(found[term] for term in loss.cuts)) or None


@dataclass(frozen=True, eq=False)
class _Loss:
    """A loss and its terms, each with the values where it can be cut, the earliest first."""

    function: Function
    graph: Graph
    made: dict[Variable, Equation]
    cuts: dict[Variable, list[Variable]]

    @classmethod
    def of(cls, function: Function) -> _Loss:
        graph = merge(splice(function.graph))
        made = {variable: equation for equation in graph.equations for variable in equation.outputs}
        active = _active(graph, function.traced.free)
        cuts = {
            term: list(_cuts(graph, _needed(graph, made, [term], frozenset()), term, active))
            for term in _terms(graph.outputs[0], made, active)
        }
        return cls(function, graph, made, cuts)

    def head(self, term: Variable, among: Sequence[Variable]) -> Head | None:
        """A term, with all others that can be cut at the same value, as one function of it; None where it is none."""
        for z in self.cuts[term]:
            terms = tuple(t for t in among if z in self.cuts[t])
            if len(terms) == 1 < len(among):  # which was tried
                continue
            try:
                head = _head(self.function, self.graph, self.made, z, terms)
            except (TypeError, ValueError, NotImplementedError):  # what JAX raises where a rule is missing
                continue
            if head is not None:
                return head
        return None


def _active(graph: Graph, free: Sequence[int]) -> set[Variable]:
    found = {graph.inputs[i] for i in free}
    for equation in graph.equations:
        if any(isinstance(a, Variable) and a in found for a in equation.inputs):
            found.update(v for v in equation.outputs if is_real(v.dtype))
    return found


def _terms(atom: Atom, made: dict[Variable, Equation], active: set[Variable]) -> Iterator[Variable]:
    """The scalar values whose affine function the loss is."""
    if not isinstance(atom, Variable) or atom not in active:
        return
    equation = made.get(atom)
    live = [] if equation is None else [a for a in equation.inputs if isinstance(a, Variable) and a in active]
    if equation is not None and all(a.shape == () for a in live):
        name = equation.primitive
        sums = name in ("add", "add_any", "sub")
        scaled = (name == "mul" and len(live) == 1) or (name == "div" and live == [equation.inputs[0]])
        if sums or scaled or name in _PASS:
            for a in dict.fromkeys(live):
                yield from _terms(a, made, active)
            return
    yield atom


def _needed(
    graph: Graph, made: dict[Variable, Equation], ends: Sequence[Atom], stop: frozenset[Variable]
) -> list[Equation]:
    """The equations that values are computed by, from the values in `stop` on, in order."""
    wanted: set[Equation] = set()
    waiting: list[Atom] = [*ends]
    while waiting:
        atom = waiting.pop()
        if isinstance(atom, Variable) and atom not in stop and atom in made and made[atom] not in wanted:
            wanted.add(made[atom])
            waiting += made[atom].inputs
    return [equation for equation in graph.equations if equation in wanted]


def _from(graph: Graph, made: dict[Variable, Equation], start: Variable, ends: tuple[Atom, ...]) -> Graph:
    """The graph from a value on: the value and the inputs -> some outputs."""
    equations = _needed(graph, made, ends, frozenset({start}))
    inputs = (start, *(v for v in graph.inputs if v is not start))
    return replace(graph, inputs=inputs, equations=tuple(equations), outputs=ends)


def _cuts(graph: Graph, inner: list[Equation], term: Variable, active: set[Variable]) -> Iterator[Variable]:
    """The values through which every path from the parameters to a term goes, the earliest first."""
    last: dict[Variable, int] = {}
    for i, equation in enumerate(inner):
        last.update((a, i) for a in equation.inputs if isinstance(a, Variable) and a in active)
    live = {v for v in graph.inputs if v in last}
    count = 0
    for i in range(-1, len(inner)):
        if i >= 0:
            live = {v for v in live if last[v] > i} | {v for v in inner[i].outputs if last.get(v, -1) > i}
        if len(live) == 1 and count < CUTS:
            count += 1
            yield next(iter(live))


def _head(
    function: Function, graph: Graph, made: dict[Variable, Equation], z: Variable, terms: tuple[Variable, ...]
) -> Head | None:
    network = replace(graph, equations=tuple(_needed(graph, made, [z], frozenset())), outputs=(z,))
    outer = _from(graph, made, z, terms)
    with jax.enable_x64(True):
        leaves = [widen(leaf) for leaf in function.join(function.parameters)]
        at = Widened()(network, leaves)[0]
        values = Widened()(outer, _placed(graph, outer, at, leaves))
        factors = []
        for term, value in zip(terms, values, strict=True):
            rest = _from(graph, made, term, graph.outputs)
            factors.append(float(jax.grad(partial(_first, graph, rest, leaves))(value)))
        weights = jnp.asarray(factors)
        slope = jax.grad(lambda u: weights @ jnp.stack(Widened()(outer, _placed(graph, outer, u, leaves))))
        rng, where = np.random.default_rng(0), np.asarray(at)
        spread = 0.5 + float(np.std(where))
        points = [where, *(where + spread * rng.standard_normal(where.shape) for _ in range(2))]
        slopes = [np.asarray(slope(jnp.asarray(p))) for p in points]
    family = _family(points, slopes)
    return None if family is None else Head(network, outer, tuple(factors), family)


def _first(graph: Graph, part: Graph, leaves: Sequence[Any], value: Any) -> Any:
    return Widened()(part, _placed(graph, part, value, leaves))[0]


def _placed(graph: Graph, part: Graph, first: Any, leaves: Sequence[Any]) -> list[Any]:
    known = dict(zip(graph.inputs, leaves, strict=True))
    return [first, *(known[v] for v in part.inputs[1:])]


def _family(points: Sequence[Array], slopes: Sequence[Array]) -> str | None:
    """The family whose means the gradients follow, up to weights that are not negative."""
    size = max(float(np.max(np.abs(g - slopes[0]))) for g in slopes[1:])
    if not np.isfinite(size) or size <= 1e-12 * float(np.max(np.abs(slopes[0]), initial=1e-300)):
        return None
    for name, mean in FAMILIES.items():
        rows = name == "categorical"
        if rows and (points[0].ndim == 0 or points[0].shape[-1] < 2):
            continue
        base = mean(points[0])
        first, second = mean(points[1]) - base, mean(points[2]) - base
        one, two = slopes[1] - slopes[0], slopes[2] - slopes[0]
        over, under = one * first, first * first
        if rows:
            over, under = over.sum(-1, keepdims=True), under.sum(-1, keepdims=True)
        weight = over / np.maximum(under, 1e-300)
        away = max(float(np.max(np.abs(one - weight * first))), float(np.max(np.abs(two - weight * second))))
        if away <= SAME * size and float(np.min(weight)) >= -SAME * float(np.max(np.abs(weight))):
            return name
    return None
