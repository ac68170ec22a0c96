"""The coverage page is current, its counts are what they were, and value and adjoint follow every class."""

from pathlib import Path

import pytest

from qed import facts
from qed.domains import coverage
from qed.domains.ball import Ball
from qed.domains.forward import CLASS_METHODS
from qed.domains.interval import Interval

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "coverage.md"


def in_scope():
    return {name: row for name, row in coverage.coverage().items() if facts.classify(name) is not None}


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == coverage.markdown(), "run python -m qed.domains.coverage"


def test_each_cell_is_exactly_one_of_three():
    assert {kind for row in coverage.coverage().values() for kind in row.values()} == set(coverage.KINDS)
    assert all(set(row) == {domain.name for domain in coverage.DOMAINS} for row in coverage.coverage().values())


@pytest.mark.parametrize("domain", ["value", "shadow", "adjoint"])
def test_no_declared_unknown_among_the_classes(domain):
    assert [name for name, row in in_scope().items() if row[domain] == "unknown"] == []


def test_counts():
    table = in_scope()
    found = {
        domain: dict(count)
        for domain, count in coverage.counts(table).items()
        if domain in ("value", "shadow", "adjoint")
    }
    total = len(facts.CLASSES)
    specials = {"value": 5, "shadow": 16, "adjoint": 8}
    assert found == {name: {"derived": total - k, "special": k} for name, k in specials.items()}


@pytest.mark.parametrize("domain", [Interval, Ball], ids=lambda domain: domain.name)
def test_proofs_have_a_rule_for_all_but_the_declared_gaps(domain):
    kinds = {"unary", "arithmetic", "linear", "bilinear", "compare", "select", "reduce", "index"}
    rows = {name: row for name, row in in_scope().items() if facts.classify(name).value in kinds}
    lost = {name for name, row in rows.items() if row[domain.name] == "unknown"}
    assert lost == {name for name in domain.gaps if name in rows}


def test_series_follow_every_primitive_but_foreign_code_and_calls_that_hide_their_graph():
    unknown = {name for name, row in in_scope().items() if row["taylor"] == "unknown"}
    assert {name for name in unknown if facts.classify(name) is not facts.Class.EFFECT} == {
        *("custom_lin", "custom_partitioning", "custom_vmap_call", "eval_jaxpr", "platform_index", "remat_opt")
    }


def test_every_class_has_a_method_name():
    assert set(CLASS_METHODS) == set(facts.Class)


@pytest.mark.parametrize("domain", coverage.DOMAINS, ids=lambda domain: domain.name)
def test_every_rule_names_a_method(domain):
    for name in coverage.coverage():
        rule = domain.rule(name)
        assert rule is None or callable(getattr(domain, rule[1]))
