"""The committed result of benchmarks/curvature.py: what is promised of it is held, and what is missed is said."""

import json
from pathlib import Path

import pytest

from benchmarks import curvature

RESULT = Path(curvature.__file__).with_name("results") / "curvature.json"
README = Path(curvature.__file__).with_name("README.md")


@pytest.fixture(scope="module")
def record():
    return json.loads(RESULT.read_text(encoding="utf-8"))


def test_the_committed_result_keeps_the_promises_and_names_what_it_misses(record):
    assert set(record["networks"]) == set(curvature.NETS)
    for row in record["networks"].values():
        assert row["qed"]["products"] <= 30 and row["qed"]["residual"] <= curvature.TOLERANCE
        assert row["gradients differ by"] < 1e-4
    assert record["trace"]["kept"] >= 0.95 * record["trace"]["seeds"]
    assert record["missed"] == curvature.missed(record)


def test_the_readme_quotes_the_committed_result(record):
    (line,) = (line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("| `curvature.py`"))
    rows = [record["networks"][name] for name in ("perceptron", "convolutional", "transformer")]
    for key, figures in (
        ("products", [f"{row['qed']['products']}" for row in rows]),
        ("gradients", [f"{row['cost']['product in gradients']:.2f}" for row in rows]),
        ("curvlinops", [format(row["seconds over curvlinops's"], ".2f") for row in rows]),
        ("pyhessian", [format(row["seconds over pyhessian's"], ".2f") for row in rows]),
        ("density", [f"{row['density']['ratio']:.2f}" for row in rows]),
    ):
        assert f"{figures[0]}, {figures[1]} and {figures[2]}" in line, key


def test_what_products_alone_would_take_is_that_of_the_committed_result(record):
    (line,) = (line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("| `curvature.py`"))
    perceptron, _, transformer = rows = [record["networks"][name] for name in curvature.NETS]
    alone = {id(row): row["qed"]["products"] * row["cost"]["product"] for row in rows}
    shares = [f"{alone[id(row)] / row['pyhessian']['seconds']:.2f}" for row in (perceptron, transformer)]
    assert f"the products of the search alone are {shares[0]} and {shares[1]} of its time" in line
    density = []
    for row in rows:
        theirs, steps = row["density"]["PyHessian"], row["density"]["steps"]
        product = min(seconds for name, seconds in row["cost"].items() if name in ("product", "product, 4 at once"))
        density.append(f"{theirs['seconds'] / theirs['probes'] / (steps * product):.2f}")
    assert f"of the products alone it would be {density[0]}, {density[1]} and {density[2]}" in line
    products = [row["cost"]["product"] / row["cost"]["product, torch.func.linearize"] for row in rows]
    assert f"takes {products[0]:.2f}, {products[1]:.2f} and {products[2]:.2f} of the time of PyTorch's own" in line
