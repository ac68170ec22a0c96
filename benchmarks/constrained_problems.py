"""The constrained problems of CUTEst as functions of a vector, and the judge of a point; shares no code with qed.

A point is judged from x alone: multipliers by bounded least squares (or those given), and the largest of the scaled KKT
residuals of L = f - y'c - z_l'(x - lower) - z_u'(upper - x),

    |grad f - J'y - z_l + z_u| / max(1, |grad f|),    violation_i / max(1, |row i of J|),
    |multiplier * slack| / max(1, |f|, |grad f|),     multipliers of inequalities and bounds below 0, as stationarity.

The problems are those of sif2jax with general constraints and at most `LARGEST` variables. Of some the transcription
has the sign of g turned: those known are listed in `TURNED`; of the rest see `benchmarks.constrained`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jax.flatten_util import ravel_pytree

LARGEST, TOL, SECONDS = 200, 1e-6, 60.0
Multipliers = tuple[np.ndarray, np.ndarray, np.ndarray]
TURNED = """CHACONN1 DIPIGRI GOFFIN HAIFAS HS102 HS103 MAKELA2 POLAK1 POLAK3 POLAK4 POLAK5 TENBARS1 ZECEVIC2 CSFI1
CSFI2 HAIFAM ZECEVIC4""".split()
TUNING = """HS6 HS7 HS8 HS9 HS11 HS12 HS13 HS15 HS16 HS17 HS18 HS19 HS20 HS21 HS23 HS24 HS26 HS27 HS29 HS30 HS31 HS33
HS34 HS35 HS37 HS39 HS40 HS41 HS43 HS44 HS46 HS47 HS49 HS51 HS52 HS53 HS55 HS56 HS60 HS61 HS62 HS63 HS66 HS68 HS71 HS72
HS73 HS76 HS77 HS79 HS80 HS81 HS83 HS86 HS87 HS88 HS89 HS90 HS93 HS96 HS98 HS100 HS102 HS103 HS104 HS105 HS106 HS108
HS112 HS113 HS268 BT1 BT3 BT6 BT10 BT11 BT12 BT13 ALSOTAME AVGASA AVGASB CB2 CB3 CHACONN1 DIPIGRI FLETCHER FLT GIGOMEZ2
GOFFIN HIMMELBC HIMMELBE LSNNODOC MADSEN MAKELA2 MARATOS MATRIX2 OET1 OET2 POLAK1 POLAK3 POLAK5 PORTFL1 SIPOW1 TENBARS4
TRO3X3 TRO4X4 ZECEVIC2 ZECEVIC3 ZECEVIC4 DUAL1 DUALC1 DEGENLPA BATCH LOOTSMA NASH BURKEHAN HIMMELBD""".split()


class Late(BaseException):
    """A solver used up its time; no program that catches its own failures catches this."""


class Problem:
    """A problem with functions of a vector: f, h and g, their derivatives, and the judge."""

    def __init__(self, name: str, problem: Any, turned: bool = False) -> None:
        self.name, self.x0, self.turned = name, jnp.asarray(ravel_pytree(problem.y0)[0], jnp.float64), turned
        rebuild, sign = ravel_pytree(problem.y0)[1], -1.0 if turned else 1.0
        published = problem.expected_objective_value
        self.published = None if published is None else float(published)
        self.f: Callable[..., Any] = lambda x: problem.objective(rebuild(x), problem.args)
        parts = problem.constraint(rebuild(self.x0))

        def rows(part: int, factor: float) -> Callable[..., Any] | None:
            if parts[part] is None or not ravel_pytree(parts[part])[0].size:
                return None
            return lambda x: factor * ravel_pytree(problem.constraint(rebuild(x))[part])[0]

        self.h, self.g = rows(0, 1.0), rows(1, sign)
        sides = problem.bounds
        if sides is None:
            self.low, self.high = (np.full(len(self.x0), s * np.inf) for s in (-1.0, 1.0))
        else:
            ends = [np.asarray(ravel_pytree(side)[0], float) for side in sides]
            self.low, self.high = (np.where(np.abs(end) >= 1e19, np.copysign(np.inf, end), end) for end in ends)
        empty = jnp.zeros(0)
        self.first = 0 if self.h is None else len(self.h(self.x0))

        def whole(x: Any) -> tuple[Any, Any]:
            h, g = (empty if part is None else part(x) for part in (self.h, self.g))
            return self.f(x), jnp.concatenate([h, g])

        def slopes(x: Any) -> Any:
            return jax.grad(self.f)(x), jax.jacrev(lambda p: whole(p)[1])(x)

        self.values, self.slopes = jax.jit(whole), jax.jit(slopes)
        self.hessian = jax.jit(jax.hessian(lambda x, y, s: s * whole(x)[0] - y @ whole(x)[1]))
        self.m = len(self.values(self.x0)[1])
        jax.block_until_ready((self.slopes(self.x0), self.hessian(self.x0, jnp.zeros(self.m), 1.0)))  # compiled
        self.calls = 0
        self._last: tuple[Any, Any] = (None, None)

    def at(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """f and c, counted once for each point."""
        if self._last[0] is None or not np.array_equal(self._last[0], x):
            self.calls += 1
            f, c = self.values(jnp.asarray(x))
            self._last = (np.array(x), (float(f), np.asarray(c)))
        return self._last[1]

    def judge(self, x: np.ndarray, own: Multipliers | None = None) -> tuple[float, float, float]:
        """The largest scaled KKT residual at x, f, and what violations buy of it: the sum of |y_i| violation_i.

        Multipliers are found by bounded least squares, unless they are given.

        Args:
            x: a vector within the bounds.
            own: (y, z_l, z_u), z of every variable.
        """
        f, c = self.values(jnp.asarray(x))
        g, J = (np.asarray(part) for part in self.slopes(jnp.asarray(x)))
        f, c = float(f), np.asarray(c)
        if not (np.isfinite(f) and all(np.all(np.isfinite(part)) for part in (c, g, J))):
            return np.inf, f, 0.0
        scale, slope = np.maximum(1.0, np.abs(J).max(axis=1, initial=0.0)), float(np.abs(g).max())
        equal = np.arange(self.m) < self.first
        off = np.where(equal, np.abs(c), np.maximum(0.0, -c)) / scale
        out = np.maximum(0.0, np.maximum(self.low - x, x - self.high))
        feasibility = max(off.max(initial=0.0), out.max(initial=0.0))
        y, low, high = self.least_squares(x, c, g, J) if own is None else own
        wrong = max(np.max(-y[~equal], initial=0.0), np.max(-low, initial=0.0), np.max(-high, initial=0.0))
        rest = float(np.abs(g - J.T @ y - low + high).max())
        slacks = [np.where(np.isfinite(slack), slack, 1.0) for slack in (x - self.low, self.high - x)]
        held = [y[~equal] * c[~equal], low * slacks[0], high * slacks[1]]
        complementarity = max(float(np.abs(part).max(initial=0.0)) for part in held)
        sizes = (max(rest, wrong) / max(1.0, slope), complementarity / max(1.0, abs(f), slope))
        return float(max(feasibility, *sizes)), f, float(np.abs(y) @ (off * scale))

    def least_squares(self, x: np.ndarray, c: np.ndarray, g: np.ndarray, J: np.ndarray) -> Multipliers:
        """The multipliers that fit best: bounded least squares of stationarity and complementarity together."""
        scale, n = np.maximum(1.0, np.abs(J).max(axis=1, initial=0.0)), len(x)
        equal = np.arange(self.m) < self.first
        near = np.flatnonzero(equal | (c <= 1e-2 * scale))
        near = near[np.argsort(np.where(equal[near], -np.inf, (c / scale)[near]))][: self.first + max(60, 3 * n)]
        at_low, at_high = np.flatnonzero(x - self.low <= 1e-2), np.flatnonzero(self.high - x <= 1e-2)
        y, low, high, unit = np.zeros(self.m), np.zeros(n), np.zeros(n), np.eye(n)
        across = np.hstack([J[near].T, unit[:, at_low], -unit[:, at_high]])
        slack = np.concatenate([np.where(equal[near], 0.0, c[near]), (x - self.low)[at_low], (self.high - x)[at_high]])
        if across.shape[1]:
            matrix = np.vstack([across, np.diag(slack)])
            norms = np.maximum(np.linalg.norm(matrix, axis=0), 1e-300)
            least = np.where(np.arange(len(slack)) < np.sum(equal[near]), -np.inf, 0.0)
            right = np.concatenate([g, np.zeros(len(slack))])
            z = scipy.optimize.lsq_linear(matrix / norms, right, (least, np.inf), method="bvls", tol=1e-13).x / norms
            y[near], low[at_low], high[at_high] = np.split(z, np.cumsum([len(near), len(at_low)]))
        return y, low, high


def listed(names: list[str] | None) -> dict[str, Any]:
    """Those of sif2jax with general constraints and at most `LARGEST` variables, by name."""
    import sif2jax

    found = {type(p).__name__: p for p in sif2jax.constrained_minimisation_problems}
    found |= {type(p).__name__: p for p in sif2jax.constrained_quadratic_problems}
    chosen = sorted(found) if names is None else [name for name in names if name in found]
    small = [name for name in chosen if name != "DEGENQPC" and ravel_pytree(found[name].y0)[0].size <= LARGEST]
    return {name: found[name] for name in small}
