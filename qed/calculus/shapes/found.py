"""A program on a box as a term, and what was found about its shape: the material of `qed.convexity`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.certificates.certificate import placed
from qed.domains.curvature import Curvature, TooMany
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_line import atoms
from qed.domains.curvature_terms import Form, Place
from qed.domains.curvature_values import NoValue, Values
from qed.domains.interval import Interval
from qed.domains.intervals import Intervals
from qed.graph.trace import Traced
from qed.graph.walk import TooLong, Unknown, Walker


@dataclass(frozen=True, eq=False)
class Term:
    """The result of a program on a box; `gap` says why there is none.

    `lost` is an equation whose value vanished although it may be undefined; of the others the form knows.
    """

    traced: Traced
    lower: list[np.ndarray]
    upper: list[np.ndarray]
    algebra: Algebra
    form: Form | None
    gap: Unknown | str | None
    lost: Place | None

    @property
    def doubtful(self) -> Place | None:
        """The first equation that may be undefined somewhere on the box."""
        return self.lost or (self.form.lost if self.form is not None else None)

    @property
    def low(self) -> np.ndarray:
        """The lower ends of the box, laid end to end."""
        return np.concatenate([np.ravel(a) for a in self.lower] or [np.zeros(0)])

    @property
    def high(self) -> np.ndarray:
        """The upper ends."""
        return np.concatenate([np.ravel(b) for b in self.upper] or [np.zeros(0)])

    def marks(self) -> list[tuple[int, float]]:
        """(number, value) at which a choice between cases changes: of comparisons of one variable with a constant."""
        found = set()
        for atom in atoms(self.form, set()) if self.form is not None else ():
            u = atom.args[0] if atom.kind == "compare" or atom.name == "abs" else None
            if u is None or len(u.terms) != 1 or u.terms[0][0].kind != "variable":
                continue
            variable, c = u.terms[0]
            root = -u.constant / c
            found.add((int(variable.data[1:]), int(root.p) / int(root.q)))
        return sorted(found)[:32]

    def values(self) -> Callable[[np.ndarray], np.ndarray]:
        """The function less an affine one in float64, of an array (points, numbers): by the term, else by the graph."""
        places = {int(v.data[1:]): v for v in self.algebra.variables}
        form = self.form and self.algebra.form([t for t in self.form.terms if not t[0].affine], self.algebra.zero)
        try:
            if form is None:
                message = "form"
                raise NoValue(message)
            middle = np.clip(np.zeros(len(self.low)), self.low, self.high)[None]
            with np.errstate(all="ignore"):
                Values({v: middle[:, k] for k, v in places.items()}).of(form)
        except NoValue:
            return by_graph(self.traced, [a.shape for a in self.lower])

        def value(points: np.ndarray) -> np.ndarray:
            with np.errstate(all="ignore"):
                found = Values({v: points[:, k] for k, v in places.items()}).of(form)
            return np.broadcast_to(found, points.shape[:1])

        return value


def terms(
    traced: Traced, lower: list[np.ndarray], upper: list[np.ndarray], limit: int
) -> tuple[Algebra, list[Form]] | None:
    """All numbers that a program returns as terms of one algebra; None where one has none, or after `limit` operations.

    >>> from qed.graph.trace import trace
    >>> traced = trace(lambda x: x * x[0] - 1, np.zeros(2))
    >>> terms(traced, [np.zeros(2)], [np.ones(2)], 100)[1]
    [square(x0) + -1, product(x0, x1) + -1]
    """
    curvature = Curvature("interval", limit=limit)
    box = [Intervals(a, b) for a, b in zip(lower, upper, strict=True)]
    try:
        value = Walker([Interval(), curvature]).run(traced.graph, placed(traced, box))[0].values[1]
    except (TooMany, TooLong):
        return None
    forms = [] if isinstance(value, Unknown) else list(np.ravel(value))
    return (curvature.algebra, forms) if forms and all(isinstance(form, Form) for form in forms) else None


def by_graph(traced: Traced, shapes: list[Any]) -> Callable[[np.ndarray], np.ndarray]:
    """The function compiled by JAX, over many points."""
    import jax

    from qed.graph.jaxpr import evaluate

    def one(*leaves: Any) -> Any:
        return evaluate(traced.graph, placed(traced, leaves))[0]

    compiled = jax.jit(jax.vmap(one))
    in_turn = jax.jit(lambda *leaves: jax.lax.map(lambda point: one(*point), leaves))
    dtypes = [np.asarray(leaf).dtype for leaf in traced.parameters]

    def value(points: np.ndarray) -> np.ndarray:
        sizes = [int(np.prod(shape, dtype=int)) for shape in shapes]
        cuts = np.split(points, np.cumsum(sizes)[:-1], axis=1)
        leaves = [c.reshape((-1, *s)).astype(d) for c, s, d in zip(cuts, shapes, dtypes, strict=True)]
        try:
            return np.asarray(compiled(*leaves)).astype(np.float64)
        except NotImplementedError:  # of a callback that was not written for many points at once
            return np.asarray(in_turn(*leaves)).astype(np.float64)

    return value


def term(traced: Traced, lower: list[np.ndarray], upper: list[np.ndarray]) -> Term:
    """Take a program apart on a box."""
    domain, curvature = Interval(), Curvature("interval")
    box = [Intervals(a, b) for a, b in zip(lower, upper, strict=True)]
    algebra = curvature.algebra

    def lost(gap: Unknown | str | None, form: Form | None = None) -> Term:
        return Term(traced, lower, upper, algebra, form, gap, algebra.lost)

    try:
        value = Walker([domain, curvature]).run(traced.graph, placed(traced, box))[0].values[1]
    except TooMany:
        return lost(f"more than {curvature.limit} numbers are computed")
    except TooLong as error:
        return lost(str(error))
    if isinstance(value, Unknown):
        return lost(value)
    form = value.item()
    return lost(None, form) if isinstance(form, Form) else lost("an infinite constant is returned")
