"""Guards: overflow in the middle, and derivatives poisoned by what is not chosen.

::

    sqrt(x^2) = |x|                          sqrt(x^2 + y^2) = s sqrt((x/s)^2 + (y/s)^2), s = max(|x|, |y|)
    sqrt(sum x_i^2)                          the same where the plain sum overflows or vanishes; derivative x / |x|
    sqrt(sum x_i^2 + sum y_j^2)              |(|x|, |y|)|, the length of an array that is kept in pieces
    sqrt(x^2 w)                              |x| sqrt(w)
    max(x, 0)^p, 0 < p < 1                   the same, its derivative 0 where x <= 0
    g min(a, b/|x|)                          b g / max(|x|, b/a), its derivative without |x|^2 (`clips`)
    where(c, f(x), b)                        where(c, f(where(c, x, 1)), b): f has a derivative at 1
    a b / |x|^2                              (a / |x|) (b / |x|) (`length_ratios`)
    where(c, a, 0) b                         where(c, a b, 0), for b that may be infinite (`sinks`)
    u log v                                  0 where u = 0, unless v is kept from 0 there: u log(u + 1e-9)

The first four and the product are identities. A branch that is not chosen is evaluated at 1, so that its infinite
derivative is not multiplied by 0 (the "double where"). Two are *conventions*, named in every report: the derivative of
a norm at the origin is taken to be 0, one of its subgradients; and 0 log 0 is taken to be 0, the limit.

References: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 27.8 (norms).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import jax.numpy as jnp

from qed.graph.build import Builder, Node, Operation
from qed.numerics.longer.candidates import roundings
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.algorithms import CENTRED_AT
from qed.numerics.rewriting.change import Only
from qed.numerics.rewriting.clips import clipped, clipped_by, over_clipped
from qed.numerics.rewriting.difference_laws import NORM_AT_ZERO
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.length_ratios import over_lengths, reduced
from qed.numerics.rewriting.lengths import NORM_OF, absolute, angle, beside_root, hypot, slope_angle
from qed.numerics.rewriting.lengths_of_order import root_of_powers
from qed.numerics.rewriting.pairwise import sum_of_squares
from qed.numerics.rewriting.rectified import AT_THE_CUT, RECTIFIED
from qed.numerics.rewriting.scales import constant_of, decided, source_of
from qed.numerics.rewriting.scales import summed as summed_of
from qed.numerics.rewriting.signs import MOVES, Sign, floating
from qed.numerics.rewriting.sinks import one_truth_value, sunk
from qed.numerics.rewriting.table import Replacement, Table
from qed.numerics.rewriting.zero_logarithms import of_logarithm

ABS = Law("sqrt(a**2) = |a|", "always")
NORM = Law("sqrt(sum(a**2)) = s sqrt(sum((a/s)**2))", "s > 0")
HYPOT = Law("sqrt(a**2 + b) = s sqrt((a/s)**2 + b/s**2)", "s > 0")
BESIDE = Law("sqrt(a**2 b) = |a| sqrt(b)", "a != 0; 0 where a is")
WHERE = Law("where(c, f(a), b) = where(c, f(where(c, a, 1)), b)", "always")
SQUARE = Law("sqrt(a)**2 = a", "a >= 0")
CUT = Law("max(a, 0)**p = where(a > 0, a**p, 0)", "0 < p < 1")
ANGLE = Law("atan2(a, b), its derivative without a**2 + b**2", "always")


ABS_OF = Operation("abs", absolute, whole=True)
ROOT_OF = Operation("root_of_squares", hypot, whole=True)
BESIDE_ROOT = Operation("beside_root", beside_root, whole=True)
ATAN2 = Operation("atan2", angle, whole=True)
ATAN_RATIO = Operation("atan_of_quotient", slope_angle, whole=True)
CHOSEN = Operation("where_chosen", lambda p, x, case, other=1.0: jnp.where(p == case, x, other).astype(x.dtype))

UNSAFE = {"log": 0, "sqrt": 0, "rsqrt": 0, "acos": 0, "asin": 0, "log1p": 0, "atanh": 0, "acosh": 0, "exp": 0, "pow": 0,
          "div": 1, "cbrt": 0, "expm1": 0, "exp2": 0, "sinh": 0, "cosh": 0, "atan2": 0}  # fmt: skip
"""Operations whose value or derivative may be infinite, and the operand that decides it."""

EMITTED = {"log1mexp": -1.0} | dict.fromkeys(
    "log_ratio sqrt_difference sqrt_minus log_difference log1p_difference reciprocal_difference power_difference "
    "power_minus_one atan_of_quotient xlogy log_ratio_times relative_entropy over_length unit_vector".split(), 1.0
)  # fmt: skip
"""The same of what the rewritings emit, and the number at which all their operands are safe."""

_ELEMENTWISE = frozenset(
    "add sub mul div neg exp log sqrt rsqrt pow integer_pow square acos asin atan tan sin cos log1p expm1 "
    "tanh atanh acosh cbrt exp2 sinh cosh asinh logistic abs max min erf erfc atan2 sign softplus".split()
) | frozenset(EMITTED)
_GATHERED = frozenset("reduce_sum reduce_max reduce_min reduce_prod dot_general".split()) | MOVES
"""What a choice for whole arrays may be pushed through."""
LARGEST_CONE = 64


class Guards(Table):
    """The guards on the nodes of a builder.

    Args:
        builder: where new nodes are made.
        only: which nodes may be rewritten; default all.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> from qed.numerics.rewriting.session import rewrite
        >>> f = lambda x: jnp.sqrt(jnp.sum(x * x))
        >>> guarded = rewrite(trace(f, jnp.zeros(2)).graph, rewritings=(Guards,)).function
        >>> print(jax.grad(f)(jnp.zeros(2)), jax.grad(lambda x: guarded(x)[0])(jnp.zeros(2)))
        [nan nan] [0. 0.]
    """

    name = "guards"

    def __init__(self, builder: Builder, only: Only | None = None) -> None:
        super().__init__(builder, only)
        self.rounded = roundings()

    def rules(self) -> Mapping[str, Callable[[Node], Replacement | None]]:
        """The table."""
        return {
            "sqrt": self._sqrt,
            "pow": lambda node: self._order(node) or (self._sqrt if self._is_root(node) else self._cut)(node),
            "cbrt": self._order,
            "integer_pow": self._square,
            "square": self._square,
            "select_n": self._where,
            "mul": lambda node: (
                sunk(self.difference, self._unsafe, node)
                or self._over_lengths(node)
                or self._reduced(node)
                or of_logarithm(self.difference, self.rounded, node)
                or clipped_by(self.difference, node)
            ),
            "min": lambda node: clipped(self.difference, node),
            "div": lambda node: (
                over_clipped(self.difference, node)
                or sunk(self.difference, self._unsafe, node)
                or self._over_lengths(node)
            ),
            "atan2": self._angle,
            "atan": self._slope,
        }

    # --- roots of squares ---

    def _sqrt(self, node: Node) -> Replacement | None:
        child = self._unclipped(node.children[0])
        polynomial = self._read(child)
        squares: Polynomial = {m: c for m, c in polynomial.items() if c > 0 and _is_square(m)}
        if len(polynomial) == 1:
            if squares:
                return self._absolute(squares, node)
            return self._norm(polynomial, node) or self._beside(polynomial, node) or self._cut(node)
        others: Polynomial = {m: c for m, c in polynomial.items() if m not in squares}
        if any(not self._plain(m) for m in polynomial):
            return None
        pieces = self._pieces(others, node)
        if pieces:
            others = {}
        if not squares and not pieces:
            return None
        parts = [self._root(m, c, node) for m, c in squares.items()] + pieces
        convention = None if others else NORM_AT_ZERO
        rest = self.difference.plain(others, node) if others else self.difference.algebra.number(0.0, node)
        return self.difference.emit(ROOT_OF, child, rest, *parts), (HYPOT,), convention

    def _beside(self, polynomial: Polynomial, node: Node) -> Replacement | None:
        """c x^2 w, a square among other factors, as the second moment is of which Adam takes the root."""
        ((monomial, coefficient),) = polynomial.items()
        square = tuple((number, power) for number, power in monomial if power > 0 and power % 2 == 0)
        rest = tuple((number, power) for number, power in monomial if (number, power) not in square)
        if not square or not rest or coefficient <= 0:
            return None
        x = self._root(square, coefficient, node)
        return self.difference.emit(BESIDE_ROOT, x, self.difference.monomial(rest, node)), (BESIDE,), NORM_AT_ZERO

    def _pieces(self, others: Polynomial, node: Node) -> list[Node]:
        """The lengths of which a root has the squares, if they are all it is taken of: |(x, y)| of two arrays."""
        found = [self._norm({m: c}, node) for m, c in others.items()]
        lengths = [each[0] for each in found if each is not None]
        return lengths if len(lengths) == len(others) else []

    def _is_root(self, node: Node) -> bool:
        """Whether a power is a square root."""
        return constant_of(node.children[1]) == 0.5 and node.children[0].shape == node.shape

    def _cut(self, node: Node) -> Replacement | None:
        """A root of max(x, 0), or a power below 1."""
        base, p = node.children[0], 0.5 if node.operation == "sqrt" else constant_of(node.children[1])
        if base.operation != "max" or base.equation is None or p is None or not 0 < p < 1:
            return None
        for x, bound in (base.children, base.children[::-1]):
            if x.shape == node.shape and constant_of(bound) == 0 and self.difference.sign.varies(x):
                return self.difference.emit(RECTIFIED, x, p=p), (CUT,), AT_THE_CUT
        return None

    def _square(self, node: Node) -> Replacement | None:
        """The square of a root."""
        root = node.children[0]
        if root.operation == "rectified_power" and root.params["p"] == 0.5 and node.params.get("y", 2) == 2:
            return (
                self.difference.emit(stable.MAX, root.children[0], self.difference.algebra.number(0.0, node)),
                (SQUARE,),
                None,
            )
        if root.operation != "sqrt" or node.params.get("y", 2) != 2 or root.children[0].shape != node.shape:
            return None
        v = root.children[0]
        return (v, (SQUARE,), None) if self.difference.sign(v) >= Sign.NONNEGATIVE else None

    def _read(self, child: Node) -> Polynomial:
        """What a root is taken of: sums of centred squares as they are, all else as it was written."""
        emitted = self.difference.terms(child)
        centred = any(self._is_centred(self.difference.node(number)) for monomial in emitted for number, _ in monomial)
        return emitted if centred and len(emitted) == 1 else self.difference.deeper(child)

    def _unclipped(self, node: Node) -> Node:
        """v, where a node is max(v, 0) of a v that is never negative."""
        if node.operation != "max" or node.equation is None:
            return node
        for v, bound in (node.children, node.children[::-1]):
            if v.shape == node.shape and constant_of(bound) == 0 and self._never_negative(v):
                return v
        return node

    def _never_negative(self, v: Node) -> bool:
        """Whether the graph shows that v is nonnegative: as it was written, or as a variance that was put there."""
        read = self.difference.terms(v)
        centred = [self._is_centred(self.difference.node(number)) for monomial in read for number, _ in monomial]
        variance = len(read) == 1 and centred == [True] and min(read.values()) > 0
        return variance or self.difference.sign(v) >= Sign.NONNEGATIVE

    def _is_centred(self, g: Node) -> bool:
        return source_of(g).operation == "sum_of_centred_squares"

    def _plain(self, monomial: Monomial) -> bool:
        return all(power > 0 for _, power in monomial)

    def _root(self, monomial: Monomial, coefficient: Fraction, like: Node) -> Node:
        half = tuple((number, power // 2) for number, power in monomial)
        return self.difference.algebra.times(math.sqrt(coefficient), self.difference.monomial(half, like))

    def _absolute(self, squares: Polynomial, node: Node) -> Replacement:
        ((monomial, coefficient),) = squares.items()
        return self.difference.emit(ABS_OF, self._root(monomial, coefficient, node)), (ABS,), NORM_AT_ZERO

    def _norm(self, polynomial: Polynomial, node: Node) -> Replacement | None:
        ((monomial, coefficient),) = polynomial.items()
        if not monomial or any(power != 1 for _, power in monomial) or coefficient <= 0:
            return None
        value: Node | None = None
        for number, _ in monomial:
            moved: list[Node] = []
            summed = self.difference.node(number)
            while summed.operation in MOVES and summed.equation is not None and len(summed.children) == 1:
                moved.append(summed)
                summed = summed.children[0]
            found = self._summands(summed)
            if found is None:
                return None
            factor = self.difference.emit(NORM_OF, found[0], axes=found[1], shape=summed.shape)
            for each in reversed(moved):
                factor = self.builder.over(each, (factor,))
            value = factor if value is None else self.difference.emit(stable.MUL, value, factor)
        assert value is not None
        return self.difference.algebra.times(math.sqrt(coefficient), value), (NORM,), NORM_AT_ZERO

    def _summands(self, summed: Node) -> tuple[Node, tuple[int, ...]] | None:
        """x and the axes, where a node is the sum of x^2 along axes."""
        if summed.operation in ("dot_general", "gather"):
            return self._squared(summed)
        if summed.operation == "sum_of_centred_squares":
            x, axes = summed.children[0], tuple(summed.params["axes"])
            return self.difference.emit(CENTRED_AT, x, axes=axes), axes
        found = summed_of(summed) if summed.equation is not None else None
        if found is None:
            return None
        inner = self.difference.terms(found[0])
        if len(inner) != 1:
            return None
        ((monomial, coefficient),) = inner.items()
        if not _is_square(monomial) or coefficient <= 0:
            return None
        x = self.difference.algebra.filled(self._root(monomial, coefficient, summed), found[0].shape)
        return x, found[1]

    def _squared(self, summed: Node) -> tuple[Node, tuple[int, ...]] | None:
        """The same of a product of matrices, or of its diagonal."""
        x = summed.children[0]
        if summed.operation == "dot_general" and x is summed.children[1] and len(x.shape) == 1:
            return x, (0,)
        return sum_of_squares(self.difference, summed)

    def _over_lengths(self, node: Node) -> Replacement | None:
        found = over_lengths(self.difference, node)
        return None if found is None else (*found, None)

    def _reduced(self, node: Node) -> Replacement | None:
        found = reduced(self.difference, node)
        return None if found is None else (*found, None)

    def _order(self, node: Node) -> Replacement | None:
        found = root_of_powers(self.difference, node)
        return None if found is None else (*found, NORM_AT_ZERO)

    # --- branches ---

    def _where(self, node: Node) -> Replacement | None:
        predicate, *cases = node.children
        predicate = one_truth_value(predicate)
        alone = predicate.shape == ()
        if node.equation is None or not (alone or predicate.shape == node.shape) or constant_of(predicate) is not None:
            return None
        if decided(node, self.difference.sign):
            return None
        common = frozenset[int].intersection(*map(_needed, cases))
        new = [self._guarded(case, predicate, index, common) for index, case in enumerate(cases)]
        if all(one is other for one, other in zip(new, cases, strict=True)):
            return None
        return self.builder.apply(node.equation, [node.children[0], *new])[0], (WHERE,), None

    def _guarded(self, case: Node, predicate: Node, index: int, common: frozenset[int]) -> Node:
        """A branch, evaluated at 1 where it is not chosen; what all branches need is evaluated in any case."""
        cone = [node for node in self._cone(case, predicate) if node.number not in common]
        if not any(self._unsafe(node) for node in cone):
            return case
        new: dict[int, Node] = {}
        for node in cone:
            children = [new.get(child.number, child) for child in node.children]
            for at in self._operands(node) if self._unsafe(node) else ():
                other: dict[str, Any] = {"other": EMITTED[node.operation]} if node.operation in EMITTED else {}
                children[at] = self.difference.emit(CHOSEN, predicate, children[at], case=index, **other)
                children[at] = self._typed(children[at], node.children[at])
            same = all(one is other for one, other in zip(children, node.children, strict=True))
            new[node.number] = node if same else self.builder.over(node, tuple(children))
        return new[case.number]

    def _operands(self, node: Node) -> Sequence[int]:
        """The operands that are taken from the branch that is chosen."""
        if node.operation in EMITTED:
            return [i for i, child in enumerate(node.children) if constant_of(child) is None]
        return [UNSAFE[node.operation]]

    def _typed(self, made: Node, like: Node) -> Node:
        made.dtype = like.dtype
        return made

    def _cone(self, case: Node, predicate: Node) -> list[Node]:
        """The elementwise operations of the shape of the choice that a branch ends in, in order of evaluation.

        Where one truth value chooses, also sums and products of arrays, and what is summed: it chooses for all of them.
        A direction belongs to them where all its elements are chosen together.
        """
        shape = predicate.shape
        found: dict[int, Node] = {}
        stack = [case]
        while stack:
            node = stack.pop()
            if (
                node.number in found
                or node.operation not in (_ELEMENTWISE if shape else _ELEMENTWISE | _GATHERED)
                or not floating(node.dtype)
                or (shape and self._of_other_shape(node, shape))
                or (node.operation == "unit_vector" and not _same_along(predicate, node.params["axes"]))
            ):
                continue
            found[node.number] = node
            if len(found) > LARGEST_CONE:
                return []
            stack.extend(node.children)
        return [found[number] for number in sorted(found)]

    def _of_other_shape(self, node: Node, shape: tuple[int, ...]) -> bool:
        moving = [child for child in node.children if constant_of(child) is None]
        return node.shape != shape or any(child.shape != shape for child in moving)

    def _unsafe(self, node: Node) -> bool:
        at = 0 if node.operation in EMITTED else UNSAFE.get(node.operation)
        if at is None or not self.difference.sign.varies(node):
            return False
        if node.operation in EMITTED:
            return all(child.operation != "where_chosen" for child in node.children)
        operand = node.children[at]
        if operand.shape not in (node.shape, ()) or operand.operation in ("select_n", "where_chosen", "max", "clamp"):
            return False
        if constant_of(operand) is not None:
            return False
        sign = self.difference.sign(operand)
        return (
            node.operation in ("exp", "expm1", "exp2", "sinh", "cosh", "acos", "asin", "atanh") or sign < Sign.BOUNDED
        )

    # --- angles ---

    def _slope(self, node: Node) -> Replacement | None:
        """atan(y / x)."""
        ratio = node.children[0]
        if ratio.operation != "div" or any(child.shape != node.shape for child in ratio.children):
            return None
        return self.difference.emit(ATAN_RATIO, *ratio.children), (ANGLE,), None

    def _angle(self, node: Node) -> Replacement | None:
        if any(child.shape != node.shape for child in node.children):
            return None
        return self.difference.emit(ATAN2, *node.children), (ANGLE,), None


class Sinks(Guards):
    """Zeros of a choice that came through other factors, before anything else is done to these (`sinks`).

    Args:
        builder: where new nodes are made.
        only: which nodes may be rewritten; default all.
    """

    def rules(self) -> Mapping[str, Callable[[Node], Replacement | None]]:
        """The table."""
        return dict.fromkeys(("mul", "div"), lambda node: sunk(self.difference, self._unsafe, node, carried=True))


def _same_along(predicate: Node, axes: Sequence[int]) -> bool:
    """Whether a choice is the same for all elements along some axes."""
    if predicate.shape == ():
        return True
    if predicate.operation != "broadcast_in_dim":
        return all(predicate.shape[axis] == 1 for axis in axes)
    before = dict(zip(predicate.params["broadcast_dimensions"], predicate.children[0].shape, strict=True))
    return all(before.get(axis, 1) == 1 for axis in axes)


def _needed(node: Node) -> frozenset[int]:
    """What a branch is computed from, as far as a cone reaches."""
    found, stack = {node.number}, [node]
    while stack and len(found) <= LARGEST_CONE:
        for child in stack.pop().children:
            if child.number not in found:
                found.add(child.number)
                stack.append(child)
    return frozenset(found)


def _is_square(monomial: Monomial) -> bool:
    return monomial != ONE and all(power % 2 == 0 and power > 0 for _, power in monomial)
