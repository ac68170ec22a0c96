"""The steps of Newton's method and of L-BFGS at a point: what the model promises, what came, the price beside the gain.

Both minimise a model of second order,

    m(d) = g'd + d'B d / 2,      d = -B^-1 g,      m(d) = -g'B^-1 g / 2,

Newton's with the Hessian, B = H: n^2 numbers and about n^3/3 operations for its factors; L-BFGS with what the last m
steps showed of it: 2 m n numbers and 4 m n operations. On a quadratic a multiple t of Newton's step multiplies every
error by 1 - t, so that it is stable for t < 2; a multiple of the step of L-BFGS is stable below 2 / lambda_max(B^-1 H).
How good the guess is, the angle between the two directions says. Reference: Nocedal and Wright, *Numerical
Optimization*, 2006, sections 3.3 and 7.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from qed.answer import Reason
from qed.domains.cost import count
from qed.optimization.bounds import bounds_of
from qed.optimization.objective import Objective, Seen
from qed.optimization.quasi_newton import LimitedMemory
from qed.optimization.running import run
from qed.optimization.search import along
from qed.optimization.stepping.valleys import cosine
from qed.standing import Standing

Array = np.ndarray
NAMES = ("newton", "l-bfgs")
MEMORIES = (1, 5, 20)
LARGEST = 1000
"""With how many parameters the Hessian is formed."""
WALK, LEFT = 30, 1e-3
"""After how many steps of L-BFGS, or at which share of the first gradient, its memory is looked at."""
TIMES = 100
"""For how many times as many parameters the price is reckoned, too."""
USED = 10
"""How many pairs `qed.minimize` keeps."""


@dataclass(frozen=True)
class Memory:
    """The direction of L-BFGS with the last m pairs, where its walk ended.

    Args:
        m: pairs.
        bytes: of their 2 m n numbers.
        cosine: of the angle to Newton's direction there.
        predicted, observed: the fall of f in the full step, by the model of second order with the true Hessian, and
            seen.
        limit: the multiples of the step below this are stable there.
    """

    m: int
    bytes: int
    cosine: float
    predicted: float
    observed: float
    limit: float


@dataclass(frozen=True)
class Solved:
    """A run to the root of the unit roundoff of the first gradient.

    Args:
        steps, values, hessians: what it took.
        operations: about how many, with the function's own.
        at_100: the same for 100 times as many parameters, were the steps as many.
        ended: whether it came so far.
    """

    steps: int
    values: int
    hessians: int
    operations: float
    at_100: float
    ended: bool


@dataclass(frozen=True)
class Curved:
    """Newton's step at the point, the guesses of L-BFGS, and what both cost.

    Args:
        definite: whether the Hessian is positive definite at the point: only there is the step the minimiser of its
            model.
        predicted, observed: the fall of f in Newton's step, by the model and seen.
        bytes, operations: of the Hessian, and of its factors.
        memories: L-BFGS with 1, 5 and 20 pairs.
        newton, memory: runs of both methods.
    """

    definite: bool
    predicted: float
    observed: float
    bytes: int
    operations: float
    memories: tuple[Memory, ...]
    newton: Solved
    memory: Solved

    @property
    def winner(self) -> str:
        """Which takes fewer operations for this many parameters."""
        return _fewer(self, "operations")

    @property
    def winner_at_100(self) -> str:
        """Which takes fewer operations for 100 times as many."""
        return _fewer(self, "at_100")


def _fewer(curved: Curved, of: str) -> str:
    left, right = (getattr(each, of) if each.ended else math.inf for each in (curved.newton, curved.memory))
    return "neither" if left == right == math.inf else "newton" if left < right else "l-bfgs"


def curved_at(objective: Objective, here: Seen) -> Curved:
    """Both methods at a point with a finite gradient.

    Raises:
        NotImplementedError: where the gradient has no derivative in JAX.
    """
    n = len(here.x)
    matrix = objective.dense(here.x)
    move, definite = _newton(matrix, here.g)
    predicted = -float(here.g @ move) - 0.5 * float(move @ matrix @ move)
    observed = here.f - objective.at(here.x + move).f
    there, pairs = _walked(objective, here)
    memories = _guesses(objective, there, pairs)
    return Curved(
        definite, predicted, observed, 8 * n * n, n**3 / 3, memories,
        _solved(objective, here, "newton"), _solved(objective, here, "l-bfgs"),
    )  # fmt: skip


def _newton(matrix: Array, g: Array) -> tuple[Array, bool]:
    """-H^-1 g, and whether H is positive definite up to rounding."""
    values, vectors = scipy.linalg.eigh(matrix)
    zero = len(g) * np.finfo(np.float64).eps * float(np.abs(values).max(initial=0.0))
    bends = np.abs(values) > zero
    inverse = np.where(bends, 1 / np.where(bends, values, 1.0), 0.0)
    return -vectors @ (inverse * (vectors.T @ g)), bool(np.all(values > zero))


def _walked(objective: Objective, here: Seen) -> tuple[Seen, list[tuple[Array, Array]]]:
    """Where some steps of L-BFGS end while a slope is left, and its pairs."""
    memory, pairs, first = LimitedMemory(max(MEMORIES)), [], float(np.linalg.norm(here.g))
    for _ in range(WALK):
        way = -memory.apply(here.g)
        step = along(objective, here, way, 1.0 if pairs else min(1.0, 1.0 / max(float(np.linalg.norm(way)), 1e-300)))
        if step is None or not step.finite or float(np.linalg.norm(step.g)) <= LEFT * first:
            break
        pairs.append((step.x - here.x, step.g - here.g))
        memory.learn(*pairs[-1])
        here = step
    return here, pairs


def _guesses(objective: Objective, here: Seen, pairs: list[tuple[Array, Array]]) -> tuple[Memory, ...]:
    matrix = objective.dense(here.x)
    move, definite = _newton(matrix, here.g)
    found = []
    for m in MEMORIES:
        memory = LimitedMemory(m)
        for pair in pairs:
            memory.learn(*pair)
        way = -memory.apply(here.g)
        predicted = -float(here.g @ way) - 0.5 * float(way @ matrix @ way)
        observed = here.f - objective.at(here.x + way).f
        inverse = np.array([memory.apply(row) for row in matrix])  # rows of H B^-1, B^-1 and H being symmetric
        top = float(np.max(np.real(np.linalg.eigvals(inverse)))) if definite else math.nan
        limit = 2 / top if top > 0 else math.nan
        found.append(Memory(m, 16 * m * len(here.x), cosine(way, move), predicted, observed, limit))
    return tuple(found)


def _solved(objective: Objective, here: Seen, method: str) -> Solved:
    """A run, and its operations by the counts of the graph."""
    n, before = len(here.x), dict(objective.counts)
    tol = math.sqrt(objective.eps) * float(np.abs(here.g).max(initial=0.0))
    ended = run(objective, here, bounds_of(None, here.x), method, tol, 2000)
    values, hessians = (objective.counts[kind] - before[kind] for kind in ("values", "hessians"))
    sweep = count(objective.function.graph, objective.function.traced.free).sweep
    colours = objective.curvature.hessian.products if objective.curvature.hessian is not None else n
    wide = TIMES if 2 * colours > n else 1  # a full Hessian needs more products for more parameters

    def operations(times: int) -> float:
        if method == "newton":
            factors = (n * times) ** 3 / 3 if wide > 1 else n * times * colours**2  # of a band
            products = colours * (wide if times > 1 else 1) * 2 * sweep * times
            return values * sweep * times + hessians * (products + factors)
        return values * sweep * times + ended.steps * 4 * USED * n * times

    return Solved(ended.steps, values, hessians, operations(1), operations(TIMES), ended.how == "stationary")


def told(curved: Curved) -> list[Reason]:
    """The steps and their price as lines of an answer."""
    bends = (
        "the minimiser of the model of second order"
        if curved.definite
        else "only a point without slope of the model: the Hessian is not positive definite here"
    )
    reasons = [
        Reason(
            "Newton's step",
            "H d = -g, the model falls by g'H^-1 g / 2",
            f"{curved.predicted:.6g} by the model, {curved.observed:.6g} seen",
            predicted=curved.predicted,
            observed=curved.observed,
            standing=Standing.MEASURED,
            role="newton",
            text=f"Newton's step is {bends}; f falls by {curved.observed:.6g}, by the model {curved.predicted:.6g}; "
            f"the Hessian takes {_bytes(curved.bytes)}, its factors about {curved.operations:.2g} operations",
        )
    ]
    for each in curved.memories:
        reasons.append(
            Reason(
                "the step of L-BFGS",
                "cos(B^-1 g, H^-1 g)",
                f"m = {each.m}: cosine {each.cosine:.4g}",
                predicted=each.predicted,
                observed=each.observed,
                standing=Standing.MEASURED,
                role="l-bfgs",
                text=f"with {each.m} pair{'s' * (each.m > 1)} ({_bytes(each.bytes)}) the direction has the cosine "
                f"{each.cosine:.4f} to Newton's; f falls by {each.observed:.4g}, by the model {each.predicted:.4g}",
            )
        )
    runs = " and ".join(
        f"{name} {each.steps} steps, {each.values} gradients, {each.hessians} Hessians, about {each.operations:.2g} "
        f"operations{'' if each.ended else ' without an end'}"
        for name, each in (("newton took", curved.newton), ("l-bfgs", curved.memory))
    )
    reasons.append(
        Reason(
            "the price of a solve",
            observed=curved.winner,
            unpredicted="the steps of a run are counted",
            standing=Standing.MEASURED,
            role="price",
            text=f"{runs}: {curved.winner} is cheaper. For {TIMES} times as many parameters, were the steps as many: "
            f"about {curved.newton.at_100:.2g} and {curved.memory.at_100:.2g}, {curved.winner_at_100} is cheaper",
        )
    )
    return reasons


def _bytes(number: float) -> str:
    from qed.calculus.spectra.products import in_words

    return in_words(number)
