"""A guarded form as code that can be pasted, in place of the name that it has inside qed.

The root of a sum of squares has no derivative at 0, and `jnp.linalg.norm` makes NaN of it as `jnp.sqrt` does: the chain
rule multiplies the infinite slope of the root by the zero slope of the square. With a root that is taken at 1 where
s = 0 (the "double where") the derivative there is 0, one of the subgradients::

    |x| = where(s > 0, sqrt(where(s > 0, s, 1)), 0),    s = sum(x^2)

Where the squares overflow or vanish, x is divided by its largest entry first. The other forms are written alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_ROOT = "jnp.where(s > 0, jnp.sqrt(jnp.where(s > 0, s, 1)), 0)"


def _split(text: str) -> list[str]:
    """The arguments of a call, split at the commas that no bracket holds."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts]


def _axes(options: list[str]) -> str:
    return "".join(f", {option}" for option in options)


def _norm(arguments: list[str]) -> str:
    x, *options = arguments
    return _root_of_squares([f"jnp.sum(jnp.square({x}){_axes(options)})"])


def _scaled(arguments: list[str]) -> str:
    x, options = _tight(arguments[0]), arguments[1:]
    largest = f"(m := jax.lax.stop_gradient(jnp.max(jnp.abs({x}))))"
    return f"{largest} * jnp.sqrt(jnp.sum(jnp.square({x} / m){_axes(options)}))"


def _root_of_squares(arguments: list[str]) -> str:
    return _ROOT.replace("s > 0", f"(s := {arguments[0]}) > 0", 1)


def _xlogy(arguments: list[str]) -> str:
    u, v = map(_tight, arguments)
    return f"{u} * jnp.log(jnp.where(({u} == 0) & ({v} <= 0), 1, {v}))"


_FORMS: dict[str, tuple[int | None, Callable[[list[str]], str]]] = {
    "norm": (None, _norm),
    "root_of_squares": (None, _root_of_squares),
    "rectified_power": (1, _root_of_squares),
    "xlogy": (2, _xlogy),
}
"""How many arguments a form has, where that is fixed, and how it is written."""


def pasted(after: str, before: str, overflow: bool = False) -> str:
    """A formula with qed's own guarded forms written out in jax.numpy; what cannot be is left under its name.

    Args:
        after: the formula.
        before: what it replaces; a form that is named there already is the user's own.
        overflow: whether the squares of a length overflow or vanish, and not its derivative at 0.

    Example:
        >>> pasted("norm(w)", "sqrt(sum(w * w))")
        'jnp.where((s := jnp.sum(jnp.square(w))) > 0, jnp.sqrt(jnp.where(s > 0, s, 1)), 0)'
        >>> pasted("xlogy(p, q)", "p * log(q)")
        'p * jnp.log(jnp.where((p == 0) & (q <= 0), 1, q))'
    """
    for name, (count, form) in _FORMS.items():
        call = re.compile(rf"(?<![\w.]){name}\(")
        scaled = overflow and name in ("norm", "root_of_squares")
        if call.search(before) or (scaled and name != "norm") or (name == "rectified_power" and "sqrt(" not in before):
            continue
        start = 0
        while (match := call.search(after, start)) is not None:
            start, end = match.end(), _closing(after, match.end())
            arguments = _split(after[match.end() : end])
            if end == len(after) or "..." in after[match.end() : end] or count not in (None, len(arguments)):
                continue
            written = (_scaled if scaled else form)(arguments)
            alone = written.startswith("jnp.where(") or (match.start(), end + 1) == (0, len(after))
            after = after[: match.start()] + (written if alone else f"({written})") + after[end + 1 :]
            start = match.start()
    return after


def _tight(argument: str) -> str:
    """An argument as one factor."""
    simple = re.fullmatch(r"[\w.]+(\[[^\[\]]*\])?", argument)
    return argument if simple else f"({argument})"


def _closing(text: str, start: int) -> int:
    """Where the bracket ends that was opened before `start`; the length of the text where it does not."""
    depth = 1
    for i in range(start, len(text)):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if not depth:
            return i
    return len(text)
