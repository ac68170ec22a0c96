"""Kernel machines with high prices: a smooth kernel is factored, doubtful sums are made again, the gap is reached."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn")
from sklearn.datasets import load_breast_cancer, make_moons
from threadpoolctl import threadpool_limits

import qed
from qed.optimization.svm import careful, factored, kernel, kernel_machine, problem


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other cost small systems a hundred times their time where other programs run."""
    with threadpool_limits(1, user_api="blas"):
        yield


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6))
def test_sums_with_their_roundings_are_within_their_bound(seed):
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(15, 4)) * 10.0 ** rng.integers(-20, 20, size=(15, 4))
    weights = rng.normal(size=15) * 10.0 ** rng.integers(-20, 20, size=15)
    columns[7] = columns[3]
    weights[7] = -weights[3] * (1 + 1e-13)  # nearly cancels
    found, off = careful.dot(columns, weights)
    sizes = np.abs(columns).T @ np.abs(weights)
    for j in range(4):
        exact = sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(columns[:, j], weights, strict=True))
        assert abs(Fraction(float(found[j])) - exact) <= Fraction(float(off[j]))
        assert off[j] <= 4e-16 * abs(found[j]) + 1e-28 * sizes[j]
    assert careful.dot(np.full((1, 1), 1e300), np.ones(1)) is None


@pytest.mark.parametrize(("many", "price", "gamma"), [(300, 1e8, "scale"), (500, 1e6, "scale"), (600, 1e4, 5.0)])
def test_smooth_kernels_of_few_features_reach_the_gap_at_high_prices(monkeypatch, many, price, gamma):
    rows, labels = make_moons(many, noise=0.3, random_state=0)
    limits = []
    asked = kernel_machine.by_matrix
    monkeypatch.setattr(kernel_machine, "by_matrix", lambda *a: limits.append(a[-1]) or asked(*a))
    machine = qed.SVC(C=price, gamma=gamma).fit(rows, labels)
    assert machine.relative_gap_ <= 1e-6
    assert limits == [20 * many + 1000]
    answer = machine.explain()
    assert answer.proved and answer.check()
    held = (machine.multipliers_ > 0) & (machine.multipliers_ < price)
    margins = (2 * labels - 1) * machine.decision_function(rows)
    assert np.allclose(margins[held], 1.0, atol=1e-3) and np.all(margins[machine.multipliers_ == price] < 1.001)


def test_a_linear_kernel_is_solved_by_its_features_unscaled_ones_too():
    rows, labels = load_breast_cancer(return_X_y=True)
    machine = qed.SVC(C=100.0, kernel="linear").fit(rows, labels)
    assert machine.relative_gap_ <= 1e-6 and machine.explain().check()


def test_where_no_multiplier_is_at_its_price_doubts_do_not_cost_the_price():
    labels = np.arange(200) % 2
    rows = 100.0 * np.eye(200)
    machine = qed.SVC(C=1e10, gamma=1.0).fit(rows, labels)
    assert machine.relative_gap_ <= 1e-9 and machine.explain().check()
    signs, prices = 2.0 * labels - 1.0, np.full(200, 1e10)
    held = kernel.Kernel(lambda at, others: np.eye(200)[np.ix_(at, others)], 200)
    plain = problem.Machine(np.ones(200), 0.0, signs)
    assert kernel.proved(held, signs, prices, plain).relative > 1e-6
    longer = careful.longer(held, signs, prices, plain, 1e-9)
    assert longer is not None and longer[1].relative <= 1e-9
    assert careful.longer(held, signs, np.ones(200), plain, 1e-9) is None


def test_a_factor_ends_at_the_rank_and_not_beyond_what_is_asked():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 5))
    found = factored.factor(rows @ rows.T)
    assert found is not None and found.shape == (40, 5) and np.allclose(found @ found.T, rows @ rows.T)
    assert factored.factor(np.eye(40), most=30) is None
    zero = factored.factor(np.zeros((3, 3)))
    assert zero is not None and np.allclose(zero @ zero.T, 0.0)


@pytest.mark.parametrize("machine", [qed.SVC(), qed.LinearSVC()])
def test_what_is_claimed_to_the_last_digits_is_verified_too(machine):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 3))
    labels = (rows[:, 0] > 0).astype(int)
    for some, called in (([[1.0], [1.0]], [0, 1]), (rows * [1e8, 1.0, 1e-8], labels), (rows * 1e-150, labels)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # nothing tells some of the classes apart
            machine.fit(some, called)
        assert machine.explain().check()


def test_numbers_beyond_what_is_proved_are_refused():
    for machine in (qed.SVC(C=1e-300), qed.LinearSVC(C=1e300)):
        with pytest.raises(ValueError, match="C must lie between"):
            machine.fit([[0.0], [1.0]], [0, 1])
    for machine in (qed.SVC(kernel="linear"), qed.LinearSVC()):
        with pytest.raises(ValueError, match="scale the rows"):
            machine.fit([[0.0], [1e150]], [0, 1])
