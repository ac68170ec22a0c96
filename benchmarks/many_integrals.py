"""Integrals in many dimensions whose values are known: qed beside SciPy's qmc_quad, and vegas where it is installed.

    python -m benchmarks.many_integrals [dimension ...]

For each problem of tests/integration/many/problems.py and each tool: the answer, the claimed error, whether the true
error lies within it, and the seconds of processor time, compilation included. A tool's answer without a flag that is
further off than it claims is a lie: for the stochastic ones three standard errors are claimed. Problems on the whole
space are given to the others on [-40, 40]^d, normalising constants as the integral of the exponential.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable

import jax
import numpy as np
from scipy import stats

import qed
from qed.integration.many.modes import rowwise
from tests.integration.many.problems import PROBLEMS, Problem

Outcome = tuple[float, float, str]
"""The value, the claimed error, and a flag."""
FAR = 40.0


def by_qed(problem: Problem) -> Outcome:
    """qed's own answer."""
    answer = getattr(qed, problem.verb)(problem.fun, problem.measure, budget=5.0)
    value = math.nan if answer.value is None else float(answer.value)
    return value, (answer.upper - answer.lower) / 2, "flagged" if answer.unknown else str(answer.standing)


def integrand(problem: Problem) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray, np.ndarray]:
    """What the others are given: a function of rows, on a box."""
    low, high = (np.clip(end, -FAR, FAR) for end in problem.measure.ends)
    f = rowwise(lambda x: jax.numpy.asarray(problem.fun(x), float))
    if problem.verb == "normalizer":
        return lambda x: np.exp(f(x)), low, high
    laws = [one.parts[0] for one in problem.measure.factors]
    known = {"Normal": stats.norm, "StudentT": stats.t, "Cauchy": stats.cauchy}

    def density(x: np.ndarray) -> np.ndarray:
        total = np.zeros(len(x))
        for k, law in enumerate(laws):
            if law.family == "Uniform":
                total -= math.log(law.upper - law.lower)
                continue
            shape = law.parameters[:1] if law.family == "StudentT" else ()
            total += known[law.family](*shape, *law.parameters[-2:]).logpdf(x[:, k])
        return np.exp(total)

    return lambda x: f(x) * density(x), low, high


def by_qmc_quad(problem: Problem) -> Outcome:
    """SciPy's quasi-Monte Carlo rule with its standard error."""
    from scipy import integrate

    f, low, high = integrand(problem)
    found = integrate.qmc_quad(lambda x: f(x.T), low, high, n_points=2**14)
    return _logarithm(problem, float(found.integral), 3 * float(found.standard_error))


def by_vegas(problem: Problem) -> Outcome:
    """Lepage's adaptive importance sampling: five runs to adapt, ten that count."""
    import vegas

    f, low, high = integrand(problem)
    rule = vegas.Integrator(list(zip(low, high, strict=True)))
    batch = vegas.batchintegrand(f) if hasattr(vegas, "batchintegrand") else vegas.lbatchintegrand(f)
    rule(batch, nitn=5, neval=2**14)
    found = rule(batch, nitn=10, neval=2**14)
    value, error, flag = _logarithm(problem, float(found.mean), 3 * float(found.sdev))
    return value, error, "flagged" if found.Q < 0.05 else flag


def _logarithm(problem: Problem, value: float, error: float) -> Outcome:
    if problem.verb != "normalizer":
        return value, error, ""
    return (math.log(value), error / value, "") if value > 0 else (-math.inf, math.inf, "flagged")


TOOLS: dict[str, Callable[[Problem], Outcome]] = {"qed": by_qed, "qmc_quad": by_qmc_quad, "vegas": by_vegas}


def main(dimensions: list[int]) -> None:
    """Print a row for each problem and tool, and the counts of lies."""
    lies: dict[str, list[bool]] = {}
    for name, problem in PROBLEMS.items():
        if dimensions and int(name.rsplit(" ", 1)[1]) not in dimensions:
            continue
        for tool, ask in TOOLS.items():
            start = time.process_time()
            try:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    value, error, flag = ask(problem)
            except ModuleNotFoundError:
                continue
            spent = time.process_time() - start
            off = abs(value - problem.true) if value != problem.true else 0.0
            lie = flag != "flagged" and not off <= error
            if flag != "flagged":
                lies.setdefault(tool, []).append(lie)
            words = f"{name:24} {tool:9} {value:14.7g} +- {error:9.2g}  off {off:9.2g}"
            print(f"{words}  {spent:6.1f} s  {flag} {'LIE' * lie}")
    for tool, found in lies.items():
        print(f"{tool}: {sum(found)} of {len(found)} answers without a flag are further off than they claim")


if __name__ == "__main__":
    main([int(arg) for arg in sys.argv[1:]])
