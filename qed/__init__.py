"""qed answers questions about a differentiable function, and every answer carries its reason.

The public names are listed in qed/_lazy.py and imported when first used: `import qed` itself imports
neither JAX nor NumPy nor rich.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qed import _lazy

if TYPE_CHECKING:  # the names once more, for editors and type checkers; a test compares
    from qed.answer import Advice as Advice
    from qed.answer import Answer as Answer
    from qed.answer import Reason as Reason
    from qed.calculus.backprop import backprop as backprop
    from qed.calculus.convexity import convexity as convexity
    from qed.calculus.critical import critical_point as critical_point
    from qed.calculus.derivation import Derivation as Derivation
    from qed.calculus.derivation import derive as derive
    from qed.calculus.enclosure import enclose as enclose
    from qed.calculus.globally import minimize_globally as minimize_globally
    from qed.calculus.gradient.check import check_gradient as check_gradient
    from qed.calculus.gradient.surrogate import surrogate as surrogate
    from qed.calculus.lipschitz import lipschitz as lipschitz
    from qed.calculus.spectrum import spectrum as spectrum
    from qed.calculus.taylor import taylor as taylor
    from qed.domains.box import Box as Box
    from qed.domains.box import Interval as Interval
    from qed.errors import QedError as QedError
    from qed.findings import Finding as Finding
    from qed.integration import measures as measures
    from qed.integration.divergence import cross_entropy as cross_entropy
    from qed.integration.divergence import entropy as entropy
    from qed.integration.divergence import kl as kl
    from qed.integration.expectation import expect as expect
    from qed.integration.expectation import probability as probability
    from qed.integration.normalizer import normalizer as normalizer
    from qed.numerics import logspace as logspace
    from qed.numerics.precision import precision as precision
    from qed.numerics.stabilize import stabilize as stabilize
    from qed.optimization.minimize import minimize as minimize
    from qed.optimization.rate import rate as rate
    from qed.optimization.step_size import step_size as step_size
    from qed.optimization.svm.kernel_machine import SVC as SVC
    from qed.optimization.svm.linear_machine import LinearSVC as LinearSVC
    from qed.optimization.verdict import verdict as verdict
    from qed.optimization.watch import watch as watch
    from qed.standing import Standing as Standing
    from qed.why.diagnose import why as why
    from qed.why.diagnosis import Diagnosis as Diagnosis
    from qed.why.problem import Problem as Problem

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _lazy.PUBLIC:
        msg = f"module 'qed' has no attribute {name!r}"
        raise AttributeError(msg)
    found = _lazy.resolve(name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*_lazy.PUBLIC, "__version__", "__doc__", "__name__", "__file__", "__path__"})
