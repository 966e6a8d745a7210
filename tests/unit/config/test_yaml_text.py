"""Nothing in the file means something else than it looks like, and every problem has its line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.config.yaml_text import Document, Problem, parse

TRAPS = ["NO", "yes", "on", "Off", "True", "1:30:00", "010", "0x1F", "1e3", "1_000", "+1", ".5", "5.", ".inf", ".NaN",
         "2026-01-01", "2026-01-01T00:00:00Z", "99999999999999999999", "Null", "<<", "=", "0o17", "-01"]  # fmt: skip


@pytest.mark.parametrize("text", TRAPS)
def test_what_yaml_1_1_would_have_changed_stays_text(text: str) -> None:
    assert parse(f"key: {text}\n").value == {"key": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), ("-7", -7), ("0", 0), ("3.10", 3.1), ("true", True), ("false", False), ("null", None), ("~", None),
     ("", None), ("'7'", "7"), ('"true"', "true"), ("|-\n  7", "7")],
)  # fmt: skip
def test_what_is_a_number_or_a_boolean(text: str, value: object) -> None:
    result = parse(f"key: {text}\n").value
    assert result == {"key": value}
    assert isinstance(result, dict)
    assert type(result["key"]) is type(value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb:\n\t- 2\n", Problem(3, (), "a tab where YAML allows only spaces")),
        ("a: 1\nb: 2\na: 3\n", Problem(3, ("a",), "given twice: first on line 1")),
        ("a:\n  b: 1\n  c: 2\n  b: 1\n", Problem(4, ("a", "b"), "given twice: first on line 2")),
        ("a: 1\n---\nb: 2\n", Problem(2, (), "a second document begins here (`---`): one service per file")),
        ("a: &x 1\n", Problem(1, (), "the anchor &x is not supported: write the value out where it is used")),
        ("\na: *x\n", Problem(2, (), "the alias *x is not supported: write the value out")),
        ("a: !!int '3'\n", Problem(1, (), "the tag tag:yaml.org,2002:int is not supported: remove it")),
        ("a: !!python/object:os.system x\n",
         Problem(1, (), "the tag tag:yaml.org,2002:python/object:os.system is not supported: remove it")),
        ("a: 1\n? [b]\n: 2\n", Problem(2, (), "a key must be text")),
        ("a: 1\nb: \x07\n", Problem(2, (), "the character U+0007 is not allowed in YAML")),
        ('a: "\\ud800"\n', Problem(1, ("a",), "holds half of a surrogate pair, which is no text")),
        ("[" * 1000, Problem(1, (), "nested more than 32 levels deep")),
        ("a: b: c\n", Problem(1, (), "not valid YAML: mapping values are not allowed here")),
    ],
)  # fmt: skip
def test_a_problem_has_its_line_and_path(text: str, problem: Problem) -> None:
    assert parse(text).problems == [problem]


def test_a_bomb_of_aliases_is_refused_before_anything_is_built() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    document = parse("\n".join(lines))
    assert document.value is None
    assert len(document.problems) == 10 + 9 * 9


def test_a_byte_order_mark_and_windows_line_ends_are_read() -> None:
    document = parse("a: 1\r\nb:\r\n  c: 2\r\n")
    assert document.value == {"a": 1, "b": {"c": 2}}
    assert document.line(("b", "c")) == 3


def test_the_line_of_something_missing_is_that_of_what_it_is_missing_from() -> None:
    document = parse("a:\n  b:\n    c: 1\n")
    assert [document.line(path) for path in [(), ("a",), ("a", "b", "c"), ("a", "b", "d", "e")]] == [1, 1, 3, 2]


def test_paths_are_written_as_a_reader_writes_them() -> None:
    assert Problem(1, ("redirect", 0, "values", "ap-east-2", 1), "x").dotted_path == "redirect[0].values.ap-east-2[1]"
    assert str(Problem(3, ("a", 0), "x")) == "line 3, a[0]: x"
    assert str(Problem(0, (), "x")) == "x"


def _json_values() -> st.SearchStrategy[Any]:
    text = st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF), max_size=12)
    numbers = st.integers(-(10**17), 10**17)
    return st.recursive(
        st.none() | st.booleans() | numbers | text,
        lambda children: st.lists(children, max_size=4) | st.dictionaries(text, children, max_size=4),
        max_leaves=12,
    )


@given(_json_values())
def test_json_is_read_as_json(value: Any) -> None:
    document = parse(json.dumps(value))
    assert document.problems == []
    assert document.value == value


@given(st.text(max_size=200) | st.text("-:[]{}#&*!|>'\"%@`,?\t\n a1~<=", max_size=60))
def test_any_text_gives_a_document(text: str) -> None:
    document = parse(text)
    assert isinstance(document, Document)
    if document.problems:
        assert all(problem.line <= len(text.splitlines()) + 1 for problem in document.problems)
