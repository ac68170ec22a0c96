"""All functions of the corpus of stability: UNSTABLE and CONTROLS, tables by name.

The half in the files `*_held`, chosen by a hash of the names, was kept from those who wrote the rewriting until it was
finished; numbers about it are held-out numbers. The tables FRESH and FRESH_CONTROLS were written after the rewriting,
by an author who had not read it, and later THIRD and THIRD_CONTROLS, FOURTH and FOURTH_CONTROLS by others; no graph in
them is one of the others.
"""

from __future__ import annotations

from tests.numerics import (
    corpus_stability_applied,
    corpus_stability_applied_held,
    corpus_stability_classics,
    corpus_stability_classics_held,
    corpus_stability_controls,
    corpus_stability_controls_held,
    corpus_stability_fourth,
    corpus_stability_fourth_gradients,
    corpus_stability_fourth_learning,
    corpus_stability_fourth_statistics,
    corpus_stability_fresh,
    corpus_stability_gradients,
    corpus_stability_gradients_held,
    corpus_stability_held,
    corpus_stability_held_learning,
    corpus_stability_learning,
    corpus_stability_learning_held,
    corpus_stability_loops,
    corpus_stability_loops_held,
    corpus_stability_statistics,
    corpus_stability_statistics_held,
)
from tests.numerics.scoring import Stability


def _cases(*modules: object) -> dict[str, Stability]:
    return {name: case for module in modules for name, case in vars(module)["CASES"].items()}


_SHOWN = _cases(
    corpus_stability_applied,
    corpus_stability_classics,
    corpus_stability_gradients,
    corpus_stability_learning,
    corpus_stability_loops,
    corpus_stability_statistics,
)
_HELD = _cases(
    corpus_stability_applied_held,
    corpus_stability_classics_held,
    corpus_stability_gradients_held,
    corpus_stability_learning_held,
    corpus_stability_loops_held,
    corpus_stability_statistics_held,
)

UNSTABLE: dict[str, Stability] = _SHOWN | _HELD
"""Functions that lose digits, most of them, somewhere."""
CONTROLS: dict[str, Stability] = _cases(corpus_stability_controls, corpus_stability_controls_held)
"""Functions to be left alone."""
HELD: frozenset[str] = frozenset(_HELD) | frozenset(corpus_stability_controls_held.CASES)
"""The names of those that were kept from the authors of the rewriting."""
FRESH: dict[str, Stability] = corpus_stability_fresh.CASES
"""Unstable functions held out from the rewriting as it is now; not in UNSTABLE."""
FRESH_CONTROLS: dict[str, Stability] = corpus_stability_fresh.CONTROLS
"""Functions to be left alone, of the same author; not in CONTROLS."""
THIRD: dict[str, Stability] = _cases(corpus_stability_held, corpus_stability_held_learning)
"""Unstable functions held out once more, as users write them; in neither of the tables above."""
THIRD_CONTROLS: dict[str, Stability] = corpus_stability_held_learning.CONTROLS
"""Functions to be left alone, of the author of the third."""
FOURTH: dict[str, Stability] = _cases(
    corpus_stability_fourth,
    corpus_stability_fourth_statistics,
    corpus_stability_fourth_learning,
    corpus_stability_fourth_gradients,
)
"""Unstable functions held out a fourth time; in none of the tables above."""
FOURTH_CONTROLS: dict[str, Stability] = corpus_stability_fourth_gradients.CONTROLS
"""Functions to be left alone, of the author of the fourth."""
