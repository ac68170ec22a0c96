"""The functions that the laws of walking and of adjoints are checked on: CORPUS, a table by name.

Functions of libraries stand in tests/corpus_libraries.py, programs written by hand in tests/corpus_programs.py and
tests/corpus_elements.py.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from qed.domains.value import Value
from qed.graph.trace import trace
from qed.graph.walk import Walker
from tests import corpus_elements, corpus_programs
from tests.corpus_case import TABLE, Case
from tests.corpus_libraries import library_cases

FILES = (corpus_programs, corpus_elements)
"""Importing them fills the table of programs."""

CORPUS = {case.name: case for case in (*TABLE.values(), *library_cases())}
"""Every function of the corpus by name."""


def corpus(keep: Callable[[Case], bool] = lambda case: True, slow: Callable[[Case], bool] | None = None) -> list[Any]:
    """The kept cases as parameters of a test, the slow ones marked."""
    is_slow = slow or (lambda case: case.slow)
    return [
        pytest.param(case, id=case.name, marks=[pytest.mark.slow] if is_slow(case) else [])
        for case in CORPUS.values()
        if keep(case)
    ]


@functools.cache
def value_at_its_point(name: str) -> Any:
    """What the value domain makes of a function of the corpus at its own arguments, once for all laws."""
    case = CORPUS[name]
    traced = trace(case.fun, *case.make())
    (cell,) = Walker([Value()]).run(traced.graph, traced.leaves)
    return cell.values[0]


def covered(module: Any, group: str, cases: list[Case]) -> set[str]:
    """The public functions of a module that no case of the group is named after."""
    names = {case.name.removeprefix(group + ".") for case in cases if case.group == group}
    public = {n for n in dir(module) if not n.startswith("_") and inspect.isroutine(getattr(module, n, None))}
    return public - names
