"""Importing a target does not run its training loop."""

import pytest

from qed.cli.importing import may_train
from qed.cli.target import find, load
from qed.errors import QedError

TRAINS = """
import jax
import jax.numpy as jnp

data = jnp.arange(3.0)

def loss(w):
    return jnp.sum((w - data) ** 2)

w = jnp.zeros(3)
{loop}
final = w
"""

LOOPS = [
    "for k in range(10**9):\n    w = w - 0.1 * jax.grad(loss)(w)",
    "step = jax.jit(lambda w: w - 0.1 * jax.grad(loss)(w))\nwhile True:\n    w = step(w)",
    "def train(w):\n    while True:\n        w = w - 0.1 * jax.grad(loss)(w)\nw = train(w)",
    "def main():\n    v = w\n    while True:\n        v = v - 0.1 * jax.value_and_grad(loss)(v)[1]\nmain()",
]


@pytest.mark.parametrize("loop", LOOPS, ids=["loop", "jitted", "function", "main"])
def test_the_import_ends_at_the_loop_with_the_names_before_it(loop, tmp_path, capsys):
    path = tmp_path / "train_at_import.py"
    path.write_text(TRAINS.format(loop=loop))
    module = load(str(path))
    assert "trains while it is imported" in capsys.readouterr().err
    assert find(module, path.name, "w", "--at").tolist() == [0.0, 0.0, 0.0]
    assert float(find(module, path.name, "loss", "")(module.w)) == 5.0
    with pytest.raises(QedError) as caught:
        find(module, path.name, "final", "--at")
    assert caught.value.code == "QED012"
    assert "qed why train_at_import.py" in caught.value.instead


def test_a_gradient_or_two_at_import_do_no_harm(tmp_path, capsys):
    path = tmp_path / "looks_at_a_gradient.py"
    path.write_text(TRAINS.format(loop="for k in range(2):\n    slope = jax.grad(loss)(w)"))
    module = load(str(path))
    assert find(module, path.name, "final", "--at").tolist() == [0.0, 0.0, 0.0]
    assert "trains" not in capsys.readouterr().err


def test_what_stands_under_main_does_not_count():
    guarded = "import jax\nif __name__ == '__main__':\n    for k in range(9):\n        jax.grad(f)(w)\n"
    assert not may_train(guarded)
    assert not may_train("def f(:")
    assert not may_train("for k in range(3):\n    print(k)\n")
