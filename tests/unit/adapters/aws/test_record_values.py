"""Route 53's notation of names and values."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.adapters.aws.record_values import canonical_name, canonical_values, from_route53, to_route53
from drkit.errors import RefusedError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kafka.example.com", "kafka.example.com"),
        ("Kafka.Example.COM.", "kafka.example.com"),
        (r"\052.example.com.", "*.example.com"),
        ("*.example.com", "*.example.com"),
        (r"a\040b.example.com", "a b.example.com"),
        (r"b\303\274cher.example.com", "bücher.example.com"),
    ],
)
def test_names_are_compared_without_notation(name: str, expected: str) -> None:
    assert canonical_name(name) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ('"10.0.0.1:9092"', "10.0.0.1:9092"),
        ('"a" "b"', "ab"),
        ('"a""b"', "ab"),
        (r'"say \"hi\" \\ \101"', r'say "hi" \ A'),
        ('""', ""),
        ("unquoted", "unquoted"),
        (r'"\377"', r"\xff"),
    ],
)
def test_txt_values_are_read(raw: str, expected: str) -> None:
    assert from_route53("TXT", raw) == expected


def test_txt_values_are_written_in_strings_of_255_bytes() -> None:
    assert to_route53("TXT", "a" * 300) == f'"{"a" * 255}" "{"a" * 45}"'
    assert to_route53("TXT", 'a"b\\c\n') == r'"a\042b\134c\012"'
    assert to_route53("TXT", "") == '""'


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=600))
def test_txt_values_survive_the_notation(text: str) -> None:
    raw = to_route53("TXT", text)
    assert from_route53("TXT", raw) == text
    assert re.fullmatch(r'"([ !#-\[\]-~]|\\[0-7]{3})*"( "([ !#-\[\]-~]|\\[0-7]{3})*")*', raw)
    lengths = [len(re.sub(r"\\[0-7]{3}", "x", part)) for part in re.findall(r'"((?:[^"\\]|\\.)*)"', raw)]
    assert max(lengths) <= 255


def test_addresses_and_names() -> None:
    assert to_route53("A", "10.0.0.1") == "10.0.0.1"
    assert to_route53("CNAME", "B-1.Kafka.Example.com") == "b-1.kafka.example.com."
    assert from_route53("CNAME", "b-1.kafka.example.com.") == "b-1.kafka.example.com"
    assert canonical_values("CNAME", ["B.example.com.", "a.example.com"]) == ("a.example.com", "b.example.com")


@pytest.mark.parametrize(
    "value", ["10.0.0", "10.0.0.256", "010.0.0.1", "::1", "kafka.example.com", "10.0.0.1:9092", ""]
)
def test_what_is_no_address_is_refused(value: str) -> None:
    with pytest.raises(RefusedError, match="IPv4"):
        to_route53("A", value)
