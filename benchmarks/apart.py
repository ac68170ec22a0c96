"""The processor time that `qed.minimize` spends on its verdict, told apart from that of its search."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


@contextmanager
def verdict_apart() -> Iterator[list[float]]:
    """A list of one number, the seconds of processor time of all verdicts asked inside of the block."""
    minimizing: Any = import_module("qed.optimization.minimize")  # the attribute of the package is the function
    spent, ask = [0.0], minimizing.judged

    def judged(*args: Any, **more: Any) -> Any:
        began = time.process_time()
        try:
            return ask(*args, **more)
        finally:
            spent[0] += time.process_time() - began

    minimizing.judged = judged
    try:
        yield spent
    finally:
        minimizing.judged = ask
