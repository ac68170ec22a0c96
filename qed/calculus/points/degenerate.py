"""A critical point some of whose curvatures are zero, up to rounding.

A zero eigenvalue can be proved only where nothing is rounded (`qed.certificates.flat_direction`). Otherwise it is
measured: smaller than the errors of the enclosure at the point to which Newton's method led. Each flat direction is
compared with the motions that the function does not see, and derivatives of higher order are taken along it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from qed.answer import Answer, Reason
from qed.calculus.points import lowest, orbits, overall, words
from qed.calculus.points.case import Case
from qed.calculus.points.flat import Higher, beyond, in_one_variable, in_several
from qed.calculus.points.located import Local, local
from qed.calculus.points.result import CriticalPoint, Direction, Kind
from qed.calculus.points.symmetries import Motion, exchanges
from qed.calculus.points.translations import left
from qed.calculus.points.unmoved import seen
from qed.certificates.convexity import Convexity
from qed.certificates.flat_direction import FlatDirection
from qed.certificates.overall_point import OverallPoint
from qed.certificates.saddle import Saddle
from qed.domains.ball_boxes import NotSmooth
from qed.errors import CertificateError
from qed.findings import Finding
from qed.graph.dtypes import unit_roundoff
from qed.standing import Standing

Array = np.ndarray
SHOWN = 4
"""How many flat directions are named."""


def degenerate(case: Case, center: Array, at: Local, common: dict[str, Any]) -> Answer[CriticalPoint] | None:
    """The answer at a degenerate point; None where no curvature is zero up to rounding.

    Args:
        case: the function.
        center: a point where the gradient vanishes up to rounding.
        at: the derivatives there.
        common: gradient and rounding at the given point.
    """
    values, vectors = np.linalg.eigh(at.matrix)
    still = _stands_still(case, center, at)
    room = zero(values, at) if still else _resolved(case, values, zero(values, at))
    flat = np.abs(values) <= room
    negative, positive = int(np.sum(values < -room)), int(np.sum(values > room))
    if not np.any(flat) or float(np.linalg.norm(at.gradient)) > max(1e-9 * common["gradient"], _still(at, center)):
        return None
    kind = Kind.SADDLE if negative and positive else Kind.DEGENERATE
    basis = vectors[:, flat]
    motions = seen(case, center, basis)
    try:
        found = Higher("") if kind is Kind.SADDLE else _higher(case, center, vectors, values, room, motions)
    except NotSmooth:
        found = Higher("")
    orbit = ""
    if kind is Kind.DEGENERATE and not found.nature:
        orbit = orbits.nature(case, center, at, motions, (negative, positive, int(flat.sum())))
    shape = None
    if kind is Kind.DEGENERATE and found.nature != "neither" and overall.critical(case, center, at.matrix):
        shape = overall.shape(case)
    if kind is Kind.DEGENERATE and shape is None and not (found.nature or orbit) and case.function.size > 1:
        found = _curved(case, center, vectors, values, room, motions, found)
    whole = "" if shape is None else overall.NATURES[shape.claim]
    bound = ""
    alone = any(motion.single for motion in motions)
    if kind is Kind.DEGENERATE and not (found.nature or orbit or whole or alone):
        bound = lowest.nature(case, center)
    ways = _ways(case, basis, motions, found)
    falls = (case.direction(vectors[:, 0], float(values[0])),) if negative else ()
    distance = float(np.linalg.norm(center - case.point))
    value = CriticalPoint(
        kind, (found.nature or orbit or whole or bound) if kind is Kind.DEGENERATE else "", case.tree(center), distance,
        negative=negative, positive=positive, flat=int(flat.sum()), curvatures=values, directions=(*falls, *ways),
        moving=bool(orbit), everywhere=bool(whole), strict=_is_strict(found, basis, motions), **common,
    )  # fmt: skip
    if not still:
        certificate = None
    elif kind is Kind.SADDLE:
        certificate = _falls(case, vectors[:, 0], vectors[:, -1])
    else:
        certificate = _exact(case, basis, found)
    if isinstance(certificate, FlatDirection) and shape is not None:
        certificate = OverallPoint.of(certificate, shape)
    return _answer(case, value, found, motions, room, certificate, shape, bound)


def zero(values: Array, at: Local) -> float:
    """Below which size an eigenvalue is zero up to rounding."""
    largest = float(np.max(np.abs(values), initial=0.0))
    return 4 * at.spread() + 64 * len(values) * float(np.finfo(float).eps) * largest


def _resolved(case: Case, values: Array, room: float) -> float:
    """Below which size an eigenvalue is zero at a point that is critical up to rounding, where the signs differ.

    A curvature below a rounding of the largest, in the program's own arithmetic, may be that of the way to the critical
    point: of a network that fits its rounded targets, whose Hessian is J'J + sum r_i H_i, the last term is what the
    roundings r of the targets leave.
    """
    if not values[0] < -room < room < values[-1]:
        return room
    unit = max(unit_roundoff(p.dtype) for p in case.function.parameters if p.size)
    rounding = 2 * unit * float(np.max(np.abs(values)))
    return max(room, rounding) if -values[0] <= rounding or values[-1] <= rounding else room


def _still(at: Local, center: Array) -> float:
    """How long a gradient may be that is zero up to rounding."""
    width = float(np.linalg.norm(at.slope.upper - at.slope.lower))
    moved = float(np.linalg.norm(np.abs(at.matrix) @ np.abs(center))) * float(np.finfo(float).eps)
    return 4 * (width + moved)


def _higher(case: Case, center: Array, vectors: Array, values: Array, room: float, motions: Sequence[Motion]) -> Higher:
    """What derivatives up to the fourth say, or up to the twelfth in one variable."""
    if case.function.size == 1:
        return in_one_variable(case, center)
    flat = np.abs(values) <= room
    looked = _looked(vectors[:, flat], motions)
    if looked.shape[1] == 0:
        return Higher("")
    return in_several(case, center, looked, vectors[:, ~flat], values[~flat], room)


def _looked(basis: Array, motions: Sequence[Motion]) -> Array:
    """The flat directions but for those of lines along which f is the same."""
    return left(basis, [motion for motion in motions if motion.straight and not motion.single])


def _curved(
    case: Case, center: Array, vectors: Array, values: Array, room: float, motions: Sequence[Motion], found: Higher
) -> Higher:
    """What the reduced function says, where derivatives up to the fourth do not tell."""
    flat = np.abs(values) <= room
    looked = _looked(vectors[:, flat], motions)
    if looked.shape[1] == 0:
        return found
    try:
        return beyond(case, center, looked, vectors[:, ~flat], values[~flat], found)
    except NotSmooth:
        return found


def _is_strict(found: Higher, basis: Array, motions: Sequence[Motion]) -> bool:
    """Whether derivatives along all flat directions say that f rises, or that it falls, beside the point."""
    return found.nature in ("minimum", "maximum") and _looked(basis, motions).shape[1] == basis.shape[1]


def _ways(case: Case, basis: Array, motions: list[Motion], found: Higher) -> tuple[Direction, ...]:
    """The flat directions: first those that a motion explains, then what is left."""
    ways = [case.direction(m.generator, 0.0, m.name) for m in motions[:SHOWN]]
    if not motions:
        for k in range(min(SHOWN, basis.shape[1])):
            third = found.third[k] if k < len(found.third) else None
            fourth = found.fourth[k] if k < len(found.fourth) else None
            ways.append(case.direction(basis[:, k], 0.0, third=third, fourth=fourth))
        return tuple(ways)
    return (*ways, *(case.direction(v, 0.0) for v in left(basis, motions).T[:SHOWN]))


def _stands_still(case: Case, center: Array, at: Local) -> bool:
    """Whether the gradient is exactly zero at the given point."""
    still = bool(np.all(at.slope.lower == 0) and np.all(at.slope.upper == 0))
    return still and np.array_equal(center, case.point)


def _falls(case: Case, down: Array, up: Array) -> Saddle | None:
    """The certificate of a saddle with flat directions, where the slopes are exactly zero."""
    certificate = Saddle.about(case.fun, case.x, case.args, down=down.tolist(), up=up.tolist())
    try:
        certificate.verify()
    except CertificateError:
        return None
    return certificate


def _exact(case: Case, basis: Array, found: Higher) -> FlatDirection | None:
    """A certificate, where nothing is rounded."""
    for direction in _short(basis, found):
        along = found.order if found.order and (case.function.size == 1 or found.cubic) else 0
        same = found.direction is not None and _parallel(direction, found.direction)
        order = along if same else 0
        sign = int(np.sign(found.coefficient * (1 if order % 2 == 0 else _turned(direction, found)))) if order else 0
        certificate = FlatDirection.about(
            case.fun, case.x, case.args, direction=direction.tolist(), order=order, sign=sign
        )
        try:
            certificate.verify()
        except CertificateError:
            continue
        return certificate
    return None


def _short(basis: Array, found: Higher) -> Iterator[Array]:
    """Directions among the flat ones whose numbers are short."""
    if found.direction is not None and found.order:
        yield _rounded(found.direction)
    for unit in np.eye(len(basis)):
        if np.linalg.norm(unit - basis @ (basis.T @ unit)) < 1e-9:
            yield unit
    for k in range(min(SHOWN, basis.shape[1])):
        yield _rounded(basis[:, k])


def _rounded(direction: Array) -> Array:
    return np.round(direction / np.max(np.abs(direction)) * 2.0**10) / 2.0**10


def _parallel(direction: Array, other: Array) -> bool:
    return bool(np.max(np.abs(_rounded(direction)) - np.abs(_rounded(other))) == 0)


def _turned(direction: Array, found: Higher) -> float:
    assert found.direction is not None
    return float(np.sign(direction @ found.direction))


def _count(value: CriticalPoint) -> int:
    return value.negative + value.positive + value.flat


def _answer(
    case: Case,
    value: CriticalPoint,
    found: Higher,
    motions: list[Motion],
    room: float,
    proof: FlatDirection | OverallPoint | Saddle | None,
    shape: Convexity | None,
    bound: str,
) -> Answer[CriticalPoint]:
    n = case.function.size
    flat = proof.inner()[0] if isinstance(proof, OverallPoint) else proof
    decided = isinstance(flat, FlatDirection) and (n == 1 or (found.cubic and flat.order == 3))
    standing = Standing.PROVED if proof is not None else Standing.MEASURED
    test = words.higher(found, n, Standing.PROVED if decided else Standing.MEASURED)
    if value.moving:
        test = orbits.told(value.nature)
    still = Standing.PROVED if isinstance(flat, FlatDirection) else Standing.MEASURED
    convex = () if shape is None else (overall.told(shape.claim, still),)
    silent = value.kind is Kind.SADDLE or (shape is not None and not found.nature and not value.moving)
    saddle = value.kind is Kind.SADDLE
    shares = "; along ".join(d.named() for d in value.directions if d.curvature == 0)
    findings = (Finding("QED304", f"f is flat to second order along {shares}"),)
    if saddle:
        way = value.directions[0]
        findings = (Finding("QED303", f"f falls along {way.named()}: v'Hv = {way.curvature:.6g}"), *findings)
    return Answer(
        _claim(value, proof, decided, found),
        standing,
        value,
        arithmetic="reals" if proof is not None else "float64",
        certificate=proof,
        reasons=(
            *((_told(value.directions[0], proof is not None),) if saddle else ()),
            _counted(value, room, isinstance(flat, FlatDirection)),
            *(() if silent else (test,)),
            *convex,
            *((lowest.told(bound),) if bound else ()),
            *_named(value, motions),
            words.rounding(value.gradient, value.rounding),
            *words.exchanged(exchanges(case, case.vector(value.point))),
        ),
        findings=findings,
        headline=_headline(value, motions, n, bound),
        recheck=None if proof is not None else _again(case, value, room),
    )


def _told(way: Direction, proved: bool) -> Reason:
    """The direction in which f falls."""
    return Reason(
        "negative curvature",
        "v'Hv < 0",
        standing=Standing.PROVED if proved else Standing.MEASURED,
        text=f"f falls along {way.named()}: v'Hv = {way.curvature:.6g}; along another direction it rises",
        unpredicted="a sign is asked for, not a number",
    )


def _counted(value: CriticalPoint, room: float, exactly: bool) -> Reason:
    """How many curvatures are zero, and how nearly."""
    n = _count(value)
    what = "f'' is zero" if n == 1 else f"{value.flat} of {n} curvatures {'is' if value.flat == 1 else 'are'} zero"
    assert value.curvatures is not None
    return Reason(
        "curvatures that are zero",
        "H v = 0" if exactly else "|l| <= errors of the enclosure",
        standing=Standing.PROVED if exactly else Standing.MEASURED,
        text=what + ("; grad f = 0 and H v = 0 exactly" if exactly else f" up to {room:.1g}"),
        predicted=0.0,
        observed=float(np.min(np.abs(value.curvatures))),
    )


def _named(value: CriticalPoint, motions: list[Motion]) -> tuple[Reason, ...]:
    """What leaves the function as it is, and the flat directions that nothing is known of."""
    names = [Reason("symmetry", text=m.name, role="flat", with_numbers="moved along") for m in motions[:SHOWN]]
    if len(motions) > SHOWN:
        names.append(Reason("symmetry", text=f"and {len(motions) - SHOWN} more such motions", role="flat"))
    ways = [d for d in value.directions if not d.why and d.curvature == 0]
    if ways and _count(value) > 1:
        names.append(Reason("flat direction", text=f"no symmetry that is known: {ways[0].named()}", role="flat"))
    return tuple(names)


def _again(case: Case, value: CriticalPoint, room: float) -> Any:
    """Measures the curvatures once more, in balls; by the term where the program is not smooth."""

    def measured() -> bool:
        flat = [d for d in value.directions if d.curvature == 0]
        center = case.vector(value.point)
        lines = np.array([case.vector(d.vector) for d in flat])
        try:
            _, rows = case.balls.series(center, center, lines, 2)
            bends = np.array([2 * float(row[2].mid()) for row in rows])
        except NotSmooth:
            bends = np.einsum("ki,ij,kj->k", lines, local(case.boxes, center, center).matrix, lines)
        return bool(np.all(np.abs(bends) <= 4 * room + 1e-12))

    return measured


def _claim(
    value: CriticalPoint, proof: FlatDirection | OverallPoint | Saddle | None, decided: bool, found: Higher
) -> str:
    if value.kind is Kind.SADDLE:
        where = "up to rounding, where" if proof is None else "at the point, and"
        return f"grad f is zero {where} some curvatures are negative and some positive: a saddle"
    after = ""
    if proof is not None and decided and found.nature:
        after = f"; the derivative of order {found.order} along it is not: {words.NATURES[found.nature]}"
    if isinstance(proof, OverallPoint):
        shape = "convex" if proof.sign > 0 else "concave"
        return f"grad f is zero at the point, and f is {shape} where it is defined: a global {value.nature}"
    if proof is not None:
        return f"grad f is zero at the point, and the second derivatives along a direction are{after}"
    return f"grad f and {value.flat} of {_count(value)} curvatures are zero up to rounding"


def _headline(value: CriticalPoint, motions: list[Motion], n: int, bound: str) -> str:
    if value.kind is Kind.SADDLE:
        are = "is" if value.negative == 1 else "are"
        rest = f"{value.positive} positive, and {value.flat} zero up to rounding"
        return f"A saddle: of {n} curvatures {value.negative} {are} negative, {rest}."
    which = "f'' is zero" if n == 1 else f"{value.flat} of {n} curvatures {'is' if value.flat == 1 else 'are'} zero"
    point = f"global {value.nature}" if value.everywhere else value.nature
    if value.moving:
        many = (
            "A symmetry of the function explains it" if value.flat == 1 else "Symmetries of the function explain them"
        )
        return f"Degenerate: {which}. {many}, and the point is a {point}, not a strict one."
    if len(motions) >= n == value.flat:
        return f"Degenerate: {which}, and f is the same along every direction that was moved along: it looks constant."
    if value.everywhere:
        shape = "convex" if value.nature == "minimum" else "concave"
        told = f", and f is {shape}: the point is a {point}"
    elif bound:
        told = f", and f is nowhere {'lower' if bound == 'minimum' else 'higher'} nearby: the point is a {bound}"
    elif value.nature:
        told = f"; higher derivatives: {words.NATURES[value.nature]}"
    else:
        told = ", so the second derivatives cannot tell what it is"
    why = ""
    if motions:
        count = "all" if len(motions) >= value.flat else f"{len(motions)}"
        why = f" Symmetries of the function explain {count} of them." if value.flat > 1 else " A symmetry explains it."
    return f"Degenerate: {which}{told}.{why}"
