"""A floating-point number as m 2^e, by its bits.

::

    x = m 2^e        1/2 <= |m| < 1        the stored exponent of x is e + bias - 1

`jnp.frexp` and `jnp.ldexp` say the same, but newer versions of JAX expand them only when a program is compiled, under
the dtypes that are enabled *then*: inside a program traced in float64 by a user who has not enabled float64 they cannot
be used. The primitives here carry their dtypes from the start.

Reference: IEEE 754-2019, section 3.4.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

_UNSIGNED = {16: jnp.uint16, 32: jnp.uint32, 64: jnp.uint64}


def mantissa_and_exponent(x: Any) -> tuple[Any, Any]:
    """(m, e) with x = m 2^e and 1/2 <= |m| < 1; zeros, infinities and NaN are m themselves, with e = 0.

    Args:
        x: an array of a real floating dtype of 16, 32 or 64 bits.

    Returns:
        m in the dtype of x and e in int32, both in its shape.

    Example:
        >>> import jax.numpy as jnp
        >>> m, e = mantissa_and_exponent(jnp.float32(-6.0))
        >>> float(m), int(e)
        (-0.75, 3)
    """
    info, unsigned = jnp.finfo(x.dtype), _UNSIGNED[jnp.finfo(x.dtype).bits]
    lifted = info.nmant + 1
    subnormal = (jnp.abs(x) < info.tiny) & (x != 0)
    bits = lax.bitcast_convert_type(jnp.where(subnormal, x * 2.0**lifted, x).astype(x.dtype), unsigned)
    stored = (bits >> unsigned(info.nmant)) & unsigned((1 << info.nexp) - 1)
    ordinary = (x != 0) & jnp.isfinite(x) & (stored > 0)
    half = info.maxexp - 2  # the stored exponent of numbers in [1/2, 1)
    kept = bits & ~unsigned(((1 << info.nexp) - 1) << info.nmant)
    m = lax.bitcast_convert_type(kept | unsigned(half << info.nmant), x.dtype)
    e = stored.astype(jnp.int32) - half - jnp.where(subnormal, lifted, 0)
    return jnp.where(ordinary, m, x), jnp.where(ordinary, e, 0).astype(jnp.int32)


def power_of_two_of(e: Any, dtype: Any) -> Any:
    """2^e for integers e whose power is a normal number of the dtype, which the caller sees to.

    Example:
        >>> import jax.numpy as jnp
        >>> power_of_two_of(jnp.asarray([-2, 0, 5]), jnp.float32).tolist()
        [0.25, 1.0, 32.0]
    """
    info, unsigned = jnp.finfo(dtype), _UNSIGNED[jnp.finfo(dtype).bits]
    return lax.bitcast_convert_type((e + (info.maxexp - 1)).astype(unsigned) << unsigned(info.nmant), dtype)
