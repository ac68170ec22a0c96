"""Rules of the difference: for two terms, for one term and a number, for squares and for Taylor remainders.

Every rule is handed nodes and numbers and answers with a node that is equal as a real function, or None.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.build import Node, Operation
from qed.numerics.rewriting import difference_kernels as kernels
from qed.numerics.rewriting import difference_laws as laws
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.bessels import beside_ratio
from qed.numerics.rewriting.difference_factory import of_one_size
from qed.numerics.rewriting.difference_powers import POWER
from qed.numerics.rewriting.difference_terms import ONE, Polynomial, plus
from qed.numerics.rewriting.difference_turns import BESIDE_QUARTER, TURNED
from qed.numerics.rewriting.exponents import of_one_exponent
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.smooth import EXPM1, LOGISTIC, SECH2, SINH, TANH

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference

Found = tuple[Node, tuple[Law, ...]]

SIN = Operation("sin", jnp.sin)
COS = Operation("cos", jnp.cos)
ERF = Operation("erf", jax.scipy.special.erf)
ERFC = Operation("erfc", jax.scipy.special.erfc)
SQRT = Operation("sqrt", jnp.sqrt)
INTEGER_POW = Operation("integer_pow", lambda x, y: jax.lax.integer_pow(x, y))


def _sqrt_minus(s: jax.Array, b: jax.Array, d: jax.Array) -> jax.Array:
    near = of_one_size(s, b)  # elsewhere nothing cancels, but in d
    return jnp.where(near, d / jnp.where(near, s + b, 1), s - b).astype(s.dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def minus_number(x: jax.Array, high: float, low: float) -> jax.Array:
    """(x - high) - low, in this order: a compiler may add the two numbers first, which rounds the second away.

    Example:
        >>> x = jnp.float32(0.3679)
        >>> print(f"{jax.jit(lambda x: minus_number(x, 0.36787945, -9.2e-9))(x):.7g}")
        2.05728e-05
    """
    return jax.lax.optimization_barrier(x - jnp.asarray(high, x.dtype)) - jnp.asarray(low, x.dtype)


@minus_number.defjvp
def _minus_number_slope(high: float, low: float, primals: tuple, tangents: tuple) -> tuple:
    return minus_number(primals[0], high, low), tangents[0]


MINUS_NUMBER = Operation("minus_number", lambda x, high, low: minus_number(x, high, low), whole=True)
ROOT = Operation("sqrt_minus", _sqrt_minus, whole=True)

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")
_DIGITS = Context(prec=60, Emax=10**6, Emin=-(10**6))


# --- f(x) - f(y) ---


def atoms(difference: Difference, g: Node, h: Node) -> Found | None:
    """The difference of two values of one function."""
    if {g.operation, h.operation} == {"log", "log1p"}:
        return _mixed_logs(difference, g, h)
    if g.operation != h.operation or g.dtype != h.dtype:
        return None
    if g.operation == "pow":
        return _powers(difference, g, h)
    if g.operation not in kernels.OPERATIONS or not g.children:
        return None
    x, y = g.children[0], h.children[0]
    gap = difference.sharp(difference.minus(x, y), x)
    if gap is None:
        return None
    d, used = gap
    if g.operation == "exp" and _opposite(difference, x, y):
        return difference.algebra.times(2.0, difference.emit(SINH, x)), (laws.SINH,)
    if g.operation == "logistic" and _opposite(difference, x, y):
        return difference.emit(TANH, _halved(difference, x)), (laws.ATOMS["logistic"],)
    table = kernels.STEPS if g.operation in kernels.STEPS and _is_step(x, y, d) else kernels.OPERATIONS
    return difference.emit(table[g.operation], x, y, d), (laws.ATOMS[g.operation], *used)


def _is_step(x: Node, y: Node, d: Node) -> bool:
    """Whether x is y + d, rounded."""
    return x.operation == "add" and len(x.children) == 2 and set(x.children) == {y, d}


def _mixed_logs(difference: Difference, g: Node, h: Node) -> Found | None:
    """log x - log1p y."""
    one = difference.algebra.number(1.0, g)
    x, y = (
        difference.emit(stable.ADD, one, n.children[0]) if n.operation == "log1p" else n.children[0] for n in (g, h)
    )
    readings = [difference.shifted(n.children[0], Fraction(-(n.operation == "log1p"))) for n in (g, h)]
    gap = difference.sharp(difference.multiplied(plus(readings[0], readings[1], -1)), g)
    if gap is None:
        return None
    return difference.emit(kernels.OPERATIONS["log"], x, y, gap[0]), (laws.ATOMS["log"], *gap[1])


def _opposite(difference: Difference, x: Node, y: Node) -> bool:
    return not difference.plus(x, y)


def _powers(difference: Difference, g: Node, h: Node) -> Found | None:
    (x, k), (y, other) = g.children, h.children
    exponent = constant_of(k)
    if exponent is None:
        return of_one_exponent(difference, g, h)
    if exponent != constant_of(other):
        return None
    gap = difference.sharp(difference.minus(x, y), x)
    if gap is None:
        return None
    return difference.emit(kernels.POWER, x, y, gap[0], k=exponent), (laws.ATOMS["pow"], *gap[1])


ODD = frozenset("sin tan tanh sinh asin atan asinh atanh cbrt erf".split())


def odd_atoms(difference: Difference, g: Node, h: Node) -> Found | None:
    """f(x) + f(y) = f(x) - f(-y) for an odd function."""
    if g.operation != h.operation or g.operation not in ODD:
        return None
    x, y = g.children[0], h.children[0]
    gap = difference.sharp(difference.plus(x, y), x)
    if gap is None:
        return None
    minus = difference.algebra.negative(y)
    return difference.emit(kernels.OPERATIONS[g.operation], x, minus, gap[0]), (laws.ATOMS[g.operation], *gap[1])


# --- f(x) - r ---


def _halved(difference: Difference, x: Node) -> Node:
    return difference.algebra.times(0.5, x)


def _twice_square(difference: Difference, node: Node, sign: float) -> Node:
    return difference.algebra.times(2.0 * sign, difference.emit(stable.MUL, node, node))


def _exp(difference: Difference, x: Node, r: Fraction) -> Found | None:
    if r == 1:
        return difference.emit(EXPM1, x), (laws.EXPM1,)
    if r <= 0:
        return None
    number = _DIGITS.ln(_decimal(r))
    return _split(difference, "exp", x, number)


def _expm1(difference: Difference, x: Node, r: Fraction) -> Found | None:
    return (difference.emit(stable.EXP, x), (laws.EXPM1,)) if r == -1 else None


def _log(difference: Difference, x: Node, r: Fraction) -> Found | None:
    return _split(difference, "log", x, _DIGITS.exp(_decimal(r))) if abs(r) < 80 else None


def _sqrt(difference: Difference, x: Node, r: Fraction) -> Found | None:
    return _inverse(difference, "sqrt", x, r**2) if r > 0 else None


def _cbrt(difference: Difference, x: Node, r: Fraction) -> Found | None:
    return _inverse(difference, "cbrt", x, r**3)


def _inverse(difference: Difference, name: str, x: Node, y: Fraction) -> Found | None:
    gap = difference.sharp(difference.shifted(x, y), x)
    if gap is None:
        return None
    node = difference.number(y, x)
    return difference.emit(kernels.OPERATIONS[name], x, node, gap[0]), (laws.ATOMS[name], *gap[1])


def _split(difference: Difference, name: str, x: Node, y: Decimal) -> Found | None:
    if not difference.exact(x):
        return None
    d = _minus_decimal(difference, x, y)
    node = difference.algebra.number(float(y), x)
    return difference.emit(kernels.OPERATIONS[name], x, node, d), (laws.CONSTANT, laws.ATOMS[name])


def _minus_decimal(difference: Difference, x: Node, y: Decimal) -> Node:
    """x - y, y to twice the digits of x: the first subtraction is exact where it cancels."""
    high = np.asarray(float(y), x.dtype)
    low = float(_DIGITS.subtract(y, Decimal(float(high))))
    return difference.emit(MINUS_NUMBER, x, high=float(high), low=low)


def _decimal(r: Fraction) -> Decimal:
    return _DIGITS.divide(Decimal(r.numerator), Decimal(r.denominator))


def _cos(difference: Difference, x: Node, r: Fraction) -> Found | None:
    if abs(r) != 1:
        return None
    found = _turned(difference, x, "cos", r, PI) if r == -1 and not difference.exact(x) else None
    if found is not None:
        return found
    half = difference.emit(SIN if r == 1 else COS, _halved(difference, x))
    return _twice_square(difference, half, -float(r)), (laws.COS,)


def _sin(difference: Difference, x: Node, r: Fraction) -> Found | None:
    if abs(r) != 1:
        return None
    quarter = _DIGITS.divide(PI, Decimal(2)) * int(r)
    if not difference.exact(x):
        return _turned(difference, x, "sin", r, quarter)
    half = difference.emit(SIN, _halved(difference, _minus_decimal(difference, x, quarter)))
    return _twice_square(difference, half, -float(r)), (laws.SIN,)


def _turned(difference: Difference, x: Node, name: str, r: Fraction, zero: Decimal) -> Found | None:
    """f(x) - r for an x = c v + d with an exact v, the zero of f - r taken from v: c (v - (zero - d)/c)."""
    polynomial = dict(difference.terms(x))
    d = polynomial.pop(ONE, Fraction(0))
    if len(polynomial) != 1:
        return None
    ((monomial, c),) = polynomial.items()
    v = difference.single(monomial, 1)
    if v is None or not difference.exact(v) or v.shape != x.shape or v.dtype != x.dtype:
        return None
    at = _DIGITS.divide(_DIGITS.subtract(zero, _decimal(d)), _decimal(c))
    below = difference.algebra.times(float(c), _minus_decimal(difference, v, at))
    value = difference.emit(TURNED, x, below, f=name, sign=-float(r))
    return difference.algebra.times(-float(r), value), (laws.COS if name == "cos" else laws.SIN,)


def _cosh(difference: Difference, x: Node, r: Fraction) -> Found | None:
    if r != 1:
        return None
    return _twice_square(difference, difference.emit(SINH, _halved(difference, x)), 1.0), (laws.COSH,)


def _own(difference: Difference) -> bool:
    """Whether s (1 - s) and 1 - t^2 are JAX's own, to be left: beside other terms they are small where inexact."""
    return difference.builder.derivative and not difference.builder.saturated


def _logistic(difference: Difference, x: Node, r: Fraction) -> Found | None:
    if r == 1 and _own(difference):
        return None
    if r == 1:
        return difference.algebra.negative(difference.emit(LOGISTIC, difference.minus_of(x))), (laws.LOGISTIC,)
    if r == Fraction(1, 2):
        return _halved(difference, difference.emit(TANH, _halved(difference, x))), (laws.HALF,)
    return None


def _tanh(difference: Difference, x: Node, r: Fraction) -> Found | None:
    if abs(r) != 1 or _own(difference):
        return None
    double = difference.algebra.times(-2.0 * float(r), x)
    return difference.algebra.times(-2.0 * float(r), difference.emit(LOGISTIC, double)), (laws.TANH,)


def _erf(difference: Difference, x: Node, r: Fraction) -> Found | None:
    if abs(r) != 1:
        return None
    argument = x if r == 1 else difference.minus_of(x)
    return difference.algebra.times(-float(r), difference.emit(ERFC, argument)), (laws.ERFC,)


def _erfc(difference: Difference, x: Node, r: Fraction) -> Found | None:
    if r == 1:
        return difference.algebra.negative(difference.emit(ERF, x)), (laws.ERF,)
    if r == 2:
        return difference.algebra.negative(difference.emit(ERFC, difference.minus_of(x))), (laws.ERFC,)
    return None


def _atan(difference: Difference, x: Node, r: Fraction) -> Found | None:
    """atan x - r for an r that is pi/2, or minus it, up to rounding."""
    sign = 1 if r > 0 else -1
    left = _DIGITS.subtract(_DIGITS.divide(PI, Decimal(2)), _decimal(abs(r)))
    if abs(left) > 1e-6:
        return None
    opposite = x if sign > 0 else difference.minus_of(x)
    beside = difference.emit(BESIDE_QUARTER, opposite, left=float(left))
    return difference.algebra.times(-float(sign), beside), (laws.ATAN,)


def _exp2(difference: Difference, x: Node, r: Fraction) -> Found | None:
    if r != 1:
        return None
    return difference.emit(EXPM1, difference.algebra.times(math.log(2.0), x)), (laws.ATOMS["exp2"],)


AGAINST: Mapping[str, Callable[[Difference, Node, Fraction], Found | None]] = {
    "exp": _exp,
    "expm1": _expm1,
    "exp2": _exp2,
    "log": _log,
    "sqrt": _sqrt,
    "cbrt": _cbrt,
    "atan": _atan,
    "cos": _cos,
    "sin": _sin,
    "cosh": _cosh,
    "logistic": _logistic,
    "tanh": _tanh,
    "erf": _erf,
    "erfc": _erfc,
    "bessel_ratio": beside_ratio,
}
"""For each primitive f(x) - r, by x and the number r."""


def power_against(difference: Difference, g: Node, r: Fraction) -> Found | None:
    """x^k - 1."""
    x, k = g.children
    if r != 1:
        return None
    gap = difference.sharp(difference.shifted(x, Fraction(1)), x)
    if gap is None:
        return None
    return difference.emit(POWER, x, gap[0], k, exact=difference.exact(x)), (laws.POWER, *gap[1])


# --- squares ---


def squares(difference: Difference, polynomial: Polynomial) -> Found | None:
    """1 - sin^2, 1 - cos^2, cosh^2 - 1, 1 - tanh^2, cos^2 - sin^2, times a number."""
    items = [(difference.single(m, 2), c, m) for m, c in polynomial.items()]
    (g, c, m), (h, e, n) = items
    if m == ONE:
        (g, c, m), (h, e, n) = (h, e, n), (g, c, m)
    if g is None or c != -e:
        return None
    x = g.children[0] if g.children else None
    if x is None:
        return None
    if n == ONE:
        partner = {"sin": (COS, -1.0), "cos": (SIN, -1.0), "cosh": (SINH, 1.0)}.get(g.operation)
        if partner is not None:
            value = difference.emit(partner[0], x)
            square = difference.emit(stable.MUL, value, value)
            return difference.algebra.times(float(c) * partner[1], square), (laws.PYTHAGORAS,)
        if g.operation == "tanh" and not _own(difference):
            return difference.algebra.times(-float(c), difference.emit(SECH2, x)), (laws.SECH,)
        return None
    if h is None or h.children[:1] != (x,) or {g.operation, h.operation} != {"sin", "cos"}:
        return None
    sign = float(c) if g.operation == "cos" else float(e)
    return difference.algebra.times(sign, difference.emit(COS, difference.algebra.times(2.0, x))), (laws.DOUBLE,)


def twice_cosh(difference: Difference, polynomial: Polynomial) -> Found | None:
    """c exp(x) + c exp(-x) - 2 c."""
    if len(polynomial) != 3 or ONE not in polynomial:
        return None
    items = [(difference.single(m, 1), c) for m, c in polynomial.items() if m != ONE]
    (g, c), (h, e) = items
    if g is None or h is None or c != e or polynomial[ONE] != -2 * c:
        return None
    if g.operation != "exp" or h.operation != "exp" or not _opposite(difference, g.children[0], h.children[0]):
        return None
    half = difference.emit(SINH, _halved(difference, g.children[0]))
    return difference.algebra.times(4.0 * float(c), difference.emit(stable.MUL, half, half)), (laws.SINH2,)
