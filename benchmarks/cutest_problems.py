"""The unconstrained and bounded problems of CUTEst as functions of a vector, and the judge of a point.

The judge shares no code with qed. Of a point x it tells f, the largest part of the projected gradient P(x - g) - x,
and, without bounds, the least eigenvalue of the Hessian beside the largest. The problems are those of sif2jax with at
most `LARGEST` variables; the ones named in `TUNING` and `LATER` were looked at while the methods were made.

sif2jax has files of more problems than it lists: those whose values or derivatives it has not found to be CUTEst's are
commented out of its lists. `offered` reads the lists; the others are functions like any, but not CUTEst's problems.
"""

from __future__ import annotations

import ast
import importlib.util
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from benchmarks.sparsity import problems

LARGEST, TOL = 1000, 1e-6
LISTS = {
    "_unconstrained_minimisation": "unconstrained_minimisation_problems",
    "_bounded_minimisation": "bounded_minimisation_problems",
    "_quadratic_problems": "bounded_quadratic_problems",
}
"""The lists of sif2jax without constraints other than bounds, by the package that has them."""
TUNING = """AKIVA ALLINITU ARGLINA ARGLINB ARGLINC ARGTRIGLS BARD BEALE BENNETT5LS BIGGS5 BOX2 BOX3 BOXBODLS BQPGASIM
BRANIN BROWNBS BROWNDEN CAMEL6 CHNROSNB CHNRSNBM CHWIRUT2LS CLUSTERLS COOLHANSLS CUBE DANIWOODLS DENSCHNA DENSCHNB
DENSCHNC DENSCHND DENSCHNF DEVGLA1 DEVGLA1B DEVGLA2 DEVGLA2B DGOSPEC DIAGIQB DIAGIQE DIAGNQB DIAGNQE DIAGPQE DIAGPQT
DIXMAANA1 DMN15102LS DMN15103LS EGGCRATEB ELATVIDU EXP2 EXP2B EXPFIT FLETCHCR GAUSS1LS GAUSS2LS GAUSS3LS GENROSE
GROWTHLS HADAMALS HAHN1LS HATFLDB HATFLDC HATFLDD HATFLDE HATFLDFL HEART6LS HEART8LS HELIX HILBERTA HIMMELBCLS HIMMELBH
HS1 HS110 HS2 HS25 HS3MOD HS45 HS5 HUMPS INTEQNELS JENSMP JUDGE JUDGEB KOEBHELB KOWOSB LANCZOS1LS LANCZOS2LS LEVYMONT
LEVYMONT5 LEVYMONT6 LEVYMONT7 LEVYMONT8 LEVYMONT9 LSC1LS LSC2LS LUKSAN12LS LUKSAN13LS LUKSAN14LS LUKSAN16LS LUKSAN21LS
MARATOSB MEXHAT MGH09LS MGH10LS MISRA1ALS MISRA1BLS MISRA1CLS NELSONLS PALMER1 PALMER1A PALMER1C PALMER2 PALMER2A
PALMER2B PALMER2C PALMER2E PALMER3 PALMER3B PALMER3E PALMER4 PALMER4C PALMER4E PALMER5B PALMER5C PALMER5D PALMER6C
PALMER6E PALMER7E PALMER8A PALMER8C PALMER8E PENALTY3 PFIT1LS PFIT3LS POWERSUM PRICE4B QING RAT42LS RAT43LS ROSENBR
ROSZMAN1LS S308 SISSER SNAIL SPIN2LS TRIGON1B VANDANMSLS VESUVIOLS VESUVIOULS VIBRBEAM""".split()
LATER = """CHWIRUT1LS ERRINROS ENGVAL2 BIGGS3 EGGCRATE PALMER3A QINGB HS38 KIRBY2LS PALMER3C BIGGS6 GAUSSIAN
ECKERLE4LS VESUVIALS LUKSAN22LS CERI651CLS CERI651DLS CERI651ELS MGH17SLS RECIPELS FBRAIN3LS DMN15332LS DMN15333LS
DMN37143LS DMN37142LS DIAMON3DLS PALMER5E""".split()
"""Not for tuning, and yet looked at before the committed run: they do not count as unseen."""


@cache
def offered() -> frozenset[str]:
    """The names in sif2jax's own lists, read and not imported: an import makes every problem there is."""
    found: set[str] = set()
    root = Path(importlib.util.find_spec("sif2jax").submodule_search_locations[0]) / "cutest"  # type: ignore[union-attr,index]
    for package, wanted in LISTS.items():
        for one in ast.parse((root / package / "__init__.py").read_text(encoding="utf-8")).body:
            if isinstance(one, ast.Assign) and [getattr(name, "id", "") for name in one.targets] == [wanted]:
                found |= {node.func.id for node in ast.walk(one) if isinstance(node, ast.Call)}  # type: ignore[attr-defined]
    return frozenset(found)


def listed(names: list[str] | None) -> Iterator[tuple[str, Any]]:
    """(name, problem) of those asked for, or offered, in an order that has nothing to do with their names."""
    seen = set()
    for name, problem in problems(tuple(names or offered()), mixed=True, packages=tuple(LISTS)):
        n = sum(int(np.size(leaf)) for leaf in jax.tree.leaves(problem.y0))
        if name not in seen and 1 <= n <= LARGEST and _works(problem):
            seen.add(name)
            yield name, problem


def _works(problem: Any) -> bool:
    """Whether the objective can be traced: of some, the package lacks data."""
    try:
        jax.eval_shape(lambda y: problem.objective(y, problem.args), problem.y0)
    except Exception:  # whatever is wrong, it is left out
        return False
    return True


class Problem:
    """A problem as value, gradient, Hessian and its products with a vector, counted; what each takes to compile."""

    def __init__(self, name: str, problem: Any) -> None:
        rebuild = ravel_pytree(problem.y0)[1]
        self.name, self.x0 = name, np.asarray(ravel_pytree(problem.y0)[0], np.float64)
        self.fun: Callable[..., Any] = lambda x: problem.objective(rebuild(x), problem.args)
        sides = getattr(problem, "bounds", None)
        sides = sides() if callable(sides) else sides
        self.bounds = None if sides is None else tuple(np.asarray(ravel_pytree(side)[0], float) for side in sides)
        slope = jax.grad(self.fun)
        self._compiled: dict[str, tuple[Callable[..., Any], Any]] = {
            "value": (jax.jit(jax.value_and_grad(self.fun)), ()),
            "hessian": (jax.jit(jax.hessian(self.fun)), ()),
            "product": (jax.jit(lambda x, v: jax.jvp(slope, (x,), (v,))[1]), (self.x0,)),
        }
        self.compiling: dict[str, float] = {}
        self.counts = {"values": 0, "hessians": 0, "products": 0}

    def compile(self, *which: str) -> None:
        """Compile value (with gradient), hessian or product, and keep the processor time of each."""
        for name in which:
            if name not in self.compiling:
                began = time.process_time()
                function, more = self._compiled[name]
                jax.block_until_ready(function(jnp.asarray(self.x0), *more))
                self.compiling[name] = time.process_time() - began

    def value(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """f and g."""
        self.counts["values"] += 1
        f, g = self._compiled["value"][0](jnp.asarray(x))
        return float(f), np.asarray(g)

    def hessian(self, x: np.ndarray) -> np.ndarray:
        """H."""
        self.counts["hessians"] += 1
        return np.asarray(self._compiled["hessian"][0](jnp.asarray(x)))

    def product(self, x: np.ndarray, v: np.ndarray) -> np.ndarray:
        """H v."""
        self.counts["products"] += 1
        return np.asarray(self._compiled["product"][0](jnp.asarray(x), jnp.asarray(v)))

    def slope(self, x: np.ndarray, g: np.ndarray) -> float:
        """The largest part of the projected gradient."""
        step = x - g if self.bounds is None else np.clip(x - g, *self.bounds)
        return float(np.abs(step - x).max())

    def judge(self, x: np.ndarray) -> dict[str, Any]:
        """f, the projected gradient, and without bounds the ends of the Hessian's spectrum, where it is compiled."""
        x = np.asarray(x, float) if self.bounds is None else np.clip(x, *self.bounds)
        f, g = self.value(x)
        told: dict[str, Any] = {"f": f, "g": self.slope(x, g)}
        if self.bounds is None and "hessian" in self.compiling and np.isfinite(f):
            h = self.hessian(x)
            if np.isfinite(h).all():
                ends = np.linalg.eigvalsh((h + h.T) / 2)
                told |= {"least": float(ends[0]), "size": float(np.abs(ends).max())}
        return told
