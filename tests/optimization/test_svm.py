"""Support vector machines: the gap is what it says, altered certificates fail, the estimators are scikit-learn's."""

import dataclasses
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qed
from qed.certificates.certificate import Certificate
from qed.certificates.duality_gap import DualityGap, Sample, products, split_products
from qed.errors import CertificateError, QedError
from qed.optimization.svm import decomposition, kernel, linear, problem
from qed.optimization.svm.grams import Gram

sklearn = pytest.importorskip("sklearn")
from scipy import sparse  # noqa: E402
from sklearn.datasets import load_breast_cancer, load_digits, make_classification  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402


def exactly(numbers):
    return [Fraction(float(number)) for number in numbers]


def exact_values(rows, signs, prices, weights, multipliers):
    """P(w) and D(a) in rational arithmetic."""
    w, a, c = exactly(weights), exactly(multipliers), exactly(prices)
    z = [[Fraction(float(s)) * entry for entry in exactly(row)] for row, s in zip(rows, signs, strict=True)]
    margins = [sum(p * q for p, q in zip(row, w, strict=True)) for row in z]
    primal = sum(k * k for k in w) / 2 + sum(p * max(0, 1 - m) for p, m in zip(c, margins, strict=True))
    force = [sum(a[i] * z[i][j] for i in range(len(a))) for j in range(len(w))]
    return primal, sum(a) - sum(k * k for k in force) / 2


def some_sample(seed, n=12, d=3):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-3, 4, size=(n, d))
    return rows, np.where(rng.random(n) < 0.5, -1.0, 1.0), rng.random(n) * 10.0 ** rng.integers(-2, 3)


@given(st.integers(0, 10**6))
def test_the_bounds_hold_in_rational_arithmetic_at_any_point(seed):
    rows, signs, prices = some_sample(seed)
    rng = np.random.default_rng(seed + 1)
    weights, multipliers = rng.normal(size=rows.shape[1]), prices * rng.random(len(prices))
    primal, dual = exact_values(rows, signs, prices, weights, multipliers)
    found = problem.linear(problem.Rows.of(signs[:, None] * rows), prices, weights, multipliers)
    assert primal <= Fraction(found.primal) and Fraction(found.dual) <= dual
    scale = abs(float(primal)) + abs(float(dual)) + multipliers.sum()
    size = scale + (np.abs(rows).T @ multipliers).sum() ** 2
    assert found.primal - float(primal) <= 1e-12 * size and float(dual) - found.dual <= 1e-12 * size


@given(st.integers(0, 10**6))
def test_the_bounds_of_a_kernel_hold_in_rational_arithmetic(seed):
    rows, signs, prices = some_sample(seed, n=9)
    signs[:2] = -1.0, 1.0
    gram = Gram("linear")(rows / np.abs(rows).max(), rows / np.abs(rows).max())
    gram = 0.5 * (gram + gram.T)
    a = kernel.balanced(prices * np.random.default_rng(seed).random(len(prices)), signs, prices)
    held = kernel.Kernel(lambda at, others: gram[np.ix_(at, others)], len(a))
    machine = kernel.judged(held, signs, prices, a).machine
    found = kernel.proved(held, signs, prices, machine)
    k = [exactly(row) for row in gram]
    force = [Fraction(float(s)) * f for s, f in zip(signs, exactly(a), strict=True)]
    values = [sum(p * q for p, q in zip(row, force, strict=True)) for row in k]
    square = sum(p * q for p, q in zip(force, values, strict=True))
    b = Fraction(machine.offset)
    hinges = [max(0, 1 - Fraction(float(s)) * (v + b)) for s, v in zip(signs, values, strict=True)]
    primal = square / 2 + sum(p * h for p, h in zip(exactly(prices), hinges, strict=True))
    assert primal <= Fraction(found.primal)
    if sum(force) == 0:
        assert Fraction(found.dual) <= sum(exactly(a)) - square / 2
    assert found.dual <= found.primal


def test_products_are_split_without_error():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=500), rng.normal(size=500) * 10.0 ** rng.integers(-200, 200, 500)
    high, low, lost = split_products(a, b)
    for x, y, h, l, e in zip(a, b, high, low, lost, strict=True):  # noqa: E741
        assert abs(Fraction(x) * Fraction(y) - Fraction(h) - Fraction(l)) <= Fraction(e)
    tiny, _, lost = split_products(np.array([1e-200]), np.array([1e-200]))
    assert tiny[0] == 0.0 and lost[0] > 1e-300
    with pytest.raises(CertificateError):
        split_products(np.array([np.inf]), np.array([1.0]))


def breast_cancer():
    rows, labels = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(rows), labels


def five_or_more():
    rows, labels = load_digits(return_X_y=True)
    return rows / 16.0, (labels >= 5).astype(int)


@pytest.mark.parametrize("price", [1.0, 100.0])
@pytest.mark.parametrize("data", [breast_cancer, five_or_more])
def test_a_linear_machine_reaches_its_gap_and_recomputes_it(data, price):
    rows, labels = data()
    machine = qed.LinearSVC(C=price).fit(rows, labels)
    assert machine.relative_gap_ <= 1e-6
    signs, a = 2.0 * labels - 1.0, machine.multipliers_
    assert np.all((a >= 0) & (a <= price))
    w = np.append(machine.coef_[0], machine.intercept_)
    z = signs[:, None] * np.hstack([rows, np.ones((len(rows), 1))])
    primal = 0.5 * w @ w + price * np.maximum(0, 1 - z @ w).sum()
    dual = a.sum() - 0.5 * np.sum((z.T @ a) ** 2)
    assert primal - dual <= machine.dual_gap_ * (1 + 1e-6) + 1e-9 * primal
    assert machine.margin_ == pytest.approx(1 / np.linalg.norm(machine.coef_))
    assert np.array_equal(machine.support_, np.flatnonzero(a))


def test_sparse_rows_and_more_features_than_rows():
    rng = np.random.default_rng(3)
    rows = sparse.random(400, 3000, density=0.01, random_state=rng, format="csr")
    labels = (np.asarray(rows @ rng.normal(size=3000)) > 0).astype(int)
    thin = qed.LinearSVC(C=10.0).fit(rows, labels)
    thick = qed.LinearSVC(C=10.0).fit(rows.toarray(), labels)
    assert thin.relative_gap_ <= 1e-6 and thick.relative_gap_ <= 1e-6
    assert thin.dual_gap_ + thick.dual_gap_ >= 0
    assert np.allclose(thin.coef_, thick.coef_, atol=1e-3)


@pytest.mark.parametrize("rare", [False, True], ids=["two like classes", "four rows of one class"])
def test_many_rows_start_where_a_sample_ends_and_reach_the_gap_whatever_was_drawn(monkeypatch, rare):
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(4000, 5)) * 10.0 ** np.arange(-2, 3)
    score = rows @ (rng.normal(size=5) / 10.0 ** np.arange(-2, 3))
    labels = score >= np.sort(score)[-4] if rare else score + rng.normal(size=4000) > 0
    z, prices = np.where(labels, 1.0, -1.0)[:, None] * rows, np.full(4000, 10.0)
    warm = linear.solve(z, prices, 1e-6, 100)
    assert np.any(linear.started(z, prices, 100).weights)
    monkeypatch.setattr(linear, "FEWEST", len(rows))
    cold = linear.solve(z, prices, 1e-6, 100)
    assert not np.any(linear.started(z, prices, 100).weights)
    assert max(cold.bracket.relative, warm.bracket.relative) <= 1e-6
    assert max(cold.bracket.dual, warm.bracket.dual) <= min(cold.bracket.primal, warm.bracket.primal)
    assert rare or warm.newton_steps < cold.newton_steps


def test_conjugate_gradients_take_over_where_nothing_is_small(monkeypatch):
    monkeypatch.setattr(linear, "DENSE", 5)
    rows, labels = breast_cancer()
    assert qed.LinearSVC(C=1.0, tol=1e-5).fit(rows, labels).relative_gap_ <= 1e-5


@pytest.mark.parametrize("turns", [1, 100])
def test_sparse_systems_are_factored_where_conjugate_gradients_do_not_come_near(monkeypatch, turns):
    monkeypatch.setattr(linear, "SPARSE", 5)
    monkeypatch.setattr(linear, "TURNS", turns)
    factored = []
    solve = linear.solve_definite
    monkeypatch.setattr(linear, "solve_definite", lambda *a: factored.append(1) or solve(*a))
    rng = np.random.default_rng(0)
    rows = sparse.random_array((200, 400), density=0.05, format="csr", rng=rng)
    labels = (rows @ rng.normal(size=400) > 0).astype(int)
    machine = qed.LinearSVC(C=1.0).fit(rows, labels)
    assert machine.relative_gap_ <= 1e-6 and machine.explain().check()
    assert bool(factored) == (turns == 1)
    right = rng.normal(size=400)
    found, near = linear.conjugate(rows, 2.0, right)
    whole = np.eye(400) + 2.0 * (rows.T @ rows).toarray()
    assert near == (turns == 100)
    assert right @ found > 0.5 * found @ (whole @ found)  # the quadratic model falls
    assert not near or np.linalg.norm(whole @ found - right) <= 1.1e-2 * np.linalg.norm(right)


@pytest.mark.parametrize("price", [1.0, 100.0])
@pytest.mark.parametrize("kind", ["rbf", "poly", "linear"])
def test_a_kernel_machine_closes_the_gap_that_libsvm_leaves(kind, price):
    rows, labels = breast_cancer()
    machine = qed.SVC(C=price, kernel=kind).fit(rows, labels)
    other = sklearn.svm.SVC(C=price, kernel=kind).fit(rows, labels)
    assert machine.relative_gap_ <= 1e-6
    a, signs = machine.multipliers_, 2.0 * labels - 1.0
    gram = machine._gram(rows, rows)
    theirs = np.zeros(len(rows))
    theirs[other.support_] = np.abs(other.dual_coef_[0])
    held = kernel.Kernel(lambda at, others: gram[np.ix_(at, others)], len(a))
    libsvm = kernel.judged(held, signs, np.full(len(a), price), theirs)
    ours = kernel.judged(held, signs, np.full(len(a), price), a)
    assert ours.primal <= libsvm.primal * (1 + 1e-9) and ours.relative <= libsvm.relative
    assert np.mean(machine.predict(rows) == other.predict(rows)) > 0.99


def test_kernels_larger_than_what_is_kept(monkeypatch):
    rows, labels = breast_cancer()
    whole = qed.SVC(C=2.0).fit(rows, labels)
    for kept in (300_000, 1000):
        monkeypatch.setattr(kernel, "KEPT", kept)
        monkeypatch.setattr(kernel, "BLOCK", 5000)
        part = qed.SVC(C=2.0).fit(rows, labels)
        assert part.relative_gap_ <= 1e-6
        assert np.allclose(part.decision_function(rows), whole.decision_function(rows), atol=1e-5)


def test_blocks_of_a_kernel_are_the_entries_of_its_matrix_however_they_are_laid_out():
    rows = np.random.default_rng(0).normal(size=(150, 7))
    distances = ((rows[:, None] - rows) ** 2).sum(axis=2)
    gram = Gram("rbf", gamma=0.3)
    whole = gram(rows, rows)
    assert np.allclose(whole, np.exp(-0.3 * distances), rtol=1e-13, atol=0)
    for few in (rows[:5], rows[:5].copy(order="F"), sparse.csr_array(rows[:5])):
        for many in (rows, sparse.csr_array(rows)):
            assert np.allclose(gram(many, few), whole[:, :5], rtol=1e-13) and gram(many, few).shape == (150, 5)
            assert np.allclose(gram(few, many), whole[:5], rtol=1e-13)


def test_libsvm_is_asked_alike_by_matrix_and_by_rows_and_newton_falls_back_without_cholesky():
    rows, labels = breast_cancer()
    signs, prices = 2.0 * labels - 1.0, np.full(len(labels), 3.0)
    machine = qed.SVC(C=3.0).fit(rows, labels)
    by_rows, met = decomposition.by_estimator(rows, signs, prices, 1e-6, 50.0, **machine._numbers, kernel="rbf")
    by_matrix, met_too = decomposition.by_matrix(machine._gram(rows, rows), signs, prices, 1e-6, 50.0)
    assert met and met_too
    for asked in (
        decomposition.by_matrix(machine._gram(rows, rows), signs, prices, 1e-6, 50.0, 10),
        decomposition.by_estimator(rows, signs, prices, 1e-6, 50.0, 10, **machine._numbers, kernel="rbf"),
    ):
        assert not asked[1] and np.all((asked[0] >= 0) & (asked[0] <= 3.0))
    assert np.allclose(by_rows, by_matrix, atol=1e-3) and np.allclose(by_matrix, machine.multipliers_, atol=1e-3)
    indefinite = np.array([[1.0, 2.0], [2.0, 1.0]])
    assert np.allclose(kernel.bordered(indefinite, np.array([1.0, 3.0]), 0.0), [1.0, -1.0, 2.0])
    assert kernel.bordered(np.full((2, 2), np.nan), np.ones(2), 0.0) is None


def test_three_classes_have_a_gap_each():
    rows, labels = load_digits(return_X_y=True)
    rows, labels = rows[labels < 3][:300], labels[labels < 3][:300]
    for machine in (qed.LinearSVC(), qed.SVC()):
        machine.fit(rows, labels)
        assert machine.dual_gap_.shape == (3,) and machine.multipliers_.shape == (3, 300)
        assert machine.score(rows, labels) > 0.98
        answer = machine.explain(2)
        assert answer.check()
        held = (*answer.value.on_margin, *answer.value.beyond)
        assert sorted(held) == np.flatnonzero(machine.multipliers_[2]).tolist()


@pytest.mark.parametrize("make", [lambda: qed.LinearSVC(C=3.0), lambda: qed.SVC(C=3.0)], ids=["linear", "kernel"])
class TestCertificate:
    @pytest.fixture
    def fitted(self, make):
        rows, labels = make_classification(80, 6, random_state=1)
        return make().fit(rows, labels)

    def test_it_is_checked_by_other_code_and_survives_json(self, fitted):
        answer = fitted.explain()
        assert answer.proved and answer.check()
        assert ("positive semidefinite" in answer.claim) == isinstance(fitted, qed.SVC)
        certificate = answer.certificate
        again = Certificate.from_json(certificate.to_json())
        assert again.verify(certificate.subject)
        with pytest.raises(CertificateError, match="function"):
            again.verify()

    def test_every_altered_field_is_noticed(self, fitted):
        certificate: DualityGap = fitted.explain().certificate
        sample = certificate.subject
        first = next(k for k, a in enumerate(certificate.multipliers) if a > 0)
        put = lambda numbers, k, to: (*numbers[:k], to, *numbers[k + 1 :])  # noqa: E731
        a = certificate.multipliers
        changes = [
            {"primal": certificate.dual - 1e-3 * abs(certificate.dual)},
            {"dual": certificate.primal * 1.001},
            {"multipliers": put(a, first, 0.5 * a[first])},
            {"multipliers": put(a, first, -1.0)},
            {"multipliers": put(a, first, 1e3)},
            {"multipliers": put(a, first, float("nan"))},
            {"multipliers": a[1:]},
            {"offset": certificate.offset + 0.5},
            {"function": "0" * 64},
            {"weights": tuple(0.9 * w for w in certificate.weights) if certificate.weights else (1.0,)},
        ]
        for change in changes:
            altered = dataclasses.replace(certificate, **change)
            with pytest.raises(CertificateError):
                altered.verify()
            with pytest.raises(CertificateError):
                altered.sealed().verify()
        assert certificate.verify(sample)

    def test_other_data_are_noticed(self, fitted):
        certificate = fitted.explain().certificate
        sample = certificate.subject
        other = dataclasses.replace(sample, rows=lambda at: sample.rows(at) + 1e-6)
        with pytest.raises(CertificateError, match="other data"):
            certificate.verify(other)
        with pytest.raises(CertificateError, match="other data"):
            certificate.verify(dataclasses.replace(sample, signs=-sample.signs))

    def test_the_explanation_says_what_holds_the_plane(self, fitted):
        answer = fitted.explain(names=[f"patient {k}" for k in range(80)])
        text = str(answer.to_json())
        assert "patient" in text and "margin" in text
        held = answer.value
        assert set(held.on_margin) | set(held.beyond) == set(fitted.support_)
        assert held.dual_gap == fitted.dual_gap_
        with pytest.raises(QedError, match="names"):
            fitted.explain(names=["one"])


def test_products_with_a_sample_carry_their_error():
    rows, signs, prices = some_sample(5, n=20, d=7)
    sample = Sample(lambda at: rows[at], rows.shape, signs, prices, kernel=False)
    weights = np.random.default_rng(0).normal(size=7)
    found, off = products(sample, weights)
    for row, value, error in zip(rows, found, off, strict=True):
        exact = sum(p * q for p, q in zip(exactly(row), exactly(weights), strict=True))
        assert abs(exact - Fraction(value)) <= Fraction(error)


def test_bad_input_is_refused_in_words():
    rows, labels = make_classification(30, 4, random_state=0)
    for wrong, words in [
        (lambda: qed.LinearSVC(C=0.0).fit(rows, labels), "C must be a positive"),
        (lambda: qed.SVC(tol=float("nan")).fit(rows, labels), "tol must be a positive"),
        (lambda: qed.SVC(kernel="sigmoid").fit(rows, labels), "kernel must be one of"),
        (lambda: qed.SVC(kernel="poly", coef0=-1.0).fit(rows, labels), "positive semidefinite"),
        (lambda: qed.SVC(gamma=-1.0).fit(rows, labels), "gamma must be positive"),
        (lambda: qed.SVC().fit(1e-160 * rows, labels), "scale the features"),
        (lambda: qed.SVC(kernel=lambda a, b: np.zeros(3)).fit(rows, labels), "the kernel gave the shape"),
        (lambda: qed.SVC().fit(rows, np.zeros(30)), "1 class"),
        (lambda: qed.LinearSVC().fit(np.where(rows > 2, np.nan, rows), labels), "NaN"),
        (lambda: qed.LinearSVC().fit(rows, labels, sample_weight=-np.ones(30)), "negative"),
        (lambda: qed.LinearSVC().fit(rows, labels, sample_weight=labels.astype(float)), "two classes"),
        (lambda: qed.LinearSVC(max_iter=0).fit(rows, labels), "max_iter"),
    ]:
        with pytest.raises(ValueError, match=words):
            wrong()


def test_features_without_variance_and_a_gap_that_is_not_reached():
    rows, labels = np.ones((20, 3)), np.arange(20) % 2
    for machine in (qed.SVC(), qed.LinearSVC()):
        with pytest.warns(UserWarning, match="every row is answered alike"):
            assert machine.fit(rows, labels).relative_gap_ <= 1e-6
        assert "No direction of the features tells 0 from 1" in machine.explain().headline
    qed.LinearSVC(C=1e-12).fit(rows * labels[:, None], labels)  # short, but it tells them apart
    rows, labels = breast_cancer()
    with pytest.warns(ConvergenceWarning, match="the duality gap is proved to"):
        slow = qed.LinearSVC(C=100.0, max_iter=1).fit(rows, labels)
    assert slow.relative_gap_ > 1e-6 and slow.explain().proved
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        qed.LinearSVC(C=100.0).fit(rows, labels)


@pytest.mark.slow
@parametrize_with_checks([qed.LinearSVC(), qed.SVC()])
@pytest.mark.filterwarnings("ignore")
def test_it_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def test_a_kernel_with_a_negative_diagonal_is_refused():
    rows, labels = np.eye(4), np.array([0, 0, 1, 1])
    with pytest.raises(ValueError, match="not positive semidefinite"):
        qed.SVC(kernel=lambda a, b: -(a @ b.T)).fit(rows, labels)
    with pytest.warns(UserWarning, match="every row is answered alike"):
        assert qed.SVC(kernel=lambda a, b: np.zeros((len(a), len(b)))).fit(rows, labels).relative_gap_ <= 1e-6
    with pytest.raises(ValueError, match=r"not symmetric: of rows \d and \d"):
        qed.SVC(kernel=lambda a, b: a @ b.T + np.outer(a[:, 0], b[:, 1])).fit(rows, labels)


def test_an_indefinite_kernel_is_refused_with_its_witness_whole_or_in_part(monkeypatch):
    rows, labels = make_classification(40, 4, random_state=0)
    monkeypatch.setattr(kernel, "KEPT", 10)  # at first it is larger than what is kept
    for _ in range(2):
        with pytest.raises(ValueError, match=r"not positive semidefinite: v'Kv = -\d.* for v = .* on row \d+"):
            qed.SVC(kernel=lambda a, b: ((a[:, None] - b) ** 2).sum(axis=2)).fit(rows, labels)
        monkeypatch.undo()
    single = qed.SVC(kernel=lambda a, b: (a[:, :1] @ b[:, :1].T).astype(np.float32)).fit(rows, labels)
    assert single.relative_gap_ <= 1e-6  # of rank one, and rounded to float32


def test_the_margin_of_a_linear_machine_is_the_distance_of_the_rows_that_hold_it():
    machine = qed.LinearSVC(C=1e6).fit([[100.0], [102.0], [104.0]], [-1, 1, 1])
    assert machine.margin_ == pytest.approx(1.0, abs=1e-6)
    answer = machine.explain()
    assert "with a margin of 1." in answer.headline and answer.check()
    assert any("the objective holds b^2 / (2 s^2) besides |w|^2 / 2" in str(reason.text) for reason in answer.reasons)
    flat = qed.SVC(kernel="linear").fit([[0.0, 1.0], [1.0, 1.0], [3.0, 1.0], [4.0, 0.0]], [0, 0, 1, 2])
    assert flat.coef_.shape == (3, 2) and "plane 1 of 3, one for each pair" in str(flat.explain(1).reasons[-1].text)
    with pytest.raises(AttributeError, match="linear"):
        _ = qed.SVC().fit([[0.0], [1.0]], [0, 1]).coef_


def test_a_kernel_of_rank_two_is_polished_too():
    labels = np.arange(60) % 2
    rows = np.random.default_rng(1).normal(size=(60, 2)) + 4.0 * labels[:, None]
    assert qed.SVC(kernel="linear", C=1e3, tol=1e-7).fit(rows, labels).relative_gap_ <= 1e-7
