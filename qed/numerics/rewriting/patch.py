"""A rewriting as source code: the user's line, a jnp expression in its place, and the expression tried.

The formula of a change is written with the user's names. Here its functions get the modules that they live in, and the
expression is evaluated at the point, with the values that the names have there: it is handed out only where it gives
what the rewritten graph gives.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.build import reachable
from qed.graph.dtypes import as_wide, is_real, unit_roundoff
from qed.numerics import logspace
from qed.numerics.rewriting.change import Change
from qed.numerics.rewriting.code import spelled
from qed.numerics.rewriting.session import Rewritten
from qed.span import Span

_MODULES = {
    "jnp": "abs exp exp2 expm1 log log1p sqrt cbrt sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh arcsinh "
    "arccosh arctanh sum prod max min where maximum minimum power square sign logaddexp floor ceil cumsum hypot",
    "jax.nn": "sigmoid softplus logsumexp log_softmax softmax",
    "jax.scipy.special": "erf erfc log_ndtr xlogy xlog1py gammaln",
    "jax.lax": "rsqrt",
    "qed.logspace": "log1mexp logdiffexp",
}
_QUALIFIED = {name: f"{module}.{name}" for module, names in _MODULES.items() for name in names.split()}
_TWO = {"max": "jnp.maximum", "min": "jnp.minimum"}
_ALSO = {
    "lgamma": "jax.scipy.special.gammaln",
    "igamma": "jax.scipy.special.gammainc",
    "igammac": "jax.scipy.special.gammaincc",
    "bessel_i0e": "jax.scipy.special.i0e",
    "bessel_i1e": "jax.scipy.special.i1e",
    "pow": "jnp.power",
    **{name: f"jnp.arc{name[1:]}" for name in "atan atan2 asin acos asinh acosh atanh".split()},
}

TOLERANCE = 3.0
"""Bits by which the expression may differ from the rewritten graph."""


@dataclass(frozen=True)
class Patch:
    """An expression of the user's, and what takes its place.

    Args:
        span: the expression.
        expression: what takes its place, evaluated and found right.
        line: the line as it is, '' where the source does not show it.
        put: the expression with the brackets that it needs there.
    """

    span: Span | None
    expression: str
    line: str = ""
    put: str = ""


def together(patches: Sequence[Patch]) -> str:
    """Patches as text, those of one line as one change; an expression that holds another goes before it."""
    lines: dict[tuple[str, int], list[Patch]] = {}
    texts: list[str] = []
    for each in patches:
        if each.span is None or not each.line:
            where = f"line {each.span.line}: " if each.span is not None else ""
            texts.append(f"{where}{each.expression}")
        else:
            lines.setdefault((each.span.file, each.span.line), []).append(each)
    for (_, number), found in lines.items():
        text, end = found[0].line, len(found[0].line) + 1
        for each in sorted(found, key=lambda p: (-_columns(p)[0], -_columns(p)[1])):
            first, last = _columns(each)
            inside = [p for p in found if p is not each and _columns(p)[0] <= first and last <= _columns(p)[1]]
            if last <= end and not inside:
                text, end = text[:first] + each.put + text[last:], first
        where = f"line {number}: "
        texts.append(f"{where}- {found[0].line.strip()}\n{' ' * len(where)}+ {text.strip()}")
    return "\n".join(dict.fromkeys(texts))


def _columns(each: Patch) -> tuple[int, int]:
    assert each.span is not None
    assert each.span.end_column is not None
    return each.span.column, each.span.end_column


def patch(found: Rewritten, change: Change, arrays: Sequence[Any]) -> Patch | None:
    """The change as code that was tried, or None where its formula is no code or does not give the value.

    Args:
        found: the rewritten graph.
        change: one of its changes.
        arrays: the inputs of the graph at a point.
    """
    if change.new is None or change.old is None:
        return None
    tree = _parsed(change.after)
    if tree is None:
        return None
    qualified = _Qualify().visit(copy.deepcopy(tree))
    if not _is_code(qualified):
        return None
    named = {n.name: n for n in reachable([change.new, change.old]) if n.name is not None and n is not change.new}
    try:
        *values, wanted = found.evaluated([*named.values(), change.new])(*arrays)
        with jax.enable_x64(True) if found.longer else nullcontext():
            got = _evaluated(qualified, dict(zip(named, values, strict=True)))
    except Exception:  # the formula means something else as code
        return None
    expression = ast.unparse(qualified)
    if not _agree(got, wanted) or expression == _written(change):
        return None
    return Patch(change.span, expression, *_line(change.span, expression))


def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return None


def _written(change: Change) -> str:
    """What stands there, its functions by their modules."""
    tree = _parsed(change.before)
    return "" if tree is None else ast.unparse(_Qualify().visit(tree))


class _Qualify(ast.NodeTransformer):
    """Puts the modules before the names of functions."""

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        """x - logsumexp(x, axis=k, keepdims=True) is a function of its own, which keeps more digits."""
        match node:
            case ast.BinOp(
                left=left,
                op=ast.Sub(),
                right=ast.Call(
                    func=ast.Name(id="logsumexp"), args=[of], keywords=[ast.keyword(arg="axis") as axis, kept]
                ),
            ) if kept.arg == "keepdims" and ast.dump(left) == ast.dump(of):
                function = ast.parse("jax.nn.log_softmax", mode="eval").body
                return ast.Call(function, [self.visit(left)], [axis])
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> Any:
        """Functions by the modules that they live in."""
        self.generic_visit(node)
        if isinstance(node.func, ast.Name):
            name = node.func.id
            text = spelled(name, node.args, node.keywords)
            if text is not None:
                return ast.parse(text, mode="eval").body
            two = name in _TWO and len(node.args) == 2
            known = _TWO[name] if two else _QUALIFIED.get(name) or _ALSO.get(name)
            if known is not None:
                node.func = ast.parse(known, mode="eval").body  # type: ignore[assignment]
        return node


def _is_code(tree: ast.expr) -> bool:
    return not any(
        (isinstance(n, ast.Constant) and n.value is Ellipsis)
        or (isinstance(n, ast.Call) and isinstance(n.func, ast.Name))
        for n in ast.walk(tree)
    )


class _Placed(ast.NodeTransformer):
    """Puts a variable in the place of each expression whose value is known."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self.known = known

    def generic_visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.expr):
            found = self.known.get(ast.dump(node))
            if found is not None:
                return ast.Name(found, ast.Load())
        return super().generic_visit(node)

    visit_Call = generic_visit


def _evaluated(tree: ast.expr, values: Mapping[str, Any]) -> Any:
    import qed

    known, scope = {}, {"jnp": jnp, "jax": jax, "qed": qed, "logspace": logspace}
    for number, (name, value) in enumerate(values.items()):
        expression = _parsed(name)
        if expression is not None:
            known[ast.dump(expression)] = f"value_{number}"
            scope[f"value_{number}"] = value
    placed = ast.fix_missing_locations(ast.Expression(_Placed(known).visit(copy.deepcopy(tree))))
    return eval(compile(placed, "<patch>", "eval"), {"__builtins__": {}}, scope)


def _agree(got: Any, wanted: Any) -> bool:
    if getattr(got, "shape", ()) != wanted.shape or not is_real(wanted.dtype):
        return False
    a, b = as_wide(np.asarray(got, wanted.dtype)), as_wide(wanted)
    with np.errstate(all="ignore"):
        off = np.abs(a - b) <= 2**TOLERANCE * unit_roundoff(wanted.dtype) * np.abs(b)
    return bool(np.all(off | (a == b)))


def _line(span: Span | None, expression: str) -> tuple[str, str]:
    """The line under a span, and what is to stand there in place of the expression."""
    if span is None or span.end_line not in (None, span.line) or span.end_column is None:
        return "", ""
    text = span.text
    inside = text[span.column : span.end_column]
    if _parsed(inside.strip()) is None:
        return "", ""
    body = ast.parse(expression, mode="eval").body
    atom = isinstance(body, ast.Call | ast.Name | ast.Attribute | ast.Subscript | ast.Constant)
    alone = text.strip() in (f"return {inside}", inside) or text.strip().endswith(f"= {inside}")
    put = expression if atom or alone else f"({expression})"
    return text, put


__all__ = ["Patch", "patch", "together"]
