"""JSON: what is written is strict, fits the schema, and comes back."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections import namedtuple
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import qed.report.json as report_json
from qed.answer import Advice, Answer, Enclosed, Exact, Measured, Missing, Reason, Standing, Trial
from qed.findings import CODES, Finding
from qed.report.json import Record, decode, dumps, encode, from_json, to_json
from qed.span import Span

SCHEMA = json.loads(Path(report_json.__file__).with_name("answer.schema.json").read_text(encoding="utf-8"))


# -- a checker for the part of JSON Schema that the schema uses


def problems(data, schema, path="answer"):
    """The places where data does not fit a schema."""
    if "$ref" in schema:
        return problems(data, SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]], path)
    unknown = set(schema) - KEYWORDS
    assert not unknown, f"the checker does not know {unknown}"
    found = []
    if "const" in schema and data != schema["const"]:
        found.append(f"{path}: {data!r} is not {schema['const']!r}")
    if "enum" in schema and data not in schema["enum"]:
        found.append(f"{path}: {data!r} is not in {schema['enum']}")
    if "anyOf" in schema and all(problems(data, each, path) for each in schema["anyOf"]):
        found.append(f"{path}: {data!r} fits none of {schema['anyOf']}")
    if "type" in schema and not any(fits(data, kind) for kind in listed(schema["type"])):
        found.append(f"{path}: {data!r} is no {schema['type']}")
    if "pattern" in schema and not re.search(schema["pattern"], data):
        found.append(f"{path}: {data!r} does not match {schema['pattern']}")
    if isinstance(data, dict):
        found += [f"{path}: {name} is missing" for name in schema.get("required", ()) if name not in data]
        for name, each in schema.get("properties", {}).items():
            found += problems(data[name], each, f"{path}.{name}") if name in data else []
    if isinstance(data, list) and "items" in schema:
        for number, item in enumerate(data):
            found += problems(item, schema["items"], f"{path}[{number}]")
    return found


KEYWORDS = {"const", "enum", "anyOf", "type", "pattern", "required", "properties", "items", "description"}


def listed(kind):
    return kind if isinstance(kind, list) else [kind]


def fits(data, kind: str) -> bool:
    if kind in ("integer", "number") and isinstance(data, bool):
        return False
    types = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
    }
    return data is None if kind == "null" else isinstance(data, types[kind])


# -- answers of every kind

words = st.text(max_size=8) | st.sampled_from(["nan", "inf", "-inf", "λmax"])
numbers = st.floats() | st.integers()
values = st.recursive(
    st.none() | st.booleans() | numbers | words | st.complex_numbers(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(words | st.just("$type"), below, max_size=3),
    max_leaves=8,
)
optional_words = st.none() | words
lines = st.none() | st.integers(1, 99)
spans = st.builds(Span, words, st.integers(1, 99), st.integers(0, 99), lines, lines, optional_words)
optional_spans = st.none() | spans
reasons = st.recursive(
    st.builds(Reason, words, optional_words, optional_words, values, values, span=optional_spans, role=words),
    lambda below: st.builds(
        Reason,
        words,
        premises=st.lists(below, max_size=3),
        standing=st.none() | st.sampled_from(Standing),
        unpredicted=words.filter(bool),
        text=optional_words,
    ),
    max_leaves=5,
)
findings = st.builds(
    Finding,
    st.sampled_from(list(CODES)),
    words,
    optional_spans,
    st.none() | st.dictionaries(words, values, max_size=3),
)
trials = st.builds(
    Trial,
    st.integers(0, 99),
    st.floats(),
    st.floats(),
    st.integers(0, 99),
    st.booleans(),
    st.lists(st.floats(), max_size=3),
)
advice = st.builds(Advice, words, optional_words, st.none() | trials)
missing = st.builds(Missing, words, optional_words, span=optional_spans, cost=st.none() | st.floats() | words)
errors = st.none() | st.builds(Exact) | st.builds(Enclosed, numbers, numbers) | st.builds(Measured, numbers, words)


def answer(claim, standing, value, **fields):
    """An answer; MEASURED where ends that enclose nothing would be PROVED, which the constructor refuses."""
    if isinstance(error := fields["error"], Enclosed) and not error.lower <= error.upper:
        standing = Standing.MEASURED if standing is Standing.PROVED else standing
    return Answer(claim, standing, value, **fields)


parts = st.builds(
    answer,
    words,
    st.sampled_from(Standing),
    values,
    arithmetic=words,
    error=errors,
    reasons=st.lists(reasons, max_size=2),
    findings=st.lists(findings, max_size=2),
    advice=st.lists(advice, max_size=2),
    missing=st.lists(missing, min_size=1, max_size=2),
    certificate=values.filter(lambda value: value is not None),
    headline=optional_words,
    meta=st.dictionaries(words, values, max_size=2),
)
answers = st.recursive(
    parts,
    lambda below: st.builds(Answer, words, st.just("REFUTED"), answers=st.lists(below, max_size=2)),
    max_leaves=3,
)


def same(a, b) -> bool:
    """Equality in which NaN equals NaN, -0.0 does not equal 0.0 and True does not equal 1."""
    return repr(a) == repr(b)


@given(answers)
def test_round_trip(answer: Answer) -> None:
    data = to_json(answer)
    back = from_json(json.dumps(data, allow_nan=False))
    assert to_json(back) == data
    assert same(back.value, answer.value) and same(back.error, answer.error)
    assert same(back.reasons, answer.reasons) and same(back.findings, answer.findings)
    assert same(back.advice, answer.advice) and same(back.missing, answer.missing)
    assert [each.claim for each in back.walk()] == [each.claim for each in answer.walk()]
    assert same(back.meta, answer.meta) and back.standing is answer.standing


@given(answers)
def test_every_answer_fits_the_schema(answer: Answer) -> None:
    assert problems(to_json(answer), SCHEMA["$defs"]["answer"]) == []


def test_the_schema_rejects_what_is_wrong() -> None:
    schema = SCHEMA["$defs"]["answer"]
    good = to_json(Answer("c", "MEASURED", findings=[Finding("QED201", "m")]))
    assert problems(good, schema) == []
    wrong = [
        {**good, "standing": "SURE"},
        {**good, "schema": "qed/answer/2"},
        {**good, "reasons": None},
        {**good, "findings": [{"code": "X1", "message": "m", "level": "error"}]},
        {**good, "error": {"$type": "Guess"}},
        {name: value for name, value in good.items() if name != "claim"},
    ]
    assert all(problems(each, schema) for each in wrong)


def test_the_schema_names_every_field() -> None:
    """A field that is added to a class must be added to the schema."""
    classes = {"answer": Answer, "reason": Reason, "finding": Finding, "advice": Advice, "trial": Trial,
               "missing": Missing, "span": Span}  # fmt: skip
    for name, cls in classes.items():
        fields = {field.name for field in dataclasses.fields(cls)} - {"recheck", "seal"}
        assert set(SCHEMA["$defs"][name]["properties"]) - {"schema"} == fields, name


# -- values


@given(values)
def test_encoded_values_come_back(value) -> None:
    assert same(decode(json.loads(json.dumps(encode(value), allow_nan=False))), value)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "bool", "complex64"])
def test_numpy_arrays_become_lists(dtype: str) -> None:
    import numpy as np

    array = np.array([[0, 1], [1, 0]]).astype(dtype)
    assert same(decode(encode(array)), array.tolist())
    assert encode(np.float32(math.inf)) == "inf" and encode(np.array(3)) == 3
    assert encode(np.array([1.0, math.nan])) == [1.0, "nan"]


def test_large_arrays_are_summarised() -> None:
    import numpy as np

    array = np.arange(2000.0).reshape(2, 1000)
    array[0, 0] = math.nan
    assert encode(array) == {
        "$type": "array", "shape": [2, 1000], "dtype": "float64", "min": 1.0, "max": 1999.0, "nonfinite": 1,
    }  # fmt: skip
    assert encode(np.full(2000, math.nan)) == {
        "$type": "array", "shape": [2000], "dtype": "float64", "nonfinite": 2000,
    }  # fmt: skip
    assert decode(encode(array)).max == 1999.0


def test_jax_arrays_become_lists_and_tracers_and_keys_are_described() -> None:
    import jax
    import jax.numpy as jnp

    assert encode(jnp.array([1.5, jnp.inf])) == [1.5, "inf"]
    assert encode(jnp.array([1.5, 2.0], dtype=jnp.bfloat16)) == [1.5, 2.0]
    assert encode(jnp.float32(2.0)) == 2.0
    key = encode(jax.random.key(0))
    assert key["$type"] == "array" and key["dtype"].startswith("key")
    seen = []
    jax.jit(lambda x: seen.append(encode(x)) or x)(jnp.ones(3))
    assert seen == [{"$type": "array", "shape": [3], "dtype": "float32"}]


@dataclasses.dataclass(frozen=True)
class Curve:
    """A value with fields of several kinds."""

    name: str
    points: tuple[float, ...]
    span: Span
    inner: Answer | None = None


def test_dataclasses_become_objects_and_come_back_as_records() -> None:
    inner = Answer("inner", "MEASURED", 1.0)
    answer = Answer("c", "MEASURED", Curve("nan", (1.0, math.inf), Span("a.py", 3), inner))
    data = json.loads(dumps(answer))
    assert data["value"]["$type"] == "Curve" and data["value"]["points"] == [1.0, "inf"]
    back = from_json(data)
    assert isinstance(back.value, Record)
    assert back.name == "nan" and back.points == [1.0, math.inf] and back.span == Span("a.py", 3)
    assert back.value.inner.claim == "inner" and to_json(back) == data
    with pytest.raises(AttributeError, match="Curve that was read has no field 'nothing'"):
        _ = back.value.nothing


def test_other_values_are_described_without_addresses() -> None:
    Point = namedtuple("Point", "x y")
    assert encode(Point(1, 2)) == {"$type": "Point", "x": 1, "y": 2}
    assert encode({3, 1}) == [1, 3]
    assert encode(Standing.PROVED) == "PROVED"
    assert encode(math.sin) == {"$type": "builtin_function_or_method", "repr": "sin"}
    assert "0x" not in json.dumps(encode(object()))
    assert decode(encode({(1, 2): 3})) == {(1, 2): 3}


def test_reading_another_schema_is_refused_and_unknown_fields_are_skipped() -> None:
    data = to_json(Answer("c", "MEASURED"))
    for wrong in ({**data, "schema": "qed/answer/2"}, {}, "[]"):
        with pytest.raises(ValueError, match="qed/answer/1"):
            from_json(wrong)
    assert from_json({**data, "added_later": 1}).claim == "c"


def test_a_proof_that_was_read_says_that_it_cannot_be_checked() -> None:
    from qed.errors import QedError

    back = from_json(to_json(Answer("c", "PROVED", certificate={"kind": "subdivision"})))
    assert back.proved and back.certificate == {"kind": "subdivision"}
    with pytest.raises(QedError, match="plain data"):
        back.check()
