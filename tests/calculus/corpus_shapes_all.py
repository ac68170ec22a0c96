"""The corpus of shapes, all parts of it, by name.

The parts called held-out were kept from the prover's author; those called fresh were written after the prover, by an
author who had not read it; those called later came a second time in that manner, those called other a third time, those
called fifth, sixth and seventh were written before any of them was judged.
"""

from tests.calculus import (
    corpus_shapes_control,
    corpus_shapes_decisions,
    corpus_shapes_distances,
    corpus_shapes_estimation,
    corpus_shapes_fresh,
    corpus_shapes_hessian_held,
    corpus_shapes_likelihoods,
    corpus_shapes_losses,
    corpus_shapes_markets,
    corpus_shapes_matrices_held,
    corpus_shapes_mixed,
    corpus_shapes_models,
    corpus_shapes_programs,
    corpus_shapes_rules_held,
    corpus_shapes_tricks_held,
)
from tests.calculus.corpus_shapes import Case
from tests.calculus.corpus_shapes_hessian import HESSIAN
from tests.calculus.corpus_shapes_matrices import MATRICES
from tests.calculus.corpus_shapes_optax import OPTAX
from tests.calculus.corpus_shapes_rules import RULES
from tests.calculus.corpus_shapes_sklearn import SKLEARN
from tests.calculus.corpus_shapes_tricks import TRICKS

PARTS: dict[str, list[Case]] = {
    "rules": RULES,
    "hessian": HESSIAN,
    "trick": TRICKS,
    "matrix": MATRICES,
    "optax": OPTAX,
    "sklearn": SKLEARN,
    "held-out rules": corpus_shapes_rules_held.RULES,
    "held-out hessian": corpus_shapes_hessian_held.HESSIAN,
    "held-out trick": corpus_shapes_tricks_held.TRICKS,
    "held-out matrix": corpus_shapes_matrices_held.MATRICES,
    "fresh rules": corpus_shapes_fresh.RULES,
    "fresh hessian": corpus_shapes_fresh.HESSIAN,
    "fresh trick": corpus_shapes_fresh.TRICKS,
    "fresh matrix": corpus_shapes_fresh.MATRICES,
    "later learning": corpus_shapes_losses.LEARNING,
    "later statistics": corpus_shapes_losses.STATISTICS,
    "later portfolios": corpus_shapes_decisions.PORTFOLIOS,
    "later matrices": corpus_shapes_decisions.MATRICES,
    "later polynomials": corpus_shapes_decisions.POLYNOMIALS,
    "other learning": corpus_shapes_models.LEARNING,
    "other statistics": corpus_shapes_models.STATISTICS,
    "other risks": corpus_shapes_models.RISKS,
    "other decisions": corpus_shapes_control.DECISIONS,
    "other loops": corpus_shapes_programs.LOOPS,
    "other choices": corpus_shapes_programs.CHOICES,
    "other libraries": corpus_shapes_programs.LIBRARIES,
    "other matrices": corpus_shapes_programs.MATRICES,
    "fifth statistics": corpus_shapes_estimation.STATISTICS,
    "fifth learning": corpus_shapes_estimation.LEARNING,
    "fifth distances": corpus_shapes_distances.GEOMETRY,
    "fifth programs": corpus_shapes_distances.PROGRAMS,
    "sixth markets": corpus_shapes_markets.MARKETS,
    "sixth control": corpus_shapes_markets.CONTROL,
    "sixth physics": corpus_shapes_markets.PHYSICS,
    "sixth likelihoods": corpus_shapes_likelihoods.LIKELIHOODS,
    "sixth entropies": corpus_shapes_likelihoods.ENTROPIES,
    "sixth robust": corpus_shapes_likelihoods.ROBUST,
    "seventh risks": corpus_shapes_mixed.RISKS,
    "seventh losses": corpus_shapes_mixed.LOSSES,
    "seventh recursions": corpus_shapes_mixed.RECURSIONS,
    "seventh matrices": corpus_shapes_mixed.MATRICES,
    "seventh traps": corpus_shapes_mixed.TRAPS,
}
CASES: dict[str, Case] = {f"{part}/{case.name}": case for part, cases in PARTS.items() for case in cases}
