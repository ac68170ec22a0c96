"""The proof that f has no least value: a ray in the bounds on which it is a polynomial that falls for ever.

What was seen at doubling distances is no proof, and where f is made of sums and products its terms give one: on
x + t d they are a polynomial in t with rational coefficients, and the sign of the leading one decides
(`qed.certificates.ray`). The direction that was found is tried, and the same with short numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from qed.answer import Answer, Reason
from qed.calculus.hessian import flatten, shaped
from qed.certificates.ray import Ray
from qed.certificates.stacked import stacked
from qed.errors import CertificateError, QedError
from qed.findings import Finding
from qed.graph.trace import is_float
from qed.graph.walk import TooLong
from qed.optimization.bounds import Bounds
from qed.optimization.objective import Objective, Seen
from qed.optimization.solution import Ending, Verdict
from qed.standing import Standing

Array = np.ndarray
LARGEST, WORK = 50, 100_000
"""How many parameters there may be, and how many numbers of the program times the parameters."""


def endless(
    objective: Objective, bounds: Bounds, asked: tuple[Any, Any, tuple[Any, ...]], seen: list[Seen],
    answer: Answer[Verdict],
) -> Answer[Verdict]:  # fmt: skip
    """The answer that f is unbounded below, proved where a ray shows it; else as it is.

    Args:
        objective: the loss.
        bounds: the box.
        asked: (fun, x, args).
        seen: points from which a ray may begin: the one asked about, and where a run began.
        answer: what is known.
    """
    value = answer.value
    if value is None or value.kind is not Ending.UNBOUNDED_BELOW or answer.proved:
        return answer
    size = objective.function.size
    if size > LARGEST or objective.function.graph.numbers() * size > WORK:
        return answer
    (fun, x, args), parts = asked, objective.function.parameters
    box = shaped(bounds.lower, parts), shaped(bounds.upper, parts)
    given = None if value.direction is None else flatten([v for v in jax.tree.leaves(value.direction) if is_float(v)])
    for start, way in _rays(bounds, seen, given):
        ray = Ray.about(
            stacked(fun), x, tuple(args), box=box, equalities=0, start=start.tolist(), direction=way.tolist()
        )  # fmt: skip
        try:
            ray.verify()
        except CertificateError:
            continue
        except (TooLong, QedError, MemoryError, TypeError, ValueError, NotImplementedError):
            return answer
        return _told(objective, bounds, asked, way, ray, answer)
    return answer


def _rays(bounds: Bounds, seen: list[Seen], given: Array | None) -> Iterator[tuple[Array, Array]]:
    """Starts with directions that stay in the bounds, those with short numbers first."""
    ways = [] if given is None else [given]
    ways += [-here.g for here in seen] + [one.x - seen[-1].x for one in seen[:-1]]
    starts = [here.x for here in seen if np.all(np.isfinite(here.x)) and np.abs(here.x).max(initial=0.0) < 1e100]
    for way in ways:
        largest = float(np.abs(way).max(initial=0.0))
        if not 0 < largest < np.inf:
            continue
        unit = way / largest
        for short in (np.round(unit), np.round(unit * 8) / 8, unit):
            leaves = ((short > 0) & np.isfinite(bounds.upper)) | ((short < 0) & np.isfinite(bounds.lower))
            stays = np.where(leaves, 0.0, short)
            if np.any(stays):
                yield from ((bounds.project(start), stays) for start in starts)


def _told(
    objective: Objective, bounds: Bounds, asked: tuple[Any, ...], way: Array, ray: Ray, answer: Answer[Verdict]
) -> Answer[Verdict]:
    names = objective.function.coordinates
    moves = [f"{name} {'+' if d > 0 else '-'} {abs(d):.6g} t" for name, d in zip(names, way, strict=True) if d]
    shown = ", ".join(moves[:6]) + (", ..." if len(moves) > 6 else "")
    inside = "" if bounds.open else " within the bounds"
    text = f"Unbounded below: along a ray{inside} ({shown}) f falls to -infinity."
    exact = Reason(
        "a polynomial on the ray", "f(p + t d) in rational numbers", standing=Standing.PROVED,
        unpredicted="the coefficients are exact",
        text="on the ray f is a polynomial in t whose leading coefficient is negative",
    )  # fmt: skip
    assert answer.value is not None
    value = replace(answer.value, direction=objective.tree(asked[1], way))
    return replace(
        answer, claim=f"f has no least value{inside}: it falls to -infinity along a ray ({shown})",
        standing=Standing.PROVED, value=value, certificate=ray, headline=text, arithmetic="reals",
        reasons=(exact, *answer.reasons), findings=(Finding("QED306", text),), recheck=None, missing=(),
    )  # fmt: skip
