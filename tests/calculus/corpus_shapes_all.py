"""The corpus of shapes, all parts of it, by name."""

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
}
CASES: dict[str, Case] = {f"{part}/{case.name}": case for part, cases in PARTS.items() for case in cases}
