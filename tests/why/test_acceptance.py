"""The two sick examples as a reader of the README meets them: wine (two causes) and digits (one)."""

import importlib.util
from pathlib import Path

import pytest

import qed

pytest.importorskip("sklearn")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(f"why_{name}", EXAMPLES / name / "train.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def wine():
    return load("wine")


@pytest.fixture(scope="module")
def answer(wine):
    return qed.why(qed.Problem(wine.loss, wine.w, names=wine.names, step="sgd:0.1"))


def finding(answer, code):
    return next(each for each in answer.findings if each.code == code)


def test_both_causes_are_told_and_the_overflow_first(answer):
    assert [each.code for each in answer.findings] == ["QED201", "QED401"]
    assert answer.refuted
    assert answer.value.verdict == "nonfinite"
    assert answer.value.first_bad_step == 1
    assert "after 1 step" in answer.headline
    assert "Two independent causes" in answer.headline


def test_the_overflow_has_its_line_its_columns_and_its_number(answer):
    overflow = finding(answer, "QED201")
    assert Path(overflow.span.file).parts[-3:] == ("examples", "wine", "train.py")
    assert overflow.span.line == 8
    assert overflow.span.text[overflow.span.column : overflow.span.end_column] == "jnp.exp(z)"
    assert overflow.witness["primitive"] == "exp"
    assert overflow.witness["operands"][0] == pytest.approx(20323.7, rel=1e-4)
    assert overflow.witness["index"] == [18, 0]
    text = str(answer)
    for shown in (
        "train.py:8",
        "p = jnp.exp(z)",
        "^^^^^^^^^^",
        "178 of 178 rows",
        "z reaches 20323.7",
        "ends at 88.72",
    ):
        assert shown in text, shown


def test_the_way_to_the_loss_is_told(answer):
    then = [reason.text for part in answer.walk() for reason in part.reasons if reason.role == "then"]
    assert len(then) == 1
    assert then[0].startswith("line 9 inf / inf = nan")
    assert then[0].endswith("loss = nan")


def test_the_step_is_measured_against_the_limit(answer):
    assert answer.steepest_curvature == pytest.approx(221_947, rel=1e-4)
    assert answer.step_limit == pytest.approx(9.0e-6, rel=5e-3)
    assert 0.1 / answer.step_limit == pytest.approx(1.1e4, rel=0.01)
    assert answer.curvature_error <= 1e-3 * answer.steepest_curvature
    assert answer.growth == pytest.approx(22194, rel=1e-3)


def test_the_stiff_direction_is_named(answer):
    name, share = answer.stiffest[0]
    assert (name, round(100 * share, 1)) == ("proline", 98.6)
    assert answer.stiffest[1][0] == "magnesium"
    assert "98.6 % of the stiffest direction" in str(answer)


def test_without_names_the_path_is_told(wine):
    answer = qed.why(qed.Problem(wine.loss, wine.w, step="sgd:0.1"))
    assert answer.stiffest[0][0] == "w['W'][12, :]"
    assert "w['W'][12, :]" in str(answer)


def test_the_advice_was_tried_and_the_best_comes_first(answer):
    trials = {item.what: item.trial for item in answer.advice}
    keep = next(t for what, t in trials.items() if "stable" in what and "standardise" in what and "keep 0.1" in what)
    assert keep.end == pytest.approx(0.040, abs=1e-3)
    assert (keep.steps, keep.rises, keep.finite) == (400, 0, True)
    alone = next(item for item in answer.advice if item.what.startswith("stable form alone"))
    assert "useless" in alone.what
    assert alone.trial.finite
    assert alone.trial.end > 100 * alone.trial.start
    assert alone is answer.advice[-1]
    assert [t.end for t in trials.values()] == sorted(t.end for t in trials.values())
    assert all(item.standing == "TRIED" for item in answer.advice)


def test_the_stable_form_is_written_out(answer):
    instead = [reason.text for part in answer.walk() for reason in part.reasons if reason.role == "instead"]
    assert len(instead) == 1
    assert "logsumexp" in instead[0]
    assert "line 10" in instead[0]


def test_nothing_is_claimed_ahead(answer):
    proved = [part for part in answer.walk() if part.proved]
    assert all(part.claim.startswith("any step below") and part.check() for part in proved)
    assert all(reason.standing != "PROVED" for part in answer.walk() if not part.proved for reason in part.reasons)
    assert "convex" not in str(answer)


def test_it_can_be_checked_again_and_written_down(answer):
    assert answer.check()
    again = qed.Answer.from_json(answer.to_json())
    assert again.to_json() == answer.to_json()
    assert "QED401" in repr(answer) or "REFUTED" in repr(answer)


def test_the_data_may_be_arguments(wine):
    """The same loss with its data handed in: the same diagnosis."""
    import jax.numpy as jnp

    def loss(w, X, Y):
        z = X @ w["W"] + w["b"]
        p = jnp.exp(z)
        q = p / p.sum(1, keepdims=True)
        return -jnp.mean(jnp.sum(Y * jnp.log(q), 1))

    given = qed.Problem(loss, wine.w, (wine.X, wine.Y), names=wine.names, step="sgd:0.1")
    answer = qed.why(given)
    assert [each.code for each in answer.findings] == ["QED201", "QED401"]
    assert answer.stiffest[0][0] == "proline"
    assert "178 rows" in answer.subject


def test_digits_has_too_large_a_step():
    digits = load("digits")
    answer = qed.why(qed.Problem(digits.loss, digits.w, step=digits.STEP))
    assert [each.code for each in answer.findings] == ["QED401"]
    assert answer.value.verdict == "diverges"
    assert digits.STEP / answer.step_limit == pytest.approx(2.94, rel=0.01)
    best = answer.advice[0].trial
    assert best.end < 0.1 < best.start
    smaller = next(item for item in answer.advice if item.what.startswith("step"))
    assert smaller.trial.end < 0.1


def test_digits_at_twice_the_limit_is_no_fault():
    """Measured: 2.01 times 2/lambda_max ends better than 0.5 times; exceeding a local limit is a note."""
    digits = load("digits")
    answer = qed.why(qed.Problem(digits.loss, digits.w, step=2.01 * 0.681017))
    assert [each.code for each in answer.findings] == ["QED402"]
    assert answer.findings[0].level == "note"
    assert answer.measured
    assert answer.advice == ()


def test_logistic_is_healthy():
    logistic = load("logistic")
    answer = qed.why(qed.Problem(logistic.loss, logistic.w, names=logistic.names, step=logistic.STEP))
    assert answer.findings == ()
    assert answer.measured
    assert answer.steepest_curvature == pytest.approx(3.33, abs=0.01)
