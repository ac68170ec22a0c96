"""Exponentials of a computed exponent: what the exponent rounds off counts |u| times, and is put back.

exp(u(1 + d)) = exp(u) (1 + u d + ...): a unit roundoff in u = -x^2/2 becomes 72 of them in exp(u) at x = 12. So the
exponent is computed a second time in pairs of numbers (`qed.numerics.rewriting.two_words`), u = h + l, and

    exp(u) = exp(h) + exp(h) l.

This is done last, to what the other rewritings left, and again to the derivative, in which (exp u)' = exp(u) u' has the
same exponential. It is done where it is known to help: every operation that makes the exponent is done in pairs, from
inputs and numbers, which are exact; one of them rounds; and the exponent is not bounded by `SMALL`. Up to there
exp(u) stays what it is, bit for bit. The difference to a maximum is left alone: what it makes small is small beside 1.
So is a sum of products of different inputs, as in exp(w x + b), in a function that nothing else changes: models are
written so, and they do not live where exp has left its range.

Longer numbers take this off a function of float32. In float64, where they are integers, exponents of more functions are
read (tanh, the sigmoid, softplus, whose errors in pairs are those of a number near 1, and products of arrays), and the
functions that other rewritings put in place of exponentials are corrected, too: f(u) = f(h) + f'(h) l.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, section 1.6 (the condition
number of exp is |u|).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.build import GHOSTED, Builder, Node, Operation, reachable
from qed.graph.nodes import needs
from qed.numerics.longer.candidates import Rounded, ranges, roundings
from qed.numerics.rewriting import two_words
from qed.numerics.rewriting.bose import bose
from qed.numerics.rewriting.change import Change, Only
from qed.numerics.rewriting.difference_factory import short
from qed.numerics.rewriting.difference_kernels import exp as exp_difference
from qed.numerics.rewriting.kernels import ROUNDED_OFF, sigmoid
from qed.numerics.rewriting.render import Formula
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.smooth import sech2
from qed.numerics.rewriting.two_words import Pair

SMALL = 4.0
"""Up to which |u| nothing is put back: three bits are lost at most where few operations make u."""
STEPS = 64
"""The largest number of operations that are done in pairs."""
PRODUCTS = 4096
"""The largest number of products of a product of arrays that is one number."""
FEW_PRODUCTS = 512
"""And of one that is an array."""
NAME = "exponents"

Program = Callable[[Sequence[Any]], Pair]
"""From the values of the leaves to a pair."""

_MOVED = frozenset(
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
_DTYPES = ("float32", "float64")
_EXACT = frozenset(["neg", "abs", "max", "min", "cancelled", "positive_part", "sum_low"])
_OF_MAXIMA = frozenset(["reduce_max", "reduce_min", "max", "min", "shift", "cummax", "cummin", "argmax", "sort"])


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


def _steep(name: str) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
    """A function f, and f'(h)/f(h) from h and f(h)."""
    match name:
        case "exp":
            return jnp.exp, lambda h, f: jnp.ones_like(h)
        case "expm1":
            return jnp.expm1, lambda h, f: jnp.exp(h) / f
        case "logistic":
            return sigmoid, lambda h, f: jax.nn.sigmoid(-h)
        case "bose":
            return bose, lambda h, f: -(1 + f)
        case "softplus":
            return jax.nn.softplus, lambda h, f: jax.nn.sigmoid(h) / f
        case "sech2":
            return sech2, lambda h, f: -2 * jnp.tanh(h)
        case "log_sigmoid":
            return lambda h: -jax.nn.softplus(-h), lambda h, f: jax.nn.sigmoid(-h) / f
    return jax.lax.erfc, lambda h, f: -2 / math.sqrt(math.pi) * jnp.exp(-h * h) / f


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def put_back(name: str, program: Program, u: Any, *leaves: Any) -> Any:
    """f(u) of a u that is given with the leaves of a program that makes it in pairs; f by its name."""
    function, slope = _steep(name)
    plain = function(u)
    high, low = program(leaves)
    near = function(high)
    steep = slope(high, near)
    found = two_words.corrected(near, (high, steep * low))
    usable = (jnp.abs(u * steep) > SMALL) & jnp.isfinite(found) & jnp.isfinite(plain) & (plain != 0)
    return jnp.where(usable, found, plain).astype(u.dtype)


@put_back.defjvp
def _put_back_slope(name: str, program: Program, primals: Any, tangents: Any) -> tuple[Any, Any]:
    value, u = put_back(name, program, *primals), primals[0]
    if name == "exp":
        return value, tangents[0] * value
    if name == "expm1":  # whose slope is not expm1(u) + 1, as JAX has it, where u is far below 0
        return value, tangents[0] * put_back("exp", program, *primals)
    return value, jax.jvp(_steep(name)[0], (u,), (tangents[0],))[1]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def put_in(name: str, small: float, program: Program, plain: Any, *leaves: Any) -> Any:
    """f(u) with the leaves of a program that makes u in pairs; plain, f(u) as it is, where |u f'/f| is small."""
    function, slope = _steep(name)
    high, low = program(leaves)
    near = function(high)
    steep = slope(high, near)
    found = two_words.corrected(near, (high, steep * low))
    usable = jnp.isfinite(found) & jnp.isfinite(plain) & (plain != 0)
    if small:
        usable &= jnp.abs(high * steep) > small
    return jnp.where(usable, found, plain).astype(plain.dtype)


@put_in.defjvp
def _put_in_slope(name: str, small: float, program: Program, primals: Any, tangents: Any) -> tuple[Any, Any]:
    return put_in(name, small, program, *primals), tangents[0]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def difference_put_back(first: Program, second: Program, x: Any, y: Any, d: Any, *leaves: Any) -> Any:
    """exp(x) - exp(y) from d = x - y, with the leaves of what makes x and y in pairs."""
    plain = exp_difference(x, y, d)
    (a, more_a), (b, more_b) = first(leaves), second(leaves)
    rest_x, rest_y = (a - x) + more_a, (b - y) + more_b
    more = jnp.where(short(x, y, d), plain * rest_y, jnp.exp(x) * rest_x - jnp.exp(y) * rest_y)
    usable = (jnp.maximum(jnp.abs(x), jnp.abs(y)) > SMALL) & jnp.isfinite(more)
    return jnp.where(usable, plain + more, plain).astype(x.dtype)


@difference_put_back.defjvp
def _difference_put_back_slope(first: Program, second: Program, primals: Any, tangents: Any) -> tuple[Any, Any]:
    value = difference_put_back(first, second, *primals)
    return value, jax.jvp(exp_difference, primals[:3], tangents[:3])[1]


def _operation(name: str) -> Operation:
    def evaluate(u: Any, *leaves: Any, program: Program) -> Any:
        return put_back(name, program, u, *leaves)

    return Operation(f"{name}_put_back", evaluate, whole=True)


EXP_PUT_BACK = _operation("exp")
DIFFERENCE_PUT_BACK = Operation(
    "exp_difference_put_back",
    lambda x, y, d, *leaves, first, second: difference_put_back(first, second, x, y, d, *leaves),
    whole=True,
)
PUT_IN = Operation(
    "put_in",
    lambda plain, *leaves, f, small, program: put_in(f, small, program, plain, *leaves),
    whole=True,
)
_PUT_BACK = {"exp": EXP_PUT_BACK} | {name: _operation(name) for name in ("expm1", "logistic", "bose", "erfc")}
_CALLS = {name: name for name in ("bose", "exp_difference", "softplus", "sigmoid_split", "log_share_split")}
_CALLS["sigmoid"] = "logistic"
_CALLS_OF_WIDE = {"logistic": "logistic"}
"""The slope of softplus, in float64."""
_OF_SUMS = {
    "sigmoid_split": ("logistic", (1.0, 1.0, -1.0, -1.0)),
    "log_share_split": ("log_sigmoid", (1.0, 1.0, -1.0, -1.0)),
    "softplus": ("softplus", (1.0,)),
    "sech2": ("sech2", (1.0,)),
}
"""Functions of linear combinations, which are put back in float64."""
_SUMS = ("exp_of_sum", "exp_beside")
"""Exponentials of linear combinations; in a derivative they are calls without their coefficients, and stay."""
_MILD = frozenset(["logistic", "erfc"])
"""What stays in the program as written unless all is rewritten: it is mild where most programs use it."""


class Exponents:
    """Puts back what exponents round off, on the nodes of one builder.

    Args:
        builder: where new nodes are made.
        only: which nodes may be rewritten; default all.
        alone: whether nothing else is rewritten: then exponents that are sums of products of different inputs stay.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import qed
        >>> f, x = lambda x: jnp.exp(-(x**2) / 2), jnp.float32(12.3)
        >>> true = math.exp(-float(x) ** 2 / 2)
        >>> abs(float(f(x)) / true - 1) > 1e-6, abs(float(jax.jit(qed.stabilize(f))(x)) / true - 1) < 1e-7
        (True, True)
    """

    name = NAME
    begins: Collection[str] = frozenset(["exp_difference", *_SUMS, *_PUT_BACK, *_OF_SUMS, *GHOSTED, "custom_vjp_call"])

    def __init__(self, builder: Builder, only: Only | None = None, alone: bool = False) -> None:
        self.builder = builder
        self.only = only
        self.alone = alone
        self.roundings, self.ranges = roundings(), ranges()
        self.changed: list[tuple[Node, Node]] = []

    def rule(self, node: Node) -> Node | None:
        """What takes the place of an exponential, or None."""
        name = _name(node)
        if name not in _PUT_BACK and name not in ("exp_difference", *_SUMS) and name not in _OF_SUMS:
            return None
        if str(node.dtype) not in _DTYPES or (self.only is not None and not self.only(node)):
            return None
        if name == "exp_difference":
            return self._difference(node)
        wide = str(node.dtype) == "float64"
        if name in _SUMS:
            terms = node.children[name == "exp_beside" :]
            return self._of_sum(node, "exp", terms, node.params["coefficients"]) if wide else None
        if name in _OF_SUMS:
            f, coefficients = _OF_SUMS[name]
            known = wide and node.settled and len(node.children) == len(coefficients)
            return self._of_sum(node, f, node.children, coefficients) if known else None
        if len(node.children) != 1:
            return None
        (u,) = node.children
        asked = self.only is not None or self.builder.everywhere
        if (node.settled and _settled(u)) or (
            name in _MILD and not node.settled and not asked and not (wide and node.equation is None)
        ):
            return None
        low, high = self.ranges(u)
        if (low >= -SMALL and high <= SMALL) or not math.prod(u.shape) or _below_a_maximum(u):
            return None
        read = _Read(self.roundings, u.dtype, products=not u.shape or asked or wide)
        if not read(u) or not read.rounds or not (read.bends or asked or node.settled or not self.alone):
            return None
        leaves, operation = read.leaves.values(), _PUT_BACK[name]
        new = self.builder.emit(operation, u, *leaves, shape=node.shape, dtype=node.dtype, program=read.program(u))
        return self._changed(node, new)

    def _of_sum(self, node: Node, f: str, terms: Sequence[Node], coefficients: tuple[float, ...]) -> Node | None:
        """A function of a linear combination of terms."""
        read = _Read(self.roundings, node.dtype, products=True)
        if not all(map(read, terms)) or not read.rounds:
            return None
        if f == "softplus":
            if self.ranges(node.children[0])[0] >= -SMALL:
                return None
        new = self.builder.emit(
            PUT_IN,
            node,
            *read.leaves.values(),
            shape=node.shape,
            dtype=node.dtype,
            f=f,
            small=SMALL if len(coefficients) == 1 and f != "exp" else 0.0,
            program=read.combination(terms, coefficients),
        )
        return self._changed(node, new)

    def _difference(self, node: Node) -> Node | None:
        x, y, _ = node.children
        read = _Read(self.roundings, node.dtype, products=not node.shape)
        if _settled(x) or _settled(y) or not read(x) or not read(y) or not read.rounds:
            return None
        new = self.builder.emit(
            DIFFERENCE_PUT_BACK,
            *node.children,
            *read.leaves.values(),
            shape=node.shape,
            dtype=node.dtype,
            first=read.program(x),
            second=read.program(y),
        )
        return self._changed(node, new)

    def _changed(self, node: Node, new: Node) -> Node:
        new.span, new.ghost = node.span, node
        self.changed.append((node, new))
        return new

    def changes(self, needed: set[int]) -> tuple[Change, ...]:
        """What was changed, for those new nodes that are needed."""
        formula = Formula({})
        return tuple(
            Change(
                old.span,
                formula(old),
                f"{formula(old)} of an exponent with twice the digits",
                "exp(u) = exp(h) (1 + l), u = h + l" if _name(old) == "exp" else "f(u) = f(h) + f'(h) l, u = h + l",
                "always",
                rewriting=self.name,
                old=old,
                new=new,
            )
            for old, new in self.changed
            if new.number in needed
        )


def _settled(u: Node) -> bool:
    """Whether an exponent is made by what a rewriting emitted, which may put back what it rounds off itself."""
    while u.operation == "neg" or (u.operation in _MOVED and len(u.children) == 1):
        u = u.children[0]
    return u.settled


def _name(node: Node) -> str:
    """The function that a node is; what a rewriting emitted is a call in a derivative."""
    call = node.equation.call if node.equation is not None and node.settled else None
    name = getattr(call, "name", "")
    if name in _CALLS_OF_WIDE and str(node.dtype) == "float64":
        return _CALLS_OF_WIDE[name]
    return _CALLS.get(name, node.operation)


def _below_a_maximum(u: Node) -> bool:
    """Whether a node is a difference to a largest or smallest number."""
    while u.operation in _MOVED and len(u.children) == 1:
        u = u.children[0]
    if u.operation != "sub":
        return False
    pending, seen = [u.children[1]], set[int]()
    while pending:
        node = pending.pop()
        if node.operation in _OF_MAXIMA:
            return True
        if node.number not in seen and (node.operation in _MOVED or node.operation == "select_n"):
            seen.add(node.number)
            pending += node.children
    return False


@dataclass(frozen=True)
class _Step:
    """One operation in pairs."""

    node: Node
    evaluate: Callable[..., Pair]


class _Read:
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
        if name in _MOVED:
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
            name = _CALLS.get(call, call) if node.settled or call == "logaddexp" else name
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
    if node.operation in _MOVED or node.operation in _EXACT or node.operation == "convert_element_type":
        return True
    if node.operation not in ("mul", "div"):
        return False
    factors = node.children if node.operation == "mul" else node.children[1:]
    return any(_is_power_of_two(constant_of(each)) for each in factors)


def _is_power_of_two(value: float | None) -> bool:
    return value is not None and value != 0 and bool(np.isfinite(value)) and abs(math.frexp(value)[0]) == 0.5


__all__ = ["NAME", "Exponents", "put_back"]
