"""Where functions are defined, as JAX keeps it: those of jaxprs, and the derivative rules of calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jax

from qed.graph.source import is_library
from qed.span import Span

_SOURCE = re.compile(r"^(?P<function>.*?) at (?P<file>.*):(?P<line>\d+)$")


def debug(jaxpr: Any) -> re.Match[str] | None:
    """Where a jaxpr's function stands: its name, file and line, as far as JAX keeps them."""
    info = getattr(jaxpr, "debug_info", None)
    text = getattr(info, "func_src_info", None)
    return _SOURCE.match(text) if isinstance(text, str) else None


def name_of(jaxpr: Any) -> str:
    """The name of a jaxpr's function."""
    found = debug(jaxpr)
    return found["function"] if found else "fun"


def boundary_of(jaxpr: Any) -> tuple[str, str] | None:
    """File and name of a library's function, of whose frames nothing further out is the user's line; else None."""
    found = debug(jaxpr)
    if found is None or not is_library(found["file"]):
        return None
    return found["file"], found["function"]


RULES = ("bwd", "jvp_jaxpr_fun", "fwd_jaxpr_thunk")
"""Where a call with a derivative rule keeps the functions of the rule, the one to blame first."""


def rule_span(native: Any) -> Span | None:
    """The line where the user's derivative rule of a call is defined; None where only library code stands there."""
    for key in RULES:
        span = function_span(native.params.get(key))
        if span is not None:
            return span
    for key in RULES:
        for code in _codes(native.params.get(key)):
            if not is_library(code.co_filename):
                return Span(code.co_filename, code.co_firstlineno, function=code.co_name)
    return None


def library_rule(native: Any) -> bool:
    """Whether a call with a derivative rule belongs to JAX itself, such as `jax.nn.relu`: function and rule.

    What JAX makes around functions of the user's (`jax.custom_gradient`, ``defjvps``) is the user's.
    """
    inner = native.params.get("call_jaxpr", native.params.get("fun_jaxpr"))
    found = debug(inner if hasattr(inner, "debug_info") else getattr(inner, "jaxpr", None))
    if found is None or rule_span(native) is not None:
        return False
    file = found["file"].replace("\\", "/")
    return f"/{jax.__name__}/" in file and is_library(file) and not file.endswith("/custom_derivatives.py")


def _codes(found: Any, depth: int = 8) -> Iterator[Any]:
    """The code of a function and of the functions that it closes over, as far as JAX's wrappers go."""
    if depth == 0 or found is None:
        return
    if isinstance(found, list | tuple):
        for each in found:
            yield from _codes(each, depth - 1)
        return
    code = getattr(found, "__code__", None)
    if code is not None and not is_library(code.co_filename):
        yield code
        return
    for cell in getattr(found, "__closure__", None) or ():
        try:
            inner = cell.cell_contents
        except ValueError:  # not filled yet
            continue
        yield from _codes(inner, depth - 1)
    for name in ("f", "func", "__wrapped__", "fun"):
        yield from _codes(getattr(found, name, None), depth - 1)


def function_span(jaxpr: Any) -> Span | None:
    """The line where the user's function of a jaxpr is defined; None where it is a library's."""
    found = debug(jaxpr)
    if found is None or is_library(found["file"]):
        return None
    return Span(found["file"], int(found["line"]), function=found["function"])


__all__ = ["RULES", "boundary_of", "debug", "function_span", "library_rule", "name_of", "rule_span"]
