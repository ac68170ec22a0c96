"""Where in the user's file an equation was written: file, line, columns.

An equation is created deep inside library code; the line that its author wants to see is the innermost frame
of the Python stack that is *theirs*. A frame belongs to a library if its file lies in an installed package, in
the standard library or in qed. The front end hands over the stack as plain frames (innermost first).

JAX keeps the graph of a jitted function and re-uses it: the equations inside then carry the stack of the *first*
call. For a library function (``jax.nn.relu``) that stack would blame the wrong line the second time. Frames are
therefore read only up to the frame of the called function itself (`boundary`); if no frame of the user's lies
inside it, the equation has no line of its own and takes that of the call around it.
"""

from __future__ import annotations

import ast
import functools
import linecache
import os
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass

from qed.span import Span


@dataclass(frozen=True)
class StackFrame:
    """One frame of a Python stack, with columns where the interpreter recorded them."""

    file: str
    function: str
    line: int
    column: int
    end_line: int
    end_column: int


@functools.cache
def _library_roots() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    roots = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib") if key in paths}
    roots.add(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return tuple(sorted({os.path.realpath(root) + os.sep for root in roots} | {r + os.sep for r in roots}))


def is_library(file: str) -> bool:
    """True for files of installed packages, of the standard library and of qed itself.

    Example:
        >>> import json
        >>> is_library(json.__file__), is_library("train.py")
        (True, False)
    """
    if file.startswith("<"):
        return not file.startswith("<ipython") and not linecache.getlines(file)
    return _is_installed(file)


@functools.cache
def _is_installed(file: str) -> bool:
    path = os.path.abspath(file)
    if f"{os.sep}site-packages{os.sep}" in path or f"{os.sep}dist-packages{os.sep}" in path:
        return True
    return path.startswith(_library_roots())


def _is_nameless(frame: StackFrame) -> bool:
    """Whether the line is of code that was given as a text, and the source under its name (<string>) is another's."""
    made = frame.file.startswith("<") and not frame.file.startswith("<ipython")
    return made and not linecache.getline(frame.file, frame.line).strip()


def user_span(stack: Iterable[StackFrame], boundary: tuple[str, str] | None = None) -> Span | None:
    """The innermost frame of the user's, or None.

    Args:
        stack: frames, innermost first.
        boundary: (file, function) of the called function around the equation; frames beyond it belong to one
            particular call and are not read.

    Returns:
        The span, or None where the user wrote no line inside the boundary.
    """
    for frame in stack:
        if not is_library(frame.file) and not _is_nameless(frame):
            return Span(frame.file, frame.line, frame.column, frame.end_line, frame.end_column, frame.function)
        if boundary is not None and (frame.file, frame.function) == boundary:
            return None
    return None


def operand_texts(span: Span | None) -> tuple[str, ...]:
    """The operands of the expression under a span, as the user wrote them; () where the source does not show them.

    Example: the span of ``jnp.exp(z)`` gives ``('z',)``, that of ``p / total`` gives ``('p', 'total')``.
    """
    if span is None or span.end_line not in (None, span.line):
        return ()
    text = linecache.getline(span.file, span.line)[span.column : span.end_column].strip()
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return ()
    match node:
        case ast.BinOp():
            parts: list[ast.expr] = [node.left, node.right]
        case ast.UnaryOp():
            parts = [node.operand]
        case ast.Call(func=ast.Attribute(value=owner)) if not node.args or _is_method(owner):
            parts = [owner, *node.args]
        case ast.Call():
            parts = list(node.args)
        case _:
            return ()
    return tuple(ast.unparse(part) for part in parts)


def _is_method(owner: ast.expr) -> bool:
    """Whether ``owner.f(...)`` is a method of a value, not a function of a module such as jnp or jax.nn."""
    root = owner
    while isinstance(root, ast.Attribute):
        root = root.value
    return not (isinstance(root, ast.Name) and root.id in ("jnp", "np", "jax", "lax", "numpy", "nn", "jsp", "math"))
