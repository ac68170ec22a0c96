"""Why the shift of a log-sum-exp is the maximum: other shifts, tried on given numbers.

For every m, log sum exp(u_i) = m + log sum exp(u_i - m) as real numbers. In floating point the sum must neither
overflow nor lose the terms that matter, and what is added to m must be small beside it or exact. With m = max u the
largest term is exp(0) = 1, so that 1 <= sum <= n and 0 <= log sum <= log n; that is predicted, and observed here. The
reference is the same formula in decimal numbers of 60 digits, in which exp(u) can neither overflow nor vanish.
"""

from __future__ import annotations

import decimal
import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.answer import Answer, Measured, Reason, Standing
from qed.errors import QedError
from qed.graph.dtypes import is_real, unit_roundoff

DIGITS = 60
DECIDED = 10_000  # decimal exponentials are slow: one takes about as long as a thousand in float32


@dataclass(frozen=True)
class Shifted:
    """One shift m, tried: the largest exp(u - m), the sum of all, the result, and the bits that it lost.

    `bits_lost` is log2(1 + |error| / (roundoff |exact|)): 0 is exact, 24 in float32 and 53 in float64 is everything.
    """

    name: str
    shift: float
    largest: float
    sum: float
    result: float
    bits_lost: float


@dataclass(frozen=True)
class Shifts:
    """The exact log-sum-exp, and what each shift makes of it; the first is the maximum."""

    exact: float
    tried: tuple[Shifted, ...]


def shifts(u: Any) -> Answer[Shifts]:
    """Try the maximum, no shift, the mean, the minimum and a wrong maximum on log sum exp(u).

    Args:
        u: logarithms, finite, in the dtype in which the sum is to be computed.

    Returns:
        The claim is that with the maximum the sum lies in [1, n]: MEASURED, with prediction and observation. The value
        lists every shift with what it lost.

    Raises:
        QedError: QED007 where u holds no finite floating-point numbers, or more than 10,000.

    Example:
        >>> import jax.numpy as jnp
        >>> answer = shifts(jnp.array([1000.0, 1001.0]))
        >>> [(each.name, round(each.bits_lost)) for each in answer.tried]
        [('maximum', 1), ('none', 24), ('mean', 1), ('minimum', 1), ('maximum + 200', 24)]
    """
    u = _checked(u)
    wide = np.asarray(u).astype(np.float64)
    exact = _exact(wide)
    top = float(wide.max())
    candidates = {
        "maximum": top,
        "none": 0.0,
        "mean": float(wide.mean()),
        "minimum": float(wide.min()),
        "maximum + 200": top + 200.0,
    }
    tried = tuple(_try(name, shift, u, exact) for name, shift in candidates.items())
    return _answer(Shifts(float(exact), tried), wide.size, u)


def _checked(u: Any) -> Any:
    u = jnp.ravel(jnp.asarray(u))
    if not is_real(u.dtype) or u.size == 0 or u.size > DECIDED or not bool(jnp.all(jnp.isfinite(u))):
        raise QedError(
            "QED007",
            "no shift can be tried on this",
            f"it is an array of {u.size} numbers of dtype {u.dtype}" + ("" if u.size else ", and empty"),
            f"give between 1 and {DECIDED} finite floating-point numbers",
        )
    return u


def _exact(wide: np.ndarray) -> decimal.Decimal:
    with decimal.localcontext() as context:
        context.prec, context.Emax, context.Emin = DIGITS, decimal.MAX_EMAX, decimal.MIN_EMIN
        return sum((decimal.Decimal(float(x)).exp() for x in wide), decimal.Decimal(0)).ln()


def _try(name: str, shift: float, u: Any, exact: decimal.Decimal) -> Shifted:
    m = jnp.asarray(shift, u.dtype)
    terms = jnp.exp(u - m)
    total = jnp.sum(terms)
    result = float(m + jnp.log(total))
    return Shifted(name, shift, float(jnp.max(terms)), float(total), result, _bits(result, exact, u.dtype))


def _bits(result: float, exact: decimal.Decimal, dtype: Any) -> float:
    """log2(1 + |error| / (u |exact|)), cut at the number of bits of the dtype."""
    most = -math.log2(unit_roundoff(dtype))
    if not math.isfinite(result):
        return most
    error = abs(decimal.Decimal(result) - exact)
    scale = decimal.Decimal(unit_roundoff(dtype)) * abs(exact)
    ratio = float(error / scale) if scale else (0.0 if not error else math.inf)
    return min(most, math.log2(1 + ratio))


def _answer(value: Shifts, count: int, u: Any) -> Answer[Shifts]:
    first = value.tried[0]
    holds = _between(first.sum, count, u.dtype)
    bound = Reason(
        "the largest term is exp(0) = 1",
        "m = max u  =>  1 <= sum exp(u - m) <= n",
        f"1 <= {first.sum:.6g} <= {count}",
        predicted=(1.0, float(count)),
        observed=first.sum,
        standing=Standing.MEASURED,
        text=f"with the maximum taken out, the {count} terms sum to {first.sum:.6g}, between 1 and {count}",
    )
    others = tuple(_row(each) for each in value.tried)
    return Answer(
        "with the maximum as shift the sum of the exponentials lies between 1 and n",
        Standing.MEASURED if holds else Standing.REFUTED,
        value,
        arithmetic=str(u.dtype),
        error=Measured(abs(first.result - value.exact), f"decimal arithmetic of {DIGITS} digits"),
        reasons=(bound, *others),
        headline=f"log sum exp(u) = {value.exact:.9g}; the maximum as shift gives {first.result:.9g}.",
        recheck=lambda: _between(float(jnp.sum(jnp.exp(jnp.sort(u) - jnp.max(u)))), count, u.dtype) is holds,
    )


def _between(total: float, count: int, dtype: Any) -> bool:
    """Whether a sum of `count` terms lies in [1, count], up to the rounding of its additions."""
    return 1.0 <= total <= count * (1 + count * unit_roundoff(dtype))


def _row(each: Shifted) -> Reason:
    return Reason(
        f"shift {each.name}",
        text=f"shift {each.shift:.6g} ({each.name}): largest term {each.largest:.3g}, sum {each.sum:.6g}, "
        f"result {each.result:.9g}, {each.bits_lost:.1f} bits lost",
        role="tried",
        standing=Standing.MEASURED,
        predicted="every shift gives the same real number",
        observed=each.result,
    )
