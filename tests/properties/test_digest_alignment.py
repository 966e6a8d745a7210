"""Alignment against a model: what was done to a copy of a log is what is found."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.digests import Fingerprint, align, fingerprint
from drkit.domain.kafka import Record, TopicPartition

P = TopicPartition("t", 0)


def tail(values: list[int]) -> list[Fingerprint]:
    return [fingerprint(Record(P, offset, 0, None, str(value).encode())) for offset, value in enumerate(values)]


logs = st.lists(st.integers(0, 5), max_size=30)
distinct = st.lists(st.integers(0, 1000), min_size=1, max_size=30, unique=True)


@given(logs, logs)
def test_equal_means_that_the_shorter_is_the_end_of_the_longer(source: list[int], target: list[int]) -> None:
    shared = min(len(source), len(target))
    same = source[len(source) - shared :] == target[len(target) - shared :]
    found = align(tail(source), tail(target))
    assert found.is_equal == same
    assert (found.first_difference is None) == same
    if same:
        assert found.compared == shared


@given(logs, logs)
def test_complete_logs_are_equal_only_if_they_are_the_same(source: list[int], target: list[int]) -> None:
    assert align(tail(source), tail(target), complete=True).is_equal == (source == target)


@given(logs, logs)
def test_every_record_of_complete_logs_is_accounted_for(source: list[int], target: list[int]) -> None:
    found = align(tail(source), tail(target), complete=True)
    assert found.compared + found.missing + found.reordered == len(source)
    assert found.compared + found.unexpected + found.duplicated + found.reordered == len(target)
    # What is missing for good is missing as a multiset, too.
    assert found.missing >= sum((Counter(source) - Counter(target)).values())


@given(distinct, st.data())
def test_a_block_that_was_copied_again_is_found_as_duplicates(source: list[int], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(source) - 1))
    end = data.draw(st.integers(start + 1, len(source)))
    found = align(tail(source), tail(source[:end] + source[start:]), complete=True)
    assert (found.compared, found.duplicated) == (len(source), end - start)
    assert (found.missing, found.unexpected, found.reordered) == (0, 0, 0)


@given(distinct, st.data())
def test_records_that_were_dropped_are_found_as_missing(source: list[int], data: st.DataObject) -> None:
    dropped = data.draw(st.sets(st.sampled_from(source)))
    found = align(tail(source), tail([value for value in source if value not in dropped]), complete=True)
    assert (found.missing, found.compared) == (len(dropped), len(source) - len(dropped))
    assert (found.unexpected, found.duplicated, found.reordered) == (0, 0, 0)


@given(distinct, st.data())
def test_foreign_records_are_found_as_unexpected(source: list[int], data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(source)), max_size=5, unique=True))
    target = list(source)
    for number, place in enumerate(sorted(places, reverse=True)):
        target.insert(place, -1 - number)
    found = align(tail(source), tail(target), complete=True)
    assert (found.unexpected, found.compared) == (len(places), len(source))
    assert (found.missing, found.duplicated, found.reordered) == (0, 0, 0)


records = st.builds(
    Record,
    st.just(P),
    st.just(0),
    st.integers(-1, 2**62),
    st.none() | st.binary(max_size=3),
    st.none() | st.binary(max_size=3),
    st.lists(st.tuples(st.text(max_size=2), st.none() | st.binary(max_size=3)), max_size=2).map(tuple),
)


@given(records, records)
def test_two_records_have_one_digest_exactly_if_they_are_equal(one: Record, other: Record) -> None:
    same = (one.timestamp_ms, one.key, one.value, one.headers) == (
        other.timestamp_ms,
        other.key,
        other.value,
        other.headers,
    )
    assert (fingerprint(one).digest == fingerprint(other).digest) == same
