"""The question *why*: why does this loss become NaN, why does it diverge.

The module is the verb too: ``qed.why(qed.Problem(loss, at=w, step=0.1))``; see qed/_lazy.py for how.
"""

from qed._lazy import make_callable

VERB = "qed.why.diagnose:why"

make_callable(__name__)
