"""The example programs do what examples/README.md says, in the numbers that the documentation quotes."""

import importlib.util
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
pytest.importorskip("sklearn")


def load(name):
    """The example as a module: its names, without its training loop."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / name / "train.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def steepest_curvature(loss, w):
    flat, rebuild = ravel_pytree(w)
    eigenvalues, eigenvectors = jnp.linalg.eigh(jax.hessian(lambda flat: loss(rebuild(flat)))(flat))
    return float(eigenvalues[-1]), rebuild(eigenvectors[:, -1])


def descend(loss, w, rate, steps=400):
    value_and_grad = jax.jit(jax.value_and_grad(loss))
    losses = []
    for _ in range(steps):
        value, gradient = value_and_grad(w)
        losses.append(float(value))
        w = jax.tree.map(lambda weight, slope: weight - rate * slope, w, gradient)
    return [*losses, float(loss(w))]


@pytest.fixture(scope="module")
def wine():
    return load("wine")


def test_wine_has_its_lines_and_its_names(wine):
    lines = (EXAMPLES / "wine" / "train.py").read_text(encoding="utf-8").splitlines()
    assert lines[5] == "def loss(w):"
    assert lines[7] == "    p = jnp.exp(z)"
    shapes = jax.tree.map(lambda leaf: leaf.shape, wine.w)
    assert shapes == {key: tuple(map(len, axes)) for key, axes in wine.names.items()}
    assert wine.names["W"][0][12] == "proline"


def test_wine_becomes_nan_after_one_step(wine):
    losses = descend(wine.loss, wine.w, 0.1, steps=1)
    assert losses[0] == pytest.approx(1.0986, abs=1e-4)
    assert np.isnan(losses[1])


def test_wine_overflows_in_every_row(wine):
    w = jax.tree.map(lambda weight, slope: weight - 0.1 * slope, wine.w, jax.grad(wine.loss)(wine.w))
    z = wine.X @ w["W"] + w["b"]
    assert float(z.max()) == pytest.approx(20323.7, rel=1e-4)
    assert np.unravel_index(int(z.argmax()), z.shape) == (18, 0)
    assert int(jnp.isinf(jnp.exp(z)).any(1).sum()) == 178


def test_wine_has_its_curvature_in_proline(wine):
    curvature, direction = steepest_curvature(wine.loss, wine.w)
    assert curvature == pytest.approx(221_947, rel=1e-4)
    assert 2 / curvature == pytest.approx(9.01e-6, rel=1e-3)
    assert float((direction["W"][12] ** 2).sum()) == pytest.approx(0.986, abs=1e-3)


def test_wine_needs_both_remedies(wine):
    def stable(w, X):
        z = X @ w["W"] + w["b"]
        return jnp.mean(jax.nn.logsumexp(z, 1) - jnp.sum(wine.Y * z, 1))

    standardised = (wine.X - wine.X.mean(0)) / wine.X.std(0)
    alone = descend(lambda w: stable(w, wine.X), wine.w, 0.1)
    both = descend(lambda w: stable(w, standardised), wine.w, 0.1)
    assert np.isfinite(alone).all()
    assert alone[-1] > 1000
    assert both[-1] == pytest.approx(0.040, abs=1e-3)
    assert (np.diff(both) < 0).all()
    curvature, _ = steepest_curvature(lambda w: stable(w, standardised), wine.w)
    assert 2 / curvature == pytest.approx(1.275, abs=0.01)


def test_digits_ends_worse_than_it_began_and_half_the_step_does_not():
    digits = load("digits")
    large, half = digits.train(digits.w, digits.STEP), digits.train(digits.w, digits.STEP / 2)
    assert np.isfinite(large).all()
    assert large[-1] > 2 * large[0]
    assert half[-1] < 0.05 < half[0]


def test_logistic_falls_at_every_step():
    logistic = load("logistic")
    curvature, _ = steepest_curvature(logistic.loss, logistic.w)
    losses = logistic.train(logistic.w, logistic.STEP)
    assert curvature == pytest.approx(3.33, abs=0.01)
    assert logistic.STEP < 2 / curvature
    assert (np.diff(losses) < 0).all()
    assert losses[-1] < 0.11


@pytest.mark.parametrize("name", ["wine", "digits", "logistic"])
@pytest.mark.slow
def test_a_program_runs_by_itself(name, capsys):
    runpy.run_path(str(EXAMPLES / name / "train.py"), run_name="__main__")
    assert "loss" in capsys.readouterr().out


def diagnose(name, step):
    import qed

    module = load(name)
    names = getattr(module, "names", None)
    return qed.why(qed.Problem(module.loss, at=module.w, step=step, names=names))


@pytest.mark.slow
def test_why_finds_both_causes_in_wine():
    answer = diagnose("wine", "sgd:0.1")
    assert {finding.code for finding in answer.findings} == {"QED201", "QED401"}


def test_why_finds_the_step_of_digits():
    answer = diagnose("digits", "sgd:2.0")
    assert [finding.code for finding in answer.findings] == ["QED401"]


def test_why_only_notes_the_smaller_step_of_digits():
    answer = diagnose("digits", "sgd:1.0")
    assert {str(finding.level) for finding in answer.findings} <= {"note"}


@pytest.mark.slow
def test_why_finds_nothing_in_logistic():
    assert diagnose("logistic", "sgd:0.3").findings == ()
