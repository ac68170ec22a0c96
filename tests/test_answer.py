"""The answer: what cannot be claimed, how it falls through to its value, and the lazy names."""

from __future__ import annotations

import ast
import copy
import dataclasses
import doctest
import importlib
import inspect
import math
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import qed
from qed import _lazy
from qed.answer import Advice, Answer, Enclosed, Exact, Measured, Missing, Reason, Standing, Trial
from qed.errors import CertificateError, QedError


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """A value, as a verb returns one."""

    trace: float
    claim: str = "hidden by the claim of the answer"
    _private: int = 1


class Certificate:
    """A proof whose checking is decided by the test."""

    def __init__(self, result=None) -> None:
        self.result = result

    def verify(self):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def measured(value=None, **fields) -> Answer:
    return Answer("the trace is 2", "MEASURED", value, **fields)


# -- what cannot be claimed


def test_proved_needs_a_certificate() -> None:
    with pytest.raises(ValueError, match="PROVED needs a certificate"):
        Answer("f is convex", "PROVED")
    assert Answer("f is convex", "PROVED", certificate=Certificate()).proved


@pytest.mark.parametrize("ends", [(math.nan, math.nan), (0.0, math.nan), (2.0, 1.0)])
def test_what_encloses_nothing_is_not_proved(ends) -> None:
    with pytest.raises(ValueError, match="encloses nothing"):
        Answer("a", "PROVED", 1.5, error=Enclosed(*ends), certificate=Certificate())


def test_what_is_undefined_is_proved_with_ends_that_are_none() -> None:
    ends = Enclosed(math.nan, math.nan)
    assert Answer("neither a number nor infinite", "PROVED", math.nan, error=ends, certificate=Certificate()).proved


def test_unknown_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="UNKNOWN must say what is missing"):
        Answer("f is convex", "UNKNOWN")
    assert Answer("f is convex", "UNKNOWN", missing=[Missing("a rule")]).unknown


def test_replace_keeps_the_rules() -> None:
    with pytest.raises(ValueError, match="PROVED"):
        dataclasses.replace(measured(), standing="PROVED")


def test_a_standing_is_one_of_four() -> None:
    with pytest.raises(ValueError, match="SURE"):
        Answer("f is convex", "SURE")


def test_measured_reasons_predict_and_observe_or_say_why_not() -> None:
    for incomplete in ({}, {"predicted": 1.0}, {"observed": 1.0}):
        with pytest.raises(ValueError, match="predicted and observed"):
            Reason("Lanczos", standing="MEASURED", **incomplete)
    Reason("Lanczos", standing="MEASURED", predicted=0.0, observed=0.0)
    Reason("Lanczos", standing="MEASURED", observed=2.0, unpredicted="an eigenvalue has no prediction")


def test_tried_advice_carries_its_trial() -> None:
    trial = Trial(400, 1.1, 0.04, 0, True, [1.1, 0.5])
    assert trial.losses == (1.1, 0.5)
    assert Advice("step 0.01", trial=trial).standing == "TRIED"
    assert Advice("step 0.01").standing == "ASSUMED"
    assert Advice("logsumexp", standing="PROVED EQUAL").standing == "PROVED EQUAL"
    with pytest.raises(ValueError, match="carries no trial"):
        Advice("step 0.01", standing="TRIED")


# -- what an answer is


@pytest.mark.parametrize("standing", Standing)
def test_exactly_one_standing_is_true_and_the_answer_itself_is_none(standing: Standing) -> None:
    answer = Answer("c", standing, certificate=Certificate(), missing=[Missing("m")])
    flags = {name: getattr(answer, name) for name in ("proved", "measured", "refuted", "unknown")}
    assert [name for name, flag in flags.items() if flag] == [standing.lower()]
    assert answer.standing == standing.value
    with pytest.raises(TypeError, match=r"\.proved, \.refuted"):
        bool(answer)
    with pytest.raises(TypeError, match="neither true nor false"):
        if answer:
            pass


def test_answers_are_frozen_and_sequences_become_tuples() -> None:
    answer = measured(reasons=[Reason("r")], answers=[measured()])
    assert isinstance(answer.reasons, tuple) and isinstance(answer.answers, tuple)
    with pytest.raises(dataclasses.FrozenInstanceError):
        answer.claim = "another"  # type: ignore[misc]


def test_generic_in_its_value() -> None:
    assert Answer[float]("c", "MEASURED", 1.0).value == 1.0


def test_attributes_fall_through_to_the_value() -> None:
    answer = measured(Spectrum(2.0))
    assert answer.trace == 2.0
    assert answer.claim == "the trace is 2"
    assert "trace" in dir(answer) and "_private" not in dir(answer)
    with pytest.raises(AttributeError, match=r"neither the Answer nor its value \(of type Spectrum\).*'nothing'"):
        _ = answer.nothing
    with pytest.raises(AttributeError, match="no attribute '_private'"):
        _ = answer._private
    assert not hasattr(answer, "__array__") and not hasattr(measured(), "shape")


def test_copies_and_pickles() -> None:
    answer = measured(Spectrum(2.0), reasons=[Reason("r", premises=[Reason("s")])], meta={"seed": 0})
    assert copy.copy(answer) is answer
    for same in (copy.deepcopy(answer), pickle.loads(pickle.dumps(answer))):
        assert same.to_json() == answer.to_json() and same.trace == 2.0
    assert dataclasses.replace(answer, headline="h").headline == "h"
    assert len({answer, answer}) == 1


def test_what_cannot_be_pickled_stays_as_plain_data() -> None:
    proved = Answer("f is even", "PROVED", Spectrum(lambda t: t), certificate=Spectrum(lambda: 1), recheck=lambda: 2)
    back = pickle.loads(pickle.dumps(Answer("all", "MEASURED", 2.0, answers=[proved], recheck=lambda: True)))
    assert back.value == 2.0 and str(back.answers[0]) == str(proved)
    assert back.answers[0].to_json() == proved.to_json()
    with pytest.raises(QedError, match="neither a certificate nor a recheck"):
        back.check()
    with pytest.raises(QedError, match="ask the question again"):
        back.answers[0].check()
    assert copy.deepcopy(proved).certificate is proved.certificate and copy.deepcopy(proved).recheck() == 2


def test_meta_is_copied() -> None:
    meta = {"seed": 0}
    answer = measured(meta=meta)
    meta["seed"] = 1
    assert answer.meta["seed"] == 0


# -- lower and upper


@pytest.mark.parametrize(
    ("standing", "error", "ends"),
    [
        ("MEASURED", Exact(), (2.0, 2.0)),
        ("MEASURED", Measured(0.5, "Lanczos", 0), (1.5, 2.5)),
        ("PROVED", Enclosed(1.0, 3.0), (1.0, 3.0)),
        ("MEASURED", None, (-math.inf, math.inf)),
        ("UNKNOWN", Exact(), (-math.inf, math.inf)),
    ],
)
def test_ends_of_a_number(standing, error, ends) -> None:
    answer = Answer("c", standing, 2.0, error=error, certificate=Certificate(), missing=[Missing("m")])
    assert (answer.lower, answer.upper) == ends


def test_ends_of_arrays_and_of_values_with_ends_of_their_own() -> None:
    import numpy as np

    answer = measured(np.array([1.0, 2.0]), error=Measured(0.5, "Lanczos"))
    assert answer.upper.tolist() == [1.5, 2.5]
    assert measured(Enclosed(3, 4)).lower == 3
    for value in ("saddle", True, Spectrum(1.0)):
        with pytest.raises(AttributeError, match="'lower'"):
            _ = measured(value).lower


# -- check


def test_check_verifies_the_certificate() -> None:
    assert Answer("c", "PROVED", certificate=Certificate()).check() is True
    assert Answer("c", "PROVED", certificate=Certificate(True)).check() is True
    for result in (False, CertificateError("tree.0", "too small")):
        with pytest.raises(CertificateError):
            Answer("c", "PROVED", certificate=Certificate(result)).check()
    with pytest.raises(QedError, match="plain data") as caught:
        Answer("c", "PROVED", certificate={"kind": "subdivision"}, recheck=lambda: True).check()
    assert caught.value.code == "QED007"


def test_check_repeats_what_is_not_proved() -> None:
    assert measured(recheck=lambda: None).check() is True
    assert measured(recheck=measured).check() is True
    for again in (lambda: False, lambda: Answer("c", "REFUTED")):
        with pytest.raises(QedError, match="not confirmed") as caught:
            measured(recheck=again).check()
        assert caught.value.code == "QED021"
    with pytest.raises(QedError, match="neither a certificate nor a recheck"):
        measured().check()


def test_walk_goes_through_all_parts() -> None:
    inner = Answer("inner", "MEASURED")
    outer = measured(answers=[Answer("first", "REFUTED", answers=[inner]), Answer("second", "MEASURED")])
    assert [each.claim for each in outer.walk()] == ["the trace is 2", "first", "inner", "second"]


# -- repr


def test_repr_is_one_line() -> None:
    assert repr(measured()) == "Answer('the trace is 2', MEASURED)"
    assert repr(measured(2.0, error=Measured(0.25, "Lanczos"))) == "Answer('the trace is 2', 2 ± 0.25, MEASURED)"
    assert repr(measured(2.0, error=Exact())) == "Answer('the trace is 2', 2 exactly, MEASURED)"
    assert repr(measured(error=Enclosed(1, 2))) == "Answer('the trace is 2', in [1, 2], MEASURED)"
    long = repr(Answer("many\nlines " * 40, "MEASURED", list(range(1000))))
    assert "\n" not in long and len(long) < 150 and "list of 1000" in long


# -- the package


def in_fresh_python(code: str) -> str:
    root = str(Path(qed.__file__).parent.parent)
    command = [sys.executable, "-W", "error", "-c", f"import sys; sys.path.insert(0, {root!r})\n{code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_qed_imports_nothing_heavy() -> None:
    code = (
        "import qed, qed.errors, qed.findings, qed.answer\n"
        "qed.Answer, qed.Standing, qed.QedError, dir(qed), repr(qed.Answer('c', 'MEASURED'))\n"
        "str(qed.Answer('c', 'MEASURED')), qed.Answer('c', 'MEASURED')._repr_html_()\n"
        "print(sorted({'jax', 'numpy', 'rich', 'scipy', 'optax', 'typer'} & set(sys.modules)))"
    )
    assert in_fresh_python(code) == "[]"


@pytest.mark.parametrize("name", _lazy.TABLE)
def test_every_name_of_the_table_resolves(name: str) -> None:
    found = _lazy.resolve(name)
    assert callable(found) or isinstance(found, ModuleType)
    if name in _lazy.PUBLIC:
        assert getattr(qed, name) is found and name in dir(qed)


def test_the_names_for_type_checkers_are_those_of_the_table() -> None:
    tree = ast.parse(Path(qed.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    names = {alias.asname for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert names == set(_lazy.PUBLIC)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = qed.nothing
    assert not hasattr(qed, "_text")


def test_why_is_the_verb_and_the_package_in_every_order_of_import() -> None:
    for code in (
        "import qed; verb = qed.why",
        "import qed, qed.why.problem; verb = qed.why",
        "from qed.why.problem import Problem; from qed import why as verb",
        "import qed.why.problem as p; import qed; assert p.Problem is qed.Problem; verb = qed.why",
        "import importlib; importlib.import_module('qed.why.problem'); import qed; verb = qed.why",
    ):
        assert in_fresh_python(f"{code}\nassert callable(verb); print(verb.__name__)") == "qed.why"


def test_the_callable_module_calls_inspects_and_pickles(tmp_path, monkeypatch) -> None:
    (tmp_path / "verb_package").mkdir()
    (tmp_path / "verb_package" / "__init__.py").write_text(
        "from qed import _lazy\nVERB = 'verb_package.parts:ask'\n_lazy.make_callable(__name__)\n"
    )
    (tmp_path / "verb_package" / "parts.py").write_text("def ask(problem, *, budget=60):\n    return problem, budget\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    verb = importlib.import_module("verb_package")
    assert verb(1, budget=2) == (1, 2)
    assert str(inspect.signature(verb)) == "(problem, *, budget=60)"
    assert inspect.ismodule(verb) and pickle.loads(pickle.dumps(verb)) is verb


MODULES = [
    "_lazy", "answer", "errors", "findings", "span", "standing", "report", "report.glossary", "report.html",
    "report.json", "report.screen", "report.text", "report.value",
]  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"qed.{name}")).failed == 0


def test_a_part_without_an_arithmetic_speaks_of_that_of_the_whole():
    part = Answer("a", "REFUTED")
    whole = Answer("all", "REFUTED", arithmetic="float64", answers=(part,))
    assert "(float32)" not in str(whole) and part.arithmetic == ""
    assert Answer("all", "REFUTED", answers=(Answer("b", "REFUTED", arithmetic="float64"),)).arithmetic == "float64"
