"""Derivations as sentences: text, TeX, and the reasons of an answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qed import facts
from qed.answer import Reason, Standing
from qed.calculus.deriving.forms import number, tex_name
from qed.calculus.deriving.partial import Partial, Step, rounded
from qed.calculus.deriving.program import short_names
from qed.facts.plain import plain
from qed.graph.function import Function

if TYPE_CHECKING:
    from qed.calculus.deriving.matrix import MatrixDerivation
    from qed.calculus.deriving.result import Derivation, Sided

__all__ = ["claim", "corner_reasons", "headline", "number", "observations", "reasons", "subject", "tex", "text"]

MOST_STEPS = 60
"""How many steps are shown; the rest is counted."""

MOST_ARRAYS = 24
"""How many named arrays are shown."""

_COLUMNS = 66
APART = 0.01
"""The part by which difference quotients are away from a derivative that they do not go to."""


def derivative_name(function: str, variable: str, several: bool) -> str:
    """``f'(x)``, or ``df/dw`` where there is more than one variable."""
    if not several:
        return f"{function}'({variable})"
    return f"d{function}/d{variable}" if len(function) == 1 else f"d {function}/d {variable}"


def text(function: str, partials: Sequence[Partial]) -> str:
    """The derivations as plain text, a block for each variable."""
    lines: list[str] = []
    several = len(partials) > 1
    for partial in partials:
        lines += ["", *_header(function, partial, partials)] if lines else _header(function, partial, partials)
        for count, step in enumerate(partial.steps, 1):
            first, *others = _step_lines(step)
            lines += [f"{count:>3}  {first}", *(f"     {line}" for line in others)]
        lines += [f"     {line}" for line in _result_lines(function, partial, several)]
    return "\n".join(lines)


def _header(function: str, partial: Partial, partials: Sequence[Partial]) -> list[str]:
    if len(partials) == 1:
        return [f"the prime ' is the derivative in {partial.variable}"]
    return [f"the prime ' is the derivative in {partial.variable}; {_held(partial, partials)}"]


def _held(partial: Partial, partials: Sequence[Partial]) -> str:
    others = [other.variable for other in partials if other is not partial]
    data = " and the data" if any(symbol in partial.data for symbol in partial.formula.symbols) else ""
    if len(others) > 4:
        return f"the {len(others)} others{data} are held constant"
    return f"{', '.join(others)}{data} {'is' if len(others) == 1 and not data else 'are'} held constant"


def _step_lines(step: Step) -> list[str]:
    """The rule and its law; what is named; the step with its numbers."""
    lines = [f"{step.rule.name}: {step.rule.text}"]
    if step.note:
        lines.append(step.note)
    if step.defined:
        lines.append(step.defined)
    return [*lines, *_broken(step)]


def _broken(step: Step) -> list[str]:
    """``left = general = result = number``, on one line or one line each."""
    if len(step.text) <= _COLUMNS:
        return [step.text]
    left, *parts = step.parts
    last = parts[-1]
    if len(parts) > 1 and len(f"{parts[-2]} = {last}") <= _COLUMNS - 6:
        parts, last = parts[:-1], f"{parts[-2]} = {last}"
    lines = [*parts[:-1], last]
    if len(left) > 24 or len(left) + len(lines[0]) > _COLUMNS:
        return [left, *(f"  = {line}" for line in lines)]
    return [f"{left} = {line}" if i == 0 else f"{' ' * len(left)} = {line}" for i, line in enumerate(lines)]


def _result_lines(function: str, partial: Partial, several: bool) -> list[str]:
    name = derivative_name(function, partial.variable, several)
    formula = plain(partial.formula, 7)
    lines = [f"{partial.rest} more steps are not shown"] if partial.rest else []
    lines.append(f"{name} = {formula}" + (f" = {partial.value:.6g}" if formula != f"{partial.value:.6g}" else ""))
    if partial.definitions:
        lines.append("where " + ", ".join(partial.definitions) + " are as above")
    if partial.conditions:
        lines.append("on the piece where " + ", ".join(partial.conditions))
    return lines + list(partial.notes)


def tex(function: str, partials: Sequence[Partial]) -> str:
    r"""The derivations as TeX: for each variable an align* environment that ends with the result."""
    blocks = []
    several = len(partials) > 1
    for partial in partials:
        rows = [step.tex for step in partial.steps]
        symbols = {name: tex_name(name) for name in partial.formula.symbols if name != "pi"}
        formula = facts.tex(rounded(partial.formula, 7), **symbols)
        left = tex_name(function)
        variable = tex_name(partial.variable)
        name = rf"\frac{{\partial {left}}}{{\partial {variable}}}" if several else rf"{left}'({variable})"
        rows.append(rf"{name} &= {formula}")
        head = rf"\text{{The prime is }} \partial/\partial {variable}" + r"\text{; the others are held constant.}"
        body = " \\\\\n".join(rows)
        blocks.append((f"% {head}\n" if several else "") + f"\\begin{{align*}}\n{body}\n\\end{{align*}}")
    return "\n\n".join(blocks)


# --- an answer ---


def point(function: Function, variable: str) -> str:
    """``x = 1.5``."""
    root, _, index = variable.rpartition("[")
    names = short_names(function.traced.paths)
    for i, array in zip(function.traced.free, function.parameters, strict=True):
        path = names[i]
        if path == variable and array.size == 1:
            return f"{variable} = {float(np.ravel(array)[0]):.6g}"
        if path == root:
            place = tuple(int(i) for i in index.rstrip("]").split(","))
            return f"{variable} = {float(np.asarray(array)[place]):.6g}"
    return variable


def subject(name: str, function: Function) -> str:
    """The title: whose derivative, where."""
    where, names = [], short_names(function.traced.paths)
    for i, array in zip(function.traced.free, function.parameters, strict=True):
        path = names[i]
        small = array.size == 1
        where.append(f"{path} = {float(np.ravel(array)[0]):.6g}" if small else f"{path} {list(array.shape)}")
    rest = f" and {len(where) - 4} more" if len(where) > 4 else ""
    return f"derivative of {name} at {', '.join(where[:4])}{rest}"


def claim(derivation: Derivation) -> str:
    """The derived numbers as a sentence."""
    name, partials = derivation.function, derivation.partials
    if as_arrays(derivation) and derivation.matrix is not None:
        names = ", ".join(derivation.matrix.gradients)
        return f"the chain rule gives the gradient of {name} in {names}"
    several = len(partials) > 1
    parts = [f"{derivative_name(name, p.variable, several)} = {p.value:.6g}" for p in partials[:4]]
    rest = f" and {len(partials) - 4} more" if len(partials) > 4 else ""
    return f"{', '.join(parts)}{rest} by the rules of differentiation{_as_stopped(derivation)}"


def _as_stopped(derivation: Derivation) -> str:
    """What is added to a claim where a stop_gradient takes a part of the derivative away."""
    stops = any(note.startswith("stop_gradient") for partial in derivation.partials for note in partial.notes)
    return ", with what is stopped held constant" if stops else ""


def headline(derivation: Derivation, apart: float | None = None) -> str:
    """The result in one sentence; `apart` is the share by which the two gradients differ, where rounding is less."""
    name, partials = derivation.function, derivation.partials
    by = derivation.observed_by
    same, sames = f"{by} gives the same number", f"{by} gives the same numbers"
    if apart is not None:
        same, sames = f"that of {by} differs by {100 * apart:.2g} %", f"those of {by} differ by {100 * apart:.2g} %"
    held = _as_stopped(derivation)
    if as_arrays(derivation) and derivation.matrix is not None:
        path, formula = next(iter(derivation.matrix.gradients.items()))
        rest = len(derivation.matrix.gradients) - 1
        more = f", and {rest} more gradients" if rest > 1 else ", and one more gradient" if rest else ""
        if len(formula) <= _COLUMNS:
            return f"With L = {name}(...): dL/d{path} = {formula}{more}; {sames}."
        return f"The gradient follows from the chain rule; {sames}."
    if len(partials) == 1:
        (only,) = partials
        formula = plain(only.formula, 7)
        if len(formula) > _COLUMNS:
            return f"{name}'({only.variable}) = {only.value:.6g} here; {same}."
        shown = f"{name}'({only.variable}) = {formula}"
        number_shown = f", here {only.value:.6g}" if formula != f"{only.value:.6g}" else ""
        return f"{shown}{number_shown}{held}; {same}."
    return f"The {len(partials)} partial derivatives follow from the rules; {sames}."


def as_arrays(derivation: Derivation) -> bool:
    """Whether the derivation is shown for arrays: where every step has a notation, or there is nothing else."""
    if derivation.matrix is None:
        return False
    if not derivation.partials:
        return True
    arrays = derivation.matrix.has_arrays or max(len(partial.steps) for partial in derivation.partials) > 8
    return arrays and not derivation.matrix.by_numbers


def reasons(derivation: Derivation) -> tuple[Reason, ...]:
    """The steps as reasons, the first MOST_STEPS of them, and the results."""
    found: list[Reason] = list(_of_arrays(derivation)) if as_arrays(derivation) else []
    name, partials = derivation.function, derivation.partials
    several, room = len(partials) > 1, MOST_STEPS - len(found)
    if found and sum(len(partial.steps) for partial in partials) > 12:
        count = len(partials)
        text = f"number by number there are {count} derivations, in the answer's .partials and .text"
        return (*found, Reason("number by number", role="...", text=text))
    for partial in partials:
        if several:
            found.append(Reason("partial derivative", role="for", text="\n".join(_header(name, partial, partials))))
        shown = partial.steps[:room] if len(partial.steps) <= room else partial.steps[: max(room, 0)]
        found += [_reason(step, count) for count, step in enumerate(shown, 1)]
        room -= len(shown)
        hidden = len(partial.steps) - len(shown)
        if hidden:
            found.append(Reason("more steps", role="...", text=f"{hidden} more steps, in the answer's .steps"))
        lines = _result_lines(name, partial, several)
        value = f"{partial.value:.6g}"
        found.append(Reason("result", role="so", text="\n".join(lines), with_numbers=value))
    return tuple(found)


def _nameless(matrix: MatrixDerivation) -> str:
    """What the letters c0, c1, ... stand for, where there are such."""
    texts = " ".join([*matrix.gradients.values(), *matrix.definitions, *(step.text for step in matrix.steps)])
    found = [name for name in matrix.nameless if re.search(rf"\b{name}\b", texts)]
    return f", {', '.join(found)} what the program holds without a name" if found else ""


def _of_arrays(derivation: Derivation) -> Iterator[Reason]:
    """The chain rule for arrays: what they are, their cotangents from the last to the first, the gradients."""
    matrix = derivation.matrix
    if matrix is None:
        return
    yield Reason(
        "notation",
        role="where",
        text=f"L is the value of {derivation.function}, ⊙ the elementwise product, 1 a vector of ones"
        f"{_nameless(matrix)}",
    )
    for definition in matrix.definitions[:MOST_ARRAYS]:
        yield Reason("definition", role="where", text=definition)
    for count, step in enumerate(matrix.steps[:MOST_ARRAYS], 1):
        rules = f"   by {', '.join(step.rules)}" if step.rules else ""
        text = f"{step.text}   {list(step.shape)}\n{rules.strip()}".rstrip()
        numbers = f"norm {np.linalg.norm(step.value):.6g}"
        yield Reason("chain rule", step.text, numbers, span=step.span, role=str(count), text=text)
    hidden = len(matrix.steps) - MOST_ARRAYS
    if hidden > 0:
        yield Reason("more steps", role="...", text=f"{hidden} more steps, in the answer's .matrix.steps")
    texts = [f"dL/d{name} = {text}" for name, text in list(matrix.gradients.items())[:MOST_ARRAYS]]
    if texts:
        yield Reason("result", role="so", text="\n".join(texts))
    for primitive, span in matrix.by_numbers.items():
        where = f" ({span})" if span is not None else ""
        text = f"{primitive}{where} is followed by its numbers: {primitive}*(...) is its transposed derivative"
        yield Reason("by numbers", role="note", text=text)
    if matrix.products:
        yield _of_jacobians(derivation)


def _of_jacobians(derivation: Derivation) -> Reason:
    """The longest product of Jacobians, with what its numbers give."""
    assert derivation.matrix is not None
    longest = max(derivation.matrix.products, key=lambda product: len(product.factors))
    found = longest.product
    grad = _leaf(derivation, longest.parameter)
    off = float(np.max(np.abs(found - grad)))
    text = f"{longest.text}\nthe product of these numbers differs from jax.grad by {off:.2g}"
    return Reason(
        "product of Jacobians", predicted=float(np.linalg.norm(found)), observed=float(np.linalg.norm(grad)),
        role="chain", standing=Standing.MEASURED, text=text,
    )  # fmt: skip


def _leaf(derivation: Derivation, parameter: str) -> np.ndarray:
    """What jax.grad gives for one parameter, as a vector."""
    import jax

    assert derivation.matrix is not None
    leaves = [leaf for leaf in jax.tree_util.tree_leaves(derivation.observed)]
    return np.ravel(leaves[list(derivation.matrix.gradients).index(parameter)])


def _reason(step: Step, count: int) -> Reason:
    formula = f"{step.left} = {step.general}"
    numbers = f"value {step.value:.6g}, derivative {step.slope:.6g}"
    lines = "\n".join(_step_lines(step))
    return Reason(step.rule.name, formula, numbers, span=step.span, role=str(count), text=lines)


def observations(
    derivation: Derivation, difference: float, allowed: float, apart: float | None = None
) -> Iterator[Reason]:
    """What was measured beside the derivation."""
    same = "gives the same: it differs" if apart is None else "comes near it: it differs"
    grad = f"{derivation.observed_by} {same} by {difference:.2g} (allowed {allowed:.1g})"
    yield Reason(
        f"comparison with {derivation.observed_by}",
        predicted=flat(derivation.value), observed=flat(derivation.observed), role="checked",
        standing=Standing.MEASURED, text=grad,
    )  # fmt: skip
    if derivation.limit is not None:
        yield from _of_limit(derivation)
    if derivation.ascent is not None:
        yield _of_ascent(derivation)


def _of_limit(derivation: Derivation) -> Iterator[Reason]:
    found, line = derivation.limit, derivation.tangent
    assert found is not None and line is not None
    best = found.best
    text = "the difference quotients go to it, until rounding takes over\n" + found.table
    if (
        best is not None
        and _as_stopped(derivation)
        and best.error > APART * (abs(best.central) + abs(found.derivative))
    ):
        text = f"what is stopped moves with x: the difference quotients go to {best.central:.4g} instead\n{found.table}"
    if found.step is not None and found.predicted is not None and best is not None:
        text += f"\nbest h: predicted {found.step:.2g}, in the table {best.step:.0e}"
        text += f"\nerror there: predicted at most {found.predicted:.2g}, observed {found.observed:.2g}"
        yield Reason(
            "best step of the central quotient", "|f'''| h^2/6 + u |f|/h is least at h = (3 u |f|/|f'''|)^(1/3)",
            predicted=found.predicted, observed=found.observed, role="limit", standing=Standing.MEASURED, text=text,
        )  # fmt: skip
    else:
        observed = best.central if best is not None else float("nan")
        yield Reason(
            "limit of the difference quotients", predicted=found.derivative, observed=observed, role="limit",
            standing=Standing.MEASURED, text=text,
        )  # fmt: skip
    text = f"{line.text}"
    if line.predicted is not None and line.distance is not None:
        text += f"\nat distance h = {line.distance:.2g} the curve is off it by f'' h^2/2: "
        text += f"predicted {line.predicted:.4g}, observed {line.observed:.4g}"
        yield Reason(
            "tangent line", "f(a + h) = f(a) + f'(a) h + f''(a) h^2/2 + ...", predicted=line.predicted,
            observed=line.observed, role="tangent", standing=Standing.MEASURED, text=text,
        )  # fmt: skip
    else:
        yield Reason("tangent line", role="tangent", text=text)


def _of_ascent(derivation: Derivation) -> Reason:
    found = derivation.ascent
    assert found is not None
    count = len(found.slopes)
    text = (
        f"steepest ascent: along {count} random unit directions (seed {found.seed}) the slope is |grad| cos(angle) "
        f"within {found.deviation:.2g}; the largest is {found.steepest:.6g}, along the gradient it is "
        f"{found.along:.6g}, and |grad| = {found.norm:.6g}"
    )
    if not found.holds:
        text = "NOT as predicted: " + text
    return Reason(
        "steepest ascent", "slope along d = |grad f| cos(angle) <= |grad f|", predicted=found.norm,
        observed=found.along, role="ascent", standing=Standing.MEASURED, text=text,
    )  # fmt: skip


def disagreement(derivation: Derivation, difference: float, allowed: float) -> str:
    """What the rules give and what jax.grad gives."""
    return (
        f"jax.grad gives {_short(derivation.observed)}, the rules give {_short(derivation.value)}: "
        f"they differ by {difference:.3g}, and rounding allows {allowed:.2g}"
    )


def corner_reasons(derivation: Derivation, variable: str, both: Sided) -> tuple[Reason, ...]:
    """The two sides of a corner."""
    found: list[Reason] = []
    for word, partial in (("right", both.right), ("left", both.left)):
        if partial is None:
            continue
        if word == "right":
            found += [_reason(step, count) for count, step in enumerate(partial.steps[: MOST_STEPS // 2], 1)]
        name = f"{derivation.function}'"
        formula = plain(partial.formula, 7)
        same = formula == f"{partial.value:.6g}"
        line = f"from the {word}: {name} = {formula}" + ("" if same else f" = {partial.value:.6g}")
        found.append(Reason("one-sided derivative", role=word, text=line))
    if both.right is not None and both.left is not None:
        line = f"jax.grad gives {_short(derivation.observed)} here: a convention, not a derivative"
        found.append(Reason("convention at a corner", role="note", text=line))
    return tuple(found)


def flat(tree: Any) -> Any:
    """A number, a few numbers, or the norm of many."""
    import jax

    leaves = jax.tree_util.tree_leaves(tree)
    if len(leaves) == 1 and np.ndim(leaves[0]) == 0:
        return float(leaves[0])
    flat = np.concatenate([np.ravel(leaf) for leaf in leaves])
    return [float(n) for n in flat[:6]] if flat.size <= 6 else float(np.linalg.norm(flat))


def _short(tree: Any) -> str:
    found = flat(tree)
    return f"{found:.6g}" if isinstance(found, float) else "[" + ", ".join(f"{n:.6g}" for n in found) + "]"
