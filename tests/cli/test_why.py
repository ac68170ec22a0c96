"""`qed why`: what goes to which stream, exit codes, JSON, colours, and what is imported for it."""

import json
import subprocess
import sys

import pytest

import qed

SCRIPT = """
X = jnp.linspace(-1.0, 1.0, 8)
y = 3 * X
w = jnp.zeros(())
params = {"slope": jnp.zeros(()), "table": jnp.zeros((2, 2))}
key = jax.random.key(0)
print("this line belongs to the user's own script")

def loss(w):
    return jnp.mean((w * X - y) ** 2)

def with_data(w, X, y):
    return jnp.mean((w * X - y) ** 2)

def noisy(w, X, key):
    return jnp.mean((w * X - y + 0.1 * jax.random.normal(key, y.shape)) ** 2)

def pair(w):
    return loss(w), y

def talks(w):
    print("while it is traced")
    jax.debug.print("while it runs {}", w)
    return w**2

def overflow(w):
    return jnp.exp(w + 100.0)
"""


@pytest.fixture
def train(write, monkeypatch):
    path = write("train.py", SCRIPT)
    monkeypatch.chdir(path.parent)
    return path


def strict(text):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_healthy_run(train, qed_command):
    outcome = qed_command("why", "train.py:loss", "--at", "w", "--step", "sgd:0.1")
    assert outcome.code == 0
    assert "Checked:" in outcome.out
    assert "the user's own script" not in outcome.out
    assert "the user's own script" in outcome.err
    assert "first verdict: finite" in outcome.err
    assert "\x1b" not in outcome.out + outcome.err


def test_a_sick_run(train, qed_command):
    outcome = qed_command("why", "train.py:loss", "--at", "w", "--step", "sgd:100")
    assert outcome.code == 1
    assert "QED401" in outcome.out


def test_a_failing_start(train, qed_command):
    outcome = qed_command("why", "train.py:overflow", "--at", "w", "--step", "0.1", "--quiet")
    assert outcome.code == 1
    assert "QED201" in outcome.out
    assert "return jnp.exp(w + 100.0)" in outcome.out
    assert "first verdict" not in outcome.err


@pytest.mark.parametrize("rate", ["0.1", "100", "sgd:1e30", "adam:0.1"])
def test_json_is_strict_and_reads_back(train, qed_command, rate):
    outcome = qed_command("why", "train.py:loss", "--at", "w", "--step", rate, "--json")
    data = strict(outcome.out)
    assert data["schema"] == "qed/answer/1"
    assert qed.Answer.from_json(data).to_json() == data
    assert outcome.code == (1 if data["findings"] else 0)
    assert outcome.out.count("\n") == 1


def test_json_of_a_nan(train, qed_command):
    data = strict(qed_command("why", "train.py:overflow", "--at", "w", "--step", "0.1", "--json").out)
    assert data["standing"] == "REFUTED"
    assert data["findings"][0]["code"] == "QED201"


def test_a_loss_that_prints_does_not_spoil_the_output(train, qed_command):
    outcome = qed_command("why", "train.py:talks", "--at", "w", "--json")
    assert strict(outcome.out)["standing"] == "MEASURED"
    assert "while it is traced" in outcome.err


def test_data_keys_and_pairs_are_passed(train, qed_command):
    for arguments in (
        ["train.py:with_data", "--args", "X,y"],
        ["train.py:with_data", "--args", " X , y "],
        ["train.py:noisy", "--args", "X", "--key", "key"],
        ["train.py:pair", "--has-aux"],
    ):
        outcome = qed_command("why", *arguments, "--at", "w", "--step", "sgd:0.1")
        assert outcome.code == 0, outcome.out + outcome.err


def test_parameters_may_be_a_number_or_lie_inside_an_object(train, qed_command):
    assert qed_command("why", "train.py:loss", "--at", "0.5", "--step", "sgd:0.1").code == 0
    assert qed_command("why", "train.py:loss", "--at", "params.slope", "--step", "sgd:0.1").code == 0


def test_the_step_may_be_a_name_in_the_file(write, qed_command):
    path = write(
        "train.py", "import optax\nrule = optax.adam(0.1)\nw = jnp.ones(2)\ndef loss(w):\n    return jnp.sum(w**2)\n"
    )
    assert qed_command("why", f"{path}:loss", "--at", "w", "--step", "rule").code == 0


def test_without_a_step_only_the_start_is_looked_at(train, qed_command):
    outcome = qed_command("why", "train.py:loss", "--at", "w")
    assert outcome.code == 0
    assert "finite at the start" in outcome.out
    assert "the steepest curvature at the start" in outcome.out
    assert "give step=" in outcome.out


def test_a_start_where_the_gradient_is_zero_is_told_as_one(write, qed_command):
    path = write("train.py", "u = jnp.zeros(2)\ndef loss(u):\n    return jnp.mean((u[0] * u[1] - 1.0) ** 2)\n")
    outcome = qed_command("why", f"{path}:loss", "--at", "u", "--why")
    said = " ".join(outcome.out.split())
    assert outcome.code == 0 and "The gradient there is 0: `qed critical` says what the point is." in said
    assert "finite at the start, and the gradient is 0" in said


def test_the_reasons_unfold(train, qed_command):
    folded = qed_command("why", "train.py:loss", "--at", "w", "--step", "100").out
    unfolded = qed_command("why", "train.py:loss", "--at", "w", "--step", "100", "--why").out
    assert len(unfolded) > len(folded)
    assert "f + g'd + d'Hd/2" in unfolded


def test_a_small_budget_still_gives_the_cheap_verdict(train, qed_command):
    outcome = qed_command("why", "train.py:loss", "--at", "w", "--step", "0.1", "--budget", "0.001s")
    assert outcome.code == 0
    assert "Not known" in outcome.out
    assert "larger --budget" in outcome.out


def test_qed_alone_prints_the_questions(qed_command):
    outcome = qed_command()
    assert outcome.code == 0
    assert "qed why" in outcome.out
    assert "qed explain" in outcome.out


def test_the_version(qed_command):
    assert qed_command("--version").out.strip() == f"qed {qed.__version__}"


@pytest.mark.parametrize("arguments", [["--help"], ["why", "--help"], ["explain", "--help"]])
def test_help(arguments, qed_command):
    outcome = qed_command(*arguments)
    assert outcome.code == 0
    assert "qed" in outcome.out


@pytest.mark.parametrize("arguments", [["wy"], ["why"], ["why", "a.py:loss", "--nonsense"], ["--nonsense"]])
def test_a_wrong_command_ends_with_two(arguments, qed_command):
    outcome = qed_command(*arguments)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err


def test_a_fault_of_qed_itself_is_no_finding(train, qed_command, monkeypatch):
    from qed.cli import why as module

    def broken(*_, **__):
        raise ZeroDivisionError("inside qed")

    monkeypatch.setattr(module, "ask", broken)
    outcome = qed_command("why", "train.py:loss", "--at", "w")
    assert outcome.code == 2, "1 would say that something was found"
    assert "a fault of qed" in outcome.err


# --- what is imported -----------------------------------------------------------------------------------------

HEAVY = ("jax", "numpy", "scipy", "optax", "rich.console", "flax", "sklearn")


@pytest.mark.parametrize(
    "statement",
    [
        "import qed; qed.Problem",
        "from qed.cli.app import main; sys.argv = ['qed', '--help']; main()",
        "from qed.cli.app import main; sys.argv = ['qed', 'why', '--help']; main()",
        "from qed.cli.app import main; sys.argv = ['qed', 'explain', 'QED201']; main()",
        "from qed.cli.app import main; sys.argv = ['qed', 'why', 'no_such.py:loss', '--at', 'w']; main()",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(statement):
    code = f"""
import atexit, sys
def tell():
    print("HEAVY:", [name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
atexit.register(tell)
{statement}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "HEAVY: []" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
