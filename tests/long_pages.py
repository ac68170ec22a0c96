"""Which pages take long to run: they are tested with the slow tests."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

LONG = frozenset(
    "expectation hessian hessian-size kl-divergence lebesgue-integral log-space mini-batch newton normalising-constant "
    "probability QED419 QED420 QED421 QED611".split()
)
"""Those whose examples take more than some three seconds."""


def marked(pages: Iterable[Path]) -> list[Any]:
    """The pages, those that take long marked slow."""
    return [pytest.param(page, marks=pytest.mark.slow) if page.stem in LONG else page for page in pages]
