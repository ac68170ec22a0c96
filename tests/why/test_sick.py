"""Sick runs get the right code first, at the user's line, and the witness replays."""

import contextlib
import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

_spec = importlib.util.spec_from_file_location("sick_runs", Path(__file__).with_name("sick.py"))
sick = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sick)


def codes(answer):
    return tuple(finding.code for finding in answer.findings)


def double():
    """JAX with float64 switched on, for a while."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64

    return enable_x64()


@pytest.mark.parametrize("name", sick.CASES)
def test_a_sick_run_is_told_its_cause(name):
    make, expected, line = sick.CASES[name]
    answer = qed.why(make())
    assert codes(answer) == expected, str(answer)
    assert answer.refuted
    spans = [finding.span for finding in answer.findings if finding.span is not None]
    if line is not None:
        assert line in spans[0].text
        carets = spans[0].caret[1]
        assert "^" in carets
        assert "^" in str(answer)
    assert all(Path(span.file).name == "sick.py" for span in spans)
    for item in answer.advice:
        assert item.standing == "TRIED"
        assert item.trial.steps > 0
    assert answer.check()


def test_the_step_of_a_loop_and_the_numbers_are_told():
    answer = qed.why(sick.CASES["overflow_in_a_loop"][0]())
    witness = answer.findings[0].witness
    assert witness["loop_steps"] == [8]
    assert witness["operands"] == pytest.approx([np.exp(80.0), np.exp(10.0)], rel=1e-4)
    assert "loop step 8" in " ".join(str(answer).split())


def test_the_second_call_of_a_cached_helper_is_the_one_to_blame():
    answer = qed.why(sick.CASES["overflow_in_the_second_call_of_a_jitted_helper"][0]())
    assert answer.findings[0].witness["operands"][0] == pytest.approx(120.0)


def test_a_library_function_is_not_said_to_have_the_operand_of_its_inside():
    """The square root inside jnp.linalg.norm(w) is taken of a sum of squares, not of w."""
    text = str(qed.why(sick.CASES["norm_at_zero"][0]()))
    assert "sqrt at w = 0" not in text
    assert "its operand = 0" in text


def test_the_change_of_the_offending_expression_is_shown_first():
    text = " ".join(str(qed.why(sick.CASES["cross_entropy_by_hand_of_a_saturated_sigmoid"][0]())).split())
    instead = text[text.index(" instead ") :]
    assert instead.index("log(1") < instead.index("->")


def test_a_fault_at_the_start_gets_no_advice_that_cannot_help():
    answer = qed.why(sick.CASES["log_of_a_negative_number"][0]())
    assert answer.advice == ()


def test_the_prediction_of_the_quadratic_model_is_right_on_a_quadratic():
    answer = qed.why(sick.CASES["line_just_above_the_limit"][0]())
    reasons = [r for part in answer.walk() for r in part.reasons if r.rule == "the quadratic model, one step"]
    assert len(reasons) == 1
    assert reasons[0].predicted == pytest.approx(reasons[0].observed, rel=1e-4)


def test_not_a_number_in_the_data_is_an_error_of_use():
    X = np.array(sick.features())
    X[3, 1] = np.nan
    X = jnp.asarray(X)
    with pytest.raises(qed.QedError) as caught:
        qed.why(qed.Problem(lambda w: jnp.mean((X @ w) ** 2), jnp.ones(4), step=0.1))
    assert caught.value.code == "QED006"
    assert "X[3, 1] = nan" in caught.value.because


def test_an_update_that_overflows_though_loss_and_gradient_do_not():
    answer = qed.why(qed.Problem(lambda w: 1e30 * jnp.tanh(w), jnp.float32(0.0), step=1e30))
    assert "QED201" in codes(answer)
    assert "update" in str(answer).lower()


def test_the_dtype_decides_what_overflows():
    def loss(w):
        return jnp.sum(jnp.exp(w))

    answer = qed.why(qed.Problem(loss, jnp.array([100.0]), step=1e-50))
    assert codes(answer) == ("QED201",)
    assert "float64 holds it" in str(answer)
    with double():
        wide = qed.why(qed.Problem(loss, jnp.array([100.0]), step=1e-50))
        assert wide.findings == ()
        assert wide.arithmetic == "float64"
        beyond = qed.why(qed.Problem(loss, jnp.array([1000.0]), step=1e-50))
        assert codes(beyond) == ("QED201",)
        assert "ends at 709.78" in str(beyond)


def test_the_budget_cuts_what_costs_and_says_so():
    problem = sick.CASES["the_where_trap"][0]()
    problem = qed.Problem(problem.loss, problem.at, step=0.1, budget=1e-3)
    answer = qed.why(problem)
    assert codes(answer) == ("QED103",), "the cheap verdict does not wait for the budget"
    assert any("budget" in (item.settle or "") for item in answer.missing)


def test_the_first_verdict_comes_before_the_rest():
    said = []
    qed.why(sick.CASES["quartic_overflows_by_its_step"][0](), first_verdict=said.append)
    assert len(said) == 1
    assert "after 3 steps" in said[0]


def test_progress_tells_what_is_done():
    labels = set()
    qed.why(sick.CASES["line_just_above_the_limit"][0](), progress=lambda label, done, total: labels.add(label))
    assert {"the run as given", "a smaller step"} <= labels


@contextlib.contextmanager
def unchanged(*arrays):
    before = [np.array(a) for a in arrays]
    yield
    assert all(np.array_equal(a, b) for a, b in zip(before, arrays, strict=True))


# --- data that may be standardised, and data that must not ----------------------------------------------------


def advised(problem):
    """What the advice of a run with too large a step says about standardising."""
    answer = qed.why(problem)
    assert "QED401" in codes(answer), str(answer)
    return [item.what for item in answer.advice if "standardise" in item.what]


SCALES = jnp.array([1.0, 30.0, 1000.0])


def columns():
    return jnp.asarray(np.random.default_rng(0).standard_normal((30, 3)), jnp.float32) * SCALES


def test_feature_columns_are_standardised():
    X = columns()
    y = X @ (1 / SCALES)
    with unchanged(X, y):
        said = advised(qed.Problem(lambda w, X, y: jnp.mean((X @ w - y) ** 2), jnp.zeros(3), (X, y), step=1e-3))
    assert said
    assert all("columns of X" in words for words in said)


def test_a_constant_column_stays_and_the_others_are_standardised():
    X = jnp.concatenate([jnp.ones((30, 1)), columns()], 1)
    y = X[:, 1]
    said = advised(qed.Problem(lambda w: jnp.mean((X @ w - y) ** 2), jnp.zeros(4), step=1e-3))
    assert said


def test_one_hot_labels_and_targets_are_never_standardised():
    X, Y = columns(), jnp.eye(3)[jnp.arange(30) % 3]
    loss = lambda w, X, Y: -jnp.mean(jnp.sum(Y * jax.nn.log_softmax(X @ w), 1))  # noqa: E731
    said = advised(qed.Problem(loss, jnp.zeros((3, 3)), (X, Y), step=1.0))
    assert said
    assert all("Y" not in words for words in said)


def test_token_ids_are_never_standardised():
    ids = jnp.arange(30) % 5
    y = 100 * jnp.sin(jnp.arange(30.0))
    loss = lambda w, ids, y: jnp.mean((w[ids] - y) ** 2)  # noqa: E731
    assert advised(qed.Problem(loss, jnp.zeros(5), (ids, y), step=6.0)) == []


def test_float_token_ids_are_not_standardised_either():
    """Whoever loads a CSV has float ids; they are made integers before they index."""
    ids, y = (jnp.arange(30) % 5).astype(jnp.float32), 100 * jnp.sin(jnp.arange(30.0))
    loss = lambda w, ids, y: jnp.mean((w[ids.astype(int)] - y) ** 2)  # noqa: E731
    assert advised(qed.Problem(loss, jnp.zeros(5), (ids, y), step=6.0)) == []


def test_a_target_that_is_multiplied_first_is_not_standardised():
    """In the hinge form y (X w) the label meets the parameters only after the affine map."""
    X, y = columns(), jnp.where(jnp.arange(30) % 2 == 0, 1.0, -1.0)
    loss = lambda w, X, y: jnp.mean(jax.nn.softplus(-y * (X @ w))) + 0.1 * jnp.sum(w**2)  # noqa: E731
    said = advised(qed.Problem(loss, jnp.zeros(3), (X, y), step=20.0))
    assert all(" y" not in words.replace("columns of X", "") for words in said)


def test_data_on_one_scale_are_left_alone():
    X = jnp.asarray(np.random.default_rng(0).standard_normal((30, 3)), jnp.float32)
    y = X[:, 0]
    assert advised(qed.Problem(lambda w: jnp.mean((X @ w - y) ** 2), jnp.zeros(3), step=5.0)) == []


@pytest.mark.parametrize(
    "loss",
    [lambda w: jnp.sum((w / jnp.sum(w)) ** 2), lambda w: jnp.log(jnp.sum(jnp.tanh(w) / jnp.max(w)))],
    ids=["shares", "largest"],
)
def test_a_derivative_that_jax_writes_with_a_power_is_replayed_as_it_writes_it(loss):
    """d (x / y) / dy is -x y^-2 in JAX: y^2 underflows, -x / y / y does not, and it is no matter of compilation."""
    answer = qed.why(qed.Problem(loss, at=jnp.array([1e-20, 3e-20])))
    assert answer.findings[0].code == "QED201"
    assert answer.findings[0].span is not None
    assert "compilation" not in answer.headline
