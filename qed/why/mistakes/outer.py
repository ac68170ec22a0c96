"""A column of predictions minus a row of labels: every prediction is compared with every label.

NumPy's rules broadcast (n, 1) and (n,) to (n, n). Where p is what the model says and y the labels,

    mean over i, j of (p_i - y_j)^2 = mean over i of (p_i - mean y)^2 + variance of y,

so that the best a model can do is to answer mean y to everything, and the loss never falls below the variance of y.

Some losses compare all with all on purpose (kernels, rankings, energy distances). What is taken for a mistake
is therefore narrow: a difference that the user wrote with a bare operand on each side, one side a column that depends
on parameters and on data, the other labels alone that stem from other data; stretched by the difference itself and not
by ``[:, None]``; and summed, after a square or an absolute value, over both axes.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.answer import Advice, Answer, Finding, Reason, Standing
from qed.graph.graph import Atom, Equation, Variable
from qed.why.case import Case
from qed.why.mistakes.flat import SAME, Flat, compute, literal
from qed.why.mistakes.tried import advice
from qed.why.trial import Run
from qed.why.words import number

_FREE_SIGN = SAME | {"neg"}
_RESHAPES = frozenset({"broadcast_in_dim", "reshape", "expand_dims"})
_EVEN = frozenset({"square", "integer_pow", "abs"})


@dataclass(frozen=True, eq=False)
class _Outer:
    """The difference, its labels, which power follows, and whether its mean (not its sum) is the loss."""

    equation: Equation
    predictions: Variable
    labels: Variable
    power: int | None
    mean: bool

    @property
    def table(self) -> Variable:
        """All differences, (n, n)."""
        return self.equation.outputs[0]

    @property
    def rows(self) -> int:
        """The n of (n, n)."""
        return self.table.shape[0]


def crosswise(case: Case, flat: Flat, run: Run) -> list[Answer[Any]]:
    """A residual of shape (n, n) that should have n entries (QED211)."""
    pairs = [equation for equation in flat.graph.equations if _is_table(equation)]
    if any(all(flat.on_parameters(atom) for atom in equation.inputs) for equation in pairs):
        return []  # predictions are compared with each other: all with all is meant
    for equation in pairs:
        found = _read(flat, equation)
        if found is not None and _written_bare(found.equation):
            numbers = _numbers(case, flat, found)
            if numbers is not None:
                return [_answer(case, flat, found, run, *numbers)]
    return []


def _is_table(equation: Equation) -> bool:
    if equation.primitive != "sub":
        return False
    shape = equation.outputs[0].shape
    return len(shape) == 2 and shape[0] == shape[1] > 2


def _read(flat: Flat, equation: Equation) -> _Outer | None:
    sides = [_side(flat, equation, atom) for atom in equation.inputs]
    for mine, other in ((0, 1), (1, 0)):
        first, second = sides[mine], sides[other]
        if first is None or second is None or {first[1], second[1]} != {"column", "row"}:
            continue
        predictions, labels = first[0], second[0]
        shared = flat.on_data(predictions) & flat.on_data(labels)
        if not flat.on_parameters(predictions) or not flat.on_data(predictions) or shared:
            continue
        if flat.on_parameters(labels) or not flat.on_data(labels):
            continue
        end = _averaged(flat, equation)
        if end is not None:
            return _Outer(equation, predictions, labels, *end)
    return None


def _side(flat: Flat, equation: Equation, atom: Atom) -> tuple[Variable, str] | None:
    """(value, 'column' or 'row') of an operand that the difference itself stretches."""
    n = equation.outputs[0].shape[0]
    while (maker := flat.maker(atom)) is not None and maker.primitive == "broadcast_in_dim":
        if maker.span != equation.span:
            return None
        source, dimensions = maker.inputs[0], tuple(maker.params["broadcast_dimensions"])
        if source.shape == (n,) and dimensions == (1,) and isinstance(source, Variable):
            return source, "row"
        if source.shape == (n, 1) and dimensions == (0, 1):
            atom = source
            continue
        return None
    if atom.shape != (n, 1) or not isinstance(atom, Variable):
        return None
    made = flat.maker(flat.core(atom, _FREE_SIGN))
    deliberate = made is not None and made.primitive in _RESHAPES and len(made.inputs[0].shape) < 2
    return None if deliberate else (atom, "column")


def _averaged(flat: Flat, equation: Equation) -> tuple[int | None, bool] | None:
    """(power, whether a mean) where the table becomes one number through a square or an absolute value, and only so."""
    value, even, power, n = equation.outputs[0], False, None, equation.outputs[0].shape[0]
    left = {0, 1}
    for _ in range(24):
        users = flat.uses.get(value, ())
        if len(users) != 1 or len(users[0].outputs) != 1:
            return None
        user = users[0]
        operand = [literal(atom) for atom in user.inputs if atom is not value]
        if user.primitive in _EVEN:
            exponent = user.params.get("y", 2) if user.primitive != "abs" else 1
            if even or exponent not in (1, 2):
                return None
            even, power = True, exponent
        elif user.primitive == "mul" and user.inputs[0] is user.inputs[1] and not even:
            even, power = True, 2
        elif user.primitive == "reduce_sum" and even and left:
            axes = sorted(left)
            left -= {axes[axis] for axis in user.params["axes"]}
        elif user.primitive in ("mul", "div") and operand and operand[0] is not None:
            if not left:
                return power, user.primitive == "div" and operand[0] == n * n
        elif user.primitive not in _FREE_SIGN:
            return (power, False) if not left else None
        value = user.outputs[0]
        if not left and value is flat.graph.outputs[0]:
            return power, False
    return None


def _written_bare(equation: Equation) -> bool:
    """Whether the user wrote a difference there whose operands are not themselves made to stretch."""
    span = equation.span
    if span is None or span.end_line not in (None, span.line):
        return False
    text = span.text[span.column : span.end_column].strip()
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return False
    made = ("None", "newaxis", "expand_dims", "reshape", "outer", ".T")
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and not any(m in text for m in made)


def _matched(found: _Outer) -> dict[Variable, Any]:
    """The table that the user meant: each prediction with its own label, over and over; or once, for a sum."""

    def rows(table: Any) -> Any:
        own = jnp.diagonal(table)
        return jnp.broadcast_to(own[:, None], table.shape) if found.mean else jnp.diag(own)

    return {found.table: (found.table, rows)}


def _elsewhere(case: Case) -> tuple[Any, ...]:
    """A random point near the start: where all predictions are equal, as they often are there, the losses agree."""
    rng, moved = np.random.default_rng(0), []
    for parameter in case.prepared.parameters:
        size = float(np.abs(np.asarray(parameter).astype(np.float64)).max(initial=0.0)) or 1.0
        moved.append(parameter + jnp.asarray(0.3 * size * rng.standard_normal(parameter.shape), parameter.dtype))
    return tuple(moved)


def _numbers(case: Case, flat: Flat, found: _Outer) -> tuple[float, float, float] | None:
    """(loss as it is, loss as it is meant, variance of the labels), or None where both losses agree."""
    prepared = case.prepared
    if case.clock.left <= 0:
        return None
    output, matched = flat.graph.outputs[0], _matched(found)

    @jax.jit
    def values(parameters: Any, data: Any) -> Any:
        arrays = prepared.join(parameters, data)
        return (*compute(flat, arrays, [output, found.labels]), *compute(flat, arrays, [output], matched))

    given, labels, meant = values(_elsewhere(case), prepared.data)
    if not np.isfinite(float(meant)) or abs(float(given) - float(meant)) <= 1e-4 * abs(float(given)):
        return None
    return float(given), float(meant), float(np.var(np.asarray(labels).astype(np.float64)))


def _answer(
    case: Case, flat: Flat, found: _Outer, run: Run, given: float, meant: float, variance: float
) -> Answer[Any]:
    n = found.rows
    shapes = f"{_shape(found.predictions)} and {_shape(found.labels)}"
    text = f"{shapes} make ({n}, {n}): each of the {n} predictions is compared with all {n} labels"
    witness = {"rows": n, "loss": given, "row by row": meant, "note": f"{shapes} make ({n}, {n})"}
    reasons = [
        Reason(
            "evaluated both ways",
            text=f"at a random point near the start the loss is {number(given)}; "
            f"with each prediction beside its own label it is {number(meant)}",
            predicted=meant,
            observed=given,
            standing=Standing.MEASURED,
        )
    ]
    if found.mean and found.power == 2 and _is_whole(flat, found):
        lowest = min(run.losses)
        reasons.append(
            Reason(
                "variance of the labels",
                formula="mean (p_i - y_j)^2 >= var y",
                text=f"such a loss never falls below the variance of the labels, {number(variance)}; "
                f"the lowest of the run is {number(lowest)}",
                predicted=variance,
                observed=lowest,
                standing=Standing.MEASURED,
            )
        )
    return Answer(
        "each prediction is compared with its own label",
        Standing.REFUTED,
        arithmetic=case.prepared.dtype,
        reasons=tuple(reasons),
        findings=(Finding("QED211", text, found.equation.span, witness),),
        advice=_tried(case, flat, found),
        recheck=lambda: _numbers(case, flat, found) is not None,
    )


def _shape(variable: Variable) -> str:
    n = variable.shape[0]
    return f"({n}, 1)" if len(variable.shape) == 2 else f"({n},)"


def _is_whole(flat: Flat, found: _Outer) -> bool:
    """Whether the mean of the squares is the whole loss."""
    value: Variable = found.table
    while value is not flat.graph.outputs[0]:
        users = flat.uses.get(value, ())
        if len(users) != 1 or users[0].primitive not in (*_EVEN, "mul", "reduce_sum", "div", *SAME):
            return False
        factor = [literal(atom) for atom in users[0].inputs if atom is not value]
        if users[0].primitive in ("mul", "div") and factor and factor[0] != found.rows**2:
            return False
        value = users[0].outputs[0]
    return True


def _tried(case: Case, flat: Flat, found: _Outer) -> tuple[Advice, ...]:
    """The run with each prediction beside its own label."""
    what = "give both one shape, so that each prediction meets its own label"
    return advice(case, flat, _matched(found), what)
