"""What gradient checkers find, what they miss, what they call wrong that is right, and how often they evaluate.

Every case of the corpus in tests/calculus/gradient_corpus, in float64 and in float32, is given to `qed.check_gradient`
and to the checkers that people use, each with its defaults:

    check_grads      jax.test_util.check_grads: both modes, reverse, forward (order 1), and reverse (order 2)
    chex             chex.assert_numerical_grads, order 1
    torch slow/fast  torch.autograd.gradcheck on the cases written again for PyTorch (gradient_checks_torch.py),
    torch second     and gradgradcheck; the slow ones where there are at most 1500 inputs, the fast one without the
                     Jacobian that it computes for the text of a failure

A difference-based checker either passes a case or flags it; some cannot run it. Counted by the class of the case, in
which only `wrong`, `second` (at order 2) and `latent` are faults. `located` counts faults that are named with the line
of the call and the rule's own line. Nothing is timed. The second table counts how often the function is entered, and
how many programs XLA compiles, for a network whose activation has a rule by hand.

    python -m benchmarks.gradient_checks            prints both tables, writes benchmarks/results/gradient_checks.json
    python -m benchmarks.gradient_checks --only 5   the first five cases of each class, nothing written
    python -m benchmarks.gradient_checks --again qed "qed order 2"    these anew, the others from the written result

chex and PyTorch come with the extra `bench`; what is missing is said, and its columns are left out.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import platform
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np

import qed
from tests.calculus.gradient_corpus.case import CASES, DTYPES, KINDS, Case, precision
from tests.calculus.gradient_corpus.everything import FILES
from tests.calculus.gradient_corpus.judge import located

RESULT = Path(__file__).with_name("results") / "gradient_checks.json"
FAULTS = ("wrong", "second", "latent")
SEED = 0
LOCATED = ", located"
SLOW_LIMIT = 1500
"""Elementwise checkers evaluate twice for every input; beyond this many they are not asked."""

Outcome = tuple[str, bool]
"""(a verdict of qed or 'flagged', 'passed', 'error: TYPE', 'not run'; whether the fault was located)."""


def have(module: str) -> bool:
    """Whether a competitor is installed."""
    return importlib.util.find_spec(module) is not None


# --- the checkers, each from a case and a dtype to an outcome --------------------------------------------------


def floating(case: Case, dtype: str) -> tuple[Callable[..., Any], list[Any]]:
    """The function of the floating leaves of its point, jitted, and those: what the other checkers accept."""
    fun, _ = case.make()
    x, args = case.at(dtype)
    leaves, tree = jax.tree.flatten(x)
    free = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.floating)]

    def of(*values: Any) -> Any:
        full = list(leaves)
        for i, value in zip(free, values, strict=True):
            full[i] = value
        return fun(jax.tree.unflatten(tree, full), *args)

    return jax.jit(of), [leaves[i] for i in free]


def judged(check: Callable[[], Any], mismatch: tuple[type[Exception], ...]) -> Outcome:
    """What a checker that raises says."""
    try:
        check()
    except mismatch:
        return "flagged", False
    except Exception as error:  # a checker that cannot run a case is a result
        return f"error: {type(error).__name__}", False
    return "passed", False


def check_grads(order: int, modes: Sequence[str]) -> Callable[[Case, str], Outcome]:
    """jax.test_util.check_grads with its own tolerances."""

    def run(case: Case, dtype: str) -> Outcome:
        f, leaves = floating(case, dtype)
        return judged(lambda: jax.test_util.check_grads(f, tuple(leaves), order, modes), (AssertionError,))

    return run


def chex(case: Case, dtype: str) -> Outcome:
    """chex.assert_numerical_grads."""
    from chex import assert_numerical_grads

    f, leaves = floating(case, dtype)
    return judged(lambda: assert_numerical_grads(f, tuple(leaves), 1), (AssertionError,))


def torch(second: bool, fast: bool) -> Callable[[Case, str], Outcome]:
    """torch.autograd.gradcheck or gradgradcheck."""

    def run(case: Case, dtype: str) -> Outcome:
        import torch
        from torch.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck

        from benchmarks.gradient_checks_torch import CASES as TRANSLATED

        if case.name not in TRANSLATED:
            return "not run", False
        inputs = tensors(case, dtype)
        if not fast and sum(a.numel() for a in inputs) > SLOW_LIMIT:
            return "not run", False
        torch.manual_seed(SEED)
        check = gradgradcheck if second else gradcheck
        with without_message():
            return judged(lambda: check(TRANSLATED[case.name], inputs, fast_mode=fast), (GradcheckError,))

    return run


def without_message() -> Any:
    """Spare gradcheck's fast mode the whole Jacobian that it computes for the text of a failure it has found.

    Of a hundred thousand inputs it is 40 GB; what was found does not depend on it.
    """
    module = importlib.import_module("torch.autograd.gradcheck")
    return mock.patch.object(module, "_run_slow_mode_and_get_error", lambda *_: "a fast check failed")


def tensors(case: Case, dtype: str) -> list[Any]:
    """The leaves of the point, which require gradients, and of the data, which do not."""
    import torch

    x, args = case.at(dtype)
    free, data = ([torch.tensor(np.asarray(a)) for a in jax.tree.leaves(tree)] for tree in (x, args))
    for leaf in free:
        leaf.requires_grad_(leaf.is_floating_point())
    return free + [leaf if leaf.is_floating_point() else leaf.long() for leaf in data]


def by_qed(order: int) -> Callable[[Case, str], Outcome]:
    """qed.check_gradient: its verdict, and whether the fault is at its lines."""

    def run(case: Case, dtype: str) -> Outcome:
        fun, _ = case.make()
        x, args = case.at(dtype)
        try:
            check = qed.check_gradient(fun, x, *args, order=order).value
        except Exception as error:  # counted, as for the others
            return f"error: {type(error).__name__}", False
        return str(check.verdict), located(case, check)

    return run


CHECKERS: dict[str, tuple[str | None, Callable[[Case, str], Outcome]]] = {
    "qed": (None, by_qed(1)),
    "qed order 2": (None, by_qed(2)),
    "check_grads both modes": (None, check_grads(1, ("fwd", "rev"))),
    "check_grads reverse": (None, check_grads(1, ("rev",))),
    "check_grads forward": (None, check_grads(1, ("fwd",))),
    "check_grads order 2": (None, check_grads(2, ("rev",))),
    "chex": ("chex", chex),
    "torch slow": ("torch", torch(second=False, fast=False)),
    "torch fast": ("torch", torch(second=False, fast=True)),
    "torch second": ("torch", torch(second=True, fast=False)),
}
"""Name -> (module it needs, how it is asked)."""


# --- counting --------------------------------------------------------------------------------------------------

_compiled = [0]


def _count(event: str, duration: float, **_: Any) -> None:
    _compiled[0] += event == "/jax/core/compile/backend_compile_duration"


@contextmanager
def compilations() -> Iterator[Callable[[], int]]:
    """How many programs XLA compiled since, from an empty cache."""
    if not getattr(_count, "listens", False):
        jax.monitoring.register_event_duration_secs_listener(_count)
        _count.listens = True  # type: ignore[attr-defined]
    jax.clear_caches()
    before = _compiled[0]
    yield lambda: _compiled[0] - before


def network(rules: int) -> tuple[Callable[[Any], Any], Any]:
    """A network of that many layers, each with its own activation with a rule by hand, and its 16 x 16 weights."""

    def activation() -> Callable[[Any], Any]:
        @jax.custom_vjp
        def f(x: Any) -> Any:
            return jnp.tanh(x)

        f.defvjp(lambda x: (jnp.tanh(x), jnp.tanh(x)), lambda y, g: (g * (1 - y * y),))
        return f

    layers = [activation() for _ in range(rules)]
    weights = np.random.default_rng(SEED).standard_normal((rules, 16, 16)) / 4

    def loss(w: Any) -> Any:
        h = jnp.ones((8, 16), w.dtype)
        for i, f in enumerate(layers):
            h = f(h @ w[i])
        return jnp.mean(h**2)

    return loss, jnp.asarray(weights)


def costs(rules: Sequence[int]) -> dict[str, dict[str, Any]]:
    """For each checker, by the number of rules: how often the function was entered, and programs compiled."""
    found: dict[str, dict[str, Any]] = {}
    asked = {
        "jax.grad": lambda f, w: jax.jit(jax.grad(f))(w),
        "qed": lambda f, w: qed.check_gradient(f, w),
        "check_grads reverse": lambda f, w: jax.test_util.check_grads(f, (w,), 1, ("rev",)),
    }
    for name, ask in asked.items():
        for n in rules:
            with precision("float64"):
                loss, w = network(n)
                entered = [0]

                def counted(w: Any, loss: Any = loss, entered: list[int] = entered) -> Any:
                    entered[0] += 1
                    return loss(w)

                with compilations() as compiled:
                    ask(counted, w)
                    found.setdefault(name, {})[str(n)] = {
                        "parameters": w.size,
                        "entered": entered[0],
                        "compiled": compiled(),
                    }
    if have("torch"):
        for name, fast in (("torch slow", False), ("torch fast", True)):
            found[name] = {str(n): {"parameters": n * 256, "entered": torch_calls(n, fast)} for n in rules}
    return found


def torch_calls(n: int, fast: bool) -> int:
    """How often gradcheck enters the same network."""
    import torch

    from benchmarks.gradient_checks_torch import rule

    f = rule(torch.tanh, lambda g, x: g * (1 - torch.tanh(x) ** 2))
    w = torch.tensor(np.asarray(network(n)[1], np.float64), requires_grad=True)
    entered = [0]

    def loss(w: Any) -> Any:
        entered[0] += 1
        h = torch.ones((8, 16), dtype=w.dtype)
        for i in range(n):
            h = f(h @ w[i])
        return (h**2).mean()

    torch.manual_seed(SEED)
    torch.autograd.gradcheck(loss, [w], fast_mode=fast)
    return entered[0]


# --- the tables ------------------------------------------------------------------------------------------------


def examine(cases: Sequence[Case], checkers: Sequence[str]) -> dict[str, Any]:
    """Every case by the checkers: {checker: {dtype: {case: outcome}}}."""
    found: dict[str, Any] = {}
    for name in checkers:
        module, run = CHECKERS[name]
        if module is not None and not have(module):
            print(f"{name}: {module} is not installed (pip install -e '.[bench]'), left out", file=sys.stderr)
            continue
        print(name, file=sys.stderr, flush=True)
        found[name] = {d: {case.name: asked(run, case, d) for case in cases if d in case.dtypes} for d in DTYPES}
    return found


def asked(run: Callable[[Case, str], Outcome], case: Case, dtype: str) -> str:
    """One case by one checker; a fault that was located is marked so."""
    with precision(dtype), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        outcome, place = run(case, dtype)
    return outcome + LOCATED if place else outcome


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """Counts by checker, dtype and class."""
    return {
        name: {
            dtype: {
                kind: counts([(CASES[case], result) for case, result in results.items() if CASES[case].kind == kind])
                for kind in KINDS
            }
            for dtype, results in dtypes.items()
        }
        for name, dtypes in found.items()
    }


def counts(results: Sequence[tuple[Case, str]]) -> dict[str, int]:
    """Of the cases of one class: run, flagged as wrong, passed, errors, called by the right word, located."""
    words = [(case, outcome.removesuffix(LOCATED)) for case, outcome in results if outcome != "not run"]
    errors = sum(word.startswith("error") for _, word in words)
    flagged = sum(word in ("flagged", "disagrees") for _, word in words)
    return {
        "run": len(words),
        "flagged": flagged,
        "passed": len(words) - errors - flagged,
        "errors": errors,
        "right word": sum(word in case.verdicts for case, word in words),
        "located": sum(outcome.endswith(LOCATED) for _, outcome in results),
    }


def table(record: dict[str, Any]) -> str:
    """Both tables as text."""
    lines = []
    for dtype in DTYPES:
        lines += ["", f"{dtype:<24}" + "".join(f"{kind:>14}" for kind in KINDS) + f"{'located':>10}"]
        for name, by in record["summary"].items():
            cells = "".join(f"{cell(by[dtype][kind], kind):>14}" for kind in KINDS)
            faults = sum(by[dtype][kind]["located"] for kind in FAULTS)
            lines.append(f"{name:<24}{cells}{faults:>10}")
    lines += [
        "",
        "flagged as wrong / run (+ errors); a right answer flags every wrong, no other (second: order 2 only)",
    ]
    lines += ["", f"{'rules':<24}" + "".join(f"{n:>22}" for n in record["rules"])]
    for name, by in record["costs"].items():
        told = (
            f"{c['entered']} calls" + (f", {c['compiled']} compiled" if "compiled" in c else "") for c in by.values()
        )
        lines.append(f"{name:<24}" + "".join(f"{text:>22}" for text in told))
    return "\n".join(lines)


def cell(count: dict[str, int], kind: str) -> str:
    """How many were flagged, of those run, and how many could not be run."""
    errors = f" (+{count['errors']})" if count["errors"] else ""
    return f"{count['flagged']}/{count['run'] - count['errors']}{errors}"


def versions() -> dict[str, str]:
    """Of everything compared."""
    packages = [name for name in ("jax", "jaxlib", "numpy", "chex", "torch") if have(name)]
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def written(cases: Sequence[Case], again: Sequence[str]) -> dict[str, Any]:
    """The outcomes of the committed result that stay: those of the other checkers, of the same cases and versions."""
    record = json.loads(RESULT.read_text(encoding="utf-8"))
    kept = {name: by for name, by in record["outcomes"].items() if name not in again}
    same = record["versions"] == versions()
    if not same or any(set(by[d]) != {c.name for c in cases if d in c.dtypes} for by in kept.values() for d in DTYPES):
        message = "the written result is of other versions or cases: run without --again"
        raise SystemExit(message)
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=int, help="so many cases of each class; writes nothing")
    parser.add_argument("--again", nargs="+", choices=CHECKERS, help="run these; keep what is written of the others")
    options = parser.parse_args()
    cases = [case for kind in KINDS for case in [c for c in CASES.values() if c.kind == kind][: options.only]]
    kept = written(cases, options.again) if options.again else {}
    found = {**kept, **examine(cases, options.again or list(CHECKERS))}
    found = {name: found[name] for name in CHECKERS if name in found}
    rules = (1, 5, 20) if options.only is None else (1,)
    record = {
        "benchmark": "gradient_checks",
        "seed": SEED,
        "files": [module.__name__ for module in FILES],
        "cases": {d: {k: sum(c.kind == k and d in c.dtypes for c in cases) for k in KINDS} for d in DTYPES},
        "versions": versions(),
        "rules": rules,
        "summary": summary(found),
        "costs": costs(rules),
        "outcomes": found,
    }
    print(table(record))
    if options.only is None:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
