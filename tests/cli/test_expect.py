"""`qed expect`: text and JSON of a proof, and what is asked wrongly."""

import json


def test_text_json_and_errors(qed_command, tmp_path):
    target = tmp_path / "model.py"
    target.write_text(
        "import qed\n\ndef loss(x):\n    return x * x\n\nnoise = qed.measures.Normal(0.0, 1.0)\n", encoding="utf-8"
    )
    found = qed_command("expect", f"{target}:loss", "--measure", "noise")
    assert found.code == 0 and "PROVED" in found.out
    data = json.loads(qed_command("expect", f"{target}:loss", "--measure", "noise", "--json").out)
    assert data["standing"] == "PROVED" and abs(data["value"] - 1) < 1e-8
    made = qed_command("expect", f"{target}:loss", "--measure", "mixture([0.5, 0.5], [noise, Dirac(2)])", "--json")
    assert made.code == 0 and abs(json.loads(made.out)["value"] - 2.5) < 1e-8
    wrong = qed_command("expect", f"{target}:loss")
    assert wrong.code == 2 and "QED007" in wrong.err
