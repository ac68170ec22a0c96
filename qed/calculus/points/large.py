"""What a point of many parameters is, from Hessian-vector products: measured, with a probability of failure.

A direction v with v'Hv < 0 and one with w'Hw > 0 make a saddle; the products that show them are in float64. That no
direction is negative cannot be seen from products: the bounds of `qed.calculus.points.ends` hold but for a stated
probability, and the errors of the program's own arithmetic are taken off them. Where such bounds include zero, a motion
that the function does not see makes the point degenerate; otherwise nothing is decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from qed.answer import Answer, Missing, Reason
from qed.calculus.compiling import made_for
from qed.calculus.expanding.words import outward
from qed.calculus.gradient.kept import in_float64
from qed.calculus.lanczos import Krylov
from qed.calculus.points import words
from qed.calculus.points.case import Case
from qed.calculus.points.ends import above, below
from qed.calculus.points.result import CriticalPoint, Kind
from qed.calculus.points.symmetries import Motion, exchanges, seen_by_products
from qed.calculus.spectra.products import Products, free_memory, room_for, sized, too_large_to_form
from qed.domains.ball_boxes import NotSmooth, rounded
from qed.domains.cost import count
from qed.findings import Finding
from qed.progress import Note, Progress
from qed.standing import Standing

Array = np.ndarray
FAILURE = 1e-6
"""The probability with which a bound of the eigenvalues may fail."""
STEPS, FEWEST, BYTES = 150, 20, 2**30
"""How many products at most, how many at least, and how many bytes their vectors may take."""
LONGER, MORE, WORK = 4, 50, 5e10
"""How many times as many products are made at most where those tell no sign, after how many it is asked again, and how
many operations they may take, products and what keeps their vectors orthogonal."""
CHECKS = 10
"""How many products more are made, at most, to measure roundings."""
SAFETY = 10.0
"""By how much the error of a product that was measured on a few vectors is multiplied."""
NEAR, REVERSED = 1e-3, 0.25
"""How far away a critical point may be, relative to 1 + |x|, without being looked at; and which part of the slope at
the point, reversed, the slope beyond it is to be."""
SMALLEST = float(np.finfo(np.float64).tiny)
"""Below which size a number is 0 up to the range of float64."""


@dataclass(frozen=True, eq=False)
class Ends:
    """Both ends of a spectrum.

    Args:
        lowest, highest: v'Hv for the unit vectors `down` and `up`, from products in float64.
        lower, upper: bounds of all eigenvalues that hold but for the probability FAILURE.
        rounding: the error of a product that was taken into account.
        resolution: below which size a curvature is zero in the function's own arithmetic: a rounding of the largest.
            A point is critical up to such roundings, and a curvature below them may be that of the way to the
            critical point: of a network that fits its rounded targets, whose Hessian is J'J + sum r_i H_i, the last
            term is what the roundings r of the targets leave.
        products: how many were made.
    """

    lowest: float
    highest: float
    down: Array
    up: Array
    lower: float
    upper: float
    rounding: float
    resolution: float
    products: int


def gradient(case: Case, at: Array | None = None) -> Array:
    """The gradient of the function's values, in float64 where the graph allows it; at the point, or at another."""
    with jax.enable_x64(True):
        value = in_float64(case.values)
        slope = made_for(case.function, jax.grad(lambda x: value(x)[0]), calls=1)
        return np.asarray(slope(case.point if at is None else at))


def ends(products: Products, seed: int = 0, progress: Progress | None = None) -> Ends:
    """Both ends of the spectrum, from one run of Lanczos without a restart: a longer one where it tells no sign."""
    size = products.size
    most, longest = _steps(products)
    room_for(products.function, longest + 1, np.dtype(products.dtype).itemsize)
    krylov = Krylov(products, size, longest, seed, products.dtype)
    while krylov.step() and krylov.count < krylov.most and not krylov.closed:
        if krylov.count >= most and (krylov.count - most) % MORE == 0 and _tells(krylov, _epsilon(products)):
            break
        if progress is not None:
            progress("Hessian products", krylov.products, most if krylov.count < most else longest)
        krylov.extend()
    if len(krylov.betas) < krylov.products or not krylov.count:
        raise FloatingPointError
    ritz, inner = krylov.ritz()
    down, up = (np.asarray(krylov.vectors(inner[:, i]), np.float64) for i in (0, -1))
    down, up = down / np.linalg.norm(down), up / np.linalg.norm(up)
    images = products.exact(down), products.exact(up)
    scale = max(abs(ritz[0]), abs(ritz[-1]))
    start = np.asarray(krylov.basis[0], np.float64)
    own = max(products.rounding(v) for v in (start, down, up))
    error = SAFETY * own + 1e-15 * np.sqrt(size) * float(scale) + products.cancelled
    betas = np.array(krylov.betas)
    if krylov.closed:  # the space is that of a matrix as near as this
        error, betas[-1] = error + krylov.beside, 0.0
    return Ends(
        float(down @ images[0]),
        float(up @ images[1]),
        down,
        up,
        below(ritz, betas, size, FAILURE / 2) - error,
        above(ritz, betas, size, FAILURE / 2) + error,
        error,
        max(error, _epsilon(products) * float(scale)),
        products.count,
    )


def _steps(products: Products) -> tuple[int, int]:
    """How many steps of Lanczos are made, and how many at most where those tell no sign."""
    size, item = products.size, np.dtype(products.dtype).itemsize
    room = max(FEWEST, BYTES // (item * size))
    most = int(min(STEPS, size, room))
    function = products.function
    work, beside = count(function.graph, function.traced.free).sweep, 4.0 * size
    reach = (np.sqrt(work**2 + 4 * beside * WORK) - work) / (2 * beside)  # work k + beside k^2 = WORK
    there = free_memory()
    spare = room if there is None else there / (2.0 * item * size)
    return most, max(most, int(min(LONGER * STEPS, size, room, reach, spare)))


def _tells(krylov: Krylov, epsilon: float) -> bool:
    """Whether a run tells both signs or one, or that there is nothing below zero but rounding; or that it will not.

    The betas are those of the whole run, which has no restart. A curvature that is zero up to rounding, with a vector
    that is one of it up to rounding, has no sign that more products would show.
    """
    ritz, inner = krylov.ritz()
    betas, size = np.array(krylov.betas), krylov.size
    low, high = float(ritz[0]), float(ritz[-1])
    zero = 2 * SAFETY * epsilon * max(abs(low), abs(high))  # what will be taken off, by all accounts
    left = betas[-1] * np.abs(inner[-1])  # |H v - l v| of each Ritz vector
    nearest = 0 if low >= -zero else -1
    if abs(ritz[nearest]) <= zero and left[nearest] <= zero:
        return True
    if low >= -zero:
        return below(ritz, betas, size, FAILURE / 2) > (0.0 if low > zero else -zero)
    return high > zero or above(ritz, betas, size, FAILURE / 2) < (0.0 if high < -zero else zero)


def _epsilon(products: Products) -> float:
    """The rounding of the coarsest parameter."""
    return max(float(jax.numpy.finfo(p.dtype).eps) for p in products.function.parameters if p.size)


def judged(case: Case, common: dict[str, Any], undecided: Any) -> Answer[CriticalPoint]:
    """The answer at a point whose gradient is no more than rounding."""
    products = Products(case.values)
    _, steps = _steps(products)
    findings = too_large_to_form(case.function, 2, steps + 1, steps + CHECKS)
    if findings:
        case.tell(Note(findings[0].message))
    try:
        found = ends(products, progress=case.progress)
    except NotImplementedError:
        return undecided(Missing("the gradient has no derivative in JAX", "a function without such a rule"))
    except FloatingPointError:
        return undecided(
            Missing(
                "a Hessian-vector product is not finite", "a point where the second derivatives are finite", "QED210"
            ),
            "QED210",
        )
    kind = _kind(found)
    if kind in (Kind.MINIMUM, Kind.MAXIMUM) and (away := _leads_away(case, found, kind, common["gradient"])) > 0:
        end = found.lowest if kind is Kind.MINIMUM else found.highest
        what = f"what is left of the slope leads {away:.2g} away along a curvature of {end:.3g}, and farther on f does"
        what = f"{what} not bend as it does at the point"
        return undecided(Missing(what, "a point nearer to the critical one, if there is one"), **common)
    motions: list[Motion] = []
    if kind is Kind.UNDECIDED and found.lowest > -found.resolution:
        motions = seen_by_products(case, products.exact, found.highest)
        kind = Kind.DEGENERATE if motions else kind
    if kind is Kind.UNDECIDED:
        what = (
            f"the smallest of {case.function.size:,} curvatures lies between {found.lower:.3g} and {found.lowest:.3g}"
        )
        settle = f"more than {found.products} Hessian products"
        if abs(found.lowest) <= found.resolution:
            what = f"{what}, zero up to rounding ({found.resolution:.1g})"
            if max(abs(found.lower), found.resolution) < SMALLEST:
                what = "the Hessian takes each vector that was tried to 0"
            settle = "a motion of the parameters that the function does not see; none that is known is one"
        missing = Missing(what, settle)
        return undecided(missing, **common)
    return _answer(case, found, kind, motions, common, findings, products)


def _leads_away(case: Case, found: Ends, kind: Kind, size: float) -> float:
    """How far Newton's step leads along the least curvature, if that is far and no critical point lies there; else 0.

    That a slope is rounding says how far away a critical point is, and not that there is one: far out, exp(-x) has a
    curvature as small as its slope. At twice the step the slope of a quadratic function is what it is here, reversed.
    """
    least, end, way = (
        (found.lower, found.lowest, found.down) if kind is Kind.MINIMUM else (-found.upper, -found.highest, found.up)
    )
    near = NEAR * (1 + float(np.linalg.norm(case.point)))
    if size <= near * least:
        return 0.0
    here = float(gradient(case) @ way)
    step = -here / end if kind is Kind.MINIMUM else here / end
    if abs(step) <= near:
        return 0.0
    beyond = float(gradient(case, case.point + 2 * step * way) @ way)
    return 0.0 if -beyond * np.sign(here) >= REVERSED * abs(here) else abs(step)


def _kind(found: Ends) -> Kind:
    small = found.resolution
    if found.lower > 0:
        return Kind.MINIMUM
    if found.upper < 0:
        return Kind.MAXIMUM
    return Kind.SADDLE if found.lowest < -small and found.highest > small else Kind.UNDECIDED


def _answer(
    case: Case,
    found: Ends,
    kind: Kind,
    motions: list[Motion],
    common: dict[str, Any],
    findings: Any,
    products: Products,
) -> Answer[CriticalPoint]:
    n = case.function.size
    directions = tuple(case.direction(m.generator, 0.0, m.name) for m in motions[:4])
    if kind is Kind.SADDLE:
        directions = (case.direction(found.down, found.lowest), *directions)
        way = directions[0]
        text = f"f falls along {way.named() or 'a direction spread over all'}: v'Hv = {way.curvature:.6g}"
        findings = (Finding("QED303", text), *findings)
    elif motions:
        findings = (Finding("QED304", f"f is flat along {directions[0].named()}"), *findings)
    value = CriticalPoint(
        kind, point=case.tree(case.point), flat=len(motions), negative=int(kind is Kind.SADDLE),
        curvatures=np.array([found.lowest, found.highest]), directions=directions, **common,
    )  # fmt: skip
    low, high = outward(found.lower, -1), outward(found.upper, 1)
    bound = f"all curvatures lie between {low} and {high}, but for a probability of {FAILURE:g}"
    chance = Reason(
        "Lanczos from a random start, a posteriori",
        "sum log(theta_i - x) = sum log beta_j - log t",
        bound,
        predicted=found.lower,
        observed=found.lowest,
        standing=Standing.MEASURED,
        text=f"{bound}; {found.products} Hessian products, {found.rounding:.1g} taken off for rounding",
    )
    flat = tuple(Reason("symmetry", text=m.name, role="flat", with_numbers="moved along") for m in motions[:4])
    fall = (_fall(case, found),) if kind is Kind.SADDLE else ()
    headline, claim = _sentences(kind, found, n, len(motions))
    return Answer(
        claim,
        Standing.MEASURED,
        value,
        arithmetic="float64",
        reasons=(
            *fall,
            chance,
            *flat,
            words.rounding(common["gradient"], common["rounding"]),
            *words.exchanged(exchanges(case, case.point)),
            *sized(findings),
        ),
        findings=findings,
        headline=headline,
        recheck=lambda: bool(motions) or _kind(ends(products, seed=1)) is kind,
    )


def _sentences(kind: Kind, found: Ends, n: int, motions: int) -> tuple[str, str]:
    """The headline and the claim."""
    if kind is Kind.SADDLE:
        both = f"curvatures from {found.lowest:.4g} to {found.highest:.4g} are taken"
        return f"A saddle: {both} among {n:,} directions.", f"up to rounding grad f is zero, and {both}: a saddle"
    if kind is Kind.DEGENERATE:
        told = f"at least {motions} direction{'s' * (motions != 1)} that the function does not see"
        return f"Degenerate: {told}.", f"up to rounding grad f is zero, and so are the curvatures along {told}"
    end = f"above {outward(found.lower, -1)}" if kind is Kind.MINIMUM else f"below {outward(found.upper, 1)}"
    what = words.CALLED[kind]
    headline = f"{what.capitalize()}, but for a probability of {FAILURE:g}: {words.all_curvatures(n)} {end}."
    return headline, f"up to rounding grad f is zero, and {words.all_curvatures(n)} {end}: {what}"


def _fall(case: Case, found: Ends) -> Reason:
    """The direction in which f falls; proved in balls at the given point where that is cheap."""
    text = f"v'Hv = {found.lowest:.6g} along a direction"
    standing = Standing.MEASURED
    if case.is_cheap_in_balls:
        case.tell("the falling direction in balls")
        try:
            line = rounded(found.down[None], 30)
            _, rows = case.balls.series(case.point, case.point, line, 2)
            if rows[0][2] < 0:
                standing, text = Standing.PROVED, text + ", at the given point, in balls"
        except NotSmooth:
            pass
    return Reason(
        "negative curvature", "v'Hv < 0", standing=standing, text=text, predicted=found.lowest, observed=found.lowest
    )
