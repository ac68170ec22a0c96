"""Which dtypes are real floating-point numbers, and which are no numbers at all."""

from __future__ import annotations

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import dtypes


@functools.lru_cache(maxsize=256)
def is_real(dtype: Any) -> bool:
    """True for the real floating-point dtypes, bfloat16 and the 8-bit ones included.

    Example:
        >>> is_real(jnp.bfloat16), is_real(np.int32), is_real(np.complex64), is_real(None)
        (True, False, False, False)
    """
    return dtype is not None and bool(jnp.issubdtype(dtype, np.floating))


def is_extended(dtype: Any) -> bool:
    """True for JAX's own dtypes that NumPy does not know, such as random keys."""
    return dtype is not None and bool(jnp.issubdtype(dtype, dtypes.extended))


def is_inexact(dtype: Any) -> bool:
    """True for real and complex floating-point dtypes: those that hold inf and NaN, and have derivatives."""
    return dtype is not None and bool(jnp.issubdtype(dtype, np.inexact))


def wide(dtype: Any) -> Any:
    """The dtype of the shadow: float64 or complex128; other dtypes stay.

    Example:
        >>> str(wide(np.dtype("float32"))), str(wide(np.dtype("int8")))
        ('float64', 'int8')
    """
    if is_real(dtype):
        return np.dtype("float64")
    return np.dtype("complex128") if is_inexact(dtype) else dtype


def as_wide(array: Any) -> np.ndarray:
    """An array as NumPy numbers in float64 or complex128; integers and truth values unchanged."""
    found = np.asarray(array)
    return found.astype(wide(found.dtype))


def unit_roundoff(dtype: Any) -> float:
    """Half the distance from 1 to the next number; 0 for dtypes that do not round.

    Example:
        >>> unit_roundoff(np.dtype("float32")) == 2.0**-24
        True
    """
    return float(jnp.finfo(dtype).eps) / 2 if is_inexact(dtype) else 0.0
