"""Divergences and entropies of products of laws: factor by factor, and added up.

    KL(p_1 x ... x p_n || q_1 x ... x q_n) = sum_i KL(p_i || q_i),      H(p, q) = sum_i H(p_i, q_i)

Equal pairs of factors are asked about once. The proof keeps those of the factors
(`qed.certificates.product_divergence`); where one of them is only measured, so is the sum.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from qed.answer import Answer, Enclosed, Measured, Missing, Reason
from qed.certificates.certificate import Subject
from qed.certificates.product_divergence import ProductDivergence, added
from qed.errors import CertificateError
from qed.integration.measure import Measure, seconds_of, wrong
from qed.integration.probabilities import as_law
from qed.integration.product import Product
from qed.integration.words import capital, within
from qed.standing import Standing

RULE = "of a product the divergence is the sum of those of the factors"
ENTROPIES = "of a product the entropy is the sum of those of the factors"
LEAST = 1e-3
"""The fewest seconds that a factor gets."""


def of_products(verb: Callable[..., Answer[float]], p: Any, q: Any, budget: Any) -> Answer[float] | None:
    """What `qed.kl`, `qed.cross_entropy` or `qed.entropy` (q is None) says of two products; None where neither is one.

    Args:
        verb: the same question, to ask of the factors.
        p: the first law.
        q: the second.
        budget: seconds for all factors.

    Raises:
        QedError: QED007 for laws of different dimensions.
    """
    if not isinstance(p, Product) and not isinstance(q, Product):
        return None
    ratio, seconds = verb.__name__ == "kl", seconds_of(budget)
    name = f"the entropy of {p}" if q is None else f"KL({p} || {q})" if ratio else f"the cross-entropy of {q} under {p}"
    sides = [_factors(p)] if q is None else _matched(p, q)
    pairs: dict[tuple[Measure, ...], list[int]] = {}
    for i, laws in enumerate(zip(*sides, strict=True)):
        pairs.setdefault(laws, []).append(i)
    deadline = time.monotonic() + seconds
    found: list[tuple[list[int], Answer[float]]] = []
    for k, (laws, places) in enumerate(pairs.items()):
        one = verb(*laws, budget=max((deadline - time.monotonic()) / (len(pairs) - k), LEAST))
        found.append((places, one))  # of an infinite sum too: that the other factors are laws is proved with theirs
    for places, one in found:
        if one.value is None:
            return _unknown(name, f"coordinate {places[0]}: {_why(one)}")
    if any(not one.proved for _, one in found):
        return _measured(name, ratio, found, lambda: of_products(verb, p, q, budget))
    return _proved(name, ratio, found)


def _factors(law: Any) -> tuple[Any, ...]:
    return law.factors if isinstance(law, Product) else (law,)


def _matched(p: Any, q: Any) -> list[tuple[Any, ...]]:
    """The factors of both; raises QED007 where one has more than the other."""
    sides = [_factors(p), _factors(q)]
    if len(sides[0]) != len(sides[1]):
        because = f"p has the dimension {len(sides[0])}, q the dimension {len(sides[1])}"
        raise wrong("p and q", because, "give two laws of the same coordinates")
    return [tuple(as_law(one, name) for one in side) for side, name in zip(sides, "pq", strict=True)]


def _proved(name: str, ratio: bool, found: Sequence[tuple[list[int], Answer[float]]]) -> Answer[float]:
    """The sum of proved terms, with a certificate that keeps theirs."""
    outputs, pieces = [], []
    for places, one in found:
        inner = getattr(one.certificate, "subject", None)
        if one.certificate is None or inner is None:
            return _unknown(name, f"coordinate {places[0]}: its proof holds no function")
        outputs.append(inner.fun)
        count = len(inner.traced().graph.outputs)
        pieces.append((len(places), count, json.dumps(one.certificate.to_json())))
    subject = Subject(_joined(outputs), np.float64(0.5), x64=True)
    try:
        lower, upper = added([(len(places), one.lower, one.upper) for places, one in found], ratio)
        certificate = ProductDivergence.made(subject, ratio=ratio, pieces=tuple(pieces), lower=lower, upper=upper)
        certificate.verify()
    except CertificateError as error:
        return _unknown(name, f"{error.node}: {error.why}")
    infinite = bool(np.isinf(lower))
    value = lower if infinite else min(max(_total(found), lower), upper)
    reasons = tuple(
        Reason(reason.rule, reason.formula, standing=reason.standing, text=f"coordinate {places[0]}: {reason.text}")
        for places, one in found for reason in one.reasons[:1]
    )  # fmt: skip
    first = next((each for each in found if each[1].value == lower), found[0]) if infinite else found[0]
    said = f" by coordinate {first[0][0]}: {first[1].reasons[0].text}" if infinite and first[1].reasons else ""
    return Answer(
        f"{name} {'is infinite' if infinite else f'lies in [{lower!r}, {upper!r}]'}", Standing.PROVED, value,
        arithmetic="reals", error=Enclosed(lower, upper), certificate=certificate, subject=name,
        reasons=(_sum(ratio, Standing.PROVED), *reasons),
        findings=tuple(finding for _, one in found for finding in one.findings),
        headline=f"{capital(name)} is {f'infinite{said}' if infinite else within(lower, upper)}.",
    )  # fmt: skip


def _measured(
    name: str, ratio: bool, found: Sequence[tuple[list[int], Answer[float]]], again: Callable[[], Any]
) -> Answer[float]:
    """The sum where at least one term is only measured."""
    value = _total(found)
    error = sum(len(places) * max(one.upper - one.value, one.value - one.lower) for places, one in found)
    if not np.isfinite(value) or not np.isfinite(error):
        return _unknown(name, "one term is infinite, and another is only measured")
    reasons = tuple(reason for _, one in found if not one.proved for reason in one.reasons)
    return Answer(
        f"{name} is {value!r} within {error:.3g}", Standing.MEASURED, value, arithmetic="float64",
        error=Measured(error, "the sum of what the factors leave open"), subject=name, recheck=again,
        reasons=(_sum(ratio, Standing.PROVED), *reasons),
        headline=f"{capital(name)} is about {value:.9g}, measured within {error:.2g}.",
    )  # fmt: skip


def _total(found: Sequence[tuple[list[int], Answer[float]]]) -> float:
    """The sum of the values, each as often as it counts."""
    return float(sum(len(places) * one.value for places, one in found if one.value is not None))


def _joined(functions: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """The outputs of all functions, one behind the other."""

    def joined(x: Any) -> Any:
        outputs: list[Any] = []
        for one in functions:
            found = one(x)
            outputs += found if isinstance(found, tuple | list) else [found]
        return tuple(outputs)

    return joined


def _sum(ratio: bool, standing: Standing) -> Reason:
    formula = "KL(Π pᵢ ‖ Π qᵢ) = Σ KL(pᵢ ‖ qᵢ)" if ratio else "H(Π pᵢ, Π qᵢ) = Σ H(pᵢ, qᵢ)"
    rule = RULE if ratio else ENTROPIES
    return Reason(rule, formula, standing=standing, text=rule)


def _why(one: Answer[float]) -> str:
    return one.missing[0].what if one.missing else "nothing is claimed"


def _unknown(name: str, problem: str) -> Answer[float]:
    missing = Missing(problem, "that factor's own question, or other laws for it", code="QED020")
    return Answer(f"{name} is a number", Standing.UNKNOWN, missing=(missing,), subject=name,
                  headline=f"Nothing is claimed about {name}.")  # fmt: skip
