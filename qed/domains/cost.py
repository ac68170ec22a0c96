"""Operations counted over the graph: of the function, and of its local linear maps pushed forward or pulled back.

For an equation y = f(x1, ..., xk) the *value* costs what computing y costs, and the *linear* part what it costs to
apply its local derivatives once, dy = sum_i f_i dx_i. Pulling a cotangent back, x_i += y' f_i, takes the same products
in the other order. So with V and L the sums over all equations

    one reverse sweep           V + L        the whole gradient
    one forward product         V + L        one directional derivative; n of them make a gradient
    central differences         2 n V

and L/V is bounded by a small constant, whatever n: the cheap gradient principle. An operation is one
addition, multiplication, comparison or elementary function of one number; a product of matrices of m x k and k x n
takes 2 m n k of them; what only moves numbers takes none.

Reference: Griewank and Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, sections 3.1 to 3.3 and rule 10.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qed import facts
from qed.domains.backward import activity
from qed.facts.expression import Call, Choice, Expression, Operation
from qed.graph.calls import Cond, Inline, Scan, While
from qed.graph.graph import Atom, Equation, Graph, Variable

_CUBIC = {
    "cholesky": 1 / 3,
    "lu": 2 / 3,
    "qr": 2.0,
    "geqrf": 4 / 3,
    "eigh": 9.0,
    "eig": 25.0,
    "svd": 20.0,
    "schur": 25.0,
}
"""Operations of a factorisation over n^3; Golub and Van Loan, *Matrix Computations*, 4th ed., 2013."""


@dataclass(frozen=True)
class Count:
    """What one run of a graph takes.

    Args:
        value: operations of the function.
        linear: operations of one pass through all its local derivatives, forward or backward.
        equations: how many equations are executed.
        bytes: of all values that they define.
        uncounted: primitives whose operations are not known; the numbers are lower bounds then.
        open_loops: how many loops have no known length; each is counted as one step.
    """

    value: float = 0.0
    linear: float = 0.0
    equations: int = 0
    bytes: int = 0
    uncounted: frozenset[str] = frozenset()
    open_loops: int = 0

    def plus(self, other: Count, times: int = 1) -> Count:
        """The sum with `times` runs of another."""
        return Count(
            self.value + times * other.value,
            self.linear + times * other.linear,
            self.equations + times * other.equations,
            self.bytes + times * other.bytes,
            self.uncounted | other.uncounted,
            self.open_loops + other.open_loops,
        )

    @property
    def sweep(self) -> float:
        """Operations of one forward and one reverse pass."""
        return self.value + self.linear

    @property
    def bounded(self) -> float:
        """The same; infinite where a loop has no known length."""
        return math.inf if self.open_loops else self.sweep


def count(graph: Graph, active: Sequence[int], *, loops_once: bool = False) -> Count:
    """Count a graph without running it; of the branches of a cond the most expensive one.

    Args:
        graph: the graph.
        active: positions of the inputs that are differentiated.
        loops_once: count the body of each loop once, as XLA's own cost analysis does.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> traced = trace(lambda w, x: jnp.sum(jnp.tanh(x @ w)), jnp.ones((5, 7)), jnp.ones((3, 5)))
        >>> found = count(traced.graph, traced.free)
        >>> found.value, found.linear  # 2*3*5*7 + 21 + 20, and 2*3*5*7 + 4*21
        (251.0, 294.0)
    """
    wanted = set(active)
    flags = {variable: i in wanted for i, variable in enumerate(graph.inputs)}
    found, _ = _graph(graph, flags, loops_once)
    return found


def _graph(graph: Graph, flags: dict[Variable, bool], once: bool) -> tuple[Count, list[bool]]:
    total, uses = Count(), dict[Variable, int]()
    for equation in graph.equations:
        mine = [_on(flags, atom) for atom in equation.inputs]
        part, outs = _equation(equation, mine, once)
        flags.update(zip(equation.outputs, outs, strict=True))
        total = total.plus(part)
        for atom, on in zip(equation.inputs, mine, strict=True):
            if on and any(outs) and isinstance(atom, Variable):
                uses[atom] = uses.get(atom, 0) + 1
    sums = sum((n - 1) * size(variable.shape) for variable, n in uses.items())
    return total.plus(Count(linear=float(sums))), [_on(flags, atom) for atom in graph.outputs]


def _on(flags: dict[Variable, bool], atom: Atom) -> bool:
    return isinstance(atom, Variable) and flags.get(atom, False)


def _equation(equation: Equation, active: Sequence[bool], once: bool) -> tuple[Count, list[bool]]:
    match equation.call:
        case None:
            outs = list(activity(equation, active)) if any(active) else [False] * len(equation.outputs)
            return leaf(equation, active if any(outs) else [False] * len(active)), outs
        case Inline(graph=graph):
            return _graph(graph, dict(zip(graph.inputs, active, strict=True)), once)
        case Cond(branches=branches):
            found = [_graph(b, dict(zip(b.inputs, active[1:], strict=True)), once) for b in branches]
            most = max((part for part, _ in found), key=lambda part: part.sweep)
            return most, [any(column) for column in zip(*(outs for _, outs in found), strict=True)]
        case Scan() as scan:
            part, outs = _loop(scan.body, active, scan.constants, scan.carry, once)
            return Count().plus(part, 1 if once else scan.length), outs
        case While() as loop:
            start = loop.condition_constants
            part, outs = _loop(loop.body, active[start:], loop.body_constants, len(equation.outputs), once)
            test, _ = _graph(loop.condition, {}, once)
            return part.plus(test).plus(Count(open_loops=1)), outs
    raise TypeError(equation.call)


def _loop(body: Graph, active: Sequence[bool], constants: int, carry: int, once: bool) -> tuple[Count, list[bool]]:
    """One step, with as much of the carry active as any step makes it."""
    flags = list(active)
    while True:
        part, outs = _graph(body, dict(zip(body.inputs, flags, strict=True)), once)
        grown = [*flags[:constants], *(a or b for a, b in zip(flags[constants:], outs[:carry], strict=False))]
        grown += flags[len(grown) :]
        if grown == flags:
            return part, outs
        flags = grown


def size(shape: Sequence[int]) -> int:
    """How many numbers an array of this shape holds."""
    return math.prod(shape)


def leaf(equation: Equation, active: Sequence[bool]) -> Count:
    """What one execution of a leaf equation takes, its local derivatives those in the active inputs."""
    held = sum(size(v.shape) * getattr(v.dtype, "itemsize", 4) for v in equation.outputs if v.dtype is not None)
    value = _value(equation)
    unknown = frozenset({equation.primitive}) if value is None else frozenset()
    linear = _linear(equation, active, value or 0.0) if any(active) else 0.0
    return Count(value or 0.0, linear, 1, held, unknown)


def _value(equation: Equation) -> float | None:
    name, kind = equation.primitive, facts.classify(equation.primitive)
    out = size(equation.outputs[0].shape) if equation.outputs else 0
    first = size(equation.inputs[0].shape) if equation.inputs else 0
    match kind:
        case facts.Class.UNARY if name == "integer_pow":
            return float(out * max(1, abs(int(equation.params["y"])).bit_length()  # squarings
                                   + abs(int(equation.params["y"])).bit_count() - 2))  # fmt: skip
        case facts.Class.UNARY | facts.Class.ARITHMETIC | facts.Class.COMPARE | facts.Class.SELECT:
            return float(out)
        case facts.Class.BILINEAR:
            return 2.0 * out * _depth(equation)
        case facts.Class.LINEAR:
            return _linear_value(equation, first, out)
        case facts.Class.REDUCE:
            along = first * max(1.0, math.log2(max(first, 2))) if name in ("sort", "top_k") else float(first - 1)
            return max(0.0, along if name.startswith(("cum", "sort", "top")) else float(first - out))
        case facts.Class.INDEX:
            return float(size(equation.inputs[-1].shape)) if name.startswith("scatter-") else 0.0
        case facts.Class.LINALG:
            return _factorisation(equation)
        case facts.Class.ZERO_DERIVATIVE:
            return 0.0
    return None


def _linear_value(equation: Equation, first: int, out: int) -> float:
    match equation.primitive:
        case "reduce_sum":
            return float(max(0, first - out))
        case "convert_element_type" | "real" | "imag" | "conj" | "complex" | "cumsum" | "add_any":
            return float(out)
        case "fft":
            return 5.0 * out * math.log2(max(2, size(equation.params["fft_lengths"])))
        case "reduce_window_sum":
            return float(out * size(equation.params["window_dimensions"]))
    return 0.0


def _depth(equation: Equation) -> int:
    """How many products are added up for one number of the output."""
    if equation.primitive == "conv_general_dilated":
        kernel = equation.inputs[1].shape
        return size(kernel) // max(1, kernel[equation.params["dimension_numbers"].rhs_spec[0]])
    if "dimension_numbers" in equation.params:
        (left, _), _ = equation.params["dimension_numbers"]
        return size([equation.inputs[0].shape[axis] for axis in left])
    return equation.inputs[0].shape[-1]


def _factorisation(equation: Equation) -> float | None:
    shape = equation.inputs[0].shape
    if equation.primitive == "triangular_solve":
        return float(size(equation.inputs[1].shape) * shape[-1])
    factor = _CUBIC.get(equation.primitive)
    return None if factor is None or len(shape) < 2 else factor * size(shape) * min(shape[-2:])


def _linear(equation: Equation, active: Sequence[bool], value: float) -> float:
    name, kind = equation.primitive, facts.classify(equation.primitive)
    out = size(equation.outputs[0].shape) if equation.outputs else 0
    count = sum(active)
    if kind is facts.Class.UNARY:
        card = facts.card(name, **equation.params)
        return float(out * (1 + (1 if card is None else operations(card.derivative))))
    if kind is facts.Class.ARITHMETIC:
        card = facts.arithmetic(name, len(equation.inputs))
        partials: Sequence[Any] = [None] * len(active) if card is None else card.partials
        slopes = sum(_product(p) for p, on in zip(partials, active, strict=True) if on)
        folds = sum(out - size(a.shape) for a, on in zip(equation.inputs, active, strict=True) if on)
        return float(out * slopes + folds)
    if kind is facts.Class.LINEAR:
        back = {"broadcast_in_dim": out - size(equation.inputs[0].shape), "reduce_sum": 0}
        return float(back.get(name, value))
    if kind is facts.Class.SELECT:
        return float(out * count)
    if kind is facts.Class.BILINEAR:
        return value * count
    if kind is facts.Class.INDEX:
        return float(out)
    return 3.0 * value  # a reduction compares, selects and divides; a factorisation solves with its factors


def _product(partial: Expression | None) -> int:
    """Operations of a factor and of the multiplication by it: none for 1, a sign for -1."""
    if partial is None:
        return 4
    constant = not partial.symbols and not partial.calls
    if constant:
        return 0 if str(partial) in ("1", "0") else 1
    return 1 + operations(partial)


def operations(formula: Expression) -> int:
    """How many operations a formula takes, a repeated call counted once.

    Example:
        >>> operations(facts.card("tanh").derivative)  # (1 - y)*(1 + y)
        3
    """
    calls: set[Call] = set()

    def go(node: Expression) -> int:
        match node:
            case Operation(_, left, right):
                return 1 + go(left) + go(right)
            case Call(_, operands):
                if node in calls:
                    return 0
                calls.add(node)
                return 1 + sum(go(operand) for operand in operands)
            case Choice():
                return 1 + go(node.left) + go(node.right) + go(node.then) + go(node.otherwise)
        return 0

    return go(formula)
