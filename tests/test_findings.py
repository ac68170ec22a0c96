"""The table of codes, findings, and errors."""

from __future__ import annotations

import copy
import json
import pickle
import re

import pytest

from qed.errors import CertificateError, QedError
from qed.findings import CODES, Finding, Level
from qed.span import Span


@pytest.mark.parametrize("code", CODES.values(), ids=list(CODES))
def test_every_row_of_the_table_is_well_formed(code) -> None:
    assert re.fullmatch(r"QED\d{3}", code.code) and CODES[code.code] is code
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code.name)
    assert isinstance(code.level, Level)
    assert code.title.endswith(".") and "\n" not in code.title
    if code.is_use:
        assert code.level is Level.ERROR


def test_codes_are_in_order_and_names_are_unique() -> None:
    assert list(CODES) == sorted(CODES)
    assert len({code.name for code in CODES.values()}) == len(CODES)


def test_a_finding_takes_its_level_from_the_table() -> None:
    assert Finding("QED402", "2.01 times").level is Level.NOTE
    assert Finding("QED402", "2.01 times", level="warning").level is Level.WARNING
    with pytest.raises(ValueError, match="QED999"):
        Finding("QED999", "nothing")
    with pytest.raises(ValueError, match="grave"):
        Finding("QED201", "inf", level="grave")


def test_findings_are_values() -> None:
    witness = {"value": 20323.7}
    finding = Finding("QED201", "inf", Span("train.py", 8), witness)
    witness["value"] = 0.0
    assert finding.witness == {"value": 20323.7}
    same = pickle.loads(pickle.dumps(finding))
    assert same == finding == copy.deepcopy(finding) and len({same, finding}) == 1
    with pytest.raises(AttributeError):
        finding.code = "QED204"  # type: ignore[misc]


def test_errors_say_what_because_instead_and_survive_pickling() -> None:
    span = Span("train.py", 3)
    error = QedError("QED010", "not traceable", "a branch on a value", "use jnp.where", span, {"name": "loss"})
    same = pickle.loads(pickle.dumps(error))
    assert str(same) == str(error) == "not traceable\n  because a branch on a value\n  instead use jnp.where"
    assert json.loads(json.dumps(same.to_json())) == error.to_json()
    assert error.to_json()["span"] == span.to_json()
    assert str(QedError("QED007", "wrong call", "", "")) == "wrong call"


def test_certificate_errors_name_node_and_why() -> None:
    error = pickle.loads(pickle.dumps(CertificateError("tree.0", "too small")))
    assert (error.node, error.why, error.code) == ("tree.0", "too small", "QED021")
    assert isinstance(error, QedError) and error.code in CODES
