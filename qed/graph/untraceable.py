"""Why a function cannot be turned into a graph, said in the user's terms and with the user's line."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Sequence
from typing import Any

import jax

from qed.errors import QedError
from qed.graph.source import is_library
from qed.span import Span


def name_of(loss: Any) -> str:
    """The function's name, or that of its class."""
    return getattr(loss, "__name__", None) or type(loss).__name__


def definition(loss: Any) -> Span | None:
    """The line where the function is defined, where it is a Python function."""
    try:
        code = inspect.unwrap(loss).__code__
    except AttributeError:
        return None
    return Span(code.co_filename, code.co_firstlineno, function=code.co_name)


_TRACER_ERRORS: tuple[tuple[str, str, str], ...] = (
    (
        "TracerBoolConversionError",
        "Python needs a True or False here",
        "use jnp.where or jax.lax.cond instead of if/while",
    ),
    (
        "TracerArrayConversionError",
        "NumPy needs the numbers themselves here",
        "use jax.numpy instead of numpy",
    ),
    (
        "TracerIntegerConversionError",
        "Python needs an integer here",
        "use jnp.take or jax.lax.dynamic_slice to index",
    ),
    (
        "NonConcreteBooleanIndexError",
        "the shape would depend on the values",
        "use jnp.where with a fixed shape",
    ),
    (
        "ConcretizationTypeError",
        "Python needs the number itself here",
        "keep the value in jax.numpy, or pass it as a constant",
    ),
)


def why_not_traceable(error: Exception, loss: Any, arguments: Sequence[Any]) -> QedError:
    """The coded error for an exception that tracing raised: QED010 for tracer conversions, else QED007."""
    span = user_line(error)
    name = name_of(loss)
    for cls in type(error).__mro__:
        for kind, because, instead in _TRACER_ERRORS:
            if cls.__name__ == kind:
                what = f"{name} cannot be traced" + (f" at {span}" if span else "")
                return QedError(
                    "QED010",
                    what,
                    f"it depends on a value that is not known while the graph is read: {because}",
                    instead,
                    span,
                )
    first = str(error).strip().splitlines()
    message = f"{type(error).__name__}: {first[0] if first else ''}".rstrip(": ")
    if len(message) > 240:
        message = message[:237] + "..."
    shapes = ", ".join(_describe(a) for a in arguments)
    instead = f"call {name} with arguments that fit; it was called with {shapes}"
    if span is None and "missing" in message and "argument" in message:
        instead = f"give its data too: args=(...), or --args NAME,NAME; it was called with {shapes}"
    what = f"{name} raised an exception when it was called" + (f", at {span}" if span else "")
    return QedError("QED007", what, message, instead, span)


def not_differentiable(error: Exception, name: str, span: Span | None) -> Exception:
    """The coded error for a loss whose gradient JAX cannot make; any other error as it is."""
    message = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    signs = {
        "Reverse-mode differentiation": "use jax.lax.scan, or fori_loop with bounds that are Python integers",
        "do not support JVP": "write the callback in jax.numpy, or give it a rule with jax.custom_vjp",
        "JVP not implemented": "write it with primitives that have a derivative (x.at[i].set(f(x[i])) for apply)",
        "Differentiation rule for": "give it a rule with jax.custom_vjp",
    }
    for sign, instead in signs.items():
        if sign in message:
            what = f"{name} has no gradient in JAX"
            return QedError("QED010", what, message, instead, span)
    return error


def _describe(argument: Any) -> str:
    leaves = jax.tree.leaves(argument)
    if len(leaves) == 1 and hasattr(leaves[0], "shape"):
        return f"{leaves[0].dtype}{list(leaves[0].shape)}"
    return f"a {type(argument).__name__} of {len(leaves)} arrays" if len(leaves) > 1 else f"a {type(argument).__name__}"


def user_line(error: BaseException) -> Span | None:
    """The innermost line of the user's in an exception's traceback."""
    found = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        if not is_library(frame.f_code.co_filename):
            found = (frame, line)
    if found is None:
        return None
    frame, line = found
    summary = traceback.extract_tb(error.__traceback__)
    for entry in reversed(summary):
        if entry.filename == frame.f_code.co_filename and entry.lineno == line:
            column, end = getattr(entry, "colno", None), getattr(entry, "end_colno", None)
            return Span(entry.filename, line, column or 0, entry.end_lineno or line, end, entry.name)
    return Span(frame.f_code.co_filename, line, function=frame.f_code.co_name)
