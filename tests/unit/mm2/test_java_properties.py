"""Java's .properties format, read and written as ``java.util.Properties`` does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.java_properties import escape_value, parse_properties

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", {"a": "1"}),
        ("a = 1 ", {"a": "1 "}),
        ("  a:1\nb 2\nc\t= 3", {"a": "1", "b": "2", "c": "3"}),
        ("# a=1\n! b=2\n\n  # c\nd=#4", {"d": "#4"}),
        ("a=1\na=2", {"a": "2"}),
        ("a", {"a": ""}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        (r"topics=shop\\..*", {"topics": r"shop\..*"}),
        (r"a\=b\:c\ d=1", {"a=b:c d": "1"}),
        (r"a=\u0041\t\n\q", {"a": "A\t\nq"}),
        ("a=1,\\\n   2,\\\n   3\nb=4", {"a": "1,2,3", "b": "4"}),
        ("a=1\\\\\nb=2", {"a": "1\\", "b": "2"}),
        ("a=1\\\n# no comment\nb=2", {"a": "1# no comment", "b": "2"}),
        ("a=1\r\nb=2\rc=3", {"a": "1", "b": "2", "c": "3"}),
        ("a->b.enabled=true", {"a->b.enabled": "true"}),
        ("a=1\\", {"a": "1"}),
    ],
)
def test_what_java_reads(text: str, expected: dict[str, str]) -> None:
    assert parse_properties(text) == expected


def test_a_malformed_code_point_is_an_error() -> None:
    with pytest.raises(ValueError, match="malformed"):
        parse_properties(r"a=\u00g1")


@given(TEXT)
def test_an_escaped_value_is_read_back(value: str) -> None:
    assert parse_properties(f"first=1\nkey={escape_value(value)}\nlast=2") == {"first": "1", "key": value, "last": "2"}


@given(st.text("ab\\=: \t\n#!u0", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_properties(text)
    except ValueError:
        assert "\\u" in text
