"""`qed kl`: text and JSON of a proof, an infinite divergence, and what is asked wrongly."""

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
