"""The numbers that the coefficients of a series are made of, and what a series needs of them.

A power series u_0 + u_1 t + ... + u_n t^n is computed with additions, products, one division, and the values of
elementwise functions at u_0 alone. Where the numbers are arrays, the series has numbers for coefficients; where they
are enclosures of all values on a segment, its last coefficient encloses the remainder of Lagrange. `Coefficients` says
which operations these are, `Arrays` gives them in JAX, traceable and compilable. A zero coefficient is None and is
never made: a constant costs nothing.

What cannot be decided or has no rule is `Lost`; the domain turns it into `Unknown` with the primitive and the line.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, final

import jax
import jax.numpy as jnp

from qed import facts
from qed.domains.forward import Forward
from qed.domains.value import Value
from qed.facts.expression import COMPARISONS
from qed.graph import jaxpr
from qed.graph.graph import Atom, Equation
from qed.graph.tape import Context, Unknown


class Lost(Exception):
    """A coefficient is not known: `why` begins the sentence that `Unknown` makes of it, or it carries that Unknown."""

    def __init__(self, why: str = "no rule for", unknown: Unknown | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.unknown = unknown


class Coefficients(ABC):
    """The operations on coefficients; subclasses are final.

    `base` is the forward domain whose rules move, sum and multiply whole arrays of coefficients; `native` says that the
    coefficients are JAX arrays, so that loops can be kept as loops and JAX's own rules can be asked.
    """

    base: Forward
    native: bool = False

    @abstractmethod
    def rational(self, value: Fraction) -> Any:
        """The number itself, to be broadcast."""

    @abstractmethod
    def call(self, name: str, *operands: Any, **parameters: Any) -> Any:
        """The value of a function of the tables; `call("pi")` is the constant."""

    @abstractmethod
    def decide(self, comparison: str, left: Any, right: Any) -> Any:
        """Whether it holds: True, False, or an array of them; Lost where it is not decided."""

    @abstractmethod
    def choose(self, mask: Any, then: Any, otherwise: Any) -> Any:
        """Elementwise `then` where the mask holds; None is zero."""

    @abstractmethod
    def shaped(self, value: Any, variable: Atom) -> Any:
        """The value broadcast to the shape of a variable, in its dtype."""

    @abstractmethod
    def zeros(self, variable: Atom) -> Any:
        """Zeros in the shape and dtype of a variable."""

    @abstractmethod
    def add(self, left: Any, right: Any) -> Any:
        """The sum."""

    @abstractmethod
    def sub(self, left: Any, right: Any) -> Any:
        """The difference."""

    @abstractmethod
    def mul(self, left: Any, right: Any) -> Any:
        """The product."""

    @abstractmethod
    def div(self, left: Any, right: Any) -> Any:
        """The quotient."""

    @abstractmethod
    def neg(self, value: Any) -> Any:
        """The negative."""

    def square(self, value: Any) -> Any:
        """The square."""
        return self.mul(value, value)

    def times(self, value: Any, factor: int) -> Any:
        """An integer multiple."""
        return value if factor == 1 else self.mul(value, self.rational(Fraction(factor)))

    def over(self, value: Any, divisor: int) -> Any:
        """The quotient by an integer."""
        return value if divisor == 1 else self.div(value, self.rational(Fraction(divisor)))

    def dot(self, pairs: Sequence[tuple[Any, Any]]) -> Any:
        """The sum of the products of pairs, at least one."""
        total = None
        for left, right in pairs:
            product = self.mul(left, right)
            total = product if total is None else self.add(total, product)
        return total

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> tuple[Any, ...]:
        """The base's own rule for an equation; Lost where it has none."""
        outs = tuple(self.base.apply(equation, inputs, context))
        lost = next((out for out in outs if isinstance(out, Unknown)), None)
        if lost is not None:
            raise Lost(unknown=lost)
        return outs

    def certain(self, value: Any, variable: Atom) -> Any:
        """A value that is no floating-point number and must be one value; Lost where several are possible."""
        return value

    def smooth(self, name: str, operands: Sequence[Any], parameters: dict[str, Any]) -> None:
        """Lost where a function of the tables is not known to be smooth on the operands."""
        return None


@final
class Arrays(Coefficients):
    """Coefficients that are JAX arrays or tracers, in the program's own dtypes.

    Example:
        >>> from fractions import Fraction
        >>> numbers = Arrays()
        >>> float(numbers.over(numbers.add(jnp.asarray(1.0), numbers.rational(Fraction(1, 2))), 2))
        0.75
    """

    native = True

    def __init__(self) -> None:
        self.base = Value()

    def rational(self, value: Fraction) -> Any:
        """A Python float, weakly typed: float32 stays float32."""
        return float(value)

    def call(self, name: str, *operands: Any, **parameters: Any) -> Any:
        """JAX's own implementation."""
        if name == "polygamma":  # jax.scipy.special's takes integers for the order, the primitive takes floats
            return jax.lax.polygamma(*jnp.broadcast_arrays(*operands))
        return math.pi if name == "pi" else facts.JAX.call(name, *operands, **parameters)

    def decide(self, comparison: str, left: Any, right: Any) -> Any:
        """As the numbers compare."""
        return COMPARISONS[comparison](left, right)

    def choose(self, mask: Any, then: Any, otherwise: Any) -> Any:
        """`where`; no product, so that an infinity on the other side stays there."""
        if isinstance(mask, bool):
            return then if mask else otherwise
        if then is None and otherwise is None:
            return None
        return jnp.where(mask, 0.0 if then is None else then, 0.0 if otherwise is None else otherwise)

    def shaped(self, value: Any, variable: Atom) -> Any:
        """Broadcast and converted."""
        array = value if hasattr(value, "dtype") else jnp.asarray(value, variable.dtype)
        if array.dtype != variable.dtype or getattr(array, "weak_type", False):
            array = jax.lax.convert_element_type(array, variable.dtype)
        return array if array.shape == variable.shape else jnp.broadcast_to(array, variable.shape)

    def zeros(self, variable: Atom) -> Any:
        """Zeros."""
        return jnp.zeros(variable.shape, variable.dtype)

    def add(self, left: Any, right: Any) -> Any:
        """The sum."""
        return left + right

    def sub(self, left: Any, right: Any) -> Any:
        """The difference."""
        return left - right

    def mul(self, left: Any, right: Any) -> Any:
        """The product."""
        return left * right

    def div(self, left: Any, right: Any) -> Any:
        """The quotient; of two Python floats with a zero divisor, as IEEE 754 has it."""
        if isinstance(right, float) and right == 0.0:
            right = jnp.asarray(right)
        return left / right

    def neg(self, value: Any) -> Any:
        """The negative."""
        return -value

    def dot(self, pairs: Sequence[tuple[Any, Any]]) -> Any:
        """The sum of products; under a trace as one reduction.

        XLA computes a sum of products anew in each fusion that reads it, which triples the work of a recurrence; the
        result of a reduction it keeps.
        """
        arrays = [part for pair in pairs for part in pair]
        shapes = {getattr(part, "shape", None) for part in arrays}
        if len(pairs) == 1 or len(shapes) > 1 or None in shapes or all(jaxpr.concrete(part) for part in arrays):
            return super().dot(pairs)
        left, right = (jnp.stack(column) for column in zip(*pairs, strict=True))
        return jnp.sum(left * right, axis=0)
