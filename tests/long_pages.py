"""Which pages take long to run: they are tested with the slow tests."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

LONG = frozenset(
    "automatic-differentiation expectation hessian hessian-size kl-divergence lagrange-multipliers learning-rate "
    "lebesgue-integral log-space mini-batch momentum newton normalising-constant probability "
    "stochastic-gradient-descent QED419 QED420 QED421 QED423 QED603 QED609 QED611".split()
)
"""Those whose examples take more than some three seconds."""


def marked(pages: Iterable[Path]) -> list[Any]:
    """The pages, those that take long marked slow."""
    return [pytest.param(page, marks=pytest.mark.slow) if page.stem in LONG else page for page in pages]
