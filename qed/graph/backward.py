"""The gradient of a graph's first output as a graph, one operation after the other.

The chain rule backwards (Linnainmaa, 1970; Griewank and Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section
3.2): y's cotangent is 1, and each operation v = f(u, w) hands f'(u, w)^T v' to the cotangents of its operands, in the
reverse of the order in which they are evaluated. What f'^T is, JAX says: each operation is differentiated by `jax.vjp`
alone, once for all places where it occurs with these shapes and parameters. The graph is the one that `jax.vjp` of the
whole function would give, cotangents added up in the same order, and takes a fraction of the time where operations
repeat.

It is for operations of one result each. Where one with several is differentiated, a loop for example, JAX has to see
the whole.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.build import Builder
from qed.graph.calls import Inline
from qed.graph.collector import at_rest
from qed.graph.dtypes import is_inexact
from qed.graph.graph import Atom, Equation, Graph, Literal, Variable
from qed.graph.jaxpr import Reader, at_line, atom_of, define
from qed.graph.nodes import Node, extended, reachable, several
from qed.graph.once import is_number, key_of, once
from qed.span import Span

KEPT = 1024
"""How many operations are kept."""

_SETTINGS = ("jax_enable_x64", "jax_default_matmul_precision", "jax_numpy_dtype_promotion")
_IN_ORDER = frozenset(["add", "sub"])
"""What JAX transposes as one linear equation: the first operand's cotangent comes first, else the last one's."""

_KNOWN: OrderedDict[Hashable, Pulled] = OrderedDict()


class Whole(Exception):
    """JAX has to differentiate the whole function."""


@dataclass(frozen=True, eq=False)
class Pulled:
    """An operation and its transposed derivative, as JAX has them.

    Args:
        jaxpr: (cotangent, operands) -> (result, cotangents of the operands that have one).
        operands: which children of the node are operands; the others are numbers, and part of it.
        forward, backward: the equations that the cotangent has nothing to do with, and those that it has.
        given: for each operand whose cotangent is not 0, in the order in which they are added up, what it is.
        through: the operand whose cotangent is that of the result, where it is the only one.
        placed: whether it was traced for one node, on the lines where it was written.
    """

    jaxpr: Any
    operands: tuple[int, ...]
    forward: tuple[Any, ...]
    backward: tuple[Any, ...]
    given: tuple[tuple[int, Any], ...]
    through: int | None
    placed: bool = False


@at_rest()
def gradient(
    builder: Builder, outputs: Sequence[Node], inputs: Sequence[Node], moving: Sequence[int], names: Sequence[str]
) -> Graph | None:
    """The graph inputs -> (outputs, gradient of the first); None where JAX has to differentiate the whole.

    Args:
        builder: of the nodes.
        outputs: nodes, the first a real number, the others nothing that has a derivative.
        inputs: the nodes that stand for the arguments.
        moving: the positions of the inputs in which it is differentiated.
        names: of the inputs.

    Example:
        >>> from qed.graph.trace import trace
        >>> builder, graph = Builder(), trace(lambda x: jnp.exp(x) * x, 1.0).graph
        >>> given = builder.inputs(graph)
        >>> found = gradient(builder, builder.inline(graph, given), given, (0,), ["x"])
        >>> [equation.primitive for equation in found.equations]
        ['exp', 'mul', 'mul', 'mul', 'mul', 'add_any']
    """
    if builder.effects or builder.bodies:
        return None
    try:
        return _Backward(inputs, names, moving).graph(outputs)
    except (Whole, NotImplementedError, TypeError, ValueError):  # no reverse mode, or not of one operation alone
        return None


class _Backward:
    def __init__(self, inputs: Sequence[Node], names: Sequence[str], moving: Sequence[int]) -> None:
        self.reader = Reader()
        self.inputs = [Variable(n.shape, n.dtype, name or None) for n, name in zip(inputs, names, strict=True)]
        self.atoms: dict[int, Atom] = {node.number: v for node, v in zip(inputs, self.inputs, strict=True)}
        self.moving = [inputs[i].number for i in moving]
        self.place = {number: number for number in self.moving}  # where the cotangent of an active node is added up
        self.sums: dict[int, Atom] = {}
        self.equations: list[Equation] = []
        self.constants: list[tuple[Variable, Any]] = []

    def graph(self, outputs: Sequence[Node]) -> Graph:
        """Forward, then backward."""
        steps = []
        for node in reachable(outputs):
            if node.operation == "constant":
                self._constant(node)
            elif node.operation != "input":
                pulled = _pulled(node, [child.number in self.place for child in node.children])
                steps.append((node, pulled, *self._forward(node, pulled)))
        first = outputs[0]
        if first.number not in self.place:
            raise Whole
        self.sums[self.place[first.number]] = Literal(np.ones((), first.dtype), (), first.dtype)
        for node, pulled, local, source, span in reversed(steps):
            if node.number in self.place and pulled.through is None and node.number in self.sums:
                self._backward(node, pulled, local, source, span)
        if any(number not in self.sums for number in self.moving):
            raise Whole
        found = [self.atoms[node.number] for node in outputs] + [self.sums[number] for number in self.moving]
        return Graph(tuple(self.inputs), tuple(self.equations), tuple(found), tuple(self.constants), name="gradient")

    def _constant(self, node: Node) -> None:
        if extended(node.dtype):
            raise Whole
        if node.shape == ():
            self.atoms[node.number] = Literal(node.value, (), node.dtype)
            return
        variable = self.atoms[node.number] = Variable(node.shape, node.dtype, None)
        self.constants.append((variable, node.value))

    def _forward(self, node: Node, pulled: Pulled) -> tuple[dict[Any, Atom], Any, Span | None]:
        inner = getattr(pulled.jaxpr, "jaxpr", pulled.jaxpr)
        operands = [self.atoms[node.children[i].number] for i in pulled.operands]
        local: dict[Any, Atom] = dict(zip(inner.invars[1:], operands, strict=True))
        self.constants += [(define(local, v), c) for v, c in zip(inner.constvars, pulled.jaxpr.consts, strict=True)]
        source, span = self.reader.source(node.origin, node.settled and node.equation is None)
        self._read(pulled, pulled.forward, source, local, span)
        self.atoms[node.number] = atom_of(local, inner.outvars[0])
        if pulled.through is not None:
            self.place[node.number] = self.place[node.children[pulled.through].number]
        elif pulled.given:
            self.place[node.number] = node.number
        return local, source, span

    def _backward(self, node: Node, pulled: Pulled, local: dict[Any, Atom], source: Any, span: Span | None) -> None:
        inner = getattr(pulled.jaxpr, "jaxpr", pulled.jaxpr)
        local[inner.invars[0]] = self.sums.pop(node.number)
        self._read(pulled, pulled.backward, source, local, span)
        for child, var in pulled.given:
            place, more = self.place[node.children[child].number], atom_of(local, var)
            before = self.sums.get(place)
            if before is not None:
                eqn = _addition(before.shape, before.dtype)
                both = dict(zip(eqn.invars, (before, more), strict=True))
                self.equations += self.reader.called([eqn], source, both, span, self.constants)
                more = both[eqn.outvars[0]]
            self.sums[place] = more

    def _read(
        self, pulled: Pulled, eqns: Sequence[Any], source: Any, local: dict[Any, Atom], span: Span | None
    ) -> None:
        if pulled.placed:
            self.equations += self.reader.equations(eqns, local, None, self.constants)
        else:
            self.equations += self.reader.called(eqns, source, local, span, self.constants)


def _pulled(node: Node, active: Sequence[bool]) -> Pulled:
    """An operation, differentiated in the children that are active."""
    equation = node.equation
    moves = any(active) and is_inexact(node.dtype)
    if node.operation == "item" or (equation is not None and several(equation)):
        raise Whole
    call = None if equation is None else equation.call
    if moves and call is not None and not (isinstance(call, Inline) and call.custom == "jvp"):
        raise Whole
    operands = tuple(i for i, child in enumerate(node.children) if not is_number(child))
    active = [moves and active[i] for i in operands]
    key = key_of(node)
    if key is None:
        return _traced(node, operands, active, placed=True)
    avals = tuple((node.children[i].shape, node.children[i].dtype) for i in operands)
    settings = tuple(getattr(jax.config, name) for name in _SETTINGS)
    known = (key, avals, tuple(active), node.shape, node.dtype, settings)
    if known not in _KNOWN:
        _KNOWN[known] = _traced(node, operands, active)
        if len(_KNOWN) > KEPT:
            _KNOWN.popitem(last=False)
    _KNOWN.move_to_end(known)
    return _KNOWN[known]


def _traced(node: Node, operands: tuple[int, ...], active: Sequence[bool], placed: bool = False) -> Pulled:
    evaluate, equation, fixed = once(node), node.equation, [child.value for child in node.children]
    moved = [k for k, moves in enumerate(active) if moves]

    def both(cotangent: Any, *values: Any) -> list[Any]:
        def operation(*some: Any) -> Any:
            full = list(values)
            for k, value in zip(moved, some, strict=True):
                full[k] = value
            given = list(fixed)
            for i, value in zip(operands, full, strict=True):
                given[i] = value
            with at_line(node.origin if placed else None, scope=placed and node.settled and equation is None):
                found = evaluate(*given)
            if isinstance(found, list | tuple):
                raise Whole
            return found

        if not moved:
            return [operation() if extended(node.dtype) else jax.vjp(lambda _: operation(), 0.0)[0]]
        value, pull = jax.vjp(operation, *(values[k] for k in moved))
        return [value, *pull(cotangent)]

    kind = [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in (node, *(node.children[i] for i in operands))]
    jaxpr = jax.make_jaxpr(both)(*kind)
    inner = getattr(jaxpr, "jaxpr", jaxpr)
    first = inner.outvars[0].aval
    if first.shape != node.shape or first.dtype != node.dtype or inner.effects:
        raise Whole
    depends, backward = {inner.invars[0]}, []
    for eqn in inner.eqns:
        if any(_is(var, depends) for var in eqn.invars):
            depends.update(eqn.outvars)
            backward.append(eqn)
    late = set(map(id, backward))
    given = [(operands[k], var) for k, var in zip(moved, inner.outvars[1:], strict=True) if _is(var, depends)]
    alone = len(given) == 1 and given[0][1] is inner.invars[0]
    return Pulled(
        jaxpr,
        operands,
        tuple(eqn for eqn in inner.eqns if id(eqn) not in late),
        tuple(backward),
        tuple(given if node.operation in _IN_ORDER else given[::-1]),
        given[0][0] if alone else None,
        placed,
    )


def _is(var: Any, some: set[Any]) -> bool:
    return not hasattr(var, "val") and var in some


@functools.lru_cache(KEPT)
def _addition(shape: tuple[int, ...], dtype: Any) -> Any:
    """JAX's equation for the sum of two cotangents."""
    kind = jax.ShapeDtypeStruct(shape, dtype)

    def twice(x: Any, cotangent: Any) -> Any:
        _, pull = jax.vjp(lambda x: (jnp.sin(x), jnp.cos(x)), x)
        return pull((cotangent, cotangent))

    jaxpr = jax.make_jaxpr(twice)(kind, kind)
    (eqn,) = (eqn for eqn in jaxpr.eqns if eqn.primitive.name == "add_any")
    return eqn


__all__ = ["gradient"]
