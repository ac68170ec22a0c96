"""Arithmetic of power series, coefficient by coefficient, as far as it is asked for.

Normalised coefficients u_k = u^(k)(0) / k! of the composition with t -> u(t) follow from those of its parts::

    (u + v)_k = u_k + v_k
    (u v)_k   = sum_{j=0..k} u_j v_{k-j}
    (u / v)_k = (u_k - sum_{j=1..k} v_j (u / v)_{k-j}) / v_0
    (f(u))_k  = 1/k sum_{j=1..k} j u_j (f'(u))_{k-j}

(Griewank and Walther, *Evaluating Derivatives*, 2008, section 13.2.) The last line is all that is needed for an
elementwise function: f' stands on its fact card as a formula in x and y = f(x), and the coefficients of f'(u) up to
k - 1 need those of y up to k - 1 only. So a series here is *lazy* (van der Hoeven, "Relax, but don't be too lazy",
2002): a node computes its k-th coefficient when asked, from lower ones of its neighbours, and keeps it. sin and cos,
each the other's derivative, are two nodes that ask each other.

A zero coefficient is None. A product of a node with itself, and of two nodes a + w and b - w with constants a and b
(the derivatives of tanh and logistic), is one square w^2, whose sum is symmetric: half the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, final

from qed.domains.coefficients import Coefficients, Lost
from qed.facts.expression import Expression
from qed.facts.table import ARITHMETIC, card


class Node:
    """A series whose k-th coefficient is computed when it is asked for; None is zero."""

    def __init__(self, arithmetic: SeriesArithmetic) -> None:
        self.arithmetic = arithmetic
        self.numbers: Coefficients = arithmetic.numbers
        self._terms: list[Any] = []

    def __getitem__(self, k: int) -> Any:
        while len(self._terms) <= k:
            self._terms.append(self.term(len(self._terms)))
        return self._terms[k]

    def term(self, k: int) -> Any:
        """The k-th coefficient, from lower ones of this node and those of others."""
        raise NotImplementedError

    @property
    def affine(self) -> tuple[Node, Fraction, int]:
        """(w, a, s) with this series = a + s w, s = 1 or -1."""
        return self, Fraction(0), 1

    def __add__(self, other: Node) -> Node:
        return self.arithmetic.sum(self, other, 1)

    def __sub__(self, other: Node) -> Node:
        return self.arithmetic.sum(self, other, -1)

    def __mul__(self, other: Node) -> Node:
        return self.arithmetic.product(self, other)

    def __truediv__(self, other: Node) -> Node:
        return self.arithmetic.quotient(self, other)

    def __neg__(self) -> Node:
        return self.arithmetic.sum(self.arithmetic.exact(Fraction(0)), self, -1)


@final
class Given(Node):
    """Coefficients that are known; those beyond are zero."""

    def __init__(self, arithmetic: SeriesArithmetic, terms: Sequence[Any]) -> None:
        super().__init__(arithmetic)
        self._terms = list(terms)

    def term(self, k: int) -> Any:
        """Zero."""
        return None


@final
class Exact(Node):
    """A rational constant."""

    def __init__(self, arithmetic: SeriesArithmetic, value: Fraction) -> None:
        super().__init__(arithmetic)
        self.value = value

    def term(self, k: int) -> Any:
        """The number, then zeros."""
        return self.numbers.rational(self.value) if k == 0 else None


@final
class Sum(Node):
    """left + sign right."""

    def __init__(self, left: Node, right: Node, sign: int) -> None:
        super().__init__(left.arithmetic)
        self.left, self.right, self.sign = left, right, sign

    def term(self, k: int) -> Any:
        """The sum or difference of the coefficients."""
        left, right = self.left[k], self.right[k]
        if right is None:
            return left
        if left is None or (isinstance(self.left, Exact) and self.left.value == 0):
            return right if self.sign > 0 else self.numbers.neg(right)
        return self.numbers.add(left, right) if self.sign > 0 else self.numbers.sub(left, right)

    @property
    def affine(self) -> tuple[Node, Fraction, int]:
        """With a rational constant on one side, the other side shifted."""
        if isinstance(self.right, Exact):
            w, a, s = self.left.affine
            return w, a + self.sign * self.right.value, s
        if isinstance(self.left, Exact):
            w, a, s = self.right.affine
            return w, self.left.value + self.sign * a, self.sign * s
        return self, Fraction(0), 1


@final
class Product(Node):
    """left right."""

    def __init__(self, left: Node, right: Node) -> None:
        super().__init__(left.arithmetic)
        self.left, self.right = left, right

    def term(self, k: int) -> Any:
        """The convolution."""
        return convolve(self.numbers, lambda j: (self.left[j], self.right[k - j]), range(k + 1))


@final
class Square(Node):
    """w^2: a symmetric convolution, half of whose products are the other half."""

    def __init__(self, of: Node) -> None:
        super().__init__(of.arithmetic)
        self.of = of

    def term(self, k: int) -> Any:
        """Twice the lower half, and the middle."""
        w, numbers = self.of, self.numbers
        twice = convolve(numbers, lambda j: (w[j], w[k - j]), range((k + 1) // 2))
        twice = None if twice is None else numbers.times(twice, 2)
        middle = w[k // 2] if k % 2 == 0 else None
        if middle is None:
            return twice
        middle = numbers.square(middle)
        return middle if twice is None else numbers.add(twice, middle)


@final
class Factored(Node):
    """(a + s w)(b + r w) = a b + (a r + b s) w + s r w^2, the first coefficient as the product that it is."""

    def __init__(self, left: Node, right: Node) -> None:
        super().__init__(left.arithmetic)
        self.left, self.right = left, right
        self.w, a, s = left.affine
        _, b, r = right.affine
        self.slope, self.sign = a * r + b * s, s * r
        self.square = left.arithmetic.square(self.w)

    def term(self, k: int) -> Any:
        """slope w_k + sign (w^2)_k."""
        numbers = self.numbers
        if k == 0:
            return numbers.mul(self.left[0], self.right[0])
        square, w = self.square[k], self.w[k]
        if self.slope == 0 or w is None:
            return square if square is None or self.sign > 0 else numbers.neg(square)
        linear = w if self.slope == 1 else numbers.mul(numbers.rational(self.slope), w)
        if square is None:
            return linear
        return numbers.add(linear, square) if self.sign > 0 else numbers.sub(linear, square)


@final
class Quotient(Node):
    """left / right."""

    def __init__(self, left: Node, right: Node) -> None:
        super().__init__(left.arithmetic)
        self.left, self.right = left, right

    def term(self, k: int) -> Any:
        """What is left of the k-th coefficient, divided by the leading one of the divisor."""
        numbers, left = self.numbers, self.left[k]
        known = convolve(numbers, lambda j: (self.right[j], self[k - j]), range(1, k + 1))
        if known is not None:
            left = numbers.neg(known) if left is None else numbers.sub(left, known)
        return None if left is None else numbers.div(left, self.right[0])


@final
class Composite(Node):
    """f(u, v, ...) by its partial derivatives; None where a partial derivative has no formula."""

    def __init__(
        self,
        arithmetic: SeriesArithmetic,
        first: Callable[[], Any],
        operands: Sequence[Node],
        partials: Callable[[Composite], Sequence[Callable[[], Node]]],
    ) -> None:
        super().__init__(arithmetic)
        self.first = first
        self.operands = tuple(operands)
        self.slopes = tuple(partials(self))
        self._slopes: dict[int, Node] = {}

    def term(self, k: int) -> Any:
        """1/k times the sum of j u_j (df/du)_{k-j} over all operands u."""
        if k == 0:
            return self.first()
        numbers, total = self.numbers, None
        for i, u in enumerate(self.operands):
            moving = [j for j in range(1, k + 1) if u[j] is not None]
            if not moving:
                continue
            if i not in self._slopes:
                self._slopes[i] = self.slopes[i]()
            slope = self._slopes[i]
            part = convolve(numbers, lambda j, u=u, slope=slope: (self._multiple(u, j), slope[k - j]), moving)
            total = part if total is None else total if part is None else numbers.add(total, part)
        return None if total is None else numbers.over(total, k)

    def _multiple(self, u: Node, j: int) -> Any:
        return self.arithmetic.multiple(u, j)


@final
class Selected(Node):
    """One of two series, elementwise, by a choice that was made on the leading coefficients."""

    def __init__(self, mask: Any, then: Node, otherwise: Node) -> None:
        super().__init__(then.arithmetic)
        self.mask, self.then, self.otherwise = mask, then, otherwise

    def term(self, k: int) -> Any:
        """The chosen coefficient."""
        return self.numbers.choose(self.mask, self.then[k], self.otherwise[k])


def convolve(numbers: Coefficients, pair: Callable[[int], tuple[Any, Any]], indices: Any) -> Any:
    """The sum of products of pairs, those with a zero left out; None if nothing is left."""
    pairs = [(left, right) for left, right in map(pair, indices) if left is not None and right is not None]
    return numbers.dot(pairs) if pairs else None


@final
class SeriesArithmetic:
    """Series over some numbers as an arithmetic in which the formulas of the fact cards can be evaluated.

    Example: exp(sin t) at t = 0 is 1 + t + t^2/2 - t^4/8 - ...

        >>> import jax.numpy as jnp
        >>> from qed.domains.coefficients import Arrays
        >>> series = SeriesArithmetic(Arrays())
        >>> t = series.given([jnp.asarray(0.0), jnp.asarray(1.0)])
        >>> y = series.call("exp", series.call("sin", t))
        >>> [0.0 if y[k] is None else round(float(y[k]), 4) for k in range(5)]
        [1.0, 1.0, 0.5, 0.0, -0.125]
    """

    def __init__(self, numbers: Coefficients) -> None:
        self.numbers = numbers
        self._memo: dict[Any, Node] = {}
        self._multiples: dict[tuple[int, int], Any] = {}
        self._kept: list[Node] = []

    def given(self, terms: Sequence[Any]) -> Node:
        """A series of known coefficients."""
        return self._keep(Given(self, terms))

    def exact(self, value: Fraction) -> Node:
        """A rational constant."""
        return self._once(("exact", value), lambda: Exact(self, value))

    def constant(self, value: float) -> Node:
        """A constant, exact as it stands."""
        return self.exact(Fraction(value))

    def sum(self, left: Node, right: Node, sign: int) -> Node:
        """left + sign right."""
        if isinstance(left, Exact) and isinstance(right, Exact):
            return self.exact(left.value + sign * right.value)
        return self._once(("sum", id(left), id(right), sign), lambda: Sum(left, right, sign))

    def product(self, left: Node, right: Node) -> Node:
        """Left times right."""
        if isinstance(left, Exact) and isinstance(right, Exact):
            return self.exact(left.value * right.value)
        if left is right:
            return self.square(left)
        same = left.affine[0] is right.affine[0]
        return self._once(("product", id(left), id(right)), lambda: (Factored if same else Product)(left, right))

    def square(self, of: Node) -> Node:
        """The square of a series."""
        return self._once(("square", id(of)), lambda: Square(of))

    def quotient(self, left: Node, right: Node) -> Node:
        """Left over right."""
        if isinstance(left, Exact) and isinstance(right, Exact) and right.value:
            return self.exact(left.value / right.value)
        return self._once(("quotient", id(left), id(right)), lambda: Quotient(left, right))

    def multiple(self, node: Node, j: int) -> Any:
        """j times the j-th coefficient, computed once."""
        key = (id(node), j)
        if key not in self._multiples:
            self._multiples[key] = self.numbers.times(node[j], j)
        return self._multiples[key]

    def call(self, name: str, *operands: Node, **parameters: Any) -> Node:
        """A function of the tables."""
        if name == "pi":
            return self._once(("pi",), lambda: self.given([self.numbers.call("pi")]))
        key = (name, tuple(sorted(parameters.items())), *map(id, operands))
        return self._once(key, lambda: self._called(name, operands, parameters))

    def _called(self, name: str, operands: Sequence[Node], parameters: dict[str, Any]) -> Node:
        if name == "integer_pow" and parameters["y"] >= 0:
            return self.power(operands[0], int(parameters["y"]))
        return self.composite(name, operands, parameters)

    def composite(
        self, name: str, operands: Sequence[Node], parameters: dict[str, Any], first: Callable[[], Any] | None = None
    ) -> Node:
        """A function of the tables by its derivative; `first` is the leading coefficient where it is known already."""
        numbers = self.numbers

        def leading() -> Any:
            return numbers.call(name, *(u[0] for u in operands), **parameters)

        found = card(name, **parameters) if name not in ARITHMETIC else None
        names = ("x",) if name not in ARITHMETIC else ARITHMETIC[name].arguments
        formulas = ARITHMETIC[name].partials if found is None else (found.derivative,)

        def partials(node: Composite) -> list[Callable[[], Node]]:
            symbols = {**dict(zip(names, operands, strict=True)), "z" if found is None else "y": node}
            return [lambda f=f: self._slope(name, operands, parameters, f, symbols) for f in formulas]

        return Composite(self, first or leading, operands, partials)

    def _slope(
        self,
        name: str,
        operands: Sequence[Node],
        parameters: dict[str, Any],
        formula: Expression | None,
        symbols: dict[str, Node],
    ) -> Node:
        if formula is None:
            raise Lost(why="no formula for a derivative of")
        self.numbers.smooth(name, [u[0] for u in operands], parameters)
        return formula.evaluate(arithmetic=self, **symbols)

    def power(self, base: Node, exponent: int) -> Node:
        """A power with a natural exponent, by squaring; nothing is divided, so a base of zero is no exception."""
        if exponent == 0:
            return self.exact(Fraction(1))
        if exponent % 2:
            return base if exponent == 1 else self.product(self.power(base, exponent - 1), base)
        return self.square(self.power(base, exponent // 2))

    def select(self, comparison: str, left: Node, right: Node, then: Node, otherwise: Node) -> Node:
        """A choice, made on the leading coefficients."""
        mask = self.numbers.decide(comparison, left[0], right[0])
        if isinstance(mask, bool):
            return then if mask else otherwise
        return self._keep(Selected(mask, then, otherwise))

    def _once(self, key: Any, make: Callable[[], Node]) -> Node:
        if key not in self._memo:
            self._memo[key] = self._keep(make())
        return self._memo[key]

    def _keep(self, node: Node) -> Node:
        self._kept.append(node)  # keys are ids, which stay valid while the nodes live
        return node
