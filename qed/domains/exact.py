"""Operations whose result IEEE 754 fixes to the last bit, by NumPy: XLA would compile a program for each of them.

A sum, a difference, a product, a quotient and a square root of two floats are the rounded real result (IEEE 754-2019,
section 5.1), a comparison is a truth value, and an element that is moved stays what it is: whoever computes them finds
the same bits. What two implementations may do differently is left to JAX: sums of more than two terms, quotients by a
number that is repeated (XLA multiplies by its reciprocal), elementary functions, numbers of 16 bits, signs of zeros and
NaNs among maxima; and numbers that are not normal, which XLA flushes to zero and NumPy does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from qed.domains.moving import MOVES, rearranged
from qed.graph import jaxpr
from qed.graph.graph import Equation

Array = np.ndarray
LARGEST = 1 << 16
"""Up to so many elements; beyond, the time is that of the arithmetic."""
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

ROUNDED: Mapping[str, Callable[..., Array]] = {
    "add": np.add,
    "add_any": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "square": np.square,
}
"""Correctly rounded operations on floats."""
INTEGERS = frozenset({"add", "sub", "mul"})
"""Those of them that are exact on integers too, modulo a power of 2."""
COMPARED: Mapping[str, Callable[..., Array]] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
"""Comparisons, whose results are truth values."""


def exact(equation: Equation, inputs: Sequence[Any]) -> tuple[Any, ...] | None:
    """The outputs of an equation whose bits do not depend on who computes them; None where they may.

    Args:
        equation: from JAX.
        inputs: its operands, arrays of JAX or NumPy.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> times = trace(lambda x: x * x, jnp.float32(3)).graph.equations[0]
        >>> exact(times, [jnp.float32(3), jnp.float32(3)])[0].item()
        9.0
        >>> exact(times, [jnp.float32(1e-20), jnp.float32(1e-20)])  # below the normal numbers
    """
    if equation.primitive not in KNOWN or equation.native is None:
        return None
    found = arrays(equation, [on_host(x) for x in inputs])
    if found is None:
        return None
    with equation.native.ctx.manager:
        return tuple(jax.device_put(one) for one in found)


def arrays(equation: Equation, inputs: Sequence[Array | None]) -> list[Array] | None:
    """The same for arrays of the host (None: it is elsewhere), as arrays of the host."""
    if equation.primitive not in KNOWN or any(_large(out.shape) for out in equation.outputs):
        return None
    here = [x for x in inputs if x is not None]
    found = _found(equation.primitive, equation.params, here) if len(here) == len(inputs) else None
    if found is None or any(
        one.dtype != out.dtype or one.shape != out.shape for one, out in zip(found, equation.outputs, strict=True)
    ):
        return None
    return found


def on_host(x: Any) -> Array | None:
    """An array of the host as NumPy sees it; None for a tracer, and for what is elsewhere, large or of other kinds."""
    if not jaxpr.concrete(x) or not hasattr(x, "dtype") or _large(np.shape(x)):
        return None
    if x.dtype not in FLOATS and x.dtype not in (np.bool_, np.int32, np.int64):
        return None
    if isinstance(x, jax.Array):
        devices = x.devices()
        if len(devices) != 1 or next(iter(devices)).platform != "cpu":
            return None
    return np.asarray(x)


def kept(x: Array) -> bool:
    """Whether JAX would take an array of the host as it is: without its 64-bit types it would make it shorter."""
    return x.dtype.itemsize < 8 or bool(jax.config.read("jax_enable_x64"))


def _large(shape: tuple[int, ...]) -> bool:
    return int(np.prod(shape, dtype=np.int64)) > LARGEST


def normal(*arrays: Array) -> bool:
    """Whether no number lies strictly between 0 and the smallest normal one, or is it, where a rounding may cross."""
    for x in arrays:
        size = np.abs(x)
        if np.any((size != 0) & (size <= np.finfo(x.dtype).tiny)):
            return False
    return True


def _found(name: str, params: Mapping[str, Any], xs: list[Array]) -> list[Array] | None:
    if name in ROUNDED or name == "integer_pow":
        return _rounded(name, params, xs)
    if name in COMPARED:
        floats = [x for x in xs if x.dtype in FLOATS]
        return [np.asarray(COMPARED[name](*xs))] if normal(*floats) else None
    if name == "convert_element_type":
        return _converted(xs[0], np.dtype(params["new_dtype"]))
    if name == "select_n":
        return [np.where(xs[0], xs[2], xs[1])] if xs[0].dtype == np.bool_ and len(xs) == 3 else None
    if name == "iota":
        return [counted(params["dtype"], params["shape"], params["dimension"])] if not xs else None
    return rearranged(name, params, xs)


def counted(kind: Any, shape: tuple[int, ...], axis: int) -> Array:
    """0, 1, 2, ... along an axis."""
    places = [-1 if i == axis else 1 for i in range(len(shape))]
    return np.array(np.broadcast_to(np.arange(shape[axis]).astype(kind).reshape(places), shape))


def _rounded(name: str, params: Mapping[str, Any], xs: list[Array]) -> list[Array] | None:
    if name in INTEGERS and all(x.dtype in (np.int32, np.int64) for x in xs):
        with np.errstate(over="ignore"):
            return [np.asarray(ROUNDED[name](*xs))]
    if any(x.dtype not in FLOATS for x in xs) or not normal(*xs):
        return None
    if name == "integer_pow":
        if params["y"] != 2:
            return None
        name = "square"
    if name == "div" and xs[0].shape != xs[1].shape:
        return None
    if name == "sqrt" and params.get("accuracy") is not None:
        return None
    with np.errstate(all="ignore"):
        found = np.asarray(ROUNDED[name](*xs))
    return [found] if normal(found) else None


def _converted(x: Array, kind: np.dtype) -> list[Array] | None:
    """Floats to longer or shorter floats, and integers and truth values to floats; not floats to integers."""
    if kind not in FLOATS or (x.dtype in FLOATS and not normal(x)):
        return None
    with np.errstate(all="ignore"):
        found = x.astype(kind)
    return [found] if normal(found) else None


OTHERS = ("concatenate", "convert_element_type", "integer_pow", "iota", "pad", "select_n", "split")
KNOWN = frozenset((*ROUNDED, *COMPARED, *MOVES, *OTHERS))
"""Primitives of which there is something to say here."""
