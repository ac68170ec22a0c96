"""All functions of the corpus of stability: UNSTABLE and CONTROLS, tables by name.

The half in the files `*_held` was kept from those who wrote the rewriting until it was finished; numbers about it are
held-out numbers.
"""

from __future__ import annotations

from tests.numerics import (
    corpus_stability_applied,
    corpus_stability_classics,
    corpus_stability_controls,
    corpus_stability_gradients,
    corpus_stability_learning,
    corpus_stability_loops,
    corpus_stability_statistics,
)
from tests.numerics.scoring import Stability

SHOWN = (
    corpus_stability_applied,
    corpus_stability_classics,
    corpus_stability_gradients,
    corpus_stability_learning,
    corpus_stability_loops,
    corpus_stability_statistics,
)

UNSTABLE: dict[str, Stability] = {name: case for module in SHOWN for name, case in module.CASES.items()}
"""Functions that lose digits, or did when the corpus was written."""
CONTROLS: dict[str, Stability] = dict(corpus_stability_controls.CASES)
"""Functions to be left alone."""
HELD: frozenset[str] = frozenset()
"""The names of those that were kept from the authors of the rewriting."""
