"""The public names of qed, and the renderers of an answer, as one table; each is imported when asked for.

`import qed` must cost nothing (a command line that only explains a code should not wait for JAX), and the
answer must not import what prints it (the layers point the other way). Both are the same problem and have
the same solution, a name and where to find it (PEP 562).

`qed.why` is a verb *and* a package: ``qed.why(problem)``, and ``from qed.why.problem import Problem``.
Importing a submodule binds the package's module in its parent, so a function of that name would vanish as
soon as anybody imports ``qed.why.problem``. Therefore the module itself is callable: qed/why/__init__.py
gives it the class `VerbModule`, and there is one object under one name, whichever way it was imported.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from types import ModuleType
from typing import Any

TABLE: dict[str, str] = {
    "Advice": "qed.answer:Advice",
    "Answer": "qed.answer:Answer",
    "Box": "qed.domains.box:Box",
    "Derivation": "qed.calculus.derivation:Derivation",
    "Diagnosis": "qed.why.diagnosis:Diagnosis",
    "Finding": "qed.findings:Finding",
    "Interval": "qed.domains.box:Interval",
    "LinearSVC": "qed.optimization.svm.linear_machine:LinearSVC",
    "Problem": "qed.why.problem:Problem",
    "QedError": "qed.errors:QedError",
    "Reason": "qed.answer:Reason",
    "SVC": "qed.optimization.svm.kernel_machine:SVC",
    "Standing": "qed.standing:Standing",
    "backprop": "qed.calculus.backprop:backprop",
    "check_gradient": "qed.calculus.gradient.check:check_gradient",
    "convexity": "qed.calculus.convexity:convexity",
    "critical_point": "qed.calculus.critical:critical_point",
    "cross_entropy": "qed.integration.divergence:cross_entropy",
    "derive": "qed.calculus.derivation:derive",
    "enclose": "qed.calculus.enclosure:enclose",
    "entropy": "qed.integration.divergence:entropy",
    "expect": "qed.integration.expectation:expect",
    "kl": "qed.integration.divergence:kl",
    "lipschitz": "qed.calculus.lipschitz:lipschitz",
    "logspace": "qed.numerics.logspace",
    "measures": "qed.integration.measures",
    "normalizer": "qed.integration.normalizer:normalizer",
    "precision": "qed.numerics.precision:precision",
    "minimize": "qed.optimization.minimize:minimize",
    "minimize_globally": "qed.calculus.globally:minimize_globally",
    "probability": "qed.integration.expectation:probability",
    "rate": "qed.optimization.rate:rate",
    "spectrum": "qed.calculus.spectrum:spectrum",
    "stabilize": "qed.numerics.stabilize:stabilize",
    "step_size": "qed.optimization.step_size:step_size",
    "surrogate": "qed.calculus.gradient.surrogate:surrogate",
    "taylor": "qed.calculus.taylor:taylor",
    "verdict": "qed.optimization.verdict:verdict",
    "watch": "qed.optimization.watch:watch",
    "why": "qed.why",
    "_from_json": "qed.report.json:from_json",
    "_html": "qed.report.html:html",
    "_repr": "qed.report.value:one_line",
    "_rich": "qed.report.text:rich_console",
    "_text": "qed.report.text:text",
    "_state": "qed.report.pickled:state",
    "_to_json": "qed.report.json:to_json",
}

PUBLIC = tuple(name for name in TABLE if not name.startswith("_"))


def resolve(name: str) -> Any:
    """The object that the table lists under a name.

    >>> resolve("Standing").PROVED == "PROVED"
    True
    """
    module, _, attribute = TABLE[name].partition(":")
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found


class VerbModule(ModuleType):
    """A module that is also the verb of its name; ``VERB = "qed.why.diagnose:why"`` in it names the function.

    Calling the module calls that function; its signature is the function's, and it can be pickled.
    """

    VERB: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._verb()(*args, **kwargs)

    def _verb(self) -> Any:
        module, _, attribute = self.VERB.partition(":")
        return getattr(importlib.import_module(module), attribute)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._verb())

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (self.__name__,)


def make_callable(module_name: str) -> None:
    """Turn an imported module with a constant VERB into a `VerbModule`."""
    sys.modules[module_name].__class__ = VerbModule
