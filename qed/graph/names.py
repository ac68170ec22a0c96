"""What the user calls a value: the variable it is assigned to, or the expression as it stands in the source.

An equation knows the columns of the expression that made it. If these are the whole right-hand side of an
assignment ``z = X @ w["W"] + w["b"]``, the value is called z; if they are some other expression, it is
called what is written there. A wrong name is worse than none, so a value gets one only if

- it is no part of a derivative that the user took (`jax.grad`): cos x has the columns of sin(x) there, and a cotangent
  those of the expression whose cotangent it is;
- it is the last of the equations with these columns (an expression makes several: a product, a broadcast, a sum), and
  no step occurs there twice (a loop, or a function called more than once, where one name means several values);
- the source parses and has an expression at exactly these columns;
- no variable in question is bound more than once in the function around it.
"""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Callable, Mapping, Sequence

from qed.graph import jaxpr
from qed.graph.graph import Graph
from qed.span import Span

LONGEST = 40

_Place = tuple[int, int, int, int]


def assigned(graph: Graph) -> Mapping[int, str]:
    r"""Names of what the equations of a graph define, by the index of the equation; most have none.

    Example:
        >>> from qed.graph.graph import Equation, Graph, Variable
        >>> import linecache
        >>> linecache.cache["demo.py"] = (1, None, ["p = exp(z)\n"], "demo.py")
        >>> z, p = Variable((), "float32"), Variable((), "float32")
        >>> span = Span("demo.py", 1, 4, 1, 10)
        >>> assigned(Graph((z,), (Equation("exp", (z,), (p,), span=span),), (p,)))
        {0: 'p'}
    """
    last: dict[Span, int] = {}
    steps: dict[Span, list[str]] = {}
    for index, equation in enumerate(graph.equations):
        if equation.span is not None and not jaxpr.of_derivative(equation.native):
            last[equation.span] = index
            shapes = [variable.shape for variable in equation.outputs]
            steps.setdefault(equation.span, []).append(f"{equation.primitive} {shapes}")
    found: dict[int, str] = {}
    for span, index in last.items():
        if len(set(steps[span])) == len(steps[span]) and len(graph.equations[index].outputs) == 1:
            name = name_at(span)
            if name is not None:
                found[index] = name
    return found


def of_program(written: Graph) -> Callable[[Graph], Mapping[int, str]]:
    """Names in a graph that was made from another one, such as its derivative, for the values that both compute.

    An equation of a derivative has the columns of the expression that it is the derivative of, and of a function that
    JAX keeps a derivative of, even those of another program. Only what is named in the graph as written has that name,
    and only the one equation with its columns and primitive.
    """
    known: dict[tuple[Span, str], str] = {}
    graphs = [written]
    for equation in written.walk():
        graphs += equation.call.graphs if equation.call is not None else []
    for graph in graphs:
        for index, name in assigned(graph).items():
            equation = graph.equations[index]
            if equation.span is not None:
                known[equation.span, equation.primitive] = name

    def names(graph: Graph) -> Mapping[int, str]:
        places: dict[tuple[Span, str], list[int]] = {}
        for index, equation in enumerate(graph.equations):
            if equation.span is not None and len(equation.outputs) == 1:
                places.setdefault((equation.span, equation.primitive), []).append(index)
        return {found[0]: known[place] for place, found in places.items() if len(found) == 1 and place in known}

    return names


def name_at(span: Span) -> str | None:
    """What the user calls the value of the expression at a span, or None."""
    if span.end_line is None or span.end_column is None:
        return None
    source = "".join(linecache.getlines(span.file))
    if not source:
        return None
    found = None
    for name in _names(source).get((span.line, span.column, span.end_line, span.end_column), ()):
        found = name(found)
    return found


_Name = Callable[[str | None], str | None]
"""(the name by what stands before at the same place) -> the name."""


@functools.lru_cache(maxsize=64)
def _names(source: str) -> Mapping[_Place, Sequence[_Name]]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return {}
    lines = source.split("\n")
    found: dict[_Place, list[_Name]] = {}
    _scope(tree, lines, found)
    return found


def _scope(scope: ast.AST, lines: list[str], found: dict[_Place, list[_Name]]) -> None:
    """Names of the expressions in one function (or the module), then of the functions inside it."""
    own: list[ast.AST] = []
    inner: list[ast.AST] = []
    pending = list(ast.iter_child_nodes(scope))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            inner.append(node)
            continue
        own.append(node)
        pending.extend(ast.iter_child_nodes(node))
    bound = _bindings(scope, own)
    for node in own:
        if isinstance(node, ast.expr):
            found.setdefault(_place(node, lines), []).append(functools.partial(_as_written, node, bound))
    for node in own:
        target, value = _assignment(node)
        if target is not None and value is not None:
            found.setdefault(_place(value, lines), []).append(functools.partial(_as_assigned, target, value, bound))
    for node in inner:
        _scope(node, lines, found)


def _as_written(node: ast.expr, bound: Mapping[str, int], before: str | None) -> str | None:
    """The expression itself, where its variables mean one value throughout."""
    text = ast.unparse(node) if _settled(node, bound) else "\n"
    return text if "\n" not in text and len(text) <= LONGEST else before


def _as_assigned(target: str, value: ast.expr, bound: Mapping[str, int], before: str | None) -> str | None:
    """The variable that an expression is assigned to, if that is its only value."""
    if bound.get(target, 0) == 1:
        return target
    return before if _settled(value, bound) else None


def _assignment(node: ast.AST) -> tuple[str | None, ast.expr | None]:
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id, node.value
    if isinstance(node, ast.AnnAssign | ast.NamedExpr) and isinstance(node.target, ast.Name):
        return node.target.id, node.value
    return None, None


def _bindings(scope: ast.AST, own: list[ast.AST]) -> dict[str, int]:
    """How often each name is bound in a scope; an argument counts as once."""
    bound: dict[str, int] = {}
    names = [node.id for node in own if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)]
    names += [node.target.id for node in own if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)]
    names += [node.arg for node in own if isinstance(node, ast.arg)]
    for name in names:
        bound[name] = bound.get(name, 0) + 1
    return bound


def _settled(node: ast.expr, bound: Mapping[str, int]) -> bool:
    """Whether every variable in an expression means one value throughout its function."""
    return all(bound.get(part.id, 0) <= 1 for part in ast.walk(node) if isinstance(part, ast.Name))


def _place(node: ast.expr, lines: list[str]) -> _Place:
    """Lines and columns in characters; the parser counts bytes."""
    end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
    start, stop = _characters(lines[node.lineno - 1], node.col_offset), _characters(lines[end_line - 1], end_column)
    return node.lineno, start, end_line, stop


def _characters(line: str, count: int) -> int:
    """How many characters the first bytes of a line are."""
    return count if line.isascii() else len(line.encode()[:count].decode(errors="ignore"))
