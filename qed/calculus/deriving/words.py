"""Derivations as sentences: text, TeX, and the reasons of an answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qed import facts
from qed.answer import Reason, Standing
from qed.calculus.deriving.forms import number, tex_name
from qed.calculus.deriving.partial import Partial, Step, rounded
from qed.calculus.deriving.program import Program
from qed.facts.plain import plain
from qed.graph.function import Function

if TYPE_CHECKING:
    from qed.calculus.derivation import Derivation, Sided

__all__ = ["claim", "corner_reasons", "headline", "number", "observations", "reasons", "subject", "tex", "text"]

MOST_STEPS = 60
"""How many steps are shown; the rest is counted."""

_COLUMNS = 66


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
    if len(others) > 4:
        return f"the {len(others)} others are held constant"
    return f"{', '.join(others)} {'is' if len(others) == 1 else 'are'} held constant"


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


def point(program: Program, variable: str) -> str:
    """``x = 1.5``."""
    for element in program.variables:
        if element.name == variable:
            return f"{variable} = {float(element.value):.6g}"
    return variable


def subject(name: str, function: Function, program: Program) -> str:
    """The title: whose derivative, where."""
    where = ", ".join(f"{e.name} = {float(e.value):.6g}" for e in program.variables[:4])
    rest = len(program.variables) - 4
    return f"derivative of {name} at {where}" + (f" and {rest} more" if rest > 0 else "")


def claim(derivation: Derivation) -> str:
    """The derived numbers as a sentence."""
    name, partials = derivation.function, derivation.partials
    several = len(partials) > 1
    parts = [f"{derivative_name(name, p.variable, several)} = {p.value:.6g}" for p in partials[:4]]
    rest = f" and {len(partials) - 4} more" if len(partials) > 4 else ""
    return f"{', '.join(parts)}{rest} by the rules of differentiation"


def headline(derivation: Derivation) -> str:
    """The result in one sentence."""
    name, partials = derivation.function, derivation.partials
    if len(partials) == 1:
        (only,) = partials
        formula = plain(only.formula, 7)
        shown = f"{name}'({only.variable}) = {formula}" if len(formula) <= _COLUMNS else f"{name}'({only.variable})"
        number_shown = f", here {only.value:.6g}" if formula != f"{only.value:.6g}" else ""
        return f"{shown}{number_shown}; jax.grad gives the same number."
    return f"The {len(partials)} partial derivatives follow from the rules; jax.grad gives the same numbers."


def reasons(derivation: Derivation) -> tuple[Reason, ...]:
    """The steps as reasons, the first MOST_STEPS of them, and the results."""
    found: list[Reason] = []
    name, partials = derivation.function, derivation.partials
    several, room = len(partials) > 1, MOST_STEPS
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


def _reason(step: Step, count: int) -> Reason:
    formula = f"{step.left} = {step.general}"
    numbers = f"value {step.value:.6g}, derivative {step.slope:.6g}"
    lines = "\n".join(_step_lines(step))
    return Reason(step.rule.name, formula, numbers, span=step.span, role=str(count), text=lines)


def observations(derivation: Derivation, difference: float, allowed: float) -> Iterator[Reason]:
    """What was measured beside the derivation."""
    grad = f"jax.grad differs by {difference:.2g} (rounding allows {allowed:.2g})"
    yield Reason(
        "comparison with jax.grad", predicted=_flat(derivation.value), observed=_flat(derivation.observed),
        role="checked", standing=Standing.MEASURED, text=grad,
    )  # fmt: skip
    if derivation.limit is not None:
        yield from _of_limit(derivation)
    if derivation.ascent is not None:
        yield _of_ascent(derivation)


def _of_limit(derivation: Derivation) -> Iterator[Reason]:
    found, line = derivation.limit, derivation.tangent
    assert found is not None and line is not None
    text = "the difference quotients go to it, until rounding takes over\n" + found.table
    best = found.best
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


def _flat(tree: Any) -> Any:
    import jax

    leaves = jax.tree_util.tree_leaves(tree)
    if len(leaves) == 1 and np.ndim(leaves[0]) == 0:
        return float(leaves[0])
    flat = np.concatenate([np.ravel(leaf) for leaf in leaves])
    return [float(n) for n in flat[:6]] if flat.size <= 6 else float(np.linalg.norm(flat))


def _short(tree: Any) -> str:
    found = _flat(tree)
    return f"{found:.6g}" if isinstance(found, float) else "[" + ", ".join(f"{n:.6g}" for n in found) + "]"
