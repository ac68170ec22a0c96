"""Importing a file must not run its training loop.

``qed why FILE.py:loss`` imports FILE to get at the loss. Where the file trains at its top level, the import is stopped:
gradients that are computed while it is imported are counted, and at the third the import ends, with the names as they
were at the first. What is bound only after the loop is then not there, which is said, with the way out:
``qed why FILE.py`` runs the script as it is.
"""

from __future__ import annotations

import ast
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

STOPPED = "_qed_stopped"
GRADIENTS_ALLOWED = 3


def may_train(text: str) -> bool:
    r"""Whether a file, when imported, might compute gradients: a look at its top level, nothing is run.

    Example:
        >>> may_train("import jax\ndef f(x): return jax.grad(g)(x)")
        False
        >>> may_train("import jax\nfor k in range(9):\n    w = w - jax.grad(loss)(w)")
        True
    """
    if "grad" not in text and "train" not in text:
        return False
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return any(_runs_something(node, own) for node in tree.body)


def _runs_something(node: ast.stmt, own: set[str]) -> bool:
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
        return False
    if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
        return False
    if isinstance(node, ast.For | ast.While | ast.With | ast.Try):
        return True
    names = {call.func.id for call in ast.walk(node) if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)}
    return bool(names & own) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))


@contextlib.contextmanager
def without_training(path: Path, module: ModuleType) -> Iterator[None]:
    """Execute a module under a watch that ends it when it begins to train."""
    if not may_train(path.read_text(encoding="utf-8", errors="replace")):
        yield
        return
    from qed.why.recorder import Recorder, StopTraining

    before: dict[str, object] = {}
    recorder = Recorder(most=GRADIENTS_ALLOWED, keep=0, on_first=lambda: before.update(vars(module)))
    try:
        with recorder:
            yield
    except StopTraining:
        vars(module).clear()
        vars(module).update(before)
        setattr(module, STOPPED, True)
        print(
            f"{path} trains while it is imported; it was stopped there, with the names as they were at its first "
            f"gradient. The whole script: qed why {path}",
            file=sys.stderr,
        )
