"""One case of the corpus of `qed.check_gradient`: a small program, a point, and what is true of its gradient there.

A case is made by a function that returns (fun, truth): `truth` has the same values as `fun` and a derivative that
nobody wrote by hand (or wrote right), so that the label of the case can be checked without the verb under test. Points
are float64 arrays; `at` casts them, and the same case runs in float64 and in float32.

The lines that must be named are found by their marks: `# faulty` on the `def` of the wrong rule, `# call` where it is
called. Nothing in here counts lines by hand.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

KINDS = ("wrong", "second", "nonfinite", "kink", "surrogate", "latent", "correct")
HALVES = ("development", "examination")
DTYPES = ("float64", "float32")


@dataclass(frozen=True)
class Case:
    """A program with its label.

    Args:
        name: of the function that makes it.
        kind: what is true of it, one of KINDS.
        half: "development" or "examination".
        make: returns (fun, truth).
        x: the point, a pytree of float64 (and integer) arrays; derivatives are in its floating leaves.
        args: data.
        verdicts: what may be answered; one word but where the definition itself leaves two.
        order: of the derivative that is checked.
        loop_steps, branch, coordinate: of the fault, where there is one to tell.
        difference: smallest relative difference of the two gradients that the label claims, in float64.
        elsewhere: a point at which a latent fault can be seen.
        reverse: False where JAX has no reverse mode.
        tolerance: largest relative difference of the two gradients of a right case, in float64.
        dtypes: where the label holds.
        same_values: False where the program has no digits and `truth` has.
    """

    name: str
    kind: str
    half: str
    make: Callable[[], tuple[Callable[..., Any], Callable[..., Any]]]
    x: Any
    args: tuple[Any, ...] = ()
    verdicts: tuple[str, ...] = ()
    order: int = 1
    loop_steps: tuple[int, ...] | None = None
    branch: int | None = None
    coordinate: int | None = None
    difference: float = 1e-4
    elsewhere: Any = None
    reverse: bool = True
    tolerance: float = 1e-6
    same_values: bool = True
    dtypes: tuple[str, ...] = DTYPES

    def at(self, dtype: str) -> tuple[Any, tuple[Any, ...]]:
        """The point and the data in a dtype; call it inside `precision(dtype)`."""
        return _cast(self.x, dtype), _cast(self.args, dtype)

    @property
    def lines(self) -> tuple[set[int], set[int]]:
        """Lines of the faulty rule (its decorators and its `def`), and of the calls, in the file of the case."""
        return _marked(self.make)

    @property
    def file(self) -> str:
        """Where it is written."""
        return inspect.getsourcefile(self.make) or ""


DEFAULT = {
    "wrong": ("disagrees",),
    "second": ("disagrees",),
    "nonfinite": ("nonfinite",),
    "kink": ("kink",),
    "surrogate": ("surrogate",),
    "latent": ("latent",),
    "correct": ("agrees",),
}

CASES: dict[str, Case] = {}


def case(kind: str, x: Any, *args: Any, verdict: str | tuple[str, ...] = (), **more: Any) -> Callable[[Any], Any]:
    """Put the decorated maker into the table."""
    verdicts = (verdict,) if isinstance(verdict, str) else verdict

    def keep(make: Any) -> Any:
        half = make.__module__.rpartition("_")[2]
        assert half in HALVES and kind in KINDS and make.__name__ not in CASES, make.__name__
        CASES[make.__name__] = Case(
            make.__name__, kind, half, make, x, args, verdicts or DEFAULT[kind], 2 if kind == "second" else 1, **more
        )
        return make

    return keep


def _cast(tree: Any, dtype: str) -> Any:
    def leaf(a: Any) -> Any:
        a = np.asarray(a)
        return jnp.asarray(a.astype(dtype) if np.issubdtype(a.dtype, np.floating) else a)

    return jax.tree.map(leaf, tree)


@contextmanager
def precision(dtype: str) -> Iterator[None]:
    """JAX as a user of that precision has it."""
    with jax.enable_x64(dtype == "float64"):
        yield


def _marked(make: Any) -> tuple[set[int], set[int]]:
    lines, start = inspect.getsourcelines(make)
    text = "".join(lines)
    shift = start - 1
    calls = {start + i for i, line in enumerate(lines) if line.rstrip().endswith("# call")}
    rules: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and "# faulty" in lines[node.lineno - 1]:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            rules |= set(range(first + shift, node.lineno + shift + 1))
    return rules, calls


def signs(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Numbers of moderate size, none near zero, none equal."""
    draw = np.random.default_rng(seed)
    return draw.choice([-1.0, 1.0], shape) * draw.uniform(0.3, 1.7, shape)


def positive(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Positive numbers of moderate size."""
    return np.random.default_rng(seed).uniform(0.3, 1.7, shape)


def spd(n: int, seed: int = 0) -> np.ndarray:
    """A symmetric positive definite matrix with well separated eigenvalues."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))
    return (q * (1.0 + np.arange(n))) @ q.T
