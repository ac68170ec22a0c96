"""`qed.check_gradient`: is the gradient of a program the derivative of the program?

By the chain rule the gradient is right if every derivative in it is. JAX's own are verified once, offline; what is
left is what the user wrote: rules (`custom_jvp`, `custom_vjp`) and stop_gradients. So each of them is compared with the
derivative of its own body, in float64, wherever the program calls it (`survey`, `judge`), and then the gradient of the
whole program with that of the same program without the rules (`end_to_end`).

Nothing is stepped: both sides are exact derivatives, and the tolerance is what rounding in float64 explains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qed.answer import Answer
from qed.calculus.gradient.cornered import kinks
from qed.calculus.gradient.cotangents import passes
from qed.calculus.gradient.end_to_end import (
    NonFinite,
    beyond_rounding,
    not_finite,
    stopped,
    suspicious,
    transposed,
    unexplained,
    untransposed,
)
from qed.calculus.gradient.judge import VALUE, judge
from qed.calculus.gradient.kept import Kept
from qed.calculus.gradient.local import Local, local, reversible
from qed.calculus.gradient.noise import noise
from qed.calculus.gradient.sites import Site, find_sites, reaches, second_site, unverified
from qed.calculus.gradient.survey import Record, survey
from qed.calculus.gradient.verdict import WORST, Culprit, GradientCheck, GradientVerdict, worst
from qed.calculus.gradient.whole import Whole
from qed.errors import QedError
from qed.graph.function import Function, read

_FAULTS = (GradientVerdict.DISAGREES, GradientVerdict.SURROGATE)
_WRONG = (GradientVerdict.DISAGREES, GradientVerdict.SURROGATE, GradientVerdict.LATENT)


@dataclass(frozen=True, eq=False)
class Checked:
    """A check with what the words about it need: the function, the code of a NaN, and what could not be compared."""

    function: Function
    check: GradientCheck
    nonfinite: NonFinite | None = None
    not_compared: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()


def check_gradient(fun: Callable[..., Any], x: Any, *args: Any, order: int = 1) -> Answer[GradientCheck]:
    """Compare every derivative rule in a program with the derivative of its own body, and the gradient with theirs.

    Args:
        fun: ``fun(x, *args) -> scalar``, written with JAX.
        x: the point, any pytree with floating-point leaves; derivatives are taken in it.
        args: data.
        order: 2 compares the derivatives of the rules too (second derivatives of the program).

    Returns:
        An answer about the claim "the gradient is the derivative of the program". Its value is a `GradientCheck`:
        ``verdict`` is agrees, disagrees, kink, nonfinite, surrogate, latent or undecided, and ``culprits`` names for
        each place the line of the call and of the rule, the loop step, the branch, the coordinate and both numbers.
        REFUTED where the verdict is disagrees or nonfinite; `check()` repeats it by other code.

    Raises:
        QedError: QED002 to QED010 where the function has no gradient at x.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> @jax.custom_jvp
        ... def cube(x):
        ...     return x**3
        >>> @cube.defjvp
        ... def slope(primals, tangents):
        ...     return cube(primals[0]), 2 * primals[0] ** 2 * tangents[0]
        >>> answer = check_gradient(lambda w: jnp.sum(cube(w)), jnp.array([1.0, 2.0]))
        >>> str(answer.verdict), answer.culprits[0].name, answer.culprits[0].coordinate
        ('disagrees', 'cube', (1,))
        >>> answer.culprits[0].expected, answer.culprits[0].found
        (12.0, 8.0)
    """
    if order not in (1, 2):
        raise QedError(
            "QED007", f"order={order!r} is not known", "derivatives of order 1 and 2 are compared", "order=1"
        )
    from qed.calculus.gradient.words import answer

    checked = run(read(fun, x, *args), order)
    return answer(checked, lambda seed: run(read(fun, x, *args), order, seed))


def run(function: Function, order: int = 1, seed: int = 0) -> Checked:
    """The check itself."""
    sites = find_sites(function.graph, function.traced.free)
    kept = Kept(function.graph)
    comparisons, missing = _comparisons(sites, kept, order)
    missing += [f"whether JAX's own derivative of {n} is right: no test verifies it" for n in _on_trust(function)]
    records = survey(function.graph, function.traced.leaves, comparisons, seed)
    judged = _judged(function, records, kept, seed)
    culprits = [culprit for _, culprit in judged]
    blind = [each.site for each in comparisons if each.order == 1 and not reversible(each)]
    blamed = {site.number for site, culprit in judged if culprit.verdict in _WRONG}
    differing = [r.local.site for r in records if r.differs and r.local.site.kind != "solve"]
    lost = [*blind, *(s for s in differing if s.number not in blamed and reaches(function.graph, s))]
    stops = [site for site in sites if site.kind == "stop" and site.outer is None and reaches(function.graph, site)]
    whole = Whole(function, kept.with_sites(_different([*lost, *differing])), stops, order, seed)
    equations = [site for site, culprit in judged if culprit.verdict in _WRONG and (site.root or site.kind == "solve")]
    roots = _different(equations)
    stripped = kept.with_sites(_different(lost)).with_roots(roots)
    fewer = roots or len(_different(lost)) < len(_different(differing))
    freed = Whole(function, stripped, stops, 1, seed) if fewer else whole
    nonfinite = not_finite(whole)
    if nonfinite is not None:
        if not any(culprit.verdict is GradientVerdict.NONFINITE for culprit in culprits):
            culprits.append(nonfinite.culprit)
    elif whole.failure is not None or freed.failure is not None:
        missing.append(f"the whole gradient: {whole.failure or freed.failure}")
    else:
        culprits += _of_the_whole(whole, freed, stops, culprits, bool(comparisons or transposed(function)), seed)
        culprits = culprits if lost or roots else _cancelling(whole, freed, culprits)
    culprits.sort(key=lambda culprit: WORST.index(culprit.verdict))
    rules = {id(each.site.equation) for each in comparisons if each.site.kind != "solve"}
    check = GradientCheck(
        worst(culprit.verdict for culprit in culprits),
        tuple(culprits),
        sum(record.seen for record in records),
        len(rules),
        len(rules - {id(site.equation) for site, _ in judged}),
        len(stops),
        max((each.tolerance for each in comparisons), default=1e-9),
        _errors(culprits, freed, whole),
        _rounding(whole),
        order,
        seed,
    )
    return Checked(function, check, nonfinite, tuple(missing), tuple(records))


def _on_trust(function: Function) -> tuple[str, ...]:
    return unverified(function.graph, function.traced.free)


def _comparisons(sites: Sequence[Site], kept: Kept, order: int) -> tuple[list[Local], list[str]]:
    comparisons, missing = [], []
    for site in sites:
        if site.kind == "stop" or not site.active or not site.outputs:
            continue
        if site.root and site.implicit is None:
            missing.append(f"whether the tangent_solve of the custom_root at {site.span} solves its equation")
            continue
        comparisons.append(local(site, kept))
        if order == 2 and site.kind == "solve":
            continue
        if order == 2:
            twice = second_site(site) if site.root else site
            if twice is None:
                missing.append(f"the second derivative of the custom_root at {site.span}")
                continue
            try:
                comparisons.append(local(twice, kept, 2))
            except QedError as error:
                missing.append(f"the second derivative of {site.name}: {error.because}")
    return comparisons, missing


def _judged(function: Function, records: Sequence[Record], kept: Kept, seed: int) -> list[tuple[Site, Culprit]]:
    """The verdicts on the records that differ; a fault that does not reach the gradient is latent, or none at all."""
    culprits: list[tuple[Site, Culprit]] = []
    wrong: set[int] = set()
    for record in records:
        site = record.local.site
        if not record.differs or site.number in wrong or not reaches(function.graph, site):
            continue
        culprit = judge(record, seed)
        if culprit is None:
            continue
        if culprit.verdict is GradientVerdict.DISAGREES and not passes(function, record, kept, seed):
            why = "its error meets a cotangent of zero: nothing of it reaches this gradient"
            if VALUE in culprit.why:
                why = f"{culprit.why}, but its derivative here is that of the function"
            culprit = replace(culprit, verdict=GradientVerdict.LATENT, why=why)
        if culprit.verdict in (GradientVerdict.DISAGREES, GradientVerdict.LATENT):
            wrong.add(site.number)
        culprits.append((site, culprit))
    return culprits


def _of_the_whole(
    whole: Whole, freed: Whole, stops: Sequence[Site], known: Sequence[Culprit], rules: bool, seed: int
) -> list[Culprit]:
    """Kinks, what no rule explains, and the stop_gradients (judged in the program without its wrong rules)."""
    verdicts = {culprit.verdict for culprit in known}
    declared = {GradientVerdict.SURROGATE, GradientVerdict.DISAGREES} & verdicts
    jumps = kinks(whole, seed, of_values=not declared and not whole.stops)
    found: list[Culprit] = []
    if jumps.culprit is not None and GradientVerdict.KINK not in verdicts:
        found.append(jumps.culprit)
    settled = verdicts - {GradientVerdict.KINK, GradientVerdict.LATENT}
    rest = unexplained(whole, jumps.mask) if rules and not settled else None
    rest = rest or untransposed(whole)
    if rest is not None:
        found.append(rest)
    return [*found, *stopped(freed, stops)]


def _cancelling(whole: Whole, freed: Whole, culprits: list[Culprit]) -> list[Culprit]:
    """The culprits; wrong rules are latent where the whole gradient is that of the program without them all the same.

    As a rule that returns its slopes in the wrong order, under a sum: what one is too large another is too small.
    """
    wrong = [c for c in culprits if c.verdict is GradientVerdict.DISAGREES]
    if not wrong or whole.order != 1 or not whole.reverse or any(c.rule_span is None for c in wrong):
        return culprits
    found, expected = whole.program, freed.chain(shares=np.ones(max(1, len(freed.stops))))
    if suspicious(found, expected).any() or not np.isfinite(expected).all():
        return culprits
    exact = suspicious(found, expected, 0.0)
    gap = np.abs(found - expected)
    if beyond_rounding(exact, gap, lambda element: noise(*whole.elements("program", element))) is not None:
        return culprits
    why = "its errors cancel in this gradient"
    return [replace(c, verdict=GradientVerdict.LATENT, why=why) if c in wrong else c for c in culprits]


def _different(sites: Sequence[Site]) -> list[Site]:
    return list({site.number: site for site in sites}.values())


def _errors(culprits: Sequence[Culprit], freed: Whole, whole: Whole) -> dict[str, float]:
    """How wrong the whole gradient is, where something is: against the program without the rules that are at fault."""
    counted = [c for c in culprits if c.verdict in _FAULTS and c.found is not None]
    if not counted or any(c.tied for c in counted) or freed.failure is not None:
        return {}
    expected = freed.chain(shares=np.ones(max(1, len(freed.stops))))
    return freed.relative_errors(whole.program[: expected.size], expected) if np.isfinite(expected).all() else {}


def _rounding(whole: Whole) -> float | None:
    """The relative distance of the gradient as computed to that of the same program in float64."""
    own = whole.own[1]
    wide = whole.program[: own.size]
    if not (np.isfinite(own).all() and np.isfinite(wide).all()):
        return None
    size = float(np.linalg.norm(wide))
    return float(np.linalg.norm(own - wide)) / size if size else float(np.linalg.norm(own))
