"""What a critical point is where f is convex, or concave, wherever it is defined.

f(y) >= f(p) + grad f(p)'(y - p) for a convex f and all points y (Boyd and Vandenberghe, *Convex Optimization*, 2004,
section 3.1.3): where the slopes at p are zero no point is lower, whatever the curvatures are. Sums of squares of data
of less than full rank are of this kind.
"""

from __future__ import annotations

import numpy as np

from qed.answer import Reason
from qed.calculus.points.case import Case
from qed.calculus.shapes.found import term
from qed.calculus.shapes.rules import Rules
from qed.certificates.certificate import Subject
from qed.certificates.convexity import Convexity
from qed.certificates.library import meant
from qed.domains.ball_boxes import NotSmooth
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.function import Function
from qed.standing import Standing

Array = np.ndarray
LARGEST, WORK = 50, 100_000
"""How many variables there may be for a proof, and how many numbers of the program times the variables."""
ROUNDINGS = 8.0
"""How many times what rounding the point makes of a slope it may be."""
NATURES = {"convex": "minimum", "concave": "maximum"}


def affordable(function: Function) -> bool:
    """Whether proofs are looked for beside what was asked: of convexity, of one critical point in a box."""
    return function.size <= LARGEST and function.graph.numbers() * function.size <= WORK


def shape(case: Case) -> Convexity | None:
    """The proof that f is 'convex' or 'concave' where it is defined; None where the rules give none, or take long.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> for f in (lambda x: (x[0] + x[1]) ** 2, lambda x: -((x[0] - 1.0) ** 4), lambda x: x[0] * x[1]):
    ...     proof = shape(Case(f, jnp.zeros(2), (), read(f, jnp.zeros(2))))
    ...     print(proof and proof.claim)
    convex
    concave
    None
    """
    if not affordable(case.function):
        return None
    open_ends = [[np.full(s, end) for s in case.shapes] for end in (-np.inf, np.inf)]
    found = term(meant(Subject(case.fun, case.x, tuple(case.args)).traced()), *open_ends)
    if found.form is None or found.lost is not None:
        return None
    rules = Rules(found.algebra)
    above = rules.convex(found.form)
    below = rules.concave(found.form) if above is None else None
    if above is None and below is None:
        return None
    name = "convex" if above is not None else "concave"
    certificate = Convexity.about(
        case.fun, case.x, case.args, box=(open_ends[0], open_ends[1]), claim=name, above=above, below=below
    )
    try:
        certificate.verify()
    except CertificateError:
        return None
    return certificate


def critical(case: Case, center: Array, matrix: Array) -> bool:
    """Whether the slopes at a point are what rounding it makes of zero: not those of a saturated function.

    Args:
        case: the function.
        center: the point, the nearest that float64 has to one without slope.
        matrix: the Hessian there.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> f, p = lambda x: jnp.sum((3 * x - 1) ** 2), np.array([1 / 3])
    >>> critical(Case(f, p, (), read(f, p)), p, np.array([[18.0]]))
    True
    >>> f, p = lambda x: jnp.exp(-x[0]), np.array([30.0])
    >>> critical(Case(f, p, (), read(f, p)), p, np.array([[np.exp(-30.0)]]))
    False
    """
    try:
        _, rows = case.balls.series(center, center, np.eye(len(center)), 1)
    except NotSmooth:
        return False
    with precision(case.balls.bits):
        sizes = [abs(row[1]).upper() for row in rows]
    slopes = np.array([float(size) for size in sizes])
    if any(size > 0 and slope == 0 for size, slope in zip(sizes, slopes, strict=True)):  # exp(-2000), say
        return False
    off = float(np.finfo(float).eps) * np.abs(center)
    return bool(np.linalg.norm(slopes) <= ROUNDINGS * np.linalg.norm(np.abs(matrix) @ off))


def told(name: str, standing: Standing) -> Reason:
    """The reason: 'f is convex'. `standing`: whether the slopes are exactly zero."""
    convex = name == "convex"
    text = (
        f"f is {name} where it is defined, so that no point is {'lower' if convex else 'higher'} than one without "
        f"slope: the point is a global {NATURES[name]}"
    )
    formula = f"f(y) {'>=' if convex else '<='} f(p) + grad f(p)'(y - p)"
    return Reason("convexity", formula, standing=standing, text=text, unpredicted="it is a theorem")
