"""Expectations of products that hold an exponential, E exp(g) h, under a law whose density is exp(u) / Z.

    E exp(g) h = (1 / Z) int h exp(g + u) dx

with the exponents added before anything is enclosed: on a cell the balls of exp(g), which may be huge, and of exp(u),
which is tiny there, know nothing of each other. In the tails g + u may cancel, as x^2 / 2 under a normal law does;
where both are polynomials, they are added as such. Z is a closed form (`qed.domains.masses`). Esscher, "On the
probability function in the collective theory of risk", Skandinavisk Aktuarietidskrift 15 (1932). Where g leaves the
power and the rate of u's tail as they are the two are not put together: the cells of f exp(u) are as good.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from qed.certificates.cells import BITS, walked
from qed.certificates.integral_parts import Part
from qed.certificates.named_laws import checked, output_of
from qed.domains.densities import NAMED
from qed.domains.masses import log_mass
from qed.domains.one_number import SAME, Undecided
from qed.domains.polynomials import Polynomials, X, read
from qed.domains.precision import flint
from qed.domains.tail import Tail
from qed.domains.tail_forms import NoOrder, Term
from qed.errors import CertificateError
from qed.graph.dtypes import is_real
from qed.graph.graph import Atom, Equation, Variable
from qed.graph.trace import Traced, trace

START = 64.0
"""From where on the tails of g + u and u are looked at."""
LARGEST = 16
"""Whole powers up to this size are taken apart."""


@dataclass(frozen=True)
class Factors:
    """A product of exp(n g), and of h^n, over pairs of a value of the program and a whole number."""

    exponents: tuple[tuple[Atom, int], ...] = ()
    others: tuple[tuple[Atom, int], ...] = ()

    def __mul__(self, other: Factors) -> Factors:
        return Factors(self.exponents + other.exponents, self.others + other.others)

    def power(self, n: int) -> Factors:
        """The n-th power."""
        each = (tuple((x, n * k) for x, k in pairs) for pairs in (self.exponents, self.others))
        return Factors(*each)


def factors_of(traced: Traced) -> Factors:
    """The factors of the first output.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.tilted import factors_of
    >>> from qed.graph.trace import trace
    >>> found = factors_of(trace(lambda x: jnp.exp(x) / (1 + x) / jnp.exp(-x) ** 2, np.float32(0.5)))
    >>> [n for _, n in found.exponents], [n for _, n in found.others]
    ([1, -2], [-1])
    """
    makers = {v: equation for equation in traced.graph.equations for v in equation.outputs}
    return _factors(traced.graph.outputs[0], makers)


def _factors(x: Atom, makers: dict[Variable, Equation]) -> Factors:
    equation = makers.get(x) if isinstance(x, Variable) else None
    whole = Factors(others=((x, 1),))
    if equation is None or any(v.shape or not is_real(v.dtype) for v in (*equation.inputs, *equation.outputs)):
        return whole
    name, inputs = equation.primitive, equation.inputs
    if name in SAME:
        return _factors(inputs[0], makers)
    if name == "exp":
        return Factors(exponents=((inputs[0], 1),))
    if name == "mul":
        return _factors(inputs[0], makers) * _factors(inputs[1], makers)
    if name == "div":
        return _factors(inputs[0], makers) * _factors(inputs[1], makers).power(-1)
    n = 2 if name == "square" else int(equation.params["y"]) if name == "integer_pow" else 0
    return _factors(inputs[0], makers).power(n) if 0 < abs(n) <= LARGEST else whole


def tilted(traced: Traced, part: Any, node: str) -> Part | None:
    """The part int h exp(g + u) dx, no probability, of one with a name; None where f holds no exponential.

    Args:
        traced: the function f and whatever else it returns.
        part: the part, as a certificate holds it.
        node: what a failure is blamed on.
    """
    name, parameters, cuts, weight, probability = part
    if not (name and probability) or name not in NAMED:
        return None
    found = factors_of(traced)
    if not found.exponents:
        return None
    checked(name, parameters, cuts, node)
    atoms = [x for pairs in (found.exponents, found.others) for x, _ in pairs]
    alone = replace(traced, graph=replace(traced.graph, outputs=tuple(atoms)))
    each = [_value(alone, k) for k in range(len(atoms))]
    exponents = list(zip(each, (n for _, n in found.exponents), strict=False))
    others = list(zip(each[len(exponents) :], (n for _, n in found.others), strict=True))
    law = NAMED[name].log_density
    exact = _as_polynomial(alone, exponents, name, parameters)

    def joint(x: Any, *given: Any) -> Any:
        h, g = 0 * x + 1, law(x, *given)
        for value, n in others:
            h = h * value(x) ** n if n > 0 else h / value(x) ** -n
        for value, n in exponents:
            g = g + n * value(x)
        return h, g if exact is None else exact(x)

    with jax.enable_x64(True):
        made = trace(joint, np.asarray(traced.parameters[0]), *map(np.float64, parameters))
    if not any(_eased(made, name, parameters, side) for side, end in ((-1, cuts[0]), (1, cuts[-1])) if np.isinf(end)):
        return None
    return Part(made, ("", (), cuts, weight, False), 1, node)


def _as_polynomial(
    alone: Traced, exponents: list[Any], name: str, parameters: tuple[float, ...]
) -> Callable[[Any], Any] | None:
    """g + u by Horner's scheme, where all its terms are polynomials and the sum has coefficients of float64."""
    try:
        total = read(walked(NAMED[name].traced(parameters), Polynomials(), X, 0, name))
        for k, (_, n) in enumerate(exponents):
            total = total + read(walked(alone, Polynomials(), X, k, name)).scaled(Fraction(n))
        numbers = [np.float64(a) for a in total.coefficients]  # as such they widen an x of float32
    except (CertificateError, Undecided, OverflowError):
        return None
    if not all(Fraction(float(number)) == a for number, a in zip(numbers, total.coefficients, strict=True)):
        return None

    def horner(x: Any) -> Any:
        value = 0 * x
        for number in reversed(numbers):
            value = value * x + number
        return value

    return horner


def _eased(made: Traced, name: str, parameters: tuple[float, ...], side: int) -> bool:
    """Whether the tail of g + u falls like another exponential of the same power than u does, or like none."""
    domain, arb = Tail(START, BITS), flint().arb
    x = Term(arb(side), Fraction(1), arb(0))
    try:
        own, law = (
            domain.as_logarithm(walked(one, domain, x, k, name))
            for one, k in ((made, 1), (NAMED[name].traced(parameters), 0))
        )
    except (NoOrder, CertificateError):
        return False
    return own.q < law.q or (own.q == law.q and bool(law.q) and not own.c.overlaps(law.c))


def _value(traced: Traced, k: int) -> Callable[[Any], Any]:
    """A value of the program as a function of its argument."""
    atom = traced.graph.outputs[k]
    return output_of(traced, k) if isinstance(atom, Variable) else lambda _: atom.value


def mean_of(found: Part, part: Any, room: float) -> Any:
    """A ball of the part's share by the tilted one, which is divided by the mass of the law."""
    mass = log_mass(part[0], part[1]).exp()
    value = found.mean(room * float(mass) if np.isfinite(room) else room)
    return value if not value.is_finite() else flint().arb(1) * value / mass
