"""What can be told of a name pattern without any name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.name_pattern import fault, literal_prefix


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("", ""),
        ("shop", "shop"),
        (r"shop\.staging\..*", "shop.staging."),
        ("shop.staging", "shop"),
        (r"shop\.s?taging", "shop."),
        (r"shop\.s+taging", "shop.s"),
        (r"shop\.s*", "shop."),
        (r"shop\.s{2}", "shop."),
        (r"shop\.(a|b)\.x", "shop."),
        (r"shop\.[a|b]", "shop."),
        (r"shop\.a|bank\..*", ""),
        (r"shop\|x", "shop|x"),
        (r"shop\d", "shop"),
        (r"((a|b)|c)x", ""),
        (r"shop\.((a|b)|c)", ""),
        ("shop\\", "shop"),
    ],
)
def test_what_every_match_begins_with(pattern: str, prefix: str) -> None:
    assert literal_prefix(pattern) == prefix


@given(st.text(r"ab.\|()[]*+?{}^$1", max_size=12), st.text("ab.1", max_size=6))
def test_no_match_begins_otherwise(pattern: str, name: str) -> None:
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, FutureWarning):
        return
    if compiled.fullmatch(name):
        assert name.startswith(literal_prefix(pattern))


@pytest.mark.parametrize("pattern", [r"shop\..*", "shop", "a|b", ".*x.*", r"^shop\.[a-z]+$"])
def test_a_pattern_that_does_what_it_says(pattern: str) -> None:
    assert fault(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (".*", "matches every name"),
        (".+|x", "matches every name"),
        ("[^,]+", "holds a comma"),
        ("", "is empty"),
        ("a ", "blanks"),
        ("(", "no regular expression"),
        (r"\p{Alpha}+", "no regular expression"),
        ("[a-z&&[^b]]", "no regular expression"),
        ("[[a]b]", "no regular expression"),
    ],
)
def test_a_pattern_that_does_not(pattern: str, reason: str) -> None:
    assert reason in (fault(pattern) or "")
