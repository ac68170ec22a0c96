"""`qed kl`, `qed entropy`, `qed cross_entropy`: text and JSON of a proof, infinite ones, and what is asked wrongly."""

import json


def test_text_json_and_errors(qed_command, tmp_path):
    target = tmp_path / "laws.py"
    target.write_text(
        "import qed\n\np = qed.measures.Normal()\nq = qed.measures.Normal(1.0)\nspike = qed.measures.Dirac(0.0)\n",
        encoding="utf-8",
    )
    found = qed_command("kl", str(target), "--p", "p", "--q", "q")
    assert found.code == 0 and "PROVED" in found.out and "0.5" in found.out
    data = json.loads(qed_command("kl", str(target), "--p", "p", "--q", "q", "--json").out)
    assert data["standing"] == "PROVED" and abs(data["value"] - 0.5) < 1e-14
    assert "QED606" in qed_command("kl", str(target), "--p", "spike", "--q", "q").out
    wrong = qed_command("kl", str(target), "--p", "p")
    assert wrong.code == 2 and "QED007" in wrong.err


def test_laws_are_made_on_the_command_line(qed_command):
    made = qed_command("kl", "--p", "Normal(0, 1)", "--q", "Normal(mean=1, scale=1)", "--json")
    assert made.code == 0 and abs(json.loads(made.out)["value"] - 0.5) < 1e-14
    assert "inf" in qed_command("kl", "--p", "[0.5, 0.5]", "--q", "[1, 0]").out
    for text, says in (
        ("Norml(0, 1)", "is Normal meant?"),
        ("Normal(0", "no expression"),
        ("Normal(0, 1, 2, 3)", "argument"),
        ("__import__('os')", "is no measure"),
        ("Normal(0, 1).parts", "neither a measure nor a number"),
    ):
        wrong = qed_command("kl", "--p", text, "--q", "Normal(0, 1)")
        assert wrong.code == 2 and "QED007" in wrong.err and says in wrong.err, text


def test_the_entropy_and_the_cross_entropy_of_laws(qed_command):
    found = json.loads(qed_command("entropy", "--p", "[0.5, 0.5]", "--json").out)
    assert found["standing"] == "PROVED" and abs(found["value"] - 0.6931471805599453) < 1e-15
    found = json.loads(qed_command("cross_entropy", "--p", "[0.5, 0.5]", "--q", "[0.25, 0.75]", "--json").out)
    assert abs(found["value"] - 0.8369882167858358) < 1e-14
    infinite = qed_command("cross_entropy", "--p", "[0.5, 0.5]", "--q", "[1, 0]")
    assert infinite.code == 1 and "QED605" in infinite.out
    wrong = qed_command("entropy")
    assert wrong.code == 2 and "write --p 'Normal(0, 1)'" in wrong.err
