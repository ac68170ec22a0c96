"""The domain of increments: enclosures of g(x) and of g(x + 1) - g(x) for all x >= K at once.

A sum over whole numbers converges or not by the ratio of its terms. With D g(x) = g(x + 1) - g(x),

    D(a + b) = D a + D b,       D(a b) = a D b + b D a + D a D b,       D log y = log(1 + D y / y),
    D exp y = exp y (exp D y - 1),       D log Gamma(y) = log y  where  D y = 1,

so that D u <= -d < 0 from K on gives sum_{k >= K} exp u(k) <= exp u(K) / (1 - exp(-d)), and D u >= 0 an infinite sum.
Ends of intervals may be infinite. Reference: Graham, Knuth and Patashnik, *Concrete Mathematics*, 1994, section 2.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from qed.domains.forward import Forward
from qed.domains.known import Known
from qed.domains.one_number import SAME
from qed.domains.precision import flint, precision
from qed.domains.tail_forms import NoOrder, Truth, branch, exact_on_numbers, holds
from qed.domains.value import Value
from qed.graph.dtypes import is_real
from qed.graph.graph import Atom, Equation
from qed.graph.walk import Context


@dataclass(frozen=True)
class Between:
    """All real numbers from `lower` to `upper`, balls or infinities; of a ball the outer end counts."""

    lower: Any
    upper: Any

    def __add__(self, other: Between) -> Between:
        return Between((self.lower + other.lower).lower(), (self.upper + other.upper).upper())

    def __neg__(self) -> Between:
        return Between(-self.upper, -self.lower)

    def __mul__(self, other: Between) -> Between:
        found = [_times(a, b) for a in (self.lower, self.upper) for b in (other.lower, other.upper)]
        return Between(_least([one.lower() for one in found]), _most([one.upper() for one in found]))

    def image(self, increasing: Any) -> Between:
        """The image under an increasing function, which knows what it makes of infinities."""
        return Between(increasing(self.lower).lower(), increasing(self.upper).upper())

    @property
    def is_zero(self) -> bool:
        """Whether it holds 0 only."""
        return bool(self.lower.is_zero() and self.upper.is_zero())


def _times(a: Any, b: Any) -> Any:
    return flint().arb(0) if a.is_zero() or b.is_zero() else a * b


def _least(ends: list[Any]) -> Any:
    found = ends[0]
    for end in ends[1:]:
        found = end if end < found else found
    if any(end.is_nan() for end in ends):
        raise NoOrder
    return found


def _most(ends: list[Any]) -> Any:
    return -_least([-end for end in ends])


def between(lower: Any, upper: Any | None = None) -> Between:
    """The numbers from lower to upper, or of a ball."""
    return Between(lower.lower(), (lower if upper is None else upper).upper())


@dataclass(frozen=True, eq=False)
class Step:
    """What g(x) and g(x + 1) - g(x) are for all x >= K."""

    value: Between
    change: Between


@final
class Increments(Forward):
    """Functions of one number x >= K.

    >>> from jax.scipy.special import gammaln
    >>> import numpy as np
    >>> from qed.certificates.certificate import placed
    >>> from qed.domains.increments import Increments
    >>> from qed.graph.trace import trace
    >>> from qed.graph.walk import Walker
    >>> traced = trace(lambda k: -gammaln(k + 1), np.float32(0.5))
    >>> domain = Increments(7)
    >>> found = Walker([domain]).run(traced.graph, placed(traced, [domain.argument()]))[0].values[0]
    >>> round(float(found.change.upper), 6)
    -2.079442
    """

    name = "increments"

    def __init__(self, start: int, bits: int = 128) -> None:
        self.start, self.bits = start, bits

    def argument(self) -> Step:
        """x itself."""
        arb = flint().arb
        return Step(Between(arb(self.start), arb.pos_inf()), Between(arb(1), arb(1)))

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The steps of an equation's outputs."""
        if all(isinstance(x, Known) for x in inputs) and exact_on_numbers(equation):
            found = Value().apply(equation, [x.array for x in inputs], context)
            return tuple(self.constant(v, array) for v, array in zip(equation.outputs, found, strict=True))
        if any(v.shape != () for v in (*equation.inputs, *equation.outputs)):
            return (self.unknown(equation, context),) * len(equation.outputs)
        try:
            with precision(self.bits):
                return (self._one(equation, [self._scalar(x) for x in inputs]),)
        except NoOrder:
            return (self.unknown(equation, context),) * len(equation.outputs)

    def constant(self, atom: Atom, array: Any) -> Any:
        """A number that is the same for all x; a step is itself."""
        return array if isinstance(array, Step | Truth) else Known(np.asarray(array))

    def _scalar(self, x: Any) -> Any:
        if not isinstance(x, Known):
            return x
        if x.array.shape != ():
            raise NoOrder
        if x.array.dtype.kind == "b":
            return Truth(bool(x.array))
        arb = flint().arb
        if x.array.dtype.kind in "iu":
            return self._fixed(arb(int(x.array)))
        value = float(x.array.astype(np.float64))
        if not np.isfinite(value):
            raise NoOrder
        return self._fixed(arb(value))

    def _fixed(self, ball: Any) -> Step:
        zero = flint().arb(0)
        return Step(between(ball), Between(zero, zero))

    def truth(self, value: Any) -> bool | None:
        """Whether a condition holds for all x >= K."""
        return holds(value)

    def choose(self, value: Any, count: int) -> int | None:
        """Which branch is taken for all x >= K."""
        return branch(value, count)

    def _one(self, equation: Equation, xs: Sequence[Any]) -> Any:
        name, params = equation.primitive, equation.params
        if any(not is_real(v.dtype) and np.dtype(v.dtype).kind != "b" for v in equation.outputs):
            raise NoOrder  # integers are rounded and wrap around
        if name == "select_n" and isinstance(xs[0], Truth):
            if xs[0].holds is None:
                raise NoOrder  # the condition is not decided for all x >= K
            return xs[1 + int(xs[0].holds)]
        if not all(isinstance(x, Step) for x in xs):
            raise NoOrder
        if name in SAME:
            if not is_real(equation.outputs[0].dtype):
                raise NoOrder
            return xs[0]
        if name in ("lt", "le", "gt", "ge"):
            return self._compare(name, *xs)
        rule = getattr(self, f"_{name}", None)
        if rule is None or name in ("one", "scalar", "fixed", "compare"):
            raise NoOrder
        return rule(*xs, **({"y": params["y"]} if name == "integer_pow" else {}))

    def _compare(self, name: str, x: Step, y: Step) -> Truth:
        off = x.value + -y.value
        if off.lower > 0:
            return Truth(name in ("gt", "ge"))
        if off.upper < 0:
            return Truth(name in ("lt", "le"))
        raise NoOrder

    # --- arithmetic ---

    def _add(self, x: Step, y: Step) -> Step:
        return Step(x.value + y.value, x.change + y.change)

    def _neg(self, x: Step) -> Step:
        return Step(-x.value, -x.change)

    def _sub(self, x: Step, y: Step) -> Step:
        return self._add(x, self._neg(y))

    def _mul(self, x: Step, y: Step) -> Step:
        change = x.value * y.change + y.value * x.change + x.change * y.change
        return Step(x.value * y.value, change)

    def _div(self, x: Step, y: Step) -> Step:
        if not y.change.is_zero or not (y.value.lower > 0 or y.value.upper < 0):
            raise NoOrder
        return self._mul(x, self._fixed(1 / y.value.lower.union(y.value.upper)))

    def _integer_pow(self, x: Step, y: int) -> Step:
        if not 1 <= y <= 8:
            raise NoOrder
        found = x
        for _ in range(y - 1):
            found = self._mul(found, x)
        return found

    def _square(self, x: Step) -> Step:
        return self._mul(x, x)

    def _exp(self, x: Step) -> Step:
        change = x.value.image(_exponential) * x.change.image(lambda end: _exponential(end) - 1)
        return Step(x.value.image(_exponential), change)

    def _pow(self, x: Step, y: Step) -> Step:
        return self._exp(self._mul(y, self._log(x)))

    def _log(self, x: Step) -> Step:
        if not x.value.lower > 0:
            raise NoOrder
        arb = flint().arb
        inverse = Between(1 / x.value.upper if x.value.upper.is_finite() else arb(0), 1 / x.value.lower)
        relative = x.change * between(inverse.lower, inverse.upper)
        if not relative.lower > -1:
            raise NoOrder
        return Step(x.value.image(_logarithm), relative.image(lambda end: _logarithm(1 + end)))

    def _log1p(self, x: Step) -> Step:
        return self._log(self._add(x, self._fixed(flint().arb(1))))

    def _lgamma(self, x: Step) -> Step:
        arb = flint().arb
        if not (x.value.lower >= 2 and x.change.lower == 1 and x.change.upper == 1):
            raise NoOrder
        value = x.value.image(lambda end: end.lgamma() if end.is_finite() else arb.pos_inf())
        return Step(value, x.value.image(_logarithm))


def _exponential(x: Any) -> Any:
    arb = flint().arb
    if x.is_finite():
        return x.exp()
    return arb(0) if x < 0 else arb.pos_inf()


def _logarithm(x: Any) -> Any:
    return x.log() if x.is_finite() else flint().arb.pos_inf()
