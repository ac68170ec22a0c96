"""Who minimises a problem without constraints or within bounds, each with the same exact derivatives in float64.

Every solver is a function of a problem that returns where it ended, whether it claims success, and what it says. All
are asked for a gradient of `TOL`, SciPy's and Ipopt with no test on the decrease; optimistix has no test of the
gradient: its tolerances are 1e-10. SciPy's and Ipopt get value, gradient, and Hessian or its products, compiled once
for all of them; qed, optax and optimistix compile what they need themselves.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

import qed
from benchmarks.apart import verdict_apart
from benchmarks.cutest_problems import TOL, Problem

STEPS = 3000
SCIPY = {"trust-exact": "hessian", "trust-krylov": "product", "Newton-CG": "product", "BFGS": "", "L-BFGS-B": ""}
"""SciPy's methods and what they take beside value and gradient."""


@dataclass(frozen=True, eq=False)
class Found:
    """Where a solver ended.

    Args:
        x: the point.
        claims: whether it claims success.
        says: its own words.
        more: what else is kept.
    """

    x: np.ndarray
    claims: bool
    says: str
    more: dict[str, Any] = field(default_factory=dict)


def by_qed(problem: Problem) -> Found:
    """qed's default method; it claims a minimum, or a flat one, that is MEASURED or PROVED."""
    with verdict_apart() as verdict:
        answer = qed.minimize(problem.fun, jnp.asarray(problem.x0), bounds=problem.bounds, tol=TOL)
    problem.counts.update({k: v for k, v in answer.counts.items() if k in problem.counts})
    reason = str(answer.reason)
    more = {
        "standing": str(answer.standing), "headline": str(answer.headline or answer.claim)[:300],
        "global": answer.certificate is not None and "global" in str(answer.claim),
        "verdict": round(verdict[0], 3),
    }  # fmt: skip
    return Found(
        np.ravel(np.asarray(answer.x)), not answer.unknown and reason in ("minimum", "flat_minimum"), reason, more
    )


def by_scipy(problem: Problem, method: str) -> Found:
    """One of SciPy's, with the tolerance of the judge and no test on the decrease."""
    options: dict[str, Any] = {"maxiter": STEPS}
    if method == "L-BFGS-B":
        options |= {"ftol": 0.0, "gtol": TOL, "maxfun": 10 * STEPS}
    elif method != "Newton-CG":
        options |= {"gtol": TOL}
    bounds = None if problem.bounds is None else list(zip(*problem.bounds, strict=True))
    takes: dict[str, Any] = {"hessian": {"hess": problem.hessian}, "product": {"hessp": problem.product}, "": {}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = scipy.optimize.minimize(
            problem.value, problem.x0, jac=True, method=method, bounds=bounds, options=options, **takes[SCIPY[method]]
        )
    return Found(found.x, bool(found.success), str(found.message)[:120])


def by_ipopt(problem: Problem) -> Found:
    """Ipopt through cyipopt."""
    import cyipopt

    bounds = None if problem.bounds is None else list(zip(*problem.bounds, strict=True))
    options = {"print_level": 0, "sb": "yes", "max_iter": STEPS}
    found = cyipopt.minimize_ipopt(
        problem.value, problem.x0, jac=True, hess=problem.hessian, bounds=bounds, tol=TOL, options=options
    )
    said = found.message.decode() if isinstance(found.message, bytes) else str(found.message)
    return Found(np.asarray(found.x), bool(found.success), said[:120])


def by_optax(problem: Problem) -> Found:
    """optax.lbfgs in the loop of its documentation, stopped by the gradient; its own counts of values."""
    import optax

    rule, x = optax.lbfgs(), jnp.asarray(problem.x0)
    both = optax.value_and_grad_from_state(problem.fun)

    @jax.jit
    def step(x: Any, state: Any) -> Any:
        f, g = both(x, state=state)
        move, state = rule.update(g, state, x, value=f, grad=g, value_fn=problem.fun)
        found = optax.apply_updates(x, move)
        tried = optax.tree_utils.tree_get(state, "num_linesearch_steps")
        return found, state, jnp.abs(optax.tree_utils.tree_get(state, "grad")).max(), tried

    state, size, values = rule.init(x), np.inf, 1
    for _ in range(STEPS):
        x, state, size, tried = step(x, state)
        values += int(tried)
        if not float(size) > TOL:
            break
    problem.counts["values"] = values
    return Found(np.asarray(x), bool(size <= TOL), "gradient" if size <= TOL else "no result of its own")


def by_optimistix(problem: Problem) -> Found:
    """optimistix.BFGS; a step is one value with its gradient."""
    import optimistix

    solver = optimistix.BFGS(rtol=1e-10, atol=1e-10)
    found = optimistix.minimise(
        lambda x, _: problem.fun(x), solver, jnp.asarray(problem.x0), max_steps=STEPS, throw=False
    )
    problem.counts["values"] = int(found.stats["num_steps"])
    good = bool(found.result == optimistix.RESULTS.successful)
    return Found(np.asarray(found.value), good, str(optimistix.RESULTS[found.result])[:120])


def solvers() -> dict[str, tuple[Callable[[Problem], Found], tuple[str, ...], bool]]:
    """What is installed: the function, what is compiled for it (None: by itself), and whether it takes bounds."""
    found: dict[str, Any] = {"qed": (by_qed, (), True)}
    for method, takes in SCIPY.items():
        needs = ("value", takes) if takes else ("value",)
        found[method] = (lambda p, m=method: by_scipy(p, m), needs, method == "L-BFGS-B")
    if find_spec("cyipopt") is not None:
        found["Ipopt"] = (by_ipopt, ("value", "hessian"), True)
    if find_spec("optax") is not None:
        found["optax"] = (by_optax, (), False)
    if find_spec("optimistix") is not None:
        found["optimistix"] = (by_optimistix, (), False)
    return found
