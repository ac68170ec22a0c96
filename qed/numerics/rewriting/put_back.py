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

import math
from collections.abc import Collection, Sequence

from qed.graph.build import GHOSTED, Builder, Node
from qed.numerics.longer.candidates import ranges, roundings
from qed.numerics.rewriting.change import Change, Only
from qed.numerics.rewriting.exponents_corrected import (
    DIFFERENCE_PUT_BACK,
    EXP_PUT_BACK,
    PUT_IN,
    SMALL,
    operation_of,
)
from qed.numerics.rewriting.exponents_in_pairs import CALLS, DTYPES, MOVED, Read
from qed.numerics.rewriting.render import Formula

NAME = "exponents"

_OF_MAXIMA = frozenset(["reduce_max", "reduce_min", "max", "min", "shift", "cummax", "cummin", "argmax", "sort"])
_PUT_BACK = {"exp": EXP_PUT_BACK} | {name: operation_of(name) for name in ("expm1", "logistic", "bose", "erfc")}
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
        if str(node.dtype) not in DTYPES or (self.only is not None and not self.only(node)):
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
        read = Read(self.roundings, u.dtype, products=not u.shape or asked or wide)
        if not read(u) or not read.rounds or not (read.bends or asked or node.settled or not self.alone):
            return None
        leaves, operation = read.leaves.values(), _PUT_BACK[name]
        new = self.builder.emit(operation, u, *leaves, shape=node.shape, dtype=node.dtype, program=read.program(u))
        return self._changed(node, new)

    def _of_sum(self, node: Node, f: str, terms: Sequence[Node], coefficients: tuple[float, ...]) -> Node | None:
        """A function of a linear combination of terms."""
        read = Read(self.roundings, node.dtype, products=True)
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
        read = Read(self.roundings, node.dtype, products=not node.shape)
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
    while u.operation == "neg" or (u.operation in MOVED and len(u.children) == 1):
        u = u.children[0]
    return u.settled


def _name(node: Node) -> str:
    """The function that a node is; what a rewriting emitted is a call in a derivative."""
    call = node.equation.call if node.equation is not None and node.settled else None
    name = getattr(call, "name", "")
    if name in _CALLS_OF_WIDE and str(node.dtype) == "float64":
        return _CALLS_OF_WIDE[name]
    return CALLS.get(name, node.operation)


def _below_a_maximum(u: Node) -> bool:
    """Whether a node is a difference to a largest or smallest number."""
    while u.operation in MOVED and len(u.children) == 1:
        u = u.children[0]
    if u.operation != "sub":
        return False
    pending, seen = [u.children[1]], set[int]()
    while pending:
        node = pending.pop()
        if node.operation in _OF_MAXIMA:
            return True
        if node.number not in seen and (node.operation in MOVED or node.operation == "select_n"):
            seen.add(node.number)
            pending += node.children
    return False


__all__ = ["NAME", "Exponents"]
