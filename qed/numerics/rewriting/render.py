"""Nodes and forms as formulas in the user's own names: ``z - logsumexp(z, axis=1, keepdims=True)``."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

from qed.graph.nodes import Node, needs
from qed.numerics.rewriting.forms import Form, Term
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.signs import MOVES

_INFIX = {"add": (" + ", 1), "add_any": (" + ", 1), "sub": (" - ", 1), "mul": (" * ", 2), "div": (" / ", 2)}
_NAMES = {"logistic": "sigmoid", "reduce_sum": "sum", "reduce_max": "max", "reduce_min": "min", "reduce_prod": "prod",
          "select_n": "where", "integer_pow": "power"}  # fmt: skip
_SILENT = MOVES | {"convert_element_type", "fill", "spread", "item"}
_SECOND = frozenset(["seen_in_range", "fraction_in_range"])
"""Shown as their second operand, which they are wherever it is a number (`difference_range`)."""
LONGEST = 60
FEW = 12
"""A formula of so few nodes is written out whole where it is short."""
DEEP = 6
"""A formula that ends at names within so many operations is written out, too."""

Text = tuple[str, int]
"""A formula and how tightly its outermost operation binds: 0 choice, 1 sum, 2 product, 3 atom."""


class Formula:
    """Formulas of nodes.

    Args:
        forms: forms that nodes are the value of, by the node's number.
    """

    def __init__(self, forms: Mapping[int, Form] | None = None) -> None:
        self.forms = forms or {}

    def __call__(self, node: Node) -> str:
        """The node as the operation that it is, its operands by name."""
        whole = "" if needs(node, lambda each: False, FEW) else self._operation(node, FEW)[0]
        if 0 < len(whole) <= LONGEST:
            return whole
        deep = self._operation(node, DEEP)[0]
        return deep if len(deep) <= 2 * LONGEST and "..." not in deep else self._operation(node, 3)[0]

    def form(self, form: Form, new: Node | None = None) -> str:
        """A logarithm: the sum of its terms.

        Args:
            form: the logarithm.
            new: a node whose own name is not to be used: it is what is explained.
        """
        return self._form(form, 4, new)[0]

    def exponential(self, form: Form) -> str:
        """Exp of a form."""
        if len(form.terms) == 1 and form.terms[0].coefficient == -1:
            node = form.terms[0].node
            if node.operation == "softplus":
                return f"sigmoid({self._negated(node.children[0])})"
        return f"exp({self.form(form)})"

    def product(self, node: Node, factor: str) -> str:
        """A node times a formula."""
        return f"{self._inside(self._text(node, 3), 2)} * {factor}"

    def _form(self, form: Form, depth: int, new: Node | None = None) -> Text:
        pieces: list[tuple[bool, Text]] = []
        for term in sorted((term for term in form.terms if term.coefficient), key=_order):
            negative, size = term.coefficient < 0, abs(term.coefficient)
            number = constant_of(term.node)
            if number is not None:
                value = term.coefficient * number
                pieces.append((value < 0, (shortest(abs(value), term.node.dtype), 3)))
                continue
            text = self._operation(term.node, depth) if term.node is new else self._text(term.node, depth)
            pieces.append((negative, self._scaled(size, text)))
        if not pieces:
            return "0", 3
        if len(pieces) == 1 and not pieces[0][0]:
            return pieces[0][1]
        text = "".join(
            (" - " if negative else " + ") + self._inside(piece, 2 if negative else 1) for negative, piece in pieces
        )
        return (text[3:] if text.startswith(" + ") else "-" + text[3:]), 1

    def _scaled(self, size: float, text: Text) -> Text:
        return text if size == 1 else (f"{size:.6g} * {self._inside(text, 2)}", 2)

    def _negated(self, node: Node) -> str:
        if node.operation == "neg":
            return self._text(node.children[0], 4)[0]
        return "-" + self._inside(self._text(node, 4), 2)

    def _inside(self, text: Text, level: int) -> str:
        return text[0] if text[1] >= level else f"({text[0]})"

    def _text(self, node: Node, depth: int) -> Text:
        if node.name is not None:
            return node.name, _binding(node.name)
        if node.operation == "constant":
            return _constant(node), 3
        if node.operation in _SILENT and node.children:
            kept = self._kept_dimensions(node, depth) or self._sliced(node, depth)
            return kept if kept is not None else self._text(node.children[0], depth)
        if node.operation in _SECOND:
            return self._text(node.children[1], depth)
        if depth <= 0 or node.operation == "input":  # of a loop's body, without a name
            return "...", 3
        if node.number in self.forms:
            return self._form(self.forms[node.number], depth)
        return self._operation(node, depth)

    def _operation(self, node: Node, depth: int) -> Text:
        if node.operation in _SECOND:
            return self._operation(node.children[1], depth)
        children = [self._text(child, depth - 1) for child in node.children]
        if node.operation in _INFIX and len(children) == 2:
            sign, level = _INFIX[node.operation]
            right = level + (node.operation in ("sub", "div"))
            text = self._inside(children[0], level) + sign + self._inside(children[1], right)
            return text, level
        if node.operation == "neg":
            text = self._inside(children[0], 2)
            return (text[1:] if text.startswith("-") else "-" + text), 1
        name = _NAMES.get(node.operation, node.operation)
        options = [text for text, _ in children]
        if node.operation == "select_n" and len(options) == 3:
            options = [options[0], options[2], options[1]]
        axes = node.params.get("axes")
        if axes is not None and node.children and len(axes) < len(node.children[0].shape):
            options.append(f"axis={axes[0] if len(axes) == 1 else tuple(axes)}")
        if node.operation == "remainder":  # (f less k terms of its series at 0) / its argument to the k
            options += [f"f={node.params['f']}", f"k={node.params['k']}"]
        if node.operation == "integer_pow":
            options.append(str(node.params["y"]))
        text = f"{name}({', '.join(options)})"
        return (text if len(text) <= 2 * LONGEST else f"{name}(...)"), 3

    def _sliced(self, node: Node, depth: int) -> Text | None:
        """x[1:] and x[:-1] are not one value."""
        taken = node.children[0] if node.operation == "squeeze" and node.children[0].name is None else node
        if taken.operation != "slice" or taken.equation is None:
            return None
        shape, gone = taken.children[0].shape, node.params["dimensions"] if taken is not node else ()
        starts, ends = taken.params["start_indices"], taken.params["limit_indices"]
        steps = taken.params["strides"] or (1,) * len(shape)
        places = []
        for k, (size, start, end, step) in enumerate(zip(shape, starts, ends, steps, strict=True)):
            whole = f"{start or ''}:{'' if end == size else end}" + (f":{step}" if step != 1 else "")
            places.append(str(start) if k in gone else whole)
        while places and places[-1] == ":":
            places.pop()
        text = self._text(taken.children[0], depth)
        return (f"{self._inside(text, 3)}[{', '.join(places)}]", 3) if places else text

    def _kept_dimensions(self, node: Node, depth: int) -> Text | None:
        """A reduction along axes that are then put back with length 1 (and perhaps repeated): keepdims."""
        inner = node
        while inner.operation in _SILENT and inner.name is None and inner.children:
            inner = inner.children[0]
        axes = inner.params.get("axes")
        if axes is None or inner.name is not None or not inner.children:
            return None
        shape = inner.children[0].shape
        small = tuple(1 if i in axes else n for i, n in enumerate(shape))
        if node.shape not in (shape, small) or node.shape == inner.shape:
            return None
        text = self._operation(inner, depth)[0]
        return (text[:-1] + ", keepdims=True)" if text.endswith(")") and "axis=" in text else text), 3


def _order(term: Term) -> tuple[bool, bool]:
    """Numbers last, and before them what is subtracted."""
    return constant_of(term.node) is not None, term.coefficient < 0


def _constant(node: Node) -> str:
    if np.size(node.value) == 1:
        try:
            return shortest(float(np.asarray(node.value).reshape(())), node.dtype)
        except (TypeError, ValueError):
            return "constant"
    return "constant"


def shortest(number: float, dtype: Any) -> str:
    """The shortest text from which the dtype reads the same number.

    >>> import numpy as np
    >>> shortest(np.log(4.0), np.float32), shortest(0.5, np.float64), shortest(1e-12, np.float32)
    ('1.3862944', '0.5', '1e-12')
    """
    kind = np.dtype(dtype).type
    digits = range(1, 18)
    with np.errstate(over="ignore"):  # the largest number, rounded up to fewer digits, is none
        return next((text for k in digits if kind(float(text := f"{number:.{k}g}")) == kind(number)), repr(number))


def _binding(name: str) -> int:
    try:
        tree = ast.parse(name, mode="eval").body
    except (SyntaxError, ValueError):
        return 0
    if isinstance(tree, ast.BinOp):
        return 1 if isinstance(tree.op, ast.Add | ast.Sub) else 2
    return 3 if isinstance(tree, ast.Name | ast.Call | ast.Attribute | ast.Subscript | ast.Constant) else 0
