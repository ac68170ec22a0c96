"""What `qed.stabilize` replaces at a point, why that is the same function, and how many bits it brings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.answer import Answer, Missing, Reason
from qed.certificates.rewrite_identity import NotProved, RewriteIdentity, lines_of
from qed.domains.words import plural
from qed.errors import CertificateError, QedError
from qed.graph.dtypes import is_inexact, is_real
from qed.graph.graph import Graph
from qed.graph.jaxpr import Reader, concrete, evaluate
from qed.graph.untraceable import definition, name_of
from qed.numerics.rewriting.change import Change
from qed.numerics.rewriting.derivative import Stable
from qed.numerics.rewriting.measured import ROUNDED, Bits, compared, equal
from qed.numerics.rewriting.patch import Patch, patch, together
from qed.numerics.rewriting.session import Rewritten
from qed.span import Span
from qed.standing import Standing

if TYPE_CHECKING:
    from qed.numerics.stabilize import Stabilized

SEED = 0


@dataclass(frozen=True)
class Rewrite:
    """One replacement.

    Args:
        span: the user's line.
        where: 'value' or 'gradient': in which graph.
        before: what stands there, in the user's names; `after` what takes its place.
        identity: the laws that make them equal; `condition` where the laws hold.
        standing: PROVED, where the certificate shows both to be equal; MEASURED; or ASSUMED: a convention.
        convention: its name, where the two are no identity.
        patch: the same as source code, tried; None where the formula is no code.
        certificate: where it is PROVED, the proof, which `certificate.verify()` repeats.
    """

    span: Span | None
    where: str
    before: str
    after: str
    identity: str
    condition: str
    standing: str
    convention: str | None = None
    patch: Patch | None = None
    certificate: RewriteIdentity | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Rewrites:
    """All replacements, and the bits lost by the value and by the gradient, before and after.

    Args:
        rewrites: in program order, those of the value first.
        value, gradient: bits lost; the gradient is that in the first argument of the sum of all results.
        patch: all patches as one text.
        conventions: the names of what is assumed.
        points: at how many points both were compared as real functions, in balls.
    """

    rewrites: tuple[Rewrite, ...]
    value: Bits
    gradient: Bits
    patch: str
    conventions: tuple[str, ...]
    points: int


@dataclass(frozen=True, eq=False)
class _Question:
    """A stabilized function at a point, with everything concrete."""

    name: str
    stable: Stable
    graph: Graph
    arrays: tuple[Any, ...]
    moving: tuple[int, ...]
    changed: bool
    span: Span | None
    fun: Callable[..., Any]
    args: tuple[Any, ...]

    def identity(self, graph: Rewritten, change: Change | None) -> RewriteIdentity | None:
        """The certificate of one change in a graph, or of the whole value; None where it is not proved."""
        if not self.args or len(graph.inputs) != len(self.graph.inputs):
            return None
        try:
            before = lines_of([change.old], graph.inputs) if change is not None and change.old is not None else ((), ())
            new = graph.outputs if change is None else [] if change.new is None else [change.new]
            after = lines_of(new, graph.inputs)
            if not after[1] or (change is not None and not before[1]):
                return None
            found = RewriteIdentity.about(self.fun, self.args[0], self.args[1:], before=before, after=after)
            found.verify()
        except (NotProved, CertificateError):
            return None
        return found

    def written(self, *inputs: Any) -> list[Any]:
        """The function as written."""
        return evaluate(self.graph, inputs)

    def rewritten(self, *inputs: Any) -> list[Any]:
        """The function that is evaluated instead."""
        return self.stable(*inputs) if self.changed else self.written(*inputs)

    def gradient(self, function: Callable[..., list[Any]]) -> Callable[..., Any]:
        """The gradient of the sum of the results."""

        def total(chosen: Sequence[Any], inputs: Sequence[Any]) -> Any:
            full = list(inputs)
            for position, value in zip(self.moving, chosen, strict=True):
                full[position] = value
            outs = [out for out in function(*full) if is_real(out.dtype)]
            if len(outs) == 1 and outs[0].shape == ():
                return outs[0]
            return sum((jnp.sum(out) for out in outs), jnp.zeros((), outs[0].dtype))

        return lambda *inputs: list(jax.grad(total)([inputs[i] for i in self.moving], inputs))


def rewrites(stabilized: Stabilized[Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Answer[Rewrites]:
    """The answer of `Stabilized.rewrites`."""
    plan, leaves = stabilized.plan(args, kwargs)
    arrays = tuple(map(jnp.asarray, [*leaves, *plan.closed_over]))
    if not all(map(concrete, arrays)):
        raise QedError(
            "QED007",
            "the arguments are traced",
            "bits are counted at numbers, and inside jit, grad or vmap there are none yet",
            "ask outside of the transformed function",
        )
    _checked(stabilized, args, plan.moving)
    name = name_of(stabilized.fun)
    asked = _Question(
        name,
        plan.stable,
        plan.stable.graph,
        arrays,
        plan.moving,
        plan.changed,
        definition(stabilized.fun),
        functools.partial(stabilized.fun, **kwargs) if kwargs else stabilized.fun,
        tuple(args),
    )
    value = _value_bits(asked)
    gradient, derivative = _gradient_bits(asked)
    found = [(asked.stable.value, "value")] if plan.changed else []
    if plan.changed and plan.stable.value.kept and derivative is not None and not derivative.kept:
        found += [(plan.stable.short, "gradient")]  # what the value does without, and its derivative does not
    found += [(derivative, "gradient")] if derivative is not None and plan.changed else []
    listed = [(graph, change, where) for graph, where in found for change in graph.changes]
    points, differ = _compared_as_real(asked, SEED) if plan.changed else (0, "")
    made = _listed(asked, listed)
    conventions = tuple(dict.fromkeys(r.convention for r in made if r.convention))
    text = together([r.patch for r in made if r.patch is not None and r.where == "value"])
    result = Rewrites(made, value, gradient, text, conventions, points)
    return _answer(asked, result, differ)


def _checked(stabilized: Stabilized[Any, Any], args: Sequence[Any], moving: Sequence[int]) -> None:
    first = jax.tree.leaves(args[0]) if args else []
    kinds = [jnp.result_type(leaf) for leaf in first if hasattr(leaf, "dtype") or isinstance(leaf, complex)]
    complex_ = any(is_inexact(kind) and not is_real(kind) for kind in kinds)
    if complex_ or not moving:
        what = "the first argument is complex" if complex_ else "the first argument holds no floating-point number"
        raise QedError(
            "QED003",
            what,
            "digits are lost, and gradients taken, in real floating-point numbers",
            "give the real and imaginary parts" if complex_ else f"call {name_of(stabilized.fun)} with floats",
        )


def _graph(function: Callable[..., Any], arrays: Sequence[Any]) -> Graph:
    return Reader().graph(jax.make_jaxpr(function)(*arrays))


def _value_bits(asked: _Question) -> Bits:
    before, after = asked.written(*asked.arrays), asked.rewritten(*asked.arrays)
    graphs = [asked.graph, _graph(asked.stable.value.plain, asked.arrays)] if asked.changed else [asked.graph]
    return compared(graphs, asked.arrays, before, after, normwise=False)


def _gradient_bits(asked: _Question) -> tuple[Bits, Rewritten | None]:
    if not any(is_real(out.dtype) for out in asked.graph.outputs):
        return Bits(None, None, 0.0, "it returns no floating-point number"), None
    try:
        before = asked.gradient(asked.written)(*asked.arrays)
        after = asked.gradient(asked.rewritten)(*asked.arrays)
        graphs = [_graph(asked.gradient(asked.written), asked.arrays)]
        if asked.changed:
            graphs.append(_graph(asked.gradient(asked.rewritten), asked.arrays))
        derivative = asked.stable.derivative(asked.moving).rewritten if asked.changed else None
    except (NotImplementedError, TypeError, ValueError) as error:
        return Bits(None, None, 0.0, f"it has no gradient: {str(error).splitlines()[0]}"), None
    return compared(graphs, asked.arrays, before, after, normwise=True), derivative


def _compared_as_real(asked: _Question, seed: int) -> tuple[int, str]:
    return equal(asked.graph, _graph(asked.stable.value.plain, asked.arrays), asked.arrays, seed)


def _listed(asked: _Question, listed: Sequence[tuple[Rewritten, Change, str]]) -> tuple[Rewrite, ...]:
    made: dict[Any, Rewrite] = {}
    seen = [each for each in listed if each[1].before != each[1].after]
    for graph, change, where in seen or listed:
        key = (change.span, change.before, change.after)
        if key in made:
            continue
        proof = asked.identity(graph, change) if change.convention is None else None
        standing = "ASSUMED" if change.convention is not None else "MEASURED" if proof is None else "PROVED"
        code = patch(graph, change, asked.arrays) if len(graph.inputs) == len(asked.arrays) else None
        made[key] = Rewrite(
            change.span,
            where,
            change.before,
            change.after,
            change.identity,
            change.condition,
            standing,
            change.convention,
            code,
            proof,
        )
    return tuple(made.values())


# --- in words -------------------------------------------------------------------------------------------------


def _answer(asked: _Question, found: Rewrites, differ: str) -> Answer[Rewrites]:
    claim = f"the rewritten {asked.name} equals {asked.name} as a real function wherever that is defined"
    if found.conventions:
        claim += f", up to the conventions {', '.join(found.conventions)}"
    shared: dict[str, Any] = {
        "reasons": tuple(_reason(rewrite) for rewrite in found.rewrites),
        "headline": _headline(asked, found),
        "subject": _subject(asked),
        "arithmetic": "ball",
    }
    if differ:
        return Answer(claim, Standing.REFUTED, found, **shared)
    if not asked.changed:
        unchanged = f"stabilize({asked.name}) is {asked.name}: its graph stays as it is"
        return Answer(unchanged, Standing.MEASURED, found, recheck=lambda: not asked.stable.value.changes, **shared)
    kept = asked.stable.value.kept  # then the identity has to be that of the derivative
    whole = asked.identity(asked.stable.value, None) if not (found.conventions or kept) else None
    if whole is not None:
        return Answer(claim, Standing.PROVED, found, certificate=whole, **{**shared, "arithmetic": "reals"})
    if not found.points:
        why = found.value.missing or "one of the two cannot be enclosed in balls here"
        missing = Missing(f"the two were not compared as real functions: {why}", "a point where both have a value")
        return Answer(claim, Standing.UNKNOWN, found, missing=(missing,), **shared)

    def again() -> bool:
        points, wrong = _compared_as_real(asked, SEED + 1)
        proofs = [rewrite.certificate for rewrite in found.rewrites if rewrite.certificate is not None]
        return points > 0 and not wrong and all(proof.verify() for proof in proofs)

    compared = Reason(
        "both enclosed in balls",
        text=f"at {plural(found.points, 'point')}, in balls, they differ by at most {ROUNDED} roundings of one "
        "number or of 1: constants are put in rounded",
        role="checked",
        standing=Standing.MEASURED,
        observed=found.points,
        unpredicted="the identity was not proved",
    )
    shared["reasons"] = (*shared["reasons"], compared)
    return Answer(claim, Standing.MEASURED, found, recheck=again, **shared)


def _subject(asked: _Question) -> str:
    """The title line: function, file, size, dtype."""
    parts = [asked.name]
    if asked.span is not None:
        parts.append(str(asked.span))
    moved = [asked.arrays[i] for i in asked.moving]
    size, dtypes = sum(a.size for a in moved), sorted({str(a.dtype) for a in moved})
    parts.append(f"{size} number{'' if size == 1 else 's'}, {', '.join(dtypes)}")
    return "   ".join(parts)


def _headline(asked: _Question, found: Rewrites) -> str:
    if not found.rewrites:
        return f"Nothing in {asked.name} is rewritten{_bits(found)}."
    count = len(found.rewrites)
    places = "1 expression is" if count == 1 else f"{count} expressions are"
    return f"{places} rewritten{_bits(found)}."


def _bits(found: Rewrites) -> str:
    parts = [
        f"the {name} loses {_short(bits.before)} of {bits.digits:.0f} bits here"
        + (f", rewritten {_short(bits.after)}" if found.rewrites else "")
        for name, bits in (("value", found.value), ("gradient", found.gradient))
        if bits.before is not None
    ]
    return ": " + "; ".join(parts) if parts else ""


def _short(bits: float | None) -> str:
    return "?" if bits is None else f"{bits:.1f}"


def _reason(rewrite: Rewrite) -> Reason:
    same = rewrite.before == rewrite.after  # what differs is inside of what the text names
    text = f"in the {rewrite.where}: {rewrite.before}" + (", computed otherwise" if same else f"  ->  {rewrite.after}")
    if rewrite.patch is not None:
        text += f"   as code: {rewrite.patch.expression}"
    below = Reason(
        rewrite.convention or rewrite.identity,
        rewrite.identity,
        text=f"{rewrite.identity or rewrite.convention}  ({rewrite.condition}; {rewrite.standing})",
        role="because",
    )
    return Reason("rewritten", rewrite.identity, text=text, span=rewrite.span, role="instead", premises=(below,))


__all__ = ["Rewrite", "Rewrites", "rewrites"]
