"""Digests of records, and two tails laid side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drkit.domain.digests import Alignment, Fingerprint, align, compare_keys, fingerprint
from drkit.domain.kafka import Record, TopicPartition

RECORD = Record(TopicPartition("t", 0), 7, 1_700_000_000_000, b"k", b"v", (("h", b"1"), ("i", None)))


def tail(text: str, *, first: int = 0) -> list[Fingerprint]:
    """One record per letter."""
    return [
        fingerprint(Record(TopicPartition("t", 0), first + place, 0, b"k", letter.encode()))
        for place, letter in enumerate(text)
    ]


def test_offset_partition_and_batch_mean_nothing() -> None:
    copy = replace(RECORD, partition=TopicPartition("a.t", 3), offset=999)
    assert fingerprint(copy).digest == fingerprint(RECORD).digest


@pytest.mark.parametrize(
    "other",
    [
        replace(RECORD, timestamp_ms=RECORD.timestamp_ms + 1),
        replace(RECORD, key=b"K"),
        replace(RECORD, key=None),
        replace(RECORD, value=b""),
        replace(RECORD, value=None),
        replace(RECORD, headers=()),
        replace(RECORD, headers=(("i", None), ("h", b"1"))),
        replace(RECORD, headers=(("h", b"1"), ("i", b""))),
        # The same bytes in a row, cut elsewhere.
        replace(RECORD, key=b"kv", value=b""),
        replace(RECORD, headers=(("h1", b""), ("i", None))),
    ],
)
def test_everything_that_mm2_carries_over_counts(other: Record) -> None:
    assert fingerprint(other).digest != fingerprint(RECORD).digest


def test_timestamps_and_named_headers_can_be_left_out() -> None:
    moved = replace(RECORD, timestamp_ms=1, headers=(*RECORD.headers, ("mirror", b"x")))
    ignoring = fingerprint(moved, with_timestamp=False, ignored_headers=frozenset({"mirror"}))
    assert ignoring.digest == fingerprint(RECORD, with_timestamp=False).digest
    assert ignoring.timestamp_ms == 1


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("abcdef", "abcdef", Alignment(6)),
        ("abcdef", "def", Alignment(3)),
        ("def", "abcdef", Alignment(3)),
        ("", "", Alignment(0)),
        # a task that restarted copied a block again (at-least-once)
        ("abcdef", "abcdcdef", Alignment(6, duplicated=2, first_difference=(1, 3))),
        ("abcdef", "abcdefef", Alignment(6, duplicated=2, first_difference=(3, 5))),
        # ... in which a record occurs that the source has twice
        ("axay", "axayay", Alignment(4, duplicated=2, first_difference=(1, 3))),
        ("abcdef", "abcef", Alignment(5, missing=1, first_difference=(3, 2))),
        ("abcdef", "abcde", Alignment(5, missing=1, first_difference=(5, 4))),
        ("abcdef", "abcdXef", Alignment(6, unexpected=1, first_difference=(3, 4))),
        ("abcdef", "abcXef", Alignment(5, missing=1, unexpected=1, first_difference=(3, 3))),
        ("abcdef", "abcedf", Alignment(5, reordered=1, first_difference=(4, 4))),
    ],
)
def test_what_differs_is_told_apart(source: str, target: str, expected: Alignment) -> None:
    assert align(tail(source), tail(target)) == expected


def test_the_beginning_counts_only_where_both_logs_are_complete() -> None:
    assert align(tail("abcdef"), tail("def"), complete=True) == Alignment(3, missing=3, first_difference=(2, 0))
    assert align(tail("def"), tail("abcdef"), complete=True) == Alignment(3, unexpected=3, first_difference=(0, 2))
    assert align(tail(""), tail("a"), complete=True).unexpected == 1
    assert align(tail("abc"), tail("abc"), complete=True).is_equal


def keyed(pairs: list[tuple[str, str]]) -> list[Fingerprint]:
    return [
        fingerprint(Record(TopicPartition("t", 0), place, 0, key.encode(), value.encode()))
        for place, (key, value) in enumerate(pairs)
    ]


def test_compacted_logs_are_compared_by_the_last_record_of_each_key() -> None:
    source = keyed([("a", "1"), ("b", "1"), ("a", "2"), ("c", "1")])
    compacted = keyed([("b", "1"), ("a", "2"), ("d", "9")])
    found = compare_keys(source, compacted)
    assert (found.compared, found.different, found.one_sided) == (2, 0, 2)
    assert found.is_equal


def test_a_key_with_another_last_record_is_a_difference() -> None:
    found = compare_keys(keyed([("a", "1"), ("a", "2")]), keyed([("b", "1"), ("a", "1")]))
    assert (found.different, found.first_difference) == (1, (1, 1))
    assert not found.is_equal
