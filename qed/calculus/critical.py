"""What a point is: a minimum, a maximum, a saddle, degenerate, or not critical at all.

Where grad f(x) = 0 the curvatures, the eigenvalues of the Hessian, decide: all positive, a strict local minimum; all
negative, a strict local maximum; of both signs, a saddle (Apostol, *Mathematical Analysis*, 2nd ed., 1974, theorem
13.10). With one variable this is the second-derivative test. Two things stand between the theorem and a program. A
float is hardly ever the critical point itself: the gradient is compared with its rounding errors, and what is proved
names the true critical point and its distance (`qed.calculus.points.located`). And an eigenvalue that is zero cannot be
told from one that is not by floats alone: there derivatives of higher order are asked (`qed.calculus.points.flat`), and
what the function does not see (`qed.calculus.points.symmetries`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from qed.answer import Answer, Missing
from qed.calculus.bounding.boxes import Gap
from qed.calculus.points import words
from qed.calculus.points.case import WIDEST, Case, Derivatives, Stronger
from qed.calculus.points.corners import direction, jumps, smooth_along
from qed.calculus.points.degenerate import degenerate
from qed.calculus.points.large import gradient, judged
from qed.calculus.points.located import Local, Located, approached, located, refined, where_smooth, where_smooth_and
from qed.calculus.points.result import CriticalPoint, Kind, kind_of
from qed.calculus.points.rounding import explained
from qed.calculus.points.sharpened import affordable, hides, hopeless, proved, sharpened
from qed.calculus.points.sparse import sparse_point
from qed.calculus.points.symmetries import exchanges
from qed.calculus.spectra.products import Products
from qed.certificates.certificate import Certificate as AnyCertificate
from qed.certificates.critical_point import CriticalPoint as Certificate
from qed.certificates.reading import as_read
from qed.certificates.slope import Slope
from qed.domains.ball_boxes import NotSmooth
from qed.domains.cost import count
from qed.domains.value import Value
from qed.errors import CertificateError
from qed.findings import Finding
from qed.graph.function import Function, read
from qed.graph.walk import TooLong, Walker
from qed.progress import Progress
from qed.standing import Standing

Array = np.ndarray
LARGEST = 100
"""How many variables there may be for a proof: n (n + 1) / 2 second derivatives are enclosed."""
SECOND = 4
"""How many second derivatives balls enclose in the time of a first one that `work` counts, at most."""
INTERVALS = 40
"""How many times as long as balls an enclosure in intervals of float64 is let be."""
PROOF = 8
"""How many times the numbers of a program `work` has to be for a proof with its sparse Hessian."""
DEAR = 4e6
"""From so many numbers of a program on neither intervals nor balls are asked of it, whatever they may take."""
SHARE = 0.1
"""How many numbers of a program an operation counts for, of those inside matrix products too."""
MOST = 2**21
"""How many numbers an enclosure of all second derivatives may hold at one equation."""


def critical_point(
    fun: Callable[..., Any], x: Any, *args: Any, progress: Progress | None = None
) -> Answer[CriticalPoint]:
    """What the point x is to the function fun(x, *args): its claim names a true critical point and its distance from x.

    Args:
        fun: a function of a tree of arrays that returns a number.
        x: the point, a tree with floating-point arrays.
        args: the other arguments, held constant.
        progress: called with (what, done, total).

    Returns:
        An answer whose value is a `CriticalPoint`; `kind` is minimum, maximum, saddle, degenerate, not_critical or
        undecided. PROVED for a critical point all of whose curvatures have a sign (of up to 100 variables, and of
        thousands where the Hessian has few entries), for one variable also where exact derivatives
        of higher order decide, and for a gradient that is no rounding error; MEASURED for curvatures that
        are zero up to rounding; UNKNOWN, and `undecided`, at a corner, where the value is not finite, and where a rule
        is missing. Curvatures and distances are in the units of x.

    Raises:
        QedError: QED002, QED003, QED004, QED006, QED007, QED010, as `qed.graph.function.read` does.

    Example:
        >>> import jax.numpy as jnp
        >>> answer = critical_point(lambda x: x[0] ** 2 - jnp.cos(x[1]), jnp.array([0.0, 0.0]))
        >>> str(answer.standing), str(answer.kind), answer.distance, answer.check()
        ('PROVED', 'minimum', 0.0, True)
        >>> str(critical_point(lambda x: x**4, 0.0).kind), critical_point(lambda x: x**4, 0.0).nature
        ('degenerate', 'minimum')
    """
    return critical_within(fun, x, args, math.inf, progress=progress)


def critical_within(
    fun: Callable[..., Any],
    x: Any,
    args: tuple[Any, ...],
    work: float,
    value: float | None = None,
    progress: Progress | None = None,
    stronger: Stronger | None = None,
    function: Function | None = None,
    derivatives: Derivatives | None = None,
) -> Answer[CriticalPoint]:
    """The same; no certificate where the numbers of a run times the variables are more than `work`, too long for balls.

    Where the numbers times the second derivatives are more than `INTERVALS` times that, intervals are not asked either.
    With the value of f at x, and a critical point proved near x, that is the answer, and whether the gradient at x is
    but rounding is not asked. A minimum of which `stronger` has a certificate is proved by that. `function` is fun, if
    it was read at x already; `derivatives` are its gradient and Hessian at a vector in floats, where they cost little.
    """
    started = time.perf_counter()
    function = read(fun, x, *args) if function is None else function
    case = Case(fun, x, args, function, progress=progress, stronger=stronger, derivatives=derivatives)
    meta = {"dtype": function.dtype}
    answer = replace(_judged(case, work, value), subject=function.title())
    answer = replace(answer, meta={**meta, "seconds": time.perf_counter() - started})
    return as_read(answer, function.traced)


def _judged(case: Case, work: float, value: float | None) -> Answer[CriticalPoint]:
    nearest, value = value is not None, _value(case.function) if value is None else value
    if not np.isfinite(value):
        what = f"the value at the point is {value}"
        return undecided(Missing(what, "a point where the function is finite", "QED210"), "QED210")
    n = case.function.size
    numbers, second = case.function.graph.numbers(), n * (n + 1) // 2
    if n > LARGEST or case.weight * second > MOST or numbers * second > INTERVALS * work:
        most = _most(case.function)
        certify = most <= min(work, DEAR)
        return _large(case, certify=certify, prove=certify and PROOF * most <= work)
    try:
        near = None if case.derivatives is None else approached(case.derivatives, case.point)
        here, there = where_smooth_and(case.boxes, case.point, near)
        short = numbers * n <= work
        balls = short and numbers * second <= SECOND * work
        if here is None:
            return _rough(case)
        begun = None if near is None or there is None else (near, there)
        return _at(case, here, flat=short, certify=balls, nearest=nearest, begun=begun)
    except Gap as gap:
        lost = gap.unknown
        answer = _rough(case)
        if not answer.unknown:
            return answer
        return undecided(Missing(str(lost), "a rule", "QED020", lost.primitive, lost.span))
    except TooLong as error:
        return undecided(Missing(str(error), "a shorter loop", "QED020"))


def _most(function: Function) -> float:
    """The numbers of the program, or a share of its operations, where these are more."""
    return max(function.graph.numbers(), SHARE * count(function.graph, function.traced.free).value)


def provable(function: Function, work: float) -> bool:
    """Whether `critical_within` asks intervals or balls of a function at all, which take `work` for each."""
    n = function.size
    return _most(function) <= work or (n <= LARGEST and function.graph.numbers() * n * (n + 1) // 2 <= INTERVALS * work)


def _value(function: Function) -> float:
    """f at the point, equation by equation; loops as one."""
    if any(equation.primitive in ("while", "scan") for equation in function.graph.walk()):
        return float(np.asarray(function.value(function.parameters)).astype(np.float64))
    (cell, *_) = Walker([Value()]).run(function.graph, function.join(function.parameters))
    return float(np.asarray(cell.values[0]).astype(np.float64))


def _large(case: Case, smooth: bool = False, certify: bool = True, prove: bool = True) -> Answer[CriticalPoint]:
    """The answer from products: for a function whose second derivatives are too many to enclose, or not enclosed.

    `smooth`: nothing jumps at the point; `certify`: intervals and balls may be asked, which take long; `prove`:
    a sparse Hessian may be enclosed, which takes longer.
    """
    if not smooth:
        case.tell("whether f is smooth at the point")
        if not (certify and smooth_along(case, direction(case))):
            return _rough(case, certify, prove)
    case.tell("the gradient and its rounding")
    try:
        slope = gradient(case)
    except (NotImplementedError, ValueError, TypeError) as error:  # what JAX raises where a rule is missing
        return undecided(Missing(f"there is no gradient: {error}", "a function that JAX can differentiate"))
    size = float(np.linalg.norm(slope))
    if not np.isfinite(size):
        return undecided(
            Missing("the gradient is not finite", "a point where the gradient is finite", "QED210"), "QED210"
        )
    common: dict[str, Any] = {"gradient": size, "rounding": 0.0}
    if size > 0:
        unit = slope / size
        try:
            bent = Products(case.values).exact(unit)
        except NotImplementedError:
            bent = np.zeros(len(unit))
        common["rounding"] = explained(case.function, unit, bent, case.point)
        if size > common["rounding"]:
            balls = certify and case.is_cheap_in_balls
            return _not_critical(case, np.abs(slope) * (1 - 1e-9), None, common, balls)
    case.tell("whether the Hessian is sparse")
    proved = sparse_point(case, common) if prove else None
    return judged(case, common, undecided) if proved is None else proved


def undecided(missing: Missing, code: str | None = None, **values: Any) -> Answer[CriticalPoint]:
    """The answer where nothing is decided."""
    findings = () if code is None else (Finding(code, missing.what, missing.span),)
    claim = "the point is a minimum, a maximum, a saddle, degenerate, or not critical"
    value = CriticalPoint(Kind.UNDECIDED, **values)
    headline = f"Undecided: {missing.what}."
    return Answer(
        claim, Standing.UNKNOWN, value, arithmetic="reals", missing=(missing,), findings=findings, headline=headline
    )


def _rough(case: Case, certify: bool = True, prove: bool = True) -> Answer[CriticalPoint]:
    """Where intervals do not prove that f is smooth: by its term; at a corner undecided, otherwise by products."""
    termed = case.by_terms() if certify and case.enclosed is None else None
    answer = None if termed is None else _by_terms(termed)
    if answer is not None:
        return answer
    try:
        corner = jumps(case, direction(case))
    except (NotImplementedError, ValueError, TypeError):  # what JAX raises where a rule is missing
        corner = "f may have no second derivative at the point: what JAX takes around it is not known"
    if not corner:
        return _large(case, smooth=True, certify=certify, prove=prove)
    why = corner
    try:
        if certify:
            case.balls.series(case.point, case.point, direction(case)[None], 2)
    except NotSmooth as error:
        why = f"{corner}; " + str(error).replace("may be undefined somewhere on the box", "may have none")
    return undecided(Missing(why, "a point off the corner", "QED104"), "QED104")


def _by_terms(case: Case) -> Answer[CriticalPoint] | None:
    """The answer where the function is smooth as a term; None where that is not told."""
    here = where_smooth(case.boxes, case.point)
    if here is None:
        return None
    answer = _at(case, here)
    return None if answer.unknown else answer


def _at(
    case: Case,
    here: Local,
    flat: bool = True,
    certify: bool = True,
    nearest: bool = False,
    begun: tuple[Array, Local] | None = None,
) -> Answer[CriticalPoint]:
    """The answer at a point where f is smooth.

    `flat`: derivatives of higher order may be asked; `certify`: balls; `nearest`: a critical point that is near is it;
    `begun`: a point where the gradient nearly vanishes already.
    """
    point, n = case.point, case.function.size
    gradient = float(np.linalg.norm(here.gradient))
    center, at = refined(case.boxes, point, here) if begun is None else begun
    found = located(case.boxes, center, at)
    if begun is not None and (found is None or found.signs is None):
        center, at = refined(case.boxes, point, here)
        found = located(case.boxes, center, at)
    if nearest and found is not None:
        near = _near(case, found, at, {"gradient": gradient}, certify)
        if near is not None:
            return near
    bound = 0.0
    if gradient > 0:
        unit = here.gradient / gradient
        bound = explained(case.function, unit, here.matrix @ unit, point)
    surely = np.maximum(np.maximum(here.slope.lower, -here.slope.upper), 0.0)
    common: dict[str, Any] = {"gradient": gradient, "rounding": bound}
    beside = None if found is None else _near(case, found, at, common, certify)
    if float(np.linalg.norm(surely)) > bound and np.any(surely > 0):
        return _not_critical(case, surely, beside, common)
    if beside is not None:
        return beside
    if hides(at):
        center, at, sure = _sharper(case, center, at)
        found = proved(case, center, at) if sure and not hides(at) else None
        beside = None if found is None else _near(case, found, at, common, certify)
        if beside is not None:
            return beside
        flat = flat and sure
    answer = degenerate(case, center, at, common) if flat else None
    if answer is not None:
        return answer
    values = np.linalg.eigvalsh(at.matrix)
    if n > 1:
        what = f"the curvatures, {values[0]:.3g} to {values[-1]:.3g} as computed, are too uncertain"
    else:
        what = f"f'', {values[0]:.3g} as computed, is too uncertain"
    missing = Missing(f"{what} for a proof in float64", "a better scaled function")
    return undecided(missing, gradient=gradient, rounding=bound, curvatures=values)


def _sharper(case: Case, center: Array, at: Local) -> tuple[Array, Local, bool]:
    """The point and its derivatives in balls of many bits, and whether no curvature that counts can be hidden there."""
    try:
        sharp = sharpened(case, case.point) if affordable(case) else None
    except NotSmooth:
        return center, at, not hopeless(at)
    if sharp is not None:
        return *sharp, True
    return center, at, affordable(case) or not hopeless(at)


def _near(case: Case, found: Located, at: Local, common: dict[str, Any], certify: bool) -> Answer[CriticalPoint] | None:
    """The answer about a critical point all of whose curvatures have a sign."""
    if found.signs is None:
        return None
    still = bool(np.all(at.slope.lower == 0) and np.all(at.slope.upper == 0))
    distance = 0.0 if still and np.array_equal(found.center, case.point) else _distance(case.point, found)
    certificate, missing = _certificate(case, found, distance, certify)
    standing = Standing.PROVED if certificate is not None else Standing.MEASURED
    negative, positive = found.signs
    kind = kind_of(negative, positive)
    values, vectors = np.linalg.eigh(found.box.matrix)
    falls = (case.direction(vectors[:, 0], float(values[0])),) if negative else ()
    value = CriticalPoint(
        kind, point=case.tree(found.center), distance=distance, negative=negative, positive=positive,
        curvatures=values, directions=falls, **common,
    )  # fmt: skip
    reasons = (
        words.tested(kind, found, len(values), standing),
        words.krawczyk(distance, standing),
        *(words.fall(d) for d in falls if kind is Kind.SADDLE),
        words.rounding(common["gradient"], common.get("rounding", math.nan)),
        *words.exchanged(exchanges(case, found.center)),
    )
    return Answer(
        words.claim(kind, distance, negative, positive),
        standing,
        value,
        arithmetic="reals",
        certificate=certificate,
        reasons=reasons,
        missing=missing,
        findings=_found(kind, value),
        headline=words.headline(kind, distance, negative, positive),
        recheck=None if certificate is not None else lambda: located(case.boxes, found.center, at) is not None,
    )


def _certificate(
    case: Case, found: Located, distance: float, certify: bool
) -> tuple[AnyCertificate | None, tuple[Missing, ...]]:
    """A verified certificate of a critical point all of whose curvatures have a sign; or what is missing for one."""
    if not certify:
        what = "intervals find it; a program of so many numbers takes long in balls, which were not asked"
        return None, (Missing(what, "qed.critical_point at the point"),)
    assert found.signs is not None
    if case.stronger is not None and found.signs[0] == 0:
        stronger = case.stronger(found.center)
        if stronger is not None:
            return stronger, ()
    certificate = Certificate.about(
        case.fun, case.x, case.args, center=found.center.tolist(), radius=found.radius.tolist(), signs=found.signs,
        distance=distance,
    )  # fmt: skip
    try:
        certificate.verify()
    except CertificateError as error:
        return None, (Missing(f"intervals find it, balls do not confirm it: {error.why}", "a rule", "QED020"),)
    return certificate, ()


def _found(kind: Kind, value: CriticalPoint) -> tuple[Finding, ...]:
    if kind is not Kind.SADDLE:
        return ()
    way = value.directions[0]
    return (Finding("QED303", f"f falls along {way.named()}: v'Hv = {way.curvature:.6g}"),)


def _distance(point: Array, found: Located) -> float:
    """A distance within which all points of the box are."""
    away = np.abs(found.center - point) * (1 + 2.0**-50) + found.radius
    return float(np.nextafter(np.linalg.norm(away) * (1 + 2.0**-40), np.inf))


def _not_critical(
    case: Case, surely: Array, nearest: Answer[CriticalPoint] | None, common: dict[str, Any], certify: bool = True
) -> Answer[CriticalPoint]:
    """The answer where the gradient is more than rounding explains."""
    i = int(np.argmax(surely))
    bound = float(surely[i]) * (1 - 2.0**-40)
    value = CriticalPoint(Kind.NOT_CRITICAL, **common)
    text = (
        f"Not critical: the gradient is {common['gradient']:.3g} long, and rounding explains {common['rounding']:.3g}."
    )
    if nearest is not None:
        assert nearest.value is not None
        text += f" Near it lies {words.CALLED[nearest.value.kind]}, {words.place(nearest.value.distance)}."
        value = replace(value, point=nearest.value.point, distance=nearest.value.distance)
    certificate = Slope.about(case.fun, case.x, case.args, index=i, bound=bound)
    standing, missing = Standing.PROVED, ()
    try:
        if not certify or case.weight > WIDEST:
            what = "float64 finds it; a program of so many numbers takes long in balls, which were not asked"
            standing, missing = Standing.MEASURED, (Missing(what, "a function of fewer numbers"),)
        else:
            case.tell("the slope in balls")
            certificate.verify()
    except CertificateError as error:
        standing, missing = Standing.MEASURED, (Missing(f"balls do not confirm it: {error.why}", "a rule", "QED020"),)
    unit = np.eye(1, case.function.size, i)[0]
    name = case.direction(unit, 0.0).shares[0][0]
    proved = standing is Standing.PROVED
    return Answer(
        f"the point is not critical: the derivative by {name} is at least {bound:.6g} in size",
        standing,
        value,
        arithmetic="reals",
        certificate=certificate if proved else None,
        missing=missing,
        reasons=(words.rounding(common["gradient"], common.get("rounding", math.nan)),),
        headline=text,
        answers=() if nearest is None else (replace(nearest, findings=()),),
        recheck=None if proved else lambda: float(np.max(surely)) > 0,
    )
