"""The divergence of the laws of g(X) and g(Y): that of X and Y, where g is one to one.

    KL(g P || g Q) = KL(P || Q),        and KL(g P || g Q) <= KL(P || Q) for any g

(Kullback and Leibler, Ann. Math. Stat. 22, 1951, theorem 4.1). No density of g(X) is needed, nor need it have one: of
laws on whole numbers the same is true.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.answer import Answer, Missing, Reason
from qed.certificates.certificate import Subject
from qed.certificates.divergence import Divergence
from qed.certificates.image_divergence import ImageDivergence, one_to_one, same_map, with_map
from qed.errors import CertificateError, QedError
from qed.integration.censored_divergence import censored
from qed.integration.images import IMAGE, base_of
from qed.integration.measure import Measure
from qed.standing import Standing

RULE = "a map that is one to one changes no divergence"
"""The rule."""


def of_images(p: Measure, q: Measure, kl: Callable[[Any, Any], Answer[float]]) -> Answer[float] | None:
    """The divergence of two laws that are images under one map, one to one or flat on pieces; None for other laws.

    Args:
        p: the first law.
        q: the second.
        kl: `qed.kl`, for the laws on which the map acts.
    """
    parts = (*p.parts, *q.parts)
    counting = any(part.counting for part in parts)
    if not any(part.family == IMAGE for part in parts) or (counting and (p.atoms or q.atoms)):
        return None
    pairs = [base_of(part) for part in parts]
    maps = [None if g is None else Subject(_map(g), np.float64(0.5), x64=True) for _, g in pairs]
    if maps[0] is None or not all(one is not None and same_map(maps[0], one) for one in maps):
        return None
    before = [base for base, _ in pairs]
    names = [f"the law under {law}" for law in (p, q)]
    laws = [Measure(parts=tuple(side), name=name) for side, name in
            zip((before[: len(p.parts)], before[len(p.parts) :]), names, strict=True)]  # fmt: skip
    if p.atoms or q.atoms or not one_to_one(maps[0].traced(), 0, min(part.lower for part in before)):
        return None if counting else censored(p, q, laws, maps[0])
    return _carried(kl(*laws), maps[0].fun, names, (str(p), str(q)))


def _map(g: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda x: jnp.asarray(g(x), jnp.float64)


def _carried(found: Answer[float], g: Any, names: list[str], told: tuple[str, str]) -> Answer[float]:
    """The answer about the laws before the map, as one about their images."""

    def said(text: str) -> str:
        for name, image in zip(names, told, strict=True):
            text = text.replace(name, image)
        return text

    words = {name: said(getattr(found, name) or "") for name in ("claim", "headline", "subject")}
    reason = Reason(RULE, "KL(g P ‖ g Q) = KL(P ‖ Q)", standing=Standing.PROVED, text=RULE)
    base = found.certificate
    if not isinstance(base, Divergence):
        return replace(found, reasons=(*found.reasons, reason), **words)
    try:
        subject = with_map(base, g)
        certificate = ImageDivergence.made(subject, base=json.dumps(base.to_json()), lower=base.lower, upper=base.upper)
        certificate.verify()
    except (CertificateError, QedError):
        missing = Missing("the proof about the laws before the map does not carry over", "other laws", code="QED020")
        return Answer(f"{words['subject']} is a number", Standing.UNKNOWN, missing=(missing,), subject=words["subject"])
    return replace(found, reasons=(*found.reasons, reason), certificate=certificate, seal=None, **words)
