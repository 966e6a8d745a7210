"""Text from outside, made fit to be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.adapters.local.untrusted_text import printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ü 雪", "plain ü 雪"),
        (" \n around \n", "around"),
        ("two\nlines", "two\\nlines"),
        ("\x1b[2J", "\\x1b[2J"),
        ("right\u202eleft", "right\\u202eleft"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("", ""),
    ],
)
def test_what_acts_on_a_terminal_is_escaped(text: str | bytes, expected: str) -> None:
    assert printable(text, limit=100) == expected


def test_the_end_is_kept() -> None:
    assert printable("a" * 50 + "the reason", limit=20) == "..." + "a" * 7 + "the reason"


@given(st.one_of(st.text(), st.binary()), st.integers(min_value=4, max_value=50))
def test_it_is_always_one_short_line(text: str | bytes, limit: int) -> None:
    shown = printable(text, limit=limit)
    assert shown.isprintable()
    assert len(shown) <= limit
