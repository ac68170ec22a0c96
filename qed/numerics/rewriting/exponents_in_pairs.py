"""The operations that make a number, done in pairs of numbers from what is exact: u = h + l.

A sum, a product, a quotient or a root of two pairs is a pair whose relative error is of the order of the unit roundoff
squared (`qed.numerics.rewriting.two_words`); so is what finitely many of them make, where nothing cancels. A node is
read back to inputs, numbers and what is rounded nowhere, which are its leaves, and makes a program: from the values of
the leaves to the pair.

Reference: Dekker, *A floating-point technique for extending the available precision*, Numerische Mathematik 18, 1971.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.graph.build import Node, reachable
from qed.graph.nodes import needs
from qed.numerics.longer.candidates import Rounded
from qed.numerics.rewriting import two_words
from qed.numerics.rewriting.kernels import ROUNDED_OFF
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.two_words import Pair

STEPS = 64
"""The largest number of operations that are done in pairs."""
PRODUCTS = 4096
"""The largest number of products of a product of arrays that is one number."""
FEW_PRODUCTS = 512
"""And of one that is an array."""

Program = Callable[[Sequence[Any]], Pair]
"""From the values of the leaves to a pair."""

MOVED = frozenset(
    "broadcast_in_dim reshape transpose squeeze slice rev copy stop_gradient name tile expand_dims concatenate "
    "fill".split()
)
_IN_PAIRS: Mapping[str, Callable[..., Pair]] = {
    "add": two_words.plus,
    "add_any": two_words.plus,
    "sub": lambda x, y: two_words.plus(x, two_words.minus(y)),
    "mul": two_words.times,
    "div": two_words.over,
    "neg": two_words.minus,
    "square": lambda x: two_words.times(x, x),
    "sqrt": two_words.root,
    "log": two_words.log,
    "exp": two_words.exp,
    "pow": two_words.power_of,
    "xlogy": lambda x, y: two_words.times(x, two_words.log(y)),
    "abs": lambda x: two_words.times(x, two_words.exactly(jnp.sign(x[0]))),
    "max": lambda x, y: _chosen(x[0] >= y[0], x, y),
    "min": lambda x, y: _chosen(x[0] <= y[0], x, y),
}
_BESIDE_ONE: Mapping[str, Callable[..., Pair]] = {
    "tanh": two_words.tanh,
    "logistic": two_words.sigmoid,
    "softplus": two_words.log_one_plus_exp,
    "logaddexp": two_words.log_of_two,
    "logaddexp_split": lambda x, more_x, y, more_y: two_words.log_of_two(
        two_words.plus(x, more_x), two_words.plus(y, more_y)
    ),
    "log_share_split": lambda x, more_x, y, more_y: two_words.minus(
        two_words.log_one_plus_exp(
            two_words.plus(two_words.plus(y, more_y), two_words.minus(two_words.plus(x, more_x)))
        )
    ),
    "log1p": lambda x: two_words.log(two_words.plus(x, two_words.exactly(jnp.ones_like(x[0])))),
    "rsqrt": lambda x: two_words.over(two_words.exactly(jnp.ones_like(x[0])), two_words.root(x)),
}
"""What is read in pairs, too, in float64, of which the longer numbers are integers."""
_EMITTED = frozenset(
    "sub mul div add neg log exp xlogy max min logistic softplus logaddexp logaddexp_split log_share_split".split()
)
"""What is read although a rewriting emitted it."""
DTYPES = ("float32", "float64")
_EXACT = frozenset(["neg", "abs", "max", "min", "cancelled", "positive_part", "sum_low"])
CALLS = {name: name for name in ("bose", "exp_difference", "softplus", "sigmoid_split", "log_share_split")}
CALLS["sigmoid"] = "logistic"
"""What an operation that a rewriting emitted is called in a derivative: the function that it is."""


def _chosen(first: Any, x: Pair, y: Pair) -> Pair:
    return jnp.where(first, x[0], y[0]), jnp.where(first, x[1], y[1])


def _same(x: Pair) -> Pair:
    return x


def _combined(coefficients: Sequence[float], *pairs: Pair) -> Pair:
    """A linear combination in pairs."""
    found: Pair | None = None
    for c, pair in zip(coefficients, pairs, strict=True):
        part = (
            pair
            if c == 1
            else two_words.minus(pair)
            if c == -1
            else two_words.times(pair, two_words.exactly(jnp.full_like(pair[0], c)))
        )
        found = part if found is None else two_words.plus(found, part)
    assert found is not None
    return found


@dataclass(frozen=True)
class _Step:
    """One operation in pairs."""

    node: Node
    evaluate: Callable[..., Pair]


class Read:
    """The operations that make a node, from what is exact.

    Args:
        roundings: how a node is rounded.
        dtype: the one dtype of all.
        products: whether products of arrays are done in pairs.
    """

    def __init__(self, roundings: Callable[[Node], Rounded], dtype: Any, products: bool) -> None:
        self.roundings, self.dtype, self.products = roundings, dtype, products
        self.leaves: dict[int, Node] = {}
        self.steps: dict[int, _Step] = {}
        self.aliases: dict[int, Node] = {}
        self.rounds = self.bends = False

    def __call__(self, node: Node) -> bool:
        """Read a node; False where an operation is not done in pairs."""
        if node.number in self.steps or node.number in self.leaves:
            return True
        if node.dtype != self.dtype or len(self.steps) > STEPS:
            return False
        exact = self.roundings(node) is Rounded.NOT
        if exact or (node.operation == "lgamma" and str(node.dtype) == "float64"):  # of 32 bits it is not so good
            self.leaves[node.number] = node
            return True
        evaluate = self._in_pairs(node)
        if evaluate is None and node.ghost is not None and node.ghost.shape == node.shape:
            self.aliases[node.number] = node.ghost
            evaluate = _same
        if evaluate is None or not all(map(self, self._operands(node))):
            return False
        self.steps[node.number] = _Step(node, evaluate)
        self.rounds |= not _exact(node)
        self.bends |= self._bends(node)
        return True

    def _bends(self, node: Node) -> bool:
        """Whether an operation is not linear in each of the inputs."""
        if node.operation in _IN_PAIRS and len(self._operands(node)) == 1:
            return node.operation != "neg"
        if node.operation not in ("mul", "dot_general"):
            return node.operation in ("integer_pow", "pow", "xlogy", "max", "min", "exp_put_back")
        first, second = (self._made_of(child) for child in node.children)
        return bool(first & second)

    @staticmethod
    def _made_of(node: Node) -> frozenset[int]:
        return frozenset(each.number for each in reachable([node]) if each.operation == "input")

    def _operands(self, node: Node) -> tuple[Node, ...]:
        if node.number in self.aliases:
            return (self.aliases[node.number],)
        return node.ghost.children if node.operation == "exp_put_back" and node.ghost else node.children

    def _in_pairs(self, node: Node) -> Callable[..., Pair] | None:
        name = node.operation
        if name == "exp_put_back":
            return two_words.exp
        if name == "convert_element_type":  # of one dtype to itself: weak types
            return (lambda x: x) if node.children[0].dtype == node.dtype else None
        if name in MOVED:
            return lambda *pairs: (node.evaluate(*(p[0] for p in pairs)), node.evaluate(*(p[1] for p in pairs)))
        if name == "cancelled":
            return lambda pair: two_words.exactly(jnp.zeros_like(pair[0]))
        if name == "positive_part":
            return lambda pair: _chosen(pair[0] >= 0, pair, two_words.exactly(jnp.zeros_like(pair[0])))
        if name == "sum_low" or (name == "name" and node.params.get("name") == ROUNDED_OFF):
            # what the sum beside it leaves out, which that holds in pairs
            return lambda *pairs: two_words.exactly(jnp.zeros_like(pairs[0][0]))
        if name == "sum_high":
            return functools.partial(_combined, node.params["coefficients"])
        wide = str(self.dtype) == "float64"
        if node.equation is None:
            if name not in _EMITTED or (name == "log" and len(node.children) != 1):  # of what is known otherwise
                return None
            return _IN_PAIRS.get(name) or (_BESIDE_ONE.get(name) if wide else None)
        if wide and name == "custom_jvp_call":
            call = getattr(node.equation.call, "name", "")
            name = CALLS.get(call, call) if node.settled or call == "logaddexp" else name
        if wide and name in _BESIDE_ONE:
            return _BESIDE_ONE[name]
        if name == "integer_pow":
            return lambda x: two_words.power(x, node.params["y"])
        if name == "reduce_sum":
            return lambda x: two_words.total(x, tuple(node.params["axes"]))
        if name == "dot_general" and self.products:
            contracted, batch = node.params["dimension_numbers"]
            inner = math.prod(node.children[0].shape[k] for k in contracted[0])
            if inner * math.prod(node.shape) > (FEW_PRODUCTS if node.shape else PRODUCTS):
                return None
            return lambda x, y: two_words.product_of(x, y, contracted, batch)
        return _IN_PAIRS.get(name)

    def combination(self, nodes: Sequence[Node], coefficients: tuple[float, ...]) -> Program:
        """What makes a linear combination of nodes, from the values of the leaves."""
        programs = [self.program(node) for node in nodes]
        return lambda values: _combined(coefficients, *(program(values) for program in programs))

    def program(self, node: Node) -> Program:
        """What makes the node, from the values of the leaves."""
        leaves, steps = list(self.leaves), list(self.steps.values())
        operands = [[child.number for child in self._operands(step.node)] for step in steps]
        constant = {number for number, leaf in self.leaves.items() if _of_constants(leaf)}
        constant |= {step.node.number for step in steps if _of_constants(step.node)}

        def run(values: Sequence[Any]) -> Pair:
            found = {number: two_words.exactly(jnp.asarray(v)) for number, v in zip(leaves, values, strict=True)}
            for step, numbers in zip(steps, operands, strict=True):
                pairs = [found[number] for number in numbers]
                if step.node.operation == "sub" and numbers[0] in constant:
                    high, low = two_words.plus(two_words.minus(pairs[1]), pairs[0])
                else:
                    swapped = step.node.operation in ("add", "add_any") and numbers[0] in constant
                    high, low = step.evaluate(*(reversed(pairs) if swapped else pairs))
                found[step.node.number] = (
                    jnp.broadcast_to(high, step.node.shape),
                    jnp.broadcast_to(low, step.node.shape),
                )
            return found[node.number]

        return run


def _of_constants(node: Node) -> bool:
    """Whether a node depends on no input."""
    return not needs(node, lambda each: each.operation == "input")


def _exact(node: Node) -> bool:
    """Whether an operation rounds nothing: moves, signs, and products by powers of two."""
    if node.operation in MOVED or node.operation in _EXACT or node.operation == "convert_element_type":
        return True
    if node.operation not in ("mul", "div"):
        return False
    factors = node.children if node.operation == "mul" else node.children[1:]
    return any(_is_power_of_two(constant_of(each)) for each in factors)


def _is_power_of_two(value: float | None) -> bool:
    return value is not None and value != 0 and bool(np.isfinite(value)) and abs(math.frexp(value)[0]) == 0.5


__all__ = ["CALLS", "DTYPES", "MOVED", "Program", "Read"]
