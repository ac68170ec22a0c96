"""`qed expect`, `qed probability`, `qed normalizer`: text and JSON of a proof, and what is asked wrongly."""

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


def test_the_probability_of_an_event(qed_command, tmp_path):
    target = tmp_path / "events.py"
    target.write_text("def late(x, hour):\n    return x > hour\n\nhour = 2\n", encoding="utf-8")
    asked = ("probability", f"{target}:late", "--args", "hour", "--measure", "Exponential(1)")
    found = qed_command(*asked)
    assert found.code == 0 and "The probability is 0.135335283" in found.out
    assert "events.py:1" in found.out  # the place of the event, not of what qed makes of it
    wrong = qed_command("probability", f"{target}:late")
    assert wrong.code == 2 and "QED007" in wrong.err


def test_the_normalising_constant_of_a_log_density(qed_command, tmp_path):
    target = tmp_path / "densities.py"
    target.write_text("def flat(x):\n    return 0 * x\n", encoding="utf-8")
    assert "improper" in qed_command("normalizer", f"{target}:flat").out
    data = json.loads(qed_command("normalizer", f"{target}:flat", "--base", "Lebesgue(0, 2)", "--json").out)
    assert data["standing"] == "PROVED" and abs(data["value"] - 0.6931471805599453) < 1e-8
    wrong = qed_command("normalizer", f"{target}:flat", "--base", "Lebesgu(0, 2)")
    assert wrong.code == 2 and "is Lebesgue meant?" in wrong.err
