"""Measures on the command line: the name of one in the file, or how it is made, as in ``Normal(0, 1)``.

The text is read as calls of `qed.measures`, numbers, lists and names of the file; nothing else of Python is evaluated.
"""

from __future__ import annotations

import ast
import difflib
import math
from typing import Any

from qed.errors import QedError

NUMBERS = {"inf": math.inf, "pi": math.pi}


def measure_of(module: Any, source: str | None, text: str, option: str) -> Any:
    """The measure that a text names or makes.

    >>> from qed.cli.measure import measure_of
    >>> str(measure_of(None, None, "mixture([0.25, 0.75], [Dirac(0), Normal(0, 1)])", "--measure"))
    'a mixture of Dirac(0), Normal(0, 1)'
    """
    if text.isidentifier() and module is not None and source is not None:
        from qed.cli.target import find

        return find(module, source, text, option)
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise _wrong(option, text, "it is no expression") from None
    return _made(tree, module, option, text)


def _made(node: ast.expr, module: Any, option: str, text: str) -> Any:
    from qed import measures

    def of(one: ast.expr) -> Any:
        return _made(one, module, option, text)

    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -of(inner)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [of(item) for item in items]
        case ast.Name(id=name) if hasattr(module, name):
            return getattr(module, name)
        case ast.Name(id=name) if name in NUMBERS:
            return NUMBERS[name]
        case ast.Call(func=ast.Name(id=name), args=given, keywords=named) if name in measures.__all__:
            words = {word.arg: of(word.value) for word in named if word.arg}
            try:
                return getattr(measures, name)(*map(of, given), **words)
            except TypeError as error:
                raise _wrong(option, text, str(error)) from None
        case ast.Call(func=ast.Name(id=name)) | ast.Name(id=name):
            near = difflib.get_close_matches(name, measures.__all__, 1)
            raise _wrong(option, text, f"{name} is no measure" + (f"; is {near[0]} meant?" if near else ""))
        case _:
            raise _wrong(option, text, f"{ast.unparse(node)} is neither a measure nor a number")


def _wrong(option: str, text: str, because: str) -> QedError:
    instead = "name an object of the file, or make one: Normal(0, 1), product(Normal(0, 1), Exponential(2))"
    return QedError("QED007", f"{option} {text} names no measure", because, instead)
