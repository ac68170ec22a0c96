"""What an answer of `qed.convexity` is worth where the truth is known.

`right`: standing and shape are the label's. `weaker`: what it says is true and says less (an affine function called
convex, a concave one called not convex, a refutation without the shape). `unknown`: UNKNOWN. `wrong`: a false proof or
a false refutation.
"""

from __future__ import annotations

from tests.calculus.corpus_shapes import AFFINE, CONCAVE, CONVEX, NEITHER, STANDING, Case

TRUE_OF = {
    CONVEX: {CONVEX},
    AFFINE: {AFFINE, CONVEX, CONCAVE},
    CONCAVE: {CONCAVE, NEITHER},
    NEITHER: {NEITHER},
}
"""The shapes that may be claimed of a function with this label."""


def judged(case: Case, standing: str, shape: str) -> str:
    """The worth of one answer.

    >>> from tests.calculus.corpus_shapes import Case
    >>> case = Case("a line", "affine", None, (0.0, 1.0), "")
    >>> judged(case, "PROVED", "affine"), judged(case, "PROVED", "convex"), judged(case, "REFUTED", "concave")
    ('right', 'weaker', 'wrong')
    """
    if standing == "UNKNOWN":
        return "unknown" if shape == "undecided" or shape in TRUE_OF[case.label] else "wrong"
    if standing != STANDING[case.label] or (shape != "undecided" and shape not in TRUE_OF[case.label]):
        return "wrong"
    return "right" if shape == case.label else "weaker"
